//! Popular: what to show to somebody of whom nothing is known.
//!
//! ```text
//! shrunken_mean(i) = (sum of ratings of i + PRIOR_RATINGS * mean of all) / (ratings of i + PRIOR_RATINGS)
//! ```
//!
//! Where choices were learned, by appeal: what people take up, not what those who took it up liked.
//!
//! Over the training split. A product with a single 5 is not the best of all; with many ratings its own mean counts.
//! Source: the "weighted rank" of charts, an empirical Bayes estimate (B. Efron, C. Morris, Stein's estimation rule and its
//! competitors, 1973).

use super::filter::Candidates;
use super::{Ask, Basis, Ranking, RecommendError, Recommender};
use crate::common::interaction::{ItemIndex, Part};
use crate::config::DeviceChoice;
use crate::engine::cpu::score_top_k::{Best, Candidate};
use crate::engine::ranker::{RankQuery, RankedItem};

/// How many ratings at the overall mean every product is taken to have beside its own.
const PRIOR_RATINGS: f64 = 20.0;

impl Recommender {
    /// The best products for anybody.
    pub fn rank_unknown(&self, candidates: &Candidates, ask: Ask) -> Result<Ranking, RecommendError> {
        if let Some(choices) = self.model.choices() {
            // Whom nothing tells apart from others is at the origin, where appeal alone counts.
            let [rating, choice] = [self.model.shape(), choices].map(|shape| vec![0.0; shape.factor_len()]);
            let query = RankQuery {
                rating: &rating,
                choice: &choice,
                seen: &[],
            };
            let mut ranker = self.ranker(candidates, DeviceChoice::Cpu)?;
            let ranked = self.best(&mut ranker, candidates, &[query], ask.top)?;
            let ranked = ranked.into_iter().next().expect("one query has one answer");
            return Ok(Ranking {
                basis: Basis::ProductAppeal,
                ..self.ranking(candidates, ranked, 0, ask)?
            });
        }
        let (rows, parts) = self.rows.read()?;
        let mut sums = vec![(0.0f64, 0.0f64); self.products.len()];
        let (mut all, mut count) = (0.0, 0.0);
        for row in (0..parts.len()).filter(|&row| parts[row] == Part::Train as u8) {
            let rating = f64::from(rows.ratings[row]);
            let sum = &mut sums[rows.items[row].index()];
            *sum = (sum.0 + rating, sum.1 + 1.0);
            (all, count) = (all + rating, count + 1.0);
        }
        let mean = all / f64::max(count, 1.0);
        let mut best = Best::new(ask.top.min(sums.len()));
        for place in (0..candidates.len(sums.len()) as u32).map(ItemIndex) {
            let (sum, count) = sums[candidates.item(place).index()];
            let shrunken = (sum + PRIOR_RATINGS * mean) / (count + PRIOR_RATINGS);
            best.push(Candidate {
                item: place,
                score: shrunken as f32,
            });
        }
        let means: Vec<Candidate> = best.into_sorted();
        let ranked = means.iter().map(|best| RankedItem {
            item: best.item,
            value: best.score,
            logit: 0.0,
        });
        let mut ranking = Ranking {
            basis: Basis::ShrunkenMean,
            ..self.ranking(candidates, ranked.collect(), 0, ask)?
        };
        let scale = self.config.data.rating_scale;
        for (product, mean) in ranking.products.iter_mut().zip(means) {
            product.score = scale.to_unit(mean.score);
            product.predicted_rating = Some(mean.score);
        }
        Ok(ranking)
    }
}

//! One relevant product among sampled ones, as some papers judge: each held-out relevant product is ranked against a few that
//! the user has not rated, drawn by the seed.
//!
//! Such figures are far above those of the full catalogue and are comparable with nothing but themselves; Krichene and Rendle: On
//! sampled metrics for item recommendation, KDD 2020. They are labelled as sampled wherever they stand.

use super::cases::Case;
use crate::common::interaction::ItemIndex;
use crate::common::random::{Purpose, stream};
use crate::config::Config;
use crate::engine::model::Model;
use crate::engine::ranker::{RankQuery, Ranker};
use crate::metrics::ranking::{MeanRanking, RankingMetrics};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Figures over held-out relevant products, each alone among sampled negatives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// Products drawn for each; fewer where a user has rated nearly all.
    pub negatives: usize,
    /// Relevant products judged.
    pub rows: usize,
    pub at: Vec<SampledAt>,
}

/// The figures at one k; with one relevant product, recall is the hit rate and MAP is MRR.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampledAt {
    pub k: usize,
    pub hit_rate: f64,
    pub ndcg: f64,
    pub reciprocal_rank: f64,
}

/// Judges batch by batch; does nothing if the config samples none.
pub struct SampledNegatives {
    negatives: usize,
    seed: u64,
    at: Vec<(usize, MeanRanking)>,
}

impl SampledNegatives {
    /// As many negatives as the config says.
    pub fn new(config: &Config) -> Self {
        Self {
            negatives: config.evaluate.sampled_negatives,
            seed: config.seed,
            at: config.evaluate.k.iter().map(|&k| (k, MeanRanking::default())).collect(),
        }
    }

    /// Judges the relevant products of some users.
    pub fn judge(&mut self, cases: &[Case], model: &Model, ranker: &Ranker) {
        if self.negatives == 0 {
            return;
        }
        for case in cases {
            let mut rng = stream(self.seed, Purpose::SampledNegatives, case.user.0);
            let mut items = Vec::new();
            let mut lengths = Vec::new();
            for &relevant in &case.relevant {
                items.push(relevant);
                let drawn = draw(self.negatives, model.shape.items, &case.rated, &mut rng);
                lengths.push(drawn.len());
                items.extend(drawn);
            }
            let values = ranker.values(&RankQuery::of_user(model, case.user, &[]), &items);
            let mut start = 0;
            for length in lengths {
                let (own, others) = (values[start], &values[start + 1..start + 1 + length]);
                // A tie counts against the model, or one that scores all alike would look perfect.
                let above = others.iter().filter(|&&other| other >= own).count();
                let mut hits = vec![false; above + 1];
                hits[above] = true;
                for (k, mean) in &mut self.at {
                    mean.add(RankingMetrics::at(*k, &hits, 1).expect("one product is relevant"));
                }
                start += 1 + length;
            }
        }
    }

    /// The figures; `None` if none were sampled.
    pub fn scores(self) -> Option<Sampled> {
        let rows = self.at.first().map_or(0, |(_, mean)| mean.users());
        let at = self.at.into_iter().filter_map(|(k, mean)| {
            let metrics = mean.mean()?;
            Some(SampledAt {
                k,
                hit_rate: metrics.hit_rate,
                ndcg: metrics.ndcg,
                reciprocal_rank: metrics.reciprocal_rank,
            })
        });
        (rows > 0).then(|| Sampled {
            negatives: self.negatives,
            rows,
            at: at.collect(),
        })
    }
}

/// Distinct items that are not in `rated` (ascending), in the order drawn; all of them if there are no more than wanted.
fn draw(wanted: usize, items: usize, rated: &[ItemIndex], rng: &mut impl RngExt) -> Vec<ItemIndex> {
    let is_free = |item: ItemIndex| rated.binary_search(&item).is_err();
    // Drawing at random is slow where nearly all would be taken.
    if items <= 2 * (wanted + rated.len()) {
        let mut free: Vec<ItemIndex> = (0..items as u32).map(ItemIndex).filter(|&item| is_free(item)).collect();
        for place in 0..wanted.min(free.len()) {
            let other = rng.random_range(place..free.len());
            free.swap(place, other);
        }
        free.truncate(wanted);
        return free;
    }
    let mut drawn = Vec::with_capacity(wanted);
    while drawn.len() < wanted {
        let item = ItemIndex(rng.random_range(0..items) as u32);
        if is_free(item) && !drawn.contains(&item) {
            drawn.push(item);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negatives_are_distinct_and_unrated_in_small_and_large_catalogues() {
        for (items, wanted, found) in [(1000, 99, 99), (120, 99, 99), (60, 99, 57)] {
            let rated = [3, 5, 50].map(ItemIndex);
            let mut drawn = draw(wanted, items, &rated, &mut stream(1, Purpose::SampledNegatives, 0));
            assert_eq!(drawn.len(), found);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), found, "an item stands twice");
            assert!(drawn.iter().all(|item| !rated.contains(item) && item.index() < items));
        }
    }
}

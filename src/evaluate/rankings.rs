//! The ranking side: for each user, the whole catalogue without what training saw, against the relevant products held out.
//!
//! Users with a held-out row of a relevant product are ranked for; the others have nothing to find and are counted. Users are
//! scored a batch at a time, so that memory does not grow with their number.

use super::cases::{Case, Table};
use super::ratings::Predictor;
use super::sampled::{Sampled, SampledNegatives};
use crate::common::interaction::{ItemIndex, Part};
use crate::common::random::{Purpose, stream};
use crate::config::Config;
use crate::data::progress::{Progress, Unit};
use crate::engine::EngineError;
use crate::engine::model::Model;
use crate::engine::ranker::{RankQuery, Ranker};
use crate::evaluate::definitions::Figure;
use crate::metrics::bootstrap::{Interval, intervals};
use crate::metrics::catalogue::Shown;
use crate::metrics::ranking::{MeanRanking, RankingMetrics};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// Users that are scored in one go.
const USERS_PER_BATCH: usize = 512;

/// Rankings of the full catalogue, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rankings {
    /// Users ranked for.
    pub users: usize,
    /// Users with a relevant product in this part; above `users` if `evaluate.ranked_users` limits them.
    pub users_with_relevant: usize,
    /// Users with rows in this part, none of them relevant: left out.
    pub users_without_relevant: usize,
    /// Products there are.
    pub catalogue: usize,
    /// The model first, then the baselines.
    pub rankers: Vec<RankerScores>,
    /// The model for users with a training rating.
    pub warm_users: RankerScores,
    /// The model for users without one.
    pub cold_users: RankerScores,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled: Option<Sampled>,
}

/// One ranker, as a mean over users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankerScores {
    pub predictor: Predictor,
    pub users: usize,
    /// One for each `evaluate.k`; empty without users.
    pub at: Vec<RankingAt>,
}

/// The figures at one k.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankingAt {
    pub k: usize,
    #[serde(flatten)]
    pub metrics: RankingMetrics,
    /// Of the model's NDCG over all users; the other rankers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ndcg_interval: Option<Interval>,
    pub coverage: Option<f64>,
    pub novelty: Option<f64>,
}

impl RankingAt {
    /// All of them, in the order of every table.
    pub const FIGURES: [Figure<Self>; 8] = [
        ("precision_at_k", |at| Some(at.metrics.precision)),
        ("recall_at_k", |at| Some(at.metrics.recall)),
        ("ndcg", |at| Some(at.metrics.ndcg)),
        ("average_precision_at_k", |at| Some(at.metrics.average_precision)),
        ("reciprocal_rank", |at| Some(at.metrics.reciprocal_rank)),
        ("hit_rate", |at| Some(at.metrics.hit_rate)),
        ("coverage", |at| at.coverage),
        ("novelty", |at| at.novelty),
    ];
}

/// A ranking that is the same for everybody, but for what each has seen.
#[derive(Clone, Debug)]
pub struct FixedRanking {
    pub predictor: Predictor,
    /// All items, best first.
    pub order: Vec<ItemIndex>,
}

/// Means over users at each k, and what was shown.
struct Tally<'a> {
    predictor: Predictor,
    at: Vec<TallyAt<'a>>,
}

struct TallyAt<'a> {
    k: usize,
    mean: MeanRanking,
    /// Of each user.
    ndcg: Vec<[f64; 1]>,
    shown: Shown<'a>,
}

impl<'a> Tally<'a> {
    fn new(predictor: Predictor, ks: &[usize], item_counts: &'a [u32]) -> Self {
        let at = ks.iter().map(|&k| TallyAt {
            k,
            mean: MeanRanking::default(),
            ndcg: Vec::new(),
            shown: Shown::new(item_counts),
        });
        Self {
            predictor,
            at: at.collect(),
        }
    }

    fn add(&mut self, ranked: &[ItemIndex], relevant: &[ItemIndex]) {
        let hits: Vec<bool> = ranked.iter().map(|item| relevant.binary_search(item).is_ok()).collect();
        for at in &mut self.at {
            if let Some(metrics) = RankingMetrics::at(at.k, &hits, relevant.len()) {
                at.mean.add(metrics);
                at.ndcg.push([metrics.ndcg]);
            }
            ranked.iter().take(at.k).for_each(|&item| at.shown.show(item));
        }
    }

    fn scores(self) -> RankerScores {
        let users = self.at.first().map_or(0, |at| at.mean.users());
        let at = self.at.into_iter().filter_map(|at| {
            Some(RankingAt {
                k: at.k,
                metrics: at.mean.mean()?,
                ndcg_interval: None,
                coverage: at.shown.coverage(),
                novelty: at.shown.novelty(),
            })
        });
        RankerScores {
            predictor: self.predictor,
            users,
            at: at.collect(),
        }
    }
}

/// Judges the model's rankings and the fixed ones on one part; `None` if nothing relevant is held out.
pub fn judge_rankings(
    model: &Model,
    ranker: &mut Ranker,
    table: Table,
    fixed: &[FixedRanking],
    part: Part,
    config: &Config,
    progress: &dyn Progress,
) -> Result<Option<Rankings>, EngineError> {
    let from = config.evaluate.relevant_from;
    let (mut chosen, mut users_without_relevant) = (Vec::new(), 0);
    for rows in table.users() {
        if table.has_relevant(rows.clone(), part, from) {
            chosen.push(rows);
        } else if rows.clone().any(|row| table.parts[row] == part as u8) {
            users_without_relevant += 1;
        }
    }
    let users_with_relevant = chosen.len();
    let most = config.evaluate.ranked_users;
    if most > 0 && most < chosen.len() {
        chosen.shuffle(&mut stream(config.seed, Purpose::RankedUsers, 0));
        chosen.truncate(most);
        chosen.sort_unstable_by_key(|rows| rows.start);
    }
    if chosen.is_empty() {
        return Ok(None);
    }
    let ks = &config.evaluate.k;
    let longest = ks.iter().copied().max().unwrap_or(0);
    let tally = |predictor| Tally::new(predictor, ks, table.item_counts);
    let (mut all, mut warm, mut cold) = (
        tally(Predictor::Model),
        tally(Predictor::Model),
        tally(Predictor::Model),
    );
    let mut baselines: Vec<Tally> = fixed.iter().map(|ranking| tally(ranking.predictor)).collect();
    let mut sampled = SampledNegatives::new(config);
    progress.begin("ranking", Unit::Users, Some(chosen.len() as u64));
    let mut done = 0;
    for batch in chosen.chunks(USERS_PER_BATCH) {
        let cases: Vec<Case> = batch.iter().map(|rows| table.case(rows.clone(), part, from)).collect();
        let queries: Vec<RankQuery> = cases
            .iter()
            .map(|case| RankQuery::of_user(model, case.user, &case.seen))
            .collect();
        let ranked = ranker.top_k(&queries, longest)?;
        for (case, ranked) in cases.iter().zip(ranked) {
            let items: Vec<ItemIndex> = ranked.iter().map(|ranked| ranked.item).collect();
            all.add(&items, &case.relevant);
            let is_warm = table.user_counts[case.user.index()] > 0;
            if is_warm { &mut warm } else { &mut cold }.add(&items, &case.relevant);
            for (baseline, ranking) in baselines.iter_mut().zip(fixed) {
                let unseen = ranking
                    .order
                    .iter()
                    .filter(|item| case.seen.binary_search(item).is_err());
                let items: Vec<ItemIndex> = unseen.take(longest).copied().collect();
                baseline.add(&items, &case.relevant);
            }
        }
        sampled.judge(&cases, model, ranker);
        done += batch.len();
        progress.at(done as u64);
    }
    progress.end();
    let users = chosen.len() as f64;
    let ndcg_intervals: Vec<Option<Interval>> = all
        .at
        .iter()
        .map(|at| intervals(&at.ndcg, config.seed, |&[sum]| [Some(sum / users)])[0])
        .collect();
    let mut all = all.scores();
    for (at, interval) in all.at.iter_mut().zip(ndcg_intervals) {
        at.ndcg_interval = interval;
    }
    let baselines = baselines.into_iter().map(Tally::scores);
    Ok(Some(Rankings {
        users: chosen.len(),
        users_with_relevant,
        users_without_relevant,
        catalogue: model.shape.items,
        rankers: std::iter::once(all).chain(baselines).collect(),
        warm_users: warm.scores(),
        cold_users: cold.scores(),
        sampled: sampled.scores(),
    }))
}

//! Rankings of the validation split: how well the model ranks for some of its users after an epoch, beside the bestsellers.
//!
//! NDCG over the full catalogue without what training saw, for at most [`MOST_USERS`] users who have a relevant row held out:
//! the same ones after each epoch, drawn by the seed. Their rows and all items are read out of the engine, which changes
//! nothing in it.

use super::event::ValidRanking;
use crate::common::interaction::{ItemIndex, Part, UserIndex};
use crate::common::random::{Purpose, stream};
use crate::config::Config;
use crate::data::interactions::Interactions;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::model::{Question, Side};
use crate::engine::ranker::{Catalogue, RankQuery, Ranker};
use crate::engine::{EngineError, Trainer, read_factors, read_table};
use crate::evaluate::baselines::falling_order;
use crate::metrics::ranking::{MeanRanking, RankingMetrics};
use rand::seq::SliceRandom;
use std::collections::HashSet;

/// Users ranked for after an epoch, at the most: a second or two at half a million products.
pub const MOST_USERS: usize = 2048;

/// A user to rank for.
struct Case {
    user: UserIndex,
    /// Held out, relevant and not seen, ascending.
    relevant: Vec<ItemIndex>,
    /// What training saw, ascending.
    seen: Vec<ItemIndex>,
}

/// The users that are ranked for, and how well the bestsellers do for them.
pub struct ValidRankings {
    k: usize,
    like_weight: f32,
    threads: usize,
    cases: Vec<Case>,
    popular_ndcg: f64,
}

impl ValidRankings {
    /// Chooses the users; `None` if nothing relevant is held out.
    pub fn new(config: &Config, interactions: &Interactions, parts: &[u8], counts: &[u32]) -> Option<Self> {
        let is_relevant = |row: usize| interactions.ratings[row] >= config.evaluate.relevant_from;
        let rows_of = |part: Part| (0..parts.len()).filter(move |&row| parts[row] == part as u8);
        let mut users: Vec<UserIndex> = rows_of(Part::Valid)
            .filter(|&row| is_relevant(row))
            .map(|row| interactions.users[row])
            .collect();
        users.sort_unstable();
        users.dedup();
        if users.len() > MOST_USERS {
            users.shuffle(&mut stream(config.seed, Purpose::ValidRankings, 0));
            users.truncate(MOST_USERS);
            users.sort_unstable();
        }
        let case = |&user: &UserIndex| Case {
            user,
            relevant: Vec::new(),
            seen: Vec::new(),
        };
        let mut cases: Vec<Case> = users.iter().map(case).collect();
        for (row, &part) in parts.iter().enumerate() {
            let Ok(place) = users.binary_search(&interactions.users[row]) else {
                continue;
            };
            let (case, item) = (&mut cases[place], interactions.items[row]);
            if part == Part::Train as u8 {
                case.seen.push(item);
            } else if part == Part::Valid as u8 && is_relevant(row) {
                case.relevant.push(item);
            }
        }
        for case in &mut cases {
            case.seen.sort_unstable();
            case.relevant.sort_unstable();
            case.relevant.retain(|item| case.seen.binary_search(item).is_err());
        }
        // Where a table of held-out rows is brought along, all that is relevant to a user may train as well.
        cases.retain(|case| !case.relevant.is_empty());
        let mut rankings = Self {
            k: nearest_to_ten(&config.evaluate.k),
            like_weight: config.train.ranking.like_weight as f32,
            threads: config.threads,
            cases,
            popular_ndcg: 0.0,
        };
        let order = falling_order(counts, |a, b| a.cmp(&b));
        let popular = rankings.cases.iter().map(|case| {
            let unseen = order.iter().filter(|item| case.seen.binary_search(item).is_err());
            unseen.take(rankings.k).copied().collect::<Vec<_>>()
        });
        let popular: Vec<_> = popular.collect();
        rankings.popular_ndcg = rankings.ndcg(&popular);
        (!rankings.cases.is_empty()).then_some(rankings)
    }

    fn ndcg(&self, ranked: &[Vec<ItemIndex>]) -> f64 {
        let mut mean = MeanRanking::default();
        for (case, ranked) in self.cases.iter().zip(ranked) {
            let hits: Vec<bool> = ranked
                .iter()
                .map(|item| case.relevant.binary_search(item).is_ok())
                .collect();
            if let Some(metrics) = RankingMetrics::at(self.k, &hits, case.relevant.len()) {
                mean.add(metrics);
            }
        }
        mean.mean().map_or(0.0, |mean| mean.ndcg)
    }

    /// Ranks with the model as it stands.
    pub fn judge(&self, trainer: &mut dyn Trainer) -> Result<ValidRanking, EngineError> {
        let users: Vec<UserIndex> = self.cases.iter().map(|case| case.user).collect();
        let [ratings, choices] = Question::BOTH.map(|question| trainer.shape(question));
        let head = trainer.head()?.head();
        let mut read = |question| {
            let rows = read_factors(trainer, question, Side::User, bytemuck::cast_slice(&users))?;
            Ok::<_, EngineError>((rows, read_table(trainer, question, Side::Item)?))
        };
        let needs_ratings = choices.is_none() || self.like_weight > 0.0;
        let (rating_users, rating_items) = match ratings.filter(|_| needs_ratings) {
            Some(_) => read(Question::Rating)?,
            None => Default::default(),
        };
        let (choice_users, choice_items) = match choices {
            Some(_) => read(Question::Choice)?,
            None => Default::default(),
        };
        let zeros;
        let dim = ratings.filter(|_| needs_ratings).map_or(0, |shape| shape.dim);
        let rating_rows = match rating_items.is_empty() {
            true => {
                zeros = vec![0.0; choices.map_or(0, |shape| shape.items)];
                ItemRows::of_tensors(&[], &zeros, 0)
            }
            false => ItemRows::of_factors(&rating_items, dim),
        };
        let catalogue = Catalogue {
            head,
            ratings: rating_rows,
            choices: choices.map(|shape| ItemRows::of_factors(&choice_items, shape.dim)),
            like_weight: if ratings.is_some() { self.like_weight } else { 0.0 },
        };
        let mut ranker = Ranker::on_cpu(catalogue, self.threads);
        let nobody = [0.0; crate::engine::model::ROW_HEADER];
        fn row<'a>(table: &'a [f32], number: usize, users: usize, nobody: &'a [f32]) -> &'a [f32] {
            let length = table.len() / users;
            if length == 0 {
                nobody
            } else {
                &table[number * length..][..length]
            }
        }
        let queries: Vec<RankQuery> = self
            .cases
            .iter()
            .enumerate()
            .map(|(number, case)| RankQuery {
                rating: row(&rating_users, number, users.len(), &nobody),
                choice: row(&choice_users, number, users.len(), &nobody),
                seen: &case.seen,
            })
            .collect();
        let ranked = ranker.top_k(&queries, self.k)?;
        let ranked: Vec<Vec<ItemIndex>> = ranked
            .into_iter()
            .map(|items| items.into_iter().map(|ranked| ranked.item).collect())
            .collect();
        let shown: HashSet<ItemIndex> = ranked.iter().flatten().copied().collect();
        Ok(ValidRanking {
            k: self.k,
            users: users.len(),
            ndcg: self.ndcg(&ranked),
            popular_ndcg: self.popular_ndcg,
            shown: shown.len(),
        })
    }
}

/// Of the lengths that are judged, the one nearest to ten: what published figures are for.
fn nearest_to_ten(lengths: &[usize]) -> usize {
    let nearest = lengths.iter().min_by_key(|length| length.abs_diff(10));
    *nearest.expect("a config has at least one length")
}

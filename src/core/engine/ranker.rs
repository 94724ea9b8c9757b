//! The ranker: which items come first for a user, by what the model learned.
//!
//! ```text
//! choices learned      value(u, i) = appeal(u, i) + like_weight ln(score(u, i))
//! else                 value(u, i) = logit(u, i)
//! ```
//!
//! Exactly the k unseen items of the highest value, ties by lower index. One scorer goes through all items. Where a score
//! counts, it goes by appeal alone, which no value exceeds, since no logarithm of a score is above zero: the most appealing
//! items are looked at, more and more of them, until the k-th best value among them is above the appeal of all others.

use super::cpu::CpuScorer;
use super::cpu::item_rows::ItemRows;
use super::cpu::pair_logits::dot;
use super::model::{Head, Model, ROW_HEADER};
use super::objective::sigmoid;
use super::{EngineError, Query, ScoredItem, Scorer};
use crate::common::interaction::{ItemIndex, UserIndex};
use crate::config::Config;

/// One user to rank for, as a factor row of each question, and the items that are left out, ascending.
#[derive(Clone, Copy, Debug)]
pub struct RankQuery<'a> {
    pub rating: &'a [f32],
    /// Empty if choices were not learned.
    pub choice: &'a [f32],
    pub seen: &'a [ItemIndex],
}

/// An item with what the model says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedItem {
    pub item: ItemIndex,
    /// What it was ranked by.
    pub value: f32,
    /// Of the rating; that of the head alone if ratings were not learned.
    pub logit: f32,
}

/// The item rows of a model, to rank among.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue<'a> {
    pub head: Head,
    pub ratings: ItemRows<'a>,
    /// `None` if choices were not learned.
    pub choices: Option<ItemRows<'a>>,
    pub like_weight: f32,
}

impl<'a> Catalogue<'a> {
    /// All items of a model in memory.
    pub fn of(model: &'a Model, config: &Config) -> Self {
        let choices = model.choices.as_ref();
        Self {
            head: model.head,
            ratings: ItemRows::of_factors(&model.items, model.shape.dim),
            choices: choices.map(|choices| ItemRows::of_factors(&choices.items, choices.shape.dim)),
            like_weight: config.train.ranking.like_weight as f32,
        }
    }

    /// The rows that all items are gone through by, and the head of their logits: of choices, if they were learned.
    pub fn leading_rows(&self) -> (Head, ItemRows<'a>) {
        match self.choices {
            Some(rows) => (Head::PLAIN, rows),
            None => (self.head, self.ratings),
        }
    }
}

/// A scorer over a catalogue, and what is asked of the best that it finds.
pub struct Ranker<'a> {
    catalogue: Catalogue<'a>,
    scorer: Box<dyn Scorer + 'a>,
    rated: Vec<ItemIndex>,
}

/// Items that are looked at first for each one that is wanted, where scores count.
const LOOKED_AT: usize = 4;

impl<'a> Ranker<'a> {
    /// A ranker over a scorer of the catalogue's [`leading_rows`](Catalogue::leading_rows).
    pub fn new(catalogue: Catalogue<'a>, scorer: Box<dyn Scorer + 'a>) -> Self {
        Self {
            catalogue,
            scorer,
            rated: Vec::new(),
        }
    }

    /// A ranker on the cpu engine; `threads`: 0 = one a core.
    pub fn on_cpu(catalogue: Catalogue<'a>, threads: usize) -> Self {
        let (head, rows) = catalogue.leading_rows();
        Self::new(catalogue, Box::new(CpuScorer::from_rows(head, rows, threads)))
    }

    /// The items whose rating rows the last [`Ranker::top_k`] read, each once or more often, where choices were learned: few of
    /// all. Where they were not it read every row.
    pub fn rated(&self) -> &[ItemIndex] {
        &self.rated
    }

    /// For each query its k best items, best first; fewer only if fewer are unseen.
    ///
    /// Panics if a query's rows do not fit the model.
    pub fn top_k(&mut self, queries: &[RankQuery], k: usize) -> Result<Vec<Vec<RankedItem>>, EngineError> {
        self.rated.clear();
        if self.catalogue.choices.is_none() {
            let asked: Vec<Query> = queries.iter().map(|query| query.of(query.rating)).collect();
            let ranked = self.scorer.top_k(&asked, k)?;
            let as_it_is = |scored: ScoredItem| RankedItem {
                item: scored.item,
                value: scored.logit,
                logit: scored.logit,
            };
            return Ok(ranked
                .into_iter()
                .map(|items| items.into_iter().map(as_it_is).collect())
                .collect());
        }
        let asked: Vec<Query> = queries.iter().map(|query| query.of(query.choice)).collect();
        if self.catalogue.like_weight == 0.0 {
            let ranked = self.scorer.top_k(&asked, k)?;
            self.rated.extend(ranked.iter().flatten().map(|scored| scored.item));
            return Ok(ranked
                .iter()
                .zip(queries)
                .map(|(items, query)| items.iter().map(|scored| self.value(query, scored)).collect())
                .collect());
        }
        let mut done = vec![Vec::new(); queries.len()];
        let mut left: Vec<usize> = (0..queries.len()).collect();
        let mut look = k.saturating_mul(LOOKED_AT);
        while !left.is_empty() {
            let asked: Vec<Query> = left.iter().map(|&number| asked[number]).collect();
            let ranked = self.scorer.top_k(&asked, look)?;
            self.rated.extend(ranked.iter().flatten().map(|scored| scored.item));
            let mut again = Vec::new();
            for (&number, items) in left.iter().zip(ranked) {
                let last = items.last().map_or(0.0, |last| last.logit);
                let mut valued: Vec<RankedItem> = items
                    .iter()
                    .map(|scored| self.value(&queries[number], scored))
                    .collect();
                valued.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.item.cmp(&b.item)));
                let is_all = items.len() < look;
                if is_all || k == 0 || valued[k - 1].value > last {
                    valued.truncate(k);
                    done[number] = valued;
                } else {
                    again.push(number);
                }
            }
            left = again;
            look = look.saturating_mul(LOOKED_AT);
        }
        Ok(done)
    }

    /// What each item is ranked by for one user. Panics if a row does not fit, or an item is not there.
    pub fn values(&self, query: &RankQuery, items: &[ItemIndex]) -> Vec<f32> {
        items
            .iter()
            .map(|&item| match self.catalogue.choices {
                Some(rows) => {
                    let appeal = dot(&query.choice[ROW_HEADER..], rows.weights(item.index())) + rows.bias(item.index());
                    self.value(query, &ScoredItem { item, logit: appeal }).value
                }
                None => self.logit(query, item),
            })
            .collect()
    }

    fn value(&self, query: &RankQuery, scored: &ScoredItem) -> RankedItem {
        let logit = self.logit(query, scored.item);
        let like_weight = self.catalogue.like_weight;
        let liking = match like_weight > 0.0 {
            true => like_weight * sigmoid(logit).ln(),
            false => 0.0,
        };
        RankedItem {
            item: scored.item,
            value: scored.logit + liking,
            logit,
        }
    }

    /// As `affinity` adds, whatever the rows' layout.
    fn logit(&self, query: &RankQuery, item: ItemIndex) -> f32 {
        let rows = self.catalogue.ratings;
        let dot = dot(&query.rating[ROW_HEADER..], rows.weights(item.index()));
        self.catalogue
            .head
            .logit(dot + query.rating[0] + rows.bias(item.index()))
    }
}

impl<'a> RankQuery<'a> {
    /// A user of a model in memory. Panics if there is no such user.
    pub fn of_user(model: &'a Model, user: UserIndex, seen: &'a [ItemIndex]) -> Self {
        Self {
            rating: model.user(user),
            choice: model.choices.as_ref().map_or(&[], |choices| choices.user(user)),
            seen,
        }
    }

    fn of(&self, user: &'a [f32]) -> Query<'a> {
        Query { user, seen: self.seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::{Purpose, stream};
    use rand::RngExt;

    #[test]
    fn the_best_are_those_of_a_full_sort_whatever_a_score_weighs() {
        let mut random = stream(5, Purpose::Synthetic, 0);
        let (items, dim) = (3000, 8);
        let mut table = |rows: usize| -> Vec<f32> {
            (0..rows * (ROW_HEADER + dim))
                .map(|_| random.random_range(-1.0..1.0))
                .collect()
        };
        let (ratings, choices, mut users) = (table(items), table(items), [table(6), table(6)]);
        // Nobody has an appeal.
        users[1].chunks_exact_mut(ROW_HEADER + dim).for_each(|row| row[0] = 0.0);
        let seen: Vec<ItemIndex> = (0..items as u32).step_by(7).map(ItemIndex).collect();
        let row = |table: usize, user: usize| &users[table][user * (ROW_HEADER + dim)..][..ROW_HEADER + dim];
        let queries: Vec<RankQuery> = (0..6)
            .map(|user| RankQuery {
                rating: row(0, user),
                choice: row(1, user),
                seen: &seen,
            })
            .collect();
        for (has_choices, like_weight) in [(false, 0.0), (true, 0.0), (true, 1.0), (true, 25.0)] {
            let catalogue = Catalogue {
                head: Head { scale: 3.0, bias: -1.0 },
                ratings: ItemRows::of_factors(&ratings, dim),
                choices: has_choices.then(|| ItemRows::of_factors(&choices, dim)),
                like_weight,
            };
            let mut ranker = Ranker::on_cpu(catalogue, 2);
            let ranked = ranker.top_k(&queries, 10).unwrap();
            for (query, ranked) in queries.iter().zip(ranked) {
                let unseen = (0..items as u32).filter(|item| item % 7 != 0);
                let unseen: Vec<ItemIndex> = unseen.map(ItemIndex).collect();
                let values = ranker.values(query, &unseen);
                let mut order: Vec<usize> = (0..unseen.len()).collect();
                order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
                let wanted: Vec<ItemIndex> = order[..10].iter().map(|&at| unseen[at]).collect();
                let found: Vec<ItemIndex> = ranked.iter().map(|ranked| ranked.item).collect();
                assert_eq!(found, wanted, "choices {has_choices}, like_weight {like_weight}");
                let mut pairs = ranked.iter().zip(&order);
                assert!(pairs.all(|(ranked, &at)| (ranked.value - values[at]).abs() < 1e-5));
            }
        }
    }
}

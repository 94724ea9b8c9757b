//! Ranking on threads: queries in groups, items in ranges, the ranges' best merged.

use super::item_rows::ItemRows;
use super::merge_top_k::merge_top_k;
use super::pair_logits::dot;
use super::score_block::score_block;
use super::score_top_k::{Candidate, score_top_k};
use super::thread_pool;
use super::thresholds::Thresholds;
use crate::common::interaction::ItemIndex;
use crate::engine::model::{Head, Model, ROW_HEADER};
use crate::engine::{EngineError, Query, ScoredItem, Scorer};
use rayon::prelude::*;
use std::ops::Range;

/// From here on the matrix product is faster than one query after another.
const MIN_BLOCK: usize = 3;
/// Queries that share a pass over the items: fewer wait for memory, more for their own best lists.
const MIN_GROUP: usize = 64;
const MAX_GROUP: usize = 256;
/// Tasks for each thread, so that one that starts late does not hold up the others.
const TASKS_PER_THREAD: usize = 4;
/// A range of items is not worth a task below this.
const MIN_RANGE: usize = 4096;

/// Ranking on threads over a model in memory or in a memory map.
pub struct CpuScorer<'a> {
    head: Head,
    rows: ItemRows<'a>,
    pool: rayon::ThreadPool,
}

impl<'a> CpuScorer<'a> {
    /// A scorer over the item rows of a model, on `threads` threads; 0 = one a core.
    pub fn new(model: &'a Model, threads: usize) -> Self {
        Self::from_rows(model.head, ItemRows::of_factors(&model.items, model.shape.dim), threads)
    }

    /// A scorer over item rows that stand elsewhere, for example in a memory map.
    pub fn from_rows(head: Head, rows: ItemRows<'a>, threads: usize) -> Self {
        Self {
            head,
            rows,
            pool: thread_pool(threads),
        }
    }

    /// How many queries share a task, and how many items.
    ///
    /// How the work is cut changes no bit of the result, only who does what.
    fn task(&self, queries: usize) -> (usize, usize) {
        let threads = self.pool.current_num_threads();
        let groups = queries
            .div_ceil(MAX_GROUP)
            .max((queries / MIN_GROUP).min(threads))
            .max(1);
        let ranges = (threads * TASKS_PER_THREAD).div_ceil(groups);
        let group = queries.div_ceil(groups).next_multiple_of(MIN_GROUP);
        (group, self.rows.len().div_ceil(ranges).max(MIN_RANGE))
    }

    fn candidates(
        &self,
        queries: &[Query],
        items: Range<usize>,
        k: usize,
        thresholds: &Thresholds,
    ) -> Vec<Vec<Candidate>> {
        if queries.len() >= MIN_BLOCK {
            return score_block(queries, self.rows, items, k, thresholds);
        }
        let queries = queries.iter().enumerate();
        queries
            .map(|(place, query)| score_top_k(query, self.rows, items.clone(), k, thresholds, place))
            .collect()
    }
}

impl Scorer for CpuScorer<'_> {
    fn top_k(&mut self, queries: &[Query], k: usize) -> Result<Vec<Vec<ScoredItem>>, EngineError> {
        let k = k.min(self.rows.len());
        let (group, items) = self.task(queries.len());
        let scorer = &*self;
        let firsts: Vec<usize> = (0..scorer.rows.len()).step_by(items).collect();
        let rank = |query: &Query, best: Vec<Candidate>| {
            let mut ranking = Vec::with_capacity(best.len());
            for candidate in best {
                if !candidate.score.is_finite() {
                    return Err(EngineError::NotFinite { item: candidate.item });
                }
                ranking.push(ScoredItem {
                    item: candidate.item,
                    logit: scorer.head.logit(candidate.score + query.user[0]),
                });
            }
            Ok(ranking)
        };
        scorer.pool.install(|| {
            let groups = queries.par_chunks(group).map(|queries| {
                let thresholds = Thresholds::new(queries.len());
                let ranges = firsts.par_iter().map(|&first| {
                    let range = first..(first + items).min(scorer.rows.len());
                    scorer.candidates(queries, range, k, &thresholds)
                });
                let ranges: Vec<_> = ranges.collect();
                let merged = queries.par_iter().enumerate().map(|(number, query)| {
                    let parts = ranges.iter().flat_map(|range| range[number].iter().copied());
                    rank(query, merge_top_k(parts, k))
                });
                merged.collect::<Result<Vec<_>, _>>()
            });
            Ok(groups.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
    }

    fn score_pairs(&mut self, users: &[&[f32]], items: &[ItemIndex]) -> Result<Vec<f32>, EngineError> {
        Ok(self.pool.install(|| {
            users
                .par_iter()
                .zip(items)
                .map(|(user, &item)| {
                    // As `affinity` adds, whatever the rows' layout.
                    let dot = dot(&user[ROW_HEADER..], self.rows.weights(item.index()));
                    self.head.logit(dot + user[0] + self.rows.bias(item.index()))
                })
                .collect()
        }))
    }
}

//! Ranking on threads: tiles of items scored for every query, their best merged.

use super::merge_top_k::merge_top_k;
use super::pair_logits::affinity;
use super::score_top_k::{Candidate, score_top_k};
use super::thread_pool;
use crate::engine::{EngineError, Query, ScoredItem, Scorer};
use crate::interaction::ItemIndex;
use crate::model::{Head, Model, ModelShape};
use rayon::prelude::*;

/// Items that one task scores: at dim 64 a tile of 1 MiB, which stays in a core's cache while several users pass over it.
const ITEMS_PER_TILE: usize = 4096;

/// Ranking on threads over a model in memory.
pub struct CpuScorer<'a> {
    shape: ModelShape,
    head: Head,
    items: &'a [f32],
    pool: rayon::ThreadPool,
}

impl<'a> CpuScorer<'a> {
    /// A scorer over the item rows of a model, on `threads` threads; 0 = one a core.
    pub fn new(model: &'a Model, threads: usize) -> Self {
        Self::from_items(model.shape, model.head, &model.items, threads)
    }

    /// A scorer over item factor rows that stand elsewhere, for example in a memory map.
    pub fn from_items(shape: ModelShape, head: Head, items: &'a [f32], threads: usize) -> Self {
        assert_eq!(
            items.len(),
            shape.items * shape.factor_len(),
            "CpuScorer: item rows do not fit the shape"
        );
        Self {
            shape,
            head,
            items,
            pool: thread_pool(threads),
        }
    }
}

impl Scorer for CpuScorer<'_> {
    fn top_k(&mut self, queries: &[Query], k: usize) -> Result<Vec<Vec<ScoredItem>>, EngineError> {
        let length = self.shape.factor_len();
        let k = k.min(self.shape.items);
        let tiles: Vec<Vec<Vec<Candidate>>> = self.pool.install(|| {
            self.items
                .par_chunks(ITEMS_PER_TILE * length)
                .enumerate()
                .map(|(number, items)| {
                    let first = (number * ITEMS_PER_TILE) as ItemIndex;
                    let best = |query: &Query| score_top_k(query.user, items, first, query.seen, k);
                    queries.iter().map(best).collect()
                })
                .collect()
        });
        let ranked = queries.iter().enumerate().map(|(number, query)| {
            let candidates = tiles.iter().flat_map(|tile| tile[number].iter().copied());
            merge_top_k(candidates, k)
                .into_iter()
                .map(|candidate| ScoredItem {
                    item: candidate.item,
                    logit: self.head.logit(candidate.score + query.user[0]),
                })
                .collect()
        });
        Ok(ranked.collect())
    }

    fn score_pairs(&mut self, users: &[&[f32]], items: &[ItemIndex]) -> Result<Vec<f32>, EngineError> {
        let length = self.shape.factor_len();
        Ok(self.pool.install(|| {
            users
                .par_iter()
                .zip(items)
                .map(|(user, &item)| {
                    self.head
                        .logit(affinity(user, &self.items[item as usize * length..][..length]))
                })
                .collect()
        }))
    }
}

//! Score top-k: the k best unseen items of a query, every item scored once.
//!
//! ```text
//! score[i] = dot(user, item[i]) + item_bias[i]        the item side of the affinity: same order as the logit
//! ```
//!
//! Ranked by score, ties by lower index: exactly the first k of a full sort. A seen item is left out by a flag, never by an
//! infinity. Shapes: user `[4 + dim]`.
//! What one user is served with: the table is read once, straight. Many users are served by [`super::score_block`], with the
//! same result.

use super::item_rows::ItemRows;
use super::lanes::score_rows;
use super::thresholds::Thresholds;
use crate::common::interaction::{DenseIndex, ItemIndex};
use crate::engine::Query;
use crate::engine::model::ROW_HEADER;
use std::ops::Range;

/// An item, or what else is ranked, and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<Index = ItemIndex> {
    pub item: Index,
    pub score: f32,
}

impl<Index: DenseIndex> Candidate<Index> {
    /// Whether this one ranks before `other`.
    #[inline]
    pub fn beats(&self, other: &Self) -> bool {
        self.score > other.score || (self.score == other.score && self.item < other.item)
    }
}

/// The best candidates so far, at most `k`.
///
/// Candidates are collected until there are `2 k`, then the better half is kept and its worst score becomes the threshold:
/// one comparison for nearly every item, and linear work in all.
#[derive(Clone, Debug)]
pub struct Best<Index = ItemIndex> {
    k: usize,
    kept: Vec<Candidate<Index>>,
    worst: Option<Candidate<Index>>,
}

impl<Index: DenseIndex> Best<Index> {
    /// Room for `k` candidates; `k` may be zero.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            kept: Vec::with_capacity((2 * k).min(1 << 16)),
            worst: None,
        }
    }

    /// A score below which nothing is among the best any more: minus infinity until k candidates are there.
    #[inline]
    pub fn threshold(&self) -> f32 {
        self.worst.map_or(f32::NEG_INFINITY, |worst| worst.score)
    }

    /// Takes a candidate in if it may still be among the best; true if that raised the threshold.
    ///
    /// A NaN counts as infinite, so that it is not lost in silence.
    #[inline]
    pub fn push(&mut self, mut candidate: Candidate<Index>) -> bool {
        if candidate.score.is_nan() {
            candidate.score = f32::INFINITY;
        }
        if self.worst.is_some_and(|worst| !candidate.beats(&worst)) || self.k == 0 {
            return false;
        }
        self.kept.push(candidate);
        let is_full = self.kept.len() == 2 * self.k;
        if is_full {
            self.prune();
        }
        is_full
    }

    fn prune(&mut self) {
        if self.kept.len() > self.k {
            let (_, worst, _) = self.kept.select_nth_unstable_by(self.k - 1, rank);
            self.worst = Some(*worst);
            self.kept.truncate(self.k);
        }
    }

    /// The best, in rank order.
    pub fn into_sorted(mut self) -> Vec<Candidate<Index>> {
        self.prune();
        self.kept.sort_unstable_by(rank);
        self.kept
    }
}

fn rank<Index: DenseIndex>(a: &Candidate<Index>, b: &Candidate<Index>) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.item.cmp(&b.item))
}

/// Items that are scored before their scores are looked at.
const ITEMS_PER_PASS: usize = 240;

/// The k best of some items for one query, in rank order, of those that reach its threshold; raises the threshold.
///
/// Panics if the query's row does not fit, an item is not there, or there is no such threshold.
pub fn score_top_k(
    query: &Query,
    rows: ItemRows,
    items: Range<usize>,
    k: usize,
    thresholds: &Thresholds,
    place: usize,
) -> Vec<Candidate> {
    let mut best = Best::new(k);
    let mut scores = [0.0; ITEMS_PER_PASS];
    for first in items.clone().step_by(ITEMS_PER_PASS) {
        let scores = &mut scores[..ITEMS_PER_PASS.min(items.end - first)];
        score_rows(&query.user[ROW_HEADER..], rows, first, scores);
        let mut threshold = thresholds.get(place);
        for (offset, &score) in scores.iter().enumerate() {
            let item = ItemIndex((first + offset) as u32);
            let is_below = score < threshold;
            if is_below || query.seen.binary_search(&item).is_ok() {
                continue;
            }
            if best.push(Candidate { item, score }) {
                threshold = threshold.max(best.threshold());
                thresholds.raise(place, threshold);
            }
        }
    }
    best.into_sorted()
}

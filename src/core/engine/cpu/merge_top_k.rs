//! Merge top-k: the best of several item ranges into the best of all.
//!
//! Ranked by score, ties by lower index, as in `super::score_top_k()`; the ranges may come in any order.

use super::score_top_k::{Best, Candidate};

/// The k best of `parts`, in rank order.
pub fn merge_top_k(parts: impl IntoIterator<Item = Candidate>, k: usize) -> Vec<Candidate> {
    let mut best = Best::new(k);
    for candidate in parts {
        best.push(candidate);
    }
    best.into_sorted()
}

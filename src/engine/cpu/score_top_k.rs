//! Score top-k: the k best unseen items of each query, every item scored once.
//!
//! ```text
//! score[i] = dot(user, item[i]) + item_bias[i]        the item side of the affinity: same order as the logit
//! ```
//!
//! Ranked by score, ties by lower index: exactly the first k of a full sort. A seen item is left out by a flag, never by an
//! infinity. Shapes: user and item rows `[4 + dim]`.
//! Twin of `shaders/score_top_k.wgsl`.

use super::pair_logits::dot;
use crate::interaction::ItemIndex;
use crate::model::ROW_HEADER;

/// An item and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub item: ItemIndex,
    pub score: f32,
}

impl Candidate {
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
pub struct Best {
    k: usize,
    kept: Vec<Candidate>,
    worst: Option<Candidate>,
}

impl Best {
    /// Room for `k` candidates; `k` may be zero.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            kept: Vec::with_capacity((2 * k).min(1 << 16)),
            worst: None,
        }
    }

    /// Takes a candidate in if it may still be among the best.
    #[inline]
    pub fn push(&mut self, candidate: Candidate) {
        if self.worst.is_some_and(|worst| !candidate.beats(&worst)) || self.k == 0 {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() == 2 * self.k {
            self.prune();
        }
    }

    fn prune(&mut self) {
        if self.kept.len() > self.k {
            let (_, worst, _) = self.kept.select_nth_unstable_by(self.k - 1, rank);
            self.worst = Some(*worst);
            self.kept.truncate(self.k);
        }
    }

    /// The best, in rank order.
    pub fn into_sorted(mut self) -> Vec<Candidate> {
        self.prune();
        self.kept.sort_unstable_by(rank);
        self.kept
    }
}

fn rank(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.item.cmp(&b.item))
}

/// The k best of items `first..first + items.len() / (4 + dim)` for one user.
///
/// `seen` is ascending. Panics if the rows differ in length.
pub fn score_top_k(user: &[f32], items: &[f32], first: ItemIndex, seen: &[ItemIndex], k: usize) -> Vec<Candidate> {
    let length = user.len();
    let mut best = Best::new(k);
    let mut seen = &seen[seen.partition_point(|&item| item < first)..];
    for (offset, row) in items.chunks_exact(length).enumerate() {
        let item = first + offset as ItemIndex;
        if seen.first() == Some(&item) {
            seen = &seen[1..];
            continue;
        }
        let score = dot(&user[ROW_HEADER..], &row[ROW_HEADER..]) + row[0];
        // One zero: -0.0 and 0.0 are equal scores, and ties go by index.
        best.push(Candidate {
            item,
            score: score + 0.0,
        });
    }
    best.into_sorted()
}

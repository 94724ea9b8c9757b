//! Choice scores: how much each user of a block is drawn to each item that was drawn.
//!
//! ```text
//! scores[u, j] = dot(user[u], drawn[j]) + appeal[j]
//! ```
//!
//! Shapes: users `[U, 4 + dim]`; drawn `[draws, 4 + dim]`; scores `[U, draws]`. Draws are whole blocks, see [`Drawn`].
//! A product of matrices by the `gemm` crate, whose order of summation is its own: the same on one machine, but not for every
//! instruction set.
//! Twin of `shaders/choice_scores.wgsl`.

use super::product::{Matrix, MatrixMut, multiply};
use crate::common::block::LANES;
use crate::engine::model::ROW_HEADER;

/// The appeal of what fills up the last block of drawn items: no user is drawn to it.
pub const FILLER: f32 = -1e30;

/// Drawn items, side by side, filled up to whole blocks ([`LANES`]) with rows of zeros, appeal [`FILLER`] and offset 0.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// `[draws, dim]`.
    pub rows: Vec<f32>,
    /// `[dim, draws]`.
    pub columns: Vec<f32>,
    /// `[draws]`.
    pub appeals: Vec<f32>,
    /// `[draws]`, see [`crate::engine::choice`].
    pub offsets: Vec<f32>,
}

impl Drawn {
    /// Copies the drawn items' rows from the compact rows of a step. Panics if a slot is not there.
    pub fn gather(&mut self, slots: &[u32], offsets: &[f32], items: &[f32], dim: usize) {
        self.rows.clear();
        self.appeals.clear();
        self.offsets.clear();
        self.offsets.extend_from_slice(offsets);
        for &slot in slots {
            let row = &items[slot as usize * (ROW_HEADER + dim)..][..ROW_HEADER + dim];
            self.appeals.push(row[0]);
            self.rows.extend_from_slice(&row[ROW_HEADER..]);
        }
        let draws = slots.len().next_multiple_of(LANES);
        self.appeals.resize(draws, FILLER);
        self.offsets.resize(draws, 0.0);
        self.rows.resize(draws * dim, 0.0);
        self.columns.resize(draws * dim, 0.0);
        for (number, row) in self.rows.chunks_exact(dim).enumerate() {
            for (column, &weight) in row.iter().enumerate() {
                self.columns[column * draws + number] = weight;
            }
        }
    }

    /// Number of drawn items and of what fills them up.
    pub fn len(&self) -> usize {
        self.appeals.len()
    }

    /// Whether none was drawn.
    pub fn is_empty(&self) -> bool {
        self.appeals.is_empty()
    }
}

/// Fills `scores` for a block of users. Panics if shapes do not fit.
#[inline(always)]
pub fn choice_scores(users: &[f32], drawn: &Drawn, dim: usize, scores: &mut [f32]) {
    let draws = drawn.len();
    let count = users.len() / (ROW_HEADER + dim);
    for row in scores[..count * draws].chunks_exact_mut(draws) {
        row.copy_from_slice(&drawn.appeals);
    }
    multiply(
        MatrixMut::rows(scores, draws),
        Matrix::rows(&users[ROW_HEADER..], ROW_HEADER + dim),
        Matrix::rows(&drawn.columns, draws),
        [count, dim, draws],
    );
}

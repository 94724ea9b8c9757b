//! Choice scores: how much each user of a block is drawn to each item that was drawn.
//!
//! ```text
//! scores[u, j] = dot(user[u], drawn[j]) + appeal[j] (+ offset[j] with softmax)
//! ```
//!
//! Shapes: users `[U, 4 + dim]`; drawn `[draws, 4 + dim]`; scores `[U, draws]`, each row [`stride`] words from the last. Draws are
//! whole blocks, see [`Drawn`].
//! A product of matrices, see [`super::product`].
//! Twin of `shaders/choice_scores.wgsl`.

use super::instruction_set::InstructionSet;
use super::product::{First, Left, Right, Sum, multiply};
use crate::common::block::LANES;
use crate::config::ChoiceLoss;
use crate::engine::choice::FILLER;
use crate::engine::model::ROW_HEADER;

/// Words from one row of a number for each drawn item to the next: an odd number of blocks, since rows that are a power of two
/// apart would share a few lines of the nearest cache.
#[inline(always)]
pub fn stride(draws: usize) -> usize {
    ((draws / LANES) | 1) * LANES
}

/// Drawn items, side by side, filled up to whole blocks ([`LANES`]) with rows of zeros, appeal [`FILLER`] and offset 0.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// `[draws, dim]`.
    pub rows: Vec<f32>,
    /// `[dim, draws]`, each row [`stride`] words from the last.
    pub columns: Vec<f32>,
    /// `[draws]`; with softmax their offsets are added.
    pub appeals: Vec<f32>,
    /// `[draws]`, see [`crate::engine::choice`].
    pub offsets: Vec<f32>,
}

impl Drawn {
    /// Copies the drawn items' rows from the compact rows of a step. Panics if a slot is not there.
    pub fn gather(&mut self, loss: ChoiceLoss, slots: &[u32], offsets: &[f32], items: &[f32], dim: usize) {
        self.rows.clear();
        self.appeals.clear();
        self.offsets.clear();
        self.offsets.extend_from_slice(offsets);
        for (&slot, &offset) in slots.iter().zip(offsets) {
            let row = &items[slot as usize * (ROW_HEADER + dim)..][..ROW_HEADER + dim];
            let raise = if loss == ChoiceLoss::Softmax { offset } else { 0.0 };
            self.appeals.push(row[0] + raise);
            self.rows.extend_from_slice(&row[ROW_HEADER..]);
        }
        let draws = slots.len().next_multiple_of(LANES);
        self.appeals.resize(draws, FILLER);
        self.offsets.resize(draws, 0.0);
        self.rows.resize(draws * dim, 0.0);
        let stride = stride(draws);
        self.columns.resize(stride * dim, 0.0);
        for (number, row) in self.rows.chunks_exact(dim).enumerate() {
            for (column, &weight) in row.iter().enumerate() {
                self.columns[column * stride + number] = weight;
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
pub fn choice_scores(instructions: InstructionSet, users: &[f32], drawn: &Drawn, dim: usize, scores: &mut [f32]) {
    let draws = drawn.len();
    let sum = Sum {
        words: scores,
        stride: stride(draws),
        first: First::Row(&drawn.appeals),
    };
    let right = Right {
        words: &drawn.columns,
        stride: stride(draws),
    };
    let left = Left::rows(&users[ROW_HEADER..], ROW_HEADER + dim);
    let shape = [users.len() / (ROW_HEADER + dim), dim, draws];
    multiply(instructions, sum, left, right, shape);
}

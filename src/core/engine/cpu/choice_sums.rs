//! Choice sums: what the drawn items add to the gradients of both sides.
//!
//! ```text
//! user_extra[u]  = sum over drawn j of gradient[u, j] * (0 | drawn[j])
//! drawn_extra[j] += sum over users u of gradient[u, j] * (1 | user[u])
//! ```
//!
//! Shapes: gradient `[U, draws]`, from `choice_gradient`, each row [`stride`] words from the last; users, user_extra
//! `[U, 4 + dim]`; drawn_extra `[draws, 4 + dim]`. Draws are whole blocks, see [`Drawn`]; the gradients of what fills up the last one are 0.
//! Two products of matrices, see [`super::product`].
//! Twin of `shaders/choice_sums.wgsl`.

use super::choice_scores::{Drawn, stride};
use super::instruction_set::InstructionSet;
use super::product::{First, Left, Right, Sum, multiply};
use crate::common::block::{self, LANES};
use crate::engine::model::ROW_HEADER;

/// Fills `extra` for a block of users. Panics if shapes do not fit.
#[inline(always)]
pub fn sum_for_users(instructions: InstructionSet, gradient: &[f32], drawn: &Drawn, dim: usize, extra: &mut [f32]) {
    let (draws, length) = (drawn.len(), ROW_HEADER + dim);
    for row in extra.chunks_exact_mut(length) {
        row[..ROW_HEADER].fill(0.0);
    }
    let sum = Sum {
        words: &mut extra[ROW_HEADER..],
        stride: length,
        first: First::Zero,
    };
    let right = Right {
        words: &drawn.rows,
        stride: dim,
    };
    let shape = [gradient.len() / stride(draws), draws, dim];
    multiply(instructions, sum, Left::rows(gradient, stride(draws)), right, shape);
}

/// Adds a block of users to `extra`. Panics if shapes do not fit.
#[inline(always)]
pub fn sum_for_drawn(instructions: InstructionSet, gradient: &[f32], users: &[f32], dim: usize, extra: &mut [f32]) {
    let length = ROW_HEADER + dim;
    let draws = extra.len() / length;
    // The 1 before a user's weights, a block of drawn items at a time: its sums stay in a register while the users pass by.
    for (number, extra) in extra.chunks_exact_mut(LANES * length).enumerate() {
        let mut sums = [0.0; LANES];
        for row in gradient.chunks_exact(stride(draws)) {
            block::one_at_a_time();
            let mut added = [0.0; LANES];
            for (lane, slope) in row[number * LANES..][..LANES].iter().enumerate() {
                added[lane] = sums[lane] + slope;
            }
            sums = added;
        }
        for (extra, sum) in extra.chunks_exact_mut(length).zip(block::stored(sums)) {
            extra[0] += sum;
        }
    }
    let sum = Sum {
        words: &mut extra[ROW_HEADER..],
        stride: length,
        first: First::Kept,
    };
    let right = Right {
        words: &users[ROW_HEADER..],
        stride: length,
    };
    let shape = [draws, gradient.len() / stride(draws), dim];
    multiply(instructions, sum, Left::columns(gradient, stride(draws)), right, shape);
}

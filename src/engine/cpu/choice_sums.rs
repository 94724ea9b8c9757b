//! Choice sums: what the drawn items add to the gradients of both sides.
//!
//! ```text
//! user_extra[u]  = sum over drawn j of gradient[u, j] * (0 | drawn[j])
//! drawn_extra[j] += sum over users u of gradient[u, j] * (1 | user[u])
//! ```
//!
//! Shapes: gradient `[U, draws]`, from `choice_gradient`; users, user_extra `[U, 4 + dim]`; drawn_extra `[draws, 4 + dim]`.
//! Draws are whole blocks, see [`Drawn`]; the gradients of what fills up the last one are 0.
//! Two products of matrices by the `gemm` crate, see [`super::choice_scores`].
//! Twin of `shaders/choice_sums.wgsl`.

use super::choice_scores::Drawn;
use super::product::{Matrix, MatrixMut, multiply};
use crate::engine::model::ROW_HEADER;

/// Fills `extra` for a block of users. Panics if shapes do not fit.
#[inline(always)]
pub fn sum_for_users(gradient: &[f32], drawn: &Drawn, dim: usize, extra: &mut [f32]) {
    let length = ROW_HEADER + dim;
    extra.fill(0.0);
    multiply(
        MatrixMut::rows(&mut extra[ROW_HEADER..], length),
        Matrix::rows(gradient, drawn.len()),
        Matrix::rows(&drawn.rows, dim),
        [gradient.len() / drawn.len(), drawn.len(), dim],
    );
}

/// Adds a block of users to `extra`; `sums` is room for a number a drawn item. Panics if shapes do not fit.
#[inline(always)]
pub fn sum_for_drawn(gradient: &[f32], users: &[f32], dim: usize, sums: &mut [f32], extra: &mut [f32]) {
    let (draws, length) = (sums.len(), ROW_HEADER + dim);
    // Side by side first: one after the other in `extra` they would fetch all of it for each user.
    sums.fill(0.0);
    for row in gradient.chunks_exact(draws) {
        sums.iter_mut().zip(row).for_each(|(sum, slope)| *sum += slope);
    }
    for (extra, sum) in extra.chunks_exact_mut(length).zip(&*sums) {
        extra[0] += sum;
    }
    multiply(
        MatrixMut::rows(&mut extra[ROW_HEADER..], length),
        Matrix::rows(gradient, draws).transposed(),
        Matrix::rows(&users[ROW_HEADER..], length),
        [draws, gradient.len() / draws, dim],
    );
}

//! Choice sums: what the drawn items add to the gradients of both sides.
//!
//! ```text
//! user_extra[u]  = sum over drawn j of gradient[u, j] * (0 | drawn[j])
//! drawn_extra[j] += sum over users u of gradient[u, j] * (1 | user[u])
//! ```
//!
//! Shapes: gradient `[U, draws]`, from `choice_gradient`; users, user_extra `[U, 4 + dim]`; drawn_extra `[draws, 4 + dim]`.
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

/// Adds a block of users to `extra`. Panics if shapes do not fit.
#[inline(always)]
pub fn sum_for_drawn(gradient: &[f32], users: &[f32], draws: usize, dim: usize, extra: &mut [f32]) {
    let length = ROW_HEADER + dim;
    for row in gradient.chunks_exact(draws) {
        for (extra, slope) in extra.chunks_exact_mut(length).zip(row) {
            extra[0] += slope;
        }
    }
    multiply(
        MatrixMut::rows(&mut extra[ROW_HEADER..], length),
        Matrix::rows(gradient, draws).transposed(),
        Matrix::rows(&users[ROW_HEADER..], length),
        [draws, gradient.len() / draws, dim],
    );
}

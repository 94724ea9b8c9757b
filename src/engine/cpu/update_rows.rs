//! Update rows: gradient, catch-up and Adam for every touched row of one table.
//!
//! ```text
//! sum          = sum over the row's samples s, in order, of gradient[s] * (1 | other_weight[other_slot[s]])
//! weight, m, v = caught up from last_step to the end of step t - 1        (see crate::optimizer)
//! g            = sum + 2 l2 n / B * weight                                n: the row's samples in the batch
//! weight, m, v = Adam(g) at step t;  last_step = t                        the bias likewise
//! ```
//!
//! Shapes: rows, first_piece `[R]`; starts `[R + 1]`; samples, gradient `[B]`; other `[R', 4 + dim]`;
//! piece sums `[P, 4 + dim]`; records `[page rows, 4 + 3 dim]`.
//! Rows with pieces add their piece sums in order instead of walking their samples.
//! Twin of `shaders/update_rows.wgsl`.

use super::prefetch::{ROWS_AHEAD, prefetch};
use super::sum_pieces::add_samples;
use crate::model::{LAST_STEP, ROW_HEADER};
use crate::optimizer::{Schedule, adam_step};
use crate::plan::{NO_PIECE, PIECE, SidePlan};

/// What the gradient of a step consists of, the same for all rows of a side.
#[derive(Clone, Copy, Debug)]
pub struct Gradients<'a> {
    /// `[B]`, from `pair_forward`.
    pub gradient: &'a [f32],
    /// Slot of each sample on the other side, `[B]`.
    pub other_slots: &'a [u32],
    /// Compact rows of the other side.
    pub other: &'a [f32],
    /// From `sum_pieces`.
    pub piece_sums: &'a [f32],
    pub l2: f32,
}

/// Updates the rows of slots `slots`, whose records stand in `records` from table row `first_row` on.
///
/// `sum` is room for one factor row. Panics if a row is not in `records`.
pub fn update_rows(
    plan: &SidePlan,
    slots: std::ops::Range<usize>,
    gradients: &Gradients,
    schedule: &Schedule,
    step: u32,
    records: &mut [f32],
    first_row: usize,
    sum: &mut [f32],
) {
    let factor_len = sum.len();
    let dim = factor_len - ROW_HEADER;
    let record_len = ROW_HEADER + 3 * dim;
    let step_size = schedule.step_size(step);
    let l2_share = 2.0 * gradients.l2 / plan.slots.len() as f32;
    for slot in slots.clone() {
        if slot + ROWS_AHEAD < slots.end {
            let ahead = plan.rows[slot + ROWS_AHEAD] as usize - first_row;
            prefetch(&records[ahead * record_len..][..record_len]);
        }
        let row = plan.rows[slot] as usize - first_row;
        let range = plan.starts[slot] as usize..plan.starts[slot + 1] as usize;
        let samples = &plan.samples[range];
        let first_piece = plan.first_piece[slot];
        sum.fill(0.0);
        if first_piece == NO_PIECE {
            add_samples(samples, gradients.gradient, gradients.other_slots, gradients.other, sum);
        } else {
            let pieces = samples.len().div_ceil(PIECE);
            let piece_sums = &gradients.piece_sums[first_piece as usize * factor_len..][..pieces * factor_len];
            for piece in piece_sums.chunks_exact(factor_len) {
                for (sum, piece) in sum.iter_mut().zip(piece) {
                    *sum += piece;
                }
            }
        }

        let (header, rest) = records[row * record_len..][..record_len].split_at_mut(ROW_HEADER);
        let (weights, moments) = rest.split_at_mut(dim);
        let (ms, vs) = moments.split_at_mut(dim);
        let catch_up = schedule.catch_up(header[LAST_STEP] as u32, step - 1);
        let l2 = l2_share * samples.len() as f32;
        let update = |weight: &mut f32, m: &mut f32, v: &mut f32, gradient: f32| {
            let settled = catch_up.weight(*weight, *m, *v);
            *m *= catch_up.m_decay;
            *v *= catch_up.v_decay;
            *weight = adam_step(settled, m, v, gradient + l2 * settled, step_size);
        };
        let [bias, bias_m, bias_v, last_step] = header else {
            unreachable!("a record header is {ROW_HEADER} words")
        };
        update(bias, bias_m, bias_v, sum[0]);
        *last_step = step as f32;
        let states = weights.iter_mut().zip(ms).zip(vs);
        for (((weight, m), v), &gradient) in states.zip(&sum[ROW_HEADER..]) {
            update(weight, m, v, gradient);
        }
    }
}

//! Update rows: gradient, catch-up and the optimiser's step for every touched row of one table.
//!
//! ```text
//! sum     = sum over the row's samples s, in order, of gradient[s] * (1 | other_weight[other_slot[s]])
//! settled = the row at the end of step t - 1, from `gather_rows`        (the state catches up here, see crate::engine::optimizer)
//! sum    += extra[e]                                                    e: the row's extra gradient, if the plan names one
//! g       = clip(sum - drift + (2 l2 n / B + pull) settled)             n: the row's samples in the batch; pull and, of the
//!                                                                       bias, drift: of its prior
//! record  = the optimiser's step t with g;  last_step = t               the bias likewise
//! ```
//!
//! Where biases are not learned their sum counts as 0.
//!
//! Shapes: extra `[extras, 4 + dim]`; rows `[R]`; starts `[R + 1]`; samples, gradient `[B]`; other `[R', 4 + dim]`; settled `[R, 4 + dim]`;
//! records `[page rows, record]`. Long rows are summed piece by piece, as the shaders do in two levels.
//! Twin of `shaders/update_rows.wgsl`.

use super::prefetch::{SAMPLES_AHEAD, prefetch};
use super::sum_pieces::{Gradients, add_samples, sum_piece};
use crate::config::MAX_DIM;
use crate::engine::model::{ROW_HEADER, record_len};
use crate::engine::optimizer::{RowStep, Schedule, step_row};
use crate::engine::plan::{NO_PIECE, PIECE, SidePlan};
use std::ops::Range;

/// Updates the rows of slots `slots`, whose records stand in `records` from table row `first_row` on; `settled` holds the
/// factor rows of these slots.
///
/// Each row asks for the one that comes `rows_ahead` later, 0 = for none. Panics if a row is not in `records`.
#[inline(always)]
pub fn update_rows(
    plan: &SidePlan,
    slots: Range<usize>,
    gradients: &Gradients,
    schedule: &Schedule,
    step: u32,
    settled: &[f32],
    records: &mut [f32],
    first_row: usize,
    rows_ahead: usize,
) {
    let factor_len = settled.len() / slots.len();
    let dim = factor_len - ROW_HEADER;
    let record_len = record_len(schedule.optimizer(), dim);
    let l2_share = 2.0 * gradients.l2 / plan.slots.len() as f32;
    let (mut sum, mut piece_sum) = ([0.0; ROW_HEADER + MAX_DIM], [0.0; ROW_HEADER + MAX_DIM]);
    let (sum, piece_sum) = (&mut sum[..factor_len], &mut piece_sum[..factor_len]);
    for (slot, settled) in slots.zip(settled.chunks_exact(factor_len)) {
        if rows_ahead > 0
            && let Some(&ahead) = plan.rows.get(slot + rows_ahead)
        {
            prefetch(records, (ahead as usize - first_row) * record_len, record_len);
        }
        let samples = plan.starts[slot] as usize..plan.starts[slot + 1] as usize;
        let ahead = |end: usize| (end + SAMPLES_AHEAD).min(plan.samples.len());
        for &sample in &plan.samples[ahead(samples.start)..ahead(samples.end)] {
            let slot = gradients.other_slots[sample as usize] as usize;
            prefetch(gradients.other, slot * factor_len, factor_len);
        }
        let samples = &plan.samples[samples];
        sum.fill(0.0);
        if plan.first_piece[slot] == NO_PIECE {
            add_samples(samples, gradients, sum);
        } else {
            for piece in samples.chunks(PIECE) {
                sum_piece(piece, gradients, piece_sum);
                for (sum, piece) in sum.iter_mut().zip(&*piece_sum) {
                    *sum += piece;
                }
            }
        }
        if let Some(extra) = plan.extra(slot) {
            let extra = &gradients.extra[(extra - gradients.first_extra) * factor_len..][..factor_len];
            for (sum, extra) in sum.iter_mut().zip(extra) {
                *sum += extra;
            }
        }
        if !gradients.learns_bias {
            sum[0] = 0.0;
        }
        let l2 = l2_share * samples.len() as f32;
        let pull = plan.pull(slot);
        sum[0] -= pull.drift;
        let row = RowStep {
            step,
            step_size: schedule.step_size(step),
            bias_decay: l2 + pull.bias,
            decay: l2 + pull.embedding,
            clip: schedule.clip(),
        };
        let record = &mut records[(plan.rows[slot] as usize - first_row) * record_len..][..record_len];
        step_row(record, settled, sum, schedule, &row);
    }
}

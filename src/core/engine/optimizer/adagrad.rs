//! Row-wise Adagrad: one sum of squares for a row's embedding and one for its bias.
//!
//! ```text
//! row_sum  += mean over columns of gradient^2        weight -= learning_rate[t] gradient / (sqrt(row_sum) + epsilon)
//! bias_sum += bias_gradient^2                        bias likewise
//! ```
//!
//! A row outside the batch has gradient 0 and stands still, so the sparse step is the dense one. Two words of state a row,
//! where Adam has `2 + 2 dim`. Sources: Duchi, Hazan and Singer, JMLR 12 (2011); one sum a row as in FBGEMM's
//! `EXACT_ROWWISE_ADAGRAD`. The GPU's copy is `shaders/common/adagrad.wgsl`.

use super::RowStep;
use super::adam::EPSILON;
use crate::engine::model::{LAST_STEP, ROW_HEADER};

/// Where the sums stand in a record's header.
pub const BIAS_SUM: usize = 1;
pub const ROW_SUM: usize = 2;

/// One Adagrad step of one number with a sum of its own: the new value; `sum` in place.
#[inline(always)]
pub fn adagrad_step(value: f32, sum: &mut f32, gradient: f32, step_size: f32) -> f32 {
    *sum += gradient * gradient;
    value - step_size * (gradient / (sum.sqrt() + EPSILON))
}

/// One step of a record, `gradient` a factor row of sums. Panics if the lengths do not fit.
#[inline(always)]
pub fn step_row(record: &mut [f32], gradient: &[f32], row: &RowStep) {
    let (header, weights) = record.split_at_mut(ROW_HEADER);
    let bias = row.bias_gradient(gradient[0], header[0]);
    header[0] = adagrad_step(header[0], &mut header[BIAS_SUM], bias, row.step_size);
    header[LAST_STEP] = row.step as f32;

    let gradient = gradient[ROW_HEADER..].as_chunks::<4>().0;
    let blocks = weights.as_chunks_mut::<4>().0;
    let mut squares = [0.0f32; 4];
    for (weights, gradient) in blocks.iter().zip(gradient) {
        for lane in 0..4 {
            let gradient = row.gradient(gradient[lane], weights[lane]);
            squares[lane] += gradient * gradient;
        }
    }
    let columns = (4 * blocks.len()) as f32;
    header[ROW_SUM] += ((squares[0] + squares[1]) + (squares[2] + squares[3])) / columns;
    let share = row.step_size / (header[ROW_SUM].sqrt() + EPSILON);
    for (weights, gradient) in blocks.iter_mut().zip(gradient) {
        for lane in 0..4 {
            weights[lane] -= share * row.gradient(gradient[lane], weights[lane]);
        }
    }
}

//! Stochastic gradient descent: `weight -= learning_rate[t] gradient`.
//!
//! A row outside the batch has gradient 0 and stands still, so the sparse step is the dense one. A record is the weights and
//! no more. Source: Robbins and Monro 1951; the step as in `torch.optim.SGD` without momentum. The gradient is a mean over
//! the batch, so learning rates are larger than Adam's by orders of magnitude. The GPU's copy is `shaders/common/sgd.wgsl`.

use super::RowStep;
use crate::engine::model::{LAST_STEP, ROW_HEADER};

/// One step of a record, `gradient` a factor row of sums. Panics if the lengths do not fit.
#[inline(always)]
pub fn step_row(record: &mut [f32], gradient: &[f32], row: &RowStep) {
    let (header, weights) = record.split_at_mut(ROW_HEADER);
    header[0] -= row.step_size * row.bias_gradient(gradient[0], header[0]);
    header[LAST_STEP] = row.step as f32;
    let weights = weights.as_chunks_mut::<4>().0;
    for (weights, gradient) in weights.iter_mut().zip(gradient[ROW_HEADER..].as_chunks::<4>().0) {
        for lane in 0..4 {
            weights[lane] -= row.step_size * row.gradient(gradient[lane], weights[lane]);
        }
    }
}

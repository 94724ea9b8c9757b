//! Update head: the batch's sums in fixed order, then the optimiser's step of scale and bias.
//!
//! ```text
//! (loss, d_scale, d_bias, _) = sum over groups, in order, of partial
//! scale, bias                = step t with clip(d_scale), clip(d_bias);       statistics[t] = loss
//! ```
//!
//! A scale that the schedule holds stays as it is, with its state.
//! Shapes: partial `[groups, 4]`; head `[8]` as in [`HeadState`]. Runs last: the rows are updated with the old scale.
//! Twin of `shaders/update_head.wgsl`.

use crate::engine::optimizer::{Schedule, step_number};
use crate::engine::{HeadNumber, HeadState};

/// Steps the head and returns the loss of the batch.
pub fn update_head(partials: &[[f32; 4]], schedule: &Schedule, step: u32, head: &mut HeadState) -> f32 {
    let mut sums = [0.0f32; 4];
    for partial in partials {
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += partial;
        }
    }
    let held = usize::from(schedule.holds_scale());
    for (state, sum) in [(&mut head.scale, sums[1]), (&mut head.bias, sums[2])]
        .into_iter()
        .skip(held)
    {
        let HeadNumber { value, m, v, .. } = state;
        let gradient = sum.clamp(-schedule.clip(), schedule.clip());
        *value = step_number(*value, m, v, gradient, schedule, step);
    }
    sums[0]
}

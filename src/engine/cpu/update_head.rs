//! Update head: the batch's sums in fixed order, then Adam on scale and bias.
//!
//! ```text
//! (loss, d_scale, d_bias, _) = sum over groups, in order, of partial
//! scale, bias                = Adam(d_scale), Adam(d_bias) at step t;       statistics[t] = loss
//! ```
//!
//! Shapes: partial `[groups, 4]`; head `[8]` as in [`HeadState`]. Runs last: the rows are updated with the old scale.
//! Twin of `shaders/update_head.wgsl`.

use crate::engine::HeadState;
use crate::optimizer::adam_step;

/// Steps the head and returns the loss of the batch.
pub fn update_head(partials: &[[f32; 4]], step_size: f32, head: &mut HeadState) -> f32 {
    let mut sums = [0.0f32; 4];
    for partial in partials {
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += partial;
        }
    }
    let (scale, bias) = head.split_at_mut(4);
    for (state, gradient) in [(scale, sums[1]), (bias, sums[2])] {
        let [value, m, v, _] = state else {
            unreachable!("each half of a head state is 4 words")
        };
        *value = adam_step(*value, m, v, gradient, step_size);
    }
    sums[0]
}

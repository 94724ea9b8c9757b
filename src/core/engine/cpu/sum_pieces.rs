//! Sum pieces: the gradient sums of the pieces of long rows.
//!
//! ```text
//! sums[p] = sum over samples s of piece p, in order, of gradient[s] * (1, 0, 0, 0 | other_weight[other_slot[s]])
//! ```
//!
//! Shapes: gradient `[B]`; other `[R', 4 + dim]`; a sum `[4 + dim]`.
//! Why: a bestseller can fill a whole batch; on a device one team of lanes would walk it alone while all others wait.
//! Twin of `shaders/sum_pieces.wgsl`.

use crate::common::block::{self, LANES};
use crate::engine::model::ROW_HEADER;

/// What the gradient of a step consists of, the same for all rows of a side.
#[derive(Clone, Copy, Debug)]
pub struct Gradients<'a> {
    /// From `pair_forward`, from sample `first_sample` on.
    pub gradient: &'a [f32],
    pub first_sample: usize,
    /// Slot of each sample on the other side, `[B]`.
    pub other_slots: &'a [u32],
    /// Compact rows of the other side.
    pub other: &'a [f32],
    pub l2: f32,
    /// Gradients that the plan's `extras` name, from number `first_extra` on.
    pub extra: &'a [f32],
    pub first_extra: usize,
    pub learns_bias: bool,
}

/// Adds `gradient[s] * other_row` for the given samples to `sum`, in order; `sum[0]` collects the bias gradient.
///
/// Panics if a sample or slot is out of range.
#[inline(always)]
pub fn add_samples(samples: &[u32], gradients: &Gradients, sum: &mut [f32]) {
    let length = sum.len();
    let (header, weights) = sum.split_at_mut(ROW_HEADER);
    for &sample in samples {
        let slope = gradients.gradient[sample as usize - gradients.first_sample];
        let slot = gradients.other_slots[sample as usize] as usize;
        let row = &gradients.other[slot * length + ROW_HEADER..(slot + 1) * length];
        header[0] += slope;
        let done = weights.len() - weights.len() % LANES;
        add_lanes::<LANES>(slope, weights.as_chunks_mut().0, row.as_chunks().0);
        add_lanes::<4>(slope, weights[done..].as_chunks_mut().0, row[done..].as_chunks().0);
    }
}

#[inline(always)]
fn add_lanes<const N: usize>(slope: f32, sums: &mut [[f32; N]], rows: &[[f32; N]]) {
    for (sum, row) in sums.iter_mut().zip(rows) {
        block::one_at_a_time();
        let mut added = [0.0; N];
        for lane in 0..N {
            added[lane] = sum[lane] + slope * row[lane];
        }
        *sum = added;
    }
}

/// The sum of one piece. Panics if a sample or slot is out of range.
#[inline(always)]
pub fn sum_piece(samples: &[u32], gradients: &Gradients, sum: &mut [f32]) {
    sum.fill(0.0);
    add_samples(samples, gradients, sum);
}

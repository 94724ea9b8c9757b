//! Sum pieces: the gradient sums of the pieces of long rows, first level of two.
//!
//! ```text
//! sums[p] = sum over samples s of piece p, in order, of gradient[s] * (1, 0, 0, 0 | other_weight[other_slot[s]])
//! ```
//!
//! Shapes: pieces `[P, 2]`; gradient `[B]`; other `[R', 4 + dim]`; sums `[P, 4 + dim]`.
//! Why: a bestseller can fill a whole batch; one team of lanes would walk it alone while all others wait.
//! Twin of `shaders/sum_pieces.wgsl`.

use crate::model::ROW_HEADER;

/// Adds `gradient[s] * other_row` for the given samples to `sum`, in order; `sum[0]` collects the bias gradient.
#[inline]
pub fn add_samples(samples: &[u32], gradient: &[f32], other_slots: &[u32], other: &[f32], sum: &mut [f32]) {
    let length = sum.len();
    for &sample in samples {
        let slope = gradient[sample as usize];
        let row = &other[other_slots[sample as usize] as usize * length..][..length];
        sum[0] += slope;
        for (sum, weight) in sum[ROW_HEADER..].iter_mut().zip(&row[ROW_HEADER..]) {
            *sum += slope * weight;
        }
    }
}

/// Fills `sums` for all pieces. Panics if a piece, sample or slot is out of range.
pub fn sum_pieces(
    pieces: &[u32],
    samples: &[u32],
    gradient: &[f32],
    other_slots: &[u32],
    other: &[f32],
    dim: usize,
    sums: &mut [f32],
) {
    let pieces = pieces.as_chunks::<2>().0;
    for (&[begin, end], sum) in pieces.iter().zip(sums.chunks_exact_mut(ROW_HEADER + dim)) {
        sum.fill(0.0);
        add_samples(
            &samples[begin as usize..end as usize],
            gradient,
            other_slots,
            other,
            sum,
        );
    }
}

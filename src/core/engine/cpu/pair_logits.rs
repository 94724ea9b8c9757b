//! Pair logits: the logit of each sample from the compact rows of both sides.
//!
//! ```text
//! logit[b] = scale * (dot(user[b], item[b]) + user_bias[b] + item_bias[b]) + bias
//! ```
//!
//! Shapes: slots `[B]`; compact `[R, 4 + dim]`; logits `[B]`.
//! Twin of `shaders/pair_logits.wgsl`.

use crate::common::block::{self, LANES};
use crate::engine::model::{Head, ROW_HEADER};

/// The dot product of two factor rows plus both biases.
#[inline(always)]
pub fn affinity(user: &[f32], item: &[f32]) -> f32 {
    dot(&user[ROW_HEADER..], &item[ROW_HEADER..]) + user[0] + item[0]
}

/// Dot product of equally long slices in sixteen running sums, so that it vectorises and always adds in one order.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        add_products(&mut sums, a, b);
    }
    if !a_rest.is_empty() {
        // A sum that began with 0.0 is not changed by another zero.
        add_products(&mut sums, &block::padded(a_rest, 0.0), &block::padded(b_rest, 0.0));
    }
    block::sum(&sums)
}

#[inline(always)]
fn add_products(sums: &mut [f32; LANES], a: &[f32; LANES], b: &[f32; LANES]) {
    block::one_at_a_time();
    let mut added = [0.0; LANES];
    for lane in 0..LANES {
        added[lane] = sums[lane] + a[lane] * b[lane];
    }
    *sums = added;
}

/// Fills `logits` for the samples whose slots are given. Panics if a slot is not in its compact buffer.
pub fn pair_logits(
    user_slots: &[u32],
    item_slots: &[u32],
    users: &[f32],
    items: &[f32],
    head: Head,
    dim: usize,
    logits: &mut [f32],
) {
    let length = ROW_HEADER + dim;
    let row = |slot: u32| slot as usize * length..(slot as usize + 1) * length;
    for ((logit, &user), &item) in logits.iter_mut().zip(user_slots).zip(item_slots) {
        *logit = head.logit(affinity(&users[row(user)], &items[row(item)]));
    }
}

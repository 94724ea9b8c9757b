//! Pair forward: loss and gradient of each sample, and the batch's sums for the head.
//!
//! ```text
//! a = affinity(user[b], item[b])        z = scale a + bias        d = share (sigmoid(z) - target[b]) weight[b] / B
//! gradient[b]    = scale d                                        the factor of the other side's row in its gradient
//! partial[group] = sum over the group of (loss weight / B, d a, d, 0)
//!                                                                 share: of the loss that ratings have
//! ```
//!
//! Shapes: slots, targets, weights, gradient `[B]`; compact `[R, 4 + dim]`; partial `[groups, 4]`.
//! Twin of `shaders/pair_forward.wgsl`, whose groups may be of another size: only their sums are compared.

use super::pair_logits::affinity;
use super::prefetch::{SAMPLES_AHEAD, prefetch};
use crate::engine::model::{Head, ROW_HEADER};
use crate::engine::objective::loss_and_sigmoid;

/// The samples of a step and what they are measured against.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    pub user_slots: &'a [u32],
    pub item_slots: &'a [u32],
    pub targets: &'a [f32],
    pub weights: &'a [f32],
    pub share: f32,
}

/// One group: fills `gradient` for samples `first..first + gradient.len()` and returns their sums; `users` holds the compact
/// rows from slot `first_user` on.
///
/// Panics if a slot is not in its compact buffer.
#[inline(always)]
pub fn pair_forward(
    samples: &Samples,
    first: usize,
    users: &[f32],
    first_user: usize,
    items: &[f32],
    head: Head,
    dim: usize,
    gradient: &mut [f32],
) -> [f32; 4] {
    let length = ROW_HEADER + dim;
    let each = 1.0 / samples.targets.len() as f32;
    let mut sums = [0.0f32; 4];
    for (offset, gradient) in gradient.iter_mut().enumerate() {
        let number = first + offset;
        if let Some(&ahead) = samples.item_slots.get(number + SAMPLES_AHEAD) {
            prefetch(items, ahead as usize * length, length);
        }
        let user = &users[(samples.user_slots[number] as usize - first_user) * length..][..length];
        let item = &items[samples.item_slots[number] as usize * length..][..length];
        let weight = samples.weights[number] * each;
        let affinity = affinity(user, item);
        let (loss, score) = loss_and_sigmoid(head.logit(affinity), samples.targets[number]);
        let slope = (score - samples.targets[number]) * weight * samples.share;
        *gradient = head.scale * slope;
        sums[0] += loss * weight;
        sums[1] += slope * affinity;
        sums[2] += slope;
    }
    sums
}

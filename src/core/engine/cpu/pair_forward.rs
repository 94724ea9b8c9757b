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

use super::exponential::exponential;
use super::logarithm::logarithm;
use super::pair_logits::affinity;
use super::prefetch::{SAMPLES_AHEAD, prefetch};
use crate::common::block::{self, LANES};
use crate::engine::model::{Head, ROW_HEADER};

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
    let mut sums = [[0.0; LANES]; 3];
    for (first, gradient) in (first..).step_by(LANES).zip(gradient.chunks_mut(LANES)) {
        let numbers = first..first + gradient.len();
        let mut affinities = [0.0; LANES];
        for (affinity_of, number) in affinities.iter_mut().zip(numbers.clone()) {
            if let Some(&ahead) = samples.item_slots.get(number + SAMPLES_AHEAD) {
                prefetch(items, ahead as usize * length, length);
            }
            let user = &users[(samples.user_slots[number] as usize - first_user) * length..][..length];
            let item = &items[samples.item_slots[number] as usize * length..][..length];
            *affinity_of = affinity(user, item);
        }
        let affinities = block::stored(affinities);
        // What fills up the last block weighs nothing.
        let [targets, weights] = [samples.targets, samples.weights].map(|of| block::padded(&of[numbers.clone()], 0.0));
        let [mut slopes, mut losses, mut of_scale, mut of_bias] = [[0.0; LANES]; 4];
        for lane in 0..LANES {
            let (logit, target) = (head.logit(affinities[lane]), targets[lane]);
            let small = exponential::<false>(-logit.abs());
            let score = if logit >= 0.0 { 1.0 } else { small } / (1.0 + small);
            // Of a training that has come apart the gradients are to tell it, too.
            let score = if logit.is_nan() { logit } else { score };
            let loss = block::larger(0.0, logit) - logit * target + logarithm(1.0 + small);
            let weight = weights[lane] * each;
            let slope = (score - target) * weight * samples.share;
            slopes[lane] = head.scale * slope;
            losses[lane] = sums[0][lane] + loss * weight;
            of_scale[lane] = sums[1][lane] + slope * affinities[lane];
            of_bias[lane] = sums[2][lane] + slope;
        }
        sums = [losses, of_scale, of_bias];
        gradient.copy_from_slice(&slopes[..gradient.len()]);
    }
    let [loss, of_scale, of_bias] = sums.map(|sums| block::sum(&sums));
    [loss, of_scale, of_bias, 0.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums and the gradients of samples with these logits, each of weight 1, target 1/4.
    fn of(logits: &[f32]) -> ([f32; 4], Vec<f32>) {
        let count = logits.len();
        let users: Vec<f32> = logits.iter().flat_map(|&logit| [logit, 0.0, 0.0, 0.0, 0.0]).collect();
        let slots: Vec<u32> = (0..count as u32).collect();
        let samples = Samples {
            user_slots: &slots,
            item_slots: &vec![0; count],
            targets: &vec![0.25; count],
            weights: &vec![1.0; count],
            share: 1.0,
        };
        let mut gradient = vec![f32::NAN; count];
        let sums = pair_forward(&samples, 0, &users, 0, &[0.0; 5], Head::PLAIN, 1, &mut gradient);
        (sums, gradient)
    }

    #[test]
    fn the_loss_and_its_slope_are_those_of_the_objective() {
        for count in [1, 15, 16, 17, 40] {
            let logits: Vec<f32> = (0..count).map(|at| (at * 37 % 41) as f32 * 2.0 - 40.0).collect();
            let (sums, gradient) = of(&logits);
            let (mut loss, mut by_scale, mut by_bias) = (0.0, 0.0, 0.0);
            for (&logit, &found) in logits.iter().zip(&gradient) {
                let z = f64::from(logit);
                let slope = (1.0 / (1.0 + (-z).exp()) - 0.25) / count as f64;
                assert!((f64::from(found) - slope).abs() < 1e-7, "{z}: {found} for {slope}");
                loss += (z.max(0.0) - 0.25 * z + (-z.abs()).exp().ln_1p()) / count as f64;
                (by_scale, by_bias) = (by_scale + z * slope, by_bias + slope);
            }
            for (found, wanted) in sums.into_iter().zip([loss, by_scale, by_bias, 0.0]) {
                assert!(
                    (f64::from(found) - wanted).abs() < 1e-5,
                    "{count} samples: {found} for {wanted}"
                );
            }
        }
    }

    #[test]
    fn extreme_logits_stay_finite_and_what_is_no_number_stays_none() {
        let (sums, gradient) = of(&[1e30, -1e30, 0.0]);
        assert!(sums.iter().all(|sum| sum.is_finite()), "{sums:?}");
        assert_eq!(gradient, [0.25, -0.25 / 3.0, 0.25 / 3.0]);
        let (sums, gradient) = of(&[0.0, f32::NAN]);
        assert!(
            sums[0].is_nan() && gradient[1].is_nan() && gradient[0] == 0.125,
            "{sums:?} {gradient:?}"
        );
    }
}

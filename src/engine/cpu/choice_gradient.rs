//! Choice gradient: from the scores of a user to the loss and the gradients of their choices.
//!
//! ```text
//! appeal[b]      = dot(user[b], item[b]) + item_appeal[b]                       b: the user's samples
//! loss, slopes   = of the choice loss, see crate::engine::choice
//! gradient[b]    = share choice[b] / B * d loss[b] / d appeal[b]
//! scores[u, j]  := share / B * sum over b of choice[b] * d loss[b] / d scores[u, j]
//! partial        = (sum over b of choice[b] / B * loss[b], 0, 0, 0)
//! ```
//!
//! Shapes: scores `[U, draws]`, from `choice_scores`; gradient `[samples of U]`; offsets `[draws]`; choices `[B]`.
//! Twin of `shaders/choice_gradient.wgsl`.

use super::exponential::exponential;
use super::pair_logits::dot;
use crate::config::ChoiceLoss;
use crate::engine::model::ROW_HEADER;
use crate::engine::plan::SidePlan;
use std::ops::Range;

/// What the choices of a step have in common.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    pub loss: ChoiceLoss,
    pub share: f32,
    pub users: SidePlan<'a>,
    pub item_slots: &'a [u32],
    /// Of each sample, `[B]`.
    pub weights: &'a [f32],
    /// Of each drawn item.
    pub offsets: &'a [f32],
}

/// One block of users, whose compact rows are `users`; `gradient` begins with their first sample. Returns the sum of losses.
///
/// Panics if a slot is not there.
#[inline(always)]
pub fn choice_gradient(
    choices: &Choices,
    block: Range<usize>,
    users: &[f32],
    items: &[f32],
    dim: usize,
    scores: &mut [f32],
    gradient: &mut [f32],
) -> f32 {
    let length = ROW_HEADER + dim;
    let draws = choices.offsets.len();
    let scale = choices.share / choices.weights.len() as f32;
    let starts = choices.users.starts;
    let first = starts[block.start] as usize;
    let mut total = 0.0;
    let rows = users.chunks_exact(length).zip(scores.chunks_exact_mut(draws));
    for (slot, (user, scores)) in block.zip(rows) {
        let samples = starts[slot] as usize..starts[slot + 1] as usize;
        let gradient = &mut gradient[samples.start - first..samples.end - first];
        for (appeal, number) in gradient.iter_mut().zip(samples.clone()) {
            let item = &items[choices.item_slots[number] as usize * length..][..length];
            *appeal = dot(&user[ROW_HEADER..], &item[ROW_HEADER..]) + item[0];
        }
        let weights = &choices.weights[samples];
        total += match choices.loss {
            ChoiceLoss::Softmax => softmax(scores, choices.offsets, gradient, weights, scale),
            ChoiceLoss::Bpr => bpr(scores, choices.offsets, gradient, weights, scale),
            ChoiceLoss::Bce => bce(scores, choices.offsets, gradient, weights, scale),
        };
    }
    total / choices.weights.len() as f32
}

/// Running sums of a row, so that it vectorises and always adds in one order.
const LANES: usize = 16;

/// The largest score with its offset.
#[inline(always)]
fn largest(scores: &[f32], offsets: &[f32]) -> f32 {
    let mut lanes = [f32::MIN; LANES];
    let (blocks, rest) = scores.as_chunks::<LANES>();
    let (offset_blocks, offset_rest) = offsets.as_chunks::<LANES>();
    for (scores, offsets) in blocks.iter().zip(offset_blocks) {
        for lane in 0..LANES {
            lanes[lane] = lanes[lane].max(scores[lane] + offsets[lane]);
        }
    }
    for (lane, (score, offset)) in rest.iter().zip(offset_rest).enumerate() {
        lanes[lane] = lanes[lane].max(score + offset);
    }
    lanes.into_iter().fold(f32::MIN, f32::max)
}

/// Replaces each score by `of(score, offset)` and returns their sum.
#[inline(always)]
fn replace(scores: &mut [f32], offsets: &[f32], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (blocks, rest) = scores.as_chunks_mut::<LANES>();
    let (offset_blocks, offset_rest) = offsets.as_chunks::<LANES>();
    for (scores, offsets) in blocks.iter_mut().zip(offset_blocks) {
        for lane in 0..LANES {
            scores[lane] = of(scores[lane], offsets[lane]);
            sums[lane] += scores[lane];
        }
    }
    for (lane, (score, offset)) in rest.iter_mut().zip(offset_rest).enumerate() {
        *score = of(*score, *offset);
        sums[lane] += *score;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// The samples of a user share all but the term of what they chose, so one pass over the drawn items serves all of them.
#[inline(always)]
fn softmax(scores: &mut [f32], offsets: &[f32], appeals: &mut [f32], weights: &[f32], scale: f32) -> f32 {
    let most = appeals
        .iter()
        .fold(largest(scores, offsets), |most, &appeal| most.max(appeal));
    let sum = replace(scores, offsets, |score, offset| exponential(score + offset - most));
    let (mut loss, mut shared) = (0.0, 0.0);
    for (appeal, &weight) in appeals.iter_mut().zip(weights) {
        let own = exponential(*appeal - most);
        let all = sum + own;
        loss += weight * (all.ln() + (most - *appeal));
        shared += weight / all;
        *appeal = scale * weight * (own / all - 1.0);
    }
    let factor = scale * shared;
    scores.iter_mut().for_each(|score| *score *= factor);
    loss
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exponential(-x))
}

/// `ln(1 + exp(x))`.
#[inline(always)]
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (1.0 + exponential(-x.abs())).ln()
}

#[inline(always)]
fn bpr(scores: &mut [f32], offsets: &[f32], appeals: &mut [f32], weights: &[f32], scale: f32) -> f32 {
    let mut loss = 0.0;
    let mut slopes = vec![0.0; appeals.len()];
    for (score, &offset) in scores.iter_mut().zip(offsets) {
        let mut sum = 0.0;
        for ((appeal, slope), &weight) in appeals.iter().zip(&mut slopes).zip(weights) {
            let behind = *score - appeal;
            let share = weight * offset;
            let pull = share * sigmoid(behind);
            loss += share * softplus(behind);
            *slope -= scale * pull;
            sum += pull;
        }
        *score = scale * sum;
    }
    appeals.copy_from_slice(&slopes);
    loss
}

#[inline(always)]
fn bce(scores: &mut [f32], offsets: &[f32], appeals: &mut [f32], weights: &[f32], scale: f32) -> f32 {
    let (mut loss, mut weight_sum) = (0.0, 0.0);
    for (appeal, &weight) in appeals.iter_mut().zip(weights) {
        loss += weight * softplus(-*appeal);
        *appeal = -scale * weight * sigmoid(-*appeal);
        weight_sum += weight;
    }
    let against: f32 = scores
        .iter()
        .zip(offsets)
        .map(|(&score, &offset)| offset * softplus(score))
        .sum();
    for (score, &offset) in scores.iter_mut().zip(offsets) {
        *score = scale * weight_sum * offset * sigmoid(*score);
    }
    loss + weight_sum * against
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss of a user's samples as the module of choices defines it, in f64.
    fn exact(loss: ChoiceLoss, scores: &[f64], offsets: &[f64], appeals: &[f64], weights: &[f64]) -> f64 {
        let softplus = |x: f64| (1.0 + x.exp()).ln();
        let pairs = || scores.iter().zip(offsets);
        let one = |appeal: f64| match loss {
            ChoiceLoss::Softmax => {
                let others: f64 = pairs().map(|(score, offset)| (score + offset).exp()).sum();
                (appeal.exp() + others).ln() - appeal
            }
            ChoiceLoss::Bpr => pairs().map(|(score, offset)| offset * softplus(score - appeal)).sum(),
            ChoiceLoss::Bce => {
                let others: f64 = pairs().map(|(score, offset)| offset * softplus(*score)).sum();
                softplus(-appeal) + others
            }
        };
        appeals
            .iter()
            .zip(weights)
            .map(|(&appeal, weight)| weight * one(appeal))
            .sum()
    }

    #[test]
    fn losses_and_gradients_are_those_of_the_definition() {
        let number = |at: usize| ((at * 29 + 7) % 31) as f64 / 10.0 - 1.5;
        for loss in [ChoiceLoss::Softmax, ChoiceLoss::Bpr, ChoiceLoss::Bce] {
            for (draws, samples) in [(1, 1), (16, 3), (37, 1), (64, 5)] {
                let scores: Vec<f64> = (0..draws).map(number).collect();
                let offsets: Vec<f64> = (0..draws).map(|at| (1.0 + number(at + 3).abs()) / 20.0).collect();
                let appeals: Vec<f64> = (0..samples).map(|at| number(at + 11)).collect();
                let weights: Vec<f64> = (0..samples).map(|at| at as f64 / 4.0).collect();
                let narrow = |numbers: &[f64]| -> Vec<f32> { numbers.iter().map(|&x| x as f32).collect() };
                let (mut s, o) = (narrow(&scores), narrow(&offsets));
                let (mut a, w) = (narrow(&appeals), narrow(&weights));
                let scale = 0.5f32;
                let found = match loss {
                    ChoiceLoss::Softmax => softmax(&mut s, &o, &mut a, &w, scale),
                    ChoiceLoss::Bpr => bpr(&mut s, &o, &mut a, &w, scale),
                    ChoiceLoss::Bce => bce(&mut s, &o, &mut a, &w, scale),
                };
                let at = |scores: &[f64], appeals: &[f64]| exact(loss, scores, &offsets, appeals, &weights);
                let what = format!("{loss:?}, {draws} drawn, {samples} samples");
                let wanted = at(&scores, &appeals);
                assert!(
                    (f64::from(found) - wanted).abs() < 1e-5 * wanted.abs().max(1.0),
                    "{what}: {found} for {wanted}"
                );
                let slope = |numbers: &[f64], place: usize, of: &dyn Fn(&[f64]) -> f64| {
                    let [mut up, mut down] = [numbers.to_vec(), numbers.to_vec()];
                    (up[place], down[place]) = (up[place] + 1e-5, down[place] - 1e-5);
                    0.5 * (of(&up) - of(&down)) / 2e-5
                };
                for (place, &found) in s.iter().enumerate() {
                    let wanted = slope(&scores, place, &|scores| at(scores, &appeals));
                    assert!(
                        (f64::from(found) - wanted).abs() < 1e-5,
                        "{what}, drawn {place}: {found} for {wanted}"
                    );
                }
                for (place, &found) in a.iter().enumerate() {
                    let wanted = slope(&appeals, place, &|appeals| at(&scores, appeals));
                    assert!(
                        (f64::from(found) - wanted).abs() < 1e-5,
                        "{what}, sample {place}: {found} for {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn extreme_appeals_stay_finite() {
        let (mut scores, mut appeals) = (vec![300.0, -300.0], vec![-300.0, 300.0]);
        let loss = softmax(&mut scores, &[0.0, 0.0], &mut appeals, &[1.0, 1.0], 1.0);
        assert!(loss.is_finite() && (loss - 600.0).abs() < 1.5, "{loss}");
        assert!(
            scores.iter().chain(&appeals).all(|x| x.is_finite()),
            "{scores:?} {appeals:?}"
        );
    }
}

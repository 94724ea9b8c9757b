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
//! Shapes: scores `[U, draws]`, from `choice_scores`, each row [`stride`] words from the last; gradient `[samples of U]`; offsets
//! `[draws]`; choices `[B]`. Draws are whole blocks, see [`super::choice_scores::Drawn`]: what fills up the last one has no
//! gradient.
//! Twin of `shaders/choice_gradient.wgsl`.

use super::choice_scores::stride;
use super::exponential::exponential;
use super::instruction_set::InstructionSet;
use super::logarithm::logarithm;
use super::pair_logits::dot;
use super::prefetch::{SAMPLES_AHEAD, prefetch};
use super::softmax::{SampleScratch, softmax};
use crate::common::block::LANES;
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
    /// Of each drawn item, in whole blocks; with softmax the scores have them already.
    pub offsets: &'a [f32],
    pub instructions: InstructionSet,
}

/// One block of users, whose compact rows are `users`; `gradient` begins with their first sample. Returns the sum of losses.
///
/// Panics if a slot is not there, or if the draws are no whole blocks.
#[inline(always)]
pub fn choice_gradient(
    choices: &Choices,
    block: Range<usize>,
    users: &[f32],
    items: &[f32],
    dim: usize,
    scores: &mut [f32],
    gradient: &mut [f32],
    scratch: &mut SampleScratch,
) -> f32 {
    let length = ROW_HEADER + dim;
    let draws = choices.offsets.len();
    assert!(
        draws.is_multiple_of(LANES),
        "choice_gradient: {draws} draws are no whole blocks"
    );
    let scale = choices.share / choices.weights.len() as f32;
    let starts = &choices.users.starts[block.start..=block.end];
    let samples = starts[0] as usize..starts[block.len()] as usize;
    let own = |user: usize| (starts[user] - starts[0]) as usize..(starts[user + 1] - starts[0]) as usize;
    for (number, user) in users.chunks_exact(length).enumerate() {
        for (place, appeal) in own(number).zip(&mut gradient[own(number)]) {
            let sample = samples.start + place;
            if let Some(&ahead) = choices.item_slots.get(sample + SAMPLES_AHEAD) {
                prefetch(items, ahead as usize * length, length);
            }
            let item = &items[choices.item_slots[sample] as usize * length..][..length];
            *appeal = dot(&user[ROW_HEADER..], &item[ROW_HEADER..]) + item[0];
        }
    }
    let weights = &choices.weights[samples];
    let offsets = choices.offsets;
    let total = match choices.loss {
        ChoiceLoss::Softmax if choices.instructions.fuses() => {
            softmax::<true>(starts, scores, draws, gradient, weights, scale, scratch)
        }
        ChoiceLoss::Softmax => softmax::<false>(starts, scores, draws, gradient, weights, scale, scratch),
        ChoiceLoss::Bpr | ChoiceLoss::Bce => {
            let mut total = 0.0;
            for (number, scores) in scores.chunks_exact_mut(stride(draws)).enumerate() {
                let scores = &mut scores[..draws];
                let (gradient, weights) = (&mut gradient[own(number)], &weights[own(number)]);
                total += match choices.loss {
                    ChoiceLoss::Bpr => bpr(scores, offsets, gradient, weights, scale),
                    _ => bce(scores, offsets, gradient, weights, scale),
                };
            }
            total
        }
    };
    total / choices.weights.len() as f32
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exponential::<false>(-x))
}

/// `ln(1 + exp(x))`.
#[inline(always)]
fn softplus(x: f32) -> f32 {
    x.max(0.0) + logarithm(1.0 + exponential::<false>(-x.abs()))
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
    use crate::engine::choice::FILLER;

    fn softmax_of_one(scores: &mut [f32], offsets: &[f32], appeals: &mut [f32], weights: &[f32], scale: f32) -> f32 {
        let starts = [7, 7 + appeals.len() as u32];
        let draws = offsets.len();
        let mut row: Vec<f32> = scores
            .iter()
            .zip(offsets)
            .map(|(score, offset)| score + offset)
            .collect();
        row.resize(stride(draws), f32::NAN);
        let scratch = &mut SampleScratch::default();
        let loss = softmax::<true>(&starts, &mut row, draws, appeals, weights, scale, scratch);
        scores.copy_from_slice(&row[..draws]);
        loss
    }

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
            for (draws, samples) in [(16, 3), (48, 1), (64, 5)] {
                let scores: Vec<f64> = (0..draws).map(number).collect();
                let offsets: Vec<f64> = (0..draws).map(|at| (1.0 + number(at + 3).abs()) / 20.0).collect();
                let appeals: Vec<f64> = (0..samples).map(|at| number(at + 11)).collect();
                let weights: Vec<f64> = (0..samples).map(|at| at as f64 / 4.0).collect();
                let narrow = |numbers: &[f64]| -> Vec<f32> { numbers.iter().map(|&x| x as f32).collect() };
                let (mut s, o) = (narrow(&scores), narrow(&offsets));
                let (mut a, w) = (narrow(&appeals), narrow(&weights));
                let scale = 0.5f32;
                let found = match loss {
                    ChoiceLoss::Softmax => softmax_of_one(&mut s, &o, &mut a, &w, scale),
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
    fn what_fills_up_a_block_changes_nothing() {
        type Loss = fn(&mut [f32], &[f32], &mut [f32], &[f32], f32) -> f32;
        // One drawn item of appeal 1 beside a choice of appeal 0: softplus(1), softplus(1), softplus(0) + softplus(1).
        let cases: [(Loss, f32, f32); 3] = [
            (softmax_of_one, 0.0, 1.313_262),
            (bpr, 1.0, 1.313_262),
            (bce, 1.0, 2.006_409),
        ];
        for (loss, offset, wanted) in cases {
            let (mut scores, mut offsets) = ([FILLER; LANES], [0.0; LANES]);
            (scores[0], offsets[0]) = (1.0, offset);
            let found = loss(&mut scores, &offsets, &mut [0.0], &[1.0], 1.0);
            // sigmoid(1).
            let right = (found - wanted).abs() < 1e-6 && (scores[0] - 0.731_058_6).abs() < 1e-6;
            assert!(right, "{found}, {scores:?}");
            assert_eq!(scores[1..], [0.0; LANES - 1]);
        }
    }

    #[test]
    fn extreme_appeals_stay_finite() {
        let mut scores = [-300.0; LANES];
        scores[0] = 300.0;
        let mut appeals = vec![-300.0, 300.0];
        let loss = softmax_of_one(&mut scores, &[0.0; LANES], &mut appeals, &[1.0, 1.0], 1.0);
        assert!(loss.is_finite() && (loss - 600.0).abs() < 1.5, "{loss}");
        assert!(
            scores.iter().chain(&appeals).all(|x| x.is_finite()),
            "{scores:?} {appeals:?}"
        );
    }
}

//! Softmax: the choice loss and its slopes, of a block of users against all that was drawn.
//!
//! ```text
//! most[u]  = max of scores[u, j] over drawn j, and of appeal[b] over the user's samples b
//! e[u, j]  = exp(scores[u, j] - most[u])          all[b] = exp(appeal[b] - most[u]) + sum over j of e[u, j]
//! loss     = sum over b of weight[b] (ln all[b] + most[u] - appeal[b])
//! appeal[b]   := scale weight[b] (exp(appeal[b] - most[u]) / all[b] - 1)
//! scores[u, j] := scale e[u, j] * sum over b of weight[b] / all[b]
//! ```
//!
//! The samples of a user share all but the term of what they chose, so one pass over the drawn items serves all of them. Some users
//! go from pass to pass together: what one of them waits for, the reduction of a row or a quotient, the others' work fills.
//! Part of [`super::choice_gradient`].

use super::choice_scores::stride;
use super::exponential::exponential;
use super::logarithm::logarithm;
use crate::common::block::{self, LANES};

/// What [`exponential`] makes of all that is far below the largest score, a filler for one; nearly the least normal number.
const NOTHING: f32 = 2e-38;

/// Users that go from pass to pass together, at the most.
const USERS: usize = 16;

/// Scores of them: half of the nearest cache.
const SCORES: usize = 4096;

/// Numbers of each sample, kept from block to block.
#[derive(Debug, Default)]
pub struct SampleScratch {
    mosts: Vec<f32>,
    /// Of all that was drawn; then the sample's share of the factor of the user's slopes.
    sums: Vec<f32>,
}

/// A block of users: returns the loss, makes slopes of scores and appeals.
///
/// Shapes: starts `[users + 1]`, of the users' samples, counted from anywhere; scores `[users, draws]`, each row
/// [`stride`] words from the last; draws are whole blocks; appeals, weights `[samples]`. Panics if they do not fit.
#[inline(always)]
pub fn softmax<const FUSED: bool>(
    starts: &[u32],
    scores: &mut [f32],
    draws: usize,
    appeals: &mut [f32],
    weights: &[f32],
    scale: f32,
    scratch: &mut SampleScratch,
) -> f32 {
    let stride = stride(draws);
    assert!(
        draws > 0 && draws.is_multiple_of(LANES) && scores.len() == (starts.len() - 1) * stride,
        "softmax: {} scores of {} users, {draws} drawn",
        scores.len(),
        starts.len() - 1
    );
    let together = (SCORES / draws).clamp(1, USERS);
    let mut loss = 0.0;
    for (scores, users) in scores.chunks_mut(together * stride).zip((0..).step_by(together)) {
        let count = scores.len() / stride;
        let place = |user: usize| (starts[user] - starts[0]) as usize;
        let group = place(users)..place(users + count);
        let own = |user: usize| place(users + user) - group.start..place(users + user + 1) - group.start;
        let (appeals, weights) = (&mut appeals[group.clone()], &weights[group.clone()]);
        scratch.mosts.resize(group.len(), 0.0);
        scratch.sums.resize(group.len(), 0.0);

        let mut mosts = [0.0; USERS];
        for (user, scores) in scores.chunks_exact(stride).enumerate() {
            let drawn = largest(scores[..draws].as_chunks().0);
            let most = appeals[own(user)]
                .iter()
                .fold(drawn, |most, &appeal| block::larger(most, appeal));
            scratch.mosts[own(user)].fill(most);
            mosts[user] = most;
        }
        for (user, scores) in scores.chunks_exact_mut(stride).enumerate() {
            let sum = exponentials::<FUSED>(scores[..draws].as_chunks_mut().0, mosts[user]);
            scratch.sums[own(user)].fill(sum);
        }
        loss += slopes_of_appeals::<FUSED>(appeals, &scratch.mosts, &mut scratch.sums, weights, scale);
        for (user, scores) in scores.chunks_exact_mut(stride).enumerate() {
            let shares: f32 = scratch.sums[own(user)].iter().sum();
            slopes_of_scores(scores[..draws].as_chunks_mut().0, scale * shares);
        }
    }
    loss
}

#[inline(always)]
fn largest(scores: &[[f32; LANES]]) -> f32 {
    let mut most = [f32::MIN; LANES];
    for scores in scores {
        block::one_at_a_time();
        let mut larger = [0.0; LANES];
        for lane in 0..LANES {
            larger[lane] = block::larger(most[lane], scores[lane]);
        }
        most = larger;
    }
    block::largest(&most)
}

/// Replaces each score by `exp(score - most)` and returns their sum.
#[inline(always)]
fn exponentials<const FUSED: bool>(scores: &mut [[f32; LANES]], most: f32) -> f32 {
    let mut sums = [0.0; LANES];
    for scores in scores {
        block::one_at_a_time();
        let (mut replaced, mut added) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            replaced[lane] = exponential::<FUSED>(scores[lane] - most);
            added[lane] = sums[lane] + replaced[lane];
        }
        (*scores, sums) = (replaced, added);
    }
    block::sum(&sums)
}

/// From sums over all that was drawn to `weight / all`, from appeals to their slopes; returns the loss.
#[inline(always)]
fn slopes_of_appeals<const FUSED: bool>(
    appeals: &mut [f32],
    mosts: &[f32],
    sums: &mut [f32],
    weights: &[f32],
    scale: f32,
) -> f32 {
    let mut losses = [0.0; LANES];
    let blocks = appeals.chunks_mut(LANES).zip(sums.chunks_mut(LANES));
    for ((appeals, sums), (mosts, weights)) in blocks.zip(mosts.chunks(LANES).zip(weights.chunks(LANES))) {
        block::one_at_a_time();
        // What fills up the last block weighs nothing.
        let [appeal, most, weight] = [&*appeals, mosts, weights].map(|rest| block::padded(rest, 0.0));
        let sum = block::padded(sums, 1.0);
        let [mut slope, mut share, mut added] = [[0.0; LANES]; 3];
        for lane in 0..LANES {
            let own = exponential::<FUSED>(appeal[lane] - most[lane]);
            let all = sum[lane] + own;
            share[lane] = weight[lane] / all;
            slope[lane] = scale * weight[lane] * (own / all - 1.0);
            added[lane] = losses[lane] + weight[lane] * (logarithm(all) + (most[lane] - appeal[lane]));
        }
        losses = added;
        appeals.copy_from_slice(&slope[..appeals.len()]);
        sums.copy_from_slice(&share[..sums.len()]);
    }
    block::sum(&losses)
}

/// From exponentials to slopes, those of what is nothing beside the largest to 0.
#[inline(always)]
fn slopes_of_scores(scores: &mut [[f32; LANES]], factor: f32) {
    for scores in scores {
        block::one_at_a_time();
        let mut slopes = [0.0; LANES];
        for lane in 0..LANES {
            slopes[lane] = if scores[lane] > NOTHING {
                factor * scores[lane]
            } else {
                0.0
            };
        }
        *scores = slopes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users with 0 to 40 samples, `draws` drawn: slopes of scores, of appeals, and the loss, with `together` at a time.
    fn slopes<const FUSED: bool>(draws: usize, together: usize) -> (Vec<f32>, Vec<f32>, f32) {
        let counts = [1, 0, 3, 1, 40, 2, 1].repeat(6);
        let starts: Vec<u32> = std::iter::once(&0)
            .chain(&counts)
            .scan(9, |sum, count| {
                *sum += count;
                Some(*sum)
            })
            .collect();
        let number = |at: usize| ((at * 29 + 7) % 31) as f32 / 5.0 - 3.0;
        let samples = counts.iter().sum::<u32>() as usize;
        let stride = stride(draws);
        let mut scores: Vec<f32> = (0..counts.len() * stride).map(number).collect();
        let mut appeals: Vec<f32> = (0..samples).map(|at| number(at + 11)).collect();
        let weights: Vec<f32> = (0..samples).map(|at| (at % 4) as f32).collect();
        let mut loss = 0.0;
        let mut scratch = SampleScratch::default();
        for (number, scores) in scores.chunks_mut(together * stride).enumerate() {
            let users = number * together..number * together + scores.len() / stride;
            let own = (starts[users.start] - 9) as usize..(starts[users.end] - 9) as usize;
            loss += softmax::<FUSED>(
                &starts[users.start..=users.end],
                scores,
                draws,
                &mut appeals[own.clone()],
                &weights[own],
                0.1,
                &mut scratch,
            );
        }
        (scores, appeals, loss)
    }

    #[test]
    fn users_together_are_what_each_is_alone() {
        for draws in [16, 48, 256, 1008, 8192] {
            let alone = slopes::<false>(draws, 1);
            for (scores, appeals, loss) in [slopes::<false>(draws, 42), slopes::<false>(draws, 5)] {
                assert_eq!((&scores, &appeals), (&alone.0, &alone.1), "{draws} drawn");
                assert!(
                    (loss / alone.2 - 1.0).abs() < 1e-5,
                    "{draws} drawn: {loss} for {}",
                    alone.2
                );
            }
            let (scores, appeals, loss) = slopes::<true>(draws, 42);
            assert!(
                (loss / alone.2 - 1.0).abs() < 1e-5,
                "{draws} drawn, fused: {loss} for {}",
                alone.2
            );
            let fused = scores.iter().chain(&appeals);
            for (fused, plain) in fused.zip(alone.0.iter().chain(&alone.1)) {
                assert!((fused - plain).abs() < 1e-5, "{draws} drawn: {fused} for {plain}");
            }
        }
    }
}

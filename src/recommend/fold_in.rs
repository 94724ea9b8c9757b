//! Fold-in: a user whom the model has not seen, fitted to some ratings with items and head held fixed.
//!
//! ```text
//! z[r]    = scale * (w . v[r] + b + c[r]) + bias            logit of rating r; v, c: its item's embedding and bias
//! q[r]    = sigmoid(z[r])
//! minimise    sum over r of bce(z[r], target[r])  +  RIDGE / 2 * (|w|^2 + b^2)        over x = (w, b), [dim + 1]
//! gradient    scale * sum (q[r] - target[r]) * (v[r], 1)  +  RIDGE * x
//! Hessian     scale^2 * sum q[r] (1 - q[r]) * (v[r], 1) (v[r], 1)'  +  RIDGE * identity
//! ```
//!
//! The objective of training for one row, but for what training alone has (`train.relevance`, a centre of the prior), solved
//! to convergence: Newton steps by Cholesky's factorisation, halved until the loss falls (S. Boyd, L. Vandenberghe, Convex
//! Optimization, section 9.5). It is strictly convex, so there is one answer and Newton's method finds it from anywhere.
//!
//! Where the gradient is zero, x is a sum over the ratings (the representer theorem: G. Kimeldorf, G. Wahba, 1971), and so is
//! every affinity of the user; that is what [`FoldedUser::contributions`] shows:
//!
//! ```text
//! x               = sum over r of pull[r] * (v[r], 1)        pull[r] = scale * (target[r] - q[r]) / RIDGE
//! contribution[r] = scale * pull[r] * (v[r] . v[i] + 1)      of rating r to the logit of item i
//! logit(i)        = scale * c[i] + bias + sum over r of contribution[r]
//! ```

use crate::common::cholesky::Cholesky;
use crate::common::interaction::ItemIndex;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::model::{Head, ROW_HEADER};

/// How strongly a folded-in user is held at zero, in ratings' worth of curvature.
///
/// Chosen on real ratings: of 2 to 8 it makes the least difference between users that were folded in and users that were
/// trained, on MovieLens 100K and on a subset of Electronics (`tests/cli/fold_in.rs` holds it to 2 %).
pub const RIDGE: f64 = 4.0;

/// A gradient below this changes no digit of a score.
const CONVERGED: f64 = 1e-9;
/// Newton's method takes five or six; the bound only ends what a broken model would make endless.
const MAX_STEPS: usize = 100;

/// A rating to fit: an item and its target in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoldInRating {
    pub item: ItemIndex,
    pub target: f32,
}

/// A fitted user.
#[derive(Clone, Debug)]
pub struct FoldedUser {
    /// The factor row, `[4 + dim]`.
    pub row: Vec<f32>,
    /// How hard each rating pulls, in the order of the ratings.
    pulls: Vec<f64>,
    ratings: Vec<FoldInRating>,
    scale: f64,
}

/// Fits a user to `ratings`; without any it is the zero row. Panics if an item is not there.
pub fn fold_in(rows: ItemRows, head: Head, ratings: &[FoldInRating]) -> FoldedUser {
    let dim = rows.dim();
    let (scale, bias) = (f64::from(head.scale), f64::from(head.bias));
    // Features, [ratings, dim + 1], the last column 1 for the user's bias.
    let features: Vec<Vec<f64>> = ratings
        .iter()
        .map(|rating| {
            let weights = rows.weights(rating.item.index()).iter();
            weights.map(|weight| f64::from(*weight)).chain([1.0]).collect()
        })
        .collect();
    let own: Vec<f64> = ratings
        .iter()
        .map(|rating| scale * f64::from(rows.bias(rating.item.index())) + bias)
        .collect();
    let logits = |x: &[f64]| -> Vec<f64> {
        let pairs = features.iter().zip(&own);
        pairs.map(|(feature, own)| scale * dot(feature, x) + own).collect()
    };
    let loss = |x: &[f64]| -> f64 {
        let logits = logits(x);
        let fit = logits
            .iter()
            .zip(ratings)
            .map(|(&z, rating)| z.max(0.0) - z * f64::from(rating.target) + (-z.abs()).exp().ln_1p());
        fit.sum::<f64>() + RIDGE / 2.0 * dot(x, x)
    };
    let mut x = vec![0.0; dim + 1];
    let mut errors = vec![0.0; ratings.len()];
    for _ in 0..MAX_STEPS {
        let scores: Vec<f64> = logits(&x).into_iter().map(sigmoid).collect();
        for (error, (score, rating)) in errors.iter_mut().zip(scores.iter().zip(ratings)) {
            *error = score - f64::from(rating.target);
        }
        let mut gradient: Vec<f64> = x.iter().map(|x| RIDGE * x).collect();
        for (feature, error) in features.iter().zip(&errors) {
            add(&mut gradient, scale * error, feature);
        }
        // Stated positively, so that a NaN ends it.
        let goes_on = gradient.iter().any(|slope| slope.abs() > CONVERGED);
        if !goes_on {
            break;
        }
        let size = dim + 1;
        let mut hessian = vec![0.0; size * size];
        for (feature, score) in features.iter().zip(&scores) {
            let curvature = scale * scale * score * (1.0 - score);
            for (row, &value) in feature.iter().enumerate() {
                // The lower triangle is all that is read.
                add(&mut hessian[row * size..][..=row], curvature * value, &feature[..=row]);
            }
        }
        (0..size).for_each(|at| hessian[at * size + at] += RIDGE);
        let mut step = gradient.clone();
        Cholesky::new(hessian, size).solve(&mut step);
        let (before, slope) = (loss(&x), dot(&gradient, &step));
        let mut length = 1.0;
        loop {
            let next: Vec<f64> = x.iter().zip(&step).map(|(x, step)| x - length * step).collect();
            if loss(&next) <= before - 1e-4 * length * slope || length < 1e-6 {
                x = next;
                break;
            }
            length /= 2.0;
        }
    }
    let mut row = vec![0.0; ROW_HEADER + dim];
    row[0] = x[dim] as f32;
    for (weight, x) in row[ROW_HEADER..].iter_mut().zip(&x) {
        *weight = *x as f32;
    }
    FoldedUser {
        row,
        pulls: errors.iter().map(|error| -scale * error / RIDGE).collect(),
        ratings: ratings.to_vec(),
        scale,
    }
}

impl FoldedUser {
    /// What each rating adds to the logit of `item`, in the order of the ratings. Panics if the item is not there.
    ///
    /// With `scale * item_bias + bias` they add up to the logit.
    pub fn contributions(&self, rows: ItemRows, item: ItemIndex) -> Vec<f64> {
        let weights = rows.weights(item.index());
        let pairs = self.ratings.iter().zip(&self.pulls);
        pairs
            .map(|(rating, pull)| {
                let theirs = rows.weights(rating.item.index()).iter().zip(weights);
                let likeness: f64 = theirs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                self.scale * pull * (likeness + 1.0)
            })
            .collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], factor: f64, values: &[f64]) {
    sum.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += factor * value);
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_fit_is_a_minimum_and_its_contributions_add_up() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let (dim, items) = (6, 40);
        let factors: Vec<f32> = (0..items * (ROW_HEADER + dim))
            .map(|_| random.random_range(-1.0..1.0))
            .collect();
        let rows = ItemRows::of_factors(&factors, dim);
        let head = Head { scale: 2.5, bias: 0.4 };
        let ratings: Vec<FoldInRating> = (0..12)
            .map(|number| FoldInRating {
                item: ItemIndex(number * 3),
                target: random.random_range(0..5) as f32 / 4.0,
            })
            .collect();
        let folded = fold_in(rows, head, &ratings);
        let x: Vec<f64> = folded.row[ROW_HEADER..]
            .iter()
            .chain([&folded.row[0]])
            .map(|x| f64::from(*x))
            .collect();
        let logit = |x: &[f64], item: usize| {
            let weights = rows.weights(item).iter().chain([&1.0]);
            let affinity: f64 = weights.zip(x).map(|(a, b)| f64::from(*a) * b).sum();
            2.5 * (affinity + f64::from(rows.bias(item))) + f64::from(0.4f32)
        };
        let loss = |x: &[f64]| -> f64 {
            let fit = ratings.iter().map(|rating| {
                let z = logit(x, rating.item.index());
                (1.0 + z.exp()).ln() - z * f64::from(rating.target)
            });
            fit.sum::<f64>() + RIDGE / 2.0 * x.iter().map(|x| x * x).sum::<f64>()
        };
        // Uphill in every direction.
        let at = loss(&x);
        for column in 0..=dim {
            for step in [-1e-2, 1e-2] {
                let mut moved = x.clone();
                moved[column] += step;
                assert!(loss(&moved) > at, "column {column} by {step}");
            }
        }
        for item in 0..items {
            let sum: f64 = folded.contributions(rows, ItemIndex(item as u32)).iter().sum();
            let own = 2.5 * f64::from(rows.bias(item)) + f64::from(0.4f32);
            assert!((sum + own - logit(&x, item)).abs() < 1e-5, "item {item}");
        }
    }

    #[test]
    fn extreme_models_and_no_ratings_end_in_finite_rows() {
        let rows = [0.0, 0.0, 0.0, 0.0, 500.0, -500.0, 3.0, 0.0, 0.0, 0.0, 500.0, -499.0];
        let rows = ItemRows::of_factors(&rows, 2);
        let head = Head {
            scale: 30.0,
            bias: -5.0,
        };
        let both = [(ItemIndex(0), 1.0), (ItemIndex(1), 0.0)].map(|(item, target)| FoldInRating { item, target });
        assert!(fold_in(rows, head, &both).row.iter().all(|value| value.is_finite()));
        assert!(fold_in(rows, head, &[]).row.iter().all(|&value| value == 0.0));
    }
}

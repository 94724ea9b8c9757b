//! Effects: what the rows of one side add to a target, by ridge regression on their directions and a bias of their own.

use super::directions::Directions;
use super::graph::Neighbours;
use crate::common::cholesky::Cholesky;
use rayon::prelude::*;

/// Of a bias, in ratings.
const BIAS_RIDGE: f64 = 4.0;
/// Bounds of the ridge of the weights of directions, in ratings: of nothing but noise the evidence has no maximum.
const RIDGE: [f64; 2] = [1.0, 1e9];

/// What one side adds to a target: a bias of its own, and a centre that its directions explain.
pub(super) struct Effects {
    ratings: Neighbours,
    directions: Directions,
    /// The directions' normal equations without their ridge, `[rank, rank]`.
    normal: Vec<f64>,
    ridge: f64,
    /// Variance of a target.
    noise: f64,
    pub centres: Vec<f64>,
    /// Centre and bias.
    pub effects: Vec<f64>,
}

impl Effects {
    /// Nothing yet; `noise`: the variance of a target.
    pub fn new(ratings: Neighbours, directions: Directions, noise: f64) -> Self {
        let rows = ratings.rows();
        Self {
            normal: directions.gram(|row| ratings.count(row) as f64 * bias_share(ratings.count(row))),
            // Where the sum of all directions is worth as much as a bias, to begin with.
            ridge: BIAS_RIDGE * directions.rank as f64,
            noise,
            ratings,
            directions,
            centres: vec![0.0; rows],
            effects: vec![0.0; rows],
        }
    }

    /// Fits weights of directions and biases to what the other side's effects leave, then the ridge of the weights to them.
    pub fn fit(&mut self, mean: f64, other: &[f64]) {
        let ratings = &self.ratings;
        let left_of = |row: usize| -> f64 {
            let rated = ratings.others(row).iter().zip(ratings.targets(row));
            rated
                .map(|(&at, &target)| f64::from(target) - mean - other[at as usize])
                .sum()
        };
        let left: Vec<f64> = (0..ratings.rows()).into_par_iter().map(left_of).collect();
        let mut weights = self
            .directions
            .weighted_sum(|row| left[row] * bias_share(ratings.count(row)));
        self.ridge = solve_with_ridge(&self.normal, self.ridge, self.noise, &mut weights);
        let rows = self.directions.values.par_chunks_exact(self.directions.rank);
        rows.zip(&left)
            .zip(&mut self.centres)
            .zip(&mut self.effects)
            .enumerate()
            .for_each(|(row, (((direction, left), centre), effect))| {
                let products = direction.iter().zip(&weights);
                *centre = products.map(|(&value, weight)| f64::from(value) * weight).sum();
                let count = ratings.count(row) as f64;
                *effect = *centre + (left - count * *centre) / (count + BIAS_RIDGE);
            });
    }
}

/// What is left of a rating's weight on the weights of directions once the bias of its row, which explains it too, is integrated
/// out: the ratings of a row tell no more than [`BIAS_RIDGE`] ratings of different rows.
fn bias_share(count: usize) -> f64 {
    BIAS_RIDGE / (count as f64 + BIAS_RIDGE)
}

/// Solves `(normal + ridge I) x = right` in place and returns the ridge that x makes more likely,
/// `noise g / |x|^2` with `g = rank - ridge trace (normal + ridge I)^-1`, the number of directions that are known.
fn solve_with_ridge(normal: &[f64], ridge: f64, noise: f64, right: &mut [f64]) -> f64 {
    let rank = right.len();
    let mut sum = normal.to_vec();
    (0..rank).for_each(|at| sum[at * rank + at] += ridge);
    let factor = Cholesky::new(sum, rank);
    factor.solve(right);
    let of_inverse = |at: usize| {
        let mut column = vec![0.0; rank];
        column[at] = 1.0;
        factor.solve(&mut column);
        column[at]
    };
    let trace: f64 = (0..rank).map(of_inverse).sum();
    let square: f64 = right.iter().map(|weight| weight * weight).sum();
    let known = (rank as f64 - ridge * trace).max(0.0);
    let [least, most] = RIDGE;
    if square > 0.0 {
        (known * noise / square).clamp(least, most)
    } else {
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::interaction::{ItemIndex, UserIndex};

    #[test]
    fn a_fit_is_the_least_of_squares_with_both_ridges() {
        // Seven users of 1 to 7 ratings, along one direction.
        let (users, items): (Vec<_>, Vec<_>) = (0..7u32)
            .flat_map(|user| (0..=user).map(move |item| (UserIndex(user), ItemIndex(item))))
            .unzip();
        let targets: Vec<f32> = (0..users.len()).map(|at| ((at * at) % 11) as f32 / 10.0).collect();
        let direction: Vec<f32> = (0..7).map(|user| 0.5 - (user * 3 % 7) as f32 / 4.0).collect();
        let (mean, other) = (0.4, [0.1, -0.2, 0.0, 0.3, -0.1, 0.05, 0.2]);
        let directions = Directions {
            rank: 1,
            values: direction.clone(),
        };
        let mut effects = Effects::new(Neighbours::new(&users, &items, &targets, 7), directions, 0.06);
        let ridge = effects.ridge;
        effects.fit(mean, &other);
        let weight = effects.centres[0] / f64::from(direction[0]);
        let mut slope = ridge * weight;
        for (user, &along) in direction.iter().enumerate() {
            let bias = effects.effects[user] - effects.centres[user];
            let rated = (0..users.len()).filter(|&row| users[row].index() == user);
            let left: f64 = rated
                .map(|row| f64::from(targets[row]) - mean - other[items[row].index()] - effects.effects[user])
                .sum();
            assert!((left - BIAS_RIDGE * bias).abs() < 1e-12, "user {user}");
            slope -= f64::from(along) * left;
        }
        assert!(slope.abs() < 1e-12, "{slope}");
    }
}

//! Directions: where each row stands in the graph of who rated what, by subspace iteration.

use super::graph::Neighbours;
use crate::common::cholesky::Cholesky;
use crate::common::random::{Purpose, stream};
use crate::data::progress::Progress;
use rand::RngExt;
use rayon::prelude::*;

pub(super) const ITERATIONS: usize = 12;
/// Rows that one thread takes at a time.
const BLOCK: usize = 1024;
/// Parts that sums over all rows are made of.
const PARTS: usize = 64;

/// A row of `rank` numbers for each row of a table.
pub(super) struct Directions {
    pub rank: usize,
    pub values: Vec<f32>,
}

/// Directions of users and of items, of mean square 1, near the leading singular ones of N; 0 for rows without ratings.
///
/// Tells `progress` how many of [`ITERATIONS`] are done, in rows.
pub(super) fn leading(
    [by_user, by_item]: &[Neighbours; 2],
    rank: usize,
    seed: u64,
    progress: &dyn Progress,
) -> [Directions; 2] {
    let mut random = stream(seed, Purpose::Centres, 0);
    let mut of_items = Directions {
        rank,
        values: (0..by_item.rows() * rank)
            .map(|_| random.random_range(-1.0..1.0))
            .collect(),
    };
    let mut of_users = Directions {
        rank,
        values: vec![0.0; by_user.rows() * rank],
    };
    of_items.orthonormalise();
    for done in 1..=ITERATIONS {
        of_users.multiply(by_user, &of_items, by_item);
        of_items.multiply(by_item, &of_users, by_user);
        of_items.orthonormalise();
        progress.at((done * (by_user.rows() + by_item.rows())) as u64);
    }
    of_users.multiply(by_user, &of_items, by_item);
    of_users.orthonormalise();
    [of_users, of_items].map(|mut directions| {
        let unit = ((directions.values.len() / rank) as f32).sqrt();
        directions.values.par_iter_mut().for_each(|value| *value *= unit);
        directions
    })
}

impl Directions {
    /// `self = N other`, or its transpose: each row the weighted sum of what it is rated with.
    fn multiply(&mut self, side: &Neighbours, other: &Directions, other_side: &Neighbours) {
        let rank = self.rank;
        let blocks = self.values.par_chunks_mut(BLOCK * rank).enumerate();
        blocks.for_each(|(block, values)| {
            for (row, sum) in (block * BLOCK..).zip(values.chunks_exact_mut(rank)) {
                sum.fill(0.0);
                for &at in side.others(row) {
                    let weight = side.weight(row) * other_side.weight(at as usize);
                    let direction = other.values[at as usize * rank..][..rank].iter();
                    let sums = sum.iter_mut().zip(direction);
                    sums.for_each(|(sum, value)| *sum += weight * value);
                }
            }
        });
    }

    /// Makes the columns orthonormal, by the Cholesky factor of their Gram matrix; a column that depends on those before it
    /// becomes zero.
    fn orthonormalise(&mut self) {
        let rank = self.rank;
        let factor = Cholesky::new(self.gram(|_| 1.0), rank);
        self.values.par_chunks_mut(BLOCK * rank).for_each(|values| {
            let mut solved = vec![0.0; rank];
            for row in values.chunks_exact_mut(rank) {
                let pairs = solved.iter_mut().zip(row.iter());
                pairs.for_each(|(solved, &value)| *solved = f64::from(value));
                factor.solve_lower(&mut solved);
                let pairs = row.iter_mut().zip(&solved);
                pairs.for_each(|(value, &solved)| *value = solved as f32);
            }
        });
    }

    /// `sum over rows of weight(row) row row^T`, `[rank, rank]`.
    pub fn gram(&self, weight: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        let rank = self.rank;
        self.sum(rank * rank, |number, row, sums| {
            let weight = weight(number);
            for (&left, sums) in row.iter().zip(sums.chunks_exact_mut(rank)) {
                add(sums, weight * f64::from(left), row);
            }
        })
    }

    /// `sum over rows of weight(row) row`, `[rank]`.
    pub fn weighted_sum(&self, weight: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        self.sum(self.rank, |number, row, sums| add(sums, weight(number), row))
    }

    /// Adds up what `visit` adds for each row, in parts whose number no number of threads changes.
    fn sum(&self, length: usize, visit: impl Fn(usize, &[f32], &mut [f64]) + Sync) -> Vec<f64> {
        let rows = (self.values.len() / self.rank).div_ceil(PARTS).max(1);
        let parts = self.values.par_chunks(rows * self.rank).enumerate();
        let parts: Vec<Vec<f64>> = parts
            .map(|(part, values)| {
                let mut sums = vec![0.0; length];
                for (number, row) in (part * rows..).zip(values.chunks_exact(self.rank)) {
                    visit(number, row, &mut sums);
                }
                sums
            })
            .collect();
        let mut sums = vec![0.0; length];
        for part in &parts {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        sums
    }
}

fn add(sums: &mut [f64], factor: f64, values: &[f32]) {
    let pairs = sums.iter_mut().zip(values);
    pairs.for_each(|(sum, &value)| *sum += factor * f64::from(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::interaction::{ItemIndex, UserIndex};

    #[test]
    fn the_directions_are_orthonormal_and_those_of_the_largest_singular_values() {
        // Along a ring all singular values are known: N^T N is circulant, and its eigenvectors are waves.
        let number = 24u32;
        let users: Vec<_> = (0..number).flat_map(|user| [user, user].map(UserIndex)).collect();
        let items = (0..number).flat_map(|user| [user, (user + 1) % number].map(ItemIndex));
        let items: Vec<_> = items.collect();
        let targets = vec![0.5; users.len()];
        let by_user = Neighbours::new(&users, &items, &targets, 24);
        let by_item = Neighbours::new(&items, &users, &targets, 24);
        let mut of_users = Directions {
            rank: 3,
            values: vec![0.0; 72],
        };
        let mut random = stream(3, Purpose::Centres, 0);
        let mut of_items = Directions {
            rank: 3,
            values: (0..72).map(|_| random.random_range(-1.0..1.0)).collect(),
        };
        for _ in 0..400 {
            of_users.multiply(&by_user, &of_items, &by_item);
            of_items.multiply(&by_item, &of_users, &by_user);
            of_items.orthonormalise();
        }
        let gram = of_items.gram(|_| 1.0);
        for (at, value) in gram.iter().enumerate() {
            assert!((value - f64::from(u8::from(at % 4 == 0))).abs() < 1e-5, "{gram:?}");
        }
        // The three largest: the constant and the longest wave, twice.
        of_users.multiply(&by_user, &of_items, &by_item);
        let squares: f64 = of_users.values.iter().map(|&value| f64::from(value).powi(2)).sum();
        let eigenvalue = |wave: f64| (2.0 + 2.0 * (std::f64::consts::TAU * wave / 24.0).cos()) / 25.0;
        assert!(
            (squares - eigenvalue(0.0) - 2.0 * eigenvalue(1.0)).abs() < 1e-4,
            "{squares}"
        );
    }
}

//! Centres: where the prior of each bias is centred, from who rated what.
//!
//! What somebody rates tells how they rate, and who rates a product tells how it is rated. So the prior of a row with few
//! ratings is not centred at zero but at what rows in the same part of the rating graph have for a bias:
//!
//! ```text
//! N[u, i]      = 1 / sqrt((n_u + DAMPING) (n_i + DAMPING)) where u rated i, else 0          n: training ratings of a row
//! V            = orthonormal basis, [items, rank], near the leading right singular directions of N;  U = N V, orthonormalised
//! target(u, i) ~ mean + user_bias[u] + item_bias[i] + U[u] . a + V[i] . b
//!                by ridge regression, one side after the other; on each side both parts at once
//! centre[u]    = logit(mean + U[u] . a) - logit(mean),  centre[i] = logit(mean + V[i] . b) - logit(mean)
//! ```
//!
//! The ridge of a and of b is where their evidence is greatest (MacKay, Bayesian interpolation, 1992), so where the graph tells
//! nothing of ratings the centres are zero. V comes from twelve rounds of subspace iteration (Halko, Martinsson and
//! Tropp 2011): past the first few, the singular values lie so close that it is one near basis of many, by the seed. That the
//! choice of what is rated says something of the rating: Marlin and Zemel 2009; Koren's SVD++ (2008) uses it for embeddings.
//! All sums run in a fixed order, so any number of threads gives the same centres.

use crate::data::progress::{Progress, Unit};
use crate::engine::{EngineError, ROWS_PER_READ, Trainer};
use crate::model::Side;
use crate::random::{Purpose, stream};
use rand::RngExt;
use rayon::prelude::*;

/// Ratings that every row has more of in N, so that rows with one or two do not lead a direction.
const DAMPING: f32 = 3.0;
const ITERATIONS: usize = 12;
const SWEEPS: usize = 20;
/// Of a bias, in ratings.
const BIAS_RIDGE: f64 = 4.0;
/// Bounds of the ridge of the weights of directions, in ratings: of nothing but noise the evidence has no maximum.
const RIDGE: [f64; 2] = [1.0, 1e9];
/// A predicted target is kept so far from 0 and 1 when it becomes a logit.
const MARGIN: f64 = 0.01;
/// A direction with less than this share of its square left, beside those before it, is none.
const DEPENDENT: f64 = 1e-8;
/// Rows that one thread takes at a time.
const BLOCK: usize = 1024;
/// Parts that sums over all rows are made of.
const PARTS: usize = 64;

/// Training ratings: rows of users, items and targets, of equal length.
#[derive(Clone, Copy, Debug)]
pub struct Rated<'a> {
    pub users: &'a [u32],
    pub items: &'a [u32],
    pub targets: &'a [f32],
}

/// Centres of the biases of all users and items, `[users]` and `[items]`, in logits; 0 for rows without ratings.
///
/// Panics if a row is not below `users` or `items`, the columns differ in length, or `rank` is 0.
pub fn bias_centres(
    rated: Rated,
    users: usize,
    items: usize,
    rank: usize,
    seed: u64,
    progress: &dyn Progress,
) -> [Vec<f32>; 2] {
    assert!(rank > 0, "bias_centres: no direction");
    let columns = [rated.users.len(), rated.items.len(), rated.targets.len()];
    assert!(
        columns[0] == columns[1] && columns[1] == columns[2],
        "bias_centres: columns differ in length"
    );
    let mean = rated.targets.iter().copied().map(f64::from).sum::<f64>() / rated.targets.len().max(1) as f64;
    if mean <= 0.0 || mean >= 1.0 {
        // All targets are the same, or there are none: nothing departs from anything.
        return [vec![0.0; users], vec![0.0; items]];
    }
    let by_user = Adjacency::new(rated.users, rated.items, rated.targets, users);
    let by_item = Adjacency::new(rated.items, rated.users, rated.targets, items);
    let mut random = stream(seed, Purpose::Centres, 0);
    let mut of_items = Directions {
        rank,
        values: (0..items * rank).map(|_| random.random_range(-1.0..1.0)).collect(),
    };
    of_items.orthonormalise();
    let mut of_users = Directions {
        rank,
        values: vec![0.0; users * rank],
    };
    let rows = (users + items) as u64;
    progress.begin("centres", Unit::Rows, Some(ITERATIONS as u64 * rows));
    for done in 1..=ITERATIONS as u64 {
        by_user.multiply(&of_items, &by_item, &mut of_users);
        by_item.multiply(&of_users, &by_user, &mut of_items);
        of_items.orthonormalise();
        progress.at(done * rows);
    }
    by_user.multiply(&of_items, &by_item, &mut of_users);
    of_users.orthonormalise();
    progress.end();

    let squares = rated.targets.iter().map(|&target| (f64::from(target) - mean).powi(2));
    let noise = squares.sum::<f64>() / rated.targets.len() as f64;
    let mut sides = [
        Effects::new(by_user, of_users, noise),
        Effects::new(by_item, of_items, noise),
    ];
    for _ in 0..SWEEPS {
        let [users, items] = &mut sides;
        items.fit(mean, &users.effects);
        users.fit(mean, &items.effects);
    }
    let logit = |target: f64| (target / (1.0 - target)).ln();
    let [low, high] = [mean.min(MARGIN), mean.max(1.0 - MARGIN)];
    let in_logits = |centre: &f64| (logit((mean + centre).clamp(low, high)) - logit(mean)) as f32;
    sides.map(|side| side.centres.iter().map(in_logits).collect())
}

/// Starts the biases of an untrained engine at their centres: a row with few ratings hardly gets anywhere else.
pub fn start_at(centres: &[Vec<f32>; 2], trainer: &mut dyn Trainer) -> Result<(), EngineError> {
    let record_len = trainer.shape().record_len(trainer.schedule().optimizer());
    for side in Side::BOTH {
        for (block, centres) in centres[side as usize].chunks(ROWS_PER_READ).enumerate() {
            if centres.iter().all(|&centre| centre == 0.0) {
                continue;
            }
            let mut records = vec![0.0; centres.len() * record_len];
            trainer.read_records(side, block * ROWS_PER_READ, &mut records)?;
            for (record, &centre) in records.chunks_exact_mut(record_len).zip(centres) {
                record[0] = centre;
            }
            trainer.write_records(side, block * ROWS_PER_READ, &records)?;
        }
    }
    Ok(())
}

/// The ratings of each row of one side.
struct Adjacency {
    /// Where the ratings of a row begin and, one further, end.
    starts: Vec<usize>,
    /// The row on the other side of each rating.
    others: Vec<u32>,
    targets: Vec<f32>,
    /// `1 / sqrt(n + DAMPING)`.
    weights: Vec<f32>,
}

impl Adjacency {
    fn new(rows: &[u32], others: &[u32], targets: &[f32], number: usize) -> Self {
        let mut starts = vec![0; number + 1];
        for &row in rows {
            starts[row as usize + 1] += 1;
        }
        let weight = |&count: &usize| 1.0 / (count as f32 + DAMPING).sqrt();
        let weights = starts[1..].iter().map(weight).collect();
        for row in 0..number {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut sorted = Self {
            starts,
            others: vec![0; rows.len()],
            targets: vec![0.0; rows.len()],
            weights,
        };
        for ((&row, &other), &target) in rows.iter().zip(others).zip(targets) {
            let place = &mut next[row as usize];
            sorted.others[*place] = other;
            sorted.targets[*place] = target;
            *place += 1;
        }
        sorted
    }

    fn count(&self, row: usize) -> usize {
        self.starts[row + 1] - self.starts[row]
    }

    /// `out = N other`, or its transpose: each row the weighted sum of what it is rated with.
    fn multiply(&self, other: &Directions, other_side: &Adjacency, out: &mut Directions) {
        let rank = out.rank;
        let blocks = out.values.par_chunks_mut(BLOCK * rank).enumerate();
        blocks.for_each(|(block, values)| {
            for (row, sum) in (block * BLOCK..).zip(values.chunks_exact_mut(rank)) {
                sum.fill(0.0);
                for &at in &self.others[self.starts[row]..self.starts[row + 1]] {
                    let weight = self.weights[row] * other_side.weights[at as usize];
                    let direction = &other.values[at as usize * rank..][..rank];
                    sum.iter_mut()
                        .zip(direction)
                        .for_each(|(sum, value)| *sum += weight * value);
                }
            }
        });
    }
}

/// A row of `rank` numbers for each row of a table.
struct Directions {
    rank: usize,
    values: Vec<f32>,
}

impl Directions {
    /// `sum over rows of weight(row) row row^T`, `[rank, rank]`.
    fn gram(&self, weight: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        let rank = self.rank;
        let rows = (self.values.len() / rank).div_ceil(PARTS).max(1);
        let parts: Vec<Vec<f64>> = self
            .values
            .par_chunks(rows * rank)
            .enumerate()
            .map(|(part, values)| {
                let mut gram = vec![0.0; rank * rank];
                for (row, values) in (part * rows..).zip(values.chunks_exact(rank)) {
                    let weight = weight(row);
                    for (left, sums) in values.iter().zip(gram.chunks_exact_mut(rank)) {
                        let left = weight * f64::from(*left);
                        sums.iter_mut()
                            .zip(values)
                            .for_each(|(sum, &right)| *sum += left * f64::from(right));
                    }
                }
                gram
            })
            .collect();
        let mut gram = vec![0.0; rank * rank];
        for part in &parts {
            gram.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        gram
    }

    /// Makes the columns orthonormal, by the Cholesky factor of their Gram matrix; a column that depends on those before it
    /// becomes zero.
    fn orthonormalise(&mut self) {
        let rank = self.rank;
        let factor = cholesky(&self.gram(|_| 1.0), rank);
        self.values.par_chunks_mut(BLOCK * rank).for_each(|values| {
            let mut solved = vec![0.0; rank];
            for row in values.chunks_exact_mut(rank) {
                for column in 0..rank {
                    let known: f64 = (0..column)
                        .map(|before| factor[column * rank + before] * solved[before])
                        .sum();
                    let pivot = factor[column * rank + column];
                    solved[column] = if pivot > 0.0 {
                        (f64::from(row[column]) - known) / pivot
                    } else {
                        0.0
                    };
                }
                row.iter_mut()
                    .zip(&solved)
                    .for_each(|(value, &solved)| *value = solved as f32);
            }
        });
    }
}

/// The lower triangle L of `matrix = L L^T`; a column without anything of its own is zero.
fn cholesky(matrix: &[f64], rank: usize) -> Vec<f64> {
    let mut lower = vec![0.0; rank * rank];
    for column in 0..rank {
        for row in column..rank {
            let known: f64 = (0..column)
                .map(|at| lower[row * rank + at] * lower[column * rank + at])
                .sum();
            let left = matrix[row * rank + column] - known;
            let pivot: f64 = lower[column * rank + column];
            lower[row * rank + column] = if row > column {
                if pivot > 0.0 { left / pivot } else { 0.0 }
            } else if left > DEPENDENT * matrix[column * rank + column] {
                left.sqrt()
            } else {
                0.0
            };
        }
    }
    lower
}

/// What one side adds to a target: a bias of its own, and a centre that its directions explain.
struct Effects {
    ratings: Adjacency,
    directions: Directions,
    /// The directions' normal equations without their ridge, `[rank, rank]`.
    normal: Vec<f64>,
    ridge: f64,
    /// Variance of a target.
    noise: f64,
    biases: Vec<f64>,
    centres: Vec<f64>,
    /// Bias and centre.
    effects: Vec<f64>,
}

impl Effects {
    fn new(ratings: Adjacency, mut directions: Directions, noise: f64) -> Self {
        let (rank, rows) = (directions.rank, ratings.weights.len());
        let unit = (rows as f32).sqrt();
        directions.values.iter_mut().for_each(|value| *value *= unit);
        Self {
            normal: directions.gram(|row| ratings.count(row) as f64 * bias_share(ratings.count(row))),
            // Where the sum of all directions is worth as much as a bias, to begin with.
            ridge: BIAS_RIDGE * rank as f64,
            noise,
            ratings,
            directions,
            biases: vec![0.0; rows],
            centres: vec![0.0; rows],
            effects: vec![0.0; rows],
        }
    }

    /// Fits weights of directions and biases to what the other side's effects leave, then the ridge of the weights to them.
    fn fit(&mut self, mean: f64, other: &[f64]) {
        let (ratings, rank) = (&self.ratings, self.directions.rank);
        let left: Vec<f64> = (0..self.biases.len())
            .into_par_iter()
            .map(|row| {
                let range = ratings.starts[row]..ratings.starts[row + 1];
                let rated = ratings.others[range.clone()].iter().zip(&ratings.targets[range]);
                rated
                    .map(|(&at, &target)| f64::from(target) - mean - other[at as usize])
                    .sum()
            })
            .collect();
        let mut weights = vec![0.0; rank];
        for (row, direction) in self.directions.values.chunks_exact(rank).enumerate() {
            let left = left[row] * bias_share(ratings.count(row));
            weights
                .iter_mut()
                .zip(direction)
                .for_each(|(sum, &value)| *sum += left * f64::from(value));
        }
        self.ridge = solve_with_ridge(&self.normal, self.ridge, self.noise, &mut weights);
        let directions = self.directions.values.par_chunks_exact(rank).enumerate();
        directions
            .zip(&mut self.biases)
            .zip(&mut self.centres)
            .zip(&mut self.effects)
            .for_each(|((((row, direction), bias), centre), effect)| {
                *centre = direction
                    .iter()
                    .zip(&weights)
                    .map(|(&value, weight)| f64::from(value) * weight)
                    .sum();
                let count = ratings.count(row) as f64;
                *bias = (left[row] - count * *centre) / (count + BIAS_RIDGE);
                *effect = *bias + *centre;
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
    let lower = cholesky(&sum, rank);
    solve(&lower, right);
    let of_inverse = |at: usize| {
        let mut column = vec![0.0; rank];
        column[at] = 1.0;
        solve(&lower, &mut column);
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

/// Solves `L L^T x = right` in place, L from [`cholesky`].
fn solve(lower: &[f64], right: &mut [f64]) {
    let rank = right.len();
    for row in 0..rank {
        let known: f64 = (0..row).map(|at| lower[row * rank + at] * right[at]).sum();
        right[row] = (right[row] - known) / lower[row * rank + row];
    }
    for row in (0..rank).rev() {
        let known: f64 = (row + 1..rank).map(|at| lower[at * rank + row] * right[at]).sum();
        right[row] = (right[row] - known) / lower[row * rank + row];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OptimizerChoice;
    use crate::data::progress::Silent;
    use crate::engine::TrainerSetup;
    use crate::engine::cpu::CpuTrainer;
    use crate::model::ModelShape;
    use crate::optimizer::LearningRate;

    /// Two kinds of users and of items: nobody rates what is of the other kind, and the first kind is rated lower.
    fn two_kinds(users: u32, items: u32) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
        let pairs = (0..users).flat_map(|user| (0..items).map(move |item| (user, item)));
        let rated = pairs.filter(|(user, item)| user % 2 == item % 2 && !(user / 2 + item / 2).is_multiple_of(3));
        let (users, items): (Vec<u32>, Vec<u32>) = rated.unzip();
        let target = |(at, &user): (usize, &u32)| if user % 2 == 0 { 0.2 } else { 0.8 } + 0.1 * (at % 3) as f32;
        let targets = users.iter().enumerate().map(target).collect();
        (users, items, targets)
    }

    #[test]
    fn a_row_with_one_rating_is_centred_with_its_kind() {
        let (mut users, mut items, mut targets) = two_kinds(40, 30);
        // Two new products, each rated once and alike: by one who rates products of the low kind, and by one of the high kind.
        for (user, item) in [(6, 30), (7, 31)] {
            users.push(user);
            items.push(item);
            targets.push(0.6);
        }
        let rated = Rated {
            users: &users,
            items: &items,
            targets: &targets,
        };
        let [of_users, of_items] = bias_centres(rated, 41, 33, 4, 1, &Silent);
        for (row, &centre) in of_items[..32].iter().enumerate() {
            let is_low = row % 2 == 0;
            assert!(
                if is_low { centre < -0.03 } else { centre > 0.03 },
                "item {row}: {centre}"
            );
        }
        // Who rated nothing has no place among the others.
        assert_eq!((of_users[40], of_items[32]), (0.0, 0.0));
    }

    #[test]
    fn biases_start_at_their_centres_and_nothing_else_moves() {
        let shape = ModelShape {
            users: 1500,
            items: 3,
            dim: 4,
        };
        let setup = TrainerSetup {
            shape,
            seed: 1,
            steps: 1,
            learning_rate: LearningRate::constant(1e-3),
            optimizer: OptimizerChoice::Adam,
            l2: 0.0,
            clip: 0.0,
            holds_scale: true,
        };
        let records = |trainer: &mut CpuTrainer, side| {
            let mut records = vec![0.0; shape.rows(side) * shape.record_len(OptimizerChoice::Adam)];
            trainer.read_records(side, 0, &mut records).unwrap();
            records
        };
        let mut trainer = CpuTrainer::new(&setup, 1);
        let centres = Side::BOTH.map(|side| (0..shape.rows(side)).map(|row| 0.5 - row as f32).collect::<Vec<_>>());
        let before = Side::BOTH.map(|side| records(&mut trainer, side));
        start_at(&centres, &mut trainer).unwrap();
        for side in Side::BOTH {
            let mut expected = before[side as usize].clone();
            let rows = expected.chunks_exact_mut(shape.record_len(OptimizerChoice::Adam));
            rows.zip(&centres[side as usize])
                .for_each(|(record, &centre)| record[0] = centre);
            assert!(records(&mut trainer, side) == expected, "{}", side.name());
        }
    }

    #[test]
    fn where_the_graph_tells_nothing_the_centres_are_zero() {
        let mut random = stream(9, Purpose::Centres, 1);
        let users: Vec<u32> = (0..4000).map(|_| random.random_range(0..500)).collect();
        let items: Vec<u32> = (0..4000).map(|_| random.random_range(0..200)).collect();
        let targets: Vec<f32> = (0..4000).map(|_| random.random_range(0.3..0.9)).collect();
        let rated = Rated {
            users: &users,
            items: &items,
            targets: &targets,
        };
        let centres = bias_centres(rated, 500, 200, 16, 1, &Silent).concat();
        let largest = centres.iter().fold(0.0f32, |most, centre| most.max(centre.abs()));
        assert!(largest < 0.02, "{largest}");
    }

    #[test]
    fn a_part_of_the_graph_that_is_unlike_all_others_stays_within_the_logits_of_the_margin() {
        // A hundred users give twenty products the highest rating; ten others give four others the lowest.
        let liked = (0..100).flat_map(|user| (0..20).map(move |item| (user, item, 1.0)));
        let disliked = (100..110).flat_map(|user| (20..24).map(move |item| (user, item, 0.0)));
        let (mut users, mut items, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (user, item, target) in liked.chain(disliked) {
            users.push(user);
            items.push(item);
            targets.push(target);
        }
        let rated = Rated {
            users: &users,
            items: &items,
            targets: &targets,
        };
        let [of_users, of_items] = bias_centres(rated, 110, 24, 4, 1, &Silent);
        // logit(0.01) - logit(2000 / 2040) = -8.5; without the bound it were -40 or more.
        let least = of_users
            .iter()
            .chain(&of_items)
            .fold(0.0f32, |least, &centre| least.min(centre));
        assert!((-8.6..-4.0).contains(&least), "{least}");
    }

    #[test]
    fn any_number_of_threads_gives_the_same_centres() {
        let (users, items, targets) = two_kinds(3000, 40);
        let centres = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let rated = Rated {
                users: &users,
                items: &items,
                targets: &targets,
            };
            pool.install(|| bias_centres(rated, 3000, 40, 8, 5, &Silent))
        };
        assert_eq!(centres(1), centres(3));
    }

    #[test]
    fn more_directions_than_there_are_and_equal_ratings_are_no_fault() {
        let (users, items, targets) = two_kinds(6, 4);
        let centres = |targets: &[f32], rank| {
            let rated = Rated {
                users: &users,
                items: &items,
                targets,
            };
            bias_centres(rated, 6, 4, rank, 1, &Silent).concat()
        };
        let wide = centres(&targets, 16);
        assert!(wide.iter().all(|centre| centre.is_finite()), "{wide:?}");
        assert!(
            centres(&vec![1.0; targets.len()], 4)
                .iter()
                .all(|centre| *centre == 0.0)
        );
        assert!(
            centres(&vec![0.5; targets.len()], 4)
                .iter()
                .all(|centre| centre.abs() < 1e-6)
        );
    }

    #[test]
    fn the_directions_are_orthonormal_and_those_of_the_largest_singular_values() {
        // Along a ring all singular values are known: N^T N is circulant, and its eigenvectors are waves.
        let number = 24u32;
        let users: Vec<u32> = (0..number).flat_map(|user| [user, user]).collect();
        let items: Vec<u32> = (0..number).flat_map(|user| [user, (user + 1) % number]).collect();
        let targets = vec![0.5; users.len()];
        let by_user = Adjacency::new(&users, &items, &targets, 24);
        let by_item = Adjacency::new(&items, &users, &targets, 24);
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
            by_user.multiply(&of_items, &by_item, &mut of_users);
            by_item.multiply(&of_users, &by_user, &mut of_items);
            of_items.orthonormalise();
        }
        let gram = of_items.gram(|_| 1.0);
        for (at, value) in gram.iter().enumerate() {
            assert!((value - f64::from(u8::from(at % 4 == 0))).abs() < 1e-5, "{gram:?}");
        }
        // The three largest: the constant and the longest wave, twice.
        by_user.multiply(&of_items, &by_item, &mut of_users);
        let squares: f64 = of_users.values.iter().map(|&value| f64::from(value).powi(2)).sum();
        let eigenvalue = |wave: f64| (2.0 + 2.0 * (std::f64::consts::TAU * wave / 24.0).cos()) / 25.0;
        assert!(
            (squares - eigenvalue(0.0) - 2.0 * eigenvalue(1.0)).abs() < 1e-4,
            "{squares}"
        );
    }
}

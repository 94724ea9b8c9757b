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

mod directions;
mod effects;
mod graph;

use crate::common::interaction::{ItemIndex, UserIndex};
use crate::data::progress::{Progress, Unit};
use crate::engine::model::{Question, Side, Sides};
use crate::engine::{EngineError, ROWS_PER_READ, Trainer};
use directions::{ITERATIONS, leading};
use effects::Effects;
use graph::Neighbours;

const SWEEPS: usize = 20;
/// A predicted target is kept so far from 0 and 1 when it becomes a logit.
const MARGIN: f64 = 0.01;

/// Training ratings: rows of users, items and targets, of equal length.
#[derive(Clone, Copy, Debug)]
pub struct Rated<'a> {
    pub users: &'a [UserIndex],
    pub items: &'a [ItemIndex],
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
) -> Sides<Vec<f32>> {
    assert!(rank > 0, "bias_centres: no direction");
    let mean = rated.targets.iter().copied().map(f64::from).sum::<f64>() / rated.targets.len().max(1) as f64;
    if mean <= 0.0 || mean >= 1.0 {
        // All targets are the same, or there are none: nothing departs from anything.
        return Sides([vec![0.0; users], vec![0.0; items]]);
    }
    let squares = rated.targets.iter().map(|&target| (f64::from(target) - mean).powi(2));
    let noise = squares.sum::<f64>() / rated.targets.len() as f64;
    let graph = [
        Neighbours::new(rated.users, rated.items, rated.targets, users),
        Neighbours::new(rated.items, rated.users, rated.targets, items),
    ];
    let rows = users + items;
    progress.begin("centres", Unit::Rows, Some(((ITERATIONS + SWEEPS) * rows) as u64));
    let [of_users, of_items] = leading(&graph, rank, seed, progress);
    let [by_user, by_item] = graph;
    let mut user = Effects::new(by_user, of_users, noise);
    let mut item = Effects::new(by_item, of_items, noise);
    for done in 1..=SWEEPS {
        item.fit(mean, &user.effects);
        user.fit(mean, &item.effects);
        progress.at(((ITERATIONS + done) * rows) as u64);
    }
    progress.end();
    let logit = |target: f64| (target / (1.0 - target)).ln();
    let [low, high] = [mean.min(MARGIN), mean.max(1.0 - MARGIN)];
    let in_logits = |centre: &f64| (logit((mean + centre).clamp(low, high)) - logit(mean)) as f32;
    Sides([user, item].map(|side| side.centres.iter().map(in_logits).collect()))
}

/// Starts the biases of an untrained engine at their centres: a row with few ratings hardly gets anywhere else.
pub fn start_at(centres: &Sides<Vec<f32>>, trainer: &mut dyn Trainer) -> Result<(), EngineError> {
    let Some(shape) = trainer.shape(Question::Rating) else {
        return Ok(());
    };
    let record_len = shape.record_len(trainer.schedule().optimizer());
    for side in Side::BOTH {
        for (block, centres) in centres[side].chunks(ROWS_PER_READ).enumerate() {
            if centres.iter().all(|&centre| centre == 0.0) {
                continue;
            }
            let mut records = vec![0.0; centres.len() * record_len];
            trainer.read_records(Question::Rating, side, block * ROWS_PER_READ, &mut records)?;
            for (record, &centre) in records.chunks_exact_mut(record_len).zip(centres) {
                record[0] = centre;
            }
            trainer.write_records(Question::Rating, side, block * ROWS_PER_READ, &records)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::{Purpose, stream};
    use crate::config::OptimizerChoice;
    use crate::data::progress::Silent;
    use crate::engine::TrainerSetup;
    use crate::engine::cpu::CpuTrainer;
    use crate::engine::model::ModelShape;
    use crate::engine::optimizer::LearningRate;
    use rand::RngExt;

    /// Two kinds of users and of items: nobody rates what is of the other kind, and the first kind is rated lower.
    fn two_kinds(users: u32, items: u32) -> (Vec<UserIndex>, Vec<ItemIndex>, Vec<f32>) {
        let pairs = (0..users).flat_map(|user| (0..items).map(move |item| (user, item)));
        let rated = pairs.filter(|(user, item)| user % 2 == item % 2 && !(user / 2 + item / 2).is_multiple_of(3));
        let (users, items): (Vec<_>, Vec<_>) = rated.map(|(user, item)| (UserIndex(user), ItemIndex(item))).unzip();
        let target = |(at, user): (usize, &UserIndex)| if user.0 % 2 == 0 { 0.2 } else { 0.8 } + 0.1 * (at % 3) as f32;
        let targets = users.iter().enumerate().map(target).collect();
        (users, items, targets)
    }

    #[test]
    fn a_row_with_one_rating_is_centred_with_its_kind() {
        let (mut users, mut items, mut targets) = two_kinds(40, 30);
        // Two new products, each rated once and alike: by one who rates products of the low kind, and by one of the high kind.
        for (user, item) in [(6, 30), (7, 31)] {
            users.push(UserIndex(user));
            items.push(ItemIndex(item));
            targets.push(0.6);
        }
        let rated = Rated {
            users: &users,
            items: &items,
            targets: &targets,
        };
        let Sides([of_users, of_items]) = bias_centres(rated, 41, 33, 4, 1, &Silent);
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
            choice: None,
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
            trainer.read_records(Question::Rating, side, 0, &mut records).unwrap();
            records
        };
        let mut trainer = CpuTrainer::new(&setup, 1);
        let centres = Sides::of(|side| (0..shape.rows(side)).map(|row| 0.5 - row as f32).collect::<Vec<_>>());
        let before = Sides::of(|side| records(&mut trainer, side));
        start_at(&centres, &mut trainer).unwrap();
        for side in Side::BOTH {
            let mut expected = before[side].clone();
            let rows = expected.chunks_exact_mut(shape.record_len(OptimizerChoice::Adam));
            rows.zip(&centres[side])
                .for_each(|(record, &centre)| record[0] = centre);
            assert!(records(&mut trainer, side) == expected, "{}", side.name());
        }
    }

    #[test]
    fn where_the_graph_tells_nothing_the_centres_are_zero() {
        let mut random = stream(9, Purpose::Centres, 1);
        let users: Vec<_> = (0..4000).map(|_| UserIndex(random.random_range(0..500))).collect();
        let items: Vec<_> = (0..4000).map(|_| ItemIndex(random.random_range(0..200))).collect();
        let targets: Vec<f32> = (0..4000).map(|_| random.random_range(0.3..0.9)).collect();
        let rated = Rated {
            users: &users,
            items: &items,
            targets: &targets,
        };
        let centres = bias_centres(rated, 500, 200, 16, 1, &Silent).0.concat();
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
            users.push(UserIndex(user));
            items.push(ItemIndex(item));
            targets.push(target);
        }
        let rated = Rated {
            users: &users,
            items: &items,
            targets: &targets,
        };
        let Sides([of_users, of_items]) = bias_centres(rated, 110, 24, 4, 1, &Silent);
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
        let (users, items, targets) = two_kinds(40, 30);
        let centres = |targets: &[f32], rank| {
            let rated = Rated {
                users: &users,
                items: &items,
                targets,
            };
            bias_centres(rated, 40, 30, rank, 1, &Silent).0.concat()
        };
        let wide = centres(&targets, 64);
        assert!(wide.iter().all(|centre| centre.is_finite()), "{wide:?}");
        let items = wide[40..].iter().enumerate();
        assert!(
            items.into_iter().all(|(row, &centre)| (centre < 0.0) == (row % 2 == 0)),
            "{wide:?}"
        );
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
}

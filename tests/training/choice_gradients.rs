//! The gradients of a step of choices against finite differences of their loss, number by number.
//!
//!     slope = (loss(x + H) - loss(x - H)) / 2 H        in f64, error about 1e-10 of a slope
//!
//! As in `gradients`: the loss is written down once more, from its definition, and after one step from a zero state
//! `m = (1 - beta1) g`.

use crate::{Engine, cpu, gpu, needs};
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::{ChoiceLoss, OptimizerChoice};
use dotcart::engine::TrainerSetup;
use dotcart::engine::choice::ChoiceSetup;
use dotcart::engine::model::{ModelShape, Question, ROW_HEADER, Side};
use dotcart::engine::optimizer::LearningRate;
use dotcart::engine::optimizer::adam::BETA1;
use dotcart::engine::plan::{ChoiceL2, ChoicePlan, Draws, PIECE, PlanChunk, Sample};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Half the width of a difference.
const H: f64 = 1e-5;
/// Largest gap allowed, of the largest slope: a device's exponential is good to some 1e-6.
const RTOL: f64 = 5e-6;

const USERS: usize = 7;
const ITEMS: usize = 11;
const BATCH: usize = 150;
const SHARE: f32 = 0.6;

#[test]
fn cpu_gradients_of_choices_are_the_slopes_of_the_loss() {
    check(cpu);
}

#[test]
fn gpu_gradients_of_choices_are_the_slopes_of_the_loss() {
    if needs::gpu().is_some() {
        check(gpu);
    }
}

/// Compares every gradient of one step, for each loss, without and with what draws rows to zero.
fn check(engine: Engine) {
    for loss in [ChoiceLoss::Softmax, ChoiceLoss::Bpr, ChoiceLoss::Bce] {
        for (dim, l2) in [(4, 0.0), (20, 0.03), (64, 0.03)] {
            check_scene(engine, loss, dim, l2);
        }
    }
}

fn check_scene(engine: Engine, loss: ChoiceLoss, dim: usize, l2: f32) {
    let (batch, draws) = (batch(), draws(loss));
    let model = model(dim);
    let (gradients, engine_loss) = engine_gradients(engine, loss, dim, l2, &batch, &draws, &model);
    let what = format!("{loss:?}, dim {dim}, l2 {l2}");

    let model: Vec<f64> = model.iter().map(|&x| x as f64).collect();
    let mean = |model: &[f64]| mean_loss(loss, model, dim, &batch, &draws);
    let expected = mean(&model);
    assert!(
        (engine_loss - expected).abs() < RTOL * expected,
        "{what}: the engine reports a loss of {engine_loss} for {expected}"
    );
    let all = |model: &[f64]| SHARE as f64 * mean(model) + l2 as f64 * mean_square(model, dim, &batch);
    let slopes: Vec<f64> = (0..model.len())
        .map(|index| {
            // A user has no bias here.
            if index < USERS * (1 + dim) && index.is_multiple_of(1 + dim) {
                return 0.0;
            }
            let at = |shift: f64| {
                let mut model = model.clone();
                model[index] += shift;
                all(&model)
            };
            (at(H) - at(-H)) / (2.0 * H)
        })
        .collect();
    let steepest = slopes.iter().fold(0.0f64, |most, slope| most.max(slope.abs()));
    for (index, (&gradient, &slope)) in gradients.iter().zip(&slopes).enumerate() {
        let gap = (gradient - slope).abs() / steepest;
        let (row, column) = (index / (1 + dim), index % (1 + dim));
        assert!(
            gap < RTOL,
            "{what}, row {row} (of {USERS} users and {ITEMS} items), column {column}: gradient {gradient} for a slope of \
             {slope}, gap {gap:.1e} of the steepest"
        );
    }
}

fn rows(model: &[f64], dim: usize, user: UserIndex, item: ItemIndex) -> [&[f64]; 2] {
    let row = |number: usize| &model[number * (1 + dim)..][..1 + dim];
    [row(user.index()), row(USERS + item.index())]
}

/// How much a user is drawn to an item; the rows of `model` are `bias | weight[dim]`, users first.
fn appeal(model: &[f64], dim: usize, user: UserIndex, item: ItemIndex) -> f64 {
    let [user, item] = rows(model, dim, user, item);
    let dot: f64 = user[1..].iter().zip(&item[1..]).map(|(a, b)| a * b).sum();
    dot + item[0]
}

/// The mean loss of the batch's choices, from its definition.
fn mean_loss(loss: ChoiceLoss, model: &[f64], dim: usize, batch: &[Sample], draws: &Draws) -> f64 {
    let softplus = |x: f64| (1.0 + x.exp()).ln();
    let losses = batch.iter().map(|sample| {
        let own = appeal(model, dim, sample.user, sample.item);
        let drawn = draws.items.iter().zip(&draws.offsets);
        let drawn = drawn.map(|(&item, &offset)| (appeal(model, dim, sample.user, item), offset as f64));
        let loss: f64 = match loss {
            ChoiceLoss::Softmax => {
                let others: f64 = drawn.map(|(score, offset)| (score + offset).exp()).sum();
                -(own.exp() / (own.exp() + others)).ln()
            }
            ChoiceLoss::Bpr => drawn.map(|(score, offset)| offset * softplus(score - own)).sum(),
            ChoiceLoss::Bce => softplus(-own) + drawn.map(|(score, offset)| offset * softplus(score)).sum::<f64>(),
        };
        sample.choice as f64 * loss
    });
    losses.sum::<f64>() / batch.len() as f64
}

/// The mean over the batch of the squared lengths of what was chosen, and of who chose it.
fn mean_square(model: &[f64], dim: usize, batch: &[Sample]) -> f64 {
    let squares = batch.iter().map(|sample| {
        let both = rows(model, dim, sample.user, sample.item);
        let squares: f64 = both.iter().flat_map(|row| &row[1..]).map(|x| x * x).sum();
        sample.choice as f64 * squares
    });
    squares.sum::<f64>() / batch.len() as f64
}

/// The gradients of one step in the order of `model`, and the loss that the engine reports for it.
fn engine_gradients(
    engine: Engine,
    loss: ChoiceLoss,
    dim: usize,
    l2: f32,
    batch: &[Sample],
    draws: &Draws,
    model: &[f32],
) -> (Vec<f64>, f64) {
    let mut trainer = engine(&TrainerSetup {
        shape: ModelShape {
            users: USERS,
            items: ITEMS,
            dim: 0,
        },
        choice: Some(ChoiceSetup {
            dim,
            loss,
            share: SHARE,
        }),
        seed: 0,
        steps: 1,
        learning_rate: LearningRate::constant(1e-3),
        optimizer: OptimizerChoice::Adam,
        // That of ratings.
        l2: 9.0,
        clip: 0.0,
        holds_scale: false,
    });
    let (users, items) = model.split_at(USERS * (1 + dim));
    for (side, table) in [(Side::User, users), (Side::Item, items)] {
        let records: Vec<f32> = table.chunks(1 + dim).flat_map(untrained_record).collect();
        trainer.write_records(Question::Choice, side, 0, &records).unwrap();
    }
    let mut chunk = PlanChunk::default();
    chunk.push_with(
        1,
        batch,
        None,
        Some(ChoicePlan {
            draws,
            l2: &ChoiceL2::even(l2),
        }),
    );
    let mut statistics = trainer.train(chunk).unwrap();
    statistics.extend(trainer.finish().unwrap());
    assert_eq!(
        statistics[0].choice_loss,
        Some(statistics[0].loss),
        "choices alone are learned"
    );

    let record_len = ROW_HEADER + 3 * dim;
    let mut m = Vec::new();
    for (side, rows) in [(Side::User, USERS), (Side::Item, ITEMS)] {
        let mut records = vec![0.0; rows * record_len];
        trainer.read_records(Question::Choice, side, 0, &mut records).unwrap();
        for record in records.chunks(record_len) {
            m.push(record[1]);
            m.extend(&record[ROW_HEADER + dim..][..dim]);
        }
    }
    let gradients = m.iter().map(|&m| m as f64 / (1.0 - BETA1)).collect();
    (gradients, statistics[0].loss as f64)
}

fn untrained_record(row: &[f32]) -> Vec<f32> {
    let dim = row.len() - 1;
    let mut record = vec![0.0; ROW_HEADER + 3 * dim];
    record[0] = row[0];
    record[ROW_HEADER..][..dim].copy_from_slice(&row[1..]);
    record
}

/// Rows far larger than a start, yet with appeals of at most a few units; users have no bias.
fn model(dim: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let size = 1.5 / (dim as f32).sqrt();
    let mut model: Vec<f32> = (0..(USERS + ITEMS) * (1 + dim))
        .map(|_| random.random_range(-size..size))
        .collect();
    model[..USERS * (1 + dim)]
        .chunks_mut(1 + dim)
        .for_each(|row| row[0] = 0.0);
    model
}

/// A user and an item with more than [`PIECE`] samples, choices that count in part or not at all; the last user and the last
/// item have no sample.
fn batch() -> Vec<Sample> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut or = |number: usize, every: usize, usual: u32, rows: usize| {
        let other = random.random_range(0..rows as u32 - 1);
        if number.is_multiple_of(every) { usual } else { other }
    };
    let batch: Vec<_> = (0..BATCH)
        .map(|number| Sample {
            user: UserIndex(or(number, 3, 2, USERS)),
            item: ItemIndex(or(number, 2, 5, ITEMS)),
            target: 0.5,
            weight: 1.0,
            choice: [1.0, 0.25, 0.0, 0.75][number / 2 % 4],
        })
        .collect();
    assert!(batch.iter().filter(|sample| sample.user.0 == 2).count() > PIECE);
    assert!(batch.iter().filter(|sample| sample.item.0 == 5).count() > 2 * PIECE);
    batch
}

/// Five items, among them the bestseller and one without a sample.
fn draws(loss: ChoiceLoss) -> Draws {
    Draws {
        items: [0, 3, 5, 8, ITEMS as u32 - 1].map(ItemIndex).to_vec(),
        offsets: match loss {
            ChoiceLoss::Softmax => vec![0.7, -0.4, -1.2, 0.0, 1.5],
            ChoiceLoss::Bpr | ChoiceLoss::Bce => vec![0.2, 0.2, 0.4, 0.1, 0.1],
        },
    }
}

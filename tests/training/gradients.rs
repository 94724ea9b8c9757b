//! The gradients of a step against finite differences of the loss, number by number.
//!
//!     slope = (loss(x + H) - loss(x - H)) / 2 H        in f64, error about 1e-10 of a slope
//!
//! The loss is written down once more here, from its definition. The engine shows no gradient, but after one step from a
//! zero state `m = (1 - beta1) g`, so its records give every one of them: embeddings, biases, scale and head bias.

use crate::{Engine, cpu, gpu, needs};
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::{OptimizerChoice, Prior};
use dotcart::engine::model::{Head, ModelShape, Question, ROW_HEADER, Side, Sides};
use dotcart::engine::optimizer::LearningRate;
use dotcart::engine::optimizer::adam::BETA1;
use dotcart::engine::plan::{EpochPrior, PIECE, PlanChunk, Sample};
use dotcart::engine::{HeadState, TrainerSetup};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Half the width of a difference.
const H: f64 = 1e-5;
/// Largest gap allowed, of the largest slope: some 60 terms are summed in f32, each good to 6e-8.
const RTOL: f64 = 2e-6;

const USERS: usize = 7;
const ITEMS: usize = 11;
const BATCH: usize = 150;
const L2: f32 = 0.03;
const PRIOR: Prior = Prior {
    bias: 0.7,
    embedding: 2.0,
    centre_rank: 1,
};

#[test]
fn cpu_gradients_are_the_slopes_of_the_loss() {
    check(cpu);
}

#[test]
fn gpu_gradients_are_the_slopes_of_the_loss() {
    if needs::gpu().is_some() {
        check(gpu);
    }
}

/// Compares every gradient of one step, without and with what draws rows to zero, at dims around the widths that kernels are
/// cut to.
pub fn check(engine: Engine) {
    for dim in [4, 20, 64] {
        for (l2, prior) in [(0.0, Prior::NONE), (L2, Prior::NONE), (0.0, PRIOR), (L2, PRIOR)] {
            check_scene(engine, dim, l2, prior);
        }
    }
}

fn check_scene(engine: Engine, dim: usize, l2: f32, prior: Prior) {
    let shape = ModelShape {
        users: USERS,
        items: ITEMS,
        dim,
    };
    let (batch, epoch) = (batch(), epoch());
    let model = model(&shape);
    let (gradients, engine_loss) = engine_gradients(engine, shape, l2, prior, &batch, &model);

    let model: Vec<f64> = model.iter().map(|&x| x as f64).collect();
    let cross_entropy = loss(&model, &batch, dim, |_, _, _| 0.0);
    assert!(
        (engine_loss - cross_entropy).abs() < RTOL * cross_entropy,
        "dim {dim}: the engine reports a loss of {engine_loss} for {cross_entropy}"
    );
    // A row's prior is spread over its samples of the epoch.
    let centres = centres();
    let decay = |side: Side, sample: &Sample, row: &[f64]| {
        let of_row = epoch.iter().filter(|other| other.row(side) == sample.row(side));
        let samples = of_row.count() as f64;
        let [bias, embedding] = [row[0], row[1..].iter().map(|x| x * x).sum::<f64>().sqrt()];
        let centre = centres[side][sample.row(side) as usize] as f64;
        l2 as f64 * (bias.powi(2) + embedding.powi(2))
            + (prior.bias * (bias - centre).powi(2) + prior.embedding * embedding.powi(2)) / samples
    };
    let scale = model.len() - 2;
    let slopes: Vec<f64> = (0..model.len())
        .map(|index| {
            if index == scale && prior.is_set() {
                return 0.0;
            }
            let loss_at = |shift: f64| {
                let mut model = model.clone();
                model[index] += shift;
                loss(&model, &batch, dim, decay)
            };
            (loss_at(H) - loss_at(-H)) / (2.0 * H)
        })
        .collect();
    let steepest = slopes.iter().fold(0.0f64, |most, slope| most.max(slope.abs()));
    for (index, (&gradient, &slope)) in gradients.iter().zip(&slopes).enumerate() {
        let gap = (gradient - slope).abs() / steepest;
        assert!(
            gap < RTOL,
            "dim {dim}, l2 {l2}, {prior:?}, {}: gradient {gradient} for a slope of {slope}, gap {gap:.1e} of the steepest",
            name(index, dim)
        );
    }
}

/// Where the priors of the biases are centred.
fn centres() -> Sides<Vec<f32>> {
    Sides([USERS, ITEMS].map(|rows| (0..rows).map(|row| 0.2 * (row % 5) as f32 - 0.3).collect()))
}

/// The mean loss of a batch, from its definition. `model` holds users, items, scale, bias; a row is `bias | weight[dim]`;
/// `decay` is what a row adds to the loss of each of its samples.
fn loss(model: &[f64], batch: &[Sample], dim: usize, decay: impl Fn(Side, &Sample, &[f64]) -> f64) -> f64 {
    let (rows, head) = model.split_at(model.len() - 2);
    let (users, items) = rows.split_at(USERS * (1 + dim));
    let losses = batch.iter().map(|sample| {
        let user = &users[sample.user.index() * (1 + dim)..][..1 + dim];
        let item = &items[sample.item.index() * (1 + dim)..][..1 + dim];
        let dot: f64 = user[1..].iter().zip(&item[1..]).map(|(a, b)| a * b).sum();
        let z = head[0] * (dot + user[0] + item[0]) + head[1];
        let score = 1.0 / (1.0 + (-z).exp());
        let target = sample.target as f64;
        let cross_entropy = -(target * score.ln() + (1.0 - target) * (1.0 - score).ln());
        let decays = [(Side::User, user), (Side::Item, item)].map(|(side, row)| decay(side, sample, row));
        sample.weight as f64 * cross_entropy + decays[0] + decays[1]
    });
    losses.sum::<f64>() / batch.len() as f64
}

/// The gradients of one step in the order of `model`, and the loss that the engine reports for it.
fn engine_gradients(
    engine: Engine,
    shape: ModelShape,
    l2: f32,
    prior: Prior,
    batch: &[Sample],
    model: &[f32],
) -> (Vec<f64>, f64) {
    let mut trainer = engine(&TrainerSetup {
        shape,
        choice: None,
        seed: 0,
        steps: 1,
        learning_rate: LearningRate::constant(1e-3),
        optimizer: OptimizerChoice::Adam,
        l2,
        clip: 0.0,
        holds_scale: prior.is_set(),
    });
    let (rows, head) = model.split_at(model.len() - 2);
    let (users, items) = rows.split_at(USERS * (1 + shape.dim));
    for (side, table) in [(Side::User, users), (Side::Item, items)] {
        let records: Vec<f32> = table.chunks(1 + shape.dim).flat_map(untrained_record).collect();
        trainer.write_records(Question::Rating, side, 0, &records).unwrap();
    }
    let head = Head {
        scale: head[0],
        bias: head[1],
    };
    trainer.set_head(HeadState::at(head), 0).unwrap();

    let centres = centres();
    let prior = prior.is_set().then(|| EpochPrior::new(prior, &centres, &epoch()));
    let mut chunk = PlanChunk::default();
    chunk.push_with(1, batch, prior.as_ref(), None);
    let mut statistics = trainer.train(chunk).unwrap();
    statistics.extend(trainer.finish().unwrap());

    let mut m = Vec::new();
    for side in Side::BOTH {
        let mut records = vec![0.0; shape.rows(side) * shape.record_len(OptimizerChoice::Adam)];
        trainer.read_records(Question::Rating, side, 0, &mut records).unwrap();
        for record in records.chunks(shape.record_len(OptimizerChoice::Adam)) {
            m.push(record[1]);
            m.extend(&record[ROW_HEADER + shape.dim..][..shape.dim]);
        }
    }
    let head = trainer.head().unwrap();
    m.extend([head.scale.m, head.bias.m]);
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

/// Numbers far larger than a start, yet with scores far from 0 and 1, where a slope could hide.
fn model(shape: &ModelShape) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let size = 1.0 / (shape.dim as f32).sqrt();
    let rows = (shape.users + shape.items) * (1 + shape.dim);
    let mut model: Vec<f32> = (0..rows).map(|_| random.random_range(-size..size)).collect();
    model.extend([1.4, -0.3]);
    model
}

/// Weights from 0.25 to 2; a user and an item with more than [`PIECE`] samples; the last user and item have none.
fn batch() -> Vec<Sample> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let batch: Vec<_> = (0..BATCH)
        .map(|number| Sample {
            user: UserIndex(if number % 3 == 0 {
                2
            } else {
                random.random_range(0..USERS as u32 - 1)
            }),
            item: ItemIndex(if number % 2 == 0 {
                5
            } else {
                random.random_range(0..ITEMS as u32 - 1)
            }),
            target: random.random_range(0..5) as f32 / 4.0,
            weight: [0.25, 1.0, 2.0][random.random_range(0..3)],
            choice: 0.0,
        })
        .collect();
    assert!(batch.iter().filter(|sample| sample.user.0 == 2).count() > PIECE);
    assert!(batch.iter().filter(|sample| sample.item.0 == 5).count() > 2 * PIECE);
    batch
}

/// The epoch that the batch is from: a third as much again of the same rows, differently often.
fn epoch() -> Vec<Sample> {
    let mut epoch = batch();
    epoch.extend_from_within(..BATCH / 3);
    epoch
}

/// A number of the model in words.
fn name(index: usize, dim: usize) -> String {
    let rows = (USERS + ITEMS) * (1 + dim);
    let (row, column) = (index / (1 + dim), index % (1 + dim));
    let part = if column == 0 {
        "bias".into()
    } else {
        format!("weight {}", column - 1)
    };
    match index {
        _ if index == rows => "scale".into(),
        _ if index > rows => "head bias".into(),
        _ if row < USERS => format!("{part} of user {row}"),
        _ => format!("{part} of item {}", row - USERS),
    }
}

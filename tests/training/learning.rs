//! Does it learn what there is to learn? A planted world whose answer is known, and a loss trace that numpy wrote.

use crate::{Engine, cpu, gpu, needs, train};
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::OptimizerChoice;
use dotcart::engine::cpu::CpuScorer;
use dotcart::engine::model::ModelShape;
use dotcart::engine::optimizer::LearningRate;
use dotcart::engine::plan::Sample;
use dotcart::engine::{Query, Scorer, TrainerSetup, export};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

#[test]
fn cpu_finds_the_withheld_item_of_every_user() {
    checkerboard(cpu);
}

#[test]
fn cpu_loses_as_numpy_does() {
    golden_trace(cpu);
}

#[test]
fn gpu_loses_as_numpy_does() {
    if needs::gpu().is_some() {
        golden_trace(gpu);
    }
}

#[test]
fn gpu_finds_the_withheld_item_of_every_user() {
    if needs::gpu().is_some() {
        checkerboard(gpu);
    }
}

const USERS: u32 = 60;
const ITEMS: u32 = 50;
const EPOCHS: usize = 30;
const BATCH: usize = 128;

/// Users like the items of their own parity. One liked item and half of the others are withheld from each: after training
/// the liked one must rank first of these 13 or 14, for every user. Guessing finds it for 4 or 5 of the 60.
pub fn checkerboard(engine: Engine) {
    let withheld = |user: u32, item: u32| {
        let liked = user % 2 == item % 2;
        if liked {
            item / 2 == user % (ITEMS / 2)
        } else {
            (user / 2 + item / 2).is_multiple_of(2)
        }
    };
    let items = (0..ITEMS).map(ItemIndex);
    let seen: Vec<Vec<_>> = (0..USERS)
        .map(|user| items.clone().filter(|item| !withheld(user, item.0)).collect())
        .collect();
    let mut samples: Vec<Sample> = (0..USERS)
        .flat_map(|user| seen[user as usize].iter().map(move |&item| (user, item)))
        .map(|(user, item)| Sample {
            user: UserIndex(user),
            item,
            target: if user % 2 == item.0 % 2 { 1.0 } else { 0.25 },
            weight: 1.0,
            choice: 0.0,
        })
        .collect();

    let setup = TrainerSetup {
        shape: ModelShape {
            users: USERS as usize,
            items: ITEMS as usize,
            dim: 8,
        },
        choice: None,
        seed: 1,
        steps: EPOCHS * samples.len().div_ceil(BATCH),
        learning_rate: LearningRate::constant(1e-2),
        optimizer: OptimizerChoice::Adam,
        l2: 0.0,
        clip: 0.0,
        holds_scale: false,
    };
    let mut trainer = engine(&setup);
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..EPOCHS {
        samples.shuffle(&mut random);
        let batches: Vec<_> = samples.chunks(BATCH).map(<[Sample]>::to_vec).collect();
        train(trainer.as_mut(), &batches, 4);
    }

    let model = export(trainer.as_mut()).unwrap();
    let queries: Vec<_> = seen
        .iter()
        .zip((0..).map(UserIndex))
        .map(|(seen, user)| Query {
            user: model.user(user),
            seen,
        })
        .collect();
    let ranked = CpuScorer::new(&model, 2).top_k(&queries, 1).unwrap();
    let missed: Vec<_> = (0..USERS)
        .filter(|&user| {
            let first = ranked[user as usize][0].item.0;
            !(withheld(user, first) && user % 2 == first % 2)
        })
        .collect();
    assert!(
        missed.is_empty(),
        "the withheld item does not come first for users {missed:?}"
    );
}

/// What `scripts/make_golden_trace.py` wrote.
#[derive(Deserialize)]
struct Trace {
    users: usize,
    items: usize,
    dim: usize,
    seed: u64,
    learning_rate: f64,
    l2: f32,
    /// (user, item, target, weight) of each sample.
    batches: Vec<Vec<(u32, u32, f32, f32)>>,
    /// Before each step.
    losses: Vec<f64>,
    /// Scale and bias after the last.
    head: [f64; 2],
}

/// f32 against f64: a loss near 0.7 is good to 1e-7, and ten steps of 0.05 carry a relative 1e-6 into the weights.
const TRACE_RTOL: f64 = 1e-5;

/// Ten losses and the head that they lead to. Rows are absent from most steps, so the catch-up takes part.
pub fn golden_trace(engine: Engine) {
    let trace: Trace = serde_json::from_str(include_str!("golden_trace.json")).unwrap();
    let mut trainer = engine(&TrainerSetup {
        shape: ModelShape {
            users: trace.users,
            items: trace.items,
            dim: trace.dim,
        },
        choice: None,
        seed: trace.seed,
        steps: trace.batches.len(),
        learning_rate: LearningRate::constant(trace.learning_rate),
        optimizer: OptimizerChoice::Adam,
        l2: trace.l2,
        clip: 0.0,
        holds_scale: false,
    });
    let sample = |&(user, item, target, weight)| Sample {
        user: UserIndex(user),
        item: ItemIndex(item),
        target,
        weight,
        choice: 0.0,
    };
    let batches: Vec<Vec<_>> = trace
        .batches
        .iter()
        .map(|batch| batch.iter().map(sample).collect())
        .collect();

    let statistics = train(trainer.as_mut(), &batches, 4);

    assert_eq!(statistics.len(), trace.losses.len());
    for (statistics, &expected) in statistics.iter().zip(&trace.losses) {
        let gap = (statistics.loss as f64 / expected - 1.0).abs();
        assert!(
            gap < TRACE_RTOL,
            "step {}: loss {} where numpy has {expected}, gap {gap:.1e}",
            statistics.step,
            statistics.loss
        );
    }
    let head = trainer.head().unwrap();
    for (name, ours, expected) in [
        ("scale", head.scale.value, trace.head[0]),
        ("bias", head.bias.value, trace.head[1]),
    ] {
        let gap = (ours as f64 / expected - 1.0).abs();
        assert!(
            gap < TRACE_RTOL,
            "{name}: {ours} where numpy has {expected}, gap {gap:.1e}"
        );
    }
}

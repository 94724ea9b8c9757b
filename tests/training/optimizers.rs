//! Where does each optimiser lead? Thousands of steps by PyTorch in float64, with learning-rate curves, reductions, clipping
//! and l2, followed step by step; and the same with a stop in the middle.

use crate::{Engine, cpu, gpu, needs, train};
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::{LearningRateCurve, OptimizerChoice};
use dotcart::engine::model::{ModelShape, Question, ROW_HEADER, Side};
use dotcart::engine::optimizer::{LearningRate, Reduction};
use dotcart::engine::plan::Sample;
use dotcart::engine::{Trainer, TrainerSetup, export, reduce_learning_rate};
use serde::Deserialize;

/// What `scripts/make_golden_optimizers.py` wrote.
#[derive(Deserialize)]
struct Golden {
    users: usize,
    items: usize,
    dim: usize,
    batch: usize,
    seed: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    optimizer: OptimizerChoice,
    rate: f64,
    steps: usize,
    curve: LearningRateCurve,
    warmup: usize,
    reductions: Vec<(u32, f64)>,
    clip: f32,
    l2: f32,
    snapshots: Vec<Snapshot>,
}

/// Rows are `bias | weight[dim]`.
#[derive(Deserialize)]
struct Snapshot {
    step: u32,
    users: Vec<Vec<f64>>,
    items: Vec<Vec<f64>>,
    head: [f64; 2],
}

/// Largest difference allowed, of the largest number that PyTorch arrives at. Measured: 4e-5 (Adam, 5,000 steps at a constant
/// rate; 6e-5 on a device), below 3e-6 wherever the rate falls.
const BOUND: f64 = 2e-4;

#[test]
fn cpu_goes_where_pytorch_goes() {
    for case in golden().cases {
        follow(cpu, &case);
    }
}

#[test]
fn gpu_goes_where_pytorch_goes() {
    if needs::gpu().is_some() {
        // The other optimisers and clipping have no shader yet.
        let cases = golden().cases.into_iter();
        for case in cases.filter(|case| case.optimizer.has_moments() && case.clip == 0.0) {
            follow(gpu, &case);
        }
    }
}

#[test]
fn a_stop_in_the_middle_changes_no_byte() {
    for case in golden().cases {
        let golden = golden();
        let setup = setup(&golden, &case);
        let mut whole = cpu(&setup);
        let mut first = cpu(&setup);
        // After a reduction of the learning rate, where there is one.
        let stop = case.reductions.first().map_or(150, |reduction| reduction.0 + 100);
        let end = stop + 100;
        advance(whole.as_mut(), &golden, &case, end);
        advance(first.as_mut(), &golden, &case, stop);
        let mut second = cpu(&setup);
        resume(first.as_mut(), second.as_mut());
        advance(second.as_mut(), &golden, &case, end);
        for side in Side::BOTH {
            assert!(
                records(whole.as_mut(), side) == records(second.as_mut(), side),
                "{}: {} records differ after a stop",
                case.name,
                side.name()
            );
        }
        assert_eq!(whole.head().unwrap(), second.head().unwrap(), "{}", case.name);
    }
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden_optimizers.json")).unwrap()
}

fn setup(golden: &Golden, case: &Case) -> TrainerSetup {
    TrainerSetup {
        shape: ModelShape {
            users: golden.users,
            items: golden.items,
            dim: golden.dim,
        },
        choice: None,
        seed: golden.seed,
        steps: case.steps,
        learning_rate: LearningRate {
            base: case.rate,
            curve: case.curve,
            warmup_steps: case.warmup,
            reductions: Vec::new(),
        },
        optimizer: case.optimizer,
        l2: case.l2,
        clip: case.clip,
        holds_scale: false,
    }
}

/// Trains up to the end of step `end`, with the reductions of the case where they come.
fn advance(trainer: &mut dyn Trainer, golden: &Golden, case: &Case, end: u32) {
    while trainer.step() < end {
        let here = trainer.step();
        if let Some(&(_, factor)) = case.reductions.iter().find(|reduction| reduction.0 == here) {
            reduce_learning_rate(trainer, factor).unwrap();
        }
        let next = case
            .reductions
            .iter()
            .map(|reduction| reduction.0)
            .find(|&step| step > here);
        let until = end.min(next.unwrap_or(end));
        let batches: Vec<_> = (here + 1..=until).map(|step| batch_of(golden, step)).collect();
        train(trainer, &batches, 64);
    }
}

fn follow(engine: Engine, case: &Case) {
    let golden = golden();
    let mut trainer = engine(&setup(&golden, case));
    for snapshot in &case.snapshots {
        advance(trainer.as_mut(), &golden, case, snapshot.step);
        let model = export(trainer.as_mut()).unwrap();
        let rows = |table: &[f32]| -> Vec<Vec<f64>> {
            table
                .chunks(ROW_HEADER + golden.dim)
                .map(|row| {
                    [&row[..1], &row[ROW_HEADER..]]
                        .concat()
                        .iter()
                        .map(|&x| x as f64)
                        .collect()
                })
                .collect()
        };
        let (mut farthest, mut gap) = (0.0f64, 0.0f64);
        let head = vec![vec![model.head.scale as f64, model.head.bias as f64]];
        for (ours, theirs) in [
            (rows(&model.users), &snapshot.users),
            (rows(&model.items), &snapshot.items),
            (head, &vec![snapshot.head.to_vec()]),
        ] {
            for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
                farthest = farthest.max(theirs.abs());
                gap = gap.max((ours - theirs).abs());
            }
        }
        assert!(
            gap < BOUND * farthest,
            "{}, step {}: {:.1e} of the distance from PyTorch",
            case.name,
            snapshot.step,
            gap / farthest
        );
    }
}

/// Carries one training's state into another, as a checkpoint does.
fn resume(from: &mut dyn Trainer, to: &mut dyn Trainer) {
    for side in Side::BOTH {
        to.write_records(Question::Rating, side, 0, &records(from, side))
            .unwrap();
    }
    let mut schedule = to.schedule().clone();
    for &Reduction { after_step, factor } in &from.schedule().learning_rate().reductions {
        schedule = schedule.reduced(after_step, factor);
    }
    to.set_schedule(schedule).unwrap();
    to.set_head(from.head().unwrap(), from.step()).unwrap();
}

fn records(trainer: &mut dyn Trainer, side: Side) -> Vec<f32> {
    let shape = trainer.shape(Question::Rating).unwrap();
    let mut records = vec![0.0; shape.rows(side) * shape.record_len(trainer.schedule().optimizer())];
    trainer.read_records(Question::Rating, side, 0, &mut records).unwrap();
    records
}

/// The samples of a step, as the script makes them.
fn batch_of(golden: &Golden, step: u32) -> Vec<Sample> {
    pairs_of(golden.users, golden.items, golden.batch, step)
        .map(|(user, item, target)| Sample {
            user,
            item,
            target,
            weight: 1.0,
            choice: 0.0,
        })
        .collect()
}

/// User, item and target of each sample of a step, as the scripts make them.
pub fn pairs_of(
    users: usize,
    items: usize,
    batch: usize,
    step: u32,
) -> impl Iterator<Item = (UserIndex, ItemIndex, f32)> {
    (0..batch).map(move |number| {
        let number = split_mix(u64::from(step) * batch as u64 + number as u64);
        let part = |shift: u32| (number >> shift) & 0xFFFF;
        let user = part(0) % (1 + part(16) % users as u64);
        let item = part(32) % (1 + part(48) % items as u64);
        let target = [0.0, 0.25, 0.75, 1.0][(31 * user + 17 * item) as usize % 4];
        (UserIndex(user as u32), ItemIndex(item as u32), target)
    })
}

/// SplitMix64: one step of the generator.
pub fn split_mix(state: u64) -> u64 {
    let mut state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

//! What must not change a single bit of a training: looking at it, cutting it differently, moving it, more threads.
//!
//! Compared are the raw records of both tables and the head, optimiser state included, after all steps.

use crate::{Engine, cpu, gpu, needs, train};
use dotcart::config::OptimizerChoice;
use dotcart::engine::cpu::CpuTrainer;
use dotcart::engine::cpu::instruction_set::InstructionSet;
use dotcart::engine::model::{ModelShape, Question, Side};
use dotcart::engine::optimizer::LearningRate;
use dotcart::engine::plan::Sample;
use dotcart::engine::{StepStatistics, Trainer, TrainerSetup, export};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// More rows than one task takes on, and more samples than one group sums.
const USERS: usize = 3_000;
const ITEMS: usize = 900;
const BATCH: usize = 1_000;
const STEPS: usize = 21;

const SETUP: TrainerSetup = TrainerSetup {
    shape: ModelShape {
        users: USERS,
        items: ITEMS,
        dim: 20,
    },
    choice: None,
    seed: 3,
    steps: STEPS,
    learning_rate: LearningRate::constant(1e-2),
    optimizer: OptimizerChoice::Adam,
    l2: 1e-3,
    clip: 0.0,
    holds_scale: false,
};

#[test]
fn looking_changes_nothing_on_cpu() {
    looking_changes_nothing(cpu);
}

#[test]
fn chunks_change_nothing_on_cpu() {
    chunks_change_nothing(cpu);
}

#[test]
fn moving_house_changes_nothing_on_cpu() {
    moving_house_changes_nothing(cpu);
}

#[test]
fn threads_change_nothing_on_cpu() {
    let on_threads = |threads| {
        let mut trainer = CpuTrainer::new(&SETUP, threads);
        let statistics = train(&mut trainer, &batches(), 3);
        (state(&mut trainer), statistics)
    };
    assert_same(&on_threads(1), &on_threads(2), "1 thread", "2 threads");
    assert_same(&on_threads(1), &on_threads(5), "1 thread", "5 threads");
}

#[test]
fn instructions_change_nothing_on_cpu() {
    use OptimizerChoice::{Adagrad, Adam, LazyAdam, Sgd};
    for optimizer in [Adam, LazyAdam, Adagrad, Sgd] {
        let with = |instructions| {
            let mut trainer = CpuTrainer::new(&TrainerSetup { optimizer, ..SETUP }, 2).with_instructions(instructions);
            let statistics = train(&mut trainer, &batches(), 3);
            (state(&mut trainer), statistics)
        };
        for instructions in InstructionSet::available() {
            assert_same(
                &with(InstructionSet::Baseline),
                &with(instructions),
                "baseline",
                &format!("{optimizer:?} with {instructions:?}"),
            );
        }
    }
}

#[test]
fn looking_changes_nothing_on_gpu() {
    if needs::gpu().is_some() {
        looking_changes_nothing(gpu);
    }
}

#[test]
fn chunks_change_nothing_on_gpu() {
    if needs::gpu().is_some() {
        chunks_change_nothing(gpu);
    }
}

#[test]
fn moving_house_changes_nothing_on_gpu() {
    if needs::gpu().is_some() {
        moving_house_changes_nothing(gpu);
    }
}

/// Exports, scores and reads after every third step.
pub fn looking_changes_nothing(engine: Engine) {
    let mut trainer = engine(&SETUP);
    let mut statistics = Vec::new();
    for batches in batches().chunks(3) {
        statistics.extend(train(trainer.as_mut(), batches, 3));
        export(trainer.as_mut()).unwrap();
        trainer.score_pairs(&[0, 1, 2_999], &[899, 0, 5]).unwrap();
        state(trainer.as_mut());
    }
    assert_same(
        &undisturbed(engine),
        &(state(trainer.as_mut()), statistics),
        "left alone",
        "looked at",
    );
}

/// Hands the same steps over in chunks of 1, 3 and 7.
pub fn chunks_change_nothing(engine: Engine) {
    for steps_per_chunk in [1, 3, 7] {
        let mut trainer = engine(&SETUP);
        let statistics = train(trainer.as_mut(), &batches(), steps_per_chunk);
        let cut = format!("chunks of {steps_per_chunk}");
        assert_same(
            &undisturbed(engine),
            &(state(trainer.as_mut()), statistics),
            "one chunk",
            &cut,
        );
    }
}

/// Carries the state to a fresh engine in the middle, as a checkpoint does.
pub fn moving_house_changes_nothing(engine: Engine) {
    let batches = batches();
    let (before, after) = batches.split_at(10);
    let mut old = engine(&SETUP);
    let mut statistics = train(old.as_mut(), before, 10);

    let mut new = engine(&TrainerSetup { seed: 99, ..SETUP });
    let [users, items, _] = tables(old.as_mut());
    new.write_records(Question::Rating, Side::User, 0, &users).unwrap();
    new.write_records(Question::Rating, Side::Item, 0, &items).unwrap();
    new.set_head(old.head().unwrap(), old.step()).unwrap();
    statistics.extend(train(new.as_mut(), after, 11));

    assert_same(
        &undisturbed(engine),
        &(state(new.as_mut()), statistics),
        "one engine",
        "two engines",
    );
}

/// The bits of users, items and head, and what the steps reported.
type Outcome = ([Vec<u32>; 3], Vec<StepStatistics>);

fn undisturbed(engine: Engine) -> Outcome {
    let mut trainer = engine(&SETUP);
    let statistics = train(trainer.as_mut(), &batches(), STEPS);
    (state(trainer.as_mut()), statistics)
}

fn state(trainer: &mut dyn Trainer) -> [Vec<u32>; 3] {
    tables(trainer).map(|words| words.iter().map(|word| word.to_bits()).collect())
}

fn tables(trainer: &mut dyn Trainer) -> [Vec<f32>; 3] {
    let [users, items] = Side::BOTH.map(|side| {
        let shape = trainer.shape(Question::Rating).unwrap();
        let mut records = vec![0.0; shape.rows(side) * shape.record_len(trainer.schedule().optimizer())];
        trainer.read_records(Question::Rating, side, 0, &mut records).unwrap();
        records
    });
    [users, items, trainer.head().unwrap().to_vec()]
}

fn assert_same(one: &Outcome, other: &Outcome, one_name: &str, other_name: &str) {
    for ((one, other), part) in one.0.iter().zip(&other.0).zip(["users", "items", "head"]) {
        let differ = one.iter().zip(other).filter(|(one, other)| one != other).count();
        let words = one.len();
        assert_eq!(
            differ, 0,
            "{one_name} and {other_name} differ in {differ} of {words} words of {part}"
        );
    }
    assert_eq!(one.1, other.1, "{one_name} and {other_name} report different steps");
}

/// Rare and popular rows, some popular enough to be summed in pieces.
fn batches() -> Vec<Vec<Sample>> {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut sample = || {
        let mut zipf = |rows: usize| (rows as f64).powf(random.random::<f64>()) as u32 - 1;
        Sample {
            user: zipf(USERS),
            item: zipf(ITEMS),
            target: random.random(),
            weight: random.random(),
            choice: 0.0,
        }
    };
    (0..STEPS).map(|_| (0..BATCH).map(|_| sample()).collect()).collect()
}

//! What must not change a single bit of a training: looking at it, cutting it differently, moving it, more threads.
//!
//! Compared are the raw records of both tables and the head, optimiser state included, after all steps.

use crate::{Engine, cpu, gpu, needs, train};
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::{ChoiceLoss, OptimizerChoice};
use dotcart::engine::choice::ChoiceSetup;
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

fn with_choices() -> TrainerSetup {
    TrainerSetup {
        choice: Some(ChoiceSetup {
            dim: 20,
            loss: ChoiceLoss::Softmax,
            share: 0.4,
        }),
        ..SETUP
    }
}

#[test]
fn looking_changes_nothing_on_cpu() {
    looking_changes_nothing(cpu, &SETUP);
    looking_changes_nothing(cpu, &with_choices());
}

#[test]
fn chunks_change_nothing_on_cpu() {
    chunks_change_nothing(cpu, &SETUP);
    chunks_change_nothing(cpu, &with_choices());
}

#[test]
fn moving_house_changes_nothing_on_cpu() {
    moving_house_changes_nothing(cpu, &SETUP);
    moving_house_changes_nothing(cpu, &with_choices());
}

#[test]
fn threads_change_nothing_on_cpu() {
    for setup in [SETUP, with_choices()] {
        let on_threads = |threads| {
            let mut trainer = CpuTrainer::new(&setup, threads);
            let statistics = train(&mut trainer, &batches(), 3);
            (state(&mut trainer), statistics)
        };
        assert_same(&on_threads(1), &on_threads(2), "1 thread", "2 threads");
        assert_same(&on_threads(1), &on_threads(5), "1 thread", "5 threads");
    }
}

#[test]
fn instructions_change_nothing_on_cpu() {
    for optimizer in OptimizerChoice::all() {
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
fn instructions_that_fuse_change_nothing_where_choices_are_learned() {
    let mut fusing = InstructionSet::available();
    fusing.retain(|instructions| instructions.fuses());
    for loss in [ChoiceLoss::Softmax, ChoiceLoss::Bpr, ChoiceLoss::Bce] {
        let mut setup = with_choices();
        setup.choice.as_mut().expect("choices are learned").loss = loss;
        let with = |instructions| {
            let mut trainer = CpuTrainer::new(&setup, 2).with_instructions(instructions);
            let statistics = train(&mut trainer, &batches(), 3);
            (state(&mut trainer), statistics)
        };
        let all: Vec<_> = fusing.iter().map(|&instructions| with(instructions)).collect();
        for (instructions, other) in fusing.iter().zip(&all).skip(1) {
            let what = format!("{loss:?} with {instructions:?}");
            assert_same(&all[0], other, &format!("{:?}", fusing[0]), &what);
        }
    }
}

#[test]
fn looking_changes_nothing_on_gpu() {
    if needs::gpu().is_some() {
        looking_changes_nothing(gpu, &SETUP);
        looking_changes_nothing(gpu, &with_choices());
    }
}

#[test]
fn chunks_change_nothing_on_gpu() {
    if needs::gpu().is_some() {
        chunks_change_nothing(gpu, &SETUP);
        chunks_change_nothing(gpu, &with_choices());
    }
}

#[test]
fn moving_house_changes_nothing_on_gpu() {
    if needs::gpu().is_some() {
        moving_house_changes_nothing(gpu, &SETUP);
        moving_house_changes_nothing(gpu, &with_choices());
    }
}

/// Exports, scores and reads after every third step.
pub fn looking_changes_nothing(engine: Engine, setup: &TrainerSetup) {
    let mut trainer = engine(setup);
    let mut statistics = Vec::new();
    for batches in batches().chunks(3) {
        statistics.extend(train(trainer.as_mut(), batches, 3));
        export(trainer.as_mut()).unwrap();
        let (users, items) = ([0, 1, 2_999].map(UserIndex), [899, 0, 5].map(ItemIndex));
        trainer.score_pairs(&users, &items).unwrap();
        state(trainer.as_mut());
    }
    assert_same(
        &undisturbed(engine, setup),
        &(state(trainer.as_mut()), statistics),
        "left alone",
        "looked at",
    );
}

/// Hands the same steps over in chunks of 1, 3 and 7.
pub fn chunks_change_nothing(engine: Engine, setup: &TrainerSetup) {
    for steps_per_chunk in [1, 3, 7] {
        let mut trainer = engine(setup);
        let statistics = train(trainer.as_mut(), &batches(), steps_per_chunk);
        let cut = format!("chunks of {steps_per_chunk}");
        assert_same(
            &undisturbed(engine, setup),
            &(state(trainer.as_mut()), statistics),
            "one chunk",
            &cut,
        );
    }
}

/// Carries the state to a fresh engine in the middle, as a checkpoint does.
pub fn moving_house_changes_nothing(engine: Engine, setup: &TrainerSetup) {
    let batches = batches();
    let (before, after) = batches.split_at(10);
    let mut old = engine(setup);
    let mut statistics = train(old.as_mut(), before, 10);

    let mut new = engine(&TrainerSetup {
        seed: 99,
        ..setup.clone()
    });
    for (question, side) in asked(old.as_ref()) {
        let records = table(old.as_mut(), question, side);
        new.write_records(question, side, 0, &records).unwrap();
    }
    new.set_head(old.head().unwrap(), old.step()).unwrap();
    statistics.extend(train(new.as_mut(), after, 11));

    assert_same(
        &undisturbed(engine, setup),
        &(state(new.as_mut()), statistics),
        "one engine",
        "two engines",
    );
}

/// The bits of each table and of the head, and what the steps reported.
type Outcome = (Vec<(String, Vec<u32>)>, Vec<StepStatistics>);

fn undisturbed(engine: Engine, setup: &TrainerSetup) -> Outcome {
    let mut trainer = engine(setup);
    let statistics = train(trainer.as_mut(), &batches(), STEPS);
    (state(trainer.as_mut()), statistics)
}

/// The tables of all questions that are asked.
fn asked(trainer: &dyn Trainer) -> Vec<(Question, Side)> {
    let asked = Question::BOTH
        .into_iter()
        .filter(|&question| trainer.shape(question).is_some());
    asked
        .flat_map(|question| Side::BOTH.map(|side| (question, side)))
        .collect()
}

fn table(trainer: &mut dyn Trainer, question: Question, side: Side) -> Vec<f32> {
    let shape = trainer.shape(question).unwrap();
    let mut records = vec![0.0; shape.rows(side) * shape.record_len(trainer.schedule().optimizer())];
    trainer.read_records(question, side, 0, &mut records).unwrap();
    records
}

fn state(trainer: &mut dyn Trainer) -> Vec<(String, Vec<u32>)> {
    let bits = |words: &[f32]| words.iter().map(|word| word.to_bits()).collect();
    let mut state: Vec<_> = asked(trainer)
        .into_iter()
        .map(|(question, side)| {
            let name = format!("{question:?}, {}", side.name());
            (name, bits(&table(trainer, question, side)))
        })
        .collect();
    state.push(("head".to_string(), bits(trainer.head().unwrap().words())));
    state
}

fn assert_same(one: &Outcome, other: &Outcome, one_name: &str, other_name: &str) {
    assert_eq!(one.0.len(), other.0.len());
    for ((part, one), (_, other)) in one.0.iter().zip(&other.0) {
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
            user: UserIndex(zipf(USERS)),
            item: ItemIndex(zipf(ITEMS)),
            target: random.random(),
            weight: random.random(),
            choice: 1.0,
        }
    };
    (0..STEPS).map(|_| (0..BATCH).map(|_| sample()).collect()).collect()
}

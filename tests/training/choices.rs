//! Learning choices: where it leads, against PyTorch's dense Adam in float64, and what it must not depend on.

use crate::optimizers::{pairs_of, split_mix};
use dotcart::common::interaction::ItemIndex;
use dotcart::config::{ChoiceLoss, OptimizerChoice};
use dotcart::engine::choice::ChoiceSetup;
use dotcart::engine::cpu::CpuTrainer;
use dotcart::engine::model::{Factors, ModelShape, Question, ROW_HEADER, Side};
use dotcart::engine::optimizer::LearningRate;
use dotcart::engine::plan::{ChoiceL2, ChoicePlan, Draws, PlanChunk, Sample};
use dotcart::engine::{Trainer, TrainerSetup, export};
use serde::Deserialize;

/// Largest distance from PyTorch, as a share of the largest weight.
const BOUND: f64 = 2e-4;

#[derive(Deserialize)]
struct Golden {
    users: usize,
    items: usize,
    dim: usize,
    batch: usize,
    seed: u64,
    steps: usize,
    rate: f64,
    draws: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    loss: ChoiceLoss,
    l2: f32,
    first_loss: f64,
    users: Vec<Vec<f64>>,
    items: Vec<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden_choices.json")).unwrap()
}

fn setup(golden: &Golden, loss: ChoiceLoss) -> TrainerSetup {
    TrainerSetup {
        shape: ModelShape {
            users: golden.users,
            items: golden.items,
            dim: 0,
        },
        choice: Some(ChoiceSetup {
            dim: golden.dim,
            loss,
            share: 1.0,
        }),
        seed: golden.seed,
        steps: golden.steps,
        learning_rate: LearningRate::constant(golden.rate),
        optimizer: OptimizerChoice::Adam,
        l2: 0.0,
        clip: 0.0,
        holds_scale: false,
    }
}

/// What is drawn against a step, as the script draws it.
fn draws_of(golden: &Golden, step: u32, loss: ChoiceLoss) -> Draws {
    let mut counts = vec![0usize; golden.items];
    for draw in 0..golden.draws {
        let number = split_mix((1 << 40) + u64::from(step) * golden.draws as u64 + draw as u64);
        let item = (number & 0xFFFF) % (1 + ((number >> 16) & 0xFFFF) % golden.items as u64);
        counts[item as usize] += 1;
    }
    let mut draws = Draws::default();
    for (item, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let share = count as f64 / golden.draws as f64;
        draws.items.push(ItemIndex(item as u32));
        draws.offsets.push(match loss {
            ChoiceLoss::Softmax => (share * (2 + item) as f64).ln() as f32,
            ChoiceLoss::Bpr | ChoiceLoss::Bce => share as f32,
        });
    }
    draws
}

/// Steps `steps`, several of them in a chunk. Returns the loss of each.
fn train(
    trainer: &mut dyn Trainer,
    golden: &Golden,
    loss: ChoiceLoss,
    l2: f32,
    steps: std::ops::RangeInclusive<u32>,
) -> Vec<f32> {
    let mut losses = Vec::new();
    let steps: Vec<u32> = steps.collect();
    for steps in steps.chunks(7) {
        let mut chunk = PlanChunk::default();
        for &step in steps {
            let pairs = pairs_of(golden.users, golden.items, golden.batch, step);
            let batch: Vec<Sample> = pairs
                .map(|(user, item, target)| Sample {
                    user,
                    item,
                    target: 0.0,
                    weight: 1.0,
                    choice: target,
                })
                .collect();
            let draws = draws_of(golden, step, loss);
            chunk.push_with(
                step,
                &batch,
                None,
                Some(ChoicePlan {
                    draws: &draws,
                    l2: &ChoiceL2::even(l2),
                }),
            );
        }
        losses.extend(trainer.train(chunk).unwrap());
    }
    losses.extend(trainer.finish().unwrap());
    losses.iter().map(|step| step.choice_loss.unwrap()).collect()
}

fn choices(trainer: &mut dyn Trainer) -> Factors {
    export(trainer).unwrap().choices.unwrap()
}

fn follow(mut engine: impl FnMut(&TrainerSetup) -> Box<dyn Trainer>) {
    let golden = golden();
    for case in &golden.cases {
        let mut trainer = engine(&setup(&golden, case.loss));
        let losses = train(trainer.as_mut(), &golden, case.loss, case.l2, 1..=golden.steps as u32);
        let first = f64::from(losses[0]);
        assert!(
            (first - case.first_loss).abs() < 1e-5,
            "{}: a loss of {first} for {}",
            case.name,
            case.first_loss
        );
        let found = choices(trainer.as_mut());
        let length = ROW_HEADER + golden.dim;
        let (mut farthest, mut gap) = (0.0f64, 0.0f64);
        for (row, theirs) in found.users.chunks(length).zip(&case.users) {
            assert_eq!(row[0], 0.0, "{}: a user has no appeal", case.name);
            for (&ours, theirs) in row[ROW_HEADER..].iter().zip(theirs) {
                farthest = farthest.max(theirs.abs());
                gap = gap.max((f64::from(ours) - theirs).abs());
            }
        }
        for (row, theirs) in found.items.chunks(length).zip(&case.items) {
            let ours = [&row[..1], &row[ROW_HEADER..]].concat();
            for (&ours, theirs) in ours.iter().zip(theirs) {
                farthest = farthest.max(theirs.abs());
                gap = gap.max((f64::from(ours) - theirs).abs());
            }
        }
        assert!(
            gap < BOUND * farthest,
            "{}: {:.1e} of the distance from PyTorch",
            case.name,
            gap / farthest
        );
    }
}

#[test]
fn choices_on_the_cpu_follow_pytorch() {
    follow(|setup| Box::new(CpuTrainer::new(setup, 2)));
}

#[test]
fn choices_on_the_gpu_follow_pytorch() {
    if crate::needs::gpu().is_some() {
        follow(crate::gpu);
    }
}

#[test]
fn threads_and_a_stop_in_the_middle_change_no_byte() {
    let golden = golden();
    let setup = setup(&golden, ChoiceLoss::Softmax);
    let loss = ChoiceLoss::Softmax;
    let mut whole = CpuTrainer::new(&setup, 1);
    train(&mut whole, &golden, loss, 0.05, 1..=90);
    let mut first = CpuTrainer::new(&setup, 2);
    train(&mut first, &golden, loss, 0.05, 1..=40);
    let mut second = CpuTrainer::new(&setup, 2);
    for side in Side::BOTH {
        let shape = first.shape(Question::Choice).unwrap();
        let mut records = vec![0.0; shape.rows(side) * shape.record_len(setup.optimizer)];
        first.read_records(Question::Choice, side, 0, &mut records).unwrap();
        second.write_records(Question::Choice, side, 0, &records).unwrap();
    }
    second.set_head(first.head().unwrap(), first.step()).unwrap();
    train(&mut second, &golden, loss, 0.05, 41..=90);
    assert_eq!(choices(&mut whole), choices(&mut second));
}

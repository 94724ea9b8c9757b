//! Is the training arithmetic right? Each file asks somebody who shares no code with the engines.
//!
//! - `gradients`, `choice_gradients`: finite differences of the losses, in f64.
//! - `dense_adam`: burn autodiff and burn's dense Adam, 200 steps.
//! - `optimizers`, `choices`: PyTorch, thousands of steps in f64.
//! - `same_bytes`: the engine itself, driven differently: not a bit may change.
//! - `learning`: a planted world whose answer is known, and a loss trace written by numpy.
//! - `ranking`: a full sort.
//!
//! Every check takes an [`Engine`], so another engine is one more line a test.

#[path = "../common/dense_model.rs"]
mod dense_model;
#[path = "../common/needs.rs"]
mod needs;

mod choice_gradients;
mod choices;
mod dense_adam;
mod gradients;
mod learning;
mod optimizers;
mod ranking;
mod same_bytes;

use dotcart::common::interaction::ItemIndex;
use dotcart::engine::cpu::CpuTrainer;
use dotcart::engine::gpu::device::Gpu;
use dotcart::engine::gpu::trainer::GpuTrainer;
use dotcart::engine::model::Question;
use dotcart::engine::plan::{ChoiceL2, ChoicePlan, Draws, PlanChunk, Sample};
use dotcart::engine::{StepStatistics, Trainer, TrainerSetup};

/// Starts an engine.
pub type Engine = fn(&TrainerSetup) -> Box<dyn Trainer>;

/// The cpu engine on two threads, so that a race would show.
pub fn cpu(setup: &TrainerSetup) -> Box<dyn Trainer> {
    Box::new(CpuTrainer::new(setup, 2))
}

/// The gpu engine in pages of 700 rows, so that most tables have several. Only for tests that have seen [`needs::gpu`].
pub fn gpu(setup: &TrainerSetup) -> Box<dyn Trainer> {
    let gpu = Gpu::open(true).expect("the test asked for a device");
    Box::new(GpuTrainer::new(gpu, setup, Some(700)).expect("small tables fit"))
}

/// What is drawn against a step where choices are learned: every ninth item, from a place of the step's own.
fn draws(step: u32, items: u32) -> Draws {
    let items: Vec<u32> = (step % 9..items).step_by(9).collect();
    Draws {
        offsets: items.iter().map(|item| 0.01 * (item % 5) as f32).collect(),
        items: items.into_iter().map(ItemIndex).collect(),
    }
}

/// Trains the batches as the steps that follow, `steps_per_chunk` to a chunk, and waits for their statistics.
pub fn train(trainer: &mut dyn Trainer, batches: &[Vec<Sample>], steps_per_chunk: usize) -> Vec<StepStatistics> {
    let mut statistics = Vec::new();
    for batches in batches.chunks(steps_per_chunk) {
        let mut chunk = PlanChunk::default();
        for (step, batch) in (trainer.step() + 1..).zip(batches) {
            let draws = trainer
                .shape(Question::Choice)
                .map(|shape| draws(step, shape.items as u32));
            let l2 = ChoiceL2::even(0.01);
            let plan = draws.as_ref().map(|draws| ChoicePlan { draws, l2: &l2 });
            chunk.push_with(step, batch, None, plan);
        }
        statistics.extend(trainer.train(chunk).expect("the engine trains"));
    }
    statistics.extend(trainer.finish().expect("the engine finishes"));
    statistics
}

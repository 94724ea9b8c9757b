//! Stages: for how long the device was busy with each part of a step, of those steps that are measured.

use crate::engine::DeviceError;
use crate::engine::gpu::device::Gpu;

/// What a step consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Gather,
    Pairs,
    Pieces,
    Rows,
    Head,
    ChoiceGather,
    ChoiceScores,
    ChoiceGradient,
    ChoiceSums,
    ChoicePieces,
    ChoiceRows,
}

/// The stages in words, in the order of [`Stage`].
const NAMES: [&str; 11] = [
    "gather rows",
    "loss and gradient of pairs",
    "sum pieces of long rows",
    "update rows",
    "update head",
    "gather rows (choice)",
    "scores of drawn items (choice)",
    "loss and gradient (choice)",
    "sums over drawn items (choice)",
    "sum pieces of long rows (choice)",
    "update rows (choice)",
];

/// Measures the stages of some steps, since it takes waiting for each.
pub struct StageClock {
    gpu: Gpu,
    /// Steps still to be measured.
    steps: usize,
    /// Of each of [`NAMES`].
    seconds: [f64; NAMES.len()],
}

impl StageClock {
    /// A clock that measures nothing yet.
    pub fn new(gpu: Gpu) -> Self {
        Self {
            gpu,
            steps: 0,
            seconds: [0.0; NAMES.len()],
        }
    }

    /// Has the next `steps` steps measured.
    pub fn measure(&mut self, steps: usize) {
        self.steps = steps;
    }

    /// To be called after each step.
    pub fn end_step(&mut self) {
        self.steps = self.steps.saturating_sub(1);
    }

    /// Queues a stage, and waits for it if the step is measured.
    pub fn run<E: From<DeviceError>>(&mut self, stage: Stage, queue: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        if self.steps == 0 {
            return queue();
        }
        self.seconds[stage as usize] += self.gpu.time(queue)?;
        Ok(())
    }

    /// Seconds of each stage so far. Before the first measured step all are zero, and a stage that these steps do not have
    /// stays so: such stages are left out.
    pub fn stages(&self) -> Vec<(&'static str, f64)> {
        let stages = NAMES.into_iter().zip(self.seconds);
        stages.filter(|&(_, seconds)| seconds > 0.0).collect()
    }
}

//! The learner: the thin face that burn-train sees, with the engine behind it.
//!
//! The engine owns the tables, so the module has none: a burn `Param` of a whole table cannot exist on an adapter
//! with a 128 MiB limit, is copied when shared, and doubles memory when recorded. Outputs are host values, so that burn's
//! metrics never touch the engine's device.

use super::loader::PairBatch;
use crate::engine::objective::{Objective, sigmoid};
use crate::engine::plan::PlanChunk;
use crate::engine::{EngineError, StepStatistics, Trainer};
use crate::metrics::rating::cross_entropy;
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};
use burn::train::metric::{Adaptor, ConfusionStatsInput, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use std::sync::{Arc, Mutex, MutexGuard};

/// The engine, shared by every clone of the module.
#[derive(Clone)]
pub struct Shared {
    trainer: Arc<Mutex<Box<dyn Trainer>>>,
    objective: Objective,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("engine")
    }
}

/// A matrix factorisation whose tables live in an engine.
#[derive(Module, Debug)]
pub struct Factorisation {
    /// burn asks a module's parameters where it lives, so there must be one: empty, on the host.
    place: Param<Tensor<1>>,
    #[module(skip)]
    engine: Shared,
}

impl Factorisation {
    /// A face for an engine.
    pub fn new(trainer: Box<dyn Trainer>, objective: Objective) -> Self {
        Self {
            place: Param::from_tensor(Tensor::zeros([1], &Device::flex())),
            engine: Shared {
                trainer: Arc::new(Mutex::new(trainer)),
                objective,
            },
        }
    }

    /// The engine. Panics if another thread panicked while it held it.
    pub fn trainer(&self) -> MutexGuard<'_, Box<dyn Trainer>> {
        self.engine
            .trainer
            .lock()
            .expect("no thread panicked inside the engine")
    }

    /// Scores held-out pairs.
    pub fn score(&self, batch: PairBatch) -> Result<PairOutput, EngineError> {
        let logits = self.trainer().score_pairs(&batch.users, &batch.items)?;
        Ok(PairOutput {
            logits,
            ratings: batch.ratings,
            objective: self.engine.objective,
        })
    }
}

/// The losses of some steps.
#[derive(Clone, Debug, Default)]
pub struct StepOutput {
    pub steps: Vec<StepStatistics>,
}

/// Logits of held-out pairs, and what they were rated.
#[derive(Clone, Debug)]
pub struct PairOutput {
    pub logits: Vec<f32>,
    pub ratings: Vec<f32>,
    pub objective: Objective,
}

impl PairOutput {
    /// Which rows are relevant.
    pub fn relevant(&self) -> Vec<bool> {
        let from = self.objective.relevant_from;
        self.ratings.iter().map(|&rating| rating >= from).collect()
    }

    /// Scores in [0, 1].
    pub fn scores(&self) -> Vec<f32> {
        self.logits.iter().map(|&logit| sigmoid(logit)).collect()
    }

    /// Mean binary cross-entropy; 0 without rows.
    pub fn loss(&self) -> f64 {
        let targets: Vec<f32> = self
            .ratings
            .iter()
            .map(|&rating| self.objective.target(rating))
            .collect();
        cross_entropy(&self.logits, &targets).unwrap_or(0.0)
    }
}

impl TrainStep for Factorisation {
    type Input = PlanChunk;
    type Output = StepOutput;

    /// Takes the planned steps; the engine updates in place, so there are no gradients to hand on. Panics if the device
    /// fails: our strategy asks the engine itself, and so can end a training in order.
    fn step(&self, chunk: PlanChunk) -> TrainOutput<StepOutput> {
        let steps = self.trainer().train(chunk).expect("the device works");
        TrainOutput {
            grads: GradientsParams::new(),
            item: StepOutput { steps },
        }
    }
}

impl InferenceStep for Factorisation {
    type Input = PairBatch;
    type Output = PairOutput;

    /// Scores pairs. Panics if the device fails, which our strategy asks the engine itself.
    fn step(&self, batch: PairBatch) -> PairOutput {
        self.score(batch).expect("the device works")
    }
}

impl ItemLazy for StepOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl ItemLazy for PairOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

/// One number a step: burn's loss metric averages over them.
impl Adaptor<LossInput> for StepOutput {
    fn adapt(&self) -> LossInput {
        let losses: Vec<f32> = self.steps.iter().map(|step| step.loss).collect();
        LossInput::new(Tensor::from_data(losses.as_slice(), &Device::flex()))
    }
}

/// One number a row, so that batches of unequal length weigh what they should.
impl Adaptor<LossInput> for PairOutput {
    fn adapt(&self) -> LossInput {
        let pairs = self.logits.iter().zip(&self.ratings);
        let losses: Vec<f32> = pairs
            .map(|(&logit, &rating)| crate::engine::objective::loss(logit, self.objective.target(rating)))
            .collect();
        LossInput::new(Tensor::from_data(losses.as_slice(), &Device::flex()))
    }
}

impl Adaptor<ConfusionStatsInput> for PairOutput {
    fn adapt(&self) -> ConfusionStatsInput {
        let device = Device::flex();
        let shape = [self.logits.len(), 1];
        ConfusionStatsInput::new(
            Tensor::from_data(TensorData::new(self.scores(), shape), &device),
            Tensor::from_data(TensorData::new(self.relevant(), shape), &device),
        )
    }
}

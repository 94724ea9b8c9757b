//! The two engines behind one contract: [`Trainer`] changes a model, [`Scorer`] asks it.
//!
//! An engine owns its tables. Training state is handed out and taken in row range by row range, in the record layout of
//! [`crate::engine::model`], so nothing above this floor knows how an engine stores it, and a checkpoint of one engine continues on
//! the other. `cpu` is plain Rust and the specification: every file of `gpu` is a shader's launcher, and the file of the
//! same name under `cpu` is the shader's twin.

pub mod choice;
pub mod cpu;
mod error;
pub mod key;
pub mod model;
pub mod negatives;
pub mod objective;
pub mod optimizer;
pub mod plan;
pub mod ranker;

pub use error::{DeviceError, EngineError};

use crate::common::interaction::{ItemIndex, UserIndex};
use crate::config::OptimizerChoice;
use crate::engine::choice::ChoiceSetup;
use crate::engine::model::{Factors, Head, Model, ModelShape, Question, Side};
use crate::engine::optimizer::{LearningRate, Schedule, read_out, settle_record};
use crate::engine::plan::PlanChunk;

/// What an engine needs to begin.
#[derive(Clone, Debug)]
pub struct TrainerSetup {
    /// Of what ratings are learned with; of dim 0 if they are not.
    pub shape: ModelShape,
    /// What is learned of choices; `None` = nothing.
    pub choice: Option<ChoiceSetup>,
    pub seed: u64,
    /// Planned steps of the whole training.
    pub steps: usize,
    pub learning_rate: LearningRate,
    pub optimizer: OptimizerChoice,
    pub l2: f32,
    /// Gradients are clamped to `[-clip, clip]`; 0 = not at all.
    pub clip: f32,
    /// The head's scale stays 1.
    pub holds_scale: bool,
}

impl TrainerSetup {
    /// The optimiser's tables.
    pub fn schedule(&self) -> Schedule {
        let schedule = Schedule::new(self.steps, self.learning_rate.clone(), self.optimizer, self.clip);
        if self.holds_scale {
            schedule.holding_scale()
        } else {
            schedule
        }
    }

    /// The shape of what a question is answered with; `None` if it is not asked.
    pub fn shape_of(&self, question: Question) -> Option<ModelShape> {
        match question {
            Question::Rating => (self.shape.dim > 0).then_some(self.shape),
            Question::Choice => self.choice.map(|choice| ModelShape {
                dim: choice.dim,
                ..self.shape
            }),
        }
    }

    /// Words of a training record of ratings.
    pub fn record_len(&self) -> usize {
        self.shape.record_len(self.optimizer)
    }

    /// The share of the loss that ratings have.
    pub fn rating_share(&self) -> f32 {
        1.0 - self.choice.map_or(0.0, |choice| choice.share)
    }
}

/// A number of the head with its optimiser's state; Adagrad's sum stands in the place of v.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct HeadNumber {
    pub value: f32,
    pub m: f32,
    pub v: f32,
    /// Fills four words; 0.
    pub unused: f32,
}

impl HeadNumber {
    /// A value that no step has moved.
    pub const fn at(value: f32) -> Self {
        Self {
            value,
            m: 0.0,
            v: 0.0,
            unused: 0.0,
        }
    }
}

/// The head with its optimiser's state, as shaders and checkpoints hold it: `scale, m, v, 0, bias, m, v, 0`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct HeadState {
    pub scale: HeadNumber,
    pub bias: HeadNumber,
}

impl HeadState {
    /// Words of a head.
    pub const WORDS: usize = 8;
    /// A head before the first step.
    pub const START: Self = Self::at(Head { scale: 1.0, bias: 0.0 });

    /// A head that no step has moved.
    pub const fn at(head: Head) -> Self {
        Self {
            scale: HeadNumber::at(head.scale),
            bias: HeadNumber::at(head.bias),
        }
    }

    /// The head alone.
    pub fn head(&self) -> Head {
        Head {
            scale: self.scale.value,
            bias: self.bias.value,
        }
    }

    /// As words.
    pub fn words(&self) -> &[f32; Self::WORDS] {
        bytemuck::cast_ref(self)
    }

    /// Of words.
    pub fn from_words(words: [f32; Self::WORDS]) -> Self {
        bytemuck::cast(words)
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepStatistics {
    pub step: u32,
    /// Mean binary cross-entropy of the batch, before the update; where ratings are not learned, the loss of choices.
    pub loss: f32,
    /// Mean loss of the batch's choices, before the update, if they are learned.
    pub choice_loss: Option<f32>,
    pub samples: usize,
}

/// An engine that trains.
pub trait Trainer: Send {
    /// The device in words, for people.
    fn device(&self) -> String;

    /// The shape of the tables of a question; `None` if it is not asked.
    fn shape(&self, question: Question) -> Option<ModelShape>;

    /// The step sizes of the training.
    fn schedule(&self) -> &Schedule;

    /// Replaces the step sizes from the next step on. Panics unless the optimiser and the number of steps are the same.
    ///
    /// Records that are behind would catch up by the new tables: settle them first, see [`reduce_learning_rate`].
    fn set_schedule(&mut self, schedule: Schedule) -> Result<(), EngineError>;

    /// Seconds spent in each stage of the steps that were measured so far: all of them, or those that
    /// [`time_stages`](Self::time_stages) asked for. Empty where none was.
    fn stages(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Has the stages of the next `steps` steps measured, for an engine that has to wait for each stage in order to tell.
    fn time_stages(&mut self, _steps: usize) {}

    /// Takes the steps of a chunk and returns the statistics that have arrived meanwhile: it does not wait for a device.
    fn train(&mut self, chunk: PlanChunk) -> Result<Vec<StepStatistics>, EngineError>;

    /// Waits for all steps and returns the statistics that were still outstanding.
    fn finish(&mut self) -> Result<Vec<StepStatistics>, EngineError>;

    /// Logits of pairs as the model stands after the last step; the state is left alone. Untouched rows count as zero.
    fn score_pairs(&mut self, users: &[UserIndex], items: &[ItemIndex]) -> Result<Vec<f32>, EngineError>;

    /// Raw records of rows `first..`, as many as fit `out`. Panics past the table's end, or if the question is not asked.
    fn read_records(
        &mut self,
        question: Question,
        side: Side,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), EngineError>;

    /// Replaces the records of rows `first..`. Panics past the table's end, or if the question is not asked.
    fn write_records(
        &mut self,
        question: Question,
        side: Side,
        first: usize,
        records: &[f32],
    ) -> Result<(), EngineError>;

    /// The head and its optimiser state.
    fn head(&mut self) -> Result<HeadState, EngineError>;

    /// The number of the last step taken.
    fn step(&self) -> u32;

    /// Continues from another training's head and step; the records follow through [`Trainer::write_records`].
    fn set_head(&mut self, head: HeadState, step: u32) -> Result<(), EngineError>;
}

/// An item and its logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredItem {
    pub item: ItemIndex,
    pub logit: f32,
}

/// One user to rank for: a factor row and the items that are left out, ascending.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    pub user: &'a [f32],
    pub seen: &'a [ItemIndex],
}

/// An engine that ranks.
pub trait Scorer {
    /// For each query the `k` items of the highest logit that are not seen, best first, ties by lower index: exactly what a
    /// full sort gives. Fewer than `k` only if fewer are unseen. Panics if a query's row does not fit the model.
    fn top_k(&mut self, queries: &[Query], k: usize) -> Result<Vec<Vec<ScoredItem>>, EngineError>;

    /// Logits of (factor row of a user, item) pairs. Panics if an item is not in the model.
    fn score_pairs(&mut self, users: &[&[f32]], items: &[ItemIndex]) -> Result<Vec<f32>, EngineError>;
}

/// Rows that are read from an engine in one go: 16 MiB of records at dim 64.
pub const ROWS_PER_READ: usize = 1 << 14;

/// Reads out a table as factor rows at the end of the last step and hands them on in order, [`ROWS_PER_READ`] at a time.
///
/// Rows that no step touched read as zeros; a question that is not asked has none. Neither how often nor when this is called
/// changes the training.
pub fn for_each_factor_block<E: From<EngineError>>(
    trainer: &mut dyn Trainer,
    question: Question,
    side: Side,
    mut consume: impl FnMut(&[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let Some(shape) = trainer.shape(question) else {
        return Ok(());
    };
    let schedule = trainer.schedule().clone();
    let record_len = shape.record_len(schedule.optimizer());
    let now = trainer.step();
    let rows = shape.rows(side);
    let mut records = Vec::new();
    let mut factors = Vec::new();
    for first in (0..rows).step_by(ROWS_PER_READ) {
        let count = ROWS_PER_READ.min(rows - first);
        records.resize(count * record_len, 0.0);
        factors.resize(count * shape.factor_len(), 0.0);
        trainer.read_records(question, side, first, &mut records)?;
        read_out_rows(&records, &schedule, now, &mut factors, shape);
        consume(&factors)?;
    }
    Ok(())
}

/// Reads out records, [rows, record_len], as factor rows, [rows, factor_len].
fn read_out_rows(records: &[f32], schedule: &Schedule, now: u32, factors: &mut [f32], shape: ModelShape) {
    let records = records.chunks_exact(shape.record_len(schedule.optimizer()));
    for (record, factor) in records.zip(factors.chunks_exact_mut(shape.factor_len())) {
        read_out(record, schedule, now, true, factor);
    }
}

/// Reads out a whole table as factor rows at the end of the last step.
pub fn read_table(trainer: &mut dyn Trainer, question: Question, side: Side) -> Result<Vec<f32>, EngineError> {
    let mut table = Vec::new();
    for_each_factor_block(trainer, question, side, |block| {
        table.extend_from_slice(block);
        Ok::<(), EngineError>(())
    })?;
    Ok(table)
}

/// Reads out some rows of a table as factor rows at the end of the last step; none if the question is not asked.
///
/// Panics if a row is not there.
pub fn read_factors(
    trainer: &mut dyn Trainer,
    question: Question,
    side: Side,
    rows: &[u32],
) -> Result<Vec<f32>, EngineError> {
    let Some(shape) = trainer.shape(question) else {
        return Ok(Vec::new());
    };
    let schedule = trainer.schedule().clone();
    let now = trainer.step();
    let mut record = vec![0.0; shape.record_len(schedule.optimizer())];
    let mut factors = vec![0.0; rows.len() * shape.factor_len()];
    for (&row, factor) in rows.iter().zip(factors.chunks_exact_mut(shape.factor_len())) {
        trainer.read_records(question, side, row as usize, &mut record)?;
        read_out(&record, &schedule, now, true, factor);
    }
    Ok(factors)
}

/// Multiplies the learning rate of all later steps.
///
/// A change that was not planned: every row is brought to the end of the last step first, by the old step sizes.
pub fn reduce_learning_rate(trainer: &mut dyn Trainer, factor: f64) -> Result<(), EngineError> {
    let schedule = trainer.schedule().clone();
    let now = trainer.step();
    let mut records = Vec::new();
    let asked = Question::BOTH.map(|question| (question, trainer.shape(question)));
    for (question, shape) in asked {
        let Some(shape) = shape.filter(|_| schedule.catches_up()) else {
            continue;
        };
        let record_len = shape.record_len(schedule.optimizer());
        for side in Side::BOTH {
            let rows = shape.rows(side);
            for first in (0..rows).step_by(ROWS_PER_READ) {
                records.resize(ROWS_PER_READ.min(rows - first) * record_len, 0.0);
                trainer.read_records(question, side, first, &mut records)?;
                for record in records.chunks_exact_mut(record_len) {
                    settle_record(record, &schedule, now);
                }
                trainer.write_records(question, side, first, &records)?;
            }
        }
    }
    trainer.set_schedule(schedule.reduced(now, factor))
}

/// The model as it stands after the last step, weights only.
pub fn export(trainer: &mut dyn Trainer) -> Result<Model, EngineError> {
    let choices = export_factors(trainer, Question::Choice)?;
    let ratings = match (export_factors(trainer, Question::Rating)?, &choices) {
        (Some(ratings), _) => ratings,
        (None, Some(choices)) => Factors::zeros(ModelShape {
            dim: 0,
            ..choices.shape
        }),
        (None, None) => unreachable!("a trainer is asked something"),
    };
    Ok(Model {
        shape: ratings.shape,
        users: ratings.users,
        items: ratings.items,
        choices,
        head: trainer.head()?.head(),
    })
}

fn export_factors(trainer: &mut dyn Trainer, question: Question) -> Result<Option<Factors>, EngineError> {
    let Some(shape) = trainer.shape(question) else {
        return Ok(None);
    };
    Ok(Some(Factors {
        shape,
        users: read_table(trainer, question, Side::User)?,
        items: read_table(trainer, question, Side::Item)?,
    }))
}

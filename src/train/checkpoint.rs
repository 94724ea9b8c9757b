//! Checkpoints: the whole state of a training in one safetensors file, streamed page by page.
//!
//! `user_records` `[users, record]`, `item_records` `[items, record]` (layouts in [`crate::engine::model`]), the same with
//! `_choice` behind it where choices are learned, and `head` `[8]`; the place in the training and the best epoch stand in the header. The file does not depend on the engine, on its page size or on the number of threads.

use super::loader::Position;
use super::stopping::Best;
use crate::artifact::model_file::ExportError;
use crate::artifact::tensor_file::{FileError, TensorFile, TensorSpec, TensorWriter};
use crate::common::block::first_not_finite;
use crate::engine::model::{LAST_STEP, ModelShape, Question, Side};
use crate::engine::optimizer::Reduction;
use crate::engine::{HeadState, ROWS_PER_READ, Trainer};
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where a training stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub format_version: u32,
    pub step: u32,
    pub epoch: usize,
    pub steps_done: usize,
    pub best: Best,
    /// Reductions of the learning rate so far.
    pub reductions: Vec<Reduction>,
    /// Seconds trained so far, over all processes.
    pub seconds: f64,
}

impl Place {
    /// Version of the file; another one is refused.
    pub const FORMAT_VERSION: u32 = 3;

    /// Where the loader continues.
    pub fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            steps_done: self.steps_done,
        }
    }
}

/// The records of a question that is asked, by name and side, and their shape.
fn tables(trainer: &dyn Trainer) -> Vec<(&'static str, Question, Side, ModelShape)> {
    let names = [
        ("user_records", Question::Rating, Side::User),
        ("item_records", Question::Rating, Side::Item),
        ("user_records_choice", Question::Choice, Side::User),
        ("item_records_choice", Question::Choice, Side::Item),
    ];
    let asked = |(name, question, side)| Some((name, question, side, trainer.shape(question)?));
    names.into_iter().filter_map(asked).collect()
}

/// Bytes of a trainer's checkpoints, but for a few.
pub fn bytes(trainer: &dyn Trainer) -> usize {
    let optimizer = trainer.schedule().optimizer();
    let words =
        |(_, _, side, shape): (&str, Question, Side, ModelShape)| shape.rows(side) * shape.record_len(optimizer);
    tables(trainer).into_iter().map(words).sum::<usize>() * size_of::<f32>()
}

/// Writes a checkpoint; the previous one stays until the new one is whole.
pub fn save(path: &Path, trainer: &mut dyn Trainer, place: &Place) -> Result<(), ExportError> {
    let optimizer = trainer.schedule().optimizer();
    let tables = tables(trainer);
    let mut specs = Vec::new();
    for &(name, _, side, shape) in &tables {
        let lengths = [shape.rows(side), shape.record_len(optimizer)];
        specs.push(TensorSpec::new(name, Dtype::F32, &lengths));
    }
    specs.push(TensorSpec::new("head", Dtype::F32, &[HeadState::WORDS]));
    let note = serde_json::to_string(place).expect("a place is JSON");
    let mut file = TensorWriter::create(path, &specs, Some(&note))?;
    let mut records = Vec::new();
    for (_, question, side, shape) in tables {
        for first in (0..shape.rows(side)).step_by(ROWS_PER_READ) {
            let rows = ROWS_PER_READ.min(shape.rows(side) - first);
            records.resize(rows * shape.record_len(optimizer), 0.0);
            trainer.read_records(question, side, first, &mut records)?;
            file.append_finite(&records)?;
        }
    }
    file.append_finite(trainer.head()?.words())?;
    Ok(file.finish()?)
}

/// Reads a checkpoint into a new engine of the same shape, and returns its place.
pub fn load(path: &Path, trainer: &mut dyn Trainer) -> Result<Place, ExportError> {
    let optimizer = trainer.schedule().optimizer();
    let file = TensorFile::open(path, None)?;
    let damaged = |fault: String| FileError::damaged(path, fault);
    let note = file.note().ok_or_else(|| damaged("it has no place".to_string()))?;
    let place: Place = serde_json::from_str(&note).map_err(|error| damaged(error.to_string()))?;
    if place.format_version != Place::FORMAT_VERSION {
        return Err(damaged(format!("it has format version {}", place.format_version)).into());
    }
    for (name, question, side, shape) in tables(trainer) {
        let length = shape.record_len(optimizer);
        let records = file.tensor_of::<f32>(name, &[shape.rows(side), length])?;
        let is_sound = |record: &[f32]| {
            let last_step = record[LAST_STEP];
            first_not_finite(record).is_none()
                && last_step.fract() == 0.0
                && (0.0..=place.step as f32).contains(&last_step)
        };
        if let Some(row) = records.chunks_exact(length).position(|record| !is_sound(record)) {
            return Err(damaged(format!("row {row} of `{name}` is no record of step {}", place.step)).into());
        }
        for (number, block) in records.chunks(ROWS_PER_READ * length).enumerate() {
            trainer.write_records(question, side, number * ROWS_PER_READ, block)?;
        }
    }
    let mut schedule = trainer.schedule().clone();
    for reduction in &place.reductions {
        schedule = schedule.reduced(reduction.after_step, reduction.factor);
    }
    trainer.set_schedule(schedule)?;
    let head = file.tensor_of::<f32>("head", &[HeadState::WORDS])?;
    let head = HeadState::from_words(head.try_into().expect("the shape was checked"));
    trainer.set_head(head, place.step)?;
    Ok(place)
}

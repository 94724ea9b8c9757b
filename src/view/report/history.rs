//! A training's course, from the events in `metrics.jsonl`.

use crate::artifact::run_directory::{METRICS, RunDirectory, RunError};
use crate::artifact::tensor_file::FileError;
use crate::train::event::{TrainEvent, TrainStart, ValidMetrics};
use crate::train::event_log::EventReader;
use std::collections::BTreeMap;

/// What a report shows of a training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Of the last process that trained the run.
    pub start: Option<TrainStart>,
    /// Mean loss of the steps before each step that reported.
    pub train_loss: BTreeMap<u32, f64>,
    /// At epochs' ends, by step.
    pub valid: BTreeMap<u32, ValidMetrics>,
    /// Seconds of the last process.
    pub seconds: f64,
}

/// Reads all events. A step that was trained again after a resume counts as it was last.
pub fn history(run: &RunDirectory) -> Result<History, RunError> {
    let path = run.file(METRICS);
    let events = EventReader::open(&path).and_then(|mut reader| reader.read());
    let mut history = History::default();
    for event in events.map_err(FileError::read(&path))? {
        match event {
            TrainEvent::Started(start) => history.start = Some(*start),
            TrainEvent::Progress { step, loss, .. } => {
                history.train_loss.insert(step, loss);
            }
            TrainEvent::Validated {
                step,
                epoch_end: true,
                metrics,
                ..
            } => {
                history.valid.insert(step, metrics);
            }
            TrainEvent::Finished { seconds, .. } => history.seconds = seconds,
            _ => {}
        }
    }
    Ok(history)
}

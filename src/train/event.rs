//! What a training tells the world: one object an event, the same for the dashboard, plain lines and `metrics.jsonl`.
//!
//! Training knows no screen. It sends events to an [`EventBus`]; whoever watches implements [`Observer`].

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

/// Something that happened in a training. `seconds` count from its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    Started(Box<TrainStart>),
    EpochStarted {
        epoch: usize,
    },
    /// `samples` of the epoch are done, and the mean loss of the steps since the last such event.
    Progress {
        epoch: usize,
        step: u32,
        samples: usize,
        loss: f64,
        seconds: f64,
    },
    /// The validation split was scored: at an epoch's end, or between (`epoch_end` false), which decides nothing.
    Validated {
        epoch: usize,
        step: u32,
        epoch_end: bool,
        metrics: ValidMetrics,
        seconds: f64,
    },
    EpochEnded {
        epoch: usize,
        is_best: bool,
        seconds: f64,
    },
    CheckpointSaved {
        step: u32,
        seconds: f64,
    },
    /// A plateau: the learning rate of later epochs is multiplied.
    LearningRateReduced {
        epoch: usize,
        factor: f64,
        seconds: f64,
    },
    Finished {
        reason: FinishReason,
        best_epoch: usize,
        seconds: f64,
    },
}

/// What is known before the first step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainStart {
    /// Name of the run directory.
    pub run: String,
    /// The device in words.
    pub device: String,
    /// True if the ratings are generated, not real.
    pub generated: bool,
    pub users: usize,
    pub items: usize,
    pub dim: usize,
    pub batch_size: usize,
    pub epochs: usize,
    /// The first epoch that this process trains, from 1; above 1 after a resume.
    pub first_epoch: usize,
    pub steps_per_epoch: usize,
    /// Training samples an epoch, after oversampling.
    pub samples_per_epoch: usize,
    pub valid_rows: usize,
    /// Rating classes of the training split, ascending.
    pub classes: Vec<ClassCount>,
}

/// Rows of one rating class in the training split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassCount {
    pub rating: f32,
    pub natural: usize,
    pub oversampled: usize,
}

/// The model on the validation split, which keeps the natural distribution of ratings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ValidMetrics {
    /// Mean binary cross-entropy.
    pub loss: f64,
    /// Share of relevant rows among those predicted relevant.
    pub precision: f64,
    /// Share of relevant rows among all: the precision of predicting *everything is relevant*.
    pub base_rate: f64,
    /// Share of relevant rows that were predicted relevant.
    pub recall: f64,
    /// Area under the ROC curve.
    pub auc: f64,
}

impl ValidMetrics {
    /// `precision / base_rate`; 0 where there is nothing relevant.
    pub fn lift(&self) -> f64 {
        if self.base_rate > 0.0 {
            self.precision / self.base_rate
        } else {
            0.0
        }
    }
}

/// Why a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// All epochs were trained.
    Completed,
    /// The stopping metric did not improve for `patience` epochs.
    EarlyStopped,
    /// The user stopped it; `train --resume` continues.
    Stopped,
}

/// Someone who watches a training.
pub trait Observer: Send {
    fn observe(&mut self, event: &TrainEvent);
}

/// Hands every event to every observer, in order.
#[derive(Clone, Default)]
pub struct EventBus {
    observers: Arc<Mutex<Vec<Box<dyn Observer>>>>,
}

impl EventBus {
    /// Adds an observer; it sees the events from now on.
    pub fn subscribe(&self, observer: Box<dyn Observer>) {
        self.lock().push(observer);
    }

    /// Sends one event.
    pub fn send(&self, event: &TrainEvent) {
        for observer in self.lock().iter_mut() {
            observer.observe(event);
        }
    }

    /// Dismisses all observers; a dashboard gives the terminal back when it is dropped.
    pub fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Observer>>> {
        self.observers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

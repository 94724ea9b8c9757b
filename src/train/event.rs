//! What a training tells the world: one object an event, the same for the dashboard, plain lines, `train --json` and
//! `metrics.jsonl`.
//!
//! As JSON an event is an object on a line of its own, whose `event` names it; the other keys are the fields of its variant
//! below, by their names. Keys and events may be added, so a reader leaves out what it does not know.
//!
//! ```text
//! {"event":"started","run":"electronics-1","device":"cpu, 2 threads",...}     the fields of TrainStart
//! {"event":"epoch_started","epoch":1}
//! {"event":"progress","epoch":1,"step":8,"samples":32768,"loss":0.6931,"seconds":0.031}
//! {"event":"measured","epoch":1,"step":8,"learning_rate":0.001,"memory_bytes":311869440,
//!  "stages":[{"name":"gather items","seconds":0.004},...],"seconds":0.031}
//! {"event":"validated","epoch":1,"step":106,"epoch_end":true,"metrics":{"loss":0.66,"precision":0.74,
//!  "base_rate":0.74,"recall":1.0,"auc":0.55},"seconds":0.52}
//! {"event":"epoch_ended","epoch":1,"is_best":true,"seconds":0.52}
//! {"event":"checkpoint_saved","step":106,"seconds":0.61}
//! {"event":"learning_rate_reduced","epoch":5,"factor":0.5,"seconds":3.1}
//! {"event":"paused","epoch":2,"step":150,"seconds":0.9}   {"event":"resumed","seconds":0.9}
//! {"event":"events_lost","place":"runs/electronics-1/metrics.jsonl","fault":"No space left on device (os error 28)"}
//! {"event":"finished","reason":"completed","best_epoch":15,"seconds":8.2}     or early_stopped, stopped
//! ```
//!
//! Training knows no screen. It sends events to an [`EventBus`]; whoever watches implements [`Observer`].

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

/// Something that happened in a training. `seconds` count from its start, pauses left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    Started(Box<TrainStart>),
    EpochStarted {
        epoch: usize,
    },
    /// `samples` of the epoch are done, and the mean loss of the steps since the last such event: against what training draws
    /// scores to, which with `train.relevance` is not what validation measures.
    Progress {
        epoch: usize,
        step: u32,
        samples: usize,
        loss: f64,
        seconds: f64,
    },
    /// How the process fares: at the first chunk of an epoch, then once a second at most.
    Measured {
        epoch: usize,
        step: u32,
        /// The learning rate of that step.
        learning_rate: f64,
        /// Bytes that the process has in memory; `None` where the system does not tell.
        memory_bytes: Option<u64>,
        /// Where the steps of this process that were measured spent their time so far: every step on the cpu, one a second on
        /// a gpu, where measuring is waiting. Empty before the first of them.
        stages: Vec<StageTime>,
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
    /// The training stands still and waits for somebody to let it go on.
    Paused {
        epoch: usize,
        step: u32,
        seconds: f64,
    },
    Resumed {
        seconds: f64,
    },
    /// An event could not be written to a place; said of its first one.
    EventsLost {
        place: String,
        fault: String,
    },
    Finished {
        reason: FinishReason,
        best_epoch: usize,
        seconds: f64,
    },
}

impl TrainEvent {
    /// When it happened; an epoch's start follows at once on what came before, and says nothing.
    pub fn seconds(&self) -> Option<f64> {
        match self {
            Self::Started(_) | Self::EpochStarted { .. } | Self::EventsLost { .. } => None,
            Self::Progress { seconds, .. }
            | Self::Measured { seconds, .. }
            | Self::Validated { seconds, .. }
            | Self::EpochEnded { seconds, .. }
            | Self::CheckpointSaved { seconds, .. }
            | Self::LearningRateReduced { seconds, .. }
            | Self::Paused { seconds, .. }
            | Self::Resumed { seconds }
            | Self::Finished { seconds, .. } => Some(*seconds),
        }
    }
}

/// What is known before the first step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainStart {
    /// Name of the run directory.
    pub run: String,
    /// The device in words.
    pub device: String,
    /// Why it is not the real GPU that was found, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_failure: Option<String>,
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

/// Seconds in one stage of the steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    pub name: String,
    pub seconds: f64,
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
    /// Rankings for some users; absent where rankings are not learned, and between the ends of epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<ValidRanking>,
}

/// How well some users' held-out relevant products are found, over the full catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ValidRanking {
    pub k: usize,
    /// Users ranked for.
    pub users: usize,
    pub ndcg: f64,
    /// The same of the most popular products: what costs nothing.
    pub popular_ndcg: f64,
    /// Distinct products among all first k.
    pub shown: usize,
}

impl ValidMetrics {
    /// How many of `rows` were predicted relevant: `recall * base_rate * rows / precision`; `None` where precision is 0.
    pub fn predicted(&self, rows: usize) -> Option<usize> {
        let predicted = self.recall * self.base_rate * rows as f64 / self.precision;
        (self.precision > 0.0).then(|| predicted.round() as usize)
    }

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

    /// What could not be kept of the events; nothing for who keeps none.
    fn lost(&mut self) -> Option<&mut Lost> {
        None
    }
}

/// What a place has lost of the events that should be in it.
#[derive(Debug, Default)]
pub struct Lost {
    place: String,
    events: usize,
    /// Of the first.
    fault: String,
    is_told: bool,
}

impl Lost {
    /// Nothing yet.
    pub fn at(place: &str) -> Self {
        Self {
            place: place.to_string(),
            ..Self::default()
        }
    }

    /// Takes in how one event was written. A reader who closed its pipe has read enough, and misses nothing.
    pub fn count(&mut self, result: &std::io::Result<()>) {
        match result {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                if self.events == 0 {
                    self.fault = error.to_string();
                }
                self.events += 1;
            }
            _ => {}
        }
    }

    /// The event that tells of it, once.
    fn news(&mut self) -> Option<TrainEvent> {
        let is_news = self.events > 0 && !std::mem::replace(&mut self.is_told, self.events > 0);
        is_news.then(|| TrainEvent::EventsLost {
            place: self.place.clone(),
            fault: self.fault.clone(),
        })
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} events are not in `{}`: {}",
            self.events, self.place, self.fault
        )
    }
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
        let mut observers = self.lock();
        observers.iter_mut().for_each(|observer| observer.observe(event));
        let news: Vec<TrainEvent> = observers
            .iter_mut()
            .filter_map(|observer| observer.lost()?.news())
            .collect();
        for event in &news {
            observers.iter_mut().for_each(|observer| observer.observe(event));
        }
    }

    /// What observers have lost, in words.
    pub fn losses(&self) -> Vec<String> {
        let mut observers = self.lock();
        let lost = observers.iter_mut().filter_map(|observer| observer.lost());
        lost.filter(|lost| lost.events > 0)
            .map(|lost| lost.to_string())
            .collect()
    }

    /// Dismisses all observers; a dashboard gives the terminal back when it is dropped.
    pub fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Observer>>> {
        self.observers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

//! The renderer: burn-train's [`MetricsRenderer`], which turns its callbacks into [`TrainEvent`]s for the bus.

use super::clock::Clock;
use super::event::{EventBus, TrainEvent};
use burn::train::LearnerSummary;
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Speaks to the bus in burn's stead.
pub struct BusRenderer {
    bus: EventBus,
    clock: Clock,
    /// Number of the last step, kept by the strategy.
    step: Arc<AtomicU32>,
    epoch: usize,
    is_train: bool,
    loss: f64,
}

impl BusRenderer {
    /// A renderer that tells the time of `clock`; `step` is read when an event is sent.
    pub fn new(bus: EventBus, clock: Clock, step: Arc<AtomicU32>) -> Self {
        Self {
            bus,
            clock,
            step,
            epoch: 0,
            is_train: true,
            loss: f64::NAN,
        }
    }
}

impl MetricsRendererTraining for BusRenderer {
    fn update_train(&mut self, state: MetricState) {
        // The final entry is the epoch's mean, not the value of a step.
        if let MetricState::Numeric(_, Some(entry @ (NumericEntry::Value(_) | NumericEntry::Aggregated { .. }))) = state
        {
            self.loss = entry.current();
        }
    }

    /// What burn makes of the validation split is for its own log: the strategy tells the same figures, from one source with
    /// early stopping.
    fn update_valid(&mut self, _: MetricState) {}

    fn on_train_end(&mut self, _: Option<LearnerSummary>) -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }
}

impl TrainingProgressLogger for BusRenderer {
    fn start(&mut self, _epochs: usize, starting_epoch: usize, _items: Option<usize>, _label: Option<&str>) {
        self.epoch = starting_epoch;
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn start_split(&mut self, split: &str, _items: usize) {
        self.is_train = split == "train";
        if self.is_train {
            self.bus.send(&TrainEvent::EpochStarted { epoch: self.epoch });
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        if self.is_train {
            self.bus.send(&TrainEvent::Progress {
                epoch: self.epoch,
                step: self.step.load(Ordering::Relaxed),
                samples: items_processed,
                loss: self.loss,
                seconds: self.clock.seconds(),
            });
        }
    }

    fn end_split(&mut self) {}

    fn end(&mut self) {}

    fn log_event_training(&mut self, _event: String) {}
}

impl MetricsRenderer for BusRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, _: MetricDefinition) {}
}

/// The test split is judged by [`crate::evaluate`], not by burn-train's evaluator.
impl MetricsRendererEvaluation for BusRenderer {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl EvaluationProgressLogger for BusRenderer {
    fn start_global_progress(&mut self, _tests: usize) {}
    fn start_test(&mut self, _name: &str, _items: usize) {}
    fn update_test_progress(&mut self, _items: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

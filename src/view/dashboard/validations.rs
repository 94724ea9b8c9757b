//! Validations: the last one, one an epoch, and the best.

use crate::common::format::percent;
use crate::train::event::ValidMetrics;

/// Rows predicted relevant below which a precision is hardly one.
const FEW_ROWS: usize = 100;

/// A precision; with few rows behind it, how many they are: all of three is not the same as all.
pub fn precision(metrics: &ValidMetrics, rows: usize) -> String {
    match metrics.predicted(rows) {
        Some(predicted) if predicted < FEW_ROWS => format!("{:.0} % ({predicted})", 100.0 * metrics.precision),
        _ => percent(metrics.precision),
    }
}

/// A scored validation split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    /// How many epochs were trained: 3, or 2.4 within the third.
    pub at: f64,
    pub metrics: ValidMetrics,
    /// Better than all before it, as the training judges.
    pub is_best: bool,
}

/// All that a view keeps of them.
#[derive(Clone, Debug, Default)]
pub struct Validations {
    /// The last one, be it at an epoch's end or within one.
    pub latest: Option<Validation>,
    /// One an epoch: that at its end.
    pub history: Vec<Validation>,
    /// The best of `history`, as the training judges.
    pub best: Option<Validation>,
}

impl Validations {
    /// Takes in one, at an epoch's end or within an epoch.
    pub fn add(&mut self, at: f64, metrics: ValidMetrics, epoch_end: bool) {
        let validation = Validation {
            at,
            metrics,
            is_best: false,
        };
        self.latest = Some(validation);
        if epoch_end {
            self.history.push(validation);
        }
    }

    /// The validation at the end of an epoch was better than all before it.
    pub fn mark_best(&mut self, epoch: usize) {
        if let Some(end) = self.history.last_mut().filter(|end| end.at == epoch as f64) {
            end.is_best = true;
            self.best = Some(*end);
        }
    }

    /// The validation at an epoch's end.
    pub fn end_of(&self, epoch: usize) -> Option<&Validation> {
        self.history.last().filter(|end| end.at == epoch as f64)
    }

    /// What is left of them when a training goes on with an epoch.
    pub fn before(mut self, first_epoch: usize) -> Self {
        self.history.retain(|end| end.at < first_epoch as f64);
        Self {
            latest: self.history.last().copied(),
            best: self.history.iter().rfind(|end| end.is_best).copied(),
            history: self.history,
        }
    }
}

//! The curves of a training, all over epochs.

use super::curve::Curve;
use crate::train::event::ValidMetrics;

/// What is drawn over epochs.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    pub train_loss: Curve,
    pub valid_loss: Curve,
    pub precision: Curve,
    pub base_rate: Curve,
    pub recall: Curve,
    pub auc: Curve,
    /// Seconds a sample: unlike speeds, these may be averaged over samples.
    pub sample_seconds: Curve,
    pub learning_rate: Curve,
}

impl Curves {
    /// Takes in a validation.
    pub fn push(&mut self, at: f64, metrics: &ValidMetrics) {
        self.valid_loss.push(at, metrics.loss);
        self.precision.push(at, metrics.precision);
        self.base_rate.push(at, metrics.base_rate);
        self.recall.push(at, metrics.recall);
        self.auc.push(at, metrics.auc);
    }
}

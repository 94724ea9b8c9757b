//! The metrics of a training: burn-train's own, and the base rate that precision must be read beside.

use super::learner::{Factorisation, PairOutput};
use crate::config::Threshold;
use crate::engine::objective::Objective;
use burn::tensor::TensorReadError;
use burn::train::SupervisedTraining;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Adaptor, AurocMetric, LossMetric, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes,
    NumericEntry, PrecisionMetric, RecallMetric, SerializedEntry,
};
use std::sync::Arc;

/// Name of the loss, for train and valid.
pub const LOSS: &str = "Loss";
/// Name of the base rate.
pub const BASE_RATE: &str = "Base rate";
/// What the names of burn's metrics begin with; the rest of a name tells the threshold.
pub const PRECISION_PREFIX: &str = "Precision";
pub const RECALL_PREFIX: &str = "Recall";
pub const AUC_PREFIX: &str = "AUROC";

/// Registers loss for both splits, and precision, recall, AUC and base rate on valid.
pub fn register(
    training: SupervisedTraining<Factorisation>,
    objective: &Objective,
    threshold: Threshold,
) -> SupervisedTraining<Factorisation> {
    // burn asks for scores strictly above its threshold, we for scores that reach it.
    let threshold = f64::from(objective.threshold(threshold).next_down());
    training
        .metrics((LossMetric::new(),))
        .metric_valid_numeric(PrecisionMetric::binary(threshold))
        .metric_valid_numeric(RecallMetric::binary(threshold))
        .metric_valid_numeric(AurocMetric::binary())
        .metric_valid_numeric(BaseRateMetric::default())
}

/// Share of relevant rows: the precision of predicting that everything is relevant.
#[derive(Clone)]
pub struct BaseRateMetric {
    name: MetricName,
    state: NumericMetricState,
}

/// Relevant rows, and all rows.
pub struct BaseRateInput {
    relevant: usize,
    rows: usize,
}

impl Adaptor<BaseRateInput> for PairOutput {
    fn adapt(&self) -> BaseRateInput {
        let relevant = self.relevant();
        BaseRateInput {
            relevant: relevant.iter().filter(|relevant| **relevant).count(),
            rows: relevant.len(),
        }
    }
}

impl Default for BaseRateMetric {
    fn default() -> Self {
        Self {
            name: Arc::new(BASE_RATE.to_string()),
            state: NumericMetricState::default(),
        }
    }
}

impl Metric for BaseRateMetric {
    type Input = BaseRateInput;

    fn name(&self) -> MetricName {
        Arc::clone(&self.name)
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: None,
            higher_is_better: true,
        }
        .into()
    }

    fn update(&mut self, input: &BaseRateInput, _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        self.state
            .update(input.relevant as f64 / input.rows.max(1) as f64, input.rows);
        Ok(self.state.compute_update(FormatOptions::new(self.name()).precision(4)))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(FormatOptions::new(self.name()).precision(4)))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for BaseRateMetric {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

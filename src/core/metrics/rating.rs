//! Rating metrics: how well a threshold tells relevant rows from the others, and how near predicted ratings come.
//!
//! A row is *relevant* if its true rating is at least `relevant_from`; it is *predicted* if its score reaches a threshold.
//! Definitions as in scikit-learn (`precision_score`, `recall_score`, `f1_score`, `log_loss`).

use serde::{Deserialize, Serialize};

/// Counts of a two-by-two table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    pub true_positives: usize,
    pub false_positives: usize,
    pub false_negatives: usize,
    pub true_negatives: usize,
}

impl Confusion {
    /// Counts rows with `score >= threshold` as predicted. Panics if the columns differ in length.
    pub fn at(threshold: f32, scores: &[f32], relevant: &[bool]) -> Self {
        assert_eq!(
            scores.len(),
            relevant.len(),
            "Confusion: scores and labels differ in length"
        );
        let mut counts = Self::default();
        for (&score, &relevant) in scores.iter().zip(relevant) {
            match (score >= threshold, relevant) {
                (true, true) => counts.true_positives += 1,
                (true, false) => counts.false_positives += 1,
                (false, true) => counts.false_negatives += 1,
                (false, false) => counts.true_negatives += 1,
            }
        }
        counts
    }

    /// Relevant rows among the predicted ones; `None` if nothing was predicted.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Predicted rows among the relevant ones; `None` if nothing is relevant.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// Harmonic mean of precision and recall, `2 tp / (2 tp + fp + fn)`; `None` if nothing is relevant or predicted.
    pub fn f1(&self) -> Option<f64> {
        let hits = 2 * self.true_positives;
        ratio(hits, hits + self.false_positives + self.false_negatives)
    }

    /// Relevant rows among all: the precision of predicting that everything is relevant. `None` without rows.
    pub fn base_rate(&self) -> Option<f64> {
        let relevant = self.true_positives + self.false_negatives;
        ratio(relevant, relevant + self.false_positives + self.true_negatives)
    }

    /// `precision / base_rate`: 1 is no better than predicting everything.
    pub fn lift(&self) -> Option<f64> {
        Some(self.precision()? / self.base_rate().filter(|rate| *rate > 0.0)?)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// `sqrt(mean (a - b)^2)`; `None` without rows. Panics if the columns differ in length.
pub fn rmse(predicted: &[f32], actual: &[f32]) -> Option<f64> {
    mean(predicted, actual, |a, b| (a - b).powi(2)).map(f64::sqrt)
}

/// `mean |a - b|`; `None` without rows. Panics if the columns differ in length.
pub fn mae(predicted: &[f32], actual: &[f32]) -> Option<f64> {
    mean(predicted, actual, |a, b| (a - b).abs())
}

/// Mean binary cross-entropy of logits against targets in [0, 1]; `None` without rows.
///
/// `max(z, 0) - z target + ln(1 + exp(-|z|))`. Panics if the columns differ in length.
pub fn cross_entropy(logits: &[f32], targets: &[f32]) -> Option<f64> {
    mean(logits, targets, |z, target| {
        z.max(0.0) - z * target + (-z.abs()).exp().ln_1p()
    })
}

fn mean(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "a metric's columns differ in length");
    let sum: f64 = a.iter().zip(b).map(|(&a, &b)| term(a as f64, b as f64)).sum();
    (!a.is_empty()).then(|| sum / a.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_counted_by_hand() {
        let scores = [0.9, 0.8, 0.8, 0.3, 0.1];
        let relevant = [true, false, true, true, false];
        let counts = Confusion::at(0.8, &scores, &relevant);
        assert_eq!(
            counts,
            Confusion {
                true_positives: 2,
                false_positives: 1,
                false_negatives: 1,
                true_negatives: 1
            }
        );
        assert_eq!(counts.precision(), Some(2.0 / 3.0));
        assert_eq!(counts.recall(), Some(2.0 / 3.0));
        assert_eq!(counts.base_rate(), Some(0.6));
        assert!((counts.lift().unwrap() - (2.0 / 3.0) / 0.6).abs() < 1e-15);
        assert_eq!(counts.f1(), Some(4.0 / 6.0));
        assert!((rmse(&[1.0, 2.0], &[2.0, 4.0]).unwrap() - 2.5f64.sqrt()).abs() < 1e-15);
        assert_eq!(mae(&[1.0, 2.0], &[2.0, 4.0]), Some(1.5));
        assert!((cross_entropy(&[0.0], &[1.0]).unwrap() - 2f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let counts = Confusion::at(0.5, &[0.1, 0.2], &[false, false]);
        assert_eq!((counts.precision(), counts.recall(), counts.lift()), (None, None, None));
        assert_eq!(counts.base_rate(), Some(0.0));
        assert_eq!(counts.f1(), None);
        assert_eq!((rmse(&[], &[]), Confusion::default().base_rate()), (None, None));
    }
}

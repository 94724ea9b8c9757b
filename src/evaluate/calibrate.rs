//! Calibrate: refit scale and bias of the head on the validation split, so that scores can be taken at their word again.
//!
//! ```text
//! logit' = slope * logit + intercept        minimising the mean binary cross-entropy against the targets
//! ```
//!
//! Oversampling teaches a model that low ratings are more common than they are; two numbers give most of that back. The slope
//! is above zero, so no user's ranking changes. A fit that would turn rankings around is refused, and the head stays.
//! Platt: Probabilistic outputs for support vector machines, 1999; by Newton's method, as Lin, Lin and Weng 2007.

use crate::engine::model::Head;
use crate::metrics::rating::cross_entropy;
use serde::{Deserialize, Serialize};

/// What became of a run's head: `calibration.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub outcome: Outcome,
    /// Rows of the validation split that the fit saw.
    pub rows: usize,
    /// Of the fit, also of a refused one.
    pub fit: Option<Fit>,
    /// The head as it was trained.
    pub uncalibrated: Head,
}

/// Whether the head was refitted, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Calibrated,
    /// `train.calibrate = false`.
    Off,
    /// No row is held out to fit on.
    NoValidationRows,
    /// The fit has no end: all logits are equal, or they separate the targets perfectly.
    NotDetermined,
    /// The fitted slope is not above zero: it would turn every ranking around.
    SlopeRefused,
}

impl Outcome {
    /// Why the head stayed as it was; `None` if it did not, or was not meant to change.
    pub fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Calibrated | Self::Off => None,
            Self::NoValidationRows => Some("no validation rows to fit on"),
            Self::NotDetermined => Some("the fit is not determined by the validation rows"),
            Self::SlopeRefused => Some("the fitted slope is not above zero and would turn every ranking around"),
        }
    }
}

/// A line through logits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    pub slope: f64,
    pub intercept: f64,
    /// Mean binary cross-entropy of the rows before and after.
    pub loss_before: f64,
    pub loss_after: f64,
}

/// Refits a head on logits that it gave and their targets in [0, 1]; returns the head to use and what became of it.
///
/// Panics if the columns differ in length.
pub fn calibrate(head: Head, logits: &[f32], targets: &[f32]) -> (Head, Calibration) {
    let keep = |outcome, fit| {
        let calibration = Calibration {
            outcome,
            rows: logits.len(),
            fit,
            uncalibrated: head,
        };
        (head, calibration)
    };
    if logits.is_empty() {
        return keep(Outcome::NoValidationRows, None);
    }
    let Some((slope, intercept)) = fit(logits, targets) else {
        return keep(Outcome::NotDetermined, None);
    };
    let refitted: Vec<f32> = logits
        .iter()
        .map(|&logit| (slope * f64::from(logit) + intercept) as f32)
        .collect();
    let loss = |logits: &[f32]| cross_entropy(logits, targets).expect("there are rows");
    let found = Fit {
        slope,
        intercept,
        loss_before: loss(logits),
        loss_after: loss(&refitted),
    };
    let calibrated = Head {
        scale: (slope * f64::from(head.scale)) as f32,
        bias: (slope * f64::from(head.bias) + intercept) as f32,
    };
    // As f32, which the head is: a slope above zero may vanish there.
    if !(calibrated.scale > 0.0 && calibrated.scale.is_finite() && calibrated.bias.is_finite()) {
        return keep(Outcome::SlopeRefused, Some(found));
    }
    let (_, calibration) = keep(Outcome::Calibrated, Some(found));
    (calibrated, calibration)
}

const MAX_STEPS: usize = 100;
/// Of the mean gradient in standardised logits: past it nothing moves that an f32 could hold.
const CONVERGED: f64 = 1e-12;
/// A mean loss below this separates labels of 0 and 1 perfectly: a steeper slope would always be better.
const SEPARATED: f64 = 1e-8;

/// Slope and intercept of least cross-entropy; `None` if they are not determined.
fn fit(logits: &[f32], targets: &[f32]) -> Option<(f64, f64)> {
    assert_eq!(logits.len(), targets.len(), "calibrate: columns differ in length");
    let rows = logits.len() as f64;
    // Standardised, so that the two parameters are of one size.
    let mean = logits.iter().map(|&z| f64::from(z)).sum::<f64>() / rows;
    let variance = logits.iter().map(|&z| (f64::from(z) - mean).powi(2)).sum::<f64>() / rows;
    let deviation = variance.sqrt();
    if deviation.is_nan() || deviation <= 1e-9 * mean.abs().max(1.0) {
        return None;
    }
    let pairs = || {
        let standard = logits.iter().map(|&z| (f64::from(z) - mean) / deviation);
        standard.zip(targets.iter().map(|&target| f64::from(target)))
    };
    let loss = |slope: f64, intercept: f64| {
        let terms = pairs().map(|(x, target)| {
            let z = slope * x + intercept;
            z.max(0.0) - z * target + (-z.abs()).exp().ln_1p()
        });
        terms.sum::<f64>() / rows
    };
    let (mut slope, mut intercept) = (deviation, mean);
    let mut now = loss(slope, intercept);
    // In the units that came in.
    let found = |slope: f64, intercept: f64| Some((slope / deviation, intercept - slope * mean / deviation));
    for _ in 0..MAX_STEPS {
        if now < SEPARATED {
            return None;
        }
        let (mut gradient, mut curvature) = ([0.0; 2], [0.0; 3]);
        for (x, target) in pairs() {
            let score = 1.0 / (1.0 + (-(slope * x + intercept)).exp());
            let (error, weight) = (score - target, score * (1.0 - score));
            gradient[0] += error * x;
            gradient[1] += error;
            curvature[0] += weight * x * x;
            curvature[1] += weight * x;
            curvature[2] += weight;
        }
        let gradient = gradient.map(|sum| sum / rows);
        let [a, b, c] = curvature.map(|sum| sum / rows);
        if gradient.iter().all(|slope| slope.abs() < CONVERGED) {
            return found(slope, intercept);
        }
        let determinant = a * c - b * b;
        if !(determinant > 0.0 && determinant.is_finite()) {
            return None;
        }
        let step = [
            (c * gradient[0] - b * gradient[1]) / determinant,
            (a * gradient[1] - b * gradient[0]) / determinant,
        ];
        // Newton's step is too long where the curve is flat: it is halved until the loss does not rise.
        let mut length = 1.0;
        loop {
            let (next_slope, next_intercept) = (slope - length * step[0], intercept - length * step[1]);
            let next = loss(next_slope, next_intercept);
            if next <= now {
                let is_still = next_slope == slope && next_intercept == intercept;
                (slope, intercept, now) = (next_slope, next_intercept, next);
                if is_still {
                    return found(slope, intercept);
                }
                break;
            }
            length /= 2.0;
            if length < 1e-10 {
                // Rounding hides any further descent.
                return found(slope, intercept);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const HEAD: Head = Head { scale: 2.0, bias: 0.5 };

    #[test]
    fn the_fit_is_that_of_scikit_learns_logistic_regression() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/metrics/golden_rating.json")).unwrap();
        let mut compared = 0;
        for case in cases.iter().filter(|case| case["platt"].is_array()) {
            let column = |key: &str| -> Vec<f32> {
                let values = case[key].as_array().unwrap();
                values.iter().map(|value| value.as_f64().unwrap() as f32).collect()
            };
            let targets: Vec<f32> = column("ratings").iter().map(|rating| (rating - 1.0) / 4.0).collect();
            let (slope, intercept) = fit(&column("logits"), &targets).unwrap();
            let wanted = [0, 1].map(|place| case["platt"][place].as_f64().unwrap());
            assert!(
                (slope - wanted[0]).abs() < 1e-7,
                "{}: {slope} for {}",
                case["name"],
                wanted[0]
            );
            assert!((intercept - wanted[1]).abs() < 1e-7, "{}", case["name"]);
            compared += 1;
        }
        assert!(compared >= 4);
    }

    #[test]
    fn a_head_that_was_shifted_is_found_again() {
        // Targets are what the true head says; the head in use is off by slope and intercept.
        let logits: Vec<f32> = (0..200).map(|row| row as f32 / 40.0 - 2.0).collect();
        let truth = |logit: f32| 1.0 / (1.0 + (-(0.7 * logit + 0.4)).exp());
        let targets: Vec<f32> = logits.iter().map(|&logit| truth(logit)).collect();
        let (head, calibration) = calibrate(HEAD, &logits, &targets);
        assert_eq!(calibration.outcome, Outcome::Calibrated);
        assert_eq!(calibration.uncalibrated, HEAD);
        assert!(
            (head.scale - 1.4).abs() < 1e-5 && (head.bias - 0.75).abs() < 1e-5,
            "{head:?}"
        );
        let fit = calibration.fit.unwrap();
        assert!(fit.loss_after < fit.loss_before);
    }

    #[test]
    fn what_would_turn_rankings_around_is_refused() {
        let logits: Vec<f32> = (0..100).map(|row| row as f32 / 20.0 - 2.5).collect();
        let against: Vec<f32> = logits.iter().map(|logit| 1.0 / (1.0 + logit.exp())).collect();
        let (head, calibration) = calibrate(HEAD, &logits, &against);
        assert_eq!((head, calibration.outcome), (HEAD, Outcome::SlopeRefused));
        assert!(calibration.fit.unwrap().slope < 0.0);
    }

    #[test]
    fn what_is_not_determined_keeps_the_head() {
        let outcome = |logits: &[f32], targets: &[f32]| {
            let (head, calibration) = calibrate(HEAD, logits, targets);
            assert_eq!(head, HEAD);
            calibration.outcome
        };
        assert_eq!(outcome(&[], &[]), Outcome::NoValidationRows);
        assert_eq!(outcome(&[1.5; 4], &[0.0, 1.0, 1.0, 0.5]), Outcome::NotDetermined);
        assert_eq!(
            outcome(&[-1.0, -0.5, 0.5, 1.0], &[0.0, 0.0, 1.0, 1.0]),
            Outcome::NotDetermined
        );
    }
}

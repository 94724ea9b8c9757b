//! Calibration: whether scores can be taken at their word.
//!
//! Targets are in [0, 1]: labels of 0 and 1, or ratings as shares of their scale. Then a score is an expected share, and
//! calibrated if, among rows of about one score, the mean target is that score.

use serde::{Deserialize, Serialize};

/// Bins of the expected calibration error, as in Guo et al. 2017.
pub const BINS: usize = 15;

/// Rows whose scores lie in one of [`BINS`] equal parts of [0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    pub rows: usize,
    pub mean_score: f64,
    pub mean_target: f64,
}

/// The bins that have rows, by rising score. A score on an edge belongs to the lower bin, as in scikit-learn's
/// `calibration_curve`. Panics if the columns differ in length.
pub fn reliability(scores: &[f32], targets: &[f32]) -> Vec<ReliabilityBin> {
    assert_eq!(scores.len(), targets.len(), "reliability: columns differ in length");
    let mut bins = [ReliabilityBin::default(); BINS];
    for (&score, &target) in scores.iter().zip(targets) {
        let bin = ((f64::from(score) * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[bin].rows += 1;
        bins[bin].mean_score += f64::from(score);
        bins[bin].mean_target += f64::from(target);
    }
    let filled = bins.into_iter().filter(|bin| bin.rows > 0);
    filled
        .map(|bin| ReliabilityBin {
            rows: bin.rows,
            mean_score: bin.mean_score / bin.rows as f64,
            mean_target: bin.mean_target / bin.rows as f64,
        })
        .collect()
}

/// Expected calibration error: `sum over bins of rows / all * |mean target - mean score|`; `None` without rows.
///
/// Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks, ICML 2017.
pub fn expected_error(bins: &[ReliabilityBin]) -> Option<f64> {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let gaps = bins
        .iter()
        .map(|bin| bin.rows as f64 * (bin.mean_target - bin.mean_score).abs());
    (rows > 0).then(|| gaps.sum::<f64>() / rows as f64)
}

/// `mean (score - target)^2`; `None` without rows. Panics if the columns differ in length.
///
/// Brier 1950; with fractional targets it is the mean squared error of the score.
pub fn brier(scores: &[f32], targets: &[f32]) -> Option<f64> {
    assert_eq!(scores.len(), targets.len(), "brier: columns differ in length");
    let errors = scores
        .iter()
        .zip(targets)
        .map(|(&score, &target)| (f64::from(score) - f64::from(target)).powi(2));
    (!scores.is_empty()).then(|| errors.sum::<f64>() / scores.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_scale_have_a_bin() {
        let bins = reliability(&[0.0, 0.2, 1.0, 0.99], &[0.0, 1.0, 1.0, 0.5]);
        let rows: Vec<usize> = bins.iter().map(|bin| bin.rows).collect();
        assert_eq!(rows, [1, 1, 2]);
        assert_eq!(expected_error(&[]), None);
        assert_eq!(brier(&[], &[]), None);
    }
}

//! The learning rate of each step.
//!
//! ```text
//! warm-up    base step / warmup_steps                                     steps 1..=warmup_steps
//! constant   base
//! cosine     base (1 + cos(pi (step - 1 - warmup_steps) / (steps - warmup_steps))) / 2
//! ```
//!
//! Each reduction on a plateau multiplies what comes after it. Source: Loshchilov and Hutter, SGDR, arXiv:1608.03983
//! (one cycle); warm-up as in Goyal et al., arXiv:1706.02677.

use crate::config::LearningRateCurve;
use serde::{Deserialize, Serialize};

/// A reduction that nobody planned: it holds for the steps after `after_step`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduction {
    pub after_step: u32,
    pub factor: f64,
}

/// The learning rate as a function of the step.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRate {
    pub base: f64,
    pub curve: LearningRateCurve,
    pub warmup_steps: usize,
    /// Ascending.
    pub reductions: Vec<Reduction>,
}

impl LearningRate {
    /// One learning rate for all steps.
    pub const fn constant(base: f64) -> Self {
        Self {
            base,
            curve: LearningRateCurve::Constant,
            warmup_steps: 0,
            reductions: Vec::new(),
        }
    }

    /// The learning rate of a step, from 1, of a training of `steps`.
    pub fn at(&self, step: usize, steps: usize) -> f64 {
        let reduced: f64 = self
            .reductions
            .iter()
            .filter(|reduction| step > reduction.after_step as usize)
            .map(|reduction| reduction.factor)
            .product();
        let curve = match self.curve {
            _ if step <= self.warmup_steps => step as f64 / self.warmup_steps as f64,
            LearningRateCurve::Constant => 1.0,
            LearningRateCurve::Cosine => {
                let length = steps.saturating_sub(self.warmup_steps).max(1) as f64;
                let progress = ((step - 1 - self.warmup_steps) as f64 / length).min(1.0);
                (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0
            }
        };
        self.base * curve * reduced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_to_the_base_and_cosine_falls_to_nothing() {
        let rate = LearningRate {
            curve: LearningRateCurve::Cosine,
            warmup_steps: 4,
            ..LearningRate::constant(0.5)
        };
        let at: Vec<f64> = (1..=104).map(|step| rate.at(step, 104)).collect();
        assert_eq!(at[..5], [0.125, 0.25, 0.375, 0.5, 0.5]);
        assert!(at[4..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!((at[54] - 0.25).abs() < 1e-12, "half way: {}", at[54]);
        assert!(at[103] > 0.0 && at[103] < 2e-4);
    }

    #[test]
    fn a_reduction_holds_from_the_next_step_on() {
        let mut rate = LearningRate::constant(0.1);
        let reduction = |after_step| Reduction {
            after_step,
            factor: 0.5,
        };
        rate.reductions = vec![reduction(10), reduction(20)];
        assert_eq!([rate.at(10, 30), rate.at(11, 30), rate.at(21, 30)], [0.1, 0.05, 0.025]);
    }
}

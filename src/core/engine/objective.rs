//! The objective: what a rating becomes in the loss, the loss of a logit, and its gradient.
//!
//! ```text
//! loss(z, target) = max(z, 0) - z target + ln(1 + exp(-|z|))        binary cross-entropy with logits
//! d loss / d z    = sigmoid(z) - target
//!
//! training_target = (1 - relevance) target + relevance [rating >= relevant_from]        relevance: `train.relevance`
//! ```
//!
//! The loss is linear in its target, so training on that blend is training on both losses, weighed. Everything that is
//! measured or refitted (validation loss, calibration, folding in) takes the target alone: two shares compare by it.
//!
//! Kernels that update rows consume the gradient alone and know nothing of the loss. The engines' copies of the same
//! arithmetic are `shaders/common/objective.wgsl` and, for many samples at once, [`crate::engine::cpu::pair_forward`].

use crate::common::interaction::RatingScale;
use crate::config::{Config, Positives, Target, Threshold};

/// The map from ratings to targets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    pub scale: RatingScale,
    pub target: Target,
    pub relevance: f32,
    pub relevant_from: f32,
    pub positives: Positives,
}

impl Objective {
    /// The objective that a config describes.
    pub fn new(config: &Config) -> Self {
        Self {
            scale: config.data.rating_scale,
            target: config.train.target,
            relevance: config.train.relevance as f32,
            relevant_from: config.evaluate.relevant_from,
            positives: config.train.ranking.positives,
        }
    }

    /// The target of a rating, in [0, 1].
    pub fn target(&self, rating: f32) -> f32 {
        match self.target {
            Target::Scaled => self.scale.to_unit(rating),
            Target::Binary => f32::from(rating >= self.relevant_from),
        }
    }

    /// What training draws the score of a rating to, in [0, 1]: the target, blended with relevance.
    pub fn training_target(&self, rating: f32) -> f32 {
        let target = self.target(rating);
        target + self.relevance * (f32::from(rating >= self.relevant_from) - target)
    }

    /// How much a rating counts as a choice, in [0, 1].
    pub fn choice(&self, rating: f32) -> f32 {
        match self.positives {
            Positives::All => 1.0,
            Positives::Relevant => f32::from(rating >= self.relevant_from),
            Positives::Graded => self.scale.to_unit(rating),
            Positives::Counted => (1.0 + rating).log2(),
            Positives::Half => 0.5 + 0.5 * self.scale.to_unit(rating),
        }
    }

    /// The rating that a score predicts, or `None` where scores are chances of relevance and no ratings.
    pub fn predicted_rating(&self, score: f32) -> Option<f32> {
        (self.target == Target::Scaled).then(|| self.scale.from_unit(score))
    }

    /// The score from which on a row is predicted relevant: where the predicted rating reaches `relevant_from`, or one half
    /// where scores are chances; or the score that the config names.
    pub fn threshold(&self, threshold: Threshold) -> f32 {
        match (threshold, self.target) {
            (Threshold::Score(score), _) => score,
            (Threshold::Relevant, Target::Scaled) => self.scale.to_unit(self.relevant_from),
            (Threshold::Relevant, Target::Binary) => 0.5,
        }
    }
}

/// `1 / (1 + exp(-z))`, without overflow on either side.
#[inline]
pub fn sigmoid(z: f32) -> f32 {
    let small = (-z.abs()).exp();
    let numerator = if z >= 0.0 { 1.0 } else { small };
    numerator / (1.0 + small)
}

/// Binary cross-entropy of a logit against a target in [0, 1].
#[inline]
pub fn loss(z: f32, target: f32) -> f32 {
    z.max(0.0) - z * target + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        for z in [-30.0f64, -3.0, -0.5, 0.2, 1.0, 8.0, 30.0] {
            for target in [0.0f64, 0.25, 1.0] {
                let exact = |z: f64| z.max(0.0) - z * target + (-z.abs()).exp().ln_1p();
                let slope = (exact(z + 1e-6) - exact(z - 1e-6)) / 2e-6;
                let gradient = (sigmoid(z as f32) - target as f32) as f64;
                assert!(
                    (slope - gradient).abs() < 1e-6,
                    "z {z}, target {target}: {slope} for {gradient}"
                );
                assert!((loss(z as f32, target as f32) as f64 - exact(z)).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_loss_of_the_training_target_is_both_losses_weighed() {
        let objective = |target, relevance| Objective {
            scale: RatingScale { min: 1.0, max: 5.0 },
            target,
            relevance,
            relevant_from: 4.0,
            positives: Positives::All,
        };
        let [rating_alone, relevance_alone] = [objective(Target::Scaled, 0.0), objective(Target::Binary, 0.0)];
        let blend = objective(Target::Scaled, 0.2);
        for rating in [1.0, 2.5, 3.75, 4.0, 5.0] {
            for z in [-3.0, 0.0, 1.5] {
                let weighed =
                    0.8 * loss(z, rating_alone.target(rating)) + 0.2 * loss(z, relevance_alone.target(rating));
                let blended = loss(z, blend.training_target(rating));
                assert!(
                    (blended - weighed).abs() < 1e-6,
                    "{rating}, {z}: {blended} for {weighed}"
                );
            }
            // What is measured does not move, and without a share nothing does.
            assert_eq!(blend.target(rating), rating_alone.target(rating));
            assert_eq!(rating_alone.training_target(rating), rating_alone.target(rating));
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        assert_eq!((sigmoid(-1e30), sigmoid(1e30)), (0.0, 1.0));
        assert!(loss(1e30, 1.0).is_finite() && loss(-1e30, 0.0) == 0.0);
    }
}

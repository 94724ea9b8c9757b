//! Evaluate: a model against rows it has not seen, never one number alone.
//!
//! Precision stands beside its base rate, lift and recall. Rows of users or items without a training rating are scored with
//! what is known of the other side, and counted apart.

use crate::artifact::run_directory::{RunDirectory, RunError};
use crate::artifact::tensor_file::FileError;
use crate::config::{Config, Threshold};
use crate::engine::cpu::CpuScorer;
use crate::engine::objective::{Objective, sigmoid};
use crate::engine::{EngineError, Scorer};
use crate::interaction::Part;
use crate::metrics::rating::{Confusion, auc, cross_entropy, mae, rmse};
use serde::{Deserialize, Serialize};

/// One part of the data, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    pub part: Part,
    pub rows: usize,
    /// Rows whose user has no rating in the training split.
    pub cold_user_rows: usize,
    /// Rows whose product has no rating in the training split.
    pub cold_item_rows: usize,
    pub relevant_from: f32,
    /// At the threshold of the config first, then the other customary one.
    pub thresholds: Vec<AtThreshold>,
    pub auc: Option<f64>,
    pub rmse: Option<f64>,
    pub mae: Option<f64>,
    /// Mean binary cross-entropy, as in training.
    pub loss: Option<f64>,
    /// RMSE of predicting the mean training rating everywhere.
    pub rmse_of_global_mean: Option<f64>,
    /// True if the ratings were generated, not collected from people.
    pub generated: bool,
}

/// Precision and what it must be read beside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtThreshold {
    /// Predicted relevant if the score reaches this.
    pub score: f32,
    /// The same as a predicted rating, where scores predict ratings.
    pub rating: Option<f32>,
    pub counts: Confusion,
    pub precision: Option<f64>,
    pub base_rate: Option<f64>,
    pub lift: Option<f64>,
    pub recall: Option<f64>,
}

/// A run cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<FileError> for EvaluateError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

/// Judges the model in a run's folder on one part of its rows.
pub fn evaluate(run: &RunDirectory, config: &Config, part: Part, generated: bool) -> Result<Evaluation, EvaluateError> {
    let model = run.model()?.read()?;
    let (users, products) = (run.users()?, run.products()?);
    let file = run.interactions(model.shape.users, model.shape.items)?;
    let (interactions, parts) = file.read()?;
    let rows: Vec<usize> = (0..parts.len()).filter(|&row| parts[row] == part as u8).collect();

    let user_rows: Vec<&[f32]> = rows.iter().map(|&row| model.user(interactions.users[row])).collect();
    let items: Vec<u32> = rows.iter().map(|&row| interactions.items[row]).collect();
    let logits = CpuScorer::new(&model, config.threads).score_pairs(&user_rows, &items)?;
    let ratings: Vec<f32> = rows.iter().map(|&row| interactions.ratings[row]).collect();

    let train: Vec<f32> = (0..parts.len())
        .filter(|&row| parts[row] == Part::Train as u8)
        .map(|row| interactions.ratings[row])
        .collect();
    let mean = train.iter().map(|&rating| rating as f64).sum::<f64>() / train.len().max(1) as f64;

    let (user_counts, item_counts) = (users.train_ratings()?, products.train_ratings()?);
    let cold = |counts: &[u32], index: &[u32]| rows.iter().filter(|&&row| counts[index[row] as usize] == 0).count();
    Ok(Evaluation {
        cold_user_rows: cold(user_counts, &interactions.users),
        cold_item_rows: cold(item_counts, &interactions.items),
        generated,
        ..judge(config, part, &logits, &ratings, mean as f32)
    })
}

/// Judges logits against ratings; `mean` is the mean training rating.
fn judge(config: &Config, part: Part, logits: &[f32], ratings: &[f32], mean: f32) -> Evaluation {
    let objective = Objective::new(config);
    let relevant_from = config.evaluate.relevant_from;
    let scores: Vec<f32> = logits.iter().map(|&logit| sigmoid(logit)).collect();
    let predicted: Option<Vec<f32>> = scores.iter().map(|&score| objective.predicted_rating(score)).collect();
    let targets: Vec<f32> = ratings.iter().map(|&rating| objective.target(rating)).collect();
    let relevant: Vec<bool> = ratings.iter().map(|&rating| rating >= relevant_from).collect();
    let chosen = objective.threshold(config.evaluate.threshold);
    let mut wanted = vec![chosen];
    let customary = [objective.threshold(Threshold::Relevant), 0.5];
    for score in customary {
        if !wanted.contains(&score) {
            wanted.push(score);
        }
    }
    let thresholds = wanted.into_iter().map(|score| {
        let counts = Confusion::at(score, &scores, &relevant);
        AtThreshold {
            score,
            rating: objective.predicted_rating(score),
            counts,
            precision: counts.precision(),
            base_rate: counts.base_rate(),
            lift: counts.lift(),
            recall: counts.recall(),
        }
    });
    Evaluation {
        part,
        rows: ratings.len(),
        cold_user_rows: 0,
        cold_item_rows: 0,
        relevant_from,
        thresholds: thresholds.collect(),
        auc: auc(logits, &relevant),
        rmse: predicted.as_deref().and_then(|predicted| rmse(predicted, ratings)),
        mae: predicted.as_deref().and_then(|predicted| mae(predicted, ratings)),
        loss: cross_entropy(logits, &targets),
        rmse_of_global_mean: rmse(&vec![mean; ratings.len()], ratings),
        generated: false,
    }
}

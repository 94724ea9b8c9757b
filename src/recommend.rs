//! Recommend: every product a user has not rated, in one pass, best first.

use crate::artifact::run_directory::{MODEL, RunDirectory, RunError};
use crate::artifact::tensor_file::FileError;
use crate::config::Config;
use crate::engine::cpu::CpuScorer;
use crate::engine::objective::{Objective, sigmoid};
use crate::engine::{EngineError, Query, Scorer};
use serde::Serialize;

/// What one user should see next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    pub user: String,
    /// Ratings of the user in the training split; with none, products are ranked by their own bias alone.
    pub train_ratings: u32,
    /// Products the user has rated in any part, which are left out.
    pub seen: usize,
    /// Products that were scored.
    pub candidates: usize,
    pub products: Vec<Recommendation>,
    /// True if the model learned from generated ratings.
    pub generated: bool,
}

/// One ranked product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    pub rank: usize,
    pub product: String,
    /// From the product table, where the config names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Sigmoid of the logit, in (0, 1).
    pub score: f32,
    /// Absent where scores are chances of relevance.
    pub predicted_rating: Option<f32>,
    /// Ratings of the product in the training split.
    pub train_ratings: u32,
}

/// Nothing can be recommended.
#[derive(Debug, thiserror::Error)]
pub enum RecommendError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("user `{user}` is not in run `{run}`")]
    UnknownUser { user: String, run: String, example: String },
    #[error("user `{user}` has rated all {products} products")]
    NothingLeft { user: String, products: usize },
}

impl RecommendError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Run(error) => error.hint(),
            Self::Engine(error) => error.hint().to_string(),
            Self::UnknownUser { example, .. } => {
                format!("ids are compared as text, leading zeros count; one that is there: `{example}`")
            }
            Self::NothingLeft { .. } => "there is nothing left to recommend".to_string(),
        }
    }
}

impl From<FileError> for RecommendError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

/// Ranks for one user the `top` best products that the user has not rated in any part.
///
/// Scored on the cpu: opening a GPU costs more than the work. Fewer than `top` only if fewer are left.
pub fn recommend(
    run: &RunDirectory,
    config: &Config,
    user: &str,
    top: usize,
    generated: bool,
) -> Result<Ranking, RecommendError> {
    let users = run.users()?;
    let products = run.products()?;
    let Some(index) = users.index(user)? else {
        return Err(RecommendError::UnknownUser {
            user: user.to_string(),
            run: run.path().display().to_string(),
            example: users.id(0)?.to_string(),
        });
    };
    let model = run.model()?;
    let shape = model.shape();
    if (users.len(), products.len()) != (shape.users, shape.items) {
        let fault = format!(
            "it has {} users and {} products, the vocabularies {} and {}",
            shape.users,
            shape.items,
            users.len(),
            products.len()
        );
        return Err(FileError::damaged(&run.file(MODEL), fault).into());
    }
    let rows = run.interactions(shape.users, shape.items)?;
    let mut seen = rows.user(index)?.items.to_vec();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() == shape.items {
        return Err(RecommendError::NothingLeft {
            user: user.to_string(),
            products: shape.items,
        });
    }
    let factors = model.user(index)?;
    let mut scorer = CpuScorer::from_rows(model.head(), model.item_rows()?, config.threads);
    let query = Query {
        user: &factors,
        seen: &seen,
    };
    let ranked = scorer.top_k(&[query], top)?.remove(0);
    let objective = Objective::new(config);
    let counts = products.train_ratings()?;
    let products = ranked.iter().enumerate().map(|(place, scored)| {
        let score = sigmoid(scored.logit);
        Ok(Recommendation {
            rank: place + 1,
            product: products.id(scored.item)?.to_string(),
            title: products.title(scored.item)?.map(str::to_string),
            score,
            predicted_rating: objective.predicted_rating(score),
            train_ratings: counts[scored.item as usize],
        })
    });
    let products: Result<Vec<_>, FileError> = products.collect();
    Ok(Ranking {
        user: user.to_string(),
        train_ratings: users.train_ratings()?[index as usize],
        seen: seen.len(),
        candidates: shape.items - seen.len(),
        products: products?,
        generated,
    })
}

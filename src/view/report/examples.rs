//! Example recommendations for a report: a few users, what they would be shown, and how much of each score is whose.
//!
//! ```text
//! logit = scale * (user_embedding . item_embedding) + scale * item_bias + what is the same for every product of the user
//!         \______________ this user's taste ______/   \_ everybody's __/
//! ```

use crate::artifact::run_directory::{RunDirectory, RunError};
use crate::artifact::run_files::RunFiles;
use crate::common::interaction::UserIndex;
use crate::config::Config;
use crate::engine::cpu::CpuScorer;
use crate::engine::{EngineError, Query, Scorer};
use crate::evaluate::EvaluateError;

/// One user's first products.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub user: String,
    /// Ratings of the user in the training split.
    pub train_ratings: u32,
    pub products: Vec<ExampleProduct>,
}

/// A recommended product and what speaks for it, in logits.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleProduct {
    /// Title, or id where there is none.
    pub name: String,
    pub score: f32,
    pub taste: f32,
    pub everybody: f32,
    pub train_ratings: u32,
}

/// Products a user is shown.
const PRODUCTS: usize = 5;

/// The first products of the user with the most training ratings, of one in the middle, and of the one with the fewest.
pub fn examples(run: &RunDirectory, config: &Config) -> Result<Vec<Example>, EvaluateError> {
    let RunFiles {
        users,
        products,
        model,
        rows,
    } = run.open()?;
    let model = model.read()?;
    let (user_counts, item_counts) = (users.train_ratings()?, products.train_ratings()?);
    let mut order: Vec<UserIndex> = (0..user_counts.len() as UserIndex)
        .filter(|&user| user_counts[user as usize] > 0)
        .collect();
    order.sort_by_key(|&user| (std::cmp::Reverse(user_counts[user as usize]), user));
    let mut chosen: Vec<UserIndex> = [0, order.len() / 2, order.len().saturating_sub(1)]
        .iter()
        .filter_map(|&place| order.get(place).copied())
        .collect();
    chosen.dedup();
    let mut scorer = CpuScorer::new(&model, config.threads);
    let mut found = Vec::new();
    for user in chosen {
        let mut seen = rows.user(user).map_err(RunError::from)?.items.to_vec();
        seen.sort_unstable();
        seen.dedup();
        let query = Query {
            user: model.user(user),
            seen: &seen,
        };
        let ranked: Result<_, EngineError> = scorer.top_k(&[query], PRODUCTS);
        let mut shown = Vec::new();
        for scored in ranked?.remove(0) {
            let bias = model.item(scored.item)[0];
            // What is left of the logit without the biases and the head's own part.
            let affinity = (scored.logit - model.head.bias) / model.head.scale;
            let taste = affinity - bias - model.user(user)[0];
            let title = products.title(scored.item).map_err(RunError::from)?;
            let id = products.id(scored.item).map_err(RunError::from)?;
            shown.push(ExampleProduct {
                name: title.unwrap_or(id).to_string(),
                score: crate::engine::objective::sigmoid(scored.logit),
                taste: model.head.scale * taste,
                everybody: model.head.scale * bias,
                train_ratings: item_counts[scored.item as usize],
            });
        }
        found.push(Example {
            user: users.id(user).map_err(RunError::from)?.to_string(),
            train_ratings: user_counts[user as usize],
            products: shown,
        });
    }
    Ok(found)
}

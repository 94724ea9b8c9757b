//! Example recommendations for a report: a few users, what they would be shown, and how much of each score is whose.
//!
//! ```text
//! appeal = user_choice . item_choice + item_appeal                                        where choices were learned, else
//! logit  = scale * (user_embedding . item_embedding) + scale * item_bias + what is the same for every product of the user
//!          \______________ this user's taste ______/   \_ everybody's __/
//! ```

use crate::artifact::run_directory::{RunDirectory, RunError};
use crate::artifact::run_files::RunFiles;
use crate::common::interaction::UserIndex;
use crate::config::Config;
use crate::engine::cpu::pair_logits::dot;
use crate::engine::model::ROW_HEADER;
use crate::engine::objective::sigmoid;
use crate::engine::ranker::{Catalogue, RankQuery, Ranker};
use crate::evaluate::EvaluateError;

/// One user's first products.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub user: String,
    /// Ratings of the user in the training split.
    pub train_ratings: u32,
    pub products: Vec<ExampleProduct>,
}

/// A recommended product and what speaks for it, in appeal or in logits.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleProduct {
    /// Title, or id where there is none.
    pub name: String,
    /// Absent where ratings were not learned.
    pub score: Option<f32>,
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
    let mut order: Vec<UserIndex> = (0..user_counts.len() as u32)
        .map(UserIndex)
        .filter(|&user| user_counts[user.index()] > 0)
        .collect();
    order.sort_by_key(|&user| (std::cmp::Reverse(user_counts[user.index()]), user));
    let mut chosen: Vec<UserIndex> = [0, order.len() / 2, order.len().saturating_sub(1)]
        .iter()
        .filter_map(|&place| order.get(place).copied())
        .collect();
    chosen.dedup();
    let mut ranker = Ranker::on_cpu(Catalogue::of(&model, config), config.threads);
    let mut found = Vec::new();
    for user in chosen {
        let mut seen = rows.user(user).map_err(RunError::from)?.items.to_vec();
        seen.sort_unstable();
        seen.dedup();
        let query = RankQuery::of_user(&model, user, &seen);
        let mut shown = Vec::new();
        for ranked in ranker.top_k(&[query], PRODUCTS)?.remove(0) {
            let (taste, everybody) = match &model.choices {
                Some(choices) => {
                    let appeal = choices.item(ranked.item)[0];
                    let taste = dot(&query.choice[ROW_HEADER..], &choices.item(ranked.item)[ROW_HEADER..]);
                    (taste, appeal)
                }
                None => {
                    let scale = model.head.scale;
                    let item = model.item(ranked.item);
                    let taste = dot(&query.rating[ROW_HEADER..], &item[ROW_HEADER..]);
                    (scale * taste, scale * item[0])
                }
            };
            let title = products.title(ranked.item).map_err(RunError::from)?;
            let id = products.id(ranked.item).map_err(RunError::from)?;
            shown.push(ExampleProduct {
                name: title.unwrap_or(id).to_string(),
                score: (model.shape.dim > 0).then(|| sigmoid(ranked.logit)),
                taste,
                everybody,
                train_ratings: item_counts[ranked.item.index()],
            });
        }
        found.push(Example {
            user: users.id(user).map_err(RunError::from)?.to_string(),
            train_ratings: user_counts[user.index()],
            products: shown,
        });
    }
    Ok(found)
}

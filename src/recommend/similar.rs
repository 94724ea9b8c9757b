//! Similar: the products, or users, whose embeddings point the same way.
//!
//! ```text
//! cosine(a, b) = embedding[a] . embedding[b] / (|embedding[a]| |embedding[b]|)
//! ```
//!
//! Embeddings are those of choices, where they were learned: alike is what the same people take up. Else those of ratings.
//! Biases play no part: two products are alike if the same people like them, however many that are. Rows without a training
//! rating have no direction and are left out. Accumulated in f64; ties by lower index.

use super::{RecommendError, Recommender};
use crate::artifact::run_directory::MODEL;
use crate::artifact::tensor_file::FileError;
use crate::artifact::vocabulary_file::VocabularyFile;
use crate::engine::cpu::score_top_k::{Best, Candidate};
use crate::engine::cpu::thread_pool;
use rayon::prelude::*;
use serde::Serialize;

/// Rows that one task compares.
const ROWS_PER_TASK: usize = 1 << 14;

/// What is like something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Similar {
    /// `product` or `user`.
    pub of: &'static str,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub train_ratings: u32,
    pub similar: Vec<Neighbour>,
    /// True if the model learned from generated ratings.
    pub generated: bool,
}

/// One that is like it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Neighbour {
    pub rank: usize,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub cosine: f32,
    pub train_ratings: u32,
}

impl Recommender {
    /// The `top` products most like one.
    pub fn similar_products(&self, id: &str, top: usize) -> Result<Similar, RecommendError> {
        let item = self.product(id)?;
        let rows = match self.model.choice_rows()? {
            Some(rows) => rows,
            None => self.item_rows()?,
        };
        let row = |place: usize| rows.weights(place);
        self.similar("product", &self.products, item, top, &row)
    }

    /// The `top` users most like one.
    pub fn similar_users(&self, id: &str, top: usize) -> Result<Similar, RecommendError> {
        let user = self.user(id)?;
        let (embedding, dim) = self.model.user_embeddings()?;
        let row = |place: usize| &embedding[place * dim..][..dim];
        self.similar("user", &self.users, user, top, &row)
    }

    fn similar<'a>(
        &self,
        of: &'static str,
        known: &VocabularyFile,
        index: u32,
        top: usize,
        row: &(impl Fn(usize) -> &'a [f32] + Sync),
    ) -> Result<Similar, RecommendError> {
        let counts = known.train_ratings()?;
        let not_finite = |index: u32| {
            let fault = format!("the embedding of {of} {index} holds a number that is not finite");
            FileError::damaged(&self.run().file(MODEL), fault)
        };
        let wanted = row(index as usize);
        let size = dot(wanted, wanted).sqrt();
        if !size.is_finite() {
            return Err(not_finite(index).into());
        }
        if counts[index as usize] == 0 || size <= 0.0 {
            return Err(RecommendError::NoEmbedding {
                what: of,
                id: known.id(index)?.to_string(),
            });
        }
        let top = top.min(counts.len());
        let parts: Result<Vec<Vec<Candidate>>, FileError> = thread_pool(self.config.threads).install(|| {
            let starts = (0..counts.len()).into_par_iter().step_by(ROWS_PER_TASK);
            let compare = |first: usize| {
                let mut best = Best::new(top);
                let here = counts.iter().enumerate().skip(first).take(ROWS_PER_TASK);
                for (place, &ratings) in here {
                    let other = row(place);
                    let squared = dot(other, other);
                    // No sum of squares of so few finite numbers overflows.
                    if !squared.is_finite() {
                        return Err(not_finite(place as u32));
                    }
                    if place != index as usize && ratings > 0 && squared > 0.0 {
                        best.push(Candidate {
                            item: place as u32,
                            score: (dot(wanted, other) / (size * squared.sqrt())) as f32,
                        });
                    }
                }
                Ok(best.into_sorted())
            };
            starts.map(compare).collect()
        });
        let mut best = Best::new(top);
        for candidate in parts?.into_iter().flatten() {
            best.push(candidate);
        }
        let mut similar = Vec::new();
        for (place, found) in best.into_sorted().into_iter().enumerate() {
            similar.push(Neighbour {
                rank: place + 1,
                id: known.id(found.item)?.to_string(),
                title: known.title(found.item)?.map(str::to_string),
                cosine: found.score,
                train_ratings: counts[found.item as usize],
            });
        }
        Ok(Similar {
            of,
            id: known.id(index)?.to_string(),
            title: known.title(index)?.map(str::to_string),
            train_ratings: counts[index as usize],
            similar,
            generated: self.generated,
        })
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

//! Similar: the products, or users, whose embeddings point the same way.
//!
//! ```text
//! cosine(a, b)   = embedding[a] . embedding[b] / (|embedding[a]| |embedding[b]|)
//! likeness(a, b) = cosine(a, b) * n[b] / (n[b] + 20)          n: training ratings
//! ```
//!
//! Neighbours come by likeness: a direction that was learned from one or two ratings is mostly where it was begun, and of very
//! many such directions some point right by chance. Shrinking a similarity to nothing by the number of ratings behind it is
//! that of Koren, Factorization meets the neighborhood (KDD 2008), section 2.2; there by ratings in common, which a run does not
//! keep counted.
//!
//! Embeddings are those of choices, where they were learned: alike is what the same people take up. Else those of ratings.
//! Biases play no part: two products are alike if the same people like them, however many that are. Rows without a training
//! rating have no direction and are left out. Accumulated in f64; ties by lower index.

use super::{RecommendError, Recommender};
use crate::artifact::model_file::Read;
use crate::artifact::run_directory::MODEL;
use crate::artifact::tensor_file::FileError;
use crate::artifact::vocabulary_file::VocabularyFile;
use crate::common::interaction::DenseIndex;
use crate::engine::cpu::score_top_k::{Best, Candidate};
use crate::engine::cpu::thread_pool;
use rayon::prelude::*;
use serde::Serialize;

/// Training ratings at which half of a cosine is believed.
const HALF_BELIEVED: f64 = 20.0;
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
    /// The cosine, shrunken by the number of training ratings: what neighbours are ordered by.
    pub likeness: f32,
    pub cosine: f32,
    pub train_ratings: u32,
}

impl Recommender {
    /// The `top` products most like one, of those with so many training ratings. Errors if there is none.
    pub fn similar_products(&self, id: &str, top: usize, min_ratings: u32) -> Result<Similar, RecommendError> {
        let item = self.product(id)?;
        let rows = match self.model.choice_rows(Read::All)? {
            Some(rows) => rows,
            None => self.model.item_rows(Read::All)?,
        };
        let row = |place: usize| rows.weights(place);
        self.similar("product", &self.products, item, top, min_ratings, &row)
    }

    /// The `top` users most like one, of those with so many training ratings. Errors if there is none.
    pub fn similar_users(&self, id: &str, top: usize, min_ratings: u32) -> Result<Similar, RecommendError> {
        let user = self.user(id)?;
        let (embedding, dim) = self.model.user_embeddings()?;
        let row = |place: usize| &embedding[place * dim..][..dim];
        self.similar("user", &self.users, user, top, min_ratings, &row)
    }

    fn similar<'a, Index: DenseIndex>(
        &self,
        of: &'static str,
        known: &VocabularyFile<Index>,
        index: Index,
        top: usize,
        min_ratings: u32,
        row: &(impl Fn(usize) -> &'a [f32] + Sync),
    ) -> Result<Similar, RecommendError> {
        let counts = known.train_ratings()?;
        let not_finite = |index: usize| {
            let fault = format!("the embedding of {of} {index} holds a number that is not finite");
            FileError::damaged(&self.run().file(MODEL), fault)
        };
        let wanted = row(index.index());
        let size = dot(wanted, wanted).sqrt();
        if !size.is_finite() {
            return Err(not_finite(index.index()).into());
        }
        if counts[index.index()] == 0 || size <= 0.0 {
            return Err(RecommendError::NoEmbedding {
                what: of,
                id: known.id(index)?.to_string(),
            });
        }
        let cosine = |other: &[f32], squared: f64| dot(wanted, other) / (size * squared.sqrt());
        let top = top.min(counts.len());
        let parts: Result<Vec<Vec<Candidate<Index>>>, FileError> =
            self.pool.get_or_init(|| thread_pool(self.config.threads)).install(|| {
                let starts = (0..counts.len()).into_par_iter().step_by(ROWS_PER_TASK);
                let compare = |first: usize| {
                    let mut best = Best::new(top);
                    let here = counts.iter().enumerate().skip(first).take(ROWS_PER_TASK);
                    for (place, &ratings) in here {
                        let other = row(place);
                        let squared = dot(other, other);
                        // No sum of squares of so few finite numbers overflows.
                        if !squared.is_finite() {
                            return Err(not_finite(place));
                        }
                        if place != index.index() && ratings >= min_ratings.max(1) && squared > 0.0 {
                            best.push(Candidate {
                                item: Index::new(place as u32),
                                score: (cosine(other, squared) * belief(ratings)) as f32,
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
            let other = row(found.item.index());
            similar.push(Neighbour {
                rank: place + 1,
                id: known.id(found.item)?.to_string(),
                title: known.title(found.item)?.map(str::to_string),
                likeness: found.score,
                cosine: cosine(other, dot(other, other)) as f32,
                train_ratings: counts[found.item.index()],
            });
        }
        if similar.is_empty() {
            return Err(RecommendError::NoNeighbour { what: of, min_ratings });
        }
        Ok(Similar {
            of,
            id: known.id(index)?.to_string(),
            title: known.title(index)?.map(str::to_string),
            train_ratings: counts[index.index()],
            similar,
            generated: self.generated,
        })
    }
}

/// How much of a cosine so many ratings bear out, in (0, 1).
fn belief(ratings: u32) -> f64 {
    let ratings = f64::from(ratings);
    ratings / (ratings + HALF_BELIEVED)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

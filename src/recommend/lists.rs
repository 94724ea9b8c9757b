//! Lists: what is given in a file, one to a line, and what is given like it on the command line.
//!
//! Blank lines count in the numbers of lines and say nothing. An error names the file and the line.

use super::{RecommendError, Recommender};
use crate::common::interaction::{ItemIndex, UserIndex};
use std::path::{Path, PathBuf};

/// Ids of a list that the run does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    pub path: PathBuf,
    /// Number of the line, and the id, in the list's order.
    pub unknown: Vec<(usize, String)>,
    /// How many the list names, known or not.
    pub ids: usize,
}

impl Recommender {
    /// The users of a list that the run knows, in its order, and those that it does not. Errors if the list names nobody.
    pub fn listed_users(&self, path: &Path) -> Result<(Vec<UserIndex>, Unlisted), RecommendError> {
        let lines = lines(path)?;
        if lines.is_empty() {
            return Err(RecommendError::EmptyList(path.to_path_buf()));
        }
        let mut users = Vec::with_capacity(lines.len());
        let mut unlisted = Unlisted {
            path: path.to_path_buf(),
            unknown: Vec::new(),
            ids: lines.len(),
        };
        for (line, id) in lines {
            match self.users.index(&id)? {
                Some(user) => users.push(user),
                None => unlisted.unknown.push((line, id)),
            }
        }
        Ok((users, unlisted))
    }

    /// What is wrong with a list of users, if the run does not know all of them; the hint is that of the first.
    pub fn unknown_users(&self, unlisted: &Unlisted) -> Option<RecommendError> {
        let (line, id) = unlisted.unknown.first()?;
        Some(RecommendError::UnknownUsers {
            path: unlisted.path.clone(),
            unknown: unlisted.unknown.len(),
            ids: unlisted.ids,
            run: self.run.path().display().to_string(),
            line: *line,
            first: Box::new(self.unknown_user(id)),
        })
    }

    /// The ratings of somebody new, `product=rating` each, those of a file behind the others; `None` if none are given.
    ///
    /// Errors if one is malformed, of an unknown product, off the scale, or of a product that is rated already.
    pub fn given_ratings(
        &self,
        given: &[String],
        path: Option<&Path>,
    ) -> Result<Option<Vec<(ItemIndex, f32)>>, RecommendError> {
        let mut ratings = Vec::new();
        for text in given {
            self.add_rating(text, &mut ratings)?;
        }
        if let Some(path) = path {
            let given = lines(path)?;
            if given.is_empty() {
                return Err(RecommendError::EmptyRatings(path.to_path_buf()));
            }
            for (line, text) in given {
                in_list(path, line, self.add_rating(&text, &mut ratings))?;
            }
        }
        Ok((!given.is_empty() || path.is_some()).then_some(ratings))
    }

    fn add_rating(&self, text: &str, ratings: &mut Vec<(ItemIndex, f32)>) -> Result<(), RecommendError> {
        let malformed = || RecommendError::MalformedRating(text.to_string());
        let (product, rating) = text.rsplit_once('=').ok_or_else(malformed)?;
        let rating: f32 = rating.trim().parse().map_err(|_| malformed())?;
        let item = self.product(product.trim())?;
        self.check_rating(rating)?;
        if ratings.iter().any(|&(other, _)| other == item) {
            return Err(RecommendError::RatedTwice(product.trim().to_string()));
        }
        ratings.push((item, rating));
        Ok(())
    }

    /// The products of a list that the run knows.
    pub(super) fn listed_products(
        &self,
        path: &Path,
        unlisted: &mut Vec<Unlisted>,
    ) -> Result<Vec<ItemIndex>, RecommendError> {
        let ids = lines(path)?;
        let mut items = Vec::with_capacity(ids.len());
        let mut unknown = Vec::new();
        let named = ids.len();
        for (line, id) in ids {
            match self.products.index(&id)? {
                Some(item) => items.push(item),
                None => unknown.push((line, id)),
            }
        }
        if !unknown.is_empty() {
            unlisted.push(Unlisted {
                path: path.to_path_buf(),
                unknown,
                ids: named,
            });
        }
        items.sort_unstable();
        items.dedup();
        Ok(items)
    }
}

fn in_list<T>(path: &Path, line: usize, result: Result<T, RecommendError>) -> Result<T, RecommendError> {
    result.map_err(|error| RecommendError::InList {
        path: path.to_path_buf(),
        line,
        error: Box::new(error),
    })
}

/// The lines of a file that are not blank, trimmed, with their numbers.
fn lines(path: &Path) -> Result<Vec<(usize, String)>, RecommendError> {
    let text = std::fs::read_to_string(path).map_err(|source| RecommendError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let numbered = text.lines().enumerate();
    let trimmed = numbered.map(|(number, line)| (number + 1, line.trim().to_string()));
    Ok(trimmed.filter(|(_, line)| !line.is_empty()).collect())
}

//! Lists: what is given in a file, one to a line, and what is given like it on the command line.
//!
//! Blank lines count in the numbers of lines and say nothing. An error names the file and the line. Users may also stand in
//! Parquet, a row each, and in a folder of such files.

use super::{RecommendError, Recommender};
use crate::common::interaction::{ItemIndex, UserIndex};
use crate::data::parts::parts;
use crate::data::user_ids::user_ids;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ids of a list that the run does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    pub path: PathBuf,
    /// In the list's order.
    pub unknown: Vec<Unknown>,
    /// How many the list names, known or not.
    pub ids: usize,
}

/// An id that the run does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its file: the list, or one of the list's.
    pub path: Arc<Path>,
    /// Its line; in Parquet its row, from 1.
    pub line: usize,
    pub is_row: bool,
    pub id: String,
}

impl Unknown {
    /// Where it stands, of the list at `list`.
    fn place(&self, list: &Path) -> String {
        let unit = if self.is_row { "row" } else { "line" };
        match *self.path == *list {
            true => format!("{unit} {}", self.line),
            false => format!("{unit} {} of `{}`", self.line, self.path.display()),
        }
    }
}

impl Recommender {
    /// The users of a list that the run knows, in its order, and those that it does not. Errors if the list names nobody.
    pub fn listed_users(&self, path: &Path) -> Result<(Vec<UserIndex>, Unlisted), RecommendError> {
        let mut users = Vec::new();
        let mut unlisted = Unlisted {
            path: path.to_path_buf(),
            unknown: Vec::new(),
            ids: 0,
        };
        for file in parts(path)? {
            let file: Arc<Path> = file.into();
            each_id(&file, |is_row, line, id| {
                unlisted.ids += 1;
                match self.users.index(id)? {
                    Some(user) => users.push(user),
                    None => unlisted.unknown.push(Unknown {
                        path: file.clone(),
                        line,
                        is_row,
                        id: id.to_string(),
                    }),
                }
                Ok(())
            })?;
        }
        match unlisted.ids {
            0 => Err(RecommendError::EmptyList(path.to_path_buf())),
            _ => Ok((users, unlisted)),
        }
    }

    /// What is wrong with a list of users, if the run does not know all of them; the hint is that of the first.
    pub fn unknown_users(&self, unlisted: &Unlisted) -> Option<RecommendError> {
        let first = unlisted.unknown.first()?;
        Some(RecommendError::UnknownUsers {
            path: unlisted.path.clone(),
            unknown: unlisted.unknown.len(),
            ids: unlisted.ids,
            run: self.run.path().display().to_string(),
            place: first.place(&unlisted.path),
            first: Box::new(self.unknown_user(&first.id)),
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
        let mut own = Unlisted {
            path: path.to_path_buf(),
            unknown: Vec::new(),
            ids: ids.len(),
        };
        for (line, id) in ids {
            match self.products.index(&id)? {
                Some(item) => items.push(item),
                None => own.unknown.push(Unknown {
                    path: path.into(),
                    line,
                    is_row: false,
                    id,
                }),
            }
        }
        if !own.unknown.is_empty() {
            unlisted.push(own);
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

/// The ids of a file, Parquet or text: whether they are numbered by row, the number, the id.
fn each_id(
    path: &Path,
    mut take: impl FnMut(bool, usize, &str) -> Result<(), RecommendError>,
) -> Result<(), RecommendError> {
    let read = |source| RecommendError::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(read)?;
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic).map_err(read)?;
    if magic == b"PAR1" {
        return user_ids(path, file, |row, id| match id.is_empty() {
            true => Ok(()),
            false => take(true, row, id),
        });
    }
    // What was read is put back in front, for a pipe cannot be rewound.
    let mut text = String::new();
    Cursor::new(magic).chain(file).read_to_string(&mut text).map_err(read)?;
    for (line, id) in not_blank(&text) {
        take(false, line, id)?;
    }
    Ok(())
}

/// The lines of a file that are not blank, trimmed, with their numbers.
fn lines(path: &Path) -> Result<Vec<(usize, String)>, RecommendError> {
    let text = std::fs::read_to_string(path).map_err(|source| RecommendError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(not_blank(&text).map(|(line, text)| (line, text.to_string())).collect())
}

fn not_blank(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate();
    let trimmed = numbered.map(|(number, line)| (number + 1, line.trim()));
    trimmed.filter(|(_, line)| !line.is_empty())
}

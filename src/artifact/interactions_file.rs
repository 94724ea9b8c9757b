//! All rows of a run, grouped by user: what each user has rated, how, and in which part.
//!
//! Safetensors: `user_starts` u64 `[users + 1]`; `item` u32, `rating` f32, `part` u8, each `[rows]` (0 train, 1 valid, 2 test).
//! Training reads its rows from the same order, so a resumed run needs nothing but this file.

use super::pages::Pages;
use super::tensor_file::{FileError, TensorFile, TensorSpec, TensorWriter};
use crate::common::block::first_not_finite;
use crate::common::interaction::{ItemIndex, Part, UserIndex};
use crate::data::interactions::Interactions;
use safetensors::tensor::Dtype;
use std::path::Path;

/// Writes rows that are grouped by user, ascending. Panics if they are not, or if the parts differ in length.
pub fn write(path: &Path, users: usize, interactions: &Interactions, parts: &[u8]) -> Result<(), FileError> {
    let rows = interactions.len();
    assert!(
        interactions.users.is_sorted(),
        "interactions_file: rows are not grouped by user"
    );
    assert_eq!(rows, parts.len(), "interactions_file: rows and parts differ in length");
    let starts: Vec<u64> = (0..=users)
        .map(|user| interactions.users.partition_point(|&other| other.index() < user) as u64)
        .collect();
    let specs = [
        TensorSpec::new("user_starts", Dtype::U64, &[users + 1]),
        TensorSpec::new("item", Dtype::U32, &[rows]),
        TensorSpec::new("rating", Dtype::F32, &[rows]),
        TensorSpec::new("part", Dtype::U8, &[rows]),
    ];
    let mut file = TensorWriter::create(path, &specs, None)?;
    file.append(&starts)?;
    file.append(&interactions.items)?;
    file.append_finite(&interactions.ratings)?;
    file.append(parts)?;
    file.finish()
}

/// Rows, of one user or of all.
#[derive(Clone, Copy, Debug)]
pub struct UserRows<'a> {
    pub items: &'a [ItemIndex],
    pub ratings: &'a [f32],
    pub parts: &'a [u8],
}

/// Open rows.
pub struct InteractionsFile {
    file: TensorFile,
    users: usize,
    items: usize,
}

impl InteractionsFile {
    /// Opens the rows of `users` users and `items` items.
    pub fn open(path: &Path, users: usize, items: usize, pages: Option<Pages>) -> Result<Self, FileError> {
        let file = TensorFile::open(path, pages)?;
        file.expect::<u64>("user_starts", &[users + 1])?;
        let &[rows] = file.shape::<u32>("item")? else {
            return Err(FileError::damaged(path, "`item` is not a column"));
        };
        file.expect::<f32>("rating", &[rows])?;
        file.expect::<u8>("part", &[rows])?;
        let start = |user: usize| Ok::<u64, FileError>(file.part::<u64>("user_starts", user..user + 1)?[0]);
        if start(0)? != 0 || start(users)? != rows as u64 {
            return Err(FileError::damaged(path, "`user_starts` does not cover all rows"));
        }
        Ok(Self { file, users, items })
    }

    /// The rows of one user. Panics if there is no such user.
    pub fn user(&self, user: UserIndex) -> Result<UserRows<'_>, FileError> {
        let user = user.index();
        assert!(user < self.users, "InteractionsFile: user {user} of {}", self.users);
        let starts = self.file.part::<u64>("user_starts", user..user + 2)?;
        let range = starts[0] as usize..starts[1] as usize;
        let rows = UserRows {
            items: bytemuck::cast_slice(self.file.part::<u32>("item", range.clone())?),
            ratings: self.file.part("rating", range.clone())?,
            parts: self.file.part("part", range)?,
        };
        self.check(rows)?;
        Ok(rows)
    }

    /// All rows as columns, with their parts.
    pub fn read(&self) -> Result<(Interactions, Vec<u8>), FileError> {
        let starts = self.file.tensor::<u64>("user_starts")?;
        if !starts.is_sorted() {
            return Err(FileError::damaged(self.file.path(), "`user_starts` falls"));
        }
        let all = UserRows {
            items: bytemuck::cast_slice(self.file.tensor::<u32>("item")?),
            ratings: self.file.tensor("rating")?,
            parts: self.file.tensor("part")?,
        };
        self.check(all)?;
        let mut users = Vec::with_capacity(all.items.len());
        for user in 0..self.users {
            users.resize(starts[user + 1] as usize, UserIndex(user as u32));
        }
        let interactions = Interactions {
            users,
            items: all.items.to_vec(),
            ratings: all.ratings.to_vec(),
            timestamps: None,
        };
        Ok((interactions, all.parts.to_vec()))
    }

    /// Errors unless rows name products that there are, ratings that are finite and parts that mean something.
    fn check(&self, rows: UserRows<'_>) -> Result<(), FileError> {
        let damaged = |fault: String| Err(FileError::damaged(self.file.path(), fault));
        if let Some(item) = rows.items.iter().find(|item| item.index() >= self.items) {
            return damaged(format!("a row names product {item} of {}", self.items));
        }
        if let Some(rating) = first_not_finite(rows.ratings) {
            return damaged(format!("a rating is {rating}"));
        }
        if let Some(part) = rows.parts.iter().find(|part| Part::from_byte(**part).is_none()) {
            return damaged(format!("part {part} is neither train, valid nor test"));
        }
        Ok(())
    }
}

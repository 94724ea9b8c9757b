//! All rows of a run, grouped by user: what each user has rated, how, and in which part.
//!
//! Safetensors: `user_starts` u64 `[users + 1]`; `item` u32, `rating` f32, `part` u8, each `[rows]` (0 train, 1 valid, 2 test).
//! Training reads its rows from the same order, so a resumed run needs nothing but this file.

use super::tensor_file::{FileError, TensorFile, TensorSpec, TensorWriter};
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
        .map(|user| interactions.users.partition_point(|&other| (other as usize) < user) as u64)
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
    pub fn open(path: &Path, users: usize, items: usize) -> Result<Self, FileError> {
        let file = TensorFile::open(path)?;
        let starts = file.tensor_of::<u64>("user_starts", &[users + 1])?;
        let (item, _) = file.tensor::<u32>("item")?;
        file.tensor_of::<f32>("rating", &[item.len()])?;
        file.tensor_of::<u8>("part", &[item.len()])?;
        if starts[0] != 0 || starts[users] != item.len() as u64 {
            return Err(FileError::damaged(path, "`user_starts` does not cover all rows"));
        }
        Ok(Self { file, users, items })
    }

    /// The rows of one user. Panics if there is no such user.
    pub fn user(&self, user: UserIndex) -> Result<UserRows<'_>, FileError> {
        let (starts, _) = self.file.tensor::<u64>("user_starts")?;
        let range = starts[user as usize] as usize..starts[user as usize + 1] as usize;
        let damaged = || FileError::damaged(self.file.path(), format!("the rows of user {user} are out of range"));
        let all = self.columns()?;
        let rows = UserRows {
            items: all.items.get(range.clone()).ok_or_else(damaged)?,
            ratings: &all.ratings[range.clone()],
            parts: &all.parts[range],
        };
        self.check(rows)?;
        Ok(rows)
    }

    /// All rows as columns, with their parts.
    pub fn read(&self) -> Result<(Interactions, Vec<u8>), FileError> {
        let (starts, _) = self.file.tensor::<u64>("user_starts")?;
        if !starts.is_sorted() {
            return Err(FileError::damaged(self.file.path(), "`user_starts` falls"));
        }
        let all = self.columns()?;
        self.check(all)?;
        let mut users = Vec::with_capacity(all.items.len());
        for user in 0..self.users {
            users.resize(starts[user + 1] as usize, user as UserIndex);
        }
        let interactions = Interactions {
            users,
            items: all.items.to_vec(),
            ratings: all.ratings.to_vec(),
            timestamps: None,
        };
        Ok((interactions, all.parts.to_vec()))
    }

    /// All rows, not checked.
    fn columns(&self) -> Result<UserRows<'_>, FileError> {
        Ok(UserRows {
            items: self.file.tensor::<u32>("item")?.0,
            ratings: self.file.tensor::<f32>("rating")?.0,
            parts: self.file.tensor::<u8>("part")?.0,
        })
    }

    /// Errors unless rows name products that there are, ratings that are finite and parts that mean something.
    fn check(&self, rows: UserRows<'_>) -> Result<(), FileError> {
        let damaged = |fault: String| Err(FileError::damaged(self.file.path(), fault));
        if let Some(item) = rows.items.iter().find(|item| **item as usize >= self.items) {
            return damaged(format!("a row names product {item} of {}", self.items));
        }
        if let Some(rating) = rows.ratings.iter().find(|rating| !rating.is_finite()) {
            return damaged(format!("a rating is {rating}"));
        }
        if let Some(part) = rows.parts.iter().find(|part| Part::from_byte(**part).is_none()) {
            return damaged(format!("part {part} is neither train, valid nor test"));
        }
        Ok(())
    }
}

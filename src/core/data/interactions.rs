//! All ratings of a table, as columns.

use crate::common::interaction::{Interaction, ItemIndex, UserIndex};
use burn_dataset::{Dataset, DatasetError};

/// Columns of equal length, one entry a row of the file; grouped by user after ingest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interactions {
    pub users: Vec<UserIndex>,
    pub items: Vec<ItemIndex>,
    pub ratings: Vec<f32>,
    /// Seconds since 1970; absent as a whole if the file has no such column.
    pub timestamps: Option<Vec<i64>>,
}

impl Interactions {
    /// Rows.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Takes the rows from `start` on out.
    pub fn split_off(&mut self, start: usize) -> Self {
        Self {
            users: self.users.split_off(start),
            items: self.items.split_off(start),
            ratings: self.ratings.split_off(start),
            timestamps: self.timestamps.as_mut().map(|timestamps| timestamps.split_off(start)),
        }
    }

    /// Puts the rows of another table, which has timestamps if this one does, behind these.
    pub fn append(&mut self, mut other: Self) {
        self.users.append(&mut other.users);
        self.items.append(&mut other.items);
        self.ratings.append(&mut other.ratings);
        if let (Some(own), Some(mut others)) = (&mut self.timestamps, other.timestamps) {
            own.append(&mut others);
        }
    }

    /// Groups the rows by user, ascending; a user's rows stay in file order. Returns where each row stood. Panics if a user is
    /// not below `users`.
    pub fn group_by_user(&mut self, users: usize) -> Vec<usize> {
        let mut next = vec![0usize; users + 1];
        for &user in &self.users {
            next[user.index() + 1] += 1;
        }
        for user in 0..users {
            next[user + 1] += next[user];
        }
        let mut order = vec![0usize; self.len()];
        for (row, &user) in self.users.iter().enumerate() {
            order[next[user.index()]] = row;
            next[user.index()] += 1;
        }
        self.users = order.iter().map(|&row| self.users[row]).collect();
        self.items = order.iter().map(|&row| self.items[row]).collect();
        self.ratings = order.iter().map(|&row| self.ratings[row]).collect();
        if let Some(timestamps) = &mut self.timestamps {
            *timestamps = order.iter().map(|&row| timestamps[row]).collect();
        }
        order
    }

    /// The row at `row`. Panics if there is none.
    pub fn row(&self, row: usize) -> Interaction {
        Interaction {
            user: self.users[row],
            item: self.items[row],
            rating: self.ratings[row],
            timestamp: self.timestamps.as_ref().map(|timestamps| timestamps[row]),
        }
    }
}

impl Dataset<Interaction> for Interactions {
    fn get(&self, index: usize) -> Result<Interaction, DatasetError> {
        Ok(self.row(index))
    }

    fn len(&self) -> usize {
        self.users.len()
    }
}

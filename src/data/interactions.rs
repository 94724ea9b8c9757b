//! All ratings of a table, as columns.

use crate::interaction::{Interaction, ItemIndex, UserIndex};
use burn_dataset::{Dataset, DatasetError};

/// Columns of equal length, one entry a row of the file, in file order.
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

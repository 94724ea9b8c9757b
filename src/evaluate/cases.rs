//! The cases of the ranking side: for each user what is held out and relevant, and what is not to be found.

use crate::common::interaction::{ItemIndex, Part, UserIndex};
use crate::data::interactions::Interactions;
use std::ops::Range;

/// All rows of a run, grouped by user.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    pub interactions: &'a Interactions,
    pub parts: &'a [u8],
    /// Training ratings of each user.
    pub user_counts: &'a [u32],
    /// Training ratings of each item.
    pub item_counts: &'a [u32],
}

/// A user to rank for.
pub struct Case {
    pub user: UserIndex,
    /// Held out and relevant, ascending.
    pub relevant: Vec<ItemIndex>,
    /// What training saw, ascending.
    pub seen: Vec<ItemIndex>,
    /// All that the user has rated, in any part, ascending.
    pub rated: Vec<ItemIndex>,
}

impl Table<'_> {
    /// The rows of each user that has some.
    pub fn users(&self) -> impl Iterator<Item = Range<usize>> {
        let mut start = 0;
        self.interactions.users.chunk_by(|a, b| a == b).map(move |rows| {
            start += rows.len();
            start - rows.len()..start
        })
    }

    /// The user of some rows.
    pub fn case(&self, rows: Range<usize>, part: Part, relevant_from: f32) -> Case {
        let items = |keep: &dyn Fn(usize) -> bool| {
            let kept = rows.clone().filter(|&row| keep(row));
            let mut items: Vec<ItemIndex> = kept.map(|row| self.interactions.items[row]).collect();
            items.sort_unstable();
            items
        };
        Case {
            user: self.interactions.users[rows.start],
            relevant: items(&|row| self.is_relevant(row, part, relevant_from)),
            // Parts are in the order in which they are looked at.
            seen: items(&|row| self.parts[row] < part as u8),
            rated: items(&|_| true),
        }
    }

    /// Whether a row is held out in a part and relevant.
    pub fn is_relevant(&self, row: usize, part: Part, from: f32) -> bool {
        self.parts[row] == part as u8 && self.interactions.ratings[row] >= from
    }
}

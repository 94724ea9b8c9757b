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
    /// Held out, relevant and not seen, ascending: what was seen is not to be found.
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
        // Parts are in the order in which they are looked at.
        let seen = items(&|row| self.parts[row] < part as u8);
        let mut relevant = items(&|row| self.is_relevant(row, part, relevant_from));
        relevant.retain(|item| seen.binary_search(item).is_err());
        Case {
            user: self.interactions.users[rows.start],
            relevant,
            seen,
            rated: items(&|_| true),
        }
    }

    /// Whether something that a user has not seen is held out in a part and relevant.
    pub fn has_relevant(&self, rows: Range<usize>, part: Part, from: f32) -> bool {
        rows.clone().any(|row| self.is_relevant(row, part, from)) && !self.case(rows, part, from).relevant.is_empty()
    }

    fn is_relevant(&self, row: usize, part: Part, from: f32) -> bool {
        self.parts[row] == part as u8 && self.interactions.ratings[row] >= from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_has_seen_is_not_to_be_found() {
        // A held-out table brought along may hold pairs that train.
        let interactions = Interactions {
            users: [0, 0, 0, 1, 1].map(UserIndex).to_vec(),
            items: [4, 2, 4, 1, 1].map(ItemIndex).to_vec(),
            ratings: vec![5.0; 5],
            timestamps: None,
        };
        let [train, test] = [Part::Train as u8, Part::Test as u8];
        let table = Table {
            interactions: &interactions,
            parts: &[train, test, test, train, test],
            user_counts: &[1, 1],
            item_counts: &[0, 1, 0, 0, 1],
        };
        let case = table.case(0..3, Part::Test, 4.0);
        assert_eq!(case.relevant, [ItemIndex(2)]);
        assert_eq!(case.seen, [ItemIndex(4)]);
        assert_eq!(case.rated, [2, 4, 4].map(ItemIndex));
        assert!(table.has_relevant(0..3, Part::Test, 4.0));
        assert!(!table.has_relevant(3..5, Part::Test, 4.0));
    }
}

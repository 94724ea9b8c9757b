//! The split: each row trains, chooses the epoch (valid), or judges (test).
//!
//! Strategies: `random`; `temporal`, the newest rows of the table judge and those before them choose; `leave-last-out`,
//! the same for each user alone, where a user with no row to spare trains with all of them.
//!
//! Rows of the same time are in table order: by user, in the order that users first appear in the file, a user's rows as
//! they stand in the file. So a split depends on the rows, the config and the seed alone, not on threads or the machine.

use super::interactions::Interactions;
use crate::common::hint::Hint;
use crate::common::interaction::Part;
use crate::common::random::{Purpose, stream};
use crate::config::{SplitConfig, SplitStrategy};
use rand::seq::SliceRandom;
use std::ops::Range;

/// One byte a row: the [`Part`] it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    parts: Vec<u8>,
}

/// The rows of the training split, ascending: the only rows that can be oversampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainRows(Vec<u32>);

impl TrainRows {
    /// Row numbers, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.0
    }

    /// Row numbers, ascending, taken out.
    pub fn into_rows(self) -> Vec<u32> {
        self.0
    }
}

/// The table cannot be split as asked.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum SplitError {
    #[error("the split of {rows} rows leaves the {part} part empty")]
    Empty { rows: usize, part: &'static str },
    #[error("no user has more than the {held_out} ratings that `leave-last-out` holds out, so no row is held out")]
    NoUser { held_out: usize },
    #[error("`split.strategy = \"temporal\"` needs timestamps, and the ratings have none")]
    NoTimestamps,
}

impl Hint for SplitError {
    fn hint(&self) -> String {
        let hint = match self {
            Self::Empty { .. } => {
                "the file is too small for `split.valid` and `split.test`; lower them, or set them to 0"
            }
            Self::NoUser { .. } => "lower `split.valid` and `split.test`, or set `split.strategy` to \"random\"",
            Self::NoTimestamps => {
                "set `data.columns.timestamp` to where they stand, or `split.strategy` to \"random\" or \"leave-last-out\""
            }
        };
        hint.to_string()
    }
}

impl Split {
    /// Splits rows that are grouped by user, as after ingest.
    ///
    /// Errors if no row is left to train, if a part that was asked for gets no row, or if timestamps are needed and there
    /// are none. Panics past u32 rows.
    pub fn new(interactions: &Interactions, config: &SplitConfig, seed: u64) -> Result<Self, SplitError> {
        match config.strategy {
            SplitStrategy::Random => Self::random(interactions.len(), config, seed),
            SplitStrategy::Temporal => Self::temporal(interactions.timestamps.as_deref(), config),
            SplitStrategy::LeaveLastOut => Self::leave_last_out(interactions, config),
        }
    }

    fn random(rows: usize, config: &SplitConfig, seed: u64) -> Result<Self, SplitError> {
        let (valid, test) = held_out(rows, config)?;
        let mut order = row_numbers(rows);
        order.shuffle(&mut stream(seed, Purpose::Split, 0));
        Ok(Self::hold_out(rows, &order[..valid], &order[valid..valid + test]))
    }

    /// Two cuts in time; which row is on which side of a cut needs no sorted table.
    fn temporal(timestamps: Option<&[i64]>, config: &SplitConfig) -> Result<Self, SplitError> {
        let timestamps = timestamps.ok_or(SplitError::NoTimestamps)?;
        let rows = timestamps.len();
        let (valid, test) = held_out(rows, config)?;
        let time = |row: &u32| (timestamps[*row as usize], *row);
        let mut order = row_numbers(rows);
        let newest = split_at_rank(&mut order, rows - test, time);
        let (older, test_rows) = order.split_at_mut(newest);
        let cut = split_at_rank(older, newest - valid, time);
        Ok(Self::hold_out(rows, &older[cut..], test_rows))
    }

    fn leave_last_out(interactions: &Interactions, config: &SplitConfig) -> Result<Self, SplitError> {
        let (valid, test) = (config.valid as usize, config.test as usize);
        let mut parts = vec![Part::Train as u8; interactions.len()];
        let mut order = Vec::new();
        for rows in users(interactions).filter(|rows| rows.len() > valid + test) {
            order.clear();
            order.extend(rows);
            if let Some(timestamps) = &interactions.timestamps {
                order.sort_by_key(|&row| timestamps[row]);
            }
            let first_test = order.len() - test;
            order[first_test - valid..first_test]
                .iter()
                .for_each(|&row| parts[row] = Part::Valid as u8);
            order[first_test..]
                .iter()
                .for_each(|&row| parts[row] = Part::Test as u8);
        }
        if valid + test > 0 && parts.iter().all(|&part| part == Part::Train as u8) {
            return Err(SplitError::NoUser { held_out: valid + test });
        }
        Ok(Self { parts })
    }

    fn hold_out(rows: usize, valid: &[u32], test: &[u32]) -> Self {
        let mut parts = vec![Part::Train as u8; rows];
        valid.iter().for_each(|&row| parts[row as usize] = Part::Valid as u8);
        test.iter().for_each(|&row| parts[row as usize] = Part::Test as u8);
        Self { parts }
    }

    /// A split that was stored. Panics on a byte that is no part.
    pub fn from_parts(parts: Vec<u8>) -> Self {
        assert!(
            parts.iter().all(|&part| Part::from_byte(part).is_some()),
            "Split: a byte is no part"
        );
        Self { parts }
    }

    /// The part of each row, as stored.
    pub fn parts(&self) -> &[u8] {
        &self.parts
    }

    /// Row numbers of a part, ascending.
    pub fn rows(&self, part: Part) -> Vec<u32> {
        let rows = self.parts.iter().enumerate();
        rows.filter(|(_, byte)| **byte == part as u8)
            .map(|(row, _)| row as u32)
            .collect()
    }

    /// The training rows.
    pub fn train(&self) -> TrainRows {
        TrainRows(self.rows(Part::Train))
    }

    /// Users of whom no row is held out; with `leave-last-out`, those who had too few.
    pub fn users_never_held_out(&self, interactions: &Interactions) -> usize {
        let is_train = |rows: Range<usize>| self.parts[rows].iter().all(|&part| part == Part::Train as u8);
        users(interactions).filter(|rows| is_train(rows.clone())).count()
    }
}

/// How many rows valid and test get: a share of `rows`, rounded, or the number that was asked for.
fn held_out(rows: usize, config: &SplitConfig) -> Result<(usize, usize), SplitError> {
    let count = |amount: f64| match amount < 1.0 {
        true => (rows as f64 * amount).round() as usize,
        false => amount as usize,
    };
    let (valid, test) = (count(config.valid), count(config.test));
    let empty = |part| Err(SplitError::Empty { rows, part });
    match () {
        () if valid + test >= rows => empty("train"),
        () if valid == 0 && config.valid > 0.0 => empty("valid"),
        () if test == 0 && config.test > 0.0 => empty("test"),
        () => Ok((valid, test)),
    }
}

fn row_numbers(rows: usize) -> Vec<u32> {
    (0..u32::try_from(rows).expect("fewer than 2^32 rows")).collect()
}

/// Moves the `rank` smallest rows to the front, in any order; returns `rank`.
fn split_at_rank<K: Ord>(rows: &mut [u32], rank: usize, key: impl FnMut(&u32) -> K) -> usize {
    if rank < rows.len() {
        rows.select_nth_unstable_by_key(rank, key);
    }
    rank
}

/// The rows of each user, of rows that are grouped by user.
fn users(interactions: &Interactions) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    interactions.users.chunk_by(|a, b| a == b).map(move |rows| {
        let end = start + rows.len();
        std::mem::replace(&mut start, end)..end
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::interaction::{ItemIndex, UserIndex};
    use proptest::prelude::*;

    fn config(strategy: SplitStrategy, valid: f64, test: f64) -> SplitConfig {
        SplitConfig { strategy, valid, test }
    }

    /// Rows grouped by user, of these users and times.
    fn table(rows: &[(u32, i64)]) -> Interactions {
        let mut table = Interactions {
            users: rows.iter().map(|row| UserIndex(row.0)).collect(),
            items: (0..rows.len() as u32).map(ItemIndex).collect(),
            ratings: vec![5.0; rows.len()],
            timestamps: Some(rows.iter().map(|row| row.1).collect()),
        };
        table.group_by_user(rows.iter().map(|row| row.0 as usize + 1).max().unwrap_or(0));
        table
    }

    fn tables() -> impl Strategy<Value = Interactions> {
        prop::collection::vec((0u32..9, 0i64..40), 40..400).prop_map(|rows| table(&rows))
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_cover_all_rows_and_have_their_sizes(
            table in tables(), valid in 0.1f64..0.4, test in 1u32..12, is_random: bool, seed: u64
        ) {
            let strategy = if is_random { SplitStrategy::Random } else { SplitStrategy::Temporal };
            let config = config(strategy, valid, f64::from(test));
            let split = Split::new(&table, &config, seed).unwrap();
            let mut all: Vec<u32> = [Part::Train, Part::Valid, Part::Test].iter().flat_map(|&part| split.rows(part)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..table.len() as u32).collect::<Vec<_>>());
            prop_assert_eq!(split.rows(Part::Valid).len(), (table.len() as f64 * valid).round() as usize);
            prop_assert_eq!(split.rows(Part::Test).len(), test as usize);
            prop_assert_eq!(&split, &Split::new(&table, &config, seed).unwrap());
            let other_seed = Split::new(&table, &config, seed.wrapping_add(1)).unwrap();
            prop_assert_eq!(split == other_seed, !is_random);
        }

        #[test]
        fn a_temporal_split_never_trains_on_what_comes_after_what_it_judges(
            table in tables(), valid in 0u32..12, test in 0u32..12
        ) {
            let config = config(SplitStrategy::Temporal, f64::from(valid), f64::from(test));
            let split = Split::new(&table, &config, 1).unwrap();
            let times = table.timestamps.as_ref().unwrap();
            let mut by_time: Vec<usize> = (0..table.len()).collect();
            by_time.sort_by_key(|&row| times[row]);
            let parts: Vec<u8> = by_time.iter().map(|&row| split.parts()[row]).collect();
            prop_assert!(parts.is_sorted(), "{:?}", parts);
        }

        #[test]
        fn leave_last_out_holds_out_the_newest_rows_of_each_user_who_can_spare_them(
            table in tables(), valid in 0usize..3, test in 0usize..3, is_timed: bool
        ) {
            let mut table = table;
            table.timestamps = table.timestamps.filter(|_| is_timed);
            let split = Split::new(&table, &config(SplitStrategy::LeaveLastOut, valid as f64, test as f64), 1).unwrap();
            let mut never = 0;
            for user in (0..9).map(UserIndex) {
                let mut rows: Vec<usize> = (0..table.len()).filter(|&row| table.users[row] == user).collect();
                if let Some(times) = &table.timestamps {
                    rows.sort_by_key(|&row| times[row]);
                }
                let (valid, test) = if rows.len() > valid + test { (valid, test) } else { (0, 0) };
                let parts: Vec<u8> = rows.iter().map(|&row| split.parts()[row]).collect();
                let expected = [vec![0; rows.len() - valid - test], vec![1; valid], vec![2; test]].concat();
                prop_assert_eq!(parts, expected);
                never += usize::from(!rows.is_empty() && valid + test == 0);
            }
            prop_assert_eq!(split.users_never_held_out(&table), never);
        }
    }

    #[test]
    fn the_split_of_a_seed_never_changes() {
        let split = Split::random(20, &config(SplitStrategy::Random, 0.1, 0.2), 42).unwrap();
        assert_eq!(
            (split.rows(Part::Valid), split.rows(Part::Test)),
            (vec![14, 16], vec![2, 3, 6, 7])
        );
    }

    #[test]
    fn rows_of_the_same_time_are_in_table_order() {
        let table = table(&[(1, 7), (0, 7), (1, 7), (0, 7), (0, 6)]);
        let split = |strategy| Split::new(&table, &config(strategy, 1.0, 1.0), 1).unwrap();
        assert_eq!(split(SplitStrategy::Temporal).parts(), [0, 0, 0, 1, 2]);
        assert_eq!(split(SplitStrategy::LeaveLastOut).parts(), [1, 2, 0, 0, 0]);
    }

    #[test]
    fn an_empty_part_is_an_error() {
        let empty = |rows, valid, test| {
            Split::random(rows, &config(SplitStrategy::Random, valid, test), 1)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(empty(2, 0.5, 0.49), "the split of 2 rows leaves the train part empty");
        assert_eq!(empty(9, 4.0, 5.0), "the split of 9 rows leaves the train part empty");
        assert_eq!(empty(4, 0.1, 0.0), "the split of 4 rows leaves the valid part empty");
        assert_eq!(empty(4, 0.0, 0.1), "the split of 4 rows leaves the test part empty");
        let lonely = Split::new(
            &table(&[(0, 1), (1, 1)]),
            &config(SplitStrategy::LeaveLastOut, 1.0, 1.0),
            1,
        );
        assert_eq!(lonely, Err(SplitError::NoUser { held_out: 2 }));
    }

    #[test]
    fn a_temporal_split_without_timestamps_is_an_error_with_a_hint() {
        let table = Interactions {
            timestamps: None,
            ..table(&[(0, 1), (0, 2), (0, 3)])
        };
        let error = Split::new(&table, &config(SplitStrategy::Temporal, 1.0, 1.0), 1).unwrap_err();
        assert_eq!(error, SplitError::NoTimestamps);
        assert!(error.hint().contains("`data.columns.timestamp`"));
    }
}

//! The split: each row trains, chooses the epoch (valid), or judges (test).

use crate::config::SplitConfig;
use crate::interaction::Part;
use crate::random::{Purpose, stream};
use rand::seq::SliceRandom;

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
}

/// The split leaves nothing to train on, or nothing to choose an epoch by.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("the split of {rows} rows leaves the {part} part empty")]
pub struct SplitError {
    pub rows: usize,
    pub part: &'static str,
}

impl Split {
    /// Draws `round(rows * share)` rows for valid and for test at random; the rest trains.
    ///
    /// Errors if no row is left to train, or if a part with a share above zero gets none. Panics past u32 rows.
    pub fn random(rows: usize, config: &SplitConfig, seed: u64) -> Result<Self, SplitError> {
        let count = u32::try_from(rows).expect("fewer than 2^32 rows");
        let mut order: Vec<u32> = (0..count).collect();
        order.shuffle(&mut stream(seed, Purpose::Split, 0));
        let share = |share: f64| (rows as f64 * share).round() as usize;
        let (valid, test) = (share(config.valid), share(config.test));
        let empty = |part| Err(SplitError { rows, part });
        if valid + test >= rows {
            return empty("train");
        }
        if valid == 0 && config.valid > 0.0 {
            return empty("valid");
        }
        if test == 0 && config.test > 0.0 {
            return empty("test");
        }
        let mut parts = vec![Part::Train as u8; rows];
        for &row in &order[..valid] {
            parts[row as usize] = Part::Valid as u8;
        }
        for &row in &order[valid..valid + test] {
            parts[row as usize] = Part::Test as u8;
        }
        Ok(Self { parts })
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_disjoint_cover_all_rows_and_have_their_sizes(
            rows in 10usize..3000, valid in 0.1f64..0.4, test in 0.1f64..0.4, seed: u64
        ) {
            let config = SplitConfig { valid, test };
            let split = Split::random(rows, &config, seed).unwrap();
            let mut all: Vec<u32> = [Part::Train, Part::Valid, Part::Test].iter().flat_map(|&part| split.rows(part)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows as u32).collect::<Vec<_>>());
            prop_assert_eq!(split.rows(Part::Valid).len(), (rows as f64 * valid).round() as usize);
            prop_assert_eq!(split.rows(Part::Test).len(), (rows as f64 * test).round() as usize);
            prop_assert_eq!(&split, &Split::random(rows, &config, seed).unwrap());
            prop_assert_ne!(split, Split::random(rows, &config, seed.wrapping_add(1)).unwrap());
        }
    }

    #[test]
    fn the_split_of_a_seed_never_changes() {
        let split = Split::random(20, &SplitConfig { valid: 0.1, test: 0.2 }, 42).unwrap();
        assert_eq!(
            (split.rows(Part::Valid), split.rows(Part::Test)),
            (vec![14, 16], vec![2, 3, 6, 7])
        );
    }

    #[test]
    fn an_empty_part_is_an_error() {
        let empty = |rows, valid, test| Split::random(rows, &SplitConfig { valid, test }, 1).unwrap_err().part;
        assert_eq!(empty(2, 0.5, 0.5), "train");
        assert_eq!(empty(4, 0.1, 0.0), "valid");
        assert_eq!(empty(4, 0.0, 0.1), "test");
    }
}

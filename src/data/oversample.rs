//! Targeted random oversampling of rating classes, on the training split alone.
//!
//! ```text
//! target size of class c = round(factor[c] * size[c]);   the rows that are missing are drawn with replacement
//! ```
//!
//! Every natural row stays, so a factor is at least 1. Nothing is copied: the result is a table of row numbers.
//! Source: random oversampling as in `imblearn.over_sampling.RandomOverSampler`, which also keeps every row once.

use super::split::TrainRows;
use crate::random::{Purpose, stream};
use rand::RngExt;
use std::collections::BTreeMap;

/// Row numbers to train on in an epoch: every training row once, then the drawn ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplingTable {
    rows: Vec<u32>,
}

impl SamplingTable {
    /// Row numbers, with repetitions.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// A part of the table. Panics if the range is outside it.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            rows: self.rows[range].to_vec(),
        }
    }
}

/// A factor names a rating that no training row has.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("`oversample.factors` names class `{class}`, but the training split has the classes {present}")]
pub struct OversampleError {
    pub class: String,
    pub present: String,
}

/// The rows of each rating class, ascending by rating.
pub fn classes(train: &TrainRows, ratings: &[f32]) -> Vec<(f32, Vec<u32>)> {
    let mut classes: Vec<(f32, Vec<u32>)> = Vec::new();
    for &row in train.rows() {
        let rating = ratings[row as usize];
        match classes.iter_mut().find(|(class, _)| *class == rating) {
            Some((_, rows)) => rows.push(row),
            None => classes.push((rating, vec![row])),
        }
    }
    classes.sort_by(|a, b| a.0.total_cmp(&b.0));
    classes
}

/// Draws the table. `factors` maps a class as text (`"1"`, `"2.5"`) to the multiple of its size.
///
/// Errors if a class does not occur. Panics if a factor is below 1 or a class is no number: the config has checked both.
pub fn oversample(
    train: &TrainRows,
    ratings: &[f32],
    factors: &BTreeMap<String, f64>,
    seed: u64,
) -> Result<SamplingTable, OversampleError> {
    let classes = classes(train, ratings);
    let mut rows = train.rows().to_vec();
    let mut rng = stream(seed, Purpose::Oversample, 0);
    for (class, &factor) in factors {
        assert!(factor >= 1.0, "oversample: factor {factor} of class {class} is below 1");
        let rating: f32 = class.parse().expect("the config holds numbers as classes");
        let Some((_, members)) = classes.iter().find(|(present, _)| *present == rating) else {
            let present: Vec<_> = classes.iter().map(|(rating, _)| format!("`{rating}`")).collect();
            return Err(OversampleError {
                class: class.clone(),
                present: present.join(", "),
            });
        };
        let target = (members.len() as f64 * factor).round() as usize;
        rows.extend((members.len()..target).map(|_| members[rng.random_range(0..members.len())]));
    }
    Ok(SamplingTable { rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SplitConfig;
    use crate::data::split::Split;
    use crate::interaction::Part;

    fn scene() -> (Split, Vec<f32>) {
        let ratings: Vec<f32> = (0..1000).map(|row| [5.0, 5.0, 1.0, 2.5, 5.0][row % 5]).collect();
        (
            Split::random(1000, &SplitConfig { valid: 0.1, test: 0.1 }, 3).unwrap(),
            ratings,
        )
    }

    fn factors(of: &[(&str, f64)]) -> BTreeMap<String, f64> {
        of.iter().map(|(class, factor)| (class.to_string(), *factor)).collect()
    }

    #[test]
    fn classes_grow_to_their_multiple_and_no_row_is_lost_or_leaks() {
        let (split, ratings) = scene();
        let train = split.train();
        let size = |rows: &[u32], class: f32| rows.iter().filter(|row| ratings[**row as usize] == class).count();
        let table = oversample(&train, &ratings, &factors(&[("1", 3.0), ("2.5", 1.5)]), 9).unwrap();
        let natural = size(train.rows(), 1.0);
        assert_eq!(size(table.rows(), 1.0), 3 * natural);
        assert_eq!(
            size(table.rows(), 2.5),
            (size(train.rows(), 2.5) as f64 * 1.5).round() as usize
        );
        assert_eq!(size(table.rows(), 5.0), size(train.rows(), 5.0));
        assert_eq!(&table.rows()[..train.rows().len()], train.rows());
        assert!(
            table
                .rows()
                .iter()
                .all(|&row| split.parts()[row as usize] == Part::Train as u8)
        );
        assert_eq!(
            table,
            oversample(&train, &ratings, &factors(&[("1", 3.0), ("2.5", 1.5)]), 9).unwrap()
        );
    }

    #[test]
    fn a_class_that_does_not_occur_is_an_error_with_those_that_do() {
        let (split, ratings) = scene();
        let error = oversample(&split.train(), &ratings, &factors(&[("3", 2.0)]), 9).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("names class `3`, but the training split has the classes `1`, `2.5`, `5`")
        );
    }
}

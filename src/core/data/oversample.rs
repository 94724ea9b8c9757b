//! Targeted random oversampling of rating classes, on the training split alone.
//!
//! ```text
//! factors          target of class c = round(factor[c] * size[c])
//! counts           target of class c = count[c]
//! minority         the smallest class grows to the size of the largest
//! not-minority     all but the smallest class do
//! not-majority     all do: `auto` and `all` are other words for it
//! ```
//!
//! Every natural row stays, so no target is below the class's size; the rows that are missing are drawn from the class with
//! replacement. Of classes of the same size the lowest rating counts as the smallest. Nothing is copied: the result is row
//! numbers.
//! Source: `imblearn.over_sampling.RandomOverSampler`, whose sizes and errors the strategies share with it (`factors` has no
//! counterpart); `scripts/make_golden_oversample.py` writes down what it answers.

use super::split::TrainRows;
use crate::common::hint::Hint;
use crate::common::random::{Purpose, stream};
use crate::config::{OversampleConfig, OversampleStrategy, Resample};
use rand::RngExt;
use std::collections::BTreeMap;
use std::ops::Range;

/// The training rows and how their classes grow: what an epoch is drawn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplingTable {
    natural: Vec<u32>,
    classes: Vec<RatingClass>,
    resample: Resample,
    seed: u64,
    /// The part of an epoch's rows that is this table's.
    range: Range<usize>,
}

/// The training rows of one rating, and how many of them an epoch has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatingClass {
    bits: u32,
    rows: Vec<u32>,
    target: usize,
}

impl RatingClass {
    /// The rating they share.
    pub fn rating(&self) -> f32 {
        f32::from_bits(self.bits)
    }

    /// Rows in the training split.
    pub fn size(&self) -> usize {
        self.rows.len()
    }

    /// Rows in an epoch, at least `size`.
    pub fn target(&self) -> usize {
        self.target
    }
}

impl SamplingTable {
    /// Rows of an epoch.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether an epoch has no row.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The rating classes, ascending.
    pub fn classes(&self) -> &[RatingClass] {
        &self.classes
    }

    /// Row numbers of an epoch (from 1), with repetitions: every training row once, then those drawn, class by class.
    ///
    /// A function of the seed and, where each epoch is drawn anew, of its number.
    pub fn rows(&self, epoch: usize) -> Vec<u32> {
        let draw = match self.resample {
            Resample::Once => 0,
            Resample::EachEpoch => epoch as u32,
        };
        let mut rng = stream(self.seed, Purpose::Oversample, draw);
        let mut rows = Vec::with_capacity(self.classes.iter().map(RatingClass::target).sum());
        rows.extend_from_slice(&self.natural);
        for class in &self.classes {
            let missing = class.size()..class.target;
            rows.extend(missing.map(|_| class.rows[rng.random_range(0..class.size())]));
        }
        rows.truncate(self.range.end);
        rows.drain(..self.range.start);
        rows
    }

    /// How many of an epoch's rows come first, once each, before those that were drawn.
    pub fn natural(&self) -> usize {
        self.natural.len().min(self.range.end).saturating_sub(self.range.start)
    }

    /// A part of the table: of each epoch's rows, these. Panics if the range is outside it.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "SamplingTable: {range:?} of {}",
            self.len()
        );
        let start = self.range.start;
        Self {
            range: start + range.start..start + range.end,
            ..self.clone()
        }
    }
}

/// The training split cannot be oversampled as asked.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum OversampleError {
    #[error("`{key}` names class `{class}`, but the training split has the classes {present}")]
    NoSuchClass {
        key: &'static str,
        class: String,
        present: String,
    },
    #[error("`oversample.counts` wants {count} rows of class `{class}`, but the training split has {size}")]
    BelowSize { class: String, count: usize, size: usize },
    #[error("all training rows have the rating `{class}`: there is no other class to balance it with")]
    OneClass { class: f32 },
    #[error("oversampling would make {rows} rows of {natural}, wanted fewer than 2^32")]
    TooMany { rows: usize, natural: usize },
}

impl Hint for OversampleError {
    fn hint(&self) -> String {
        let hint = match self {
            Self::NoSuchClass { .. } => "name classes as they stand in the file, for example `\"1\" = 2.0`",
            Self::BelowSize { .. } => "oversampling only adds rows; to weaken a class, raise the others",
            Self::OneClass { .. } => "set `oversample.strategy` to \"none\"",
            Self::TooMany { .. } => "lower `oversample.factors` or `oversample.counts`",
        };
        hint.to_string()
    }
}

/// Decides what the training rows grow to.
///
/// Errors if a class does not occur, if it is to have fewer rows than it has, if there is nothing to balance, or past u32
/// rows. Panics if a factor is below 1 or a class is no number: the config has checked both.
pub fn oversample(
    train: TrainRows,
    ratings: &[f32],
    config: &OversampleConfig,
    seed: u64,
) -> Result<SamplingTable, OversampleError> {
    let natural = train.into_rows();
    let mut classes = classes(&natural, ratings);
    match config.strategy {
        OversampleStrategy::None => {}
        OversampleStrategy::Factors => {
            for (position, &factor) in find_classes(&classes, &config.factors, "oversample.factors")? {
                assert!(factor >= 1.0, "oversample: factor {factor} is below 1");
                classes[position].target = (classes[position].size() as f64 * factor).round() as usize;
            }
        }
        OversampleStrategy::Counts => {
            refuse_one_class(&classes)?;
            for (position, &count) in find_classes(&classes, &config.counts, "oversample.counts")? {
                let class = &mut classes[position];
                if count < class.size() {
                    return Err(OversampleError::BelowSize {
                        class: class.rating().to_string(),
                        count,
                        size: class.size(),
                    });
                }
                class.target = count;
            }
        }
        OversampleStrategy::Minority
        | OversampleStrategy::NotMinority
        | OversampleStrategy::NotMajority
        | OversampleStrategy::Auto
        | OversampleStrategy::All => {
            refuse_one_class(&classes)?;
            let largest = classes.iter().map(RatingClass::size).max().unwrap_or(0);
            // `min_by_key` takes the first of equals, as numpy and so imbalanced-learn do.
            let smallest = (0..classes.len()).min_by_key(|&position| classes[position].size());
            for (position, class) in classes.iter_mut().enumerate() {
                let grows = match config.strategy {
                    OversampleStrategy::Minority => Some(position) == smallest,
                    OversampleStrategy::NotMinority => Some(position) != smallest,
                    _ => true,
                };
                if grows {
                    class.target = largest;
                }
            }
        }
    }
    let rows = classes
        .iter()
        .fold(0usize, |sum, class| sum.saturating_add(class.target));
    if u32::try_from(rows).is_err() {
        return Err(OversampleError::TooMany {
            rows,
            natural: natural.len(),
        });
    }
    Ok(SamplingTable {
        natural,
        classes,
        resample: config.resample,
        seed,
        range: 0..rows,
    })
}

/// The rows of each rating, ascending by rating.
fn classes(rows: &[u32], ratings: &[f32]) -> Vec<RatingClass> {
    let mut classes: Vec<RatingClass> = Vec::new();
    for &row in rows {
        // 0 and -0 are one class.
        let bits = (ratings[row as usize] + 0.0).to_bits();
        match classes.iter_mut().find(|class| class.bits == bits) {
            Some(class) => class.rows.push(row),
            None => classes.push(RatingClass {
                bits,
                rows: vec![row],
                target: 0,
            }),
        }
    }
    classes.sort_by(|a, b| a.rating().total_cmp(&b.rating()));
    classes.iter_mut().for_each(|class| class.target = class.size());
    classes
}

/// The position of each class that `table` names, with its value.
fn find_classes<'a, T>(
    classes: &[RatingClass],
    table: &'a BTreeMap<String, T>,
    key: &'static str,
) -> Result<Vec<(usize, &'a T)>, OversampleError> {
    let find = |(name, value): (&String, &'a T)| {
        let rating: f32 = name.parse().expect("the config holds numbers as classes");
        match classes.iter().position(|class| class.rating() == rating) {
            Some(position) => Ok((position, value)),
            None => {
                let present: Vec<_> = classes.iter().map(|class| format!("`{}`", class.rating())).collect();
                Err(OversampleError::NoSuchClass {
                    key,
                    class: name.clone(),
                    present: present.join(", "),
                })
            }
        }
    };
    table.iter().map(find).collect()
}

fn refuse_one_class(classes: &[RatingClass]) -> Result<(), OversampleError> {
    match classes {
        [class] => Err(OversampleError::OneClass { class: class.rating() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::interaction::{ItemIndex, Part, UserIndex};
    use crate::config::{Config, SplitConfig, SplitStrategy};
    use crate::data::interactions::Interactions;
    use crate::data::split::Split;
    use proptest::prelude::*;
    use serde::Deserialize;

    /// A split that trains on every row but the last.
    fn split_of(ratings: &[f32]) -> Split {
        let rows = ratings.len();
        let table = Interactions {
            users: vec![UserIndex(0); rows],
            items: (0..rows as u32).map(ItemIndex).collect(),
            ratings: ratings.to_vec(),
            timestamps: None,
        };
        let config = SplitConfig {
            strategy: SplitStrategy::LeaveLastOut,
            valid: 0.0,
            test: 1.0,
        };
        Split::new(&table, &config, 0).unwrap()
    }

    fn train_on(ratings: &[f32], config: &OversampleConfig) -> Result<SamplingTable, OversampleError> {
        let ratings = [ratings, &[5.0]].concat();
        oversample(split_of(&ratings).train(), &ratings, config, 9)
    }

    fn config(text: &str) -> OversampleConfig {
        let text = format!("[oversample]\n{text}");
        Config::from_text(&text, "test", &[]).unwrap().oversample
    }

    fn scene() -> Vec<f32> {
        (0..1000).map(|row| [5.0, 5.0, 1.0, 2.5, 5.0][row % 5]).collect()
    }

    fn targets(table: &SamplingTable) -> Vec<(f32, usize)> {
        table
            .classes()
            .iter()
            .map(|class| (class.rating(), class.target()))
            .collect()
    }

    proptest! {
        #[test]
        fn every_row_stays_once_and_classes_grow_to_exactly_their_target(
            ratings in prop::collection::vec(1u8..11, 2..300), factor in 1.0f64..4.0, each_epoch: bool
        ) {
            let ratings: Vec<f32> = ratings.into_iter().map(|rating| f32::from(rating) / 2.0).collect();
            let split = split_of(&ratings);
            let train = split.train();
            let class = ratings[train.rows()[0] as usize];
            let resample = if each_epoch { "each-epoch" } else { "once" };
            let config = config(&format!("factors = {{ \"{class}\" = {factor} }}\nresample = \"{resample}\""));
            let table = oversample(train.clone(), &ratings, &config, 7).unwrap();
            let size = |rows: &[u32], class: f32| rows.iter().filter(|row| ratings[**row as usize] == class).count();
            for epoch in 1..3 {
                let rows = table.rows(epoch);
                prop_assert_eq!(rows.len(), table.len());
                prop_assert_eq!(&rows[..train.rows().len()], train.rows());
                prop_assert!(rows.iter().all(|&row| split.parts()[row as usize] == Part::Train as u8));
                for other in table.classes() {
                    let natural = size(train.rows(), other.rating());
                    let factor = if other.rating() == class { factor } else { 1.0 };
                    prop_assert_eq!(other.size(), natural);
                    prop_assert_eq!(size(&rows, other.rating()), (natural as f64 * factor).round() as usize);
                }
                let (left, right) = (table.slice(0..table.len() / 3), table.slice(table.len() / 3..table.len()));
                prop_assert_eq!([left.rows(epoch), right.slice(0..right.len()).rows(epoch)].concat(), rows);
            }
        }
    }

    #[test]
    fn each_epoch_draws_anew_and_once_does_not() {
        let table = |resample: &str| {
            let factors = format!("factors = {{ \"1\" = 3.0 }}\nresample = \"{resample}\"");
            train_on(&scene(), &config(&factors)).unwrap()
        };
        let (once, each) = (table("once"), table("each-epoch"));
        assert_eq!(once.rows(1), once.rows(2));
        assert_ne!(each.rows(1), each.rows(2));
        assert_eq!(each.rows(2), table("each-epoch").rows(2));
        assert_eq!((each.rows(1).len(), once.len()), (each.len(), each.len()));
    }

    #[test]
    fn the_factors_table_is_left_unread_by_other_strategies() {
        let text = "strategy = \"none\"\nfactors = { \"1\" = 3.0 }";
        let table = train_on(&scene(), &config(text)).unwrap();
        assert_eq!(targets(&table), [(1.0, 200), (2.5, 200), (5.0, 600)]);
    }

    #[test]
    fn what_cannot_be_done_is_an_error_that_says_what_is_there() {
        let message = |ratings: &[f32], text: &str| train_on(ratings, &config(text)).unwrap_err().to_string();
        assert_eq!(
            message(&scene(), "factors = { \"3\" = 2.0 }"),
            "`oversample.factors` names class `3`, but the training split has the classes `1`, `2.5`, `5`"
        );
        assert_eq!(
            message(&scene(), "strategy = \"counts\"\ncounts = { \"2.5\" = 199 }"),
            "`oversample.counts` wants 199 rows of class `2.5`, but the training split has 200"
        );
        assert_eq!(
            message(&[4.0; 10], "strategy = \"all\""),
            "all training rows have the rating `4`: there is no other class to balance it with"
        );
        assert_eq!(
            message(&scene(), "factors = { \"1\" = 1e12 }"),
            "oversampling would make 200000000000800 rows of 1000, wanted fewer than 2^32"
        );
    }

    /// One case of `tests/data/golden_oversample.json`: what `RandomOverSampler` answered.
    #[derive(Debug, Deserialize)]
    struct Golden {
        strategy: String,
        counts: BTreeMap<String, i64>,
        /// Rating and number of rows.
        sizes: Vec<(f32, usize)>,
        /// Rating and number of rows after it; absent if it raised.
        resampled: Option<Vec<(f32, usize)>>,
        error: Option<String>,
    }

    #[test]
    fn sizes_and_errors_are_those_of_imbalanced_learn() {
        let golden: Vec<Golden> =
            serde_json::from_str(include_str!("../../../tests/data/golden_oversample.json")).unwrap();
        assert!(golden.len() > 50, "{} cases", golden.len());
        for case in &golden {
            let ratings: Vec<f32> = case
                .sizes
                .iter()
                .flat_map(|(rating, size)| vec![*rating; *size])
                .collect();
            let counts: Vec<String> = case
                .counts
                .iter()
                .map(|(class, count)| format!("\"{class}\" = {count}"))
                .collect();
            let text = format!(
                "[oversample]\nstrategy = \"{}\"\ncounts = {{ {} }}",
                case.strategy.replace(' ', "-"),
                counts.join(", ")
            );
            // A negative count is refused by the config, everything else by the table.
            let result = Config::from_text(&text, "golden", &[])
                .map_err(|error| error.to_string())
                .and_then(|config| train_on(&ratings, &config.oversample).map_err(|error| error.to_string()));
            assert_eq!(
                result.as_ref().map(targets).ok(),
                case.resampled,
                "{case:?}: dotcart says {result:?}, imbalanced-learn {:?}",
                case.error
            );
        }
    }
}

//! A sweep: what it varies ([`axis`]), what came of its trials ([`journal`]), and what can be wrong with it.
//!
//! [`crate::flow::trials`] trains them.

pub mod axis;
pub mod journal;

use crate::artifact::run_directory::RunError;
use crate::artifact::tensor_file::FileError;
use crate::common::hint::Hint;
use std::path::PathBuf;

/// A sweep that cannot be, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error("`--over {text}`: {fault}")]
    Axis { text: String, fault: &'static str },
    #[error("there is nothing to vary")]
    NoAxis,
    #[error("`{0}` is varied twice")]
    Twice(String),
    #[error("`{0}` is a range, and a grid has none")]
    RangeInGrid(String),
    #[error("{0} trials are more than {max}", max = axis::MAX_TRIALS)]
    TooMany(usize),
    #[error("`{0}` cannot be varied: trials would not be judged on the same ratings by the same measure")]
    Fixed(String),
    #[error("no row is held out to judge trials on: `split.valid` is 0")]
    NothingHeldOut,
    #[error("`{}` holds a sweep of another config or of other ratings", .0.display())]
    AnotherSweep(PathBuf),
    #[error("`{}`: line {line} is no result of a sweep: {fault}", path.display())]
    Journal { path: PathBuf, line: usize, fault: String },
    #[error("no trial came to an end: {0}")]
    AllFailed(String),
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<FileError> for SweepError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

impl Hint for SweepError {
    fn hint(&self) -> String {
        match self {
            Self::Axis { .. } | Self::NoAxis => {
                "for example `--over train.l2=0.01,0.1`, or `--over train.l2=0.001..1 --trials 20`".to_string()
            }
            Self::Twice(_) => "give all of its values at once, with commas".to_string(),
            Self::RangeInGrid(_) => "`--trials 20` draws that many, or give values with commas".to_string(),
            Self::TooMany(_) => "`--trials 20` draws that many of them".to_string(),
            Self::Fixed(key) => format!("`--set {key}=...` sets it for all trials"),
            Self::NothingHeldOut => "`--set split.valid=0.1` holds a tenth out".to_string(),
            Self::AnotherSweep(_) => "`--out FOLDER` begins another one; or remove the folder".to_string(),
            Self::Journal { .. } => "remove the line, and its trial is done again".to_string(),
            Self::AllFailed(_) => "lower `train.learning_rate`, or vary something else".to_string(),
            Self::Run(error) => error.hint(),
        }
    }
}

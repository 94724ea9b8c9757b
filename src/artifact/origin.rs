//! Origin: which run an answer comes from, what that learned from, and when.

use super::run_directory::{DATA_REPORT, RunDirectory, RunError};
use crate::common::calendar::date_of;
use crate::data::report::DataReport;
use serde::Serialize;

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The run's folder.
    pub run: String,
    /// The table that it learned from.
    pub data: String,
    /// The day on which it was completed, UTC.
    pub completed: String,
}

/// An answer and where it comes from, as fields of one object: how answers are written as JSON.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Answer<'a, T> {
    #[serde(flatten)]
    pub origin: &'a Origin,
    #[serde(flatten)]
    pub answer: &'a T,
}

impl RunDirectory {
    /// Where the answers of this run come from. Errors if its data report cannot be read.
    pub fn origin(&self) -> Result<Origin, RunError> {
        let report: DataReport = self.read_json(DATA_REPORT)?;
        Ok(Origin {
            run: self.path().display().to_string(),
            data: report.path.display().to_string(),
            completed: date_of((self.completed_ms() / 1_000) as i64),
        })
    }
}

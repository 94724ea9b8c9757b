//! The journal of a sweep, `results.jsonl`: one finished trial a line, appended and synced as soon as it is done.
//!
//! A kill can leave half a line, and only at the end: it is cut off when the sweep goes on. A line that is whole and yet no
//! result is damage, and an error.

use super::SweepError;
use crate::artifact::tensor_file::FileError;
use crate::config::Assignment;
use crate::train::event::ValidMetrics;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a trial sets, by key.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// The settings of a trial as they stand in the journal.
pub fn settings_of(assignments: &[Assignment]) -> Settings {
    let value = |set: &Assignment| serde_json::to_value(&set.value).expect("a TOML value is JSON");
    assignments.iter().map(|set| (set.key.clone(), value(set))).collect()
}

/// A finished trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    pub settings: Settings,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    Trained {
        /// The best epoch, and the validation split as it was scored then.
        best_epoch: usize,
        valid: ValidMetrics,
        /// The validation split after the last epoch: what a refit on all rows, which has none to choose an epoch by, goes by.
        last: ValidMetrics,
        seconds: f64,
    },
    /// The numbers ran away.
    Failed { failure: String },
}

/// The file, open for appending.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens or makes the file, cuts off half a line, and returns what is done. Errors if a whole line is no result.
    pub fn open(path: &Path) -> Result<(Self, Vec<TrialResult>), SweepError> {
        let open = File::options().create(true).append(true).open(path);
        let file = open.map_err(FileError::write(path))?;
        let bytes = std::fs::read(path).map_err(FileError::read(path))?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(FileError::write(path))?;
        }
        let mut results = Vec::new();
        let lines = bytes[..whole].split_inclusive(|&byte| byte == b'\n');
        for (line, text) in (1..).zip(lines) {
            let result = serde_json::from_slice(text).map_err(|error| SweepError::Journal {
                path: path.to_path_buf(),
                line,
                fault: error.to_string(),
            })?;
            results.push(result);
        }
        let journal = Self {
            path: path.to_path_buf(),
            file,
        };
        Ok((journal, results))
    }

    /// Appends a result; it is on the disk when this returns.
    pub fn append(&mut self, result: &TrialResult) -> Result<(), FileError> {
        let mut line = serde_json::to_vec(result).expect("a result is JSON");
        line.push(b'\n');
        let write = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        write.map_err(FileError::write(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(l2: f64) -> TrialResult {
        TrialResult {
            settings: settings_of(&[Assignment::parse(&format!("train.l2={l2}")).unwrap()]),
            outcome: Outcome::Trained {
                best_epoch: 3,
                valid: ValidMetrics {
                    loss: 0.1 + 0.2,
                    ..ValidMetrics::default()
                },
                last: ValidMetrics::default(),
                seconds: 1.5,
            },
        }
    }

    #[test]
    fn what_was_appended_comes_back_and_half_a_line_does_not() {
        let path = std::env::temp_dir().join(format!("dotcart-journal-{}.jsonl", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let failed = TrialResult {
            outcome: Outcome::Failed {
                failure: "it ran away".to_string(),
            },
            ..result(0.5)
        };
        let (mut journal, done) = Journal::open(&path).unwrap();
        assert_eq!(done, []);
        journal.append(&result(0.1)).unwrap();
        journal.append(&failed).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [whole.len(), whole.len() - 1, whole.len() - 20] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, done) = Journal::open(&path).unwrap();
            let all = [result(0.1), failed.clone()];
            assert_eq!(done, all[..done.len()]);
            assert_eq!(done.len(), if cut == whole.len() { 2 } else { 1 });
            journal.append(&result(0.3)).unwrap();
            assert_eq!(
                Journal::open(&path).unwrap().1.last(),
                Some(&result(0.3)),
                "cut at {cut}"
            );
        }
        std::fs::write(&path, [b"{}\n", whole.as_slice()].concat()).unwrap();
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 1 is no result of a sweep"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}

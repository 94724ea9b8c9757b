//! The ratings log: what was rated since the training, in the run's folder.
//!
//! ```text
//! ratings.log    <XXH3-64 of the rest, 16 hexadecimal digits> <one posting as JSON>     a line each
//! ```
//!
//! A last line without its end was being written when a process was killed, and nobody was told of it: it does not count. A
//! whole line that is wrong was changed from outside: that is damage.
//!
//! Users and products stand in it by id, so it holds for any run.

use super::run_directory::{RunDirectory, RunError};
use super::tensor_file::FileError;
use crate::common::regular_file;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// The log, in a run's folder.
pub const RATINGS_LOG: &str = "ratings.log";
/// Characters of a digest and the space behind it.
const DIGEST: usize = 17;

/// One rating that came since the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRating {
    pub user: String,
    pub product: String,
    pub rating: f32,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
}

/// What is posted at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posting {
    /// The client's name for it: the same one again is answered, and not written again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    pub ratings: Vec<NewRating>,
    /// XXH3-64 of the ratings as the client sent them.
    digest: u64,
    /// Whether it stands in the log of an older run, too; what this one was trained on is left out here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_carried: bool,
}

impl Posting {
    /// Of ratings as the client sent them.
    pub fn new(request_id: Option<String>, ratings: Vec<NewRating>) -> Self {
        let digest = xxh3_64(&serde_json::to_vec(&ratings).expect("ratings are JSON"));
        Self {
            request_id,
            ratings,
            digest,
            is_carried: false,
        }
    }

    /// Of the ratings as the client sent them.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The digest, if it was carried over from an older run's log.
    pub fn carried_digest(&self) -> Option<u64> {
        self.is_carried.then_some(self.digest)
    }

    /// Its ratings came now, where the client did not say when.
    pub fn stamp(&mut self, now: i64) {
        for rating in &mut self.ratings {
            rating.time.get_or_insert(now);
        }
    }

    /// For a newer run's log, without the ratings that it has no use for.
    pub fn carried<'a>(&'a self, mut is_wanted: impl FnMut(&'a NewRating) -> bool) -> Self {
        Self {
            request_id: self.request_id.clone(),
            ratings: self
                .ratings
                .iter()
                .filter(|&rating| is_wanted(rating))
                .cloned()
                .collect(),
            digest: self.digest,
            is_carried: true,
        }
    }

    /// As it stands in the log.
    pub fn line(&self) -> String {
        let text = serde_json::to_string(self).expect("postings are JSON");
        format!("{:016x} {text}\n", xxh3_64(text.as_bytes()))
    }

    fn of_line(line: &[u8]) -> Result<Self, String> {
        let digest = line
            .get(..DIGEST - 1)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let digest = digest.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let text = line.get(DIGEST..).unwrap_or_default();
        if digest != Some(xxh3_64(text)) || line.get(DIGEST - 1) != Some(&b' ') {
            return Err("its digest is not that of its text".to_string());
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }
}

/// The postings of some runs, the oldest first, each once.
///
/// Errors if a log is damaged.
pub fn gather(runs: &[RunDirectory]) -> Result<Vec<Posting>, RunError> {
    let mut all = Vec::new();
    for run in runs {
        append_log(&mut all, read_postings(run)?.0);
    }
    Ok(all)
}

/// Appends a newer log to those of older runs, without what was carried over from these.
pub fn append_log(older: &mut Vec<Posting>, newer: Vec<Posting>) {
    let known: HashSet<u64> = older.iter().map(Posting::digest).collect();
    let is_new = |posting: &Posting| !(posting.is_carried && known.contains(&posting.digest));
    older.extend(newer.into_iter().filter(is_new));
}

/// The postings of a run, and how many bytes of its log are whole; none if there is no log. Errors if it is damaged.
pub fn read_postings(run: &RunDirectory) -> Result<(Vec<Posting>, u64), RunError> {
    let path = run.file(RATINGS_LOG);
    match regular_file::read(&path) {
        Ok(bytes) => Ok(postings_of(&path, &bytes)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((Vec::new(), 0)),
        Err(error) => Err(FileError::read(&path)(error).into()),
    }
}

/// The postings of a log, and how many of its bytes are whole. Errors at a whole line that is wrong.
fn postings_of(path: &Path, bytes: &[u8]) -> Result<(Vec<Posting>, u64), FileError> {
    let (mut postings, mut whole) = (Vec::new(), 0);
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let posting = match line.strip_suffix(b"\n") {
            Some(line) => Posting::of_line(line),
            None => Err("it has no end".to_string()),
        };
        match posting {
            Ok(posting) => postings.push(posting),
            Err(_) if !line.ends_with(b"\n") => break,
            Err(fault) => return Err(FileError::damaged(path, format!("line {}: {fault}", number + 1))),
        }
        whole += line.len();
    }
    Ok((postings, whole as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(id: &str, rating: f32) -> Posting {
        let rating = NewRating {
            user: "a \"user\"\n".to_string(),
            product: "p".to_string(),
            rating,
            time: None,
        };
        Posting::new(Some(id.to_string()), vec![rating])
    }

    #[test]
    fn a_cut_at_any_byte_costs_the_last_posting_at_the_most_and_a_change_before_it_is_named() {
        let all: Vec<Posting> = (0..4)
            .map(|number| posting(&number.to_string(), number as f32))
            .collect();
        let lines: Vec<String> = all.iter().map(Posting::line).collect();
        let bytes = lines.concat().into_bytes();
        for cut in 0..=bytes.len() {
            let (read, whole) = postings_of(Path::new("log"), &bytes[..cut]).unwrap();
            let whole = whole as usize;
            assert_eq!(read[..], all[..read.len()]);
            assert!(whole <= cut && lines.iter().take(read.len()).map(String::len).sum::<usize>() == whole);
            assert!(read.len() == 4 || cut - whole < lines[read.len()].len());
        }
        for place in 0..bytes.len() - lines[3].len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(
                postings_of(Path::new("log"), &changed).is_err(),
                "a change of byte {place} went unseen"
            );
        }
    }

    #[test]
    fn what_was_carried_over_counts_once_and_what_was_said_again_counts_again() {
        let [one, two] = [posting("1", 1.0), posting("2", 4.0)];
        let all = [one.carried(|_| false), two.carried(|_| true), one.clone()];
        let mut older = vec![one.clone(), two.clone()];
        append_log(&mut older, all.to_vec());
        assert_eq!(older, [one.clone(), two.clone(), one.clone()]);
        // The older run's folder was removed.
        let mut older = vec![two.clone()];
        append_log(&mut older, all.to_vec());
        assert_eq!(older, [two, one.carried(|_| false), one]);
    }
}

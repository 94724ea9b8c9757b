//! What can be wrong with a ratings file: with a row, which is counted, and with the whole, which is an error.

use crate::common::hint::Hint;
use crate::common::interaction::RatingScale;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Why a row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    ColumnCount,
    NotJson,
    NotANumber,
    OffTheScale,
    EmptyId,
    LongId,
    NulByte,
    BadTimestamp,
    NotUtf8,
    MissingId,
    NotACount,
}

impl Fault {
    /// The fault in words, with the offending text.
    pub fn describe(self, example: &str) -> String {
        match self {
            Self::ColumnCount => format!("found {example}"),
            Self::NotJson => format!("the line is not a JSON object: {example}"),
            Self::NotANumber => format!("the rating `{example}` is not a number"),
            Self::OffTheScale => format!("the rating {example}"),
            Self::EmptyId => format!("the {example} id is empty"),
            Self::LongId => format!("the {example}, at most {MAX_ID_BYTES} are read"),
            Self::NulByte => format!("the {example} id holds a NUL byte"),
            Self::BadTimestamp => format!("the timestamp {example}"),
            Self::NotUtf8 => "the row is not UTF-8".to_string(),
            Self::MissingId => format!("the {example} stands for a missing one"),
            Self::NotACount => format!("the count `{example}` is not a number above 0"),
        }
    }

    /// What the user can do about it.
    pub fn hint(self, line: u64) -> &'static str {
        match self {
            Self::NotANumber if line == 1 => {
                "is the first line a header? then set `data.header = true`; else the row must hold a rating"
            }
            Self::ColumnCount => "all rows must have the same columns; `data.delimiter` sets what stands between them",
            Self::NotJson => "each line must be one whole JSON object, with double quotes",
            Self::OffTheScale => "mend the row, or raise `data.max_bad_rows`",
            Self::MissingId => {
                "mend the row, raise `data.max_bad_rows`, or take the word out of `data.missing_ids` if it is an id here"
            }
            Self::NotACount => {
                "mend the row, name values that mean \"not chosen\" in `data.unrated`, or raise `data.max_bad_rows`"
            }
            Self::NotANumber | Self::EmptyId | Self::LongId | Self::BadTimestamp => {
                "mend the row, set `data.columns` to where user, product, rating and timestamp stand, or raise `data.max_bad_rows`"
            }
            Self::NulByte => "the file is damaged or not text; save it as UTF-8, or raise `data.max_bad_rows`",
            Self::NotUtf8 => {
                "save the file as UTF-8, such as with `iconv -f latin1 -t utf-8 FILE > ratings.csv`, or raise `data.max_bad_rows`"
            }
        }
    }
}

/// Longest id that is read; a longer one is a sign of a lost delimiter or quote.
pub const MAX_ID_BYTES: usize = 1024;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("cannot read `{path}`: {message}")]
    Read { path: PathBuf, message: String },
    #[error("`{path}` has no rows")]
    Empty { path: PathBuf },
    #[error("`{path}` has a header and no rows")]
    OnlyHeader { path: PathBuf },
    #[error("`{path}` is {found}, wanted delimited text, JSON or Parquet")]
    Format {
        path: PathBuf,
        found: &'static str,
        hint: &'static str,
    },
    #[error("`{path}` is a zip archive of more than one table: {}", list(names))]
    SeveralTables { path: PathBuf, names: Vec<String> },
    #[error("`{path}`: there is no column {wanted} for `data.{key}`; there are {present}")]
    Column {
        path: PathBuf,
        key: String,
        wanted: String,
        present: String,
        nearest: Option<String>,
    },
    #[error("`{path}`: `data.columns.{key} = {number}` is column `{name}`, which names the {other}")]
    Contradiction {
        path: PathBuf,
        key: &'static str,
        number: usize,
        name: String,
        other: &'static str,
        /// The name of a column that is likelier meant.
        instead: Option<String>,
    },
    #[error("`{path}`: it is not clear which column is the {key}; there are {present}")]
    Unclear {
        path: PathBuf,
        key: &'static str,
        present: String,
        candidates: String,
    },
    #[error(
        "`{path}` seems to be a matrix, a user a row and a product a column: {columns} of its columns hold ratings"
    )]
    Matrix {
        path: PathBuf,
        columns: usize,
        has_header: bool,
    },
    #[error("`{path}`: no delimiter cuts its lines, such as `{line}`, into columns")]
    NoDelimiter {
        path: PathBuf,
        line: String,
        /// What may stand between the columns.
        guess: Option<char>,
    },
    #[error("`{path}`: the {key} `{name}` is an object itself, wanted text or a number")]
    Nested {
        path: PathBuf,
        key: &'static str,
        name: String,
        /// A key of that object.
        inner: String,
    },
    #[error("`{path}` {what}")]
    NoParts { path: PathBuf, what: &'static str },
    #[error("`{path}` is {found}, and the parts before it are not")]
    OtherPart { path: PathBuf, found: String },
    #[error(transparent)]
    Titles(Box<IngestError>),
    /// With the key of the table that it is about.
    #[error("{1}")]
    HeldOut(&'static str, Box<IngestError>),
    #[error("`{path}`: column `{column}` {found}, wanted {wanted}")]
    ColumnType {
        path: PathBuf,
        column: String,
        found: String,
        wanted: &'static str,
    },
    #[error("a quote opens at character {character} and {reach}, wanted on one line ({path}:{line})")]
    OpenQuote {
        path: PathBuf,
        line: u64,
        /// From 1.
        character: usize,
        /// Where it closes, if it does.
        reach: String,
    },
    #[error("the row is longer than {mebibytes} MiB ({path}:{line})")]
    LongRow { path: PathBuf, line: u64, mebibytes: usize },
    #[error("{compression} data ends too early (`{path}`, after line {line})")]
    Truncated {
        path: PathBuf,
        compression: &'static str,
        line: u64,
    },
    #[error("cannot read `{path}`: damaged {compression} data after line {line}: {message}")]
    Damaged {
        path: PathBuf,
        compression: &'static str,
        line: u64,
        message: String,
    },
    #[error("{fault} ({path}:{line}); bad rows: {bad} of {rows}, allowed: {allowed}")]
    TooManyBadRows {
        fault: String,
        path: PathBuf,
        line: u64,
        bad: usize,
        rows: usize,
        allowed: usize,
        hint: Box<str>,
        /// A usual scale that all ratings seen are on, if they are off the one that was asked for and nothing else is odd.
        scale: Option<Box<RatingScale>>,
    },
    #[error("`data.{key}` needs timestamps, and `{path}` has none")]
    NoTimestamps { path: PathBuf, key: &'static str },
    #[error("user `{user}` rated product `{product}` more than once, {ratings} (`{path}`)")]
    Duplicate {
        path: PathBuf,
        user: String,
        product: String,
        /// The first two, each with its place.
        ratings: String,
    },
    #[error("`{path}`: of {rows} rows none is left {by}")]
    NothingLeft {
        path: PathBuf,
        rows: usize,
        by: &'static str,
    },
}

impl Hint for IngestError {
    fn hint(&self) -> String {
        match self {
            Self::Read { .. } => "check `data.path`; it must be a readable file".to_string(),
            Self::Empty { .. } | Self::OnlyHeader { .. } => {
                "each row is `user,product,rating` or `user,product,rating,timestamp`".to_string()
            }
            Self::Format { hint, .. } => hint.to_string(),
            Self::SeveralTables { names, .. } => unpack_one(names, &["rating", "review", "interaction"]),
            Self::Contradiction {
                instead: Some(instead),
                key,
                name,
                ..
            } => format!("set `data.columns.{key} = \"{instead}\"`, or \"{name}\" if that is what is meant"),
            Self::Contradiction { key, name, .. } => {
                format!("set `data.columns.{key}` to where it stands, or to \"{name}\" if that is what is meant")
            }
            Self::Unclear { key: "rating", candidates, .. } if candidates.is_empty() => {
                "set `data.columns.rating` to the column that holds the ratings; `\"\"` reads each row as a choice".to_string()
            }
            Self::Unclear { key: "rating", candidates, .. } => {
                format!("set `data.columns.rating`, perhaps to {candidates}; `\"\"` reads each row as a choice")
            }
            Self::Unclear { key, .. } => format!("set `data.columns.{key}`"),
            Self::Matrix { has_header, .. } => format!(
                "write a row for each rating, with pandas: `df = pd.read_csv(FILE{}); df.melt(df.columns[0], var_name=\"product\", \
                 value_name=\"rating\").dropna().to_csv(\"ratings.csv\", index=False)`; if it is none, set `data.columns`",
                if *has_header { "" } else { ", header=None" },
            ),
            Self::NoDelimiter { guess, .. } => {
                let guess = guess.map_or(String::new(), |guess| format!(", such as `data.delimiter = \"{guess}\"`"));
                format!("set `data.delimiter` to what stands between two columns{guess}")
            }
            Self::Nested { name, inner, .. } => {
                format!("take the value out of it: `jq -c '.{name} = .{name}[\"{inner}\"]' FILE > ratings.jsonl`")
            }
            Self::NoParts { .. } => "a folder or a glob of `data.path` stands for files of one table".to_string(),
            Self::OtherPart { .. } => "all parts of a table must have the same format".to_string(),
            Self::HeldOut(key, error) => match error.as_ref() {
                Self::Read { .. } => format!("check `{key}`; it must be a readable file"),
                error => error.hint(),
            },
            Self::Titles(error) => match error.as_ref() {
                Self::Read { .. } => "check `data.titles`; it must be a readable file".to_string(),
                Self::Empty { .. } | Self::OnlyHeader { .. } => {
                    "a product table has an id and a title in each row; `data.titles = \"\"` does without".to_string()
                }
                Self::SeveralTables { names, .. } => unpack_one(names, &["movie", "item", "product", "title", "meta"]),
                error => error.hint(),
            },
            Self::TooManyBadRows { hint, .. } => hint.to_string(),
            Self::Column {
                nearest: Some(nearest), ..
            } => format!("did you mean `{nearest}`?"),
            Self::Column { .. } => {
                "`data.columns` takes numbers from 0, or the names in the file; `data.header` says if it has any"
                    .to_string()
            }
            Self::ColumnType { .. } => "set `data.columns` to the columns that hold these".to_string(),
            Self::OpenQuote { .. } => {
                "close the quote, or double it if it is part of the text; `data.quote = \"\"` takes quotes for text".to_string()
            }
            Self::LongRow { .. } => {
                "is it a table of ratings, with one row a line? if it is packed or binary, unpack or convert it first"
                    .to_string()
            }
            Self::Truncated { .. } => "the file was cut, perhaps by a broken download: get it again".to_string(),
            Self::Damaged { .. } => "the file was changed, perhaps by a broken download: get it again".to_string(),
            Self::NoTimestamps { .. } => {
                "`data.columns.timestamp` names the column; without one, remove `data.since` and `data.until`"
                    .to_string()
            }
            Self::Duplicate { .. } => "`data.duplicates` can also be `last`, `first` or `mean`".to_string(),
            Self::NothingLeft { .. } => {
                "lower `data.min_ratings_per_user` and `data.min_ratings_per_product`, or widen `data.since` and `data.until`"
                    .to_string()
            }
        }
    }
}

/// The first few of many names.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let mut text: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", shorten(name)))
        .collect();
    text.extend((names.len() > SHOWN).then(|| format!("{} more", names.len() - SHOWN)));
    text.join(", ")
}

/// How one table comes out of an archive: the one that a word names, else the first.
fn unpack_one(names: &[String], words: &[&str]) -> String {
    let is_named = |name: &&String| words.iter().any(|word| name.to_lowercase().contains(word));
    let name = names.iter().find(is_named).unwrap_or(&names[0]);
    let file = name.rsplit('/').next().unwrap_or(name);
    format!("unpack the one that is meant, such as `unzip -p FILE '{name}' > {file}`, and give that")
}

/// At most 40 characters, on one line.
pub fn shorten(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(40)
        .collect();
    if text.chars().nth(40).is_some() {
        short.push('…');
    }
    short
}

//! Bulk: rankings for many users, part by part, in bounded memory.
//!
//! Users come in the order in which they were asked for and are ranked [`USERS_PER_BATCH`] at a time; what is in memory is one
//! part, at most `ROWS_PER_PART` rows or one user's. Beside the parts lies `request.json`, written first: what was asked, of
//! which run; each part holds it as well, so one that strayed in from elsewhere is refused. The same request on the same folder
//! goes on with the parts that are missing, so a run that was stopped or killed ends with the bytes of one that was not; two at once
//! would share their files, so the second is refused. `summary.json` is written last.
//!
//! Shard `i` of `n` writes the parts whose number is `i` modulo `n`. The shards of one request may work in one folder at once,
//! on many machines; the whole request, asked behind them, finds their parts, writes what is missing, and the summary.

use super::filter::Candidates;
use super::parts::{read_part, write_part};
use super::{Ask, Ranking, RecommendError, Recommender};
use crate::artifact::run_directory::MANIFEST;
use crate::artifact::tensor_file::FileError;
use crate::common::file_lock;
use crate::common::interaction::UserIndex;
use crate::common::regular_file;
use crate::common::whole_file::{is_leftover, remove_leftovers, write_whole};
use crate::config::DeviceChoice;
use crate::engine::{EngineError, open};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::xxh3_128;

/// Users that are ranked in one pass over the products.
pub const USERS_PER_BATCH: usize = 960;
/// Rows of a part: about 60 MiB in memory, a few MiB on disk.
const ROWS_PER_PART: usize = 1 << 18;

/// What was asked, of which run.
const REQUEST: &str = "request.json";
/// What was written; there once all parts are.
const SUMMARY: &str = "summary.json";

/// Which of a request's parts are written here: those whose number is `index` modulo `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Below `of`.
    pub index: usize,
    pub of: usize,
}

impl Shard {
    /// All parts.
    pub const WHOLE: Self = Self { index: 0, of: 1 };
}

/// Users of a bulk request.
#[derive(Clone, Debug)]
pub enum Users {
    /// All of the run, in index order: the order of first appearance in the ratings.
    All(usize),
    /// Some, in this order.
    List(Vec<UserIndex>),
}

impl Users {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::List(users) => users.len(),
        }
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those at places `first..end`. Panics past the end.
    fn range(&self, first: usize, end: usize) -> Vec<UserIndex> {
        match self {
            Self::All(_) => (first as u32..end as u32).map(UserIndex).collect(),
            Self::List(users) => users[first..end].to_vec(),
        }
    }
}

/// What is told of a bulk run while it goes on.
pub trait Watch {
    /// `done` of `total` users are ranked, `skipped` of them by an earlier run.
    fn at(&mut self, done: usize, skipped: usize, total: usize);
}

/// How a bulk run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkEnd {
    Complete(Summary),
    /// Stopped between two batches; the parts that are whole are kept.
    Stopped,
}

/// What a folder holds, or a shard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub users: usize,
    pub rows: usize,
    pub parts: usize,
}

/// Everything that the parts depend on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Request {
    dotcart_version: String,
    run: String,
    /// Digest of the run's manifest, which holds the digests of its files.
    manifest: String,
    users: usize,
    /// Digest of the users' indices, if not all are asked for.
    user_list: Option<String>,
    top: usize,
    include_seen: bool,
    /// Digest of the candidates' indices, if not all products are.
    candidates: Option<String>,
    users_per_part: usize,
    /// The cpu or an adapter: two engines round their sums differently.
    engine: String,
}

impl Recommender {
    /// Ranks for `users` batch by batch and hands each batch on, in order.
    pub fn rank_all<E: From<RecommendError>>(
        &self,
        candidates: &Candidates,
        users: &Users,
        ask: Ask,
        device: DeviceChoice,
        mut consume: impl FnMut(Vec<Ranking>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut ranker = self.ranker(candidates, device)?;
        for first in (0..users.len()).step_by(USERS_PER_BATCH) {
            let batch = users.range(first, users.len().min(first + USERS_PER_BATCH));
            consume(self.rank_users(&mut ranker, candidates, &batch, ask)?)?;
        }
        Ok(())
    }

    /// Writes the rankings of `users`, or of a shard of them, into a folder; `stop` ends it after a batch.
    pub fn write_parts(
        &self,
        candidates: &Candidates,
        users: &Users,
        ask: Ask,
        device: DeviceChoice,
        folder: &Path,
        shard: Shard,
        watch: &mut dyn Watch,
        stop: &AtomicBool,
    ) -> Result<BulkEnd, RecommendError> {
        let users_per_part = (ROWS_PER_PART / ask.top).max(1);
        let manifest = self.run().file(MANIFEST);
        let request = Request {
            dotcart_version: env!("CARGO_PKG_VERSION").to_string(),
            run: self.run().name(),
            manifest: digest(&regular_file::read(&manifest).map_err(FileError::read(&manifest))?),
            users: users.len(),
            user_list: match users {
                Users::All(_) => None,
                Users::List(users) => Some(digest(bytemuck::cast_slice(users))),
            },
            top: ask.top,
            include_seen: ask.include_seen,
            candidates: candidates.items().map(|items| digest(bytemuck::cast_slice(items))),
            users_per_part,
            engine: open::device(device).map_err(EngineError::from)?.name(),
        };
        let _locks = begin(folder, &request, shard)?;
        let mut ranker = self.ranker(candidates, device)?;
        let parts = (shard.index..users.len().div_ceil(users_per_part)).step_by(shard.of);
        let bounds = |part| (part * users_per_part, users.len().min((part + 1) * users_per_part));
        let total = parts.clone().map(bounds).map(|(first, end)| end - first).sum();
        let mut summary = Summary {
            users: total,
            rows: 0,
            parts: parts.len(),
        };
        let (mut done, mut skipped) = (0, 0);
        for part in parts {
            let path = folder.join(format!("part-{part:05}.parquet"));
            let (first, end) = bounds(part);
            if path.is_file() {
                let (about, rows) = read_part(&path)?;
                check_part(&path, about.as_deref(), &request)?;
                summary.rows += rows;
                skipped += end - first;
                done += end - first;
                watch.at(done, skipped, total);
                continue;
            }
            let mut rankings = Vec::new();
            for first in (first..end).step_by(USERS_PER_BATCH) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(BulkEnd::Stopped);
                }
                let batch = users.range(first, end.min(first + USERS_PER_BATCH));
                rankings.extend(self.rank_users(&mut ranker, candidates, &batch, ask)?);
                done += batch.len();
                watch.at(done, skipped, total);
            }
            summary.rows += rankings.iter().map(|ranking| ranking.products.len()).sum::<usize>();
            write_part(&path, &rankings, about(&request))?;
        }
        if shard == Shard::WHOLE {
            let path = folder.join(SUMMARY);
            write_whole(&path, &json(&summary)).map_err(FileError::write(&path))?;
        }
        Ok(BulkEnd::Complete(summary))
    }
}

/// Makes the folder, or finds the same request in it, and holds it, or the shard's share of it, until the files are dropped.
fn begin(folder: &Path, request: &Request, shard: Shard) -> Result<Vec<File>, RecommendError> {
    let write = |source| RecommendError::Write {
        path: folder.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(write)?;
    let path = folder.join(REQUEST);
    let busy = || RecommendError::Busy(folder.to_path_buf());
    let mut others = std::fs::read_dir(folder).map_err(write)?.flatten();
    // In this order: what other shards write meanwhile comes behind their request.
    if others.any(|entry| !is_leftover(&entry.path())) && !path.is_file() {
        return Err(RecommendError::Occupied(folder.to_path_buf()));
    }
    if shard == Shard::WHOLE {
        let mut file = file_lock::hold(&path)
            .map_err(FileError::write(&path))?
            .ok_or_else(busy)?;
        write_request(&path, &mut file, request)?;
        check_request(&path, &mut file, request)?;
        remove_leftovers(folder);
        return Ok(vec![file]);
    }
    if std::fs::metadata(&path).map_or(0, |file| file.len()) == 0
        && let Some(mut file) = file_lock::hold(&path).map_err(FileError::write(&path))?
    {
        write_request(&path, &mut file, request)?;
    }
    let mut file = file_lock::share(&path)
        .map_err(FileError::read(&path))?
        .ok_or_else(busy)?;
    check_request(&path, &mut file, request)?;
    // A leftover by its name: whoever holds the folder alone removes it.
    let path = folder.join(format!("shard-{}-of-{}.partial", shard.index, shard.of));
    let own = file_lock::hold(&path)
        .map_err(FileError::write(&path))?
        .ok_or_else(busy)?;
    Ok(vec![file, own])
}

/// Writes the request into its file, which is held, unless something stands there.
fn write_request(path: &Path, file: &mut File, request: &Request) -> Result<(), RecommendError> {
    if file.metadata().map_err(FileError::read(path))?.len() == 0 {
        let written = file.write_all(&json(request)).and_then(|()| file.sync_all());
        written.map_err(FileError::write(path))?;
    }
    Ok(())
}

/// Errors if the file holds another request.
fn check_request(path: &Path, file: &mut File, request: &Request) -> Result<(), RecommendError> {
    let mut text = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut text));
    read.map_err(FileError::read(path))?;
    if serde_json::from_slice::<Request>(&text).ok().as_ref() != Some(request) {
        let folder = path.parent().unwrap_or(path);
        return Err(RecommendError::OtherRequest(folder.to_path_buf()));
    }
    Ok(())
}

/// Errors unless a part was written for this request.
fn check_part(path: &Path, about: Option<&str>, request: &Request) -> Result<(), RecommendError> {
    let found = about.and_then(|text| serde_json::from_str::<Request>(text).ok());
    if found.as_ref() == Some(request) {
        return Ok(());
    }
    let is_of_model = found.is_some_and(|found| found.manifest == request.manifest);
    Err(RecommendError::OtherPart {
        path: path.to_path_buf(),
        what: if is_of_model { "request" } else { "model" },
    })
}

/// The request as a part holds it.
fn about(request: &Request) -> String {
    serde_json::to_string(request).expect("requests are JSON")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("requests are JSON");
    text.push(b'\n');
    text
}

fn digest(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

//! Bulk: rankings for many users, part by part, in bounded memory.
//!
//! Users come in the order in which they were asked for and are ranked [`USERS_PER_BATCH`] at a time; what is in memory is one
//! part, at most `ROWS_PER_PART` rows or one user's. Beside the parts lies `request.json`, written first: what was asked, of
//! which run. The same request on the same folder goes on with the parts that are missing, so a run that was stopped or killed
//! ends with the bytes of one that was not; two at once would share their files, so the second is refused. `summary.json` is
//! written last.

use super::filter::Candidates;
use super::parts::{rows_of, write_part};
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
use std::io::{Read, Write};
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
            Self::All(_) => (first as UserIndex..end as UserIndex).collect(),
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

/// What a folder holds.
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

    /// Writes the rankings of `users` into a folder; `stop` ends it after a batch.
    pub fn write_parts(
        &self,
        candidates: &Candidates,
        users: &Users,
        ask: Ask,
        device: DeviceChoice,
        folder: &Path,
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
        let _lock = begin(folder, &request)?;
        let mut ranker = self.ranker(candidates, device)?;
        let (mut rows, mut skipped) = (0, 0);
        let parts = users.len().div_ceil(users_per_part);
        for part in 0..parts {
            let path = folder.join(format!("part-{part:05}.parquet"));
            let first = part * users_per_part;
            let end = users.len().min(first + users_per_part);
            if path.is_file() {
                rows += rows_of(&path)?;
                skipped += end - first;
                watch.at(end, skipped, users.len());
                continue;
            }
            let mut rankings = Vec::new();
            for first in (first..end).step_by(USERS_PER_BATCH) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(BulkEnd::Stopped);
                }
                let batch = users.range(first, end.min(first + USERS_PER_BATCH));
                rankings.extend(self.rank_users(&mut ranker, candidates, &batch, ask)?);
                watch.at(first + batch.len(), skipped, users.len());
            }
            rows += rankings.iter().map(|ranking| ranking.products.len()).sum::<usize>();
            write_part(&path, &rankings)?;
        }
        let summary = Summary {
            users: users.len(),
            rows,
            parts,
        };
        let path = folder.join(SUMMARY);
        write_whole(&path, &json(&summary)).map_err(FileError::write(&path))?;
        Ok(BulkEnd::Complete(summary))
    }
}

/// Makes the folder, or finds the same request in it, and holds it until the file is dropped.
fn begin(folder: &Path, request: &Request) -> Result<File, RecommendError> {
    let write = |source| RecommendError::Write {
        path: folder.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(write)?;
    let path = folder.join(REQUEST);
    let mut others = std::fs::read_dir(folder).map_err(write)?.flatten();
    if !path.is_file() && others.any(|entry| !is_leftover(&entry.path())) {
        return Err(RecommendError::Occupied(folder.to_path_buf()));
    }
    let held = file_lock::hold(&path).map_err(FileError::write(&path))?;
    let mut file = held.ok_or_else(|| RecommendError::Busy(folder.to_path_buf()))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(FileError::read(&path))?;
    if text.is_empty() {
        let written = file.write_all(&json(request)).and_then(|()| file.sync_all());
        written.map_err(FileError::write(&path))?;
    } else if serde_json::from_slice::<Request>(&text).ok().as_ref() != Some(request) {
        return Err(RecommendError::OtherRequest(folder.to_path_buf()));
    }
    remove_leftovers(folder);
    Ok(file)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("requests are JSON");
    text.push(b'\n');
    text
}

fn digest(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

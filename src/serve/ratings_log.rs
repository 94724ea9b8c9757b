//! Keeping ratings: what is posted goes into the run's [`ratings_log`](crate::artifact::ratings_log).
//!
//! A posting is synced before it is answered, so one that was answered survives a kill; what a kill leaves of one that was not
//! is cut off at the next start. One thread writes; postings that come while it syncs share the next sync.
//!
//! Users and products stand in it by id, so it holds for any run, and those that the run does not know are kept for the next
//! training.

use super::answer::ApiError;
use super::error::ServeError;
use super::served::Served;
use crate::artifact::ratings_log::{NewRating, Posting, RATINGS_LOG, read_postings};
use crate::artifact::run_directory::RunDirectory;
use crate::common::file_lock;
use crate::common::interaction::ItemIndex;
use crate::recommend::RecommendError;
use axum::http::StatusCode;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::oneshot;

/// Held by the server that writes it.
const LOG_LOCK: &str = "ratings.log.lock";
/// Postings that wait to be written at the most.
const WAITING: usize = 256;

/// How a posting was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    New,
    /// It had been posted before.
    Before,
}

/// What each user rated, the last rating of a product.
type ByUser = HashMap<String, BTreeMap<String, f32>>;

#[derive(Default)]
struct Known {
    by_user: ByUser,
    /// Digests of the postings with a name.
    requests: HashMap<String, u64>,
}

enum Order {
    Post(Posting, oneshot::Sender<Result<Taken, ApiError>>),
    CarryTo(Arc<Served>, mpsc::Sender<Result<(), ServeError>>),
}

/// The way to the thread that writes, and what it has written.
pub struct RatingsLog {
    orders: mpsc::SyncSender<Order>,
    known: Arc<RwLock<Known>>,
}

impl RatingsLog {
    /// Reads what the run's folder holds, and starts the thread.
    ///
    /// Errors if the log is damaged. A log that another server writes, or in a folder that cannot be written, is read, and
    /// postings are refused.
    pub fn open(served: &Served) -> Result<Self, ServeError> {
        let mut postings = Vec::new();
        let writer = Writer::open(served.run(), &mut postings)?;
        let mut known = Known::default();
        postings.iter().for_each(|posting| known.add(posting));
        let known = Arc::new(RwLock::new(known));
        let (orders, inbox) = mpsc::sync_channel(WAITING);
        let at_log = known.clone();
        let thread = std::thread::Builder::new().name("ratings-log".to_string());
        let work = move || write_orders(&inbox, writer, postings, &at_log);
        thread.spawn(work).map_err(ServeError::Start)?;
        Ok(Self { orders, known })
    }

    /// Writes a posting, and syncs. Errors if it is one of another content under a name that was used, if too many wait, or if
    /// it cannot be written.
    pub async fn post(&self, posting: Posting) -> Result<Taken, ApiError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.try_send(Order::Post(posting, reply));
        sent.map_err(|_| ApiError::busy())?;
        answer
            .await
            .unwrap_or_else(|_| Err(ApiError::fault("the ratings log went away")))
    }

    /// Goes on in the folder of another run, with all that this one was not trained on.
    pub fn carry_to(&self, served: &Arc<Served>) -> Result<(), ServeError> {
        let (reply, answer) = mpsc::channel();
        let gone = |_| ServeError::Start(io::Error::other("the ratings log went away"));
        let order = Order::CarryTo(served.clone(), reply);
        self.orders.send(order).map_err(|_| gone(mpsc::RecvError))?;
        answer.recv().map_err(gone)?
    }

    /// What a user has rated since the training, of the products that a run knows.
    pub fn of_user(&self, served: &Served, user: &str) -> Result<Vec<(ItemIndex, f32)>, RecommendError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut ratings = Vec::new();
        for (product, rating) in known.by_user.get(user).into_iter().flatten() {
            if let Some(item) = served.recommender.find_product(product)? {
                ratings.push((item, *rating));
            }
        }
        Ok(ratings)
    }

    /// How many ratings came since the training.
    pub fn len(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.by_user.values().map(BTreeMap::len).sum()
    }
}

impl Known {
    fn add(&mut self, posting: &Posting) {
        for NewRating {
            user, product, rating, ..
        } in &posting.ratings
        {
            self.by_user
                .entry(user.clone())
                .or_default()
                .insert(product.clone(), *rating);
        }
        if let Some(id) = &posting.request_id {
            self.requests.insert(id.clone(), posting.digest());
        }
    }
}

/// Takes orders until nobody can give any.
fn write_orders(
    inbox: &mpsc::Receiver<Order>,
    mut writer: Result<Writer, String>,
    mut postings: Vec<Posting>,
    known: &RwLock<Known>,
) {
    while let Ok(first) = inbox.recv() {
        let mut orders = vec![first];
        orders.extend(inbox.try_iter().take(WAITING));
        let mut together = Vec::new();
        for order in orders {
            match order {
                Order::Post(posting, reply) => together.push((posting, reply)),
                Order::CarryTo(served, reply) => {
                    write_together(std::mem::take(&mut together), &mut writer, &mut postings, known);
                    let carried = carry(&served, &mut writer, &mut postings, known);
                    // Who ordered it waits for the answer.
                    let _ = reply.send(carried);
                }
            }
        }
        write_together(together, &mut writer, &mut postings, known);
    }
}

/// Writes what came together, syncs once, and answers.
fn write_together(
    together: Vec<(Posting, oneshot::Sender<Result<Taken, ApiError>>)>,
    writer: &mut Result<Writer, String>,
    postings: &mut Vec<Posting>,
    known: &RwLock<Known>,
) {
    let mut named: HashMap<String, u64> = HashMap::new();
    let (mut lines, mut new, mut answers) = (String::new(), Vec::new(), Vec::new());
    for (posting, reply) in together {
        let before = posting.request_id.as_ref().and_then(|id| {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            named.get(id).or_else(|| known.requests.get(id)).copied()
        });
        let answer = match before {
            Some(digest) if digest == posting.digest() => Ok(Taken::Before),
            Some(_) => Err(ApiError::new(
                StatusCode::CONFLICT,
                "another posting had this `request_id`",
                "give each posting a name of its own",
            )),
            None => {
                if let Some(id) = &posting.request_id {
                    named.insert(id.clone(), posting.digest());
                }
                lines.push_str(&posting.line());
                new.push(posting);
                Ok(Taken::New)
            }
        };
        answers.push((reply, answer));
    }
    let written = match (writer, lines.is_empty()) {
        (_, true) => Ok(()),
        (Ok(writer), false) => writer.append(lines.as_bytes()).map_err(|error| error.to_string()),
        (Err(why), false) => Err(why.clone()),
    };
    if written.is_ok() {
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        new.iter().for_each(|posting| known.add(posting));
        postings.extend(new);
    }
    for (reply, answer) in answers {
        // What had been posted before stands all the same, and will be told so when it is posted again.
        let answer = match (&written, answer) {
            (Err(why), Ok(_)) => Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the rating was not kept: {why}"),
                "nothing was written; post it again later",
            )),
            (_, answer) => answer,
        };
        // Who posted may have gone; what was written stands.
        let _ = reply.send(answer);
    }
}

/// Goes on in another run's folder: what that holds already, and behind it what it was not trained on.
fn carry(
    served: &Served,
    writer: &mut Result<Writer, String>,
    postings: &mut Vec<Posting>,
    known: &RwLock<Known>,
) -> Result<(), ServeError> {
    if let Ok(old) = writer
        && old.path == served.run().file(RATINGS_LOG)
    {
        // The same folder, whose log goes on.
        return Ok(());
    }
    let mut there = Vec::new();
    let mut next = Writer::open(served.run(), &mut there)?;
    let mut carried = Vec::new();
    for posting in postings.iter() {
        let mut left = posting.clone();
        left.ratings = untrained(served, &posting.ratings)?;
        if !left.ratings.is_empty() && !there.contains(&left) {
            carried.push(left);
        }
    }
    if let (Err(why), false) = (&next, carried.is_empty()) {
        // They would be known until the next start, and then to nobody.
        return Err(ServeError::NotCarried(carried.len(), why.clone()));
    }
    if let Ok(writer) = &mut next {
        let lines: String = carried.iter().map(Posting::line).collect();
        writer.append(lines.as_bytes()).map_err(|source| ServeError::WriteLog {
            path: writer.path.clone(),
            source,
        })?;
    }
    there.extend(carried);
    let mut fresh = Known::default();
    there.iter().for_each(|posting| fresh.add(posting));
    *known.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    (*writer, *postings) = (next, there);
    Ok(())
}

/// Of some ratings, those that a run has not read, or read otherwise.
fn untrained(served: &Served, ratings: &[NewRating]) -> Result<Vec<NewRating>, RecommendError> {
    let mut left = Vec::new();
    for rating in ratings {
        let has_read = match (
            served.recommender.find_user(&rating.user)?,
            served.recommender.find_product(&rating.product)?,
        ) {
            (Some(user), Some(item)) => served.recommender.has_read(user, item, rating.rating)?,
            _ => false,
        };
        if !has_read {
            left.push(rating.clone());
        }
    }
    Ok(left)
}

/// A file that is new is there after a power cut only if its folder is synced.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Where a folder cannot be opened as a file, the system sees to it.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// The log's file, held by this process.
struct Writer {
    path: PathBuf,
    file: File,
    /// Bytes that are whole.
    whole: u64,
    _lock: File,
}

impl Writer {
    /// Opens a run's log and reads its postings; in place of a writer the reason why there is none.
    fn open(run: &RunDirectory, postings: &mut Vec<Posting>) -> Result<Result<Self, String>, ServeError> {
        let path = run.file(RATINGS_LOG);
        let lock = match file_lock::hold(&run.file(LOG_LOCK)) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err("another server keeps the ratings of this run".to_string()),
            Err(error) => Err(format!("the run's folder cannot be written: {error}")),
        };
        let (read, whole) = read_postings(run)?;
        postings.extend(read);
        let lock = match lock {
            Ok(lock) => lock,
            Err(why) => return Ok(Err(why)),
        };
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let file = opened.and_then(|mut file| {
            // What a kill left of a posting that was not answered.
            file.set_len(whole)?;
            file.seek(SeekFrom::End(0))?;
            file.sync_all()?;
            sync_folder(run.path())?;
            Ok(file)
        });
        Ok(match file {
            Ok(file) => Ok(Self {
                path,
                file,
                whole,
                _lock: lock,
            }),
            Err(error) => Err(format!("the run's folder cannot be written: {error}")),
        })
    }

    /// Writes lines behind the others and syncs. Where that fails the file ends where it did.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        // After a failure the end may not be where it should.
        self.file.set_len(self.whole)?;
        self.file.seek(SeekFrom::Start(self.whole))?;
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.whole += lines.len() as u64,
            // Where this fails too the next one tries it again before it writes.
            Err(_) => drop(self.file.set_len(self.whole)),
        }
        written
    }
}

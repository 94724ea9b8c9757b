//! Keeping ratings: what is posted goes into the run's [`ratings_log`](crate::artifact::ratings_log).
//!
//! A posting is synced before it is answered, so one that was answered survives a kill; what a kill leaves of one that was not
//! is cut off at the next start. One thread writes; postings that come while it syncs share the next sync.
//!
//! Users and products stand in it by id, so it holds for any run, and those that the run does not know are kept for the next
//! training. A run begins with what came to the older runs of its series and it was not trained on, whether it takes their
//! place or a server starts with it.

use super::answer::ApiError;
use super::error::ServeError;
use super::served::Served;
use crate::artifact::ratings_log::{NewRating, Posting, RATINGS_LOG, append_log, gather, read_postings};
use crate::artifact::run_directory::RunDirectory;
use crate::common::file_lock;
use crate::common::interaction::ItemIndex;
use crate::recommend::RecommendError;
use axum::http::StatusCode;
use std::collections::{BTreeMap, HashMap, HashSet};
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

const OTHER_WRITES: &str = "another server keeps the ratings of this run";

/// Names of postings that go along to a newer run at the most, the last ones.
const NAMES: usize = 10_000;

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
    /// Reads what the run's folder holds and those of the older runs of its series, and starts the thread.
    ///
    /// Errors if a log is damaged. A log that another server writes, or in a folder that cannot be written, is read, and
    /// postings are refused.
    pub fn open(served: &Served) -> Result<Self, ServeError> {
        let log = Log::open(served, &gather(&served.run().older())?, true, true)?;
        let known = Arc::new(RwLock::new(log.known()));
        let (orders, inbox) = mpsc::sync_channel(WAITING);
        let at_log = known.clone();
        let thread = std::thread::Builder::new().name("ratings-log".to_string());
        let work = move || write_orders(&inbox, log, &at_log);
        thread.spawn(work).map_err(ServeError::Start)?;
        Ok(Self { orders, known })
    }

    /// Writes a posting, and syncs. Errors if it is one of another content under a name that was used, if too many wait, or if
    /// it cannot be written.
    pub async fn post(&self, posting: Posting) -> Result<Taken, ApiError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.try_send(Order::Post(posting, reply));
        let gone = || ApiError::fault("the ratings log went away");
        sent.map_err(|error| match error {
            mpsc::TrySendError::Full(_) => ApiError::busy(),
            mpsc::TrySendError::Disconnected(_) => gone(),
        })?;
        answer.await.unwrap_or_else(|_| Err(gone()))
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
    fn add(&mut self, posting: &Posting, has_counts: bool) {
        for NewRating {
            user, product, rating, ..
        } in &posting.ratings
        {
            let of_user = self.by_user.entry(user.clone()).or_default();
            let known = of_user.entry(product.clone()).or_default();
            // Counts add up; of ratings the last one stands.
            *known = if has_counts { *known + rating } else { *rating };
        }
        if let Some(id) = &posting.request_id {
            self.requests.insert(id.clone(), posting.digest());
        }
    }
}

/// Takes orders until nobody can give any.
fn write_orders(inbox: &mpsc::Receiver<Order>, mut log: Log, known: &RwLock<Known>) {
    while let Ok(first) = inbox.recv() {
        let mut orders = vec![first];
        orders.extend(inbox.try_iter().take(WAITING));
        let mut together = Vec::new();
        for order in orders {
            match order {
                Order::Post(posting, reply) => together.push((posting, reply)),
                Order::CarryTo(served, reply) => {
                    write_together(std::mem::take(&mut together), &mut log, known);
                    let carried = carry(&served, &mut log, known);
                    // Who ordered it waits for the answer.
                    let _ = reply.send(carried);
                }
            }
        }
        write_together(together, &mut log, known);
    }
}

/// Writes what came together, syncs once, and answers.
fn write_together(
    together: Vec<(Posting, oneshot::Sender<Result<Taken, ApiError>>)>,
    log: &mut Log,
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
    let written = match (&mut log.writer, lines.is_empty()) {
        (_, true) => Ok(()),
        (Ok(writer), false) => writer.append(lines.as_bytes()).map_err(|error| error.to_string()),
        (Err(why), false) => Err(why.clone()),
    };
    if written.is_ok() {
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        new.iter().for_each(|posting| known.add(posting, log.has_counts));
        log.postings.extend(new);
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
fn carry(served: &Served, log: &mut Log, known: &RwLock<Known>) -> Result<(), ServeError> {
    let is_in_place = log.writer.as_ref().map(Writer::is_in_place);
    let path = served.run().file(RATINGS_LOG);
    if path == log.path && is_in_place == Ok(true) {
        // The same folder, whose log goes on.
        return Ok(());
    }
    let runs = served.run().older();
    let mut older = gather(&runs)?;
    // Who only reads has it from a file; a folder that was replaced took its log away.
    let stands = match is_in_place {
        Ok(is_in_place) => is_in_place && runs.iter().any(|run| run.file(RATINGS_LOG) == log.path),
        Err(_) => true,
    };
    if !stands {
        append_log(&mut older, log.postings.clone());
    }
    // Where two servers follow one series, the one that writes goes on to write.
    let is_other_alive = log.writer.is_err() && file_lock::is_held(&log.path.with_file_name(LOG_LOCK));
    let next = Log::open(served, &older, !is_other_alive, stands)?;
    if let (Err(why), false) = (&next.writer, stands || log.postings.is_empty()) {
        // They would be known until the next start, and then to nobody.
        return Err(ServeError::NotCarried(log.postings.len(), why.clone()));
    }
    *known.write().unwrap_or_else(PoisonError::into_inner) = next.known();
    *log = next;
    Ok(())
}

/// A run's log as the thread holds it.
struct Log {
    path: PathBuf,
    /// Or why nothing can be written.
    writer: Result<Writer, String>,
    postings: Vec<Posting>,
    has_counts: bool,
}

impl Log {
    /// Opens a run's log and appends what older ones hold and it was not trained on.
    ///
    /// Where it cannot be written that is known all the same, if the older ones `stand`, for the next start to try again.
    fn open(served: &Served, older: &[Posting], may_write: bool, stand: bool) -> Result<Self, ServeError> {
        let (mut writer, mut postings) = match may_write {
            true => Writer::open(served.run())?,
            false => (Err(OTHER_WRITES.to_string()), read_postings(served.run())?.0),
        };
        let carried = carried(served, &postings, older)?;
        if let Ok(writer) = &mut writer {
            let lines: String = carried.iter().map(Posting::line).collect();
            let written = writer.append(lines.as_bytes());
            written.or_else(|source| match stand {
                true => Ok(()),
                false => Err(ServeError::WriteLog {
                    path: writer.path.clone(),
                    source,
                }),
            })?;
        }
        postings.extend(carried);
        Ok(Self {
            path: served.run().file(RATINGS_LOG),
            writer,
            postings,
            has_counts: served.recommender.has_counts(),
        })
    }

    fn known(&self) -> Known {
        let mut known = Known::default();
        for posting in &self.postings {
            known.add(posting, self.has_counts);
        }
        known
    }
}

/// Of the postings of older runs what a run needs whose log holds those that are `there`.
fn carried(served: &Served, there: &[Posting], older: &[Posting]) -> Result<Vec<Posting>, RecommendError> {
    let digests: HashSet<u64> = there.iter().filter_map(Posting::carried_digest).collect();
    let mut settled = Settled::of(served, there, older)?;
    // Names without ratings stay known, so that a posting that comes again is told from a new one; not all of them for ever.
    let names_from = older.len().saturating_sub(NAMES);
    let mut carried = Vec::new();
    for (place, posting) in older.iter().enumerate() {
        let left = posting.carried(|rating| !settled.take(rating));
        let is_wanted = !left.ratings.is_empty() || (left.request_id.is_some() && place >= names_from);
        if is_wanted && !digests.contains(&left.digest()) {
            carried.push(left);
        }
    }
    Ok(carried)
}

/// A user's and a product's id.
type Pair<'a> = (&'a str, &'a str);

/// Which ratings of older logs say nothing new to a run.
enum Settled<'a> {
    /// All of these pairs: the run has read the last one of each, or its own log has one of no earlier time.
    Ratings(HashSet<Pair<'a>>),
    /// So many of each.
    Counts(HashMap<Pair<'a>, f32>),
}

impl<'a> Settled<'a> {
    fn of(served: &Served, there: &'a [Posting], older: &'a [Posting]) -> Result<Self, RecommendError> {
        let ratings = older.iter().flat_map(|posting| &posting.ratings);
        let last: HashMap<Pair, &NewRating> = ratings.map(|rating| (pair(rating), rating)).collect();
        let read = |(user, product): Pair| -> Result<Vec<f32>, RecommendError> {
            match (
                served.recommender.find_user(user)?,
                served.recommender.find_product(product)?,
            ) {
                (Some(user), Some(item)) => served.recommender.read_ratings(user, item),
                _ => Ok(Vec::new()),
            }
        };
        if served.recommender.has_counts() {
            let counts = last.keys().map(|&pair| Ok((pair, read(pair)?.iter().sum())));
            return Ok(Self::Counts(counts.collect::<Result<_, RecommendError>>()?));
        }
        let own = there.iter().flat_map(|posting| &posting.ratings);
        let own: HashMap<Pair, Option<i64>> = own.map(|rating| (pair(rating), rating.time)).collect();
        let mut settled = HashSet::new();
        for (pair, rating) in last {
            if own.get(&pair).is_some_and(|time| *time >= rating.time) || read(pair)?.contains(&rating.rating) {
                settled.insert(pair);
            }
        }
        Ok(Self::Ratings(settled))
    }

    /// Whether a rating says nothing new. In the order of the postings: counts are used up.
    fn take(&mut self, rating: &'a NewRating) -> bool {
        match self {
            Self::Ratings(settled) => settled.contains(&pair(rating)),
            Self::Counts(left) => match left.get_mut(&pair(rating)) {
                Some(left) if *left >= rating.rating => {
                    *left -= rating.rating;
                    true
                }
                _ => false,
            },
        }
    }
}

fn pair(rating: &NewRating) -> Pair<'_> {
    (&rating.user, &rating.product)
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

/// Whether two open files are one.
#[cfg(unix)]
fn is_same(one: &File, other: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let place = |file: &File| file.metadata().map(|data| (data.dev(), data.ino()));
    Ok(place(one)? == place(other)?)
}

/// Where an open file keeps its folder from being replaced, one path is one file.
#[cfg(not(unix))]
fn is_same(_one: &File, _other: &File) -> io::Result<bool> {
    Ok(true)
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
    fn open(run: &RunDirectory) -> Result<(Result<Self, String>, Vec<Posting>), ServeError> {
        let path = run.file(RATINGS_LOG);
        let lock = match file_lock::hold(&run.file(LOG_LOCK)) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(OTHER_WRITES.to_string()),
            Err(error) => Err(format!("the run's folder cannot be written: {error}")),
        };
        let (postings, whole) = read_postings(run)?;
        let lock = match lock {
            Ok(lock) => lock,
            Err(why) => return Ok((Err(why), postings)),
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
        let writer = file.map(|file| Self {
            path,
            file,
            whole,
            _lock: lock,
        });
        let why = |error| format!("the run's folder cannot be written: {error}");
        Ok((writer.map_err(why), postings))
    }

    /// Whether its path still leads to it: a folder may have been put in the place of another.
    fn is_in_place(&self) -> bool {
        let there = File::open(&self.path).and_then(|there| is_same(&there, &self.file));
        there.unwrap_or(false)
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

//! The desk: one thread that scores. What comes while it is busy waits, and is then scored together.
//!
//! ```text
//! queue (bounded) -> as many at once as wait, of one run and one way of asking -> one pass over the products
//! ```
//!
//! Nobody waits for company: whoever comes to an idle desk is scored at once, and under load a batch is what came during the
//! one before it. A list of the best k is the head of a list of more, so those who ask for fewer share a pass with those who
//! ask for most.

use super::answer::ApiError;
use super::served::Served;
use super::{Listener, Notice, ServeError};
use crate::config::DeviceChoice;
use crate::engine::ranker::Ranker;
use crate::recommend::similar::Similar;
use crate::recommend::{Ask, Ranking, RecommendError, Request};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Jobs that wait at the most; a job is a list for one user, or one product's likes.
pub const CAPACITY: usize = 1024;
/// Jobs that one pass answers at the most: what more would not make cheaper.
const BATCH: usize = 256;

/// What is wanted.
#[derive(Clone, Debug)]
pub enum Wish {
    /// A list for one who is known, or known by ratings.
    List(Request, Ask),
    /// A list for anybody.
    Anybody(Ask),
    /// The products most like one.
    Like {
        product: String,
        top: usize,
        min_ratings: u32,
    },
}

/// What is got.
#[derive(Clone, Debug)]
pub enum Got {
    List(Ranking),
    Like(Similar),
}

type Reply = oneshot::Sender<Result<Got, ApiError>>;

struct Job {
    served: Arc<Served>,
    wish: Wish,
    reply: Reply,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    is_closed: bool,
    /// Passes, and jobs that they answered.
    passes: u64,
    answered: u64,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic while it was held would have been between two whole changes.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits of one run, oldest first; waits for the first. `None` once the desk is closed and nothing is left.
    fn take(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        while waiting.jobs.is_empty() {
            if waiting.is_closed {
                return None;
            }
            waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let served = waiting.jobs[0].served.clone();
        let of_one_run = waiting.jobs.iter().take(BATCH);
        let count = of_one_run.take_while(|job| Arc::ptr_eq(&job.served, &served)).count();
        waiting.passes += 1;
        waiting.answered += count as u64;
        Some(waiting.jobs.drain(..count).collect())
    }
}

/// How busy the desk is and was.
#[derive(Clone, Copy, Debug)]
pub struct Business {
    pub waiting: usize,
    pub passes: u64,
    pub answered: u64,
}

/// The way to the thread that scores.
pub struct Desk {
    queue: Arc<Queue>,
}

impl Desk {
    /// Starts the thread. Errors if the engine does not open.
    pub fn start(served: Arc<Served>, device: DeviceChoice, listener: Listener) -> Result<Self, ServeError> {
        // What fails here would fail at every question.
        drop(served.recommender.ranker(&served.candidates, device)?);
        let queue = Arc::new(Queue::default());
        let at_desk = queue.clone();
        let work = move || {
            let mut next = at_desk.take();
            while let Some(jobs) = next {
                next = work_for_run(&at_desk, jobs, device, &listener);
            }
        };
        let thread = std::thread::Builder::new().name("desk".to_string());
        thread.spawn(work).map_err(ServeError::Start)?;
        Ok(Self { queue })
    }

    /// Asks for all of some wishes of one run, answered in their order. Errors if they do not fit into the queue.
    pub async fn ask(&self, served: &Arc<Served>, wishes: Vec<Wish>) -> Result<Vec<Got>, ApiError> {
        let mut replies = Vec::with_capacity(wishes.len());
        {
            let mut waiting = self.queue.waiting();
            if waiting.is_closed {
                return Err(ApiError::draining());
            }
            if waiting.jobs.len() + wishes.len() > CAPACITY {
                return Err(ApiError::busy());
            }
            for wish in wishes {
                let (reply, answer) = oneshot::channel();
                let served = served.clone();
                waiting.jobs.push_back(Job { served, wish, reply });
                replies.push(answer);
            }
        }
        self.queue.came.notify_one();
        let mut got = Vec::with_capacity(replies.len());
        for reply in replies {
            let answer = reply
                .await
                .unwrap_or_else(|_| Err(ApiError::fault("the desk went away")));
            got.push(answer?);
        }
        Ok(got)
    }

    /// How busy it is.
    pub fn business(&self) -> Business {
        let waiting = self.queue.waiting();
        Business {
            waiting: waiting.jobs.len(),
            passes: waiting.passes,
            answered: waiting.answered,
        }
    }

    /// Takes nothing more; what waits is answered.
    pub fn close(&self) {
        self.queue.waiting().is_closed = true;
        self.queue.came.notify_all();
    }
}

/// Answers these jobs and those that follow for as long as they are of the same run; returns the first that are not.
fn work_for_run(queue: &Queue, first: Vec<Job>, device: DeviceChoice, listener: &Listener) -> Option<Vec<Job>> {
    let served = first[0].served.clone();
    let mut ranker = match served.recommender.ranker(&served.candidates, device) {
        Ok(ranker) => ranker,
        Err(error) => {
            refuse(first, &error);
            return queue.take();
        }
    };
    let mut jobs = first;
    loop {
        // Who has gone, with a time-out or of themselves, keeps nobody waiting.
        let waiting = jobs.into_iter().filter(|job| !job.reply.is_closed());
        let (wishes, replies): (Vec<Wish>, Vec<Reply>) = waiting.map(|job| (job.wish, job.reply)).unzip();
        // A fault of ours costs those who met it their answer, and nobody else theirs.
        let answered = catch_unwind(AssertUnwindSafe(|| answer(&served, &mut ranker, wishes)));
        let is_whole = answered.is_ok();
        let answers = answered.unwrap_or_default().into_iter().map(Some);
        for (reply, answer) in replies.into_iter().zip(answers.chain(std::iter::repeat_with(|| None))) {
            // Who asked may have gone.
            let _ = reply.send(answer.unwrap_or_else(|| Err(ApiError::fault("scoring panicked"))));
        }
        if !is_whole {
            listener(Notice::Failed {
                what: "scoring panicked".to_string(),
            });
            return queue.take();
        }
        jobs = queue.take()?;
        if !Arc::ptr_eq(&jobs[0].served, &served) {
            return Some(jobs);
        }
    }
}

fn refuse(jobs: Vec<Job>, error: &RecommendError) {
    for job in jobs {
        // Who asked may have gone.
        let _ = job.reply.send(Err(ApiError::from_recommend(error)));
    }
}

/// The answers to some wishes, in their order: lists that are asked for alike in one pass, the rest one by one.
fn answer(served: &Served, ranker: &mut Ranker, wishes: Vec<Wish>) -> Vec<Result<Got, ApiError>> {
    let mut answers: Vec<Option<Result<Got, ApiError>>> = wishes.iter().map(|_| None).collect();
    let mut lists: Vec<(usize, Request, Ask)> = Vec::new();
    for (place, wish) in wishes.into_iter().enumerate() {
        let got = match wish {
            Wish::List(request, ask) => {
                lists.push((place, request, ask));
                continue;
            }
            Wish::Anybody(ask) => served.recommender.rank_unknown(&served.candidates, ask).map(Got::List),
            Wish::Like {
                product,
                top,
                min_ratings,
            } => served
                .recommender
                .similar_products(&product, top, min_ratings)
                .map(Got::Like),
        };
        answers[place] = Some(got.map_err(|error| ApiError::from_recommend(&error)));
    }
    while let Some(&(_, _, like)) = lists.first() {
        let is_alike = |ask: &Ask| (ask.include_seen, ask.why) == (like.include_seen, like.why);
        let (alike, others): (Vec<_>, Vec<_>) = lists.into_iter().partition(|(_, _, ask)| is_alike(ask));
        lists = others;
        for (place, got) in pass(served, ranker, alike) {
            answers[place] = Some(got);
        }
    }
    answers
        .into_iter()
        .map(|answer| answer.expect("every wish has been answered"))
        .collect()
}

/// One pass over the products for all who ask alike. If it fails for one, each is asked for alone, so that the others get theirs.
fn pass(
    served: &Served,
    ranker: &mut Ranker,
    alike: Vec<(usize, Request, Ask)>,
) -> Vec<(usize, Result<Got, ApiError>)> {
    let top = alike.iter().map(|(_, _, ask)| ask.top).max().unwrap_or(0);
    let ask = Ask { top, ..alike[0].2 };
    let requests: Vec<Request> = alike.iter().map(|(_, request, _)| request.clone()).collect();
    match served.recommender.rank(ranker, &served.candidates, &requests, ask) {
        Ok(rankings) => {
            let asked = alike.into_iter().map(|(place, _, ask)| (place, ask));
            let cut = rankings.into_iter().zip(asked);
            cut.map(|(ranking, (place, ask))| (place, Ok(Got::List(ranking.first(ask.top)))))
                .collect()
        }
        Err(error) if alike.len() == 1 => vec![(alike[0].0, Err(ApiError::from_recommend(&error)))],
        Err(_) => alike
            .into_iter()
            .flat_map(|one| pass(served, ranker, vec![one]))
            .collect(),
    }
}

//! Served: the run that answers, and how a newer one takes its place.

use super::ServeError;
use crate::artifact::origin::Origin;
use crate::artifact::run_directory::{RunDirectory, RunError};
use crate::recommend::filter::{Candidates, Filter};
use crate::recommend::{RecommendError, Recommender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

/// Which run is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// This one, or the newest complete one.
    Run(Option<String>),
    /// The newest complete one of a name.
    Newest(String),
    /// The same, and newer ones as they come.
    Name(String),
}

impl Source {
    fn find(&self) -> Result<RunDirectory, RunError> {
        match self {
            Self::Run(run) => RunDirectory::find(run.as_deref()),
            Self::Newest(name) | Self::Name(name) => RunDirectory::newest_of(name),
        }
    }

    /// Whether newer runs are taken by themselves.
    pub fn is_followed(&self) -> bool {
        matches!(self, Self::Name(_))
    }
}

/// A run that answers.
pub struct Served {
    pub recommender: Recommender,
    /// All products.
    pub candidates: Candidates,
    pub origin: Origin,
    /// When the run was completed, milliseconds since 1970.
    pub completed_ms: u64,
    /// When it was read.
    pub since: SystemTime,
}

impl Served {
    /// Reads a run, and every file of it against its digest.
    pub fn open(source: &Source) -> Result<Self, ServeError> {
        let run = source.find()?;
        run.verify()?;
        let completed_ms = run.completed_ms();
        let origin = run.origin()?;
        let recommender = Recommender::open(run)?;
        let (candidates, _) = recommender.candidates(&Filter::default())?;
        Ok(Self {
            recommender,
            candidates,
            origin,
            completed_ms,
            since: SystemTime::now(),
        })
    }

    /// The run.
    pub fn run(&self) -> &RunDirectory {
        self.recommender.run()
    }

    /// What the run cannot answer, in its words.
    pub fn unknown(&self, what: &'static str, id: &str) -> RecommendError {
        RecommendError::Unknown {
            what,
            id: id.to_string(),
            run: self.run().path().display().to_string(),
            nearest: Vec::new(),
            example: String::new(),
            is_swapped: false,
        }
    }
}

/// Where the run that answers is kept.
pub struct Slot {
    pub source: Source,
    current: RwLock<Arc<Served>>,
    reloading: Mutex<()>,
}

impl Slot {
    pub fn open(source: Source) -> Result<Self, ServeError> {
        let served = Arc::new(Served::open(&source)?);
        // The newest run of all is where it begins; what takes its place is of its series, not of other data.
        let source = match (source, served.run().series()) {
            (Source::Run(None), Some(series)) => Source::Newest(series),
            (Source::Run(None), None) => Source::Run(Some(served.run().argument())),
            (source, _) => source,
        };
        Ok(Self {
            source,
            current: RwLock::new(served),
            reloading: Mutex::new(()),
        })
    }

    /// The run that answers now.
    pub fn current(&self) -> Arc<Served> {
        // What is kept is one pointer, which no panic leaves half written.
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on another answers.
    pub fn replace(&self, next: Arc<Served>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Held while a run is read.
    pub fn reloading(&self) -> MutexGuard<'_, ()> {
        self.reloading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run that should answer now, if it is another.
    pub fn newer(&self) -> Option<RunDirectory> {
        let found = self.source.find().ok()?;
        let current = self.current();
        let is_newer = found != *current.run() || found.completed_ms() > current.completed_ms;
        is_newer.then_some(found)
    }
}

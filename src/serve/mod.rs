//! Serve: a run that answers over HTTP, with the answers of the command line.
//!
//! ```text
//! connection -> server     limits, time-outs, draining
//!            -> routes     one table: method, path, what it answers; `openapi` is made of it
//!            -> access     who may ask what
//!            -> handlers   ask (lists, likeness), tell (ratings), model (what is served, reload, health), pages (for people)
//!            -> desk       one thread that scores: what came while it was busy is scored together
//!            -> served     the run that answers, and how a newer one takes its place
//! ```
//!
//! Nothing that a request says names a file. A run is read and checked before it takes the place of another, and requests that
//! began with the old one end with it.

mod access;
mod answer;
mod ask;
mod desk;
mod error;
mod meter;
mod model;
mod openapi;
mod pages;
mod ratings_log;
mod routes;
mod served;
mod server;
mod tell;

pub use access::Access;
pub use error::ServeError;
pub use served::Source;
pub use server::Stop;

use crate::artifact::run_directory::RunDirectory;
use crate::config::DeviceChoice;
use answer::ApiError;
use desk::Desk;
use meter::Meter;
use ratings_log::RatingsLog;
use served::{Served, Slot};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a newer run is looked for, where one of a name is served.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// When one that could not be taken is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What is served, to whom, where.
#[derive(Debug)]
pub struct Options {
    pub source: Source,
    pub address: SocketAddr,
    pub access: Access,
    pub device: DeviceChoice,
}

/// What is told of a server while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It answers at this address, from this run.
    Listening { address: SocketAddr, run: String },
    /// Another run, or the same anew, answers from here on.
    Reloaded { run: String },
    /// A newer run is not taken, and the older one goes on.
    NotTaken { run: String, why: String },
    /// Something of ours failed while a request was answered.
    Failed { what: String },
    /// No new connection is taken; those that are open end.
    Draining,
}

/// Hears what is told, on any thread.
pub type Listener = Arc<dyn Fn(Notice) + Send + Sync>;

/// What every request sees.
struct Service {
    slot: Arc<Slot>,
    desk: Desk,
    log: RatingsLog,
    meter: Meter,
    access: Access,
    listener: Listener,
}

impl Service {
    /// The run that answers now.
    fn served(&self) -> Arc<Served> {
        self.slot.current()
    }

    /// Reads the run that should answer now and puts it in place; returns its name.
    ///
    /// Ratings that came since the older run, and that the newer one was not trained on, go along.
    fn reload(&self) -> Result<String, ServeError> {
        let _one_at_a_time = self.slot.reloading();
        let next = Arc::new(Served::open(&self.slot.source)?);
        let run = next.origin.run.clone();
        self.log.carry_to(&next)?;
        self.slot.replace(next);
        self.meter.reloaded();
        (self.listener)(Notice::Reloaded { run: run.clone() });
        Ok(run)
    }

    /// A fault of ours is told to whoever runs the server, and to the client in general words.
    fn tell_of(&self, error: &ApiError) {
        if let Some(what) = error.internal() {
            (self.listener)(Notice::Failed { what: what.to_string() });
        }
    }
}

/// Serves until `stop` is told, then ends what was begun.
///
/// Errors if the run cannot be read, or the address not be listened at.
pub fn serve(options: Options, listener: Listener, stop: Stop) -> Result<(), ServeError> {
    let slot = Arc::new(Slot::open(options.source)?);
    let service = Arc::new(Service {
        log: RatingsLog::open(&slot.current())?,
        desk: Desk::start(slot.current(), options.device, listener.clone())?,
        slot,
        meter: Meter::default(),
        access: options.access,
        listener,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("serve")
        .build()
        .map_err(ServeError::Start)?;
    if service.slot.source.is_followed() {
        follow(&service, &stop);
    }
    let result = runtime.block_on(server::run(service.clone(), options.address, stop.clone()));
    // Whatever ended it, who follows newer runs ends as well.
    stop.tell();
    service.desk.close();
    result
}

/// Takes newer runs as they are completed.
fn follow(service: &Arc<Service>, stop: &Stop) {
    let (service, stop) = (service.clone(), stop.clone());
    let watch = move || {
        // What could not be taken, and why: a full disk or another server may go away.
        let mut refused: Option<(RunDirectory, String, Instant)> = None;
        while !stop.within(LOOK_EVERY) {
            let Some(newer) = service.slot.newer() else { continue };
            let before = refused.as_ref().filter(|(run, ..)| *run == newer);
            if before.is_some_and(|(_, _, when)| when.elapsed() < TRY_AGAIN) {
                continue;
            }
            let Err(error) = service.reload() else { continue };
            let why = error.to_string();
            if before.is_none_or(|(_, told, _)| *told != why) {
                (service.listener)(Notice::NotTaken {
                    run: newer.path().display().to_string(),
                    why: why.clone(),
                });
            }
            refused = Some((newer, why, Instant::now()));
        }
    };
    // It ends with the process at the latest.
    let _ = std::thread::Builder::new().name("follow".to_string()).spawn(watch);
}

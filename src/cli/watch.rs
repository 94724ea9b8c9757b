//! `dotcart watch`: a run's events in the dashboard, from its log: as they come while another process trains it, and as a
//! replay afterwards.

use super::args::WatchArguments;
use super::signals::leave_on_signals;
use super::view::{LINE, can_draw};
use super::{CommandResult, End};
use dotcart::artifact::run_directory::{METRICS, RunDirectory};
use dotcart::artifact::tensor_file::FileError;
use dotcart::train::event::{FinishReason, Observer, TrainEvent};
use dotcart::train::event_log::EventReader;
use dotcart::view::dashboard::keys::{Role, StopKey, Wish};
use dotcart::view::dashboard::plain::Plain;
use dotcart::view::dashboard::terminal::Terminal;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A replay takes as long as the training did, but no longer than this.
const LONGEST_REPLAY: f64 = 20.0;
/// How soon a new event is seen.
const GLANCE: Duration = Duration::from_millis(100);

pub fn run(arguments: &WatchArguments) -> CommandResult {
    let run = RunDirectory::find(Some(&arguments.run))?;
    let path = run.file(METRICS);
    let role = if run.is_busy() { Role::Following } else { Role::Replay };
    let mut log = EventReader::open(&path).map_err(FileError::read(&path))?;
    let events = log.read().map_err(FileError::read(&path))?;

    let (sender, wishes) = channel();
    let on_wish = Box::new(move |wish| {
        // Nobody is left to hear a wish only when the command ends.
        let _ = sender.send(wish);
    });
    let is_shown = !arguments.plain && can_draw() && std::io::stdout().is_terminal();
    let mut watch = match is_shown.then(|| Terminal::start(role, on_wish)) {
        Some(Ok(dashboard)) => {
            leave_on_signals();
            Watch::new(Box::new(dashboard), Some(wishes))
        }
        _ => Watch::new(Box::new(Plain::new(Box::new(std::io::stdout()), LINE)), None),
    };
    let left = match role {
        Role::Following => watch.follow(events, || {
            let is_busy = run.is_busy();
            // Read afterwards, so that the last words of a training that has just ended are among them.
            let events = log.read().map_err(FileError::read(&path))?;
            Ok((events, is_busy))
        })?,
        Role::Training | Role::Replay => watch.replay(&events),
    };
    Ok(match left.map_break(|key| key == StopKey::CtrlC) {
        ControlFlow::Break(true) => End::Interrupted,
        _ => End::Done,
    })
}

/// Broken off by the user.
type Left = ControlFlow<StopKey>;

/// A view and what its user wants.
struct Watch {
    view: Box<dyn Observer>,
    /// `None` without keys: then a replay takes no time, and the end is the end.
    wishes: Option<Receiver<Wish>>,
    has_ended: bool,
    skips: bool,
}

impl Watch {
    fn new(view: Box<dyn Observer>, wishes: Option<Receiver<Wish>>) -> Self {
        Self {
            view,
            wishes,
            has_ended: false,
            skips: false,
        }
    }

    fn show(&mut self, event: &TrainEvent) {
        self.has_ended = matches!(event, TrainEvent::Finished { .. });
        self.view.observe(event);
    }

    /// All events at the pace at which they happened, or faster.
    fn replay(&mut self, events: &[TrainEvent]) -> Left {
        let times = times(events);
        let whole = times.last().copied().unwrap_or(0.0);
        let speed = (whole / LONGEST_REPLAY).max(1.0);
        let mut now = 0.0;
        for (event, time) in events.iter().zip(&times) {
            if self.wishes.is_some() {
                self.wait(Duration::from_secs_f64((time - now).max(0.0) / speed))?;
            }
            now = *time;
            self.show(event);
        }
        self.end(last_seconds(events))
    }

    /// What has happened, then what happens: `news` gives new events and whether there may be more.
    fn follow(
        &mut self,
        events: Vec<TrainEvent>,
        mut news: impl FnMut() -> Result<(Vec<TrainEvent>, bool), FileError>,
    ) -> Result<Left, FileError> {
        let mut seconds = last_seconds(&events);
        events.iter().for_each(|event| self.show(event));
        loop {
            let (events, may_be_more) = news()?;
            seconds = seconds.max(last_seconds(&events));
            events.iter().for_each(|event| self.show(event));
            // A log that ends with an end tells of the process before this one, until there is news.
            if (self.has_ended && !events.is_empty()) || !may_be_more {
                return Ok(self.end(seconds));
            }
            if let left @ ControlFlow::Break(_) = self.wait(GLANCE) {
                return Ok(left);
            }
        }
    }

    /// Says how to go on where a training has ended without a word, and leaves the last picture to the user.
    fn end(&mut self, seconds: f64) -> Left {
        if !self.has_ended {
            self.show(&TrainEvent::Finished {
                reason: FinishReason::Stopped,
                best_epoch: 0,
                seconds,
            });
        }
        while self.wishes.is_some() {
            self.wait(Duration::from_secs(3600))?;
        }
        ControlFlow::Continue(())
    }

    /// Waits so long, and longer while the user holds the picture.
    fn wait(&mut self, time: Duration) -> Left {
        let Some(wishes) = &self.wishes else {
            std::thread::sleep(time);
            return ControlFlow::Continue(());
        };
        let mut rest = if self.skips { Duration::ZERO } else { time };
        let mut held = false;
        loop {
            let began = Instant::now();
            let wish = match held {
                true => wishes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => wishes.recv_timeout(rest),
            };
            match wish {
                Ok(Wish::Stop(key)) => return ControlFlow::Break(key),
                Ok(Wish::Pause(pause)) => held = pause,
                Ok(Wish::Skip) => (held, self.skips) = (false, true),
                Ok(Wish::Checkpoint) => {}
                Err(RecvTimeoutError::Timeout) => return ControlFlow::Continue(()),
                // The terminal is gone.
                Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(StopKey::Quit),
            }
            rest = match self.skips {
                true => Duration::ZERO,
                false => rest.saturating_sub(began.elapsed()),
            };
        }
    }
}

/// When each event happened, on one clock over all processes that trained the run, each of which begins its own.
fn times(events: &[TrainEvent]) -> Vec<f64> {
    let (mut before, mut now) = (0.0, 0.0f64);
    events
        .iter()
        .map(|event| {
            if matches!(event, TrainEvent::Started(_)) {
                before = now;
            }
            now = now.max(before + event.seconds().unwrap_or(0.0));
            now
        })
        .collect()
}

/// The time of the last event, by the clock of its process.
fn last_seconds(events: &[TrainEvent]) -> f64 {
    events.iter().rev().find_map(TrainEvent::seconds).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Keeps what it is shown.
    struct Shown(Arc<Mutex<Vec<TrainEvent>>>);

    impl Observer for Shown {
        fn observe(&mut self, event: &TrainEvent) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    #[test]
    fn a_run_that_is_resumed_is_followed_beyond_the_end_of_the_process_before() {
        let finished = |reason| TrainEvent::Finished {
            reason,
            best_epoch: 1,
            seconds: 1.0,
        };
        let started = TrainEvent::Started(Box::default());
        let before = vec![started.clone(), finished(FinishReason::Stopped)];
        let after = [started, finished(FinishReason::Completed)];
        // The process reads its data, trains, is done, and judges what it has trained.
        let mut news = [vec![], vec![after[0].clone()], vec![], vec![after[1].clone()]].into_iter();
        let shown = Arc::default();
        let mut watch = Watch::new(Box::new(Shown(Arc::clone(&shown))), None);
        let left = watch
            .follow(before.clone(), || Ok((news.next().unwrap(), true)))
            .unwrap();
        assert_eq!(left, ControlFlow::Continue(()));
        assert_eq!(*shown.lock().unwrap(), [&before[..], &after].concat());
    }

    #[test]
    fn a_resumed_run_is_one_course_of_time() {
        let started = || TrainEvent::Started(Box::default());
        let saved = |seconds| TrainEvent::CheckpointSaved { step: 1, seconds };
        let events = [
            started(),
            TrainEvent::EpochStarted { epoch: 1 },
            saved(2.0),
            saved(5.0),
            started(),
            saved(1.5),
            TrainEvent::EpochStarted { epoch: 2 },
        ];
        assert_eq!(times(&events), [0.0, 0.0, 2.0, 5.0, 5.0, 6.5, 6.5]);
        assert_eq!(last_seconds(&events), 1.5);
    }
}

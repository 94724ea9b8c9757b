//! The clock of a training: it stands while the training is paused, so that no rate and no remaining time counts a pause.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds of training; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    start: Instant,
    paused_at: Option<Instant>,
    /// In pauses that are over.
    paused_for: Duration,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Arc::new(Mutex::new(Hands {
            start: Instant::now(),
            paused_at: None,
            paused_for: Duration::ZERO,
        })))
    }

    /// Seconds since the start, without pauses.
    pub fn seconds(&self) -> f64 {
        let hands = self.hands();
        let until = hands.paused_at.unwrap_or_else(Instant::now);
        (until.duration_since(hands.start).saturating_sub(hands.paused_for)).as_secs_f64()
    }

    /// Stops the clock; does nothing if it stands.
    pub fn pause(&self) {
        self.hands().paused_at.get_or_insert_with(Instant::now);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        let mut hands = self.hands();
        if let Some(paused_at) = hands.paused_at.take() {
            hands.paused_for += paused_at.elapsed();
        }
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_takes_no_time() {
        const PAUSE: Duration = Duration::from_millis(200);
        let clock = Clock::start();
        let whole = Instant::now();
        clock.pause();
        let stood_at = clock.seconds();
        std::thread::sleep(PAUSE);
        assert_eq!(clock.seconds(), stood_at);
        clock.pause();
        clock.resume();
        let seconds = clock.clone().seconds();
        assert!(
            seconds >= stood_at && seconds <= whole.elapsed().saturating_sub(PAUSE).as_secs_f64() + stood_at + 1e-3
        );
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.seconds() >= seconds + 0.005, "it goes on");
    }
}

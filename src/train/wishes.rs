//! What somebody asks of a running training besides its end: to pause, to save now.
//!
//! The training looks between two chunks of steps and does it there; neither changes a bit of its result. The wish to stop is
//! burn-train's own [`Interrupter`](burn::train::Interrupter).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Open wishes; clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Wishes(Arc<(Mutex<Open>, Condvar)>);

#[derive(Debug, Default)]
struct Open {
    pause: bool,
    checkpoint: bool,
}

impl Wishes {
    /// Asks to pause, or to go on.
    pub fn pause(&self, pause: bool) {
        self.open().pause = pause;
        self.0.1.notify_all();
    }

    /// Asks for a checkpoint.
    pub fn checkpoint(&self) {
        self.open().checkpoint = true;
        self.0.1.notify_all();
    }

    /// Whether the training should stand still.
    pub fn wants_pause(&self) -> bool {
        self.open().pause
    }

    /// Whether a checkpoint was asked for since the last call.
    pub fn take_checkpoint(&self) -> bool {
        std::mem::take(&mut self.open().checkpoint)
    }

    /// Waits for the next wish, at most so long.
    pub fn wait(&self, longest: Duration) {
        let open = self.open();
        // Whoever waits looks at all wishes afterwards, so it does not matter why it woke.
        drop(self.0.1.wait_timeout(open, longest));
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! How fast training goes, from the wall seconds of its events.
//!
//! The speed is samples over seconds of the intervals between reports, where older ones fade; validations and the time
//! between epochs are no part of it. The time to come is judged by the whole time so far, whatever else it held.

/// The speed of this process: what a resumed run did before is not its merit.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Samples done and the time of the first progress: a resumed run did not earn what was done before.
    origin: Option<(usize, f64)>,
    /// Samples done and the time where the running interval began.
    mark: Option<(usize, f64)>,
    /// Samples and seconds of past intervals, faded with age.
    samples: f64,
    seconds: f64,
    /// Samples and seconds since the last reading.
    unread: (f64, f64),
}

impl Pace {
    /// Seconds after which an interval counts for a third.
    const MEMORY: f64 = 10.0;
    /// Seconds of a reading: in less, the reports' own unrest would be seen.
    const READING: f64 = 0.2;

    /// Closes an interval of training, and begins the next. Now and then returns a reading: seconds a sample since the last.
    pub fn progress(&mut self, done: usize, seconds: f64) -> Option<f64> {
        self.origin.get_or_insert((done, seconds));
        if let Some((done_before, began)) = self.mark {
            let (samples, time) = (done.saturating_sub(done_before) as f64, seconds - began);
            if time <= 0.0 {
                return None;
            }
            let kept = (-time / Self::MEMORY).exp();
            self.samples = kept * self.samples + samples;
            self.seconds = kept * self.seconds + time;
            self.unread = (self.unread.0 + samples, self.unread.1 + time);
        }
        self.mark = Some((done, seconds));
        let (samples, time) = self.unread;
        (time >= Self::READING && samples > 0.0).then(|| {
            self.unread = (0.0, 0.0);
            time / samples
        })
    }

    /// Drops the running interval: it holds other work than training.
    pub fn interrupt(&mut self) {
        self.mark = None;
    }

    /// Begins the next interval here: what was done is known exactly, and no training is under way.
    pub fn pause(&mut self, done: usize, seconds: f64) {
        self.mark = Some((done, seconds));
    }

    /// Samples a second of late; the first report holds the warm-up and says nothing.
    pub fn rate(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.samples / self.seconds)
    }

    /// Seconds for `samples` more, at the mean pace from the first progress to `done` samples at `seconds`.
    pub fn time_for(&self, samples: usize, done: usize, seconds: f64) -> Option<f64> {
        let (origin, began) = self.origin?;
        let earned = done.saturating_sub(origin);
        (earned > 0).then(|| (seconds - began) / earned as f64 * samples as f64)
    }
}

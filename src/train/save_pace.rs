//! Save pace: how often a training is saved at the ends of its epochs.
//!
//! A checkpoint of a large table takes as long as an epoch over few ratings. So an epoch's end is saved only once training went
//! on for [`TIMES`] times as long as the last checkpoint took: a kill costs at most so much again, saving a tenth of the time.

/// How many times as long as saving a training goes on between two checkpoints.
const TIMES: f64 = 9.0;
/// What a disk takes in, for a guess at the first checkpoint.
const BYTES_PER_SECOND: f64 = 5e8;

/// When the last checkpoint stood, and what it took, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct SavePace {
    at: f64,
    took: f64,
}

impl SavePace {
    /// Of a training that begins, or goes on, at `now`, with checkpoints of so many bytes.
    pub fn new(now: f64, bytes: usize) -> Self {
        Self {
            at: now,
            took: bytes as f64 / BYTES_PER_SECOND,
        }
    }

    /// Whether an epoch that ends at `now` is saved.
    pub fn is_due(&self, now: f64) -> bool {
        now - self.at >= TIMES * self.took
    }

    /// Takes in a checkpoint.
    pub fn saved(&mut self, from: f64, to: f64) {
        *self = Self {
            at: to,
            took: to - from,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saving_takes_a_tenth_of_the_time_at_most() {
        let mut pace = SavePace::new(10.0, 500_000_000);
        assert!(!pace.is_due(18.75) && pace.is_due(19.0));
        pace.saved(0.25, 0.5);
        assert!(!pace.is_due(2.5) && pace.is_due(2.75));
        pace.saved(2.75, 2.75);
        assert!(pace.is_due(2.75));
    }
}

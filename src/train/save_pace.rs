//! Save pace: how often a training is saved at the ends of its epochs.
//!
//! A checkpoint of a large table takes as long as an epoch over few ratings. So an epoch's end is saved only once training went
//! on for [`TIMES`] times as long as the last checkpoint took: a kill costs at most so much again, saving a tenth of the time.

/// How many times as long as saving a training goes on between two checkpoints.
const TIMES: f64 = 9.0;

/// When the last checkpoint stood, and what it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct SavePace(Option<Saved>);

#[derive(Clone, Copy, Debug)]
struct Saved {
    at: f64,
    took: f64,
}

impl SavePace {
    /// Whether an epoch that ends after so many seconds of training is saved; the first one is.
    pub fn is_due(&self, now: f64) -> bool {
        self.0.is_none_or(|saved| now - saved.at >= TIMES * saved.took)
    }

    /// Takes in a checkpoint.
    pub fn saved(&mut self, from: f64, to: f64) {
        self.0 = Some(Saved {
            at: to,
            took: to - from,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saving_takes_a_tenth_of_the_time_at_most() {
        let mut pace = SavePace::default();
        assert!(pace.is_due(0.25));
        pace.saved(0.25, 0.5);
        assert!(!pace.is_due(2.5) && pace.is_due(2.75));
        pace.saved(2.75, 2.75);
        assert!(pace.is_due(2.75));
    }
}

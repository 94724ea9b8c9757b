//! What each query's k-th best is known to reach, shared by the tasks that rank ranges of items for it.
//!
//! The k-th best of any range is no better than the k-th best of all, so what lies below it in another range is lost too.
//! A threshold only ever rises, and only what cannot be in the result is left out by it: the result does not depend on which
//! task was first.

use crate::engine::key::{key_of, score_of};
use std::sync::atomic::{AtomicU32, Ordering};

/// A threshold for each query.
#[derive(Debug)]
pub struct Thresholds(Vec<AtomicU32>);

impl Thresholds {
    /// Minus infinity for each of `queries` queries.
    pub fn new(queries: usize) -> Self {
        Self(
            (0..queries)
                .map(|_| AtomicU32::new(key_of(f32::NEG_INFINITY)))
                .collect(),
        )
    }

    /// A score below which nothing can be among the best. Panics if there is no such query.
    #[inline]
    pub fn get(&self, query: usize) -> f32 {
        score_of(self.0[query].load(Ordering::Relaxed))
    }

    /// Raises a threshold; a lower one changes nothing. Panics on a NaN or if there is no such query.
    #[inline]
    pub fn raise(&self, query: usize, score: f32) {
        assert!(!score.is_nan(), "Thresholds: NaN is no threshold");
        self.0[query].fetch_max(key_of(score), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_rise_and_never_fall() {
        let thresholds = Thresholds::new(1);
        assert_eq!(thresholds.get(0), f32::NEG_INFINITY);
        for (raised, expected) in [
            (-7.5, -7.5),
            (-8.0, -7.5),
            (-0.5, -0.5),
            (0.0, 0.0),
            (2.0, 2.0),
            (-1.0, 2.0),
        ] {
            thresholds.raise(0, raised);
            assert_eq!(thresholds.get(0), expected);
        }
    }
}

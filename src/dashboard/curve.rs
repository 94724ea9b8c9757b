//! A curve of bounded size, however long the training.
//!
//! Each point is the mean of `stride` neighbours. When the curve is full, points merge in pairs and the stride doubles:
//! so the detail is the same everywhere, and a point of means is what a rarer report would have said.

/// Points that a curve holds at most: more than any screen has columns of dots.
pub const CAPACITY: usize = 1024;

/// Points (x, y) in the order of x.
#[derive(Clone, Debug)]
pub struct Curve {
    points: Vec<(f64, f64)>,
    /// Values that a full point stands for.
    stride: usize,
    /// Values in the last point; the ones before it are full.
    filled: usize,
}

impl Default for Curve {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            stride: 1,
            filled: 1,
        }
    }
}

impl Curve {
    /// Adds a value at `x`, to the right of all others; what is not finite cannot be drawn and is left out.
    pub fn push(&mut self, x: f64, y: f64) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        match self.points.last_mut() {
            Some(last) if self.filled < self.stride => {
                self.filled += 1;
                // The point moves on, so that the curve always ends where training stands.
                *last = (x, last.1 + (y - last.1) / self.filled as f64);
            }
            _ => {
                if self.points.len() == CAPACITY {
                    self.merge();
                }
                self.points.push((x, y));
                self.filled = 1;
            }
        }
    }

    /// All points, from left to right.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// Smallest and largest y among the points.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        let mut heights = self.points.iter().map(|point| point.1);
        let first = heights.next()?;
        Some(heights.fold((first, first), |(low, high), y| (low.min(y), high.max(y))))
    }

    /// Halves a full curve whose points are all full.
    fn merge(&mut self) {
        let pairs = self.points.chunks_exact(2);
        self.points = pairs.map(|pair| (pair[1].0, (pair[0].1 + pair[1].1) / 2.0)).collect();
        self.stride *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: usize, y: impl Fn(usize) -> f64) -> Curve {
        let mut curve = Curve::default();
        for value in 0..values {
            curve.push(value as f64, y(value));
        }
        curve
    }

    #[test]
    fn a_short_curve_is_kept_as_it_is() {
        let curve = curve(CAPACITY, |value| value as f64);
        assert_eq!(curve.points().len(), CAPACITY);
        assert_eq!(curve.points()[17], (17.0, 17.0));
        assert_eq!(curve.bounds(), Some((0.0, (CAPACITY - 1) as f64)));
    }

    #[test]
    fn a_long_curve_stays_small_and_ends_at_the_last_value() {
        for values in [CAPACITY + 1, 2 * CAPACITY + 3, 100_000] {
            let curve = curve(values, |value| value as f64);
            let points = curve.points();
            assert!(
                points.len() > CAPACITY / 2 && points.len() <= CAPACITY,
                "{} points",
                points.len()
            );
            assert_eq!(points[points.len() - 1].0, (values - 1) as f64);
            assert!(points.is_sorted(), "{values} values are out of order");
        }
    }

    #[test]
    fn points_are_means_over_equal_stretches() {
        let curve = curve(16 * CAPACITY, |value| (value % 2) as f64);
        assert!(curve.points().iter().all(|point| point.1 == 0.5));
        let gaps: Vec<f64> = curve.points().windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(
            gaps.iter().all(|gap| *gap == gaps[0]),
            "the detail differs along the curve"
        );
    }

    #[test]
    fn the_bounds_hold_every_point_within_those_of_the_values() {
        let curve = curve(5 * CAPACITY, |value| (value as f64 * 0.01).sin());
        let (low, high) = curve.bounds().expect("the curve has points");
        assert!(curve.points().iter().all(|point| (low..=high).contains(&point.1)));
        assert!((-1.0..-0.99).contains(&low) && (0.99..=1.0).contains(&high));
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let mut curve = Curve::default();
        curve.push(1.0, f64::NAN);
        curve.push(2.0, f64::INFINITY);
        assert_eq!(curve.bounds(), None);
        curve.push(3.0, 0.5);
        assert_eq!(curve.points(), [(3.0, 0.5)]);
    }
}

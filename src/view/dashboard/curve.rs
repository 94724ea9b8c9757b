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
    /// Adds a value at `x`; what is not finite cannot be drawn and is left out.
    ///
    /// Points there and to the right of it are dropped: a training that was resumed goes back to its checkpoint.
    pub fn push(&mut self, x: f64, y: f64) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        while self.points.last().is_some_and(|last| last.0 >= x) {
            self.points.pop();
            self.filled = self.stride;
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

    /// At most `wanted` values from left to right, each the mean of neighbours.
    pub fn means(&self, wanted: usize) -> Vec<f64> {
        let parts = wanted.min(self.points.len());
        let bound = |part: usize| part * self.points.len() / parts;
        (0..parts)
            .map(|part| {
                let points = &self.points[bound(part)..bound(part + 1)];
                points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64
            })
            .collect()
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
    fn means_cover_the_whole_curve() {
        let curve = curve(10, |value| value as f64);
        assert_eq!(curve.means(4), [0.5, 3.0, 5.5, 8.0]);
        assert_eq!(curve.means(100).len(), 10);
        assert!(Curve::default().means(4).is_empty() && curve.means(0).is_empty());
    }

    #[test]
    fn a_curve_goes_back_with_its_training() {
        for values in [100, 3 * CAPACITY] {
            let mut curve = curve(values, |value| value as f64);
            let back = values as f64 / 2.0;
            curve.push(back, 7.0);
            let points = curve.points();
            assert_eq!(points[points.len() - 1], (back, 7.0));
            assert!(points.is_sorted_by(|a, b| a.0 <= b.0));
            assert!(
                points.len() >= values.min(CAPACITY) / 4,
                "the rest stays: {}",
                points.len()
            );
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let mut curve = Curve::default();
        curve.push(1.0, f64::NAN);
        curve.push(2.0, f64::INFINITY);
        assert!(curve.points().is_empty());
        curve.push(3.0, 0.5);
        assert_eq!(curve.points(), [(3.0, 0.5)]);
    }
}

//! The bootstrap: how far a figure would move if other users had been held out.
//!
//! Ratings of one user resemble one another, so users are drawn, not rows: as many as there are, with replacement, and a
//! figure is computed from the sums over the users drawn. The interval holds the middle 95 % of the figures.
//! Efron 1979; of clusters: Field and Welsh, Bootstrapping clustered data, 2007.

use crate::common::random::{Purpose, stream};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How often users are drawn.
pub const RESAMPLES: usize = 1000;

/// The middle 95 % of what the bootstrap found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Intervals of several figures at once. `sums[u]` is what user `u` adds to each sum; `figures` computes the figures from sums
/// over all.
///
/// `None` where a figure is not defined for some draw, or without users. The same for any number of threads.
pub fn intervals<const SUMS: usize, const FIGURES: usize>(
    sums: &[[f64; SUMS]],
    seed: u64,
    figures: impl Fn(&[f64; SUMS]) -> [Option<f64>; FIGURES],
) -> [Option<Interval>; FIGURES] {
    if sums.is_empty() {
        return [None; FIGURES];
    }
    let totals = resampled(sums.as_flattened(), SUMS, seed);
    let draws: Vec<[Option<f64>; FIGURES]> = totals.as_chunks().0.iter().map(figures).collect();
    std::array::from_fn(|figure| {
        let values: Option<Vec<f64>> = draws.iter().map(|draw| draw[figure]).collect();
        let mut values = values?;
        values.sort_unstable_by(f64::total_cmp);
        Some(Interval {
            low: quantile(&values, 0.025),
            high: quantile(&values, 0.975),
        })
    })
}

/// Sums over the users drawn, [RESAMPLES, width], of those of each, [users, width].
///
/// By a width in place of a type, for what is generic is compiled where it is called, in a dev build without optimisation.
fn resampled(sums: &[f64], width: usize, seed: u64) -> Vec<f64> {
    let users = sums.len() / width;
    let mut totals = vec![0.0; RESAMPLES * width];
    totals.par_chunks_mut(width).enumerate().for_each(|(number, total)| {
        let mut rng = stream(seed, Purpose::Bootstrap, number as u32);
        for _ in 0..users {
            let user = rng.random_range(0..users) * width;
            let parts = &sums[user..user + width];
            total.iter_mut().zip(parts).for_each(|(total, part)| *total += part);
        }
    });
    totals
}

/// The quantile of ascending values, linear between neighbours, as numpy's default.
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_what_theory_says() {
        // 2,000 users of one row each, 30 % of them hits: the mean has a standard error of sqrt(.3 * .7 / 2000).
        let sums: Vec<[f64; 2]> = (0..2000)
            .map(|user| [f64::from(u8::from(user % 10 < 3)), 1.0])
            .collect();
        let [mean, never] = intervals(&sums, 42, |sum| [Some(sum[0] / sum[1]), None]);
        let half_width = 1.96 * (0.3f64 * 0.7 / 2000.0).sqrt();
        let mean = mean.unwrap();
        assert!((mean.high - 0.3 - half_width).abs() < 0.15 * half_width, "{mean:?}");
        assert!((0.3 - mean.low - half_width).abs() < 0.15 * half_width, "{mean:?}");
        assert_eq!(never, None);
        let of = |seed| intervals(&sums, seed, |sum| [Some(sum[0])]);
        assert!(of(42) == of(42) && of(42) != of(43));
        assert_eq!(intervals::<1, 1>(&[], 1, |sum| [Some(sum[0])]), [None]);
    }

    #[test]
    fn rows_of_one_user_are_drawn_together() {
        // Ten users of 200 equal rows: as uncertain as ten rows, not as 2,000.
        let sums: Vec<[f64; 2]> = (0..10).map(|user| [f64::from(200 * (user % 2)), 200.0]).collect();
        let [mean] = intervals(&sums, 1, |sum| [Some(sum[0] / sum[1])]);
        let mean = mean.unwrap();
        assert!(mean.high - mean.low > 0.4, "{mean:?}");
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[5.0], 0.975), 5.0);
    }
}

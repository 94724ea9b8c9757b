//! Ranking metrics at k: how well the first k products of a user's ranking find what the user held as relevant.
//!
//! ```text
//! precision          = hits / k                          k, even if fewer products were ranked
//! recall             = hits / relevant
//! ndcg               = sum over hits of 1 / log2(1 + rank)  /  the same of the best ranking there is
//! average precision  = sum over hits of (hits up to it / its rank)  /  relevant
//! reciprocal rank    = 1 / rank of the first hit, 0 without one
//! hit rate           = 1 if there is a hit
//! ```
//!
//! Ranks from 1. A user without relevant products has no metrics and is left out of every mean. Definitions as in trec_eval and
//! ranx (`precision@k`, `recall@k`, `ndcg@k`, `map@k`, `mrr@k`, `hit_rate@k`); Jarvelin and Kekalainen 2002 for NDCG.

use serde::{Deserialize, Serialize};

/// Metrics at one k, of a user or as a mean over users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RankingMetrics {
    pub precision: f64,
    pub recall: f64,
    pub ndcg: f64,
    /// The mean over users is MAP.
    pub average_precision: f64,
    /// The mean over users is MRR.
    pub reciprocal_rank: f64,
    pub hit_rate: f64,
}

impl RankingMetrics {
    /// One user's metrics: `hits[i]` tells whether the product of rank `i + 1` is one of the `relevant` ones.
    ///
    /// `None` if nothing is relevant. Panics if `k` is 0.
    pub fn at(k: usize, hits: &[bool], relevant: usize) -> Option<Self> {
        assert!(k > 0, "RankingMetrics: k is 0");
        if relevant == 0 {
            return None;
        }
        let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
        let (mut found, mut gains, mut precisions, mut first) = (0usize, 0.0, 0.0, None);
        for (place, _) in hits.iter().take(k).enumerate().filter(|(_, hit)| **hit) {
            found += 1;
            gains += gain(place);
            precisions += found as f64 / (place + 1) as f64;
            first.get_or_insert(place);
        }
        let best: f64 = (0..k.min(relevant)).map(gain).sum();
        Some(Self {
            precision: found as f64 / k as f64,
            recall: found as f64 / relevant as f64,
            ndcg: gains / best,
            average_precision: precisions / relevant as f64,
            reciprocal_rank: first.map_or(0.0, |place| 1.0 / (place + 1) as f64),
            hit_rate: f64::from(u8::from(found > 0)),
        })
    }

    fn fields(&mut self) -> [&mut f64; 6] {
        // Taken apart, so that no field can be left out of a mean.
        let Self {
            precision,
            recall,
            ndcg,
            average_precision,
            reciprocal_rank,
            hit_rate,
        } = self;
        [precision, recall, ndcg, average_precision, reciprocal_rank, hit_rate]
    }
}

/// A mean over users, in the order they are added.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanRanking {
    sum: RankingMetrics,
    users: usize,
}

impl MeanRanking {
    /// Takes one user in.
    pub fn add(&mut self, mut user: RankingMetrics) {
        self.users += 1;
        for (sum, value) in self.sum.fields().into_iter().zip(user.fields()) {
            *sum += *value;
        }
    }

    /// Users so far.
    pub fn users(&self) -> usize {
        self.users
    }

    /// The mean; `None` without users.
    pub fn mean(mut self) -> Option<RankingMetrics> {
        let users = self.users as f64;
        self.sum.fields().into_iter().for_each(|value| *value /= users);
        (self.users > 0).then_some(self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_counted_by_hand() {
        let metrics = RankingMetrics::at(4, &[false, true, false, true, true], 3).unwrap();
        let gains = 1.0 / 3f64.log2() + 1.0 / 5f64.log2();
        let best = 1.0 + 1.0 / 3f64.log2() + 0.5;
        assert_eq!((metrics.precision, metrics.recall), (0.5, 2.0 / 3.0));
        assert!((metrics.ndcg - gains / best).abs() < 1e-15);
        assert_eq!(metrics.average_precision, (0.5 + 0.5) / 3.0);
        assert_eq!((metrics.reciprocal_rank, metrics.hit_rate), (0.5, 1.0));
    }

    #[test]
    fn users_without_relevant_products_are_left_out_of_the_mean() {
        assert_eq!(RankingMetrics::at(3, &[false], 0), None);
        assert_eq!(MeanRanking::default().mean(), None);
        let mut mean = MeanRanking::default();
        mean.add(RankingMetrics::at(1, &[true], 1).unwrap());
        mean.add(RankingMetrics::at(1, &[false], 1).unwrap());
        assert_eq!((mean.users(), mean.mean().unwrap().hit_rate), (2, 0.5));
    }

    #[test]
    fn past_the_catalogue_k_is_still_the_divisor_of_precision() {
        let metrics = RankingMetrics::at(10, &[true, true], 2).unwrap();
        assert_eq!((metrics.precision, metrics.recall, metrics.ndcg), (0.2, 1.0, 1.0));
    }
}

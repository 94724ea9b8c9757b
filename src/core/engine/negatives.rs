//! Negatives: the products that are drawn against a step, for the choice loss.
//!
//! ```text
//! q[j] = (training ratings of j + 1)^popularity / sum of the same over all products
//! ```
//!
//! Drawn with replacement, for a step by its number alone, so that a training that goes on draws what it would have drawn.
//! What a drawn product stands for is said in [`crate::engine::choice`].

use crate::common::interaction::ItemIndex;
use crate::common::random::{Purpose, stream};
use crate::config::ChoiceLoss;
use crate::engine::plan::Draws;
use rand::RngExt;

/// A catalogue to draw from.
#[derive(Clone, Debug)]
pub struct Negatives {
    loss: ChoiceLoss,
    wanted: usize,
    seed: u64,
    /// Sum of q up to and including each product.
    cumulative: Vec<f64>,
}

impl Negatives {
    /// Draws `wanted` of the products with the given counts a step. Panics without products.
    pub fn new(loss: ChoiceLoss, wanted: usize, popularity: f64, counts: &[u32], seed: u64) -> Self {
        assert!(!counts.is_empty(), "Negatives: there is no product");
        let weight = |&count: &u32| (f64::from(count) + 1.0).powf(popularity);
        let total: f64 = counts.iter().map(weight).sum();
        let mut sum = 0.0;
        let cumulative = counts.iter().map(|count| {
            sum += weight(count) / total;
            sum
        });
        Self {
            loss,
            wanted,
            seed,
            cumulative: cumulative.collect(),
        }
    }

    /// The products of a step.
    pub fn draw(&self, step: u32) -> Draws {
        let products = self.cumulative.len();
        if self.wanted >= products {
            let offset = match self.loss {
                ChoiceLoss::Softmax => 0.0,
                ChoiceLoss::Bpr | ChoiceLoss::Bce => 1.0 / products as f32,
            };
            return Draws {
                items: (0..products as u32).map(ItemIndex).collect(),
                offsets: vec![offset; products],
            };
        }
        let mut random = stream(self.seed, Purpose::Negatives, step);
        let mut drawn: Vec<ItemIndex> = (0..self.wanted)
            .map(|_| {
                let at = random.random::<f64>();
                let place = self.cumulative.partition_point(|&sum| sum <= at);
                // The last sum may be a little below one.
                ItemIndex(place.min(products - 1) as u32)
            })
            .collect();
        drawn.sort_unstable();
        let mut draws = Draws::default();
        for same in drawn.chunk_by(|a, b| a == b) {
            draws.items.push(same[0]);
            draws.offsets.push(self.offset(same[0].index(), same.len()));
        }
        draws
    }

    fn offset(&self, item: usize, count: usize) -> f32 {
        let share = count as f64 / self.wanted as f64;
        let before = item.checked_sub(1).map_or(0.0, |before| self.cumulative[before]);
        match self.loss {
            ChoiceLoss::Softmax => (share / (self.cumulative[item] - before)).ln() as f32,
            ChoiceLoss::Bpr | ChoiceLoss::Bce => share as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_estimate_the_sum_over_all_products() {
        let counts: Vec<u32> = (0..500)
            .map(|item| if item % 50 == 0 { 400 } else { item % 7 })
            .collect();
        let appeal = |item: u32| (f64::from(item) * 0.37).sin();
        let exact: f64 = (0..500).map(|item| appeal(item).exp()).sum();
        for popularity in [0.0, 0.5, 1.0] {
            let negatives = Negatives::new(ChoiceLoss::Softmax, 64, popularity, &counts, 7);
            let estimates: Vec<f64> = (1..=2000)
                .map(|step| {
                    let draws = negatives.draw(step);
                    assert!(draws.items.is_sorted_by(|a, b| a < b));
                    let pairs = draws.items.iter().zip(&draws.offsets);
                    pairs
                        .map(|(item, &offset)| (appeal(item.0) + f64::from(offset)).exp())
                        .sum()
                })
                .collect();
            let mean = estimates.iter().sum::<f64>() / estimates.len() as f64;
            assert!(
                (mean / exact - 1.0).abs() < 0.02,
                "popularity {popularity}: {mean} for {exact}"
            );
        }
    }

    #[test]
    fn a_step_draws_the_same_again_and_another_step_something_else() {
        let negatives = Negatives::new(ChoiceLoss::Bpr, 20, 0.5, &[3; 1000], 1);
        assert_eq!(negatives.draw(5), negatives.draw(5));
        assert_ne!(negatives.draw(5), negatives.draw(6));
        let shares: f32 = negatives.draw(5).offsets.iter().sum();
        assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    }

    #[test]
    fn who_asks_for_all_gets_each_once() {
        let all = Negatives::new(ChoiceLoss::Softmax, 9, 0.5, &[1, 0, 4], 1).draw(3);
        assert_eq!(
            (all.items, all.offsets),
            ([0, 1, 2].map(ItemIndex).to_vec(), vec![0.0; 3])
        );
        let all = Negatives::new(ChoiceLoss::Bce, 2, 0.5, &[1, 0], 1).draw(3);
        assert_eq!(all.offsets, [0.5; 2]);
    }
}

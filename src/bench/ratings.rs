//! Generated ratings in memory: who rates what how often as in Amazon Electronics, with nothing to learn.
//!
//! A benchmark needs the access pattern of real data, not its tastes: ratings per user and per product follow
//! [`crate::data::marginals`], and who meets whom is drawn evenly.
//!
//! Users are numbered in the order in which they first appear and rows are grouped by user, as after ingest. A pair may be
//! rated twice, which changes no cost.

use crate::config::GenerateConfig;
use crate::data::interactions::Interactions;
use crate::data::marginals::{CLASS_SHARES, ratings_per_product, ratings_per_user};
use crate::random::{Purpose, stream};
use rand::RngExt;
use rand::seq::SliceRandom;

/// The shape of the reference figures: 1,000,000 ratings of 100,000 users and 20,000 products.
pub const ONE_MILLION: GenerateConfig = GenerateConfig {
    ratings: 1_000_000,
    users: 100_000,
    products: 20_000,
};

/// The ratings; the same size and seed give the same. Panics if a size is zero or beyond u32.
pub fn generate(size: &GenerateConfig, seed: u64) -> Interactions {
    assert!(
        size.users > 0 && size.products > 0 && size.ratings > 0 && size.ratings.max(size.users) < u32::MAX as usize,
        "generate: {size:?} is empty or beyond u32"
    );
    let mut rng = stream(seed, Purpose::Synthetic, 0);
    let mut users = cards(&ratings_per_user(size, size.ratings));
    let mut products = cards(&ratings_per_product(size, size.ratings));
    users.shuffle(&mut rng);
    number_by_appearance(&mut users, size.users);
    users.sort_unstable();
    products.shuffle(&mut rng);
    number_by_appearance(&mut products, size.products);
    products.shuffle(&mut rng);
    let ratings = (0..size.ratings).map(|_| {
        let mut share = rng.random::<f64>();
        let class = CLASS_SHARES.iter().position(|class| {
            share -= class;
            share < 0.0
        });
        class.map_or(5.0, |class| class as f32 + 1.0)
    });
    Interactions {
        ratings: ratings.collect(),
        users,
        items: products,
        timestamps: None,
    }
}

/// The rank of whoever gives or gets it, for each rating.
fn cards(counts: &[u32]) -> Vec<u32> {
    let ranks = counts.iter().zip(0..);
    ranks
        .flat_map(|(&count, rank)| std::iter::repeat_n(rank, count as usize))
        .collect()
}

/// Replaces ranks by the order in which they first appear.
fn number_by_appearance(cards: &mut [u32], ranks: usize) {
    const NONE: u32 = u32::MAX;
    let mut numbers = vec![NONE; ranks];
    let mut next = 0;
    for card in cards {
        let number = &mut numbers[*card as usize];
        if *number == NONE {
            *number = next;
            next += 1;
        }
        *card = *number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::marginals::SINGLE_SHARE;

    #[test]
    fn marginals_are_those_of_the_generator() {
        let size = GenerateConfig {
            ratings: 782_448,
            users: 420_169,
            products: 47_600,
        };
        let rows = generate(&size, 7);
        let counts = |column: &[u32], rows: usize| {
            let mut counts = vec![0usize; rows];
            column.iter().for_each(|&index| counts[index as usize] += 1);
            counts
        };
        let users = counts(&rows.users, size.users);
        assert!(users.iter().all(|&count| count > 0), "every user rates");
        let single = users.iter().filter(|count| **count == 1).count() as f64 / size.users as f64;
        assert!((single - SINGLE_SHARE).abs() < 0.06, "single users: {single}");
        let products = counts(&rows.items, size.products);
        assert!(products.iter().all(|&count| count > 0), "every product is rated");
        // The real file's bestseller has 18,000 of 7.8 million ratings.
        let best = *products.iter().max().unwrap();
        assert!((900..3600).contains(&best), "bestseller: {best}");
        assert!(rows.users.is_sorted(), "grouped by user");
        assert_eq!(generate(&size, 7), rows, "same seed, same ratings");
        assert_ne!(generate(&size, 8), rows);
    }
}

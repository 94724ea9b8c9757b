//! Generated ratings in memory: who rates what how often as in Amazon Electronics, with nothing to learn.
//!
//! A benchmark needs the access pattern of real data, not its tastes: the counts are those of [`crate::data::marginals`], and
//! who rates what is drawn. Users and products are numbered in the order in which they first appear and rows are grouped by
//! user, as after ingest. A pair may be rated twice, which changes no cost.

use crate::common::random::{Purpose, stream};
use crate::config::GenerateConfig;
use crate::data::interactions::Interactions;
use crate::data::marginals::{CLASS_SHARES, ratings_per_product, ratings_per_user};
use rand::RngExt;
use rand::seq::SliceRandom;

/// The shape of the reference figures: 1,000,000 ratings of 100,000 users and 20,000 products.
pub const ONE_MILLION: GenerateConfig = GenerateConfig {
    ratings: 1_000_000,
    users: 100_000,
    products: 20_000,
};

/// The ratings, at most one for each pair; the same size and seed give the same. Panics if a size is zero or beyond u32.
pub fn generate(size: &GenerateConfig, seed: u64) -> Interactions {
    assert!(
        size.users > 0 && size.products > 0 && size.ratings > 0 && size.ratings.max(size.users) < u32::MAX as usize,
        "generate: {size:?} is empty or beyond u32"
    );
    let mut rng = stream(seed, Purpose::Synthetic, 0);
    let total = size.ratings.min(size.users.saturating_mul(size.products));
    let mut users = cards(&ratings_per_user(size, total));
    users.shuffle(&mut rng);
    number_by_appearance(&mut users, size.users);
    users.sort_unstable();
    let mut items = cards(&ratings_per_product(size, total));
    items.shuffle(&mut rng);
    number_by_appearance(&mut items, size.products);
    items.shuffle(&mut rng);
    let ratings = (0..total).map(|_| {
        let mut share = rng.random::<f64>();
        let class = CLASS_SHARES.iter().position(|class| {
            share -= class;
            share < 0.0
        });
        class.map_or(5.0, |class| class as f32 + 1.0)
    });
    Interactions {
        ratings: ratings.collect(),
        users: bytemuck::cast_vec(users),
        items: bytemuck::cast_vec(items),
        timestamps: None,
    }
}

/// Each rank as often as it counts.
fn cards(counts: &[u32]) -> Vec<u32> {
    let ranks = (0u32..).zip(counts);
    ranks
        .flat_map(|(rank, &count)| std::iter::repeat_n(rank, count as usize))
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
    use crate::common::interaction::DenseIndex;

    #[test]
    fn rows_are_as_after_ingest_with_the_counts_of_the_marginals() {
        let size = GenerateConfig {
            ratings: 78_244,
            users: 42_016,
            products: 4_760,
        };
        let rows = generate(&size, 7);
        fn counts(column: &[impl DenseIndex], rows: usize) -> Vec<u32> {
            let mut counts = vec![0u32; rows];
            column.iter().for_each(|index| counts[index.index()] += 1);
            counts.sort_unstable_by(|a, b| b.cmp(a));
            counts
        }
        assert!(rows.users.is_sorted(), "grouped by user");
        let mut users = ratings_per_user(&size, size.ratings);
        users.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(counts(&rows.users, size.users), users);
        let mut products = ratings_per_product(&size, size.ratings);
        products.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(counts(&rows.items, size.products), products);
        // Bestsellers stand anywhere in the table.
        assert!(!rows.items.is_sorted() && rows.items[..100] != rows.items[100..200]);
        assert_eq!(generate(&size, 7), rows, "same seed, same ratings");
        assert_ne!(generate(&size, 8), rows);
    }

    #[test]
    fn no_more_ratings_than_pairs() {
        let size = GenerateConfig {
            ratings: 1000,
            users: 7,
            products: 3,
        };
        assert_eq!(generate(&size, 1).len(), 21);
    }
}

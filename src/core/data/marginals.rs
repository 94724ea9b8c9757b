//! How often users rate and products are rated: the marginals of the real Electronics file, as curves with few numbers.
//!
//! ```text
//! user of rank r     2 + scale * ((active / (r + 1/2))^(1 / 3.13) - 1)     of the active ones (Lomax); all others rate once
//! product of rank r  1 + share of (r + 106.78)^-1.2255                     (Zipf-Mandelbrot)
//! ```
//!
//! The product curve has two free numbers and meets two counts of the real file: 18,244 ratings of the bestseller and 32.7 % of
//! products with a single one.

use crate::config::GenerateConfig;

/// Share of each rating 1 to 5 in the real file: 901,765 / 456,322 / 633,073 / 1,485,781 / 4,347,541 of 7,824,482.
pub const CLASS_SHARES: [f64; 5] = [0.115_249, 0.058_320, 0.080_909, 0.189_889, 0.555_633];
/// Share of users with a single rating in the real file.
pub const SINGLE_SHARE: f64 = 0.686;
/// Share of products with a single rating in the real file.
pub const SINGLE_PRODUCT_SHARE: f64 = 0.327;
/// The size of the real file.
pub const ELECTRONICS: GenerateConfig = GenerateConfig {
    ratings: 7_824_482,
    users: 4_201_696,
    products: 476_002,
};

/// Tail of the ratings of a user (Lomax) and of a product (Zipf-Mandelbrot), fitted to the real file.
const USER_TAIL: f64 = 3.13;
const PRODUCT_TAIL: f64 = 1.2255;
const PRODUCT_OFFSET: f64 = 106.78;

/// Users and products in the real file's proportion to `ratings`.
pub fn electronics_of(ratings: usize) -> GenerateConfig {
    let scale = |count: usize| {
        let exact = ratings as u128 * count as u128 / ELECTRONICS.ratings as u128;
        (exact as usize).max(1)
    };
    GenerateConfig {
        ratings,
        users: scale(ELECTRONICS.users),
        products: scale(ELECTRONICS.products),
    }
}

/// How many ratings each user gives, most first: two and more for the active ones, so scaled that all is given.
pub fn ratings_per_user(size: &GenerateConfig, total: usize) -> Vec<u32> {
    if total <= size.users {
        return vec![1; total];
    }
    let active = ((1.0 - SINGLE_SHARE) * size.users as f64).round() as usize;
    let active = active.clamp(1, total - size.users);
    // Beyond the second of an active user; nobody rates a product twice.
    let most = size.products - 2;
    let spare = total - size.users - active;
    let tail: Vec<f64> = (0..active)
        .map(|rank| (active as f64 / (rank as f64 + 0.5)).powf(1.0 / USER_TAIL) - 1.0)
        .collect();
    let more = |scale: f64, tail: f64| ((scale * tail) as usize).min(most);
    let (mut low, mut high) = (0.0, 1e9);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        let given: usize = tail.iter().map(|&tail| more(middle, tail)).sum();
        if given <= spare { low = middle } else { high = middle }
    }
    let mut counts = vec![1; size.users];
    counts
        .iter_mut()
        .zip(&tail)
        .for_each(|(count, &tail)| *count = 2 + more(low, tail) as u32);
    deal_the_rest(&mut counts, total, size.products);
    counts
}

/// How many ratings each product has, most first.
pub fn ratings_per_product(size: &GenerateConfig, total: usize) -> Vec<u32> {
    let weight = |rank: usize| (rank as f64 + PRODUCT_OFFSET).powf(-PRODUCT_TAIL);
    let all: f64 = (0..size.products).map(weight).sum();
    let each = usize::from(total >= size.products);
    let spare = (total - each * size.products) as f64;
    let mut counts: Vec<u32> = (0..size.products)
        .map(|rank| (each + (spare * weight(rank) / all) as usize).min(size.users) as u32)
        .collect();
    deal_the_rest(&mut counts, total, size.users);
    counts
}

/// Raises counts by one, in turn, until they sum up to `total`; none above `most`.
fn deal_the_rest(counts: &mut [u32], total: usize, most: usize) {
    let mut left = total - counts.iter().map(|&count| count as usize).sum::<usize>();
    while left > 0 {
        for count in counts.iter_mut().filter(|count| (**count as usize) < most).take(left) {
            *count += 1;
            left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_counts_of_the_full_size_are_those_of_electronics() {
        let total = ELECTRONICS.ratings;
        let users = ratings_per_user(&ELECTRONICS, total);
        assert!((510..530).contains(&users[0]), "the busiest user has {}", users[0]);
        let single = users.iter().filter(|count| **count == 1).count() as f64 / users.len() as f64;
        assert!((single - SINGLE_SHARE).abs() < 1e-4, "single raters {single}");
        let products = ratings_per_product(&ELECTRONICS, total);
        assert!(
            (18_200..18_290).contains(&products[0]),
            "the bestseller has {}",
            products[0]
        );
        let single = products.iter().filter(|count| **count == 1).count() as f64 / products.len() as f64;
        assert!(
            (single - SINGLE_PRODUCT_SHARE).abs() < 1e-3,
            "products with one rating {single}"
        );
        for counts in [users, products] {
            assert_eq!(counts.iter().map(|&count| count as usize).sum::<usize>(), total);
        }
        assert_eq!(electronics_of(total), ELECTRONICS);
    }
}

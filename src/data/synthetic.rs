//! Generated ratings in the shape of Amazon Electronics, with planted tastes, for machines that have no data.
//!
//! ```text
//! liking = taste_u . style_i + quality_i + leniency_u + noise        rating = class of liking by fixed shares
//! ```
//!
//! Shares of the real `ratings_Electronics.csv` (McAuley et al., 2015) that are imitated: the five rating classes, 68.6 % of
//! users with one rating, a long tail of products up to a bestseller with 0.23 % of all ratings, ids with leading zeros.
//! A model can learn the tastes of users with several ratings. A figure measured on these rows says so.

use crate::config::GenerateConfig;
use crate::random::{Purpose, stream};
use rand::{Rng, RngExt};
use std::io::Write;
use std::path::Path;

/// Share of each rating 1 to 5 in the real file: 901,765 / 456,322 / 633,073 / 1,485,781 / 4,347,541 of 7,824,482.
pub const CLASS_SHARES: [f64; 5] = [0.115_249, 0.058_320, 0.080_909, 0.189_889, 0.555_633];
/// Share of users with a single rating in the real file.
pub const SINGLE_SHARE: f64 = 0.686;

const TASTES: usize = 6;

/// Writes the table to a temporary name beside `path`, then renames it. The same size and seed give the same bytes.
pub fn write_file(path: &Path, size: &GenerateConfig, seed: u64) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension("csv.partial");
    let whole = || {
        let mut file = std::io::BufWriter::new(std::fs::File::create(&temporary)?);
        write(&mut file, size, seed)?;
        file.into_inner()?.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    whole().inspect_err(|_| {
        // What is left of a failed attempt is of no use to anybody.
        let _ = std::fs::remove_file(&temporary);
    })
}

/// Writes `size.ratings` rows `user,product,rating,timestamp`, no pair twice, users in order.
///
/// Users or products that no rating falls to do not appear. If more ratings are asked for than there are pairs of users
/// and products, every pair is rated once.
pub fn write(out: &mut dyn Write, size: &GenerateConfig, seed: u64) -> std::io::Result<()> {
    let mut rng = stream(seed, Purpose::Synthetic, 0);
    let world = World::new(size, seed, &mut rng);
    let counts = ratings_per_user(size, &mut rng);
    let mut rated = Vec::new();
    for (user, &count) in counts.iter().enumerate() {
        let (taste, leniency) = (world.taste(user), 0.35 * normal(&mut rng));
        rated.clear();
        while rated.len() < count {
            let product = world.pick(&taste, &mut rng);
            if rated.contains(&product) {
                continue;
            }
            rated.push(product);
            let liking = world.liking(&taste, product) + leniency + 0.5 * normal(&mut rng);
            let rating = 1 + world.cuts.partition_point(|&cut| cut < liking);
            let time = rng.random_range(946_684_800u32..1_406_073_600);
            writeln!(out, "{},{},{rating}.0,{time}", user_id(user), product_id(product))?;
        }
    }
    Ok(())
}

/// The planted truth.
struct World {
    seed: u64,
    /// Running sums of the products' popularity.
    popularity: Vec<f64>,
    quality: Vec<f32>,
    styles: Vec<[f32; TASTES]>,
    /// Likings between the classes.
    cuts: [f32; 4],
}

impl World {
    fn new(size: &GenerateConfig, seed: u64, rng: &mut impl Rng) -> Self {
        // Zipf-Mandelbrot: at 476,002 products the first one gets 0.2 % of all ratings.
        let mut total = 0.0;
        let popularity = (0..size.products)
            .map(|rank| {
                total += (rank as f64 + 31.0).powf(-0.9);
                total
            })
            .collect();
        let quality = (0..size.products).map(|_| 0.5 * normal(rng)).collect();
        let styles = (0..size.products)
            .map(|_| std::array::from_fn(|_| 0.55 * normal(rng)))
            .collect();
        let mut world = Self {
            seed,
            popularity,
            quality,
            styles,
            cuts: [0.0; 4],
        };
        let mut likings: Vec<f32> = (0..20_000)
            .map(|user| {
                let taste = world.taste(user);
                let product = world.pick(&taste, rng);
                world.liking(&taste, product) + 0.35 * normal(rng) + 0.5 * normal(rng)
            })
            .collect();
        likings.sort_unstable_by(f32::total_cmp);
        let mut share = 0.0;
        for (cut, class_share) in world.cuts.iter_mut().zip(CLASS_SHARES) {
            share += class_share;
            *cut = likings[(share * likings.len() as f64) as usize];
        }
        world
    }

    /// A user's taste is a function of its number, so that no table of users is kept.
    fn taste(&self, user: usize) -> [f32; TASTES] {
        let mut rng = stream(self.seed ^ user as u64, Purpose::Synthetic, 1);
        std::array::from_fn(|_| 0.55 * normal(&mut rng))
    }

    fn liking(&self, taste: &[f32; TASTES], product: usize) -> f32 {
        let match_: f32 = taste.iter().zip(&self.styles[product]).map(|(a, b)| a * b).sum();
        match_ + self.quality[product]
    }

    /// By popularity; every other time the better liked of two.
    fn pick(&self, taste: &[f32; TASTES], rng: &mut impl Rng) -> usize {
        let (first, second) = (draw(&self.popularity, rng), draw(&self.popularity, rng));
        if rng.random::<bool>() && self.liking(taste, second) > self.liking(taste, first) {
            second
        } else {
            first
        }
    }
}

/// How many ratings each user gives: one for most, a long tail for the rest.
fn ratings_per_user(size: &GenerateConfig, rng: &mut impl Rng) -> Vec<usize> {
    let most = size.products;
    let total = size.ratings.min(size.users.saturating_mul(most));
    let mut counts = vec![0usize; size.users];
    let first = total.min(size.users);
    counts[..first].fill(1);
    let mut left = total - first;
    // The active users, and the running sums of how active they are (Pareto, cut off so that nobody owns the table).
    let active: Vec<usize> = (0..size.users)
        .filter(|_| rng.random::<f64>() >= SINGLE_SHARE)
        .collect();
    let mut sum = 0.0;
    let activity: Vec<f64> = active
        .iter()
        .map(|_| {
            sum += (1.0 - rng.random::<f64>()).powf(-1.0 / 1.6).min(60.0);
            sum
        })
        .collect();
    for &user in &active {
        if left > 0 && counts[user] < most {
            counts[user] += 1;
            left -= 1;
        }
    }
    let mut misses = 0;
    while left > 0 && misses < 1000 && !active.is_empty() {
        let user = active[draw(&activity, rng)];
        if counts[user] * 4 < most {
            counts[user] += 1;
            left -= 1;
            misses = 0;
        } else {
            misses += 1;
        }
    }
    // A table that is nearly full: deal the rest out in turn.
    while left > 0 {
        for count in counts.iter_mut().filter(|count| **count < most) {
            if left > 0 {
                *count += 1;
                left -= 1;
            }
        }
    }
    counts
}

/// Draws an index in proportion to the weights whose running sums are given.
fn draw(sums: &[f64], rng: &mut impl Rng) -> usize {
    let point = rng.random::<f64>() * sums[sums.len() - 1];
    sums.partition_point(|&sum| sum <= point).min(sums.len() - 1)
}

/// Standard normal, Box and Muller 1958.
fn normal(rng: &mut impl Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
}

const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// `length` characters, different for every number below `36^length`: multiplication by a number coprime to 36 permutes.
fn code(number: usize, length: u32, alphabet: u64) -> String {
    let space = alphabet.pow(length);
    let mut value = (number as u128 * 0x2545_F491_4F6C_DD1D % space as u128) as u64;
    let mut text = vec![b'0'; length as usize];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(value % alphabet) as usize];
        value /= alphabet;
    }
    String::from_utf8(text).expect("digits are ASCII")
}

fn user_id(user: usize) -> String {
    format!("A{}", code(user + 1, 12, 36))
}

/// Every tenth product has an old ISBN-like id that begins with a zero.
fn product_id(product: usize) -> String {
    match product % 10 {
        7 => format!("0{}", code(product + 1, 9, 10)),
        _ => format!("B00{}", code(product + 1, 7, 36)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    fn rows(size: GenerateConfig, seed: u64) -> Vec<(String, String, f32)> {
        let mut bytes = Vec::new();
        write(&mut bytes, &size, seed).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let row = |line: &str| {
            let parts: Vec<&str> = line.split(',').collect();
            assert_eq!(parts.len(), 4);
            (parts[0].to_string(), parts[1].to_string(), parts[2].parse().unwrap())
        };
        text.lines().map(row).collect()
    }

    #[test]
    fn the_table_has_the_marginals_of_electronics_and_no_pair_twice() {
        let size = GenerateConfig {
            ratings: 60_000,
            users: 30_000,
            products: 4_000,
        };
        let rows = rows(size, 42);
        assert_eq!(rows.len(), size.ratings);
        let pairs: HashSet<_> = rows.iter().map(|(user, product, _)| (user, product)).collect();
        assert_eq!(pairs.len(), rows.len());
        let mut users: HashMap<&String, usize> = HashMap::new();
        rows.iter().for_each(|(user, ..)| *users.entry(user).or_default() += 1);
        assert_eq!(users.len(), size.users);
        let single = users.values().filter(|count| **count == 1).count() as f64 / users.len() as f64;
        assert!((single - SINGLE_SHARE).abs() < 0.01, "single raters {single}");
        for (class, share) in CLASS_SHARES.iter().enumerate() {
            let found = rows.iter().filter(|row| row.2 == (class + 1) as f32).count() as f64 / rows.len() as f64;
            assert!((found - share).abs() < 0.02, "class {}: {found} for {share}", class + 1);
        }
        assert!(rows.iter().any(|(_, product, _)| product.starts_with('0')));
        // A long tail: nearly every product appears, and the first hundred have a good part of all ratings.
        let mut products: HashMap<&String, usize> = HashMap::new();
        rows.iter()
            .for_each(|(_, product, _)| *products.entry(product).or_default() += 1);
        assert!(products.len() > size.products * 95 / 100, "{} products", products.len());
        let mut counts: Vec<usize> = products.into_values().collect();
        counts.sort_unstable();
        let head = counts.iter().rev().take(100).sum::<usize>() as f64 / rows.len() as f64;
        assert!((0.2..0.3).contains(&head), "the first hundred have {head}");
    }

    #[test]
    fn the_same_seed_gives_the_same_rows_and_another_one_does_not() {
        let size = GenerateConfig {
            ratings: 500,
            users: 100,
            products: 50,
        };
        assert_eq!(rows(size, 1), rows(size, 1));
        assert_ne!(rows(size, 1), rows(size, 2));
    }

    #[test]
    fn a_table_can_be_full() {
        let size = GenerateConfig {
            ratings: 1000,
            users: 5,
            products: 4,
        };
        assert_eq!(rows(size, 1).len(), 20);
    }

    #[test]
    fn ids_are_distinct() {
        let ids: HashSet<String> = (0..200_000).map(product_id).chain((0..200_000).map(user_id)).collect();
        assert_eq!(ids.len(), 400_000);
    }
}

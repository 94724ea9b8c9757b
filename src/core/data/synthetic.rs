//! Generated ratings in the shape of Amazon Electronics, with planted tastes and interests, for machines that have no data.
//!
//! ```text
//! liking   = taste_u . style_i + quality_i + leniency_u        rating = class of (liking + noise), by fixed shares
//! interest = interest_u . topic_i                              who takes a product up: of RIVALS the most interested, mostly
//! ```
//!
//! What people take up is another question than how they like it, here as there, but not altogether: one of the topics is for
//! the lenient and of the better products, so who rated what tells a little of how it was rated.
//!
//! What of the real `ratings_Electronics.csv` (McAuley et al., 2015) is imitated: the shares of the five rating classes, 68.6 %
//! of users with one rating, a busiest user with about 520 and a bestseller with about 18 thousand at full size, 32.7 % of
//! the products with one rating, ids with leading zeros, dates to the day that grow denser, rows in order of products.
//! A figure measured on these rows says so.
//!
//! How well can a model do? Ranked by the planted liking itself, ratings >= 4 stand above lower ones with AUC 0.87: the noise
//! ceiling. Most users have a single rating, and nobody can learn a taste from none: a real model stays well below.
//!
//! Rows are streamed: memory is 4 bytes a rating and 8 a user. Both marginals are dealt, not drawn: a deck holds each user as
//! often as it has ratings, and each product takes as many cards as it has.

use super::marginals::{CLASS_SHARES, ratings_per_product, ratings_per_user};
use crate::common::hint::Hint;
use crate::common::random::{Purpose, stream};
use crate::common::whole_file::WholeFile;
use crate::config::GenerateConfig;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use std::io::Write;
use std::path::{Path, PathBuf};

const TASTES: usize = 6;
const INTERESTS: usize = 4;
/// Users among whom a product finds the most interested one, and how often it does; else it goes to anybody.
const RIVALS: usize = 16;
const KEEN: f64 = 0.85;
/// Standard deviations: of a taste and of a style in each dimension, and of what else there is in a liking.
const TASTE: f32 = 0.55;
const QUALITY: f32 = 0.5;
const LENIENCY: f32 = 0.35;
const NOISE: f32 = 0.86;

/// Days since 1970 of the first and the last rating: 1998-12-04 and 2014-07-22.
const DAYS: std::ops::Range<i64> = 10_564..16_273;
const SECONDS_A_DAY: i64 = 86_400;

/// Generated ratings cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("`{path}` exists")]
    Exists { path: PathBuf },
    #[error("cannot write generated ratings to `{path}`: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

impl Hint for GenerateError {
    fn hint(&self) -> String {
        let hint = match self {
            Self::Exists { .. } => "choose another `--out`, or overwrite it with `--force`",
            Self::Write { .. } => "the folder of `--out` must be writable and have room: about 41 bytes a rating",
        };
        hint.to_string()
    }
}

/// Writes the table to `path`. Errors if there is a file and `force` does not say to replace it, or if it cannot be written.
pub fn generate(path: &Path, size: &GenerateConfig, seed: u64, force: bool) -> Result<(), GenerateError> {
    if path.exists() && !force {
        return Err(GenerateError::Exists {
            path: path.to_path_buf(),
        });
    }
    write_file(path, size, seed).map_err(|source| GenerateError::Write {
        path: path.to_path_buf(),
        source,
    })
}

/// Writes the table to `path`. The same size and seed give the same bytes.
///
/// On an error nothing is left behind.
pub fn write_file(path: &Path, size: &GenerateConfig, seed: u64) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = WholeFile::create(path)?;
    write(&mut file, size, seed)?;
    file.finish()
}

/// Writes `size.ratings` rows `user,product,rating,timestamp`, no pair twice, in order of products.
///
/// All users and products appear if there are as many ratings. If more ratings are asked for than there are pairs of users
/// and products, every pair is rated once.
pub fn write(out: &mut dyn Write, size: &GenerateConfig, seed: u64) -> std::io::Result<()> {
    let mut line = Vec::with_capacity(64);
    for_each_row(size, seed, |row| {
        line.clear();
        push_user_id(&mut line, row.user);
        line.push(b',');
        push_product_id(&mut line, row.product);
        writeln!(line, ",{}.0,{}", row.rating, row.timestamp)?;
        out.write_all(&line)
    })
}

/// One rating, and the liking behind it without the noise.
#[derive(Clone, Copy, Debug)]
struct Row {
    user: u32,
    product: u32,
    rating: u8,
    timestamp: i64,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the planted truth, against which tests measure")
    )]
    liking: f32,
}

fn for_each_row(
    size: &GenerateConfig,
    seed: u64,
    mut emit: impl FnMut(&Row) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut rng = stream(seed, Purpose::Synthetic, 0);
    let total = size.ratings.min(size.users.saturating_mul(size.products));
    let mut sales = ratings_per_product(size, total);
    sales.shuffle(&mut rng);
    let mut deck = Deck::new(&ratings_per_user(size, total), &mut rng);
    let cuts = cuts(&deck, &sales, seed, &mut rng);
    for (product, &count) in (0u32..).zip(&sales) {
        let traits = Traits::of_product(seed, product);
        let topic = Interests::of_product(seed, product);
        let interest = |user: u32| Interests::of_user(seed, user).in_topic(&topic);
        for _ in 0..count {
            let user = deck.deal(product, interest, &mut rng);
            let liking = Traits::of_user(seed, user).liking(&traits);
            let felt = liking + NOISE * normal(rng.next_u64());
            let age = rng.random::<f32>().powi(3) * (DAYS.end - DAYS.start) as f32;
            emit(&Row {
                user,
                product,
                rating: 1 + cuts.partition_point(|&cut| cut < felt) as u8,
                timestamp: (DAYS.end - age as i64) * SECONDS_A_DAY,
                liking,
            })?;
        }
    }
    Ok(())
}

/// What a user likes, or what a product is; a function of the number, so that no table of users is kept.
struct Traits {
    style: [f32; TASTES],
    bias: f32,
}

impl Traits {
    fn of_user(seed: u64, user: u32) -> Self {
        Self::of(seed, 2 * u64::from(user), LENIENCY)
    }

    fn of_product(seed: u64, product: u32) -> Self {
        Self::of(seed, 2 * u64::from(product) + 1, QUALITY)
    }

    fn of(seed: u64, number: u64, bias: f32) -> Self {
        let mut next = normals(seed ^ mix(number));
        Self {
            style: std::array::from_fn(|_| TASTE * next()),
            // Shares whose squares add up to one.
            bias: bias * (0.8 * next() + 0.6 * Interests::of(seed, number).0[0]),
        }
    }

    fn liking(&self, other: &Self) -> f32 {
        let matching: f32 = self.style.iter().zip(&other.style).map(|(a, b)| a * b).sum();
        matching + self.bias + other.bias
    }
}

/// What a user is interested in, or what a product is about.
struct Interests([f32; INTERESTS]);

impl Interests {
    fn of_user(seed: u64, user: u32) -> Self {
        Self::of(seed, 2 * u64::from(user))
    }

    fn of_product(seed: u64, product: u32) -> Self {
        Self::of(seed, 2 * u64::from(product) + 1)
    }

    fn of(seed: u64, number: u64) -> Self {
        let mut next = normals(!seed ^ mix(number));
        Self(std::array::from_fn(|_| next()))
    }

    fn in_topic(&self, topic: &Self) -> f32 {
        self.0.iter().zip(&topic.0).map(|(a, b)| a * b).sum()
    }
}

/// Standard normals of a place in the table of all.
fn normals(place: u64) -> impl FnMut() -> f32 {
    let mut state = mix(place);
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        normal(mix(state))
    }
}

/// The users in the order in which they rate, each as often as it does.
struct Deck {
    cards: Vec<u32>,
    next: usize,
    /// The product that each user rated last.
    last: Vec<u32>,
}

/// How often another card is tried for a user who has the product already; only a table that is nearly full needs more.
const RETRIES: usize = 16;

impl Deck {
    fn new(ratings_per_user: &[u32], rng: &mut impl Rng) -> Self {
        let users = (0u32..).zip(ratings_per_user);
        let mut cards: Vec<u32> = users
            .flat_map(|(user, &count)| std::iter::repeat_n(user, count as usize))
            .collect();
        cards.shuffle(rng);
        Self {
            cards,
            next: 0,
            last: vec![u32::MAX; ratings_per_user.len()],
        }
    }

    /// The next user of a product that comes after all products before: mostly the most interested of some.
    ///
    /// The others go back for products to come. Were it chosen by liking, the strict would be left to the last ones.
    fn deal(&mut self, product: u32, interest: impl Fn(u32) -> f32, rng: &mut impl Rng) -> u32 {
        let (next, end) = (self.next, self.cards.len());
        self.next += 1;
        if rng.random_bool(KEEN) {
            let mut keenest = next;
            let mut most = interest(self.cards[next]);
            for _ in 1..RIVALS {
                let rival = rng.random_range(next..end);
                let theirs = interest(self.cards[rival]);
                if theirs > most {
                    (keenest, most) = (rival, theirs);
                }
            }
            self.cards.swap(next, keenest);
        }
        for _ in 0..RETRIES {
            if self.last[self.cards[next] as usize] != product {
                break;
            }
            self.cards.swap(next, rng.random_range(next..end));
        }
        let mut user = self.cards[next] as usize;
        if self.last[user] == product {
            let users = self.last.len();
            let start = rng.random_range(0..users);
            let has_not = |user: &usize| self.last[*user] != product;
            user = (start..users)
                .chain(0..start)
                .find(has_not)
                .expect("a product has at most a rating a user");
        }
        self.last[user] = product;
        user as u32
    }
}

/// The likings between the classes, from a sample of ratings.
fn cuts(deck: &Deck, sales: &[u32], seed: u64, rng: &mut impl Rng) -> [f32; 4] {
    let mut total = 0;
    let sums: Vec<u64> = sales
        .iter()
        .map(|&count| {
            total += u64::from(count);
            total
        })
        .collect();
    let mut likings: Vec<f32> = (0..40_000)
        .map(|_| {
            let point = rng.random_range(0..total);
            let product = sums.partition_point(|&sum| sum <= point) as u32;
            let (traits, topic) = (Traits::of_product(seed, product), Interests::of_product(seed, product));
            let interest = |user: u32| Interests::of_user(seed, user).in_topic(&topic);
            let mut someone = || deck.cards[rng.random_range(0..deck.cards.len())];
            let first = someone();
            let rivals: Vec<u32> = (1..RIVALS).map(|_| someone()).collect();
            let keen = rng.random_bool(KEEN);
            let rivals = rivals.into_iter().filter(|_| keen);
            let user = rivals.fold(
                first,
                |most, rival| if interest(rival) > interest(most) { rival } else { most },
            );
            Traits::of_user(seed, user).liking(&traits) + NOISE * normal(rng.next_u64())
        })
        .collect();
    likings.sort_unstable_by(f32::total_cmp);
    let mut share = 0.0;
    std::array::from_fn(|class| {
        share += CLASS_SHARES[class];
        likings[(share * likings.len() as f64) as usize]
    })
}

/// Standard normal, nearly: a sum of four uniforms, in plain arithmetic.
fn normal(bits: u64) -> f32 {
    let sum: u32 = [0, 16, 32, 48]
        .iter()
        .map(|&shift| u32::from((bits >> shift) as u16))
        .sum();
    (sum as f32 / 65_536.0 - 2.0) * 3f32.sqrt()
}

/// SplitMix64's output function, a permutation (Steele et al., 2014).
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Appends `LENGTH` characters, different for every number: multiplication by a number coprime to 36 permutes.
fn push_code<const LENGTH: u32, const ALPHABET: u64>(line: &mut Vec<u8>, number: u32) {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let space = const { ALPHABET.pow(LENGTH) };
    let mut value = (u128::from(number) * 0x2545_F491_4F6C_DD1D % u128::from(space)) as u64;
    for _ in 0..LENGTH {
        line.push(DIGITS[(value % ALPHABET) as usize]);
        value /= ALPHABET;
    }
}

fn push_user_id(line: &mut Vec<u8>, user: u32) {
    line.push(b'A');
    push_code::<12, 36>(line, user + 1);
}

/// Every eightieth product has an old ISBN that begins with a zero, as in the real file.
fn push_product_id(line: &mut Vec<u8>, product: u32) {
    if product.is_multiple_of(80) {
        line.push(b'0');
        push_code::<9, 10>(line, product + 1);
    } else {
        line.extend_from_slice(b"B00");
        push_code::<7, 36>(line, product + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::marginals::{SINGLE_SHARE, electronics_of};
    use crate::metrics::curves::Sweep;
    use std::collections::{HashMap, HashSet};

    fn text(size: GenerateConfig, seed: u64) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, &size, seed).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn rows(size: GenerateConfig, seed: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        for_each_row(&size, seed, |row| {
            rows.push(*row);
            Ok(())
        })
        .unwrap();
        rows
    }

    /// How often each number occurs, most first.
    fn counts(numbers: impl Iterator<Item = u32>) -> Vec<usize> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        numbers.for_each(|number| *counts.entry(number).or_default() += 1);
        let mut counts: Vec<usize> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    #[test]
    fn the_table_has_the_marginals_of_electronics_and_no_pair_twice() {
        let size = electronics_of(200_000);
        let rows = rows(size, 42);
        assert_eq!(rows.len(), size.ratings);
        let pairs: HashSet<_> = rows.iter().map(|row| (row.user, row.product)).collect();
        assert_eq!(pairs.len(), rows.len());
        let users = counts(rows.iter().map(|row| row.user));
        assert_eq!(users.len(), size.users);
        let single = users.iter().filter(|count| **count == 1).count() as f64 / users.len() as f64;
        assert!((single - SINGLE_SHARE).abs() < 1e-3, "single raters {single}");
        for (class, share) in CLASS_SHARES.iter().enumerate() {
            let found =
                rows.iter().filter(|row| usize::from(row.rating) == class + 1).count() as f64 / rows.len() as f64;
            assert!((found - share).abs() < 0.01, "class {}: {found} for {share}", class + 1);
        }
        let products = counts(rows.iter().map(|row| row.product));
        assert_eq!(products.len(), size.products);
        let days =
            |row: &Row| DAYS.contains(&(row.timestamp / SECONDS_A_DAY - 1)) && row.timestamp % SECONDS_A_DAY == 0;
        assert!(rows.iter().all(days));
    }

    #[test]
    fn the_planted_liking_ranks_ratings_as_well_as_the_noise_lets_it() {
        let rows = rows(electronics_of(100_000), 7);
        let likings: Vec<f32> = rows.iter().map(|row| row.liking).collect();
        let relevant: Vec<bool> = rows.iter().map(|row| row.rating >= 4).collect();
        let ceiling = Sweep::new(&likings, &relevant).auc().unwrap();
        assert!((0.86..0.88).contains(&ceiling), "AUC of the planted truth {ceiling}");
    }

    #[test]
    fn the_same_seed_gives_the_same_rows_and_another_one_does_not() {
        let size = electronics_of(500);
        assert_eq!(text(size, 1), text(size, 1));
        assert_ne!(text(size, 1), text(size, 2));
    }

    #[test]
    fn rows_read_as_those_of_the_real_file() {
        let text = text(electronics_of(500), 1);
        let zero = text
            .lines()
            .filter(|line| line.split(',').nth(1).unwrap().starts_with('0'));
        assert!(zero.count() > 0);
        for line in text.lines() {
            let parts: Vec<&str> = line.split(',').collect();
            assert_eq!(
                (parts.len(), parts[0].len(), parts[1].len(), parts[2].len()),
                (4, 13, 10, 3)
            );
        }
    }

    #[test]
    fn a_table_can_be_full_or_nearly_so_or_tiny() {
        for (ratings, users, products) in [
            (1000, 5, 4),
            (19, 5, 4),
            (9, 9, 1),
            (3, 9, 9),
            (1, 1, 1),
            (9, 1, 9),
            (700, 30, 40),
        ] {
            let size = GenerateConfig {
                ratings,
                users,
                products,
            };
            let rows = rows(size, 1);
            assert_eq!(rows.len(), ratings.min(users * products), "{size:?}");
            let pairs: HashSet<_> = rows.iter().map(|row| (row.user, row.product)).collect();
            assert_eq!(pairs.len(), rows.len(), "{size:?}");
        }
    }

    #[test]
    fn ids_are_distinct() {
        let id = |push: fn(&mut Vec<u8>, u32), number| {
            let mut id = Vec::new();
            push(&mut id, number);
            id
        };
        let products = (0..200_000).map(|product| id(push_product_id, product));
        let users = (0..200_000).map(|user| id(push_user_id, user));
        assert_eq!(products.chain(users).collect::<HashSet<_>>().len(), 400_000);
    }

    #[test]
    fn a_file_is_replaced_only_by_force_and_nothing_half_written_stays() {
        let folder = std::env::temp_dir().join(format!("dotcart-generate-{}", std::process::id()));
        let path = folder.join("ratings.csv");
        generate(&path, &electronics_of(50), 1, false).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = generate(&path, &electronics_of(60), 1, false).unwrap_err();
        assert!(matches!(error, GenerateError::Exists { .. }) && error.hint().contains("--force"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        generate(&path, &electronics_of(60), 1, true).unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), before);
        // A folder stands where the file should go: the rename fails.
        let taken = folder.join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(matches!(
            generate(&taken, &electronics_of(50), 1, true),
            Err(GenerateError::Write { .. })
        ));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

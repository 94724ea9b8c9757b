//! The scorer's loops over item rows and products, on as wide lanes as the processor has, with the same bits everywhere.

use super::instruction_set::Work;
use super::item_rows::ItemRows;
use super::pair_logits::dot;
use crate::common::block;
use std::ops::Range;

/// `scores[n] = dot(user, item[first + n]) + item_bias[first + n]`, in the order of [`dot`]; -0.0 becomes 0.0.
///
/// Panics if an item is not there.
pub fn score_rows(user: &[f32], rows: ItemRows, first: usize, scores: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has been asked.
        return unsafe { score_rows_avx2(user, rows, first, scores) };
    }
    score_rows_anywhere(user, rows, first, scores);
}

fn score_rows_anywhere(user: &[f32], rows: ItemRows, first: usize, scores: &mut [f32]) {
    for (item, score) in (first..).zip(scores) {
        // One zero: -0.0 and 0.0 are equal scores, and ties go by index.
        *score = dot(user, rows.weights(item)) + rows.bias(item) + 0.0;
    }
}

/// Items between the one that is scored and the one whose weights are asked for: the processor's own reading ahead ends with
/// each page of memory.
#[cfg(target_arch = "x86_64")]
const ITEMS_AHEAD: usize = 24;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn score_rows_avx2(user: &[f32], rows: ItemRows, first: usize, scores: &mut [f32]) {
    for (item, score) in (first..).zip(scores) {
        rows.prefetch(item + ITEMS_AHEAD);
        *score = dot_avx2(user, rows.weights(item)) + rows.bias(item) + 0.0;
    }
}

/// [`dot`], its sixteen running sums in two registers. (Left to itself the compiler takes them apart for the last additions.)
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
    use std::arch::x86_64::*;
    let (a_blocks, a_rest) = a.as_chunks::<16>();
    let (b_blocks, b_rest) = b.as_chunks::<16>();
    let (mut low, mut high) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    let mut add = |a: &[f32; 16], b: &[f32; 16]| {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        // SAFETY: sixteen numbers each.
        let (a_low, b_low) = unsafe { (_mm256_loadu_ps(a), _mm256_loadu_ps(b)) };
        // SAFETY: as above.
        let (a_high, b_high) = unsafe { (_mm256_loadu_ps(a.add(8)), _mm256_loadu_ps(b.add(8))) };
        low = _mm256_add_ps(low, _mm256_mul_ps(a_low, b_low));
        high = _mm256_add_ps(high, _mm256_mul_ps(a_high, b_high));
    };
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        add(a, b);
    }
    if !a_rest.is_empty() {
        // A sum that began with 0.0 is not changed by another zero.
        add(&block::padded(a_rest, 0.0), &block::padded(b_rest, 0.0));
    }
    let eight = _mm256_add_ps(low, high);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// Which products reach their bounds, run by `InstructionSet::run`.
///
/// Puts into `hits` each (n, lane) where `products[n * lanes + lane] + biases[n]` is not below `bounds[lane]`, in order; a NaN
/// is below nothing. `lanes = bounds.len()`; panics if there are not as many products for each bias.
pub struct NotBelow<'a> {
    pub products: &'a [f32],
    pub biases: &'a [f32],
    pub bounds: &'a [f32],
    pub hits: &'a mut Vec<(u32, u32)>,
}

impl Work for NotBelow<'_> {
    #[inline(always)]
    fn run(self) {
        let lanes = self.bounds.len();
        assert_eq!(
            self.products.len(),
            self.biases.len() * lanes,
            "NotBelow: products do not fit"
        );
        self.hits.clear();
        for (number, (products, &bias)) in self.products.chunks_exact(lanes).zip(self.biases).enumerate() {
            let mut any = 0;
            for (product, &bound) in products.iter().zip(self.bounds) {
                any |= u32::from(!is_below(product + bias, bound));
            }
            if any != 0 {
                collect(products, bias, self.bounds, number, self.hits);
            }
        }
    }
}

#[inline(always)]
fn is_below(score: f32, bound: f32) -> bool {
    score < bound
}

/// Rarely entered: the bounds leave few.
#[inline(never)]
fn collect(products: &[f32], bias: f32, bounds: &[f32], number: usize, hits: &mut Vec<(u32, u32)>) {
    for (lane, (product, &bound)) in products.iter().zip(bounds).enumerate() {
        if !is_below(product + bias, bound) {
            hits.push((number as u32, lane as u32));
        }
    }
}

/// The largest size of a weight of some items, run by `InstructionSet::run`; a NaN counts as the largest.
///
/// Panics if an item is not there.
pub struct LargestSize<'a> {
    pub rows: ItemRows<'a>,
    pub items: Range<usize>,
    pub largest: &'a mut f32,
}

impl Work for LargestSize<'_> {
    #[inline(always)]
    fn run(self) {
        let mut largest = 0;
        for item in self.items {
            for weight in self.rows.weights(item) {
                // Sizes compare as the integers of their bits, and NaN above all.
                largest = largest.max(weight.to_bits() & 0x7FFF_FFFF);
            }
        }
        *self.largest = f32::from_bits(largest);
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction_set::InstructionSet;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_processor_gives_the_same_bits(
            numbers in prop::collection::vec(-2.0f32..2.0, 1..200),
            dim in 1usize..40,
        ) {
            let (user, rest) = numbers.split_at(dim.min(numbers.len() - 1));
            let items = rest.len() / (user.len() + 4);
            let rows = ItemRows::of_factors(&rest[..items * (user.len() + 4)], user.len());
            let (mut here, mut anywhere) = (vec![0.0; items], vec![0.0; items]);
            score_rows(user, rows, 0, &mut here);
            score_rows_anywhere(user, rows, 0, &mut anywhere);
            prop_assert_eq!(here, anywhere);
        }
    }

    #[test]
    fn what_is_not_below_its_bound_is_found_and_a_nan_with_it() {
        for set in InstructionSet::available() {
            let mut hits = Vec::new();
            set.run(NotBelow {
                products: &[1.0, 5.0, f32::NAN, -1.0, 2.0, 3.0],
                biases: &[0.5, 0.0, 0.0],
                bounds: &[1.5, 3.0],
                hits: &mut hits,
            });
            assert_eq!(hits, [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)], "{set:?}");
        }
    }

    #[test]
    fn the_largest_size_counts_a_nan_as_largest() {
        let rows = [0.0, 0.0, 0.0, 0.0, 1.0, -3.0, 9.0, 0.0, 0.0, 0.0, 2.0, f32::NAN];
        let rows = ItemRows::of_factors(&rows, 2);
        for set in InstructionSet::available() {
            let [mut one, mut both] = [0.0; 2];
            set.run(LargestSize {
                rows,
                items: 0..1,
                largest: &mut one,
            });
            set.run(LargestSize {
                rows,
                items: 0..2,
                largest: &mut both,
            });
            assert!(one == 3.0 && both.is_nan(), "{set:?}: {one}, {both}");
        }
    }
}

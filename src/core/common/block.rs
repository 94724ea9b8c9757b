//! Blocks of numbers: what a loop over a row works on, so that it becomes whole vector instructions.
//!
//! Four habits that keep the compiler to it. The first three are worth a fifth of a training step each: a block's results are
//! collected in a block of their own and stored at once (in place, every store might change what is loaded next); no block is
//! indexed by a number known at run time alone (it would live in memory); and [`one_at_a_time`]. The fourth is worth four fifths of one in
//! the dev profile, which optimises nothing across the parts of the crate: an innermost loop calls no function of the standard library that
//! is not `#[inline]`, such as `zip`, `copy_from_slice`, `fill` or an array's `map`.

use std::sync::atomic::{Ordering, compiler_fence};

/// Numbers in a block: a register of AVX-512, two of AVX2, four of NEON and SSE2.
pub const LANES: usize = 16;

/// Keeps the loop that it stands in going block after block. It is no instruction.
///
/// Left alone, the compiler unrolls the lanes and then takes the blocks for the loop: lane 0 of many blocks in one register,
/// gathered and scattered number by number.
#[inline(always)]
pub fn one_at_a_time() {
    compiler_fence(Ordering::SeqCst);
}

/// The same block, stored whole. For what is made of a block number by number, or two by two: it would tempt the compiler to take
/// the loop before it apart in the same way.
#[inline(always)]
pub fn stored(block: [f32; LANES]) -> [f32; LANES] {
    std::hint::black_box(block)
}

/// Fewer numbers than a block, made one with `fill`. Panics if there are more.
#[inline(always)]
pub fn padded(rest: &[f32], fill: f32) -> [f32; LANES] {
    let mut block = [fill; LANES];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// `sum + a b`, rounded once where `FUSED`, else twice. Without an instruction for it the former is a call and slow.
#[inline(always)]
pub fn add_product<const FUSED: bool>(sum: f32, a: f32, b: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { a * b + sum }
}

/// The sum of a block: its halves, then their halves, ...
#[inline(always)]
pub fn sum(block: &[f32; LANES]) -> f32 {
    reduced(block, |low, high| low + high)
}

/// The largest number of a block; a NaN may be passed over.
#[inline(always)]
pub fn largest(block: &[f32; LANES]) -> f32 {
    reduced(&stored(*block), larger)
}

/// The larger of two numbers, in one instruction, where `f32::max` is three; `most` if one is a NaN.
#[inline(always)]
pub fn larger(most: f32, other: f32) -> f32 {
    if other > most { other } else { most }
}

/// The first number that is not finite.
pub fn first_not_finite(numbers: &[f32]) -> Option<f32> {
    // Many at a time, each looked at: a search that may end at any of them is no vector instruction.
    let is_spoilt = |numbers: &&[f32]| {
        numbers
            .iter()
            .fold(false, |spoilt, number| spoilt | !number.is_finite())
    };
    let spoilt = numbers.chunks(64 * LANES).find(is_spoilt)?;
    spoilt.iter().copied().find(|number| !number.is_finite())
}

/// A block made one number: its halves with one another, then their halves, ...
#[inline(always)]
fn reduced(block: &[f32; LANES], both: impl Fn(f32, f32) -> f32) -> f32 {
    halves::<1>(
        &halves::<2>(&halves::<4>(&halves::<8>(block, &both), &both), &both),
        &both,
    )[0]
}

/// Both halves of a block, made one; panics if they are not `N` numbers each.
#[inline(always)]
fn halves<const N: usize>(block: &[f32], both: &impl Fn(f32, f32) -> f32) -> [f32; N] {
    let (low, high) = block.split_at(N);
    let mut half = [0.0; N];
    for lane in 0..N {
        half[lane] = both(low[lane], high[lane]);
    }
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_is_not_finite_is_found_wherever_it_stands() {
        assert_eq!(first_not_finite(&[]), None);
        for length in [1, LANES, 64 * LANES, 64 * LANES + 1, 200 * LANES + 3] {
            let mut numbers = vec![f32::MAX; length];
            assert_eq!(first_not_finite(&numbers), None);
            numbers[length - 1] = f32::NEG_INFINITY;
            assert_eq!(first_not_finite(&numbers), Some(f32::NEG_INFINITY), "last of {length}");
            numbers[length / 2] = f32::NAN;
            assert!(first_not_finite(&numbers).unwrap().is_nan(), "of {length}");
        }
    }

    #[test]
    fn a_block_becomes_its_sum_and_its_largest_number() {
        let block: [f32; LANES] = std::array::from_fn(|lane| ((lane * 7 + 3) % LANES) as f32 - 4.0);
        assert_eq!((sum(&block), largest(&block)), (56.0, 11.0));
        for lane in 0..LANES {
            let mut block = [-2.0; LANES];
            block[lane] = 5.0;
            assert_eq!((sum(&block), largest(&block)), (-25.0, 5.0), "lane {lane}");
        }
    }

    #[test]
    fn what_is_left_of_a_row_is_filled_up() {
        let block = padded(&[1.0, 2.0], -3.0);
        assert_eq!(
            (block[..2].to_vec(), &block[2..]),
            (vec![1.0, 2.0], &[-3.0; LANES - 2][..])
        );
    }
}

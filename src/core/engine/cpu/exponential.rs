//! The exponential function in a few additions and products, so that a loop over it becomes vector instructions.
//!
//! ```text
//! exp(x) = 2^n exp(r),   n = round(x / ln 2),   r = x - n ln 2 in [-ln(2) / 2, ln(2) / 2]
//! exp(r) = 1 + r (c1 + c2 r + ... + c6 r^5)
//! ```
//!
//! The polynomial's error is at most 2e-9 of the value, the least that one of its degree has (Lawson's algorithm over the
//! interval). `FUSED` is as in [`super::product`]: the same bits on all processors that fuse. `f32::exp` is more exact by a unit in
//! the last place and costs ten times as much.

use crate::common::block::add_product;

/// Adding it rounds to a whole number, which then stands in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts: a product of the first with a whole number is exact.
pub(super) const LN_2_HIGH: f32 = 0.693_359_4;
pub(super) const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `c6` first, and the 1 last.
const TERMS: [f32; 7] = [
    0.001_384_363_4,
    0.008_374_195,
    0.041_668_005,
    0.166_664_31,
    0.499_999_94,
    1.0,
    1.0,
];

/// `exp(x)` within 3e-7 of its value for `x` in [-87, 88]; outside it is that of the nearest end, and so is that of a NaN.
#[expect(clippy::manual_clamp, reason = "a NaN becomes an end, where `clamp` would keep it")]
#[inline(always)]
pub fn exponential<const FUSED: bool>(x: f32) -> f32 {
    let x = x.max(-87.0).min(88.0);
    let shifted = add_product::<FUSED>(ROUND, x, std::f32::consts::LOG2_E);
    let n = ROUND - shifted;
    let r = add_product::<FUSED>(add_product::<FUSED>(x, n, LN_2_HIGH), n, LN_2_LOW);
    let polynomial = TERMS.iter().fold(0.0, |sum, &term| add_product::<FUSED>(term, sum, r));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    polynomial * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_the_exponential<const FUSED: bool>() {
        let mut x = -87.0f32;
        while x <= 88.0 {
            let (found, wanted) = (f64::from(exponential::<FUSED>(x)), f64::from(x).exp());
            assert!((found / wanted - 1.0).abs() < 3e-7, "exp({x}): {found} for {wanted}");
            x += 0.000_73;
        }
        let [zero, least, low] = [0.0, -87.0, -1e9].map(exponential::<FUSED>);
        assert_eq!((zero, low), (1.0, least));
        assert!([1e9, f32::NAN].iter().all(|&x| exponential::<FUSED>(x).is_finite()));
    }

    #[test]
    fn it_is_the_exponential_function() {
        is_the_exponential::<false>();
        is_the_exponential::<true>();
    }
}

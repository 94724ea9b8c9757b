//! The natural logarithm in a few additions and products, in line where `f32::ln` is a call.
//!
//! ```text
//! ln(x) = n ln 2 + ln(1 + f),   x = 2^n (1 + f),   1 + f in [sqrt(1/2), sqrt(2)]
//! ln(1 + f) = f - f^2 / 2 + f^3 (c0 + c1 f + ... + c6 f^6)
//! ```
//!
//! The polynomial's error is at most 3.2e-8 of the value, the least that one of its degree has (Lawson's algorithm over the
//! interval). The same bits with any instruction set.

use super::exponential::{LN_2_HIGH, LN_2_LOW};

/// `c6` first.
const TERMS: [f32; 7] = [
    0.087_002_55,
    -0.142_674_03,
    0.149_147_95,
    -0.165_775_97,
    0.199_630_63,
    -0.250_013_37,
    0.333_339_1,
];

/// `ln(x)` within 2e-7 of its value, or of 1 if that is less, for normal numbers `x`; anything for others.
#[inline(always)]
pub fn logarithm(x: f32) -> f32 {
    let root = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    let n = (x.to_bits().wrapping_sub(root) as i32) >> 23;
    let f = f32::from_bits(x.to_bits().wrapping_sub((n << 23) as u32)) - 1.0;
    let polynomial = TERMS.iter().fold(0.0, |sum, term| sum * f + term);
    let n = n as f32;
    let square = f * f;
    (n * LN_2_LOW + (square * f * polynomial - 0.5 * square)) + f + n * LN_2_HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm() {
        let mut x = f32::MIN_POSITIVE;
        while x < 1e37 {
            let (found, wanted) = (f64::from(logarithm(x)), f64::from(x).ln());
            assert!(
                (found - wanted).abs() < 2e-7 * wanted.abs().max(1.0),
                "ln({x}): {found} for {wanted}"
            );
            x *= 1.000_37;
        }
        assert_eq!(logarithm(1.0), 0.0);
    }
}

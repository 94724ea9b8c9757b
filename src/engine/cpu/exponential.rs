//! The exponential function in a few additions and products, so that a loop over it becomes vector instructions.
//!
//! ```text
//! exp(x) = 2^n exp(r),   n = round(x / ln 2),   r = x - n ln 2 in [-ln(2) / 2, ln(2) / 2]
//! exp(r) = 1 + r + r^2 / 2! + ... + r^7 / 7!        what is left out is below 6e-9
//! ```
//!
//! The same bits with any instruction set. `f32::exp` is more exact by a unit in the last place and costs ten times as much.

/// Adding it rounds to a whole number, which then stands in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts: a product of the first with a whole number is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `exp(x)` within 3e-7 of its value for `x` in [-87, 88]; outside it is that of the nearest end, and so is that of a NaN.
#[expect(clippy::manual_clamp, reason = "a NaN becomes an end, where `clamp` would keep it")]
#[inline(always)]
pub fn exponential(x: f32) -> f32 {
    let x = x.max(-87.0).min(88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut sum = 1.0 / 5040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * r + term;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    sum * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential_function() {
        let mut x = -87.0f32;
        while x <= 88.0 {
            let (found, wanted) = (f64::from(exponential(x)), f64::from(x).exp());
            assert!((found / wanted - 1.0).abs() < 3e-7, "exp({x}): {found} for {wanted}");
            x += 0.000_73;
        }
        assert_eq!((exponential(0.0), exponential(-1e9)), (1.0, exponential(-87.0)));
        assert!(exponential(1e9).is_finite() && exponential(f32::NAN).is_finite());
    }
}

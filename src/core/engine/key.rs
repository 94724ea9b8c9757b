//! Keys: scores as u32 in the same order, so that what ranks them needs whole numbers alone.
//!
//! ```text
//! a < b  <=>  key(a) < key(b)        for all scores that are numbers; both zeros are one
//! ```
//!
//! A float's bits are in order but for the sign. [`NO_KEY`] flags "nothing" below every score's key, so that no infinity has to;
//! what is no number is above all, so that it is found and not lost. `shaders/common/candidate.wgsl` says the same in WGSL.

/// The key of nothing.
pub const NO_KEY: u32 = 1;

/// The key of a score.
#[inline]
pub fn key_of(score: f32) -> u32 {
    const SIGN: u32 = 1 << 31;
    let bits = score.to_bits();
    if score.is_nan() {
        u32::MAX
    } else if bits > SIGN {
        !bits
    } else {
        bits | SIGN
    }
}

/// The score that a key stands for; NaN for that of NaN.
#[inline]
pub fn score_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & 0x7FFF_FFFF } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_scores_and_give_them_back() {
        let scores = [
            f32::NEG_INFINITY,
            -f32::MAX,
            -1.5,
            -f32::MIN_POSITIVE,
            0.0,
            f32::MIN_POSITIVE,
            1.0,
            f32::MAX,
            f32::INFINITY,
        ];
        let keys = scores.map(key_of);
        assert!(keys.is_sorted_by(|a, b| a < b) && keys[0] > NO_KEY);
        assert_eq!(keys.map(score_of), scores);
        assert_eq!(key_of(-0.0), key_of(0.0));
        for nan in [f32::NAN, -f32::NAN] {
            assert!(key_of(nan) > key_of(f32::INFINITY) && score_of(key_of(nan)).is_nan());
        }
    }
}

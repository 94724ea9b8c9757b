//! Randomness: one seed, one independent stream for each use of it.
//!
//! ChaCha8 counts in streams, so what one stage draws never shifts what another one gets, on any machine.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Split = 1,
    Oversample = 2,
    /// One stream an epoch.
    Shuffle = 3,
    Synthetic = 4,
    /// One stream a resample.
    Bootstrap = 5,
    /// Whom an evaluation ranks for, if not for all.
    RankedUsers = 6,
    /// One stream a user.
    SampledNegatives = 7,
    /// One stream a trial.
    Sweep = 8,
    Centres = 9,
    /// One stream a step.
    Negatives = 10,
    /// Whom a training ranks for after each epoch.
    ValidRankings = 11,
}

/// The `number`-th stream of a purpose.
pub fn stream(seed: u64, purpose: Purpose, number: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((purpose as u64) << 32 | u64::from(number));
    rng
}

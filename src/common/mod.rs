//! What knows nothing of recommenders: calendars, factorisations, numbers in words, hints, randomness, the machine's memory.

pub mod calendar;
pub mod cholesky;
pub mod format;
pub mod hint;
pub mod interaction;
pub mod random;
pub mod system_memory;

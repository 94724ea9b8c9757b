//! What knows nothing of recommenders: blocks of numbers, calendars, factorisations, files, numbers in words, hints, randomness, the machine's memory,
//! text of others.

pub mod block;
pub mod calendar;
pub mod cholesky;
pub mod file_lock;
pub mod format;
pub mod hint;
pub mod interaction;
pub mod random;
pub mod regular_file;
pub mod system_memory;
pub mod visible;
pub mod whole_file;

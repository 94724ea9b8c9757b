//! Benchmarks: how fast the real paths are on this machine, and how fast this machine's memory would let them be.
//!
//! Pure measuring: each returns a struct of figures and prints nothing. Inputs are generated in memory, so no file is needed.
//! Ratios count: the machine's own rates are measured in the same run, beside the figure that is judged by them.

pub mod agreement;
pub mod proof;
pub mod ratings;
pub mod score;
pub mod train;
pub mod workgroups;

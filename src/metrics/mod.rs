//! Metrics: pure functions on slices, in f64, each with its definition.

pub mod rating;

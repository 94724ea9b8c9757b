//! Metrics: pure functions on slices, in f64, each with its definition.
//!
//! What is not defined is `None`, never a zero or a NaN that could be taken for a result. Held against scikit-learn, ranx,
//! pytrec_eval and Microsoft's recommenders by golden files (`scripts/make_golden_metrics.py`).

pub mod bootstrap;
pub mod calibration;
pub mod catalogue;
pub mod classes;
pub mod curves;
pub mod ranking;
pub mod rating;

#[cfg(test)]
mod golden;

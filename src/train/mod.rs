//! Training: burn-train's learner around an engine of ours.

pub mod event;

//! Training: burn-train's learner around an engine of ours. Knows no screen: it sends events.

pub mod checkpoint;
mod epoch;
pub mod event;
pub mod learner;
pub mod loader;
pub mod metrics;
pub mod renderer;
pub mod stopping;
pub mod strategy;

//! Training: burn-train's learner around an engine of ours. Knows no screen: it sends events.

pub mod checkpoint;
pub mod clock;
mod epoch;
pub mod event;
pub mod event_log;
pub mod learner;
pub mod loader;
pub mod metrics;
pub mod rankings;
pub mod renderer;
mod save_pace;
pub mod stopping;
pub mod strategy;
pub mod wishes;

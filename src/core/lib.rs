//! What dotcart computes on the host: tables of ratings become columns, the cpu engine learns of them, metrics judge it.
//!
//! The lower floors of the house whose architecture the crate `dotcart` describes. They know nothing of burn, of a graphics device, of a
//! run's files or of a screen, so they are built and tested without them: `cargo test --package dotcart-core`.

pub mod centre;
pub mod common;
pub mod config;
pub mod data;
pub mod engine;
pub mod metrics;

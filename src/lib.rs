//! dotcart

pub mod config;
pub mod dashboard;
pub mod engine;
pub mod format;
pub mod interaction;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod train;

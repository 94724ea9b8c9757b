//! dotcart

pub mod config;
pub mod engine;
pub mod interaction;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod train;

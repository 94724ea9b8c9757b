//! dotcart

pub mod config;
pub mod data;
pub mod engine;
pub mod interaction;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod random;
pub mod train;

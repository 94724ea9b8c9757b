//! dotcart

pub mod artifact;
pub mod config;
pub mod data;
pub mod engine;
pub mod evaluate;
pub mod interaction;
pub mod metrics;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod random;
pub mod recommend;
pub mod train;

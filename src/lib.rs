//! dotcart

pub mod artifact;
pub mod cli;
pub mod config;
pub mod dashboard;
pub mod data;
pub mod engine;
pub mod evaluate;
pub mod format;
pub mod interaction;
pub mod metrics;
pub mod model;
pub mod optimizer;
pub mod pipeline;
pub mod plan;
pub mod random;
pub mod recommend;
pub mod train;

//! dotcart

pub mod config;
pub mod device;
pub mod engine;
pub mod interaction;
pub mod launch;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod shader;
pub mod train;

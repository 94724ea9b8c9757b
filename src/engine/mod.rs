//! Engines on devices, beside the contract and the cpu engine of [`dotcart_core::engine`], all of which stands here too.
//!
//! Every file of `gpu` is a shader's launcher, and the file of the same name under `cpu` is the shader's twin. [`open`] chooses.

pub mod gpu;
pub mod memory;
pub mod open;

pub use dotcart_core::engine::*;

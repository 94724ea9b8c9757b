//! The kernels: what Rust and WGSL have to agree on, each kernel against its twin, both engines against each other.

mod choices;
#[path = "../common/needs.rs"]
mod needs;
mod pairs;
mod proof;
mod ranking;
mod rows;
mod shaders;
mod support;
mod trainer;

//! Launches `shaders/tile_scores.wgsl`: the keys of all items of each query's chosen tiles.
//!
//! Bytes for each item of a chosen tile: reads 4 dim + 4, writes 4. Users do not share tiles here, so this is the price of not
//! storing the scores the first time: `k` [`TILE`] items a user, beside all of them in `tile_best`.

use super::constants;
use super::tile_best::TILE;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(tile_scores),
    bindings: &[
        input("users"),
        input("seen"),
        input("items"),
        input("biases"),
        input("chosen"),
        output("keys"),
    ],
    params: Params::LAYOUT,
    workgroup: Some(TILE as u32),
};

params! {
    pub struct Params {
        pub queries: u32,
        /// Tiles of each query, or places for them.
        pub slots: u32,
        /// Items of the page, and the first tile of all that they make up.
        pub items: u32,
        pub first_tile: u32,
    }
}

#[derive(Clone, Debug)]
pub struct TileScores {
    kernel: Kernel,
}

impl TileScores {
    pub fn new(dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &constants(dim));
        Self { kernel }
    }

    /// Queues all slots of all queries.
    pub fn launch(
        &self,
        gpu: Gpu,
        users: &Buffer,
        seen: &Buffer,
        items: &Buffer,
        biases: &Buffer,
        chosen: &Buffer,
        keys: &Buffer,
        params: &Params,
    ) {
        let buffers = [users, seen, items, biases, chosen, keys];
        let workgroups = params.queries as usize * params.slots as usize;
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

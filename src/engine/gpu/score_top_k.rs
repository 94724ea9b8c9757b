//! Launches `shaders/score_top_k.wgsl`: each query's best unseen items of every tile; lays the items out for it.

use super::constants;
use crate::device::{Buffer, Gpu};
use crate::launch::{Kernel, KernelSpec, input, output, params};
use crate::model::ROW_HEADER;

/// Items of a tile: one a thread of the workgroup.
pub const TILE: usize = 256;
/// Queries that a workgroup serves with one pass over its tile.
pub const QUERIES: usize = 8;
/// The item of a place that nothing is left for.
pub const NO_ITEM: u32 = u32::MAX;
/// The key of such a place, below that of any score.
pub const NO_KEY: u32 = 1;

pub const SPEC: KernelSpec = KernelSpec {
    name: "score_top_k",
    bindings: &[
        input("users"),
        input("seen"),
        input("items"),
        input("biases"),
        output("lists"),
    ],
    params: Params::LAYOUT,
    workgroup: "TILE",
};

params! {
    pub struct Params {
        pub queries: u32,
        pub tiles: u32,
        /// The item that the first tile begins with, and the items of all tiles.
        pub first_item: u32,
        pub items: u32,
        /// Places of a list, at most [`TILE`].
        pub list_len: u32,
    }
}

#[derive(Clone, Debug)]
pub struct ScoreTopK {
    kernel: Kernel,
}

impl ScoreTopK {
    pub fn new(dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &constants(dim));
        Self { kernel }
    }

    /// Queues all tiles for all queries.
    pub fn launch(
        &self,
        gpu: Gpu,
        users: &Buffer,
        seen: &Buffer,
        items: &Buffer,
        biases: &Buffer,
        lists: &Buffer,
        params: &Params,
    ) {
        let workgroups = params.tiles as usize * (params.queries as usize).div_ceil(QUERIES);
        let buffers = [users, seen, items, biases, lists];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

/// Factor rows of items in the kernel's order: weights `[tiles, dim / 4, TILE]` of four, biases `[tiles, TILE]`; the last
/// tile is filled up with zeros.
pub fn lay_out(rows: &[f32], dim: usize) -> (Vec<f32>, Vec<f32>) {
    let length = ROW_HEADER + dim;
    let tiles = (rows.len() / length).div_ceil(TILE);
    let mut weights = vec![0.0; tiles * dim * TILE];
    let mut biases = vec![0.0; tiles * TILE];
    let tiles = weights.chunks_exact_mut(dim * TILE).zip(biases.chunks_exact_mut(TILE));
    for (rows, (weights, biases)) in rows.chunks(TILE * length).zip(tiles) {
        for (number, row) in rows.chunks_exact(length).enumerate() {
            biases[number] = row[0];
            for (column, four) in row[ROW_HEADER..].chunks_exact(4).enumerate() {
                weights[(column * TILE + number) * 4..][..4].copy_from_slice(four);
            }
        }
    }
    (weights, biases)
}

/// The score that a key stands for.
pub fn score_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & 0x7FFF_FFFF } else { !key })
}

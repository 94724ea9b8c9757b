//! Launches `shaders/tile_best.wgsl`: the key of each tile's best unseen item, for each query; lays users and items out for it.
//!
//! For each score the kernel takes `4 dim / QUERIES` bytes of items from a cache, `4 dim / queries` from memory, since
//! neighbouring workgroups share a block, and writes `4 / TILE`. A thread has the sums of two items with 16 users in
//! registers, which every card of the last decade has room for: a vec4 from workgroup memory then feeds eight
//! multiplications, one from the items sixteen to a user's four.
//!
//! The first 64 columns are written out, as a card's compiler would. Mesa's software driver fetches eight threads' words one by
//! one, except where all of them read one word at an index that is constant, outside of any loop, branch or early return: then
//! it is one instruction, and a multiplication takes a third of the time. Beyond 64 columns it is a loop all the same, or the
//! code would outgrow a card's instruction cache. One item a thread would be a third faster on that driver and cost a card
//! twice the reads of workgroup memory: there the card's interest went first.

use super::constants;
use crate::engine::Query;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::model::ROW_HEADER;
use std::ops::Range;

/// Items of a tile: of each query's `k` best tiles all items are scored again, so smaller tiles mean less work there and more
/// keys to choose from.
pub const TILE: usize = 64;
/// Items of a block, which a workgroup takes.
pub const BLOCK: usize = 256;
/// Queries of a group, which a workgroup serves with one pass over its block.
pub const QUERIES: usize = 16;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(tile_best),
    bindings: &[
        input("users"),
        input("seen"),
        input("items"),
        input("biases"),
        output("keys"),
    ],
    params: Params::LAYOUT,
    // Two items a thread.
    workgroup: Some(BLOCK as u32 / 2),
};

params! {
    pub struct Params {
        pub queries: u32,
        /// Blocks of the page, its items, and the first tile of all that they make up.
        pub blocks: u32,
        pub items: u32,
        pub first_tile: u32,
        /// Tiles of all pages.
        pub tiles: u32,
    }
}

#[derive(Clone, Debug)]
pub struct TileBest {
    kernel: Kernel,
}

impl TileBest {
    pub fn new(dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &constants(dim));
        Self { kernel }
    }

    /// Queues all blocks for all queries.
    pub fn launch(
        &self,
        gpu: Gpu,
        users: &Buffer,
        seen: &Buffer,
        items: &Buffer,
        biases: &Buffer,
        keys: &Buffer,
        params: &Params,
    ) {
        let workgroups = params.blocks as usize * (params.queries as usize).div_ceil(QUERIES);
        let buffers = [users, seen, items, biases, keys];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

/// Some items in the kernel's order: weights `[blocks, dim / 4, BLOCK]` of four, biases `[blocks, BLOCK]`; the last block is
/// filled up with zeros. Panics if an item is not there.
pub fn lay_out_items(rows: ItemRows, items: Range<usize>) -> (Vec<f32>, Vec<f32>) {
    let blocks = items.len().div_ceil(BLOCK);
    let mut weights = vec![0.0; blocks * rows.dim() * BLOCK];
    let mut biases = vec![0.0; blocks * BLOCK];
    for (place, item) in items.enumerate() {
        biases[place] = rows.bias(item);
        let block = &mut weights[place / BLOCK * rows.dim() * BLOCK..];
        for (column, four) in rows.weights(item).chunks_exact(4).enumerate() {
            block[(column * BLOCK + place % BLOCK) * 4..][..4].copy_from_slice(four);
        }
    }
    (weights, biases)
}

/// The queries' users in the kernel's order: `[groups, dim, QUERIES]`, the last group filled up with zeros.
pub fn lay_out_users(queries: &[Query], dim: usize) -> Vec<f32> {
    let mut columns = vec![0.0; queries.len().div_ceil(QUERIES) * dim * QUERIES];
    let groups = queries.chunks(QUERIES).zip(columns.chunks_exact_mut(dim * QUERIES));
    for (queries, columns) in groups {
        for (number, query) in queries.iter().enumerate() {
            for (column, &weight) in query.user[ROW_HEADER..].iter().enumerate() {
                columns[column * QUERIES + number] = weight;
            }
        }
    }
    columns
}

/// Where each query's seen items begin, `[queries + 1]`, then the items: positions in this very array.
pub fn lay_out_seen(queries: &[Query]) -> Vec<u32> {
    let mut words = Vec::with_capacity(queries.len() + 1 + queries.iter().map(|query| query.seen.len()).sum::<usize>());
    let mut start = queries.len() as u32 + 1;
    words.push(start);
    for query in queries {
        start += query.seen.len() as u32;
        words.push(start);
    }
    for query in queries {
        words.extend_from_slice(bytemuck::cast_slice(query.seen));
    }
    words
}

//! Launches `shaders/select_top_k.wgsl`: the k largest keys of each query, in the order of their positions.
//!
//! Bytes for each key: 4, read six times over, five of them from a cache.

use super::{MAX_TRIPS, constants};
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;

/// Threads of a workgroup: one for each value of a byte.
const THREADS: usize = 256;
/// The position of a place that nothing is left for.
pub const NO_PLACE: u32 = u32::MAX;
/// The most keys of a query: a thread looks at its share of them six times, and a little more.
pub const MAX_KEYS: usize = (MAX_TRIPS - 256) / 6 * THREADS;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(select_top_k),
    bindings: &[input("keys"), output("chosen")],
    params: Params::LAYOUT,
    workgroup: Some(THREADS as u32),
};

params! {
    pub struct Params {
        pub queries: u32,
        /// Keys of a query.
        pub count: u32,
        /// Places of a query.
        pub k: u32,
    }
}

#[derive(Clone, Debug)]
pub struct SelectTopK {
    kernel: Kernel,
}

impl SelectTopK {
    pub fn new(dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &constants(dim));
        Self { kernel }
    }

    /// Queues all queries. Panics if one has more than [`MAX_KEYS`] keys.
    pub fn launch(&self, gpu: Gpu, keys: &Buffer, chosen: &Buffer, params: &Params) {
        assert!(
            params.count as usize <= MAX_KEYS,
            "select_top_k: {} keys of a query are more than {MAX_KEYS}",
            params.count
        );
        gpu.launch(&self.kernel, &[keys, chosen], params, params.queries as usize);
    }
}

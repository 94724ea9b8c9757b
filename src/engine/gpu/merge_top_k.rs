//! Launches `shaders/merge_top_k.wgsl`: up to [`FAN_IN`] ranked lists of a query into one.

use super::{WORKGROUP, constants};
use crate::device::{Buffer, Gpu};
use crate::launch::{Kernel, KernelSpec, input, output, params};

/// Lists that one launch merges into one.
pub const FAN_IN: usize = 16;

pub const SPEC: KernelSpec = KernelSpec {
    name: "merge_top_k",
    bindings: &[input("lists"), output("merged")],
    params: Params::LAYOUT,
    workgroup: "WORKGROUP",
};

params! {
    pub struct Params {
        pub queries: u32,
        /// Lists of a query, and places of each.
        pub lists: u32,
        pub list_len: u32,
        /// Merged lists of a query that this launch makes: `lists / FAN_IN`, rounded up.
        pub groups: u32,
        /// Merged lists of a query that the output has room for, the first of these, and places of each.
        pub merged_lists: u32,
        pub first_merged: u32,
        pub merged_len: u32,
        /// Threads of a group: `max(FAN_IN * list_len, merged_len)`.
        pub span: u32,
    }
}

impl Params {
    /// Merges `[queries, lists, list_len]` into a `[queries, groups, min(k, ...)]` of its own.
    pub fn level(queries: usize, lists: usize, list_len: usize, k: usize) -> Self {
        let groups = lists.div_ceil(FAN_IN);
        let merged_len = k.min(FAN_IN * list_len);
        Self::new(queries, lists, list_len, groups, 0, merged_len)
    }

    /// Merges at most [`FAN_IN`] lists of each query into list `first_merged` of a `[queries, merged_lists, k]`.
    pub fn last(
        queries: usize,
        lists: usize,
        list_len: usize,
        merged_lists: usize,
        first_merged: usize,
        k: usize,
    ) -> Self {
        assert!(lists <= FAN_IN, "merge_top_k: {lists} lists are not the last");
        Self::new(queries, lists, list_len, merged_lists, first_merged, k)
    }

    fn new(
        queries: usize,
        lists: usize,
        list_len: usize,
        merged_lists: usize,
        first_merged: usize,
        merged_len: usize,
    ) -> Self {
        Self {
            queries: queries as u32,
            lists: lists as u32,
            list_len: list_len as u32,
            groups: lists.div_ceil(FAN_IN) as u32,
            merged_lists: merged_lists as u32,
            first_merged: first_merged as u32,
            merged_len: merged_len as u32,
            span: (FAN_IN * list_len).max(merged_len) as u32,
        }
    }
}

#[derive(Clone, Debug)]
pub struct MergeTopK {
    kernel: Kernel,
}

impl MergeTopK {
    pub fn new(dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &constants(dim));
        Self { kernel }
    }

    /// Queues all groups of all queries.
    pub fn launch(&self, gpu: Gpu, lists: &Buffer, merged: &Buffer, params: &Params) {
        let threads = params.queries as usize * params.groups as usize * params.span as usize;
        gpu.launch(&self.kernel, &[lists, merged], params, threads.div_ceil(WORKGROUP));
    }
}

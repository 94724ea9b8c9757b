//! Launches `shaders/update_head.wgsl`: the batch's sums, then Adam on scale and bias.

use super::{WORKGROUP, constants};
use crate::device::{Buffer, Gpu};
use crate::launch::{Kernel, KernelSpec, input, output, params};

pub const SPEC: KernelSpec = KernelSpec {
    name: "update_head",
    bindings: &[input("partials"), output("head"), output("statistics")],
    params: Params::LAYOUT,
    workgroup: WORKGROUP as u32,
};

params! {
    pub struct Params {
        /// Partial sums of the step.
        pub partials: u32,
        /// Where the step's loss goes in the statistics.
        pub statistics_at: u32,
        pub step_size: f32,
    }
}

#[derive(Clone, Debug)]
pub struct UpdateHead {
    kernel: Kernel,
}

impl UpdateHead {
    pub fn new(dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &constants(dim));
        Self { kernel }
    }

    /// Queues the one workgroup.
    pub fn launch(&self, gpu: Gpu, partials: &Buffer, head: &Buffer, statistics: &Buffer, params: &Params) {
        gpu.launch(&self.kernel, &[partials, head, statistics], params, 1);
    }
}

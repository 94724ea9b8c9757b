//! Launches `shaders/update_rows.wgsl`: gradient, catch-up and Adam for the touched rows of one page.

use super::{WORKGROUP, constants, workgroups};
use crate::device::{Buffer, Gpu};
use crate::launch::{Kernel, KernelSpec, input, output, params};

pub const SPEC: KernelSpec = KernelSpec {
    name: "update_rows",
    bindings: &[
        input("plan"),
        input("schedule"),
        input("gradient"),
        input("other"),
        input("piece_sums"),
        output("records"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: WORKGROUP as u32,
};

params! {
    pub struct Params {
        /// Where the parts of this side begin in the plan.
        pub rows_at: u32,
        pub starts_at: u32,
        pub first_piece_at: u32,
        pub samples_at: u32,
        /// Where the samples' slots on the other side begin in the plan.
        pub other_slots_at: u32,
        /// The page's slots: the first and how many.
        pub first_slot: u32,
        pub slots: u32,
        /// Samples of the batch, compact rows of the other side, pieces of this side.
        pub samples: u32,
        pub other_rows: u32,
        pub pieces: u32,
        /// The page's rows: the first and how many.
        pub first_row: u32,
        pub page_rows: u32,
        /// The step that is taken.
        pub step: u32,
        /// 1 if rows outside a batch stand still.
        pub lazy: u32,
        /// `2 l2 / samples`.
        pub l2_share: f32,
    }
}

#[derive(Clone, Debug)]
pub struct UpdateRows {
    kernel: Kernel,
    dim: usize,
}

impl UpdateRows {
    pub fn new(dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &constants(dim));
        Self { kernel, dim }
    }

    /// Queues one page.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        schedule: &Buffer,
        gradient: &Buffer,
        other: &Buffer,
        piece_sums: &Buffer,
        records: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let workgroups = workgroups(params.slots as usize, self.dim);
        let buffers = [plan, schedule, gradient, other, piece_sums, records, status];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

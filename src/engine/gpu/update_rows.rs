//! Launches `shaders/update_rows.wgsl`: gradient and Adam for the touched rows of one page.

use super::WORKGROUP;
use super::teams::Teams;
use crate::device::{Buffer, Gpu};
use crate::launch::{Kernel, KernelSpec, input, output, params};

pub const SPEC: KernelSpec = KernelSpec {
    name: "update_rows",
    bindings: &[
        input("plan"),
        input("gradient"),
        input("other"),
        input("settled"),
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
        /// The optimiser's step size at that step.
        pub step_size: f32,
        /// `2 l2 / samples`.
        pub l2_share: f32,
    }
}

#[derive(Clone, Debug)]
pub struct UpdateRows {
    kernel: Kernel,
    teams: Teams,
}

impl UpdateRows {
    pub fn new(teams: Teams) -> Self {
        let kernel = Kernel::new(&SPEC, &teams.constants());
        Self { kernel, teams }
    }

    /// Queues one page.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        gradient: &Buffer,
        other: &Buffer,
        settled: &Buffer,
        piece_sums: &Buffer,
        records: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let workgroups = self.teams.workgroups(params.slots as usize);
        let buffers = [plan, gradient, other, settled, piece_sums, records, status];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

//! Launches `shaders/sum_pieces.wgsl`: the gradient sums of the pieces of long rows.
//!
//! Bytes for each sample of a long row: reads 12 (number, slot, gradient) and 4 dim of a compact row; for each piece: reads 8,
//! writes 16 + 4 dim. A team that needs several passes for its columns reads the 12 once a pass.

use super::teams::Teams;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::plan::SideLayout;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(sum_pieces),
    bindings: &[
        input("plan"),
        input("gradient"),
        input("other"),
        output("sums"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: None,
};

params! {
    pub struct Params {
        /// Where the pieces begin in the plan, and how many there are.
        pub pieces_at: u32,
        pub pieces: u32,
        /// Where the samples grouped by row begin in the plan, and how many there are.
        pub samples_at: u32,
        pub samples: u32,
        /// Where the samples' slots on the other side begin in the plan, and its compact rows.
        pub other_slots_at: u32,
        pub other_rows: u32,
    }
}

impl Params {
    /// Of all pieces of one side of a step, beside the other side.
    pub fn of(layout: &SideLayout, other: &SideLayout) -> Self {
        Self {
            pieces_at: layout.pieces.start as u32,
            pieces: layout.piece_count() as u32,
            samples_at: layout.samples.start as u32,
            samples: layout.slots.len() as u32,
            other_slots_at: other.slots.start as u32,
            other_rows: other.row_count() as u32,
        }
    }
}

#[derive(Clone, Debug)]
pub struct SumPieces {
    kernel: Kernel,
    teams: Teams,
}

impl SumPieces {
    pub fn new(teams: Teams) -> Self {
        let kernel = Kernel::new(&SPEC, &teams.constants());
        Self { kernel, teams }
    }

    /// Queues all pieces.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        gradient: &Buffer,
        other: &Buffer,
        sums: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let workgroups = self.teams.workgroups(params.pieces as usize);
        let buffers = [plan, gradient, other, sums, status];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

//! Launches `shaders/pair_logits.wgsl`: the logit of each sample from the compact rows of both sides.
//!
//! Bytes for each sample: reads 8 (slots) and 2 (4 + 4 dim) of compact rows, writes 4.

use super::teams::Teams;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::plan::SideLayout;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(pair_logits),
    bindings: &[
        input("plan"),
        input("users"),
        input("items"),
        input("head"),
        output("logits"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: None,
};

params! {
    pub struct Params {
        pub samples: u32,
        /// Where the samples' slots begin in the plan.
        pub user_slots_at: u32,
        pub item_slots_at: u32,
        /// Compact rows of each side.
        pub user_rows: u32,
        pub item_rows: u32,
    }
}

impl Params {
    /// Of all samples of a step.
    pub fn of([users, items]: [&SideLayout; 2]) -> Self {
        Self {
            samples: users.slots.len() as u32,
            user_slots_at: users.slots.start as u32,
            item_slots_at: items.slots.start as u32,
            user_rows: users.row_count() as u32,
            item_rows: items.row_count() as u32,
        }
    }
}

#[derive(Clone, Debug)]
pub struct PairLogits {
    kernel: Kernel,
    teams: Teams,
}

impl PairLogits {
    pub fn new(teams: Teams) -> Self {
        let kernel = Kernel::new(&SPEC, &teams.constants());
        Self { kernel, teams }
    }

    /// Queues all samples.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        users: &Buffer,
        items: &Buffer,
        head: &Buffer,
        logits: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let workgroups = self.teams.workgroups(params.samples as usize);
        let buffers = [plan, users, items, head, logits, status];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

//! Launches `shaders/pair_forward.wgsl`: loss and gradient of each sample, and the sums for the head.
//!
//! Bytes for each sample: reads 16 (slots, target, weight) and 2 (4 + 4 dim) of compact rows, writes 4, and 16 a group of
//! samples. The compact rows of a batch are what `gather_rows` has just written: most of these reads are met by a cache.

use super::teams::Teams;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::model::Side;
use crate::engine::plan::StepLayout;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(pair_forward),
    bindings: &[
        input("plan"),
        input("users"),
        input("items"),
        input("head"),
        output("gradient"),
        output("partials"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: None,
};

params! {
    pub struct Params {
        pub samples: u32,
        /// Where the samples' slots, targets and weights begin in the plan.
        pub user_slots_at: u32,
        pub item_slots_at: u32,
        pub targets_at: u32,
        pub weights_at: u32,
        /// Compact rows of each side.
        pub user_rows: u32,
        pub item_rows: u32,
        /// `1 / samples`.
        pub each: f32,
        /// Of the loss that ratings have.
        pub rating_share: f32,
    }
}

impl Params {
    /// Of all samples of a step; `rating_share`: of the loss that ratings have.
    pub fn of(step: &StepLayout, rating_share: f32) -> Self {
        let [users, items] = Side::BOTH.map(|side| step.side(side));
        Self {
            samples: step.batch() as u32,
            user_slots_at: users.slots.start as u32,
            item_slots_at: items.slots.start as u32,
            targets_at: step.targets.start as u32,
            weights_at: step.weights.start as u32,
            user_rows: users.row_count() as u32,
            item_rows: items.row_count() as u32,
            each: 1.0 / step.batch() as f32,
            rating_share,
        }
    }
}

#[derive(Clone, Debug)]
pub struct PairForward {
    kernel: Kernel,
    teams: Teams,
}

impl PairForward {
    pub fn new(teams: Teams) -> Self {
        let kernel = Kernel::new(&SPEC, &teams.constants());
        Self { kernel, teams }
    }

    /// Partial sums that `samples` samples leave.
    pub fn partials(&self, samples: usize) -> usize {
        self.teams.workgroups(samples)
    }

    /// Queues all samples.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        users: &Buffer,
        items: &Buffer,
        head: &Buffer,
        gradient: &Buffer,
        partials: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let workgroups = self.partials(params.samples as usize);
        let buffers = [plan, users, items, head, gradient, partials, status];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

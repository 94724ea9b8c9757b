//! Launches `shaders/update_head.wgsl`: the batch's sums, then the optimiser's step of scale and bias.
//!
//! Bytes: reads 16 for each group of `pair_forward`; nothing else counts.

use super::teams::Teams;
use super::{WORKGROUP, training_constants};
use crate::config::OptimizerChoice;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::optimizer::Schedule;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(update_head),
    bindings: &[input("partials"), output("head"), output("statistics")],
    params: Params::LAYOUT,
    workgroup: Some(WORKGROUP as u32),
};

params! {
    pub struct Params {
        /// Partial sums of the step.
        pub partials: u32,
        /// Where the step's loss goes in the statistics.
        pub statistics_at: u32,
        pub step_size: f32,
        /// Gradients are clamped to `[-clip, clip]`.
        pub clip: f32,
        /// 1 if the scale stays as it is, with its state.
        pub holds_scale: u32,
    }
}

impl Params {
    /// Of step `step`, whose loss goes to `statistics_at`.
    pub fn of(partials: usize, statistics_at: usize, schedule: &Schedule, step: u32) -> Self {
        Self {
            partials: partials as u32,
            statistics_at: statistics_at as u32,
            step_size: schedule.step_size(step),
            clip: schedule.clip(),
            holds_scale: u32::from(schedule.holds_scale()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct UpdateHead {
    kernel: Kernel,
}

impl UpdateHead {
    pub fn new(teams: Teams, optimizer: OptimizerChoice) -> Self {
        let kernel = Kernel::new(&SPEC, &training_constants(teams, optimizer));
        Self { kernel }
    }

    /// Queues the one workgroup.
    pub fn launch(&self, gpu: Gpu, partials: &Buffer, head: &Buffer, statistics: &Buffer, params: &Params) {
        gpu.launch(&self.kernel, &[partials, head, statistics], params, 1);
    }
}

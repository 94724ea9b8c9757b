//! Launches `shaders/choice_gradient.wgsl`: from the scores of a user to the loss and the gradients of their choices.
//!
//! Bytes for each score: reads 12 and writes 4 with softmax, reads 4 a sample and 4, writes 4 with bpr, reads 4 and writes 4 with
//! bce, nearly all from a cache; with the latter two its offset comes from one. For each sample: reads 12 and writes 4.
//!
//! Softmax and bce take a time in proportion to a user's samples and scores, bpr to their product.

use super::teams::Teams;
use super::{MAX_TRIPS, choice_constants};
use crate::config::ChoiceLoss;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::model::Side;
use crate::engine::plan::ChoiceLayout;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(choice_gradient),
    bindings: &[
        input("plan"),
        input("appeals"),
        output("scores"),
        output("gradient"),
        output("partials"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: None,
};

params! {
    pub struct Params {
        pub users: u32,
        pub draws: u32,
        pub samples: u32,
        /// Where the first samples of the users, the weights of samples as choices and the draws' offsets begin in the plan.
        pub starts_at: u32,
        pub choices_at: u32,
        pub draw_offsets_at: u32,
        /// The loss's share of all, a sample.
        pub scale: f32,
        /// `1 / samples`.
        pub each: f32,
    }
}

impl Params {
    /// Of all users of a step; `share`: of the loss that choices have.
    pub fn of(choice: &ChoiceLayout, share: f32) -> Self {
        let users = choice.side(Side::User);
        let samples = choice.choices.len();
        Self {
            users: users.row_count() as u32,
            draws: choice.draws() as u32,
            samples: samples as u32,
            starts_at: users.starts.start as u32,
            choices_at: choice.choices.start as u32,
            draw_offsets_at: choice.draw_offsets.start as u32,
            scale: share / samples as f32,
            each: 1.0 / samples as f32,
        }
    }
}

/// Samples of one user that a thread's loops take within [`MAX_TRIPS`] turns, beside `draws` drawn items.
pub fn most_samples(teams: Teams, loss: ChoiceLoss, draws: usize) -> usize {
    let fours = draws.div_ceil(4);
    // Of each lane, the sums over a team's lanes and a workgroup's threads included.
    let rest = 1_000;
    let trips = MAX_TRIPS - rest;
    match loss {
        ChoiceLoss::Softmax => trips.saturating_sub(3 * fours) / 2,
        ChoiceLoss::Bce => trips.saturating_sub(fours),
        // Each sample walks all scores once, and each lane's scores all samples.
        ChoiceLoss::Bpr => trips.saturating_sub(2 * fours) / (fours + fours.div_ceil(teams.lanes())).max(1),
    }
}

#[derive(Clone, Debug)]
pub struct ChoiceGradient {
    kernel: Kernel,
    teams: Teams,
}

impl ChoiceGradient {
    pub fn new(teams: Teams, loss: ChoiceLoss) -> Self {
        let kernel = Kernel::new(&SPEC, &choice_constants(teams, loss));
        Self { kernel, teams }
    }

    /// Partial sums that `users` users leave.
    pub fn partials(&self, users: usize) -> usize {
        self.teams.workgroups(users)
    }

    /// Queues all users.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        appeals: &Buffer,
        scores: &Buffer,
        gradient: &Buffer,
        partials: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let workgroups = self.partials(params.users as usize);
        let buffers = [plan, appeals, scores, gradient, partials, status];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

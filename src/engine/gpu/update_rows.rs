//! Launches `shaders/update_rows.wgsl`: gradient and Adam for the touched rows of one page.
//!
//! Bytes for each touched row of `dim` weights, Adam: reads 12 (its number, start and first piece), 16 + 4 dim (the settled
//! row, from a cache as a rule) and 8 dim (m, v; not of a row that no step has touched), writes 16 + 12 dim. Adagrad and SGD:
//! reads 12 and 16 + 4 dim, writes 16 + 4 dim. With a prior 8 more are read; with an extra gradient 4, and 16 + 4 dim a piece of
//! it. For each sample of a short row: reads 12 (number, slot, gradient) and 4 dim of a compact row, Adagrad twice; for each
//! piece of a long one 16 + 4 dim. A team that needs several passes for its columns reads the 12 of a sample once a pass.

use super::teams::Teams;
use super::training_constants;
use crate::config::OptimizerChoice;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::gpu::table::TouchedPage;
use crate::engine::optimizer::Schedule;
use crate::engine::plan::SideLayout;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(update_rows),
    bindings: &[
        input("plan"),
        input("gradient"),
        input("other"),
        input("settled"),
        input("piece_sums"),
        input("extra"),
        output("records"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: None,
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
        /// The optimiser's step size at that step.
        pub step_size: f32,
        /// Gradients are clamped to `[-clip, clip]`.
        pub clip: f32,
        /// `2 l2 / samples`.
        pub l2_share: f32,
        /// Where the pulls of the rows' prior begin in the plan, or [`crate::engine::plan::NO_PULLS`].
        pub pulls_at: u32,
        /// Where the rows' extra gradients are named in the plan, or [`crate::engine::plan::NO_EXTRAS`].
        pub extras_at: u32,
        /// Extra gradients, and the pieces that each consists of.
        pub extra_rows: u32,
        pub extra_pieces: u32,
        /// 0 if the sum of a bias counts as 0.
        pub learns_bias: u32,
    }
}

/// What the update of one side has in common, besides the layouts.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    pub schedule: &'a Schedule,
    /// The step that is taken.
    pub step: u32,
    pub l2: f32,
    pub learns_bias: bool,
    /// Extra gradients that the plan's `extras` name, and the pieces that each consists of; 0 where it names none.
    pub extra_rows: usize,
    pub extra_pieces: usize,
}

impl Params {
    /// Of a page's rows of one side of a step, beside the other side.
    pub fn of(layout: &SideLayout, other: &SideLayout, page: &TouchedPage, update: &Update) -> Self {
        let samples = layout.slots.len();
        Self {
            rows_at: layout.rows.start as u32,
            starts_at: layout.starts.start as u32,
            first_piece_at: layout.first_piece.start as u32,
            samples_at: layout.samples.start as u32,
            other_slots_at: other.slots.start as u32,
            first_slot: page.slots.start as u32,
            slots: page.slots.len() as u32,
            samples: samples as u32,
            other_rows: other.row_count() as u32,
            pieces: layout.piece_count() as u32,
            first_row: page.rows.start as u32,
            page_rows: page.rows.len() as u32,
            step: update.step,
            step_size: update.schedule.step_size(update.step),
            clip: update.schedule.clip(),
            l2_share: 2.0 * update.l2 / samples as f32,
            pulls_at: layout.pulls_at(),
            extras_at: layout.extras_at(),
            extra_rows: update.extra_rows as u32,
            extra_pieces: update.extra_pieces as u32,
            learns_bias: u32::from(update.learns_bias),
        }
    }
}

#[derive(Clone, Debug)]
pub struct UpdateRows {
    kernel: Kernel,
    teams: Teams,
}

impl UpdateRows {
    pub fn new(teams: Teams, optimizer: OptimizerChoice) -> Self {
        let kernel = Kernel::new(&SPEC, &training_constants(teams, optimizer));
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
        extra: &Buffer,
        records: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let workgroups = self.teams.workgroups(params.slots as usize);
        let buffers = [plan, gradient, other, settled, piece_sums, extra, records, status];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

//! Launches `shaders/gather_rows.wgsl`: the touched rows of one page, settled, into the compact buffer.
//!
//! Bytes for each touched row of `dim` weights: reads 4 (its number), 16 (header) and 12 dim (weight, m, v), writes
//! 16 + 4 dim. Where nothing was missed, and with every optimiser but Adam, m and v are not read: 4 dim instead of 12 dim.

use super::teams::Teams;
use super::training_constants;
use crate::config::OptimizerChoice;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::gpu::table::TouchedPage;
use crate::engine::plan::SideLayout;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(gather_rows),
    bindings: &[
        input("plan"),
        input("schedule"),
        input("records"),
        output("compact"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: None,
};

params! {
    pub struct Params {
        /// Where the rows begin in the plan.
        pub rows_at: u32,
        /// The page's slots: the first and how many.
        pub first_slot: u32,
        pub slots: u32,
        /// The page's rows: the first and how many.
        pub first_row: u32,
        pub page_rows: u32,
        /// The step at whose end the rows are wanted.
        pub now: u32,
        /// 1 if a row that no step touched reads as zeros.
        pub untouched_is_zero: u32,
    }
}

impl Params {
    /// Of a page's rows of one side of a step, as they stand at the end of step `now`.
    pub fn of(layout: &SideLayout, page: &TouchedPage, now: u32, untouched_is_zero: bool) -> Self {
        Self {
            rows_at: layout.rows.start as u32,
            first_slot: page.slots.start as u32,
            slots: page.slots.len() as u32,
            first_row: page.rows.start as u32,
            page_rows: page.rows.len() as u32,
            now,
            untouched_is_zero: u32::from(untouched_is_zero),
        }
    }
}

#[derive(Clone, Debug)]
pub struct GatherRows {
    kernel: Kernel,
    teams: Teams,
}

impl GatherRows {
    pub fn new(teams: Teams, optimizer: OptimizerChoice) -> Self {
        let kernel = Kernel::new(&SPEC, &training_constants(teams, optimizer));
        Self { kernel, teams }
    }

    /// Queues one page.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        schedule: &Buffer,
        records: &Buffer,
        compact: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let workgroups = self.teams.workgroups(params.slots as usize);
        let buffers = [plan, schedule, records, compact, status];
        gpu.launch(&self.kernel, &buffers, params, workgroups);
    }
}

//! The tables of one question and what a step on them works in.

use super::gather_rows::gather_rows;
use super::instruction_set::{InstructionSet, Work};
use super::prefetch::ROWS_AHEAD;
use super::rows::Rows;
use super::sum_pieces::Gradients;
use super::table::Table;
use super::update_rows::update_rows;
use super::walk::{ROWS_PER_TASK, rows_per_task};
use crate::engine::TrainerSetup;
use crate::engine::model::{ModelShape, Question, Side, Sides, start_records};
use crate::engine::optimizer::Schedule;
use crate::engine::plan::SidePlan;
use rayon::prelude::*;

/// Items that one task takes. Fewer than users: a bestseller is as much work as a hundred others.
const ITEMS_PER_TASK: usize = 64;

/// Records of users and of items, and buffers that are kept from step to step, so that none allocates.
pub struct Factors {
    pub shape: ModelShape,
    pub record_len: usize,
    pub tables: Sides<Table>,
    /// Compact rows of users and of items.
    pub compact: Sides<Vec<f32>>,
    pub gradient: Vec<f32>,
    /// Sums of the tasks of a step.
    pub partials: Vec<f32>,
}

impl Factors {
    /// Untrained tables. Runs on the pool that it is installed in.
    pub fn new(setup: &TrainerSetup, question: Question, shape: ModelShape) -> Self {
        let record_len = shape.record_len(setup.optimizer);
        let tables = Sides::of(|side| {
            let mut table = Table::zeroed(shape.rows(side) * record_len);
            let block = 1024;
            let records = table.words_mut().par_chunks_mut(block * record_len);
            records.enumerate().for_each(|(number, records)| {
                start_records(setup.seed, question, side, number * block, &shape, record_len, records);
            });
            table
        });
        Self {
            shape,
            record_len,
            tables,
            compact: Default::default(),
            gradient: Vec::new(),
            partials: Vec::new(),
        }
    }

    /// Gathers rows of a side into its compact rows, on all threads.
    pub fn gather(
        &mut self,
        instructions: InstructionSet,
        schedule: &Schedule,
        now: u32,
        untouched_is_zero: bool,
        side: Side,
        rows: &[u32],
    ) {
        let factor_len = self.shape.factor_len();
        let compact = &mut self.compact[side];
        compact.resize(rows.len() * factor_len, 0.0);
        let table = self.tables[side].words();
        let per_task = rows_per_task(rows.len(), ROWS_PER_TASK);
        compact
            .par_chunks_mut(per_task * factor_len)
            .zip(rows.par_chunks(per_task))
            .for_each(|(compact, rows)| {
                instructions.run(Gather {
                    rows,
                    table,
                    schedule,
                    now,
                    untouched_is_zero,
                    dim: self.shape.dim,
                    compact,
                })
            });
    }
}

/// One task of [`Factors::gather`].
struct Gather<'a> {
    rows: &'a [u32],
    table: &'a [f32],
    schedule: &'a Schedule,
    now: u32,
    untouched_is_zero: bool,
    dim: usize,
    compact: &'a mut [f32],
}

impl Work for Gather<'_> {
    #[inline(always)]
    fn run(self) {
        gather_rows(
            self.rows,
            self.table,
            0,
            self.schedule,
            self.now,
            self.untouched_is_zero,
            self.dim,
            self.compact,
            ROWS_AHEAD,
        );
    }
}

/// Updates the items of a step, on all threads; `settled` holds their compact rows.
pub fn update_items(
    instructions: InstructionSet,
    plan: &SidePlan,
    gradients: &Gradients,
    schedule: &Schedule,
    step: u32,
    settled: &[f32],
    records: &mut [f32],
    record_len: usize,
) {
    let update = |rows: Rows| {
        instructions.run(UpdateItems {
            plan,
            gradients,
            schedule,
            step,
            settled,
            rows,
        });
    };
    Rows::all(plan, records).for_each(ITEMS_PER_TASK, plan.rows, record_len, &update);
}

/// One task of [`update_items`].
struct UpdateItems<'a> {
    plan: &'a SidePlan<'a>,
    gradients: &'a Gradients<'a>,
    schedule: &'a Schedule,
    step: u32,
    settled: &'a [f32],
    rows: Rows<'a>,
}

impl Work for UpdateItems<'_> {
    #[inline(always)]
    fn run(self) {
        let Rows {
            slots,
            first_row,
            records,
        } = self.rows;
        let length = self.settled.len() / self.plan.rows.len();
        let settled = &self.settled[slots.start * length..slots.end * length];
        update_rows(
            self.plan,
            slots,
            self.gradients,
            self.schedule,
            self.step,
            settled,
            records,
            first_row,
            ROWS_AHEAD,
        );
    }
}

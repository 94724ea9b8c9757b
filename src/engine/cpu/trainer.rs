//! Training on threads: the order of a step's kernels, and who works on which rows.
//!
//! A step: gather the touched items; walk the users in small blocks, each gathered, scored and updated while its records stay
//! in the nearest cache (a batch is sorted by user, so a block's samples stand together); then update the items, whose
//! gradients need all users as they were. So each record comes from memory once, and the plan says which comes next.

use super::gather_rows::gather_rows;
use super::instruction_set::{InstructionSet, Work};
use super::pair_forward::{Samples, pair_forward};
use super::pair_logits::pair_logits;
use super::prefetch::ROWS_AHEAD;
use super::table::Table;
use super::thread_pool;
use super::update_head::update_head;
use super::update_rows::{Gradients, update_rows};
use crate::common::interaction::{ItemIndex, UserIndex};
use crate::engine::model::{Head, ModelShape, Side, start_records};
use crate::engine::optimizer::Schedule;
use crate::engine::plan::{PAIRS_PER_PLAN, PlanChunk, SidePlan, StepLayout, pair_plans};
use crate::engine::{EngineError, HeadState, START_HEAD, StepStatistics, Trainer, TrainerSetup};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Users that one task takes; their sums for the head make one partial.
const USERS_PER_TASK: usize = 256;
/// Users that pass through all kernels together: at dim 64 their records take 12 KiB.
const USERS_PER_BLOCK: usize = 16;
/// Items that one task takes. Fewer than users: a bestseller is as much work as a hundred others.
const ITEMS_PER_TASK: usize = 64;

/// Training on threads.
pub struct CpuTrainer {
    shape: ModelShape,
    l2: f32,
    schedule: Schedule,
    step: u32,
    head: HeadState,
    /// Records of users and of items.
    tables: [Table; 2],
    buffers: Buffers,
    pool: Arc<rayon::ThreadPool>,
    instructions: InstructionSet,
    seconds: [f64; STAGES.len()],
}

/// What [`Trainer::stages`] tells apart.
const STAGES: [&str; 4] = [
    "gather items",
    "users: gather, forward, update",
    "update items",
    "update head",
];

/// What a step works in; kept from step to step so that none allocates.
#[derive(Default)]
struct Buffers {
    compact: [Vec<f32>; 2],
    gradient: Vec<f32>,
    partials: Vec<[f32; 4]>,
}

impl CpuTrainer {
    /// An untrained model on `threads` threads; 0 = one a core.
    pub fn new(setup: &TrainerSetup, threads: usize) -> Self {
        let shape = setup.shape;
        let record_len = setup.record_len();
        let pool = thread_pool(threads);
        let tables = Side::BOTH.map(|side| {
            let mut table = Table::zeroed(shape.rows(side) * record_len);
            pool.install(|| {
                let block = 1024;
                let records = table.words_mut().par_chunks_mut(block * record_len);
                records.enumerate().for_each(|(number, records)| {
                    start_records(setup.seed, side, number * block, &shape, record_len, records);
                });
            });
            table
        });
        Self {
            shape,
            l2: setup.l2,
            schedule: setup.schedule(),
            step: 0,
            head: START_HEAD,
            tables,
            buffers: Buffers::default(),
            pool: Arc::new(pool),
            instructions: InstructionSet::best(),
            seconds: [0.0; STAGES.len()],
        }
    }

    /// The same training with the instructions of another set, to the same bytes.
    pub fn with_instructions(mut self, instructions: InstructionSet) -> Self {
        self.instructions = instructions;
        self
    }

    /// One step, inside the pool.
    fn take_step(&mut self, chunk: &PlanChunk, step: &StepLayout) -> StepStatistics {
        assert_eq!(step.step, self.step + 1, "CpuTrainer: steps come in order");
        let batch = step.batch();
        let [user_plan, item_plan] = Side::BOTH.map(|side| chunk.side(step, side));
        let dim = self.shape.dim;
        let factor_len = self.shape.factor_len();
        let record_len = self.shape.record_len(self.schedule.optimizer());
        let instructions = self.instructions;
        let Buffers {
            compact: [users, items],
            gradient,
            partials,
        } = &mut self.buffers;
        users.resize(user_plan.rows.len() * factor_len, 0.0);
        gradient.resize(batch, 0.0);
        partials.resize(user_plan.rows.len().div_ceil(USERS_PER_TASK), [0.0; 4]);
        let [user_table, item_table] = &mut self.tables;

        let clock = Instant::now();
        gather(
            instructions,
            item_table.words(),
            &self.shape,
            &self.schedule,
            self.step,
            false,
            item_plan.rows,
            items,
        );
        let gathered = clock.elapsed().as_secs_f64();

        let walk = UserWalk {
            plan: user_plan,
            samples: Samples {
                user_slots: user_plan.slots,
                item_slots: item_plan.slots,
                targets: chunk.targets(step),
                weights: chunk.weights(step),
            },
            items,
            head: Head {
                scale: self.head[0],
                bias: self.head[4],
            },
            schedule: &self.schedule,
            l2: self.l2,
            step: step.step,
            dim,
            record_len,
            instructions,
        };
        walk.all(UserTask {
            rows: Rows::all(&user_plan, user_table.words_mut()),
            compact: users,
            gradient,
            partials,
        });
        let walked = clock.elapsed().as_secs_f64();

        let gradients = Gradients {
            gradient,
            first_sample: 0,
            other_slots: user_plan.slots,
            other: users,
            l2: self.l2,
        };
        let schedule = &self.schedule;
        let update_items = |rows: Rows| {
            instructions.run(UpdateItems {
                plan: &item_plan,
                gradients: &gradients,
                schedule,
                step: step.step,
                settled: items,
                rows,
            });
        };
        Rows::all(&item_plan, item_table.words_mut()).for_each(item_plan.rows, record_len, &update_items);
        let updated = clock.elapsed().as_secs_f64();

        let loss = update_head(partials, &self.schedule, step.step, &mut self.head);
        self.step = step.step;
        let ends = [0.0, gathered, walked, updated, clock.elapsed().as_secs_f64()];
        for (total, pair) in self.seconds.iter_mut().zip(ends.windows(2)) {
            *total += pair[1] - pair[0];
        }
        StepStatistics {
            step: step.step,
            loss,
            samples: batch,
        }
    }
}

/// A run of slots with the part of the table that holds their rows, from `first_row` on.
struct Rows<'a> {
    slots: Range<usize>,
    first_row: usize,
    records: &'a mut [f32],
}

impl<'a> Rows<'a> {
    fn all(plan: &SidePlan, records: &'a mut [f32]) -> Self {
        Self {
            slots: 0..plan.rows.len(),
            first_row: 0,
            records,
        }
    }

    /// Cuts before slot `middle`: rows ascend, so the tables' parts do not meet.
    fn split(self, middle: usize, rows: &[u32], record_len: usize) -> (Self, Self) {
        let row = rows[middle] as usize;
        let (left, right) = self.records.split_at_mut((row - self.first_row) * record_len);
        let left = Self {
            slots: self.slots.start..middle,
            first_row: self.first_row,
            records: left,
        };
        let right = Self {
            slots: middle..self.slots.end,
            first_row: row,
            records: right,
        };
        (left, right)
    }

    /// Works on parts of [`ITEMS_PER_TASK`] slots, on all threads.
    fn for_each(self, rows: &[u32], record_len: usize, work: &(impl Fn(Rows) + Sync)) {
        match middle(&self.slots, ITEMS_PER_TASK) {
            None => work(self),
            Some(middle) => {
                let (left, right) = self.split(middle, rows, record_len);
                rayon::join(
                    || left.for_each(rows, record_len, work),
                    || right.for_each(rows, record_len, work),
                );
            }
        }
    }
}

/// Where slots are cut in two, at a whole number of tasks; `None` if they are one task.
fn middle(slots: &Range<usize>, per_task: usize) -> Option<usize> {
    let tasks = slots.len().div_ceil(per_task);
    (tasks > 1).then(|| slots.start + tasks / 2 * per_task)
}

/// What all users of a step need.
struct UserWalk<'a> {
    plan: SidePlan<'a>,
    samples: Samples<'a>,
    /// Compact rows of the items.
    items: &'a [f32],
    head: Head,
    schedule: &'a Schedule,
    l2: f32,
    step: u32,
    dim: usize,
    record_len: usize,
    instructions: InstructionSet,
}

/// A run of users with their parts of what they write.
struct UserTask<'a> {
    rows: Rows<'a>,
    compact: &'a mut [f32],
    gradient: &'a mut [f32],
    partials: &'a mut [[f32; 4]],
}

impl UserWalk<'_> {
    /// Samples of a run of slots: they stand together, since the batch is sorted by user.
    fn samples_of(&self, slots: &Range<usize>) -> Range<usize> {
        self.plan.starts[slots.start] as usize..self.plan.starts[slots.end] as usize
    }

    fn all(&self, task: UserTask) {
        let slots = task.rows.slots.clone();
        let Some(middle) = middle(&slots, USERS_PER_TASK) else {
            return self.instructions.run(Walk { step: self, task });
        };
        let (left_rows, right_rows) = task.rows.split(middle, self.plan.rows, self.record_len);
        let (left_compact, right_compact) = task
            .compact
            .split_at_mut((middle - slots.start) * (task.compact.len() / slots.len()));
        let (left_gradient, right_gradient) = task
            .gradient
            .split_at_mut(self.samples_of(&(slots.start..middle)).len());
        let (left_partials, right_partials) = task.partials.split_at_mut((middle - slots.start) / USERS_PER_TASK);
        let left = UserTask {
            rows: left_rows,
            compact: left_compact,
            gradient: left_gradient,
            partials: left_partials,
        };
        let right = UserTask {
            rows: right_rows,
            compact: right_compact,
            gradient: right_gradient,
            partials: right_partials,
        };
        rayon::join(|| self.all(left), || self.all(right));
    }
}

/// One task: block by block through all kernels.
struct Walk<'a> {
    step: &'a UserWalk<'a>,
    task: UserTask<'a>,
}

impl Work for Walk<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { step, task } = self;
        let Rows {
            slots,
            first_row,
            records,
        } = task.rows;
        let length = task.compact.len() / slots.len();
        let mut partial = [0.0; 4];
        let mut gradient = task.gradient;
        for (number, compact) in task.compact.chunks_mut(USERS_PER_BLOCK * length).enumerate() {
            let first = slots.start + number * USERS_PER_BLOCK;
            let block = first..(first + USERS_PER_BLOCK).min(slots.end);
            gather_rows(
                &step.plan.rows[block.clone()],
                records,
                first_row,
                step.schedule,
                step.step - 1,
                false,
                step.dim,
                compact,
                // Their records were asked for while the block before was updated.
                if number == 0 { ROWS_AHEAD } else { 0 },
            );
            let samples = step.samples_of(&block);
            let (here, rest) = gradient.split_at_mut(samples.len());
            gradient = rest;
            let sums = pair_forward(
                &step.samples,
                samples.start,
                compact,
                block.start,
                step.items,
                step.head,
                step.dim,
                here,
            );
            for (partial, sum) in partial.iter_mut().zip(sums) {
                *partial += sum;
            }
            let gradients = Gradients {
                gradient: here,
                first_sample: samples.start,
                other_slots: step.samples.item_slots,
                other: step.items,
                l2: step.l2,
            };
            update_rows(
                &step.plan,
                block,
                &gradients,
                step.schedule,
                step.step,
                compact,
                records,
                first_row,
                USERS_PER_BLOCK,
            );
        }
        task.partials[0] = partial;
    }
}

/// Gathers rows of a table into a compact buffer, on all threads.
fn gather(
    instructions: InstructionSet,
    table: &[f32],
    shape: &ModelShape,
    schedule: &Schedule,
    now: u32,
    untouched_is_zero: bool,
    rows: &[u32],
    compact: &mut Vec<f32>,
) {
    compact.resize(rows.len() * shape.factor_len(), 0.0);
    compact
        .par_chunks_mut(USERS_PER_TASK * shape.factor_len())
        .zip(rows.par_chunks(USERS_PER_TASK))
        .for_each(|(compact, rows)| {
            instructions.run(Gather {
                rows,
                table,
                schedule,
                now,
                untouched_is_zero,
                dim: shape.dim,
                compact,
            })
        });
}

/// One task of [`gather`].
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

/// One task of the items' update; `settled` holds the compact rows of all items.
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

impl Trainer for CpuTrainer {
    fn device(&self) -> String {
        format!("cpu, {} threads", self.pool.current_num_threads())
    }

    fn shape(&self) -> ModelShape {
        self.shape
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn set_schedule(&mut self, schedule: Schedule) -> Result<(), EngineError> {
        schedule.assert_continues(&self.schedule);
        self.schedule = schedule;
        Ok(())
    }

    fn stages(&self) -> Vec<(&'static str, f64)> {
        STAGES.into_iter().zip(self.seconds).collect()
    }

    fn train(&mut self, chunk: PlanChunk) -> Result<Vec<StepStatistics>, EngineError> {
        let pool = Arc::clone(&self.pool);
        Ok(pool.install(|| chunk.steps.iter().map(|step| self.take_step(&chunk, step)).collect()))
    }

    fn finish(&mut self) -> Result<Vec<StepStatistics>, EngineError> {
        Ok(Vec::new())
    }

    fn score_pairs(&mut self, users: &[UserIndex], items: &[ItemIndex]) -> Result<Vec<f32>, EngineError> {
        let mut logits = vec![0.0; users.len()];
        let head = Head {
            scale: self.head[0],
            bias: self.head[4],
        };
        let pool = Arc::clone(&self.pool);
        pool.install(|| {
            let plans = pair_plans(users, items);
            for (chunk, logits) in plans.zip(logits.chunks_mut(PAIRS_PER_PLAN)) {
                let plans = Side::BOTH.map(|side| chunk.side(&chunk.steps[0], side));
                for side in Side::BOTH {
                    gather(
                        self.instructions,
                        self.tables[side as usize].words(),
                        &self.shape,
                        &self.schedule,
                        self.step,
                        true,
                        plans[side as usize].rows,
                        &mut self.buffers.compact[side as usize],
                    );
                }
                let [user_rows, item_rows] = &self.buffers.compact;
                pair_logits(
                    plans[0].slots,
                    plans[1].slots,
                    user_rows,
                    item_rows,
                    head,
                    self.shape.dim,
                    logits,
                );
            }
        });
        Ok(logits)
    }

    fn read_records(&mut self, side: Side, first: usize, out: &mut [f32]) -> Result<(), EngineError> {
        let start = first * self.shape.record_len(self.schedule.optimizer());
        out.copy_from_slice(&self.tables[side as usize].words()[start..start + out.len()]);
        Ok(())
    }

    fn write_records(&mut self, side: Side, first: usize, records: &[f32]) -> Result<(), EngineError> {
        let start = first * self.shape.record_len(self.schedule.optimizer());
        self.tables[side as usize].words_mut()[start..start + records.len()].copy_from_slice(records);
        Ok(())
    }

    fn head(&mut self) -> Result<HeadState, EngineError> {
        Ok(self.head)
    }

    fn step(&self) -> u32 {
        self.step
    }

    fn set_head(&mut self, head: HeadState, step: u32) -> Result<(), EngineError> {
        self.head = head;
        self.step = step;
        Ok(())
    }
}

//! Training on threads: the order of a step's kernels, and who works on which rows.

use super::gather_rows::gather_rows;
use super::pair_forward::{GROUP, Samples, pair_forward};
use super::pair_logits::pair_logits;
use super::sum_pieces::sum_pieces;
use super::thread_pool;
use super::update_head::update_head;
use super::update_rows::{Gradients, update_rows};
use crate::engine::{EngineError, HeadState, START_HEAD, StepStatistics, Trainer, TrainerSetup};
use crate::interaction::{ItemIndex, UserIndex};
use crate::model::{Head, ModelShape, Side, start_records};
use crate::optimizer::Schedule;
use crate::plan::{PAIRS_PER_PLAN, PlanChunk, StepLayout, pair_plans};
use rayon::prelude::*;
use std::sync::Arc;

/// Training on threads.
pub struct CpuTrainer {
    shape: ModelShape,
    l2: f32,
    schedule: Schedule,
    step: u32,
    head: HeadState,
    /// Records of users and of items.
    tables: [Vec<f32>; 2],
    buffers: Buffers,
    pool: Arc<rayon::ThreadPool>,
}

/// What a step works in; kept from step to step so that none allocates.
#[derive(Default)]
struct Buffers {
    compact: [Vec<f32>; 2],
    piece_sums: [Vec<f32>; 2],
    gradient: Vec<f32>,
    partials: Vec<[f32; 4]>,
}

impl CpuTrainer {
    /// An untrained model on `threads` threads; 0 = one a core.
    pub fn new(setup: &TrainerSetup, threads: usize) -> Self {
        let shape = setup.shape;
        let pool = thread_pool(threads);
        let tables = Side::BOTH.map(|side| {
            let mut table = vec![0.0; shape.rows(side) * shape.record_len()];
            pool.install(|| {
                let block = 1024;
                table
                    .par_chunks_mut(block * shape.record_len())
                    .enumerate()
                    .for_each(|(number, records)| start_records(setup.seed, side, number * block, &shape, records));
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
        }
    }

    /// One step, inside the pool.
    fn take_step(&mut self, chunk: &PlanChunk, step: &StepLayout) -> StepStatistics {
        assert_eq!(step.step, self.step + 1, "CpuTrainer: steps come in order");
        let batch = step.batch();
        let plans = Side::BOTH.map(|side| chunk.side(step, side));
        let head = Head {
            scale: self.head[0],
            bias: self.head[4],
        };
        let dim = self.shape.dim;
        let buffers = &mut self.buffers;
        gather_both(
            &self.tables,
            &self.shape,
            &self.schedule,
            self.step,
            false,
            [plans[0].rows, plans[1].rows],
            &mut buffers.compact,
        );

        let samples = Samples {
            user_slots: plans[0].slots,
            item_slots: plans[1].slots,
            targets: chunk.targets(step),
            weights: chunk.weights(step),
        };
        buffers.gradient.resize(batch, 0.0);
        buffers.partials.resize(batch.div_ceil(GROUP), [0.0; 4]);
        let [users, items] = &buffers.compact;
        buffers
            .gradient
            .par_chunks_mut(GROUP)
            .zip(&mut buffers.partials)
            .enumerate()
            .for_each(|(group, (gradient, partial))| {
                *partial = pair_forward(&samples, group * GROUP, users, items, head, dim, gradient);
            });

        for side in Side::BOTH {
            let plan = &plans[side as usize];
            let other_slots = plans[side.other() as usize].slots;
            let other = buffers.compact[side.other() as usize].as_slice();
            let length = self.shape.factor_len();
            let piece_sums = &mut buffers.piece_sums[side as usize];
            piece_sums.resize(plan.pieces.len() / 2 * length, 0.0);
            piece_sums
                .par_chunks_mut(length)
                .zip(plan.pieces.par_chunks(2))
                .with_min_len(8)
                .for_each(|(sum, piece)| {
                    sum_pieces(piece, plan.samples, &buffers.gradient, other_slots, other, dim, sum)
                });
            let gradients = Gradients {
                gradient: &buffers.gradient,
                other_slots,
                other,
                piece_sums,
                l2: self.l2,
            };
            let parts = split_at_rows(&mut self.tables[side as usize], plan.rows, self.shape.record_len());
            let schedule = &self.schedule;
            parts.into_par_iter().for_each(|part| {
                let mut sum = vec![0.0; length];
                update_rows(
                    plan,
                    part.slots,
                    &gradients,
                    schedule,
                    step.step,
                    part.records,
                    part.first_row,
                    &mut sum,
                );
            });
        }
        self.step = step.step;
        let loss = update_head(&buffers.partials, self.schedule.step_size(step.step), &mut self.head);
        StepStatistics {
            step: step.step,
            loss,
            samples: batch,
        }
    }
}

/// Rows that one task takes; small enough to balance, large enough to pay for the hand-over.
const ROWS_PER_TASK: usize = 256;

/// A run of slots with the part of the table that holds their rows.
struct RowPart<'a> {
    slots: std::ops::Range<usize>,
    first_row: usize,
    records: &'a mut [f32],
}

/// Cuts a table between rows, so that tasks can write without meeting.
fn split_at_rows<'a>(table: &'a mut [f32], rows: &[u32], record_len: usize) -> Vec<RowPart<'a>> {
    let mut parts = Vec::with_capacity(rows.len().div_ceil(ROWS_PER_TASK));
    let mut rest = table;
    let mut rest_row = 0;
    for (number, rows) in rows.chunks(ROWS_PER_TASK).enumerate() {
        let first_row = rows[0] as usize;
        let end_row = rows[rows.len() - 1] as usize + 1;
        let (records, after) = rest.split_at_mut((end_row - rest_row) * record_len);
        let slots = number * ROWS_PER_TASK..number * ROWS_PER_TASK + rows.len();
        parts.push(RowPart {
            slots,
            first_row,
            records: &mut records[(first_row - rest_row) * record_len..],
        });
        (rest, rest_row) = (after, end_row);
    }
    parts
}

/// Gathers the rows of both sides into their compact buffers.
fn gather_both(
    tables: &[Vec<f32>; 2],
    shape: &ModelShape,
    schedule: &Schedule,
    now: u32,
    untouched_is_zero: bool,
    rows: [&[u32]; 2],
    compact: &mut [Vec<f32>; 2],
) {
    for ((table, rows), compact) in tables.iter().zip(rows).zip(compact) {
        compact.resize(rows.len() * shape.factor_len(), 0.0);
        compact
            .par_chunks_mut(ROWS_PER_TASK * shape.factor_len())
            .zip(rows.par_chunks(ROWS_PER_TASK))
            .for_each(|(compact, rows)| {
                gather_rows(rows, table, 0, schedule, now, untouched_is_zero, shape.dim, compact)
            });
    }
}

impl Trainer for CpuTrainer {
    fn device(&self) -> String {
        format!("cpu, {} threads", self.pool.current_num_threads())
    }

    fn shape(&self) -> ModelShape {
        self.shape
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
        self.pool.install(|| {
            let plans = pair_plans(users, items);
            for (chunk, logits) in plans.zip(logits.chunks_mut(PAIRS_PER_PLAN)) {
                let plans = Side::BOTH.map(|side| chunk.side(&chunk.steps[0], side));
                let compact = &mut self.buffers.compact;
                gather_both(
                    &self.tables,
                    &self.shape,
                    &self.schedule,
                    self.step,
                    true,
                    [plans[0].rows, plans[1].rows],
                    compact,
                );
                let [user_rows, item_rows] = compact;
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
        let start = first * self.shape.record_len();
        out.copy_from_slice(&self.tables[side as usize][start..start + out.len()]);
        Ok(())
    }

    fn write_records(&mut self, side: Side, first: usize, records: &[f32]) -> Result<(), EngineError> {
        let start = first * self.shape.record_len();
        self.tables[side as usize][start..start + records.len()].copy_from_slice(records);
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

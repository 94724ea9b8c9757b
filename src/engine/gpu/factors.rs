//! The tables of one question on the device, and what every step does to their rows, whatever is asked.

use super::MAX_TRIPS;
use super::gather_rows::{self, GatherRows};
use super::pair_logits::{self, PairLogits};
use super::stages::{Stage, StageClock};
use super::sum_pieces::{self, SumPieces};
use super::table::Table;
use super::teams::Teams;
use super::update_rows::{self, Update, UpdateRows};
use crate::config::OptimizerChoice;
use crate::engine::gpu::device::{AdapterKind, Buffer, Gpu};
use crate::engine::model::{ModelShape, Question, Side, Sides, start_records};
use crate::engine::optimizer::Schedule;
use crate::engine::plan::{PIECE, PlanChunk, SideLayout};
use crate::engine::{DeviceError, EngineError, TrainerSetup};
use rayon::prelude::*;

/// Rows whose start records are made and sent in one go.
const ROWS_PER_WRITE: usize = 1 << 14;

/// What the launches of a step have in common, whatever is asked.
#[derive(Clone, Copy)]
pub struct Queue<'a> {
    pub gpu: Gpu,
    pub chunk: &'a PlanChunk,
    /// Its words on the device.
    pub plan: &'a Buffer,
    pub schedule: &'a Schedule,
    /// Rows `[c, tail, moment, 0]` of the schedule.
    pub schedule_table: &'a Buffer,
    /// Bits that kernels set when a plan is wrong.
    pub status: &'a Buffer,
}

/// Records of users and of items, the kernels of their width, and buffers that are kept from step to step, as large as the
/// largest so far.
pub struct Factors {
    pub shape: ModelShape,
    pub teams: Teams,
    tables: Sides<Table>,
    gather_rows: GatherRows,
    pair_logits: PairLogits,
    sum_pieces: SumPieces,
    update_rows: UpdateRows,
    /// Compact rows of users and of items.
    pub compact: Sides<Buffer>,
    piece_sums: Sides<Buffer>,
    pub gradient: Buffer,
    pub partials: Buffer,
}

impl Factors {
    /// Untrained tables; pages as large as the adapter binds, or of `page_rows` rows if that is given.
    ///
    /// Panics unless the shape's dim is a multiple of 4 from 4 to [`crate::config::MAX_DIM`].
    pub fn new(
        gpu: Gpu,
        setup: &TrainerSetup,
        question: Question,
        shape: ModelShape,
        page_rows: Option<usize>,
    ) -> Result<Self, DeviceError> {
        let teams = Teams::new(gpu.adapter().kind, shape.dim);
        let record_len = shape.record_len(setup.optimizer);
        let table = |side: Side| {
            let name = match side {
                Side::User => "user table",
                Side::Item => "item table",
            };
            Table::new(gpu, name, shape.rows(side), record_len, page_rows)
        };
        let empty = || gpu.empty("scratch", 0);
        let factors = Self {
            shape,
            teams,
            tables: Sides([table(Side::User)?, table(Side::Item)?]),
            gather_rows: GatherRows::new(teams, setup.optimizer),
            pair_logits: PairLogits::new(teams),
            sum_pieces: SumPieces::new(teams),
            update_rows: UpdateRows::new(teams, setup.optimizer),
            compact: Sides([empty()?, empty()?]),
            piece_sums: Sides([empty()?, empty()?]),
            gradient: empty()?,
            partials: empty()?,
        };
        gpu.prefer_huge_pages();
        factors.write_start_records(setup.seed, question, record_len);
        Ok(factors)
    }

    fn write_start_records(&self, seed: u64, question: Question, record_len: usize) {
        let shape = self.shape;
        for side in Side::BOTH {
            for first in (0..shape.rows(side)).step_by(ROWS_PER_WRITE) {
                let rows = ROWS_PER_WRITE.min(shape.rows(side) - first);
                let mut records = vec![0.0; rows * record_len];
                let block = 1024;
                let blocks = records.par_chunks_mut(block * record_len).enumerate();
                blocks.for_each(|(number, records)| {
                    start_records(
                        seed,
                        question,
                        side,
                        first + number * block,
                        &shape,
                        record_len,
                        records,
                    )
                });
                self.table(side).write(first, &records);
            }
        }
    }

    /// The records of one side.
    pub fn table(&self, side: Side) -> &Table {
        &self.tables[side]
    }

    /// Fails if a step is too large: its compact rows have to fit a buffer and, on a software driver, a row that takes the
    /// whole batch, with as many pieces of an extra gradient, a loop.
    pub fn check_batch(
        &self,
        gpu: Gpu,
        sides: Sides<&SideLayout>,
        optimizer: OptimizerChoice,
        extra_pieces: usize,
    ) -> Result<(), EngineError> {
        let samples = sides[Side::User].slots.len();
        let largest = gpu.adapter().max_buffer_bytes as usize / size_of::<f32>() / self.shape.factor_len();
        if sides.0.iter().any(|side| side.row_count() > largest) {
            return Err(EngineError::BatchTooLarge { samples, largest });
        }
        // Mesa's ends all loops of a thread at so many turns, silently; a card runs them to their end.
        if gpu.adapter().kind != AdapterKind::Software {
            return Ok(());
        }
        let walks = match optimizer {
            OptimizerChoice::Adam | OptimizerChoice::LazyAdam | OptimizerChoice::Sgd => 1,
            // A row's samples once for their squares and once for the step.
            OptimizerChoice::Adagrad => 2,
        };
        let largest = self.teams.most_terms(MAX_TRIPS / walks).saturating_sub(extra_pieces) * PIECE;
        if samples > largest {
            return Err(EngineError::BatchTooLarge { samples, largest });
        }
        Ok(())
    }

    /// Queues `gather_rows` for both tables, as they stand at the end of step `now`.
    pub fn queue_gather(
        &mut self,
        queue: Queue,
        sides: Sides<&SideLayout>,
        now: u32,
        untouched_is_zero: bool,
    ) -> Result<(), EngineError> {
        for side in Side::BOTH {
            let (layout, compact) = (sides[side], &mut self.compact[side]);
            let words = layout.row_count() * self.shape.factor_len();
            grow(queue.gpu, compact, "compact rows of a step", words)?;
            for page in self.tables[side].touched(queue.chunk.slices(layout).rows) {
                self.gather_rows.launch(
                    queue.gpu,
                    queue.plan,
                    queue.schedule_table,
                    page.records,
                    compact,
                    queue.status,
                    &gather_rows::Params::of(layout, &page, now, untouched_is_zero),
                );
            }
        }
        Ok(())
    }

    /// Queues `pair_logits` of the gathered rows, into `logits`.
    pub fn queue_logits(&self, queue: Queue, sides: Sides<&SideLayout>, head: &Buffer, logits: &Buffer) {
        self.pair_logits.launch(
            queue.gpu,
            queue.plan,
            &self.compact[Side::User],
            &self.compact[Side::Item],
            head,
            logits,
            queue.status,
            &pair_logits::Params::of(sides.0),
        );
    }

    /// Queues `sum_pieces` and `update_rows` for one table, as two stages; the compact rows of the other side are still as they
    /// were before the step.
    pub fn queue_update(
        &mut self,
        queue: Queue,
        clock: &mut StageClock,
        [pieces_stage, rows_stage]: [Stage; 2],
        sides: Sides<&SideLayout>,
        side: Side,
        extra: &Buffer,
        update: Update,
    ) -> Result<(), EngineError> {
        let (layout, other) = (sides[side], sides[side.other()]);
        let piece_sums = &mut self.piece_sums[side];
        let other_rows = &self.compact[side.other()];
        if layout.piece_count() > 0 {
            let words = layout.piece_count() * self.shape.factor_len();
            grow(queue.gpu, piece_sums, "piece sums of a step", words)?;
            clock.run(pieces_stage, || {
                self.sum_pieces.launch(
                    queue.gpu,
                    queue.plan,
                    &self.gradient,
                    other_rows,
                    piece_sums,
                    queue.status,
                    &sum_pieces::Params::of(layout, other),
                );
                Ok::<(), EngineError>(())
            })?;
        }
        clock.run(rows_stage, || {
            for page in self.tables[side].touched(queue.chunk.slices(layout).rows) {
                self.update_rows.launch(
                    queue.gpu,
                    queue.plan,
                    &self.gradient,
                    other_rows,
                    &self.compact[side],
                    piece_sums,
                    extra,
                    page.records,
                    queue.status,
                    &update_rows::Params::of(layout, other, &page, &update),
                );
            }
            Ok(())
        })
    }
}

/// Makes a buffer at least `words` long; what it held is lost if it grows.
pub fn grow(gpu: Gpu, buffer: &mut Buffer, what: &'static str, words: usize) -> Result<(), DeviceError> {
    if buffer.len() < words {
        *buffer = gpu.empty(what, words)?;
    }
    Ok(())
}

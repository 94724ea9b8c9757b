//! Training on the device.
//!
//! A chunk of planned steps goes up in one transfer; the launches of all its steps are queued, and nothing waits. A step:
//! `gather_rows` for the pages of both tables, `pair_forward`, for each side `sum_pieces` and `update_rows` page by page,
//! `update_head`. The losses of a chunk come back in one copy, which the host looks at when later chunks are under way.
//!
//! Where no table needs a second page and no row is cut a step is six launches. Sums run in the order of the plan, so two
//! runs on one device give the same bytes.

use super::MAX_TRIPS;
use super::gather_rows::{self, GatherRows};
use super::pair_forward::{self, PairForward};
use super::pair_logits::{self, PairLogits};
use super::sum_pieces::{self, SumPieces};
use super::table::Table;
use super::teams::Teams;
use super::update_head::{self, UpdateHead};
use super::update_rows::{self, UpdateRows};
use crate::common::interaction::{ItemIndex, UserIndex};
use crate::config::OptimizerChoice;
use crate::engine::gpu::device::{AdapterKind, Buffer, DeviceError, Gpu, Pending};
use crate::engine::model::{ModelShape, Question, Side, start_records};
use crate::engine::optimizer::Schedule;
use crate::engine::plan::{PIECE, PlanChunk, StepLayout, pair_plans};
use crate::engine::{EngineError, HeadState, START_HEAD, StepStatistics, Trainer, TrainerSetup};
use rayon::prelude::*;
use std::collections::VecDeque;

/// Chunks whose losses may still be on their way; training waits for the oldest beyond that, so that the host cannot run
/// away from the device.
const CHUNKS_IN_FLIGHT: usize = 2;

/// Rows whose start records are made and sent in one go.
const ROWS_PER_WRITE: usize = 1 << 14;

/// Training on a graphics device.
pub struct GpuTrainer {
    gpu: Gpu,
    shape: ModelShape,
    l2: f32,
    schedule: Schedule,
    step: u32,
    teams: Teams,
    kernels: Kernels,
    /// Records of users and of items.
    tables: [Table; 2],
    /// Rows `[c, tail, moment, 0]` of the schedule.
    schedule_table: Buffer,
    head: Buffer,
    /// Bits that kernels set when a plan is wrong.
    status: Buffer,
    scratch: Scratch,
    in_flight: VecDeque<ChunkInFlight>,
    stages: StageClock,
}

/// Measures the stages of some steps, since it takes waiting for each.
#[derive(Default)]
struct StageClock {
    /// Steps still to be measured.
    steps: usize,
    /// Of each of [`STAGES`].
    seconds: [f64; STAGES.len()],
}

/// What a step consists of, in the order of [`Stage`].
const STAGES: [&str; 5] = [
    "gather rows",
    "loss and gradient of pairs",
    "sum pieces of long rows",
    "update rows",
    "update head",
];

#[derive(Clone, Copy)]
enum Stage {
    Gather,
    Pairs,
    Pieces,
    Rows,
    Head,
}

struct Kernels {
    gather_rows: GatherRows,
    pair_forward: PairForward,
    pair_logits: PairLogits,
    sum_pieces: SumPieces,
    update_rows: UpdateRows,
    update_head: UpdateHead,
}

impl Kernels {
    fn new(teams: Teams, optimizer: OptimizerChoice) -> Self {
        Self {
            gather_rows: GatherRows::new(teams, optimizer),
            pair_forward: PairForward::new(teams),
            pair_logits: PairLogits::new(teams),
            sum_pieces: SumPieces::new(teams),
            update_rows: UpdateRows::new(teams, optimizer),
            update_head: UpdateHead::new(teams, optimizer),
        }
    }
}

/// What a step works in; kept from step to step and as large as the largest so far.
struct Scratch {
    compact: [Buffer; 2],
    piece_sums: [Buffer; 2],
    gradient: Buffer,
    partials: Buffer,
}

impl Scratch {
    fn new(gpu: Gpu) -> Result<Self, DeviceError> {
        let empty = || gpu.empty("scratch", 0);
        Ok(Self {
            compact: [empty()?, empty()?],
            piece_sums: [empty()?, empty()?],
            gradient: empty()?,
            partials: empty()?,
        })
    }
}

/// Makes a buffer at least `words` long; what it held is lost if it grows.
fn grow(gpu: Gpu, buffer: &mut Buffer, what: &'static str, words: usize) -> Result<(), DeviceError> {
    if buffer.len() < words {
        *buffer = gpu.empty(what, words)?;
    }
    Ok(())
}

/// A chunk that the device may still be working on.
struct ChunkInFlight {
    /// Number and samples of each step.
    steps: Vec<(u32, usize)>,
    /// The losses of the steps, and the status.
    read: Pending,
}

impl ChunkInFlight {
    fn wait(self) -> Result<Vec<StepStatistics>, EngineError> {
        let words = self.read.wait::<u32>("training")?;
        check_status(&words[1])?;
        let losses = words[0].iter().map(|&bits| f32::from_bits(bits));
        let statistics = self.steps.into_iter().zip(losses);
        Ok(statistics
            .map(|((step, samples), loss)| StepStatistics {
                step,
                loss,
                choice_loss: None,
                samples,
            })
            .collect())
    }
}

fn check_status(status: &[u32]) -> Result<(), EngineError> {
    match status {
        [0] => Ok(()),
        [bits] => Err(EngineError::Status { bits: *bits }),
        _ => unreachable!("the status is one word"),
    }
}

impl GpuTrainer {
    /// An untrained model; pages as large as the adapter binds, or of `page_rows` rows if that is given.
    ///
    /// Panics unless `setup.shape.dim` is a multiple of 4 from 4 to [`crate::config::MAX_DIM`].
    pub fn new(gpu: Gpu, setup: &TrainerSetup, page_rows: Option<usize>) -> Result<Self, EngineError> {
        let shape = setup.shape;
        let teams = Teams::new(gpu.adapter().kind, shape.dim);
        let kernels = Kernels::new(teams, setup.optimizer);
        let schedule = setup.schedule();
        let table = |side: Side| {
            let name = match side {
                Side::User => "user table",
                Side::Item => "item table",
            };
            Table::new(gpu, name, shape.rows(side), setup.record_len(), page_rows)
        };
        let trainer = Self {
            gpu,
            shape,
            l2: setup.l2,
            step: 0,
            teams,
            kernels,
            tables: [table(Side::User)?, table(Side::Item)?],
            schedule_table: gpu.upload("schedule", schedule.table().as_flattened().to_vec())?,
            schedule,
            head: gpu.upload("head", START_HEAD.to_vec())?,
            status: gpu.upload("status", vec![0u32])?,
            scratch: Scratch::new(gpu)?,
            in_flight: VecDeque::new(),
            stages: StageClock::default(),
        };
        gpu.prefer_huge_pages();
        trainer.write_start_records(setup.seed);
        Ok(trainer)
    }

    fn write_start_records(&self, seed: u64) {
        let shape = self.shape;
        let record_len = shape.record_len(self.schedule.optimizer());
        for side in Side::BOTH {
            for first in (0..shape.rows(side)).step_by(ROWS_PER_WRITE) {
                let rows = ROWS_PER_WRITE.min(shape.rows(side) - first);
                let mut records = vec![0.0; rows * record_len];
                let block = 1024;
                records
                    .par_chunks_mut(block * record_len)
                    .enumerate()
                    .for_each(|(number, records)| {
                        start_records(
                            seed,
                            Question::Rating,
                            side,
                            first + number * block,
                            &shape,
                            record_len,
                            records,
                        )
                    });
                self.tables[side as usize].write(first, &records);
            }
        }
    }

    /// Queues a stage, and waits for it if the step is measured.
    fn stage(
        &mut self,
        stage: Stage,
        queue: impl FnOnce(&mut Self) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        if self.stages.steps == 0 {
            return queue(self);
        }
        let gpu = self.gpu;
        self.stages.seconds[stage as usize] += gpu.time(|| queue(self))?;
        Ok(())
    }

    /// Queues one step of a chunk whose words are in `plan`; its loss goes to `statistics[statistics_at]`.
    fn queue_step(
        &mut self,
        chunk: &PlanChunk,
        step: &StepLayout,
        plan: &Buffer,
        statistics: &Buffer,
        statistics_at: usize,
    ) -> Result<(), EngineError> {
        assert_eq!(step.step, self.step + 1, "GpuTrainer: steps come in order");
        let samples = step.batch();
        self.stage(Stage::Gather, |trainer| trainer.queue_gather(chunk, step, plan, false))?;
        self.stage(Stage::Pairs, |trainer| trainer.queue_pairs(step, plan))?;
        for side in Side::BOTH {
            if step.side(side).piece_count() > 0 {
                self.stage(Stage::Pieces, |trainer| trainer.queue_pieces(step, side, plan))?;
            }
            self.stage(Stage::Rows, |trainer| {
                trainer.queue_update(chunk, step, side, plan);
                Ok(())
            })?;
        }
        self.stage(Stage::Head, |trainer| {
            trainer.kernels.update_head.launch(
                trainer.gpu,
                &trainer.scratch.partials,
                &trainer.head,
                statistics,
                &update_head::Params::of(
                    trainer.kernels.pair_forward.partials(samples),
                    statistics_at,
                    &trainer.schedule,
                    step.step,
                ),
            );
            Ok(())
        })?;
        self.step = step.step;
        self.stages.steps = self.stages.steps.saturating_sub(1);
        Ok(())
    }

    /// Queues `pair_forward`.
    fn queue_pairs(&mut self, step: &StepLayout, plan: &Buffer) -> Result<(), EngineError> {
        let samples = step.batch();
        let partials = self.kernels.pair_forward.partials(samples);
        grow(self.gpu, &mut self.scratch.gradient, "gradient of a step", samples)?;
        grow(self.gpu, &mut self.scratch.partials, "sums of a step", 4 * partials)?;
        let scratch = &self.scratch;
        self.kernels.pair_forward.launch(
            self.gpu,
            plan,
            &scratch.compact[0],
            &scratch.compact[1],
            &self.head,
            &scratch.gradient,
            &scratch.partials,
            &self.status,
            &pair_forward::Params::of(step),
        );
        Ok(())
    }

    /// Fails before anything is queued if a step is too large: its compact rows have to fit a buffer and, on a software
    /// driver, a row that takes the whole batch a loop.
    fn check_batch(&self, step: &StepLayout) -> Result<(), EngineError> {
        let samples = step.batch();
        let largest = self.gpu.adapter().max_buffer_bytes as usize / size_of::<f32>() / self.shape.factor_len();
        if Side::BOTH.iter().any(|&side| step.side(side).row_count() > largest) {
            return Err(EngineError::BatchTooLarge { samples, largest });
        }
        // Mesa's ends all loops of a thread at so many turns, silently; a card runs them to their end.
        if self.gpu.adapter().kind != AdapterKind::Software {
            return Ok(());
        }
        // Adagrad walks a row's samples once for their squares and once for the step.
        let walks = 1 + usize::from(self.schedule.optimizer() == OptimizerChoice::Adagrad);
        let largest = self.teams.most_terms(MAX_TRIPS / walks) * PIECE;
        if samples > largest {
            return Err(EngineError::BatchTooLarge { samples, largest });
        }
        Ok(())
    }

    /// Queues `gather_rows` for both tables, as they stand at the end of the last step.
    fn queue_gather(
        &mut self,
        chunk: &PlanChunk,
        step: &StepLayout,
        plan: &Buffer,
        untouched_is_zero: bool,
    ) -> Result<(), EngineError> {
        for side in Side::BOTH {
            let layout = step.side(side);
            let compact = &mut self.scratch.compact[side as usize];
            let words = layout.row_count() * self.shape.factor_len();
            grow(self.gpu, compact, "compact rows of a step", words)?;
            for page in self.tables[side as usize].touched(chunk.side(step, side).rows) {
                self.kernels.gather_rows.launch(
                    self.gpu,
                    plan,
                    &self.schedule_table,
                    page.records,
                    compact,
                    &self.status,
                    &gather_rows::Params::of(layout, &page, self.step, untouched_is_zero),
                );
            }
        }
        Ok(())
    }

    /// Queues `sum_pieces` for one table.
    fn queue_pieces(&mut self, step: &StepLayout, side: Side, plan: &Buffer) -> Result<(), EngineError> {
        let layout = step.side(side);
        let pieces = layout.piece_count();
        let piece_sums = &mut self.scratch.piece_sums[side as usize];
        let words = pieces * self.shape.factor_len();
        grow(self.gpu, piece_sums, "piece sums of a step", words)?;
        let scratch = &self.scratch;
        self.kernels.sum_pieces.launch(
            self.gpu,
            plan,
            &scratch.gradient,
            &scratch.compact[side.other() as usize],
            &scratch.piece_sums[side as usize],
            &self.status,
            &sum_pieces::Params::of(step, side),
        );
        Ok(())
    }

    /// Queues `update_rows` for one table.
    fn queue_update(&self, chunk: &PlanChunk, step: &StepLayout, side: Side, plan: &Buffer) {
        let scratch = &self.scratch;
        let piece_sums = &scratch.piece_sums[side as usize];
        let other = &scratch.compact[side.other() as usize];
        let settled = &scratch.compact[side as usize];
        for page in self.tables[side as usize].touched(chunk.side(step, side).rows) {
            self.kernels.update_rows.launch(
                self.gpu,
                plan,
                &scratch.gradient,
                other,
                settled,
                piece_sums,
                page.records,
                &self.status,
                &update_rows::Params::of(step, side, &page, &self.schedule, self.l2),
            );
        }
    }

    /// Waits until at most `left` chunks are in flight and returns the statistics of the others.
    fn arrived(&mut self, left: usize) -> Result<Vec<StepStatistics>, EngineError> {
        let mut statistics = Vec::new();
        while self.in_flight.len() > left {
            let oldest = self.in_flight.pop_front().expect("there is one");
            statistics.extend(oldest.wait()?);
        }
        Ok(statistics)
    }
}

impl Trainer for GpuTrainer {
    fn device(&self) -> String {
        self.gpu.adapter().to_string()
    }

    fn shape(&self, question: Question) -> Option<ModelShape> {
        (question == Question::Rating).then_some(self.shape)
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn set_schedule(&mut self, schedule: Schedule) -> Result<(), EngineError> {
        schedule.assert_continues(&self.schedule);
        self.schedule_table = self.gpu.upload("schedule", schedule.table().as_flattened().to_vec())?;
        self.schedule = schedule;
        Ok(())
    }

    fn stages(&self) -> Vec<(&'static str, f64)> {
        let stages = STAGES.into_iter().zip(self.stages.seconds);
        // Before the first measured step all are zero, and a stage that these steps do not have stays so.
        stages.filter(|&(_, seconds)| seconds > 0.0).collect()
    }

    fn time_stages(&mut self, steps: usize) {
        self.stages.steps = steps;
    }

    fn train(&mut self, mut chunk: PlanChunk) -> Result<Vec<StepStatistics>, EngineError> {
        for step in &chunk.steps {
            self.check_batch(step)?;
        }
        // A copy goes up: the host still looks at the rows, to cut them into pages.
        let plan = self.gpu.upload("plan of a chunk", chunk.words.clone())?;
        let statistics = self.gpu.empty("statistics", chunk.steps.len())?;
        let steps = std::mem::take(&mut chunk.steps);
        for (number, step) in steps.iter().enumerate() {
            self.queue_step(&chunk, step, &plan, &statistics, number)?;
        }
        self.in_flight.push_back(ChunkInFlight {
            steps: steps.iter().map(|step| (step.step, step.batch())).collect(),
            read: self.gpu.read(&[&statistics, &self.status]),
        });
        self.arrived(CHUNKS_IN_FLIGHT)
    }

    fn finish(&mut self) -> Result<Vec<StepStatistics>, EngineError> {
        self.arrived(0)
    }

    fn score_pairs(&mut self, users: &[UserIndex], items: &[ItemIndex]) -> Result<Vec<f32>, EngineError> {
        let mut logits = Vec::with_capacity(users.len());
        for chunk in pair_plans(users, items) {
            let step = &chunk.steps[0];
            let samples = step.batch();
            let plan = self.gpu.upload("plan of pairs", chunk.words.clone())?;
            self.queue_gather(&chunk, step, &plan, true)?;
            let out = self.gpu.empty("logits", samples)?;
            self.kernels.pair_logits.launch(
                self.gpu,
                &plan,
                &self.scratch.compact[0],
                &self.scratch.compact[1],
                &self.head,
                &out,
                &self.status,
                &pair_logits::Params::of(step),
            );
            let words = self.gpu.read(&[&out, &self.status]).wait::<u32>("scoring pairs")?;
            check_status(&words[1])?;
            logits.extend(words[0].iter().map(|&bits| f32::from_bits(bits)));
        }
        Ok(logits)
    }

    fn read_records(
        &mut self,
        _question: Question,
        side: Side,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), EngineError> {
        Ok(self.tables[side as usize].read(first, out)?)
    }

    fn write_records(
        &mut self,
        _question: Question,
        side: Side,
        first: usize,
        records: &[f32],
    ) -> Result<(), EngineError> {
        self.tables[side as usize].write(first, records);
        Ok(())
    }

    fn head(&mut self) -> Result<HeadState, EngineError> {
        let words = self.gpu.read(&[&self.head]).wait_one::<f32>("reading the head")?;
        Ok(words.try_into().expect("a head is 8 words"))
    }

    fn step(&self) -> u32 {
        self.step
    }

    fn set_head(&mut self, head: HeadState, step: u32) -> Result<(), EngineError> {
        self.gpu.write(&self.head, head.to_vec());
        self.step = step;
        Ok(())
    }
}

//! How will they rate it? The launches of a step for the tables that ratings are learned with.
//!
//! `gather_rows` for the pages of both tables, `pair_forward`, for each side `sum_pieces` and `update_rows` page by page,
//! `update_head`. Where no table needs a second page and no row is cut these are six.

use super::factors::{Factors, Queue, grow};
use super::pair_forward::{self, PairForward};
use super::stages::{Stage, StageClock};
use super::update_head::{self, UpdateHead};
use super::update_rows::Update;
use crate::config::OptimizerChoice;
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::model::{ModelShape, Question, Side, Sides};
use crate::engine::plan::StepLayout;
use crate::engine::{EngineError, TrainerSetup};

/// What ratings are learned with.
pub struct Ratings {
    pub factors: Factors,
    l2: f32,
    share: f32,
    pair_forward: PairForward,
    update_head: UpdateHead,
    /// Bound where those of choices stand.
    no_extra: Buffer,
}

impl Ratings {
    /// Untrained, see [`Factors::new`].
    pub fn new(
        gpu: Gpu,
        setup: &TrainerSetup,
        shape: ModelShape,
        page_rows: Option<usize>,
    ) -> Result<Self, EngineError> {
        let factors = Factors::new(gpu, setup, Question::Rating, shape, page_rows)?;
        Ok(Self {
            l2: setup.l2,
            share: setup.rating_share(),
            pair_forward: PairForward::new(factors.teams),
            update_head: UpdateHead::new(factors.teams, setup.optimizer),
            no_extra: gpu.empty("no extra gradients", 0)?,
            factors,
        })
    }

    /// Fails if a step is too large for the device.
    pub fn check_batch(&self, gpu: Gpu, optimizer: OptimizerChoice, step: &StepLayout) -> Result<(), EngineError> {
        let sides = Sides::of(|side| step.side(side));
        self.factors.check_batch(gpu, sides, optimizer, 0)
    }

    /// Queues a step; its loss goes to `statistics[statistics_at]`.
    pub fn queue_step(
        &mut self,
        queue: Queue,
        clock: &mut StageClock,
        step: &StepLayout,
        head: &Buffer,
        statistics: &Buffer,
        statistics_at: usize,
    ) -> Result<(), EngineError> {
        let sides = Sides::of(|side| step.side(side));
        clock.run(Stage::Gather, || {
            self.factors.queue_gather(queue, sides, step.step - 1, false)
        })?;
        clock.run(Stage::Pairs, || self.queue_pairs(queue, step, head))?;
        let update = Update {
            schedule: queue.schedule,
            step: step.step,
            l2: self.l2,
            learns_bias: true,
            extra_rows: 0,
            extra_pieces: 0,
        };
        for side in Side::BOTH {
            let stages = [Stage::Pieces, Stage::Rows];
            self.factors
                .queue_update(queue, clock, stages, sides, side, &self.no_extra, update)?;
        }
        clock.run(Stage::Head, || {
            let partials = self.pair_forward.partials(step.batch());
            self.update_head.launch(
                queue.gpu,
                &self.factors.partials,
                head,
                statistics,
                &update_head::Params::of(partials, statistics_at, queue.schedule, step.step),
            );
            Ok(())
        })
    }

    /// Queues `pair_forward`.
    fn queue_pairs(&mut self, queue: Queue, step: &StepLayout, head: &Buffer) -> Result<(), EngineError> {
        let samples = step.batch();
        let factors = &mut self.factors;
        let partials = self.pair_forward.partials(samples);
        grow(queue.gpu, &mut factors.gradient, "gradient of a step", samples)?;
        grow(queue.gpu, &mut factors.partials, "sums of a step", 4 * partials)?;
        self.pair_forward.launch(
            queue.gpu,
            queue.plan,
            &factors.compact[Side::User],
            &factors.compact[Side::Item],
            head,
            &factors.gradient,
            &factors.partials,
            queue.status,
            &pair_forward::Params::of(step, self.share),
        );
        Ok(())
    }
}

//! Will they choose it? The launches of a step for the tables that choices are learned with.
//!
//! `gather_rows` for the pages of both tables; `pair_logits` of what was chosen and `choice_scores` of what was drawn;
//! `choice_gradient`; `choice_sums` for both sides; then for each side `sum_pieces` and `update_rows` page by page. `update_head`
//! adds up the loss: of its head, which is plain, nothing is learned.

use super::choice_gradient::{self, ChoiceGradient};
use super::choice_scores::{self, ChoiceScores};
use super::choice_sums::{self, ChoiceSums};
use super::factors::{Factors, Queue, grow};
use super::stages::{Stage, StageClock};
use super::update_head::{self, UpdateHead};
use super::update_rows::Update;
use crate::config::OptimizerChoice;
use crate::engine::choice::ChoiceSetup;
use crate::engine::gpu::device::{AdapterKind, Buffer, Gpu};
use crate::engine::model::{ModelShape, Question, Side, Sides};
use crate::engine::plan::{ChoiceLayout, PlanChunk, StepLayout};
use crate::engine::{EngineError, HeadState, TrainerSetup};

/// What choices are learned with.
pub struct Choices {
    pub factors: Factors,
    setup: ChoiceSetup,
    choice_scores: ChoiceScores,
    choice_gradient: ChoiceGradient,
    choice_sums: Sides<ChoiceSums>,
    update_head: UpdateHead,
    /// Leaves an affinity as it is: an appeal is one.
    plain_head: Buffer,
    appeals: Buffer,
    /// Scores of the users against the drawn items, then their gradients.
    scores: Buffer,
    /// Extra gradients of users and of drawn items.
    extra: Sides<Buffer>,
}

impl Choices {
    /// Untrained, see [`Factors::new`].
    pub fn new(
        gpu: Gpu,
        setup: &TrainerSetup,
        choice: ChoiceSetup,
        shape: ModelShape,
        page_rows: Option<usize>,
    ) -> Result<Self, EngineError> {
        let factors = Factors::new(gpu, setup, Question::Choice, shape, page_rows)?;
        let empty = || gpu.empty("scratch", 0);
        let kind = gpu.adapter().kind;
        Ok(Self {
            setup: choice,
            choice_scores: ChoiceScores::new(kind, choice.loss, shape.dim),
            choice_gradient: ChoiceGradient::new(factors.teams, choice.loss),
            choice_sums: Sides::of(|side| ChoiceSums::new(kind, side)),
            update_head: UpdateHead::new(factors.teams, setup.optimizer),
            plain_head: gpu.upload("plain head", HeadState::START.words().to_vec())?,
            appeals: empty()?,
            scores: empty()?,
            extra: Sides([empty()?, empty()?]),
            factors,
        })
    }

    /// Fails if a step is too large for the device. Panics if it has no plan for choices.
    pub fn check_batch(
        &self,
        gpu: Gpu,
        optimizer: OptimizerChoice,
        chunk: &PlanChunk,
        step: &StepLayout,
    ) -> Result<(), EngineError> {
        let choice = plan_of(step);
        let dim = self.factors.shape.dim;
        let (users, draws) = (choice.side(Side::User).row_count(), choice.draws());
        let pieces = choice_sums::pieces(users, draws, dim);
        let sides = Sides::of(|side| choice.side(side));
        self.factors.check_batch(gpu, sides, optimizer, pieces)?;
        gpu.check_fits(SCORES, choice_scores::words(users, draws))?;
        for (side, what) in [(Side::User, USER_EXTRA), (Side::Item, DRAWN_EXTRA)] {
            gpu.check_fits(what, choice_sums::Params::of(choice, side, dim).words(side))?;
        }
        if gpu.adapter().kind == AdapterKind::Software {
            // As in `Factors::check_batch`.
            let starts = chunk.slices(choice.side(Side::User)).starts;
            let samples = starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max();
            let samples = samples.unwrap_or(0);
            let largest = choice_gradient::most_samples(self.factors.teams, self.setup.loss, draws);
            if samples > largest {
                return Err(EngineError::UserTooLong { samples, largest });
            }
        }
        Ok(())
    }

    /// Queues a step; its loss goes to `statistics[statistics_at]`. Panics if it has no plan for choices.
    pub fn queue_step(
        &mut self,
        queue: Queue,
        clock: &mut StageClock,
        step: &StepLayout,
        statistics: &Buffer,
        statistics_at: usize,
    ) -> Result<(), EngineError> {
        let choice = plan_of(step);
        let sides = Sides::of(|side| choice.side(side));
        let [users, draws] = [sides[Side::User].row_count(), choice.draws()];
        clock.run(Stage::ChoiceGather, || {
            self.factors.queue_gather(queue, sides, step.step - 1, false)
        })?;
        clock.run(Stage::ChoiceScores, || self.queue_scores(queue, choice))?;
        clock.run(Stage::ChoiceGradient, || {
            self.queue_gradient(queue, step, choice, statistics, statistics_at)
        })?;
        clock.run(Stage::ChoiceSums, || self.queue_sums(queue, choice))?;
        let pieces = choice_sums::pieces(users, draws, self.factors.shape.dim);
        for (side, rows, pieces) in [(Side::User, users, 1), (Side::Item, draws, pieces)] {
            let update = Update {
                schedule: queue.schedule,
                step: step.step,
                // What draws rows to zero stands in the plan.
                l2: 0.0,
                learns_bias: side == Side::Item,
                extra_rows: rows,
                extra_pieces: pieces,
            };
            let stages = [Stage::ChoicePieces, Stage::ChoiceRows];
            let extra = &self.extra[side];
            self.factors
                .queue_update(queue, clock, stages, sides, side, extra, update)?;
        }
        Ok(())
    }

    /// Queues `pair_logits` and `choice_scores`.
    fn queue_scores(&mut self, queue: Queue, choice: &ChoiceLayout) -> Result<(), EngineError> {
        let sides = Sides::of(|side| choice.side(side));
        let scores = choice_scores::words(sides[Side::User].row_count(), choice.draws());
        grow(
            queue.gpu,
            &mut self.appeals,
            "appeals of a step's choices",
            choice.choices.len(),
        )?;
        grow(queue.gpu, &mut self.scores, SCORES, scores)?;
        let factors = &self.factors;
        factors.queue_logits(queue, sides, &self.plain_head, &self.appeals);
        self.choice_scores.launch(
            queue.gpu,
            queue.plan,
            &factors.compact[Side::User],
            &factors.compact[Side::Item],
            &self.scores,
            queue.status,
            &choice_scores::Params::of(choice, factors.shape.dim),
        );
        Ok(())
    }

    /// Queues `choice_gradient` and the sum of its losses.
    fn queue_gradient(
        &mut self,
        queue: Queue,
        step: &StepLayout,
        choice: &ChoiceLayout,
        statistics: &Buffer,
        statistics_at: usize,
    ) -> Result<(), EngineError> {
        let factors = &mut self.factors;
        let partials = self.choice_gradient.partials(choice.side(Side::User).row_count());
        grow(
            queue.gpu,
            &mut factors.gradient,
            "gradient of a step",
            choice.choices.len(),
        )?;
        grow(queue.gpu, &mut factors.partials, "sums of a step", 4 * partials)?;
        self.choice_gradient.launch(
            queue.gpu,
            queue.plan,
            &self.appeals,
            &self.scores,
            &factors.gradient,
            &factors.partials,
            queue.status,
            &choice_gradient::Params::of(choice, self.setup.share),
        );
        self.update_head.launch(
            queue.gpu,
            &factors.partials,
            &self.plain_head,
            statistics,
            &update_head::Params::of(partials, statistics_at, queue.schedule, step.step),
        );
        Ok(())
    }

    /// Queues `choice_sums` for both sides.
    fn queue_sums(&mut self, queue: Queue, choice: &ChoiceLayout) -> Result<(), EngineError> {
        let factors = &self.factors;
        for side in Side::BOTH {
            let params = choice_sums::Params::of(choice, side, factors.shape.dim);
            let extra = &mut self.extra[side];
            let what = match side {
                Side::User => USER_EXTRA,
                Side::Item => DRAWN_EXTRA,
            };
            grow(queue.gpu, extra, what, params.words(side))?;
            self.choice_sums[side].launch(
                queue.gpu,
                queue.plan,
                &self.scores,
                &factors.compact[side.other()],
                extra,
                queue.status,
                &params,
            );
        }
        Ok(())
    }
}

const SCORES: &str = "scores of a step's users against its drawn products";
const USER_EXTRA: &str = "what the drawn products add to a step's users";
const DRAWN_EXTRA: &str = "what a step's users add to its drawn products";

fn plan_of(step: &StepLayout) -> &ChoiceLayout {
    let choice = step.choice.as_ref();
    choice.unwrap_or_else(|| panic!("GpuTrainer: step {} has no plan for choices", step.step))
}

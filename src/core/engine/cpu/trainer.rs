//! Training on threads: the order of a step's kernels.
//!
//! A step, for each question that is asked: gather the touched items; walk the users ([`super::walk`]); then update the items,
//! whose gradients need all users as they were. So each record comes from memory once. At last the head.

use super::choice_gradient::{Choices, choice_gradient};
use super::choice_scores::{Drawn, choice_scores, stride};
use super::choice_sums::{sum_for_drawn, sum_for_users};
use super::factors::{Factors, update_items};
use super::instruction_set::InstructionSet;
use super::pair_forward::{Samples, pair_forward};
use super::pair_logits::pair_logits;
use super::rows::Rows;
use super::softmax::SampleScratch;
use super::sum_pieces::Gradients;
use super::thread_pool;
use super::update_head::update_head;
use super::walk::{CHOOSERS_PER_TASK, Forward, ROWS_PER_TASK, UserTask, UserWalk, rows_per_task};
use crate::common::interaction::{ItemIndex, UserIndex};
use crate::engine::choice::ChoiceSetup;
use crate::engine::model::{Head, ModelShape, Question, ROW_HEADER, Side, Sides};
use crate::engine::optimizer::Schedule;
use crate::engine::plan::{PAIRS_PER_PLAN, PlanChunk, StepLayout, pair_plans};
use crate::engine::{EngineError, HeadState, StepStatistics, Trainer, TrainerSetup};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Training on threads.
pub struct CpuTrainer {
    l2: f32,
    rating_share: f32,
    choice: Option<ChoiceSetup>,
    schedule: Schedule,
    step: u32,
    head: HeadState,
    /// What each question is answered with; `None` if it is not asked.
    ratings: Option<Factors>,
    choices: Option<Factors>,
    drawn: Drawn,
    choice_scratch: Mutex<Vec<ChoiceScratch>>,
    pool: Arc<rayon::ThreadPool>,
    instructions: InstructionSet,
    seconds: [f64; STAGES.len()],
}

/// What [`Trainer::stages`] tells apart.
const STAGES: [&str; 7] = [
    "gather items",
    "users: gather, forward, update",
    "update items",
    "update head",
    "gather items (choice)",
    CHOICE_USERS,
    "update items (choice)",
];

/// The stage whose time goes into products of matrices.
pub const CHOICE_USERS: &str = "users (choice)";

/// Where the stages of choices begin.
const CHOICE_STAGES: usize = 4;

impl CpuTrainer {
    /// An untrained model on `threads` threads; 0 = one a core.
    pub fn new(setup: &TrainerSetup, threads: usize) -> Self {
        let pool = thread_pool(threads);
        let factors = |question| {
            let shape = setup.shape_of(question)?;
            Some(pool.install(|| Factors::new(setup, question, shape)))
        };
        Self {
            l2: setup.l2,
            rating_share: setup.rating_share(),
            choice: setup.choice,
            schedule: setup.schedule(),
            step: 0,
            head: HeadState::START,
            ratings: factors(Question::Rating),
            choices: factors(Question::Choice),
            drawn: Drawn::default(),
            choice_scratch: Mutex::default(),
            pool: Arc::new(pool),
            instructions: InstructionSet::best(),
            seconds: [0.0; STAGES.len()],
        }
    }

    /// The same training with the instructions of another set, to the same bytes; where choices are learned, if both
    /// sets fuse.
    pub fn with_instructions(mut self, instructions: InstructionSet) -> Self {
        self.instructions = instructions;
        self
    }

    fn factors(&self, question: Question) -> Option<&Factors> {
        match question {
            Question::Rating => self.ratings.as_ref(),
            Question::Choice => self.choices.as_ref(),
        }
    }

    fn factors_mut(&mut self, question: Question) -> &mut Factors {
        let factors = match question {
            Question::Rating => self.ratings.as_mut(),
            Question::Choice => self.choices.as_mut(),
        };
        factors.unwrap_or_else(|| panic!("CpuTrainer: {question:?} is not asked"))
    }

    /// One step, inside the pool.
    fn take_step(&mut self, chunk: &PlanChunk, step: &StepLayout) -> StepStatistics {
        assert_eq!(step.step, self.step + 1, "CpuTrainer: steps come in order");
        let rating_loss = self.ratings.is_some().then(|| self.learn_ratings(chunk, step));
        let choice_loss = self.choices.is_some().then(|| self.learn_choices(chunk, step));
        self.step = step.step;
        StepStatistics {
            step: step.step,
            loss: rating_loss.or(choice_loss).unwrap_or(0.0),
            choice_loss,
            samples: step.batch(),
        }
    }

    /// Returns the mean loss of ratings.
    fn learn_ratings(&mut self, chunk: &PlanChunk, step: &StepLayout) -> f32 {
        let [user_plan, item_plan] = Side::BOTH.map(|side| chunk.side(step, side));
        let factors = self.ratings.as_mut().expect("ratings are learned");
        let (dim, factor_len) = (factors.shape.dim, factors.shape.factor_len());
        let record_len = factors.record_len;
        let instructions = self.instructions;
        let clock = Instant::now();
        factors.gather(
            instructions,
            &self.schedule,
            self.step,
            false,
            Side::Item,
            item_plan.rows,
        );
        let gathered = clock.elapsed().as_secs_f64();

        let Factors {
            tables: Sides([user_table, item_table]),
            compact: Sides([users, items]),
            gradient,
            partials,
            ..
        } = factors;
        users.resize(user_plan.rows.len() * factor_len, 0.0);
        gradient.resize(step.batch(), 0.0);
        let users_per_task = rows_per_task(user_plan.rows.len(), ROWS_PER_TASK);
        partials.resize(user_plan.rows.len().div_ceil(users_per_task) * 4, 0.0);
        let walk = UserWalk {
            forward: RatingForward {
                samples: Samples {
                    user_slots: user_plan.slots,
                    item_slots: item_plan.slots,
                    targets: chunk.targets(step),
                    weights: chunk.weights(step),
                    share: self.rating_share,
                },
                items,
                head: self.head.head(),
                dim,
            },
            plan: user_plan,
            item_slots: item_plan.slots,
            items,
            schedule: &self.schedule,
            l2: self.l2,
            learns_bias: true,
            step: step.step,
            dim,
            record_len,
            users_per_task,
            partial_len: 4,
            scratch: &Mutex::default(),
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
            extra: &[],
            first_extra: 0,
            learns_bias: true,
        };
        update_items(
            instructions,
            &item_plan,
            &gradients,
            &self.schedule,
            step.step,
            items,
            item_table.words_mut(),
            record_len,
        );
        let updated = clock.elapsed().as_secs_f64();

        let loss = update_head(partials.as_chunks().0, &self.schedule, step.step, &mut self.head);
        let ends = [0.0, gathered, walked, updated, clock.elapsed().as_secs_f64()];
        self.add_seconds(0, &ends);
        loss
    }

    /// Returns the mean loss of choices.
    fn learn_choices(&mut self, chunk: &PlanChunk, step: &StepLayout) -> f32 {
        let setup = self.choice.expect("choices are learned");
        let layout = step.choice.as_ref().expect("a plan for choices");
        let choice = chunk.choice(step).expect("a plan for choices");
        let [user_plan, item_plan] = Side::BOTH.map(|side| chunk.slices(layout.side(side)));
        let factors = self.choices.as_mut().expect("choices are learned");
        let (dim, factor_len) = (factors.shape.dim, factors.shape.factor_len());
        let record_len = factors.record_len;
        let instructions = self.instructions;
        let clock = Instant::now();
        factors.gather(
            instructions,
            &self.schedule,
            self.step,
            false,
            Side::Item,
            item_plan.rows,
        );
        self.drawn.gather(
            setup.loss,
            choice.draw_slots,
            choice.draw_offsets,
            &factors.compact[Side::Item],
            dim,
        );
        let gathered = clock.elapsed().as_secs_f64();

        let Factors {
            tables: Sides([user_table, item_table]),
            compact: Sides([users, items]),
            gradient,
            partials,
            ..
        } = factors;
        let drawn_words = self.drawn.len() * factor_len;
        // A task's loss, and what its users add to the gradients of the drawn items.
        let partial_len = 4 + drawn_words;
        users.resize(user_plan.rows.len() * factor_len, 0.0);
        gradient.resize(step.batch(), 0.0);
        let users_per_task = rows_per_task(user_plan.rows.len(), CHOOSERS_PER_TASK);
        partials.resize(user_plan.rows.len().div_ceil(users_per_task) * partial_len, 0.0);
        let walk = UserWalk {
            forward: ChoiceForward {
                choices: Choices {
                    loss: setup.loss,
                    share: setup.share,
                    users: user_plan,
                    item_slots: item_plan.slots,
                    weights: choice.choices,
                    offsets: &self.drawn.offsets,
                    instructions,
                },
                items,
                drawn: &self.drawn,
                dim,
            },
            plan: user_plan,
            item_slots: item_plan.slots,
            items,
            schedule: &self.schedule,
            l2: 0.0,
            learns_bias: false,
            step: step.step,
            dim,
            record_len,
            users_per_task,
            partial_len,
            scratch: &self.choice_scratch,
            instructions,
        };
        walk.all(UserTask {
            rows: Rows::all(&user_plan, user_table.words_mut()),
            compact: users,
            gradient,
            partials,
        });
        let walked = clock.elapsed().as_secs_f64();

        let (loss, drawn_extra) = add_up(partials, partial_len);
        let gradients = Gradients {
            gradient,
            first_sample: 0,
            other_slots: user_plan.slots,
            other: users,
            l2: 0.0,
            extra: drawn_extra,
            first_extra: 0,
            learns_bias: true,
        };
        update_items(
            instructions,
            &item_plan,
            &gradients,
            &self.schedule,
            step.step,
            items,
            item_table.words_mut(),
            record_len,
        );
        let ends = [0.0, gathered, walked, clock.elapsed().as_secs_f64()];
        self.add_seconds(CHOICE_STAGES, &ends);
        loss
    }

    fn add_seconds(&mut self, first: usize, ends: &[f64]) {
        for (total, pair) in self.seconds[first..].iter_mut().zip(ends.windows(2)) {
            *total += pair[1] - pair[0];
        }
    }
}

/// Adds the partials of all tasks to the first one, in order, on all threads; returns its loss and its gradients.
fn add_up(partials: &mut [f32], partial_len: usize) -> (f32, &[f32]) {
    /// Words that one task adds up.
    const WORDS: usize = 1024;
    let (first, others) = partials.split_at_mut(partial_len);
    first.par_chunks_mut(WORDS).enumerate().for_each(|(number, sums)| {
        for other in others.chunks_exact(partial_len) {
            let other = &other[number * WORDS..][..sums.len()];
            sums.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
        }
    });
    (first[0], &first[4..])
}

/// How will they rate it?
struct RatingForward<'a> {
    samples: Samples<'a>,
    items: &'a [f32],
    head: Head,
    dim: usize,
}

impl Forward for RatingForward<'_> {
    /// At dim 64 their records take 12 KiB.
    const USERS_PER_BLOCK: usize = 16;
    type Scratch = ();

    #[inline(always)]
    fn forward(
        &self,
        block: Range<usize>,
        samples: Range<usize>,
        users: &[f32],
        gradient: &mut [f32],
        partial: &mut [f32],
        (): &mut (),
    ) {
        let sums = pair_forward(
            &self.samples,
            samples.start,
            users,
            block.start,
            self.items,
            self.head,
            self.dim,
            gradient,
        );
        for (partial, sum) in partial.iter_mut().zip(sums) {
            *partial += sum;
        }
    }

    #[inline(always)]
    fn extra<'a>(&self, (): &'a ()) -> &'a [f32] {
        &[]
    }
}

/// Will they choose it?
struct ChoiceForward<'a> {
    choices: Choices<'a>,
    items: &'a [f32],
    drawn: &'a Drawn,
    dim: usize,
}

/// Scores of a block against the drawn items, and its extra gradients.
#[derive(Default)]
struct ChoiceScratch {
    scores: Vec<f32>,
    samples: SampleScratch,
    extra: Vec<f32>,
}

impl Forward for ChoiceForward<'_> {
    /// Enough rows for a product of matrices; their scores against 256 drawn items take 68 KiB.
    const USERS_PER_BLOCK: usize = 64;
    type Scratch = ChoiceScratch;

    #[inline(always)]
    fn forward(
        &self,
        block: Range<usize>,
        _: Range<usize>,
        users: &[f32],
        gradient: &mut [f32],
        partial: &mut [f32],
        scratch: &mut ChoiceScratch,
    ) {
        let draws = self.drawn.len();
        scratch.scores.resize(block.len() * stride(draws), 0.0);
        scratch.extra.resize(users.len(), 0.0);
        let (loss, drawn_extra) = partial.split_at_mut(4);
        choice_scores(
            self.choices.instructions,
            users,
            self.drawn,
            self.dim,
            &mut scratch.scores,
        );
        loss[0] += choice_gradient(
            &self.choices,
            block,
            users,
            self.items,
            self.dim,
            &mut scratch.scores,
            gradient,
            &mut scratch.samples,
        );
        sum_for_users(
            self.choices.instructions,
            &scratch.scores,
            self.drawn,
            self.dim,
            &mut scratch.extra,
        );
        let drawn_extra = &mut drawn_extra[..draws * (ROW_HEADER + self.dim)];
        sum_for_drawn(self.choices.instructions, &scratch.scores, users, self.dim, drawn_extra);
    }

    #[inline(always)]
    fn extra<'a>(&self, scratch: &'a ChoiceScratch) -> &'a [f32] {
        &scratch.extra
    }
}

impl Trainer for CpuTrainer {
    fn device(&self) -> String {
        format!("cpu, {} threads", self.pool.current_num_threads())
    }

    fn shape(&self, question: Question) -> Option<ModelShape> {
        self.factors(question).map(|factors| factors.shape)
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
        let stages = STAGES.into_iter().zip(self.seconds);
        let asked = |stage: usize| match stage < CHOICE_STAGES {
            true => self.ratings.is_some(),
            false => self.choices.is_some(),
        };
        let stages = stages.enumerate().filter(|&(stage, _)| asked(stage));
        stages.map(|(_, stage)| stage).collect()
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
        let head = self.head.head();
        let Some(factors) = &mut self.ratings else {
            return Ok(logits);
        };
        self.pool.install(|| {
            let plans = pair_plans(users, items);
            for (chunk, logits) in plans.zip(logits.chunks_mut(PAIRS_PER_PLAN)) {
                let plans = Sides::of(|side| chunk.side(&chunk.steps[0], side));
                for side in Side::BOTH {
                    let rows = plans[side].rows;
                    factors.gather(self.instructions, &self.schedule, self.step, true, side, rows);
                }
                let [user_slots, item_slots] = plans.0.map(|plan| plan.slots);
                let [user_rows, item_rows] = &factors.compact.0;
                let dim = factors.shape.dim;
                pair_logits(user_slots, item_slots, user_rows, item_rows, head, dim, logits);
            }
        });
        Ok(logits)
    }

    fn read_records(
        &mut self,
        question: Question,
        side: Side,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), EngineError> {
        let factors = self.factors_mut(question);
        let start = first * factors.record_len;
        out.copy_from_slice(&factors.tables[side].words()[start..start + out.len()]);
        Ok(())
    }

    fn write_records(
        &mut self,
        question: Question,
        side: Side,
        first: usize,
        records: &[f32],
    ) -> Result<(), EngineError> {
        let factors = self.factors_mut(question);
        let start = first * factors.record_len;
        factors.tables[side].words_mut()[start..start + records.len()].copy_from_slice(records);
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

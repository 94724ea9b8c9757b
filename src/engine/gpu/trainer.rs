//! Training on the device.
//!
//! A chunk of planned steps goes up in one transfer; the launches of all its steps are queued, and nothing waits: for each
//! question that is asked those of `ratings` and `choices`. The losses of a chunk come back in one copy, which
//! the host looks at when later chunks are under way.
//!
//! Sums run in the order of the plan, so two runs on one device give the same bytes.

use super::choices::Choices;
use super::factors::{Factors, Queue};
use super::ratings::Ratings;
use super::stages::StageClock;
use crate::common::interaction::{ItemIndex, UserIndex};
use crate::engine::gpu::device::{Buffer, Gpu, Pending};
use crate::engine::model::{ModelShape, Question, Side, Sides};
use crate::engine::optimizer::Schedule;
use crate::engine::plan::{PlanChunk, pair_plans};
use crate::engine::{EngineError, HeadState, StepStatistics, Trainer, TrainerSetup};
use std::collections::VecDeque;

/// Chunks whose losses may still be on their way; training waits for the oldest beyond that, so that the host cannot run
/// away from the device.
const CHUNKS_IN_FLIGHT: usize = 2;

/// Training on a graphics device.
pub struct GpuTrainer {
    gpu: Gpu,
    schedule: Schedule,
    step: u32,
    /// What each question is answered with; `None` if it is not asked.
    ratings: Option<Ratings>,
    choices: Option<Choices>,
    /// Rows `[c, tail, moment, 0]` of the schedule.
    schedule_table: Buffer,
    head: Buffer,
    /// Bits that kernels set when a plan is wrong.
    status: Buffer,
    in_flight: VecDeque<ChunkInFlight>,
    clock: StageClock,
}

/// A chunk that the device may still be working on.
struct ChunkInFlight {
    /// Number and samples of each step.
    steps: Vec<(u32, usize)>,
    has_ratings: bool,
    has_choices: bool,
    /// The losses of ratings and then those of choices, of all steps, and the status.
    read: Pending,
}

impl ChunkInFlight {
    fn wait(self) -> Result<Vec<StepStatistics>, EngineError> {
        let words = self.read.wait::<u32>("training")?;
        check_status(&words[1])?;
        let (ratings, choices) = words[0].split_at(self.steps.len());
        let loss = |is_learned: bool, bits: u32| is_learned.then(|| f32::from_bits(bits));
        let losses = ratings
            .iter()
            .zip(choices)
            .map(|(&rating, &choice)| (loss(self.has_ratings, rating), loss(self.has_choices, choice)));
        let statistics = self.steps.into_iter().zip(losses);
        Ok(statistics
            .map(|((step, samples), (rating_loss, choice_loss))| StepStatistics {
                step,
                loss: rating_loss.or(choice_loss).unwrap_or(0.0),
                choice_loss,
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
    /// Panics unless the dim of each question is a multiple of 4 from 4 to [`crate::config::MAX_DIM`].
    pub fn new(gpu: Gpu, setup: &TrainerSetup, page_rows: Option<usize>) -> Result<Self, EngineError> {
        let schedule = setup.schedule();
        let ratings = setup.shape_of(Question::Rating);
        let choices = setup.choice.zip(setup.shape_of(Question::Choice));
        Ok(Self {
            gpu,
            step: 0,
            ratings: ratings
                .map(|shape| Ratings::new(gpu, setup, shape, page_rows))
                .transpose()?,
            choices: choices
                .map(|(choice, shape)| Choices::new(gpu, setup, choice, shape, page_rows))
                .transpose()?,
            schedule_table: gpu.upload("schedule", schedule.table().as_flattened().to_vec())?,
            schedule,
            head: gpu.upload("head", HeadState::START.words().to_vec())?,
            status: gpu.upload("status", vec![0u32])?,
            in_flight: VecDeque::new(),
            clock: StageClock::new(gpu),
        })
    }

    fn factors(&self, question: Question) -> Option<&Factors> {
        match question {
            Question::Rating => self.ratings.as_ref().map(|ratings| &ratings.factors),
            Question::Choice => self.choices.as_ref().map(|choices| &choices.factors),
        }
    }

    /// Panics if the question is not asked.
    fn asked(&self, question: Question) -> &Factors {
        let factors = self.factors(question);
        factors.unwrap_or_else(|| panic!("GpuTrainer: {question:?} is not asked"))
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
        self.factors(question).map(|factors| factors.shape)
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
        self.clock.stages()
    }

    fn time_stages(&mut self, steps: usize) {
        self.clock.measure(steps);
    }

    fn train(&mut self, chunk: PlanChunk) -> Result<Vec<StepStatistics>, EngineError> {
        let optimizer = self.schedule.optimizer();
        for step in &chunk.steps {
            if let Some(ratings) = &self.ratings {
                ratings.check_batch(self.gpu, optimizer, step)?;
            }
            if let Some(choices) = &self.choices {
                choices.check_batch(self.gpu, optimizer, &chunk, step)?;
            }
        }
        // A copy goes up: the host still looks at the rows, to cut them into pages.
        let plan = self.gpu.upload("plan of a chunk", chunk.words.clone())?;
        let steps = &chunk.steps;
        let statistics = self.gpu.empty("statistics", 2 * steps.len())?;
        let queue = Queue {
            gpu: self.gpu,
            chunk: &chunk,
            plan: &plan,
            schedule: &self.schedule,
            schedule_table: &self.schedule_table,
            status: &self.status,
        };
        for (number, step) in steps.iter().enumerate() {
            assert_eq!(step.step, self.step + 1, "GpuTrainer: steps come in order");
            if let Some(ratings) = &mut self.ratings {
                ratings.queue_step(queue, &mut self.clock, step, &self.head, &statistics, number)?;
            }
            if let Some(choices) = &mut self.choices {
                choices.queue_step(queue, &mut self.clock, step, &statistics, steps.len() + number)?;
            }
            self.step = step.step;
            self.clock.end_step();
        }
        self.in_flight.push_back(ChunkInFlight {
            steps: steps.iter().map(|step| (step.step, step.batch())).collect(),
            has_ratings: self.ratings.is_some(),
            has_choices: self.choices.is_some(),
            read: self.gpu.read(&[&statistics, &self.status]),
        });
        self.arrived(CHUNKS_IN_FLIGHT)
    }

    fn finish(&mut self) -> Result<Vec<StepStatistics>, EngineError> {
        self.arrived(0)
    }

    fn score_pairs(&mut self, users: &[UserIndex], items: &[ItemIndex]) -> Result<Vec<f32>, EngineError> {
        let Some(ratings) = &mut self.ratings else {
            return Ok(vec![0.0; users.len()]);
        };
        let mut logits = Vec::with_capacity(users.len());
        for chunk in pair_plans(users, items) {
            let step = &chunk.steps[0];
            let sides = Sides::of(|side| step.side(side));
            let plan = self.gpu.upload("plan of pairs", chunk.words.clone())?;
            let queue = Queue {
                gpu: self.gpu,
                chunk: &chunk,
                plan: &plan,
                schedule: &self.schedule,
                schedule_table: &self.schedule_table,
                status: &self.status,
            };
            ratings.factors.queue_gather(queue, sides, self.step, true)?;
            let out = self.gpu.empty("logits", step.batch())?;
            ratings.factors.queue_logits(queue, sides, &self.head, &out);
            let words = self.gpu.read(&[&out, &self.status]).wait::<u32>("scoring pairs")?;
            check_status(&words[1])?;
            logits.extend(words[0].iter().map(|&bits| f32::from_bits(bits)));
        }
        Ok(logits)
    }

    fn read_records(
        &mut self,
        question: Question,
        side: Side,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), EngineError> {
        Ok(self.asked(question).table(side).read(first, out)?)
    }

    fn write_records(
        &mut self,
        question: Question,
        side: Side,
        first: usize,
        records: &[f32],
    ) -> Result<(), EngineError> {
        self.asked(question).table(side).write(first, records);
        Ok(())
    }

    fn head(&mut self) -> Result<HeadState, EngineError> {
        let words = self.gpu.read(&[&self.head]).wait_one::<f32>("reading the head")?;
        Ok(HeadState::from_words(words.try_into().expect("a head is 8 words")))
    }

    fn step(&self) -> u32 {
        self.step
    }

    fn set_head(&mut self, head: HeadState, step: u32) -> Result<(), EngineError> {
        self.gpu.write(&self.head, head.words().to_vec());
        self.step = step;
        Ok(())
    }
}

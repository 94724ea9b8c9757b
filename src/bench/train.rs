//! Training, measured: the real loader on its planner thread, the real engine, for a bounded time.
//!
//! # Bytes moved per sample
//!
//! What a step of B samples has to move, whichever engine takes it, from counted rows and words:
//!
//! ```text
//! records   2 R record_bytes                         each touched row of both tables is read and written once
//! compact   R factor_bytes + 4 B factor_bytes        a weight row a touched row is written; a sample reads two rows for its
//!                                                    logit and two for the gradients of its user and its product
//! plan      2 * 4 words                              written by the planner, read by the engine
//! ```
//!
//! R: touched rows of both tables; `record_bytes` holds what the optimiser keeps of a row (Adam: weight and two moments,
//! `4 (4 + 3 dim)`; Adagrad and SGD `4 (4 + dim)`), `factor_bytes = 4 (4 + dim)`. An engine may move more, and caches serve a part
//! of it: popular rows come again, compact rows hardly leave. So a fraction is no share of a whole and may pass 1.

use crate::common::interaction::Part;
use crate::common::system_memory::{forget_peak, peak_resident_bytes, resident_bytes};
use crate::config::{Config, DeviceChoice, OptimizerChoice};
use crate::data::interactions::Interactions;
use crate::data::oversample::oversample;
use crate::data::split::Split;
use crate::engine::cpu::CHOICE_USERS;
use crate::engine::cpu::machine::{self, MachineRates};
use crate::engine::gpu::device::{AdapterKind, Gpu};
use crate::engine::model::{ModelShape, Side, Sides};
use crate::engine::optimizer::MAX_STEPS;
use crate::engine::plan::PlanChunk;
use crate::engine::{Trainer, open};
use crate::flow::error::{FlowError, PipelineError};
use crate::flow::training::{trainer_setup, training_set};
use crate::train::loader::{PlanLoader, Position, TrainingSet};
use burn::data::dataloader::DataLoader;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A training that was measured, beside the machine's own rates.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    pub users: usize,
    pub products: usize,
    pub ratings: usize,
    pub dim: usize,
    pub batch_size: usize,
    pub optimizer: OptimizerChoice,
    /// The device in words.
    pub device: String,
    pub steps: usize,
    pub seconds: f64,
    pub samples_per_second: f64,
    pub milliseconds_per_step: f64,
    /// Of all ratings once, at that speed.
    pub seconds_per_epoch: f64,
    /// Mean loss of the last step: a training that diverges measures nothing.
    pub last_loss: f32,
    /// The planner on one thread, its epoch's shuffle included, with nobody to wait for.
    pub planner_samples_per_second: f64,
    /// Share of the time in which the engine had no plan to work on.
    pub waited_for_plan: f64,
    pub stages: Vec<Stage>,
    /// Steps of their own that the stages were measured on, each stage waited for; 0 if they are those of the training.
    pub stage_steps: usize,
    pub traffic: Traffic,
    pub machine: MachineRates,
    /// Derived bytes a second over the copy bandwidth; `None` on a card, whose memory is not the machine's.
    pub fraction_of_copy: Option<f64>,
    /// Touched rows a second over random records a second on all threads; `None` on a card.
    pub fraction_of_random_records: Option<f64>,
    /// Operations of the products that choices take, and their share of the machine's rate while users are walked; `None` where
    /// choices are not learned, or elsewhere than on the cpu.
    pub product_operations_per_step: Option<f64>,
    pub fraction_of_products: Option<f64>,
    /// The most that the process had in memory since it began, or since the point of a sweep before this one, and before the
    /// machine's rates were measured.
    pub peak_bytes: Option<u64>,
    /// Every whole minute of the training.
    pub minutes: Vec<Minute>,
}

/// A part of a step.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    pub name: &'static str,
    pub milliseconds_per_step: f64,
}

/// What an average step touches and moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Traffic {
    pub user_rows_per_step: f64,
    pub product_rows_per_step: f64,
    pub record_bytes_per_sample: f64,
    pub compact_bytes_per_sample: f64,
    pub plan_bytes_per_sample: f64,
}

impl Traffic {
    /// All of it.
    pub fn bytes_per_sample(&self) -> f64 {
        self.record_bytes_per_sample + self.compact_bytes_per_sample + self.plan_bytes_per_sample
    }
}

/// A minute of a long training: neither speed nor memory may drift.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Minute {
    /// From 1.
    pub minute: usize,
    pub samples_per_second: f64,
    pub resident_bytes: Option<u64>,
}

/// Trains on `rows` for about `seconds` as `config` says (device, threads, dim, batch size, optimiser, rates), then measures
/// the machine. `rows` are all trained on: nothing is held out or oversampled.
///
/// `on_minute` sees every whole minute as it ends. Errors if the device cannot take it.
pub fn measure(
    config: &Config,
    rows: &Arc<Interactions>,
    seconds: f64,
    on_minute: &mut dyn FnMut(&Minute),
) -> Result<TrainReport, PipelineError> {
    let shape = ModelShape {
        users: config.data.generate.users,
        items: config.data.generate.products,
        dim: config.model.dim,
    };
    let split = Split::from_parts(vec![Part::Train as u8; rows.len()]);
    let table = oversample(split.train(), &rows.ratings, &config.oversample, config.seed)?;
    let mut counts = Sides([vec![0; shape.users], vec![0; shape.items]]);
    rows.users
        .iter()
        .for_each(|&user| counts[Side::User][user.index()] += 1);
    rows.items
        .iter()
        .for_each(|&item| counts[Side::Item][item.index()] += 1);
    let set = Arc::new(TrainingSet {
        epochs: usize::MAX,
        pauses: Vec::new(),
        ..training_set(
            config,
            Arc::clone(rows),
            table,
            Arc::default(),
            Sides::of(|side| &*counts[side]),
        )
    });
    drop(split);
    let planner_samples_per_second = plan_alone(&set)?;
    let setup = trainer_setup(config, shape, planned_steps(&set, seconds));
    let mut trainer = open::trainer(config.device, &setup, config.threads)?;
    let mut clock = Clock::default();
    let mut touched = Touched::default();
    clock.run(trainer.as_mut(), &set, setup.steps, seconds, &mut touched, on_minute)?;
    let mut stage_steps = 0;
    if clock.stages.is_empty() {
        (clock.stages, stage_steps) = stages_apart(trainer.as_mut(), &set, setup.steps)?;
    }

    let peak_bytes = peak_resident_bytes();
    let device = trainer.device();
    drop(trainer);
    let threads = match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let machine = machine::measure(setup.record_len(), shape.users + shape.items, threads);
    forget_peak();
    let traffic = touched.traffic(&shape, setup.record_len());
    let took = clock.training.as_secs_f64();
    let rate = clock.samples as f64 / took;
    let shares_memory = config.device == DeviceChoice::Cpu
        || Gpu::open(true).is_ok_and(|gpu| gpu.adapter().kind == AdapterKind::Software);
    let fraction = |reached: f64, possible: f64| shares_memory.then_some(reached / possible);
    // Scores, and the gradients of both sides.
    let operations = 6.0 * touched.drawn_pairs as f64 * config.train.ranking.dim as f64 / touched.steps as f64;
    let choice_stage = clock.stages.iter().find(|stage| stage.name == CHOICE_USERS);
    let of_products = choice_stage.map(|stage| operations / (stage.milliseconds_per_step / 1e3));
    let rows_per_second = (traffic.user_rows_per_step + traffic.product_rows_per_step) * clock.steps as f64 / took;
    Ok(TrainReport {
        users: shape.users,
        products: shape.items,
        ratings: rows.len(),
        dim: shape.dim,
        batch_size: config.train.batch_size,
        optimizer: config.train.optimizer,
        device,
        steps: clock.steps,
        seconds: took,
        samples_per_second: rate,
        milliseconds_per_step: 1e3 * took / clock.steps as f64,
        seconds_per_epoch: set.samples() as f64 / rate,
        last_loss: clock.last_loss,
        planner_samples_per_second,
        waited_for_plan: clock.waiting.as_secs_f64() / took,
        stages: clock.stages,
        stage_steps,
        traffic,
        machine,
        fraction_of_copy: fraction(rate * traffic.bytes_per_sample(), machine.copy_bytes_per_second),
        fraction_of_random_records: fraction(rows_per_second, machine.random_records_per_second),
        product_operations_per_step: of_products.map(|_| operations),
        fraction_of_products: of_products.map(|rate| rate / machine.product_operations_per_second),
        peak_bytes,
        minutes: clock.minutes,
    })
}

/// Steps of whole epochs, more than any engine takes in the time; the optimiser's tables are made for as many.
fn planned_steps(set: &TrainingSet, seconds: f64) -> usize {
    const SAMPLES_PER_SECOND: f64 = 3e7;
    let epochs = (seconds * SAMPLES_PER_SECOND / set.samples() as f64).ceil() as usize + 2;
    epochs * set.steps().min(MAX_STEPS / epochs)
}

/// Samples that the planner alone plans a second, over a whole epoch.
fn plan_alone(set: &Arc<TrainingSet>) -> Result<f64, PipelineError> {
    let epoch = Arc::new(TrainingSet {
        epochs: 1,
        ..(**set).clone()
    });
    let start = Instant::now();
    for chunk in PlanLoader::new(epoch, Position::START).iter() {
        chunk.map_err(|error| FlowError::Burn(error.to_string()))?;
    }
    Ok(set.samples() as f64 / start.elapsed().as_secs_f64())
}

/// The stages of the next steps, of an engine that has to wait for each in order to tell, and how many steps these were.
fn stages_apart(
    trainer: &mut dyn Trainer,
    set: &Arc<TrainingSet>,
    planned: usize,
) -> Result<(Vec<Stage>, usize), PipelineError> {
    const STEPS: usize = 32;
    let before = trainer.step() as usize;
    let position = Position {
        epoch: before / set.steps() + 1,
        steps_done: before % set.steps(),
    };
    let loader = PlanLoader::new(Arc::clone(set), position);
    trainer.time_stages(STEPS);
    while (trainer.step() as usize) < planned.min(before + STEPS) {
        for chunk in loader.iter() {
            trainer.train(chunk.map_err(|error| FlowError::Burn(error.to_string()))?)?;
            if trainer.step() as usize >= before + STEPS {
                break;
            }
        }
    }
    trainer.finish()?;
    let steps = (trainer.step() as usize - before).min(STEPS);
    let stage = |(name, seconds)| Stage {
        name,
        milliseconds_per_step: 1e3 * seconds / steps as f64,
    };
    Ok((trainer.stages().into_iter().map(stage).collect(), steps))
}

/// Rows and words of the steps that were timed.
#[derive(Default)]
struct Touched {
    steps: usize,
    samples: usize,
    rows: Sides<usize>,
    /// Users times drawn items.
    drawn_pairs: usize,
    words: usize,
}

impl Touched {
    fn add(&mut self, chunk: &PlanChunk) {
        self.steps += chunk.steps.len();
        self.samples += chunk.samples();
        self.words += chunk.words.len();
        for step in &chunk.steps {
            for side in Side::BOTH {
                self.rows[side] += step.side(side).row_count();
            }
            let draws = step.choice.as_ref().map_or(0, |choice| choice.draws());
            self.drawn_pairs += step.side(Side::User).row_count() * draws;
        }
    }

    fn traffic(&self, shape: &ModelShape, record_len: usize) -> Traffic {
        const WORD: usize = size_of::<u32>();
        let per_step = |count: usize| count as f64 / self.steps as f64;
        let per_sample = |bytes: usize| bytes as f64 / self.samples as f64;
        let rows = self.rows[Side::User] + self.rows[Side::Item];
        Traffic {
            user_rows_per_step: per_step(self.rows[Side::User]),
            product_rows_per_step: per_step(self.rows[Side::Item]),
            record_bytes_per_sample: per_sample(2 * rows * record_len * WORD),
            compact_bytes_per_sample: per_sample((rows + 4 * self.samples) * shape.factor_len() * WORD),
            plan_bytes_per_sample: per_sample(2 * self.words * WORD),
        }
    }
}

/// What was timed.
#[derive(Default)]
struct Clock {
    steps: usize,
    samples: usize,
    training: Duration,
    waiting: Duration,
    stages: Vec<Stage>,
    last_loss: f32,
    minutes: Vec<Minute>,
}

/// Share of the time that is not counted, at the beginning: caches, clocks and drivers settle.
const WARM_UP: f64 = 0.1;

impl Clock {
    /// Trains epoch after epoch until the time is up or the planned steps are taken; the warm-up is not counted.
    fn run(
        &mut self,
        trainer: &mut dyn Trainer,
        set: &Arc<TrainingSet>,
        planned: usize,
        seconds: f64,
        touched: &mut Touched,
        on_minute: &mut dyn FnMut(&Minute),
    ) -> Result<(), PipelineError> {
        let loader = PlanLoader::new(Arc::clone(set), Position::START);
        let warm_up = Duration::from_secs_f64((WARM_UP * seconds).min(1.0));
        let budget = Duration::from_secs_f64(seconds);
        let begun = Instant::now();
        let mut start = None;
        let mut before = trainer.stages();
        let mut minute = (begun, 0);
        'training: while (trainer.step() as usize) < planned {
            let mut chunks = loader.iter();
            loop {
                let waited = Instant::now();
                let Some(chunk) = chunks.next() else { break };
                let chunk = chunk.map_err(|error| FlowError::Burn(error.to_string()))?;
                let waited = waited.elapsed();
                if start.is_some() {
                    self.waiting += waited;
                    self.steps += chunk.steps.len();
                    self.samples += chunk.samples();
                    touched.add(&chunk);
                }
                if let Some(last) = trainer.train(chunk)?.last() {
                    self.last_loss = last.loss;
                }
                if start.is_none() && begun.elapsed() >= warm_up {
                    trainer.finish()?;
                    start = Some(Instant::now());
                    before = trainer.stages();
                    minute = (Instant::now(), 0);
                }
                if minute.0.elapsed() >= Duration::from_mins(1) {
                    let done = Minute {
                        minute: self.minutes.len() + 1,
                        samples_per_second: (self.samples - minute.1) as f64 / minute.0.elapsed().as_secs_f64(),
                        resident_bytes: resident_bytes(),
                    };
                    on_minute(&done);
                    self.minutes.push(done);
                    minute = (Instant::now(), self.samples);
                }
                if self.steps > 0 && start.is_some_and(|start| start.elapsed() >= budget) {
                    break 'training;
                }
            }
        }
        if let Some(last) = trainer.finish()?.last() {
            self.last_loss = last.loss;
        }
        let stages = trainer.stages().into_iter().zip(before);
        let per_step = 1e3 / self.steps as f64;
        self.stages = stages
            .map(|((name, after), (_, before))| Stage {
                name,
                milliseconds_per_step: (after - before) * per_step,
            })
            .collect();
        self.training = start.map_or_else(|| begun.elapsed(), |start| start.elapsed());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::interaction::{ItemIndex, UserIndex};
    use crate::engine::plan::Sample;

    #[test]
    fn bytes_are_those_of_the_touched_rows_and_the_plan() {
        let sample = |user, item| Sample {
            user: UserIndex(user),
            item: ItemIndex(item),
            target: 0.5,
            weight: 1.0,
            choice: 0.0,
        };
        let mut chunk = PlanChunk::default();
        chunk.push(1, &[sample(3, 1), sample(5, 1), sample(3, 2), sample(9, 1)]);
        let mut touched = Touched::default();
        touched.add(&chunk);
        touched.add(&chunk);
        let shape = ModelShape {
            users: 10,
            items: 4,
            dim: 8,
        };
        let traffic = touched.traffic(&shape, 28);
        assert_eq!((traffic.user_rows_per_step, traffic.product_rows_per_step), (3.0, 2.0));
        // Five rows: a record is 4 + 3 * 8 words, a factor row 4 + 8.
        assert_eq!(traffic.record_bytes_per_sample, (2 * 5 * 28 * 4) as f64 / 4.0);
        assert_eq!(traffic.compact_bytes_per_sample, ((5 + 16) * 12 * 4) as f64 / 4.0);
        assert_eq!(traffic.plan_bytes_per_sample, (2 * chunk.words.len() * 4) as f64 / 4.0);
    }
}

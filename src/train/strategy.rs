//! The strategy: burn-train's custom learning strategy around the engine.
//!
//! Epoch by epoch: planned chunks go to the engine, statistics that have arrived go to burn's metrics, the validation split is
//! scored, early stopping decides, the best model and the checkpoint are written. Looking and saving change no bit of the
//! result; a stop between two chunks saves and ends in order.

use super::checkpoint::{self, Place};
use super::clock::Clock;
use super::event::{EventBus, StageTime, TrainEvent, ValidMetrics};
use super::learner::{Factorisation, PairOutput, StepOutput};
use super::loader::Position;
use super::rankings::ValidRankings;
use super::save_pace::SavePace;
use super::stopping::Stopping;
use super::wishes::Wishes;
use crate::artifact::model_file::{self, ExportError};
use crate::artifact::run_directory::{CHECKPOINT_LAST, RunDirectory};
use crate::common::hint::Hint;
use crate::common::system_memory::resident_bytes;
use crate::config::Config;
use crate::engine::objective::Objective;
use crate::engine::{EngineError, StepStatistics, reduce_learning_rate};
use crate::metrics::curves::Sweep;
use crate::metrics::rating::Confusion;
use burn::train::{
    EventProcessorTraining, Interrupter, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem, ValidLoader,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Why a training could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the data loader failed: {0}")]
    Loader(String),
}

impl Hint for TrainError {
    fn hint(&self) -> String {
        match self {
            Self::Export(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Loader(_) => "this is a fault of dotcart; please report it".to_string(),
        }
    }

    fn is_internal(&self) -> bool {
        match self {
            Self::Export(error) => error.is_internal(),
            Self::Engine(error) => error.is_internal(),
            Self::Loader(_) => true,
        }
    }
}

/// How the loop ended, for the caller of burn's `launch`.
#[derive(Debug, Default)]
pub struct Outcome {
    pub error: Option<TrainError>,
    pub stopped_early: bool,
    /// True if all epochs, or as many as early stopping wanted, are done.
    pub is_done: bool,
}

/// Everything the loop needs besides what burn hands it.
pub struct EngineStrategy {
    pub config: Config,
    pub run: RunDirectory,
    pub bus: EventBus,
    pub stopping: Stopping,
    pub clock: Clock,
    pub wishes: Wishes,
    /// Seconds trained by earlier processes.
    pub seconds_before: f64,
    pub position: Position,
    /// Whom to rank for after each epoch; `None` where rankings are not learned.
    pub rankings: Option<ValidRankings>,
    pub step: Arc<AtomicU32>,
    pub outcome: Arc<Mutex<Outcome>>,
}

type Events = SupervisedTrainingEventProcessor<Factorisation>;

/// Seconds between two looks at the process itself.
const MEASURE_SECONDS: f64 = 1.0;
/// How soon a paused training notices the wish to stop.
const GLANCE: Duration = Duration::from_millis(50);

impl EngineStrategy {
    fn seconds(&self) -> f64 {
        self.clock.seconds()
    }

    /// Trains the rest of an epoch. Returns how many of its steps are done.
    fn train_epoch(
        &self,
        model: &Factorisation,
        epoch: usize,
        loaders: Loaders,
        components: &mut Running,
    ) -> Result<usize, TrainError> {
        let samples = loaders.train.num_items();
        let events = &mut components.events;
        let interrupter = &components.interrupter;
        interrupter.fail_on_error(events.process_train(LearnerEvent::StartSplit {
            epoch_number: epoch,
            total_items: samples,
        }));
        let mut steps_done = if epoch == self.position.epoch {
            self.position.steps_done
        } else {
            0
        };
        let mut samples_reported = (steps_done * self.config.train.batch_size).min(samples);
        let mut report = |steps: Vec<StepStatistics>, events: &mut Events| {
            let Some(last) = steps.last() else { return };
            samples_reported += steps.iter().map(|step| step.samples).sum::<usize>();
            self.step.store(last.step, Ordering::Relaxed);
            let progress = burn::data::dataloader::Progress::new(samples_reported, samples, None);
            let item = TrainingItem::new(
                StepOutput { steps: steps.clone() },
                progress,
                Some(last.step as usize),
                None,
            );
            interrupter.fail_on_error(events.process_train(LearnerEvent::ProcessedItem(item)));
        };
        let mut measured_at = None;
        // Chunks end at these steps.
        let due = |every: usize, steps_done: usize| every > 0 && steps_done.is_multiple_of(every);
        for chunk in loaders.train.iter() {
            let chunk = chunk.map_err(|error| TrainError::Loader(error.to_string()))?;
            steps_done += chunk.steps.len();
            let steps = model.trainer().train(chunk)?;
            report(steps, events);
            let now = self.seconds();
            if measured_at.is_none_or(|at| now - at >= MEASURE_SECONDS) {
                measured_at = Some(now);
                self.measure(model, epoch);
            }
            if due(self.config.train.evaluate_steps, steps_done) {
                self.look(model, epoch, &loaders, events, interrupter)?;
            }
            // Who asks at an epoch's end is answered behind it.
            let is_epoch_end = steps_done * self.config.train.batch_size >= samples;
            let saves =
                due(self.config.train.checkpoint_steps, steps_done) || (!is_epoch_end && self.wishes.take_checkpoint());
            let pauses = self.wishes.wants_pause();
            if saves || pauses {
                // The device's verdict on all steps comes first: a checkpoint must not hold what a fault left, and whoever
                // pauses a training wants its device idle.
                let steps = model.trainer().finish()?;
                report(steps, events);
            }
            let position = Position { epoch, steps_done };
            if saves {
                self.save(model, position, &mut components.pace)?;
            }
            if pauses {
                self.pause(model, position, events, interrupter, &mut components.pace)?;
            }
            if interrupter.should_stop() {
                break;
            }
        }
        let steps = model.trainer().finish()?;
        report(steps, events);
        interrupter.fail_on_error(events.process_train(LearnerEvent::EndSplit(epoch)));
        Ok(steps_done)
    }

    /// Tells how the process fares. Where stages have to be waited for, one step until the next time is measured.
    fn measure(&self, model: &Factorisation, epoch: usize) {
        let mut trainer = model.trainer();
        trainer.time_stages(1);
        let (step, schedule) = (trainer.step(), trainer.schedule());
        let stages = trainer.stages().into_iter().map(|(name, seconds)| StageTime {
            name: name.to_string(),
            seconds,
        });
        self.bus.send(&TrainEvent::Measured {
            epoch,
            step,
            learning_rate: schedule.learning_rate().at(step as usize, schedule.steps()),
            memory_bytes: resident_bytes(),
            stages: stages.collect(),
            seconds: self.seconds(),
        });
    }

    /// Stands still until somebody lets the training go on or ends it; still saves when asked to.
    fn pause(
        &self,
        model: &Factorisation,
        position: Position,
        events: &mut Events,
        interrupter: &Interrupter,
        pace: &mut SavePace,
    ) -> Result<(), TrainError> {
        // What was trained is told before the pause is.
        interrupter.fail_on_error(events.flush());
        self.clock.pause();
        self.bus.send(&TrainEvent::Paused {
            epoch: position.epoch,
            step: model.trainer().step(),
            seconds: self.seconds(),
        });
        while self.wishes.wants_pause() && !interrupter.should_stop() {
            if self.wishes.take_checkpoint() {
                self.save(model, position, pace)?;
            }
            self.wishes.wait(GLANCE);
        }
        self.clock.resume();
        self.bus.send(&TrainEvent::Resumed {
            seconds: self.seconds(),
        });
        Ok(())
    }

    /// Scores the validation split between epochs' ends; decides nothing.
    fn look(
        &self,
        model: &Factorisation,
        epoch: usize,
        loaders: &Loaders,
        events: &mut Events,
        interrupter: &Interrupter,
    ) -> Result<(), TrainError> {
        let mut rows = Rows::default();
        for batch in loaders.valid.iter() {
            let batch = batch.map_err(|error| TrainError::Loader(error.to_string()))?;
            rows.add(&model.score(batch)?);
        }
        interrupter.fail_on_error(events.flush());
        if let Some(metrics) = rows.metrics(&self.config) {
            self.bus.send(&TrainEvent::Validated {
                epoch,
                step: model.trainer().step(),
                epoch_end: false,
                metrics,
                seconds: self.seconds(),
            });
        }
        Ok(())
    }

    /// Scores the validation split, through burn's metrics too. Returns its figures, or `None` if nothing is held out.
    fn validate(
        &self,
        model: &Factorisation,
        epoch: usize,
        loaders: &Loaders,
        components: &mut Running,
    ) -> Result<Option<ValidMetrics>, TrainError> {
        let total = loaders.valid.num_items();
        if total == 0 {
            return Ok(None);
        }
        let Running {
            events, interrupter, ..
        } = components;
        interrupter.fail_on_error(events.process_valid(LearnerEvent::StartSplit {
            epoch_number: epoch,
            total_items: total,
        }));
        let mut rows = Rows::default();
        let mut batches = loaders.valid.iter();
        while let Some(batch) = batches.next() {
            let output = model.score(batch.map_err(|error| TrainError::Loader(error.to_string()))?)?;
            rows.add(&output);
            let item = TrainingItem::new(output, batches.progress(), None, None);
            interrupter.fail_on_error(events.process_valid(LearnerEvent::ProcessedItem(item)));
        }
        interrupter.fail_on_error(events.process_valid(LearnerEvent::EndSplit(epoch)));
        let Some(mut metrics) = rows.metrics(&self.config) else {
            return Ok(None);
        };
        if let Some(rankings) = &self.rankings {
            metrics.ranking = match rankings.judge(model.trainer().as_mut()) {
                Ok(ranking) => Some(ranking),
                // A model that has diverged ranks nothing, and saving it will say so.
                Err(EngineError::NotFinite { .. }) => None,
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Some(metrics))
    }

    /// Saves where the training stands. Bests of before go once no checkpoint speaks of them.
    fn save(&self, model: &Factorisation, position: Position, pace: &mut SavePace) -> Result<(), TrainError> {
        let mut trainer = model.trainer();
        let best = self.stopping.best();
        let began = self.seconds();
        let place = Place {
            format_version: Place::FORMAT_VERSION,
            step: trainer.step(),
            epoch: position.epoch,
            steps_done: position.steps_done,
            best,
            reductions: trainer.schedule().learning_rate().reductions.clone(),
            seconds: self.seconds_before + self.seconds(),
        };
        checkpoint::save(&self.run.file(CHECKPOINT_LAST), trainer.as_mut(), &place)?;
        self.run.remove_bests_but(best.epoch);
        pace.saved(began, self.seconds());
        self.bus.send(&TrainEvent::CheckpointSaved {
            step: place.step,
            seconds: self.seconds(),
        });
        Ok(())
    }

    /// Lowers the learning rate if so many epochs brought nothing better since the best one and since the last reduction.
    fn reduce_on_plateau(&self, model: &Factorisation, epoch: usize) -> Result<(), TrainError> {
        let rule = self.config.train.reduce_on_plateau;
        if rule.patience == 0 {
            return Ok(());
        }
        let mut trainer = model.trainer();
        let steps_per_epoch = trainer.step() as usize / epoch;
        let reductions = &trainer.schedule().learning_rate().reductions;
        let last_reduced = reductions
            .last()
            .map_or(0, |last| last.after_step as usize / steps_per_epoch);
        if epoch - self.stopping.best().epoch.max(last_reduced) < rule.patience || epoch == self.config.train.epochs {
            return Ok(());
        }
        reduce_learning_rate(trainer.as_mut(), rule.factor)?;
        self.bus.send(&TrainEvent::LearningRateReduced {
            epoch,
            factor: rule.factor,
            seconds: self.seconds(),
        });
        Ok(())
    }

    /// All epochs.
    fn run_epochs(&self, model: &Factorisation, loaders: &Loaders, components: &mut Running) -> Result<(), TrainError> {
        for epoch in self.position.epoch..=self.config.train.epochs {
            let is_epoch_start = epoch > self.position.epoch || self.position.steps_done == 0;
            let rule = components.early_stopping.as_mut();
            if epoch > 1
                && is_epoch_start
                && rule.is_some_and(|rule| rule.should_stop(epoch - 1, &components.event_store))
            {
                self.lock().stopped_early = true;
                break;
            }
            let steps_done = self.train_epoch(model, epoch, loaders.clone(), components)?;
            if components.interrupter.should_stop() {
                return self.save(model, Position { epoch, steps_done }, &mut components.pace);
            }
            let valid = self.validate(model, epoch, loaders, components)?;
            let Running {
                events, interrupter, ..
            } = components;
            interrupter.fail_on_error(events.process_train(LearnerEvent::EndEpoch(epoch)));
            interrupter.fail_on_error(events.flush());
            if let Some(metrics) = valid {
                self.bus.send(&TrainEvent::Validated {
                    epoch,
                    step: model.trainer().step(),
                    epoch_end: true,
                    metrics,
                    seconds: self.seconds(),
                });
            }
            let is_best = self.stopping.report(epoch, valid.as_ref());
            // With nothing to judge by, the last is the best: see the end.
            if is_best && valid.is_some() {
                self.write_best(model)?;
            }
            self.bus.send(&TrainEvent::EpochEnded {
                epoch,
                is_best,
                seconds: self.seconds(),
            });
            self.reduce_on_plateau(model, epoch)?;
            let stops = components.interrupter.should_stop() && epoch < self.config.train.epochs;
            if stops || self.wishes.take_checkpoint() || components.pace.is_due(self.seconds()) {
                let next = Position {
                    epoch: epoch + 1,
                    steps_done: 0,
                };
                self.save(model, next, &mut components.pace)?;
            }
            if stops {
                return Ok(());
            }
        }
        if loaders.valid.num_items() == 0 {
            self.write_best(model)?;
        }
        self.lock().is_done = true;
        Ok(())
    }

    /// Writes the model of the best epoch so far, which ends here.
    fn write_best(&self, model: &Factorisation) -> Result<(), TrainError> {
        let path = self.run.best(self.stopping.best().epoch);
        Ok(model_file::write(&path, model.trainer().as_mut())?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().expect("no thread panics while it holds the lock")
    }
}

/// burn's loaders.
#[derive(Clone)]
struct Loaders {
    train: TrainLoader<Factorisation>,
    valid: ValidLoader<Factorisation>,
}

/// What is left of burn's components once the loop runs.
struct Running {
    events: Events,
    interrupter: Interrupter,
    early_stopping: Option<Box<dyn burn::train::CloneEarlyStoppingStrategy>>,
    event_store: Arc<burn::train::metric::store::EventStoreClient>,
    pace: SavePace,
}

/// Scored rows, all of a split.
#[derive(Default)]
struct Rows {
    logits: Vec<f32>,
    relevant: Vec<bool>,
    loss: f64,
}

impl Rows {
    fn add(&mut self, output: &PairOutput) {
        self.logits.extend_from_slice(&output.logits);
        self.relevant.extend(output.relevant());
        self.loss += output.loss() * output.logits.len() as f64;
    }

    /// `None` without rows.
    fn metrics(&self, config: &Config) -> Option<ValidMetrics> {
        let objective = Objective::new(config);
        let scores: Vec<f32> = self
            .logits
            .iter()
            .map(|&logit| crate::engine::objective::sigmoid(logit))
            .collect();
        let counts = Confusion::at(objective.threshold(config.evaluate.threshold), &scores, &self.relevant);
        Some(ValidMetrics {
            loss: self.loss / self.logits.len() as f64,
            precision: counts.precision().unwrap_or(0.0),
            base_rate: counts.base_rate()?,
            recall: counts.recall().unwrap_or(0.0),
            auc: Sweep::new(&self.logits, &self.relevant).auc().unwrap_or(0.5),
            ranking: None,
        })
    }
}

impl SupervisedLearningStrategy<Factorisation> for EngineStrategy {
    fn fit(
        &self,
        components: TrainingComponents<Factorisation>,
        learner: Learner<Factorisation>,
        train: TrainLoader<Factorisation>,
        valid: ValidLoader<Factorisation>,
        _starting_epoch: usize,
    ) -> (Factorisation, Events) {
        let model = learner.model();
        let mut running = Running {
            events: components.event_processor,
            interrupter: components.interrupter,
            early_stopping: components.early_stopping,
            event_store: components.event_store,
            pace: SavePace::new(self.seconds(), checkpoint::bytes(model.trainer().as_ref())),
        };
        if let Err(error) = self.run_epochs(&model, &Loaders { train, valid }, &mut running) {
            running.interrupter.stop(Some("error"));
            self.lock().error = Some(error);
        }
        (model, running.events)
    }
}

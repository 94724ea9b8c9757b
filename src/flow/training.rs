//! Training: an engine at the place where its run stands, and burn-train's learner around it.

use crate::artifact::run_directory::{CHECKPOINT_LAST, CONFIG, RunDirectory};
use crate::centre::{self, Rated, bias_centres};
use crate::common::interaction::Part;
use crate::config::Config;
use crate::data::interactions::Interactions;
use crate::data::oversample::SamplingTable;
use crate::data::progress::Progress;
use crate::engine::choice::ChoiceSetup;
use crate::engine::cpu::thread_pool;
use crate::engine::model::{ModelShape, Question, Side, Sides};
use crate::engine::negatives::Negatives;
use crate::engine::objective::Objective;
use crate::engine::open::{self, Opened};
use crate::engine::optimizer::LearningRate;
use crate::engine::plan::ChoiceL2;
use crate::engine::{Trainer, TrainerSetup};
use crate::flow::earlier::Earlier;
use crate::flow::error::{FlowError, PipelineError};
use crate::flow::prepare::Prepared;
use crate::train::checkpoint::{self, Place};
use crate::train::clock::Clock;
use crate::train::event::{ClassCount, EventBus, FinishReason, TrainEvent, TrainStart};
use crate::train::learner::Factorisation;
use crate::train::loader::{PairLoader, PlanLoader, Position, TrainingSet};
use crate::train::rankings::ValidRankings;
use crate::train::renderer::BusRenderer;
use crate::train::stopping::{Best, Stopping};
use crate::train::strategy::{EngineStrategy, Outcome, TrainError};
use crate::train::wishes::Wishes;
use burn::optim::AdamConfig;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::{Interrupter, Learner, SupervisedTraining, TrainingStrategy};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

/// Where the priors of the biases are centred, users and items; nothing where a config leaves them at zero.
pub type Centres = Arc<Sides<Vec<f32>>>;

/// Finds the centres of a config and its training split.
pub fn find_centres(config: &Config, prepared: &Prepared, progress: &dyn Progress) -> Centres {
    let rank = config.train.prior.directions();
    if rank == 0 || config.train.ranking.weight == 1.0 {
        return Arc::default();
    }
    let objective = Objective::new(config);
    let rows = prepared.split.rows(Part::Train);
    let all = &prepared.interactions;
    let users: Vec<_> = rows.iter().map(|&row| all.users[row as usize]).collect();
    let items: Vec<_> = rows.iter().map(|&row| all.items[row as usize]).collect();
    let ratings = rows.iter().map(|&row| all.ratings[row as usize]);
    let targets: Vec<_> = ratings.map(|rating| objective.training_target(rating)).collect();
    let rated = Rated {
        users: &users,
        items: &items,
        targets: &targets,
    };
    let (users, items) = (prepared.report.users, prepared.report.items);
    let find = || bias_centres(rated, users, items, rank, config.seed, progress);
    Arc::new(thread_pool(config.threads).install(find))
}

/// What the loader plans steps from; `counts` are the training ratings of users and of items.
pub fn training_set(
    config: &Config,
    interactions: Arc<Interactions>,
    table: SamplingTable,
    centres: Centres,
    counts: Sides<&[u32]>,
) -> TrainingSet {
    let ranking = &config.train.ranking;
    let negatives = (ranking.weight > 0.0).then(|| {
        Negatives::new(
            ranking.loss,
            ranking.negatives,
            ranking.popularity,
            counts[Side::Item],
            config.seed,
        )
    });
    TrainingSet {
        interactions,
        table,
        objective: Objective::new(config),
        batch_size: config.train.batch_size,
        prior: config.train.prior.times(1.0 - ranking.weight),
        negatives,
        choice_l2: match ranking.weight > 0.0 {
            true => ChoiceL2::tempered((ranking.weight * ranking.l2) as f32, counts),
            false => ChoiceL2::default(),
        },
        centres,
        seed: config.seed,
        epochs: config.train.epochs,
        pauses: vec![config.train.evaluate_steps, config.train.checkpoint_steps],
    }
}

/// What an engine begins with, for a training of `steps` steps.
pub fn trainer_setup(config: &Config, shape: ModelShape, steps: usize) -> TrainerSetup {
    let ranking = &config.train.ranking;
    let choice = (ranking.weight > 0.0).then_some(ChoiceSetup {
        dim: ranking.dim,
        loss: ranking.loss,
        share: ranking.weight as f32,
    });
    TrainerSetup {
        shape,
        choice,
        seed: config.seed,
        steps,
        learning_rate: LearningRate {
            base: config.train.learning_rate,
            curve: config.train.learning_rate_curve,
            warmup_steps: config.train.warmup_steps,
            reductions: Vec::new(),
        },
        optimizer: config.train.optimizer,
        l2: ((1.0 - ranking.weight) * config.train.l2) as f32,
        clip: config.train.clip as f32,
        holds_scale: config.train.prior.is_set(),
    }
}

/// An engine that is where its run left off, or at the start.
pub struct Standing {
    trainer: Box<dyn Trainer>,
    /// Why it is not on the real GPU that was found.
    device_failure: Option<String>,
    position: Position,
    best: Best,
    /// Seconds trained by earlier processes.
    seconds: f64,
}

impl Standing {
    /// Opens an engine and brings it to the run's last checkpoint; without one, the biases start at their centres, or all where an
    /// [`Earlier`] run ended.
    ///
    /// Errors if the checkpoint was made with another config; a run whose first engine cannot open is removed.
    pub fn open(
        run: &RunDirectory,
        config: &Config,
        set: &TrainingSet,
        shape: ModelShape,
    ) -> Result<Self, PipelineError> {
        let setup = trainer_setup(config, shape, set.steps() * set.epochs);
        let last = run.file(CHECKPOINT_LAST);
        let mut trainer = open::trainer(config.device, &setup, config.threads).inspect_err(|_| {
            if !last.exists() {
                // Nothing was trained: a run that never began is no run.
                let _ = std::fs::remove_dir_all(run.path());
            }
        })?;
        let device_failure = open::device(config.device).ok().as_ref().and_then(Opened::warning);
        let place = match last.exists() {
            true => Some(checkpoint::load(&last, trainer.as_mut()).map_err(TrainError::from)?),
            false => {
                centre::start_at(&set.centres, trainer.as_mut())?;
                if let Some(earlier) = Earlier::of(config)? {
                    earlier.warm(run, trainer.as_mut())?;
                }
                None
            }
        };
        let position = place.as_ref().map_or(Position::START, Place::position);
        if trainer.step() as usize != (position.epoch - 1) * set.steps() + position.steps_done {
            return Err(FlowError::ForeignCheckpoint(run.file(CONFIG)).into());
        }
        Ok(Self {
            trainer,
            device_failure,
            position,
            best: place.as_ref().map_or(Best::default(), |place| place.best),
            seconds: place.map_or(0.0, |place| place.seconds),
        })
    }

    /// What a training tells before its first step.
    pub fn announcement(
        &self,
        run: &RunDirectory,
        set: &TrainingSet,
        valid_rows: usize,
        classes: Vec<ClassCount>,
        generated: bool,
    ) -> TrainEvent {
        let [ratings, choices] = Question::BOTH.map(|question| self.trainer.shape(question));
        let shape = ratings.or(choices).expect("a trainer is asked something");
        TrainEvent::Started(Box::new(TrainStart {
            run: run.name(),
            device: self.trainer.device(),
            device_failure: self.device_failure.clone(),
            generated,
            users: shape.users,
            items: shape.items,
            dim: ratings.map_or(0, |shape| shape.dim),
            batch_size: set.batch_size,
            epochs: set.epochs,
            first_epoch: self.position.epoch,
            steps_per_epoch: set.steps(),
            samples_per_epoch: set.samples(),
            valid_rows,
            classes,
        }))
    }
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    pub reason: FinishReason,
    pub best_epoch: usize,
    /// Of training, earlier processes counted in.
    pub seconds: f64,
}

/// Trains epoch after epoch, from where the engine stands, until done or interrupted.
pub fn train_epochs(
    run: &RunDirectory,
    config: &Config,
    standing: Standing,
    set: TrainingSet,
    valid_loader: PairLoader,
    rankings: Option<ValidRankings>,
    bus: &EventBus,
    interrupter: &Interrupter,
    wishes: &Wishes,
) -> Result<Trained, PipelineError> {
    let Standing {
        trainer,
        position,
        best,
        seconds,
        ..
    } = standing;
    let clock = Clock::start();
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let step = Arc::new(AtomicU32::new(trainer.step()));
    let stopping = Stopping::new(config.train.early_stopping, best);
    let strategy = EngineStrategy {
        config: config.clone(),
        run: run.clone(),
        bus: bus.clone(),
        stopping: stopping.clone(),
        clock: clock.clone(),
        wishes: wishes.clone(),
        seconds_before: seconds,
        position,
        rankings,
        step: Arc::clone(&step),
        outcome: Arc::clone(&outcome),
    };
    let objective = set.objective;
    let train_loader = Arc::new(PlanLoader::new(Arc::new(set), position));
    let training = SupervisedTraining::<Factorisation>::new(run.path(), train_loader, Arc::new(valid_loader))
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::default())
        .with_interrupter(interrupter.clone())
        .renderer(Box::new(BusRenderer::new(bus.clone(), clock.clone(), step)))
        .early_stopping(stopping.clone())
        .num_epochs(config.train.epochs)
        .checkpoint(position.epoch - 1)
        .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)));
    let training = crate::train::metrics::register(training, &objective, config.evaluate.threshold);
    // The learner's own optimiser is never stepped: the engine's is.
    let learner = Learner::new(
        Factorisation::new(trainer, objective),
        AdamConfig::new().init(),
        config.train.learning_rate,
    );
    let result = training.launch(learner);

    let outcome = std::mem::take(&mut *outcome.lock().expect("no thread panics while it holds the lock"));
    if let Some(error) = outcome.error {
        return Err(error.into());
    }
    if let Some(error) = result.error {
        return Err(FlowError::Burn(error.to_string()).into());
    }
    let trained = Trained {
        reason: match (outcome.is_done, outcome.stopped_early) {
            (false, _) => FinishReason::Stopped,
            (true, true) => FinishReason::EarlyStopped,
            (true, false) => FinishReason::Completed,
        },
        best_epoch: stopping.best().epoch,
        seconds: seconds + clock.seconds(),
    };
    bus.send(&TrainEvent::Finished {
        reason: trained.reason,
        best_epoch: trained.best_epoch,
        seconds: clock.seconds(),
    });
    Ok(trained)
}

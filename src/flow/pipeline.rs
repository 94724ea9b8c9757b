//! The flow: config -> source -> ingest -> split -> oversample -> plan -> train -> calibrate -> evaluate -> run directory.

use crate::artifact::export::ExportSplitsError;
use crate::artifact::model_file::{ExportError, ModelFile};
use crate::artifact::run_directory::{
    CALIBRATION, CHECKPOINT_BEST, CHECKPOINT_LAST, CONFIG, DATA_REPORT, EVALUATION, INTERACTIONS, MODEL, PRODUCTS,
    RunDirectory, RunError, USERS,
};
use crate::artifact::tensor_file::FileError;
use crate::artifact::{interactions_file, vocabulary_file};
use crate::common::interaction::Part;
use crate::config::{Config, ConfigError, DeviceChoice};
use crate::data::fault::IngestError;
use crate::data::ingest::{Ingested, ingest};
use crate::data::interactions::Interactions;
use crate::data::oversample::{OversampleError, SamplingTable, oversample};
use crate::data::progress::Progress;
use crate::data::report::DataReport;
use crate::data::source::{Source, SourceError, locate};
use crate::data::split::{Split, SplitError};
use crate::data::synthetic::GenerateError;
use crate::data::titles::Titles;
use crate::data::vocabulary::Vocabulary;
use crate::engine::cpu::{CpuScorer, CpuTrainer, thread_pool};
use crate::engine::gpu::device::{Gpu, adapter_of};
use crate::engine::gpu::trainer::GpuTrainer;
use crate::engine::memory::{self, MemoryError, MemoryNeed, TrainingSize};
use crate::engine::model::{Head, ModelShape};
use crate::engine::objective::Objective;
use crate::engine::optimizer::{LearningRate, MAX_STEPS};
use crate::engine::{EngineError, Trainer, TrainerSetup};
use crate::evaluate::calibrate::{Calibration, Outcome as CalibrationOutcome, calibrate};
use crate::evaluate::{EvaluateError, Evaluation, evaluate, held_out, score};
use crate::flow::sweep::SweepError;
use crate::recommend::RecommendError;
use crate::train::centre::{self, Rated, bias_centres};
use crate::train::checkpoint;
use crate::train::clock::Clock;
use crate::train::event::{ClassCount, EventBus, FinishReason, TrainEvent, TrainStart};
use crate::train::learner::Factorisation;
use crate::train::loader::{PairLoader, PlanLoader, Position, TrainingSet};
use crate::train::renderer::BusRenderer;
use crate::train::stopping::{Best, Stopping};
use crate::train::strategy::{EngineStrategy, Outcome, TrainError};
use crate::train::wishes::Wishes;
use burn::optim::AdamConfig;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::{Interrupter, Learner, SupervisedTraining, TrainingStrategy};
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

/// Anything that can go wrong on the way, each with its hint.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Generate(#[from] GenerateError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error(transparent)]
    Oversample(#[from] OversampleError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Recommend(#[from] RecommendError),
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error(transparent)]
    ExportSplits(#[from] ExportSplitsError),
    #[error("there is no oversampling to do without: no rating class of `{0}` grows")]
    NothingToAblate(PathBuf),
    #[error("the checkpoint was not made with this config: its step does not fit ({})", .0.display())]
    ForeignCheckpoint(PathBuf),
    #[error("{0} epochs are {1} steps, at most {MAX_STEPS}")]
    TooManySteps(usize, usize),
    #[error("training failed: {0}")]
    Burn(String),
}

impl PipelineError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Config(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Generate(error) => error.hint().to_string(),
            Self::Ingest(error) => error.hint(),
            Self::Split(error) => error.hint().to_string(),
            Self::Oversample(error) => error.hint().to_string(),
            Self::Memory(error) => error.hint().to_string(),
            Self::Run(error) => error.hint(),
            Self::Engine(error) => error.hint().to_string(),
            Self::Train(TrainError::Export(ExportError::File(error)))
            | Self::Recommend(RecommendError::Run(RunError::File(error))) => RunError::hint_of_file(error),
            Self::Train(TrainError::Engine(error) | TrainError::Export(ExportError::Engine(error))) => {
                error.hint().to_string()
            }
            Self::Train(TrainError::Loader(_)) | Self::Burn(_) => {
                "this is a fault of dotcart; please report it".to_string()
            }
            Self::Recommend(error) => error.hint(),
            Self::ExportSplits(error) => error.hint(),
            Self::Sweep(error) => error.hint(),
            Self::NothingToAblate(_) => {
                "set `oversample.factors`, for example `--set 'oversample.factors={\"1\"=2.0}'`".to_string()
            }
            Self::ForeignCheckpoint(_) => "put back the config that the run began with, or train again".to_string(),
            Self::TooManySteps(..) => "lower `train.epochs`, or raise `train.batch_size`".to_string(),
        }
    }

    /// True if the fault is ours, not the user's.
    pub fn is_internal(&self) -> bool {
        matches!(
            self,
            Self::Train(TrainError::Loader(_)) | Self::Burn(_) | Self::Engine(EngineError::Status { .. })
        )
    }
}

impl From<FileError> for PipelineError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

impl From<EvaluateError> for PipelineError {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Run(error) => Self::Run(error),
            EvaluateError::Engine(error) => Self::Engine(error),
        }
    }
}

/// Rows, their split and what an epoch draws from.
pub struct Prepared {
    pub report: DataReport,
    pub interactions: Arc<Interactions>,
    pub split: Split,
    pub table: SamplingTable,
    pub classes: Vec<ClassCount>,
}

impl Prepared {
    /// What the rows come to, for [`memory`].
    pub fn size(&self) -> TrainingSize {
        let part = |part: Part| self.split.parts().iter().filter(|row| **row == part as u8).count();
        TrainingSize {
            users: self.report.users,
            items: self.report.items,
            rows: self.interactions.len(),
            has_timestamps: self.interactions.timestamps.is_some(),
            train: part(Part::Train),
            valid: part(Part::Valid),
            test: part(Part::Test),
            samples: self.table.len(),
        }
    }
}

/// The memory that training on these rows takes.
pub fn predict_memory(config: &Config, prepared: &Prepared) -> MemoryNeed {
    memory::predict(&prepared.size(), config, adapter_of(config.device).as_ref())
}

/// The same. Errors if it does not fit this machine or its adapter.
pub fn check_memory(config: &Config, prepared: &Prepared) -> Result<MemoryNeed, MemoryError> {
    let mut ratings_per_user = vec![0u32; prepared.report.users];
    for &user in &prepared.interactions.users {
        ratings_per_user[user as usize] += 1;
    }
    let adapter = adapter_of(config.device);
    memory::check(&prepared.size(), config, adapter.as_ref(), &ratings_per_user)
}

/// What a ratings file was made into: the names, and what training needs.
pub struct Loaded {
    pub users: Vocabulary,
    pub items: Vocabulary,
    pub titles: Option<Titles>,
    pub prepared: Prepared,
}

/// Source, ingest, split, oversample.
pub fn load(config: &Config, path_is_explicit: bool, progress: &dyn Progress) -> Result<Loaded, PipelineError> {
    let Source { path, generated } = locate(&config.data, path_is_explicit, config.seed, progress)?;
    let Ingested {
        users,
        items,
        titles,
        interactions,
        report,
    } = ingest(&path, generated, &config.data, progress)?;
    let split = Split::new(&interactions, &config.split, config.seed)?;
    let prepared = prepare(config, report, Arc::new(interactions), split)?;
    Ok(Loaded {
        users,
        items,
        titles,
        prepared,
    })
}

/// A run directory with everything but a model, and what training needs of it.
pub fn begin(
    config: &Config,
    path_is_explicit: bool,
    progress: &dyn Progress,
) -> Result<(RunDirectory, Prepared), PipelineError> {
    let Loaded {
        users,
        items,
        titles,
        prepared,
    } = load(config, path_is_explicit, progress)?;
    let steps = prepared
        .table
        .len()
        .div_ceil(config.train.batch_size)
        .saturating_mul(config.train.epochs);
    if steps > MAX_STEPS {
        return Err(PipelineError::TooManySteps(config.train.epochs, steps));
    }
    check_memory(config, &prepared)?;

    let run = RunDirectory::create(&config.name)?;
    if let Err(error) = fill(&run, config, &prepared, &users, &items, titles.as_ref()) {
        // Half a run could not even be resumed.
        let _ = std::fs::remove_dir_all(run.path());
        return Err(error);
    }
    Ok((run, prepared))
}

/// Everything of a run that is known before the first step.
fn fill(
    run: &RunDirectory,
    config: &Config,
    prepared: &Prepared,
    users: &Vocabulary,
    items: &Vocabulary,
    titles: Option<&Titles>,
) -> Result<(), PipelineError> {
    let train = prepared.split.train();
    let count = |rows: usize, index: &[u32]| {
        let mut counts = vec![0u32; rows];
        train
            .rows()
            .iter()
            .for_each(|&row| counts[index[row as usize] as usize] += 1);
        counts
    };
    let interactions = &prepared.interactions;
    run.write_json(DATA_REPORT, &prepared.report)?;
    let user_counts = count(users.len(), &interactions.users);
    let item_counts = count(items.len(), &interactions.items);
    vocabulary_file::write(&run.file(USERS), users, &user_counts, None)?;
    vocabulary_file::write(&run.file(PRODUCTS), items, &item_counts, titles)?;
    interactions_file::write(
        &run.file(INTERACTIONS),
        users.len(),
        interactions,
        prepared.split.parts(),
    )?;
    // Last, because a folder with a config counts as a run.
    run.write_text(CONFIG, &config.to_toml())?;
    Ok(())
}

/// The same from an unfinished run directory, which needs nothing else.
pub fn reopen(run: &RunDirectory, config: &Config) -> Result<Prepared, PipelineError> {
    if run.is_complete() {
        return Err(RunError::Complete(run.path().to_path_buf()).into());
    }
    let report: DataReport = run.read_json(DATA_REPORT)?;
    let (interactions, parts) = run.interactions(report.users, report.items)?.read()?;
    let prepared = prepare(config, report, Arc::new(interactions), Split::from_parts(parts))?;
    check_memory(config, &prepared)?;
    Ok(prepared)
}

/// The same rows once more, split and oversampled as `config` says.
pub fn resplit(
    config: &Config,
    report: DataReport,
    interactions: Arc<Interactions>,
) -> Result<Prepared, PipelineError> {
    let split = Split::new(&interactions, &config.split, config.seed)?;
    prepare(config, report, interactions, split)
}

fn prepare(
    config: &Config,
    report: DataReport,
    interactions: Arc<Interactions>,
    split: Split,
) -> Result<Prepared, PipelineError> {
    let table = oversample(split.train(), &interactions.ratings, &config.oversample, config.seed)?;
    let classes = table.classes().iter().map(|class| ClassCount {
        rating: class.rating(),
        natural: class.size(),
        oversampled: class.target(),
    });
    Ok(Prepared {
        classes: classes.collect(),
        report,
        interactions,
        split,
        table,
    })
}

/// What an engine begins with, for a training of `steps` steps.
pub fn trainer_setup(config: &Config, shape: ModelShape, steps: usize) -> TrainerSetup {
    TrainerSetup {
        shape,
        seed: config.seed,
        steps,
        learning_rate: LearningRate {
            base: config.train.learning_rate,
            curve: config.train.learning_rate_curve,
            warmup_steps: config.train.warmup_steps,
            reductions: Vec::new(),
        },
        optimizer: config.train.optimizer,
        l2: config.train.l2 as f32,
        clip: config.train.clip as f32,
        holds_scale: config.train.prior.is_set(),
    }
}

/// An untrained engine on the device that the config asks for.
pub fn open_trainer(config: &Config, setup: &TrainerSetup) -> Result<Box<dyn Trainer>, EngineError> {
    let gpu = match config.device {
        DeviceChoice::Cpu => None,
        DeviceChoice::Gpu => Some(Gpu::open(true)?),
        DeviceChoice::Auto => Gpu::open(false).ok(),
    };
    Ok(match gpu {
        Some(gpu) => Box::new(GpuTrainer::new(gpu, setup, None)?),
        None => Box::new(CpuTrainer::new(setup, config.threads)),
    })
}

/// Where the priors of the biases are centred, users and items; nothing where a config leaves them at zero.
pub fn centres(config: &Config, prepared: &Prepared, progress: &dyn Progress) -> Arc<[Vec<f32>; 2]> {
    let rank = config.train.prior.directions();
    if rank == 0 {
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

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    pub reason: FinishReason,
    pub best_epoch: usize,
    /// Of training, earlier processes counted in.
    pub seconds: f64,
}

/// Trains a run, from its last checkpoint if it has one, until done or interrupted; the best epoch becomes its model.
/// `centres`: from [`centres`], of the same config and rows.
pub fn train(
    run: &RunDirectory,
    config: &Config,
    prepared: Prepared,
    centres: Arc<[Vec<f32>; 2]>,
    bus: &EventBus,
    interrupter: &Interrupter,
    wishes: &Wishes,
) -> Result<Trained, PipelineError> {
    let objective = Objective::new(config);
    let set = Arc::new(TrainingSet {
        interactions: Arc::clone(&prepared.interactions),
        table: prepared.table,
        objective,
        batch_size: config.train.batch_size,
        prior: config.train.prior,
        centres: Arc::clone(&centres),
        seed: config.seed,
        epochs: config.train.epochs,
        pauses: vec![config.train.evaluate_steps, config.train.checkpoint_steps],
    });
    let shape = ModelShape {
        users: prepared.report.users,
        items: prepared.report.items,
        dim: config.model.dim,
    };
    let setup = trainer_setup(config, shape, set.steps() * config.train.epochs);
    let last = run.file(CHECKPOINT_LAST);
    let mut trainer = open_trainer(config, &setup).inspect_err(|_| {
        if !last.exists() {
            // Nothing was trained: a run that never began is no run.
            let _ = std::fs::remove_dir_all(run.path());
        }
    })?;
    let place = match last.exists() {
        true => Some(checkpoint::load(&last, trainer.as_mut()).map_err(TrainError::from)?),
        false => {
            centre::start_at(&centres, trainer.as_mut())?;
            None
        }
    };
    let position = place.as_ref().map_or(Position::START, |place| place.position());
    if trainer.step() as usize != (position.epoch - 1) * set.steps() + position.steps_done {
        return Err(PipelineError::ForeignCheckpoint(run.file(CONFIG)));
    }
    let valid_rows = prepared.split.rows(Part::Valid);
    bus.send(&TrainEvent::Started(Box::new(TrainStart {
        run: run.name(),
        device: trainer.device(),
        generated: prepared.report.generated,
        users: shape.users,
        items: shape.items,
        dim: shape.dim,
        batch_size: set.batch_size,
        epochs: config.train.epochs,
        first_epoch: position.epoch,
        steps_per_epoch: set.steps(),
        samples_per_epoch: set.samples(),
        valid_rows: valid_rows.len(),
        classes: prepared.classes,
    })));

    let clock = Clock::start();
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let step = Arc::new(AtomicU32::new(trainer.step()));
    let stopping = Stopping::new(
        config.train.early_stopping,
        place.as_ref().map_or(Best::default(), |place| place.best),
    );
    let strategy = EngineStrategy {
        config: config.clone(),
        run: run.clone(),
        bus: bus.clone(),
        stopping: stopping.clone(),
        clock: clock.clone(),
        wishes: wishes.clone(),
        seconds_before: place.as_ref().map_or(0.0, |place| place.seconds),
        position,
        step: Arc::clone(&step),
        outcome: Arc::clone(&outcome),
    };
    let train_loader = Arc::new(PlanLoader::new(set, position));
    let valid_loader = Arc::new(PairLoader::new(prepared.interactions, valid_rows));
    let training = SupervisedTraining::<Factorisation>::new(run.path(), train_loader, valid_loader)
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
        return Err(PipelineError::Burn(error.to_string()));
    }
    let trained = Trained {
        reason: match (outcome.is_done, outcome.stopped_early) {
            (false, _) => FinishReason::Stopped,
            (true, true) => FinishReason::EarlyStopped,
            (true, false) => FinishReason::Completed,
        },
        best_epoch: stopping.best().epoch,
        seconds: place.map_or(0.0, |place| place.seconds) + clock.seconds(),
    };
    bus.send(&TrainEvent::Finished {
        reason: trained.reason,
        best_epoch: trained.best_epoch,
        seconds: clock.seconds(),
    });
    Ok(trained)
}

/// Calibrates the best epoch, judges it on the test split and completes the run.
pub fn complete(
    run: &RunDirectory,
    config: &Config,
    trained: &Trained,
    progress: &dyn Progress,
) -> Result<Evaluation, PipelineError> {
    let best = run.file(CHECKPOINT_BEST);
    // Gone only if an earlier process came this far, and then the model stands.
    if best.exists() {
        let file = ModelFile::open(&best)?;
        let (head, calibration) = refit_head(run, config, &file)?;
        run.write_json(CALIBRATION, &calibration)?;
        file.write_with_head(&run.file(MODEL), head)?;
        drop(file);
        std::fs::remove_file(&best).map_err(FileError::write(&best))?;
    }
    let report: DataReport = run.read_json(DATA_REPORT)?;
    let evaluation = evaluate(run, config, Part::Test, report.generated, progress)?;
    run.write_json(EVALUATION, &evaluation)?;
    run.complete(trained.best_epoch)?;
    Ok(evaluation)
}

/// The head that a model should have by the validation split.
fn refit_head(run: &RunDirectory, config: &Config, file: &ModelFile) -> Result<(Head, Calibration), PipelineError> {
    if !config.train.calibrate {
        let off = Calibration {
            outcome: CalibrationOutcome::Off,
            rows: 0,
            fit: None,
            uncalibrated: file.head(),
        };
        return Ok((file.head(), off));
    }
    let model = file.read()?;
    let (interactions, parts) = run.interactions(model.shape.users, model.shape.items)?.read()?;
    let rows = held_out(&interactions, &parts, Part::Valid);
    let logits = score(&model, &mut CpuScorer::new(&model, config.threads), &rows)?;
    let objective = Objective::new(config);
    let targets: Vec<f32> = rows.ratings.iter().map(|&rating| objective.target(rating)).collect();
    Ok(calibrate(model.head, &logits, &targets))
}

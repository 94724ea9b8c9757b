//! The trials of a sweep: one config trained with many settings on the same ratings and the same split, judged on the validation split.
//!
//! Every trial trains from the same seed and is judged by `train.early_stopping.metric` at its best epoch; the test split is
//! never looked at. A sweep has a folder of its own: `base.toml` (the config that all share), `data.json` (the ratings),
//! `results.jsonl` ([`crate::flow::sweep::journal`]) and, at the end, `best.toml`, a config to train with. The same command goes on with the trials
//! that are not done; one that was killed in its middle begins again.

use crate::artifact::model_file::ExportError;
use crate::artifact::run_directory::{DATA_REPORT, RunDirectory};
use crate::artifact::tensor_file::FileError;
use crate::common::system_memory::room;
use crate::config::{Assignment, Config, StoppingMetric};
use crate::data::interactions::Interactions;
use crate::data::progress::Silent;
use crate::data::report::DataReport;
use crate::data::split::Split;
use crate::engine::open;
use crate::flow::error::PipelineError;
use crate::flow::pipeline;
use crate::flow::prepare::{Prepared, check_memory, resplit};
use crate::flow::sweep::SweepError;
use crate::flow::sweep::journal::{Journal, Outcome, Settings, TrialResult, settings_of};
use crate::flow::training::find_centres;
use crate::train::event::{EventBus, FinishReason, Observer, TrainEvent, ValidMetrics};
use crate::train::strategy::TrainError;
use crate::train::wishes::Wishes;
use burn::train::Interrupter;
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

const BASE: &str = "base.toml";
const RESULTS: &str = "results.jsonl";
const BEST: &str = "best.toml";

/// Keys that change what trials are judged on, or by.
const FIXED: [&str; 6] = [
    "name",
    "seed",
    "data",
    "split",
    "evaluate",
    "train.early_stopping.metric",
];

/// One trial.
#[derive(Clone, Debug)]
struct Trial {
    settings: Settings,
    config: Config,
    result: Option<Outcome>,
}

/// A sweep whose folder this process holds.
pub struct Sweep {
    folder: RunDirectory,
    journal: Journal,
    base: Config,
    report: DataReport,
    interactions: Arc<Interactions>,
    /// A split that came with the data.
    given: Option<Split>,
    trials: Vec<Trial>,
    /// Bytes that the largest trial takes.
    largest: u64,
    _lock: File,
}

/// A trial in a ranking.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ranked<'a> {
    /// From 1, in the order of the sweep.
    #[serde(rename = "trial")]
    pub number: usize,
    pub settings: &'a Settings,
    #[serde(flatten)]
    pub outcome: &'a Outcome,
}

/// The configs of all trials: `base` with each of their settings. Errors at the first value out of range, and at a key that
/// changes what trials are judged on.
pub fn configs(
    path: &Path,
    base: &[Assignment],
    trials: Vec<Vec<Assignment>>,
) -> Result<Vec<(Settings, Config)>, PipelineError> {
    let mut configs = Vec::new();
    for settings in trials {
        let config = Config::load(path, &[base, &settings].concat())?;
        for key in settings.iter().map(|set| &set.key) {
            // The loss of one target is no measure of another's.
            let is_measure = key == "train.target" && config.train.early_stopping.metric == StoppingMetric::ValidLoss;
            let is_fixed = FIXED.iter().any(|fixed| {
                let within = |inner: &str, outer: &str| {
                    inner
                        .strip_prefix(outer)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                };
                within(key, fixed) || within(fixed, key)
            });
            if is_fixed || is_measure {
                return Err(SweepError::Fixed(key.clone()).into());
            }
        }
        configs.push((settings_of(&settings), config));
    }
    Ok(configs)
}

impl Sweep {
    /// Opens or begins a sweep in `folder`. Errors if the folder holds another one, a trial does not fit the memory, or
    /// another process is at it.
    pub fn open(
        folder: &Path,
        base: &Config,
        trials: Vec<(Settings, Config)>,
        prepared: Prepared,
    ) -> Result<Self, PipelineError> {
        if prepared.size().valid == 0 {
            return Err(SweepError::NothingHeldOut.into());
        }
        let mut largest = 0;
        for (_, config) in &trials {
            largest = largest.max(check_memory(config, &prepared)?.total());
        }
        let folder = RunDirectory::bare(folder)?;
        let lock = folder.lock()?;
        // Neither threads nor the name of the folder changes a result.
        let shared = Config {
            threads: 0,
            ..base.clone()
        }
        .to_toml();
        match std::fs::read_to_string(folder.file(BASE)) {
            Ok(text) => {
                let report: DataReport = folder.read_json(DATA_REPORT)?;
                if text != shared || report != prepared.report {
                    return Err(SweepError::AnotherSweep(folder.path().to_path_buf()).into());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                folder.write_json(DATA_REPORT, &prepared.report)?;
                folder.write_text(BASE, &shared)?;
            }
            Err(error) => return Err(FileError::read(&folder.file(BASE))(error).into()),
        }
        let (journal, done) = Journal::open(&folder.file(RESULTS))?;
        let result = |settings: &Settings| {
            let done = done.iter().find(|result| result.settings == *settings);
            done.map(|result| result.outcome.clone())
        };
        let trials = trials.into_iter().map(|(settings, config)| Trial {
            result: result(&settings),
            settings,
            config,
        });
        Ok(Self {
            trials: trials.collect(),
            folder,
            journal,
            base: base.clone(),
            given: (!prepared.report.held_out.is_empty()).then_some(prepared.split),
            report: prepared.report,
            interactions: prepared.interactions,
            largest,
            _lock: lock,
        })
    }

    /// Trials, and how many of them are done.
    pub fn count(&self) -> (usize, usize) {
        let done = self.trials.iter().filter(|trial| trial.result.is_some()).count();
        (self.trials.len(), done)
    }

    /// Validation metric that trials are ranked by.
    pub fn metric(&self) -> StoppingMetric {
        self.base.train.early_stopping.metric
    }

    /// How many of `wanted` trials can train at once: as many as there is memory for, and one on a graphics device.
    pub fn jobs(&self, wanted: usize) -> usize {
        if open::device(self.base.device).is_ok_and(|opened| opened.gpu.is_some()) {
            return 1;
        }
        let fit = room().map_or(usize::MAX, |room| (room.bytes / self.largest.max(1)) as usize);
        wanted.min(fit).max(1)
    }

    /// Trains what is not done, `jobs` at once, until done or interrupted; each result goes to the journal and to `tell`.
    ///
    /// Returns whether all trials are done.
    pub fn run(
        &mut self,
        jobs: usize,
        interrupter: &Interrupter,
        tell: &mut dyn FnMut(Ranked),
    ) -> Result<bool, PipelineError> {
        let waiting: Vec<usize> = (0..self.trials.len())
            .filter(|&number| self.trials[number].result.is_none())
            .collect();
        let next = AtomicUsize::new(0);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let work = Work {
            folder: self.folder.path(),
            report: &self.report,
            interactions: &self.interactions,
            given: self.given.as_ref(),
            interrupter,
            threads: if jobs > 1 { Some((cores / jobs).max(1)) } else { None },
        };
        let (sender, results) = channel();
        let (trials, journal) = (&mut self.trials, &mut self.journal);
        let configs: Vec<Config> = trials.iter().map(|trial| trial.config.clone()).collect();
        std::thread::scope(|scope| {
            for _ in 0..jobs.min(waiting.len()) {
                let sender: Sender<_> = sender.clone();
                let (next, waiting, configs, work) = (&next, &waiting, &configs, &work);
                scope.spawn(move || {
                    while let Some(&number) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = work.train(number, &configs[number]);
                        let is_over = !matches!(result, Ok(Some(_)));
                        // Nobody listens any more once a trial has failed for good.
                        if sender.send((number, result)).is_err() || is_over {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            for (number, result) in results {
                let Some(outcome) = result.inspect_err(|_| interrupter.stop(Some("error")))? else {
                    continue;
                };
                let settings = trials[number].settings.clone();
                let result = TrialResult { settings, outcome };
                journal
                    .append(&result)
                    .inspect_err(|_| interrupter.stop(Some("error")))?;
                tell(Ranked {
                    number: number + 1,
                    settings: &result.settings,
                    outcome: &result.outcome,
                });
                trials[number].result = Some(result.outcome);
            }
            Ok(trials.iter().all(|trial| trial.result.is_some()))
        })
    }

    /// The trials that are done, best first, those that failed last.
    pub fn ranking(&self) -> Vec<Ranked<'_>> {
        let mut ranking: Vec<_> = (1..)
            .zip(&self.trials)
            .filter_map(|(number, trial)| {
                Some(Ranked {
                    number,
                    settings: &trial.settings,
                    outcome: trial.result.as_ref()?,
                })
            })
            .collect();
        let badness = |ranked: &Ranked| match (ranked.outcome, self.metric()) {
            (Outcome::Trained { valid, .. }, StoppingMetric::Auto | StoppingMetric::ValidLoss) => valid.loss,
            (Outcome::Trained { valid, .. }, StoppingMetric::ValidAuc) => -valid.auc,
            (Outcome::Trained { valid, .. }, StoppingMetric::ValidNdcg) => {
                valid.ranking.map_or(f64::INFINITY, |ranking| -ranking.ndcg)
            }
            (Outcome::Failed { .. }, _) => f64::INFINITY,
        };
        // Stable: of equals the first of the sweep.
        ranking.sort_by(|a, b| badness(a).total_cmp(&badness(b)));
        ranking
    }

    /// Writes the config of the best trial and returns the file. Errors if every trial failed.
    pub fn write_best(&self) -> Result<PathBuf, SweepError> {
        let ranking = self.ranking();
        let best = ranking.first().expect("a sweep has trials");
        if let Outcome::Failed { failure } = best.outcome {
            return Err(SweepError::AllFailed(failure.clone()));
        }
        let config = Config {
            threads: self.base.threads,
            ..self.trials[best.number - 1].config.clone()
        };
        self.folder.write_text(BEST, &config.to_toml())?;
        Ok(self.folder.file(BEST))
    }
}

/// What all trials share.
struct Work<'a> {
    folder: &'a Path,
    report: &'a DataReport,
    interactions: &'a Arc<Interactions>,
    given: Option<&'a Split>,
    interrupter: &'a Interrupter,
    /// Of each trial; `None`: as its config says.
    threads: Option<usize>,
}

impl Work<'_> {
    /// Trains one trial in a folder that is removed afterwards; `None` if it was interrupted.
    fn train(&self, number: usize, config: &Config) -> Result<Option<Outcome>, PipelineError> {
        if self.interrupter.should_stop() {
            return Ok(None);
        }
        let mut config = config.clone();
        if let (0, Some(threads)) = (config.threads, self.threads) {
            config.threads = threads;
        }
        let path = self.folder.join(format!("trial-{}", number + 1));
        // What a killed process left.
        let _ = std::fs::remove_dir_all(&path);
        let run = RunDirectory::scratch(&path)?;
        let prepared = resplit(
            &config,
            self.report.clone(),
            Arc::clone(self.interactions),
            self.given.cloned(),
        )?;
        let centres = find_centres(&config, &prepared, &Silent);
        let valid = Arc::new(Mutex::new(Vec::new()));
        let own = Interrupter::new();
        let bus = EventBus::default();
        bus.subscribe(Box::new(Watch {
            valid: Arc::clone(&valid),
            all: self.interrupter.clone(),
            own: own.clone(),
        }));
        let trained = pipeline::train(&run, &config, prepared, centres, &bus, &own, &Wishes::default());
        let _ = std::fs::remove_dir_all(&path);
        let trained = match trained {
            Err(PipelineError::Train(TrainError::Export(ExportError::File(FileError::Diverged { value, .. })))) => {
                return Ok(Some(Outcome::Failed {
                    failure: format!("the model has diverged: a weight is {value}"),
                }));
            }
            trained => trained?,
        };
        if trained.reason == FinishReason::Stopped {
            return Ok(None);
        }
        let valid = valid.lock().expect("no observer panics");
        let of_best = valid.iter().find(|(epoch, _)| *epoch == trained.best_epoch);
        let (&(best_epoch, valid), &(_, last)) = of_best.zip(valid.last()).expect("each epoch is validated");
        Ok(Some(Outcome::Trained {
            best_epoch,
            valid,
            last,
            seconds: trained.seconds,
        }))
    }
}

/// Keeps what a trial's epochs came to, and stops the trial when all are to stop.
struct Watch {
    valid: Arc<Mutex<Vec<(usize, ValidMetrics)>>>,
    all: Interrupter,
    own: Interrupter,
}

impl Observer for Watch {
    fn observe(&mut self, event: &TrainEvent) {
        if self.all.should_stop() {
            self.own.stop(Some("all"));
        }
        if let TrainEvent::Validated {
            epoch,
            epoch_end: true,
            metrics,
            ..
        } = event
        {
            self.valid.lock().expect("no reader panics").push((*epoch, *metrics));
        }
    }
}

//! `dotcart train`: a new run, or the rest of an unfinished one.

use super::args::{Ablation, TrainArguments};
use super::output::Output;
use super::progress::Bar;
use super::signals::stop_on_signals;
use super::view::{BY_KEY, watched_bus};
use super::{CommandResult, End};
use burn::train::Interrupter;
use dotcart::artifact::run_directory::{CONFIG, LATEST, REPORT, RunDirectory, RunError};
use dotcart::artifact::tensor_file::FileError;
use dotcart::common::format::duration;
use dotcart::common::interaction::UserIndex;
use dotcart::config::defaults_for::Setting;
use dotcart::config::{Assignment, Config, DeviceChoice, OversampleStrategy, SplitStrategy};
use dotcart::data::format::STDIN;
use dotcart::data::report::DataReport;
use dotcart::evaluate::Evaluation;
use dotcart::flow::compare::compare;
use dotcart::flow::error::{FlowError, PipelineError};
use dotcart::flow::inspect::inspect;
use dotcart::flow::pipeline::{self, Loaded};
use dotcart::flow::prepare::Prepared;
use dotcart::flow::table::{self, is_table};
use dotcart::flow::training::{Trained, find_centres};
use dotcart::recommend::filter::Filter;
use dotcart::recommend::{Ask, Ranking, Recommender};
use dotcart::train::event::FinishReason;
use dotcart::train::wishes::Wishes;
use dotcart::view::report::report;
use serde::Serialize;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

/// Products that the end of a training recommends.
const SAMPLE: usize = 3;

pub fn run(arguments: &TrainArguments, output: &mut Output) -> CommandResult {
    if arguments.quiet {
        output.hush();
    }
    if let Some(folder) = &arguments.tensorboard {
        // Before any work that would be lost.
        std::fs::create_dir_all(folder).map_err(FileError::write(folder))?;
    }
    let mut session = Session {
        interrupter: Interrupter::new(),
        hears_signals: false,
        arguments,
    };
    match (&arguments.resume, arguments.ablate) {
        (Some(name), _) => {
            let run = RunDirectory::find(Some(name))?;
            let lock = run.lock()?;
            if run.is_complete() {
                return finish(&run, output);
            }
            let start = resume(run, lock, arguments)?;
            Ok(session.train(start, output)?.end)
        }
        (None, None) => {
            let plan = match &arguments.from {
                Some(name) => load_from(name, arguments, output)?,
                None => load(arguments)?,
            };
            let start = begin(plan)?;
            Ok(session.train(start, output)?.end)
        }
        (None, Some(Ablation::Oversampling)) => ablate_oversampling(arguments, &mut session, output),
    }
}

/// Trains with and without oversampling on one split, and shows what it bought and what it cost.
fn ablate_oversampling(arguments: &TrainArguments, session: &mut Session<'_>, output: &mut Output) -> CommandResult {
    let plan = load(arguments)?;
    let mut without = plan.config.clone();
    without.name = format!("{}-natural", plan.config.name);
    without.oversample.strategy = OversampleStrategy::None;
    let start = begin(plan)?;
    if start
        .prepared
        .classes
        .iter()
        .all(|class| class.natural == class.oversampled)
    {
        // A run that never began is no run.
        let _ = std::fs::remove_dir_all(start.run.path());
        let path = arguments.config.clone().unwrap_or_default();
        return Err(FlowError::NothingToAblate(path).into());
    }
    let with = session.train(start, output)?;
    if with.end != End::Done || !with.run.is_complete() {
        return Ok(with.end);
    }
    output.talk("");
    output.talk("the same without oversampling");
    let natural = Plan {
        loaded: read(&without, arguments)?,
        config: without,
        settings: Vec::new(),
    };
    let natural = session.train(begin(natural)?, output)?;
    if natural.end != End::Done || !natural.run.is_complete() {
        let [natural_name, with_name] = [&natural.run, &with.run].map(|run| shell_word(&run.argument()));
        let dotcart = command_name();
        output.talk(&format!("then:     {dotcart} compare {natural_name} {with_name}"));
        return Ok(natural.end);
    }
    output.data("");
    output.data("what oversampling changes: A without it, B with it");
    let comparison = compare(&[natural.run, with.run], &Bar::unless(arguments.quiet))?;
    output.comparison(&comparison);
    Ok(End::Done)
}

/// A training that begins with a finished run has so many times fewer epochs.
const SHARE_OF_EPOCHS: usize = 5;
/// And this share of its learning rate: what had settled is not stirred up as if it had been drawn at random.
const SHARE_OF_RATE: f64 = 0.5;

/// What all trainings of one command share.
struct Session<'a> {
    interrupter: Interrupter,
    /// A handler can be set once a process.
    hears_signals: bool,
    arguments: &'a TrainArguments,
}

/// How a training ended, and where.
struct Ended {
    run: RunDirectory,
    end: End,
}

impl Session<'_> {
    /// Trains, judges and completes a run.
    fn train(&mut self, start: Start, output: &mut Output) -> Result<Ended, PipelineError> {
        let Start {
            run,
            config,
            prepared,
            lock,
            settings,
        } = start;
        let inspection = inspect(&config, &prepared);
        output.data_report(&inspection, &config.data.path);
        if !settings.is_empty() {
            output.chosen(&config, &settings, &run.file(CONFIG));
        }
        if config.split.strategy == SplitStrategy::LeaveLastOut {
            let never = prepared.split.users_never_held_out(&prepared.interactions);
            output.never_held_out(never, prepared.report.users);
        }
        output.oversampling(&prepared.classes);
        // Before signals are heard: nothing is trained yet that an interrupt could save.
        let centres = find_centres(&config, &prepared, &Bar::unless(self.arguments.quiet));

        output.device(config.device);
        let interrupter = &self.interrupter;
        if !std::mem::replace(&mut self.hears_signals, true) {
            stop_on_signals(interrupter);
        }
        let wishes = Wishes::default();
        let bus = watched_bus(&run, self.arguments, interrupter, &wishes)?;
        let result = pipeline::train(&run, &config, prepared, centres, &bus, interrupter, &wishes);
        // The terminal is given back before anything else is said.
        let losses = bus.losses();
        bus.close();
        losses.iter().for_each(|lost| output.warning(lost));
        let trained = result?;

        if trained.reason == FinishReason::Stopped {
            let dotcart = command_name();
            output.talk(&format!("stopped; the checkpoint is in {}", run.path().display()));
            output.talk(&format!(
                "continue: {dotcart} train --resume {}",
                shell_word(&run.argument())
            ));
            let by_key = interrupter.get_message().as_deref() == Some(BY_KEY);
            let end = if by_key { End::Done } else { End::Interrupted };
            return Ok(Ended { run, end });
        }
        let judging = Instant::now();
        let evaluation = pipeline::complete(&run, &config, &trained, &Bar::unless(self.arguments.quiet))?;
        // The run is complete: what it comes to is said even where the page cannot be written.
        let page = write_report(&run, &config);
        let judged = judging.elapsed().as_secs_f64();
        drop(lock);
        if self.arguments.json {
            output.json(&Evaluated {
                event: "evaluated",
                run: run.path(),
                evaluation: &evaluation,
            });
            page?;
            return Ok(Ended { run, end: End::Done });
        }
        conclude(&run, &config, &inspection.data, &evaluation, &trained, judged, output)?;
        page?;
        Ok(Ended { run, end: End::Done })
    }
}

/// The end of a training on one screen.
fn conclude(
    run: &RunDirectory,
    config: &Config,
    data: &DataReport,
    evaluation: &Evaluation,
    trained: &Trained,
    judged: f64,
    output: &mut Output,
) -> Result<(), PipelineError> {
    output.data("");
    let train_rows = run.users()?.train_ratings()?.iter().map(|&rows| rows as usize).sum();
    output.learned(data, train_rows, config.train.ranking.weight > 0.0, evaluation);
    output.data("");
    let sample = sample(run)?;
    output.sample(&sample);
    output.data("");
    let dotcart = command_name();
    // Named, because the newest run may be of another table by the time that a line is pasted.
    let named = shell_word(&run.argument());
    output.data(&format!(
        "all:  {dotcart} evaluate --run {named} (every table; also in the run's report.html and evaluation.json)"
    ));
    output.data(&format!(
        "run:  {} ({} in {}, best epoch {}; judged in {})",
        run.path().display(),
        if trained.reason == FinishReason::EarlyStopped {
            "stopped early"
        } else {
            "trained"
        },
        duration(trained.seconds),
        trained.best_epoch,
        duration(judged),
    ));
    let user = shell_word(sample.user.as_deref().unwrap_or_default());
    output.data(&format!("next: {dotcart} recommend --run {named} --user {user}"));
    Ok(())
}

/// The last line of `train --json`: what `evaluate --json` prints, in the form of an event.
#[derive(Serialize)]
struct Evaluated<'a> {
    event: &'static str,
    run: &'a Path,
    evaluation: &'a Evaluation,
}

/// A run that is ready to train.
struct Start {
    run: RunDirectory,
    config: Config,
    prepared: Prepared,
    /// Held until the run is complete.
    lock: File,
    /// What was chosen for a table without a config.
    settings: Vec<Setting>,
}

/// What is trained, and how.
struct Plan {
    config: Config,
    loaded: Loaded,
    settings: Vec<Setting>,
}

/// The config that the arguments describe, or that is made for the table that they name, and its rows.
fn load(arguments: &TrainArguments) -> Result<Plan, PipelineError> {
    let path = arguments
        .config
        .as_deref()
        .expect("clap asks for a config or a run to resume");
    let (mut config, table) = match is_table(path) {
        true => {
            let table = table::open(path, &assignments(arguments)?, &Bar::unless(arguments.quiet))?;
            (table.config, Some((table.loaded, table.settings)))
        }
        false => (Config::load(path, &assignments(arguments)?)?, None),
    };
    if let Some(device) = arguments.device {
        config.device = device;
    }
    let (loaded, settings) = match table {
        Some(table) => table,
        None => (read(&config, arguments)?, Vec::new()),
    };
    Ok(Plan {
        config,
        loaded,
        settings,
    })
}

/// The config that the arguments describe, or that of the finished run which the training begins with, and its rows.
fn load_from(name: &str, arguments: &TrainArguments, output: &mut Output) -> Result<Plan, PipelineError> {
    let run = RunDirectory::find(Some(name))?;
    let text = |path: &Path| toml::Value::String(path.display().to_string());
    let mut set = vec![Assignment::by("--from", "from", text(run.path()))];
    let table = arguments.config.as_deref().filter(|path| is_table(path));
    if let Some(table) = table {
        let table = if table == Path::new("-") {
            Path::new(STDIN)
        } else {
            table
        };
        set.push(Assignment::by("TABLE", "data.path", text(table)));
    }
    let own = run.file(CONFIG);
    let path = match (&arguments.config, table) {
        (Some(config), None) => config,
        _ => &own,
    };
    set.extend(assignments(arguments)?);
    let mut config = Config::load(path, &set)?;
    // A run that began with another has its share already.
    let is_shared = *path == own && !Config::load(&own, &[])?.from.as_os_str().is_empty();
    let is_left = |key: &str| !is_shared && !set.iter().any(|set| set.key == key);
    if is_left("train.epochs") {
        config.train.epochs = config.train.epochs.div_ceil(SHARE_OF_EPOCHS);
    }
    if is_left("train.learning_rate") {
        config.train.learning_rate *= SHARE_OF_RATE;
    }
    if let Some(device) = arguments.device {
        config.device = device;
    }
    output.talk(&format!(
        "begins with what {} learned, the optimiser anew: {} epochs, learning rate {}",
        run.path().display(),
        config.train.epochs,
        config.train.learning_rate
    ));
    let path_is_explicit = set.iter().any(Assignment::names_path);
    let loaded = pipeline::load(&config, path_is_explicit, &Bar::unless(arguments.quiet))?;
    Ok(Plan {
        config,
        loaded,
        settings: Vec::new(),
    })
}

/// The rows of a config.
fn read(config: &Config, arguments: &TrainArguments) -> Result<Loaded, PipelineError> {
    let path_is_explicit = assignments(arguments)?.iter().any(Assignment::names_path);
    pipeline::load(config, path_is_explicit, &Bar::unless(arguments.quiet))
}

fn assignments(arguments: &TrainArguments) -> Result<Vec<Assignment>, PipelineError> {
    let parsed: Result<Vec<_>, _> = arguments.set.iter().map(|text| Assignment::parse(text)).collect();
    Ok(parsed?)
}

/// Everything up to the first step.
fn begin(plan: Plan) -> Result<Start, PipelineError> {
    let (run, lock, config, prepared) = pipeline::begin(&plan.config, plan.loaded)?;
    Ok(Start {
        run,
        config,
        prepared,
        lock,
        settings: plan.settings,
    })
}

fn resume(run: RunDirectory, lock: File, arguments: &TrainArguments) -> Result<Start, PipelineError> {
    let mut config = Config::load(&run.file(CONFIG), &[])?;
    if let Some(device) = arguments.device {
        config.device = device;
    }
    let prepared = pipeline::reopen(&run, &config)?;
    Ok(Start {
        run,
        config,
        prepared,
        lock,
        settings: Vec::new(),
    })
}

/// Writes what a kill may have left unwritten of a run that is complete. Errors if there is nothing of it.
fn finish(run: &RunDirectory, output: &mut Output) -> CommandResult {
    run.verify()?;
    let mut written = Vec::new();
    if run.write_latest() {
        written.push(LATEST);
    }
    if !run.file(REPORT).is_file() {
        let config = Config::load(&run.file(CONFIG), &[])?;
        write_report(run, &config)?;
        written.push(REPORT);
    }
    if written.is_empty() {
        return Err(RunError::Complete(run.path().to_path_buf()).into());
    }
    output.talk(&format!(
        "{} is complete; written now: {}",
        run.path().display(),
        written.join(", ")
    ));
    Ok(End::Done)
}

fn write_report(run: &RunDirectory, config: &Config) -> Result<(), PipelineError> {
    Ok(run.write_text(REPORT, &report(run, config)?)?)
}

/// How this process was called, so that a proposed line works when pasted.
pub(super) fn command_name() -> String {
    let program = std::env::args_os().next().unwrap_or_else(|| "dotcart".into());
    let folder = Path::new(&program).parent().and_then(Path::file_name);
    match std::env::var_os("CARGO") {
        Some(_) if folder.is_some_and(|folder| folder == "release") => "cargo run --release --".to_string(),
        Some(_) => "cargo run --".to_string(),
        None => program.to_string_lossy().into_owned(),
    }
}

/// The first products for the user with the most training ratings: the one a newcomer should look at first.
fn sample(run: &RunDirectory) -> Result<Ranking, PipelineError> {
    let users = run.users()?;
    let counts = users.train_ratings()?.iter().zip((0..).map(UserIndex));
    let (_, user) = counts
        .max_by_key(|(count, index)| (**count, std::cmp::Reverse(*index)))
        .unwrap_or((&0, UserIndex(0)));
    let recommender = Recommender::open(run.clone())?;
    let (candidates, _) = recommender.candidates(&Filter::default())?;
    let mut ranker = recommender.ranker(&candidates, DeviceChoice::Cpu)?;
    let ask = Ask {
        top: SAMPLE,
        include_seen: false,
        why: false,
    };
    let rankings = recommender.rank_users(&mut ranker, &candidates, &[user], ask)?;
    Ok(rankings.into_iter().next().expect("a user was asked for"))
}

/// Quoted if a shell would split or expand it.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

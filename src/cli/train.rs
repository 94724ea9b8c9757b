//! `dotcart train`: a new run, or the rest of an unfinished one.

use super::args::{Ablation, TrainArguments};
use super::output::Output;
use super::progress::Bar;
use super::{CommandResult, End};
use crate::artifact::run_directory::{CONFIG, REPORT, RunDirectory};
use crate::artifact::tensor_file::write_whole;
use crate::compare::compare;
use crate::config::{Assignment, Config, OversampleStrategy, SplitStrategy};
use crate::dashboard::plain::Plain;
use crate::dashboard::terminal::{self, StopKey, Terminal};
use crate::format::duration;
use crate::inspect::inspect;
use crate::pipeline::{self, PipelineError, Prepared};
use crate::report::report;
use crate::train::event::{EventBus, FinishReason, Observer, TrainEvent};
use burn::train::Interrupter;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

pub fn run(arguments: &TrainArguments, output: &mut Output) -> CommandResult {
    let mut session = Session {
        interrupter: Interrupter::new(),
        hears_signals: false,
        plain: arguments.plain,
    };
    match (&arguments.resume, arguments.ablate) {
        (Some(name), _) => {
            let start = resume(name, arguments)?;
            Ok(session.train(start, output)?.end)
        }
        (None, None) => {
            let start = begin(&load(arguments)?, arguments)?;
            Ok(session.train(start, output)?.end)
        }
        (None, Some(Ablation::Oversampling)) => ablate_oversampling(arguments, &mut session, output),
    }
}

/// Trains with and without oversampling on one split, and shows what it bought and what it cost.
fn ablate_oversampling(arguments: &TrainArguments, session: &mut Session, output: &mut Output) -> CommandResult {
    let config = load(arguments)?;
    let mut without = config.clone();
    without.name = format!("{}-natural", config.name);
    without.oversample.strategy = OversampleStrategy::None;
    let start = begin(&config, arguments)?;
    if start
        .prepared
        .classes
        .iter()
        .all(|class| class.natural == class.oversampled)
    {
        // A run that never began is no run.
        let _ = std::fs::remove_dir_all(start.run.path());
        let path = arguments.config.clone().unwrap_or_default();
        return Err(PipelineError::NothingToAblate(path));
    }
    let with = session.train(start, output)?;
    if with.end != End::Done || !with.run.is_complete() {
        return Ok(with.end);
    }
    output.talk("");
    output.talk("the same without oversampling");
    let natural = session.train(begin(&without, arguments)?, output)?;
    if natural.end != End::Done || !natural.run.is_complete() {
        let [natural_name, with_name] = [&natural.run, &with.run].map(|run| shell_word(&run.argument()));
        let dotcart = command_name();
        output.talk(&format!("then:     {dotcart} compare {natural_name} {with_name}"));
        return Ok(natural.end);
    }
    output.data("");
    output.data("what oversampling changes: A without it, B with it");
    let comparison = compare(&[natural.run, with.run], &Bar::new())?;
    output.comparison(&comparison);
    Ok(End::Done)
}

/// What all trainings of one command share.
struct Session {
    interrupter: Interrupter,
    /// A handler can be set once a process.
    hears_signals: bool,
    plain: bool,
}

/// How a training ended, and where.
struct Ended {
    run: RunDirectory,
    end: End,
}

impl Session {
    /// Trains, judges and completes a run.
    fn train(&mut self, start: Start, output: &mut Output) -> Result<Ended, PipelineError> {
        let Start {
            run,
            config,
            prepared,
            lock,
        } = start;
        let inspection = inspect(&config, &prepared);
        output.data_report(&inspection, &config.data.path);
        if config.split.strategy == SplitStrategy::LeaveLastOut {
            let never = prepared.split.users_never_held_out(&prepared.interactions);
            output.never_held_out(never, prepared.report.users);
        }
        output.oversampling(&prepared.classes);

        let interrupter = &self.interrupter;
        if !std::mem::replace(&mut self.hears_signals, true) {
            stop_on_signals(interrupter);
        }
        let bus = EventBus::default();
        bus.subscribe(Box::new(MetricsLog {
            file: run.open_metrics()?,
        }));
        bus.subscribe(view(self.plain, interrupter));
        let result = pipeline::train(&run, &config, prepared, &bus, interrupter);
        // The terminal is given back before anything else is said.
        bus.close();
        let trained = result?;

        let dotcart = command_name();
        if trained.reason == FinishReason::Stopped {
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
        let evaluation = pipeline::complete(&run, &config, &trained, &Bar::new())?;
        write_whole(&run.file(REPORT), report(&run, &config)?.as_bytes())?;
        let judged = judging.elapsed().as_secs_f64();
        drop(lock);
        output.data("");
        output.evaluation(&evaluation);
        output.data("");
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
        let user = shell_word(&busiest_user(&run)?);
        // `latest` names the newest run of this folder; a run that lies elsewhere has to be named.
        let elsewhere = match run.argument() {
            argument if argument == run.name() => String::new(),
            argument => format!(" --run {}", shell_word(&argument)),
        };
        output.data(&format!("next: {dotcart} recommend --user {user}{elsewhere}"));
        Ok(Ended { run, end: End::Done })
    }
}

/// A run that is ready to train.
struct Start {
    run: RunDirectory,
    config: Config,
    prepared: Prepared,
    /// Held until the run is complete.
    lock: File,
}

/// The config that the arguments describe.
fn load(arguments: &TrainArguments) -> Result<Config, PipelineError> {
    let path = arguments
        .config
        .as_deref()
        .expect("clap asks for a config or a run to resume");
    let mut config = Config::load(path, &assignments(arguments)?)?;
    if let Some(device) = arguments.device {
        config.device = device;
    }
    Ok(config)
}

fn assignments(arguments: &TrainArguments) -> Result<Vec<Assignment>, PipelineError> {
    let parsed: Result<Vec<_>, _> = arguments.set.iter().map(|text| Assignment::parse(text)).collect();
    Ok(parsed?)
}

/// Everything up to the first step.
fn begin(config: &Config, arguments: &TrainArguments) -> Result<Start, PipelineError> {
    let path_is_explicit = assignments(arguments)?.iter().any(Assignment::names_path);
    let (run, prepared) = pipeline::begin(config, path_is_explicit, &Bar::new())?;
    let lock = run.lock()?;
    Ok(Start {
        run,
        config: config.clone(),
        prepared,
        lock,
    })
}

fn resume(name: &str, arguments: &TrainArguments) -> Result<Start, PipelineError> {
    let run = RunDirectory::find(Some(name))?;
    let lock = run.lock()?;
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
    })
}

const BY_KEY: &str = "key";
const BY_SIGNAL: &str = "signal";

/// Signals that come within this time are one wish.
const ONE_WISH: Duration = Duration::from_millis(500);

/// The first signal stops in order, a later one at once.
pub(super) fn stop_on_signals(interrupter: &Interrupter) {
    let interrupter = interrupter.clone();
    let mut first = None;
    let handler = move || {
        // A window that closes hangs up twice, once for the terminal and once for the shell: that is one wish to stop.
        if first.get_or_insert_with(Instant::now).elapsed() > ONE_WISH {
            terminal::restore();
            std::process::exit(End::Interrupted as i32);
        }
        interrupter.stop(Some(BY_SIGNAL));
    };
    let hangup_is_ignored = hangup_is_ignored();
    // Without a handler a signal ends the process at once; the last checkpoint stands either way.
    let _ = ctrlc::set_handler(handler);
    if hangup_is_ignored {
        ignore_hangup();
    }
}

/// Whether the process was started by `nohup`, which a handler would undo.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    // SAFETY: a query into a zeroed action, which is a valid one; nothing is changed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(unix)]
fn ignore_hangup() {
    // SAFETY: no handler is installed, so none can be unsound.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}

#[cfg(not(unix))]
fn hangup_is_ignored() -> bool {
    false
}

#[cfg(not(unix))]
fn ignore_hangup() {}

/// The dashboard if stderr is a terminal, else lines.
fn view(plain: bool, interrupter: &Interrupter) -> Box<dyn Observer> {
    let interrupter = interrupter.clone();
    let on_stop = Box::new(move |key| {
        let by = match key {
            StopKey::Quit => BY_KEY,
            StopKey::CtrlC => BY_SIGNAL,
        };
        interrupter.stop(Some(by));
    });
    let dashboard = (!plain && std::io::stderr().is_terminal()).then(|| Terminal::start(on_stop));
    match dashboard {
        Some(Ok(dashboard)) => Box::new(dashboard),
        _ => Box::new(Plain::new(Box::new(std::io::stderr()), Duration::from_secs(1))),
    }
}

/// Appends every event to `metrics.jsonl`, one object a line.
struct MetricsLog {
    file: File,
}

impl Observer for MetricsLog {
    fn observe(&mut self, event: &TrainEvent) {
        let mut line = serde_json::to_vec(event).expect("an event is JSON");
        line.push(b'\n');
        // A full disk fails the next checkpoint, with a message.
        let _ = self.file.write_all(&line);
    }
}

/// How this process was called, so that a proposed line works when pasted.
pub(super) fn command_name() -> String {
    match (std::env::var_os("CARGO"), cfg!(debug_assertions)) {
        (Some(_), true) => "cargo run --".to_string(),
        (Some(_), false) => "cargo run --release --".to_string(),
        (None, _) => std::env::args().next().unwrap_or_else(|| "dotcart".to_string()),
    }
}

/// The user with the most training ratings: the one a newcomer should look at first.
fn busiest_user(run: &RunDirectory) -> Result<String, PipelineError> {
    let users = run.users()?;
    let counts = users.train_ratings()?.iter().zip(0u32..);
    let (_, index) = counts
        .max_by_key(|(count, index)| (**count, std::cmp::Reverse(*index)))
        .unwrap_or((&0, 0));
    Ok(users.id(index)?.to_string())
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

//! `dotcart train`: a new run, or the rest of an unfinished one.

use super::args::TrainArguments;
use super::output::Output;
use super::progress::Bar;
use super::{CommandResult, End};
use crate::artifact::run_directory::{CONFIG, RunDirectory};
use crate::config::{Assignment, Config, SplitStrategy};
use crate::dashboard::plain::Plain;
use crate::dashboard::terminal::{self, StopKey, Terminal};
use crate::format::duration;
use crate::inspect::inspect;
use crate::pipeline::{self, PipelineError, Prepared};
use crate::train::event::{EventBus, FinishReason, Observer, TrainEvent};
use burn::train::Interrupter;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub fn run(arguments: &TrainArguments, output: &mut Output) -> CommandResult {
    let Start {
        run,
        config,
        prepared,
        lock,
    } = match &arguments.resume {
        Some(name) => resume(name, arguments)?,
        None => begin(arguments)?,
    };
    let inspection = inspect(&config, &prepared);
    output.data_report(&inspection, &config.data.path);
    if config.split.strategy == SplitStrategy::LeaveLastOut {
        let never = prepared.split.users_never_held_out(&prepared.interactions);
        output.never_held_out(never, prepared.report.users);
    }
    output.oversampling(&prepared.classes);

    let interrupter = Interrupter::new();
    stop_on_signals(&interrupter);
    let bus = EventBus::default();
    bus.subscribe(Box::new(MetricsLog {
        file: run.open_metrics()?,
    }));
    bus.subscribe(view(arguments.plain, &interrupter));
    let result = pipeline::train(&run, &config, prepared, &bus, &interrupter);
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
        return Ok(if by_key { End::Done } else { End::Interrupted });
    }
    let evaluation = pipeline::complete(&run, &config, &trained)?;
    drop(lock);
    output.data("");
    output.evaluation(&evaluation);
    output.data("");
    output.data(&format!(
        "run:  {} ({} in {}, best epoch {})",
        run.path().display(),
        if trained.reason == FinishReason::EarlyStopped {
            "stopped early"
        } else {
            "trained"
        },
        duration(trained.seconds),
        trained.best_epoch,
    ));
    let user = shell_word(&busiest_user(&run)?);
    // `latest` names the newest run of this folder; a run that lies elsewhere has to be named.
    let elsewhere = match run.argument() {
        argument if argument == run.name() => String::new(),
        argument => format!(" --run {}", shell_word(&argument)),
    };
    output.data(&format!("next: {dotcart} recommend --user {user}{elsewhere}"));
    Ok(End::Done)
}

/// A run that is ready to train.
struct Start {
    run: RunDirectory,
    config: Config,
    prepared: Prepared,
    /// Held until the run is complete.
    lock: File,
}

/// Reads the config, then everything up to the first step.
fn begin(arguments: &TrainArguments) -> Result<Start, PipelineError> {
    let path = arguments
        .config
        .as_deref()
        .expect("clap asks for a config or a run to resume");
    let mut assignments = Vec::new();
    for text in &arguments.set {
        assignments.push(Assignment::parse(text)?);
    }
    let mut config = Config::load(path, &assignments)?;
    if let Some(device) = arguments.device {
        config.device = device;
    }
    let (run, prepared) = pipeline::begin(&config, assignments.iter().any(Assignment::names_path), &Bar::new())?;
    let lock = run.lock()?;
    Ok(Start {
        run,
        config,
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

/// The first signal stops in order, the second at once.
fn stop_on_signals(interrupter: &Interrupter) {
    let interrupter = interrupter.clone();
    let again = AtomicBool::new(false);
    let handler = move || {
        if again.swap(true, Ordering::Relaxed) {
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
fn command_name() -> String {
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
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

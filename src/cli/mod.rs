//! The command line: one file a command, one printer, one exit code.

mod args;
mod bench;
mod bench_score;
mod compare;
mod completions;
mod doctor;
mod evaluate;
mod export;
mod generate;
mod inspect;
mod man;
mod output;
mod progress;
mod prove;
mod recommend;
mod report;
mod serve;
mod signals;
mod similar;
mod sweep;
mod train;
mod view;
mod watch;

use args::{Arguments, BenchCommand, Command};
use clap::Parser;
use dotcart::common::hint::Hint;
use dotcart::flow::error::PipelineError;
use output::Output;
use std::process::ExitCode;

/// How a command ends, and what the shell is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done = 0,
    UserError = 1,
    InternalError = 3,
    Interrupted = 130,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        ExitCode::from(end as u8)
    }
}

/// Runs the command line of this process. A usage error exits with 2.
pub fn run() -> ExitCode {
    signals::take_limits_as_errors();
    let mut output = Output::new();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            output.usage(&message);
            return ExitCode::from(message.exit_code() as u8);
        }
    };
    // The panic has spoken already, through its hook; what is left is the exit code of a fault of ours.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match arguments.command {
        Command::Train(arguments) => train::run(&arguments, &mut output),
        Command::Sweep(arguments) => sweep::run(&arguments, &mut output),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments, &mut output),
        Command::Compare(arguments) => compare::run(&arguments, &mut output),
        Command::Export(arguments) => export::run(&arguments, &mut output),
        Command::Report(arguments) => report::run(&arguments, &mut output),
        Command::Recommend(arguments) => recommend::run(&arguments, &mut output),
        Command::Similar(arguments) => similar::run(&arguments, &mut output),
        Command::Serve(arguments) => serve::run(&arguments, &mut output),
        Command::Generate(arguments) => generate::run(&arguments, &mut output),
        Command::Inspect(arguments) => inspect::run(&arguments, &mut output),
        Command::Doctor(arguments) => doctor::run(&arguments, &mut output),
        Command::Completions { shell } => completions::run(shell, &mut output),
        Command::Man { folder } => man::run(&folder),
        Command::Bench { command } => match command {
            BenchCommand::Train(arguments) => bench::train(&arguments, &mut output),
            BenchCommand::Score(arguments) => bench_score::run(&arguments, &mut output),
        },
    }));
    let Ok(result) = result else {
        return End::InternalError.into();
    };
    match result {
        Ok(end) => end.into(),
        Err(error) => {
            output.error(&error.to_string(), &error.hint());
            let end = if error.is_internal() {
                End::InternalError
            } else {
                End::UserError
            };
            end.into()
        }
    }
}

type CommandResult = Result<End, PipelineError>;

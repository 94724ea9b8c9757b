//! `dotcart completions`: what a shell needs to complete commands and options.

use super::args::Arguments;
use super::output::Output;
use super::{CommandResult, End};
use clap::CommandFactory;
use clap_complete::Shell;

pub fn run(shell: Shell, output: &mut Output) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "dotcart", &mut script);
    output.script(&String::from_utf8_lossy(&script));
    Ok(End::Done)
}

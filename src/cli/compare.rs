//! `dotcart compare`: runs side by side.

use super::args::CompareArguments;
use super::output::Output;
use super::progress::Bar;
use super::{CommandResult, End};
use dotcart::artifact::run_directory::RunDirectory;
use dotcart::flow::compare::compare;

pub fn run(arguments: &CompareArguments, output: &mut Output) -> CommandResult {
    let mut runs = Vec::new();
    for name in &arguments.runs {
        runs.push(RunDirectory::find(Some(name))?);
    }
    let comparison = compare(&runs, &Bar::new())?;
    if arguments.json {
        output.json(&comparison);
    } else {
        output.comparison(&comparison);
    }
    Ok(End::Done)
}

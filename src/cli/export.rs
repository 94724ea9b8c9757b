//! `dotcart export`: what a run holds, as files that other programs read.

use super::args::{ExportArguments, ExportWhat};
use super::output::Output;
use super::{CommandResult, End};
use crate::artifact::export::export_splits;
use crate::artifact::run_directory::RunDirectory;
use crate::common::format::count;

pub fn run(arguments: &ExportArguments, output: &mut Output) -> CommandResult {
    let ExportWhat::Splits(splits) = &arguments.what;
    let run = RunDirectory::find(Some(&splits.run))?;
    run.verify()?;
    for (path, rows) in export_splits(&run, &splits.out, splits.force)? {
        output.talk(&format!("{}: {} ratings", path.display(), count(rows)));
    }
    Ok(End::Done)
}

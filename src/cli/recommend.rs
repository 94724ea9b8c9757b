//! `dotcart recommend`: rank for a user all products that the user has not rated.

use super::args::RecommendArguments;
use super::output::Output;
use super::{CommandResult, End};
use crate::artifact::run_directory::{CONFIG, DATA_REPORT, RunDirectory};
use crate::config::Config;
use crate::data::report::DataReport;
use crate::recommend::recommend;

pub fn run(arguments: &RecommendArguments, output: &mut Output) -> CommandResult {
    let run = RunDirectory::find(arguments.run.as_deref())?;
    run.manifest()?;
    let config = Config::load(&run.file(CONFIG), &[])?;
    let report: DataReport = run.read_json(DATA_REPORT)?;
    let ranking = recommend(&run, &config, &arguments.user, arguments.top as usize, report.generated)?;
    if arguments.json {
        output.json(&ranking);
    } else {
        output.ranking(&ranking);
    }
    Ok(End::Done)
}

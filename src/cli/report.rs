//! `dotcart report`: a run as one page.

use super::args::ReportArguments;
use super::output::Output;
use super::{CommandResult, End};
use dotcart::artifact::run_directory::{CONFIG, REPORT, RunDirectory};
use dotcart::artifact::tensor_file::FileError;
use dotcart::common::whole_file::write_whole;
use dotcart::config::Config;
use dotcart::view::report::report;

pub fn run(arguments: &ReportArguments, output: &mut Output) -> CommandResult {
    let run = RunDirectory::find(arguments.run.as_deref())?;
    run.verify()?;
    let config = Config::load(&run.file(CONFIG), &[])?;
    let path = arguments.out.clone().unwrap_or_else(|| run.file(REPORT));
    let page = report(&run, &config)?;
    write_whole(&path, page.as_bytes()).map_err(FileError::write(&path))?;
    output.talk(&format!("report: {}", path.display()));
    Ok(End::Done)
}

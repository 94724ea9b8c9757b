//! `dotcart evaluate`: judge a trained model on its test split again.

use super::args::EvaluateArguments;
use super::output::Output;
use super::progress::Bar;
use super::{CommandResult, End};
use dotcart::artifact::run_directory::{CONFIG, DATA_REPORT, RunDirectory};
use dotcart::common::interaction::Part;
use dotcart::config::Config;
use dotcart::data::report::DataReport;
use dotcart::evaluate::evaluate;

pub fn run(arguments: &EvaluateArguments, output: &mut Output) -> CommandResult {
    let run = RunDirectory::find(arguments.run.as_deref())?;
    run.verify()?;
    let config = Config::load(&run.file(CONFIG), &[])?;
    let report: DataReport = run.read_json(DATA_REPORT)?;
    let evaluation = evaluate(&run, &config, Part::Test, report.generated, &Bar::new())?;
    let origin = run.origin()?;
    if arguments.json {
        output.json_answer(&origin, &evaluation);
    } else {
        output.origin(&origin);
        output.evaluation(&evaluation);
    }
    Ok(End::Done)
}

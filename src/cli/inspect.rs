//! `dotcart inspect`: the data of a config, looked at and not trained on.

use super::args::InspectArguments;
use super::output::Output;
use super::progress::Bar;
use super::{CommandResult, End};
use dotcart::config::{Assignment, Config};
use dotcart::flow::inspect::inspect;
use dotcart::flow::pipeline;
use dotcart::flow::table::{self, is_table};

pub fn run(arguments: &InspectArguments, output: &mut Output) -> CommandResult {
    let mut assignments = Vec::new();
    for text in &arguments.set {
        assignments.push(Assignment::parse(text)?);
    }
    let (config, loaded) = match is_table(&arguments.config) {
        true => {
            let table = table::open(&arguments.config, &assignments, &Bar::new())?;
            (table.config, table.loaded)
        }
        false => {
            let config = Config::load(&arguments.config, &assignments)?;
            let path_is_explicit = assignments.iter().any(Assignment::names_path);
            let loaded = pipeline::load(&config, path_is_explicit, &Bar::new())?;
            (config, loaded)
        }
    };
    let inspection = inspect(&config, &loaded.prepared);
    if arguments.json {
        output.json(&inspection);
    } else {
        output.inspection(&inspection, &config.data.path);
    }
    Ok(End::Done)
}

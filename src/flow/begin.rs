//! Begin: a run directory with everything of a run that is known before the first step.

use crate::artifact::run_directory::{CONFIG, DATA_REPORT, INTERACTIONS, PRODUCTS, RunDirectory, RunError, USERS};
use crate::artifact::{interactions_file, vocabulary_file};
use crate::config::Config;
use crate::engine::model::Side;
use crate::flow::pipeline::Loaded;
use std::fs::File;

/// Makes the run's folder and fills it, held by this process until the file is dropped; a folder that cannot be filled is removed.
pub fn create(config: &Config, loaded: &Loaded) -> Result<(RunDirectory, File), RunError> {
    let (run, lock) = RunDirectory::create(&config.name)?;
    if let Err(error) = fill(&run, config, loaded) {
        // Half a run could not even be resumed.
        let _ = std::fs::remove_dir_all(run.path());
        return Err(error);
    }
    Ok((run, lock))
}

fn fill(run: &RunDirectory, config: &Config, loaded: &Loaded) -> Result<(), RunError> {
    let Loaded {
        users,
        items,
        titles,
        prepared,
    } = loaded;
    let interactions = &prepared.interactions;
    run.write_json(DATA_REPORT, &prepared.report)?;
    let counts = prepared.counts();
    vocabulary_file::write(&run.file(USERS), users, &counts[Side::User], None)?;
    vocabulary_file::write(&run.file(PRODUCTS), items, &counts[Side::Item], titles.as_ref())?;
    interactions_file::write(
        &run.file(INTERACTIONS),
        users.len(),
        interactions,
        prepared.split.parts(),
    )?;
    // Last, because a folder with a config counts as a run.
    run.write_text(CONFIG, &config.to_toml())?;
    Ok(())
}

//! Begin: a run directory with everything of a run that is known before the first step.

use crate::artifact::run_directory::{CONFIG, DATA_REPORT, INTERACTIONS, PRODUCTS, RunDirectory, RunError, USERS};
use crate::artifact::{interactions_file, vocabulary_file};
use crate::common::interaction::DenseIndex;
use crate::config::Config;
use crate::flow::pipeline::Loaded;
use crate::flow::prepare::Prepared;
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
    let user_counts = train_ratings(prepared, users.len(), &interactions.users);
    let item_counts = train_ratings(prepared, items.len(), &interactions.items);
    vocabulary_file::write(&run.file(USERS), users, &user_counts, None)?;
    vocabulary_file::write(&run.file(PRODUCTS), items, &item_counts, titles.as_ref())?;
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

/// Training ratings of each of `rows` users or products, `index[row of the table]` being whose it is.
fn train_ratings(prepared: &Prepared, rows: usize, index: &[impl DenseIndex]) -> Vec<u32> {
    let mut counts = vec![0; rows];
    for &row in prepared.split.train().rows() {
        counts[index[row as usize].index()] += 1;
    }
    counts
}

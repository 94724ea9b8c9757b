//! The flow of one training, an arrow a line:
//!
//! config -> source -> ingest -> split -> oversample -> run directory -> centre -> plan -> train -> calibrate -> evaluate.

use super::earlier::Earlier;
use super::prepare::{self, Prepared, check_memory};
use super::training::{self, Centres, Standing, Trained};
use super::{begin, complete};
use crate::artifact::run_directory::{DATA_REPORT, EVALUATION, RunDirectory, RunError};
use crate::common::interaction::{ItemIndex, Part, UserIndex};
use crate::config::Config;
use crate::data::ingest::{Ingested, ingest};
use crate::data::progress::Progress;
use crate::data::report::DataReport;
use crate::data::source::{Source, locate};
use crate::data::split::Split;
use crate::data::titles::Titles;
use crate::data::vocabulary::Vocabulary;
use crate::engine::model::{Side, Sides};
use crate::engine::optimizer::MAX_STEPS;
use crate::evaluate::{Evaluation, evaluate};
use crate::flow::error::{FlowError, PipelineError};
use crate::train::event::EventBus;
use crate::train::loader::PairLoader;
use crate::train::rankings::ValidRankings;
use crate::train::wishes::Wishes;
use burn::train::Interrupter;
use std::fs::File;
use std::sync::Arc;

/// What a ratings file was made into: the names, and what training needs.
pub struct Loaded {
    pub users: Vocabulary<UserIndex>,
    pub items: Vocabulary<ItemIndex>,
    pub titles: Option<Titles>,
    pub prepared: Prepared,
}

/// Source, ingest, split, oversample.
pub fn load(config: &Config, path_is_explicit: bool, progress: &dyn Progress) -> Result<Loaded, PipelineError> {
    let Source { path, generated } = locate(&config.data, path_is_explicit, config.seed, progress)?;
    let mut ingested = ingest(&path, generated, &config.data, progress)?;
    // What it will be trained with: of a table without ratings choices are all there is to learn.
    let trained = match ingested.report.has_ratings {
        true => config.clone(),
        false => config.of_choices_alone(),
    };
    if let Some(earlier) = Earlier::of(&trained)? {
        earlier.add_ratings(&mut ingested)?;
        match ingested.split.is_some() {
            true => earlier.warn_of_judges(&mut ingested)?,
            false => {
                let split = Split::new(&ingested.interactions, &config.split, config.seed)?;
                ingested.split = Some(earlier.keep_parts(config, &ingested, split)?);
            }
        }
    }
    let Ingested {
        users,
        items,
        titles,
        interactions,
        split,
        report,
    } = ingested;
    let prepared = prepare::resplit(config, report, Arc::new(interactions), split)?;
    Ok(Loaded {
        users,
        items,
        titles,
        prepared,
    })
}

/// A run directory with everything but a model, held by this process until the file is dropped, and what training needs of it.
/// The config is the one that the run is trained with: of a table without ratings choices are all there is to learn.
///
/// Errors if that is what the config leaves out.
pub fn begin(config: &Config, loaded: Loaded) -> Result<(RunDirectory, File, Config, Prepared), PipelineError> {
    let config = match loaded.prepared.has_ratings() {
        true => config.clone(),
        false if config.train.ranking.weight > 0.0 => config.of_choices_alone(),
        false => return Err(FlowError::NothingToLearn(config.data.path.clone()).into()),
    };
    let config = &config;
    let steps_per_epoch = loaded.prepared.table.len().div_ceil(config.train.batch_size);
    let steps = steps_per_epoch.saturating_mul(config.train.epochs);
    if steps > MAX_STEPS {
        return Err(FlowError::TooManySteps(config.train.epochs, steps).into());
    }
    check_memory(config, &loaded.prepared)?;
    let (run, lock) = begin::create(config, &loaded)?;
    Ok((run, lock, config.clone(), loaded.prepared))
}

/// What training needs, from an unfinished run directory alone.
pub fn reopen(run: &RunDirectory, config: &Config) -> Result<Prepared, PipelineError> {
    if run.is_complete() {
        return Err(RunError::Complete(run.path().to_path_buf()).into());
    }
    let report: DataReport = run.read_json(DATA_REPORT)?;
    let (interactions, parts) = run.interactions(report.users, report.items)?.read()?;
    let prepared = Prepared::new(config, report, Arc::new(interactions), Split::from_parts(parts))?;
    check_memory(config, &prepared)?;
    Ok(prepared)
}

/// Trains a run, from its last checkpoint if it has one, until done or interrupted; the best epoch becomes its model.
/// `centres`: from [`training::find_centres`], of the same config and rows.
pub fn train(
    run: &RunDirectory,
    config: &Config,
    prepared: Prepared,
    centres: Centres,
    bus: &EventBus,
    interrupter: &Interrupter,
    wishes: &Wishes,
) -> Result<Trained, PipelineError> {
    let shape = prepared.shape(config);
    let valid_rows = prepared.split.rows(Part::Valid);
    let counts = prepared.counts();
    let rankings = match config.train.ranking.weight > 0.0 {
        true => ValidRankings::new(
            config,
            &prepared.interactions,
            prepared.split.parts(),
            &counts[Side::Item],
        ),
        false => None,
    };
    let interactions = Arc::clone(&prepared.interactions);
    let set = training::training_set(
        config,
        interactions,
        prepared.table,
        centres,
        Sides::of(|side| &*counts[side]),
    );
    let standing = Standing::open(run, config, &set, shape)?;
    let generated = prepared.report.generated;
    bus.send(&standing.announcement(run, &set, valid_rows.len(), prepared.classes, generated));
    let valid = PairLoader::new(prepared.interactions, valid_rows);
    training::train_epochs(run, config, standing, set, valid, rankings, bus, interrupter, wishes)
}

/// Calibrates the best epoch, judges it on the test split and completes the run.
pub fn complete(
    run: &RunDirectory,
    config: &Config,
    trained: &Trained,
    progress: &dyn Progress,
) -> Result<Evaluation, PipelineError> {
    complete::write_model(run, config, trained.best_epoch)?;
    let report: DataReport = run.read_json(DATA_REPORT)?;
    let evaluation = evaluate(run, config, Part::Test, report.generated, progress)?;
    run.write_json(EVALUATION, &evaluation)?;
    run.complete(trained.best_epoch)?;
    Ok(evaluation)
}

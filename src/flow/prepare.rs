//! Prepare: rows, split and oversampled as a config says, and the memory that training on them takes.

use crate::common::interaction::Part;
use crate::config::{Config, OversampleStrategy};
use crate::data::interactions::Interactions;
use crate::data::oversample::{OversampleError, SamplingTable, oversample};
use crate::data::report::DataReport;
use crate::data::split::Split;
use crate::engine::memory::{self, MemoryError, MemoryNeed, TrainingSize};
use crate::engine::model::{ModelShape, Side, Sides};
use crate::engine::open;
use crate::flow::error::PipelineError;
use crate::train::event::ClassCount;
use std::sync::Arc;

/// Rows, their split and what an epoch draws from.
pub struct Prepared {
    pub report: DataReport,
    pub interactions: Arc<Interactions>,
    pub split: Split,
    pub table: SamplingTable,
    pub classes: Vec<ClassCount>,
}

impl Prepared {
    /// Rows that are split already, with what the training split is oversampled to.
    pub fn new(
        config: &Config,
        report: DataReport,
        interactions: Arc<Interactions>,
        split: Split,
    ) -> Result<Self, OversampleError> {
        let mut settings = config.oversample.clone();
        if !report.has_ratings {
            // Counts are no classes of ratings.
            settings.strategy = OversampleStrategy::None;
        }
        let table = oversample(split.train(), &interactions.ratings, &settings, config.seed)?;
        let classes = table.classes().iter().map(|class| ClassCount {
            rating: class.rating(),
            natural: class.size(),
            oversampled: class.target(),
        });
        Ok(Self {
            classes: classes.collect(),
            report,
            interactions,
            split,
            table,
        })
    }

    /// False of a table of choices, whose values are counts.
    pub fn has_ratings(&self) -> bool {
        self.report.has_ratings
    }

    /// Training ratings of each user and of each item.
    pub fn counts(&self) -> Sides<Vec<u32>> {
        let mut counts = Sides([vec![0; self.report.users], vec![0; self.report.items]]);
        for row in self.split.rows(Part::Train) {
            counts[Side::User][self.interactions.users[row as usize].index()] += 1;
            counts[Side::Item][self.interactions.items[row as usize].index()] += 1;
        }
        counts
    }

    /// What the rows come to, for [`memory`].
    pub fn size(&self) -> TrainingSize {
        let part = |part: Part| self.split.parts().iter().filter(|row| **row == part as u8).count();
        TrainingSize {
            users: self.report.users,
            items: self.report.items,
            rows: self.interactions.len(),
            has_timestamps: self.interactions.timestamps.is_some(),
            train: part(Part::Train),
            valid: part(Part::Valid),
            test: part(Part::Test),
            samples: self.table.len(),
        }
    }

    /// The shape of a model of these rows.
    pub fn shape(&self, config: &Config) -> ModelShape {
        ModelShape {
            users: self.report.users,
            items: self.report.items,
            // Where choices are all that is learned, ratings have no embeddings.
            dim: match config.train.ranking.weight < 1.0 {
                true => config.model.dim,
                false => 0,
            },
        }
    }
}

/// Rows, split and oversampled as `config` says; a split that came with the data (`given`) stays.
pub fn resplit(
    config: &Config,
    report: DataReport,
    interactions: Arc<Interactions>,
    given: Option<Split>,
) -> Result<Prepared, PipelineError> {
    let split = match given {
        Some(given) => given,
        None => Split::new(&interactions, &config.split, config.seed)?,
    };
    Ok(Prepared::new(config, report, interactions, split)?)
}

/// The memory that training on these rows takes.
pub fn predict_memory(config: &Config, prepared: &Prepared) -> MemoryNeed {
    memory::predict(&prepared.size(), config, open::adapter(config.device).as_ref())
}

/// The memory that training on these rows takes. Errors if this machine or its adapter has less.
pub fn check_memory(config: &Config, prepared: &Prepared) -> Result<MemoryNeed, MemoryError> {
    let mut ratings_per_user = vec![0u32; prepared.report.users];
    for &user in &prepared.interactions.users {
        ratings_per_user[user.index()] += 1;
    }
    let adapter = open::adapter(config.device);
    memory::check(&prepared.size(), config, adapter.as_ref(), &ratings_per_user)
}

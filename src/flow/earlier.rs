//! Earlier: the finished run that a training begins with.
//!
//! Its users and products begin with what they learned there, whatever their indices are here, and the head where it was before
//! calibration; who and what is new begins as in any training, and so does the optimiser. Ratings that came to it since are
//! taken in.
//!
//! Nothing that it trained on may judge the new run. So its training rows train here too; where rows are held out at random each
//! of its rows stays in its part, and only new rows are drawn.

use crate::artifact::model_file::Read;
use crate::artifact::ratings_log::{NewRating, gather};
use crate::artifact::run_directory::{CALIBRATION, PRODUCTS, RunDirectory, USERS};
use crate::artifact::run_files::RunFiles;
use crate::artifact::vocabulary_file::VocabularyFile;
use crate::common::interaction::{DenseIndex, ItemIndex, Part, UserIndex};
use crate::config::{Config, SplitStrategy};
use crate::data::ingest::Ingested;
use crate::data::interactions::Interactions;
use crate::data::report::{histogram, singles, time_range};
use crate::data::split::Split;
use crate::engine::model::{Question, ROW_HEADER, Side};
use crate::engine::{HeadState, ROWS_PER_READ, Trainer};
use crate::evaluate::calibrate::Calibration;
use crate::flow::error::{FlowError, PipelineError};
use std::collections::HashMap;
use std::path::Path;

/// A finished run, open.
pub struct Earlier {
    run: RunDirectory,
    files: RunFiles,
}

impl Earlier {
    /// The run that a config begins with, if it does. Errors if it is not complete, or its embeddings have other lengths.
    pub fn of(config: &Config) -> Result<Option<Self>, PipelineError> {
        let Some(path) = config.from.to_str().filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let run = RunDirectory::find(Some(path))?;
        run.manifest()?;
        let files = run.open()?;
        let ranking = &config.train.ranking;
        let wanted = (
            if ranking.weight < 1.0 { config.model.dim } else { 0 },
            if ranking.weight > 0.0 { ranking.dim } else { 0 },
        );
        let found = (
            files.model.shape().dim,
            files.model.choices().map_or(0, |choices| choices.dim),
        );
        match found == wanted {
            true => Ok(Some(Self { run, files })),
            false => Err(FlowError::OtherShape {
                run: run.path().to_path_buf(),
                found,
                wanted,
            }
            .into()),
        }
    }

    /// Takes in the ratings that came to the run and those before it, behind the table's rows; returns how many they are.
    pub fn add_ratings(&self, ingested: &mut Ingested) -> Result<usize, PipelineError> {
        let mut runs = self.run.older();
        runs.push(self.run.clone());
        let ratings: Vec<NewRating> = gather(&runs)?.into_iter().flat_map(|posting| posting.ratings).collect();
        if ratings.is_empty() {
            return Ok(0);
        }
        let came = format!(
            "{} ratings that came to {} and the runs before it",
            ratings.len(),
            self.run.path().display()
        );
        if ingested.split.is_some() {
            let warning = format!(
                "{came} are left out: `data.test_path` says which rows are held out, and they may be among them"
            );
            ingested.report.warnings.push(warning);
            return Ok(0);
        }
        let rows = &mut ingested.interactions;
        let latest = time_range(rows).map_or(0, |(_, latest)| latest);
        let known = rows.len();
        // The places of the rows that come behind the table's.
        let mut new: HashMap<(UserIndex, ItemIndex), usize> = HashMap::new();
        for rating in &ratings {
            let (user, item) = (
                ingested.users.intern(&rating.user),
                ingested.items.intern(&rating.product),
            );
            let time = rating.time.unwrap_or(latest);
            let there = new.get(&(user, item)).copied();
            match there.or_else(|| place(rows, known, user, item)) {
                // The table has a later one.
                Some(row)
                    if ingested.report.has_ratings
                        && rows.timestamps.as_ref().is_some_and(|times| times[row] > time) => {}
                Some(row) => {
                    rows.ratings[row] = match ingested.report.has_ratings {
                        true => rating.rating,
                        // Counts add up.
                        false => rows.ratings[row] + rating.rating,
                    };
                    rows.timestamps.iter_mut().for_each(|times| times[row] = time);
                }
                None => {
                    new.insert((user, item), rows.len());
                    rows.users.push(user);
                    rows.items.push(item);
                    rows.ratings.push(rating.rating);
                    rows.timestamps.iter_mut().for_each(|times| times.push(time));
                }
            }
        }
        rows.group_by_user(ingested.users.len());
        if let Some(titles) = &mut ingested.titles {
            for _ in titles.len()..ingested.items.len() {
                titles.title.push("");
                titles.details.push("");
            }
        }
        let report = &mut ingested.report;
        (report.users, report.items) = (ingested.users.len(), ingested.items.len());
        report.rows_kept = rows.len();
        report.density = rows.len() as f64 / (report.users as f64 * report.items as f64);
        report.single_users = singles(&rows.users, report.users);
        report.single_items = singles(&rows.items, report.items);
        report.histogram = histogram(&rows.ratings);
        report.time_range = time_range(rows);
        report.warnings.push(format!("{came} are taken in"));
        Ok(ratings.len())
    }

    /// A split in which nothing that the run trained on is held out.
    pub fn keep_parts(&self, config: &Config, ingested: &Ingested, split: Split) -> Result<Split, PipelineError> {
        let keeps_all = config.split.strategy == SplitStrategy::Random;
        let mut parts = split.parts().to_vec();
        for (part, before) in parts.iter_mut().zip(self.parts_of(ingested)?) {
            if let Some(before) = before.filter(|&before| keeps_all || before == Part::Train as u8) {
                *part = before;
            }
        }
        Ok(Split::from_parts(parts))
    }

    /// Has the report say how many of the rows that judge, which the config brings, the run was trained on.
    pub fn warn_of_judges(&self, ingested: &mut Ingested) -> Result<(), PipelineError> {
        let parts = ingested.split.as_ref().map_or(&[][..], Split::parts);
        let is_trained =
            |(part, before): (&u8, Option<u8>)| *part != Part::Train as u8 && before == Some(Part::Train as u8);
        let trained = parts
            .iter()
            .zip(self.parts_of(ingested)?)
            .filter(|&row| is_trained(row))
            .count();
        if trained > 0 {
            ingested.report.warnings.push(format!(
                "{trained} of the held-out rows are rows that {} was trained on: figures of them flatter what begins with it",
                self.run.path().display()
            ));
        }
        Ok(())
    }

    /// The part of the run that each row of a table stood in, if it did.
    fn parts_of(&self, ingested: &Ingested) -> Result<Vec<Option<u8>>, PipelineError> {
        let rows = &ingested.interactions;
        let users = places(&self.files.users, ingested.users.ids())?;
        let items = places(&self.files.products, ingested.items.ids())?;
        let mut parts = vec![None; rows.len()];
        let mut own: (UserIndex, Vec<(ItemIndex, u8)>) = (UserIndex(u32::MAX), Vec::new());
        for (row, part) in parts.iter_mut().enumerate() {
            let (Some(user), Some(item)) = (users[rows.users[row].index()], items[rows.items[row].index()]) else {
                continue;
            };
            if own.0 != user {
                let before = self.files.rows.user(user)?;
                let before = before.items.iter().copied().zip(before.parts.iter().copied());
                own = (user, before.collect());
                own.1.sort_unstable();
            }
            let found = own.1.binary_search_by_key(&item, |&(item, _)| item);
            *part = found.ok().map(|found| own.1[found].1);
        }
        Ok(parts)
    }

    /// Gives an engine at its start what the run had learned of the users and products of both.
    pub fn warm(&self, run: &RunDirectory, trainer: &mut dyn Trainer) -> Result<(), PipelineError> {
        self.warm_side(Side::User, &self.files.users, &run.file(USERS), trainer)?;
        self.warm_side(Side::Item, &self.files.products, &run.file(PRODUCTS), trainer)?;
        if trainer.shape(Question::Rating).is_some() {
            let calibration: Calibration = self.run.read_json(CALIBRATION)?;
            trainer.set_head(HeadState::at(calibration.uncalibrated), 0)?;
        }
        Ok(())
    }

    /// `known` has the ids of the run, the file those of the engine's rows.
    fn warm_side<Index: DenseIndex>(
        &self,
        side: Side,
        known: &VocabularyFile<Index>,
        new: &Path,
        trainer: &mut dyn Trainer,
    ) -> Result<(), PipelineError> {
        let new = VocabularyFile::<Index>::open(new, None)?;
        let ids: Result<Vec<&str>, _> = (0..new.len() as u32).map(|index| new.id(Index::new(index))).collect();
        let places = places(known, ids?.into_iter())?;
        for question in Question::BOTH {
            self.warm_table(question, side, &places, trainer)?;
        }
        Ok(())
    }

    /// `places` has for each row of the engine where it stood in the run.
    fn warm_table(
        &self,
        question: Question,
        side: Side,
        places: &[Option<impl DenseIndex>],
        trainer: &mut dyn Trainer,
    ) -> Result<(), PipelineError> {
        let Some(shape) = trainer.shape(question) else {
            return Ok(());
        };
        let length = shape.record_len(trainer.schedule().optimizer());
        let model = &self.files.model;
        let items = match question {
            Question::Rating => Some(model.item_rows(Read::All)?),
            Question::Choice => model.choice_rows(Read::All)?,
        };
        for (block, places) in places.chunks(ROWS_PER_READ).enumerate() {
            let mut records = vec![0.0; places.len() * length];
            trainer.read_records(question, side, block * ROWS_PER_READ, &mut records)?;
            for (record, place) in records.chunks_exact_mut(length).zip(places) {
                let Some(place) = *place else { continue };
                let weights = &mut record[ROW_HEADER..][..shape.dim];
                match (side, items) {
                    (Side::User, _) => {
                        let row = match question {
                            Question::Rating => model.user(UserIndex(place.number()))?,
                            Question::Choice => model.user_choice(UserIndex(place.number()))?,
                        };
                        weights.copy_from_slice(&row[ROW_HEADER..]);
                        record[0] = row[0];
                    }
                    (Side::Item, Some(items)) => {
                        weights.copy_from_slice(items.weights(place.index()));
                        record[0] = items.bias(place.index());
                    }
                    (Side::Item, None) => {}
                }
            }
            trainer.write_records(question, side, block * ROWS_PER_READ, &records)?;
        }
        Ok(())
    }
}

/// Where each id stands in a vocabulary.
fn places<'a, Index: DenseIndex>(
    known: &VocabularyFile<Index>,
    ids: impl Iterator<Item = &'a str>,
) -> Result<Vec<Option<Index>>, PipelineError> {
    let known = known.read()?;
    Ok(ids.map(|id| known.index(id)).collect())
}

/// The row of a pair among the first `known`, which are grouped by user.
fn place(rows: &Interactions, known: usize, user: UserIndex, item: ItemIndex) -> Option<usize> {
    let first = rows.users[..known].partition_point(|&other| other < user);
    let mut own = (first..known).take_while(|&row| rows.users[row] == user);
    own.find(|&row| rows.items[row] == item)
}

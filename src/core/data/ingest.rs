//! Ingest: a ratings table to columns, two vocabularies and a report, in one pass.
//!
//! Ids are text, leading zeros kept; a number becomes its decimal text. A bad row is counted by kind with its first line
//! numbers and left out, up to `max_bad_rows`; past that it is an error. The same ratings give the same result in any format
//! and in any number of files.

use super::check::{Check, Checked, Rating};
use super::clean::{self, Conflict};
use super::columns::{Chosen, Values};
use super::fault::{Fault, IngestError};
use super::format::{Detected, Opened, Shape, open};
use super::id_suspicions::{changed, look_alikes, lost_zeros, nobody, swapped};
use super::interactions::Interactions;
use super::parts::parts;
use super::progress::{OfParts, Progress, Silent};
use super::report::{BadRows, DataReport, DuplicateReport, HeldOut, TimeUnit, histogram, singles, time_range};
use super::split::Split;
use super::titles::{self, Titles};
use super::usual_scales::{other_scale, scale_hint};
use super::vocabulary::{Interning, Vocabulary};
use crate::common::format::{count, percent};
use crate::common::interaction::{DenseIndex, ItemIndex, Part, UserIndex};
use crate::config::DataConfig;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

/// What the table held.
#[derive(Clone, Debug)]
pub struct Ingested {
    pub users: Vocabulary<UserIndex>,
    pub items: Vocabulary<ItemIndex>,
    pub titles: Option<Titles>,
    pub interactions: Interactions,
    /// Given by `data.test_path`; else it is to be drawn.
    pub split: Option<Split>,
    pub report: DataReport,
}

/// Line numbers kept for each fault.
const LINES_KEPT: usize = 5;

/// Reads a ratings table, cleans it, and looks up titles.
///
/// Errors if a file cannot be read, holds nothing, holds more bad rows than allowed, or nothing is left of it.
pub fn ingest(
    path: &Path,
    generated: bool,
    config: &DataConfig,
    progress: &dyn Progress,
) -> Result<Ingested, IngestError> {
    let tables = tables(path, config)?;
    let mut users = Interning::start();
    let mut items = Vocabulary::default();
    let mut interactions = Interactions::default();
    let mut timestamps = Vec::new();
    // One thread reads and checks, one looks up users, this one products: each is about a third of the work.
    let read = std::thread::scope(|scope| {
        let (sender, batches) = sync_channel(BATCHES_AHEAD);
        let reader = scope.spawn(|| read_rows(&tables, config, progress, sender));
        for batch in batches {
            for (user, item) in batch.ids() {
                users.push(user);
                interactions.items.push(items.intern(item));
            }
            interactions.ratings.extend(batch.ratings);
            timestamps.extend(batch.times);
        }
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    progress.end();
    let (mut users, user_indices) = users.finish();
    interactions.users = user_indices;
    let rows_read: usize = read.tables.iter().map(|table| table.rows_read).sum();
    refuse_too_many(&read, rows_read, config)?;
    let nothing_left = |by| IngestError::NothingLeft {
        path: path.to_path_buf(),
        rows: rows_read,
        by,
    };
    if interactions.is_empty() {
        return Err(nothing_left(match read.unrated {
            0 => "between `data.since` and `data.until`",
            _ => "beside `data.unrated`, `data.since` and `data.until`",
        }));
    }

    interactions.timestamps = read.has_timestamps.then_some(timestamps);
    let has_ratings = read.chosen.values == Values::Ratings;
    let merge = |rows: &mut Interactions| {
        rows.group_by_user(users.len());
        clean::deduplicate(rows, config.duplicates, !has_ratings).map_err(|conflict| {
            let (user, product) = (users.id(conflict.user), items.id(conflict.item));
            duplicate(&tables, config, user, product, &conflict)
        })
    };
    let (split, duplicates, held_out) = match tables.len() {
        1 => (None, merge(&mut interactions)?, Vec::new()),
        _ => hold_out(&mut interactions, &read, &tables, [users.len(), items.len()], merge)?,
    };
    let core = clean::k_core(
        &mut users,
        &mut items,
        &mut interactions,
        config.min_ratings_per_user,
        config.min_ratings_per_product,
    );
    if interactions.is_empty() {
        return Err(nothing_left(
            "by `data.min_ratings_per_user` and `data.min_ratings_per_product`",
        ));
    }
    let titles = match config.titles.as_os_str().is_empty() {
        true => None,
        false => Some(titles::read(config, &items, progress)?),
    };
    let (titles, title_report) = titles.unzip();
    let histogram = histogram(&interactions.ratings);
    let mut warnings = read.warnings;
    warnings.extend(changed("user", &users));
    warnings.extend(changed("product", &items));
    warnings.extend(nobody(&users, &interactions.users));
    if read.chosen.by_place && read.chosen.columns[..2] == [Some(0), Some(1)] {
        warnings.extend(swapped(&users, &items));
    }
    if has_ratings {
        warnings.extend(of_values(&histogram));
    }
    let time_range = time_range(&interactions);
    if let Some((first, last)) = time_range.filter(|(_, last)| *last < EARLY_SECONDS) {
        warnings.push(format!(
            "timestamps run from {first} to {last} seconds, all near the year 1970: are they times? `data.columns.timestamp = \"\"` \
             does without"
        ));
    }
    let report = DataReport {
        path: path.to_path_buf(),
        generated,
        detected: read.detected,
        rows_read,
        rows_kept: interactions.len(),
        bad_rows: read.bad_rows,
        has_ratings,
        warnings,
        files: tables.iter().map(|table| table.files.len()).sum(),
        held_out,
        outside_window: read.outside_window,
        unrated: read.unrated,
        duplicates,
        core,
        users: users.len(),
        items: items.len(),
        density: interactions.len() as f64 / (users.len() as f64 * items.len() as f64),
        single_users: singles(&interactions.users, users.len()),
        single_items: singles(&interactions.items, items.len()),
        has_timestamps: read.has_timestamps,
        time_range,
        time_unit: read.time_unit,
        lost_zeros: [lost_zeros("user", &users), lost_zeros("product", &items)]
            .into_iter()
            .flatten()
            .collect(),
        look_alikes: [look_alikes("user", &users), look_alikes("product", &items)]
            .into_iter()
            .flatten()
            .collect(),
        histogram,
        titles: title_report,
    };
    Ok(Ingested {
        users,
        items,
        titles,
        interactions,
        split,
        report,
    })
}

/// Times before June 1970 are numbers of something else.
const EARLY_SECONDS: i64 = 13_000_000;

/// Files of one table, and the part of the split that its rows belong to.
struct Table {
    part: Part,
    path: PathBuf,
    files: Vec<PathBuf>,
}

/// The tables of a config: the ratings, and what is held out where that is brought along.
fn tables(path: &Path, config: &DataConfig) -> Result<Vec<Table>, IngestError> {
    let table = |part: Part, path: &Path| {
        Ok(Table {
            part,
            path: path.to_path_buf(),
            files: parts(path)?,
        })
    };
    let mut tables = vec![table(Part::Train, path)?];
    for (part, path) in [(Part::Valid, &config.valid_path), (Part::Test, &config.test_path)] {
        if !path.as_os_str().is_empty() {
            tables.push(table(part, path).map_err(|error| held_out_error(part, error))?);
        }
    }
    Ok(tables)
}

fn held_out_error(part: Part, error: IngestError) -> IngestError {
    match part {
        Part::Train => error,
        Part::Valid => IngestError::HeldOut("data.valid_path", Box::new(error)),
        Part::Test => IngestError::HeldOut("data.test_path", Box::new(error)),
    }
}

/// Merges each table by itself, groups all rows by user, and tells which part each belongs to.
fn hold_out(
    interactions: &mut Interactions,
    read: &ReadRows,
    tables: &[Table],
    [users, items]: [usize; 2],
    merge: impl Fn(&mut Interactions) -> Result<DuplicateReport, IngestError>,
) -> Result<(Option<Split>, DuplicateReport, Vec<HeldOut>), IngestError> {
    let mut rows: Vec<Interactions> = Vec::new();
    for table in read.tables.iter().rev() {
        rows.insert(0, interactions.split_off(interactions.len() - table.good));
    }
    let mut total: Option<DuplicateReport> = None;
    for rows in &mut rows {
        let own = merge(rows)?;
        total = Some(total.map_or(own, |total| DuplicateReport {
            policy: own.policy,
            pairs: total.pairs + own.pairs,
            conflicts: total.conflicts + own.conflicts,
            rows_removed: total.rows_removed + own.rows_removed,
            by_file_order: total.by_file_order + own.by_file_order,
        }));
    }
    let (train, others) = rows.split_first().expect("there is a table of ratings");
    let mut known = [vec![false; users], vec![false; items]];
    let mut pairs = std::collections::HashSet::new();
    for (&user, &item) in train.users.iter().zip(&train.items) {
        known[0][user.index()] = true;
        known[1][item.index()] = true;
        pairs.insert((user, item));
    }
    fn fresh<Index: DenseIndex>(known: &[bool], index: &[Index]) -> usize {
        let mut fresh: Vec<Index> = index.iter().copied().filter(|index| !known[index.index()]).collect();
        fresh.sort_unstable();
        fresh.dedup();
        fresh.len()
    }
    let mut held_out = Vec::new();
    for (rows, (table, files)) in others.iter().zip(read.tables.iter().zip(tables).skip(1)) {
        let both = rows
            .users
            .iter()
            .zip(&rows.items)
            .filter(|&(&user, &item)| pairs.contains(&(user, item)));
        held_out.push(HeldOut {
            part: files.part,
            path: files.path.clone(),
            rows_read: table.rows_read,
            rows_kept: rows.len(),
            new_users: fresh(&known[0], &rows.users),
            new_products: fresh(&known[1], &rows.items),
            also_trained: both.count(),
        });
    }
    let mut of_rows: Vec<u8> = Vec::new();
    for (rows, table) in rows.into_iter().zip(tables) {
        of_rows.resize(of_rows.len() + rows.len(), table.part as u8);
        match interactions.is_empty() {
            true => *interactions = rows,
            false => interactions.append(rows),
        }
    }
    let order = interactions.group_by_user(users);
    let parts = order.into_iter().map(|row| of_rows[row]).collect();
    Ok((
        Some(Split::from_parts(parts)),
        total.expect("there is a table of ratings"),
        held_out,
    ))
}

/// What the values of the ratings make one doubt.
fn of_values(histogram: &[(f32, usize)]) -> Vec<String> {
    let rows: usize = histogram.iter().map(|class| class.1).sum();
    match histogram {
        [(value, _)] => vec![format!(
            "all ratings are {value}: there is nothing to learn about how much people like what they choose; train on choices \
             alone with `data.columns.rating = \"\"`"
        )],
        [(lowest, unliked), (next, above), ..]
            if *lowest <= 0.0
                && next - lowest >= 1.0
                && *unliked > 2 * above
                && 10 * unliked > rows
                && histogram.len() > 2 =>
        {
            vec![format!(
                "{} of the ratings ({}) are {lowest}, far more than are {next}: does {lowest} mean \"not rated\"? then set \
                 `data.unrated = [{lowest}]` and `data.rating_scale` to what is left",
                count(*unliked),
                percent(*unliked as f64 / rows as f64),
            )]
        }
        _ => Vec::new(),
    }
}

/// What is known of the files besides their good rows.
struct ReadRows {
    /// Of the first file.
    detected: Detected,
    chosen: Chosen,
    tables: Vec<TableRows>,
    has_timestamps: bool,
    time_unit: Option<TimeUnit>,
    outside_window: usize,
    unrated: usize,
    bad_rows: Vec<BadRows>,
    /// Of the row that each fault of `bad_rows` was met in first: its file and its place among all rows.
    first_bad: Vec<(PathBuf, usize)>,
    warnings: Vec<String>,
    check: Check,
    /// Why the first data row of a file is no rating, if that can be told from the header.
    header: Option<Vec<String>>,
    commas: bool,
}

/// Rows of one table.
#[derive(Default)]
struct TableRows {
    rows_read: usize,
    good: usize,
}

/// Good rows on their way to the vocabularies.
#[derive(Default)]
struct Batch {
    /// User and product of each row, end to end.
    text: String,
    /// Where each of them ends.
    ends: Vec<[u32; 2]>,
    ratings: Vec<f32>,
    /// Empty without timestamps.
    times: Vec<i64>,
}

/// Rows in a batch; ids are at most `MAX_ID_BYTES` long, so u32 holds every end.
const BATCH_ROWS: usize = 8192;
const BATCHES_AHEAD: usize = 4;

impl Batch {
    fn ids(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&[middle, end]| {
            let (middle, end) = (middle as usize, end as usize);
            let ids = (&self.text[start..middle], &self.text[middle..end]);
            start = end;
            ids
        })
    }

    fn push(&mut self, rating: &Rating) {
        self.text.push_str(rating.user.as_str());
        let middle = self.text.len() as u32;
        self.text.push_str(rating.item.as_str());
        self.ends.push([middle, self.text.len() as u32]);
        self.ratings.push(rating.value);
        self.times.extend(rating.time);
    }
}

/// Opens the files one after the other, checks their rows and sends the good ones in batches.
fn read_rows(
    tables: &[Table],
    config: &DataConfig,
    progress: &dyn Progress,
    batches: SyncSender<Batch>,
) -> Result<ReadRows, IngestError> {
    let progress = OfParts::new(progress);
    let mut batch = Batch::default();
    let mut faults: BTreeMap<Fault, (BadRows, PathBuf, usize)> = BTreeMap::new();
    let mut counts: Vec<TableRows> = Vec::new();
    let mut known: Option<(Check, Shape, Detected, Chosen, bool)> = None;
    let (mut rows_read, mut outside_window, mut unrated) = (0, 0, 0);
    let mut warnings = Vec::new();
    let is_one_file = tables.iter().map(|table| table.files.len()).sum::<usize>() == 1;
    for table in tables {
        let mut own = TableRows::default();
        for file in &table.files {
            let shape = known.as_ref().map(|(_, shape, ..)| shape);
            let opened = match open(file, config, shape, &progress) {
                Ok(opened) => opened,
                // Spark writes a file for each of its tasks, whether it has rows or not.
                Err(IngestError::Empty { .. }) if table.files.len() > 1 => continue,
                Err(error) => return Err(held_out_error(table.part, error)),
            };
            let Opened {
                mut rows,
                detected,
                chosen,
                shape,
                garbage,
                commas,
            } = opened;
            let compression = detected.compression.clone();
            if known.is_none() {
                warnings.extend(chosen.warnings.iter().cloned());
                let check = Check::new(file, config, chosen.values, rows.has_timestamps(), commas)?;
                known = Some((check, shape, detected, chosen, commas));
            }
            let check = &mut known.as_mut().expect("it was just set").0;
            // A send fails only if the other side panicked, which is seen there.
            while let Some(row) = rows.next().map_err(|error| held_out_error(table.part, error))? {
                rows_read += 1;
                own.rows_read += 1;
                match row.fields.and_then(|fields| check.row(&fields)) {
                    Ok(Checked::OutsideWindow) => outside_window += 1,
                    Ok(Checked::Unrated) => unrated += 1,
                    Ok(Checked::Rating(rating)) => {
                        own.good += 1;
                        batch.push(&rating);
                        if batch.ends.len() == BATCH_ROWS {
                            let _ = batches.send(std::mem::take(&mut batch));
                        }
                    }
                    Err((fault, example)) => {
                        let (rows, ..) = faults.entry(fault).or_insert_with(|| {
                            let rows = BadRows {
                                fault,
                                count: 0,
                                lines: Vec::new(),
                                files: Vec::new(),
                                example,
                            };
                            (rows, file.clone(), rows_read)
                        });
                        rows.count += 1;
                        if rows.lines.len() < LINES_KEPT {
                            rows.lines.push(row.line);
                            rows.files.extend((!is_one_file).then(|| file.clone()));
                        }
                    }
                }
            }
            if garbage.was_met() {
                warnings.push(format!(
                    "`{}` has bytes behind its {} data that are none: they are not read",
                    file.display(),
                    compression.unwrap_or_default(),
                ));
            }
            progress.next_part();
        }
        if own.rows_read == 0 {
            let path = table.path.clone();
            return Err(held_out_error(table.part, IngestError::Empty { path }));
        }
        counts.push(own);
    }
    let _ = batches.send(batch);
    let (check, shape, detected, chosen, commas) = known.expect("a table has rows");
    let (bad_rows, first_bad) = faults
        .into_values()
        .map(|(rows, file, place)| (rows, (file, place)))
        .unzip();
    Ok(ReadRows {
        has_timestamps: chosen.columns[3].is_some(),
        time_unit: check.time_unit(),
        header: match shape {
            Shape::Delimited { header, .. } => header,
            Shape::Named { .. } => None,
        },
        detected,
        chosen,
        tables: counts,
        outside_window,
        unrated,
        bad_rows,
        first_bad,
        warnings,
        check,
        commas,
    })
}

fn refuse_too_many(read: &ReadRows, rows: usize, config: &DataConfig) -> Result<(), IngestError> {
    let bad: usize = read.bad_rows.iter().map(|rows| rows.count).sum();
    let allowed = (rows as f64 * config.max_bad_rows) as usize;
    let first = read
        .bad_rows
        .iter()
        .zip(&read.first_bad)
        .min_by_key(|(_, (_, place))| *place);
    match first {
        Some((first, (file, _))) if bad > allowed || bad == rows => Err(IngestError::TooManyBadRows {
            fault: first.fault.describe(&first.example),
            path: file.clone(),
            line: first.lines[0],
            bad,
            rows,
            allowed,
            hint: hint(first, read, config, [bad, rows]).into(),
            scale: match (first.fault, &read.chosen.suspicion) {
                (Fault::OffTheScale, None) => other_scale(&read.check, config.rating_scale, rows).map(Box::new),
                _ => None,
            },
        }),
        _ => Ok(()),
    }
}

/// What the user can do about the rows of a fault, where so many are bad of all.
fn hint(first: &BadRows, read: &ReadRows, config: &DataConfig, [bad, rows]: [usize; 2]) -> String {
    let line = first.lines[0];
    let suspicion = read.chosen.suspicion.clone();
    match first.fault {
        Fault::OffTheScale => suspicion.unwrap_or_else(|| scale_hint(&read.check, config.rating_scale, [bad, rows])),
        Fault::ColumnCount if 2 * bad > rows && rows > 1 => ragged(&read.detected),
        Fault::NotANumber => {
            let commas_help = !read.commas && first.example.contains(',');
            match (suspicion, &read.header, read.chosen.columns[2]) {
                (_, Some(header), Some(rating)) if header.get(rating).is_some_and(|name| name.trim() == first.example) => {
                    "the row repeats the header, as where files were joined: take it out, or give the files themselves, as a folder \
                     or a glob"
                        .to_string()
                }
                (Some(suspicion), ..) => suspicion,
                (None, ..) if commas_help => {
                    "if a comma stands before the fraction, set `data.decimal = \",\"`".to_string()
                }
                (None, Some(header), Some(rating)) if line == 2 => format!(
                    "line 1 was taken for the header, and its column {rating} `{}` for the rating; in line 2 `{}` stands there: \
                     set `data.columns.rating` to the column that holds ratings, or `data.header = false` if line 1 is a rating",
                    header.get(rating).map_or("", |name| name.trim()),
                    first.example,
                ),
                _ => first.fault.hint(if bad > 1 { line.max(2) } else { line }).to_string(),
            }
        }
        fault => fault.hint(line).to_string(),
    }
}

/// What to do where most rows have another number of columns than most rows have.
fn ragged(detected: &Detected) -> String {
    let delimiter = detected.delimiter.as_deref().unwrap_or(",");
    match delimiter {
        " " => "if several spaces stand between two columns, make them one: `tr -s ' ' < FILE > ratings.txt`; if a row is a user and \
                all its products, write a row for each: `awk '{for (i = 2; i <= NF; i++) print $1, $i}' FILE > ratings.txt`"
            .to_string(),
        _ => format!(
            "is a row a user and all its products? then write a row for each: `awk -F'{delimiter}' '{{for (i = 2; i <= NF; i++) print \
             $1 \"{delimiter}\" $i}}' FILE > ratings.csv`; if it is products alone, `i = 1` and `NR` for `$1`; else set \
             `data.delimiter` to what stands between two columns"
        ),
    }
}

/// The error of a pair with several ratings. Lines are not kept, so the files are read again for those of the first two.
fn duplicate(tables: &[Table], config: &DataConfig, user: &str, product: &str, conflict: &Conflict) -> IngestError {
    let lines = tables
        .iter()
        .map(|table| lines_of_pair(table, config, user, product).unwrap_or_default());
    let lines = lines.max_by_key(Vec::len).unwrap_or_default();
    let place = |number: usize| lines.get(number).map_or_else(String::new, |line| format!(" in {line}"));
    IngestError::Duplicate {
        path: tables[0].path.clone(),
        user: user.to_string(),
        product: product.to_string(),
        ratings: format!("{}{} and {}{}", conflict.first, place(0), conflict.second, place(1)),
    }
}

/// `line 7` (`row 7` in Parquet) of the good rows of a pair; `None` if the files cannot be read a second time.
fn lines_of_pair(table: &Table, config: &DataConfig, user: &str, product: &str) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    let mut known: Option<(Check, Shape)> = None;
    for file in &table.files {
        if !file.is_file() {
            return None;
        }
        let opened = open(file, config, known.as_ref().map(|(_, shape)| shape), &Silent).ok()?;
        let mut rows = opened.rows;
        let unit = if opened.detected.is_parquet() { "row" } else { "line" };
        if known.is_none() {
            let check = Check::new(file, config, opened.chosen.values, rows.has_timestamps(), opened.commas).ok()?;
            known = Some((check, opened.shape));
        }
        let check = &mut known.as_mut()?.0;
        while let Some(row) = rows.next().ok()? {
            let is_of_pair = |rating: &Rating| rating.user.as_str() == user && rating.item.as_str() == product;
            if let Ok(Checked::Rating(rating)) = row.fields.and_then(|fields| check.row(&fields))
                && is_of_pair(&rating)
            {
                let of_file = match table.files.len() {
                    1 => String::new(),
                    _ => format!(" of `{}`", file.display()),
                };
                lines.push(format!("{unit} {}{of_file}", row.line));
            }
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::interaction::RatingScale;
    use crate::config::{Column, Config};

    fn read(name: &str, text: &str, adjust: impl FnOnce(&mut DataConfig)) -> Result<Ingested, IngestError> {
        let path = std::env::temp_dir().join(format!("dotcart-ingest-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let mut config = Config::default().data;
        adjust(&mut config);
        let result = ingest(&path, false, &config, &Silent);
        std::fs::remove_file(&path).unwrap();
        result
    }

    fn column(name: &str) -> Column {
        Column::Name(name.to_string())
    }

    #[test]
    fn ids_keep_their_zeros_and_order_and_quotes_are_read() {
        let data = read(
            "ids",
            "A1,0132793040,5.0,1365811200\n\"B,2\",0132793040,1.0,1\nA1,00X,3.5,2\n",
            |_| {},
        )
        .unwrap();
        assert_eq!(data.users.ids().collect::<Vec<_>>(), ["A1", "B,2"]);
        assert_eq!(data.items.ids().collect::<Vec<_>>(), ["0132793040", "00X"]);
        // Grouped by user, a user's rows in file order.
        assert_eq!(data.interactions.users, [0, 0, 1].map(UserIndex));
        assert_eq!(data.interactions.items, [0, 1, 0].map(ItemIndex));
        assert_eq!(data.interactions.ratings, [5.0, 3.5, 1.0]);
        assert_eq!(data.interactions.timestamps, Some(vec![1365811200, 2, 1]));
        assert_eq!(data.report.histogram, [(1.0, 1), (3.5, 1), (5.0, 1)]);
        assert_eq!(data.report.time_range, Some((1, 1365811200)));
    }

    #[test]
    fn three_columns_are_ratings_without_time() {
        let data = read("three", "1,2,5\n3,2,4\n", |_| {}).unwrap();
        assert_eq!((data.interactions.len(), data.interactions.timestamps), (2, None));
    }

    #[test]
    fn a_header_is_found_shown_and_overruled() {
        let text = "time,rating,who,what\n7,5,a,b\n8,4,c,b\n";
        let by_name = |config: &mut DataConfig| {
            config.columns.user = column("who");
            config.columns.product = column("what");
            config.columns.rating = column("rating");
            config.columns.timestamp = column("time");
        };
        let data = read("by-name", text, by_name).unwrap();
        assert_eq!(data.interactions.timestamps, Some(vec![7, 8]));
        assert_eq!(data.report.detected.header, Some(true));
        assert_eq!(
            data.report.detected.columns[0],
            ("user".to_string(), "2 `who`".to_string())
        );
    }

    #[test]
    fn bad_rows_below_the_limit_are_counted_with_their_lines() {
        let text = "a,b,5\n".repeat(9) + "a,b\n";
        let data = read("limit", &text, |config| config.max_bad_rows = 0.1).unwrap();
        assert_eq!((data.report.rows_read, data.report.rows_kept), (10, 1));
        assert_eq!(data.report.bad_rows[0].lines, [10]);
        assert_eq!(data.report.duplicates.rows_removed, 8);
    }

    #[test]
    fn scales_other_than_one_to_five_are_read() {
        let scale = |min, max| move |config: &mut DataConfig| config.rating_scale = RatingScale { min, max };
        let halves = read("halves", "a,b,0.5\na,c,4.5\n", scale(0.5, 5.0)).unwrap();
        assert_eq!(halves.report.histogram, [(0.5, 1), (4.5, 1)]);
        let thumbs = read("thumbs", "a,b,0\na,c,1\nb,c,-0\n", scale(0.0, 1.0)).unwrap();
        assert_eq!(thumbs.report.histogram, [(0.0, 2), (1.0, 1)]);
    }

    #[test]
    fn milliseconds_are_found_and_days_cut() {
        let text = "a,b,5,1388534400000\na,c,5,1388620799000\nb,c,5,1388620800000\n";
        let data = read("window", text, |config| config.until = "2014-01-01".to_string()).unwrap();
        assert_eq!(data.report.time_unit, Some(TimeUnit::Milliseconds));
        assert_eq!((data.report.rows_kept, data.report.outside_window), (2, 1));
        assert_eq!(data.users.ids().collect::<Vec<_>>(), ["a"]);
    }
}

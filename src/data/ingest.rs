//! Ingest: a ratings file to columns, two vocabularies and a report, in one pass.
//!
//! Ids are text, leading zeros kept; a number becomes its decimal text. A bad row is counted by kind with its first line
//! numbers and left out, up to `max_bad_rows`; past that it is an error. The same ratings give the same result in any format.

use super::check::{Check, Rating};
use super::clean::{self, Conflict};
use super::fault::{Fault, IngestError};
use super::format::{Detected, Opened, RATING_DIALECTS, Wanted, open};
use super::interactions::Interactions;
use super::progress::{Progress, Silent};
use super::report::{BadRows, DataReport, histogram, lost_zeros, singles, time_range};
use super::titles::{self, Titles};
use super::vocabulary::{Interning, Vocabulary};
use crate::common::interaction::RatingScale;
use crate::config::DataConfig;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

/// What the file held.
#[derive(Clone, Debug)]
pub struct Ingested {
    pub users: Vocabulary,
    pub items: Vocabulary,
    pub titles: Option<Titles>,
    pub interactions: Interactions,
    pub report: DataReport,
}

/// Line numbers kept for each fault.
const LINES_KEPT: usize = 5;

/// Reads a ratings file, cleans it, and looks up titles.
///
/// Errors if a file cannot be read, holds nothing, holds more bad rows than allowed, or nothing is left of it.
pub fn ingest(
    path: &Path,
    generated: bool,
    config: &DataConfig,
    progress: &dyn Progress,
) -> Result<Ingested, IngestError> {
    let columns = &config.columns;
    let wanted = Wanted {
        keys: ["columns.user", "columns.product", "columns.rating", "columns.timestamp"],
        columns: [&columns.user, &columns.product, &columns.rating, &columns.timestamp].map(Some),
        dialects: RATING_DIALECTS,
        delimiter: &config.delimiter,
        header: config.header,
    };
    let mut users = Interning::start();
    let mut items = Vocabulary::default();
    let mut interactions = Interactions::default();
    let mut timestamps = Vec::new();
    // One thread reads and checks, one looks up users, this one products: each is about a third of the work.
    let read = std::thread::scope(|scope| {
        let (sender, batches) = sync_channel(BATCHES_AHEAD);
        let reader = scope.spawn(|| read_rows(path, &wanted, config, progress, sender));
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
    let ReadRows {
        detected,
        has_timestamps,
        milliseconds,
        rows_read,
        outside_window,
        bad_rows,
        rating_range,
    } = read;
    if rows_read == 0 {
        return Err(IngestError::Empty {
            path: path.to_path_buf(),
        });
    }
    refuse_too_many(path, &bad_rows, rows_read, config, rating_range)?;
    let nothing_left = |by| IngestError::NothingLeft {
        path: path.to_path_buf(),
        rows: rows_read,
        by,
    };
    if interactions.is_empty() {
        return Err(nothing_left("between `data.since` and `data.until`"));
    }

    interactions.timestamps = has_timestamps.then_some(timestamps);
    interactions.group_by_user(users.len());
    let duplicates = clean::deduplicate(&mut interactions, config.duplicates).map_err(|conflict| {
        let (user, product) = (users.id(conflict.user), items.id(conflict.item));
        duplicate(path, &wanted, config, user, product, &conflict)
    })?;
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
    let report = DataReport {
        path: path.to_path_buf(),
        generated,
        detected,
        rows_read,
        rows_kept: interactions.len(),
        bad_rows,
        outside_window,
        duplicates,
        core,
        users: users.len(),
        items: items.len(),
        density: interactions.len() as f64 / (users.len() as f64 * items.len() as f64),
        single_users: singles(&interactions.users, users.len()),
        single_items: singles(&interactions.items, items.len()),
        has_timestamps,
        time_range: time_range(&interactions),
        milliseconds,
        lost_zeros: [lost_zeros("user", &users), lost_zeros("product", &items)]
            .into_iter()
            .flatten()
            .collect(),
        histogram: histogram(&interactions.ratings),
        titles: title_report,
    };
    Ok(Ingested {
        users,
        items,
        titles,
        interactions,
        report,
    })
}

/// What is known of a file besides its good rows.
struct ReadRows {
    detected: Detected,
    has_timestamps: bool,
    milliseconds: bool,
    rows_read: usize,
    outside_window: usize,
    bad_rows: Vec<BadRows>,
    /// Lowest and highest rating, on the scale or not.
    rating_range: Option<(f32, f32)>,
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

/// Opens a file, checks its rows and sends the good ones in batches.
fn read_rows(
    path: &Path,
    wanted: &Wanted,
    config: &DataConfig,
    progress: &dyn Progress,
    batches: SyncSender<Batch>,
) -> Result<ReadRows, IngestError> {
    let Opened { mut rows, detected } = open(path, wanted, progress)?;
    let has_timestamps = rows.has_timestamps();
    let mut check = Check::new(path, config, has_timestamps)?;
    let mut batch = Batch::default();
    let mut faults: BTreeMap<Fault, BadRows> = BTreeMap::new();
    let mut rows_read = 0;
    let mut outside_window = 0;
    // A send fails only if the other side panicked, which is seen there.
    while let Some(row) = rows.next()? {
        rows_read += 1;
        match row.fields.and_then(|fields| check.rating(&fields)) {
            Ok(None) => outside_window += 1,
            Ok(Some(rating)) => {
                batch.push(&rating);
                if batch.ends.len() == BATCH_ROWS {
                    let _ = batches.send(std::mem::take(&mut batch));
                }
            }
            Err((fault, example)) => {
                let rows = faults.entry(fault).or_insert_with(|| BadRows {
                    fault,
                    count: 0,
                    lines: Vec::new(),
                    example,
                });
                rows.count += 1;
                if rows.lines.len() < LINES_KEPT {
                    rows.lines.push(row.line);
                }
            }
        }
    }
    let _ = batches.send(batch);
    Ok(ReadRows {
        detected,
        has_timestamps,
        milliseconds: check.are_milliseconds(),
        rows_read,
        outside_window,
        bad_rows: faults.into_values().collect(),
        rating_range: check.rating_range(),
    })
}

fn refuse_too_many(
    path: &Path,
    bad_rows: &[BadRows],
    rows: usize,
    config: &DataConfig,
    rating_range: Option<(f32, f32)>,
) -> Result<(), IngestError> {
    let bad: usize = bad_rows.iter().map(|rows| rows.count).sum();
    let allowed = (rows as f64 * config.max_bad_rows) as usize;
    match bad_rows.iter().min_by_key(|rows| rows.lines[0]) {
        Some(first) if bad > allowed || bad == rows => Err(IngestError::TooManyBadRows {
            fault: first.fault.describe(&first.example),
            path: path.to_path_buf(),
            line: first.lines[0],
            bad,
            rows,
            allowed,
            hint: match rating_range {
                Some(range) if first.fault == Fault::OffTheScale => scale_hint(range, config.rating_scale),
                _ => first.fault.hint(first.lines[0]).to_string(),
            },
        }),
        _ => Ok(()),
    }
}

/// What scale the file seems to have, if it is another one.
fn scale_hint((low, high): (f32, f32), scale: RatingScale) -> String {
    if scale.contains(low) && scale.contains(high) {
        // What is off is no finite number.
        return Fault::OffTheScale.hint(0).to_string();
    }
    const USUAL: [[f32; 2]; 7] = [
        [0.0, 1.0],
        [1.0, 5.0],
        [0.5, 5.0],
        [0.0, 5.0],
        [1.0, 10.0],
        [0.0, 10.0],
        [0.0, 100.0],
    ];
    let usual = USUAL.iter().find(|usual| usual[0] <= low && high <= usual[1]);
    let [min, max] = usual.copied().unwrap_or([low, high]);
    format!("the ratings run from {low} to {high}: if that is right, set `data.rating_scale = [{min}, {max}]`")
}

/// The error of a pair with several ratings. Lines are not kept, so the file is read again for those of the first two.
fn duplicate(
    path: &Path,
    wanted: &Wanted,
    config: &DataConfig,
    user: &str,
    product: &str,
    conflict: &Conflict,
) -> IngestError {
    let lines = lines_of_pair(path, wanted, config, user, product).unwrap_or_default();
    let place = |number: usize| lines.get(number).map_or_else(String::new, |line| format!(" in {line}"));
    IngestError::Duplicate {
        path: path.to_path_buf(),
        user: user.to_string(),
        product: product.to_string(),
        ratings: format!("{}{} and {}{}", conflict.first, place(0), conflict.second, place(1)),
    }
}

/// `line 7` (`row 7` in Parquet) of the good rows of a pair; `None` if the file cannot be read a second time.
fn lines_of_pair(path: &Path, wanted: &Wanted, config: &DataConfig, user: &str, product: &str) -> Option<Vec<String>> {
    if !path.is_file() {
        return None;
    }
    let Opened { mut rows, detected } = open(path, wanted, &Silent).ok()?;
    let unit = if detected.is_parquet() { "row" } else { "line" };
    let mut check = Check::new(path, config, rows.has_timestamps()).ok()?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next().ok()? {
        let is_of_pair = |rating: &Rating| rating.user.as_str() == user && rating.item.as_str() == product;
        if let Ok(Some(rating)) = row.fields.and_then(|fields| check.rating(&fields))
            && is_of_pair(&rating)
        {
            lines.push(format!("{unit} {}", row.line));
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(data.interactions.users, [0, 0, 1]);
        assert_eq!(data.interactions.items, [0, 1, 0]);
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
        assert!(data.report.milliseconds);
        assert_eq!((data.report.rows_kept, data.report.outside_window), (2, 1));
        assert_eq!(data.users.ids().collect::<Vec<_>>(), ["a"]);
    }
}

//! Ingest: a ratings file to columns, two vocabularies and a report, in one pass.
//!
//! Ids are text, leading zeros kept; a number becomes its decimal text. A bad row is counted by kind with its first line
//! numbers and left out, up to `max_bad_rows`; past that it is an error. The same ratings give the same result in any format.

use super::clean;
use super::fault::{Fault, IngestError, MAX_ID_BYTES, shorten};
use super::format::{Detected, Opened, RATING_DIALECTS, Wanted, open};
use super::interactions::Interactions;
use super::progress::Progress;
use super::readers::{Field, Fields};
use super::report::{BadRows, DataReport, histogram, lost_zeros, singles, time_range};
use super::titles::{self, Titles};
use super::vocabulary::{Interning, Vocabulary};
use crate::calendar::{DAY, day_of};
use crate::config::DataConfig;
use crate::interaction::RatingScale;
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
    } = read;
    if rows_read == 0 {
        return Err(IngestError::Empty {
            path: path.to_path_buf(),
        });
    }
    refuse_too_many(path, &bad_rows, rows_read, config.max_bad_rows)?;
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
    let duplicates =
        clean::deduplicate(&mut interactions, config.duplicates).map_err(|conflict| IngestError::Duplicate {
            path: path.to_path_buf(),
            user: users.id(conflict.user).to_string(),
            product: items.id(conflict.item).to_string(),
            first: conflict.first,
            second: conflict.second,
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

/// Rows in a batch; ids are at most [`MAX_ID_BYTES`] long, so u32 holds every end.
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
                    example: shorten(&example),
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
        milliseconds: check.milliseconds == Some(true),
        rows_read,
        outside_window,
        bad_rows: faults.into_values().collect(),
    })
}

fn refuse_too_many(path: &Path, bad_rows: &[BadRows], rows: usize, share: f64) -> Result<(), IngestError> {
    let bad: usize = bad_rows.iter().map(|rows| rows.count).sum();
    let allowed = (rows as f64 * share) as usize;
    match bad_rows.iter().min_by_key(|rows| rows.lines[0]) {
        Some(first) if bad > allowed || bad == rows => Err(IngestError::TooManyBadRows {
            fault: first.fault.describe(&first.example),
            path: path.to_path_buf(),
            line: first.lines[0],
            bad,
            rows,
            allowed,
            hint: first.fault.hint(first.lines[0]),
        }),
        _ => Ok(()),
    }
}

/// One good row.
struct Rating<'a> {
    user: Id<'a>,
    item: Id<'a>,
    value: f32,
    time: Option<i64>,
}

/// An id as text, or a number's decimal text.
enum Id<'a> {
    Text(&'a str),
    Decimal(String),
}

impl Id<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Decimal(text) => text,
        }
    }
}

/// Timestamps from here on are milliseconds: as seconds they lie in the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Tells good rows from bad ones.
struct Check {
    scale: RatingScale,
    has_timestamps: bool,
    /// Seconds, the end not included.
    window: Option<std::ops::Range<i64>>,
    /// Whether timestamps are milliseconds; the first good one tells.
    milliseconds: Option<bool>,
}

type Bad = (Fault, String);

impl Check {
    fn new(path: &Path, config: &DataConfig, has_timestamps: bool) -> Result<Self, IngestError> {
        let (since, until) = (day_of(&config.since), day_of(&config.until));
        let key = match (since, until) {
            (Some(_), _) => Some("since"),
            (None, Some(_)) => Some("until"),
            (None, None) => None,
        };
        match key {
            Some(key) if !has_timestamps => Err(IngestError::NoTimestamps {
                path: path.to_path_buf(),
                key,
            }),
            key => Ok(Self {
                scale: config.rating_scale,
                has_timestamps,
                window: key
                    .map(|_| since.map_or(i64::MIN, |day| day * DAY)..until.map_or(i64::MAX, |day| (day + 1) * DAY)),
                milliseconds: None,
            }),
        }
    }

    /// A row's rating; `None` if it is outside the window.
    fn rating<'a>(&mut self, fields: &Fields<'a>) -> Result<Option<Rating<'a>>, Bad> {
        let [user, item, value, time] = fields;
        let user = id("user", user)?;
        let item = id("product", item)?;
        let value = self.value(value)?;
        let time = match self.has_timestamps {
            true => Some(self.time(time)?),
            false => None,
        };
        let is_inside = match (&self.window, &time) {
            (Some(window), Some(time)) => window.contains(time),
            _ => true,
        };
        Ok(is_inside.then_some(Rating {
            user,
            item,
            value,
            time,
        }))
    }

    fn value(&self, field: &Field) -> Result<f32, Bad> {
        let value = match field {
            Field::Missing => return Err((Fault::NotANumber, String::new())),
            Field::Integer(number) => *number as f32,
            Field::Number(number) => *number as f32,
            Field::Text(text) => {
                let text = utf8(text)?.trim();
                text.parse().map_err(|_| (Fault::NotANumber, text.to_string()))?
            }
        };
        match self.scale.contains(value) {
            // Minus zero would be a class of its own.
            true => Ok(value + 0.0),
            false => Err((Fault::OffTheScale, words(field))),
        }
    }

    fn time(&mut self, field: &Field) -> Result<i64, Bad> {
        let bad = || (Fault::BadTimestamp, words(field));
        let time = match field {
            Field::Missing => return Err(bad()),
            Field::Integer(number) => *number,
            Field::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => *number as i64,
            Field::Number(_) => return Err(bad()),
            Field::Text(text) => utf8(text)?.trim().parse().map_err(|_| bad())?,
        };
        if !(0..MILLISECONDS_FROM * 1000).contains(&time) {
            return Err(bad());
        }
        let milliseconds = *self.milliseconds.get_or_insert(time >= MILLISECONDS_FROM);
        match milliseconds {
            true => Ok(time / 1000),
            false if time >= MILLISECONDS_FROM => Err(bad()),
            false => Ok(time),
        }
    }
}

fn id<'a>(side: &str, field: &Field<'a>) -> Result<Id<'a>, Bad> {
    let text = match field {
        Field::Missing => return Err((Fault::EmptyId, side.to_string())),
        Field::Integer(number) => return Ok(Id::Decimal(number.to_string())),
        Field::Number(number) => return Ok(Id::Decimal(number.to_string())),
        Field::Text(text) => utf8(text)?,
    };
    if text.is_empty() {
        return Err((Fault::EmptyId, side.to_string()));
    }
    if text.len() > MAX_ID_BYTES {
        return Err((Fault::LongId, format!("{side} id has {} bytes", text.len())));
    }
    if text.as_bytes().contains(&0) {
        return Err((Fault::NulByte, side.to_string()));
    }
    Ok(Id::Text(text))
}

fn utf8(text: &[u8]) -> Result<&str, Bad> {
    std::str::from_utf8(text).map_err(|_| (Fault::NotUtf8, String::new()))
}

fn words(field: &Field) -> String {
    match field {
        Field::Missing => String::new(),
        Field::Text(text) => String::from_utf8_lossy(&text[..text.len().min(200)]).trim().to_string(),
        Field::Integer(number) => number.to_string(),
        Field::Number(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Column, Config, Duplicates, Header};
    use crate::data::progress::Silent;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn read_bytes(name: &str, bytes: &[u8], adjust: impl FnOnce(&mut DataConfig)) -> Result<Ingested, IngestError> {
        let path = std::env::temp_dir().join(format!("dotcart-ingest-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let mut config = Config::default().data;
        adjust(&mut config);
        let result = ingest(&path, false, &config, &Silent);
        std::fs::remove_file(&path).unwrap();
        result
    }

    fn read(name: &str, text: &str, adjust: impl FnOnce(&mut DataConfig)) -> Result<Ingested, IngestError> {
        read_bytes(name, text.as_bytes(), adjust)
    }

    /// Message and hint, with the path as `FILE`.
    fn message(name: &str, bytes: &[u8], adjust: impl FnOnce(&mut DataConfig)) -> String {
        let error = read_bytes(name, bytes, adjust).unwrap_err();
        let path = std::env::temp_dir().join(format!("dotcart-ingest-{}-{name}", std::process::id()));
        format!("{error}\nhint: {}", error.hint()).replace(&path.display().to_string(), "FILE")
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
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

    const BAD: &[(&str, &[u8], &str)] = &[
        (
            "empty",
            b"",
            "`FILE` has no rows\nhint: each row is `user,product,rating` or `user,product,rating,timestamp`",
        ),
        ("blank", b" \n\r\n\n", "`FILE` has no rows\nhint: each row is"),
        (
            "only-header",
            b"user,product,rating\n",
            "`FILE` has a header and no rows\nhint: each row is",
        ),
        (
            "too-few",
            b"a,b,5,1\na,c\nb,c,4,1\n",
            "found 2 columns, wanted 4 (FILE:2); bad rows: 1 of 3, allowed: 0\nhint: all rows must have the same columns",
        ),
        (
            "too-many",
            b"a,b,5,1,9\na,c,4,1\nb,c,4,1\n",
            "found 5 columns, wanted 4 (FILE:1); bad rows: 1 of 3, allowed: 0\nhint: all rows",
        ),
        (
            "not-a-number",
            b"a,b,5,1\na,c,4,1\nb,c,abc,1\n",
            "the rating `abc` is not a number (FILE:3); bad rows: 1 of 3, allowed: 0\nhint: mend the row",
        ),
        (
            "off-the-scale",
            b"a,b,5,1\na,c,9,1\n",
            "the rating `9` is off the scale (FILE:2); bad rows: 1 of 2, allowed: 0\nhint: set `data.rating_scale`",
        ),
        (
            "nan",
            b"a,b,nan,1\na,c,5,1\n",
            "the rating `nan` is off the scale (FILE:1); bad rows: 1 of 2",
        ),
        (
            "inf",
            b"a,c,5,1\na,b,inf,1\n",
            "the rating `inf` is off the scale (FILE:2); bad rows: 1 of 2",
        ),
        ("empty-id", b"a,b,5,1\n,c,4,1\n", "the user id is empty (FILE:2)"),
        (
            "open-quote",
            b"a,b,5,1\na,\"c,4,1\nb,c,4,1\nb,d,4,1\n",
            "a quote does not close on its line (FILE:2)\nhint: close the quote, or double it",
        ),
        (
            "open-last-quote",
            b"a,b,5,1\na,c,4,\"1\nb,c,4,1\nb,d,4,1\n",
            "a quote does not close on its line (FILE:2)\nhint: close the quote, or double it",
        ),
        (
            "nul",
            b"a,b,5,1\na\0,b,4,1\n",
            "the user id holds a NUL byte (FILE:2); bad rows: 1 of 2, allowed: 0\nhint: the file is damaged or not text",
        ),
        (
            "latin-1",
            b"a,b,5,1\nJos\xe9,b,4,1\n",
            "the row is not UTF-8 (FILE:2); bad rows: 1 of 2, allowed: 0\nhint: save the file as UTF-8",
        ),
        (
            "negative-time",
            b"a,b,5,1\na,c,4,-7\n",
            "the timestamp `-7` is not in whole seconds since 1970 (FILE:2); bad rows: 1 of 2",
        ),
        (
            "milliseconds-amid-seconds",
            b"a,b,5,1365811200\na,c,4,1365811200000\n",
            "the timestamp `1365811200000` is not in whole seconds since 1970 (FILE:2)",
        ),
        (
            "zip",
            b"PK\x03\x04....",
            "`FILE` is a zip archive, wanted delimited text, JSON lines or Parquet\nhint: unpack it first",
        ),
        ("utf-16", b"\xff\xfea\0,\0", "`FILE` is UTF-16 text, wanted"),
        ("json-list", b"[{}]", "`FILE` is one JSON list, wanted"),
        (
            "json-broken",
            b"{\"user\":\"a\",\"item\":\"b\",\"rating\":5}\n{\"user\":\n",
            "the line is not a JSON object: EOF while parsing a value in column ",
        ),
        (
            "json-keys",
            b"{\"buyer\":\"a\",\"item\":\"b\",\"rating\":5}\n",
            "`FILE`: there is no column `0` for `data.columns.user`; there are `buyer`, `item`, `rating`",
        ),
        ("parquet", b"PAR1....PAR1", "cannot read `FILE`: damaged Parquet"),
    ];

    #[test]
    fn bad_files_are_refused_with_place_and_remedy() {
        for (name, bytes, wanted) in BAD {
            let found = message(name, bytes, |_| {});
            assert!(found.starts_with(wanted), "{name}: found\n{found}\nwanted\n{wanted}");
        }
    }

    #[test]
    fn a_directory_and_a_missing_file_cannot_be_read() {
        let config = Config::default().data;
        let message = |path: &str| {
            ingest(Path::new(path), false, &config, &Silent)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(message("/"), "cannot read `/`: it is a directory");
        assert!(message("/nowhere").starts_with("cannot read `/nowhere`: No such file"));
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

        let declared_absent = message("absent", b"user,product,rating\na,b,5\n", |config| {
            config.header = Header::Given(false);
        });
        assert_eq!(
            declared_absent,
            "the rating `rating` is not a number (FILE:1); bad rows: 1 of 2, allowed: 0\n\
             hint: is the first line a header? then set `data.header = true`; else the row must hold a rating"
        );
        let wrong_name = message("wrong-name", b"user,product,rating\na,b,5\n", |config| {
            config.columns.rating = column("ratings");
        });
        assert_eq!(
            wrong_name,
            "`FILE`: there is no column `ratings` for `data.columns.rating`; there are `user`, `product`, `rating`\n\
             hint: did you mean `rating`?"
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
    fn crlf_keeps_line_numbers() {
        let found = message("crlf", b"a,b,5\r\na,c,5\r\na,d,x\r\na,e,5\r\n", |_| {});
        assert!(found.contains("(FILE:3)"), "{found}");
        let found = message("crlf-header", b"u,p,r\r\na,c,5\r\na,d,x\r\na,e,5\r\n", |_| {});
        assert!(found.contains("(FILE:3)"), "{found}");
    }

    #[test]
    fn a_field_of_ten_million_characters_is_a_bad_row() {
        let text = format!("a,b,5\n{},c,4\nb,c,3\n", "x".repeat(10_000_000));
        let found = message("long", text.as_bytes(), |_| {});
        assert!(
            found.starts_with("the user id has 10000000 bytes, at most 1024 are read (FILE:2)"),
            "{found}"
        );
    }

    #[test]
    fn a_truncated_stream_says_so() {
        let rows: String = (0..20_000)
            .map(|row| format!("u{},p{},5\n", row * 7919 % 10_007, row % 97))
            .collect();
        let packed = gzip(&rows);
        let found = message("cut.gz", &packed[..packed.len() / 2], |_| {});
        assert!(
            found.starts_with("gzip data ends too early (`FILE`, after line "),
            "{found}"
        );
        let packed = zstd::encode_all(rows.as_bytes(), 1).unwrap();
        let found = message("cut.zst", &packed[..packed.len() / 2], |_| {});
        assert!(
            found.starts_with("zstd data ends too early (`FILE`, after line "),
            "{found}"
        );
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
        let found = message("no-time", b"a,b,5\n", |config| config.since = "2014-01-01".to_string());
        assert!(
            found.starts_with("`data.since` needs timestamps, and `FILE` has none"),
            "{found}"
        );
        let found = message("none-left", b"a,b,5,1\n", |config| {
            config.since = "2014-01-01".to_string()
        });
        assert!(found.starts_with("`FILE`: of 1 rows none is left between"), "{found}");
    }

    #[test]
    fn a_conflict_under_the_error_policy_names_the_pair() {
        let found = message("conflict", b"a,b,5\nc,b,4\na,b,3\n", |config| {
            config.duplicates = Duplicates::Error;
        });
        assert_eq!(
            found,
            "user `a` rated product `b` more than once, 5 and 3 (`FILE`)\n\
             hint: `data.duplicates` can also be `last`, `first` or `mean`"
        );
    }
}

//! Fuzzes the readers: mutated files of every format go through ingest, which may refuse them but never panic, hang or lie.
//!
//! `cargo bench --bench fuzz_readers -- SECONDS [SEED]`. A finding is written to the temporary folder and named; put it in
//! front of the seeds to run it again.

use dotcart::common::hint::Hint;
use dotcart::common::interaction::UserIndex;
use dotcart::config::{Column, Columns, Config, DataConfig, Decimal};
use dotcart::data::ingest::{Ingested, ingest};
use dotcart::data::progress::Silent;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int64Type, Int96,
    Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest that one small file may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[expect(clippy::print_stdout, reason = "a harness of its own")]
fn main() {
    // cargo passes `--bench` and its like; numbers are ours.
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let seconds = numbers.first().copied().unwrap_or(5);
    let seed = numbers.get(1).copied().unwrap_or(1);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let seeds = seeds();
    let path = std::env::temp_dir().join(format!("dotcart-fuzz-{}", std::process::id()));
    let folder = std::env::temp_dir().join(format!("dotcart-fuzz-parts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut cases, mut accepted) = (0u64, 0u64);
    std::panic::set_hook(Box::new(|_| {}));
    while Instant::now() < end {
        let bytes = mutated(&seeds, &mut rng);
        let mut config = config(&mut rng);
        if rng.random_range(0..4) == 0 {
            // Any bytes are a product table too.
            config.titles = path.clone();
        }
        std::fs::write(&path, &bytes).expect("the temporary folder can be written");
        // Two files of one folder are a table as well, and any table may be brought along for a test.
        let mut table = &path;
        match rng.random_range(0..6) {
            0 => {
                table = &folder;
                std::fs::write(folder.join("part-0"), &bytes).expect("the temporary folder can be written");
                let other = match rng.random() {
                    true => bytes.clone(),
                    false => mutated(&seeds, &mut rng),
                };
                std::fs::write(folder.join("part-1"), other).expect("the temporary folder can be written");
            }
            1 => {
                config.min_ratings_per_user = 1;
                config.test_path = path.clone();
            }
            _ => {}
        }
        let start = Instant::now();
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| check(table, &config)));
        let verdict = match result {
            Ok(Ok(good)) if start.elapsed() < PATIENCE => {
                accepted += u64::from(good);
                None
            }
            Ok(Ok(_)) => Some(format!("took {:?}", start.elapsed())),
            Ok(Err(lie)) => Some(lie),
            Err(panic) => Some(format!(
                "panic: {:?}",
                panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or(panic.downcast_ref::<&str>().copied())
            )),
        };
        if let Some(verdict) = verdict {
            let found = std::env::temp_dir().join(format!("dotcart-fuzz-finding-{seed}-{cases}"));
            std::fs::write(&found, &bytes).expect("the temporary folder can be written");
            println!(
                "finding after {cases} cases, seed {seed}: {verdict}\n{}\n{config:?}",
                found.display()
            );
            std::process::exit(1);
        }
        cases += 1;
    }
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_dir_all(folder);
    println!("{cases} files in {seconds} s, {accepted} of them read, no finding (seed {seed})");
}

/// Whether the file was read; an error if the result contradicts itself.
fn check(path: &Path, config: &DataConfig) -> Result<bool, String> {
    let data = match ingest(path, false, config, &Silent) {
        Ok(data) => data,
        Err(error) => {
            let message = error.to_string();
            let one_line = !message.contains('\n') && !error.hint().is_empty();
            return if one_line {
                Ok(false)
            } else {
                Err(format!("a message of several lines: {message:?}"))
            };
        }
    };
    let Ingested {
        users,
        items,
        interactions,
        report,
        ..
    } = &data;
    let left_out = report.bad_rows.iter().map(|rows| rows.count).sum::<usize>()
        + report.outside_window
        + report.unrated
        + report.duplicates.rows_removed
        + report.core.map_or(0, |core| core.rows_removed);
    let claims = [
        (
            "no row is lost silently",
            report.rows_read == report.rows_kept + left_out,
        ),
        (
            "rows are kept",
            interactions.len() == report.rows_kept && report.rows_kept > 0,
        ),
        ("users are grouped", interactions.users.is_sorted()),
        (
            "users are known",
            interactions.users.iter().all(|user| user.index() < users.len()),
        ),
        (
            "products are known",
            interactions.items.iter().all(|item| item.index() < items.len()),
        ),
        (
            "values are ratings on the scale, or counts",
            interactions.ratings.iter().all(|rating| match report.has_ratings {
                true => config.rating_scale.contains(*rating),
                false => *rating > 0.0,
            }),
        ),
        (
            "the histogram is whole",
            report.histogram.iter().map(|class| class.1).sum::<usize>() == report.rows_kept,
        ),
        (
            "ids are distinct",
            (0..users.len() as u32)
                .map(UserIndex)
                .all(|user| users.index(users.id(user)) == Some(user)),
        ),
    ];
    let part_of_each_row = data
        .split
        .as_ref()
        .is_none_or(|split| split.parts().len() == interactions.len());
    if !part_of_each_row {
        return Err("not so: each row has its part".to_string());
    }
    match claims.iter().find(|(_, holds)| !holds) {
        Some((claim, _)) => Err(format!("not so: {claim}")),
        None => Ok(true),
    }
}

fn config(rng: &mut impl Rng) -> DataConfig {
    let mut config = Config::default().data;
    config.max_bad_rows = [0.0, 0.5, 1.0][rng.random_range(0..3)];
    config.min_ratings_per_user = rng.random_range(1..3);
    if rng.random_range(0..4) == 0 {
        config.columns.user = Column::Name("user".to_string());
    }
    if rng.random_range(0..6) == 0 {
        config.columns.rating = Column::Name(String::new());
        if rng.random() {
            config.columns.count = Column::Number(rng.random_range(2..4));
        }
    }
    if rng.random_range(0..6) == 0 {
        config.columns = Columns {
            user: Column::Number(rng.random_range(0..3)),
            product: Column::Number(3),
            ..config.columns
        };
    }
    if rng.random_range(0..4) == 0 {
        config.quote = ["", "'"][rng.random_range(0..2)].to_string();
    }
    config.decimal = [Decimal::Auto, Decimal::Auto, Decimal::Point, Decimal::Comma][rng.random_range(0..4)];
    if rng.random_range(0..4) == 0 {
        config.unrated = vec![1.0, -1.0];
    }
    if rng.random_range(0..4) == 0 {
        config.delimiter = ["::", ",", "é", "\t"][rng.random_range(0..4)].to_string();
    }
    config
}

/// A seed, changed in up to eight places, maybe packed.
fn mutated(seeds: &[Vec<u8>], rng: &mut impl Rng) -> Vec<u8> {
    const TOKENS: [&[u8]; 14] = [
        b"\"",
        b"\n",
        b"\r\n",
        b"\0",
        b"::",
        b"nan",
        b"-1e400",
        b"{",
        b"}",
        b"\xff",
        b"\xef\xbb\xbf",
        b"99999999999999999999",
        b"PAR1",
        b",",
    ];
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(0..8) {
        let at = rng.random_range(0..=bytes.len());
        let to = rng.random_range(at..=bytes.len()).min(at + 64);
        match rng.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => drop(bytes.drain(at..to)),
            3 => {
                let part = bytes[at..to].to_vec();
                let place = rng.random_range(0..=bytes.len());
                bytes.splice(place..place, part);
            }
            4 => bytes.truncate(at),
            5 => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => drop(bytes.splice(at..at, TOKENS[rng.random_range(0..TOKENS.len())].iter().copied())),
        }
    }
    match rng.random_range(0..8) {
        0 => gzip(&bytes),
        1 => zstd::encode_all(bytes.as_slice(), 1).expect("memory can be packed"),
        2 => bzip2(&bytes),
        _ => bytes,
    }
}

/// User, product, rating, seconds.
type Rating = (String, String, i64, i64);

fn seeds() -> Vec<Vec<u8>> {
    let rows: Vec<Rating> = (0..40)
        .map(|row| {
            (
                format!("U{}", row % 17),
                format!("{:04}", row * 7 % 23),
                1 + row % 5,
                1_400_000_000 + row,
            )
        })
        .collect();
    let text = |head: &str, line: &dyn Fn(&Rating) -> String| {
        let lines: Vec<String> = rows.iter().map(line).collect();
        (head.to_string() + &lines.join("\n") + "\n").into_bytes()
    };
    let csv = text("", &|(user, item, rating, time)| {
        format!("{user},{item},{rating}.0,{time}")
    });
    let mut list = text("[", &|(user, item, rating, time)| {
        format!("{{\"user\": \"{user}\",\n \"item\": \"{item}\", \"rating\": {rating}, \"time\": {time}}},")
    });
    list.extend_from_slice(b"{}]");
    let plain = String::from_utf8(csv.clone()).expect("the text is UTF-8");
    let wide = std::iter::once(0xfeff)
        .chain(plain.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut seeds = vec![
        csv.clone(),
        text("user,product,rating,time\r\n", &|(user, item, rating, time)| {
            format!("\"{user}\",{item},{rating},{time}\r")
        }),
        text("", &|(user, item, rating, _)| format!("{user}::{item}::{rating}")),
        text("\u{feff}", &|(user, item, rating, time)| {
            format!("{user}\t{item}\t{rating}\t{time}000")
        }),
        text("", &|(user, item, rating, time)| {
            format!(
                "{{\"reviewerID\": \"{user}\", \"asin\": \"{item}\", \"helpful\": [0, 1], \"overall\": {rating}.0, \
                 \"unixReviewTime\": {time}, \"summary\": \"a \\\"b\\\" \\u00e9\"}}"
            )
        }),
        text("", &|(user, item, rating, time)| {
            format!(
                "{{\"rating\": {rating}.0, \"user_id\": \"{user}\", \"parent_asin\": \"{item}\", \"timestamp\": {time}000}}"
            )
        }),
        gzip(&csv),
        zstd::encode_all(csv.as_slice(), 1).expect("memory can be packed"),
        bzip2(&csv),
        golden("xz"),
        golden("zip"),
        golden("zip, stored"),
        text("sep=;\n", &|(user, item, rating, _)| {
            format!("{user};{item};{rating},0;2014-05-13T16:53:20Z")
        }),
        text(",userId,movieId,stars\n", &|(user, item, rating, time)| {
            format!("{time},{user},{item},{rating}.0")
        }),
        text("user,text,item,rating\n", &|(user, item, rating, _)| {
            format!("{user},\"several\n\"\"lines\"\"\n\",{item},{rating} out of 5 stars")
        }),
        text("customer,sku,quantity\n", &|(user, item, rating, _)| {
            format!("{user},{item},{rating}")
        }),
        list,
        wide,
    ];
    let schema = "message m { required byte_array user (UTF8); optional byte_array product; required double rating; required int64 time; }";
    let schema = Arc::new(parse_message_type(schema).expect("the schema is well formed"));
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::builder().build()))
        .expect("a file begins");
    let mut group = file.next_row_group().expect("a row group begins");
    let text = |texts: Vec<&String>| {
        texts
            .into_iter()
            .map(|text| ByteArray::from(text.as_str()))
            .collect::<Vec<_>>()
    };
    let mut number = 0;
    while let Some(mut column) = group.next_column().expect("a column begins") {
        match number {
            0 => {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&text(rows.iter().map(|row| &row.0).collect()), None, None)
            }
            1 => column.typed::<ByteArrayType>().write_batch(
                &text(rows.iter().map(|row| &row.1).collect()),
                Some(&vec![1; rows.len()]),
                None,
            ),
            2 => column.typed::<DoubleType>().write_batch(
                &rows.iter().map(|row| row.2 as f64).collect::<Vec<_>>(),
                None,
                None,
            ),
            _ => column
                .typed::<Int64Type>()
                .write_batch(&rows.iter().map(|row| row.3).collect::<Vec<_>>(), None, None),
        }
        .expect("a column is written");
        column.close().expect("a column ends");
        number += 1;
    }
    group.close().expect("a row group ends");
    seeds.push(file.into_inner().expect("a file ends"));
    seeds.push(other_types(&rows));
    seeds
}

/// Parquet whose bits stand for something else: unsigned ids, UUIDs, decimals and the old timestamps.
fn other_types(rows: &[Rating]) -> Vec<u8> {
    let schema = "message m { required int64 user (INTEGER(64,false)); required fixed_len_byte_array(16) item (UUID); \
                  required fixed_len_byte_array(2) rating (DECIMAL(4,2)); required int96 time; required boolean flag; }";
    let schema = Arc::new(parse_message_type(schema).expect("the schema is well formed"));
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::builder().build()))
        .expect("a file begins");
    let mut group = file.next_row_group().expect("a row group begins");
    let fixed = |bytes: Vec<u8>| FixedLenByteArray::from(bytes);
    let mut number = 0;
    while let Some(mut column) = group.next_column().expect("a column begins") {
        match number {
            0 => {
                column
                    .typed::<Int64Type>()
                    .write_batch(&rows.iter().map(|row| -row.3).collect::<Vec<_>>(), None, None)
            }
            1 => column.typed::<FixedLenByteArrayType>().write_batch(
                &rows.iter().map(|row| fixed(vec![row.2 as u8; 16])).collect::<Vec<_>>(),
                None,
                None,
            ),
            2 => column.typed::<FixedLenByteArrayType>().write_batch(
                &rows
                    .iter()
                    .map(|row| fixed((100 * row.2 as i16).to_be_bytes().to_vec()))
                    .collect::<Vec<_>>(),
                None,
                None,
            ),
            3 => {
                let time = |row: &Rating| {
                    let mut time = Int96::new();
                    time.set_data(row.3 as u32, 0, 2_456_000);
                    time
                };
                column
                    .typed::<Int96Type>()
                    .write_batch(&rows.iter().map(time).collect::<Vec<_>>(), None, None)
            }
            _ => column.typed::<BoolType>().write_batch(
                &rows.iter().map(|row| row.2 > 2).collect::<Vec<_>>(),
                None,
                None,
            ),
        }
        .expect("a column is written");
        column.close().expect("a column ends");
        number += 1;
    }
    group.close().expect("a row group ends");
    file.into_inner().expect("a file ends")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory can be packed");
    packed.finish().expect("memory can be packed")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    packed.write_all(bytes).expect("memory can be packed");
    packed.finish().expect("memory can be packed")
}

/// A table of `golden_tables.json`, which holds what no encoder here writes.
fn golden(name: &str) -> Vec<u8> {
    let tables: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../data/golden_tables.json")).expect("the tables are JSON");
    let table = tables
        .iter()
        .find(|table| table["name"] == name)
        .expect("the table is there");
    let hex = table["bytes"].as_str().expect("bytes are hex");
    let byte = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16).expect("bytes are hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

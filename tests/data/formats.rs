//! The same ratings in every format give the same vocabularies, interactions and trained model.

use crate::folder;
use dotcart::common::hint::Hint;
use dotcart::config::{Column, Config, DataConfig, GenerateConfig};
use dotcart::data::ingest::{Ingested, ingest};
use dotcart::data::progress::{Progress, Silent, Unit};
use dotcart::data::synthetic;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// User, product, rating, seconds.
pub type Rating = (String, String, f64, i64);

fn ratings() -> Vec<Rating> {
    let size = GenerateConfig {
        ratings: 3_000,
        users: 1_200,
        products: 200,
    };
    let mut text = Vec::new();
    synthetic::write(&mut text, &size, 5).unwrap();
    let text = String::from_utf8(text).unwrap();
    let rating = |line: &str| {
        let parts: Vec<&str> = line.split(',').collect();
        (
            parts[0].into(),
            parts[1].into(),
            parts[2].parse().unwrap(),
            parts[3].parse().unwrap(),
        )
    };
    text.lines().map(rating).collect()
}

fn lines(ratings: &[Rating], head: &str, line: impl Fn(&Rating) -> String) -> Vec<u8> {
    ratings
        .iter()
        .fold(head.to_string(), |text, rating| text + &line(rating))
        .into_bytes()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub fn parquet(ratings: &[Rating], compression: Compression) -> Vec<u8> {
    let schema = "message ratings { required byte_array user (UTF8); optional byte_array product (UTF8);
        required double rating; optional int64 timestamp; }";
    let properties = WriterProperties::builder().set_compression(compression).build();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    // Two row groups, so that the seam is read as well.
    for ratings in ratings.chunks(2_000) {
        let text = |of: fn(&Rating) -> &String| {
            ratings
                .iter()
                .map(|row| ByteArray::from(of(row).as_str()))
                .collect::<Vec<_>>()
        };
        let levels = vec![1; ratings.len()];
        let mut group = file.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&text(|row| &row.0), None, None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&text(|row| &row.1), Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        let values: Vec<f64> = ratings.iter().map(|row| row.2).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        let values: Vec<i64> = ratings.iter().map(|row| row.3).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&values, Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    file.into_inner().unwrap()
}

fn read(path: &Path, adjust: impl FnOnce(&mut DataConfig)) -> Ingested {
    let mut config = Config::default().data;
    adjust(&mut config);
    ingest(path, false, &config, &Silent).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Hears what a reader tells of its progress.
#[derive(Default)]
struct Heard(Mutex<Told>);

#[derive(Default)]
struct Told {
    began: Vec<(String, Unit, Option<u64>)>,
    done: u64,
    ended: usize,
}

impl Progress for Heard {
    fn begin(&self, what: &str, unit: Unit, total: Option<u64>) {
        self.0.lock().unwrap().began.push((what.to_string(), unit, total));
    }

    fn at(&self, done: u64) {
        let mut heard = self.0.lock().unwrap();
        assert!(heard.done <= done, "progress goes back from {} to {done}", heard.done);
        heard.done = done;
    }

    fn end(&self) {
        self.0.lock().unwrap().ended += 1;
    }
}

#[test]
fn readers_tell_how_far_they_are() {
    let folder = folder("progress");
    let ratings = ratings();
    let csv = lines(&ratings, "", |(u, p, r, t)| format!("{u},{p},{r:.1},{t}\n"));
    let packed = gzip(&csv);
    let (plain, small) = (csv.len() as u64, packed.len() as u64);
    for (bytes, unit, total) in [
        (csv, Unit::Bytes, plain),
        (packed, Unit::Bytes, small),
        (parquet(&ratings, Compression::SNAPPY), Unit::Rows, 3_000),
    ] {
        let path = folder.join("r");
        std::fs::write(&path, bytes).unwrap();
        let heard = Heard::default();
        ingest(&path, false, &Config::default().data, &heard).unwrap();
        let told = heard.0.into_inner().unwrap();
        assert_eq!(told.began, [("reading".to_string(), unit, Some(total))]);
        assert_eq!((told.done, told.ended), (total, 1), "{unit:?}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn titles_come_from_parquet_too() {
    let folder = folder("titles");
    let path = folder.join("r.csv");
    std::fs::write(&path, "u,p2,5\nu,p9,5\nv,p1,5\n").unwrap();
    // The product table has the columns of a ratings table here: what the fields mean, the config says.
    let rows: Vec<Rating> = vec![
        ("p1".into(), " One\n".into(), 1.5, 7),
        ("p2".into(), "Zwei".into(), 2.0, 8),
        ("p1".into(), "again".into(), 1.0, 9),
        ("p0".into(), "none".into(), 1.0, 9),
    ];
    std::fs::write(folder.join("t.parquet"), parquet(&rows, Compression::SNAPPY)).unwrap();
    let data = read(&path, |config| config.titles = folder.join("t.parquet"));
    let report = data.report.titles.unwrap();
    assert_eq!(
        (report.rows, report.matched, report.untitled, report.unrated),
        (4, 2, 1, 1)
    );
    let titles = data.titles.unwrap();
    assert_eq!(titles.title.bytes(), "ZweiOne".as_bytes());
    assert_eq!(
        std::str::from_utf8(titles.details.bytes()).unwrap(),
        "{\"rating\":\"2.0\",\"timestamp\":\"8\"}{\"rating\":\"1.5\",\"timestamp\":\"7\"}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

/// Trains the binary on a file of the folder and returns the model.
pub fn model(folder: &Path, file: &str, run: &str) -> Vec<u8> {
    let config = "[model]\ndim = 8\n[train]\nepochs = 2\nbatch_size = 256\nlearning_rate = 0.01\n";
    std::fs::write(folder.join("c.toml"), config).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_dotcart"))
        .args(["train", "c.toml", "--device", "cpu"])
        .args(["--set", &format!("data.path={file}"), "--set", &format!("name={run}")])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{file}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(folder.join(format!("runs/{run}-1/model.safetensors"))).unwrap()
}

#[test]
fn every_format_gives_the_same() {
    let ratings = ratings();
    let csv = lines(&ratings, "", |(u, p, r, t)| format!("{u},{p},{r:.1},{t}\n"));
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("plain.csv", csv.clone()),
        (
            "header.csv",
            lines(&ratings, "user,product,rating,time\n", |(u, p, r, t)| {
                format!("{u},{p},{r},{t}\n")
            }),
        ),
        (
            "bom-crlf.csv",
            lines(&ratings, "\u{feff}u,p,r,t\r\n", |(u, p, r, t)| {
                format!("\"{u}\",\"{p}\",{r},{t}\r\n")
            }),
        ),
        (
            "bom.csv",
            lines(&ratings, "\u{feff}", |(u, p, r, t)| format!("\"{u}\",{p},{r},{t}\n")),
        ),
        (
            "tab.tsv",
            lines(&ratings, "", |(u, p, r, t)| format!("{u}\t{p}\t{r}\t{t}\n")),
        ),
        (
            "semicolon.txt",
            lines(&ratings, "", |(u, p, r, t)| format!("{u};{p};{r};{t}\n")),
        ),
        (
            "ratings.dat",
            lines(&ratings, "", |(u, p, r, t)| format!("{u}::{p}::{r}::{t}\n")),
        ),
        (
            "header.dat",
            lines(&ratings, "u::p::r::t\r\n", |(u, p, r, t)| {
                format!("{u}::{p}::{r}::{t}\r\n")
            }),
        ),
        (
            "carriage-returns.csv",
            lines(&ratings, "", |(u, p, r, t)| format!("{u},{p},{r},{t}\r")),
        ),
        ("no-line-feed-at-the-end.csv", csv[..csv.len() - 1].to_vec()),
        (
            "milliseconds.csv",
            lines(&ratings, "", |(u, p, r, t)| format!("{u},{p},{r},{t}123\n")),
        ),
        ("named-wrong.csv", gzip(&csv)),
        ("a.gz", [gzip(&csv[..1_000]), gzip(&csv[1_000..])].concat()),
        ("a.bz2", [bzip2(&csv[..1_000]), bzip2(&csv[1_000..])].concat()),
        ("a.zst", zstd::encode_all(csv.as_slice(), 3).unwrap()),
        (
            "2014.json",
            lines(&ratings, "", |(u, p, r, t)| {
                format!(
                    "{{\"reviewerID\": \"{u}\", \"asin\": \"{p}\", \"helpful\": [0, 0], \"overall\": {r:.1}, \"unixReviewTime\": {t}}}\n"
                )
            }),
        ),
        (
            "2023.jsonl",
            lines(&ratings, "", |(u, p, r, t)| {
                format!(
                    "{{\"rating\": {r:.1}, \"title\": \"x \\\"y\\\"\", \"asin\": \"other\", \"parent_asin\": \"{p}\", \
                     \"user_id\": \"{u}\", \"timestamp\": {t}000, \"verified_purchase\": true}}\n"
                )
            }),
        ),
        (
            "escaped.jsonl.gz",
            gzip(&lines(&ratings, "", |(u, p, r, t)| {
                format!(
                    "{{\"user\": \"\\u0041{}\", \"item\": \"{p}\", \"rating\": \"{r}\", \"timestamp\": {t}}}\n",
                    &u[1..]
                )
            })),
        ),
        ("plain.parquet", parquet(&ratings, Compression::UNCOMPRESSED)),
        ("snappy.csv", parquet(&ratings, Compression::SNAPPY)),
        ("zstd.parquet", parquet(&ratings, Compression::ZSTD(Default::default()))),
        ("gzip.parquet", parquet(&ratings, Compression::GZIP(Default::default()))),
    ];
    let folder = folder("formats");
    let mut first: Option<(Ingested, Vec<u8>)> = None;
    for (number, (name, bytes)) in files.into_iter().enumerate() {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let data = read(&path, |_| {});
        let model = model(&folder, name, &format!("run{number}"));
        let Some((first, first_model)) = &first else {
            assert_eq!(data.report.rows_read, 3_000);
            first = Some((data, model));
            continue;
        };
        assert!(model == *first_model, "{name}: another model");
        assert_eq!(data.interactions, first.interactions, "{name}");
        assert!(data.users.ids().eq(first.users.ids()), "{name}");
        assert!(data.items.ids().eq(first.items.ids()), "{name}");
        assert_eq!(
            (data.report.rows_read, data.report.bad_rows.len()),
            (3_000, 0),
            "{name}"
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn numbers_become_their_decimal_text() {
    let folder = folder("numbers");
    let path = folder.join("a.parquet");
    let schema = "message m { required int64 who; required int32 what; required int32 stars; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::builder().build())).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<Int64Type>()
        .write_batch(&[7, -3, 7], None, None)
        .unwrap();
    column.close().unwrap();
    for values in [[10, 20, 20], [1, 5, 4]] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int32Type>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    std::fs::write(&path, file.into_inner().unwrap()).unwrap();

    let data = read(&path, |_| {});
    let json = folder.join("a.jsonl");
    let text = "{\"user\":7,\"item\":10,\"rating\":1}\n{\"user\":-3,\"item\":20,\"rating\":5}\n{\"user\":7,\"item\":20,\"rating\":4}\n";
    std::fs::write(&json, text).unwrap();
    for data in [data, read(&json, |_| {})] {
        assert_eq!(data.users.ids().collect::<Vec<_>>(), ["7", "-3"]);
        assert_eq!(data.items.ids().collect::<Vec<_>>(), ["10", "20"]);
        assert_eq!(data.interactions.ratings, [1.0, 4.0, 5.0]);
        assert_eq!(data.interactions.timestamps, None);
    }

    let error = |name: &str| {
        let mut config = Config::default().data;
        config.columns.rating = Column::Name(name.to_string());
        let error = ingest(&path, false, &config, &Silent).unwrap_err();
        format!("{error} | {}", error.hint()).replace(&path.display().to_string(), "FILE")
    };
    assert_eq!(
        error("star"),
        "`FILE`: there is no column `star` for `data.columns.rating`; there are `who`, `what`, `stars` | did you mean `stars`?"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

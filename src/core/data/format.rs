//! The format of a file, told by its content: compression by magic bytes, then Parquet, JSON or delimited text.
//!
//! The first 64 KiB decide. What was found is part of the report, and config keys overrule it.

use super::columns::{Chosen, Sample, Values, choose};
use super::delimiter::{
    before_table, detect_delimiter, guess_delimiter, has_header, lines_of, most_common, named_delimiter, rows_of,
};
use super::fault::{IngestError, shorten};
use super::foreign::{foreign, whole_object};
use super::progress::{Metered, Progress, Unit};
use super::readers::Rows;
use super::readers::delimited::{DelimitedRows, Layout};
use super::readers::json::{JsonRows, Texts};
use super::readers::json_objects::Objects;
use super::readers::lines::{Lines, MAX_UNPACKING_MEBIBYTES, read_error};
use super::readers::members::{Garbage, Members};
use super::readers::parquet::ParquetRows;
use super::readers::quiet::catch_quietly;
use super::readers::utf16::Utf16;
use super::readers::zip;
use crate::common::regular_file;
use crate::config::{Column, DataConfig, Decimal, Header};
use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

/// What a file turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detected {
    /// `CSV`, `TSV`, `text`, `JSON` or `Parquet`.
    pub format: String,
    /// `gzip`, `bzip2`, `xz`, `zstd` or `zip`.
    pub compression: Option<String>,
    pub delimiter: Option<String>,
    /// Whether the first row names the columns; absent where the format says so itself.
    pub header: Option<bool>,
    /// What was found for each of the wanted columns, such as `rating` at `2` or `overall`.
    pub columns: Vec<(String, String)>,
}

impl Detected {
    /// Whether its rows are numbered, not its lines.
    pub fn is_parquet(&self) -> bool {
        self.format == "Parquet"
    }
}

/// The path that may be a pipe.
pub const STDIN: &str = "/dev/stdin";
/// Bytes that are looked at.
pub const HEAD: u64 = 64 << 10;
/// Rows of a file with typed columns that are looked at.
const SAMPLE_ROWS: usize = 100;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// An open file and what it is.
pub struct Opened<'a> {
    pub rows: Box<dyn Rows + 'a>,
    pub detected: Detected,
    pub chosen: Chosen,
    /// How the next part of the same table is read.
    pub shape: Shape,
    pub garbage: Garbage,
    /// A comma may stand before the fraction of a number.
    pub commas: bool,
}

/// What the parts of a table have in common.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Columns by name: Parquet and JSON.
    Named { format: String, names: [Option<String>; 4] },
    /// Delimited text, and its header.
    Delimited {
        layout: Layout,
        header: Option<Vec<String>>,
    },
}

/// Opens a file as rows of the columns that a config wants; `first` is the shape of the parts before it, if it is one of several.
///
/// Errors if it cannot be read, is empty, is of a format that is not known, or lacks a column.
pub fn open<'a>(
    path: &Path,
    config: &DataConfig,
    first: Option<&Shape>,
    progress: &'a dyn Progress,
) -> Result<Opened<'a>, IngestError> {
    match sniff(path, progress)? {
        Content::Parquet(file) => open_parquet(path, file, config, first, progress),
        Content::Text(text) => match text.kind() {
            TextKind::Blank => Err(IngestError::Empty {
                path: path.to_path_buf(),
            }),
            TextKind::Json => match whole_object(&text.head) {
                Some((found, hint)) => {
                    let path = path.to_path_buf();
                    Err(IngestError::Format { path, found, hint })
                }
                None => open_json(path, text, config, first),
            },
            TextKind::Delimited => open_delimited(path, text, config, first),
        },
    }
}

/// A file by its first bytes.
pub enum Content<'a> {
    Parquet(File),
    Text(Text<'a>),
}

/// A text, unpacked, in UTF-8 without a byte order mark.
pub struct Text<'a> {
    pub compression: Option<&'static str>,
    /// The first bytes.
    pub head: Vec<u8>,
    pub rest: Box<dyn Read + 'a>,
    pub garbage: Garbage,
}

/// What a text is a table in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// Nothing, but for white space.
    Blank,
    Json,
    Delimited,
}

impl<'a> Text<'a> {
    /// What it is a table in, by its first character.
    pub fn kind(&self) -> TextKind {
        match self.head.trim_ascii_start().first() {
            None => TextKind::Blank,
            Some(b'{' | b'[') => TextKind::Json,
            Some(_) => TextKind::Delimited,
        }
    }

    /// Whether there is no more than the head.
    pub fn head_is_all(&self) -> bool {
        (self.head.len() as u64) < HEAD
    }

    /// All of it.
    pub fn into_input(self) -> Box<dyn BufRead + 'a> {
        Box::new(BufReader::with_capacity(
            1 << 18,
            Cursor::new(self.head).chain(self.rest),
        ))
    }

    /// Where its objects come from, if it is JSON: from lines if the first line is a whole object.
    pub fn into_objects(self, path: &Path) -> Texts<'a> {
        let compression = self.compression;
        let is_list = self.head.trim_ascii_start().starts_with(b"[");
        let mut lines = self.head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
        let is_whole = |text: &[u8]| serde_json::from_slice::<Map<String, Value>>(text).is_ok();
        // An object over several lines; if not even that, its lines are told one by one.
        let by_objects = || {
            let mut objects = Objects::new(path, None, Box::new(self.head.as_slice()));
            objects
                .advance()
                .is_ok_and(|is_there| is_there && is_whole(objects.text()))
        };
        match is_list || (!is_whole(first) && by_objects()) {
            true => Texts::Objects(Objects::new(path, compression, self.into_input())),
            false => Texts::Lines(Lines::new(path, compression, self.into_input())),
        }
    }
}

/// Opens a file, unpacks it if it is packed, and looks at its first bytes. Errors if it is of a kind that is not read.
pub fn sniff<'a>(path: &Path, progress: &'a dyn Progress) -> Result<Content<'a>, IngestError> {
    let fault = |message: String| IngestError::Read {
        path: path.to_path_buf(),
        message,
    };
    let io = |error: std::io::Error| fault(error.to_string());
    // Whoever names the standard input means to wait for it.
    let open = if path == Path::new(STDIN) {
        File::open(path)
    } else {
        regular_file::open(path)
    };
    let mut file = open.map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    let mut magic = Vec::new();
    file.by_ref().take(8).read_to_end(&mut magic).map_err(io)?;
    if magic.starts_with(b"PAR1") {
        return Ok(Content::Parquet(file));
    }
    let names = magic.starts_with(zip::MAGIC).then(|| zip::names(&mut file)).flatten();
    // A pipe cannot be rewound, so its first bytes are put back in front.
    let start: Box<dyn Read + 'a> = match file.rewind() {
        Ok(()) => Box::new(Metered::new(file, progress)),
        Err(_) => Box::new(Cursor::new(magic.clone()).chain(Metered::new(file, progress))),
    };
    progress.begin("reading", Unit::Bytes, metadata.is_file().then_some(metadata.len()));
    let garbage = Garbage::default();
    let start = BufReader::with_capacity(1 << 18, start);
    let (compression, mut rest): (_, Box<dyn Read + 'a>) = match magic.as_slice() {
        [0x1f, 0x8b, ..] => (
            Some("gzip"),
            Box::new(Members::<GzDecoder<_>, _>::new(start, garbage.clone())),
        ),
        // With the magic of its first block, or of its end: three letters and a number may be a user.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38] => (
            Some("bzip2"),
            Box::new(Members::<BzDecoder<_>, _>::new(start, garbage.clone())),
        ),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => (
            Some("xz"),
            Box::new(XzReader::new_mem_limit(start, true, MAX_UNPACKING_MEBIBYTES << 10)),
        ),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => (
            Some("zstd"),
            Box::new(zstd::stream::read::Decoder::with_buffer(start).map_err(io)?),
        ),
        bytes if bytes.starts_with(zip::MAGIC) => {
            let table = zip::Table::open(start, names.as_deref());
            (
                Some("zip"),
                Box::new(table.map_err(|error| read_error(path, Some("zip"), 0, error))?),
            )
        }
        _ => (None, Box::new(start)),
    };
    let mut head = read_head(path, compression, Vec::new(), &mut rest)?;
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = head.as_slice() {
        let is_big_endian = head[0] == 0xfe;
        rest = Box::new(Utf16::new(Cursor::new(head.split_off(2)).chain(rest), is_big_endian));
        head = read_head(path, compression, Vec::new(), &mut rest)?;
    }
    if head.starts_with(BOM) {
        head = read_head(path, compression, head.split_off(BOM.len()), &mut rest)?;
    }
    if let Some((found, hint)) = foreign(&head) {
        let path = path.to_path_buf();
        return Err(IngestError::Format { path, found, hint });
    }
    Ok(Content::Text(Text {
        compression,
        head,
        rest,
        garbage,
    }))
}

/// `head`, filled up from what follows.
fn read_head(
    path: &Path,
    compression: Option<&'static str>,
    mut head: Vec<u8>,
    rest: &mut dyn Read,
) -> Result<Vec<u8>, IngestError> {
    let wanted = HEAD.saturating_sub(head.len() as u64);
    match rest.take(wanted).read_to_end(&mut head) {
        Ok(_) => Ok(head),
        Err(error) => {
            // What came before the error is in the buffer.
            let lines = head.iter().filter(|byte| **byte == b'\n').count();
            Err(read_error(path, compression, lines as u64, error))
        }
    }
}

/// Opens a Parquet file at its footer.
pub fn parquet_file(path: &Path, file: File) -> Result<SerializedFileReader<File>, IngestError> {
    // The parquet crate may panic on a damaged footer as it does on damaged pages.
    let opened = catch_quietly(|| SerializedFileReader::new(file).map_err(|error| error.to_string()));
    opened
        .unwrap_or_else(|| Err("its footer contradicts itself".to_string()))
        .map_err(|message| IngestError::Read {
            path: path.to_path_buf(),
            message: format!("damaged Parquet: {message}"),
        })
}

/// The config of a part whose columns are known from the parts before it.
fn as_before(path: &Path, config: &DataConfig, first: Option<&Shape>, format: &str) -> Result<DataConfig, IngestError> {
    let mut config = config.clone();
    match first {
        None => {}
        Some(Shape::Named { format: before, names }) if before == format => {
            let column = |name: &Option<String>| Column::Name(name.clone().unwrap_or_default());
            let columns = &mut config.columns;
            // Counts stand where ratings do.
            let counts = !columns.count.is_none();
            columns.user = column(&names[0]);
            columns.product = column(&names[1]);
            *(if counts {
                &mut columns.count
            } else {
                &mut columns.rating
            }) = column(&names[2]);
            columns.timestamp = column(&names[3]);
        }
        Some(_) => {
            return Err(IngestError::OtherPart {
                path: path.to_path_buf(),
                found: format.to_string(),
            });
        }
    }
    Ok(config)
}

fn open_parquet<'a>(
    path: &Path,
    file: File,
    config: &DataConfig,
    first: Option<&Shape>,
    progress: &'a dyn Progress,
) -> Result<Opened<'a>, IngestError> {
    const FORMAT: &str = "Parquet";
    let config = as_before(path, config, first, FORMAT)?;
    let file = parquet_file(path, file)?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    let sample = Sample {
        width: names.len(),
        rows: first_rows(&file, names.len()),
        names: Some(names.clone()),
        in_order: true,
    };
    let chosen = choose(path, &config, &sample)?;
    Ok(Opened {
        detected: Detected {
            format: FORMAT.to_string(),
            columns: found_columns(&chosen, Some(&names)),
            ..Detected::default()
        },
        shape: named_shape(FORMAT, &chosen, &names),
        rows: Box::new(ParquetRows::new(path, file, chosen.columns, progress)?),
        chosen,
        garbage: Garbage::default(),
        commas: config.decimal != Decimal::Point,
    })
}

/// The first rows of a flat table as text; none of a nested one, or of a damaged one, which is told when it is read.
fn first_rows(file: &SerializedFileReader<File>, width: usize) -> Vec<Vec<Option<String>>> {
    let is_flat = file
        .metadata()
        .file_metadata()
        .schema_descr()
        .root_schema()
        .get_fields()
        .len()
        == width;
    let read = || {
        let rows = file.get_row_iter(None).ok()?.take(SAMPLE_ROWS);
        let row = |row: parquet::record::Row| {
            row.into_columns()
                .into_iter()
                .map(|(_, value)| sample_text(&value))
                .collect()
        };
        rows.map(|found| found.ok().map(row)).collect::<Option<Vec<_>>>()
    };
    match is_flat {
        true => catch_quietly(read).flatten().unwrap_or_default(),
        false => Vec::new(),
    }
}

fn sample_text(value: &Field) -> Option<String> {
    match value {
        Field::Null => None,
        Field::Str(text) => Some(text.clone()),
        // Whatever their unit is, these are times.
        Field::Date(_) | Field::TimestampMillis(_) | Field::TimestampMicros(_) => Some("2000-01-01".to_string()),
        Field::Float16(value) => Some(value.to_f32().to_string()),
        Field::Float(value) => Some(value.to_string()),
        Field::Double(value) => Some(value.to_string()),
        other => Some(other.to_string()),
    }
}

fn named_shape(format: &str, chosen: &Chosen, names: &[String]) -> Shape {
    Shape::Named {
        format: format.to_string(),
        names: chosen
            .columns
            .map(|column| column.map(|column| names[column].trim().to_string())),
    }
}

fn open_json<'a>(
    path: &Path,
    text: Text<'a>,
    config: &DataConfig,
    first: Option<&Shape>,
) -> Result<Opened<'a>, IngestError> {
    const FORMAT: &str = "JSON";
    let config = as_before(path, config, first, FORMAT)?;
    let (compression, garbage) = (text.compression, text.garbage.clone());
    let head = text.head.clone();
    let texts = text.into_objects(path);
    let is_list = matches!(texts, Texts::Objects(_));
    let (names, rows) = first_objects(path, &head, is_list);
    let (keys, chosen) = match names.is_empty() {
        // Without one whole object the reader will say what is wrong with the lines.
        true => (
            ["user", "product", "rating", ""].map(str::to_string).map(Some),
            no_columns(),
        ),
        false => {
            let sample = Sample {
                width: names.len(),
                rows,
                names: Some(names.clone()),
                in_order: false,
            };
            let chosen = choose(path, &config, &sample)?;
            refuse_nested(path, &head, is_list, &chosen, &names)?;
            (
                chosen.columns.map(|column| column.map(|column| names[column].clone())),
                chosen,
            )
        }
    };
    Ok(Opened {
        detected: Detected {
            format: if is_list {
                FORMAT.to_string()
            } else {
                "JSON lines".to_string()
            },
            compression: compression.map(str::to_string),
            columns: found_columns(&chosen, Some(&names))
                .into_iter()
                .map(|(key, place)| {
                    (
                        key,
                        place
                            .split_once(' ')
                            .map_or(place.clone(), |(_, name)| name.to_string()),
                    )
                })
                .collect(),
            ..Detected::default()
        },
        shape: named_shape(FORMAT, &chosen, &names),
        rows: Box::new(JsonRows::new(texts, keys)),
        chosen,
        garbage,
        commas: config.decimal != Decimal::Point,
    })
}

fn no_columns() -> Chosen {
    Chosen {
        columns: [None; 4],
        values: Values::Ratings,
        warnings: Vec::new(),
        by_place: false,
        suspicion: None,
    }
}

/// Errors if the user or the product of the first object is an object itself.
fn refuse_nested(
    path: &Path,
    head: &[u8],
    is_list: bool,
    chosen: &Chosen,
    names: &[String],
) -> Result<(), IngestError> {
    let mut texts = match is_list {
        true => Texts::Objects(Objects::new(path, None, Box::new(head))),
        false => Texts::Lines(Lines::new(path, None, Box::new(head))),
    };
    if !texts.advance().unwrap_or(false) {
        return Ok(());
    }
    let object: Map<String, Value> = serde_json::from_slice(texts.text()).unwrap_or_default();
    for (key, column) in ["user", "product"].into_iter().zip(chosen.columns) {
        let name = column.map(|column| names[column].as_str()).unwrap_or_default();
        if let Some(inner) = object
            .get(name)
            .and_then(Value::as_object)
            .and_then(|inner| inner.keys().next())
        {
            return Err(IngestError::Nested {
                path: path.to_path_buf(),
                key,
                name: name.to_string(),
                inner: inner.clone(),
            });
        }
    }
    Ok(())
}

/// Keys of the first objects in order of appearance, and their values.
fn first_objects(path: &Path, head: &[u8], is_list: bool) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    let mut texts = match is_list {
        true => Texts::Objects(Objects::new(path, None, Box::new(head))),
        false => Texts::Lines(Lines::new(path, None, Box::new(head))),
    };
    let (mut names, mut rows): (Vec<String>, Vec<Vec<Option<String>>>) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLE_ROWS {
        if !texts.advance().unwrap_or(false) {
            break;
        }
        let Ok(object) = serde_json::from_slice::<Map<String, Value>>(texts.text()) else {
            continue;
        };
        let mut row = vec![None; names.len()];
        for (key, value) in object {
            let place = names.iter().position(|name| *name == key).unwrap_or_else(|| {
                names.push(key);
                row.push(None);
                names.len() - 1
            });
            row[place] = match value {
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                Value::Bool(flag) => Some(u8::from(flag).to_string()),
                Value::Null => None,
                // No part of a rating.
                Value::Array(_) | Value::Object(_) => Some("[]".to_string()),
            };
        }
        rows.push(row);
    }
    (names, rows)
}

fn open_delimited<'a>(
    path: &Path,
    text: Text<'a>,
    config: &DataConfig,
    first: Option<&Shape>,
) -> Result<Opened<'a>, IngestError> {
    let head = text.head.clone();
    let head_is_all = text.head_is_all();
    let (compression, garbage) = (text.compression, text.garbage.clone());
    let quote = config.quote.bytes().next();
    let mut lines = lines_of(&head, head_is_all);
    let named = named_delimiter(&lines);
    let skip = usize::from(named.is_some());
    lines.drain(..skip);
    let delimiter = match (first, config.delimiter.as_str()) {
        (Some(Shape::Delimited { layout, .. }), _) => layout.delimiter.clone(),
        (Some(Shape::Named { .. }), _) => {
            return Err(IngestError::OtherPart {
                path: path.to_path_buf(),
                found: "delimited text".to_string(),
            });
        }
        (None, "auto") => named.unwrap_or_else(|| detect_delimiter(&lines, quote)),
        (None, given) => given.to_string(),
    };
    let mut rows = rows_of(&lines, &delimiter, quote);
    let before = before_table(&rows);
    let preface = rows.drain(..before).next();
    let skip = skip + before;
    let header = match (first, config.header) {
        (Some(Shape::Delimited { header, .. }), _) => is_repeated(rows.first(), header.as_deref()),
        (_, Header::Given(given)) => given,
        (_, Header::Auto) => has_header(&rows, &config.columns),
    };
    let data = &rows[usize::from(header).min(rows.len())..];
    // A part may be empty, a table must not.
    if header && data.is_empty() && head_is_all && first.is_none() {
        return Err(IngestError::OnlyHeader {
            path: path.to_path_buf(),
        });
    }
    let width = most_common(data.iter().map(Vec::len)).unwrap_or(rows.first().map_or(0, Vec::len));
    if width < 2 && first.is_none() && lines.len() > 1 {
        return Err(IngestError::NoDelimiter {
            path: path.to_path_buf(),
            line: shorten(&String::from_utf8_lossy(lines[1])),
            guess: guess_delimiter(&lines),
        });
    }
    let names = header.then(|| rows.first().cloned().unwrap_or_default());
    let mut all_names = names.clone();
    let (width, chosen) = match first {
        Some(Shape::Delimited { layout, header: before }) => {
            let place = |column: usize| match (&names, before) {
                (Some(names), Some(before)) => before
                    .get(column)
                    .and_then(|name| names.iter().position(|own| own == name))
                    .unwrap_or(column),
                _ => column,
            };
            let columns = layout.columns.map(|column| column.map(place));
            let chosen = Chosen {
                columns,
                ..no_columns()
            };
            (layout.width, chosen)
        }
        _ => {
            let in_row = |row: &Vec<String>| row.iter().map(|field| Some(field.clone())).collect();
            if let Some(names) = &mut all_names {
                // R leaves the name above its row names out.
                if names.len() + 1 == width {
                    names.insert(0, String::new());
                }
                names.resize(width, String::new());
            }
            let sample = Sample {
                width,
                names: all_names.clone(),
                rows: data.iter().filter(|row| row.len() == width).map(in_row).collect(),
                in_order: true,
            };
            let mut chosen = choose(path, config, &sample)?;
            chosen.warnings.extend(preface.map(|line| {
                let line = shorten(line.join(&delimiter).trim());
                format!(
                    "the table begins in row {}: what stands above it, such as `{line}`, is not read",
                    before + 1
                )
            }));
            (width, chosen)
        }
    };
    let layout = Layout {
        delimiter: delimiter.clone(),
        quote,
        skip: skip + usize::from(header),
        width,
        columns: chosen.columns,
    };
    let format = match delimiter.as_str() {
        "," => "CSV",
        "\t" => "TSV",
        _ => "text",
    };
    Ok(Opened {
        detected: Detected {
            format: format.to_string(),
            compression: compression.map(str::to_string),
            delimiter: Some(delimiter.clone()),
            header: Some(header),
            columns: found_columns(&chosen, all_names.as_deref()),
        },
        shape: Shape::Delimited {
            layout: layout.clone(),
            header: names,
        },
        rows: Box::new(DelimitedRows::new(
            Lines::new(path, compression, text.into_input()),
            layout,
        )?),
        chosen,
        garbage,
        commas: match config.decimal {
            Decimal::Auto => delimiter != ",",
            Decimal::Point => false,
            Decimal::Comma => true,
        },
    })
}

/// Whether a part begins with the header of the parts before it, in whatever order.
fn is_repeated(first: Option<&Vec<String>>, header: Option<&[String]>) -> bool {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    matches!((first, header), (Some(first), Some(header)) if sorted(first) == sorted(header))
}

fn found_columns(chosen: &Chosen, names: Option<&[String]>) -> Vec<(String, String)> {
    let third = match chosen.values {
        Values::Counts => "count",
        Values::Ratings | Values::Choices => "rating",
    };
    let found = ["user", "product", third, "timestamp"].into_iter().zip(chosen.columns);
    let found = found.filter_map(|(key, column)| {
        let column = column?;
        let place = match names.and_then(|names| names.get(column)) {
            Some(name) => format!("{column} `{}`", shorten(name.trim())),
            None => column.to_string(),
        };
        Some((key.to_string(), place))
    });
    found.collect()
}

//! The format of a file, told by its content: compression by magic bytes, then Parquet, JSON lines or delimited text.
//!
//! The first 64 KiB decide. What was found is part of the report, and config keys overrule it.

use super::fault::{IngestError, shorten};
use super::progress::{Metered, Progress, Unit};
use super::readers::Rows;
use super::readers::cutter::Cutter;
use super::readers::delimited::{DelimitedRows, Layout};
use super::readers::json_lines::JsonRows;
use super::readers::lines::{Lines, read_error};
use super::readers::parquet::ParquetRows;
use super::readers::quiet::catch_quietly;
use crate::config::{Column, Header};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

/// What a file turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detected {
    /// `CSV`, `TSV`, `text`, `JSON lines` or `Parquet`.
    pub format: String,
    /// `gzip` or `zstd`.
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

/// What is asked of a file: config keys for messages, and where each value stands.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Names in messages, such as `columns.user`.
    pub keys: [&'static str; 4],
    pub columns: [Option<&'a Column>; 4],
    /// The keys of known JSON dialects, the first that occurs is taken where the config gives numbers.
    pub dialects: [&'static [&'static str]; 4],
    pub delimiter: &'a str,
    pub header: Header,
}

/// Keys of a rating: the Amazon dumps of 2014 and 2018, then that of 2023, then plain words.
pub const RATING_DIALECTS: [&[&str]; 4] = [
    &["reviewerID", "user_id", "user", "userId"],
    &["parent_asin", "asin", "product", "product_id", "item_id", "item"],
    &["overall", "rating"],
    &["unixReviewTime", "timestamp"],
];

/// Bytes that are looked at.
pub const HEAD: u64 = 64 << 10;
/// Lines that are looked at.
const HEAD_LINES: usize = 100;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// An open file and what it is.
pub struct Opened<'a> {
    pub rows: Box<dyn Rows + 'a>,
    pub detected: Detected,
}

/// Opens a file as rows of the wanted columns.
///
/// Errors if it cannot be read, is empty, is of a format that is not known, or lacks a column.
pub fn open<'a>(path: &Path, wanted: &Wanted, progress: &'a dyn Progress) -> Result<Opened<'a>, IngestError> {
    match sniff(path, progress)? {
        Content::Parquet(file) => open_parquet(path, file, wanted, progress),
        Content::Text {
            compression,
            head,
            rest,
        } => {
            let first = head.trim_ascii_start().first().copied();
            let head_is_all = (head.len() as u64) < HEAD;
            let text = head.clone();
            let input: Box<dyn BufRead + 'a> =
                Box::new(BufReader::with_capacity(1 << 18, Cursor::new(head).chain(rest)));
            let lines = Lines::new(path, compression, input);
            match first {
                None => Err(IngestError::Empty {
                    path: path.to_path_buf(),
                }),
                Some(b'{') => open_json(path, compression, &text, lines, wanted),
                Some(b'[') => Err(IngestError::Format {
                    path: path.to_path_buf(),
                    found: "one JSON list",
                    hint: "write one object a line: `jq -c '.[]' FILE`",
                }),
                Some(_) => open_delimited(path, compression, &text, head_is_all, lines, wanted),
            }
        }
    }
}

/// A file by its first bytes.
pub enum Content<'a> {
    Parquet(File),
    Text {
        compression: Option<&'static str>,
        /// The first bytes, unpacked, without a byte order mark.
        head: Vec<u8>,
        rest: Box<dyn Read + 'a>,
    },
}

/// Opens a file, unpacks it if it is packed, and looks at its first bytes.
pub fn sniff<'a>(path: &Path, progress: &'a dyn Progress) -> Result<Content<'a>, IngestError> {
    let fault = |message: String| IngestError::Read {
        path: path.to_path_buf(),
        message,
    };
    let io = |error: std::io::Error| fault(error.to_string());
    let mut file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(fault("it is a directory".to_string()));
    }
    let mut magic = Vec::new();
    file.by_ref().take(8).read_to_end(&mut magic).map_err(io)?;
    if magic.starts_with(b"PAR1") {
        return Ok(Content::Parquet(file));
    }
    let refuse = |found, hint| {
        let path = path.to_path_buf();
        Err(IngestError::Format { path, found, hint })
    };
    match magic.as_slice() {
        [b'P', b'K', 3, 4, ..] => return refuse("a zip archive", "unpack it first: `unzip FILE`"),
        [b'B', b'Z', b'h', ..] => return refuse("packed with bzip2", "unpack it first: `bunzip2 FILE`"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => return refuse("packed with xz", "unpack it first: `unxz FILE`"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            return refuse("UTF-16 text", "save it as UTF-8: `iconv -f UTF-16 -t UTF-8 FILE`");
        }
        _ => {}
    }
    // A pipe cannot be rewound, so its first bytes are put back in front.
    let start: Box<dyn Read + 'a> = match file.rewind() {
        Ok(()) => Box::new(Metered::new(file, progress)),
        Err(_) => Box::new(Cursor::new(magic.clone()).chain(Metered::new(file, progress))),
    };
    progress.begin("reading", Unit::Bytes, metadata.is_file().then_some(metadata.len()));
    let (compression, mut rest): (_, Box<dyn Read + 'a>) = match magic.as_slice() {
        [0x1f, 0x8b, ..] => (
            Some("gzip"),
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(
                1 << 18,
                start,
            ))),
        ),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => (
            Some("zstd"),
            Box::new(zstd::stream::read::Decoder::new(start).map_err(io)?),
        ),
        _ => (None, start),
    };
    let mut head = Vec::new();
    if let Err(error) = rest.by_ref().take(HEAD).read_to_end(&mut head) {
        // What came before the error is in the buffer.
        let lines = head.iter().filter(|byte| **byte == b'\n').count();
        return Err(read_error(path, compression, lines as u64, error));
    }
    if head.starts_with(BOM) {
        head.drain(..BOM.len());
    }
    Ok(Content::Text {
        compression,
        head,
        rest,
    })
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

fn open_parquet<'a>(
    path: &Path,
    file: File,
    wanted: &Wanted,
    progress: &'a dyn Progress,
) -> Result<Opened<'a>, IngestError> {
    let file = parquet_file(path, file)?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    let columns = resolve(path, wanted, &names, names.len())?;
    Ok(Opened {
        detected: Detected {
            format: "Parquet".to_string(),
            columns: found_columns(wanted, &columns, Some(&names)),
            ..Detected::default()
        },
        rows: Box::new(ParquetRows::new(path, file, columns, progress)?),
    })
}

fn open_json<'a>(
    path: &Path,
    compression: Option<&'static str>,
    head: &[u8],
    lines: Lines<'a>,
    wanted: &Wanted,
) -> Result<Opened<'a>, IngestError> {
    // The first line that is a whole object names the keys; without one, the reader will say what is wrong with the lines.
    let present: Vec<String> = head
        .split(|byte| *byte == b'\n')
        .find_map(|line| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).ok())
        .map_or_else(Vec::new, |object| object.keys().cloned().collect());
    let mut keys: [Option<String>; 4] = Default::default();
    for (place, column) in wanted.columns.iter().enumerate() {
        let Some(column) = *column else { continue };
        let is_there = |key: &str| present.iter().any(|present| present == key);
        let key = match column {
            Column::Name(name) if name.is_empty() => continue,
            Column::Name(name) => Some(name.clone()).filter(|name| is_there(name) || present.is_empty()),
            Column::Number(_) if present.is_empty() => Some(wanted.dialects[place][0].to_string()),
            Column::Number(_) => {
                let known = wanted.dialects[place].iter().find(|key| is_there(key));
                known.map(|key| key.to_string())
            }
        };
        let may_be_absent = place == 3 && matches!(column, Column::Number(_));
        if key.is_none() && !may_be_absent {
            return Err(no_column(path, wanted, place, column, &present));
        }
        keys[place] = key;
    }
    let columns = wanted.keys.iter().zip(&keys).filter_map(|(key, found)| {
        let found = found.as_ref()?;
        Some((last_word(key), format!("`{found}`")))
    });
    Ok(Opened {
        detected: Detected {
            format: "JSON lines".to_string(),
            compression: compression.map(str::to_string),
            columns: columns.collect(),
            ..Detected::default()
        },
        rows: Box::new(JsonRows::new(lines, keys)),
    })
}

fn open_delimited<'a>(
    path: &Path,
    compression: Option<&'static str>,
    head: &[u8],
    head_is_all: bool,
    lines: Lines<'a>,
    wanted: &Wanted,
) -> Result<Opened<'a>, IngestError> {
    let first_lines = lines_of(head, head_is_all);
    let delimiter = match wanted.delimiter {
        "auto" => detect_delimiter(&first_lines),
        given => given.to_string(),
    };
    let rows: Vec<Vec<String>> = first_lines.iter().map(|line| cut(line, &delimiter)).collect();
    let header = match wanted.header {
        Header::Given(given) => given,
        Header::Auto => looks_like_header(&rows, wanted),
    };
    let data = &rows[usize::from(header).min(rows.len())..];
    if header && data.is_empty() && head_is_all {
        return Err(IngestError::OnlyHeader {
            path: path.to_path_buf(),
        });
    }
    let width = most_common(data.iter().map(Vec::len)).unwrap_or(rows.first().map_or(0, Vec::len));
    let names = header.then(|| rows[0].clone());
    let columns = match &names {
        Some(names) => resolve(path, wanted, names, width)?,
        None => resolve(path, wanted, &[], width)?,
    };
    let layout = Layout {
        delimiter: delimiter.clone(),
        skip_first: header,
        width,
        columns,
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
            delimiter: Some(delimiter),
            header: Some(header),
            columns: found_columns(wanted, &columns, names.as_deref()),
        },
        rows: Box::new(DelimitedRows::new(lines, layout)?),
    })
}

/// The first lines that are whole and not empty.
pub fn lines_of(head: &[u8], head_is_all: bool) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = head.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
    // The last line may be cut in two.
    if lines.len() > 1 && !head_is_all {
        lines.pop();
    }
    lines
        .into_iter()
        .filter(|line| !line.is_empty())
        .take(HEAD_LINES)
        .collect()
}

/// The candidate that cuts most lines into the same number of columns, at least two; among equals the first.
pub fn detect_delimiter(lines: &[&[u8]]) -> String {
    let mut best = (0, ",");
    for delimiter in ["\t", "::", ",", ";", "|", " "] {
        let widths = lines.iter().map(|line| cut(line, delimiter).len());
        let width = most_common(widths.clone()).unwrap_or(0);
        let agree = widths.filter(|found| *found == width).count();
        if width >= 2 && agree > best.0 {
            best = (agree, delimiter);
        }
    }
    best.1.to_string()
}

/// The columns of one line.
pub fn cut(line: &[u8], delimiter: &str) -> Vec<String> {
    let mut cutter = Cutter::new(delimiter);
    // A quote that does not close is told when the line is read.
    let _ = cutter.cut(line);
    let parts = cutter.parts(line);
    parts
        .iter()
        .map(|field| String::from_utf8_lossy(field).into_owned())
        .collect()
}

/// Whether the first row holds no number where later rows do.
fn looks_like_header(rows: &[Vec<String>], wanted: &Wanted) -> bool {
    let is_number = |field: &String| field.trim().parse::<f64>().is_ok();
    let Some(first) = rows.first() else { return false };
    let by_name = wanted.columns.iter().flatten().any(|column| match column {
        Column::Name(name) => first.contains(name),
        Column::Number(_) => false,
    });
    let asks_for_names = wanted
        .columns
        .iter()
        .flatten()
        .any(|column| matches!(column, Column::Name(name) if !name.is_empty()));
    if by_name {
        return true;
    }
    if first.iter().any(is_number) {
        return false;
    }
    let numeric_below = |column: usize| rows[1..].iter().any(|row| row.get(column).is_some_and(is_number));
    asks_for_names || rows.len() == 1 || (0..first.len()).any(numeric_below)
}

/// Numbers of the wanted columns. `names` is empty without a header; a row has `width` columns.
/// The fourth column may be absent if it is asked for by number.
pub fn resolve(
    path: &Path,
    wanted: &Wanted,
    names: &[String],
    width: usize,
) -> Result<[Option<usize>; 4], IngestError> {
    let mut columns = [None; 4];
    for (place, column) in wanted.columns.iter().enumerate() {
        let Some(column) = *column else { continue };
        let found = match column {
            Column::Name(name) if name.is_empty() => continue,
            Column::Name(name) => names.iter().position(|present| present.trim() == name),
            Column::Number(number) => Some(*number).filter(|number| *number < width),
        };
        let may_be_absent = place == 3 && matches!(column, Column::Number(_));
        if found.is_none() && !may_be_absent {
            let present: Vec<String> = match names {
                [] => (0..width).map(|number| number.to_string()).collect(),
                names => names.to_vec(),
            };
            return Err(no_column(path, wanted, place, column, &present));
        }
        columns[place] = found;
    }
    Ok(columns)
}

fn no_column(path: &Path, wanted: &Wanted, place: usize, column: &Column, present: &[String]) -> IngestError {
    let name = match column {
        Column::Name(name) => name.clone(),
        Column::Number(number) => number.to_string(),
    };
    let likeness = |present: &String| strsim::jaro_winkler(&name.to_lowercase(), &present.to_lowercase());
    let nearest = present.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.filter(|nearest| likeness(nearest) > 0.6 && matches!(column, Column::Name(_)));
    let shown: Vec<String> = present
        .iter()
        .take(20)
        .map(|name| format!("`{}`", shorten(name)))
        .collect();
    IngestError::Column {
        path: path.to_path_buf(),
        key: wanted.keys[place].to_string(),
        wanted: format!("`{name}`"),
        present: match shown.is_empty() {
            true => "none".to_string(),
            false => shown.join(", "),
        },
        nearest: nearest.cloned(),
    }
}

fn found_columns(wanted: &Wanted, columns: &[Option<usize>; 4], names: Option<&[String]>) -> Vec<(String, String)> {
    let found = wanted.keys.iter().zip(columns).filter_map(|(key, column)| {
        let column = (*column)?;
        let place = match names.and_then(|names| names.get(column)) {
            Some(name) => format!("{column} `{}`", shorten(name)),
            None => column.to_string(),
        };
        Some((last_word(key), place))
    });
    found.collect()
}

fn last_word(key: &str) -> String {
    key.rsplit('.').next().unwrap_or(key).to_string()
}

fn most_common(values: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value, 1)),
        }
    }
    // Among equals the one that came first.
    counts
        .into_iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map(|(value, _)| value)
}

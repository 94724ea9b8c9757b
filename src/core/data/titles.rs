//! Titles: a product table beside the ratings, matched by id; whatever else it says of a product is kept as one JSON text.

use super::columns::no_column;
use super::delimiter::{detect_delimiter, lines_of, rows_of};
use super::fault::IngestError;
use super::format::{Content, Detected, Text, TextKind, parquet_file, sniff};
use super::progress::Progress;
use super::readers::cutter::Cutter;
use super::readers::json::Texts as Objects;
use super::readers::lines::{Lines, read_error};
use super::readers::quiet::catch_quietly;
use super::report::TitleReport;
use super::vocabulary::Vocabulary;
use crate::common::interaction::ItemIndex;
use crate::config::{Column, DataConfig};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::BufRead;
use std::path::Path;

/// Title and further columns of each product, in index order; empty means that there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Titles {
    pub title: Texts,
    /// The other columns as one JSON object.
    pub details: Texts,
}

impl Titles {
    /// Number of products.
    pub fn len(&self) -> usize {
        self.title.starts.len() - 1
    }

    /// Whether there is no product.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Texts in one buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    starts: Vec<u64>,
    text: Vec<u8>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            starts: vec![0],
            text: Vec::new(),
        }
    }
}

impl Texts {
    /// Appends a text.
    pub fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
        self.starts.push(self.text.len() as u64);
    }

    /// `starts[i]..starts[i + 1]` is text `i`.
    pub fn starts(&self) -> &[u64] {
        &self.starts
    }

    /// All texts, end to end.
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }
}

/// Keys of the Amazon metadata dumps, then plain words: of ids, and of titles.
const DIALECTS: [&[&str]; 2] = [
    &["parent_asin", "asin", "id", "product", "product_id", "item_id"],
    &["title", "name"],
];

/// One row of the table.
struct Product {
    id: String,
    title: String,
    details: String,
}

/// What is done with each row; `None` is one without an id or title.
type Take<'t> = &'t mut dyn FnMut(Option<Product>);

/// Reads the product table of a config, in any format that ratings may have. The first row of an id counts.
///
/// The first row of delimited text is a header unless it holds a number or the id of a rated product. Text that is not UTF-8
/// is read as Latin-1, as in `movies.dat` of MovieLens 1M. Errors as ingest does; rows without an id or title are counted.
pub fn read(
    config: &DataConfig,
    items: &Vocabulary<ItemIndex>,
    progress: &dyn Progress,
) -> Result<(Titles, TitleReport), IngestError> {
    read_table(config, items, progress).map_err(|error| IngestError::Titles(Box::new(error)))
}

fn read_table(
    config: &DataConfig,
    items: &Vocabulary<ItemIndex>,
    progress: &dyn Progress,
) -> Result<(Titles, TitleReport), IngestError> {
    let path: &Path = &config.titles;
    let mut report = TitleReport {
        path: path.to_path_buf(),
        detected: Detected::default(),
        rows: 0,
        matched: 0,
        untitled: 0,
        unrated: 0,
        bad_rows: 0,
    };
    let mut found: Vec<Option<(String, String)>> = vec![None; items.len()];
    let mut take = |product: Option<Product>| {
        report.rows += 1;
        let Some(product) = product else {
            report.bad_rows += 1;
            return;
        };
        match items.index(&product.id) {
            None => report.unrated += 1,
            Some(index) => {
                found[index.index()].get_or_insert((product.title, product.details));
            }
        }
    };
    report.detected = match sniff(path, progress)? {
        Content::Parquet(file) => read_parquet(path, parquet_file(path, file)?, config, &mut take)?,
        Content::Text(text) => {
            let compression = text.compression;
            let detected = match text.kind() {
                TextKind::Json => read_json(text.into_objects(path), config, &mut take)?,
                TextKind::Blank | TextKind::Delimited => read_delimited(path, text, config, items, &mut take)?,
            };
            Detected {
                compression: compression.map(str::to_string),
                ..detected
            }
        }
    };
    progress.end();
    report.matched = found.iter().flatten().count();
    report.untitled = items.len() - report.matched;
    let mut titles = Titles::default();
    for product in &found {
        let (title, details) = product.as_ref().map_or(("", ""), |(title, details)| (title, details));
        titles.title.push(title);
        titles.details.push(details);
    }
    Ok((titles, report))
}

fn read_json(mut objects: Objects, config: &DataConfig, take: Take) -> Result<Detected, IngestError> {
    while objects.advance()? {
        let object: Option<Map<String, Value>> = serde_json::from_slice(objects.text()).ok();
        take(object.and_then(|mut object| {
            let mut value = |column: &Column, known: &[&str]| {
                let key = match column {
                    Column::Name(name) => name.as_str(),
                    Column::Auto | Column::Number(_) => known.iter().find(|key| object.contains_key(**key))?,
                };
                match object.remove(key)? {
                    Value::String(text) => tidy(text.as_bytes()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                }
            };
            let id = value(&config.title_columns.id, DIALECTS[0])?;
            let title = value(&config.title_columns.title, DIALECTS[1])?;
            Some(Product {
                id,
                title,
                details: details(object),
            })
        }));
    }
    Ok(Detected {
        format: "JSON lines".to_string(),
        ..Detected::default()
    })
}

fn read_delimited(
    path: &Path,
    text: Text,
    config: &DataConfig,
    items: &Vocabulary<ItemIndex>,
    take: Take,
) -> Result<Detected, IngestError> {
    let quote = config.quote.bytes().next();
    let compression = text.compression;
    let first_lines = lines_of(&text.head, text.head_is_all());
    let delimiter = detect_delimiter(&first_lines, quote);
    let first_row = rows_of(&first_lines, &delimiter, quote)
        .into_iter()
        .next()
        .unwrap_or_default();
    let has_header = !first_row.iter().any(|text| {
        let text = text.trim();
        text.parse::<f64>().is_ok() || items.index(text).is_some()
    });
    let names = match has_header {
        true => first_row.clone(),
        false => (0..first_row.len()).map(|number| number.to_string()).collect(),
    };
    let table = Table::new(path, config, names)?;
    let input = text.into_input();
    match delimiter.as_bytes() {
        &[byte] => {
            let mut reader = csv::ReaderBuilder::new();
            reader.flexible(true).has_headers(has_header).delimiter(byte);
            match quote {
                Some(quote) => reader.quote(quote),
                None => reader.quoting(false),
            };
            read_csv(path, compression, reader.from_reader(input), &table, take)?;
        }
        _ => {
            let mut lines = Lines::new(path, compression, input);
            let mut cutter = Cutter::new(&delimiter, None);
            let mut is_header = has_header;
            while lines.advance()? {
                if std::mem::take(&mut is_header) {
                    continue;
                }
                // Only a quote can be wrong, and with such a delimiter there are none.
                let _ = cutter.cut(lines.text());
                let parts = cutter.parts(lines.text());
                take(table.product(|column| tidy(parts.get(column)?)));
            }
        }
    }
    Ok(Detected {
        format: if delimiter.len() == 1 { "CSV" } else { "text" }.to_string(),
        delimiter: Some(delimiter),
        header: Some(has_header),
        ..Detected::default()
    })
}

/// A field in quotes may reach over several lines here: titles are texts.
fn read_csv(
    path: &Path,
    compression: Option<&'static str>,
    mut reader: csv::Reader<Box<dyn BufRead + '_>>,
    table: &Table,
    take: Take,
) -> Result<(), IngestError> {
    let mut record = csv::ByteRecord::new();
    loop {
        let read = reader.read_byte_record(&mut record);
        let more = read.map_err(|error| {
            let line = record.position().map_or(0, csv::Position::line);
            match error.into_kind() {
                csv::ErrorKind::Io(error) => read_error(path, compression, line, error),
                other => IngestError::Read {
                    path: path.to_path_buf(),
                    message: format!("{other:?}"),
                },
            }
        })?;
        if !more {
            return Ok(());
        }
        take(table.product(|column| tidy(record.get(column)?)));
    }
}

fn read_parquet(
    path: &Path,
    file: SerializedFileReader<File>,
    config: &DataConfig,
    take: Take,
) -> Result<Detected, IngestError> {
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let fields = schema.root_schema().get_fields();
    let table = Table::new(
        path,
        config,
        fields.iter().map(|field| field.name().to_string()).collect(),
    )?;
    let all = || {
        for row in file.get_row_iter(None)? {
            let columns = row?.into_columns();
            take(table.product(|column| text_of(&columns.get(column)?.1)));
        }
        Ok::<_, parquet::errors::ParquetError>(())
    };
    // The parquet crate panics on some damaged pages.
    let message = match catch_quietly(all) {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error.to_string()),
        None => Some("its pages contradict one another".to_string()),
    };
    match message {
        Some(message) => Err(IngestError::Read {
            path: path.to_path_buf(),
            message: format!("damaged Parquet: {message}"),
        }),
        None => Ok(Detected {
            format: "Parquet".to_string(),
            ..Detected::default()
        }),
    }
}

fn text_of(field: &Field) -> Option<String> {
    match field {
        Field::Null => None,
        Field::Str(text) => tidy(text.as_bytes()),
        Field::Bytes(bytes) => tidy(bytes.data()),
        other => tidy(other.to_string().as_bytes()),
    }
}

/// Columns by number.
struct Table {
    names: Vec<String>,
    id: usize,
    title: usize,
}

impl Table {
    /// Errors if the config asks for a column that is not there.
    fn new(path: &Path, config: &DataConfig, names: Vec<String>) -> Result<Self, IngestError> {
        let find = |key: &str, column: &Column, usual: usize| {
            let found = match column {
                Column::Auto => Some(usual),
                Column::Number(number) => Some(*number),
                Column::Name(name) => names.iter().position(|present| present.trim() == name),
            };
            let found = found.filter(|column| *column < names.len());
            found.ok_or_else(|| no_column(path, key, column, &names, None))
        };
        let id = find("title_columns.id", &config.title_columns.id, 0)?;
        let title = find("title_columns.title", &config.title_columns.title, 1)?;
        Ok(Self { names, id, title })
    }

    /// A row, of which `text` tells what stands in a column.
    fn product(&self, text: impl Fn(usize) -> Option<String>) -> Option<Product> {
        let (id, title) = text(self.id).zip(text(self.title))?;
        let others = (0..self.names.len()).filter(|column| ![self.id, self.title].contains(column));
        let others = others.filter_map(|column| Some((self.names[column].clone(), Value::String(text(column)?))));
        Some(Product {
            id,
            title,
            details: details(others.collect()),
        })
    }
}

fn details(others: Map<String, Value>) -> String {
    match others.is_empty() {
        true => String::new(),
        false => Value::Object(others).to_string(),
    }
}

/// On one line; `None` if nothing is left.
fn tidy(text: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.to_string(),
        Err(_) => text.iter().map(|&byte| char::from(byte)).collect(),
    };
    let text = text.trim().replace(char::is_control, " ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::data::progress::Silent;

    fn titles(name: &str, text: &[u8]) -> Result<(Vec<String>, String, TitleReport), IngestError> {
        let path = std::env::temp_dir().join(format!("dotcart-titles-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let mut config = Config::default().data;
        config.titles = path.clone();
        let mut items = Vocabulary::<ItemIndex>::default();
        ["007", "B2", "7"].iter().for_each(|id| {
            items.intern(id);
        });
        let result = read(&config, &items, &Silent);
        std::fs::remove_file(path).unwrap();
        let (titles, report) = result?;
        let of = |texts: &Texts, place: usize| {
            let range = texts.starts()[place] as usize..texts.starts()[place + 1] as usize;
            String::from_utf8(texts.bytes()[range].to_vec()).unwrap()
        };
        let all = (0..titles.len()).map(|place| of(&titles.title, place)).collect();
        Ok((all, of(&titles.details, 0), report))
    }

    #[test]
    fn csv_and_json_lines_give_the_same() {
        let csv = "id,title,brand\n007,\"Bond, James\",MI6\nZZ,nobody,x\nB2,,x\n007,again,x\n";
        let json = "{\"asin\":\"007\",\"brand\":\"MI6\",\"title\":\"Bond, James\"}\n{\"asin\":\"ZZ\",\"title\":\"nobody\"}\n\
                    {\"asin\":\"B2\"}\n{\"asin\":\"007\",\"title\":\"again\"}\n";
        for (name, text) in [("a.csv", csv), ("a.jsonl", json)] {
            let (titles, details, report) = titles(name, text.as_bytes()).unwrap();
            assert_eq!(titles, ["Bond, James", "", ""]);
            assert_eq!(details, "{\"brand\":\"MI6\"}");
            let counts = (
                report.rows,
                report.matched,
                report.untitled,
                report.unrated,
                report.bad_rows,
            );
            assert_eq!(counts, (4, 1, 2, 1, 1), "{name}");
        }
    }

    #[test]
    fn a_table_without_header_is_read_by_numbers_and_latin_1_is_understood() {
        // As `movies.dat` of MovieLens 1M, whose ids are numbers and whose text is Latin-1.
        let movies = b"007::Am\xe9lie, 2001::Comedy|Romance\r\n8::nobody::\r\nB2::12::x\r\n";
        let (found, details, report) = titles("movies.dat", movies).unwrap();
        assert_eq!(found, ["Amélie, 2001", "12", ""]);
        assert_eq!(details, "{\"2\":\"Comedy|Romance\"}");
        assert_eq!(
            (report.rows, report.unrated, report.detected.header),
            (3, 1, Some(false))
        );
        // No number in the first row, but an id that is rated.
        let (found, _, report) = titles("no-header.csv", b"B2,a\n007,\"two\nlines\"\n").unwrap();
        assert_eq!(found, ["two lines", "a", ""]);
        assert_eq!((report.rows, report.detected.header), (2, Some(false)));
        let (found, details, _) = titles("header.dat", b"id::title::year\n007::Bond::1995\n").unwrap();
        assert_eq!((found[0].as_str(), details.as_str()), ("Bond", "{\"year\":\"1995\"}"));
    }

    #[test]
    fn a_table_without_titles_is_an_error() {
        let error = titles("narrow", b"id\nZZ\n").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no column `1` for `data.title_columns.title`"),
            "{error}"
        );
    }
}

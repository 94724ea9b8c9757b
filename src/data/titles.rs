//! Titles: a product table beside the ratings, matched by id; whatever else it says of a product is kept as one JSON text.

use super::fault::IngestError;
use super::format::{Content, Detected, Wanted, detect_delimiter, lines_of, resolve, sniff};
use super::progress::Progress;
use super::readers::delimited::read_error;
use super::report::TitleReport;
use super::vocabulary::Vocabulary;
use crate::config::{Column, DataConfig, Header};
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader, Cursor, Read};
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

/// Keys of the Amazon metadata dumps, then plain words.
const DIALECTS: [&[&str]; 4] = [
    &["parent_asin", "asin", "id", "product", "product_id", "item_id"],
    &["title", "name"],
    &[],
    &[],
];

/// One row of the table.
struct Product {
    id: String,
    title: String,
    details: String,
}

/// Reads the product table of a config: delimited text with a header, or JSON lines. The first row of an id counts.
///
/// Errors as ingest does; rows without an id or title are counted.
pub fn read(
    config: &DataConfig,
    items: &Vocabulary,
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
                found[index as usize].get_or_insert((product.title, product.details));
            }
        }
    };
    let Content::Text {
        compression,
        head,
        rest,
    } = sniff(path, progress)?
    else {
        return Err(IngestError::Format {
            path: path.to_path_buf(),
            found: "Parquet",
            hint: "titles are read from CSV with a header, or from JSON lines",
        });
    };
    let is_json = head.trim_ascii_start().first() == Some(&b'{');
    let lines = lines_of(&head, true);
    let delimiter = detect_delimiter(&lines);
    let input: Box<dyn BufRead + '_> = Box::new(BufReader::new(Cursor::new(head.clone()).chain(rest)));
    report.detected = Detected {
        format: if is_json { "JSON lines" } else { "CSV" }.to_string(),
        compression: compression.map(str::to_string),
        delimiter: (!is_json).then(|| delimiter.clone()),
        header: (!is_json).then_some(true),
        columns: Vec::new(),
    };
    match is_json {
        true => read_json(path, compression, input, config, &mut take)?,
        false => read_delimited(path, compression, input, &delimiter, config, &mut take)?,
    }
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

fn read_json(
    path: &Path,
    compression: Option<&'static str>,
    input: Box<dyn BufRead + '_>,
    config: &DataConfig,
    take: &mut dyn FnMut(Option<Product>),
) -> Result<(), IngestError> {
    for (line, text) in input.split(b'\n').enumerate() {
        let text = text.map_err(|error| read_error(path, compression, line as u64, error))?;
        if text.trim_ascii().is_empty() {
            continue;
        }
        let object: Option<Map<String, Value>> = serde_json::from_slice(&text).ok();
        take(object.and_then(|mut object| {
            let mut value = |column: &Column, known: &[&str]| {
                let key = match column {
                    Column::Name(name) => name.as_str(),
                    Column::Number(_) => known.iter().find(|key| object.contains_key(**key))?,
                };
                match object.remove(key)? {
                    Value::String(text) => tidy(&text),
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
    Ok(())
}

fn read_delimited(
    path: &Path,
    compression: Option<&'static str>,
    input: Box<dyn BufRead + '_>,
    delimiter: &str,
    config: &DataConfig,
    take: &mut dyn FnMut(Option<Product>),
) -> Result<(), IngestError> {
    let &[byte] = delimiter.as_bytes() else {
        return Err(IngestError::Format {
            path: path.to_path_buf(),
            found: "delimited by more than one character",
            hint: "titles are read from CSV with a header, or from JSON lines",
        });
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(byte)
        .from_reader(input);
    let fault = |line: u64, error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => read_error(path, compression, line, error),
        other => IngestError::Read {
            path: path.to_path_buf(),
            message: format!("{other:?}"),
        },
    };
    let names = reader.byte_headers().map_err(|error| fault(1, error))?;
    let names: Vec<String> = names
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    let wanted = Wanted {
        keys: ["title_columns.id", "title_columns.title", "", ""],
        columns: [
            Some(&config.title_columns.id),
            Some(&config.title_columns.title),
            None,
            None,
        ],
        dialects: DIALECTS,
        delimiter,
        header: Header::Given(true),
    };
    let columns = resolve(path, &wanted, &names, names.len())?;
    let (Some(id), Some(title)) = (columns[0], columns[1]) else {
        unreachable!("`resolve` finds every column that is asked for, or errors");
    };
    let mut record = csv::ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| fault(record.position().map_or(0, csv::Position::line), error))?
    {
        let text = |column: usize| tidy(std::str::from_utf8(record.get(column)?).ok()?);
        let product = text(id).zip(text(title)).map(|(id_text, title_text)| {
            let others = (0..names.len()).filter(|column| ![id, title].contains(column));
            let others = others.filter_map(|column| Some((names[column].clone(), Value::String(text(column)?))));
            Product {
                id: id_text,
                title: title_text,
                details: details(others.collect()),
            }
        });
        take(product);
    }
    Ok(())
}

fn details(others: Map<String, Value>) -> String {
    match others.is_empty() {
        true => String::new(),
        false => Value::Object(others).to_string(),
    }
}

/// On one line; `None` if nothing is left.
fn tidy(text: &str) -> Option<String> {
    let text = text.trim().replace(char::is_control, " ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::data::progress::Silent;

    fn titles(name: &str, text: &str) -> Result<(Vec<String>, String, TitleReport), IngestError> {
        let path = std::env::temp_dir().join(format!("dotcart-titles-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let mut config = Config::default().data;
        config.titles = path.clone();
        let mut items = Vocabulary::default();
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
            let (titles, details, report) = titles(name, text).unwrap();
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
    fn a_table_without_titles_is_an_error() {
        let error = titles("narrow", "id\n007\n").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no column `1` for `data.title_columns.title`"),
            "{error}"
        );
    }
}

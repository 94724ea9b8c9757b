//! Delimited text: one character or several between columns, quoted fields, one row a line.

use super::{Field, Fields, Row, Rows};
use crate::data::fault::{Fault, IngestError};
use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Longest row, in bytes; past it, a quote was never closed.
const MAX_ROW_BYTES: usize = 64 << 20;

/// How the text is cut into columns; see [`crate::data::format`] for how it is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub delimiter: String,
    /// The first row is not a rating.
    pub skip_first: bool,
    /// Columns that every row must have.
    pub width: usize,
    /// Numbers of the columns: user, product, rating, timestamp.
    pub columns: [Option<usize>; 4],
    /// Lines end in CR LF.
    pub crlf: bool,
}

/// Reads delimited text.
pub struct DelimitedRows<'a> {
    path: PathBuf,
    compression: Option<&'static str>,
    layout: Layout,
    records: Records<'a>,
    line: u64,
}

enum Records<'a> {
    /// A delimiter of one byte: the `csv` crate, with quotes.
    Csv {
        reader: Box<csv::Reader<Leash<'a>>>,
        record: csv::ByteRecord,
        row_bytes: Rc<Cell<usize>>,
    },
    /// A longer delimiter such as `::`; such files know no quotes.
    Lines {
        reader: BufReader<Leash<'a>>,
        line: Vec<u8>,
        row_bytes: Rc<Cell<usize>>,
    },
}

impl<'a> DelimitedRows<'a> {
    /// Rows of `input`, which must begin with the first line.
    pub fn new(
        path: &Path,
        compression: Option<&'static str>,
        input: Box<dyn Read + 'a>,
        layout: Layout,
    ) -> Result<Self, IngestError> {
        let row_bytes = Rc::new(Cell::new(0));
        let input = Leash {
            inner: input,
            row_bytes: Rc::clone(&row_bytes),
        };
        let records = match layout.delimiter.as_bytes() {
            [delimiter] => Records::Csv {
                reader: Box::new(
                    csv::ReaderBuilder::new()
                        .has_headers(false)
                        .flexible(true)
                        .delimiter(*delimiter)
                        .buffer_capacity(1 << 20)
                        .from_reader(input),
                ),
                record: csv::ByteRecord::new(),
                row_bytes,
            },
            _ => Records::Lines {
                reader: BufReader::with_capacity(1 << 20, input),
                line: Vec::new(),
                row_bytes,
            },
        };
        let skip_first = layout.skip_first;
        let mut rows = Self {
            path: path.to_path_buf(),
            compression,
            layout,
            records,
            line: 0,
        };
        if skip_first {
            rows.advance()?;
        }
        Ok(rows)
    }

    /// Reads a row into the buffer; false at the end.
    fn advance(&mut self) -> Result<bool, IngestError> {
        let line = self.line;
        match &mut self.records {
            Records::Csv {
                reader,
                record,
                row_bytes,
            } => {
                row_bytes.set(0);
                let read = reader
                    .read_byte_record(record)
                    .map_err(|error| match error.into_kind() {
                        csv::ErrorKind::Io(error) => read_error(&self.path, self.compression, line, error),
                        other => IngestError::Read {
                            path: self.path.clone(),
                            message: format!("{other:?}"),
                        },
                    })?;
                let position = record.position().map_or(0, csv::Position::line);
                // The csv crate counts a line when it meets the LF, which it reads with the next row if a CR came first.
                self.line = position + u64::from(self.layout.crlf && position > 1);
                // A stray quote swallows rows up to the next one: that is no single bad row.
                if read && record.as_slice().iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
                    return Err(IngestError::OpenQuote {
                        path: self.path.clone(),
                        line: self.line,
                    });
                }
                Ok(read)
            }
            Records::Lines {
                reader,
                line: text,
                row_bytes,
            } => loop {
                row_bytes.set(0);
                text.clear();
                let read = reader
                    .read_until(b'\n', text)
                    .map_err(|error| read_error(&self.path, self.compression, line, error))?;
                if read == 0 {
                    return Ok(false);
                }
                self.line += 1;
                while let Some(b'\n' | b'\r') = text.last() {
                    text.pop();
                }
                if !text.is_empty() {
                    return Ok(true);
                }
            },
        }
    }
}

/// A fault of the stream in the user's words.
pub fn read_error(path: &Path, compression: Option<&'static str>, line: u64, error: std::io::Error) -> IngestError {
    let path = path.to_path_buf();
    match compression {
        _ if error.get_ref().is_some_and(|inner| inner.is::<RowTooLong>()) => {
            IngestError::OpenQuote { path, line: line + 1 }
        }
        Some(compression) if error.kind() == std::io::ErrorKind::UnexpectedEof => IngestError::Truncated {
            path,
            compression,
            line,
        },
        Some(compression) => IngestError::Read {
            path,
            message: format!("damaged {compression} data after line {line}: {error}"),
        },
        None => IngestError::Read {
            path,
            message: error.to_string(),
        },
    }
}

impl Rows for DelimitedRows<'_> {
    fn next(&mut self) -> Result<Option<Row<'_>>, IngestError> {
        if !self.advance()? {
            return Ok(None);
        }
        let Layout {
            width,
            columns,
            delimiter,
            ..
        } = &self.layout;
        let mut fields: Fields = [Field::Missing; 4];
        let found = match &self.records {
            Records::Csv { record, .. } => {
                for (field, column) in fields.iter_mut().zip(columns) {
                    if let Some(text) = column.and_then(|column| record.get(column)) {
                        *field = Field::Text(text);
                    }
                }
                record.len()
            }
            Records::Lines { line, .. } => {
                let mut found = 0;
                for text in split(line, delimiter.as_bytes()) {
                    if let Some(place) = columns.iter().position(|column| *column == Some(found)) {
                        fields[place] = Field::Text(text);
                    }
                    found += 1;
                }
                found
            }
        };
        let fields = match found == *width {
            true => Ok(fields),
            false => Err((Fault::ColumnCount, format!("{found} columns, wanted {width}"))),
        };
        Ok(Some(Row {
            line: self.line,
            fields,
        }))
    }

    fn has_timestamps(&self) -> bool {
        self.layout.columns[3].is_some()
    }
}

/// The parts of `text` between occurrences of `delimiter`.
pub fn split<'a>(text: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match text.windows(delimiter.len()).position(|window| window == delimiter) {
            Some(at) => {
                rest = Some(&text[at + delimiter.len()..]);
                Some(&text[..at])
            }
            None => rest.take(),
        }
    })
}

/// Stops a row that would fill the memory.
struct Leash<'a> {
    inner: Box<dyn Read + 'a>,
    /// Bytes that were read since the last row ended.
    row_bytes: Rc<Cell<usize>>,
}

#[derive(Debug, thiserror::Error)]
#[error("a row is longer than {} MiB", MAX_ROW_BYTES >> 20)]
struct RowTooLong;

impl Read for Leash<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.row_bytes.get() > MAX_ROW_BYTES {
            return Err(std::io::Error::other(RowTooLong));
        }
        let read = self.inner.read(buffer)?;
        self.row_bytes.set(self.row_bytes.get() + read);
        Ok(read)
    }
}

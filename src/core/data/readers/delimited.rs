//! Delimited text: one character or several between columns, one row a line, or several where a quoted text has line breaks.

use super::cutter::Cutter;
use super::lines::Lines;
use super::{Field, Fields, Row, Rows};
use crate::data::fault::{Fault, IngestError};
use memchr::memchr;

/// How the text is cut into columns; see [`crate::data::format`] for how it is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub delimiter: String,
    pub quote: Option<u8>,
    /// Rows in front that are no ratings, such as a header.
    pub skip: usize,
    /// Columns that every row must have.
    pub width: usize,
    /// Numbers of the columns: user, product, rating or count, timestamp.
    pub columns: [Option<usize>; 4],
}

impl Layout {
    fn cutter(&self) -> Cutter {
        Cutter::new(&self.delimiter, self.quote)
    }
}

/// Longest row over several lines, in bytes: a longer one is a quote that is none.
const MAX_JOINED_BYTES: usize = 1 << 20;

/// Reads delimited text.
pub struct DelimitedRows<'a> {
    lines: Lines<'a>,
    cutter: Cutter,
    layout: Layout,
}

impl<'a> DelimitedRows<'a> {
    /// Rows of `lines`, which must begin with the first line. Errors if the rows in front cannot be read.
    pub fn new(lines: Lines<'a>, layout: Layout) -> Result<Self, IngestError> {
        let mut rows = Self {
            lines,
            cutter: layout.cutter(),
            layout,
        };
        for _ in 0..rows.layout.skip {
            if rows.lines.advance()? && rows.cutter.cut(rows.lines.text()).is_err() {
                // A name with a line break.
                while rows.lines.join_next()? && rows.cutter.cut(rows.lines.text()).is_err() {}
            }
        }
        Ok(rows)
    }

    /// A quote that opens at byte `at` of this line does not close on it: joins lines until it does.
    ///
    /// A stray quote would swallow rows up to the next one. So the row must come out whole, its quotes must be followed by a
    /// delimiter, and what it swallows must not look like rows. Errors if it does not.
    fn join_lines(&mut self, at: usize) -> Result<(), IngestError> {
        let quote = self.layout.quote.expect("a quote opens");
        let first_line = self.lines.number();
        let character = String::from_utf8_lossy(&self.lines.text()[..at]).chars().count() + 1;
        let mut closes = None;
        let mut swallows_rows = is_row(self.lines.text(), &self.layout, None);
        let mut is_whole = false;
        let mut start = self.lines.text().len();
        while start < MAX_JOINED_BYTES && self.lines.join_next()? {
            start += 1;
            let has_quote = memchr(quote, &self.lines.text()[start..]).is_some();
            if has_quote {
                closes.get_or_insert(self.lines.number());
                if self.cutter.cut(self.lines.text()).is_ok() {
                    is_whole = true;
                    break;
                }
            }
            swallows_rows |= is_row(&self.lines.text()[start..], &self.layout, self.layout.quote);
            start = self.lines.text().len();
        }
        let parts = self.cutter.parts(self.lines.text());
        let has_break = |column: &Option<usize>| {
            let text = column.and_then(|column| parts.get(column));
            text.is_some_and(|text| memchr(b'\n', text).is_some())
        };
        let fits = is_whole
            && !swallows_rows
            && !self.cutter.has_text_behind_quote()
            && parts.count() == self.layout.width
            && !self.layout.columns.iter().any(has_break);
        match fits {
            true => Ok(()),
            false => Err(IngestError::OpenQuote {
                path: self.lines.path().to_path_buf(),
                line: first_line,
                character,
                reach: match closes {
                    Some(closes) => format!("closes in line {closes}"),
                    None => format!("never closes, up to line {}", self.lines.number()),
                },
            }),
        }
    }
}

/// Whether a line is a row by itself.
fn is_row(line: &[u8], layout: &Layout, quote: Option<u8>) -> bool {
    let mut cutter = Cutter::new(&layout.delimiter, quote);
    let is_whole = cutter.cut(line).is_ok();
    let parts = cutter.parts(line);
    let is_number = |column: usize| {
        let text = parts.get(column).and_then(|text| std::str::from_utf8(text).ok());
        text.is_some_and(|text| text.trim().replace(',', ".").parse::<f32>().is_ok())
    };
    is_whole && parts.count() == layout.width && layout.columns[2].is_none_or(is_number)
}

impl Rows for DelimitedRows<'_> {
    fn next(&mut self) -> Result<Option<Row<'_>>, IngestError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let line = self.lines.number();
        if let Err(at) = self.cutter.cut(self.lines.text()) {
            self.join_lines(at)?;
        }
        let parts = self.cutter.parts(self.lines.text());
        let (found, wanted) = (parts.count(), self.layout.width);
        let fields: Result<Fields, _> = match found == wanted {
            true => Ok(self.layout.columns.map(|column| {
                let text = column.and_then(|column| parts.get_trimmed(column));
                text.map_or(Field::Missing, Field::Text)
            })),
            false => Err((Fault::ColumnCount, format!("{found} columns, wanted {wanted}"))),
        };
        Ok(Some(Row { line, fields }))
    }

    fn has_timestamps(&self) -> bool {
        self.layout.columns[3].is_some()
    }
}

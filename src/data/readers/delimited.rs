//! Delimited text: one character or several between columns, one row a line.

use super::cutter::Cutter;
use super::lines::Lines;
use super::{Field, Fields, Row, Rows};
use crate::data::fault::{Fault, IngestError};
use memchr::memchr;

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
}

/// Reads delimited text.
pub struct DelimitedRows<'a> {
    lines: Lines<'a>,
    cutter: Cutter,
    layout: Layout,
}

impl<'a> DelimitedRows<'a> {
    /// Rows of `lines`, which must begin with the first line. Errors if the header cannot be read.
    pub fn new(mut lines: Lines<'a>, layout: Layout) -> Result<Self, IngestError> {
        if layout.skip_first {
            lines.advance()?;
        }
        Ok(Self {
            lines,
            cutter: Cutter::new(&layout.delimiter),
            layout,
        })
    }

    /// A quote that opens at byte `at` of this line does not close on it. Reads on, to say how far it would reach.
    fn open_quote(&mut self, at: usize) -> IngestError {
        let line = self.lines.number();
        let character = String::from_utf8_lossy(&self.lines.text()[..at]).chars().count() + 1;
        let mut closes = None;
        // What else is wrong with the lines that follow can wait.
        while closes.is_none() && matches!(self.lines.advance(), Ok(true)) {
            closes = memchr(b'"', self.lines.text()).map(|_| self.lines.number());
        }
        IngestError::OpenQuote {
            path: self.lines.path().to_path_buf(),
            line,
            character,
            reach: match closes {
                Some(closes) => format!("closes in line {closes}"),
                None => format!("never closes, up to line {}", self.lines.number()),
            },
        }
    }
}

impl Rows for DelimitedRows<'_> {
    fn next(&mut self) -> Result<Option<Row<'_>>, IngestError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        // A stray quote swallows rows up to the next one: that is no single bad row.
        if let Err(at) = self.cutter.cut(self.lines.text()) {
            return Err(self.open_quote(at));
        }
        let parts = self.cutter.parts(self.lines.text());
        let (found, wanted) = (parts.count(), self.layout.width);
        let fields: Result<Fields, _> = match found == wanted {
            true => Ok(self.layout.columns.map(|column| {
                let text = column.and_then(|column| parts.get(column));
                text.map_or(Field::Missing, Field::Text)
            })),
            false => Err((Fault::ColumnCount, format!("{found} columns, wanted {wanted}"))),
        };
        Ok(Some(Row {
            line: self.lines.number(),
            fields,
        }))
    }

    fn has_timestamps(&self) -> bool {
        self.layout.columns[3].is_some()
    }
}

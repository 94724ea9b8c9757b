//! Readers: every format as the same rows of four fields.

pub mod cutter;
pub mod delimited;
pub mod json;
pub mod json_objects;
pub mod lines;
pub mod members;
pub mod parquet;
pub mod quiet;
pub mod utf16;
pub mod zip;

use super::fault::{Fault, IngestError};

/// What a file says in one place, before it is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    Missing,
    Text(&'a [u8]),
    Integer(i64),
    Unsigned(u64),
    Number(f64),
    /// A moment, since 1970.
    Seconds(i64),
}

/// User, product, rating or count, timestamp.
pub type Fields<'a> = [Field<'a>; 4];

/// One row: where it stands, and what it says or why that cannot be told.
#[derive(Debug)]
pub struct Row<'a> {
    /// Line of the file, from 1; in Parquet the row, from 1.
    pub line: u64,
    pub fields: Result<Fields<'a>, (Fault, String)>,
}

/// The rows of a file, one after the other.
pub trait Rows {
    /// The next row, `None` after the last. Errors if nothing more can be read.
    fn next(&mut self) -> Result<Option<Row<'_>>, IngestError>;

    /// Whether rows have a timestamp.
    fn has_timestamps(&self) -> bool;
}

//! User ids: one column of a Parquet file, as text, each with its row.
//!
//! The column is the only one, or of those with a known name (`user`, `customer_id`, ...) the likeliest.

use super::columns::list;
use super::fault::IngestError;
use super::format::parquet_file;
use super::progress::Silent;
use super::readers::parquet::ParquetRows;
use super::readers::{Field, Rows};
use crate::config::column_names::{Role, role_of};
use parquet::file::reader::FileReader;
use std::fs::File;
use std::path::Path;

/// Hands on each id with the number of its row, from 1; nulls are passed over.
///
/// Numbers become their decimal text, as in a ratings table. Errors if the file is damaged, if it is not clear which column is
/// meant, or if its type cannot be an id's.
pub fn user_ids<E: From<IngestError>>(
    path: &Path,
    file: File,
    mut take: impl FnMut(usize, &str) -> Result<(), E>,
) -> Result<(), E> {
    let file = parquet_file(path, file)?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    let column = user_column(&names).ok_or_else(|| IngestError::Unclear {
        path: path.to_path_buf(),
        key: Role::User.key(),
        present: list(&names),
        candidates: String::new(),
    })?;
    let mut rows = ParquetRows::new(path, file, [Some(column), None, None, None], &Silent)?;
    while let Some(row) = rows.next()? {
        let Ok([id, ..]) = row.fields else { continue };
        let row = row.line as usize;
        match id {
            Field::Missing => {}
            // What is no text is nobody's id, and is named like any other that is not known.
            Field::Text(bytes) => take(row, &String::from_utf8_lossy(bytes))?,
            Field::Integer(number) | Field::Seconds(number) => take(row, &number.to_string())?,
            Field::Unsigned(number) => take(row, &number.to_string())?,
            Field::Number(number) => take(row, &number.to_string())?,
        }
    }
    Ok(())
}

fn user_column(names: &[String]) -> Option<usize> {
    let known = names.iter().enumerate().filter_map(|(column, name)| {
        let (_, rank) = role_of(name).filter(|(role, _)| *role == Role::User)?;
        Some((rank, column))
    });
    let only = (names.len() == 1).then_some(0);
    known.min().map(|(_, column)| column).or(only)
}

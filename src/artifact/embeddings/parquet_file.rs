//! Vectors as Parquet, written as a stream: the columns `id` text and `embedding` list of f32, a row group a block.

use crate::artifact::tensor_file::FileError;
use crate::common::whole_file::WholeFile;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SCHEMA: &str = "message embeddings {
    required binary id (UTF8);
    required group embedding (LIST) { repeated group list { required float element; } }
}";

/// A table on its way. Dropped before its end it leaves nothing behind.
pub struct ParquetFile {
    path: PathBuf,
    file: SerializedFileWriter<WholeFile>,
}

impl ParquetFile {
    /// Begins a table.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let begin = || -> Result<_, ParquetError> {
            let numbers = ColumnPath::new(["embedding", "list", "element"].map(str::to_string).to_vec());
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
                // Hardly two numbers are alike.
                .set_column_dictionary_enabled(numbers, false)
                .set_created_by(concat!("dotcart ", env!("CARGO_PKG_VERSION")).to_string())
                .build();
            let schema = Arc::new(parse_message_type(SCHEMA)?);
            SerializedFileWriter::new(WholeFile::create(path)?, schema, Arc::new(properties))
        };
        Ok(Self {
            path: path.to_path_buf(),
            file: begin().map_err(fault(path))?,
        })
    }

    /// Appends rows, the numbers of each behind those of the one before. Panics if they are no whole number of rows.
    pub fn append(&mut self, ids: &[&str], numbers: &[f32]) -> Result<(), FileError> {
        let width = numbers.len() / ids.len().max(1);
        assert_eq!(
            ids.len() * width,
            numbers.len(),
            "ParquetFile: rows of different lengths"
        );
        let mut write = || -> Result<(), ParquetError> {
            let text: Vec<ByteArray> = ids.iter().map(|id| ByteArray::from(id.as_bytes().to_vec())).collect();
            // A list begins at level 0 and goes on at 1; each of its members is there.
            let begins: Vec<i16> = (0..numbers.len()).map(|at| i16::from(at % width != 0)).collect();
            let there = vec![1; numbers.len()];
            let mut group = self.file.next_row_group()?;
            let mut column = group.next_column()?.expect("the schema begins with the id");
            column.typed::<ByteArrayType>().write_batch(&text, None, None)?;
            column.close()?;
            let mut column = group.next_column()?.expect("the embedding follows it");
            column
                .typed::<FloatType>()
                .write_batch(numbers, Some(&there), Some(&begins))?;
            column.close()?;
            group.close()?;
            Ok(())
        };
        write().map_err(fault(&self.path))
    }

    /// Syncs and renames.
    pub fn finish(self) -> Result<(), FileError> {
        let Self { path, file } = self;
        let finish = || -> Result<(), ParquetError> { Ok(file.into_inner()?.finish()?) };
        finish().map_err(fault(&path))
    }
}

/// What Parquet says of a failed write, as the disk's own error if it is one.
fn fault(path: &Path) -> impl FnOnce(ParquetError) -> FileError + '_ {
    |error| {
        let source = match error {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(source) => *source,
                Err(source) => std::io::Error::other(source),
            },
            other => std::io::Error::other(other),
        };
        FileError::write(path)(source)
    }
}

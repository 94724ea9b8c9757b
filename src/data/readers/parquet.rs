//! Parquet: flat columns, read in batches, row group by row group.

use super::quiet::catch_quietly;
use super::{Field, Fields, Row, Rows};
use crate::data::fault::IngestError;
use crate::data::progress::{Progress, Unit};
use parquet::basic::{LogicalType, TimeUnit, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Rows that are decoded at a time.
const BATCH: usize = 8192;

/// What the four columns are for, in the words of errors.
const WANTED: [&str; 4] = [
    "text or whole numbers",
    "text or whole numbers",
    "numbers",
    "whole numbers",
];

/// Reads four columns of a Parquet file.
pub struct ParquetRows<'a> {
    path: PathBuf,
    progress: &'a dyn Progress,
    file: SerializedFileReader<File>,
    columns: [Option<usize>; 4],
    next_group: usize,
    /// Rows of the open row group that are not decoded yet.
    left: usize,
    readers: [Option<ColumnReader>; 4],
    batches: [Batch; 4],
    place: usize,
    rows: usize,
    line: u64,
}

impl<'a> ParquetRows<'a> {
    /// Rows of `file`; `columns` are the numbers of user, product, rating and maybe timestamp.
    ///
    /// Errors if a column is nested or of a type that cannot be meant.
    pub fn new(
        path: &Path,
        file: SerializedFileReader<File>,
        columns: [Option<usize>; 4],
        progress: &'a dyn Progress,
    ) -> Result<Self, IngestError> {
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        for (column, wanted) in columns.iter().zip(WANTED) {
            let Some(column) = column.map(|column| schema.column(column)) else {
                continue;
            };
            let found = match column.physical_type() {
                _ if column.max_rep_level() > 0 => "is a list".to_string(),
                Type::BYTE_ARRAY
                | Type::FIXED_LEN_BYTE_ARRAY
                | Type::INT32
                | Type::INT64
                | Type::FLOAT
                | Type::DOUBLE
                    if !matches!(column.logical_type_ref(), Some(LogicalType::Decimal(..))) =>
                {
                    continue;
                }
                Type::INT96 | Type::BOOLEAN => format!("is {}", column.physical_type()),
                _ => "is DECIMAL".to_string(),
            };
            return Err(IngestError::ColumnType {
                path: path.to_path_buf(),
                column: column.path().string(),
                found,
                wanted,
            });
        }
        let rows = file.metadata().file_metadata().num_rows();
        progress.begin("reading", Unit::Rows, u64::try_from(rows).ok());
        Ok(Self {
            path: path.to_path_buf(),
            progress,
            file,
            columns,
            next_group: 0,
            left: 0,
            readers: [const { None }; 4],
            batches: Default::default(),
            place: 0,
            rows: 0,
            line: 0,
        })
    }

    /// Fills the batches; false after the last row group.
    fn decode(&mut self) -> Result<bool, ParquetError> {
        while self.left == 0 {
            if self.next_group == self.file.num_row_groups() {
                return Ok(false);
            }
            let group = self.file.get_row_group(self.next_group)?;
            self.next_group += 1;
            self.left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            for (reader, column) in self.readers.iter_mut().zip(self.columns) {
                *reader = column.map(|column| group.get_column_reader(column)).transpose()?;
            }
        }
        let wanted = self.left.min(BATCH);
        let schema = self.file.metadata().file_metadata().schema_descr_ptr();
        for ((reader, batch), column) in self.readers.iter_mut().zip(&mut self.batches).zip(self.columns) {
            if let (Some(reader), Some(column)) = (reader, column) {
                batch.fill(reader, &schema.column(column), wanted)?;
            }
        }
        self.left -= wanted;
        (self.place, self.rows) = (0, wanted);
        Ok(true)
    }
}

impl Rows for ParquetRows<'_> {
    fn next(&mut self) -> Result<Option<Row<'_>>, IngestError> {
        if self.place == self.rows {
            let (path, line) = (self.path.clone(), self.line);
            // Found by fuzzing: the parquet crate panics on some damaged pages. Nothing is read after such an error.
            let message = match catch_quietly(|| self.decode()) {
                Some(Ok(decoded)) => Ok(decoded),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("its pages contradict one another".to_string()),
            };
            let decoded = message.map_err(|message| IngestError::Read {
                path,
                message: format!("damaged Parquet after row {line}: {message}"),
            })?;
            self.progress.at(line);
            if !decoded {
                return Ok(None);
            }
        }
        let mut fields: Fields = [Field::Missing; 4];
        for ((field, batch), column) in fields.iter_mut().zip(&self.batches).zip(self.columns) {
            if column.is_some() {
                *field = batch.field(self.place);
            }
        }
        self.place += 1;
        self.line += 1;
        Ok(Some(Row {
            line: self.line,
            fields: Ok(fields),
        }))
    }

    fn has_timestamps(&self) -> bool {
        self.columns[3].is_some()
    }
}

/// A column's next rows.
#[derive(Default)]
struct Batch {
    /// Where each row's value stands; `None` is a null.
    places: Vec<Option<u32>>,
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Text(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Integers(Vec::new())
    }
}

impl Batch {
    /// Decodes exactly `wanted` rows. Errors if the column ends before.
    fn fill(&mut self, reader: &mut ColumnReader, column: &ColumnDescPtr, wanted: usize) -> Result<(), ParquetError> {
        let levels = &mut self.levels;
        levels.clear();
        self.values = match reader {
            ColumnReader::ByteArrayColumnReader(reader) => Values::Text(read(reader, levels, wanted)?),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => Values::Fixed(read(reader, levels, wanted)?),
            ColumnReader::Int32ColumnReader(reader) => {
                Values::Integers(read(reader, levels, wanted)?.into_iter().map(i64::from).collect())
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let ticks = ticks_per_second(column);
                let values = read(reader, levels, wanted)?.into_iter();
                Values::Integers(values.map(|value| value.div_euclid(ticks)).collect())
            }
            ColumnReader::FloatColumnReader(reader) => {
                Values::Numbers(read(reader, levels, wanted)?.into_iter().map(f64::from).collect())
            }
            ColumnReader::DoubleColumnReader(reader) => Values::Numbers(read(reader, levels, wanted)?),
            _ => return Err(ParquetError::General("a column changed its type".to_string())),
        };
        let most = column.max_def_level();
        let mut next = 0;
        self.places.clear();
        self.places.extend((0..wanted).map(|row| {
            let is_value = most == 0 || levels.get(row) == Some(&most);
            is_value.then(|| {
                next += 1;
                next - 1
            })
        }));
        let values = match &self.values {
            Values::Text(values) => values.len(),
            Values::Fixed(values) => values.len(),
            Values::Integers(values) => values.len(),
            Values::Numbers(values) => values.len(),
        };
        if next as usize != values {
            return Err(ParquetError::General(format!("{values} values for {next} rows")));
        }
        Ok(())
    }

    fn field(&self, row: usize) -> Field<'_> {
        let Some(place) = self.places[row] else {
            return Field::Missing;
        };
        match &self.values {
            Values::Text(values) => Field::Text(values[place as usize].data()),
            Values::Fixed(values) => Field::Text(values[place as usize].data()),
            Values::Integers(values) => Field::Integer(values[place as usize]),
            Values::Numbers(values) => Field::Number(values[place as usize]),
        }
    }
}

/// Exactly `wanted` rows of a column, nulls left out of the values.
fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    levels: &mut Vec<i16>,
    wanted: usize,
) -> Result<Vec<T::T>, ParquetError> {
    let mut values = Vec::with_capacity(wanted);
    let mut rows = 0;
    while rows < wanted {
        let (read, ..) = reader.read_records(wanted - rows, Some(levels), None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::EOF(format!(
                "a column ends after {rows} of {wanted} rows"
            )));
        }
        rows += read;
    }
    Ok(values)
}

/// Timestamps that say their unit are read as seconds; all other numbers as they are.
fn ticks_per_second(column: &ColumnDescPtr) -> i64 {
    match column.logical_type_ref() {
        Some(LogicalType::Timestamp(kind)) => match kind.unit {
            TimeUnit::MILLIS => 1_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        },
        _ => 1,
    }
}

//! Parquet: flat columns, read in batches, row group by row group.

use super::quiet::catch_quietly;
use super::{Field, Fields, Row, Rows};
use crate::common::calendar::DAY;
use crate::data::fault::IngestError;
use crate::data::progress::{Progress, Unit};
use parquet::basic::{CompressionCodec, ConvertedType, LogicalType, TimeUnit, Type};
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
const WANTED: [&str; 4] = ["text or whole numbers", "text or whole numbers", "numbers", "times"];

/// Reads four columns of a Parquet file.
pub struct ParquetRows<'a> {
    path: PathBuf,
    progress: &'a dyn Progress,
    file: SerializedFileReader<File>,
    columns: [Option<usize>; 4],
    kinds: [Kind; 4],
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
            if column.max_rep_level() > 0 {
                return Err(IngestError::ColumnType {
                    path: path.to_path_buf(),
                    column: column.path().string(),
                    found: "is a list".to_string(),
                    wanted,
                });
            }
        }
        let kinds = columns.map(|column| column.map_or(Kind::Plain, |column| Kind::of(&schema.column(column))));
        let chunks = file.metadata().row_groups().iter().flat_map(|group| group.columns());
        let unknown = chunks
            .map(|chunk| chunk.compression_codec())
            .find(|codec| matches!(codec, CompressionCodec::BROTLI | CompressionCodec::LZO));
        if let Some(codec) = unknown {
            return Err(IngestError::Format {
                path: path.to_path_buf(),
                found: if codec == CompressionCodec::LZO {
                    "Parquet packed with lzo"
                } else {
                    "Parquet packed with brotli"
                },
                hint: "write it again with another codec, with pandas: `to_parquet(FILE, compression=\"zstd\")`",
            });
        }
        let rows = file.metadata().file_metadata().num_rows();
        progress.begin("reading", Unit::Rows, u64::try_from(rows).ok());
        Ok(Self {
            path: path.to_path_buf(),
            progress,
            file,
            columns,
            kinds,
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
        let columns = self.columns.iter().zip(self.kinds);
        for ((reader, batch), (column, kind)) in self.readers.iter_mut().zip(&mut self.batches).zip(columns) {
            if let (Some(reader), Some(column)) = (reader, column) {
                batch.fill(reader, kind, schema.column(*column).max_def_level(), wanted)?;
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
    /// Made here from bytes that are no text.
    Words(Vec<String>),
    Integers(Vec<i64>),
    Unsigned(Vec<u64>),
    Numbers(Vec<f64>),
    Seconds(Vec<i64>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Integers(Vec::new())
    }
}

impl Batch {
    /// Decodes exactly `wanted` rows; `most` is the definition level of a value that is there. Errors if the column ends before.
    fn fill(&mut self, reader: &mut ColumnReader, kind: Kind, most: i16, wanted: usize) -> Result<(), ParquetError> {
        let levels = &mut self.levels;
        levels.clear();
        self.values = match reader {
            ColumnReader::ByteArrayColumnReader(reader) => {
                let values = read(reader, levels, wanted)?;
                match kind {
                    Kind::Decimal(scale) => Values::Words(decimals(values.iter().map(ByteArray::data), scale)),
                    _ => Values::Text(values),
                }
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                let values = read(reader, levels, wanted)?;
                let bytes = values.iter().map(|value| value.data());
                match kind {
                    Kind::Decimal(scale) => Values::Words(decimals(bytes, scale)),
                    Kind::Half => Values::Numbers(bytes.map(half).collect()),
                    Kind::Uuid => Values::Words(bytes.map(uuid).collect()),
                    _ => Values::Fixed(values),
                }
            }
            ColumnReader::BoolColumnReader(reader) => {
                Values::Integers(read(reader, levels, wanted)?.into_iter().map(i64::from).collect())
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let values = read(reader, levels, wanted)?;
                match kind {
                    Kind::Unsigned => {
                        Values::Unsigned(values.into_iter().map(|value| u64::from(value as u32)).collect())
                    }
                    kind => of_integers(values.into_iter().map(i64::from), kind),
                }
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let values = read(reader, levels, wanted)?;
                match kind {
                    Kind::Unsigned => Values::Unsigned(values.into_iter().map(|value| value as u64).collect()),
                    kind => of_integers(values.into_iter(), kind),
                }
            }
            ColumnReader::Int96ColumnReader(reader) => Values::Seconds(
                read(reader, levels, wanted)?
                    .iter()
                    .map(|value| value.to_seconds())
                    .collect(),
            ),
            ColumnReader::FloatColumnReader(reader) => {
                Values::Numbers(read(reader, levels, wanted)?.into_iter().map(f64::from).collect())
            }
            ColumnReader::DoubleColumnReader(reader) => Values::Numbers(read(reader, levels, wanted)?),
        };
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
            Values::Words(values) => values.len(),
            Values::Integers(values) => values.len(),
            Values::Unsigned(values) => values.len(),
            Values::Numbers(values) => values.len(),
            Values::Seconds(values) => values.len(),
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
            Values::Words(values) => Field::Text(values[place as usize].as_bytes()),
            Values::Integers(values) => Field::Integer(values[place as usize]),
            Values::Unsigned(values) => Field::Unsigned(values[place as usize]),
            Values::Numbers(values) => Field::Number(values[place as usize]),
            Values::Seconds(values) => Field::Seconds(values[place as usize]),
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

/// What the bits of a column stand for, where that is not what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Unsigned,
    /// Days since 1970.
    Date,
    /// So many ticks a second since 1970.
    Time(i64),
    /// Digits after the point.
    Decimal(u32),
    Half,
    Uuid,
}

impl Kind {
    fn of(column: &ColumnDescPtr) -> Self {
        const NANOSECONDS: i64 = 1_000_000_000;
        let decimal = |scale: i32| Self::Decimal(u32::try_from(scale).unwrap_or(0));
        match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Integer(kind)), _) if !kind.is_signed => Self::Unsigned,
            (Some(LogicalType::Date), _) => Self::Date,
            (Some(LogicalType::Timestamp(kind)), _) => Self::Time(match kind.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => NANOSECONDS,
            }),
            (Some(LogicalType::Decimal(kind)), _) => decimal(kind.scale),
            (Some(LogicalType::Float16), _) if column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY => Self::Half,
            (Some(LogicalType::Uuid), _) if column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY => Self::Uuid,
            (Some(_), _) => Self::Plain,
            // Older writers say it in the older way alone.
            (
                None,
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
            ) => Self::Unsigned,
            (None, ConvertedType::DATE) => Self::Date,
            (None, ConvertedType::TIMESTAMP_MILLIS) => Self::Time(1_000),
            (None, ConvertedType::TIMESTAMP_MICROS) => Self::Time(1_000_000),
            (None, ConvertedType::DECIMAL) => decimal(column.type_scale()),
            (None, _) => Self::Plain,
        }
    }
}

fn of_integers(values: impl Iterator<Item = i64>, kind: Kind) -> Values {
    match kind {
        Kind::Date => Values::Seconds(values.map(|days| days.saturating_mul(DAY)).collect()),
        Kind::Time(ticks) => Values::Seconds(values.map(|value| value.div_euclid(ticks)).collect()),
        Kind::Decimal(scale) => Values::Words(values.map(|value| decimal(i128::from(value), scale)).collect()),
        _ => Values::Integers(values.collect()),
    }
}

/// Big-endian numbers in two's complement; what is longer than 128 bits is no number.
fn decimals<'a>(values: impl Iterator<Item = &'a [u8]>, scale: u32) -> Vec<String> {
    let number = |bytes: &[u8]| {
        let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if is_negative { 0xff } else { 0 }; 16];
        wide.get_mut(16usize.checked_sub(bytes.len())?..)?
            .copy_from_slice(bytes);
        Some(i128::from_be_bytes(wide))
    };
    values
        .map(|bytes| number(bytes).map_or(String::new(), |number| decimal(number, scale)))
        .collect()
}

/// `number / 10^scale` in decimal text, without zeros at the end of a fraction.
fn decimal(number: i128, scale: u32) -> String {
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale.min(64) as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale.min(64) as usize);
    let fraction = fraction.trim_end_matches('0');
    let sign = if number < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// IEEE 754 binary16, little-endian.
fn half(bytes: &[u8]) -> f64 {
    let Ok(bits) = <[u8; 2]>::try_from(bytes).map(u16::from_le_bytes) else {
        return f64::NAN;
    };
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
    sign * match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text += &format!("{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_are_no_plain_numbers_come_out_as_their_values() {
        assert_eq!(decimal(450, 2), "4.5");
        assert_eq!(
            (decimal(-5, 2), decimal(300, 2), decimal(7, 0)),
            ("-0.05".into(), "3".into(), "7".into())
        );
        assert_eq!(
            decimals([[0xff, 0x38].as_slice(), &[0x01, 0xc2], &[0; 17]].into_iter(), 2),
            ["-2", "4.5", ""]
        );
        for (bits, value) in [
            (0x4480u16, 4.5),
            (0xbc00, -1.0),
            (0x0001, 2f64.powi(-24)),
            (0x7c00, f64::INFINITY),
            (0, 0.0),
        ] {
            assert_eq!(half(&bits.to_le_bytes()), value);
        }
        assert!(half(&0x7e00u16.to_le_bytes()).is_nan());
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(uuid(&bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}

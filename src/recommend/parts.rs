//! Parts: rankings as Parquet files, a row for each recommended product.
//!
//! Columns: `user` text, `rank` from 1, `product` text, `title` text or null, `score` f32, `predicted_rating` f32 or null,
//! `train_ratings` (of the product) i32, `basis` text ([`super::Basis`]). One row group a file; what was asked of which model
//! stands in its metadata, under `dotcart.request`. The same rankings give the same bytes.

use super::{Ranking, RecommendError};
use crate::common::whole_file::WholeFile;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

const SCHEMA: &str = "message recommendations {
    required binary user (UTF8);
    required int32 rank;
    required binary product (UTF8);
    optional binary title (UTF8);
    required float score;
    optional float predicted_rating;
    required int32 train_ratings;
    required binary basis (UTF8);
}";

/// Key of what a part is about.
const ABOUT: &str = "dotcart.request";

/// Writes the rankings to `path`, and what they are about.
pub fn write_part(path: &Path, rankings: &[Ranking], about: String) -> Result<(), RecommendError> {
    let write = || -> Result<(), ParquetError> {
        let file = encode(WholeFile::create(path)?, rankings, about)?.into_inner()?;
        Ok(file.finish()?)
    };
    write().map_err(|error| {
        let source = match error {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(source) => *source,
                Err(source) => std::io::Error::other(source),
            },
            other => std::io::Error::other(other),
        };
        RecommendError::Write {
            path: path.to_path_buf(),
            source,
        }
    })
}

/// What a part is about that was written before, if it says so, and its rows. Errors if it is no Parquet file.
pub fn read_part(path: &Path) -> Result<(Option<String>, usize), RecommendError> {
    let file = File::open(path).map_err(|source| RecommendError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let reader = SerializedFileReader::new(file).map_err(|error| RecommendError::DamagedPart {
        path: path.to_path_buf(),
        fault: error.to_string(),
    })?;
    let metadata = reader.metadata().file_metadata();
    let mut pairs = metadata.key_value_metadata().into_iter().flatten();
    let about = pairs.find(|pair| pair.key == ABOUT).and_then(|pair| pair.value.clone());
    Ok((about, metadata.num_rows() as usize))
}

fn encode<W: std::io::Write + Send>(
    out: W,
    rankings: &[Ranking],
    about: String,
) -> Result<SerializedFileWriter<W>, ParquetError> {
    let level = ZstdLevel::try_new(1)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(concat!("dotcart ", env!("CARGO_PKG_VERSION")).to_string())
        .set_key_value_metadata(Some(vec![KeyValue::new(ABOUT.to_string(), about)]))
        .build();
    let mut file = SerializedFileWriter::new(out, Arc::new(parse_message_type(SCHEMA)?), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    let rows = || {
        let of_ranking = |ranking| move |product| (ranking, product);
        rankings
            .iter()
            .flat_map(move |ranking: &Ranking| ranking.products.iter().map(of_ranking(ranking)))
    };
    let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
    let mut number = 0;
    while let Some(mut column) = group.next_column()? {
        match (number, column.untyped()) {
            (0 | 2 | 7, ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let values: Vec<ByteArray> = rows()
                    .map(|(ranking, product)| match number {
                        0 => text(ranking.user.as_deref().unwrap_or_default()),
                        2 => text(&product.product),
                        _ => text(ranking.basis.name()),
                    })
                    .collect();
                writer.write_batch(&values, None, None)?;
            }
            (3, ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let levels: Vec<i16> = rows().map(|(_, product)| i16::from(product.title.is_some())).collect();
                let values: Vec<ByteArray> = rows()
                    .filter_map(|(_, product)| product.title.as_deref())
                    .map(text)
                    .collect();
                writer.write_batch(&values, Some(&levels), None)?;
            }
            (1 | 6, ColumnWriter::Int32ColumnWriter(writer)) => {
                let values: Vec<i32> = rows()
                    .map(|(_, product)| match number {
                        1 => product.rank as i32,
                        _ => product.train_ratings as i32,
                    })
                    .collect();
                writer.write_batch(&values, None, None)?;
            }
            (4, ColumnWriter::FloatColumnWriter(writer)) => {
                let values: Vec<f32> = rows().map(|(_, product)| product.score).collect();
                writer.write_batch(&values, None, None)?;
            }
            (5, ColumnWriter::FloatColumnWriter(writer)) => {
                let predicted = || rows().map(|(_, product)| product.predicted_rating);
                let levels: Vec<i16> = predicted().map(|rating| i16::from(rating.is_some())).collect();
                let values: Vec<f32> = predicted().flatten().collect();
                writer.write_batch(&values, Some(&levels), None)?;
            }
            _ => unreachable!("the columns are those of the schema"),
        }
        column.close()?;
        number += 1;
    }
    group.close()?;
    Ok(file)
}

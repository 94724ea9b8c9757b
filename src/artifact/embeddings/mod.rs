//! Embeddings for an index: vectors whose plain inner product puts a user's products in the order of the run's own lists.
//!
//! ```text
//! choices learned   [user_choice_embedding, 1] . [item_choice_embedding, item_appeal] = appeal
//! else              [user_embedding, 1] . [item_embedding, item_bias]                 = (logit - bias) / scale - user_bias
//! ```
//!
//! Shapes: users `[users, dim + 1]`, products `[products, dim + 1]`, f32. What a user adds to all of their products alike orders
//! nothing and is left out; so is the scale, which is above zero in every model file. No number is computed: each is one of the
//! model's own, so an exact index differs from the run's lists by the rounding of its sums alone, in ties.
//!
//! Files: `users` and `products`, as `.npy` with the ids in `.ids.jsonl` (a JSON string a line, in row order: an id may hold a
//! line break), or as `.parquet` with the columns `id` and `embedding`. `embeddings.json` says of which run they are and what the
//! inner product is; it is written last, so an export without it was interrupted. A block of rows is in memory at a time.
//!
//! A ranking with a `like_weight` is no inner product: it is refused, since an index of the appeal alone would give other lists
//! than the run does and nobody would see it.

mod npy_file;
mod parquet_file;

use super::run_directory::{CONFIG, MODEL, RunDirectory, RunError};
use super::tensor_file::FileError;
use super::vocabulary_file::VocabularyFile;
use crate::artifact::model_file::Read;
use crate::artifact::origin::Origin;
use crate::common::block::first_not_finite;
use crate::common::hint::Hint;
use crate::common::interaction::DenseIndex;
use crate::common::whole_file::{WholeFile, write_whole};
use crate::config::{Config, ConfigError};
use crate::engine::cpu::item_rows::ItemRows;
use npy_file::NpyFile;
use parquet_file::ParquetFile;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the other files are.
const ABOUT: &str = "embeddings.json";
/// Numbers in memory at a time: 16 MiB, and as much again for Parquet.
const NUMBERS_PER_BLOCK: usize = 1 << 22;

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A matrix, and the ids beside it.
    Npy,
    /// A row an id.
    Parquet,
}

const NPY: &str = "npy";
const IDS: &str = "ids.jsonl";
const PARQUET: &str = "parquet";

impl Form {
    /// Of a table's files, that of the vectors first.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Npy => &[NPY, IDS],
            Self::Parquet => &[PARQUET],
        }
    }
}

/// Embeddings could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportEmbeddingsError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("`{0}` exists already")]
    Exists(PathBuf),
    #[error("run `{run}` is ranked by appeal + {like_weight} ln(score), which is no inner product")]
    NoInnerProduct { run: String, like_weight: f64 },
}

impl Hint for ExportEmbeddingsError {
    fn hint(&self) -> String {
        match self {
            Self::Run(error) => error.hint(),
            Self::Config(error) => error.hint(),
            Self::Exists(_) => "`--force` replaces it; or name another folder with `--out`".to_string(),
            Self::NoInnerProduct { .. } => format!(
                "train with `--set train.ranking.like_weight=0`; or take the tables as they are from `{MODEL}` and rank by \
                 the appeal alone"
            ),
        }
    }
}

impl From<FileError> for ExportEmbeddingsError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

/// What the files are of, for who finds them.
#[derive(Serialize)]
struct About<'a> {
    #[serde(flatten)]
    origin: &'a Origin,
    dotcart_version: &'static str,
    /// The similarity to index by.
    metric: &'static str,
    /// What it is.
    inner_product: &'static str,
    /// Coordinates of a vector.
    dimensions: usize,
    users: usize,
    products: usize,
}

/// Writes the files into `folder`, made if need be; returns each table with its rows.
///
/// Nothing is written if one of them exists and `force` is not given; each is renamed from a temporary name when it is whole.
pub fn export_embeddings(
    run: &RunDirectory,
    form: Form,
    folder: &Path,
    force: bool,
) -> Result<Vec<(PathBuf, usize)>, ExportEmbeddingsError> {
    let config = Config::load(&run.file(CONFIG), &[])?;
    let files = run.open()?;
    let choices = files.model.choice_rows(Read::All)?;
    let like_weight = config.train.ranking.like_weight;
    if choices.is_some() && like_weight > 0.0 {
        let run = run.path().display().to_string();
        return Err(ExportEmbeddingsError::NoInnerProduct { run, like_weight });
    }
    let (inner_product, products) = match choices {
        Some(rows) => ("appeal", rows),
        None => ("(logit - bias) / scale - user_bias", files.model.item_rows(Read::All)?),
    };
    let (embeddings, dim) = files.model.user_embeddings()?;
    let ones = vec![1.0; files.users.len()];
    let model = run.file(MODEL);
    let users = Table {
        name: "users",
        ids: &files.users,
        rows: ItemRows::of_tensors(embeddings, &ones, dim),
        model: &model,
    };
    let products = Table {
        name: "products",
        ids: &files.products,
        rows: products,
        model: &model,
    };
    let about = folder.join(ABOUT);
    let of_both = [users.paths(folder, form), products.paths(folder, form)];
    let mut all = of_both.iter().flatten().chain([&about]);
    if let Some(path) = all.find(|path| !force && path.exists()) {
        return Err(ExportEmbeddingsError::Exists(path.clone()));
    }
    std::fs::create_dir_all(folder).map_err(FileError::write(folder))?;
    if about.exists() {
        // It must not vouch for half of the new files.
        std::fs::remove_file(&about).map_err(FileError::write(&about))?;
    }
    users.write(folder, form)?;
    products.write(folder, form)?;
    let text = serde_json::to_vec_pretty(&About {
        origin: &run.origin()?,
        dotcart_version: env!("CARGO_PKG_VERSION"),
        metric: "inner product",
        inner_product,
        dimensions: dim + 1,
        users: users.ids.len(),
        products: products.ids.len(),
    });
    let text = [text.expect("it is JSON"), b"\n".to_vec()].concat();
    write_whole(&about, &text).map_err(FileError::write(&about))?;
    let rows = [users.ids.len(), products.ids.len()];
    Ok(of_both.iter().map(|paths| paths[0].clone()).zip(rows).collect())
}

/// One side of the inner product: its ids, and rows whose bias is the last coordinate.
struct Table<'a, Index> {
    name: &'static str,
    ids: &'a VocabularyFile<Index>,
    rows: ItemRows<'a>,
    /// Where the rows are from, for messages.
    model: &'a Path,
}

impl<Index: DenseIndex> Table<'_, Index> {
    fn path(&self, folder: &Path, ending: &str) -> PathBuf {
        folder.join(format!("{}.{ending}", self.name))
    }

    /// All files, that of the vectors first.
    fn paths(&self, folder: &Path, form: Form) -> Vec<PathBuf> {
        let endings = form.endings().iter();
        endings.map(|ending| self.path(folder, ending)).collect()
    }

    fn write(&self, folder: &Path, form: Form) -> Result<(), FileError> {
        match form {
            Form::Npy => {
                let (path, ids) = (self.path(folder, NPY), self.path(folder, IDS));
                let mut matrix = NpyFile::create(&path, self.rows.len(), self.rows.dim() + 1)?;
                let mut lines = WholeFile::create(&ids).map_err(FileError::write(&ids))?;
                self.for_each_block(|names, numbers| {
                    for name in names {
                        let line = serde_json::to_string(name).expect("text is JSON");
                        writeln!(lines, "{line}").map_err(FileError::write(&ids))?;
                    }
                    matrix.append(numbers)
                })?;
                lines.finish().map_err(FileError::write(&ids))?;
                matrix.finish()
            }
            Form::Parquet => {
                let mut table = ParquetFile::create(&self.path(folder, PARQUET))?;
                self.for_each_block(|names, numbers| table.append(names, numbers))?;
                table.finish()
            }
        }
    }

    /// Hands on the ids and the vectors of the rows, some at a time. Errors on a number that is not finite.
    fn for_each_block(
        &self,
        mut consume: impl FnMut(&[&str], &[f32]) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let step = (NUMBERS_PER_BLOCK / (self.rows.dim() + 1)).max(1);
        let (mut names, mut numbers) = (Vec::new(), Vec::new());
        for first in (0..self.rows.len()).step_by(step) {
            names.clear();
            numbers.clear();
            for row in first..self.rows.len().min(first + step) {
                names.push(self.ids.id(Index::new(row as u32))?);
                numbers.extend_from_slice(self.rows.weights(row));
                numbers.push(self.rows.bias(row));
            }
            if first_not_finite(&numbers).is_some() {
                return Err(FileError::damaged(self.model, "it holds a number that is not finite"));
            }
            consume(&names, &numbers)?;
        }
        Ok(())
    }
}

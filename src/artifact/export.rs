//! Export: the very rows that a run trained on, chose its epoch by and was judged on, for other programs to do the same.
//!
//! `train.csv`, `valid.csv`, `test.csv`: `user,product,rating` with a header, ids as in the ratings file, natural rows (nothing
//! oversampled), grouped by user.

use crate::artifact::run_directory::{RunDirectory, RunError};
use crate::artifact::tensor_file::FileError;
use crate::common::hint::Hint;
use crate::common::interaction::Part;
use crate::common::whole_file::WholeFile;
use std::path::{Path, PathBuf};

/// Splits could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportSplitsError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("`{0}` exists already")]
    Exists(PathBuf),
}

impl Hint for ExportSplitsError {
    fn hint(&self) -> String {
        match self {
            Self::Run(error) => error.hint(),
            Self::Exists(_) => "`--force` replaces it; or name another folder with `--out`".to_string(),
        }
    }
}

impl From<FileError> for ExportSplitsError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

/// Writes the three files into `folder`, made if need be; returns each with its rows.
///
/// Nothing is written if one of them exists and `force` is not given; each is renamed from a temporary name when it is whole.
pub fn export_splits(
    run: &RunDirectory,
    folder: &Path,
    force: bool,
) -> Result<Vec<(PathBuf, usize)>, ExportSplitsError> {
    let parts = [Part::Train, Part::Valid, Part::Test];
    let paths = parts.map(|part| folder.join(format!("{}.csv", part.name())));
    if let Some(path) = paths.iter().find(|path| !force && path.exists()) {
        return Err(ExportSplitsError::Exists(path.clone()));
    }
    std::fs::create_dir_all(folder).map_err(FileError::write(folder))?;
    let files = run.open()?;
    let (users, products) = (&files.users, &files.products);
    let (interactions, row_parts) = files.read_rows()?;
    let mut written = Vec::new();
    for (part, path) in parts.into_iter().zip(paths) {
        let fault = |error: csv::Error| FileError::write(&path)(error.into());
        let mut file = csv::Writer::from_writer(WholeFile::create(&path).map_err(FileError::write(&path))?);
        let mut rows = 0;
        file.write_record(["user", "product", "rating"]).map_err(fault)?;
        for row in (0..row_parts.len()).filter(|&row| row_parts[row] == part as u8) {
            let record = [
                users.id(interactions.users[row])?,
                products.id(interactions.items[row])?,
                &interactions.ratings[row].to_string(),
            ];
            file.write_record(record).map_err(fault)?;
            rows += 1;
        }
        let file = file.into_inner().map_err(|error| error.into_error());
        file.and_then(WholeFile::finish).map_err(FileError::write(&path))?;
        written.push((path, rows));
    }
    Ok(written)
}

//! The source: a readable file, the user's own, a downloaded one or a generated stand-in, and never a silent one.

use super::download::{DownloadError, download};
use super::parts::{is_glob, parts};
use super::progress::Progress;
use super::synthetic;
use crate::common::hint::Hint;
use crate::config::{DataConfig, WhenMissing};
use std::path::{Path, PathBuf};

/// A file to read, and whether people or dotcart made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    pub generated: bool,
}

/// There is no file to read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("no ratings at `{path}` ({place})")]
    Missing { path: PathBuf, place: &'static str },
    #[error("neither a config nor a table is at `{}`", .0.display())]
    NoTable(PathBuf),
    #[error("cannot write generated ratings to `{path}`: {source}")]
    Generate { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Download(#[from] DownloadError),
}

impl Hint for SourceError {
    fn hint(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "set `data.path` to a ratings file; README says where the Electronics file comes from".to_string()
            }
            Self::NoTable(_) => {
                "a path that ends in .toml is a config, any other a table: a file, a folder or a quoted glob"
                    .to_string()
            }
            Self::Generate { .. } => {
                "generated ratings go beside `data.path`; that folder must be writable and have room".to_string()
            }
            Self::Download(error) => error.hint(),
        }
    }
}

/// Finds the ratings file of a config.
///
/// If it is missing and the config says so, it is downloaded, or a stand-in is generated beside it; a path that the user gave
/// on the command line (`path_is_explicit`) must exist. Errors if there is nothing to read or to write to.
pub fn locate(
    config: &DataConfig,
    path_is_explicit: bool,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Source, SourceError> {
    let is_there = config.path.exists() || (is_glob(&config.path) && parts(&config.path).is_ok());
    if is_there {
        return Ok(Source {
            path: config.path.clone(),
            generated: false,
        });
    }
    if path_is_explicit || config.when_missing == WhenMissing::Error {
        let place = if path_is_explicit {
            "--set data.path"
        } else {
            "data.path"
        };
        return Err(SourceError::Missing {
            path: config.path.clone(),
            place,
        });
    }
    if config.when_missing == WhenMissing::Download {
        download(&config.url, &config.path, progress)?;
        return Ok(Source {
            path: config.path.clone(),
            generated: false,
        });
    }
    let size = &config.generate;
    let name = format!(
        "generated-{}x{}x{}-seed{seed}.csv",
        size.ratings, size.users, size.products
    );
    let path = config.path.parent().unwrap_or(Path::new("")).join(name);
    synthetic::write_file(&path, size, seed).map_err(|source| SourceError::Generate {
        path: path.clone(),
        source,
    })?;
    Ok(Source { path, generated: true })
}

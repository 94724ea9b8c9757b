//! The data stage from outside: formats, configs, and the binary on bad days.

#[path = "../common/needs.rs"]
mod needs;

mod bad_input;
mod binary;
mod configs;
mod formats;
mod parquet_types;
mod tables;

use std::path::{Path, PathBuf};

/// A folder of one test, empty.
pub fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("dotcart-data-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The project's own folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

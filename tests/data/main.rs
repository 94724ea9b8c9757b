//! The data stage from outside: formats, configs, and the binary on bad days.

mod bad_input;
mod binary;
mod configs;
mod formats;

use std::path::{Path, PathBuf};

/// A folder of one test, empty.
pub fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("dotcart-data-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The real files; without them the test says so and is left out.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub fn real_data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DOTCART_REAL_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED {test}: DOTCART_REAL_DATA names no folder with the real files");
    }
    folder
}

/// The project's own folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

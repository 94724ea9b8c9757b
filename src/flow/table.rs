//! A table without a config: its scale is found with its rows, and its settings are chosen for its size.

use super::error::PipelineError;
use super::pipeline::{Loaded, load};
use crate::config::defaults_for::{Setting, TableSize, defaults_for};
use crate::config::{Assignment, Config};
use crate::data::fault::IngestError;
use crate::data::format::STDIN;
use crate::data::progress::Progress;
use crate::data::source::SourceError;
use std::path::Path;
use toml::Value;

/// Whether a path names a table, not an experiment: `-`, a folder, or a file that is no TOML.
pub fn is_table(path: &Path) -> bool {
    /// No config is as long.
    const LONGEST: u64 = 1 << 20;
    if path.extension().is_some_and(|extension| extension == "toml") {
        return false;
    }
    let is_short = path
        .metadata()
        .is_ok_and(|file| file.is_file() && file.len() <= LONGEST);
    let text = is_short.then(|| std::fs::read_to_string(path).ok()).flatten();
    !text.is_some_and(|text| text.parse::<toml::Table>().is_ok_and(|table| !table.is_empty()))
}

/// A table and the config that was made for it.
pub struct Table {
    pub config: Config,
    pub loaded: Loaded,
    /// What was chosen and not set.
    pub settings: Vec<Setting>,
}

/// Reads a table and chooses the settings for it, beneath those that are `set`.
pub fn open(path: &Path, set: &[Assignment], progress: &dyn Progress) -> Result<Table, PipelineError> {
    let is_stdin = path == Path::new("-");
    let origin = path.display().to_string();
    let text = |text: String| Value::String(text);
    let mut named = Vec::new();
    if is_stdin {
        named.push(Assignment::by("TABLE", "data.path", text(STDIN.to_string())));
    } else {
        named.push(Assignment::by("TABLE", "data.path", text(origin.clone())));
        named.push(Assignment::by("TABLE", "name", text(name_of(path))));
    }
    let config_with = |more: &[Assignment]| Config::from_text("", &origin, &[&named, more, set].concat());
    let path_is_explicit = set.iter().any(Assignment::names_path);
    let scale_is_set = set
        .iter()
        .any(|set| set.key == "data" || set.key.starts_with("data.rating_scale"));
    let config = config_with(&[])?;
    let mut scale = Vec::new();
    let loaded = match load(&config, path_is_explicit, progress) {
        // A pipe cannot be read again.
        Err(PipelineError::Ingest(IngestError::TooManyBadRows { scale: Some(other), .. }))
            if !scale_is_set && config.data.path != Path::new(STDIN) =>
        {
            let ends = [other.min, other.max].map(|end| Value::Float(f64::from(end)));
            scale.push(Assignment::by(
                "found",
                "data.rating_scale",
                Value::Array(ends.to_vec()),
            ));
            load(&config_with(&scale)?, path_is_explicit, progress)?
        }
        // Nobody wrote a `data.path` here that could be set right.
        Err(PipelineError::Source(SourceError::Missing { path, .. })) if !path_is_explicit => {
            return Err(SourceError::NoTable(path).into());
        }
        loaded => loaded?,
    };
    let report = &loaded.prepared.report;
    let found = config_with(&scale)?;
    let mut settings = defaults_for(&TableSize {
        rows: loaded.prepared.split.train().rows().len(),
        users: report.users,
        products: report.items,
        scale: found.data.rating_scale,
        has_one_value: report.has_ratings && report.histogram.len() == 1,
    });
    let is_set = |key: &str| {
        set.iter()
            .any(|set| key == set.key || key.starts_with(&format!("{}.", set.key)))
    };
    settings.retain(|setting| !is_set(&setting.assignment.key));
    let chosen = settings.iter().map(|setting| setting.assignment.clone());
    let config = config_with(&scale.into_iter().chain(chosen).collect::<Vec<_>>())?;
    Ok(Table {
        config,
        loaded,
        settings,
    })
}

/// What runs on a table are called: its file name up to the first point, in the letters that a run's name may have.
fn name_of(path: &Path) -> String {
    let file = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().to_string());
    let stem = file.trim_start_matches('.').split('.').next().unwrap_or_default();
    let name: String = stem
        .chars()
        .filter(|c| !"*?".contains(*c))
        .map(|c| match c.is_alphanumeric() || c == '-' {
            true => c,
            false => '_',
        })
        .collect();
    match name.is_empty() {
        true => "run".to_string(),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_after_its_table() {
        let name = |path: &str| name_of(Path::new(path));
        assert_eq!(name("data/my ratings.csv.gz"), "my_ratings");
        assert_eq!(name("parts/part-*.parquet"), "part-");
        assert_eq!(name("folder/"), "folder");
        assert_eq!(name("*"), "run");
    }
}

//! Compare: runs side by side, each as its own evaluation says.
//!
//! Figures of different splits are about different rows, so whether runs share one is part of the answer. A run judged by an
//! older dotcart, whose `evaluation.json` says less, is judged anew in memory; its folder is left as it is.

use crate::artifact::run_directory::{CONFIG, DATA_REPORT, EVALUATION, INTERACTIONS, RunDirectory};
use crate::common::interaction::Part;
use crate::config::Config;
use crate::data::progress::Progress;
use crate::data::report::DataReport;
use crate::evaluate::{Evaluation, FORMAT_VERSION, evaluate};
use crate::flow::error::PipelineError;
use crate::flow::moved_lists::{MovedLists, moved_lists};
use serde::Serialize;
use std::collections::BTreeMap;

/// Runs side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether all runs hold the same ratings, split in the same way.
    pub same_split: bool,
    pub runs: Vec<ComparedRun>,
    /// Keys of the configs that are not the same everywhere, with the value of each run.
    pub differences: BTreeMap<String, Vec<String>>,
    /// The lists of each further run beside those of the first, for users of both.
    pub lists: Vec<MovedLists>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRun {
    /// As `--run` takes it.
    pub run: String,
    pub best_epoch: usize,
    pub evaluation: Evaluation,
}

/// Reads complete runs; errors if one is unfinished or damaged.
pub fn compare(runs: &[RunDirectory], progress: &dyn Progress) -> Result<Comparison, PipelineError> {
    let mut compared = Vec::new();
    let mut digests = Vec::new();
    let mut configs = Vec::new();
    for run in runs {
        let manifest = run.verify()?;
        let config = Config::load(&run.file(CONFIG), &[])?;
        compared.push(ComparedRun {
            run: run.argument(),
            best_epoch: manifest.best_epoch,
            evaluation: read_or_judge(run, &config, progress)?,
        });
        digests.push(manifest.files.get(INTERACTIONS).cloned());
        configs.push(keys(&config));
    }
    let mut lists = Vec::new();
    for run in &runs[1..] {
        lists.extend(moved_lists(&runs[0], run)?);
    }
    Ok(Comparison {
        lists,
        same_split: digests.iter().all(|digest| digest.is_some() && *digest == digests[0]),
        runs: compared,
        differences: differences(&configs),
    })
}

fn read_or_judge(run: &RunDirectory, config: &Config, progress: &dyn Progress) -> Result<Evaluation, PipelineError> {
    let stored: serde_json::Value = run.read_json(EVALUATION)?;
    if stored["format_version"] == FORMAT_VERSION {
        return Ok(Evaluation::read(run)?);
    }
    let report: DataReport = run.read_json(DATA_REPORT)?;
    Ok(evaluate(run, config, Part::Test, report.generated, progress)?)
}

/// Dotted keys and their values as text.
fn keys(config: &Config) -> BTreeMap<String, String> {
    fn walk(prefix: &str, value: &toml::Value, found: &mut BTreeMap<String, String>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    let path = if prefix.is_empty() {
                        key.clone()
                    } else {
                        format!("{prefix}.{key}")
                    };
                    walk(&path, value, found);
                }
            }
            value => {
                found.insert(prefix.to_string(), value.to_string());
            }
        }
    }
    let mut found = BTreeMap::new();
    let value = toml::Value::try_from(config).expect("a config is a TOML table");
    walk("", &value, &mut found);
    found
}

/// The keys that differ; one that a config does not have reads `-`.
fn differences(configs: &[BTreeMap<String, String>]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for key in configs.iter().flat_map(BTreeMap::keys) {
        let value = |config: &BTreeMap<String, String>| config.get(key).cloned().unwrap_or_else(|| "-".to_string());
        let values: Vec<String> = configs.iter().map(value).collect();
        // Runs are named by their folders already.
        if key != "name" && values.iter().any(|value| *value != values[0]) {
            found.insert(key.clone(), values);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_differ_are_named() {
        let load = |text: &str| keys(&Config::from_text(text, "x.toml", &[]).unwrap());
        let found = differences(&[
            load(""),
            load("name = \"other\"\n[oversample]\nfactors = { \"1\" = 2.0 }\n[model]\ndim = 32"),
        ]);
        let expected = [
            ("model.dim", vec!["64", "32"]),
            ("oversample.factors.1", vec!["-", "2.0"]),
        ];
        let found: Vec<_> = found
            .iter()
            .map(|(key, values)| (key.as_str(), values.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        assert_eq!(found, expected);
    }
}

//! Trials of a sweep, as people read them.

use dotcart::common::format::{duration, percent};
use dotcart::config::StoppingMetric;
use dotcart::flow::sweep::journal::{Outcome, Settings};
use dotcart::flow::trials::Ranked;

/// A trial that is done, in one line.
pub fn trial_line(trial: &Ranked) -> String {
    let settings: Vec<_> = trial
        .settings
        .iter()
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    let outcome = match trial.outcome {
        Outcome::Trained {
            best_epoch,
            valid,
            seconds,
            ..
        } => format!(
            "valid loss {:.4}, AUC {:.4} at epoch {best_epoch} in {}",
            valid.loss,
            valid.auc,
            duration(*seconds)
        ),
        Outcome::Failed { failure } => failure.clone(),
    };
    format!("trial {}: {}: {outcome}", trial.number, settings.join(", "))
}

/// A heading and a line for each trial, in the order given; the columns of what is varied are as wide as they need.
pub fn table(ranking: &[Ranked], metric: StoppingMetric) -> Vec<String> {
    let keys: Vec<&String> = ranking
        .first()
        .map_or_else(Vec::new, |trial| trial.settings.keys().collect());
    let text = |settings: &Settings, key: &String| settings[key].to_string();
    let widths: Vec<usize> = keys
        .iter()
        .map(|key| {
            let values = ranking.iter().map(|trial| text(trial.settings, key).chars().count());
            values.max().unwrap_or(0).max(key.chars().count())
        })
        .collect();
    let row = |trial: &str, cells: Vec<String>, figures: &str| {
        let cells: Vec<_> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:>width$}"))
            .collect();
        format!("  {trial:>5}   {}   {figures}", cells.join("   "))
    };
    let by = match metric {
        StoppingMetric::Auto | StoppingMetric::ValidLoss => "loss",
        StoppingMetric::ValidAuc => "AUC",
        StoppingMetric::ValidNdcg => "NDCG",
    };
    let names = keys.iter().map(ToString::to_string).collect();
    let ranked = |trial: &Ranked| match trial.outcome {
        Outcome::Trained { valid, .. } => valid.ranking,
        Outcome::Failed { .. } => None,
    };
    let of_rankings = match ranking.iter().find_map(ranked) {
        Some(first) => format!("  NDCG@{}   popular", first.k),
        None => String::new(),
    };
    let heads = format!("  loss      AUC   precision    recall   epoch     time{of_rankings}");
    let mut lines = vec![format!("best first by {by}:"), row("trial", names, &heads)];
    for trial in ranking {
        let cells = keys.iter().map(|key| text(trial.settings, key)).collect();
        let figures = match trial.outcome {
            Outcome::Trained {
                best_epoch,
                valid,
                seconds,
                ..
            } => {
                let ranking = valid.ranking.map_or(String::new(), |ranking| {
                    format!("   {:.4}    {:.4}", ranking.ndcg, ranking.popular_ndcg)
                });
                format!(
                    "{:.4}   {:.4}   {:>9}   {:>7}   {best_epoch:>5}   {:>6}{ranking}",
                    valid.loss,
                    valid.auc,
                    percent(valid.precision),
                    percent(valid.recall),
                    duration(*seconds),
                )
            }
            Outcome::Failed { failure } => failure.clone(),
        };
        lines.push(row(&trial.number.to_string(), cells, &figures));
    }
    lines
}

//! Contradictions: what one key leaves to another, each checked once. What a key may be by itself stands with its declaration.

use super::schema::Config;
use super::section::{Found, OutOfRange};
use super::values::{
    Column, Duplicates, OversampleStrategy, Positives, SplitStrategy, StoppingMetric, Target, WhenMissing,
};
use std::fmt::Display;

impl Config {
    /// The first key that does not go with another, with what was wanted.
    pub(super) fn contradiction(&self) -> Option<OutOfRange> {
        let refused = |key: &str, message: String| OutOfRange {
            key: key.to_string(),
            message,
        };
        let wanted = |holds: bool, key: &str, found: &dyn Display, wanted: &str| {
            (!holds).then(|| refused(key, format!("found `{found}`, wanted {wanted}")))
        };
        let (data, split, train) = (&self.data, &self.split, &self.train);
        let (scale, ranking) = (data.rating_scale, &train.ranking);

        let columns = [
            &data.columns.user,
            &data.columns.product,
            &data.columns.rating,
            &data.columns.timestamp,
            &data.columns.count,
        ];
        let is_given = |column: &Column| !matches!(column, Column::Auto) && !column.is_none();
        let distinct = (0..columns.len()).all(|a| (0..a).all(|b| columns[a] != columns[b] || !is_given(columns[a])));
        let counts_are_weights = !is_given(&data.columns.count) || !is_given(&data.columns.rating);
        let brings_test = !data.test_path.as_os_str().is_empty();
        let is_quote = data.quote.is_empty()
            || data.quote.len() == 1 && !data.quote.contains(['\n', '\r']) && data.quote != data.delimiter;
        let classes_are_named = match self.oversample.strategy {
            OversampleStrategy::None => None,
            OversampleStrategy::Factors => (!self.oversample.factors.is_empty()).then_some("factors"),
            OversampleStrategy::Counts => Some("counts"),
            _ => Some("strategy"),
        };
        let mean_of_classes = (data.duplicates == Duplicates::Mean)
            .then_some(classes_are_named)
            .flatten();
        // Beyond 2^53 a whole number is not exact as f64; no table is as long.
        let is_count = |amount: f64| amount.fract() == 0.0 && (0.0..=9e15).contains(&amount);
        let (is_amount, amount): (&dyn Fn(f64) -> bool, _) = match split.strategy {
            SplitStrategy::LeaveLastOut => (&is_count, "a whole number of rows per user, for example 1"),
            SplitStrategy::Random | SplitStrategy::Temporal => (
                &|amount| (0.0..1.0).contains(&amount) || is_count(amount),
                "a share from 0 to below 1, or a whole number of rows",
            ),
        };
        let oversample = &self.oversample;
        let counts_are_read = match oversample.strategy {
            OversampleStrategy::Counts => !oversample.counts.is_empty(),
            OversampleStrategy::Factors => oversample.counts.is_empty() || !oversample.factors.is_empty(),
            _ => true,
        };
        wanted(
            distinct,
            "data.columns",
            &columns.map(in_quotes).join(", "),
            "different columns",
        )
        .or(wanted(
            counts_are_weights,
            "data.columns.count",
            &in_quotes(&data.columns.count),
            "`\"\"` beside a rating column: counts are read where there is none (`data.columns.rating = \"\"`)",
        ))
        .or(wanted(
            data.when_missing != WhenMissing::Download || !data.url.is_empty(),
            "data.url",
            &"",
            "an address, because `data.when_missing` is `download`",
        ))
        .or(wanted(
            is_quote,
            "data.quote",
            &data.quote,
            "one character of ASCII that is no delimiter, or `\"\"`",
        ))
        .or(wanted(
            brings_test || data.valid_path.as_os_str().is_empty(),
            "data.valid_path",
            &data.valid_path.display(),
            "`data.test_path` beside it: rows of one's own are held out for both or for the test",
        ))
        .or(wanted(
            !brings_test || data.min_ratings_per_user == 1,
            "data.min_ratings_per_user",
            &data.min_ratings_per_user,
            "1, because `data.test_path` brings its own rows",
        ))
        .or(wanted(
            !brings_test || data.min_ratings_per_product == 1,
            "data.min_ratings_per_product",
            &data.min_ratings_per_product,
            "1, because `data.test_path` brings its own rows",
        ))
        .or(wanted(
            mean_of_classes.is_none(),
            "data.duplicates",
            &"mean",
            &format!(
                "`last` or `first`, because `oversample.{}` names rating classes and a mean falls between them",
                mean_of_classes.unwrap_or_default()
            ),
        ))
        .or(wanted(is_amount(split.valid), "split.valid", &split.valid, amount))
        .or(wanted(is_amount(split.test), "split.test", &split.test, amount))
        .or(wanted(
            split.valid >= 1.0 || split.test >= 1.0 || split.valid + split.test < 1.0,
            "split.test",
            &split.test,
            "valid + test below 1, so that something trains",
        ))
        .or((!counts_are_read).then(|| {
            let message = "`oversample.counts` belongs to the strategy `counts`: set both or neither";
            refused("oversample.strategy", message.to_string())
        }))
        .or(wanted(
            train.relevance == 0.0 || train.target == Target::Scaled,
            "train.relevance",
            &train.relevance,
            "0 where `train.target = \"binary\"`, which asks for relevance alone",
        ))
        .or(wanted(
            ranking.weight > 0.0 || train.early_stopping.metric != StoppingMetric::ValidNdcg,
            "train.early_stopping.metric",
            &"valid_ndcg",
            "another, because `train.ranking.weight` is 0: rankings are not learned",
        ))
        .or(wanted(
            ranking.positives == Positives::Counted
                || self.evaluate.relevant_from > scale.min && self.evaluate.relevant_from <= scale.max,
            "evaluate.relevant_from",
            &self.evaluate.relevant_from,
            "a rating on the scale, above its lowest",
        ))
    }
}

/// A column as a config names it.
fn in_quotes(column: &Column) -> String {
    match column {
        Column::Auto | Column::Number(_) => column.found(),
        Column::Name(name) => format!("\"{name}\""),
    }
}

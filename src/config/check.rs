//! Ranges and contradictions, each checked once.

use super::schema::{
    Column, Config, Duplicates, MAX_DIM, MAX_NEGATIVES, OversampleStrategy, Positives, Prior, SplitStrategy,
    StoppingMetric, Target, Threshold, WhenMissing,
};
use crate::common::calendar::day_of;

impl Config {
    /// The first key whose value is outside its range, with what was wanted.
    pub(super) fn out_of_range(&self) -> Option<(&'static str, String)> {
        let (data, split, train) = (&self.data, &self.split, &self.train);
        let (scale, ranking) = (data.rating_scale, &train.ranking);
        let wanted = |holds: bool, key: &'static str, found: &dyn std::fmt::Display, wanted: &str| {
            (!holds).then(|| (key, format!("found `{found}`, wanted {wanted}")))
        };
        let is_file_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) && !name.starts_with('.')
        };
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
        let is_day = |text: &str| text.is_empty() || day_of(text).is_some();
        let is_delimiter = !data.delimiter.is_empty() && !data.delimiter.contains(['\n', '\r']);
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
        let bad_factor = oversample
            .factors
            .iter()
            .find(|(_, factor)| !(**factor >= 1.0 && factor.is_finite()));
        let counts_are_read = match oversample.strategy {
            OversampleStrategy::Counts => !oversample.counts.is_empty(),
            OversampleStrategy::Factors => oversample.counts.is_empty() || !oversample.factors.is_empty(),
            _ => true,
        };
        wanted(is_file_name(&self.name), "name", &self.name, "letters, digits, `-`, `_` and `.`, not starting with `.`")
            .or(wanted(self.threads <= 1024, "threads", &self.threads, "0 to 1,024"))
            .or(wanted(
                scale.min < scale.max && scale.min.is_finite() && scale.max.is_finite(),
                "data.rating_scale",
                &format!("[{}, {}]", scale.min, scale.max),
                "two numbers, the lower first",
            ))
            .or(wanted((0.0..=1.0).contains(&data.max_bad_rows), "data.max_bad_rows", &data.max_bad_rows, "a share from 0 to 1"))
            .or(wanted(distinct, "data.columns", &columns.map(column_words).join(", "), "different columns"))
            .or(wanted(!data.columns.user.is_none(), "data.columns.user", &"", "a number or a name"))
            .or(wanted(!data.columns.product.is_none(), "data.columns.product", &"", "a number or a name"))
            .or(wanted(
                counts_are_weights,
                "data.columns.count",
                &column_words(&data.columns.count),
                "`\"\"` beside a rating column: counts are read where there is none (`data.columns.rating = \"\"`)",
            ))
            .or(wanted(
                data.unrated.iter().all(|value| value.is_finite()),
                "data.unrated",
                &format!("{:?}", data.unrated),
                "numbers",
            ))
            .or(wanted(
                data.when_missing != WhenMissing::Download || !data.url.is_empty(),
                "data.url",
                &"",
                "an address, because `data.when_missing` is `download`",
            ))
            .or(wanted(is_delimiter, "data.delimiter", &data.delimiter, "`auto` or the text between two columns"))
            .or(wanted(is_quote, "data.quote", &data.quote, "one character of ASCII that is no delimiter, or `\"\"`"))
            .or(wanted(
                brings_test || data.valid_path.as_os_str().is_empty(),
                "data.valid_path",
                &data.valid_path.display(),
                "`data.test_path` beside it: rows of one's own are held out for both or for the test",
            ))
            .or(wanted(
                !brings_test || data.min_ratings_per_user <= 1,
                "data.min_ratings_per_user",
                &data.min_ratings_per_user,
                "1, because `data.test_path` brings its own rows",
            ))
            .or(wanted(
                !brings_test || data.min_ratings_per_product <= 1,
                "data.min_ratings_per_product",
                &data.min_ratings_per_product,
                "1, because `data.test_path` brings its own rows",
            ))
            .or(wanted(data.min_ratings_per_user > 0, "data.min_ratings_per_user", &0, "at least 1"))
            .or(wanted(data.min_ratings_per_product > 0, "data.min_ratings_per_product", &0, "at least 1"))
            .or(wanted(is_day(&data.since), "data.since", &data.since, "a day as `YYYY-MM-DD`"))
            .or(wanted(is_day(&data.until), "data.until", &data.until, "a day as `YYYY-MM-DD`"))
            .or(wanted(
                mean_of_classes.is_none(),
                "data.duplicates",
                &"mean",
                &format!(
                    "`last` or `first`, because `oversample.{}` names rating classes and a mean falls between them",
                    mean_of_classes.unwrap_or_default()
                ),
            ))
            .or(wanted(data.generate.ratings > 0, "data.generate.ratings", &0, "at least 1"))
            .or(wanted(data.generate.users > 0, "data.generate.users", &0, "at least 1"))
            .or(wanted(data.generate.products > 0, "data.generate.products", &0, "at least 1"))
            .or(wanted(is_amount(split.valid), "split.valid", &split.valid, amount))
            .or(wanted(is_amount(split.test), "split.test", &split.test, amount))
            .or(wanted(
                split.valid >= 1.0 || split.test >= 1.0 || split.valid + split.test < 1.0,
                "split.test",
                &split.test,
                "valid + test below 1, so that something trains",
            ))
            .or(bad_class("oversample.factors", oversample.factors.keys()))
            .or(bad_class("oversample.counts", oversample.counts.keys()))
            .or(bad_factor.map(|(class, factor)| {
                let message = format!("class `{class}` has factor `{factor}`, wanted a factor of at least 1; to weaken a class, raise the others");
                ("oversample.factors", message)
            }))
            .or((!counts_are_read).then(|| {
                let message = "`oversample.counts` belongs to the strategy `counts`: set both or neither";
                ("oversample.strategy", message.to_string())
            }))
            .or(wanted(
                self.model.dim.is_multiple_of(4) && (4..=MAX_DIM).contains(&self.model.dim),
                "model.dim",
                &self.model.dim,
                "a multiple of 4 from 4 to 512",
            ))
            .or(wanted(train.epochs > 0, "train.epochs", &train.epochs, "at least 1"))
            .or(wanted((1..=1 << 20).contains(&train.batch_size), "train.batch_size", &train.batch_size, "1 to 1,048,576"))
            .or(wanted(
                train.learning_rate > 0.0 && train.learning_rate.is_finite(),
                "train.learning_rate",
                &train.learning_rate,
                "a number above 0",
            ))
            .or(wanted(train.clip >= 0.0 && train.clip.is_finite(), "train.clip", &train.clip, "a number of at least 0"))
            .or(wanted(
                train.reduce_on_plateau.factor > 0.0 && train.reduce_on_plateau.factor < 1.0,
                "train.reduce_on_plateau.factor",
                &train.reduce_on_plateau.factor,
                "a number between 0 and 1",
            ))
            .or(wanted(
                (0.0..1.0).contains(&train.relevance),
                "train.relevance",
                &train.relevance,
                "at least 0 and below 1; `train.target = \"binary\"` asks for relevance alone",
            ))
            .or(wanted(
                train.relevance == 0.0 || train.target == Target::Scaled,
                "train.relevance",
                &train.relevance,
                "0 where `train.target = \"binary\"`, which asks for relevance alone",
            ))
            .or(wanted(train.l2 >= 0.0 && train.l2.is_finite(), "train.l2", &train.l2, "a number of at least 0"))
            .or(wanted(
                train.prior.bias >= 0.0 && train.prior.bias.is_finite(),
                "train.prior.bias",
                &train.prior.bias,
                "a number of at least 0",
            ))
            .or(wanted(
                train.prior.embedding >= 0.0 && train.prior.embedding.is_finite(),
                "train.prior.embedding",
                &train.prior.embedding,
                "a number of at least 0",
            ))
            .or(wanted(
                train.prior.centre_rank <= Prior::MAX_CENTRE_RANK,
                "train.prior.centre_rank",
                &train.prior.centre_rank,
                "0 to 256",
            ))
            .or(wanted((0.0..=1.0).contains(&ranking.weight), "train.ranking.weight", &ranking.weight, "a share from 0 to 1"))
            .or(wanted(
                ranking.dim.is_multiple_of(4) && (4..=MAX_DIM).contains(&ranking.dim),
                "train.ranking.dim",
                &ranking.dim,
                "a multiple of 4 from 4 to 512",
            ))
            .or(wanted(
                (1..=MAX_NEGATIVES).contains(&ranking.negatives),
                "train.ranking.negatives",
                &ranking.negatives,
                "1 to 16,384",
            ))
            .or(wanted(
                (0.0..=1.0).contains(&ranking.popularity),
                "train.ranking.popularity",
                &ranking.popularity,
                "0 (all alike) to 1 (as often as they are rated)",
            ))
            .or(wanted(
                ranking.l2 >= 0.0 && ranking.l2.is_finite(),
                "train.ranking.l2",
                &ranking.l2,
                "a number of at least 0",
            ))
            .or(wanted(
                ranking.like_weight >= 0.0 && ranking.like_weight.is_finite(),
                "train.ranking.like_weight",
                &ranking.like_weight,
                "a number of at least 0",
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
            .or(match self.evaluate.threshold {
                Threshold::Score(score) => wanted((0.0..=1.0).contains(&score), "evaluate.threshold", &score, "`relevant` or a score from 0 to 1"),
                Threshold::Relevant => None,
            })
            .or(wanted(
                !self.evaluate.k.is_empty() && self.evaluate.k[0] > 0 && self.evaluate.k.is_sorted_by(|a, b| a < b),
                "evaluate.k",
                &format!("{:?}", self.evaluate.k),
                "whole numbers above 0, ascending",
            ))
    }
}

fn column_words(column: &Column) -> String {
    match column {
        Column::Auto => "auto".to_string(),
        Column::Number(number) => number.to_string(),
        Column::Name(name) => format!("\"{name}\""),
    }
}

/// The first class that is no number, or the same number as one before it.
fn bad_class<'a>(key: &'static str, classes: impl Iterator<Item = &'a String>) -> Option<(&'static str, String)> {
    let mut seen: Vec<(f32, &String)> = Vec::new();
    for class in classes {
        let Some(rating) = class.parse::<f32>().ok().filter(|rating| rating.is_finite()) else {
            return Some((
                key,
                format!("found class `{class}`, wanted a rating such as `1` or `2.5`"),
            ));
        };
        if let Some((_, twin)) = seen.iter().find(|(other, _)| *other == rating) {
            return Some((
                key,
                format!("`{twin}` and `{class}` are the same class, wanted one of them"),
            ));
        }
        seen.push((rating, class));
    }
    None
}

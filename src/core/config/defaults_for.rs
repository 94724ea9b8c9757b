//! Settings for a table that comes without a config, by its size and density: a rule each, with its reason.

use super::layers::{Assignment, parse_value};
use crate::common::interaction::RatingScale;

/// What the rules look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableSize {
    /// Rows of the training split.
    pub rows: usize,
    pub users: usize,
    pub products: usize,
    pub scale: RatingScale,
    /// All rows say the same, so that there is no rating to tell from another.
    pub has_one_value: bool,
}

/// A setting and why it was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub assignment: Assignment,
    pub why: String,
}

impl Setting {
    fn new(key: &str, value: impl std::fmt::Display, why: impl Into<String>) -> Self {
        Self {
            assignment: Assignment::by("chosen for the table:", key, parse_value(&value.to_string())),
            why: why.into(),
        }
    }
}

/// Steps that an epoch should have at least: the tuned configs have 129 and 157.
const STEPS_PER_EPOCH: usize = 160;
/// Steps that a training should have at least, in at most [`MAX_EPOCHS`].
const STEPS: usize = 1_500;
const EPOCHS: usize = 20;
const MAX_EPOCHS: usize = 200;
/// The learning rate of a training with [`STEPS_PER_EPOCH`] steps an epoch or fewer.
const LEARNING_RATE: f64 = 0.01;
/// Ratings per user and product from which a table counts as dense: MovieLens 100K has 30, Electronics 9.
const DENSE: f64 = 16.0;
/// Fewer rows tell no directions apart.
const ROWS_FOR_CENTRES: usize = 1_000;

fn by_density<T>(is_dense: bool, dense: T, sparse: T) -> T {
    if is_dense { dense } else { sparse }
}

/// Falls where an epoch has more steps, as batches do not grow any further.
///
/// Adam measures a gradient by those of the last thousand steps, so a row that is hardly ever touched takes a step of up to 31
/// learning rates each time, whatever its gradient. With 0.01 and 765 steps an epoch some rare products came out as the most
/// wanted of all. The exponent was found on generated ratings of Electronics' shape.
fn learning_rate(steps_per_epoch: usize) -> f64 {
    let more = (steps_per_epoch as f64 / STEPS_PER_EPOCH as f64).max(1.0);
    (LEARNING_RATE * more.powf(-0.75) * 1e4).round() / 1e4
}

/// The settings for a table; what they do not name is as it is by default.
pub fn defaults_for(table: &TableSize) -> Vec<Setting> {
    let rows = table.rows.max(1);
    let batch = (rows / STEPS_PER_EPOCH).next_power_of_two().clamp(16, 8192);
    let steps = rows.div_ceil(batch);
    let epochs = STEPS.div_ceil(steps).clamp(EPOCHS, MAX_EPOCHS);
    let per_row = rows as f64 / (table.users + table.products).max(1) as f64;
    let is_dense = per_row >= DENSE;
    let share = |count: usize| (count as f64 / rows as f64).sqrt();
    let l2 = (0.3 * (share(table.users) + share(table.products))).clamp(0.02, 0.3);
    let relevant = table.scale.min + 0.75 * (table.scale.max - table.scale.min);
    let embedding = by_density(is_dense, 1.3, 1.0);
    let rank = match is_dense || rows < ROWS_FOR_CENTRES {
        true => 0,
        false => 32,
    };
    let mut settings = vec![
        Setting::new(
            "model.dim",
            by_density(is_dense, 64, 16),
            format!("{per_row:.1} ratings for each user and product"),
        ),
        Setting::new("train.batch_size", batch, format!("{steps} steps an epoch")),
        Setting::new("train.epochs", epochs, format!("{} steps in all", steps * epochs)),
        Setting::new(
            "train.learning_rate",
            learning_rate(steps),
            match steps > STEPS_PER_EPOCH {
                true => "rare rows are touched seldom, and then take long steps",
                false => "what few steps need",
            },
        ),
        Setting::new(
            "train.learning_rate_curve",
            "cosine",
            "ends near the minimum, so no epoch is too many",
        ),
        Setting::new(
            "train.prior",
            format!("{{ bias = 0.3, embedding = {embedding:?}, centre_rank = {rank} }}"),
            by_density(
                is_dense,
                "rare rows stay near zero",
                "rare rows stay near zero, or near what such rows have",
            ),
        ),
        Setting::new("train.l2", 0.003, "the prior does the rest"),
        Setting::new("train.relevance", 0.1, "finds relevant products a little better"),
        Setting::new(
            "train.ranking.negatives",
            by_density(is_dense, 512, 256),
            "products drawn against a step",
        ),
        Setting::new(
            "train.ranking.positives",
            by_density(is_dense, "graded", "half"),
            by_density(
                is_dense,
                "low ratings are many and say what is not liked",
                "even a low rating says what was chosen",
            ),
        ),
        Setting::new(
            "train.ranking.l2",
            format!("{l2:.3}"),
            "0.3 (sqrt(users / ratings) + sqrt(products / ratings))",
        ),
        Setting::new("train.early_stopping.patience", 0, "the curve has to come to its end"),
        Setting::new(
            "evaluate.relevant_from",
            format!("{:?}", (2.0 * relevant).ceil() / 2.0),
            "the upper quarter of the scale",
        ),
    ];
    if table.has_one_value {
        settings.push(Setting::new(
            "train.ranking.weight",
            "1.0",
            "all ratings are the same: what was chosen is all there is to learn",
        ));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, TrainConfig};

    fn chosen(rows: usize, users: usize, products: usize, scale: [f32; 2]) -> Config {
        let [min, max] = scale;
        let settings = defaults_for(&TableSize {
            rows,
            users,
            products,
            scale: RatingScale { min, max },
            has_one_value: false,
        });
        let sets: Vec<Assignment> = settings.into_iter().map(|setting| setting.assignment).collect();
        let scale = format!("data.rating_scale = [{min:?}, {max:?}]");
        Config::from_text(&scale, "chosen", &sets).unwrap()
    }

    /// The tuned configs by the sizes of their tables. Their l2 of choices was tuned by itself and lies near the rule's.
    #[test]
    fn the_rules_come_to_the_tuned_configs() {
        let tuned = [
            (
                include_str!("../../../configs/electronics_164k.toml"),
                [131_207, 8_014, 6_727],
            ),
            (
                include_str!("../../../configs/movielens_100k.toml"),
                [80_000, 943, 1_682],
            ),
        ];
        for (text, [rows, users, products]) in tuned {
            let tuned = Config::from_text(text, "tuned", &[]).unwrap();
            let by_rule = chosen(rows, users, products, [1.0, 5.0]);
            let ratio = by_rule.train.ranking.l2 / tuned.train.ranking.l2;
            assert!((0.85..1.15).contains(&ratio), "{}: {ratio}", tuned.name);
            let without_l2 = |mut train: TrainConfig| {
                train.ranking.l2 = 0.0;
                train
            };
            assert_eq!(without_l2(by_rule.train), without_l2(tuned.train), "{}", tuned.name);
            assert_eq!((by_rule.model, by_rule.evaluate), (tuned.model, tuned.evaluate));
        }
    }

    #[test]
    fn the_learning_rate_falls_only_where_batches_grow_no_further() {
        let rate = |rows| chosen(rows, rows, rows / 10 + 1, [1.0, 5.0]).train.learning_rate;
        assert_eq!([100, 80_000, 1_310_720].map(rate), [0.01; 3]);
        assert_eq!([6_259_585, 7_042_033].map(rate), [0.0031, 0.0028]);
    }

    #[test]
    fn any_size_and_scale_makes_a_config_with_steps_enough() {
        for rows in [1, 20, 1_000, 100_000, 10_000_000] {
            for [users, products] in [[1, 1], [6, 4], [rows, rows]] {
                let config = chosen(rows, users, products, [1.0, 5.0]);
                let steps = rows.div_ceil(config.train.batch_size) * config.train.epochs;
                assert!(steps >= 200, "{rows} rows: {steps} steps");
            }
        }
        let relevant = |scale| chosen(1_000, 100, 100, scale).evaluate.relevant_from;
        assert_eq!([[0.5, 5.0], [0.0, 1.0], [1.0, 10.0]].map(relevant), [4.0, 1.0, 8.0]);
    }
}

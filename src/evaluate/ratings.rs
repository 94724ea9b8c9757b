//! The rating side: predictions of held-out rows against the ratings they got.

use crate::common::interaction::{ItemIndex, UserIndex};
use crate::config::{Config, Threshold};
use crate::engine::objective::{Objective, sigmoid};
use crate::evaluate::definitions::Figure;
use crate::metrics::bootstrap::{Interval, intervals};
use crate::metrics::calibration::{brier, expected_error, reliability};
use crate::metrics::classes::{ClassTable, by_class};
use crate::metrics::curves::Sweep;
use crate::metrics::rating::{Confusion, cross_entropy, mae, rmse};
use serde::{Deserialize, Serialize};

/// Who predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predictor {
    Model,
    /// The model before its head was refitted on the validation split.
    Uncalibrated,
    /// Ridge regression on who rates and what is rated.
    UserItemBias,
    /// The mean training rating for every row.
    GlobalMean,
    /// Predicts that everybody likes everything.
    EverythingRelevant,
    /// Orders by the number of training ratings.
    MostPopular,
}

impl Predictor {
    /// In words, as in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Uncalibrated => "uncalibrated",
            Self::UserItemBias => "user+item bias",
            Self::GlobalMean => "global mean",
            Self::EverythingRelevant => "all relevant",
            Self::MostPopular => "most popular",
        }
    }
}

/// Held-out rows, grouped by user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldOut {
    pub users: Vec<UserIndex>,
    pub items: Vec<ItemIndex>,
    pub ratings: Vec<f32>,
}

impl HeldOut {
    /// The rows at these places.
    pub fn select(&self, places: &[usize]) -> Self {
        Self {
            users: places.iter().map(|&place| self.users[place]).collect(),
            items: places.iter().map(|&place| self.items[place]).collect(),
            ratings: places.iter().map(|&place| self.ratings[place]).collect(),
        }
    }
}

/// One predictor's answers for held-out rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    pub predictor: Predictor,
    /// What rows are ordered by: logits of a model.
    pub order: Vec<f32>,
    /// In [0, 1]; absent from one that only orders.
    pub scores: Option<Vec<f32>>,
}

impl Predictions {
    /// A model's, from its logits.
    pub fn of_logits(predictor: Predictor, logits: Vec<f32>) -> Self {
        Self {
            predictor,
            scores: Some(logits.iter().map(|&logit| sigmoid(logit)).collect()),
            order: logits,
        }
    }

    /// Those of predicted targets, which may lie outside [0, 1].
    pub fn of_targets(predictor: Predictor, targets: Vec<f32>) -> Self {
        Self {
            predictor,
            scores: Some(targets.iter().map(|target| target.clamp(0.0, 1.0)).collect()),
            order: targets,
        }
    }

    /// The answers at these places.
    pub fn select(&self, places: &[usize]) -> Self {
        let pick = |column: &Vec<f32>| places.iter().map(|&place| column[place]).collect();
        Self {
            predictor: self.predictor,
            order: pick(&self.order),
            scores: self.scores.as_ref().map(pick),
        }
    }
}

/// All figures of one predictor on one set of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatingScores {
    pub predictor: Predictor,
    pub rows: usize,
    /// At the threshold of the config first, then the other customary one; empty for one that only orders.
    pub thresholds: Vec<AtThreshold>,
    pub auc: Option<f64>,
    pub average_precision: Option<f64>,
    pub rmse: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse_interval: Option<Interval>,
    pub mae: Option<f64>,
    /// Mean binary cross-entropy, as in training.
    pub loss: Option<f64>,
    pub brier: Option<f64>,
    pub calibration_error: Option<f64>,
    /// Absent where scores predict no rating, and where ratings have too many values to be classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassTable>,
}

impl RatingScores {
    /// All that hang on no threshold, in the order of every table.
    pub const FIGURES: [Figure<Self>; 7] = [
        ("auc", |scores| scores.auc),
        ("average_precision", |scores| scores.average_precision),
        ("rmse", |scores| scores.rmse),
        ("mae", |scores| scores.mae),
        ("loss", |scores| scores.loss),
        ("brier", |scores| scores.brier),
        ("calibration_error", |scores| scores.calibration_error),
    ];
}

/// Precision and what it must be read beside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtThreshold {
    /// Predicted relevant if the score reaches this.
    pub score: f32,
    /// `score` as a predicted rating, where scores predict ratings.
    pub rating: Option<f32>,
    pub counts: Confusion,
    pub precision: Option<f64>,
    pub base_rate: Option<f64>,
    pub lift: Option<f64>,
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<ThresholdIntervals>,
}

/// Bootstrap intervals of [`AtThreshold`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdIntervals {
    pub precision: Option<Interval>,
    pub recall: Option<Interval>,
    pub f1: Option<Interval>,
    pub lift: Option<Interval>,
}

impl AtThreshold {
    /// The rule in words: `predicted rating >= 4`, or `score >= 0.5`.
    pub fn rule(&self) -> String {
        match self.rating {
            Some(rating) if (self.score - 0.5).abs() > 1e-6 => format!("predicted rating >= {rating}"),
            _ => format!("score >= {}", self.score),
        }
    }
}

/// How rows are judged: the same for every predictor.
#[derive(Clone, Debug)]
pub struct Judge {
    objective: Objective,
    thresholds: Vec<f32>,
    classes: Option<Vec<f32>>,
    seed: u64,
}

/// More values than this are no classes; a mean of duplicates can make many.
const MAX_CLASSES: usize = 24;

impl Judge {
    /// A judge by a config, over the distinct ratings of a table, ascending.
    pub fn new(config: &Config, distinct_ratings: &[f32]) -> Self {
        let objective = Objective::new(config);
        let mut thresholds = vec![objective.threshold(config.evaluate.threshold)];
        for customary in [objective.threshold(Threshold::Relevant), 0.5] {
            if !thresholds.contains(&customary) {
                thresholds.push(customary);
            }
        }
        Self {
            objective,
            thresholds,
            classes: (distinct_ratings.len() <= MAX_CLASSES).then(|| distinct_ratings.to_vec()),
            seed: config.seed,
        }
    }

    /// Which rows are relevant.
    pub fn relevant(&self, rows: &HeldOut) -> Vec<bool> {
        let from = self.objective.relevant_from;
        rows.ratings.iter().map(|&rating| rating >= from).collect()
    }

    /// Targets of the loss.
    pub fn targets(&self, rows: &HeldOut) -> Vec<f32> {
        rows.ratings
            .iter()
            .map(|&rating| self.objective.target(rating))
            .collect()
    }

    /// All figures; with bootstrap intervals if wanted. Panics if rows and answers differ in number.
    pub fn judge(&self, rows: &HeldOut, predictions: &Predictions, with_intervals: bool) -> RatingScores {
        let relevant = self.relevant(rows);
        let targets = self.targets(rows);
        let sweep = Sweep::new(&predictions.order, &relevant);
        // "Everything is relevant" is a decision and no estimate.
        let estimates = predictions
            .scores
            .as_deref()
            .filter(|_| predictions.predictor != Predictor::EverythingRelevant);
        let stars: Option<Vec<f32>> = estimates.and_then(|scores| {
            let predicted = scores.iter().map(|&score| self.objective.predicted_rating(score));
            predicted.collect()
        });
        let stars = stars.as_deref();
        let thresholds = self.thresholds.iter().filter_map(|&score| {
            let scores = predictions.scores.as_deref()?;
            let counts = Confusion::at(score, scores, &relevant);
            Some(AtThreshold {
                score,
                rating: self.objective.predicted_rating(score),
                counts,
                precision: counts.precision(),
                base_rate: counts.base_rate(),
                lift: counts.lift(),
                recall: counts.recall(),
                f1: counts.f1(),
                intervals: with_intervals.then(|| self.threshold_intervals(rows, &relevant, scores, score)),
            })
        });
        RatingScores {
            predictor: predictions.predictor,
            rows: rows.ratings.len(),
            thresholds: thresholds.collect(),
            auc: sweep.auc(),
            average_precision: sweep.average_precision(),
            rmse: stars.and_then(|stars| rmse(stars, &rows.ratings)),
            rmse_interval: stars
                .filter(|_| with_intervals)
                .and_then(|stars| self.rmse_interval(rows, stars)),
            mae: stars.and_then(|stars| mae(stars, &rows.ratings)),
            loss: estimates.and_then(|scores| match predictions.predictor {
                Predictor::Model | Predictor::Uncalibrated => cross_entropy(&predictions.order, &targets),
                _ => cross_entropy(&scores.iter().map(|&score| logit(score)).collect::<Vec<_>>(), &targets),
            }),
            brier: estimates.and_then(|scores| brier(scores, &targets)),
            calibration_error: estimates.and_then(|scores| expected_error(&reliability(scores, &targets))),
            classes: stars
                .zip(self.classes.as_deref())
                .map(|(stars, classes)| by_class(classes, stars, &rows.ratings)),
        }
    }

    fn threshold_intervals(
        &self,
        rows: &HeldOut,
        relevant: &[bool],
        scores: &[f32],
        threshold: f32,
    ) -> ThresholdIntervals {
        // Of each user: hits, predicted rows, relevant rows, rows.
        let sums = by_user(rows, |place, sum: &mut [f64; 4]| {
            let predicted = scores[place] >= threshold;
            sum[0] += f64::from(u8::from(predicted && relevant[place]));
            sum[1] += f64::from(u8::from(predicted));
            sum[2] += f64::from(u8::from(relevant[place]));
            sum[3] += 1.0;
        });
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let [precision, recall, f1, lift] = intervals(&sums, self.seed, |&[hits, predicted, relevant, rows]| {
            [
                share(hits, predicted),
                share(hits, relevant),
                share(2.0 * hits, predicted + relevant),
                share(hits * rows, predicted * relevant),
            ]
        });
        ThresholdIntervals {
            precision,
            recall,
            f1,
            lift,
        }
    }

    fn rmse_interval(&self, rows: &HeldOut, stars: &[f32]) -> Option<Interval> {
        let sums = by_user(rows, |place, sum: &mut [f64; 2]| {
            sum[0] += (f64::from(stars[place]) - f64::from(rows.ratings[place])).powi(2);
            sum[1] += 1.0;
        });
        let [rmse] = intervals(&sums, self.seed, |&[squares, rows]| [Some((squares / rows).sqrt())]);
        rmse
    }
}

/// Sums over the rows of each user that has some.
fn by_user<const SUMS: usize>(rows: &HeldOut, add: impl Fn(usize, &mut [f64; SUMS])) -> Vec<[f64; SUMS]> {
    let mut sums: Vec<[f64; SUMS]> = Vec::new();
    for place in 0..rows.users.len() {
        if place == 0 || rows.users[place] != rows.users[place - 1] {
            sums.push([0.0; SUMS]);
        }
        add(place, sums.last_mut().expect("the first row begins a user"));
    }
    sums
}

/// The logit of a score that may be 0 or 1: a certainty is taken as one in a million.
fn logit(score: f32) -> f32 {
    let score = score.clamp(1e-6, 1.0 - 1e-6);
    (score / (1.0 - score)).ln()
}

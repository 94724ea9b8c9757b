//! Evaluate: a model against rows it has not seen, never one number alone.
//!
//! Rating side ([`ratings`]): predictions of held-out rows. Ranking side ([`rankings`]): the full catalogue for each user.
//! Both beside what needs no model (`baselines`), and what each figure means stands in the result ([`definitions`]).

pub mod baselines;
pub mod calibrate;
pub mod cases;
pub mod definitions;
pub mod rankings;
pub mod ratings;
pub mod sampled;

use crate::artifact::run_directory::{CALIBRATION, EVALUATION, RunDirectory, RunError};
use crate::artifact::tensor_file::FileError;
use crate::common::hint::Hint;
use crate::common::interaction::Part;
use crate::config::Config;
use crate::data::interactions::Interactions;
use crate::data::progress::Progress;
use crate::engine::cpu::CpuScorer;
use crate::engine::model::Model;
use crate::engine::objective::Objective;
use crate::engine::ranker::{Catalogue, Ranker};
use crate::engine::{EngineError, Scorer};
use crate::evaluate::calibrate::{Calibration, Outcome};
use crate::metrics::calibration::{ReliabilityBin, reliability};
use crate::metrics::classes::ClassTable;
use crate::metrics::curves::{Sweep, thin};
use baselines::{Biases, falling_order};
use cases::Table;
use rankings::{FixedRanking, RankerScores, Rankings, judge_rankings};
use ratings::{HeldOut, Judge, Predictions, Predictor, RatingScores};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of `evaluation.json`; version 1 had the model's rating side alone.
pub const FORMAT_VERSION: u32 = 2;

/// One part of the data, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    pub format_version: u32,
    pub part: Part,
    /// True if the ratings were generated, not collected from people.
    pub generated: bool,
    pub rows: usize,
    /// Whether ratings were learned, and so are judged.
    #[serde(default = "yes")]
    pub rates: bool,
    /// Users with rows in this part.
    pub users: usize,
    pub relevant_from: f32,
    /// What each figure means.
    pub definitions: BTreeMap<String, String>,
    /// The model first, then its uncalibrated self if it has one, then the baselines; empty without rows.
    pub ratings: Vec<RatingScores>,
    /// The model on rows apart.
    pub groups: Groups,
    pub calibration: Option<Calibration>,
    /// Of the model.
    pub curves: Curves,
    /// `None` if nothing relevant is held out.
    pub rankings: Option<Rankings>,
}

/// Rows by what training knew of their user and product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// Both have training ratings.
    pub warm: Option<RatingScores>,
    /// The user has none.
    pub cold_users: Option<RatingScores>,
    /// The product has none.
    pub cold_items: Option<RatingScores>,
}

/// Curves of the model's scores, thinned for plotting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// `[false positive rate, true positive rate]`.
    pub roc: Vec<[f64; 2]>,
    /// `[recall, precision]`.
    pub precision_recall: Vec<[f64; 2]>,
    pub reliability: Vec<ReliabilityBin>,
    /// Before the head was refitted; empty if it was not.
    pub reliability_uncalibrated: Vec<ReliabilityBin>,
}

/// Of runs that an older dotcart judged.
fn yes() -> bool {
    true
}

/// Points of a curve in the file; the figures are computed from all.
const CURVE_POINTS: usize = 201;

/// A run cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Hint for EvaluateError {
    fn hint(&self) -> String {
        match self {
            Self::Run(error) => error.hint(),
            Self::Engine(error) => error.hint(),
        }
    }

    fn is_internal(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_internal())
    }
}

impl From<FileError> for EvaluateError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

impl Evaluation {
    /// Reads `evaluation.json`. Errors if it is not there, says less than this dotcart's, or contradicts itself.
    pub fn read(run: &RunDirectory) -> Result<Self, RunError> {
        let evaluation: Self = run.read_json(EVALUATION)?;
        match evaluation.fault() {
            Some(fault) => Err(FileError::damaged(&run.file(EVALUATION), fault).into()),
            None => Ok(evaluation),
        }
    }

    /// What no judgement can be: rows without figures, a table that is not square, rankers that were not asked the same.
    fn fault(&self) -> Option<&'static str> {
        let groups = [&self.groups.warm, &self.groups.cold_users, &self.groups.cold_items];
        let scores = || self.ratings.iter().chain(groups.iter().copied().flatten());
        if (self.rows > 0 && self.rates) == self.ratings.is_empty() {
            return Some("it has rows and no figures, or figures and no rows");
        }
        let tables = || scores().filter_map(|scores| scores.classes.as_ref());
        let is_square = |table: &ClassTable| {
            let classes = table.classes.len();
            table.confusion.len() == classes && table.confusion.iter().all(|row| row.len() == classes)
        };
        if !tables().all(is_square) {
            return Some("a table of rating classes is not square");
        }
        let rankings = self.rankings.as_ref()?;
        let lengths = |ranker: &RankerScores| ranker.at.iter().map(|at| at.k).collect::<Vec<_>>();
        let Some(first) = rankings.rankers.first().map(lengths) else {
            return Some("it has rankings and no ranker");
        };
        let is_asked_the_same = !first.is_empty() && rankings.rankers.iter().all(|ranker| lengths(ranker) == first);
        (!is_asked_the_same).then_some("its rankers were not asked the same")
    }

    /// The figures of a predictor, if it was judged.
    pub fn of(&self, predictor: Predictor) -> Option<&RatingScores> {
        self.ratings.iter().find(|scores| scores.predictor == predictor)
    }
}

/// Judges the model in a run's folder on one part of its rows.
pub fn evaluate(
    run: &RunDirectory,
    config: &Config,
    part: Part,
    generated: bool,
    progress: &dyn Progress,
) -> Result<Evaluation, EvaluateError> {
    let files = run.open()?;
    let model = files.model.read()?;
    let (interactions, parts) = files.read_rows()?;
    let table = Table {
        interactions: &interactions,
        parts: &parts,
        user_counts: files.users.train_ratings()?,
        item_counts: files.products.train_ratings()?,
    };
    let calibration = match run.file(CALIBRATION).is_file() {
        true => Some(run.read_json(CALIBRATION)?),
        false => None,
    };
    let mut scorer = CpuScorer::new(&model, config.threads);
    let mut ranker = Ranker::on_cpu(Catalogue::of(&model, config), config.threads);
    judge(
        &model,
        &mut scorer,
        &mut ranker,
        table,
        calibration,
        config,
        part,
        generated,
        progress,
    )
}

fn judge(
    model: &Model,
    scorer: &mut dyn Scorer,
    ranker: &mut Ranker,
    table: Table,
    calibration: Option<Calibration>,
    config: &Config,
    part: Part,
    generated: bool,
    progress: &dyn Progress,
) -> Result<Evaluation, EvaluateError> {
    let rows = held_out(table.interactions, table.parts, part);
    let mut evaluation = Evaluation {
        format_version: FORMAT_VERSION,
        part,
        generated,
        rows: rows.users.len(),
        rates: model.shape.dim > 0,
        users: rows.users.chunk_by(|a, b| a == b).count(),
        relevant_from: config.evaluate.relevant_from,
        definitions: definitions::DEFINITIONS
            .iter()
            .map(|(key, _, meaning)| (key.to_string(), meaning.to_string()))
            .collect(),
        ratings: Vec::new(),
        groups: Groups::default(),
        calibration,
        curves: Curves::default(),
        rankings: None,
    };
    if rows.users.is_empty() {
        return Ok(evaluation);
    }

    let (fixed, baselines) = baselines(model, &table, &rows, &Objective::new(config));
    evaluation.rankings = judge_rankings(model, ranker, table, &fixed, part, config, progress)?;
    if !evaluation.rates {
        return Ok(evaluation);
    }
    let judge = Judge::new(config, &distinct(&table.interactions.ratings));
    let logits = score(model, scorer, &rows)?;
    let predictions = Predictions::of_logits(Predictor::Model, logits);
    let targets = judge.targets(&rows);
    evaluation.ratings.push(judge.judge(&rows, &predictions, true));
    let reliability_of = |predictions: &Predictions| {
        let scores = predictions.scores.as_deref().expect("a model has scores");
        reliability(scores, &targets)
    };
    let sweep = Sweep::new(&predictions.order, &judge.relevant(&rows));
    evaluation.curves.roc = thin(sweep.roc(), CURVE_POINTS);
    evaluation.curves.precision_recall = thin(sweep.precision_recall(), CURVE_POINTS);
    evaluation.curves.reliability = reliability_of(&predictions);
    evaluation.groups = groups(&table, &rows, &predictions, &judge);
    let refitted = evaluation.calibration.as_ref();
    if let Some(calibration) = refitted.filter(|calibration| calibration.outcome == Outcome::Calibrated) {
        let (before, after) = (calibration.uncalibrated, model.head);
        let affinity = |logit: f32| (logit - after.bias) / after.scale;
        let logits = predictions.order.iter().map(|&logit| before.logit(affinity(logit)));
        let uncalibrated = Predictions::of_logits(Predictor::Uncalibrated, logits.collect());
        evaluation.ratings.push(judge.judge(&rows, &uncalibrated, false));
        evaluation.curves.reliability_uncalibrated = reliability_of(&uncalibrated);
    }

    for baseline in &baselines {
        evaluation.ratings.push(judge.judge(&rows, baseline, false));
    }
    Ok(evaluation)
}

/// The rows of one part, in table order. Panics if there are not as many parts as rows.
pub fn held_out(interactions: &Interactions, parts: &[u8], part: Part) -> HeldOut {
    assert_eq!(
        interactions.len(),
        parts.len(),
        "held_out: rows and parts differ in number"
    );
    let rows = || (0..parts.len()).filter(|&row| parts[row] == part as u8);
    HeldOut {
        users: rows().map(|row| interactions.users[row]).collect(),
        items: rows().map(|row| interactions.items[row]).collect(),
        ratings: rows().map(|row| interactions.ratings[row]).collect(),
    }
}

/// The logits of a model for held-out rows.
pub fn score(model: &Model, scorer: &mut dyn Scorer, rows: &HeldOut) -> Result<Vec<f32>, EngineError> {
    let users: Vec<&[f32]> = rows.users.iter().map(|&user| model.user(user)).collect();
    scorer.score_pairs(&users, &rows.items)
}

/// Distinct ratings, ascending.
fn distinct(ratings: &[f32]) -> Vec<f32> {
    let mut found: Vec<f32> = Vec::new();
    for &rating in ratings {
        if let Err(place) = found.binary_search_by(|other| other.total_cmp(&rating)) {
            found.insert(place, rating);
        }
    }
    found
}

fn groups(table: &Table, rows: &HeldOut, predictions: &Predictions, judge: &Judge) -> Groups {
    let knows_user = |place: usize| table.user_counts[rows.users[place].index()] > 0;
    let knows_item = |place: usize| table.item_counts[rows.items[place].index()] > 0;
    let group = |belongs: &dyn Fn(usize) -> bool| {
        let places: Vec<usize> = (0..rows.users.len()).filter(|&place| belongs(place)).collect();
        let scores = || judge.judge(&rows.select(&places), &predictions.select(&places), false);
        (!places.is_empty()).then(scores)
    };
    Groups {
        warm: group(&|place| knows_user(place) && knows_item(place)),
        cold_users: group(&|place| !knows_user(place)),
        cold_items: group(&|place| !knows_item(place)),
    }
}

/// Baselines as rankings and as predictions of rows.
fn baselines(
    model: &Model,
    table: &Table,
    rows: &HeldOut,
    objective: &Objective,
) -> (Vec<FixedRanking>, Vec<Predictions>) {
    let all = table.interactions;
    let train = (0..table.parts.len())
        .filter(|&row| table.parts[row] == Part::Train as u8)
        .map(|row| (all.users[row], all.items[row], objective.target(all.ratings[row])));
    let biases = Biases::fit(model.shape.users, model.shape.items, train);
    let pairs = || rows.users.iter().zip(&rows.items);
    let predicted = pairs().map(|(&user, &item)| biases.predict(user, item)).collect();
    let popularity = pairs().map(|(_, &item)| table.item_counts[item.index()] as f32);
    let number = rows.users.len();
    let predictions = vec![
        Predictions::of_targets(Predictor::UserItemBias, predicted),
        Predictions::of_targets(Predictor::GlobalMean, vec![biases.mean as f32; number]),
        Predictions::of_targets(Predictor::EverythingRelevant, vec![1.0; number]),
        Predictions {
            predictor: Predictor::MostPopular,
            order: popularity.collect(),
            scores: None,
        },
    ];
    let fixed = vec![
        FixedRanking {
            predictor: Predictor::UserItemBias,
            order: falling_order(&biases.item, |a, b| a.total_cmp(&b)),
        },
        FixedRanking {
            predictor: Predictor::MostPopular,
            order: falling_order(table.item_counts, |a, b| a.cmp(&b)),
        },
    ];
    (fixed, predictions)
}

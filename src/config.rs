//! The experiment: every key of a config file, its default, its range, and the place it was set.
//!
//! Order: built-in < file < `--set key=value`. Layers are merged as TOML tables and read into [`Config`] once, so no key is
//! optional after this module. An error names the key, what was found and wanted, and the layer (file and line, or `--set`).

use crate::calendar::day_of;
use crate::interaction::RatingScale;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Everything a training needs to know; written to the run directory as it took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Run directories are called `runs/<name>-<n>`.
    pub name: String,
    /// Source of all randomness: split, oversampling, start weights, shuffles, generated ratings.
    pub seed: u64,
    pub device: DeviceChoice,
    /// Threads of the cpu engine; 0 = one a core. Never changes a result.
    pub threads: usize,
    pub data: DataConfig,
    pub split: SplitConfig,
    pub oversample: OversampleConfig,
    pub model: ModelConfig,
    pub train: TrainConfig,
    pub evaluate: EvaluateConfig,
}

/// Which engine trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A real GPU (discrete before integrated) if there is one, else the cpu.
    Auto,
    /// Any wgpu adapter, a software one too.
    Gpu,
    /// Threads; never touches a graphics driver.
    Cpu,
}

/// Where the ratings are, how they are read, and what is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataConfig {
    /// Ratings table: delimited text, JSON lines or Parquet, told apart by content; text may be gzip or zstd.
    pub path: PathBuf,
    /// Where `when_missing = "download"` gets it; empty = nowhere.
    pub url: String,
    pub when_missing: WhenMissing,
    pub generate: GenerateConfig,
    /// `auto`, or the text between two columns.
    pub delimiter: String,
    pub header: Header,
    pub columns: Columns,
    pub rating_scale: RatingScale,
    /// Largest share of bad rows that is skipped (and counted); above it the run stops.
    pub max_bad_rows: f64,
    pub duplicates: Duplicates,
    /// Users with fewer ratings are left out, repeatedly, together with `min_ratings_per_product`, until all that is left fits.
    pub min_ratings_per_user: usize,
    pub min_ratings_per_product: usize,
    /// First day that counts, `YYYY-MM-DD` in UTC; empty = from the beginning.
    pub since: String,
    /// Last day that counts, `YYYY-MM-DD` in UTC; empty = to the end.
    pub until: String,
    /// Product table with titles; empty = none.
    pub titles: PathBuf,
    pub title_columns: TitleColumns,
}

/// What to do when `data.path` does not exist. A path given on the command line must exist whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenMissing {
    Generate,
    Download,
    Error,
}

/// Size of the generated stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerateConfig {
    pub ratings: usize,
    pub users: usize,
    pub products: usize,
}

/// Whether the first row of delimited text names the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawHeader", into = "RawHeader")]
pub enum Header {
    /// It does if none of its fields is a number.
    Auto,
    Given(bool),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RawHeader {
    Flag(bool),
    Word(String),
}

impl TryFrom<RawHeader> for Header {
    type Error = &'static str;

    fn try_from(raw: RawHeader) -> Result<Self, Self::Error> {
        match raw {
            RawHeader::Flag(flag) => Ok(Self::Given(flag)),
            RawHeader::Word(word) if word == "auto" => Ok(Self::Auto),
            RawHeader::Word(_) => Err("expected `\"auto\"`, `true` or `false`"),
        }
    }
}

impl From<Header> for RawHeader {
    fn from(header: Header) -> Self {
        match header {
            Header::Auto => Self::Word("auto".to_string()),
            Header::Given(flag) => Self::Flag(flag),
        }
    }
}

/// A column by its number, from 0, or by its name in the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a column number from 0, or a column name")]
pub enum Column {
    Number(usize),
    Name(String),
}

/// Where each part of a rating stands. A timestamp number past the end of the row, or the name "", means that there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    pub user: Column,
    pub product: Column,
    pub rating: Column,
    pub timestamp: Column,
}

/// Where id and title stand in the product table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TitleColumns {
    pub id: Column,
    pub title: Column,
}

/// Which rating counts if a user rated a product more than once: by timestamp, else by file order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    Last,
    First,
    Mean,
    Error,
}

/// How many rows are held out, and which; the rest trains.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitConfig {
    pub strategy: SplitStrategy,
    /// Below 1 a share of the rows, from 1 a number of rows (`leave-last-out`: of rows per user, always whole).
    pub valid: f64,
    /// As `valid`.
    pub test: f64,
}

/// Which rows are held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitStrategy {
    /// Any, drawn from the seed.
    Random,
    /// The newest of the whole table: train < valid < test in time.
    Temporal,
    /// The newest of each user.
    LeaveLastOut,
}

/// Targeted random oversampling of the training split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OversampleConfig {
    pub strategy: OversampleStrategy,
    /// Of `factors`: rating class (as text: `"1"`, `"2.5"`) to multiple of its own size, at least 1; empty = as it is.
    pub factors: BTreeMap<String, f64>,
    /// Of `counts`: rating class to number of rows, at least as many as it has.
    pub counts: BTreeMap<String, usize>,
    pub resample: Resample,
}

/// To what size the classes grow. A strategy other than `factors` and `counts` leaves those tables unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OversampleStrategy {
    None,
    Factors,
    Counts,
    /// The smallest class to the size of the largest.
    Minority,
    /// All but the smallest class to the size of the largest.
    NotMinority,
    /// All to the size of the largest.
    NotMajority,
    /// The same: imbalanced-learn's word for it.
    Auto,
    /// The same.
    All,
}

/// How often the additional rows are drawn. Never changes the size of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resample {
    Once,
    EachEpoch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Length of an embedding: a multiple of 4, at most [`MAX_DIM`].
    pub dim: usize,
}

/// Longest embedding that the kernels are tested with.
pub const MAX_DIM: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    pub epochs: usize,
    /// Samples a step.
    pub batch_size: usize,
    pub learning_rate: f64,
    pub learning_rate_curve: LearningRateCurve,
    /// The learning rate rises from nothing over so many steps.
    pub warmup_steps: usize,
    pub reduce_on_plateau: ReduceOnPlateau,
    pub optimizer: OptimizerChoice,
    /// Gradients of single weights are clamped to `[-clip, clip]`; 0 = not at all.
    pub clip: f64,
    pub target: Target,
    /// Share of the loss that asks whether a rating is relevant, in [0, 1); the rest asks how high it is. Scaled targets only.
    pub relevance: f64,
    /// Weight of the squared length of the rows of a batch, a mean over its samples.
    pub l2: f64,
    pub prior: Prior,
    pub early_stopping: EarlyStopping,
    /// Checkpoint every so many steps, beside the one at each epoch's end; 0 = epochs only. Never changes a result.
    pub checkpoint_steps: usize,
    /// Look at the validation split every so many steps, beside each epoch's end; 0 = epochs only. Never changes a result.
    pub evaluate_steps: usize,
    /// Refit scale and bias of the head on the validation split at the end. Never changes a user's ranking.
    pub calibrate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum OptimizerChoice {
    /// The dense optimiser's result at the cost of the touched rows (DESIGN: closed-form catch-up).
    Adam,
    /// Rows outside the batch stand still, as in PyTorch's SparseAdam.
    LazyAdam,
    /// One sum of squares a row: a third of Adam's memory.
    Adagrad,
    /// No state at all: a third of Adam's memory; learning rates are larger by orders of magnitude.
    Sgd,
}

impl OptimizerChoice {
    /// As a config names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::LazyAdam => "lazy_adam",
            Self::Adagrad => "adagrad",
            Self::Sgd => "sgd",
        }
    }

    /// Whether each weight has a first and a second moment.
    pub fn has_moments(self) -> bool {
        matches!(self, Self::Adam | Self::LazyAdam)
    }
}

/// How the learning rate moves over a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LearningRateCurve {
    Constant,
    /// Half a cosine from the learning rate to nothing at the last planned step.
    Cosine,
}

/// Lowers the learning rate when an epoch's figure of `early_stopping.metric` was no better than the best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReduceOnPlateau {
    /// What the learning rate is multiplied with, in (0, 1).
    pub factor: f64,
    /// Epochs without a better figure before it; 0 = never.
    pub patience: usize,
}

/// What a rating becomes in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// `(rating - min) / (max - min)`.
    Scaled,
    /// 1 if rating >= `evaluate.relevant_from`, else 0.
    Binary,
}

/// Strengths of a Gaussian prior on each row, counted once an epoch however many ratings the row has; 0 = none.
///
/// With a prior the head's scale stays 1: a scale that grows while the rows shrink would undo it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Of the biases.
    pub bias: f64,
    /// Of the embeddings.
    pub embedding: f64,
    /// Directions of who rated what that say where the prior of each bias is centred; 0 = at zero. Nothing without `bias`.
    pub centre_rank: usize,
}

impl Prior {
    /// Most directions: their normal equations are solved densely.
    const MAX_CENTRE_RANK: usize = 256;

    pub const NONE: Self = Self {
        bias: 0.0,
        embedding: 0.0,
        centre_rank: 0,
    };

    /// Whether it does anything.
    pub fn is_set(&self) -> bool {
        self.bias > 0.0 || self.embedding > 0.0
    }

    /// Directions that its centres come from; 0 without biases to centre.
    pub fn directions(&self) -> usize {
        if self.bias > 0.0 { self.centre_rank } else { 0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyStopping {
    pub metric: StoppingMetric,
    /// Epochs without improvement that are waited for; 0 = run all epochs.
    pub patience: usize,
}

/// The validation metric that chooses the exported epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppingMetric {
    ValidLoss,
    ValidAuc,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluateConfig {
    /// A rating >= this is a positive.
    pub relevant_from: f32,
    pub threshold: Threshold,
    /// Lengths of the rankings that are judged, ascending.
    pub k: Vec<usize>,
    /// Rankings are judged for at most so many users, drawn by the seed; 0 = for all.
    pub ranked_users: usize,
    /// Each held-out relevant product is also ranked among so many that are drawn; 0 = not.
    pub sampled_negatives: usize,
}

/// When a score counts as a predicted positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// Predicted rating >= `relevant_from`.
    Relevant,
    /// Score >= this.
    Score(f32),
}

impl Serialize for Threshold {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Relevant => serializer.serialize_str("relevant"),
            Self::Score(score) => serializer.serialize_f32(*score),
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Word(String),
            Number(f32),
        }
        match Raw::deserialize(deserializer) {
            Ok(Raw::Word(word)) if word == "relevant" => Ok(Self::Relevant),
            Ok(Raw::Number(score)) => Ok(Self::Score(score)),
            _ => Err(serde::de::Error::custom(
                "expected `\"relevant\"` or a score such as 0.5",
            )),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "run".to_string(),
            seed: 42,
            device: DeviceChoice::Auto,
            threads: 0,
            data: DataConfig {
                path: PathBuf::from("data/ratings.csv"),
                url: String::new(),
                when_missing: WhenMissing::Error,
                generate: GenerateConfig {
                    ratings: 400_000,
                    users: 120_000,
                    products: 15_000,
                },
                delimiter: "auto".to_string(),
                header: Header::Auto,
                columns: Columns {
                    user: Column::Number(0),
                    product: Column::Number(1),
                    rating: Column::Number(2),
                    timestamp: Column::Number(3),
                },
                rating_scale: RatingScale { min: 1.0, max: 5.0 },
                max_bad_rows: 0.001,
                duplicates: Duplicates::Last,
                min_ratings_per_user: 1,
                min_ratings_per_product: 1,
                since: String::new(),
                until: String::new(),
                titles: PathBuf::new(),
                title_columns: TitleColumns {
                    id: Column::Number(0),
                    title: Column::Number(1),
                },
            },
            split: SplitConfig {
                strategy: SplitStrategy::Random,
                valid: 0.1,
                test: 0.1,
            },
            oversample: OversampleConfig {
                strategy: OversampleStrategy::Factors,
                factors: BTreeMap::new(),
                counts: BTreeMap::new(),
                resample: Resample::Once,
            },
            model: ModelConfig { dim: 64 },
            train: TrainConfig {
                epochs: 10,
                batch_size: 8192,
                learning_rate: 1e-3,
                learning_rate_curve: LearningRateCurve::Constant,
                warmup_steps: 0,
                reduce_on_plateau: ReduceOnPlateau {
                    factor: 0.5,
                    patience: 0,
                },
                optimizer: OptimizerChoice::Adam,
                clip: 0.0,
                target: Target::Scaled,
                relevance: 0.0,
                l2: 0.0,
                prior: Prior::NONE,
                early_stopping: EarlyStopping {
                    metric: StoppingMetric::ValidLoss,
                    patience: 2,
                },
                checkpoint_steps: 0,
                evaluate_steps: 0,
                calibrate: true,
            },
            evaluate: EvaluateConfig {
                relevant_from: 4.0,
                threshold: Threshold::Relevant,
                k: vec![5, 10, 20],
                ranked_users: 10_000,
                sampled_negatives: 0,
            },
        }
    }
}

/// What is wrong with a config, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read config `{path}`: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("config is not TOML: {message} ({place})")]
    Syntax { message: String, place: String },
    #[error("unknown key `{key}` ({place})")]
    UnknownKey {
        key: String,
        nearest: Option<String>,
        place: String,
    },
    #[error("`{key}`: {message} ({place})")]
    Value {
        key: String,
        message: String,
        place: String,
    },
    #[error("`--set {text}` is not `key=value`")]
    Assignment { text: String },
}

impl ConfigError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Read { .. } => {
                "configs live in `configs/`; `configs/electronics.toml` explains every key".to_string()
            }
            Self::Syntax { .. } => "strings stand in double quotes, tables in square brackets".to_string(),
            Self::UnknownKey {
                nearest: Some(nearest), ..
            } => format!("did you mean `{nearest}`?"),
            Self::UnknownKey { nearest: None, .. } | Self::Value { .. } => {
                "`configs/electronics.toml` explains every key".to_string()
            }
            Self::Assignment { .. } => "for example `--set train.epochs=3`".to_string(),
        }
    }
}

/// A `--set key=value`, the value read as TOML or, failing that, as a bare string.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub key: String,
    pub value: Value,
    /// Where it comes from, as errors name it.
    flag: &'static str,
}

/// A value as it is typed: TOML or, failing that, a bare string.
pub fn parse_value(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.trim().to_string()))
}

impl Assignment {
    /// Parses `key=value`; errors if there is no `=` or no key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let error = || ConfigError::Assignment { text: text.to_string() };
        let (key, value) = text.split_once('=').ok_or_else(error)?;
        let key = key.trim();
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return Err(error());
        }
        Ok(Self::by("--set", key, parse_value(value)))
    }

    /// The same from another flag.
    pub fn by(flag: &'static str, key: &str, value: Value) -> Self {
        Self {
            key: key.to_string(),
            value,
            flag,
        }
    }

    /// Whether it sets `data.path`, alone or with the whole of `data`.
    pub fn names_path(&self) -> bool {
        self.key == "data.path" || (self.key == "data" && self.value.get("path").is_some())
    }

    fn path(&self) -> Vec<String> {
        self.key.split('.').map(str::to_string).collect()
    }
}

impl Config {
    /// Reads built-in < file < assignments, and checks every range once.
    pub fn load(path: &Path, assignments: &[Assignment]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::from_text(&text, &path.display().to_string(), assignments)
    }

    /// As [`Config::load`], from text that `origin` names in errors.
    pub fn from_text(text: &str, origin: &str, assignments: &[Assignment]) -> Result<Self, ConfigError> {
        let file = text.parse::<Table>().map_err(|error| ConfigError::Syntax {
            message: error.message().to_string(),
            place: place_of_offset(text, origin, error.span().map_or(0, |span| span.start)),
        })?;
        let places = Places {
            text,
            origin,
            assignments,
        };
        let known = Value::try_from(Self::default()).expect("the default config is a TOML table");
        let mut merged = known.clone();
        merge(&mut merged, Value::Table(file), &known, &mut Vec::new(), &places)?;
        for assignment in assignments {
            let layer = assignment
                .path()
                .into_iter()
                .rev()
                .fold(assignment.value.clone(), |value, key| {
                    Value::Table(Table::from_iter([(key, value)]))
                });
            merge(&mut merged, layer, &known, &mut Vec::new(), &places)?;
        }
        let config: Self = serde_path_to_error::deserialize(merged).map_err(|error| {
            let key = error.path().to_string();
            ConfigError::Value {
                place: places.of(&key),
                message: error.into_inner().message().trim().to_string(),
                key,
            }
        })?;
        match config.out_of_range() {
            Some((key, message)) => Err(ConfigError::Value {
                place: places.of(key),
                key: key.to_string(),
                message,
            }),
            None => Ok(config),
        }
    }

    /// The effective config as TOML text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a config is a TOML table")
    }

    /// The first key whose value is outside its range, with what was wanted.
    fn out_of_range(&self) -> Option<(&'static str, String)> {
        let (data, split, train) = (&self.data, &self.split, &self.train);
        let scale = data.rating_scale;
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
        ];
        let distinct = (0..columns.len()).all(|a| (0..a).all(|b| columns[a] != columns[b]));
        let is_day = |text: &str| text.is_empty() || day_of(text).is_some();
        let is_delimiter = !data.delimiter.is_empty() && !data.delimiter.contains(['"', '\n', '\r']);
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
            .or(wanted(distinct, "data.columns", &format!("{columns:?}"), "four different columns"))
            .or(wanted(
                data.when_missing != WhenMissing::Download || !data.url.is_empty(),
                "data.url",
                &"",
                "an address, because `data.when_missing` is `download`",
            ))
            .or(wanted(is_delimiter, "data.delimiter", &data.delimiter, "`auto` or the text between two columns"))
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
            .or(wanted(
                self.evaluate.relevant_from > scale.min && self.evaluate.relevant_from <= scale.max,
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

/// Tables whose keys are the user's own.
const FREE_TABLES: [&str; 2] = ["oversample.factors", "oversample.counts"];

/// Lays `layer` over `base`; a key that `known` does not have is an error. A free table is replaced as a whole.
fn merge(
    base: &mut Value,
    layer: Value,
    known: &Value,
    path: &mut Vec<String>,
    places: &Places,
) -> Result<(), ConfigError> {
    let is_free = FREE_TABLES.contains(&path.join(".").as_str());
    match (base, layer) {
        (Value::Table(base), Value::Table(layer)) if is_free => {
            base.extend(layer);
        }
        (Value::Table(base), Value::Table(layer)) => {
            for (key, value) in layer {
                path.push(key.clone());
                let Some(known) = known.get(&key) else {
                    let key = path.join(".");
                    return Err(ConfigError::UnknownKey {
                        nearest: nearest_key(&key),
                        place: places.of(&key),
                        key,
                    });
                };
                merge(
                    base.get_mut(&key).expect("base has every known key"),
                    value,
                    known,
                    path,
                    places,
                )?;
                path.pop();
            }
        }
        (base, layer) if base.is_table() || layer.is_table() => {
            let key = path.join(".");
            let (found, wanted) = if base.is_table() {
                ("a value", "a table of keys")
            } else {
                ("a table", "a value")
            };
            return Err(ConfigError::Value {
                place: places.of(&key),
                message: format!("found {found}, wanted {wanted}"),
                key,
            });
        }
        (base, layer) => *base = layer,
    }
    Ok(())
}

/// All keys, dotted, in the order of the default config.
pub fn known_keys() -> Vec<String> {
    fn walk(prefix: &str, value: &Value, out: &mut Vec<String>) {
        for (key, value) in value.as_table().into_iter().flatten() {
            let path = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            match value {
                Value::Table(_) if !FREE_TABLES.contains(&path.as_str()) => walk(&path, value, out),
                _ => out.push(path),
            }
        }
    }
    let mut keys = Vec::new();
    let default = Value::try_from(Config::default()).expect("the default config is a TOML table");
    walk("", &default, &mut keys);
    keys
}

fn nearest_key(key: &str) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_string();
    known_keys()
        .into_iter()
        .map(|known| {
            let whole = strsim::jaro_winkler(key, &known);
            let leaf = strsim::jaro_winkler(&last(key), &last(&known));
            (whole.max(leaf), known)
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Where each key was set.
struct Places<'a> {
    text: &'a str,
    origin: &'a str,
    assignments: &'a [Assignment],
}

impl Places<'_> {
    /// `--set key=...` if an assignment reaches the key, else file and line if the file does, else the built-in defaults.
    fn of(&self, key: &str) -> String {
        let covers =
            |set: &str| key == set || key.starts_with(&format!("{set}.")) || set.starts_with(&format!("{key}."));
        if let Some(set) = self.assignments.iter().rev().find(|set| covers(&set.key)) {
            return format!("{} {}={}", set.flag, set.key, set.value.to_string().trim());
        }
        let mut table = toml::de::DeTable::parse(self.text).ok().map(|table| table.into_inner());
        let mut offset = None;
        for part in key.split('.') {
            let found = table
                .take()
                .and_then(|table| table.into_iter().find(|(name, _)| name.get_ref().as_ref() == part));
            let Some((name, value)) = found else { break };
            offset = Some(name.span().start);
            if let toml::de::DeValue::Table(inner) = value.into_inner() {
                table = Some(inner);
            }
        }
        match offset {
            Some(offset) => place_of_offset(self.text, self.origin, offset),
            None => format!("built-in defaults under {}", self.origin),
        }
    }
}

fn place_of_offset(text: &str, origin: &str, offset: usize) -> String {
    let line = text[..offset.min(text.len())].matches('\n').count() + 1;
    format!("{origin}:{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<_> = sets.iter().map(|set| Assignment::parse(set).unwrap()).collect();
        Config::from_text(text, "x.toml", &sets).map_err(|error| format!("{error} | {}", error.hint()))
    }

    #[test]
    fn layers_override_in_order() {
        let config = load(
            "[train]\nepochs = 4\nbatch_size = 16\n",
            &["train.epochs=3", "data.path=a b.csv"],
        )
        .unwrap();
        assert_eq!((config.train.epochs, config.train.batch_size), (3, 16));
        assert_eq!(config.data.path, PathBuf::from("a b.csv"));
        assert_eq!(config.model, Config::default().model);
    }

    #[test]
    fn the_effective_config_reads_back_the_same() {
        let config = load(
            "[oversample]\nfactors = { \"1\" = 2.0 }\n[evaluate]\nthreshold = 0.5",
            &[],
        )
        .unwrap();
        assert_eq!(load(&config.to_toml(), &[]).unwrap(), config);
    }

    #[test]
    fn a_centre_without_a_prior_is_none() {
        let prior = |text: &str| {
            load(&format!("[train]\nprior = {{ {text} }}"), &[])
                .unwrap()
                .train
                .prior
        };
        let centre_alone = prior("centre_rank = 32");
        assert!(!centre_alone.is_set() && centre_alone.directions() == 0);
        let of_embeddings = prior("embedding = 1.0, centre_rank = 32");
        assert!(of_embeddings.is_set() && of_embeddings.directions() == 0);
        let of_biases = prior("bias = 0.3, centre_rank = 32");
        assert!(of_biases.is_set() && of_biases.directions() == 32);
    }

    #[test]
    fn held_out_rows_are_shares_or_counts() {
        let split = |text: &str| load(&format!("[split]\n{text}"), &[]).unwrap().split;
        assert_eq!(
            (split("valid = 500").valid, split("valid = 0.25\ntest = 1").test),
            (500.0, 1.0)
        );
        let last = split("strategy = \"leave-last-out\"\nvalid = 0\ntest = 2");
        assert_eq!(
            (last.strategy, last.valid, last.test),
            (SplitStrategy::LeaveLastOut, 0.0, 2.0)
        );
    }

    #[test]
    fn errors_name_key_place_and_remedy() {
        let message = |text: &str, sets: &[&str]| load(text, sets).unwrap_err();
        assert_eq!(
            message("name = \"a\"\n[train]\nepoch = 3\n", &[]),
            "unknown key `train.epoch` (x.toml:3) | did you mean `train.epochs`?"
        );
        assert!(
            message("\n[train]\nepochs = 0\n", &[])
                .starts_with("`train.epochs`: found `0`, wanted at least 1 (x.toml:3)")
        );
        assert!(message("", &["train.epochs=0"]).contains("(--set train.epochs=0)"));
        assert!(message("[train]\nepochs = \"ten\"\n", &[]).starts_with("`train.epochs`: invalid type: string"));
        assert!(message("[train\n", &[]).contains("(x.toml:1)"));
        assert!(message("[oversample]\nfactors = { \"1\" = 0.5 }", &[]).contains("raise the others"));
        assert!(message("[oversample]\nfactors = { \"one\" = 2 }", &[]).contains("found class `one`"));
        assert!(message("[oversample]\nfactors = { \"1\" = 2, \"1.0\" = 2 }", &[]).contains("are the same class"));
        assert!(message("[oversample]\ncounts = { \"1\" = -5 }", &[]).contains("`-5`"));
        assert!(message("[oversample]\ncounts = { \"1\" = 5 }", &[]).contains("set both or neither (x.toml:1)"));
        assert!(message("\n[oversample]\nstrategy = \"counts\"", &[]).contains("set both or neither (x.toml:3)"));
        assert!(message("[split]\nvalid = 1.5", &[]).contains("or a whole number of rows (x.toml:2)"));
        assert!(message("[split]\nvalid = -1", &[]).contains("or a whole number of rows"));
        assert!(message("[split]\nvalid = 0.5\ntest = 0.5", &[]).contains("something trains"));
        assert!(message("[split]\nstrategy = \"leave-last-out\"", &[]).contains("rows per user"));
        assert!(message("[split]\nstrategy = \"by-time\"", &[]).contains("expected one of `random`, `temporal`"));
        assert!(message("[model]\ndim = 10", &[]).contains("multiple of 4"));
        assert!(
            message("train = 5", &["train.epochs=3"])
                .starts_with("`train`: found a value, wanted a table of keys (--set")
        );
        assert!(message("seed = { a = 1 }", &[]).starts_with("`seed`: found a table, wanted a value (x.toml:1)"));
        assert!(message("threads = 20000", &[]).contains("wanted 0 to 1,024"));
        assert!(
            message("\n[train]\nrelevance = 1.0", &[])
                .starts_with("`train.relevance`: found `1`, wanted at least 0 and below 1; `train.target")
        );
        assert!(
            message("[train]\nprior = { bias = 0.3, centre_rank = 257 }", &[])
                .starts_with("`train.prior.centre_rank`: found `257`, wanted 0 to 256 (x.toml:2)")
        );
        assert!(
            message("[train]\ntarget = \"binary\"\nrelevance = 0.5", &[])
                .starts_with("`train.relevance`: found `0.5`, wanted 0 where `train.target")
        );
    }
}

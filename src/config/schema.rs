//! The keys: what each one means and what it is by default.

use crate::common::interaction::RatingScale;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Finished run that the training begins with, by path or name; empty = none.
    pub from: PathBuf,
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
    /// Ratings table: delimited text, JSON or Parquet, told apart by content; text may be gzip, bzip2, xz, zstd or a zip of one
    /// table. A folder or a glob means all its files in the order of their names.
    pub path: PathBuf,
    /// Rows that choose the epoch, with the same columns; empty = none of one's own. Nothing without `test_path`.
    pub valid_path: PathBuf,
    /// Rows that judge the result, with the same columns; no split is drawn then. Empty = the split holds rows of `path` out.
    pub test_path: PathBuf,
    /// Where `when_missing = "download"` gets it; empty = nowhere.
    pub url: String,
    pub when_missing: WhenMissing,
    pub generate: GenerateConfig,
    /// `auto`, or the text between two columns.
    pub delimiter: String,
    /// What stands around a field that holds delimiters or line breaks; empty = nothing does.
    pub quote: String,
    pub decimal: Decimal,
    pub header: Header,
    pub columns: Columns,
    /// Words that stand where an id is missing; such rows are bad.
    pub missing_ids: Vec<String>,
    pub rating_scale: RatingScale,
    /// Values of the rating column that mean "not rated"; such rows are left out.
    pub unrated: Vec<f32>,
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

/// What stands before the fraction of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decimal {
    /// A point, or a comma where that is not the delimiter.
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = ".")]
    Point,
    #[serde(rename = ",")]
    Comma,
}

/// A column by its number, from 0, or by its name in the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RawColumn", into = "RawColumn")]
pub enum Column {
    /// Found by its name, else by its usual place.
    Auto,
    Number(usize),
    /// Empty = there is none.
    Name(String),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a column number from 0, or a column name")]
enum RawColumn {
    Number(usize),
    Name(String),
}

impl From<RawColumn> for Column {
    fn from(raw: RawColumn) -> Self {
        match raw {
            RawColumn::Number(number) => Self::Number(number),
            RawColumn::Name(name) if name == "auto" => Self::Auto,
            RawColumn::Name(name) => Self::Name(name),
        }
    }
}

impl From<Column> for RawColumn {
    fn from(column: Column) -> Self {
        match column {
            Column::Auto => Self::Name("auto".to_string()),
            Column::Number(number) => Self::Number(number),
            Column::Name(name) => Self::Name(name),
        }
    }
}

impl Column {
    /// Whether the config says that there is none.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Name(name) if name.is_empty())
    }
}

/// Where each part of a rating stands. A timestamp number past the end of the row means that there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    pub user: Column,
    pub product: Column,
    /// None = a table of choices: who chose what.
    pub rating: Column,
    pub timestamp: Column,
    /// How often a product was chosen, in a table of choices.
    pub count: Column,
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
    /// `not-majority` by imbalanced-learn's word for it.
    Auto,
    /// `not-majority` by another word.
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
/// Most products that are drawn against a step.
pub const MAX_NEGATIVES: usize = 16_384;

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
    pub ranking: RankingConfig,
    pub early_stopping: EarlyStopping,
    /// Checkpoint every so many steps, beside the one at each epoch's end; 0 = epochs only. Never changes a result.
    pub checkpoint_steps: usize,
    /// Look at the validation split every so many steps, beside each epoch's end; 0 = epochs only. Never changes a result.
    pub evaluate_steps: usize,
    /// Refit scale and bias of the head on the validation split at the end. Changes no ranking where `like_weight` is 0.
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
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        <Self as clap::ValueEnum>::value_variants().iter().copied()
    }

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
        match self {
            Self::Adam | Self::LazyAdam => true,
            Self::Adagrad | Self::Sgd => false,
        }
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
    pub(super) const MAX_CENTRE_RANK: usize = 256;

    pub const NONE: Self = Self {
        bias: 0.0,
        embedding: 0.0,
        centre_rank: 0,
    };

    /// Whether it does anything.
    pub fn is_set(&self) -> bool {
        self.bias > 0.0 || self.embedding > 0.0
    }

    /// The same prior beside a loss that counts `share` as much.
    pub fn times(self, share: f64) -> Self {
        Self {
            bias: share * self.bias,
            embedding: share * self.embedding,
            ..self
        }
    }

    /// Directions that its centres come from; 0 without biases to centre.
    pub fn directions(&self) -> usize {
        if self.bias > 0.0 { self.centre_rank } else { 0 }
    }
}

/// What is learned of choices: which of all products a user takes up at all, see [`crate::engine::choice`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankingConfig {
    /// Share of the loss, in [0, 1]: 0 = choices are not learned, 1 = nothing else is. What draws weights to zero shares with
    /// its loss, and the two questions share no weights, so that with Adam all between is the same.
    pub weight: f64,
    pub loss: ChoiceLoss,
    /// Length of the embeddings that choices are learned with: a multiple of 4, at most [`MAX_DIM`].
    pub dim: usize,
    /// Products that are drawn against each step; with as many as there are all are taken.
    pub negatives: usize,
    /// A product is drawn in proportion to (its training ratings + 1)^popularity, in [0, 1].
    pub popularity: f64,
    pub positives: Positives,
    /// Weight of the squared length of a row for each sample in which it was chosen, a mean over the batch; rows with many
    /// samples are drawn a little less for each, see [`crate::engine::plan::ChoiceL2`].
    pub l2: f64,
    /// What is ranked by: appeal + like_weight * ln(score).
    pub like_weight: f64,
}

impl Config {
    /// What is left to the config's own other settings.
    pub(super) fn settle(&mut self) {
        let metric = &mut self.train.early_stopping.metric;
        if *metric == StoppingMetric::Auto {
            *metric = match self.train.ranking.weight > 0.0 {
                true => StoppingMetric::ValidNdcg,
                false => StoppingMetric::ValidLoss,
            };
        }
    }

    /// The same experiment on a table without ratings: choices are all that is learned, and all are relevant.
    pub fn of_choices_alone(&self) -> Self {
        let mut config = self.clone();
        config.data.rating_scale = RatingScale { min: 0.0, max: 1.0 };
        config.oversample.strategy = OversampleStrategy::None;
        config.train.ranking.weight = 1.0;
        config.train.ranking.positives = Positives::Counted;
        config.train.early_stopping.metric = StoppingMetric::ValidNdcg;
        config.train.calibrate = false;
        // Whatever was chosen at all.
        config.evaluate.relevant_from = 0.0;
        config
    }
}

/// How a choice is told from what was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChoiceLoss {
    /// One choice among all that were drawn.
    Softmax,
    /// The chosen one before each that was drawn.
    Bpr,
    /// Yes to the chosen one, no to each that was drawn.
    Bce,
}

/// How much a rating counts as a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positives {
    /// Each counts as one.
    All,
    /// One from `evaluate.relevant_from` on, nothing below.
    Relevant,
    /// As its place on the scale: the highest as one, the lowest as nothing.
    Graded,
    /// The same from one half on: the lowest still counts as a half.
    Half,
    /// Of a table without ratings: log2(1 + count), so that one time counts as one and a hundred times not as a hundred.
    Counted,
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
    /// `ValidNdcg` where choices are learned, else `ValidLoss`; no config that has been read holds it.
    Auto,
    ValidLoss,
    ValidAuc,
    /// NDCG of the rankings of some users, at the `evaluate.k` nearest to 10.
    ValidNdcg,
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
            from: PathBuf::new(),
            data: DataConfig {
                path: PathBuf::from("data/ratings.csv"),
                valid_path: PathBuf::new(),
                test_path: PathBuf::new(),
                url: String::new(),
                when_missing: WhenMissing::Error,
                generate: GenerateConfig {
                    ratings: 400_000,
                    users: 120_000,
                    products: 15_000,
                },
                delimiter: "auto".to_string(),
                quote: "\"".to_string(),
                decimal: Decimal::Auto,
                header: Header::Auto,
                columns: Columns {
                    user: Column::Auto,
                    product: Column::Auto,
                    rating: Column::Auto,
                    timestamp: Column::Auto,
                    count: Column::Name(String::new()),
                },
                missing_ids: [
                    "nan", "NaN", "NULL", "null", "None", "NA", "N/A", "#N/A", "\\N", "<NA>", "NaT",
                ]
                .map(str::to_string)
                .to_vec(),
                rating_scale: RatingScale { min: 1.0, max: 5.0 },
                unrated: Vec::new(),
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
                ranking: RankingConfig {
                    weight: 0.5,
                    loss: ChoiceLoss::Softmax,
                    dim: 64,
                    negatives: 256,
                    popularity: 0.5,
                    positives: Positives::Half,
                    l2: 0.06,
                    like_weight: 0.0,
                },
                early_stopping: EarlyStopping {
                    metric: StoppingMetric::Auto,
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

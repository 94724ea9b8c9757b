//! What a key may be set to where that is no plain number or text.

use serde::{Deserialize, Serialize};

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

/// What to do when `data.path` does not exist. A path given on the command line must exist whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenMissing {
    Generate,
    Download,
    Error,
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

/// Which rating counts if a user rated a product more than once: by timestamp, else by file order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    Last,
    First,
    Mean,
    Error,
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

/// What a rating becomes in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// `(rating - min) / (max - min)`.
    Scaled,
    /// 1 if rating >= `evaluate.relevant_from`, else 0.
    Binary,
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

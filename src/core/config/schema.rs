//! The keys: what each one means, what it is by default, and what it may be.

use super::section::{Any, Depends, Keys, OutOfRange, Range, Section, Unless, Where, section};
use super::values::{
    ChoiceLoss, Column, Decimal, DeviceChoice, Duplicates, Header, LearningRateCurve, OptimizerChoice,
    OversampleStrategy, Positives, Resample, SplitStrategy, StoppingMetric, Target, Threshold, WhenMissing,
};
use crate::common::calendar::day_of;
use crate::common::interaction::RatingScale;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest embedding that the kernels are tested with.
pub const MAX_DIM: usize = 512;
/// Most products that are drawn against a step.
pub const MAX_NEGATIVES: usize = 16_384;
/// Most directions that centres come from: their normal equations are solved densely.
const MAX_CENTRE_RANK: usize = 256;

const AT_LEAST_1: Where<usize> = Where(|&number| number > 0, "at least 1");
const NOT_NEGATIVE: Where<f64> = Where(|&number| number >= 0.0 && number.is_finite(), "a number of at least 0");
const SHARE: Where<f64> = Where(|share| (0.0..=1.0).contains(share), "a share from 0 to 1");
const DIM: Where<usize> = Where(
    |&dim| dim.is_multiple_of(4) && (4..=MAX_DIM).contains(&dim),
    "a multiple of 4 from 4 to 512",
);
const GIVEN_COLUMN: Where<Column> = Where(|column| !column.is_none(), "a number or a name");
const DAY: Where<String> = Where(
    |text| text.is_empty() || day_of(text).is_some(),
    "a day as `YYYY-MM-DD`",
);

section! {
    /// Everything a training needs to know; written to the run directory as it took effect.
    Config {
        /// Run directories are called `runs/<name>-<n>`.
        name: String = "run".to_string(), Where(|name: &String| is_file_name(name), "letters, digits, `-`, `_` and `.`, not starting with `.`");
        /// Source of all randomness: split, oversampling, start weights, shuffles, generated ratings.
        seed: u64 = 42, Any;
        device: DeviceChoice = DeviceChoice::Auto, Any;
        /// Threads of the cpu engine; 0 = one a core. Never changes a result.
        threads: usize = 0, Where(|&threads| threads <= 1024, "0 to 1,024");
        /// Finished run that the training begins with, by path or name; empty = none.
        from: PathBuf = PathBuf::new(), Any;
        data: DataConfig = DataConfig::default(), Keys;
        split: SplitConfig = SplitConfig::default(), Keys;
        oversample: OversampleConfig = OversampleConfig::default(), Keys;
        model: ModelConfig = ModelConfig::default(), Keys;
        train: TrainConfig = TrainConfig::default(), Keys;
        evaluate: EvaluateConfig = EvaluateConfig::default(), Keys;
    }
}

section! {
    /// Where the ratings are, how they are read, and what is left out.
    DataConfig {
        /// Ratings table: delimited text, JSON or Parquet, told apart by content; text may be gzip, bzip2, xz, zstd or a zip of
        /// one table. A folder or a glob means all its files in the order of their names.
        path: PathBuf = PathBuf::from("data/ratings.csv"), Any;
        /// Rows that choose the epoch, with the same columns; empty = none of one's own. Nothing without `test_path`.
        valid_path: PathBuf = PathBuf::new(), Depends;
        /// Rows that judge the result, with the same columns; no split is drawn then. Empty = the split holds rows of `path` out.
        test_path: PathBuf = PathBuf::new(), Any;
        /// Where `when_missing = "download"` gets it; empty = nowhere.
        url: String = String::new(), Depends;
        when_missing: WhenMissing = WhenMissing::Error, Any;
        generate: GenerateConfig = GenerateConfig::default(), Keys;
        /// `auto`, or the text between two columns.
        delimiter: String = "auto".to_string(), Where(
            |text: &String| !text.is_empty() && !text.contains(['\n', '\r']),
            "`auto` or the text between two columns",
        );
        /// What stands around a field that holds delimiters or line breaks; empty = nothing does.
        quote: String = "\"".to_string(), Depends;
        decimal: Decimal = Decimal::Auto, Any;
        header: Header = Header::Auto, Any;
        columns: Columns = Columns::default(), Keys;
        /// Words that stand where an id is missing; such rows are bad.
        missing_ids: Vec<String> = [
            "nan", "NaN", "NULL", "null", "None", "NA", "N/A", "#N/A", "\\N", "<NA>", "NaT",
        ].map(str::to_string).to_vec(), Any;
        rating_scale: RatingScale = RatingScale { min: 1.0, max: 5.0 }, Where(
            |scale: &RatingScale| scale.min < scale.max && scale.min.is_finite() && scale.max.is_finite(),
            "two numbers, the lower first",
        );
        /// Values of the rating column that mean "not rated"; such rows are left out.
        unrated: Vec<f32> = Vec::new(), Where(|values: &Vec<f32>| values.iter().all(|value| value.is_finite()), "numbers");
        /// Largest share of bad rows that is skipped (and counted); above it the run stops.
        max_bad_rows: f64 = 0.001, SHARE;
        duplicates: Duplicates = Duplicates::Last, Depends;
        /// Users with fewer ratings are left out, repeatedly, together with `min_ratings_per_product`, until all that is left
        /// fits.
        min_ratings_per_user: usize = 1, AT_LEAST_1;
        min_ratings_per_product: usize = 1, AT_LEAST_1;
        /// First day that counts, `YYYY-MM-DD` in UTC; empty = from the beginning.
        since: String = String::new(), DAY;
        /// Last day that counts, `YYYY-MM-DD` in UTC; empty = to the end.
        until: String = String::new(), DAY;
        /// Product table with titles; empty = none.
        titles: PathBuf = PathBuf::new(), Any;
        title_columns: TitleColumns = TitleColumns::default(), Keys;
    }
}

section! {
    /// Size of the generated stand-in.
    #[derive(Copy, Eq)]
    GenerateConfig {
        ratings: usize = 400_000, AT_LEAST_1;
        users: usize = 120_000, AT_LEAST_1;
        products: usize = 15_000, AT_LEAST_1;
    }
}

section! {
    /// Where each part of a rating stands. A timestamp number past the end of the row means that there is none.
    #[derive(Eq)]
    Columns {
        user: Column = Column::Auto, GIVEN_COLUMN;
        product: Column = Column::Auto, GIVEN_COLUMN;
        /// None = a table of choices: who chose what.
        rating: Column = Column::Auto, Any;
        timestamp: Column = Column::Auto, Any;
        /// How often a product was chosen, in a table of choices.
        count: Column = Column::Name(String::new()), Depends;
    }
}

section! {
    /// Where id and title stand in the product table.
    #[derive(Eq)]
    TitleColumns {
        id: Column = Column::Number(0), Any;
        title: Column = Column::Number(1), Any;
    }
}

section! {
    /// How many rows are held out, and which; the rest trains.
    #[derive(Copy)]
    SplitConfig {
        strategy: SplitStrategy = SplitStrategy::Random, Any;
        /// Below 1 a share of the rows, from 1 a number of rows (`leave-last-out`: of rows per user, always whole).
        valid: f64 = 0.1, Depends;
        /// As `valid`.
        test: f64 = 0.1, Depends;
    }
}

section! {
    /// Targeted random oversampling of the training split.
    OversampleConfig {
        strategy: OversampleStrategy = OversampleStrategy::Factors, Depends;
        /// Of `factors`: rating class (as text: `"1"`, `"2.5"`) to multiple of its own size, at least 1; empty = as it is.
        factors: BTreeMap<String, f64> = BTreeMap::new(), Unless(bad_factor);
        /// Of `counts`: rating class to number of rows, at least as many as it has.
        counts: BTreeMap<String, usize> = BTreeMap::new(), Unless(bad_class);
        resample: Resample = Resample::Once, Any;
    }
}

section! {
    #[derive(Copy, Eq)]
    ModelConfig {
        /// Length of an embedding: a multiple of 4, at most [`MAX_DIM`].
        dim: usize = 64, DIM;
    }
}

section! {
    #[derive(Copy)]
    TrainConfig {
        epochs: usize = 10, AT_LEAST_1;
        /// Samples a step.
        batch_size: usize = 8192, Where(|size| (1..=1 << 20).contains(size), "1 to 1,048,576");
        learning_rate: f64 = 1e-3, Where(|&rate: &f64| rate > 0.0 && rate.is_finite(), "a number above 0");
        learning_rate_curve: LearningRateCurve = LearningRateCurve::Constant, Any;
        /// The learning rate rises from nothing over so many steps.
        warmup_steps: usize = 0, Any;
        reduce_on_plateau: ReduceOnPlateau = ReduceOnPlateau::default(), Keys;
        optimizer: OptimizerChoice = OptimizerChoice::Adam, Any;
        /// Gradients of single weights are clamped to `[-clip, clip]`; 0 = not at all.
        clip: f64 = 0.0, NOT_NEGATIVE;
        target: Target = Target::Scaled, Any;
        /// Share of the loss that asks whether a rating is relevant, in [0, 1); the rest asks how high it is. Scaled targets
        /// only.
        relevance: f64 = 0.0, Where(
            |share| (0.0..1.0).contains(share),
            "at least 0 and below 1; `train.target = \"binary\"` asks for relevance alone",
        );
        /// Weight of the squared length of the rows of a batch, a mean over its samples.
        l2: f64 = 0.0, NOT_NEGATIVE;
        prior: Prior = Prior::NONE, Keys;
        ranking: RankingConfig = RankingConfig::default(), Keys;
        early_stopping: EarlyStopping = EarlyStopping::default(), Keys;
        /// Checkpoint every so many steps, beside those at epochs' ends; 0 = there only. Never changes a result.
        checkpoint_steps: usize = 0, Any;
        /// Look at the validation split every so many steps, beside each epoch's end; 0 = epochs only. Never changes a result.
        evaluate_steps: usize = 0, Any;
        /// Refit scale and bias of the head on the validation split at the end. Changes no ranking where `like_weight` is 0.
        calibrate: bool = true, Any;
    }
}

section! {
    /// Lowers the learning rate when an epoch's figure of `early_stopping.metric` was no better than the best.
    #[derive(Copy)]
    ReduceOnPlateau {
        /// What the learning rate is multiplied with, in (0, 1).
        factor: f64 = 0.5, Where(|&factor| factor > 0.0 && factor < 1.0, "a number between 0 and 1");
        /// Epochs without a better figure before it; 0 = never.
        patience: usize = 0, Any;
    }
}

section! {
    /// Strengths of a Gaussian prior on each row, counted once an epoch however many ratings the row has; 0 = none.
    ///
    /// With a prior the head's scale stays 1: a scale that grows while the rows shrink would undo it.
    #[derive(Copy)]
    Prior {
        /// Of the biases.
        bias: f64 = 0.0, NOT_NEGATIVE;
        /// Of the embeddings.
        embedding: f64 = 0.0, NOT_NEGATIVE;
        /// Directions of who rated what that say where the prior of each bias is centred; 0 = at zero. Nothing without `bias`.
        centre_rank: usize = 0, Where(|&rank| rank <= MAX_CENTRE_RANK, "0 to 256");
    }
}

section! {
    /// What is learned of choices: which of all products a user takes up at all, see [`crate::engine::choice`].
    #[derive(Copy)]
    RankingConfig {
        /// Share of the loss, in [0, 1]: 0 = choices are not learned, 1 = nothing else is. What draws weights to zero shares with
        /// its loss, and the two questions share no weights, so that with Adam all between is the same.
        weight: f64 = 0.5, SHARE;
        loss: ChoiceLoss = ChoiceLoss::Softmax, Any;
        /// Length of the embeddings that choices are learned with: a multiple of 4, at most [`MAX_DIM`].
        dim: usize = 64, DIM;
        /// Products that are drawn against each step; with as many as there are all are taken.
        negatives: usize = 256, Where(|negatives| (1..=MAX_NEGATIVES).contains(negatives), "1 to 16,384");
        /// A product is drawn in proportion to (its training ratings + 1)^popularity, in [0, 1].
        popularity: f64 = 0.5, Where(|power| (0.0..=1.0).contains(power), "0 (all alike) to 1 (as often as they are rated)");
        positives: Positives = Positives::Half, Any;
        /// Weight of the squared length of a row for each sample in which it was chosen, a mean over the batch; rows with many
        /// samples are drawn a little less for each, see [`crate::engine::plan::ChoiceL2`].
        l2: f64 = 0.06, NOT_NEGATIVE;
        /// What is ranked by: appeal + like_weight * ln(score).
        like_weight: f64 = 0.0, NOT_NEGATIVE;
    }
}

section! {
    #[derive(Copy, Eq)]
    EarlyStopping {
        metric: StoppingMetric = StoppingMetric::Auto, Depends;
        /// Epochs without improvement that are waited for; 0 = run all epochs.
        patience: usize = 2, Any;
    }
}

section! {
    EvaluateConfig {
        /// A rating >= this is a positive.
        relevant_from: f32 = 4.0, Depends;
        threshold: Threshold = Threshold::Relevant, Where(
            |threshold| !matches!(threshold, Threshold::Score(score) if !(0.0..=1.0).contains(score)),
            "`relevant` or a score from 0 to 1",
        );
        /// Lengths of the rankings that are judged, ascending.
        k: Vec<usize> = vec![5, 10, 20], Where(
            |k: &Vec<usize>| !k.is_empty() && k[0] > 0 && k.is_sorted_by(|a, b| a < b),
            "whole numbers above 0, ascending",
        );
        /// Rankings are judged for at most so many users, drawn by the seed; 0 = for all.
        ranked_users: usize = 10_000, Any;
        /// Each held-out relevant product is also ranked among so many that are drawn; 0 = not.
        sampled_negatives: usize = 0, Any;
    }
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

impl Prior {
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

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) && !name.starts_with('.')
}

/// The first class that is no number, or the same number as one before it.
fn bad_class<T>(classes: &BTreeMap<String, T>) -> Option<String> {
    let mut seen: Vec<(f32, &String)> = Vec::new();
    for class in classes.keys() {
        let Some(rating) = class.parse::<f32>().ok().filter(|rating| rating.is_finite()) else {
            return Some(format!("found class `{class}`, wanted a rating such as `1` or `2.5`"));
        };
        if let Some((_, twin)) = seen.iter().find(|(other, _)| *other == rating) {
            return Some(format!("`{twin}` and `{class}` are the same class, wanted one of them"));
        }
        seen.push((rating, class));
    }
    None
}

/// The same, and the first factor that would weaken its class.
fn bad_factor(factors: &BTreeMap<String, f64>) -> Option<String> {
    let weakens = |(class, &factor): (&String, &f64)| {
        (!(factor >= 1.0 && factor.is_finite())).then(|| {
            format!("class `{class}` has factor `{factor}`, wanted a factor of at least 1; to weaken a class, raise the others")
        })
    };
    bad_class(factors).or_else(|| factors.iter().find_map(weakens))
}

//! Arguments, as typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use dotcart::config::{DeviceChoice, MAX_DIM, MAX_NEGATIVES, OptimizerChoice};
use dotcart::recommend::bulk::Shard;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Learns what people will like from the ratings they gave, on any GPU, and recommends what they have not bought yet.
#[derive(Debug, Parser)]
#[command(name = "dotcart", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model and judge it on held-out ratings
    Train(TrainArguments),
    /// Train one config with many settings, and say which is best on the validation split
    Sweep(SweepArguments),
    /// Watch a training of another process, or see a finished one again
    Watch(WatchArguments),
    /// Judge a trained model on its test split again
    Evaluate(EvaluateArguments),
    /// Show runs side by side: figures, what differs in their configs, and what each rating class got
    Compare(CompareArguments),
    /// Write a run as one HTML page: to read, to send, to print
    Report(ReportArguments),
    /// Write what a run holds as files that other programs read
    Export(ExportArguments),
    /// Rank for users all products that they have not rated; without a user, for anybody
    Recommend(RecommendArguments),
    /// Find the products, or users, most like one
    Similar(SimilarArguments),
    /// Answer over HTTP: lists, likeness, new ratings
    Serve(ServeArguments),
    /// Write a ratings file in the shape of a real one, with planted tastes
    Generate(GenerateArguments),
    /// Show what a ratings file holds: rows left out, classes, split, memory; nothing is trained
    Inspect(InspectArguments),
    /// Show graphics adapters, their limits, and which engine `auto` takes
    Doctor(DoctorArguments),
    /// Print what a shell needs to complete commands and options
    Completions {
        /// Shell that is to complete them
        shell: Shell,
    },
    /// Write the manual, a page a command
    #[command(hide = true)]
    Man {
        /// Folder to write to, made if need be
        folder: PathBuf,
    },
    /// Measure how fast this machine trains and scores, on data generated in memory
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Training: samples a second, stages of a step, bytes moved, beside what the memory of this machine can do
    Train(BenchTrainArguments),
    /// Scoring: users and products a second, by number of products, of users, and k
    Score(BenchScoreArguments),
}

#[derive(Debug, Args)]
pub struct TrainArguments {
    /// Experiment file, for example configs/electronics.toml, or a table of ratings or purchases, for which the settings are
    /// chosen: a file, a folder, a quoted glob, or `-` for what comes through the standard input
    #[arg(required_unless_present_any = ["resume", "from"], conflicts_with = "resume")]
    pub config: Option<PathBuf>,
    /// Override a key of the file, for example --set train.epochs=3
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "resume")]
    pub set: Vec<String>,
    /// Engine to train on
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// Print lines even if stderr is a terminal
    #[arg(long, group = "view")]
    pub plain: bool,
    /// Print every event of the training as a JSON object a line, and the evaluation as the last; no dashboard
    #[arg(long, group = "view", conflicts_with = "ablate")]
    pub json: bool,
    /// Print errors and the result alone
    #[arg(long, short, conflicts_with = "plain")]
    pub quiet: bool,
    /// Write the training for TensorBoard too, in a folder of the run's name below this one
    #[arg(long, value_name = "FOLDER")]
    pub tensorboard: Option<PathBuf>,
    /// Continue an unfinished run from its last checkpoint
    #[arg(long, value_name = "RUN")]
    pub resume: Option<String>,
    /// Begin with what a finished run has learned, and with the ratings that came to it since; a fifth of the epochs at half the
    /// learning rate, unless they are set. Without a config or table, those of the run
    #[arg(long, value_name = "RUN", conflicts_with_all = ["resume", "ablate"])]
    pub from: Option<String>,
    /// Train without a part of the config as well, on the same split, and show what that part bought and cost
    #[arg(long, value_name = "WHAT", conflicts_with = "resume")]
    pub ablate: Option<Ablation>,
}

#[derive(Debug, Args)]
pub struct SweepArguments {
    /// Experiment file, for example configs/electronics_164k.toml
    pub config: PathBuf,
    /// Key to vary: a list, train.l2=0.01,0.1, or with --trials also a range, train.l2=0.001..1; may be repeated
    #[arg(long = "over", value_name = "KEY=VALUES", required = true)]
    pub over: Vec<String>,
    /// Draw so many trials at random [default: all combinations]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub trials: Option<u32>,
    /// Override a key of the file for all trials, for example --set train.epochs=30
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Engine to train on
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// Trials to train at once, if the memory allows
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,
    /// Folder of the sweep [default: runs/NAME-sweep]; where one was begun it goes on
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// One JSON object a trial instead of a table
    #[arg(long)]
    pub json: bool,
}

/// For whom CSV is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CsvStyle {
    /// For programs: every text as it is
    Plain,
    /// For a spreadsheet: a text that begins like a formula gets a ' before it
    Excel,
}

/// How a recommendation is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhyStyle {
    /// In a sentence
    Words,
    /// As the parts of what it is ranked by
    Logits,
}

/// What a second training does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ablation {
    /// Trains on the natural rows
    Oversampling,
}

#[derive(Debug, Args)]
pub struct WatchArguments {
    /// Run to watch, by name or path
    pub run: String,
    /// Print lines even if there is a terminal
    #[arg(long)]
    pub plain: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Prove the adapter that `gpu` takes: its results beside the cpu engine's, its speed beside its memory's, as JSON to send
    #[arg(long, conflicts_with = "config")]
    pub prove: bool,
    /// Write the proof here [default: stdout]
    #[arg(long, value_name = "FILE", requires = "prove")]
    pub out: Option<PathBuf>,
    /// Say too whether a training fits this machine's memory
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override a key of the file, for example --set model.dim=128
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    pub set: Vec<String>,
}

#[derive(Debug, Args)]
pub struct InspectArguments {
    /// Experiment file, for example configs/electronics.toml, or a table of ratings or purchases
    pub config: PathBuf,
    /// Override a key of the file, for example --set data.path=ratings.csv.gz
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// One JSON object instead of a page
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EvaluateArguments {
    /// Run to judge, by name or path [default: the newest complete one]
    #[arg(long)]
    pub run: Option<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Who is asked for; nobody means anybody.
#[derive(Debug, Args)]
#[group(id = "who", multiple = false)]
pub struct WhoArguments {
    /// User id, as it stands in the ratings file; may be repeated
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub user: Vec<String>,
    /// File with a user id to a line, Parquet with a column of user ids, or a folder of such files
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Every user of the run, in the order of first appearance
    #[arg(long)]
    pub all: bool,
    /// Somebody new, known by a rating; may be repeated
    #[arg(long, value_name = "PRODUCT=RATING", allow_hyphen_values = true)]
    pub rated: Vec<String>,
    /// Somebody new, known by the ratings in a file, `PRODUCT=RATING` to a line
    #[arg(long, value_name = "FILE")]
    pub rated_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CompareArguments {
    /// Complete runs, by name or path
    #[arg(required = true, num_args = 1..=26, value_name = "RUN")]
    pub runs: Vec<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Run to show, by name or path [default: the newest complete one]
    #[arg(long)]
    pub run: Option<String>,
    /// Where to write it [default: report.html in the run's folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExportArguments {
    #[command(subcommand)]
    pub what: ExportWhat,
}

#[derive(Debug, Subcommand)]
pub enum ExportWhat {
    /// The run's split as train.csv, valid.csv and test.csv, so that other programs train and are judged on the same rows
    Splits(SplitsArguments),
    /// Vectors of users and products for an index by inner product, which gives the run's own lists
    Embeddings(EmbeddingsArguments),
}

#[derive(Debug, Args)]
pub struct EmbeddingsArguments {
    /// Complete run, by name or path
    pub run: String,
    /// Who reads them: faiss, hnswlib and npy are the same files
    #[arg(long = "for", value_name = "READER")]
    pub reader: EmbeddingsReader,
    /// Folder to write to, made if need be
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// Who reads vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EmbeddingsReader {
    /// As npy: for `IndexFlatIP`, or any index by METRIC_INNER_PRODUCT
    Faiss,
    /// As npy: for an index of the space `ip`
    Hnswlib,
    /// Tables with the columns `id` and `embedding`
    Parquet,
    /// Matrices of f32, and the ids of their rows as JSON strings, one a line
    Npy,
}

#[derive(Debug, Args)]
pub struct SplitsArguments {
    /// Complete run, by name or path
    pub run: String,
    /// Folder to write to, made if need be
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RecommendArguments {
    #[command(flatten)]
    pub who: WhoArguments,
    /// How many products
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    /// Leave out products with fewer ratings in the training split
    #[arg(long, value_name = "M", default_value_t = 0)]
    pub min_ratings: u32,
    /// File with products to leave out, an id to a line
    #[arg(long, value_name = "FILE")]
    pub exclude: Option<PathBuf>,
    /// File with the only products to choose from, an id to a line
    #[arg(long, value_name = "FILE")]
    pub only: Option<PathBuf>,
    /// Succeed though the file names users whom the run does not know; the others are answered either way
    #[arg(long, requires = "users", conflicts_with_all = ["user", "all", "rated", "rated_file"])]
    pub skip_unknown: bool,
    /// Rank what the user has rated, too
    #[arg(long)]
    pub include_seen: bool,
    /// Name the rated products that pull each recommendation up most; `logits` shows by how much
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "words", conflicts_with_all = ["csv", "out"])]
    pub why: Option<WhyStyle>,
    /// Run to ask, by name or path [default: the newest complete one]
    #[arg(long)]
    pub run: Option<String>,
    /// One JSON object a user instead of a table
    #[arg(long, conflicts_with_all = ["csv", "out"])]
    pub json: bool,
    /// Rows of CSV instead of a table, each id and title as it is; `excel` sets a ' before what a spreadsheet would compute
    #[arg(long, value_name = "STYLE", num_args = 0..=1, require_equals = true, default_missing_value = "plain", conflicts_with = "out")]
    pub csv: Option<CsvStyle>,
    /// Engine to rank on [default: the run's, for more users than the cpu ranks at once; else cpu]
    #[arg(long, conflicts_with_all = ["rated", "rated_file"])]
    pub device: Option<DeviceChoice>,
    /// Parquet files in a folder instead of a table; continues what is there
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["rated", "rated_file"])]
    pub out: Option<PathBuf>,
    /// Write shard I of N alone, I from 0; the same command without it checks the shards and ends what they began
    #[arg(long, value_name = "I/N", requires = "out", conflicts_with_all = ["rated", "rated_file", "why", "json", "csv"], value_parser = parse_shard)]
    pub shard: Option<Shard>,
}

#[derive(Debug, Args)]
pub struct SimilarArguments {
    /// Product id: which products are like it
    #[arg(
        long,
        value_name = "ID",
        required_unless_present = "user",
        conflicts_with = "user",
        allow_hyphen_values = true
    )]
    pub product: Option<String>,
    /// User id: which users are like them
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub user: Option<String>,
    /// How many
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    /// Leave out those with fewer ratings in the training split
    #[arg(long, value_name = "M", default_value_t = 0)]
    pub min_ratings: u32,
    /// Run to ask, by name or path [default: the newest complete one]
    #[arg(long)]
    pub run: Option<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Run that answers, by name or path [default: the newest complete one]
    #[arg(long, conflicts_with = "name")]
    pub run: Option<String>,
    /// The newest complete run of this name, NAME-1, NAME-2, ..., and newer ones as they are completed
    #[arg(long)]
    pub name: Option<String>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub address: SocketAddr,
    /// File with the token that new ratings and reloads need, and on an address that others can reach every question too
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Let everybody ask who reaches the address
    #[arg(long)]
    pub public: bool,
    /// Engine to rank on [default: cpu]
    #[arg(long)]
    pub device: Option<DeviceChoice>,
}

#[derive(Debug, Args)]
pub struct BenchScoreArguments {
    /// How many products
    #[arg(long, default_value_t = 476_002, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub items: u32,
    /// Length of an embedding: a multiple of 4, up to 512
    #[arg(long, default_value_t = 64, value_parser = parse_dim)]
    pub dim: usize,
    /// How many users at once
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub users: u32,
    /// How many products for each user
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub k: u32,
    /// Engine to score on
    #[arg(long, default_value = "cpu")]
    pub device: DeviceChoice,
    /// Threads of the cpu engine; 0 = one a core
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub threads: u16,
    /// How long to measure each point
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub seconds: u32,
    /// Measure at several numbers of products, of users, and of k
    #[arg(long)]
    pub sweep: bool,
    /// One JSON object a measurement
    #[arg(long)]
    pub json: bool,
    /// Write the matrices into this folder for other programs, and measure nothing: users.f32, items.f32, little-endian
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["sweep", "json"])]
    pub write: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct GenerateArguments {
    /// The real file to imitate
    #[arg(long, default_value = "electronics")]
    pub like: Likeness,
    /// How many rows; the real file has 7,824,482
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub ratings: u32,
    /// Where to write them: CSV, `user,product,rating,timestamp`
    #[arg(long)]
    pub out: PathBuf,
    /// How many users [default: the real file's proportion, 0.537 a rating]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub users: Option<u32>,
    /// How many products [default: the real file's proportion, 0.061 a rating]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub products: Option<u32>,
    /// The same seed and size give the same file
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Replace the file if there is one
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct BenchTrainArguments {
    /// Size to begin with
    #[arg(long, default_value = "1m")]
    pub like: BenchShape,
    /// How many users, instead of that shape's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub users: Option<u32>,
    /// How many products, instead of that shape's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub products: Option<u32>,
    /// How many ratings, instead of that shape's; all are trained on
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub ratings: Option<u32>,
    /// Length of an embedding: a multiple of 4, up to 512
    #[arg(long, default_value_t = 64, value_parser = parse_dim)]
    pub dim: usize,
    /// Samples a step
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub batch: u32,
    /// Learn choices too, with embeddings as long, and so many products drawn a step; 0 = ratings alone
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=MAX_NEGATIVES as i64))]
    pub negatives: u32,
    /// As `train.optimizer`
    #[arg(long, default_value = "adam")]
    pub optimizer: OptimizerChoice,
    /// Engine to train on
    #[arg(long, default_value = "cpu")]
    pub device: DeviceChoice,
    /// Threads of the cpu engine; 0 = one a core
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub threads: u16,
    /// How long to train; beyond 60, speed and memory of every minute are shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// Measure at several sizes of one thing
    #[arg(long)]
    pub sweep: Option<Sweep>,
    /// One JSON object a measurement
    #[arg(long)]
    pub json: bool,
    /// Write the ratings into this folder for other programs, and train nothing: users.u32, products.u32, ratings.f32,
    /// little-endian
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["sweep", "json"])]
    pub write: Option<PathBuf>,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let shard = text.split_once('/').and_then(|(index, of)| {
        let (index, of) = (index.parse().ok()?, of.parse().ok()?);
        (index < of).then_some(Shard { index, of })
    });
    shard.ok_or_else(|| "wanted `I/N`, I from 0 and below N, as `0/4`".to_string())
}

fn parse_dim(text: &str) -> Result<usize, String> {
    let dim = text
        .parse()
        .ok()
        .filter(|dim| (4..=MAX_DIM).contains(dim) && dim % 4 == 0);
    dim.ok_or_else(|| format!("wanted a multiple of 4 from 4 to {MAX_DIM}"))
}

/// Sizes that figures are known for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum BenchShape {
    /// 1,000,000 ratings of 100,000 users and 20,000 products
    #[value(name = "1m")]
    OneMillion,
    /// Amazon Electronics: 7,824,482 ratings of 4,201,696 users and 476,002 products
    Electronics,
}

/// What a sweep changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sweep {
    /// 10,000 to 10,000,000 rows in both tables
    Table,
    /// 8 to 512
    Dim,
    /// 1,024 to 262,144
    Batch,
    /// One to all of them
    Threads,
}

/// Real files whose shape is known.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Likeness {
    /// Amazon Electronics, 2014
    Electronics,
}

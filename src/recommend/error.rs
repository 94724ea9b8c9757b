//! What can go wrong when something is to be recommended, each with its hint.

use crate::artifact::run_directory::RunError;
use crate::artifact::tensor_file::FileError;
use crate::common::hint::{Hint, writing};
use crate::config::ConfigError;
use crate::data::fault::IngestError;
use crate::engine::EngineError;
use std::path::PathBuf;

/// Nothing can be recommended.
#[derive(Debug, thiserror::Error)]
pub enum RecommendError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A list of users in Parquet, or in a folder.
    #[error(transparent)]
    Users(Box<IngestError>),
    #[error("{what} `{id}` is not in run `{run}`")]
    Unknown {
        what: &'static str,
        id: String,
        run: String,
        nearest: Vec<String>,
        example: String,
        /// Whether it is known on the other side.
        is_swapped: bool,
    },
    #[error("{products} products have the title `{title}`")]
    Ambiguous {
        title: String,
        products: usize,
        ids: Vec<String>,
    },
    #[error("{unknown} of {ids} users in `{}` are not in run `{run}`", path.display())]
    UnknownUsers {
        path: PathBuf,
        unknown: usize,
        ids: usize,
        run: String,
        /// Where the first of them stands, and what is wrong with it.
        place: String,
        first: Box<RecommendError>,
    },
    #[error("{error} ({}:{line})", path.display())]
    InList {
        path: PathBuf,
        line: usize,
        error: Box<RecommendError>,
    },
    #[error("`{0}` is not `product=rating`")]
    MalformedRating(String),
    #[error("the rating `{rating}` is off the scale of {min} to {max}")]
    OffScale { rating: f32, min: f32, max: f32 },
    #[error("`{0}` is no count")]
    NoCount(f32),
    #[error("product `{0}` is rated twice")]
    RatedTwice(String),
    #[error("no product is left to choose from: of {products}, {reason}")]
    NoCandidates { products: usize, reason: String },
    #[error("there is nobody in `{}`", .0.display())]
    EmptyList(PathBuf),
    #[error("there is no rating in `{}`", .0.display())]
    EmptyRatings(PathBuf),
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write `{}`: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("folder `{}` holds other files", .0.display())]
    Occupied(PathBuf),
    #[error("another process writes recommendations into folder `{}`", .0.display())]
    Busy(PathBuf),
    #[error("folder `{}` holds the recommendations of another request", .0.display())]
    OtherRequest(PathBuf),
    #[error("`{}` holds the recommendations of another {what}", path.display())]
    OtherPart { path: PathBuf, what: &'static str },
    #[error("`{}` is damaged: {fault}", path.display())]
    DamagedPart { path: PathBuf, fault: String },
    #[error("{what} `{id}` has no training rating, so nothing is like it")]
    NoEmbedding { what: &'static str, id: String },
    #[error("no other {what} has {} or more training ratings", min_ratings.max(&1))]
    NoNeighbour { what: &'static str, min_ratings: u32 },
}

impl Hint for RecommendError {
    fn hint(&self) -> String {
        match self {
            Self::Run(error) => error.hint(),
            Self::Config(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Users(error) => match error.as_ref() {
                IngestError::Unclear { .. } | IngestError::ColumnType { .. } => {
                    "name the column of user ids `user`, or write it alone; ids are text or whole numbers".to_string()
                }
                IngestError::NoParts { .. } => {
                    "name a file with a user id to a line, a Parquet file, or a folder of either".to_string()
                }
                IngestError::Read { .. } => "check the path; if it is right, write the file again".to_string(),
                error => error.hint(),
            },
            Self::Unknown {
                what, is_swapped: true, ..
            } => {
                let other = if *what == "user" { "product" } else { "user" };
                format!(
                    "this id is a {other} here: are the columns swapped? `data.columns` sets where user and product stand"
                )
            }
            Self::Unknown { nearest, example, .. } if nearest.is_empty() => {
                format!("ids are compared as text, leading zeros count; one that is there: `{example}`")
            }
            Self::Unknown { nearest, .. } => format!("did you mean `{}`?", nearest.join("` or `")),
            Self::Ambiguous { ids, .. } => format!("name one by its id: `{}`", ids.join("` or `")),
            Self::UnknownUsers {
                unknown,
                ids,
                place,
                first,
                ..
            } => {
                let hint = format!("{place}: {}", first.hint());
                match unknown < ids {
                    true => format!("{hint}; the others are answered, and `--skip-unknown` takes that for success"),
                    false => hint,
                }
            }
            Self::InList { error, .. } => error.hint(),
            Self::MalformedRating(_) => "for example `--rated B00004ZCJE=5`; in a file one to a line".to_string(),
            Self::NoCount(_) => "the run learned how often something was chosen: give a number above 0".to_string(),
            Self::OffScale { .. } => "ratings are on the scale that the run was trained on".to_string(),
            Self::RatedTwice(_) => "name each product once".to_string(),
            Self::NoCandidates { .. } => "loosen `--min-ratings`, `--only` or `--exclude`".to_string(),
            Self::EmptyList(_) => "one user id to a line, or to a row of Parquet".to_string(),
            Self::EmptyRatings(_) => "one `product=rating` to a line, or leave `--rated-file` out".to_string(),
            Self::Read { .. } => "check the path".to_string(),
            Self::Write { source, .. } => writing(source).to_string(),
            Self::Occupied(_) => "name a new or an empty folder".to_string(),
            Self::Busy(_) => "wait for it, or name another folder".to_string(),
            Self::OtherRequest(_) => {
                "name another folder, or ask with the run, users and options that it was begun with".to_string()
            }
            Self::DamagedPart { .. } | Self::OtherPart { .. } => {
                "remove the file, and the same command writes it again".to_string()
            }
            Self::NoEmbedding { .. } => "name one that was trained on".to_string(),
            Self::NoNeighbour { .. } => "lower `--min-ratings`, or train on more ratings".to_string(),
        }
    }

    fn is_internal(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_internal())
    }
}

impl From<IngestError> for RecommendError {
    fn from(error: IngestError) -> Self {
        Self::Users(Box::new(error))
    }
}

impl From<FileError> for RecommendError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

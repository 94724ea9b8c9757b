//! Anything that can go wrong on the way, each with its hint.

use crate::artifact::embeddings::ExportEmbeddingsError;
use crate::artifact::export::ExportSplitsError;
use crate::artifact::run_directory::RunError;
use crate::artifact::tensor_file::FileError;
use crate::common::hint::Hint;
use crate::config::ConfigError;
use crate::data::fault::IngestError;
use crate::data::oversample::OversampleError;
use crate::data::source::SourceError;
use crate::data::split::SplitError;
use crate::data::synthetic::GenerateError;
use crate::engine::EngineError;
use crate::engine::memory::MemoryError;
use crate::engine::optimizer::MAX_STEPS;
use crate::evaluate::EvaluateError;
use crate::flow::sweep::SweepError;
use crate::recommend::RecommendError;
use crate::serve::ServeError;
use crate::train::strategy::TrainError;
use std::path::PathBuf;

/// [`PipelineError`] from a line a stage: its name and its error, which brings its own [`Hint`].
macro_rules! stages {
    ($($stage:ident($error:ty),)*) => {
        /// What a stage of the pipeline failed at.
        #[derive(Debug, thiserror::Error)]
        pub enum PipelineError {
            $(#[error(transparent)] $stage(#[from] $error),)*
        }

        impl PipelineError {
            fn of_stage(&self) -> &dyn Hint {
                match self {
                    $(Self::$stage(error) => error,)*
                }
            }
        }
    };
}

stages! {
    Config(ConfigError),
    Source(SourceError),
    Generate(GenerateError),
    Ingest(IngestError),
    Split(SplitError),
    Oversample(OversampleError),
    Memory(MemoryError),
    Run(RunError),
    Engine(EngineError),
    Train(TrainError),
    Evaluate(EvaluateError),
    Recommend(RecommendError),
    Sweep(SweepError),
    ExportSplits(ExportSplitsError),
    ExportEmbeddings(ExportEmbeddingsError),
    Serve(ServeError),
    Flow(FlowError),
}

impl Hint for PipelineError {
    fn hint(&self) -> String {
        self.of_stage().hint()
    }

    fn is_internal(&self) -> bool {
        self.of_stage().is_internal()
    }
}

impl From<FileError> for PipelineError {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

/// What goes wrong between stages.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("there is no oversampling to do without: no rating class of `{0}` grows")]
    NothingToAblate(PathBuf),
    #[error("`{}` has no ratings, and choices are not learned (`train.ranking.weight` = 0)", .0.display())]
    NothingToLearn(PathBuf),
    #[error("the checkpoint was not made with this config: its step does not fit ({})", .0.display())]
    ForeignCheckpoint(PathBuf),
    #[error("{0} epochs are {1} steps, at most {MAX_STEPS}")]
    TooManySteps(usize, usize),
    #[error("run `{}` has embeddings of {} and {} numbers for ratings and for choices, the config of {} and {}", run.display(), found.0, found.1, wanted.0, wanted.1)]
    OtherShape {
        run: PathBuf,
        found: (usize, usize),
        wanted: (usize, usize),
    },
    #[error("training failed: {0}")]
    Burn(String),
}

impl Hint for FlowError {
    fn hint(&self) -> String {
        let hint = match self {
            Self::NothingToAblate(_) => {
                "set `oversample.factors`, for example `--set 'oversample.factors={\"1\"=2.0}'`"
            }
            Self::NothingToLearn(_) => {
                "leave `train.ranking.weight` as it is by default, or name the ratings in `data.columns`"
            }
            Self::ForeignCheckpoint(_) => "put back the config that the run began with, or train again",
            Self::TooManySteps(..) => "lower `train.epochs`, or raise `train.batch_size`",
            Self::OtherShape { .. } => {
                "set `model.dim`, `train.ranking.dim` and `train.ranking.weight` as the run has them"
            }
            Self::Burn(_) => "this is a fault of dotcart; please report it",
        };
        hint.to_string()
    }

    fn is_internal(&self) -> bool {
        matches!(self, Self::Burn(_))
    }
}

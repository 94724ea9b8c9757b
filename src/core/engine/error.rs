//! What an engine can fail at.

use crate::common::hint::Hint;
use crate::common::interaction::ItemIndex;

/// What a device can fail at.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("no usable graphics adapter: {0}")]
    NoAdapter(String),
    #[error("{what}: {needed} bytes in one buffer, the device takes at most {limit}")]
    TooLarge {
        what: &'static str,
        needed: u64,
        limit: u64,
    },
    #[error("the device failed while {doing}: {message}")]
    Failed { doing: &'static str, message: String },
}

/// A device or a kernel failed; the model in the engine is no longer to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("a batch of {samples} samples is more than this device takes in one step: {largest}")]
    BatchTooLarge { samples: usize, largest: usize },
    #[error(
        "a user has {samples} samples in one step, more than this device takes against so many products: {largest}"
    )]
    UserTooLong { samples: usize, largest: usize },
    #[error("kernel status {bits:#x}: a plan named a row, slot or sample that does not exist")]
    Status { bits: u32 },
    #[error("the score of product number {item} is not finite")]
    NotFinite { item: ItemIndex },
}

impl Hint for EngineError {
    fn hint(&self) -> String {
        let hint = match self {
            Self::Device(DeviceError::NoAdapter(_)) => "`dotcart doctor` lists adapters; `--device cpu` needs none",
            Self::Device(DeviceError::TooLarge { .. }) => {
                "lower `model.dim`, `train.batch_size` or `train.ranking.negatives`, or use `--device cpu`"
            }
            Self::BatchTooLarge { .. } => "lower `train.batch_size`, or use `--device cpu`",
            Self::UserTooLong { .. } => "lower `train.ranking.negatives` or `train.batch_size`, or use `--device cpu`",
            Self::Device(DeviceError::Failed { .. }) | Self::Status { .. } => {
                "continue with `--resume` and `--device cpu`, and report the fault"
            }
            Self::NotFinite { .. } => "the model is damaged: restore its file, or train again",
        };
        hint.to_string()
    }

    fn is_internal(&self) -> bool {
        matches!(self, Self::Status { .. })
    }
}

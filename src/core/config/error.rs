//! What can be wrong with a config.

use crate::common::hint::Hint;
use std::path::PathBuf;

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

impl Hint for ConfigError {
    fn hint(&self) -> String {
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

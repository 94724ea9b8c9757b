//! What keeps a server from starting or from taking a run.

use crate::artifact::run_directory::RunError;
use crate::common::hint::{Hint, writing};
use crate::engine::EngineError;
use crate::recommend::RecommendError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A run cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Recommend(#[from] RecommendError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("`{address}` cannot be listened at: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the server cannot start: {0}")]
    Start(io::Error),
    #[error("`{0}` is an address that others can reach")]
    Exposed(SocketAddr),
    #[error("the token file `{}` cannot be read: {source}", path.display())]
    TokenFile { path: PathBuf, source: io::Error },
    #[error("the token in `{}` {fault}", path.display())]
    Token { path: PathBuf, fault: &'static str },
    #[error("{0} postings that came since the older run cannot go along: {1}")]
    NotCarried(usize, String),
    #[error("`{}` cannot be written: {source}", path.display())]
    WriteLog { path: PathBuf, source: io::Error },
}

impl Hint for ServeError {
    fn hint(&self) -> String {
        match self {
            Self::Run(error) => error.hint(),
            Self::Recommend(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => "another process listens there: name another port with `--address`",
                io::ErrorKind::PermissionDenied => "ports below 1024 are the system's: name a higher one",
                _ => "name an address of this machine with `--address`, for example 127.0.0.1:8080",
            }
            .to_string(),
            Self::Start(_) => "the system gives no more threads or sockets: see `ulimit -a`".to_string(),
            Self::Exposed(_) => {
                "ask for a token with `--token-file FILE`, or say `--public` if everybody may ask".to_string()
            }
            Self::TokenFile { .. } => {
                "write a long random text into it, for example `openssl rand -hex 32`".to_string()
            }
            Self::Token { .. } => "one line of 16 to 1,024 printable ASCII characters".to_string(),
            Self::NotCarried(..) => "let this server alone write into the newer run's folder".to_string(),
            Self::WriteLog { source, .. } => writing(source).to_string(),
        }
    }

    fn is_internal(&self) -> bool {
        match self {
            Self::Recommend(error) => error.is_internal(),
            Self::Engine(error) => error.is_internal(),
            _ => false,
        }
    }
}

//! What every error owes: what the user can do about it, and whose fault it is.

use std::io::{self, ErrorKind};

/// An error of a stage.
pub trait Hint: std::error::Error {
    /// What the user can do about it.
    fn hint(&self) -> String;

    /// True if the fault is ours, not the user's.
    fn is_internal(&self) -> bool {
        false
    }
}

/// What the user can do about a file that cannot be written.
pub fn writing(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full, or your share of it: make room",
        ErrorKind::FileTooLarge => "the file may not grow so large: see `ulimit -f`, or take another disk",
        ErrorKind::NotFound => "its folder is gone, or was never there",
        ErrorKind::NotADirectory => "a file stands where its folder should be",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "the folder must be one that you can write to",
        ErrorKind::IsADirectory => "a folder stands in its place: move that away",
        _ => "is the disk full, or the folder read-only?",
    }
}

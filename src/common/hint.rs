//! What every error owes: what the user can do about it, and whose fault it is.

/// An error of a stage.
pub trait Hint: std::error::Error {
    /// What the user can do about it.
    fn hint(&self) -> String;

    /// True if the fault is ours, not the user's.
    fn is_internal(&self) -> bool {
        false
    }
}

//! The flow: everything that strings stages together.
//!
//! [`pipeline`] is the list of arrows of one training, [`trials`] many trainings of a [`sweep`], [`inspect`] the data stage
//! alone, [`compare`] finished runs side by side.

pub mod compare;
pub mod inspect;
pub mod pipeline;
pub mod sweep;
pub mod trials;

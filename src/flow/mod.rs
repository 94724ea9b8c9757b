//! The flow: everything that strings stages together.
//!
//! [`pipeline`] is the list of arrows of one training ([`prepare`], `begin`, [`training`] and `complete` are those that need
//! more than a line; [`table`] where no config comes with it, [`earlier`] where it begins with a finished run), [`trials`] many trainings of a [`sweep`], [`inspect`] the data stage alone, [`compare`] finished runs side by
//! side; [`error`] is what can go wrong on the way.

mod begin;
pub mod compare;
mod complete;
pub mod earlier;
pub mod error;
pub mod inspect;
pub mod moved_lists;
pub mod pipeline;
pub mod prepare;
pub mod sweep;
pub mod table;
pub mod training;
pub mod trials;

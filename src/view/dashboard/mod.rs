//! The views of a training: [`terminal::Terminal`] draws a live dashboard, [`plain::Plain`] writes lines where there is
//! no terminal.
//!
//! Both watch the same events and keep the same [`state::State`], which knows no screen; training knows neither view. What
//! the keys do to the picture stands in [`keys::Controls`], apart from both.
//! Precision never stands alone in a view: its base rate, lift and recall are always beside it.

pub mod chart;
pub mod chart_kind;
pub mod curve;
pub mod curves;
mod help;
pub mod keys;
pub mod notes;
mod pace;
pub mod palette;
mod panels;
mod parts;
pub mod plain;
pub mod state;
mod step_stages;
pub mod terminal;
pub mod validations;
pub mod view;

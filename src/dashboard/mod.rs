//! The views of a training: [`terminal::Terminal`] draws a live dashboard, [`plain::Plain`] writes lines where there is
//! no terminal.
//!
//! Both watch the same events and keep the same [`state::State`], which knows no screen; training knows neither view.
//! Precision never stands alone in a view: its base rate, lift and recall are always beside it.

pub mod curve;
mod pace;
mod parts;
pub mod plain;
pub mod state;
pub mod terminal;
pub mod view;

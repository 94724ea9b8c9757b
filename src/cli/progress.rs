//! A progress bar on stderr, where somebody looks and the work is long.

use super::output::Output;
use super::view::{can_redraw, is_utf8};
use dotcart::common::format::{count, duration};
use dotcart::data::progress::{Progress, Unit};
use dotcart::recommend::bulk::Watch;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::time::Instant;

/// What is smaller is read before a bar could be seen.
const BYTES_WORTH_SHOWING: u64 = 16 << 20;
const ROWS_WORTH_SHOWING: u64 = 1 << 19;
const USERS_WORTH_SHOWING: u64 = 1_000;

/// Shows one stage at a time; nothing without a terminal.
#[derive(Debug, Default)]
pub struct Bar {
    hidden: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bar {
    /// A bar.
    pub fn new() -> Self {
        Self::default()
    }

    /// A bar that never shows where `hidden`.
    pub fn unless(hidden: bool) -> Self {
        Self {
            hidden,
            bar: Mutex::default(),
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().expect("no thread panics while it holds the bar")
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, unit: Unit, total: Option<u64>) {
        self.end();
        let worth_showing = match unit {
            Unit::Bytes => BYTES_WORTH_SHOWING,
            Unit::Rows => ROWS_WORTH_SHOWING,
            Unit::Users => USERS_WORTH_SHOWING,
        };
        let is_short = total.is_some_and(|total| total < worth_showing);
        if self.hidden || is_short || !can_redraw() {
            return;
        }
        let template = match (unit, total) {
            (Unit::Bytes, Some(_)) => "{msg:>11}  {bar:32}  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
            (Unit::Bytes, None) => "{msg:>11}  {bytes}  {bytes_per_sec}",
            (Unit::Rows, Some(_)) => "{msg:>11}  {bar:32}  {human_pos} of {human_len} rows  {eta} left",
            (Unit::Rows, None) => "{msg:>11}  {human_pos} rows",
            (Unit::Users, Some(_)) => "{msg:>11}  {bar:32}  {human_pos} of {human_len} users  {per_sec}  {eta} left",
            (Unit::Users, None) => "{msg:>11}  {human_pos} users  {per_sec}",
        };
        let style = style(template);
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        bar.set_style(style);
        bar.set_message(what.to_string());
        *self.slot() = Some(bar);
    }

    fn at(&self, done: u64) {
        if let Some(bar) = &*self.slot() {
            bar.set_position(done);
        }
    }

    fn end(&self) {
        if let Some(bar) = self.slot().take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}

/// A bar of blocks, or of plain characters where others cannot be shown.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    if is_utf8() { style } else { style.progress_chars("#>-") }
}

/// Seconds after which the whole can be judged by the part.
const WORTH_PROJECTING: f64 = 1.0;

/// Users that are ranked, and how long all will take: said once, early, and shown where somebody looks.
#[derive(Debug)]
pub struct UserBar<'a> {
    output: &'a mut Output,
    start: Instant,
    has_projected: bool,
    bar: Option<ProgressBar>,
}

impl<'a> UserBar<'a> {
    /// A bar from now on.
    pub fn new(output: &'a mut Output) -> Self {
        Self {
            output,
            start: Instant::now(),
            has_projected: false,
            bar: None,
        }
    }
}

impl Watch for UserBar<'_> {
    fn at(&mut self, done: usize, skipped: usize, total: usize) {
        let seconds = self.start.elapsed().as_secs_f64();
        let here = done - skipped;
        if !self.has_projected && here > 0 && seconds >= WORTH_PROJECTING && done < total {
            self.has_projected = true;
            let rate = here as f64 / seconds;
            self.output.talk(&format!(
                "{} users at {} a second: about {} in all",
                count(total - skipped),
                count(rate as usize),
                duration((total - skipped) as f64 / rate),
            ));
            if can_redraw() {
                let style = style("{bar:32}  {human_pos} of {human_len} users  {per_sec}  {eta} left");
                self.bar = Some(ProgressBar::new(total as u64).with_style(style));
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }
}

impl Drop for UserBar<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

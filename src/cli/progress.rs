//! A progress bar on stderr, where somebody looks and the work is long.

use crate::data::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;

/// Files below this are read before a bar could be seen.
const WORTH_SHOWING: u64 = 16 << 20;

/// Shows one stage at a time; nothing without a terminal.
#[derive(Debug, Default)]
pub struct Bar {
    bar: Mutex<Option<ProgressBar>>,
}

impl Bar {
    /// A bar for this process.
    pub fn new() -> Self {
        Self::default()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().expect("no thread panics while it holds the bar")
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, total: Option<u64>) {
        self.end();
        if total.is_some_and(|total| total < WORTH_SHOWING) || !std::io::stderr().is_terminal() {
            return;
        }
        let template = match total {
            Some(_) => "{msg:>11}  {bar:32}  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
            None => "{msg:>11}  {bytes}  {bytes_per_sec}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        bar.set_style(style);
        bar.set_message(what.to_string());
        *self.slot() = Some(bar);
    }

    fn at(&self, bytes: u64) {
        if let Some(bar) = &*self.slot() {
            bar.set_position(bytes);
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

//! Progress of long work, told to whoever shows it; `data` itself knows no screen.

use std::io::Read;
use std::sync::Mutex;

/// What a stage counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Rows,
    Users,
}

/// Hears how far a stage is, on whatever thread does the work.
pub trait Progress: Sync {
    /// A stage begins; `total` of the unit, where that is known.
    fn begin(&self, what: &str, unit: Unit, total: Option<u64>);
    /// So much of it is done.
    fn at(&self, done: u64);
    /// The stage is over.
    fn end(&self);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: Unit, _: Option<u64>) {}
    fn at(&self, _: u64) {}
    fn end(&self) {}
}

/// A reader that tells how far it is.
pub struct Metered<'a, R> {
    inner: R,
    done: u64,
    progress: &'a dyn Progress,
}

impl<'a, R> Metered<'a, R> {
    /// Reads `inner` and tells `progress`.
    pub fn new(inner: R, progress: &'a dyn Progress) -> Self {
        Self {
            inner,
            done: 0,
            progress,
        }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.done += read as u64;
        self.progress.at(self.done);
        Ok(read)
    }
}

/// Progress of files that are read one after the other, as one.
pub struct OfParts<'a> {
    inner: &'a dyn Progress,
    /// What the parts before this one came to, and how far this one is.
    done: Mutex<(u64, u64)>,
}

impl<'a> OfParts<'a> {
    /// Tells `inner`.
    pub fn new(inner: &'a dyn Progress) -> Self {
        Self {
            inner,
            done: Mutex::default(),
        }
    }

    /// The next part begins.
    pub fn next_part(&self) {
        let mut done = self.done.lock().expect("no thread panics while it holds the count");
        *done = (done.0 + done.1, 0);
    }
}

impl Progress for OfParts<'_> {
    fn begin(&self, what: &str, unit: Unit, total: Option<u64>) {
        let before = self.done.lock().expect("no thread panics while it holds the count").0;
        // How long the parts to come are nobody knows yet.
        self.inner.begin(what, unit, total.map(|total| before + total));
    }

    fn at(&self, done: u64) {
        let mut count = self.done.lock().expect("no thread panics while it holds the count");
        count.1 = done;
        self.inner.at(count.0 + done);
    }

    fn end(&self) {
        self.inner.end();
    }
}

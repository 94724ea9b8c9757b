//! Progress of long work, told to whoever shows it; `data` itself knows no screen.

use std::io::Read;

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

//! A table of records on the device, cut into pages.
//!
//! An adapter binds buffers up to a limit only (128 MiB is what WebGPU guarantees, 2 GiB what Vulkan mostly has), so a page is
//! a buffer of its own. A plan's rows are ascending, so a page is a contiguous range of a step's slots.

use crate::engine::DeviceError;
use crate::engine::gpu::device::{Buffer, Gpu, Pending};
use std::ops::Range;

/// Rows in pages of equal size; the last may be smaller.
pub struct Table {
    gpu: Gpu,
    name: &'static str,
    rows: usize,
    record_len: usize,
    page_rows: usize,
    pages: Vec<Buffer>,
}

/// A page that a step touches.
pub struct TouchedPage<'a> {
    pub records: &'a Buffer,
    /// Table rows of the page.
    pub rows: Range<usize>,
    /// Slots of the step whose rows are in it.
    pub slots: Range<usize>,
}

impl Table {
    /// A table of undefined records; pages as large as the adapter binds, or of `page_rows` rows if that is given.
    pub fn new(
        gpu: Gpu,
        name: &'static str,
        rows: usize,
        record_len: usize,
        page_rows: Option<usize>,
    ) -> Result<Self, DeviceError> {
        let largest = gpu.adapter().max_buffer_bytes as usize / size_of::<f32>() / record_len;
        let page_rows = page_rows.unwrap_or(largest).clamp(1, rows.max(1));
        let sizes = (0..rows).step_by(page_rows).map(|first| page_rows.min(rows - first));
        let pages = sizes
            .map(|rows| gpu.empty_table(name, rows * record_len))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            gpu,
            name,
            rows,
            record_len,
            page_rows,
            pages,
        })
    }

    /// The pages that hold `rows`, ascending, in order. Rows beyond the table go with the last page, whose kernel reports them.
    pub fn touched<'a>(&'a self, rows: &'a [u32]) -> impl Iterator<Item = TouchedPage<'a>> {
        let mut slot = 0;
        self.pages.iter().enumerate().filter_map(move |(number, records)| {
            let first = number * self.page_rows;
            let end = (first + self.page_rows).min(self.rows);
            let first_slot = slot;
            let is_last = number + 1 == self.pages.len();
            slot += if is_last {
                rows.len() - slot
            } else {
                rows[slot..].partition_point(|&row| (row as usize) < end)
            };
            (first_slot < slot).then_some(TouchedPage {
                records,
                rows: first..end,
                slots: first_slot..slot,
            })
        })
    }

    /// Reads the records of rows `first..` into `out`. Panics past the end.
    pub fn read(&self, first: usize, out: &mut [f32]) -> Result<(), DeviceError> {
        let parts: Vec<Pending> = self
            .parts(first, out.len())
            .map(|part| self.gpu.read(&[&part]))
            .collect();
        let mut rest = out;
        for part in parts {
            let words = part.wait_one::<f32>(self.name)?;
            rest[..words.len()].copy_from_slice(&words);
            rest = &mut rest[words.len()..];
        }
        Ok(())
    }

    /// Replaces the records of rows `first..`. Panics past the end.
    pub fn write(&self, first: usize, records: &[f32]) {
        let mut rest = records;
        for part in self.parts(first, records.len()) {
            let (here, after) = rest.split_at(part.len());
            self.gpu.write(&part, here.to_vec());
            rest = after;
        }
    }

    /// The parts of pages that hold `words` words from row `first` on.
    fn parts(&self, first: usize, words: usize) -> impl Iterator<Item = Buffer> {
        assert!(
            words.is_multiple_of(self.record_len) && first + words / self.record_len <= self.rows,
            "{}: {words} words from row {first} on are not rows of {} times {} words",
            self.name,
            self.rows,
            self.record_len
        );
        let end = first + words / self.record_len;
        let mut row = first;
        std::iter::from_fn(move || {
            if row == end {
                return None;
            }
            let page = row / self.page_rows;
            let page_first = page * self.page_rows;
            let part_end = end.min(page_first + self.page_rows);
            let range = (row - page_first) * self.record_len..(part_end - page_first) * self.record_len;
            row = part_end;
            Some(self.pages[page].part(range))
        })
    }
}

//! Rows of a table that are worked on together, cut between rows for the threads.

use crate::engine::plan::SidePlan;
use std::ops::Range;

/// A run of slots with the part of the table that holds their rows, from `first_row` on.
pub struct Rows<'a> {
    pub slots: Range<usize>,
    pub first_row: usize,
    pub records: &'a mut [f32],
}

impl<'a> Rows<'a> {
    /// All rows of a step.
    pub fn all(plan: &SidePlan, records: &'a mut [f32]) -> Self {
        Self {
            slots: 0..plan.rows.len(),
            first_row: 0,
            records,
        }
    }

    /// Cuts before slot `middle`: rows ascend, so the tables' parts do not meet.
    pub fn split(self, middle: usize, rows: &[u32], record_len: usize) -> (Self, Self) {
        let row = rows[middle] as usize;
        let (left, right) = self.records.split_at_mut((row - self.first_row) * record_len);
        let left = Self {
            slots: self.slots.start..middle,
            first_row: self.first_row,
            records: left,
        };
        let right = Self {
            slots: middle..self.slots.end,
            first_row: row,
            records: right,
        };
        (left, right)
    }

    /// Works on parts of `per_task` slots, on all threads.
    pub fn for_each(self, per_task: usize, rows: &[u32], record_len: usize, work: &(impl Fn(Rows) + Sync)) {
        match middle(&self.slots, per_task) {
            None => work(self),
            Some(middle) => {
                let (left, right) = self.split(middle, rows, record_len);
                rayon::join(
                    || left.for_each(per_task, rows, record_len, work),
                    || right.for_each(per_task, rows, record_len, work),
                );
            }
        }
    }
}

/// Where slots are cut in two, at a whole number of tasks; `None` if they are one task.
pub fn middle(slots: &Range<usize>, per_task: usize) -> Option<usize> {
    let tasks = slots.len().div_ceil(per_task);
    (tasks > 1).then(|| slots.start + tasks / 2 * per_task)
}

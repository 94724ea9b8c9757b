//! Gather rows: the touched rows of one table, brought to the end of the previous step, in a compact buffer.
//!
//! ```text
//! compact[slot] = read_out(record[rows[slot]], end of step `now`)
//! ```
//!
//! Shapes: rows `[R]`; records `[page rows, record]`; compact `[R, 4 + dim]`, layouts in [`crate::engine::model`].
//! The records are left alone: the update writes each of them once, and validation reads a model without touching it.
//! Twin of `shaders/gather_rows.wgsl`.

use super::prefetch::prefetch;
use crate::engine::model::{ROW_HEADER, record_len};
use crate::engine::optimizer::{Schedule, read_out};

/// Fills `compact` for `rows`, whose records stand in `records` from table row `first_row` on.
///
/// Each row asks for the one that comes `rows_ahead` later, 0 = for none. Panics if a row is not in `records`.
#[inline(always)]
pub fn gather_rows(
    rows: &[u32],
    records: &[f32],
    first_row: usize,
    schedule: &Schedule,
    now: u32,
    untouched_is_zero: bool,
    dim: usize,
    compact: &mut [f32],
    rows_ahead: usize,
) {
    let record_len = record_len(schedule.optimizer(), dim);
    let factors = compact.chunks_exact_mut(ROW_HEADER + dim);
    for (slot, (factor, &row)) in factors.zip(rows).enumerate() {
        if rows_ahead > 0
            && let Some(&ahead) = rows.get(slot + rows_ahead)
        {
            prefetch(records, (ahead as usize - first_row) * record_len, record_len);
        }
        let record = &records[(row as usize - first_row) * record_len..][..record_len];
        read_out(record, schedule, now, untouched_is_zero, factor);
    }
}

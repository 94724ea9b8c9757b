//! Gather rows: the touched rows of one table, brought to the end of the previous step, in a compact buffer.
//!
//! ```text
//! compact[slot] = read_out(record[rows[slot]], end of step `now`)
//! ```
//!
//! Shapes: rows `[R]`; records `[page rows, 4 + 3 dim]`; compact `[R, 4 + dim]`, in the factor layout of [`crate::model`].
//! The records are left alone: the update computes the same catch-up again, which is cheaper on a GPU than writing weight,
//! m and v back only to read them again, and lets validation read a model without touching it.
//! Twin of `shaders/gather_rows.wgsl`.

use super::prefetch::{ROWS_AHEAD, prefetch};
use crate::optimizer::{Schedule, read_out};

/// Fills `compact` for `rows`, whose records stand in `records` from table row `first_row` on.
///
/// Panics if a row is not in `records`.
pub fn gather_rows(
    rows: &[u32],
    records: &[f32],
    first_row: usize,
    schedule: &Schedule,
    now: u32,
    untouched_is_zero: bool,
    dim: usize,
    compact: &mut [f32],
) {
    let record_len = crate::model::ROW_HEADER + 3 * dim;
    let factor_len = crate::model::ROW_HEADER + dim;
    let record_of = |row: u32| &records[(row as usize - first_row) * record_len..][..record_len];
    for (slot, factor) in compact.chunks_exact_mut(factor_len).enumerate() {
        if let Some(&ahead) = rows.get(slot + ROWS_AHEAD) {
            prefetch(record_of(ahead));
        }
        let record = record_of(rows[slot]);
        read_out(record, schedule, now, untouched_is_zero, factor);
    }
}

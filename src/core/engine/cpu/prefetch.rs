//! Prefetch: a record asked for before it is needed, so that its cache misses overlap the arithmetic on earlier rows.
//!
//! A batch's rows lie anywhere in a table, but the plan names them in advance. Without this the core waits for memory at
//! the first word of nearly every row. It changes no result; where the instruction does not exist, nothing happens.

/// Rows between the one that is asked for and the one that is read.
pub const ROWS_AHEAD: usize = 8;

/// Samples between the one whose row of the other side is asked for and the one whose row is read.
pub const SAMPLES_AHEAD: usize = 8;

/// Asks for `words` words of a table from `at` on, which need not exist.
#[inline(always)]
pub fn prefetch(table: &[f32], at: usize, words: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..words).step_by(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(table.as_ptr().wrapping_add(at + line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, at, words);
}

//! Prefetch: a record asked for before it is needed, so that its cache misses overlap the arithmetic on earlier rows.
//!
//! A batch's rows lie anywhere in a table, but the plan names them in advance. Without this the core waits for memory at
//! the first word of nearly every row. It changes no result; where the instruction does not exist, nothing happens.

/// Rows between the one that is asked for and the one that is read.
pub const ROWS_AHEAD: usize = 4;

/// Asks for a record that is read soon: rows lie anywhere in a table, so no hardware prefetcher finds them.
#[inline]
pub fn prefetch(record: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in record.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and the address is a slice's.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = record;
}

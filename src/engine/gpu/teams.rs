//! Teams: how many threads share a row or a sample.
//!
//! A *team* of `lanes` neighbouring threads takes a row or a sample, each thread every `lanes`-th column of four numbers, so
//! that neighbouring threads read neighbouring words. Teams meet in workgroup memory and add in fixed order; nothing needs
//! subgroups or float atomics.
//!
//! On a graphics card a team reads whole sectors of memory at once, and many threads hide the wait for them: up to 16 lanes.
//! A software driver runs eight threads in one vector register and fetches each of their words on its own; what every lane
//! of a team has to look up for itself (row, header, sample, slot) is then pure loss: one lane up to dim 64. It deals whole
//! workgroups to the processor's cores, the same number to each, so a launch of few rows (a page) wants small ones.

use crate::config::MAX_DIM;
use crate::engine::gpu::device::AdapterKind;
use crate::engine::gpu::shader::Constant;

/// Threads of a workgroup on a graphics card, and on a software driver: two of its registers.
const CARD_THREADS: usize = 128;
const SOFTWARE_THREADS: usize = 16;
/// A team is at most this wide.
const MAX_LANES: usize = 16;
/// Words that one lane takes on a software driver.
const SOFTWARE_WORDS: usize = 64;
/// Columns of four numbers that a lane sums at once: what a card keeps in registers.
const MAX_COLUMNS: usize = 4;

/// Threads, teams and columns for rows of one width on one kind of adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Teams {
    dim: usize,
    lanes: usize,
    /// Of a workgroup.
    threads: usize,
}

impl Teams {
    /// The teams for rows of `dim` weights.
    ///
    /// Panics unless `dim` is a multiple of 4 from 4 to [`MAX_DIM`].
    pub fn new(kind: AdapterKind, dim: usize) -> Self {
        assert!(
            dim.is_multiple_of(4) && (4..=MAX_DIM).contains(&dim),
            "gpu: dim {dim} is not a multiple of 4 from 4 to {MAX_DIM}"
        );
        let (lanes, threads) = match kind {
            AdapterKind::Software => (dim.div_ceil(SOFTWARE_WORDS).next_power_of_two(), SOFTWARE_THREADS),
            _ => ((dim / 4).next_power_of_two().min(MAX_LANES), CARD_THREADS),
        };
        Self { dim, lanes, threads }
    }

    /// The same teams in workgroups of so many threads: no row's sum is another by it. Panics unless whole teams fit.
    pub fn in_workgroups_of(self, threads: usize) -> Self {
        assert!(
            threads > 0 && threads.is_multiple_of(self.lanes),
            "gpu: teams of {} do not fill a workgroup of {threads}",
            self.lanes
        );
        Self { threads, ..self }
    }

    /// Weights of a row.
    pub fn dim(self) -> usize {
        self.dim
    }

    /// Threads of a team.
    pub fn lanes(self) -> usize {
        self.lanes
    }

    /// Threads of a workgroup.
    pub fn threads(self) -> usize {
        self.threads
    }

    /// Rows or samples that a workgroup takes.
    pub fn per_workgroup(self) -> usize {
        self.threads / self.lanes
    }

    /// Workgroups for `count` rows or samples.
    pub fn workgroups(self, count: usize) -> usize {
        count.div_ceil(self.per_workgroup())
    }

    /// Columns that a lane sums in one pass over a row's samples.
    fn columns(self) -> usize {
        (self.dim / 4).div_ceil(self.lanes).min(MAX_COLUMNS)
    }

    /// Passes of a lane over a row's samples.
    fn passes(self) -> usize {
        (self.dim / 4).div_ceil(self.lanes * self.columns())
    }

    /// Samples or pieces of one row that a thread can add up in `trips` loop iterations, the rest of its work included.
    pub fn most_terms(self, trips: usize) -> usize {
        trips / self.passes() - 1
    }

    /// What the shaders' preludes say of it.
    pub fn constants(self) -> Vec<Constant> {
        let counts = [
            ("TEAM_THREADS", self.threads),
            ("LANES", self.lanes),
            ("TEAMS", self.per_workgroup()),
            ("LANE_COLUMNS", self.columns()),
        ];
        let counts = counts.map(|(name, value)| Constant::U32(name, value as u32));
        super::constants(self.dim).into_iter().chain(counts).collect()
    }
}

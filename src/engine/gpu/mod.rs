//! The gpu engine: WGSL kernels on the device that [`crate::engine::gpu::device`] opens.
//!
//! Each file named like a shader launches it and says what it binds; the file of that name under `cpu` is its twin.
//! `table` keeps a table in pages, `factors` the tables of a question with what every step does to their rows; `ratings`,
//! `choices` and `scorer` put the kernels in order, `trainer` the questions.
//!
//! `teams` says how rows and samples are spread over threads. No kernel binds more than eight buffers.
//!
//! Memory traffic of a training step with Adam, in rows of `dim` words for each touched row: `gather_rows` reads weight, m and
//! v and writes the settled weight; `update_rows` reads m, v and the settled weight, which is still in a cache, and writes
//! weight, m and v: 10, of which 8 are the record's. A row that missed no step costs 8, one that no step has touched yet 6.
//! `gather_rows` could write back what it settled, which would spare `update_rows` the decay; but then looking at a model
//! would change its state. Each launcher's file says what its kernel moves in bytes.

pub mod choice_gradient;
pub mod choice_scores;
pub mod choice_sums;
mod choices;
pub mod device;
mod factors;
pub mod gather_rows;
pub mod launch;
pub mod pair_forward;
pub mod pair_logits;
mod ratings;
pub mod scorer;
pub mod select_top_k;
pub mod shader;
mod stages;
pub mod sum_pieces;
pub mod table;
pub mod teams;
pub mod tile_best;
pub mod tile_scores;
pub mod trainer;
pub mod update_head;
pub mod update_rows;

use crate::config::{ChoiceLoss, MAX_DIM, OptimizerChoice};
use crate::engine::choice::FILLER;
use crate::engine::gpu::device::AdapterKind;
use crate::engine::gpu::launch::KernelSpec;
use crate::engine::gpu::shader::Constant;
use crate::engine::key::NO_KEY;
use crate::engine::model::{ROW_HEADER, Side, record_len};
use crate::engine::optimizer::adam::{BETA1, BETA2, EPSILON, HALF_LN_BETA2};
use crate::engine::plan::{NO_EXTRA, NO_EXTRAS, NO_PIECE, NO_PULLS, PIECE};
use teams::Teams;

/// Threads of a workgroup, except where [`Teams`] or a kernel says otherwise.
pub const WORKGROUP: usize = 128;
/// Rows and columns of a product of matrices that a workgroup takes, and terms that it takes at a time: see
/// `shaders/common/tile_product.wgsl`.
pub const PRODUCT_ROWS: usize = 128;
pub const PRODUCT_COLUMNS: usize = 32;
pub const PRODUCT_TERMS: usize = 64;
/// Loop iterations that a thread may take: Mesa's software driver ends a shader there, without a word
/// (`LP_MAX_TGSI_LOOP_ITERATIONS`).
pub const MAX_TRIPS: usize = 65_535;

/// A row of a plan that is in no page.
pub const STATUS_BAD_ROW: u32 = 1;
/// A slot of a plan beyond its compact rows.
pub const STATUS_BAD_SLOT: u32 = 2;
/// A sample number or a piece of a plan beyond the batch.
pub const STATUS_BAD_SAMPLE: u32 = 4;
/// A record that is ahead of the training.
pub const STATUS_BAD_STEP: u32 = 8;

/// All kernels.
pub const SPECS: [&KernelSpec; 12] = [
    &choice_gradient::SPEC,
    &choice_scores::SPEC,
    &choice_sums::SPEC,
    &gather_rows::SPEC,
    &pair_forward::SPEC,
    &pair_logits::SPEC,
    &select_top_k::SPEC,
    &sum_pieces::SPEC,
    &tile_best::SPEC,
    &tile_scores::SPEC,
    &update_head::SPEC,
    &update_rows::SPEC,
];

/// What the preludes of kernels over rows of `dim` weights may say; [`shader::compose`] keeps what a kernel names.
///
/// Panics unless `dim` is a multiple of 4 from 4 to [`MAX_DIM`].
pub fn constants(dim: usize) -> Vec<Constant> {
    assert!(
        dim.is_multiple_of(4) && (4..=MAX_DIM).contains(&dim),
        "gpu: dim {dim} is not a multiple of 4 from 4 to {MAX_DIM}"
    );
    let widths = [("DIM4", dim / 4), ("FACTOR4", (ROW_HEADER + dim) / 4)];
    let widths = widths.map(|(name, value)| Constant::U32(name, value as u32));
    widths.into_iter().chain(fixed_constants()).collect()
}

/// The same without the width.
fn fixed_constants() -> impl Iterator<Item = Constant> {
    let counts = [
        ("WORKGROUP", WORKGROUP),
        ("PIECE", PIECE),
        ("PRODUCT_ROWS", PRODUCT_ROWS),
        ("PRODUCT_COLUMNS", PRODUCT_COLUMNS),
        ("PRODUCT_TERMS", PRODUCT_TERMS),
        ("TILE", tile_best::TILE),
        ("BLOCK", tile_best::BLOCK),
        ("QUERIES", tile_best::QUERIES),
    ];
    let words = [
        ("NO_PIECE", NO_PIECE),
        ("NO_PULLS", NO_PULLS),
        ("NO_EXTRA", NO_EXTRA),
        ("NO_EXTRAS", NO_EXTRAS),
        ("NO_PLACE", select_top_k::NO_PLACE),
        ("NO_KEY", NO_KEY),
        ("STATUS_BAD_ROW", STATUS_BAD_ROW),
        ("STATUS_BAD_SLOT", STATUS_BAD_SLOT),
        ("STATUS_BAD_SAMPLE", STATUS_BAD_SAMPLE),
        ("STATUS_BAD_STEP", STATUS_BAD_STEP),
    ];
    let numbers = [
        ("BETA1", BETA1 as f32),
        ("BETA2", BETA2 as f32),
        ("REST1", (1.0 - BETA1) as f32),
        ("REST2", (1.0 - BETA2) as f32),
        ("EPSILON", EPSILON),
        ("HALF_LN_BETA2", HALF_LN_BETA2),
        ("LOG2_BETA1", BETA1.log2() as f32),
        ("LOG2_BETA2", BETA2.log2() as f32),
        ("LOG2_RHO", (BETA1 / BETA2.sqrt()).log2() as f32),
        ("FILLER", FILLER),
    ];
    let counts = counts.map(|(name, value)| Constant::U32(name, value as u32));
    let words = words.map(|(name, value)| Constant::U32(name, value));
    let numbers = numbers.map(|(name, value)| Constant::F32(name, value));
    counts.into_iter().chain(words).chain(numbers)
}

/// What the preludes of the training kernels say: [`Teams::constants`] and the optimiser with its record.
pub fn training_constants(teams: Teams, optimizer: OptimizerChoice) -> Vec<Constant> {
    let words = [
        ("RECORD4", record_len(optimizer, teams.dim()) as u32 / 4),
        ("OPTIMIZER", optimizer as u32),
        ("ADAM", OptimizerChoice::Adam as u32),
        ("LAZY_ADAM", OptimizerChoice::LazyAdam as u32),
        ("ADAGRAD", OptimizerChoice::Adagrad as u32),
        ("SGD", OptimizerChoice::Sgd as u32),
    ];
    let words = words.map(|(name, value)| Constant::U32(name, value));
    teams.constants().into_iter().chain(words).collect()
}

/// What the prelude of `choice_gradient` says: [`Teams::constants`] and the loss.
pub fn choice_constants(teams: Teams, loss: ChoiceLoss) -> Vec<Constant> {
    teams.constants().into_iter().chain(loss_constants(loss)).collect()
}

fn loss_constants(loss: ChoiceLoss) -> impl Iterator<Item = Constant> {
    let words = [
        ("LOSS", loss as u32),
        ("SOFTMAX", ChoiceLoss::Softmax as u32),
        ("BPR", ChoiceLoss::Bpr as u32),
        ("BCE", ChoiceLoss::Bce as u32),
    ];
    words.into_iter().map(|(name, value)| Constant::U32(name, value))
}

/// What the prelude of `choice_scores` says: how sections of terms are taken, and the loss.
pub fn score_constants(kind: AdapterKind, loss: ChoiceLoss, dim: usize) -> Vec<Constant> {
    let sections = section_constants(kind, dim > PRODUCT_TERMS);
    let constants = constants(dim).into_iter();
    constants.chain(sections).chain(loss_constants(loss)).collect()
}

/// What the prelude of `choice_sums` says: how sections of terms are taken, and whose gradients are summed.
pub fn sum_constants(kind: AdapterKind, side: Side) -> Vec<Constant> {
    let for_users = Constant::U32("FOR_USERS", u32::from(side == Side::User));
    let sections = section_constants(kind, true);
    fixed_constants().chain(sections).chain([for_users]).collect()
}

/// Sections of terms, and the terms of each, are taken in loops on a card; on a software driver terms are written out, and
/// several sections are taken in turn by launches that add to one another, see [`choice_scores`].
fn section_constants(kind: AdapterKind, several: bool) -> impl Iterator<Item = Constant> {
    let software = kind == AdapterKind::Software;
    let flags = [("IN_LOOP", !software), ("IN_TURN", several && software)];
    flags
        .into_iter()
        .map(|(name, value)| Constant::U32(name, u32::from(value)))
}

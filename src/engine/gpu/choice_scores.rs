//! Launches `shaders/choice_scores.wgsl`: how much each user of a step is drawn to each drawn item.
//!
//! Bytes for each score: reads 4 dim / 32 of a user and 4 dim / 128 of an item, mostly from a cache, writes 4.
//!
//! A card takes all columns in one launch, sections and their fours in loops. Mesa's software driver fetches eight threads'
//! words one by one, except where all of them read one word at an index that is constant, outside of any loop, branch or early
//! return: then it is one instruction, and the product ten times as fast. So there a launch takes the columns that are written
//! out, and the next one adds to it. Even a loop that is never taken would count.

use super::{PRODUCT_COLUMNS, PRODUCT_ROWS, PRODUCT_TERMS, score_constants};
use crate::config::ChoiceLoss;
use crate::engine::gpu::device::{AdapterKind, Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::model::Side;
use crate::engine::plan::ChoiceLayout;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(choice_scores),
    bindings: &[
        input("plan"),
        input("users"),
        input("items"),
        output("scores"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: Some(PRODUCT_ROWS as u32),
};

params! {
    pub struct Params {
        pub users: u32,
        pub draws: u32,
        /// Where the slots of the drawn items begin in the plan, and the compact rows that they are in.
        pub draw_slots_at: u32,
        /// Where their offsets begin.
        pub draw_offsets_at: u32,
        pub item_rows: u32,
        /// The launch's sections of columns: the first and how many.
        pub first_section: u32,
        pub sections: u32,
    }
}

impl Params {
    /// Of all users and drawn items of a step, and all columns of rows of `dim` weights.
    pub fn of(choice: &ChoiceLayout, dim: usize) -> Self {
        Self {
            users: choice.side(Side::User).row_count() as u32,
            draws: choice.draws() as u32,
            draw_slots_at: choice.draw_slots.start as u32,
            draw_offsets_at: choice.draw_offsets.start as u32,
            item_rows: choice.side(Side::Item).row_count() as u32,
            first_section: 0,
            sections: dim.div_ceil(PRODUCT_TERMS) as u32,
        }
    }
}

/// Words of the scores of `users` users against `draws` drawn items: each user's are filled up to fours, and behind the last
/// are four more, where threads write that have nothing to write: a branch around it would cost a software driver more.
pub fn words(users: usize, draws: usize) -> usize {
    users * draws.next_multiple_of(4) + 4
}

/// The sections that each launch takes, the first and how many: all at once on a card, one by one on a software driver.
pub fn launches(kind: AdapterKind, sections: u32) -> impl Iterator<Item = (u32, u32)> {
    let at_once = if kind == AdapterKind::Software {
        1
    } else {
        sections.max(1)
    };
    (0..sections)
        .step_by(at_once as usize)
        .map(move |first| (first, at_once.min(sections - first)))
}

#[derive(Clone, Debug)]
pub struct ChoiceScores {
    kernel: Kernel,
    kind: AdapterKind,
}

impl ChoiceScores {
    /// In launches as suit an adapter of that kind; they run on any.
    pub fn new(kind: AdapterKind, loss: ChoiceLoss, dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &score_constants(kind, loss, dim));
        Self { kernel, kind }
    }

    /// Queues all tiles.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        users: &Buffer,
        items: &Buffer,
        scores: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let tiles = (params.users as usize).div_ceil(PRODUCT_ROWS);
        let workgroups = tiles * (params.draws as usize).div_ceil(PRODUCT_COLUMNS);
        let buffers = [plan, users, items, scores, status];
        for (first_section, sections) in launches(self.kind, params.sections) {
            let params = Params {
                first_section,
                sections,
                ..*params
            };
            gpu.launch(&self.kernel, &buffers, &params, workgroups);
        }
    }
}

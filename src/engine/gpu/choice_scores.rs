//! Launches `shaders/choice_scores.wgsl`: how much each user of a step is drawn to each drawn item.
//!
//! Bytes for each score: reads 4 dim / [`PRODUCT`] of users and as much of items, mostly from a cache, writes 4.

use super::{PRODUCT, PRODUCT_THREADS, constants};
use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::model::Side;
use crate::engine::plan::ChoiceLayout;

pub const SPEC: KernelSpec = KernelSpec {
    name: "choice_scores",
    bindings: &[
        input("plan"),
        input("users"),
        input("items"),
        output("scores"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: Some(PRODUCT_THREADS),
};

params! {
    pub struct Params {
        pub users: u32,
        pub draws: u32,
        /// Where the slots of the drawn items begin in the plan, and the compact rows that they are in.
        pub draw_slots_at: u32,
        pub item_rows: u32,
    }
}

impl Params {
    /// Of all users and drawn items of a step.
    pub fn of(choice: &ChoiceLayout) -> Self {
        Self {
            users: choice.side(Side::User).row_count() as u32,
            draws: choice.draws() as u32,
            draw_slots_at: choice.draw_slots.start as u32,
            item_rows: choice.side(Side::Item).row_count() as u32,
        }
    }
}

/// Words of the scores of `users` users against `draws` drawn items: each user's are filled up to fours.
pub fn words(users: usize, draws: usize) -> usize {
    users * draws.next_multiple_of(4)
}

#[derive(Clone, Debug)]
pub struct ChoiceScores {
    kernel: Kernel,
}

impl ChoiceScores {
    pub fn new(dim: usize) -> Self {
        let kernel = Kernel::new(&SPEC, &constants(dim));
        Self { kernel }
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
        let [user_tiles, draw_tiles] = [params.users, params.draws].map(|count| (count as usize).div_ceil(PRODUCT));
        let buffers = [plan, users, items, scores, status];
        gpu.launch(&self.kernel, &buffers, params, user_tiles * draw_tiles);
    }
}

//! Launches `shaders/choice_sums.wgsl`: what the drawn items add to the gradients of both sides.
//!
//! Bytes for each gradient of a score: reads 4 for each 32 columns, and 4 dim / 128 of the compact rows of the other side, mostly
//! from a cache; writes 16 + 4 dim for each user, and for each drawn item as often as there are pieces.
//!
//! There are many users and few drawn items: the sum over users is cut into pieces that are summed at the same time, as many
//! as give a card enough workgroups. `update_rows` adds the pieces up, in order.

use super::choice_scores::launches;
use super::{PRODUCT_COLUMNS, PRODUCT_ROWS, PRODUCT_TERMS, sum_constants};
use crate::engine::gpu::device::{AdapterKind, Buffer, Gpu};
use crate::engine::gpu::launch::{Kernel, KernelSpec, input, output, params};
use crate::engine::gpu::shader::shader;
use crate::engine::model::{ROW_HEADER, Side};
use crate::engine::plan::ChoiceLayout;

pub const SPEC: KernelSpec = KernelSpec {
    shader: shader!(choice_sums),
    bindings: &[
        input("plan"),
        input("gradient"),
        input("other"),
        output("extra"),
        output("status"),
    ],
    params: Params::LAYOUT,
    workgroup: Some(PRODUCT_ROWS as u32),
};

/// Workgroups that keep a card busy.
const WORKGROUPS: usize = 256;
/// Terms below which a piece is not worth its own sum.
const LEAST_TERMS: usize = 256;

params! {
    pub struct Params {
        pub users: u32,
        pub draws: u32,
        /// Where the slots of the drawn items begin in the plan, and the compact rows that they are in.
        pub draw_slots_at: u32,
        pub item_rows: u32,
        /// Terms of a piece, and pieces.
        pub piece_terms: u32,
        pub pieces: u32,
        /// The launch's sections of each piece: the first and how many.
        pub first_section: u32,
        pub sections: u32,
        /// Fours of a row's weights.
        pub dim4: u32,
    }
}

impl Params {
    /// Of the extra gradients of a side of a step of rows of `dim` weights.
    pub fn of(choice: &ChoiceLayout, side: Side, dim: usize) -> Self {
        let (users, draws) = (choice.side(Side::User).row_count(), choice.draws());
        let (terms, pieces) = match side {
            Side::User => (draws, 1),
            Side::Item => (users, pieces(users, draws, dim)),
        };
        let piece_terms = terms.div_ceil(pieces).next_multiple_of(PRODUCT_TERMS);
        Self {
            users: users as u32,
            draws: draws as u32,
            draw_slots_at: choice.draw_slots.start as u32,
            item_rows: choice.side(Side::Item).row_count() as u32,
            piece_terms: piece_terms as u32,
            pieces: pieces as u32,
            first_section: 0,
            sections: (piece_terms / PRODUCT_TERMS) as u32,
            dim4: (dim / 4) as u32,
        }
    }

    /// Words of the extra gradients, and behind the last four more, as of the scores.
    pub fn words(&self, side: Side) -> usize {
        let rows = match side {
            Side::User => self.users,
            Side::Item => self.draws,
        };
        self.pieces as usize * rows as usize * (ROW_HEADER + self.dim()) + 4
    }

    fn dim(&self) -> usize {
        4 * self.dim4 as usize
    }
}

/// Pieces of the sum over the users.
pub fn pieces(users: usize, draws: usize, dim: usize) -> usize {
    let tiles = draws.div_ceil(PRODUCT_ROWS) * dim.div_ceil(PRODUCT_COLUMNS);
    let useful = WORKGROUPS.div_ceil(tiles.max(1));
    users.div_ceil(LEAST_TERMS).min(useful).max(1)
}

/// The product for one side.
#[derive(Clone, Debug)]
pub struct ChoiceSums {
    kernel: Kernel,
    kind: AdapterKind,
    side: Side,
}

impl ChoiceSums {
    /// In launches as suit an adapter of that kind, see [`super::choice_scores`]; they run on any.
    pub fn new(kind: AdapterKind, side: Side) -> Self {
        let kernel = Kernel::new(&SPEC, &sum_constants(kind, side));
        Self { kernel, kind, side }
    }

    /// Queues all tiles of all pieces.
    pub fn launch(
        &self,
        gpu: Gpu,
        plan: &Buffer,
        gradient: &Buffer,
        other: &Buffer,
        extra: &Buffer,
        status: &Buffer,
        params: &Params,
    ) {
        let rows = match self.side {
            Side::User => params.users,
            Side::Item => params.draws,
        };
        let tiles = (rows as usize).div_ceil(PRODUCT_ROWS) * params.dim().div_ceil(PRODUCT_COLUMNS);
        let buffers = [plan, gradient, other, extra, status];
        for (first_section, sections) in launches(self.kind, params.sections) {
            let params = Params {
                first_section,
                sections,
                ..*params
            };
            gpu.launch(&self.kernel, &buffers, &params, tiles * params.pieces as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_enough_for_a_card_and_take_little_memory() {
        assert_eq!(pieces(8192, 256, 64), 32);
        assert_eq!([pieces(1, 1, 4), pieces(0, 0, 4), pieces(257, 1, 512)], [1, 1, 2]);
        for (users, draws, dim) in [(100_000, 16_384, 512), (500_000, 16_384, 64), (500_000, 1, 4)] {
            let pieces = pieces(users, draws, dim);
            // What they take beside the drawn items' rows themselves.
            let words = pieces * draws * (4 + dim);
            assert!(
                words < (32 << 20) + 4 * draws * (4 + dim),
                "{pieces} pieces: {words} words"
            );
        }
    }
}

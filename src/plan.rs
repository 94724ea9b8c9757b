//! The plan of a step: which rows a batch touches, and which samples belong to each row, in a fixed order.
//!
//! A step of B samples carries, for each side, `rows[R]` (touched table rows, ascending), `starts[R + 1]` and `samples[B]`
//! (sample numbers grouped by row, in order), and for each sample its `slots[B]` in `rows`. Sums over a row run in that
//! order, so training is bit-identical from run to run and for any number of threads; nothing is added atomically.
//!
//! A row with more than [`PIECE`] samples (a bestseller) is cut into pieces that are summed on their own and added up in a
//! second level: `pieces` holds `(begin, end)` into `samples`, `first_piece[R]` where a row's pieces begin, or [`NO_PIECE`].
//!
//! All of it stands in one array of 32-bit words, several steps together, so that it travels to a device in one upload.

use crate::model::Side;
use std::ops::Range;

/// Samples that one team of lanes sums in a go.
pub const PIECE: usize = 32;
/// `first_piece` of a row that is not cut.
pub const NO_PIECE: u32 = u32::MAX;

/// Where the parts of one side stand in the words of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideLayout {
    pub rows: Range<usize>,
    pub starts: Range<usize>,
    pub samples: Range<usize>,
    pub slots: Range<usize>,
    pub first_piece: Range<usize>,
    pub pieces: Range<usize>,
}

impl SideLayout {
    /// Touched rows.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Pieces of cut rows.
    pub fn piece_count(&self) -> usize {
        self.pieces.len() / 2
    }
}

/// Where the parts of one step stand in the words of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepLayout {
    /// Number of the step in the whole training, from 1.
    pub step: u32,
    /// Targets in [0, 1], bits of f32.
    pub targets: Range<usize>,
    /// Sample weights, bits of f32.
    pub weights: Range<usize>,
    sides: [SideLayout; 2],
}

impl StepLayout {
    /// Samples of the step.
    pub fn batch(&self) -> usize {
        self.targets.len()
    }

    /// The layout of one side.
    pub fn side(&self, side: Side) -> &SideLayout {
        &self.sides[side as usize]
    }
}

/// Several steps in one array of words.
#[derive(Clone, Debug, Default)]
pub struct PlanChunk {
    pub words: Vec<u32>,
    pub steps: Vec<StepLayout>,
}

/// One sample of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub user: u32,
    pub item: u32,
    pub target: f32,
    pub weight: f32,
}

/// The parts of one side of a step, as slices.
#[derive(Clone, Copy, Debug)]
pub struct SidePlan<'a> {
    pub rows: &'a [u32],
    pub starts: &'a [u32],
    pub samples: &'a [u32],
    pub slots: &'a [u32],
    pub first_piece: &'a [u32],
    pub pieces: &'a [u32],
}

impl PlanChunk {
    /// Appends the plan of one step. Panics if the batch is empty or the chunk outgrows u32 offsets.
    pub fn push(&mut self, step: u32, batch: &[Sample]) {
        assert!(!batch.is_empty(), "PlanChunk: step {step} has no samples");
        let targets = self.extend(batch.iter().map(|sample| sample.target.to_bits()));
        let weights = self.extend(batch.iter().map(|sample| sample.weight.to_bits()));
        let mut order = Vec::with_capacity(batch.len());
        let sides = Side::BOTH.map(|side| {
            order.clear();
            order.extend(batch.iter().enumerate().map(|(number, sample)| {
                let row = match side {
                    Side::User => sample.user,
                    Side::Item => sample.item,
                };
                (row as u64) << 32 | number as u64
            }));
            order.sort_unstable();
            self.push_side(&order)
        });
        self.steps.push(StepLayout {
            step,
            targets,
            weights,
            sides,
        });
        assert!(
            u32::try_from(self.words.len()).is_ok(),
            "PlanChunk: {} words do not fit u32 offsets",
            self.words.len()
        );
    }

    /// `order` holds `row << 32 | sample number`, ascending.
    fn push_side(&mut self, order: &[u64]) -> SideLayout {
        let row_of = |packed: &u64| (packed >> 32) as u32;
        let groups = || order.chunk_by(|a, b| row_of(a) == row_of(b));
        let rows = self.extend(groups().map(|group| row_of(&group[0])));
        let mut start = 0;
        let starts = self.extend(std::iter::once(0).chain(groups().map(|group| {
            start += group.len() as u32;
            start
        })));
        let samples = self.extend(order.iter().map(|packed| *packed as u32));
        let first = self.words.len();
        self.words.resize(first + order.len(), 0);
        for (slot, group) in groups().enumerate() {
            for packed in group {
                self.words[first + *packed as u32 as usize] = slot as u32;
            }
        }
        let slots = first..self.words.len();
        let mut next_piece = 0;
        let first_piece = self.extend(groups().map(|group| {
            if group.len() <= PIECE {
                return NO_PIECE;
            }
            let here = next_piece;
            next_piece += group.len().div_ceil(PIECE) as u32;
            here
        }));
        let first = self.words.len();
        let mut begin = 0;
        for group in groups() {
            let end = begin + group.len();
            if group.len() > PIECE {
                for piece in (begin..end).step_by(PIECE) {
                    self.words.extend([piece as u32, (piece + PIECE).min(end) as u32]);
                }
            }
            begin = end;
        }
        SideLayout {
            rows,
            starts,
            samples,
            slots,
            first_piece,
            pieces: first..self.words.len(),
        }
    }

    fn extend(&mut self, words: impl Iterator<Item = u32>) -> Range<usize> {
        let first = self.words.len();
        self.words.extend(words);
        first..self.words.len()
    }

    /// The slices of one side of a step.
    pub fn side(&self, step: &StepLayout, side: Side) -> SidePlan<'_> {
        let layout = step.side(side);
        let part = |range: &Range<usize>| &self.words[range.clone()];
        SidePlan {
            rows: part(&layout.rows),
            starts: part(&layout.starts),
            samples: part(&layout.samples),
            slots: part(&layout.slots),
            first_piece: part(&layout.first_piece),
            pieces: part(&layout.pieces),
        }
    }

    /// The targets of a step.
    pub fn targets(&self, step: &StepLayout) -> &[f32] {
        bytemuck::cast_slice(&self.words[step.targets.clone()])
    }

    /// The sample weights of a step.
    pub fn weights(&self, step: &StepLayout) -> &[f32] {
        bytemuck::cast_slice(&self.words[step.weights.clone()])
    }

    /// Samples of all steps.
    pub fn samples(&self) -> usize {
        self.steps.iter().map(StepLayout::batch).sum()
    }
}

/// Pairs that are scored with one plan.
pub const PAIRS_PER_PLAN: usize = 1 << 16;

/// One-step plans of pairs to be scored, [`PAIRS_PER_PLAN`] at a time; their targets and weights are zero.
///
/// Panics if the columns differ in length.
pub fn pair_plans<'a>(users: &'a [u32], items: &'a [u32]) -> impl Iterator<Item = PlanChunk> + 'a {
    assert_eq!(users.len(), items.len(), "pair_plans: users and items differ in length");
    users
        .chunks(PAIRS_PER_PLAN)
        .zip(items.chunks(PAIRS_PER_PLAN))
        .map(|(users, items)| {
            let pairs = users.iter().zip(items).map(|(&user, &item)| Sample {
                user,
                item,
                target: 0.0,
                weight: 0.0,
            });
            let mut chunk = PlanChunk::default();
            chunk.push(1, &pairs.collect::<Vec<_>>());
            chunk
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(user: u32, item: u32) -> Sample {
        Sample {
            user,
            item,
            target: 0.5,
            weight: 1.0,
        }
    }

    proptest! {
        #[test]
        fn every_sample_stands_once_under_its_row_in_order(
            pairs in prop::collection::vec((0u32..40, prop::sample::select(vec![0u32, 1, 2, 77])), 1..300)
        ) {
            let batch: Vec<_> = pairs.iter().map(|&(user, item)| sample(user, item)).collect();
            let mut chunk = PlanChunk::default();
            chunk.push(1, &[sample(1, 1)]);
            chunk.push(2, &batch);
            let step = &chunk.steps[1];
            for side in Side::BOTH {
                let plan = chunk.side(step, side);
                let key = |number: usize| match side { Side::User => batch[number].user, Side::Item => batch[number].item };
                prop_assert!(plan.rows.windows(2).all(|pair| pair[0] < pair[1]));
                let mut seen = vec![0; batch.len()];
                let mut pieces = Vec::new();
                for (slot, &row) in plan.rows.iter().enumerate() {
                    let range = plan.starts[slot] as usize..plan.starts[slot + 1] as usize;
                    let numbers = &plan.samples[range.clone()];
                    prop_assert!(!numbers.is_empty() && numbers.windows(2).all(|pair| pair[0] < pair[1]));
                    for &number in numbers {
                        seen[number as usize] += 1;
                        prop_assert_eq!(key(number as usize), row);
                        prop_assert_eq!(plan.slots[number as usize], slot as u32);
                    }
                    if numbers.len() > PIECE {
                        prop_assert_eq!(plan.first_piece[slot] as usize, pieces.len());
                        for begin in range.clone().step_by(PIECE) {
                            pieces.push([begin as u32, (begin + PIECE).min(range.end) as u32]);
                        }
                    } else {
                        prop_assert_eq!(plan.first_piece[slot], NO_PIECE);
                    }
                }
                prop_assert!(seen.iter().all(|&count| count == 1));
                prop_assert_eq!(plan.pieces, pieces.concat());
            }
        }
    }
}

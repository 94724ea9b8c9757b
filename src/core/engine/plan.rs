//! The plan of a step: which rows a batch touches, and which samples belong to each row, in a fixed order.
//!
//! A step of B samples carries, for each side, `rows[R]` (touched table rows, ascending), `starts[R + 1]` and `samples[B]`
//! (sample numbers grouped by row, in order), and for each sample its `slots[B]` in `rows`. Sums over a row run in that
//! order, so training is bit-identical from run to run and for any number of threads; nothing is added atomically.
//! The samples of a step are numbered in the order of their users: those of one user stand together, and so do the compact
//! rows that neighbours read.
//!
//! A row with more than [`PIECE`] samples (a bestseller) is cut into pieces that are summed on their own and added up in a
//! second level: `pieces` holds `(begin, end)` into `samples`, `first_piece[R]` where a row's pieces begin, or [`NO_PIECE`].
//!
//! Where rows have a prior, `pulls[R, 3]` says how strongly a step draws a row's bias to its centre and its embedding to zero,
//! see [`EpochPrior`].
//!
//! Where choices are learned, a step also carries items that were drawn against all of its samples, see [`Draws`], and the rows
//! of the items once more with the drawn ones among them: a drawn item has a row of its own, with or without samples, and
//! `extras[R]` says which gradient of a drawn item is added to a row's sum. Ratings know nothing of them.
//!
//! All of it stands in one array of 32-bit words, several steps together, so that it travels to a device in one upload.

use crate::common::interaction::{ItemIndex, UserIndex};
use crate::config::Prior;
use crate::engine::model::{Side, Sides};
use std::ops::Range;

/// Samples that one team of lanes sums in a go.
pub const PIECE: usize = 32;
/// Samples that travel to a device together; small batches are sent many at a time.
pub const SAMPLES_PER_CHUNK: usize = 1 << 16;
/// `first_piece` of a row that is not cut.
pub const NO_PIECE: u32 = u32::MAX;
/// Where pulls begin in a plan that has none.
pub const NO_PULLS: u32 = u32::MAX;

/// `extras` of a row that has no gradient but that of its samples.
pub const NO_EXTRA: u32 = u32::MAX;
/// Where extras begin in a plan that has none.
pub const NO_EXTRAS: u32 = u32::MAX;

/// Items that are drawn once for all samples of a step, to stand for those that were not chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draws {
    /// Distinct, ascending.
    pub items: Vec<ItemIndex>,
    /// What each stands for, see [`crate::engine::choice`].
    pub offsets: Vec<f32>,
}

/// What a step learns of choices besides its samples.
#[derive(Clone, Copy, Debug)]
pub struct ChoicePlan<'a> {
    pub draws: &'a Draws,
    pub l2: &'a ChoiceL2,
}

/// Weight of the squared length of a row, for each sample in which it was chosen.
///
/// ```text
/// l2(row) = l2 n^-TEMPER / mean over all training rows of the same         n: training ratings of the row
/// ```
///
/// Rows with many samples are drawn less for each, and the sum over all samples stays what it would be without it. Between a
/// weight for each sample alike (exponent 0) and one for each row alike (1) a quarter ranked best, on Electronics, MovieLens
/// 100K and Musical Instruments; S. Rendle et al., arXiv:2110.14037, temper ALS in this way.
#[derive(Clone, Debug, Default)]
pub struct ChoiceL2 {
    l2: f32,
    /// Of users and of items; 1 past the end.
    factors: Sides<Vec<f32>>,
}

/// See [`ChoiceL2`].
const TEMPER: f64 = 0.25;

impl ChoiceL2 {
    /// The same for every row.
    pub fn even(l2: f32) -> Self {
        Self {
            l2,
            factors: Default::default(),
        }
    }

    /// By the training ratings of users and of items.
    pub fn tempered(l2: f32, counts: Sides<&[u32]>) -> Self {
        let factors = counts.0.map(|counts| {
            let weight = |count: u32| f64::from(count.max(1)).powf(-TEMPER);
            let rows: f64 = counts.iter().map(|&count| f64::from(count)).sum();
            let sum: f64 = counts.iter().map(|&count| f64::from(count) * weight(count)).sum();
            let mean = if rows > 0.0 { sum / rows } else { 1.0 };
            counts.iter().map(|&count| (weight(count) / mean) as f32).collect()
        });
        Self {
            l2,
            factors: Sides(factors),
        }
    }

    fn of(&self, side: Side, row: u32) -> f32 {
        let factor = self.factors[side].get(row as usize);
        self.l2 * factor.copied().unwrap_or(1.0)
    }
}

/// Where the parts of one side stand in the words of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideLayout {
    pub rows: Range<usize>,
    pub starts: Range<usize>,
    pub samples: Range<usize>,
    pub slots: Range<usize>,
    pub first_piece: Range<usize>,
    pub pieces: Range<usize>,
    /// Empty without a prior.
    pub pulls: Range<usize>,
    /// Which row of the extra gradients is added to a row's sum, or [`NO_EXTRA`]; empty where only samples count.
    pub extras: Range<usize>,
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

    /// Where the pulls begin, or [`NO_PULLS`].
    pub fn pulls_at(&self) -> u32 {
        if self.pulls.is_empty() {
            NO_PULLS
        } else {
            self.pulls.start as u32
        }
    }

    /// Where the extras begin, or [`NO_EXTRAS`].
    pub fn extras_at(&self) -> u32 {
        if self.extras.is_empty() {
            NO_EXTRAS
        } else {
            self.extras.start as u32
        }
    }
}

/// Where what a step learns of choices stands in the words of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceLayout {
    /// How much each sample counts as a choice, bits of f32.
    pub choices: Range<usize>,
    /// The slot of each drawn item.
    pub draw_slots: Range<usize>,
    /// The offset of each drawn item, bits of f32.
    pub draw_offsets: Range<usize>,
    sides: Sides<SideLayout>,
}

impl ChoiceLayout {
    /// Drawn items.
    pub fn draws(&self) -> usize {
        self.draw_slots.len()
    }

    /// The layout of one side, as choices need it.
    pub fn side(&self, side: Side) -> &SideLayout {
        &self.sides[side]
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
    /// `None` where ratings alone are learned.
    pub choice: Option<ChoiceLayout>,
    sides: Sides<SideLayout>,
}

impl StepLayout {
    /// Samples of the step.
    pub fn batch(&self) -> usize {
        self.targets.len()
    }

    /// The layout of one side, as ratings need it.
    pub fn side(&self, side: Side) -> &SideLayout {
        &self.sides[side]
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
    pub user: UserIndex,
    pub item: ItemIndex,
    pub target: f32,
    pub weight: f32,
    /// How much it counts as a choice of the item; 0 where choices are not learned.
    pub choice: f32,
}

impl Sample {
    /// Its row in the table of a side.
    pub fn row(&self, side: Side) -> u32 {
        match side {
            Side::User => self.user.0,
            Side::Item => self.item.0,
        }
    }
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
    /// The words of a [`Pull`] for each row; empty without a prior.
    pub pulls: &'a [u32],
    /// See [`SideLayout`].
    pub extras: &'a [u32],
}

impl SidePlan<'_> {
    /// What the prior of a slot's row does in the step.
    #[inline(always)]
    pub fn pull(&self, slot: usize) -> Pull {
        match self.pulls.as_chunks().0.get(slot) {
            Some(&words) => Pull::from_words(words),
            None => Pull::default(),
        }
    }

    /// Which row of the extra gradients belongs to a slot, if one does.
    #[inline(always)]
    pub fn extra(&self, slot: usize) -> Option<usize> {
        let extra = self.extras.get(slot).filter(|&&extra| extra != NO_EXTRA);
        extra.map(|&extra| extra as usize)
    }
}

/// What a step learns of choices, as slices.
#[derive(Clone, Copy, Debug)]
pub struct ChoiceStep<'a> {
    /// Weight of each sample as a choice, `[B]`.
    pub choices: &'a [f32],
    /// Slot of each drawn item among the rows of the items, `[draws]`.
    pub draw_slots: &'a [u32],
    /// Its offset.
    pub draw_offsets: &'a [f32],
}

/// What a prior adds to the gradient of a row in a step: `bias * row_bias - drift` and `embedding * row_embedding`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pull {
    pub bias: f32,
    pub embedding: f32,
    /// `bias * centre`.
    pub drift: f32,
}

impl Pull {
    fn words(self) -> [u32; 3] {
        [self.bias, self.embedding, self.drift].map(f32::to_bits)
    }

    #[inline(always)]
    fn from_words(words: [u32; 3]) -> Self {
        let [bias, embedding, drift] = words.map(f32::from_bits);
        Self { bias, embedding, drift }
    }
}

/// A Gaussian prior on each row, spread over an epoch: rows with few samples are drawn to zero as strongly as those with
/// many, so that rare ones stay close to it.
///
/// ```text
/// loss of an epoch = sum over samples of cross-entropy
///                    + sum over rows of (bias_strength (bias - centre)^2 + embedding_strength |embedding|^2)
/// pull of a step   = 2 strength / batch * (the row's samples in the batch) / (its samples in the epoch)
/// ```
#[derive(Clone, Debug)]
pub struct EpochPrior<'a> {
    prior: Prior,
    /// Of the biases of users and of items; rows past the end have 0.
    centres: &'a Sides<Vec<f32>>,
    /// Samples of each row in the epoch, users and items.
    counts: Sides<Vec<u32>>,
}

impl<'a> EpochPrior<'a> {
    /// The prior over the samples of an epoch, its biases centred at `centres`.
    pub fn new(prior: Prior, centres: &'a Sides<Vec<f32>>, samples: &[Sample]) -> Self {
        let counts = Sides::of(|side| {
            let rows = samples.iter().map(|sample| sample.row(side) as usize);
            let mut counts = vec![0; rows.clone().max().map_or(0, |last| last + 1)];
            rows.for_each(|row| counts[row] += 1);
            counts
        });
        Self { prior, centres, counts }
    }

    /// The pull on a row. Panics if the row has no samples in the epoch.
    fn pull(&self, side: Side, row: u32, in_batch: u32, batch: usize) -> Pull {
        let in_epoch = self.counts[side][row as usize];
        let share = 2.0 * f64::from(in_batch) / f64::from(in_epoch) / batch as f64;
        let [bias, embedding] = [self.prior.bias, self.prior.embedding].map(|strength| (strength * share) as f32);
        let centre = self.centres[side].get(row as usize).copied().unwrap_or(0.0);
        Pull {
            bias,
            embedding,
            drift: bias * centre,
        }
    }
}

impl PlanChunk {
    /// Appends the plan of one step; its samples are numbered in the order of their users.
    ///
    /// Panics if the batch is empty or the chunk outgrows u32 offsets.
    pub fn push(&mut self, step: u32, batch: &[Sample]) {
        self.push_with(step, batch, None, None);
    }

    /// As [`push`](Self::push), with what a prior and choices add. Panics if the prior does not count a row of the batch.
    pub fn push_with(&mut self, step: u32, batch: &[Sample], prior: Option<&EpochPrior>, choice: Option<ChoicePlan>) {
        let mut order = keys(batch, Side::User);
        sort_by_row(&mut order);
        let in_order: Vec<Sample> = order.iter().map(|&key| batch[key as u32 as usize]).collect();
        for (number, key) in order.iter_mut().enumerate() {
            *key = *key >> 32 << 32 | number as u64;
        }
        self.push_numbered(step, &in_order, &order, prior, choice);
    }

    /// Appends the plan of one step whose samples keep their numbers; `users` holds their keys, sorted.
    fn push_numbered(
        &mut self,
        step: u32,
        samples: &[Sample],
        users: &[u64],
        prior: Option<&EpochPrior>,
        choice: Option<ChoicePlan>,
    ) {
        assert!(!samples.is_empty(), "PlanChunk: step {step} has no samples");
        let targets = self.extend(samples.iter().map(|sample| sample.target.to_bits()));
        let weights = self.extend(samples.iter().map(|sample| sample.weight.to_bits()));
        let mut items = keys(samples, Side::Item);
        sort_by_row(&mut items);
        let orders = Sides([users, items.as_slice()]);
        let sides = Sides::of(|side| {
            let order = orders[side];
            let mut layout = self.push_side(order, &[]);
            if let Some(prior) = prior {
                layout.pulls = self.push_pulls(&layout, side, samples.len(), prior);
            }
            layout
        });
        let choice = choice.map(|choice| self.push_choice(samples, &items, &sides[Side::User], choice));
        self.steps.push(StepLayout {
            step,
            targets,
            weights,
            choice,
            sides,
        });
        assert!(
            u32::try_from(self.words.len()).is_ok(),
            "PlanChunk: {} words do not fit u32 offsets",
            self.words.len()
        );
    }

    /// Appends what a step learns of choices; `items` holds the samples' keys by item, sorted.
    fn push_choice(
        &mut self,
        samples: &[Sample],
        items: &[u64],
        users: &SideLayout,
        choice: ChoicePlan,
    ) -> ChoiceLayout {
        let drawn: &[u32] = bytemuck::cast_slice(&choice.draws.items);
        let choices = self.extend(samples.iter().map(|sample| sample.choice.to_bits()));
        let mut items = self.push_side(items, drawn);
        let mut users = users.clone();
        let mut slots = Vec::with_capacity(drawn.len());
        let mut extras = vec![NO_EXTRA; items.row_count()];
        let mut slot = 0;
        for (number, &item) in (0..).zip(drawn) {
            // Every drawn item has a row, and both ascend.
            while self.words[items.rows.start + slot] != item {
                slot += 1;
            }
            extras[slot] = number;
            slots.push(slot as u32);
        }
        let draw_slots = self.extend(slots.into_iter());
        let draw_offsets = self.extend(choice.draws.offsets.iter().map(|offset| offset.to_bits()));
        items.extras = self.extend(extras.into_iter());
        // What was drawn against a user's samples adds up to one gradient.
        users.extras = self.extend(0..users.row_count() as u32);
        let share = 2.0 / samples.len() as f32;
        for (which, side) in [(Side::User, &mut users), (Side::Item, &mut items)] {
            let first = self.words.len();
            for slot in 0..side.row_count() {
                let l2 = choice.l2.of(which, self.words[side.rows.start + slot]);
                let [begin, end] = [slot, slot + 1].map(|at| self.words[side.starts.start + at] as usize);
                let own = &self.words[side.samples.clone()][begin..end];
                let chosen: f32 = own.iter().map(|&number| samples[number as usize].choice).sum();
                let pull = Pull {
                    embedding: share * l2 * chosen,
                    ..Pull::default()
                };
                self.words.extend(pull.words());
            }
            side.pulls = first..self.words.len();
        }
        ChoiceLayout {
            choices,
            draw_slots,
            draw_offsets,
            sides: Sides([users, items]),
        }
    }

    /// `order` holds `row << 32 | sample number`, ascending; the rows of `drawn`, ascending, have a place even without samples.
    fn push_side(&mut self, order: &[u64], drawn: &[u32]) -> SideLayout {
        let row_of = |packed: &u64| (packed >> 32) as u32;
        let batch = order.len();
        let sampled = 1 + order
            .windows(2)
            .filter(|pair| row_of(&pair[0]) != row_of(&pair[1]))
            .count();
        let has_samples = |row: u32| {
            let at = order.partition_point(|packed| row_of(packed) < row);
            order.get(at).is_some_and(|packed| row_of(packed) == row)
        };
        let mut without: Vec<u32> = drawn.iter().copied().filter(|&row| !has_samples(row)).collect();
        let row_count = sampled + without.len();
        // What is looked at next stands at the end.
        without.reverse();
        let first = self.words.len();
        let mut end = first;
        let [rows, starts, samples, slots, first_piece] =
            [row_count, row_count + 1, batch, batch, row_count].map(|length| {
                end += length;
                end - length..end
            });
        self.words.resize(end, 0);
        let (row_words, rest) = self.words[first..].split_at_mut(row_count);
        let (start_words, rest) = rest.split_at_mut(row_count + 1);
        let (sample_words, rest) = rest.split_at_mut(batch);
        let (slot_words, first_piece_words) = rest.split_at_mut(batch);
        let mut opened = 0;
        let mut open = |row: u32, at: usize| {
            row_words[opened] = row;
            start_words[opened] = at as u32;
            opened += 1;
            opened - 1
        };
        let (mut slot, mut row) = (0, None);
        for (at, packed) in order.iter().enumerate() {
            let next = row_of(packed);
            if row != Some(next) {
                while let Some(empty) = without.pop_if(|empty| *empty < next) {
                    open(empty, at);
                }
                slot = open(next, at);
                row = Some(next);
            }
            let number = *packed as u32;
            sample_words[at] = number;
            slot_words[number as usize] = slot as u32;
        }
        while let Some(empty) = without.pop() {
            open(empty, batch);
        }
        start_words[row_count] = batch as u32;

        let mut pieces = Vec::new();
        for (slot, first_piece) in first_piece_words.iter_mut().enumerate() {
            let (begin, end) = (start_words[slot], start_words[slot + 1]);
            *first_piece = NO_PIECE;
            if (end - begin) as usize > PIECE {
                *first_piece = pieces.len() as u32 / 2;
                let cuts = (begin..end).step_by(PIECE);
                pieces.extend(cuts.flat_map(|cut| [cut, (cut + PIECE as u32).min(end)]));
            }
        }
        let pieces = self.extend(pieces.into_iter());
        SideLayout {
            rows,
            starts,
            samples,
            slots,
            first_piece,
            pieces,
            pulls: 0..0,
            extras: 0..0,
        }
    }

    /// Appends the pulls on the rows of a side.
    fn push_pulls(&mut self, layout: &SideLayout, side: Side, batch: usize, prior: &EpochPrior) -> Range<usize> {
        let first = self.words.len();
        for slot in 0..layout.row_count() {
            let starts = &self.words[layout.starts.clone()];
            let (in_batch, row) = (starts[slot + 1] - starts[slot], self.words[layout.rows.start + slot]);
            self.words.extend(prior.pull(side, row, in_batch, batch).words());
        }
        first..self.words.len()
    }

    fn extend(&mut self, words: impl Iterator<Item = u32>) -> Range<usize> {
        let first = self.words.len();
        self.words.extend(words);
        first..self.words.len()
    }

    /// The slices of one side of a step, as ratings need it.
    pub fn side(&self, step: &StepLayout, side: Side) -> SidePlan<'_> {
        self.slices(step.side(side))
    }

    /// The slices of one side, wherever they stand in this chunk.
    pub fn slices(&self, layout: &SideLayout) -> SidePlan<'_> {
        let part = |range: &Range<usize>| &self.words[range.clone()];
        SidePlan {
            rows: part(&layout.rows),
            starts: part(&layout.starts),
            samples: part(&layout.samples),
            slots: part(&layout.slots),
            first_piece: part(&layout.first_piece),
            pieces: part(&layout.pieces),
            pulls: part(&layout.pulls),
            extras: part(&layout.extras),
        }
    }

    /// What a step learns of choices; `None` if it does not.
    pub fn choice(&self, step: &StepLayout) -> Option<ChoiceStep<'_>> {
        step.choice.as_ref().map(|choice| ChoiceStep {
            choices: bytemuck::cast_slice(&self.words[choice.choices.clone()]),
            draw_slots: &self.words[choice.draw_slots.clone()],
            draw_offsets: bytemuck::cast_slice(&self.words[choice.draw_offsets.clone()]),
        })
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

/// `row << 32 | sample number` for each sample.
fn keys(samples: &[Sample], side: Side) -> Vec<u64> {
    let key = |(number, sample): (usize, &Sample)| u64::from(sample.row(side)) << 32 | number as u64;
    samples.iter().enumerate().map(key).collect()
}

/// Bits of a row number that one pass of [`sort_by_row`] looks at, at the most: its counts fit the nearest cache.
const RADIX_BITS: u32 = 11;

/// Sorts keys by row; equal rows stay in order, so ascending sample numbers stay ascending.
///
/// A radix sort from the lowest digit: comparing costs three times as much.
fn sort_by_row(keys: &mut Vec<u64>) {
    let highest = keys.iter().map(|key| key >> 32).max().unwrap_or(0);
    let bits = u64::BITS - highest.leading_zeros();
    let passes = bits.div_ceil(RADIX_BITS);
    if passes == 0 {
        return;
    }
    // Digits of equal length: of 17 bits, two passes with 512 counts each.
    let digit_bits = bits.div_ceil(passes);
    let mask = (1 << digit_bits) - 1;
    let mut spare = vec![0; keys.len()];
    let mut places = [0u32; 1 << RADIX_BITS];
    for pass in 0..passes {
        let digit = |key: u64| (key >> (32 + pass * digit_bits)) as usize & mask;
        let places = &mut places[..=mask];
        places.fill(0);
        for &key in keys.iter() {
            places[digit(key)] += 1;
        }
        let mut place = 0;
        for count in places.iter_mut() {
            place += std::mem::replace(count, place);
        }
        for &key in keys.iter() {
            let place = &mut places[digit(key)];
            spare[*place as usize] = key;
            *place += 1;
        }
        std::mem::swap(keys, &mut spare);
    }
}

/// Pairs that are scored with one plan: of 512 weights each their rows take 65 MiB, and a device may bind no more than 128.
pub const PAIRS_PER_PLAN: usize = 1 << 15;

/// One-step plans of pairs to be scored, [`PAIRS_PER_PLAN`] at a time; their targets and weights are zero.
///
/// Panics if the columns differ in length.
pub fn pair_plans<'a>(users: &'a [UserIndex], items: &'a [ItemIndex]) -> impl Iterator<Item = PlanChunk> + 'a {
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
                choice: 0.0,
            });
            let mut chunk = PlanChunk::default();
            let pairs: Vec<_> = pairs.collect();
            let mut order = keys(&pairs, Side::User);
            sort_by_row(&mut order);
            // Logits come back in the order of the pairs.
            chunk.push_numbered(1, &pairs, &order, None, None);
            chunk
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tempered_l2_is_the_same_in_all_and_less_for_each_of_many() {
        let counts = [1u32, 16, 0, 3];
        let l2 = ChoiceL2::tempered(0.3, Sides([&counts, &counts]));
        let sum: f32 = (0..4)
            .map(|row| counts[row as usize] as f32 * l2.of(Side::Item, row))
            .sum();
        assert!((sum - 0.3 * 20.0).abs() < 1e-5, "{sum}");
        assert!((l2.of(Side::User, 0) / l2.of(Side::User, 1) - 2.0).abs() < 1e-5);
        assert_eq!(ChoiceL2::even(0.3).of(Side::User, 7), 0.3);
    }

    fn sample(user: u32, item: u32) -> Sample {
        Sample {
            user: UserIndex(user),
            item: ItemIndex(item),
            target: 0.5,
            weight: 1.0,
            choice: 1.0,
        }
    }

    proptest! {
        #[test]
        fn every_sample_stands_once_under_its_row_in_order(
            pairs in prop::collection::vec((0u32..40, prop::sample::select(vec![0u32, 1, 2, 77])), 1..300)
        ) {
            let mut batch: Vec<_> = pairs.iter().map(|&(user, item)| sample(user, item)).collect();
            let mut chunk = PlanChunk::default();
            chunk.push(1, &[sample(1, 1)]);
            chunk.push(2, &batch);
            batch.sort_by_key(|sample| sample.user);
            let step = &chunk.steps[1];
            prop_assert!(chunk.side(step, Side::User).samples.iter().copied().eq(0..batch.len() as u32));
            for side in Side::BOTH {
                let plan = chunk.side(step, side);
                let key = |number: usize| batch[number].row(side);
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
                prop_assert_eq!(plan.pull(0), Pull::default());
            }
        }

        #[test]
        fn drawn_items_have_a_row_and_a_gradient_and_ratings_know_nothing_of_them(
            pairs in prop::collection::vec((0u32..9, 0u32..40), 1..120),
            drawn in prop::collection::btree_set(0u32..60, 1..30),
        ) {
            let batch: Vec<_> = pairs
                .iter()
                .map(|&(user, item)| Sample { choice: (item % 3) as f32 / 2.0, ..sample(user, item) })
                .collect();
            let draws = Draws {
                items: drawn.iter().copied().map(ItemIndex).collect(),
                offsets: drawn.iter().map(|&item| item as f32).collect(),
            };
            let counts: Vec<u32> = (0..60).map(|row| row % 5).collect();
            let l2 = ChoiceL2::tempered(0.5, Sides([&counts, &counts]));
            let mut chunk = PlanChunk::default();
            chunk.push_with(1, &batch, None, Some(ChoicePlan { draws: &draws, l2: &l2 }));
            let mut alone = PlanChunk::default();
            alone.push(1, &batch);
            let (step, choice) = (&chunk.steps[0], chunk.choice(&chunk.steps[0]).unwrap());
            prop_assert_eq!(&chunk.words[..alone.words.len()], &alone.words[..]);
            let layout = step.choice.as_ref().unwrap();
            let items = chunk.slices(layout.side(Side::Item));
            prop_assert!(items.rows.windows(2).all(|pair| pair[0] < pair[1]));
            let mut wanted: std::collections::BTreeSet<u32> = drawn.clone();
            wanted.extend(batch.iter().map(|sample| sample.item.0));
            prop_assert!(items.rows.iter().copied().eq(wanted));
            for (number, (&slot, &item)) in choice.draw_slots.iter().zip(&drawn).enumerate() {
                prop_assert_eq!(items.rows[slot as usize], item);
                prop_assert_eq!(items.extra(slot as usize), Some(number));
                prop_assert_eq!(choice.draw_offsets[number], item as f32);
            }
            let extras = items.extras.iter().filter(|&&extra| extra != NO_EXTRA).count();
            prop_assert_eq!(extras, drawn.len());
            let users = chunk.slices(layout.side(Side::User));
            prop_assert!((0..users.rows.len()).all(|slot| users.extra(slot) == Some(slot)));
            for (side, plan) in [(Side::User, users), (Side::Item, items)] {
                for (slot, &row) in plan.rows.iter().enumerate() {
                    let own = &plan.samples[plan.starts[slot] as usize..plan.starts[slot + 1] as usize];
                    // Samples are numbered in the order of their users.
                    let mut sorted = batch.clone();
                    sorted.sort_by_key(|sample| sample.user);
                    prop_assert!(own.iter().all(|&number| sorted[number as usize].row(side) == row));
                    let chosen: f32 = sorted.iter().filter(|sample| sample.row(side) == row).map(|sample| sample.choice).sum();
                    let pull = plan.pull(slot);
                    let expected = 2.0 * l2.of(side, row) * chosen / batch.len() as f32;
                    prop_assert!((pull.embedding - expected).abs() < 1e-6 && pull.bias == 0.0 && pull.drift == 0.0);
                }
            }
        }

        #[test]
        fn the_pulls_of_an_epoch_add_up_to_the_prior_of_each_row(
            pairs in prop::collection::vec((0u32..9, prop::sample::select(vec![0u32, 1, 2, 77])), 1..90),
            batch_size in 1usize..40,
        ) {
            let samples: Vec<_> = pairs.iter().map(|&(user, item)| sample(user, item)).collect();
            let centres = Sides::of(|side| (0..5).map(|row| row as f32 - 2.0 * (side as u8) as f32).collect());
            let prior = EpochPrior::new(Prior { bias: 0.5, embedding: 3.0, centre_rank: 4 }, &centres, &samples);
            let mut chunk = PlanChunk::default();
            for (step, batch) in (1..).zip(samples.chunks(batch_size)) {
                chunk.push_with(step, batch, Some(&prior), None);
            }
            for side in Side::BOTH {
                let mut sums = std::collections::BTreeMap::new();
                for step in &chunk.steps {
                    let plan = chunk.side(step, side);
                    for (slot, &row) in plan.rows.iter().enumerate() {
                        let sum = sums.entry(row).or_insert([0.0f32; 3]);
                        let pull = plan.pull(slot);
                        for (sum, part) in sum.iter_mut().zip([pull.bias, pull.embedding, pull.drift]) {
                            *sum += part * step.batch() as f32;
                        }
                    }
                }
                // Twice the strengths, whatever the row's number of samples.
                for (&row, [bias, embedding, drift]) in &sums {
                    prop_assert!((bias - 1.0).abs() < 1e-5 && (embedding - 6.0).abs() < 1e-5);
                    let centre = centres[side].get(row as usize).copied().unwrap_or(0.0);
                    prop_assert!((drift - centre).abs() < 1e-5);
                }
                prop_assert_eq!(sums.len(), samples.iter().map(|sample| sample.row(side)).collect::<std::collections::BTreeSet<_>>().len());
            }
        }
    }
}

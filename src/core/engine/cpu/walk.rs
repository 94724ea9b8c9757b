//! The walk over the users of a step: block by block, each gathered, asked and updated while its records stay in the nearest
//! cache (a batch is sorted by user, so a block's samples stand together), and the plan says which record comes next.
//!
//! What is asked of a block, and so where its gradients come from, is a [`Forward`].

use super::gather_rows::gather_rows;
use super::instruction_set::{InstructionSet, Work};
use super::prefetch::ROWS_AHEAD;
use super::rows::{Rows, middle};
use super::sum_pieces::Gradients;
use super::update_rows::update_rows;
use crate::engine::optimizer::Schedule;
use crate::engine::plan::SidePlan;
use std::ops::Range;
use std::sync::Mutex;

/// Rows that one task takes at the most; users whose choices are learned come in larger ones, since what each task has summed of the
/// drawn items has to be added up.
pub const ROWS_PER_TASK: usize = 256;
pub const CHOOSERS_PER_TASK: usize = 512;

/// Tasks that a small step is cut into, nearly.
const TASKS: usize = 16;

/// Rows of a step that one task takes, `most` at the most; their sums make one partial. Of a small step fewer, so that sixteen threads
/// have some; whatever the number of threads, since the order of the sums hangs on it.
pub fn rows_per_task(rows: usize, most: usize) -> usize {
    (rows / TASKS).next_multiple_of(64).clamp(64, most)
}

/// Tasks of any step of up to `rows` rows.
pub fn most_tasks(rows: usize, most: usize) -> usize {
    rows.div_ceil(most).max(TASKS + 1)
}

/// What a block of users is asked. All methods have to be `#[inline(always)]`, see [`Work`].
pub trait Forward: Sync {
    /// Users that pass through all kernels together.
    const USERS_PER_BLOCK: usize;

    /// What a task works in.
    type Scratch: Default + Send;

    /// Fills `gradient` for the samples of a block of slots, whose compact rows are `users`, and adds their sums to `partial`.
    fn forward(
        &self,
        block: Range<usize>,
        samples: Range<usize>,
        users: &[f32],
        gradient: &mut [f32],
        partial: &mut [f32],
        scratch: &mut Self::Scratch,
    );

    /// The extra gradients of the block that was asked last, `[block, 4 + dim]`; empty if there are none.
    fn extra<'a>(&self, scratch: &'a Self::Scratch) -> &'a [f32];
}

/// What all users of a step need.
pub struct UserWalk<'a, F: Forward> {
    pub forward: F,
    pub plan: SidePlan<'a>,
    pub item_slots: &'a [u32],
    /// Compact rows of the items.
    pub items: &'a [f32],
    pub schedule: &'a Schedule,
    pub l2: f32,
    pub learns_bias: bool,
    pub step: u32,
    pub dim: usize,
    pub record_len: usize,
    /// See [`rows_per_task`].
    pub users_per_task: usize,
    /// Words of a task's sums.
    pub partial_len: usize,
    /// What no task works in at the moment. Kept from step to step: memory that was given back comes again page by page.
    pub scratch: &'a Mutex<Vec<F::Scratch>>,
    pub instructions: InstructionSet,
}

/// A run of users with their parts of what they write.
pub struct UserTask<'a> {
    pub rows: Rows<'a>,
    pub compact: &'a mut [f32],
    pub gradient: &'a mut [f32],
    /// `[tasks, partial_len]`; whatever they were before.
    pub partials: &'a mut [f32],
}

impl<F: Forward> UserWalk<'_, F> {
    /// Samples of a run of slots: they stand together, since the batch is sorted by user.
    fn samples_of(&self, slots: &Range<usize>) -> Range<usize> {
        self.plan.starts[slots.start] as usize..self.plan.starts[slots.end] as usize
    }

    /// Walks all users of a task, on all threads.
    pub fn all(&self, task: UserTask) {
        let slots = task.rows.slots.clone();
        let Some(middle) = middle(&slots, self.users_per_task) else {
            return self.instructions.run(Walk { step: self, task });
        };
        let (left_rows, right_rows) = task.rows.split(middle, self.plan.rows, self.record_len);
        let (left_compact, right_compact) = task
            .compact
            .split_at_mut((middle - slots.start) * (task.compact.len() / slots.len()));
        let (left_gradient, right_gradient) = task
            .gradient
            .split_at_mut(self.samples_of(&(slots.start..middle)).len());
        let (left_partials, right_partials) = task
            .partials
            .split_at_mut((middle - slots.start) / self.users_per_task * self.partial_len);
        let left = UserTask {
            rows: left_rows,
            compact: left_compact,
            gradient: left_gradient,
            partials: left_partials,
        };
        let right = UserTask {
            rows: right_rows,
            compact: right_compact,
            gradient: right_gradient,
            partials: right_partials,
        };
        rayon::join(|| self.all(left), || self.all(right));
    }
}

/// One task: block by block through all kernels.
struct Walk<'a, F: Forward> {
    step: &'a UserWalk<'a, F>,
    task: UserTask<'a>,
}

impl<F: Forward> Work for Walk<'_, F> {
    #[inline(always)]
    fn run(self) {
        let Self { step, task } = self;
        let Rows {
            slots,
            first_row,
            records,
        } = task.rows;
        let length = task.compact.len() / slots.len();
        let scratches = || step.scratch.lock().expect("no task panics");
        let mut scratch = scratches().pop().unwrap_or_default();
        task.partials.fill(0.0);
        let mut gradient = task.gradient;
        for (number, compact) in task.compact.chunks_mut(F::USERS_PER_BLOCK * length).enumerate() {
            let first = slots.start + number * F::USERS_PER_BLOCK;
            let block = first..(first + F::USERS_PER_BLOCK).min(slots.end);
            gather_rows(
                &step.plan.rows[block.clone()],
                records,
                first_row,
                step.schedule,
                step.step - 1,
                false,
                step.dim,
                compact,
                // Their records were asked for while the block before was updated.
                if number == 0 { ROWS_AHEAD } else { 0 },
            );
            let samples = step.samples_of(&block);
            let (here, rest) = gradient.split_at_mut(samples.len());
            gradient = rest;
            step.forward.forward(
                block.clone(),
                samples.clone(),
                compact,
                here,
                task.partials,
                &mut scratch,
            );
            let gradients = Gradients {
                gradient: here,
                first_sample: samples.start,
                other_slots: step.item_slots,
                other: step.items,
                l2: step.l2,
                extra: step.forward.extra(&scratch),
                first_extra: block.start,
                learns_bias: step.learns_bias,
            };
            update_rows(
                &step.plan,
                block,
                &gradients,
                step.schedule,
                step.step,
                compact,
                records,
                first_row,
                F::USERS_PER_BLOCK,
            );
        }
        scratches().push(scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_has_more_tasks_than_are_reckoned_with() {
        for most in [ROWS_PER_TASK, CHOOSERS_PER_TASK] {
            let tasks = |rows: usize| rows.div_ceil(rows_per_task(rows, most));
            assert_eq!(
                [tasks(1), tasks(64), tasks(65), tasks(1039), tasks(1040)],
                [1, 1, 2, 17, 9]
            );
            let mut so_far = 0;
            for rows in 1..20_000 {
                so_far = so_far.max(tasks(rows));
                assert!(so_far <= most_tasks(rows, most), "{rows} rows: {so_far} tasks");
            }
        }
    }
}

//! Optimisers: what a row's gradient does to its record, and the step sizes of a whole training.
//!
//! One file an optimiser. All but `adam` leave rows outside the batch alone, and for `adagrad` and `sgd` that is what the
//! dense optimiser does as well; `adam` brings a row up to date when it is next read, `lazy_adam` does not.

pub mod adagrad;
pub mod adam;
mod learning_rate;
pub mod sgd;

pub use learning_rate::{LearningRate, Reduction};

use crate::config::OptimizerChoice;
use crate::engine::model::{LAST_STEP, ROW_HEADER};
use adam::{BETA1, BETA2, CatchUp, HALF_LN_BETA2};

/// Steps of a training at the most: every whole number up to here is an f32.
pub const MAX_STEPS: usize = 1 << 24;
/// Powers are kept for so many missed steps; beyond it nothing is left of a moment: 0.999^(2^16) is 3e-29.
pub const MAX_DECAYS: usize = 1 << 16;
/// Smaller powers count as zero, so that no moment decays into the slow subnormal numbers.
const SMALLEST_DECAY: f64 = 1e-20;

/// Step sizes and decay of a whole training, steps `1..=steps`.
#[derive(Clone, Debug)]
pub struct Schedule {
    optimizer: OptimizerChoice,
    /// Gradients are clamped to `[-clip, clip]`.
    clip: f32,
    /// The head's scale is not trained.
    holds_scale: bool,
    learning_rate: LearningRate,
    /// `[c, tail, moment, 0]` of each step `0..=steps`; `c[0]` is never used.
    table: Vec<[f32; 4]>,
    /// `[rho^k, beta1^k, beta2^k, 0]` of k missed steps, `0..=min(steps, MAX_DECAYS)`.
    decays: Vec<[f32; 4]>,
}

/// What one step does to a row besides its gradient sums.
#[derive(Clone, Copy, Debug)]
pub struct RowStep {
    pub step: u32,
    pub step_size: f32,
    /// `2 l2 n / B`, n: the row's samples in the batch, and what a prior on its bias adds.
    pub bias_decay: f32,
    /// `2 l2 n / B`, and what a prior on its embedding adds, for each weight.
    pub decay: f32,
    /// Gradients are clamped to `[-clip, clip]`.
    pub clip: f32,
}

impl RowStep {
    /// The gradient of a weight: its sum and what draws it to zero, clipped by value as in `keras` (`clipvalue`).
    #[inline(always)]
    pub fn gradient(&self, sum: f32, weight: f32) -> f32 {
        (sum + self.decay * weight).clamp(-self.clip, self.clip)
    }

    /// The gradient of the row's bias: its sum and what draws it to zero, clipped.
    #[inline(always)]
    pub fn bias_gradient(&self, sum: f32, bias: f32) -> f32 {
        (sum + self.bias_decay * bias).clamp(-self.clip, self.clip)
    }
}

impl Schedule {
    /// Tables for `steps` steps; gradients are clamped to `[-clip, clip]`, 0 = not at all.
    ///
    /// Panics above [`MAX_STEPS`].
    pub fn new(steps: usize, learning_rate: LearningRate, optimizer: OptimizerChoice, clip: f32) -> Self {
        assert!(steps <= MAX_STEPS, "Schedule: {steps} steps, at most {MAX_STEPS}");
        let rho = adam::rho();
        let is_adam = optimizer.has_moments();
        let step_size = |step: usize| {
            let rate = learning_rate.at(step, steps);
            if !is_adam {
                return rate;
            }
            let step = step as f64;
            rate * (1.0 - BETA2.powf(step)).sqrt() / (1.0 - BETA1.powf(step))
        };
        let mut table = vec![[0.0; 4]; steps + 1];
        // What lies past the end cancels in every difference; the value of a constant step size keeps the terms small.
        let last = step_size(steps + 1);
        let mut tail = last * rho / (1.0 - rho);
        let mut moment = last * rho / (1.0 - rho).powi(2);
        let mut next = last;
        for step in (0..=steps).rev() {
            (tail, moment) = (rho * (next + tail), rho * (next + tail + moment));
            next = if step == 0 { 0.0 } else { step_size(step) };
            table[step] = [next as f32, tail as f32, moment as f32, 0.0];
        }
        let power = |base: f64, missed: usize| {
            let power = base.powf(missed as f64);
            if power < SMALLEST_DECAY { 0.0 } else { power as f32 }
        };
        let decays = (0..=steps.min(MAX_DECAYS))
            .map(|missed| [power(rho, missed), power(BETA1, missed), power(BETA2, missed), 0.0])
            .collect();
        Self {
            optimizer,
            clip: if clip > 0.0 { clip } else { f32::MAX },
            holds_scale: false,
            learning_rate,
            table,
            decays,
        }
    }

    /// The same training, but for the head's scale, which stays what it is.
    pub fn holding_scale(self) -> Self {
        Self {
            holds_scale: true,
            ..self
        }
    }

    /// The same training with a reduction of the learning rate after `after_step`. Rows must be settled there.
    pub fn reduced(&self, after_step: u32, factor: f64) -> Self {
        let mut learning_rate = self.learning_rate.clone();
        learning_rate.reductions.push(Reduction { after_step, factor });
        let clip = if self.clip == f32::MAX { 0.0 } else { self.clip };
        Self {
            holds_scale: self.holds_scale,
            ..Self::new(self.steps(), learning_rate, self.optimizer, clip)
        }
    }

    /// Panics unless this is the same training as `other`, but for the learning rate.
    pub fn assert_continues(&self, other: &Self) {
        assert_eq!(
            (self.optimizer, self.steps()),
            (other.optimizer, other.steps()),
            "Schedule: another training"
        );
    }

    /// Steps that were planned.
    pub fn steps(&self) -> usize {
        self.table.len() - 1
    }

    /// The optimiser that the tables are for.
    pub fn optimizer(&self) -> OptimizerChoice {
        self.optimizer
    }

    /// Gradients are clamped to `[-clip, clip]`; `f32::MAX` if they are not.
    pub fn clip(&self) -> f32 {
        self.clip
    }

    /// Whether the head's scale is not trained.
    pub fn holds_scale(&self) -> bool {
        self.holds_scale
    }

    /// The learning rate of each step, with the reductions so far.
    pub fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    /// `c[step]`, or the learning rate itself where the optimiser corrects nothing. Panics past the planned steps.
    #[inline(always)]
    pub fn step_size(&self, step: u32) -> f32 {
        self.table[step as usize][0]
    }

    /// The rows `[c, tail, moment, 0]`, for upload.
    pub fn table(&self) -> &[[f32; 4]] {
        &self.table
    }

    /// The rows `[rho^k, beta1^k, beta2^k, 0]`, for upload.
    pub fn decays(&self) -> &[[f32; 4]] {
        &self.decays
    }

    /// Whether rows outside the batch move.
    pub fn catches_up(&self) -> bool {
        self.optimizer == OptimizerChoice::Adam
    }

    /// From the end of step `last` to the end of step `now`. Panics if `now` is before `last` or past the planned steps.
    #[inline(always)]
    pub fn catch_up(&self, last: u32, now: u32) -> CatchUp {
        assert!(last <= now, "catch_up: a row of step {last} is ahead of step {now}");
        if last == now || !self.catches_up() {
            return CatchUp::NONE;
        }
        let [_, tail_last, moment_last, _] = self.table[last as usize];
        let [_, tail_now, moment_now, _] = self.table[now as usize];
        let missed = now - last;
        let [rho_power, m_decay, v_decay, _] = self.decays.get(missed as usize).copied().unwrap_or_default();
        let moment = moment_last - rho_power * (moment_now + missed as f32 * tail_now);
        CatchUp {
            shift: tail_last - rho_power * tail_now,
            correction: HALF_LN_BETA2 * moment,
            m_decay,
            v_decay,
        }
    }
}

/// Writes the factor row of a record as it stands at the end of step `now`; the record is left alone.
///
/// With `untouched_is_zero` a row that no step has touched reads as zeros instead of its random start.
/// Panics if the lengths do not fit.
#[inline(always)]
pub fn read_out(record: &[f32], schedule: &Schedule, now: u32, untouched_is_zero: bool, factor: &mut [f32]) {
    let last = record[LAST_STEP] as u32;
    if last == 0 && untouched_is_zero {
        factor.fill(0.0);
    } else if last == 0 || !schedule.catches_up() {
        factor[0] = record[0];
        factor[1..ROW_HEADER].fill(0.0);
        let weights = &record[ROW_HEADER..factor.len()];
        factor[ROW_HEADER..].copy_from_slice(weights);
    } else {
        adam::settle(record, &schedule.catch_up(last, now), factor);
    }
}

/// One step of a record: `settled` is its factor row at the end of the step before, `gradient` the same row of sums.
///
/// Panics if the lengths do not fit.
#[inline(always)]
pub fn step_row(record: &mut [f32], settled: &[f32], gradient: &[f32], schedule: &Schedule, row: &RowStep) {
    match schedule.optimizer {
        OptimizerChoice::Adam | OptimizerChoice::LazyAdam => {
            let catch_up = schedule.catch_up(record[LAST_STEP] as u32, row.step - 1);
            adam::step_row(record, settled, gradient, &catch_up, row);
        }
        OptimizerChoice::Adagrad => adagrad::step_row(record, gradient, row),
        OptimizerChoice::Sgd => sgd::step_row(record, gradient, row),
    }
}

/// One step of a number with a state of its own, `m` and `v`, which has missed none: the new value; the state in place.
pub fn step_number(value: f32, m: &mut f32, v: &mut f32, gradient: f32, schedule: &Schedule, step: u32) -> f32 {
    let step_size = schedule.step_size(step);
    match schedule.optimizer {
        OptimizerChoice::Adam | OptimizerChoice::LazyAdam => adam::adam_step(value, m, v, gradient, step_size),
        OptimizerChoice::Adagrad => adagrad::adagrad_step(value, v, gradient, step_size),
        OptimizerChoice::Sgd => value - step_size * gradient,
    }
}

/// Brings a record to the end of step `now` for good, so that a schedule may change there. Untouched rows stay as they are.
pub fn settle_record(record: &mut [f32], schedule: &Schedule, now: u32) {
    let last = record[LAST_STEP] as u32;
    if last == 0 || !schedule.catches_up() {
        return;
    }
    let dim = (record.len() - ROW_HEADER) / 3;
    let catch_up = schedule.catch_up(last, now);
    let mut factor = vec![0.0; ROW_HEADER + dim];
    adam::settle(record, &catch_up, &mut factor);
    record[0] = factor[0];
    record[1] *= catch_up.m_decay;
    record[2] *= catch_up.v_decay;
    record[LAST_STEP] = now as f32;
    let (weights, moments) = record[ROW_HEADER..].split_at_mut(dim);
    weights.copy_from_slice(&factor[ROW_HEADER..]);
    let (m, v) = moments.split_at_mut(dim);
    m.iter_mut().for_each(|m| *m *= catch_up.m_decay);
    v.iter_mut().for_each(|v| *v *= catch_up.v_decay);
}

#[cfg(test)]
mod tests {
    use super::adam::{EPSILON, adam_step};
    use super::*;

    /// Rare touches with gradients of many sizes, against the plain loop in f64.
    #[test]
    fn catching_up_equals_stepping_through_every_step() {
        let steps = 1500u32;
        let learning_rate = 1e-2;
        let schedule = Schedule::new(
            steps as usize,
            LearningRate::constant(learning_rate),
            OptimizerChoice::Adam,
            0.0,
        );
        for (size, bound) in [(1e-1, 1e-5), (1e-3, 1e-5), (1e-5, 1e-5), (1e-7, 1e-5)] {
            let touches = [3u32, 4, 40, 41, 300, 1000, 1490];
            let (mut exact, mut m64, mut v64) = (0.0f64, 0.0f64, 0.0f64);
            let (mut weight, mut m, mut v, mut last) = (0.0f32, 0.0f32, 0.0f32, 0u32);
            let mut farthest = 0.0f64;
            for step in 1..=steps {
                let touched = touches.contains(&step);
                let gradient = if touched {
                    size * (1.0 + (step as f64).sin())
                } else {
                    0.0
                };
                m64 = BETA1 * m64 + (1.0 - BETA1) * gradient;
                v64 = BETA2 * v64 + (1.0 - BETA2) * gradient * gradient;
                let step64 = step as f64;
                let size64 = learning_rate * (1.0 - BETA2.powf(step64)).sqrt() / (1.0 - BETA1.powf(step64));
                exact -= size64 * m64 / (v64.sqrt() + EPSILON as f64);
                farthest = farthest.max(exact.abs());
                if touched {
                    let catch_up = schedule.catch_up(last, step - 1);
                    weight = catch_up.weight(weight, m, v);
                    m *= catch_up.m_decay;
                    v *= catch_up.v_decay;
                    weight = adam_step(weight, &mut m, &mut v, gradient as f32, schedule.step_size(step));
                    last = step;
                }
            }
            let settled = schedule.catch_up(last, steps).weight(weight, m, v) as f64;
            let gap = (settled - exact).abs() / farthest;
            assert!(
                gap < bound,
                "gradients of {size}: {settled} for {exact}, gap {gap} of the distance"
            );
        }
    }

    #[test]
    fn reading_out_in_one_go_or_never_leaves_the_record_alone() {
        let schedule = Schedule::new(100, LearningRate::constant(1e-3), OptimizerChoice::Adam, 0.0);
        let mut record = vec![0.5, 0.1, 0.01, 7.0];
        record.extend([1.0, 2.0, 3.0, 4.0, 0.1, 0.2, 0.3, 0.4, 0.01, 0.02, 0.03, 0.04]);
        let mut factor = vec![9.0; 8];
        read_out(&record, &schedule, 50, true, &mut factor);
        assert!(factor[0] < 0.5 && factor[4] < 1.0 && factor[1..4] == [0.0; 3]);
        record[LAST_STEP] = 0.0;
        read_out(&record, &schedule, 50, true, &mut factor);
        assert_eq!(factor, vec![0.0; 8]);
        read_out(&record, &schedule, 50, false, &mut factor);
        assert_eq!(factor[4..], [1.0, 2.0, 3.0, 4.0]);
    }
}

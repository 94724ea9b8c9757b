//! Adam with the dense optimiser's result at the sparse step's cost.
//!
//! The step, in the form of the paper's efficient variant and of Keras (epsilon is not scaled by the bias correction):
//!
//! ```text
//! m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
//! weight -= c[t] m / (sqrt(v) + epsilon),     c[t] = learning_rate[t] sqrt(1 - beta2^t) / (1 - beta1^t)
//! ```
//!
//! With a zero gradient m and v decay geometrically, so the k steps that a row missed have a closed form. With
//! rho = beta1 / sqrt(beta2) and, for the whole training, two tables that the host computes once in f64:
//!
//! ```text
//! tail[s]   = sum over j >= 1 of     rho^j c[s+j]  = rho (c[s+1] + tail[s+1])
//! moment[s] = sum over j >= 1 of j * rho^j c[s+j]  = rho (c[s+1] + tail[s+1] + moment[s+1])
//! ```
//!
//! a row last touched at step t0 is brought to the end of step t0 + k by
//!
//! ```text
//! a       = tail[t0] - rho^k tail[t0+k]
//! j       = moment[t0] - rho^k (moment[t0+k] + k tail[t0+k])
//! phi     = epsilon / (sqrt(v) + epsilon)          how much of the denominator does not decay (first order)
//! weight -= (a + ln(beta2)/2 phi j) m / (sqrt(v) + epsilon);      m *= beta1^k;      v *= beta2^k
//! ```
//!
//! Sources: Kingma and Ba, Adam, arXiv:1412.6980 (section 2, efficient variant); the step as in `keras.optimizers.Adam`;
//! lazy Adam as in `torch.optim.SparseAdam`. The GPU's copy of the same arithmetic is `shaders/common/adam.wgsl`.

use crate::config::OptimizerChoice;
use crate::model::{LAST_STEP, ROW_HEADER};

pub const BETA1: f64 = 0.9;
pub const BETA2: f64 = 0.999;
pub const EPSILON: f32 = 1e-8;
/// Steps of a training at the most: every whole number up to here is an f32.
pub const MAX_STEPS: usize = 1 << 24;

/// Step sizes and decay of a whole training, steps `1..=steps`.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// `[c, tail, moment, 0]` of each step `0..=steps`; `c[0]` is never used.
    table: Vec<[f32; 4]>,
    lazy: bool,
}

/// What brings one row from the step it was last touched at to a later one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CatchUp {
    /// Factor of `m / (sqrt(v) + epsilon)`.
    pub shift: f32,
    /// Factor of `epsilon m / (sqrt(v) + epsilon)^2`.
    pub correction: f32,
    pub m_decay: f32,
    pub v_decay: f32,
}

impl CatchUp {
    const NONE: Self = Self {
        shift: 0.0,
        correction: 0.0,
        m_decay: 1.0,
        v_decay: 1.0,
    };

    /// The weight after the missed steps.
    #[inline]
    pub fn weight(&self, weight: f32, m: f32, v: f32) -> f32 {
        let inverse = 1.0 / (v.sqrt() + EPSILON);
        weight - (self.shift + self.correction * (EPSILON * inverse)) * (m * inverse)
    }
}

impl Schedule {
    /// Tables for `steps` steps at a constant learning rate.
    ///
    /// Panics above [`MAX_STEPS`].
    pub fn new(steps: usize, learning_rate: f64, choice: OptimizerChoice) -> Self {
        assert!(steps <= MAX_STEPS, "Schedule: {steps} steps, at most {MAX_STEPS}");
        let rho = BETA1 / BETA2.sqrt();
        let step_size = |step: usize| {
            let step = step as f64;
            learning_rate * (1.0 - BETA2.powf(step)).sqrt() / (1.0 - BETA1.powf(step))
        };
        let mut table = vec![[0.0; 4]; steps + 1];
        // What lies past the end cancels in every difference; the value of a constant step size keeps the terms small.
        let mut tail = learning_rate * rho / (1.0 - rho);
        let mut moment = learning_rate * rho / (1.0 - rho).powi(2);
        for step in (0..=steps).rev() {
            let next = step_size(step + 1);
            (tail, moment) = (rho * (next + tail), rho * (next + tail + moment));
            let here = if step == 0 { 0.0 } else { step_size(step) };
            table[step] = [here as f32, tail as f32, moment as f32, 0.0];
        }
        Self {
            table,
            lazy: choice == OptimizerChoice::LazyAdam,
        }
    }

    /// Steps that were planned.
    pub fn steps(&self) -> usize {
        self.table.len() - 1
    }

    /// `c[step]`. Panics past the planned steps.
    pub fn step_size(&self, step: u32) -> f32 {
        self.table[step as usize][0]
    }

    /// The rows `[c, tail, moment, 0]`, for upload.
    pub fn table(&self) -> &[[f32; 4]] {
        &self.table
    }

    /// Whether rows outside the batch stand still.
    pub fn is_lazy(&self) -> bool {
        self.lazy
    }

    /// From the end of step `last` to the end of step `now`. Panics if `now` is before `last` or past the planned steps.
    pub fn catch_up(&self, last: u32, now: u32) -> CatchUp {
        assert!(last <= now, "catch_up: a row of step {last} is ahead of step {now}");
        if last == now || self.lazy {
            return CatchUp::NONE;
        }
        let [_, tail_last, moment_last, _] = self.table[last as usize];
        let [_, tail_now, moment_now, _] = self.table[now as usize];
        let missed = (now - last) as f32;
        let power = |log2: f64| (missed * log2 as f32).exp2();
        let rho_power = power((BETA1 / BETA2.sqrt()).log2());
        let moment = moment_last - rho_power * (moment_now + missed * tail_now);
        CatchUp {
            shift: tail_last - rho_power * tail_now,
            correction: HALF_LN_BETA2 * moment,
            m_decay: power(BETA1.log2()),
            v_decay: power(BETA2.log2()),
        }
    }
}

/// `ln(beta2) / 2`.
pub const HALF_LN_BETA2: f32 = -0.000_500_250_17;

/// One Adam step of one number: the new weight; `m` and `v` in place.
#[inline]
pub fn adam_step(weight: f32, m: &mut f32, v: &mut f32, gradient: f32, step_size: f32) -> f32 {
    const REST1: f32 = (1.0 - BETA1) as f32;
    const REST2: f32 = (1.0 - BETA2) as f32;
    *m = BETA1 as f32 * *m + REST1 * gradient;
    *v = BETA2 as f32 * *v + REST2 * (gradient * gradient);
    weight - step_size * (*m / (v.sqrt() + EPSILON))
}

/// Writes the factor row of a record as it stands at the end of step `now`; the record is left alone.
///
/// With `untouched_is_zero` a row that no step has touched reads as zeros instead of its random start.
/// Panics if the lengths do not fit.
pub fn read_out(record: &[f32], schedule: &Schedule, now: u32, untouched_is_zero: bool, factor: &mut [f32]) {
    let dim = factor.len() - ROW_HEADER;
    assert_eq!(
        record.len(),
        ROW_HEADER + 3 * dim,
        "read_out: record and factor differ in dim"
    );
    let last = record[LAST_STEP] as u32;
    factor[..ROW_HEADER].fill(0.0);
    if last == 0 {
        let keep = if untouched_is_zero { 0.0 } else { 1.0 };
        factor[0] = keep * record[0];
        for (weight, start) in factor[ROW_HEADER..].iter_mut().zip(&record[ROW_HEADER..]) {
            *weight = keep * start;
        }
        return;
    }
    let catch_up = schedule.catch_up(last, now);
    factor[0] = catch_up.weight(record[0], record[1], record[2]);
    let (weights, moments) = record[ROW_HEADER..].split_at(dim);
    let (m, v) = moments.split_at(dim);
    for (((out, weight), m), v) in factor[ROW_HEADER..].iter_mut().zip(weights).zip(m).zip(v) {
        *out = catch_up.weight(*weight, *m, *v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rare touches with gradients of many sizes, against the plain loop in f64.
    #[test]
    fn catching_up_equals_stepping_through_every_step() {
        let steps = 1500u32;
        let learning_rate = 1e-2;
        let schedule = Schedule::new(steps as usize, learning_rate, OptimizerChoice::Adam);
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
    fn half_ln_beta2_is_what_it_says() {
        assert!((HALF_LN_BETA2 as f64 - BETA2.ln() / 2.0).abs() < 3e-11);
    }

    #[test]
    fn reading_out_in_one_go_or_never_leaves_the_record_alone() {
        let schedule = Schedule::new(100, 1e-3, OptimizerChoice::Adam);
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

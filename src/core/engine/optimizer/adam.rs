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

use super::RowStep;
use crate::common::block::{self, LANES};
use crate::engine::model::{LAST_STEP, ROW_HEADER};

pub const BETA1: f64 = 0.9;
pub const BETA2: f64 = 0.999;
pub const EPSILON: f32 = 1e-8;

/// `ln(beta2) / 2`.
pub const HALF_LN_BETA2: f32 = -0.000_500_250_17;

/// `beta1 / sqrt(beta2)`.
pub(super) fn rho() -> f64 {
    BETA1 / BETA2.sqrt()
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
    pub const NONE: Self = Self {
        shift: 0.0,
        correction: 0.0,
        m_decay: 1.0,
        v_decay: 1.0,
    };

    /// Whether no step was missed.
    #[inline(always)]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The weight after the missed steps.
    #[inline(always)]
    pub fn weight(&self, weight: f32, m: f32, v: f32) -> f32 {
        let inverse = 1.0 / (v.sqrt() + EPSILON);
        weight - (self.shift + self.correction * (EPSILON * inverse)) * (m * inverse)
    }
}

/// Writes the factor row of a record after the missed steps; the record is left alone.
///
/// Panics if the lengths do not fit.
#[inline(always)]
pub fn settle(record: &[f32], catch_up: &CatchUp, factor: &mut [f32]) {
    let dim = factor.len() - ROW_HEADER;
    factor[1..ROW_HEADER].fill(0.0);
    let (weights, moments) = record[ROW_HEADER..].split_at(dim);
    let (m, v) = moments.split_at(dim);
    let settled = &mut factor[ROW_HEADER..];
    if catch_up.is_none() {
        // A row of the last batch: nothing to divide.
        settled.copy_from_slice(weights);
        factor[0] = record[0];
        return;
    }
    settle_lanes::<LANES>(
        catch_up,
        settled.as_chunks_mut().0,
        weights.as_chunks().0,
        m.as_chunks().0,
        v.as_chunks().0,
    );
    let done = dim - dim % LANES;
    settle_lanes::<4>(
        catch_up,
        settled[done..].as_chunks_mut().0,
        weights[done..].as_chunks().0,
        m[done..].as_chunks().0,
        v[done..].as_chunks().0,
    );
    factor[0] = catch_up.weight(record[0], record[1], record[2]);
}

/// Blocks of a fixed length, so that a block is a few vector instructions and no loop.
#[inline(always)]
fn settle_lanes<const N: usize>(
    catch_up: &CatchUp,
    settled: &mut [[f32; N]],
    weights: &[[f32; N]],
    m: &[[f32; N]],
    v: &[[f32; N]],
) {
    for (((settled, weights), m), v) in settled.iter_mut().zip(weights).zip(m).zip(v) {
        block::one_at_a_time();
        let mut caught_up = [0.0; N];
        for lane in 0..N {
            caught_up[lane] = catch_up.weight(weights[lane], m[lane], v[lane]);
        }
        *settled = caught_up;
    }
}

/// One Adam step of one number: the new weight; `m` and `v` in place.
#[inline(always)]
pub fn adam_step(weight: f32, m: &mut f32, v: &mut f32, gradient: f32, step_size: f32) -> f32 {
    const REST1: f32 = (1.0 - BETA1) as f32;
    const REST2: f32 = (1.0 - BETA2) as f32;
    *m = BETA1 as f32 * *m + REST1 * gradient;
    *v = BETA2 as f32 * *v + REST2 * (gradient * gradient);
    weight - step_size * (*m / (v.sqrt() + EPSILON))
}

/// One step of a record: `settled` is its factor row at the end of the step before, `gradient` the same row of sums.
///
/// Panics if the lengths do not fit.
#[inline(always)]
pub fn step_row(record: &mut [f32], settled: &[f32], gradient: &[f32], catch_up: &CatchUp, row: &RowStep) {
    let dim = settled.len() - ROW_HEADER;
    let (header, rest) = record.split_at_mut(ROW_HEADER);
    let (weights, moments) = rest.split_at_mut(dim);
    let (m, v) = moments.split_at_mut(dim);
    let (bias_m, bias_v) = (&mut (header[1] * catch_up.m_decay), &mut (header[2] * catch_up.v_decay));
    let bias = row.bias_gradient(gradient[0], settled[0]);
    header[0] = adam_step(settled[0], bias_m, bias_v, bias, row.step_size);
    (header[1], header[2], header[LAST_STEP]) = (*bias_m, *bias_v, row.step as f32);

    let (settled, gradient) = (&settled[ROW_HEADER..], &gradient[ROW_HEADER..]);
    step_lanes::<LANES>(
        catch_up,
        row,
        weights.as_chunks_mut().0,
        m.as_chunks_mut().0,
        v.as_chunks_mut().0,
        settled.as_chunks().0,
        gradient.as_chunks().0,
    );
    let done = dim - dim % LANES;
    step_lanes::<4>(
        catch_up,
        row,
        weights[done..].as_chunks_mut().0,
        m[done..].as_chunks_mut().0,
        v[done..].as_chunks_mut().0,
        settled[done..].as_chunks().0,
        gradient[done..].as_chunks().0,
    );
}

#[inline(always)]
fn step_lanes<const N: usize>(
    catch_up: &CatchUp,
    row: &RowStep,
    weights: &mut [[f32; N]],
    m: &mut [[f32; N]],
    v: &mut [[f32; N]],
    settled: &[[f32; N]],
    gradient: &[[f32; N]],
) {
    let states = weights.iter_mut().zip(m).zip(v);
    for (((weights, m), v), (settled, gradient)) in states.zip(settled.iter().zip(gradient)) {
        block::one_at_a_time();
        let (mut new_weights, mut new_m, mut new_v) = ([0.0; N], [0.0; N], [0.0; N]);
        for lane in 0..N {
            new_m[lane] = m[lane] * catch_up.m_decay;
            new_v[lane] = v[lane] * catch_up.v_decay;
            let gradient = row.gradient(gradient[lane], settled[lane]);
            new_weights[lane] = adam_step(
                settled[lane],
                &mut new_m[lane],
                &mut new_v[lane],
                gradient,
                row.step_size,
            );
        }
        (*weights, *m, *v) = (new_weights, new_m, new_v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_ln_beta2_is_what_it_says() {
        assert!((HALF_LN_BETA2 as f64 - BETA2.ln() / 2.0).abs() < 3e-11);
    }
}

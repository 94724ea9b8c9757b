//! Random inputs, plans, and comparisons that say what differs.

use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::OptimizerChoice;
use dotcart::engine::TrainerSetup;
use dotcart::engine::gpu::device::{AdapterKind, Buffer, Gpu, Word};
use dotcart::engine::gpu::teams::Teams;
use dotcart::engine::model::{LAST_STEP, ModelShape, ROW_HEADER};
use dotcart::engine::optimizer::LearningRate;
use dotcart::engine::plan::{PlanChunk, Sample};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers here are around 1. A dot product of 512 terms in another order moves by about 512 half-units in the last place
/// at worst (3e-5), by far less usually; a driver may take 3 units for a square root or an exponential.
pub const ATOL: f32 = 1e-5;
/// Adds up: order of summation, `exp2` of the catch-up (3 + 2 |x| units, |x| up to some tens), `exp`, division.
pub const RTOL: f32 = 3e-5;

/// Widths that every kernel is tested at.
pub const DIMS: [usize; 6] = [8, 16, 32, 64, 100, 128];
/// Sizes around which work is cut; that nothing is done for 0 is one branch of `Gpu::launch`, tested with `pair_logits`.
pub const SIZES: [usize; 4] = [1, 255, 256, 257];

/// The teams of a graphics card and those of a software driver; both run on any adapter.
pub fn both_teams(dim: usize) -> [Teams; 2] {
    [AdapterKind::Discrete, AdapterKind::Software].map(|kind| Teams::new(kind, dim))
}

/// What output buffers hold before a kernel: no test leans on zeroed memory.
pub const GARBAGE: f32 = -12345.0;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Numbers in `[low, high)`.
pub fn uniform(rng: &mut ChaCha8Rng, count: usize, low: f32, high: f32) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(low..high)).collect()
}

/// Factor rows: biases and weights in [-1, 1), the rest of the header zero.
pub fn factor_rows(rng: &mut ChaCha8Rng, rows: usize, dim: usize) -> Vec<f32> {
    let mut factors = uniform(rng, rows * (ROW_HEADER + dim), -1.0, 1.0);
    for row in factors.chunks_exact_mut(ROW_HEADER + dim) {
        row[1..ROW_HEADER].fill(0.0);
    }
    factors
}

/// Records in the midst of a training: state of a plausible size, last touched at steps `0..=last`; one in eight never.
pub fn records(rng: &mut ChaCha8Rng, rows: usize, dim: usize, optimizer: OptimizerChoice, last: u32) -> Vec<f32> {
    let length = setup(0, 0, dim, optimizer).record_len();
    let mut records = vec![0.0; rows * length];
    for record in records.chunks_exact_mut(length) {
        let touched = if rng.random_range(0..8) == 0 {
            0
        } else {
            rng.random_range(1..=last)
        };
        let (header, rest) = record.split_at_mut(ROW_HEADER);
        let (weights, moments) = rest.split_at_mut(dim);
        weights.fill_with(|| rng.random_range(-1.0..1.0));
        header[0] = rng.random_range(-1.0..1.0);
        header[LAST_STEP] = touched as f32;
        if touched == 0 {
            continue;
        }
        if optimizer == OptimizerChoice::Adagrad {
            header[1..LAST_STEP].fill_with(|| rng.random_range(1e-3..1.0));
        }
        if optimizer.has_moments() {
            header[1] = rng.random_range(-0.1..0.1);
            header[2] = rng.random_range(1e-4..1e-2);
            let (m, v) = moments.split_at_mut(dim);
            m.fill_with(|| rng.random_range(-0.1..0.1));
            v.fill_with(|| rng.random_range(1e-4..1e-2));
        }
    }
    records
}

/// A batch of random pairs; `bestseller` puts item 1 in every second sample.
pub fn batch(rng: &mut ChaCha8Rng, samples: usize, users: u32, items: u32, bestseller: bool) -> Vec<Sample> {
    (0..samples)
        .map(|number| Sample {
            user: UserIndex(rng.random_range(0..users)),
            item: ItemIndex(if bestseller && number % 2 == 0 {
                1.min(items - 1)
            } else {
                rng.random_range(0..items)
            }),
            target: rng.random_range(0.0..1.0),
            weight: rng.random_range(0.5..2.0),
            choice: 0.0,
        })
        .collect()
}

/// A chunk whose one step is number `step`.
pub fn chunk(step: u32, batch: &[Sample]) -> PlanChunk {
    let mut chunk = PlanChunk::default();
    chunk.push(step, batch);
    chunk
}

pub fn setup(users: usize, items: usize, dim: usize, optimizer: OptimizerChoice) -> TrainerSetup {
    TrainerSetup {
        shape: ModelShape { users, items, dim },
        choice: None,
        seed: 7,
        steps: 500,
        learning_rate: LearningRate::constant(1e-2),
        optimizer,
        l2: 1e-3,
        clip: 0.0,
        holds_scale: false,
    }
}

pub fn upload<T: Word>(gpu: Gpu, words: &[T]) -> Buffer {
    gpu.upload("input", words.to_vec()).unwrap()
}

pub fn garbage(gpu: Gpu, words: usize) -> Buffer {
    gpu.upload("output", vec![GARBAGE; words]).unwrap()
}

pub fn status(gpu: Gpu) -> Buffer {
    upload(gpu, &[0u32])
}

pub fn read(gpu: Gpu, buffer: &Buffer) -> Vec<f32> {
    gpu.read(&[buffer]).wait_one("a test").unwrap()
}

pub fn read_status(gpu: Gpu, buffer: &Buffer) -> u32 {
    gpu.read(&[buffer]).wait_one::<u32>("a test").unwrap()[0]
}

/// Fails at the first number that is farther from what is expected than [`ATOL`] plus [`RTOL`] of it.
#[track_caller]
pub fn assert_close(what: &str, received: &[f32], expected: &[f32]) {
    assert_close_by(what, received, expected, ATOL, RTOL);
}

#[track_caller]
pub fn assert_close_by(what: &str, received: &[f32], expected: &[f32], atol: f32, rtol: f32) {
    assert_eq!(received.len(), expected.len(), "{what}: lengths");
    for (index, (&received, &expected)) in received.iter().zip(expected).enumerate() {
        let gap = (received - expected).abs();
        // Stated positively, so that NaN fails.
        let is_close = gap <= atol + rtol * expected.abs();
        assert!(
            is_close || received.to_bits() == expected.to_bits(),
            "{what}: at {index} received {received:?}, expected {expected:?}, gap {gap:e}"
        );
    }
}

/// As [`assert_close`] for records of `length` words, whose last step has to be the same.
#[track_caller]
pub fn assert_records_close(what: &str, received: &[f32], expected: &[f32], length: usize, atol: f32, rtol: f32) {
    let split = |records: &[f32]| {
        let mut records = records.to_vec();
        let steps: Vec<u32> = records
            .chunks_exact_mut(length)
            .map(|record| std::mem::take(&mut record[LAST_STEP]) as u32)
            .collect();
        (records, steps)
    };
    let (received, received_steps) = split(received);
    let (expected, expected_steps) = split(expected);
    assert_eq!(received_steps, expected_steps, "{what}: last steps");
    assert_close_by(what, &received, &expected, atol, rtol);
}

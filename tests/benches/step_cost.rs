//! What a training step costs as the user table grows, and what burn's dense path pays for the same step.
//!
//!     cargo bench --bench step_cost --config profile.release.package.burn-flex.opt-level=3
//!
//! (Our own profile optimises burn's cpu backend but little, which would be unfair here.)
//!
//! Dim 64, batch 8,192, 20,000 items, users and items drawn evenly. From 5,000 to 2,000,000 users the rows that a batch
//! touches double (4,030 to 8,175) and the user table outgrows every cache (4 MB to 1.6 GB): wanted is a ratio below
//! [`WANTED_RATIO`]. Dense Adam walks the whole table at every step. Ratios count; times are this machine's.
//! Takes under a minute and 3 GB.

// A bench reports to whoever started it.
#![allow(clippy::print_stdout)]

#[path = "../common/dense_model.rs"]
mod dense_model;

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use dense_model::DenseModel;
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::OptimizerChoice;
use dotcart::engine::cpu::CpuTrainer;
use dotcart::engine::model::ModelShape;
use dotcart::engine::optimizer::LearningRate;
use dotcart::engine::plan::{PlanChunk, Sample};
use dotcart::engine::{Trainer, TrainerSetup};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;

const ITEMS: usize = 20_000;
const DIM: usize = 64;
const BATCH: usize = 8_192;
const FEW_USERS: usize = 5_000;
const MANY_USERS: usize = 2_000_000;
const WANTED_RATIO: f64 = 4.0;

fn main() {
    println!("training step, dim {DIM}, batch {BATCH}, {ITEMS} items; median of the timed steps\n");
    println!("{:<28} {:>10} {:>10} {:>14}", "path", "users", "ms/step", "samples/s");
    let few = report("cpu engine", FEW_USERS, engine_step_seconds);
    let many = report("cpu engine", MANY_USERS, engine_step_seconds);
    println!(
        "{:<28} {:>10} {:>10.1}   wanted < {WANTED_RATIO}\n",
        "",
        "ratio",
        many / few
    );
    let few = report("burn autodiff + dense adam", FEW_USERS, burn_step_seconds);
    let many = report("burn autodiff + dense adam", MANY_USERS, burn_step_seconds);
    println!("{:<28} {:>10} {:>10.1}", "", "ratio", many / few);
}

/// Times one path at one size, prints its line and returns the seconds of a step.
fn report(path: &str, users: usize, step_seconds: fn(usize) -> f64) -> f64 {
    let seconds = step_seconds(users);
    println!(
        "{path:<28} {users:>10} {:>10.2} {:>14.0}",
        seconds * 1e3,
        BATCH as f64 / seconds
    );
    seconds
}

/// The cpu engine on all cores: planned steps, as the planner's thread would hand them over.
fn engine_step_seconds(users: usize) -> f64 {
    const WARM_UP: usize = 20;
    const TIMED: usize = 80;
    let setup = TrainerSetup {
        shape: ModelShape {
            users,
            items: ITEMS,
            dim: DIM,
        },
        choice: None,
        seed: 1,
        steps: WARM_UP + TIMED,
        learning_rate: LearningRate::constant(1e-3),
        optimizer: OptimizerChoice::Adam,
        l2: 0.0,
        clip: 0.0,
        holds_scale: false,
    };
    let mut trainer = CpuTrainer::new(&setup, 0);
    let mut batches = Batches::new(users);
    median_seconds(WARM_UP, TIMED, || {
        let mut chunk = PlanChunk::default();
        chunk.push(trainer.step() + 1, &batches.next());
        let start = Instant::now();
        trainer.train(chunk).unwrap();
        trainer.finish().unwrap();
        start.elapsed().as_secs_f64()
    })
}

/// burn on its flex (CPU) backend: forward, backward and Adam over whole tables.
fn burn_step_seconds(users: usize) -> f64 {
    let device = Device::flex().autodiff();
    let shape = ModelShape {
        users,
        items: ITEMS,
        dim: DIM,
    };
    let embedding = |side| Tensor::random([shape.rows(side), DIM], Distribution::Uniform(-0.05, 0.05), &device);
    let mut model = Some(DenseModel::new(&shape, embedding, &device));
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let mut batches = Batches::new(users);
    median_seconds(1, 5, || {
        let batch = batches.next();
        let indices = |of: fn(&Sample) -> u32| {
            let numbers: Vec<_> = batch.iter().map(|sample| of(sample) as i32).collect();
            Tensor::<1, Int>::from_data(TensorData::new(numbers, [BATCH]), &device)
        };
        let (users, items) = (indices(|sample| sample.user.0), indices(|sample| sample.item.0));
        let targets: Vec<_> = batch.iter().map(|sample| sample.target).collect();
        let targets = Tensor::from_data(TensorData::new(targets, [BATCH]), &device);
        let before = model.take().unwrap();
        let start = Instant::now();
        let gradients = GradientsParams::from_grads(before.losses(users, items, targets).mean().backward(), &before);
        model = Some(optimizer.step(1e-3, before, gradients));
        device.sync().unwrap();
        start.elapsed().as_secs_f64()
    })
}

/// The median of the timed calls; each returns its own seconds, so that what it prepares is not counted.
fn median_seconds(warm_up: usize, timed: usize, mut step: impl FnMut() -> f64) -> f64 {
    for _ in 0..warm_up {
        step();
    }
    let mut seconds: Vec<_> = (0..timed).map(|_| step()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[timed / 2]
}

/// Batches without end.
struct Batches {
    random: ChaCha8Rng,
    users: u32,
}

impl Batches {
    fn new(users: usize) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(1),
            users: users as u32,
        }
    }

    fn next(&mut self) -> Vec<Sample> {
        let sample = |_| Sample {
            user: UserIndex(self.random.random_range(0..self.users)),
            item: ItemIndex(self.random.random_range(0..ITEMS as u32)),
            target: self.random.random(),
            weight: 1.0,
            choice: 0.0,
        };
        (0..BATCH).map(sample).collect()
    }
}

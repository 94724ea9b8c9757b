//! Agreement: the gpu engine held against the cpu engine, which is its specification, and against itself.
//!
//! Trainings of a few steps over batches of awkward sizes compare every record, the head and every loss, so each kernel of a step
//! is held against its twin through the engine that runs it; rankings of integer weights, whose sums are exact in any order,
//! have to be the same item by item.

use crate::common::interaction::{ItemIndex, UserIndex};
use crate::common::random::{Purpose, stream};
use crate::config::{ChoiceLoss, OptimizerChoice};
use crate::engine::choice::ChoiceSetup;
use crate::engine::cpu::CpuScorer;
use crate::engine::cpu::CpuTrainer;
use crate::engine::gpu::device::Gpu;
use crate::engine::gpu::scorer::GpuScorer;
use crate::engine::gpu::trainer::GpuTrainer;
use crate::engine::model::{Head, Model, ModelShape, Question, ROW_HEADER, Side};
use crate::engine::negatives::Negatives;
use crate::engine::optimizer::LearningRate;
use crate::engine::plan::{ChoiceL2, ChoicePlan, PlanChunk, Sample};
use crate::engine::{EngineError, Query, Scorer, Trainer, TrainerSetup};
use rand::RngExt;

/// What was compared, and what differs if anything does.
pub type Compared = Result<Agreement, String>;

/// Results that agree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Trainings, or rankings.
    pub cases: usize,
    /// The largest distance of two numbers, as a share of what is allowed.
    pub largest_gap: f64,
}

/// Embeddings are this long: less than a row of threads, no power of two, and the longest.
const DIMS: [usize; 5] = [4, 20, 64, 100, 512];
/// Samples of the steps of a training: around what a workgroup takes, and what is more than one.
const BATCHES: [usize; 8] = [1, 31, 33, 255, 256, 257, 64, 1025];
const LOSSES: [ChoiceLoss; 3] = [ChoiceLoss::Softmax, ChoiceLoss::Bpr, ChoiceLoss::Bce];
/// Rows of a page where tables are cut: no multiple of anything.
const PAGE_ROWS: usize = 61;
/// Steps and samples of the training that is taken twice.
const TWICE: [usize; 2] = [40, 1000];

/// Adam's step is a ratio, so a gradient of almost nothing may turn a step of 1e-2 by a good part of its size: this is a
/// hundredth of one.
const ATOL: f64 = 1e-4;
const RTOL: f64 = 1e-3;

fn setup(dim: usize, optimizer: OptimizerChoice, loss: Option<ChoiceLoss>) -> TrainerSetup {
    TrainerSetup {
        shape: ModelShape {
            users: 300,
            items: 90,
            dim,
        },
        choice: loss.map(|loss| ChoiceSetup { dim, loss, share: 0.4 }),
        seed: 7,
        steps: TWICE[0],
        learning_rate: LearningRate::constant(1e-2),
        optimizer,
        l2: 1e-3,
        clip: 0.0,
        holds_scale: false,
    }
}

/// Plans of steps over batches of so many samples each; every second sample is of item 1, whose row is summed in pieces.
fn chunks(setup: &TrainerSetup, batches: &[usize]) -> Vec<PlanChunk> {
    let mut rng = stream(setup.seed, Purpose::Synthetic, batches.len() as u32);
    let (users, items) = (setup.shape.users as u32, setup.shape.items as u32);
    let l2 = ChoiceL2::even(0.02);
    let steps = (1u32..).zip(batches).map(|(step, &samples)| {
        let batch: Vec<Sample> = (0..samples)
            .map(|number| Sample {
                user: UserIndex(rng.random_range(0..users)),
                item: ItemIndex(if number % 2 == 0 { 1 } else { rng.random_range(0..items) }),
                target: rng.random(),
                weight: rng.random_range(0.5..2.0),
                choice: rng.random(),
            })
            .collect();
        let draws = setup
            .choice
            .map(|choice| Negatives::new(choice.loss, 70, 0.5, &vec![3; items as usize], setup.seed).draw(step));
        let plan = draws.as_ref().map(|draws| ChoicePlan { draws, l2: &l2 });
        let mut chunk = PlanChunk::default();
        chunk.push_with(step, &batch, None, plan);
        chunk
    });
    steps.collect()
}

/// What a training comes to: each table and the head, then the losses of all steps.
fn outcome(trainer: &mut dyn Trainer, chunks: &[PlanChunk]) -> Result<Vec<(String, Vec<f32>)>, EngineError> {
    let mut statistics = Vec::new();
    for chunk in chunks {
        statistics.extend(trainer.train(chunk.clone())?);
    }
    statistics.extend(trainer.finish()?);
    let mut outcome = Vec::new();
    for question in Question::BOTH {
        let Some(shape) = trainer.shape(question) else { continue };
        for side in Side::BOTH {
            let mut records = vec![0.0; shape.rows(side) * shape.record_len(trainer.schedule().optimizer())];
            trainer.read_records(question, side, 0, &mut records)?;
            outcome.push((format!("{} records of {question:?}", side.name()), records));
        }
    }
    outcome.push(("the head".to_string(), trainer.head()?.words().to_vec()));
    outcome.push(("losses".to_string(), statistics.iter().map(|step| step.loss).collect()));
    let of_choices = statistics.iter().filter_map(|step| step.choice_loss);
    outcome.push(("losses of choices".to_string(), of_choices.collect()));
    Ok(outcome)
}

/// Trains at every width, by every optimiser and every loss of choices, in pages and not, on both engines.
pub fn trainings(gpu: Gpu) -> Compared {
    let optimizers = DIMS
        .into_iter()
        .flat_map(|dim| OptimizerChoice::all().map(move |optimizer| (dim, optimizer, None)));
    let losses = [20, 64]
        .into_iter()
        .flat_map(|dim| LOSSES.map(|loss| (dim, OptimizerChoice::Adam, Some(loss))));
    let mut all = Agreement::default();
    for (dim, optimizer, loss) in optimizers.chain(losses) {
        let page_rows = all.cases.is_multiple_of(2).then_some(PAGE_ROWS);
        let what = format!("dim {dim}, {}, {loss:?}", optimizer.name());
        let failed = |error: EngineError| format!("{what}: {error}");
        let setup = setup(dim, optimizer, loss);
        let chunks = chunks(&setup, &BATCHES);
        let mut on_gpu = GpuTrainer::new(gpu, &setup, page_rows).map_err(failed)?;
        let received = outcome(&mut on_gpu, &chunks).map_err(failed)?;
        let expected = outcome(&mut CpuTrainer::new(&setup, 0), &chunks).map_err(failed)?;
        for ((part, received), (_, expected)) in received.iter().zip(&expected) {
            let gap = compare(&format!("{what}: {part}"), received, expected)?;
            all.largest_gap = all.largest_gap.max(gap);
        }
        all.cases += 1;
    }
    Ok(all)
}

/// Trains twice on the device, with choices, and once on the cpu: the same bytes, and the losses of the cpu.
pub fn twice(gpu: Gpu) -> Compared {
    let setup = setup(64, OptimizerChoice::Adam, Some(ChoiceLoss::Softmax));
    let chunks = chunks(&setup, &[TWICE[1]; TWICE[0]]);
    let run = |page_rows| -> Result<Vec<(String, Vec<f32>)>, EngineError> {
        outcome(&mut GpuTrainer::new(gpu, &setup, page_rows)?, &chunks)
    };
    let failed = |error: EngineError| error.to_string();
    let first = run(None).map_err(failed)?;
    for (what, page_rows) in [("two runs differ", None), ("pages change a result", Some(PAGE_ROWS))] {
        for ((part, one), (_, other)) in first.iter().zip(&run(page_rows).map_err(failed)?) {
            let differ = one
                .iter()
                .zip(other)
                .filter(|(one, other)| one.to_bits() != other.to_bits())
                .count();
            if differ > 0 {
                return Err(format!("{what} in {differ} of {} words of {part}", one.len()));
            }
        }
    }
    let expected = outcome(&mut CpuTrainer::new(&setup, 0), &chunks).map_err(failed)?;
    let mut all = Agreement {
        cases: 3,
        largest_gap: 0.0,
    };
    let are_losses = |part: &str| part.starts_with("losses");
    for ((part, received), (_, expected)) in first.iter().zip(&expected).filter(|((part, _), _)| are_losses(part)) {
        all.largest_gap = all.largest_gap.max(compare(part, received, expected)?);
    }
    Ok(all)
}

/// Dim, items and users of rankings: around tiles and blocks, one of a kind, and none at all.
const RANKINGS: [[usize; 3]; 7] = [
    [8, 1, 1],
    [16, 255, 7],
    [32, 256, 16],
    [64, 257, 17],
    [100, 600, 40],
    [512, 300, 2],
    [64, 20_000, 33],
];
const KS: [usize; 4] = [1, 10, 100, 1024];

/// Ranks for many users and for one, with and without seen items, at several k, on both engines.
pub fn rankings(gpu: Gpu) -> Compared {
    let mut all = Agreement::default();
    for [dim, items, users] in RANKINGS {
        let mut rng = stream(3, Purpose::Synthetic, items as u32);
        let mut table = |rows: usize| {
            let mut factors = vec![0.0; rows * (ROW_HEADER + dim)];
            for row in factors.chunks_exact_mut(ROW_HEADER + dim) {
                row[0] = rng.random_range(-2..=2) as f32;
                row[ROW_HEADER..].fill_with(|| rng.random_range(-1..=1) as f32);
            }
            factors
        };
        let model = Model {
            shape: ModelShape { users, items, dim },
            users: table(users),
            items: table(items),
            head: Head { scale: 2.0, bias: -1.0 },
            choices: None,
        };
        let seen: Vec<Vec<ItemIndex>> = (0..users)
            .map(|user| {
                (0..items as u32)
                    .filter(|item| user % 3 == 1 && item % 5 != 2)
                    .map(ItemIndex)
                    .collect()
            })
            .collect();
        let queries: Vec<Query> = (0..)
            .map(UserIndex)
            .zip(&seen)
            .map(|(user, seen)| Query {
                user: model.user(user),
                seen,
            })
            .collect();
        let failed = |error: EngineError| format!("dim {dim}, {items} items, {users} users: {error}");
        let mut on_gpu = GpuScorer::new(gpu, &model).map_err(failed)?;
        let mut on_cpu = CpuScorer::new(&model, 0);
        for k in KS {
            if on_gpu.top_k(&queries, k).map_err(failed)? != on_cpu.top_k(&queries, k).map_err(failed)? {
                return Err(format!(
                    "dim {dim}, {items} items, {users} users, k {k}: other rankings than the cpu's"
                ));
            }
            all.cases += 1;
        }
    }
    Ok(all)
}

/// The largest distance of `received` from `expected` as a share of what is allowed; the first number beyond it is an error.
fn compare(what: &str, received: &[f32], expected: &[f32]) -> Result<f64, String> {
    if received.len() != expected.len() {
        return Err(format!("{what}: {} numbers, wanted {}", received.len(), expected.len()));
    }
    let mut largest = 0.0f64;
    for (at, (&received, &expected)) in received.iter().zip(expected).enumerate() {
        let allowed = ATOL + RTOL * f64::from(expected).abs();
        let gap = (f64::from(received) - f64::from(expected)).abs() / allowed;
        // Stated positively, so that NaN fails.
        match gap <= 1.0 || received.to_bits() == expected.to_bits() {
            true => largest = largest.max(if gap.is_nan() { 0.0 } else { gap }),
            false => return Err(format!("{what}: number {at} is {received:?}, the cpu has {expected:?}")),
        }
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_agrees_and_nothing_else() {
        let gap = compare("x", &[1.0, 1.00055, f32::NAN], &[1.0, 1.0, f32::NAN]).unwrap();
        assert!((gap - 0.5).abs() < 0.01, "{gap}");
        assert_eq!(
            compare("x", &[0.0, 1.002], &[0.0, 1.0]),
            Err("x: number 1 is 1.002, the cpu has 1.0".to_string())
        );
        assert!(compare("x", &[f32::NAN], &[1.0]).is_err());
        assert!(compare("x", &[1.0], &[1.0, 1.0]).is_err());
    }
}

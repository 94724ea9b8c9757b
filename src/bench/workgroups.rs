//! Workgroups of other sizes than an adapter's usual one: the same bytes, and for how long the kernels over rows are busy.

use crate::common::interaction::{ItemIndex, UserIndex};
use crate::common::random::{Purpose, stream};
use crate::config::OptimizerChoice;
use crate::engine::DeviceError;
use crate::engine::gpu::device::Gpu;
use crate::engine::gpu::gather_rows::{self, GatherRows};
use crate::engine::gpu::table::Table;
use crate::engine::gpu::teams::Teams;
use crate::engine::gpu::update_rows::{self, UpdateRows};
use crate::engine::model::{LAST_STEP, ROW_HEADER, Side, record_len};
use crate::engine::optimizer::{LearningRate, Schedule};
use crate::engine::plan::{PlanChunk, Sample};
use rand::RngExt;
use serde::Serialize;

/// A workgroup of so many threads, and what the two stages took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tried {
    pub threads: usize,
    /// Whether trainings on this adapter use it.
    pub is_usual: bool,
    pub gather_milliseconds: f64,
    pub update_milliseconds: f64,
}

/// Up to what every adapter has.
const SIZES: [usize; 5] = [16, 32, 64, 128, 256];
const DIM: usize = 64;
const OPTIMIZER: OptimizerChoice = OptimizerChoice::Adam;
/// The step that is taken, in the midst of a training.
const STEP: u32 = 300;
const LEARNING_RATE: f64 = 1e-2;
/// A kernel is measured so often, and its shortest time counts.
const ROUNDS: usize = 5;

/// Takes a step of `samples` samples over a table of `rows` products at each size.
///
/// Errors if the device fails, or if a size changes a byte of what is gathered or of the updated records.
pub fn try_sizes(gpu: Gpu, rows: usize, samples: usize) -> Result<Vec<Tried>, String> {
    let usual = Teams::new(gpu.adapter().kind, DIM);
    let step = Step::new(gpu, rows, samples).map_err(|error| error.to_string())?;
    let (_, expected) = step.take(usual).map_err(|error| error.to_string())?;
    let sizes = SIZES.into_iter().filter(|size| size.is_multiple_of(usual.lanes()));
    sizes
        .map(|threads| {
            let failed = |error: DeviceError| format!("workgroups of {threads}: {error}");
            let (seconds, bytes) = step.take(usual.in_workgroups_of(threads)).map_err(failed)?;
            if bytes != expected {
                return Err(format!(
                    "workgroups of {threads} have other results than those of {}",
                    usual.threads()
                ));
            }
            Ok(Tried {
                threads,
                is_usual: threads == usual.threads(),
                gather_milliseconds: 1e3 * seconds[0],
                update_milliseconds: 1e3 * seconds[1],
            })
        })
        .collect()
}

/// A step over products that are drawn alike, and a table in the midst of a training.
struct Step {
    gpu: Gpu,
    chunk: PlanChunk,
    schedule: Schedule,
    records: Vec<f32>,
    table: Table,
}

impl Step {
    fn new(gpu: Gpu, rows: usize, samples: usize) -> Result<Self, DeviceError> {
        let mut rng = stream(1, Purpose::Synthetic, rows as u32);
        let batch: Vec<Sample> = (0..samples as u32)
            .map(|user| Sample {
                user: UserIndex(user),
                item: ItemIndex(rng.random_range(0..rows as u32)),
                target: 0.5,
                weight: 1.0,
                choice: 0.0,
            })
            .collect();
        let mut chunk = PlanChunk::default();
        chunk.push(STEP, &batch);
        let length = record_len(OPTIMIZER, DIM);
        let mut records = vec![0.0; rows * length];
        for record in records.chunks_exact_mut(length) {
            record.fill_with(|| rng.random_range(1e-3..1e-1));
            record[LAST_STEP] = rng.random_range(1..STEP) as f32;
        }
        Ok(Self {
            gpu,
            chunk,
            schedule: Schedule::new(2 * STEP as usize, LearningRate::constant(LEARNING_RATE), OPTIMIZER, 0.0),
            table: Table::new(gpu, "table", rows, length, None)?,
            records,
        })
    }

    /// Seconds of gathering and of updating, and digests of what they leave.
    fn take(&self, teams: Teams) -> Result<([f64; 2], [u64; 2]), DeviceError> {
        let gpu = self.gpu;
        let [other, layout] = Side::BOTH.map(|side| self.chunk.steps[0].side(side));
        let factors = |rows: usize| vec![0.25f32; rows * (ROW_HEADER + DIM)];
        let plan = gpu.upload("plan", self.chunk.words.clone())?;
        let schedule = gpu.upload("schedule", self.schedule.table().as_flattened().to_vec())?;
        let compact = gpu.upload("compact rows", factors(layout.row_count()))?;
        let users = gpu.upload("compact rows", factors(other.row_count()))?;
        let gradient = gpu.upload("gradient", vec![0.125f32; layout.slots.len()])?;
        let pieces = gpu.upload("piece sums", factors(layout.piece_count()))?;
        let extra = gpu.upload("extra", Vec::<f32>::new())?;
        let status = gpu.upload("status", vec![0u32])?;
        self.table.write(0, &self.records);

        let gather = GatherRows::new(teams, OPTIMIZER);
        let gather_seconds = self.time(|| {
            for page in self.table.touched(self.chunk.slices(layout).rows) {
                let params = gather_rows::Params::of(layout, &page, STEP - 1, false);
                gather.launch(gpu, &plan, &schedule, page.records, &compact, &status, &params);
            }
        })?;
        let update = UpdateRows::new(teams, OPTIMIZER);
        let how = update_rows::Update {
            schedule: &self.schedule,
            step: STEP,
            l2: 0.0,
            learns_bias: true,
            extra_rows: 0,
            extra_pieces: 0,
        };
        let update_seconds = self.time(|| {
            for page in self.table.touched(self.chunk.slices(layout).rows) {
                let params = update_rows::Params::of(layout, other, &page, &how);
                update.launch(
                    gpu,
                    &plan,
                    &gradient,
                    &users,
                    &compact,
                    &pieces,
                    &extra,
                    page.records,
                    &status,
                    &params,
                );
            }
        })?;
        let mut records = vec![0.0; self.records.len()];
        self.table.read(0, &mut records)?;
        let gathered = gpu.read(&[&compact]).wait_one::<f32>("gathering rows")?;
        let status = gpu.read(&[&status]).wait_one::<u32>("taking a step")?;
        if status != [0] {
            return Err(DeviceError::Failed {
                doing: "taking a step",
                message: format!("the kernels' status is {}", status[0]),
            });
        }
        let digest = |words: &[f32]| xxhash_rust::xxh3::xxh3_64(bytemuck::cast_slice(words));
        Ok(([gather_seconds, update_seconds], [digest(&gathered), digest(&records)]))
    }

    /// The shortest of some rounds; the first, which compiles the kernel, is not measured.
    fn time(&self, queue: impl Fn()) -> Result<f64, DeviceError> {
        queue();
        let mut shortest = f64::INFINITY;
        for _ in 0..ROUNDS {
            let seconds = self.gpu.time(|| {
                queue();
                Ok::<(), DeviceError>(())
            })?;
            shortest = shortest.min(seconds);
        }
        Ok(shortest)
    }
}

//! The kernels over rows, against their twins: `gather_rows` and `update_rows`, on pages of many sizes.

use crate::gpu::gpu;
use crate::support::{
    DIMS, GARBAGE, SIZES, assert_close, assert_records_close, batch, chunk, factor_rows, garbage, read, read_status,
    records, rng, setup, status, uniform, upload,
};
use dotcart::device::{Buffer, Gpu};
use dotcart::engine::cpu;
use dotcart::engine::gpu::gather_rows::{self, GatherRows};
use dotcart::engine::gpu::table::Table;
use dotcart::engine::gpu::update_rows::{self, UpdateRows};
use dotcart::engine::gpu::{STATUS_BAD_ROW, STATUS_BAD_SAMPLE, STATUS_BAD_STEP, teams};
use dotcart::model::{ROW_HEADER, Side};
use dotcart::optimizer::Schedule;
use dotcart::plan::PlanChunk;

const STEP: u32 = 300;

/// Numbers of a step are around 1 and Adam's step is 0.01 of a ratio: as close as its inputs.
const ATOL: f32 = 2e-5;
const RTOL: f32 = 1e-4;

/// A step that touches items of a table of `rows` records.
struct Scene {
    dim: usize,
    rows: usize,
    chunk: PlanChunk,
    schedule: Schedule,
    records: Vec<f32>,
}

impl Scene {
    fn new(dim: usize, rows: usize, samples: usize, bestseller: bool) -> Self {
        let mut rng = rng((dim * 10_000 + samples) as u64);
        Self {
            dim,
            rows,
            chunk: chunk(STEP, &batch(&mut rng, samples, 50, rows as u32, bestseller)),
            schedule: setup(1, 1, dim).schedule(),
            records: records(&mut rng, rows, dim, STEP - 1),
        }
    }

    /// A step that touches each of `rows` rows, on average sixteen times.
    fn touching_all(dim: usize, rows: usize) -> Self {
        let scene = Self::new(dim, rows, 16 * rows, false);
        assert_eq!(
            scene.chunk.steps[0].side(Side::Item).row_count(),
            rows,
            "another seed, please"
        );
        scene
    }

    fn record_len(&self) -> usize {
        ROW_HEADER + 3 * self.dim
    }

    fn table(&self, gpu: Gpu, page_rows: Option<usize>) -> Table {
        let table = Table::new(gpu, "table", self.rows, self.record_len(), page_rows).unwrap();
        table.write(0, &self.records);
        table
    }

    fn schedule_table(&self, gpu: Gpu) -> Buffer {
        upload(gpu, self.schedule.table().as_flattened())
    }
}

fn gather(scene: &Scene, gpu: Gpu, page_rows: Option<usize>, untouched_is_zero: bool) -> (Vec<f32>, u32) {
    let layout = scene.chunk.steps[0].side(Side::Item);
    let plan = upload(gpu, &scene.chunk.words);
    let (compact, status) = (garbage(gpu, layout.row_count() * (ROW_HEADER + scene.dim)), status(gpu));
    let (table, schedule) = (scene.table(gpu, page_rows), scene.schedule_table(gpu));
    let kernel = GatherRows::new(scene.dim);
    for page in table.touched(&scene.chunk.words[layout.rows.clone()]) {
        kernel.launch(
            gpu,
            &plan,
            &schedule,
            page.records,
            &compact,
            &status,
            &gather_rows::Params {
                rows_at: layout.rows.start as u32,
                first_slot: page.slots.start as u32,
                slots: page.slots.len() as u32,
                first_row: page.rows.start as u32,
                page_rows: page.rows.len() as u32,
                now: STEP - 1,
                lazy: 0,
                untouched_is_zero: u32::from(untouched_is_zero),
            },
        );
    }
    (read(gpu, &compact), read_status(gpu, &status))
}

#[track_caller]
fn check_gather(scene: &Scene, gpu: Gpu, page_rows: Option<usize>, untouched_is_zero: bool) {
    let rows = scene.chunk.side(&scene.chunk.steps[0], Side::Item).rows;
    let mut expected = vec![0.0; rows.len() * (ROW_HEADER + scene.dim)];
    cpu::gather_rows::gather_rows(
        rows,
        &scene.records,
        0,
        &scene.schedule,
        STEP - 1,
        untouched_is_zero,
        scene.dim,
        &mut expected,
    );
    let (received, status) = gather(scene, gpu, page_rows, untouched_is_zero);
    let what = format!("dim {}, {} rows, pages of {page_rows:?}", scene.dim, rows.len());
    assert_close(&what, &received, &expected);
    assert_eq!(status, 0);
}

#[test]
fn gather_rows_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    let crossed = DIMS.into_iter().flat_map(|dim| SIZES.map(|rows| (dim, rows)));
    for (dim, rows) in crossed.chain([(4, 3), (512, 40)]) {
        let scene = Scene::touching_all(dim, rows);
        for page_rows in [None, Some(1), Some(7), Some(100)] {
            check_gather(&scene, gpu, page_rows, page_rows.is_none());
        }
    }
}

#[test]
fn gather_rows_goes_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    // The narrowest rows of which a workgroup takes only eight; all slots are of the same few rows.
    let dim = 36;
    let slots = 65_540 * teams(dim) + 1;
    let scene = Scene::new(dim, 10, 10, false);
    let rows: Vec<u32> = (0..slots).map(|slot| (slot * 10 / slots) as u32).collect();
    let (compact, status) = (garbage(gpu, slots * (ROW_HEADER + dim)), status(gpu));
    let table = scene.table(gpu, None);
    let page = table.touched(&rows).next().unwrap();
    GatherRows::new(dim).launch(
        gpu,
        &upload(gpu, &rows),
        &scene.schedule_table(gpu),
        page.records,
        &compact,
        &status,
        &gather_rows::Params {
            rows_at: 0,
            first_slot: 0,
            slots: slots as u32,
            first_row: 0,
            page_rows: 10,
            now: STEP - 1,
            lazy: 0,
            untouched_is_zero: 0,
        },
    );
    let length = ROW_HEADER + dim;
    let received = read(gpu, &compact);
    let firsts: Vec<u32> = (0..10).collect();
    let mut expected = vec![0.0; 10 * length];
    cpu::gather_rows::gather_rows(
        &firsts,
        &scene.records,
        0,
        &scene.schedule,
        STEP - 1,
        false,
        dim,
        &mut expected,
    );
    for (slot, factor) in received.chunks_exact(length).enumerate() {
        let row = &expected[rows[slot] as usize * length..][..length];
        assert_close("a slot", factor, row);
    }
    assert_eq!(read_status(gpu, &status), 0);
}

#[test]
fn a_row_or_a_step_that_cannot_be_is_reported() {
    let Some(gpu) = gpu() else { return };
    let mut scene = Scene::new(8, 30, 60, false);
    let layout = scene.chunk.steps[0].side(Side::Item).clone();
    let last_slot = layout.row_count() - 1;
    let row = scene.chunk.words[layout.rows.start + last_slot];
    scene.chunk.words[layout.rows.start + last_slot] = 30;
    for page_rows in [None, Some(4)] {
        let (compact, status) = gather(&scene, gpu, page_rows, false);
        assert_eq!(status, STATUS_BAD_ROW);
        assert_eq!(compact[last_slot * (ROW_HEADER + 8)], GARBAGE);
        let (_, status) = update(&scene, gpu, page_rows, &[0.1; 60], &other_rows(&scene));
        assert_eq!(status, STATUS_BAD_ROW);
    }
    scene.chunk.words[layout.rows.start + last_slot] = row;
    let at = row as usize * scene.record_len() + dotcart::model::LAST_STEP;
    scene.records[at] = STEP as f32;
    assert_eq!(gather(&scene, gpu, None, false).1, STATUS_BAD_STEP);
    let (_, status) = update(&scene, gpu, None, &[0.1; 60], &other_rows(&scene));
    assert_eq!(status, STATUS_BAD_STEP);

    scene.records[at] = 0.0;
    scene.chunk.words[layout.starts.end - 1] = 61;
    let (_, status) = update(&scene, gpu, None, &[0.1; 60], &other_rows(&scene));
    assert_eq!(status, STATUS_BAD_SAMPLE);
}

const L2: f32 = 0.01;

fn other_rows(scene: &Scene) -> Vec<f32> {
    let rows = scene.chunk.steps[0].side(Side::User).row_count();
    factor_rows(&mut rng(1), rows, scene.dim)
}

fn gradients<'a>(scene: &'a Scene, gradient: &'a [f32], other: &'a [f32]) -> cpu::update_rows::Gradients<'a> {
    cpu::update_rows::Gradients {
        gradient,
        first_sample: 0,
        other_slots: scene.chunk.side(&scene.chunk.steps[0], Side::User).slots,
        other,
        l2: L2,
    }
}

fn piece_sums(scene: &Scene, gradient: &[f32], other: &[f32]) -> Vec<f32> {
    let step = &scene.chunk.steps[0];
    let plan = scene.chunk.side(step, Side::Item);
    let mut sums = vec![0.0; step.side(Side::Item).piece_count() * (ROW_HEADER + scene.dim)];
    let gradients = gradients(scene, gradient, other);
    let pieces = plan.pieces.as_chunks::<2>().0;
    for (&[begin, end], sum) in pieces.iter().zip(sums.chunks_exact_mut(ROW_HEADER + scene.dim)) {
        cpu::sum_pieces::sum_piece(&plan.samples[begin as usize..end as usize], &gradients, sum);
    }
    sums
}

/// The item side's records after the step, and the status.
fn update(scene: &Scene, gpu: Gpu, page_rows: Option<usize>, gradient: &[f32], other: &[f32]) -> (Vec<f32>, u32) {
    let step = &scene.chunk.steps[0];
    let (layout, users) = (step.side(Side::Item), step.side(Side::User));
    let (table, schedule, status) = (scene.table(gpu, page_rows), scene.schedule_table(gpu), status(gpu));
    let kernel = UpdateRows::new(scene.dim);
    let plan = upload(gpu, &scene.chunk.words);
    let (gradient_buffer, other_buffer) = (upload(gpu, gradient), upload(gpu, other));
    // Of a spoiled plan no sums can be made; the kernel has to find out before it wants them.
    let in_order = scene.chunk.words[layout.starts.end - 1] as usize == step.batch();
    let sums = if in_order {
        piece_sums(scene, gradient, other)
    } else {
        Vec::new()
    };
    let sums = upload(gpu, &sums);
    for page in table.touched(&scene.chunk.words[layout.rows.clone()]) {
        kernel.launch(
            gpu,
            &plan,
            &schedule,
            &gradient_buffer,
            &other_buffer,
            &sums,
            page.records,
            &status,
            &update_rows::Params {
                rows_at: layout.rows.start as u32,
                starts_at: layout.starts.start as u32,
                first_piece_at: layout.first_piece.start as u32,
                samples_at: layout.samples.start as u32,
                other_slots_at: users.slots.start as u32,
                first_slot: page.slots.start as u32,
                slots: page.slots.len() as u32,
                samples: step.batch() as u32,
                other_rows: users.row_count() as u32,
                pieces: layout.piece_count() as u32,
                first_row: page.rows.start as u32,
                page_rows: page.rows.len() as u32,
                step: STEP,
                lazy: 0,
                l2_share: 2.0 * L2 / step.batch() as f32,
            },
        );
    }
    let mut records = vec![GARBAGE; scene.records.len()];
    table.read(0, &mut records).unwrap();
    (records, read_status(gpu, &status))
}

#[track_caller]
fn check_update(scene: &Scene, gpu: Gpu, pages: &[Option<usize>]) {
    let step = &scene.chunk.steps[0];
    let samples = step.batch();
    let gradient = uniform(&mut rng(2), samples, -1.0, 1.0);
    let other = other_rows(scene);
    let plan = scene.chunk.side(step, Side::Item);
    let mut expected = scene.records.clone();
    let gradients = gradients(scene, &gradient, &other);
    let mut settled = vec![0.0; plan.rows.len() * (ROW_HEADER + scene.dim)];
    cpu::gather_rows::gather_rows(
        plan.rows,
        &scene.records,
        0,
        &scene.schedule,
        STEP - 1,
        false,
        scene.dim,
        &mut settled,
    );
    let slots = 0..plan.rows.len();
    cpu::update_rows::update_rows(
        &plan,
        slots,
        &gradients,
        &scene.schedule,
        STEP,
        &settled,
        &mut expected,
        0,
    );
    for &page_rows in pages {
        let (received, status) = update(scene, gpu, page_rows, &gradient, &other);
        let what = format!("dim {}, {samples} samples, pages of {page_rows:?}", scene.dim);
        assert_records_close(&what, &received, &expected, scene.dim, ATOL, RTOL);
        assert_eq!(status, 0);
    }
}

#[test]
fn update_rows_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    let crossed = DIMS.into_iter().flat_map(|dim| SIZES.map(|rows| (dim, rows)));
    for (dim, rows) in crossed.chain([(4, 5), (512, 20)]) {
        let scene = Scene::touching_all(dim, rows);
        check_update(&scene, gpu, &[None, Some(1), Some(7), Some(100)]);
    }
}

#[test]
fn a_row_that_takes_the_whole_batch_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for (dim, samples) in [(8, 33), (16, 8192), (64, 1000)] {
        check_update(&Scene::new(dim, 1, samples, true), gpu, &[None]);
        check_update(&Scene::new(dim, 40, samples, true), gpu, &[None, Some(2)]);
    }
}

#[test]
fn update_rows_goes_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    // So many records would take more than this driver's 128 MiB. So nearly all slots name rows of other pages, which are
    // reported and left alone; the last few are a real step.
    let (dim, rows) = (16, 5);
    let scene = Scene::new(dim, rows, 60, false);
    let (step, gradient, other) = (
        &scene.chunk.steps[0],
        uniform(&mut rng(3), 60, -1.0, 1.0),
        other_rows(&scene),
    );
    let (layout, users) = (step.side(Side::Item), step.side(Side::User));
    let spare = 65_540 * teams(dim);
    // What is indexed by slot stands behind the plan a second time, after as many words to spare.
    let mut words = scene.chunk.words.clone();
    let [rows_at, starts_at, first_piece_at] = [&layout.rows, &layout.starts, &layout.first_piece].map(|range| {
        let at = words.len() as u32;
        words.resize(words.len() + spare, u32::MAX);
        words.extend_from_slice(&scene.chunk.words[range.clone()]);
        at
    });
    let (table, status) = (scene.table(gpu, None), status(gpu));
    let page = table.touched(&[0]).next().unwrap();
    UpdateRows::new(dim).launch(
        gpu,
        &upload(gpu, &words),
        &scene.schedule_table(gpu),
        &upload(gpu, &gradient),
        &upload(gpu, &other),
        &upload(gpu, &piece_sums(&scene, &gradient, &other)),
        page.records,
        &status,
        &update_rows::Params {
            rows_at,
            starts_at,
            first_piece_at,
            samples_at: layout.samples.start as u32,
            other_slots_at: users.slots.start as u32,
            first_slot: 0,
            slots: (spare + layout.row_count()) as u32,
            samples: 60,
            other_rows: users.row_count() as u32,
            pieces: layout.piece_count() as u32,
            first_row: 0,
            page_rows: rows as u32,
            step: STEP,
            lazy: 0,
            l2_share: 2.0 * L2 / 60.0,
        },
    );
    let mut received = vec![GARBAGE; scene.records.len()];
    table.read(0, &mut received).unwrap();
    let (expected, _) = update(&scene, gpu, None, &gradient, &other);
    assert_records_close("records", &received, &expected, dim, 0.0, 0.0);
    assert_eq!(read_status(gpu, &status), STATUS_BAD_ROW);
}

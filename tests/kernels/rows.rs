//! The kernels over rows, against their twins: `gather_rows` and `update_rows`, on pages of many sizes.

use crate::needs::gpu;
use crate::support::{
    DIMS, GARBAGE, SIZES, assert_close, assert_records_close, batch, both_teams, chunk, factor_rows, garbage, read,
    read_status, records, rng, setup, status, uniform, upload,
};
use dotcart::common::interaction::ItemIndex;
use dotcart::config::{OptimizerChoice, Prior};
use dotcart::engine::cpu;
use dotcart::engine::gpu::device::{Buffer, Gpu};
use dotcart::engine::gpu::gather_rows::{self, GatherRows};
use dotcart::engine::gpu::table::Table;
use dotcart::engine::gpu::teams::Teams;
use dotcart::engine::gpu::update_rows::{self, UpdateRows};
use dotcart::engine::gpu::{STATUS_BAD_ROW, STATUS_BAD_SAMPLE, STATUS_BAD_SLOT, STATUS_BAD_STEP};
use dotcart::engine::model::{LAST_STEP, ROW_HEADER, Side, Sides};
use dotcart::engine::optimizer::{LearningRate, Schedule};
use dotcart::engine::plan::{ChoiceL2, ChoicePlan, Draws, EpochPrior, PlanChunk, SideLayout};

const STEP: u32 = 300;

/// Numbers of a step are around 1 and a step is 0.01 of a ratio: as close as its inputs.
const ATOL: f32 = 2e-5;
const RTOL: f32 = 1e-4;

/// A step that touches items of a table of `rows` records.
struct Scene {
    teams: Teams,
    rows: usize,
    chunk: PlanChunk,
    schedule: Schedule,
    records: Vec<f32>,
}

impl Scene {
    fn new(teams: Teams, optimizer: OptimizerChoice, rows: usize, samples: usize, bestseller: bool) -> Self {
        let mut rng = rng((teams.dim() * 10_000 + samples) as u64);
        Self {
            teams,
            rows,
            chunk: chunk(STEP, &batch(&mut rng, samples, 50, rows as u32, bestseller)),
            schedule: setup(1, 1, teams.dim(), optimizer).schedule(),
            records: records(&mut rng, rows, teams.dim(), optimizer, STEP - 1),
        }
    }

    /// A step that touches each of `rows` rows, on average sixteen times.
    fn touching_all(teams: Teams, optimizer: OptimizerChoice, rows: usize) -> Self {
        let scene = Self::new(teams, optimizer, rows, 16 * rows, false);
        let touched = scene.chunk.steps[0].side(Side::Item).row_count();
        assert_eq!(touched, rows, "another seed, please");
        scene
    }

    fn what(&self) -> String {
        let samples = self.chunk.samples();
        format!(
            "{:?}, {:?}, {} rows, {samples} samples",
            self.schedule.optimizer(),
            self.teams,
            self.rows
        )
    }

    fn factor_len(&self) -> usize {
        ROW_HEADER + self.teams.dim()
    }

    fn record_len(&self) -> usize {
        self.records.len() / self.rows
    }

    fn table(&self, gpu: Gpu, page_rows: Option<usize>) -> Table {
        let table = Table::new(gpu, "table", self.rows, self.record_len(), page_rows).unwrap();
        table.write(0, &self.records);
        table
    }

    fn schedule_table(&self, gpu: Gpu) -> Buffer {
        upload(gpu, self.schedule.table().as_flattened())
    }

    /// What the twin gathers for rows of the table.
    fn gathered(&self, rows: &[u32], untouched_is_zero: bool) -> Vec<f32> {
        let mut compact = vec![0.0; rows.len() * self.factor_len()];
        cpu::gather_rows::gather_rows(
            rows,
            &self.records,
            0,
            &self.schedule,
            STEP - 1,
            untouched_is_zero,
            self.teams.dim(),
            &mut compact,
            0,
        );
        compact
    }

    /// The same with the rest of the records' headers, which the device takes along.
    fn gathered_with_headers(&self, rows: &[u32], untouched_is_zero: bool) -> Vec<f32> {
        let mut compact = self.gathered(rows, untouched_is_zero);
        for (factor, &row) in compact.chunks_exact_mut(self.factor_len()).zip(rows) {
            let record = &self.records[row as usize * self.record_len()..];
            factor[1..ROW_HEADER].copy_from_slice(&record[1..ROW_HEADER]);
        }
        compact
    }
}

/// The compact rows that the device gathers, and the status.
fn gather(scene: &Scene, gpu: Gpu, page_rows: Option<usize>, untouched_is_zero: bool) -> (Vec<f32>, u32) {
    let layout = scene.chunk.steps[0].side(Side::Item);
    let plan = upload(gpu, &scene.chunk.words);
    let (compact, status) = (garbage(gpu, layout.row_count() * scene.factor_len()), status(gpu));
    let (table, schedule) = (scene.table(gpu, page_rows), scene.schedule_table(gpu));
    let kernel = GatherRows::new(scene.teams, scene.schedule.optimizer());
    for page in table.touched(&scene.chunk.words[layout.rows.clone()]) {
        kernel.launch(
            gpu,
            &plan,
            &schedule,
            page.records,
            &compact,
            &status,
            &gather_rows::Params::of(layout, &page, STEP - 1, untouched_is_zero),
        );
    }
    (read(gpu, &compact), read_status(gpu, &status))
}

#[track_caller]
fn check_gather(scene: &Scene, gpu: Gpu, page_rows: Option<usize>, untouched_is_zero: bool) {
    let rows = scene.chunk.side(&scene.chunk.steps[0], Side::Item).rows;
    let (received, status) = gather(scene, gpu, page_rows, untouched_is_zero);
    let expected = scene.gathered_with_headers(rows, untouched_is_zero);
    assert_close(
        &format!("{}, pages of {page_rows:?}", scene.what()),
        &received,
        &expected,
    );
    assert_eq!(status, 0);
}

#[test]
fn gather_rows_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    let crossed = DIMS.into_iter().flat_map(|dim| SIZES.map(|rows| (dim, rows)));
    for (dim, rows) in crossed.chain([(4, 3), (512, 40)]) {
        for (teams, page_rows) in both_teams(dim).into_iter().zip([Some(7), Some(100)]) {
            let scene = Scene::touching_all(teams, OptimizerChoice::Adam, rows);
            check_gather(&scene, gpu, None, true);
            check_gather(&scene, gpu, page_rows, false);
        }
    }
}

#[test]
fn rows_of_optimizers_that_leave_the_others_alone_are_gathered_as_they_are() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all().filter(|optimizer| *optimizer != OptimizerChoice::Adam) {
        for teams in both_teams(20) {
            let scene = Scene::touching_all(teams, optimizer, 57);
            check_gather(&scene, gpu, None, true);
            check_gather(&scene, gpu, Some(1), false);
        }
    }
}

#[test]
fn gather_rows_goes_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    // The narrowest rows of which a workgroup takes only eight; all slots are of the same few rows.
    let teams = both_teams(36)[0];
    let slots = 65_540 * teams.per_workgroup() + 1;
    let scene = Scene::new(teams, OptimizerChoice::Adam, 10, 10, false);
    let rows: Vec<u32> = (0..slots).map(|slot| (slot * 10 / slots) as u32).collect();
    let (compact, status) = (garbage(gpu, slots * scene.factor_len()), status(gpu));
    let table = scene.table(gpu, None);
    let page = table.touched(&rows).next().unwrap();
    GatherRows::new(teams, OptimizerChoice::Adam).launch(
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
            untouched_is_zero: 0,
        },
    );
    let length = scene.factor_len();
    let firsts: Vec<u32> = (0..10).collect();
    let expected = scene.gathered_with_headers(&firsts, false);
    for (slot, factor) in read(gpu, &compact).chunks_exact(length).enumerate() {
        let row = &expected[rows[slot] as usize * length..][..length];
        assert_close("a slot", factor, row);
    }
    assert_eq!(read_status(gpu, &status), 0);
}

#[test]
fn a_row_or_a_step_that_cannot_be_is_reported() {
    let Some(gpu) = gpu() else { return };
    for teams in both_teams(8) {
        let mut scene = Scene::new(teams, OptimizerChoice::Adam, 30, 60, false);
        let layout = scene.chunk.steps[0].side(Side::Item).clone();
        let last_slot = layout.row_count() - 1;
        let row = scene.chunk.words[layout.rows.start + last_slot];
        scene.chunk.words[layout.rows.start + last_slot] = 30;
        for page_rows in [None, Some(4)] {
            let (compact, status) = gather(&scene, gpu, page_rows, false);
            assert_eq!(status, STATUS_BAD_ROW);
            assert_eq!(compact[last_slot * scene.factor_len()], GARBAGE);
            let (_, status) = update(&scene, gpu, page_rows, &compact, &[0.1; 60], &other_rows(&scene));
            assert_eq!(status, STATUS_BAD_ROW);
        }
        scene.chunk.words[layout.rows.start + last_slot] = row;
        let at = row as usize * scene.record_len() + LAST_STEP;
        scene.records[at] = STEP as f32;
        let (mut compact, status) = gather(&scene, gpu, None, false);
        assert_eq!(status, STATUS_BAD_STEP);
        compact[last_slot * scene.factor_len() + LAST_STEP] = STEP as f32;
        let (_, status) = update(&scene, gpu, None, &compact, &[0.1; 60], &other_rows(&scene));
        assert_eq!(status, STATUS_BAD_STEP);

        scene.records[at] = 0.0;
        let (compact, _) = gather(&scene, gpu, None, false);
        scene.chunk.words[layout.starts.end - 1] = 61;
        let (_, status) = update(&scene, gpu, None, &compact, &[0.1; 60], &other_rows(&scene));
        assert_eq!(status, STATUS_BAD_SAMPLE);
    }
}

const L2: f32 = 0.01;

fn other_rows(scene: &Scene) -> Vec<f32> {
    let rows = scene.chunk.steps[0].side(Side::User).row_count();
    factor_rows(&mut rng(1), rows, scene.teams.dim())
}

fn gradients<'a>(scene: &'a Scene, gradient: &'a [f32], other: &'a [f32]) -> cpu::sum_pieces::Gradients<'a> {
    cpu::sum_pieces::Gradients {
        gradient,
        first_sample: 0,
        other_slots: scene.chunk.side(&scene.chunk.steps[0], Side::User).slots,
        other,
        l2: L2,
        extra: &[],
        first_extra: 0,
        learns_bias: true,
    }
}

fn piece_sums(scene: &Scene, [other_layout, layout]: [&SideLayout; 2], gradient: &[f32], other: &[f32]) -> Vec<f32> {
    let plan = scene.chunk.slices(layout);
    let mut sums = vec![0.0; layout.piece_count() * scene.factor_len()];
    let gradients = cpu::sum_pieces::Gradients {
        other_slots: scene.chunk.slices(other_layout).slots,
        ..gradients(scene, gradient, other)
    };
    let pieces = plan.pieces.as_chunks::<2>().0;
    for (&[begin, end], sum) in pieces.iter().zip(sums.chunks_exact_mut(scene.factor_len())) {
        cpu::sum_pieces::sum_piece(&plan.samples[begin as usize..end as usize], &gradients, sum);
    }
    sums
}

/// Gradients besides those of samples.
#[derive(Clone, Copy)]
struct Extra<'a> {
    words: &'a [f32],
    rows: usize,
    pieces: usize,
    learns_bias: bool,
}

const NONE: Extra = Extra {
    words: &[],
    rows: 0,
    pieces: 0,
    learns_bias: true,
};

/// The item side's records after the step that begins with the compact rows `settled`, and the status.
fn update(
    scene: &Scene,
    gpu: Gpu,
    page_rows: Option<usize>,
    settled: &[f32],
    gradient: &[f32],
    other: &[f32],
) -> (Vec<f32>, u32) {
    let sides = Side::BOTH.map(|side| scene.chunk.steps[0].side(side));
    update_with(scene, gpu, page_rows, sides, settled, gradient, other, NONE)
}

/// As [`update`], of the second of two sides, as some question needs them.
fn update_with(
    scene: &Scene,
    gpu: Gpu,
    page_rows: Option<usize>,
    [other_layout, layout]: [&SideLayout; 2],
    settled: &[f32],
    gradient: &[f32],
    other: &[f32],
    extra: Extra,
) -> (Vec<f32>, u32) {
    let (table, status) = (scene.table(gpu, page_rows), status(gpu));
    let kernel = UpdateRows::new(scene.teams, scene.schedule.optimizer());
    let plan = upload(gpu, &scene.chunk.words);
    let (gradient_buffer, other_buffer) = (upload(gpu, gradient), upload(gpu, other));
    // Of a spoiled plan no sums can be made; the kernel has to find out before it wants them.
    let in_order = scene.chunk.words[layout.starts.end - 1] as usize == layout.slots.len();
    let sums = if in_order {
        piece_sums(scene, [other_layout, layout], gradient, other)
    } else {
        Vec::new()
    };
    let (settled, sums, extra_buffer) = (upload(gpu, settled), upload(gpu, &sums), upload(gpu, extra.words));
    let update = update_rows::Update {
        schedule: &scene.schedule,
        step: STEP,
        l2: L2,
        learns_bias: extra.learns_bias,
        extra_rows: extra.rows,
        extra_pieces: extra.pieces,
    };
    for page in table.touched(&scene.chunk.words[layout.rows.clone()]) {
        kernel.launch(
            gpu,
            &plan,
            &gradient_buffer,
            &other_buffer,
            &settled,
            &sums,
            &extra_buffer,
            page.records,
            &status,
            &update_rows::Params::of(layout, other_layout, &page, &update),
        );
    }
    let mut records = vec![GARBAGE; scene.records.len()];
    table.read(0, &mut records).unwrap();
    (records, read_status(gpu, &status))
}

#[track_caller]
fn check_update(scene: &Scene, gpu: Gpu, pages: &[Option<usize>]) {
    let step = &scene.chunk.steps[0];
    let gradient = uniform(&mut rng(2), step.batch(), -1.0, 1.0);
    let other = other_rows(scene);
    let plan = scene.chunk.side(step, Side::Item);
    let mut expected = scene.records.clone();
    cpu::update_rows::update_rows(
        &plan,
        0..plan.rows.len(),
        &gradients(scene, &gradient, &other),
        &scene.schedule,
        STEP,
        &scene.gathered(plan.rows, false),
        &mut expected,
        0,
        0,
    );
    let settled = scene.gathered_with_headers(plan.rows, false);
    for &page_rows in pages {
        let (received, status) = update(scene, gpu, page_rows, &settled, &gradient, &other);
        let what = format!("{}, pages of {page_rows:?}", scene.what());
        assert_records_close(&what, &received, &expected, scene.record_len(), ATOL, RTOL);
        assert_eq!(status, 0);
    }
}

#[test]
fn update_rows_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    let crossed = DIMS.into_iter().flat_map(|dim| SIZES.map(|rows| (dim, rows)));
    for (dim, rows) in crossed.chain([(4, 5), (512, 20)]) {
        for teams in both_teams(dim) {
            let scene = Scene::touching_all(teams, OptimizerChoice::Adam, rows);
            check_update(&scene, gpu, &[None, Some(7), Some(100)]);
        }
    }
}

#[test]
fn every_optimizer_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all() {
        for (dim, rows) in [(4, 33), (20, 9), (64, 130), (100, 17), (512, 5)] {
            for teams in both_teams(dim) {
                check_update(
                    &Scene::touching_all(teams, optimizer, rows),
                    gpu,
                    &[None, Some(1), Some(7)],
                );
                check_update(&Scene::new(teams, optimizer, 40, 300, true), gpu, &[None, Some(16)]);
            }
        }
    }
}

#[test]
fn gradients_are_clipped_as_the_twin_clips_them() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all() {
        for teams in both_teams(36) {
            let mut scene = Scene::new(teams, optimizer, 40, 300, true);
            scene.schedule = Schedule::new(500, LearningRate::constant(1e-2), optimizer, 0.3);
            check_update(&scene, gpu, &[None]);
        }
    }
}

#[test]
fn a_prior_pulls_as_the_twin_pulls() {
    let Some(gpu) = gpu() else { return };
    let prior = Prior {
        bias: 20.0,
        embedding: 5.0,
        centre_rank: 1,
    };
    let centres = Sides([50, 40].map(|rows| uniform(&mut rng(5), rows, -2.0, 2.0)));
    for optimizer in OptimizerChoice::all() {
        for teams in both_teams(36) {
            let mut scene = Scene::new(teams, optimizer, 40, 300, true);
            // An epoch of two steps, of which this is one.
            let epoch = batch(&mut rng(4), 600, 50, 40, true);
            scene.chunk = PlanChunk::default();
            let prior = EpochPrior::new(prior, &centres, &epoch);
            scene.chunk.push_with(STEP, &epoch[..300], Some(&prior), None);
            check_update(&scene, gpu, &[None, Some(16)]);
        }
    }
}

#[test]
fn a_row_that_takes_the_whole_batch_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for (dim, samples) in [(8, 33), (16, 8192), (64, 1000)] {
        for teams in both_teams(dim) {
            let scene = |rows| Scene::new(teams, OptimizerChoice::Adam, rows, samples, true);
            check_update(&scene(1), gpu, &[None]);
            check_update(&scene(40), gpu, &[None, Some(2)]);
        }
    }
}

#[test]
fn update_rows_goes_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    // So many records would take more than this driver's 128 MiB. So nearly all slots name rows of other pages, which are
    // reported and left alone; the last few are a real step.
    let (teams, rows) = (both_teams(36)[0], 5);
    let scene = Scene::new(teams, OptimizerChoice::Adam, rows, 60, false);
    let (step, gradient, other) = (
        &scene.chunk.steps[0],
        uniform(&mut rng(3), 60, -1.0, 1.0),
        other_rows(&scene),
    );
    let sides = Side::BOTH.map(|side| step.side(side));
    let layout = sides[1];
    let update = update_rows::Update {
        schedule: &scene.schedule,
        step: STEP,
        l2: L2,
        learns_bias: true,
        extra_rows: 0,
        extra_pieces: 0,
    };
    let spare = 65_540 * teams.per_workgroup();
    // What is indexed by slot stands behind the plan a second time, after as many words to spare.
    let mut words = scene.chunk.words.clone();
    let [rows_at, starts_at, first_piece_at] = [&layout.rows, &layout.starts, &layout.first_piece].map(|range| {
        let at = words.len() as u32;
        words.resize(words.len() + spare, u32::MAX);
        words.extend_from_slice(&scene.chunk.words[range.clone()]);
        at
    });
    let settled = scene.gathered_with_headers(&scene.chunk.words[layout.rows.clone()], false);
    let mut all_settled = vec![GARBAGE; spare * scene.factor_len()];
    all_settled.extend_from_slice(&settled);
    let (table, status) = (scene.table(gpu, None), status(gpu));
    let page = table.touched(&[0]).next().unwrap();
    UpdateRows::new(teams, OptimizerChoice::Adam).launch(
        gpu,
        &upload(gpu, &words),
        &upload(gpu, &gradient),
        &upload(gpu, &other),
        &upload(gpu, &all_settled),
        &upload(gpu, &piece_sums(&scene, sides, &gradient, &other)),
        &upload(gpu, NONE.words),
        page.records,
        &status,
        &update_rows::Params {
            rows_at,
            starts_at,
            first_piece_at,
            first_slot: 0,
            slots: (spare + layout.row_count()) as u32,
            ..update_rows::Params::of(layout, sides[0], &page, &update)
        },
    );
    let mut received = vec![GARBAGE; scene.records.len()];
    table.read(0, &mut received).unwrap();
    let (expected, _) = self::update(&scene, gpu, None, &settled, &gradient, &other);
    assert_records_close("records", &received, &expected, scene.record_len(), 0.0, 0.0);
    assert_eq!(read_status(gpu, &status), STATUS_BAD_ROW);
}

/// A step whose items are drawn as well, some of them without a sample, and a bestseller's row is summed in pieces.
fn scene_with_draws(teams: Teams, optimizer: OptimizerChoice) -> Scene {
    let mut scene = Scene::new(teams, optimizer, 60, 1, false);
    let mut samples = batch(&mut rng(7), 300, 50, 40, true);
    samples.iter_mut().for_each(|sample| sample.choice = sample.target);
    let draws = Draws {
        items: (0..60).step_by(3).map(ItemIndex).collect(),
        offsets: vec![0.0; 20],
    };
    scene.chunk = PlanChunk::default();
    let plan = ChoicePlan {
        draws: &draws,
        l2: &ChoiceL2::even(0.7),
    };
    scene.chunk.push_with(STEP, &samples, None, Some(plan));
    scene
}

#[test]
fn extra_gradients_are_added_as_the_twin_adds_them() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all() {
        for teams in [8, 64, 100].into_iter().flat_map(both_teams) {
            let scene = scene_with_draws(teams, optimizer);
            let choice = scene.chunk.steps[0].choice.as_ref().unwrap();
            let length = scene.factor_len();
            let gradient = uniform(&mut rng(8), 300, -1.0, 1.0);
            for (sides, learns_bias, extra_rows, extra_pieces) in [
                ([Side::User, Side::Item], true, choice.draws(), 3),
                ([Side::Item, Side::User], false, choice.side(Side::User).row_count(), 1),
            ] {
                let sides = sides.map(|side| choice.side(side));
                let [other_plan, plan] = sides.map(|layout| scene.chunk.slices(layout));
                let other = factor_rows(&mut rng(9), other_plan.rows.len(), teams.dim());
                let pieces = uniform(&mut rng(10), extra_pieces * extra_rows * length, -1.0, 1.0);
                let mut extra = vec![0.0; extra_rows * length];
                for piece in pieces.chunks_exact(extra.len()) {
                    extra.iter_mut().zip(piece).for_each(|(sum, piece)| *sum += piece);
                }
                let gradients = cpu::sum_pieces::Gradients {
                    other_slots: other_plan.slots,
                    extra: &extra,
                    learns_bias,
                    ..gradients(&scene, &gradient, &other)
                };
                let mut expected = scene.records.clone();
                cpu::update_rows::update_rows(
                    &plan,
                    0..plan.rows.len(),
                    &gradients,
                    &scene.schedule,
                    STEP,
                    &scene.gathered(plan.rows, false),
                    &mut expected,
                    0,
                    0,
                );
                let extra = Extra {
                    words: &pieces,
                    rows: extra_rows,
                    pieces: extra_pieces,
                    learns_bias,
                };
                let settled = scene.gathered_with_headers(plan.rows, false);
                for page_rows in [None, Some(7)] {
                    let (received, status) =
                        update_with(&scene, gpu, page_rows, sides, &settled, &gradient, &other, extra);
                    let what = format!("{}, {extra_pieces} pieces, pages of {page_rows:?}", scene.what());
                    assert_records_close(&what, &received, &expected, scene.record_len(), ATOL, RTOL);
                    assert_eq!(status, 0);
                }
            }
        }
    }
}

#[test]
fn an_extra_gradient_that_is_not_there_is_reported() {
    let Some(gpu) = gpu() else { return };
    for teams in both_teams(8) {
        let scene = scene_with_draws(teams, OptimizerChoice::Adam);
        let choice = scene.chunk.steps[0].choice.as_ref().unwrap();
        let sides = Side::BOTH.map(|side| choice.side(side));
        let rows = sides[1].row_count();
        let settled = scene.gathered_with_headers(scene.chunk.slices(sides[1]).rows, false);
        let other = factor_rows(&mut rng(9), sides[0].row_count(), 8);
        let words = vec![0.1; choice.draws() * scene.factor_len()];
        let extra = Extra {
            words: &words,
            // One too few.
            rows: choice.draws() - 1,
            pieces: 1,
            learns_bias: true,
        };
        let (records, status) = update_with(&scene, gpu, None, sides, &settled, &[0.1; 300], &other, extra);
        assert_eq!(status, STATUS_BAD_SLOT);
        let last = scene.chunk.words[sides[1].rows.start + rows - 1] as usize * scene.record_len();
        assert_eq!(
            records[last..],
            scene.records[last..],
            "the last drawn item is left alone"
        );
    }
}

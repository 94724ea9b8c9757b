//! The kernels over samples, against their twins: `pair_logits`, `pair_forward`, `sum_pieces`, `update_head`.

use crate::needs::gpu;
use crate::support::{
    DIMS, GARBAGE, SIZES, assert_close, assert_close_by, batch, both_teams, chunk, factor_rows, garbage, read,
    read_status, rng, status, uniform, upload,
};
use dotcart::config::OptimizerChoice;
use dotcart::engine::HeadState;
use dotcart::engine::cpu;
use dotcart::engine::gpu::device::Gpu;
use dotcart::engine::gpu::pair_forward::{self, PairForward};
use dotcart::engine::gpu::pair_logits::{self, PairLogits};
use dotcart::engine::gpu::sum_pieces::{self, SumPieces};
use dotcart::engine::gpu::teams::Teams;
use dotcart::engine::gpu::update_head::{self, UpdateHead};
use dotcart::engine::gpu::{STATUS_BAD_SAMPLE, STATUS_BAD_SLOT};
use dotcart::engine::model::{Head, Side};
use dotcart::engine::optimizer::{LearningRate, Schedule};
use dotcart::engine::plan::PlanChunk;

/// Every width with every size around which something is cut; the widest once.
fn cases() -> impl Iterator<Item = (usize, usize)> {
    let crossed = DIMS.into_iter().flat_map(|dim| SIZES.map(|samples| (dim, samples)));
    crossed.chain([(512, 33)])
}

const HEAD: Head = Head {
    scale: 1.5,
    bias: -0.25,
};

/// A step of `samples` samples with the compact rows of both sides.
struct Scene {
    chunk: PlanChunk,
    rows: [Vec<f32>; 2],
}

impl Scene {
    fn new(dim: usize, samples: usize, users: u32, items: u32) -> Self {
        let mut rng = rng((dim * 1000 + samples) as u64);
        let chunk = chunk(1, &batch(&mut rng, samples, users, items, true));
        // Rows as in training: logits of a few units, not of tens, where the loss would be all or nothing.
        let rows = Side::BOTH.map(|side| {
            let mut rows = factor_rows(&mut rng, chunk.steps[0].side(side).row_count(), dim);
            rows.iter_mut().for_each(|weight| *weight *= 4.0 / (dim as f32).sqrt());
            rows
        });
        Self { chunk, rows }
    }

    fn slots(&self, side: Side) -> &[u32] {
        self.chunk.side(&self.chunk.steps[0], side).slots
    }

    fn logits(&self, gpu: Gpu, teams: Teams, samples: usize) -> (Vec<f32>, u32) {
        let step = &self.chunk.steps[0];
        let (logits, status) = (garbage(gpu, samples + 1), status(gpu));
        PairLogits::new(teams).launch(
            gpu,
            &upload(gpu, &self.chunk.words),
            &upload(gpu, &self.rows[0]),
            &upload(gpu, &self.rows[1]),
            &upload(gpu, &[HEAD.scale, 0.0, 0.0, 0.0, HEAD.bias, 0.0, 0.0, 0.0]),
            &logits,
            &status,
            &pair_logits::Params {
                samples: samples as u32,
                ..pair_logits::Params::of(Side::BOTH.map(|side| step.side(side)))
            },
        );
        (read(gpu, &logits), read_status(gpu, &status))
    }

    fn expected_logits(&self, dim: usize) -> Vec<f32> {
        let [users, items] = &self.rows;
        let mut expected = vec![0.0; self.chunk.samples()];
        let (user_slots, item_slots) = (self.slots(Side::User), self.slots(Side::Item));
        cpu::pair_logits::pair_logits(user_slots, item_slots, users, items, HEAD, dim, &mut expected);
        expected
    }
}

#[test]
fn pair_logits_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for (dim, samples) in cases() {
        let scene = Scene::new(dim, samples, 60, 40);
        let expected = scene.expected_logits(dim);
        for teams in both_teams(dim) {
            let (mut received, status) = scene.logits(gpu, teams, samples);
            assert_eq!(received.pop(), Some(GARBAGE), "written past the end");
            assert_close(&format!("{teams:?}, {samples} samples"), &received, &expected);
            assert_eq!(status, 0);
            let (untouched, _) = scene.logits(gpu, teams, 0);
            assert_eq!(untouched, [GARBAGE]);
        }
    }
}

#[test]
fn pair_logits_goes_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    let teams = both_teams(64)[0];
    let samples = 65_540 * teams.per_workgroup() + 1;
    let scene = Scene::new(64, samples, 50, 50);
    let (mut received, status) = scene.logits(gpu, teams, samples);
    received.pop();
    assert_close("logits", &received, &scene.expected_logits(64));
    assert_eq!(status, 0);
}

fn forward(scene: &Scene, gpu: Gpu, teams: Teams, share: f32) -> (Vec<f32>, Vec<f32>, u32) {
    let step = &scene.chunk.steps[0];
    let samples = step.batch();
    let kernel = PairForward::new(teams);
    let (gradient, partials) = (garbage(gpu, samples), garbage(gpu, 4 * kernel.partials(samples)));
    let status = status(gpu);
    kernel.launch(
        gpu,
        &upload(gpu, &scene.chunk.words),
        &upload(gpu, &scene.rows[0]),
        &upload(gpu, &scene.rows[1]),
        &upload(gpu, &[HEAD.scale, 0.0, 0.0, 0.0, HEAD.bias, 0.0, 0.0, 0.0]),
        &gradient,
        &partials,
        &status,
        &pair_forward::Params::of(step, share),
    );
    (read(gpu, &gradient), read(gpu, &partials), read_status(gpu, &status))
}

#[track_caller]
fn check_forward(scene: &Scene, gpu: Gpu, teams: Teams, share: f32) {
    let dim = teams.dim();
    let step = &scene.chunk.steps[0];
    let samples = step.batch();
    let (gradient, partials, status) = forward(scene, gpu, teams, share);
    let mut expected = vec![0.0; samples];
    let views = cpu::pair_forward::Samples {
        user_slots: scene.slots(Side::User),
        item_slots: scene.slots(Side::Item),
        targets: scene.chunk.targets(step),
        weights: scene.chunk.weights(step),
        share,
    };
    let mut sums = Vec::new();
    for (group, gradient) in expected.chunks_mut(teams.per_workgroup()).enumerate() {
        let [users, items] = &scene.rows;
        let first = group * teams.per_workgroup();
        sums.extend(cpu::pair_forward::pair_forward(
            &views, first, users, 0, items, HEAD, dim, gradient,
        ));
    }
    // Times the number of samples, to compare numbers around 1.
    let scale = |numbers: &[f32]| numbers.iter().map(|number| number * samples as f32).collect::<Vec<_>>();
    let what = format!("{teams:?}, {samples} samples");
    assert_close(&format!("{what}: gradient"), &scale(&gradient), &scale(&expected));
    // A group's terms are of both signs: what they add up to may be far smaller than the terms are.
    assert_close_by(&format!("{what}: sums"), &scale(&partials), &scale(&sums), 1e-4, 1e-4);
    assert_eq!(status, 0);
}

#[test]
fn pair_forward_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for (dim, samples) in cases() {
        let scene = Scene::new(dim, samples, 60, 40);
        for teams in both_teams(dim) {
            check_forward(&scene, gpu, teams, 1.0);
            check_forward(&scene, gpu, teams, 0.3);
        }
    }
}

#[test]
fn pair_forward_goes_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    let teams = both_teams(64)[0];
    let samples = 65_540 * teams.per_workgroup() + 3;
    check_forward(&Scene::new(64, samples, 50, 50), gpu, teams, 1.0);
}

#[test]
fn a_slot_beyond_the_compact_rows_is_reported() {
    let Some(gpu) = gpu() else { return };
    let mut scene = Scene::new(16, 40, 30, 30);
    let slots = scene.chunk.steps[0].side(Side::Item).slots.start;
    scene.chunk.words[slots + 17] = 1_000_000;
    for teams in both_teams(16) {
        let (logits, status) = scene.logits(gpu, teams, 40);
        assert_eq!((status, logits[17]), (STATUS_BAD_SLOT, GARBAGE));
        let (gradient, _, status) = forward(&scene, gpu, teams, 1.0);
        assert_eq!((status, gradient[17]), (STATUS_BAD_SLOT, GARBAGE));
    }
}

/// The item side's piece sums, and the status.
fn piece_sums(scene: &Scene, gpu: Gpu, teams: Teams, gradient: &[f32]) -> (Vec<f32>, u32) {
    let dim = teams.dim();
    let step = &scene.chunk.steps[0];
    let items = step.side(Side::Item);
    let (sums, status) = (garbage(gpu, items.piece_count() * (4 + dim)), status(gpu));
    SumPieces::new(teams).launch(
        gpu,
        &upload(gpu, &scene.chunk.words),
        &upload(gpu, gradient),
        &upload(gpu, &scene.rows[0]),
        &sums,
        &status,
        &sum_pieces::Params::of(items, step.side(Side::User)),
    );
    (read(gpu, &sums), read_status(gpu, &status))
}

#[track_caller]
fn check_pieces(dim: usize, samples: usize, items: u32, gpu: Gpu) {
    let scene = Scene::new(dim, samples, 50, items);
    let gradient = uniform(&mut rng(1), samples, -1.0, 1.0);
    let plan = scene.chunk.side(&scene.chunk.steps[0], Side::Item);
    let mut expected = vec![0.0; plan.pieces.len() / 2 * (4 + dim)];
    let gradients = cpu::sum_pieces::Gradients {
        gradient: &gradient,
        first_sample: 0,
        other_slots: scene.slots(Side::User),
        other: &scene.rows[0],
        l2: 0.0,
        extra: &[],
        first_extra: 0,
        learns_bias: true,
    };
    let pieces = plan.pieces.as_chunks::<2>().0;
    for (&[begin, end], sum) in pieces.iter().zip(expected.chunks_exact_mut(4 + dim)) {
        cpu::sum_pieces::sum_piece(&plan.samples[begin as usize..end as usize], &gradients, sum);
    }
    for teams in both_teams(dim) {
        let (received, status) = piece_sums(&scene, gpu, teams, &gradient);
        // Up to 32 terms of both signs.
        let what = format!("{teams:?}, {samples} samples");
        assert_close_by(&what, &received, &expected, 1e-4, 1e-4);
        assert_eq!(status, 0);
    }
}

#[test]
fn sum_pieces_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for (dim, samples, items) in [
        (8, 10, 40),
        (8, 64, 1),
        (16, 255, 1),
        (32, 256, 3),
        (64, 257, 1),
        (100, 8192, 5),
        (128, 600, 2),
        (512, 90, 1),
    ] {
        check_pieces(dim, samples, items, gpu);
    }
}

#[test]
fn sum_pieces_goes_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    let teams = both_teams(36)[0];
    let (dim, pieces) = (36, 65_540 * teams.per_workgroup() + 1);
    // Pieces of one sample each, by hand: a plan would need 32 times as many samples.
    let words: Vec<u32> = [0, 1].repeat(pieces).into_iter().chain([0, 0]).collect();
    let mut rng = rng(2);
    let other = factor_rows(&mut rng, 1, dim);
    let (sums, status) = (garbage(gpu, pieces * (4 + dim)), status(gpu));
    SumPieces::new(teams).launch(
        gpu,
        &upload(gpu, &words),
        &upload(gpu, &[0.5f32]),
        &upload(gpu, &other),
        &sums,
        &status,
        &sum_pieces::Params {
            pieces_at: 0,
            pieces: pieces as u32,
            samples_at: 2 * pieces as u32,
            samples: 1,
            other_slots_at: 2 * pieces as u32 + 1,
            other_rows: 1,
        },
    );
    let mut expected: Vec<f32> = other.iter().map(|weight| 0.5 * weight).collect();
    expected[..4].copy_from_slice(&[0.5, 0.0, 0.0, 0.0]);
    for (piece, sum) in read(gpu, &sums).chunks_exact(4 + dim).enumerate() {
        assert!(sum == expected, "piece {piece}");
    }
    assert_eq!(read_status(gpu, &status), 0);
}

#[test]
fn a_sample_beyond_the_batch_is_reported() {
    let Some(gpu) = gpu() else { return };
    let gradient = uniform(&mut rng(3), 80, -1.0, 1.0);
    let spoiled = |spoil: fn(&mut PlanChunk)| {
        let mut scene = Scene::new(16, 80, 30, 1);
        spoil(&mut scene.chunk);
        piece_sums(&scene, gpu, both_teams(16)[0], &gradient).1
    };
    let sample = spoiled(|chunk| {
        let at = chunk.steps[0].side(Side::Item).samples.start;
        chunk.words[at + 3] = 80;
    });
    assert_eq!(sample, STATUS_BAD_SAMPLE);
    let piece = spoiled(|chunk| {
        let at = chunk.steps[0].side(Side::Item).pieces.start;
        chunk.words[at + 1] = 81;
    });
    assert_eq!(piece, STATUS_BAD_SAMPLE);
    let slot = spoiled(|chunk| {
        let at = chunk.steps[0].side(Side::User).slots.start;
        chunk.words[at] = u32::MAX;
    });
    assert_eq!(slot, STATUS_BAD_SLOT);
}

#[test]
fn update_head_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all() {
        for clip in [0.0, 0.4] {
            let schedule = Schedule::new(9, LearningRate::constant(0.01), optimizer, clip);
            check_head(gpu, &schedule);
            check_head(gpu, &schedule.holding_scale());
        }
    }
}

#[track_caller]
fn check_head(gpu: Gpu, schedule: &Schedule) {
    for count in [0, 1, 127, 128, 129, 255, 256, 257, 70_000] {
        let partials = uniform(&mut rng(count as u64), 4 * count, 0.0, 2.0 / count.max(1) as f32);
        let mut expected = HeadState::from_words([1.5, 0.1, 0.01, 0.0, -0.5, -0.2, 0.02, 0.0]);
        let (head, statistics) = (upload(gpu, expected.words()), garbage(gpu, 3));
        UpdateHead::new(both_teams(8)[0], schedule.optimizer()).launch(
            gpu,
            &upload(gpu, &partials),
            &head,
            &statistics,
            &update_head::Params::of(count, 1, schedule, 3),
        );
        // The twin adds in sequence, whose rounding grows with the number: it gets the sum, made in f64.
        let mut sum = [0.0f64; 4];
        for (at, &number) in partials.iter().enumerate() {
            sum[at % 4] += number as f64;
        }
        let loss = cpu::update_head::update_head(&[sum.map(|sum| sum as f32)], schedule, 3, &mut expected);
        let what = format!("{:?}, clip {}, {count} partials", schedule.optimizer(), schedule.clip());
        assert_close(&format!("head, {what}"), &read(gpu, &head), expected.words());
        assert_close(
            &format!("loss, {what}"),
            &read(gpu, &statistics),
            &[GARBAGE, loss, GARBAGE],
        );
    }
}

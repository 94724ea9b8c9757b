//! The kernels over choices, against their twins: `choice_scores`, `choice_gradient`, `choice_sums`.

use crate::needs::gpu;
use crate::support::{
    GARBAGE, SIZES, assert_close, assert_close_by, batch, both_teams, factor_rows, garbage, read, read_status, rng,
    status, uniform, upload,
};
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::ChoiceLoss;
use dotcart::engine::choice::FILLER;
use dotcart::engine::cpu;
use dotcart::engine::cpu::choice_gradient::Choices;
use dotcart::engine::cpu::choice_scores::{Drawn, stride};
use dotcart::engine::cpu::instruction_set::InstructionSet;
use dotcart::engine::gpu::choice_gradient::{self, ChoiceGradient};
use dotcart::engine::gpu::choice_scores::{self, ChoiceScores};
use dotcart::engine::gpu::choice_sums::{self, ChoiceSums};
use dotcart::engine::gpu::device::{AdapterKind, Gpu};
use dotcart::engine::gpu::teams::Teams;
use dotcart::engine::gpu::{STATUS_BAD_SAMPLE, STATUS_BAD_SLOT};
use dotcart::engine::model::{Head, ROW_HEADER, Side};
use dotcart::engine::plan::{ChoiceL2, ChoiceLayout, ChoicePlan, Draws, PlanChunk, Sample, SidePlan};

const LOSSES: [ChoiceLoss; 3] = [ChoiceLoss::Softmax, ChoiceLoss::Bpr, ChoiceLoss::Bce];

/// A step with drawn items and the compact rows of both sides.
struct Scene {
    dim: usize,
    chunk: PlanChunk,
    rows: [Vec<f32>; 2],
}

impl Scene {
    /// Items `0, 3, 6, ...` are drawn; samples are of items `0..100`.
    fn new(dim: usize, samples: usize, users: u32, draws: usize) -> Self {
        let samples = batch(
            &mut rng((dim * 1000 + samples + draws) as u64),
            samples,
            users,
            100,
            true,
        );
        Self::of(dim, samples, draws)
    }

    fn of(dim: usize, mut samples: Vec<Sample>, draws: usize) -> Self {
        let mut rng = rng(dim as u64);
        // Some samples are no choices.
        for (number, sample) in samples.iter_mut().enumerate() {
            sample.choice = [1.0, 0.25, 0.0, 0.5][number % 4];
        }
        let draws = Draws {
            items: (0..draws as u32).map(|number| ItemIndex(3 * number)).collect(),
            offsets: uniform(&mut rng, draws, 0.0, 2.0 / draws as f32),
        };
        let mut chunk = PlanChunk::default();
        let plan = ChoicePlan {
            draws: &draws,
            l2: &ChoiceL2::even(0.1),
        };
        chunk.push_with(1, &samples, None, Some(plan));
        let choice = chunk.steps[0].choice.as_ref().unwrap();
        // Rows as in training: appeals of a few units, not of tens, where the loss would be all or nothing.
        let rows = Side::BOTH.map(|side| {
            let mut rows = factor_rows(&mut rng, choice.side(side).row_count(), dim);
            rows.iter_mut().for_each(|weight| *weight *= 3.0 / (dim as f32).sqrt());
            if side == Side::User {
                rows.chunks_exact_mut(ROW_HEADER + dim).for_each(|row| row[0] = 0.0);
            }
            rows
        });
        Self { dim, chunk, rows }
    }

    fn choice(&self) -> &ChoiceLayout {
        self.chunk.steps[0].choice.as_ref().unwrap()
    }

    fn plan(&self, side: Side) -> SidePlan<'_> {
        self.chunk.slices(self.choice().side(side))
    }

    fn users(&self) -> usize {
        self.plan(Side::User).rows.len()
    }

    fn draws(&self) -> usize {
        self.choice().draws()
    }

    fn factor_len(&self) -> usize {
        ROW_HEADER + self.dim
    }

    fn drawn(&self, loss: ChoiceLoss) -> Drawn {
        let choice = self.chunk.choice(&self.chunk.steps[0]).unwrap();
        let mut drawn = Drawn::default();
        drawn.gather(loss, choice.draw_slots, choice.draw_offsets, &self.rows[1], self.dim);
        drawn
    }

    /// What the twin scores, `[users, stride of the draws]`.
    fn twin_scores(&self, loss: ChoiceLoss) -> Vec<f32> {
        let drawn = self.drawn(loss);
        let mut scores = vec![0.0; self.users() * stride(drawn.len())];
        cpu::choice_scores::choice_scores(InstructionSet::best(), &self.rows[0], &drawn, self.dim, &mut scores);
        scores
    }

    /// The twin's rows of a number for each drawn item, filled up to fours as the device's are.
    fn fill_up(&self, rows: &[f32], filler: f32) -> Vec<f32> {
        let mut filled = Vec::new();
        for row in rows.chunks_exact(rows.len() / self.users()) {
            filled.extend_from_slice(&row[..self.draws()]);
            filled.resize(filled.len().next_multiple_of(4).max(4), filler);
            assert!(filled.len().is_multiple_of(4));
        }
        filled
    }

    fn what(&self) -> String {
        let samples = self.chunk.samples();
        format!(
            "dim {}, {samples} samples, {} users, {} drawn",
            self.dim,
            self.users(),
            self.draws()
        )
    }
}

/// Widths below, between and above those that kernels are cut to; the last has three sections of terms.
const DIMS: [usize; 3] = [4, 36, 164];

/// Sizes around which tiles and fours are cut, at every width, and steps of one row on either side.
fn scenes() -> impl Iterator<Item = Scene> {
    let crossed = DIMS.iter().flat_map(|&dim| SIZES.map(|draws| (dim, 300, 130, draws)));
    let single = [(4, 1, 1, 1), (36, 500, 1, 70), (100, 1000, 900, 2), (100, 80, 66, 66)];
    crossed
        .chain(single)
        .map(|(dim, samples, users, draws)| Scene::new(dim, samples, users, draws))
}

/// The device's scores as they lie, and the status.
fn scores(scene: &Scene, gpu: Gpu, kind: AdapterKind, loss: ChoiceLoss) -> (Vec<f32>, u32) {
    let words = choice_scores::words(scene.users(), scene.draws());
    let (scores, status) = (garbage(gpu, words + 4), status(gpu));
    ChoiceScores::new(kind, loss, scene.dim).launch(
        gpu,
        &upload(gpu, &scene.chunk.words),
        &upload(gpu, &scene.rows[0]),
        &upload(gpu, &scene.rows[1]),
        &scores,
        &status,
        &choice_scores::Params::of(scene.choice(), scene.dim),
    );
    let mut scores = read(gpu, &scores);
    assert_eq!(scores.split_off(words), [GARBAGE; 4], "written past the end");
    scores.truncate(words - 4);
    (scores, read_status(gpu, &status))
}

/// Launches as suit a card and as suit a software driver; both run on any adapter.
const KINDS: [AdapterKind; 2] = [AdapterKind::Discrete, AdapterKind::Software];

/// Offsets of what is drawn are added or not.
fn kinds_and_losses() -> impl Iterator<Item = (AdapterKind, ChoiceLoss)> {
    let losses = [ChoiceLoss::Softmax, ChoiceLoss::Bce];
    KINDS.into_iter().flat_map(move |kind| losses.map(|loss| (kind, loss)))
}

#[test]
fn choice_scores_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for scene in scenes() {
        for (kind, loss) in kinds_and_losses() {
            let expected = scene.fill_up(&scene.twin_scores(loss), FILLER);
            let (received, status) = scores(&scene, gpu, kind, loss);
            assert_close(&format!("{kind:?}, {loss:?}, {}", scene.what()), &received, &expected);
            assert_eq!(status, 0);
        }
    }
}

#[test]
fn products_go_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    // More tiles of users than one dimension of a dispatch takes; at dim 4 their rows are just what every adapter binds.
    let users = 4_194_304;
    let mut rng = rng(5);
    let (rows, item) = (factor_rows(&mut rng, users, 4), factor_rows(&mut rng, 1, 4));
    let (plan, item_buffer, status) = (upload(gpu, &[0u32]), upload(gpu, &item), status(gpu));
    let scores = garbage(gpu, 4 * users + 4);
    ChoiceScores::new(AdapterKind::Discrete, ChoiceLoss::Bce, 4).launch(
        gpu,
        &plan,
        &upload(gpu, &rows),
        &item_buffer,
        &scores,
        &status,
        &choice_scores::Params {
            users: users as u32,
            draws: 1,
            draw_slots_at: 0,
            draw_offsets_at: 0,
            item_rows: 1,
            first_section: 0,
            sections: 1,
        },
    );
    let mut scores_found = read(gpu, &scores);
    scores_found.truncate(4 * users);
    let dot = |row: &[f32]| -> f32 { row[4..].iter().zip(&item[4..]).map(|(a, b)| a * b).sum() };
    let expected: Vec<f32> = rows.chunks_exact(8).map(|row| dot(row) + item[0]).collect();
    let (first, rest): (Vec<f32>, Vec<&[f32]>) = scores_found.chunks_exact(4).map(|four| (four[0], &four[1..])).unzip();
    assert_close("scores", &first, &expected);
    assert!(rest.iter().all(|rest| *rest == [FILLER; 3]));
    drop(rows);

    // What these take beside their last four would not fit one buffer any more.
    let users = users - 128;
    let extra = garbage(gpu, 8 * users + 4);
    ChoiceSums::new(AdapterKind::Discrete, Side::User).launch(
        gpu,
        &plan,
        &scores,
        &item_buffer,
        &extra,
        &status,
        &choice_sums::Params {
            users: users as u32,
            draws: 1,
            draw_slots_at: 0,
            item_rows: 1,
            piece_terms: 64,
            pieces: 1,
            first_section: 0,
            sections: 1,
            dim4: 1,
        },
    );
    for (user, (row, score)) in read(gpu, &extra)[..8 * users].chunks_exact(8).zip(first).enumerate() {
        assert_eq!(row[..4], [0.0; 4], "user {user}");
        let expected = item[4..].iter().map(|weight| weight * score);
        assert!(row[4..].iter().copied().eq(expected), "user {user}: {row:?}");
    }
    assert_eq!(read_status(gpu, &status), 0);
}

/// The device's gradients of scores and of samples, its partial sums, and the status, from the twin's scores and appeals.
fn gradients(
    scene: &Scene,
    gpu: Gpu,
    teams: Teams,
    loss: ChoiceLoss,
    share: f32,
) -> (Vec<f32>, Vec<f32>, Vec<f32>, u32) {
    let [users, items] = Side::BOTH.map(|side| scene.plan(side));
    let mut appeals = vec![0.0; scene.chunk.samples()];
    cpu::pair_logits::pair_logits(
        users.slots,
        items.slots,
        &scene.rows[0],
        &scene.rows[1],
        Head::PLAIN,
        scene.dim,
        &mut appeals,
    );
    let kernel = ChoiceGradient::new(teams, loss);
    let scores = upload(gpu, &scene.fill_up(&scene.twin_scores(loss), FILLER));
    let gradient = garbage(gpu, appeals.len() + 1);
    let (partials, status) = (garbage(gpu, 4 * kernel.partials(scene.users()) + 4), status(gpu));
    kernel.launch(
        gpu,
        &upload(gpu, &scene.chunk.words),
        &upload(gpu, &appeals),
        &scores,
        &gradient,
        &partials,
        &status,
        &choice_gradient::Params::of(scene.choice(), share),
    );
    let (mut gradient, mut partials) = (read(gpu, &gradient), read(gpu, &partials));
    assert_eq!(gradient.pop(), Some(GARBAGE), "written past the end");
    assert_eq!(
        partials.split_off(partials.len() - 4),
        [GARBAGE; 4],
        "written past the end"
    );
    (read(gpu, &scores), gradient, partials, read_status(gpu, &status))
}

#[track_caller]
fn check_gradients(scene: &Scene, gpu: Gpu, teams: Teams, loss: ChoiceLoss) {
    const SHARE: f32 = 0.7;
    let (scores, gradient, partials, status) = gradients(scene, gpu, teams, loss, SHARE);
    let (samples, length) = (scene.chunk.samples(), scene.factor_len());
    let choice = scene.chunk.choice(&scene.chunk.steps[0]).unwrap();
    let drawn = scene.drawn(loss);
    let users = scene.plan(Side::User);
    let choices = Choices {
        loss,
        share: SHARE,
        users,
        item_slots: scene.plan(Side::Item).slots,
        weights: choice.choices,
        offsets: &drawn.offsets,
        instructions: InstructionSet::best(),
    };
    let stride = stride(drawn.len());
    let mut expected_scores = scene.twin_scores(loss);
    let mut expected_gradient = vec![0.0; samples];
    let mut expected_partials = Vec::new();
    for first in (0..scene.users()).step_by(teams.per_workgroup()) {
        let block = first..(first + teams.per_workgroup()).min(scene.users());
        let own = users.starts[first] as usize..users.starts[block.end] as usize;
        let loss = cpu::choice_gradient::choice_gradient(
            &choices,
            block.clone(),
            &scene.rows[0][first * length..block.end * length],
            &scene.rows[1],
            scene.dim,
            &mut expected_scores[first * stride..block.end * stride],
            &mut expected_gradient[own],
            &mut Default::default(),
        );
        expected_partials.extend([loss, 0.0, 0.0, 0.0]);
    }
    // Times the number of samples, to compare numbers around 1.
    let scale = |numbers: &[f32]| numbers.iter().map(|number| number * samples as f32).collect::<Vec<_>>();
    let what = format!("{loss:?}, {teams:?}, {}", scene.what());
    // A sum over a user's samples or over all that was drawn, of exponentials of a few units.
    let close = |part: &str, received: &[f32], expected: &[f32]| {
        assert_close_by(
            &format!("{what}: {part}"),
            &scale(received),
            &scale(expected),
            3e-5,
            1e-4,
        );
    };
    close("gradients of scores", &scores, &scene.fill_up(&expected_scores, 0.0));
    close("gradients of samples", &gradient, &expected_gradient);
    close("losses", &partials, &expected_partials);
    assert_eq!(status, 0);
}

#[test]
fn choice_gradient_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for scene in scenes() {
        for teams in both_teams(scene.dim) {
            for loss in LOSSES {
                check_gradients(&scene, gpu, teams, loss);
            }
        }
    }
}

#[test]
fn choice_gradient_goes_past_65535_workgroups() {
    let Some(gpu) = gpu() else { return };
    // The narrowest rows of which a workgroup takes only eight.
    let teams = both_teams(36)[0];
    let samples = batch(&mut rng(3), 65_540 * teams.per_workgroup() + 1, 1, 40, false);
    let samples = (0..).map(UserIndex).zip(samples);
    let samples = samples.map(|(user, sample)| Sample { user, ..sample });
    check_gradients(&Scene::of(36, samples.collect(), 3), gpu, teams, ChoiceLoss::Softmax);
}

#[test]
fn scores_that_are_far_apart_stay_finite() {
    let Some(gpu) = gpu() else { return };
    let mut scene = Scene::new(4, 40, 6, 9);
    for rows in &mut scene.rows {
        rows.iter_mut().for_each(|weight| *weight *= 12.0);
    }
    for teams in both_teams(4) {
        for loss in LOSSES {
            let (scores, gradient, partials, _) = gradients(&scene, gpu, teams, loss, 1.0);
            for numbers in [scores, gradient, partials] {
                assert!(numbers.iter().all(|number| number.is_finite()), "{loss:?}: {numbers:?}");
            }
        }
    }
}

/// The device's extra gradients of one side, pieces added up, and the status.
fn sums(scene: &Scene, gpu: Gpu, kind: AdapterKind, side: Side, gradient: &[f32]) -> (Vec<f32>, u32) {
    let params = choice_sums::Params::of(scene.choice(), side, scene.dim);
    let rows = match side {
        Side::User => scene.users(),
        Side::Item => scene.draws(),
    };
    let words = rows * scene.factor_len();
    let length = params.words(side);
    let (extra, status) = (garbage(gpu, length + 4), status(gpu));
    ChoiceSums::new(kind, side).launch(
        gpu,
        &upload(gpu, &scene.chunk.words),
        &upload(gpu, gradient),
        &upload(gpu, &scene.rows[side.other() as usize]),
        &extra,
        &status,
        &params,
    );
    let mut sums = vec![0.0; words];
    let mut extra = read(gpu, &extra);
    assert_eq!(extra.split_off(length), [GARBAGE; 4], "written past the end");
    extra.truncate(params.pieces as usize * words);
    for piece in extra.chunks_exact(words) {
        sums.iter_mut().zip(piece).for_each(|(sum, piece)| *sum += piece);
    }
    (sums, read_status(gpu, &status))
}

#[test]
fn choice_sums_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    let long = [(4, 3000, 5000, 30), (100, 2000, 1500, 300)];
    let long = long.map(|(dim, samples, users, draws)| Scene::new(dim, samples, users, draws));
    for scene in scenes().chain(long) {
        let (users, draws, drawn) = (scene.users(), scene.draws(), scene.drawn(ChoiceLoss::Bce));
        // About as large as the sums of their products with rows are to be: around 1.
        let size = 1.0 / (users.max(draws) as f32).sqrt();
        let mut gradient = uniform(&mut rng(4), users * stride(drawn.len()), -size, size);
        gradient
            .chunks_exact_mut(stride(drawn.len()))
            .for_each(|row| row[draws..].fill(0.0));
        let mut expected = [users, drawn.len()].map(|rows| vec![0.0; rows * scene.factor_len()]);
        cpu::choice_sums::sum_for_users(InstructionSet::best(), &gradient, &drawn, scene.dim, &mut expected[0]);
        cpu::choice_sums::sum_for_drawn(
            InstructionSet::best(),
            &gradient,
            &scene.rows[0],
            scene.dim,
            &mut expected[1],
        );
        for side in Side::BOTH {
            for kind in KINDS {
                let (received, status) = sums(&scene, gpu, kind, side, &scene.fill_up(&gradient, 0.0));
                let what = format!("{kind:?}, {}, {}", side.name(), scene.what());
                assert_close(&what, &received, &expected[side as usize][..received.len()]);
                assert_eq!(status, 0);
            }
        }
    }
}

#[test]
fn a_drawn_slot_or_a_sample_that_cannot_be_is_reported() {
    let Some(gpu) = gpu() else { return };
    let mut scene = Scene::new(100, 200, 70, 70);
    let slot = scene.choice().draw_slots.start + 65;
    let gradient = vec![0.1; choice_scores::words(scene.users(), 70) - 4];
    let good = std::mem::replace(&mut scene.chunk.words[slot], u32::MAX);
    for (kind, loss) in kinds_and_losses() {
        assert_eq!(scores(&scene, gpu, kind, loss).1, STATUS_BAD_SLOT);
        assert_eq!(sums(&scene, gpu, kind, Side::User, &gradient).1, STATUS_BAD_SLOT);
    }
    scene.chunk.words[slot] = good;
    for (kind, loss) in kinds_and_losses() {
        assert_eq!(scores(&scene, gpu, kind, loss).1, 0);
    }
    let start = scene.choice().side(Side::User).starts.start + 5;
    for bad in [201, u32::MAX] {
        let good = std::mem::replace(&mut scene.chunk.words[start], bad);
        for teams in both_teams(scene.dim) {
            for loss in LOSSES {
                assert_eq!(spoiled_status(&scene, gpu, teams, loss), STATUS_BAD_SAMPLE);
            }
        }
        scene.chunk.words[start] = good;
    }
}

/// The status alone, of a plan that the twin could not follow.
fn spoiled_status(scene: &Scene, gpu: Gpu, teams: Teams, loss: ChoiceLoss) -> u32 {
    let kernel = ChoiceGradient::new(teams, loss);
    let status = status(gpu);
    kernel.launch(
        gpu,
        &upload(gpu, &scene.chunk.words),
        &garbage(gpu, scene.chunk.samples()),
        &garbage(gpu, choice_scores::words(scene.users(), scene.draws())),
        &garbage(gpu, scene.chunk.samples()),
        &garbage(gpu, 4 * kernel.partials(scene.users())),
        &status,
        &choice_gradient::Params::of(scene.choice(), 1.0),
    );
    read_status(gpu, &status)
}

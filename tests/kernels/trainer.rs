//! Training and its state: the gpu engine against the cpu engine, and against itself.

use crate::needs::gpu;
use crate::support::{assert_close_by, assert_records_close, batch, chunk, rng, setup as setup_for};
use dotcart::centre::start_at;
use dotcart::common::hint::Hint;
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::config::{ChoiceLoss, MAX_DIM, OptimizerChoice};
use dotcart::engine::choice::ChoiceSetup;
use dotcart::engine::cpu::CpuTrainer;
use dotcart::engine::gpu::device::{AdapterKind, Gpu};
use dotcart::engine::gpu::trainer::GpuTrainer;
use dotcart::engine::gpu::{STATUS_BAD_ROW, STATUS_BAD_STEP};
use dotcart::engine::model::{Question, Side, Sides};
use dotcart::engine::negatives::Negatives;
use dotcart::engine::plan::{ChoiceL2, ChoicePlan, Draws, PAIRS_PER_PLAN, PlanChunk, Sample};
use dotcart::engine::{DeviceError, EngineError, StepStatistics, Trainer, TrainerSetup, reduce_learning_rate};
use rand::RngExt;

/// After some thirty steps of learning rate 1e-2 a weight has gone up to 0.3. Adam's step is a ratio, so a gradient that is
/// almost nothing may turn its step by a good part of its size: 1e-4 is a hundredth of one step.
const ATOL: f32 = 1e-4;
const RTOL: f32 = 1e-3;

fn setup(users: usize, items: usize, dim: usize) -> TrainerSetup {
    setup_for(users, items, dim, OptimizerChoice::Adam)
}

/// Random chunks of 1 to 4 steps, `steps` in all, after step `after`.
fn chunks(seed: u64, setup: &TrainerSetup, after: u32, steps: u32) -> Vec<PlanChunk> {
    let mut rng = rng(seed);
    let mut chunks = Vec::new();
    let mut step = after;
    while step < after + steps {
        let mut chunk = PlanChunk::default();
        for _ in 0..rng.random_range(1..=4u32).min(after + steps - step) {
            step += 1;
            let samples = rng.random_range(1..400);
            let (users, items) = (setup.shape.users as u32, setup.shape.items as u32);
            let mut batch = batch(&mut rng, samples, users, items, step.is_multiple_of(3));
            batch.iter_mut().for_each(|sample| sample.choice = sample.target);
            let draws = setup.choice.map(|choice| {
                let counts = vec![3; setup.shape.items];
                Negatives::new(choice.loss, 70, 0.5, &counts, seed).draw(step)
            });
            let l2 = ChoiceL2::even(0.02);
            let plan = draws.as_ref().map(|draws| ChoicePlan { draws, l2: &l2 });
            chunk.push_with(step, &batch, None, plan);
        }
        chunks.push(chunk);
    }
    chunks
}

fn train(trainer: &mut dyn Trainer, chunks: &[PlanChunk]) -> Vec<StepStatistics> {
    let mut statistics = Vec::new();
    for chunk in chunks {
        statistics.extend(trainer.train(chunk.clone()).unwrap());
    }
    statistics.extend(trainer.finish().unwrap());
    statistics
}

fn table(trainer: &mut dyn Trainer, side: Side) -> Vec<f32> {
    table_of(trainer, Question::Rating, side)
}

fn table_of(trainer: &mut dyn Trainer, question: Question, side: Side) -> Vec<f32> {
    let shape = trainer.shape(question).unwrap();
    let mut records = vec![0.0; shape.rows(side) * shape.record_len(trainer.schedule().optimizer())];
    trainer.read_records(question, side, 0, &mut records).unwrap();
    records
}

/// The tables of all questions that are asked.
fn asked(trainer: &dyn Trainer) -> Vec<(Question, Side)> {
    let asked = Question::BOTH
        .into_iter()
        .filter(|&question| trainer.shape(question).is_some());
    asked
        .flat_map(|question| Side::BOTH.map(|side| (question, side)))
        .collect()
}

#[track_caller]
fn assert_same_state(gpu: &mut dyn Trainer, cpu: &mut dyn Trainer) {
    assert_eq!((gpu.step(), asked(gpu)), (cpu.step(), asked(cpu)));
    for (question, side) in asked(gpu) {
        let length = gpu.shape(question).unwrap().record_len(gpu.schedule().optimizer());
        let (received, expected) = (table_of(gpu, question, side), table_of(cpu, question, side));
        let what = format!("{question:?}, {}", side.name());
        assert_records_close(&what, &received, &expected, length, ATOL, RTOL);
    }
    assert_close_by(
        "head",
        gpu.head().unwrap().words(),
        cpu.head().unwrap().words(),
        ATOL,
        RTOL,
    );
}

#[track_caller]
fn assert_same_statistics(received: &[StepStatistics], expected: &[StepStatistics]) {
    let numbers =
        |statistics: &[StepStatistics]| -> Vec<_> { statistics.iter().map(|step| (step.step, step.samples)).collect() };
    let losses = |statistics: &[StepStatistics]| -> Vec<_> { statistics.iter().map(|step| step.loss).collect() };
    assert_eq!(numbers(received), numbers(expected));
    assert_close_by("losses", &losses(received), &losses(expected), ATOL, RTOL);
    let choices =
        |statistics: &[StepStatistics]| -> Vec<_> { statistics.iter().filter_map(|step| step.choice_loss).collect() };
    assert_close_by("losses of choices", &choices(received), &choices(expected), ATOL, RTOL);
}

fn both(gpu: Gpu, setup: &TrainerSetup, page_rows: Option<usize>) -> (GpuTrainer, CpuTrainer) {
    (
        GpuTrainer::new(gpu, setup, page_rows).unwrap(),
        CpuTrainer::new(setup, 1),
    )
}

#[test]
fn thirty_steps_equal_the_cpu_engine() {
    let Some(gpu) = gpu() else { return };
    for (dim, page_rows) in [(16, None), (16, Some(7)), (100, None), (100, Some(64))] {
        let setup = setup(300, 90, dim);
        let (mut on_gpu, mut on_cpu) = both(gpu, &setup, page_rows);
        let chunks = chunks(1, &setup, 0, 30);
        let (received, expected) = (train(&mut on_gpu, &chunks), train(&mut on_cpu, &chunks));
        assert_same_statistics(&received, &expected);
        assert_same_state(&mut on_gpu, &mut on_cpu);
    }
}

#[test]
fn every_optimizer_equals_the_cpu_engine() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all() {
        for (clip, page_rows) in [(0.0, None), (1e-4, Some(50))] {
            let mut setup = setup_for(120, 40, 8, optimizer);
            setup.clip = clip;
            let (mut on_gpu, mut on_cpu) = both(gpu, &setup, page_rows);
            let chunks = chunks(2, &setup, 0, 12);
            let (received, expected) = (train(&mut on_gpu, &chunks), train(&mut on_cpu, &chunks));
            assert_same_statistics(&received, &expected);
            assert_same_state(&mut on_gpu, &mut on_cpu);
        }
    }
}

#[test]
fn a_learning_rate_that_falls_unplanned_falls_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all() {
        let setup = setup_for(200, 60, 16, optimizer);
        let (mut on_gpu, mut on_cpu) = both(gpu, &setup, Some(70));
        for (seed, after) in [(12, 0), (13, 10), (14, 20)] {
            let part = chunks(seed, &setup, after, 10);
            train(&mut on_gpu, &part);
            train(&mut on_cpu, &part);
            reduce_learning_rate(&mut on_gpu, 0.3).unwrap();
            reduce_learning_rate(&mut on_cpu, 0.3).unwrap();
        }
        assert_same_state(&mut on_gpu, &mut on_cpu);
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    let Some(gpu) = gpu() else { return };
    let setup = setup(200, 50, 32);
    let run = |page_rows| {
        let mut trainer = GpuTrainer::new(gpu, &setup, page_rows).unwrap();
        let statistics = train(&mut trainer, &chunks(3, &setup, 0, 20));
        let losses: Vec<u32> = statistics.iter().map(|step| step.loss.to_bits()).collect();
        let tables = Side::BOTH.map(|side| {
            table(&mut trainer, side)
                .into_iter()
                .map(f32::to_bits)
                .collect::<Vec<_>>()
        });
        (losses, tables, trainer.head().unwrap().words().map(f32::to_bits))
    };
    let first = run(None);
    assert!(first == run(None), "two runs differ");
    assert!(first == run(Some(13)), "the size of pages changes a result");
}

#[test]
fn records_come_back_as_they_went_in() {
    let Some(gpu) = gpu() else { return };
    let setup = setup(50, 20, 12);
    let mut trainer = GpuTrainer::new(gpu, &setup, Some(8)).unwrap();
    let mut cpu = CpuTrainer::new(&setup, 1);
    for side in Side::BOTH {
        assert_eq!(table(&mut trainer, side), table(&mut cpu, side), "start weights");
    }
    let length = setup.record_len();
    let mut expected = table(&mut trainer, Side::User);
    for (first, rows) in [(0, 1), (7, 2), (3, 30), (49, 1)] {
        let words = crate::support::uniform(&mut rng(first as u64), rows * length, -1.0, 1.0);
        trainer
            .write_records(Question::Rating, Side::User, first, &words)
            .unwrap();
        expected[first * length..][..words.len()].copy_from_slice(&words);
        let mut received = vec![0.0; words.len()];
        trainer
            .read_records(Question::Rating, Side::User, first, &mut received)
            .unwrap();
        assert_eq!(received, words);
    }
    assert_eq!(table(&mut trainer, Side::User), expected);
    trainer.read_records(Question::Rating, Side::User, 5, &mut []).unwrap();
}

#[test]
fn pairs_score_as_on_the_cpu_and_leave_the_state_alone() {
    let Some(gpu) = gpu() else { return };
    let setup = setup(300, 90, 32);
    let (mut on_gpu, mut on_cpu) = both(gpu, &setup, Some(100));
    let chunks = chunks(4, &setup, 0, 10);
    train(&mut on_gpu, &chunks);
    train(&mut on_cpu, &chunks);
    let before = table(&mut on_gpu, Side::User);
    let mut rng = rng(5);
    let users: Vec<_> = (0..70_000).map(|_| UserIndex(rng.random_range(0..300))).collect();
    let items: Vec<_> = (0..70_000).map(|_| ItemIndex(rng.random_range(0..90))).collect();
    let received = on_gpu.score_pairs(&users, &items).unwrap();
    let expected = on_cpu.score_pairs(&users, &items).unwrap();
    assert_close_by("logits", &received, &expected, ATOL, RTOL);
    assert!(before == table(&mut on_gpu, Side::User), "scoring changed the state");
    assert!(on_gpu.score_pairs(&[], &[]).unwrap().is_empty());
}

#[test]
fn a_validation_split_of_the_widest_rows_fits_any_device() {
    let Some(gpu) = gpu() else { return };
    // More pairs than are scored at once, each of a user of its own: no device has to bind more than 128 MiB.
    let users = PAIRS_PER_PLAN + 100;
    let setup = setup_for(users, 9, MAX_DIM, OptimizerChoice::Sgd);
    let (mut on_gpu, mut on_cpu) = both(gpu, &setup, None);
    let one_step = chunk(1, &batch(&mut rng(17), 2000, users as u32, 9, false));
    train(&mut on_gpu, std::slice::from_ref(&one_step));
    train(&mut on_cpu, &[one_step]);
    let pairs = (0..users as u32).map(|user| (UserIndex(user), ItemIndex(user % 9)));
    let pairs: (Vec<_>, Vec<_>) = pairs.unzip();
    let received = on_gpu.score_pairs(&pairs.0, &pairs.1).unwrap();
    assert_close_by(
        "logits",
        &received,
        &on_cpu.score_pairs(&pairs.0, &pairs.1).unwrap(),
        ATOL,
        RTOL,
    );
}

#[test]
fn stages_are_measured_when_asked_for_and_change_no_bit() {
    let Some(gpu) = gpu() else { return };
    check_stages(gpu, &setup(200, 50, 32), 5);
    check_stages(gpu, &with_choices(setup(200, 50, 32), ChoiceLoss::Softmax, 4), 11);
}

#[track_caller]
fn check_stages(gpu: Gpu, setup: &TrainerSetup, stages_in_all: usize) {
    let chunks = chunks(18, setup, 0, 9);
    let mut plain = GpuTrainer::new(gpu, setup, Some(70)).unwrap();
    let statistics = train(&mut plain, &chunks);
    assert!(plain.stages().is_empty());
    let mut timed = GpuTrainer::new(gpu, setup, Some(70)).unwrap();
    let (first, rest) = chunks.split_at(chunks.len() / 2);
    let steps = first.iter().map(|chunk| chunk.steps.len()).sum();
    timed.time_stages(steps);
    assert!(timed.stages().is_empty());
    assert_eq!(train(&mut timed, first), statistics[..steps]);
    let stages = timed.stages();
    assert_eq!(stages.len(), stages_in_all, "{stages:?}");
    for (name, seconds) in &stages {
        assert!(*seconds > 0.0 && *seconds < 60.0, "{name}: {seconds} s");
    }
    assert_eq!(train(&mut timed, rest), statistics[steps..]);
    assert_eq!(timed.stages(), stages, "no more than was asked for");
    for (question, side) in asked(&plain) {
        let same = table_of(&mut plain, question, side) == table_of(&mut timed, question, side);
        assert!(same, "{question:?}, {}", side.name());
    }
}

#[test]
fn biases_start_at_their_centres_on_every_page() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all() {
        let setup = setup_for(200, 50, 32, optimizer);
        // Rows past the end of a side's centres, and pages without any, are left alone.
        let centres = Sides([150, 50].map(|rows| {
            (0..rows)
                .map(|row| if row < 80 { 0.0 } else { row as f32 / 100.0 })
                .collect()
        }));
        let (mut on_gpu, mut on_cpu) = both(gpu, &setup, Some(40));
        start_at(&centres, &mut on_gpu).unwrap();
        start_at(&centres, &mut on_cpu).unwrap();
        for side in Side::BOTH {
            assert!(table(&mut on_gpu, side) == table(&mut on_cpu, side), "{}", side.name());
        }
        assert_eq!(
            table(&mut on_gpu, Side::User)[149 * on_gpu.shape(Question::Rating).unwrap().record_len(optimizer)],
            1.49
        );
    }
}

fn hand_over(from: &mut dyn Trainer, to: &mut dyn Trainer) {
    for (question, side) in asked(from) {
        let records = table_of(from, question, side);
        to.write_records(question, side, 0, &records).unwrap();
    }
    to.set_head(from.head().unwrap(), from.step()).unwrap();
}

#[test]
fn state_goes_from_the_cpu_to_the_gpu_and_back() {
    let Some(gpu) = gpu() else { return };
    for setup in [
        setup(150, 60, 24),
        with_choices(setup(150, 60, 24), ChoiceLoss::Softmax, 36),
    ] {
        let mut straight = CpuTrainer::new(&setup, 1);
        let (mut on_gpu, mut on_cpu) = both(gpu, &setup, Some(40));
        let parts = [(6, 0), (7, 10), (8, 20)].map(|(seed, after)| chunks(seed, &setup, after, 10));
        for part in &parts {
            train(&mut straight, part);
        }
        train(&mut on_cpu, &parts[0]);
        hand_over(&mut on_cpu, &mut on_gpu);
        train(&mut on_gpu, &parts[1]);
        hand_over(&mut on_gpu, &mut on_cpu);
        train(&mut on_cpu, &parts[2]);
        assert_same_state(&mut on_cpu, &mut straight);
    }
}

/// Choices beside ratings, or alone if ratings are of dim 0.
fn with_choices(mut setup: TrainerSetup, loss: ChoiceLoss, dim: usize) -> TrainerSetup {
    let share = if setup.shape.dim == 0 { 1.0 } else { 0.4 };
    setup.choice = Some(ChoiceSetup { dim, loss, share });
    setup
}

#[test]
fn choices_are_learned_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for loss in [ChoiceLoss::Softmax, ChoiceLoss::Bpr, ChoiceLoss::Bce] {
        for (dim, choice_dim, page_rows) in [(16, 4, None), (0, 100, Some(50)), (36, 36, Some(7))] {
            let setup = with_choices(setup(300, 90, dim), loss, choice_dim);
            let (mut on_gpu, mut on_cpu) = both(gpu, &setup, page_rows);
            let chunks = chunks(21, &setup, 0, 20);
            let (received, expected) = (train(&mut on_gpu, &chunks), train(&mut on_cpu, &chunks));
            assert!(
                received
                    .iter()
                    .all(|step| step.choice_loss.is_some_and(|loss| loss > 0.0))
            );
            assert_same_statistics(&received, &expected);
            assert_same_state(&mut on_gpu, &mut on_cpu);
        }
    }
}

#[test]
fn every_optimizer_learns_choices_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for optimizer in OptimizerChoice::all() {
        for clip in [0.0, 1e-4] {
            let mut setup = with_choices(setup_for(120, 40, 8, optimizer), ChoiceLoss::Softmax, 36);
            setup.clip = clip;
            let (mut on_gpu, mut on_cpu) = both(gpu, &setup, Some(50));
            let chunks = chunks(22, &setup, 0, 12);
            let (received, expected) = (train(&mut on_gpu, &chunks), train(&mut on_cpu, &chunks));
            assert_same_statistics(&received, &expected);
            assert_same_state(&mut on_gpu, &mut on_cpu);
        }
    }
}

#[test]
fn two_runs_with_choices_give_the_same_bytes() {
    let Some(gpu) = gpu() else { return };
    for loss in [ChoiceLoss::Softmax, ChoiceLoss::Bpr, ChoiceLoss::Bce] {
        let setup = with_choices(setup(200, 90, 32), loss, 36);
        let run = |page_rows| {
            let mut trainer = GpuTrainer::new(gpu, &setup, page_rows).unwrap();
            let statistics = train(&mut trainer, &chunks(23, &setup, 0, 12));
            let bits = |words: Vec<f32>| words.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let tables = asked(&trainer)
                .into_iter()
                .map(|(question, side)| bits(table_of(&mut trainer, question, side)));
            (tables.collect::<Vec<_>>(), statistics)
        };
        let first = run(None);
        assert!(first == run(None), "{loss:?}: two runs differ");
        assert!(first == run(Some(13)), "{loss:?}: the size of pages changes a result");
    }
}

#[test]
fn choices_beside_ratings_leave_those_as_they_are() {
    let Some(gpu) = gpu() else { return };
    let alone = setup(200, 90, 20);
    let mut beside = with_choices(setup(200, 90, 20), ChoiceLoss::Softmax, 36);
    // Nearly all of the loss is that of ratings: their share is 1 exactly.
    beside.choice.as_mut().unwrap().share = 1e-12;
    let [mut alone_trainer, mut beside_trainer] =
        [&alone, &beside].map(|setup| GpuTrainer::new(gpu, setup, None).unwrap());
    // The same samples, once with and once without what is drawn against them.
    let losses = |statistics: Vec<StepStatistics>| -> Vec<_> { statistics.iter().map(|step| step.loss).collect() };
    let expected = losses(train(&mut alone_trainer, &chunks(24, &alone, 0, 9)));
    assert_eq!(losses(train(&mut beside_trainer, &chunks(24, &beside, 0, 9))), expected);
    for side in Side::BOTH {
        assert!(
            table(&mut alone_trainer, side) == table(&mut beside_trainer, side),
            "{}",
            side.name()
        );
    }
}

#[test]
fn choices_that_a_device_cannot_take_are_an_error_before_the_first_step() {
    let Some(gpu) = gpu() else { return };
    if gpu.adapter().kind != AdapterKind::Software {
        return;
    }
    let refused = |loss, users: u32, samples: u32, draws: u32| {
        let setup = with_choices(setup(users as usize, draws as usize, 0), loss, 4);
        let mut trainer = GpuTrainer::new(gpu, &setup, None).unwrap();
        let sample = batch(&mut rng(25), 1, 1, 1, false)[0];
        let samples: Vec<_> = (0..samples)
            .map(|number| Sample {
                user: UserIndex(number % users),
                ..sample
            })
            .collect();
        let draws = Draws {
            items: (0..draws).map(ItemIndex).collect(),
            offsets: vec![0.0; draws as usize],
        };
        let mut chunk = PlanChunk::default();
        chunk.push_with(
            1,
            &samples,
            None,
            Some(ChoicePlan {
                draws: &draws,
                l2: &ChoiceL2::even(0.0),
            }),
        );
        let error = trainer.train(chunk).unwrap_err();
        assert_eq!(trainer.step(), 0);
        error
    };
    // More scores than this device binds at once, and a user whose samples walk all scores again and again.
    let users = (gpu.adapter().max_buffer_bytes / (4 * 1000)) as u32 + 1;
    let error = refused(ChoiceLoss::Softmax, users, users, 1000);
    assert!(
        matches!(error, EngineError::Device(DeviceError::TooLarge { .. })),
        "{error}"
    );
    let error = refused(ChoiceLoss::Bpr, 2, 2_000, 1000);
    assert!(
        matches!(error, EngineError::UserTooLong { samples: 1000, .. }),
        "{error}"
    );
    assert!(error.hint().contains("train.ranking.negatives"), "{}", error.hint());
}

#[test]
fn a_drawn_product_beyond_the_table_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let setup = with_choices(setup(30, 30, 0), ChoiceLoss::Softmax, 4);
    let mut trainer = GpuTrainer::new(gpu, &setup, None).unwrap();
    let draws = Draws {
        items: [2, 30].map(ItemIndex).to_vec(),
        offsets: vec![0.0; 2],
    };
    let mut chunk = PlanChunk::default();
    let samples = batch(&mut rng(26), 20, 30, 30, false);
    chunk.push_with(
        1,
        &samples,
        None,
        Some(ChoicePlan {
            draws: &draws,
            l2: &ChoiceL2::even(0.0),
        }),
    );
    trainer.train(chunk).unwrap();
    assert_status(trainer.finish(), STATUS_BAD_ROW);
}

#[test]
fn a_trainer_moves_between_threads() {
    let Some(gpu) = gpu() else { return };
    let setup = setup(200, 50, 16);
    let (mut on_gpu, mut on_cpu) = both(gpu, &setup, None);
    for chunk in chunks(9, &setup, 0, 12) {
        on_cpu.train(chunk.clone()).unwrap();
        on_gpu = std::thread::spawn(move || {
            on_gpu.train(chunk).unwrap();
            on_gpu
        })
        .join()
        .unwrap();
    }
    on_gpu.finish().unwrap();
    assert_same_state(&mut on_gpu, &mut on_cpu);
}

#[test]
fn a_trainer_dropped_in_the_midst_leaves_the_device_as_it_was() {
    let Some(gpu) = gpu() else { return };
    let setup = setup(40, 40, 8);
    for _ in 0..3 {
        let mut trainer = GpuTrainer::new(gpu, &setup, None).unwrap();
        for chunk in chunks(16, &setup, 0, 3) {
            trainer.train(chunk).unwrap();
        }
    }
    let (mut on_gpu, mut on_cpu) = both(gpu, &setup, None);
    assert_same_state(&mut on_gpu, &mut on_cpu);
}

#[track_caller]
fn assert_status<T: std::fmt::Debug>(result: Result<T, EngineError>, expected: u32) {
    match result {
        Err(EngineError::Status { bits }) => assert_eq!(bits & expected, expected, "status {bits:#x}"),
        other => panic!("expected status {expected:#x}, received {other:?}"),
    }
}

#[test]
fn a_row_beyond_the_table_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let setup = setup(30, 30, 8);
    let mut batch = batch(&mut rng(10), 20, 30, 30, false);
    batch[7].user = UserIndex(30);
    for page_rows in [None, Some(9)] {
        let mut trainer = GpuTrainer::new(gpu, &setup, page_rows).unwrap();
        trainer.train(chunk(1, &batch)).unwrap();
        assert_status(trainer.finish(), STATUS_BAD_ROW);
        let mut trainer = GpuTrainer::new(gpu, &setup, page_rows).unwrap();
        assert_status(
            trainer.score_pairs(&[1, 2].map(UserIndex), &[3, 30].map(ItemIndex)),
            STATUS_BAD_ROW,
        );
    }
}

#[test]
fn a_batch_that_a_driver_would_sum_short_is_an_error_before_the_first_step() {
    let Some(gpu) = gpu() else { return };
    let mut trainer = GpuTrainer::new(gpu, &setup(1, 1, 64), None).unwrap();
    let sample = batch(&mut rng(15), 1, 1, 1, false)[0];
    let result = trainer.train(chunk(1, &vec![sample; 530_000]));
    match gpu.adapter().kind {
        AdapterKind::Software => {
            assert!(matches!(result, Err(EngineError::BatchTooLarge { .. })), "{result:?}");
            assert_eq!(trainer.step(), 0);
        }
        _ => assert!(result.is_ok(), "{result:?}"),
    }
}

#[test]
fn a_record_from_the_future_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let setup = setup(30, 30, 8);
    let mut trainer = GpuTrainer::new(gpu, &setup, None).unwrap();
    let mut records = table(&mut trainer, Side::Item);
    records[setup.record_len() + dotcart::engine::model::LAST_STEP] = 400.0;
    trainer
        .write_records(Question::Rating, Side::Item, 0, &records)
        .unwrap();
    trainer.train(chunk(1, &batch(&mut rng(11), 20, 30, 30, true))).unwrap();
    assert_status(trainer.finish(), STATUS_BAD_STEP);
}

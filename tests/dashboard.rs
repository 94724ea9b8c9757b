//! What a user sees of a training, from one recorded list of events: the dashboard at several sizes, and plain lines.

use dotcart::train::event::{ClassCount, FinishReason, Observer, StageTime, TrainEvent, TrainStart, ValidMetrics};
use dotcart::view::dashboard::chart_kind::ChartKind;
use dotcart::view::dashboard::keys::{Controls, Role};
use dotcart::view::dashboard::palette::Palette;
use dotcart::view::dashboard::plain::Plain;
use dotcart::view::dashboard::state::State;
use dotcart::view::dashboard::view::draw;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Three epochs of 40 steps on generated ratings; the second is the best, and the third is where `end` cuts in.
fn recorded(end: FinishReason) -> Vec<TrainEvent> {
    let class = |rating, natural, oversampled| ClassCount {
        rating,
        natural,
        oversampled,
    };
    let mut events = vec![TrainEvent::Started(Box::new(TrainStart {
        run: "electronics-3".into(),
        device_failure: None,
        device: "NVIDIA H200 (Vulkan)".into(),
        generated: true,
        users: 120_000,
        items: 15_000,
        dim: 64,
        batch_size: 8_192,
        epochs: 3,
        first_epoch: 1,
        steps_per_epoch: 40,
        samples_per_epoch: 320_000,
        valid_rows: 40_000,
        classes: vec![
            class(1.0, 20_000, 40_000),
            class(2.0, 15_000, 45_000),
            class(3.0, 25_000, 62_500),
            class(4.0, 60_000, 60_000),
            class(5.0, 112_500, 112_500),
        ],
    }))];
    for (epoch, valid_loss) in [(1, 0.5102), (2, 0.4871), (3, 0.4903)] {
        let began = 10.0 * (epoch - 1) as f64;
        events.push(TrainEvent::EpochStarted { epoch });
        for quarter in 1..=4 {
            events.push(TrainEvent::Progress {
                epoch,
                step: (40 * (epoch - 1) + 10 * quarter) as u32,
                samples: 80_000 * quarter,
                loss: 0.4 + 0.29 / (4 * (epoch - 1) + quarter) as f64,
                seconds: began + 2.0 * quarter as f64,
            });
            if quarter == 1 {
                events.push(measured(epoch, began + 2.0));
            }
            if epoch == 3 && quarter == 2 && end == FinishReason::Stopped {
                events.push(validated(3, false, 0.4888, 25.0));
                events.push(TrainEvent::CheckpointSaved {
                    step: 100,
                    seconds: 26.0,
                });
                events.push(finished(end, 26.0));
                return events;
            }
        }
        events.push(validated(epoch, true, valid_loss, began + 9.0));
        events.push(TrainEvent::EpochEnded {
            epoch,
            is_best: epoch < 3,
            seconds: began + 9.0,
        });
        events.push(TrainEvent::CheckpointSaved {
            step: 40 * epoch as u32,
            seconds: began + 10.0,
        });
    }
    events.push(finished(end, 30.0));
    events
}

fn measured(epoch: usize, seconds: f64) -> TrainEvent {
    let stages = [
        ("gather items", 0.12),
        ("users: gather, forward, update", 0.48),
        ("update items", 0.39),
        ("update head", 0.01),
    ];
    TrainEvent::Measured {
        epoch,
        step: 40 * epoch as u32 - 30,
        learning_rate: 0.001 / epoch as f64,
        memory_bytes: Some(498 << 20),
        stages: stages
            .map(|(name, share)| StageTime {
                name: name.into(),
                seconds: share * epoch as f64,
            })
            .to_vec(),
        seconds,
    }
}

fn validated(epoch: usize, epoch_end: bool, loss: f64, seconds: f64) -> TrainEvent {
    let metrics = ValidMetrics {
        loss,
        precision: 0.894,
        base_rate: 0.8334,
        recall: 0.8251,
        auc: 0.7515,
        ranking: None,
    };
    TrainEvent::Validated {
        epoch,
        step: 40 * epoch as u32,
        epoch_end,
        metrics,
        seconds,
    }
}

fn finished(reason: FinishReason, seconds: f64) -> TrainEvent {
    TrainEvent::Finished {
        reason,
        best_epoch: 2,
        seconds,
    }
}

/// The state within the third epoch: two epochs are done, a quarter of the third too.
fn running() -> State {
    state_after(&recorded(FinishReason::Completed)[..22])
}

fn state_after(events: &[TrainEvent]) -> State {
    let mut state = State::default();
    events.iter().for_each(|event| state.apply(event));
    state
}

fn drawn(width: u16, height: u16, state: &State, colour: bool) -> Buffer {
    drawn_with(width, height, state, &Controls::default(), colour)
}

fn drawn_with(width: u16, height: u16, state: &State, controls: &Controls, colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend never fails");
    terminal
        .draw(|frame| draw(frame, state, controls, &Palette::new(colour)))
        .expect("a test backend never fails");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let lines = buffer.content.chunks(buffer.area.width.into());
    let lines = lines.map(|cells| cells.iter().map(|cell| cell.symbol()).collect::<String>());
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn screen(width: u16, height: u16, state: &State) -> String {
    text(&drawn(width, height, state, true))
}

fn screen_with(width: u16, height: u16, state: &State, controls: &Controls) -> String {
    text(&drawn_with(width, height, state, controls, true))
}

#[track_caller]
fn assert_shows(screen: &str, words: &[&str]) {
    for word in words {
        assert!(screen.contains(word), "`{word}` is not to be seen in\n{screen}");
    }
}

#[test]
fn a_usual_terminal_shows_everything() {
    let screen = screen(80, 24, &running());
    #[rustfmt::skip]
    assert_shows(&screen, &[
        "dotcart  electronics-3", "NVIDIA H200 (Vulkan)   memory 498 MiB",
        "GENERATED RATINGS: a stand-in for real data",
        "epoch 3/3", "75.0 %", "step 10/40", "25.0 %",
        "40,000 samples/s ████", "elapsed 0:22", "remaining 0:07", "lr 0.000333",
        "step 204.80 ms:  gather items 12 %  users 48 %  update items 39 %",
        "train 0.4322", "valid 0.4871", "0.690", "epoch 3",
        "last       best",
        "precision     89.4 %     89.4 %", "base rate     83.3 %     83.3 %", "lift           1.073      1.073",
        "recall        82.5 %     82.5 %", "AUC           0.7515     0.7515", "loss          0.4871     0.4871",
        "natural", "oversampled", "48 %", "35 %",
        "epoch 1: valid loss 0.5102, best", "epoch 2: valid loss 0.4871, best",
        "q stop and save  p pause  c checkpoint  m next chart  ? help",
    ]);
}

#[test]
fn a_wide_terminal_lists_the_epochs_too() {
    let screen = screen(200, 60, &state_after(&recorded(FinishReason::Completed)));
    #[rustfmt::skip]
    assert_shows(&screen, &[
        "epoch    loss precision    base   lift  recall     AUC",
        "     1  0.5102    89.4 %  83.3 %  1.073  82.5 %  0.7515",
        "*    2  0.4871    89.4 %  83.3 %  1.073  82.5 %  0.7515",
        "     3  0.4903    89.4 %  83.3 %  1.073  82.5 %  0.7515",
        "epoch              3          2",
        "learning rate 0.000333", "step 204.80 ms, by stage",
        "gather items                    ", "users: gather, forward, update  ", "12 %", "48 %",
        "completed in 0:30, best epoch 2",
        "120,000 users x 15,000 products x dim 64, batch 8,192",
    ]);
}

#[test]
fn a_small_terminal_says_the_same_in_fewer_words() {
    let screen = screen(40, 10, &running());
    #[rustfmt::skip]
    assert_shows(&screen, &[
        "electronics-3", "GENERATED RATINGS", "epoch 3/3  75.0 %", "train loss 0.4322  valid loss 0.4871",
        "precision 89.4 %  base rate 83.3 %", "lift 1.073  recall 82.5 %", "samples/s", "q stop and save",
    ]);
}

#[test]
fn a_tiny_terminal_shows_where_training_stands() {
    assert_shows(
        &screen(20, 5, &running()),
        &["electronic", "GENERATED", "epoch 3/3  75.0 %", "q stop"],
    );
}

#[test]
fn precision_never_stands_alone() {
    let state = running();
    for (width, height) in (1..130)
        .step_by(3)
        .flat_map(|width| (1..40).map(move |height| (width, height)))
    {
        let screen = screen(width, height, &state);
        if screen.contains("precision") {
            assert_shows(&screen, &["base rate", "lift", "recall"]);
        }
    }
}

#[test]
fn a_precision_of_few_rows_says_how_many() {
    let mut events = recorded(FinishReason::Completed);
    for event in &mut events {
        if let TrainEvent::Validated { metrics, .. } = event {
            // Of 40,000 rows, 30,000 are relevant, and 7 are predicted so.
            (metrics.precision, metrics.base_rate, metrics.recall) = (1.0, 0.75, 7.0 / 30_000.0);
        }
    }
    let state = state_after(&events);
    for (width, height) in [(100, 40), (60, 20)] {
        let screen = screen(width, height, &state);
        assert!(screen.contains("100 % (7)"), "{screen}");
    }
    assert!(lines(&events, 1).contains("precision 100 % (7)"));
}

#[test]
fn no_state_and_no_size_breaks_the_picture() {
    let events = recorded(FinishReason::Stopped);
    for end in 0..=events.len() {
        let state = state_after(&events[..end]);
        for (width, height) in [
            (0, 0),
            (1, 1),
            (20, 5),
            (40, 10),
            (76, 20),
            (80, 24),
            (116, 24),
            (300, 100),
        ] {
            drawn(width, height, &state, true);
        }
    }
    let mut hopeless = state_after(&events[..1]);
    hopeless.apply(&TrainEvent::Progress {
        epoch: 1,
        step: 1,
        samples: 1,
        loss: f64::NAN,
        seconds: 0.0,
    });
    assert_shows(&screen(80, 24, &hopeless), &["train NaN", "the training loss is NaN"]);
}

#[test]
fn real_ratings_bring_no_warning() {
    let mut state = running();
    state.start.generated = false;
    assert!(!screen(80, 24, &state).contains("GENERATED"));
}

#[test]
fn the_user_sees_that_training_is_stopping_and_how_to_go_on() {
    let mut state = running();
    let stopping = Controls {
        stopping: true,
        ..Controls::default()
    };
    let stopping_screen = screen_with(80, 24, &state, &stopping);
    assert_shows(&stopping_screen, &["stopping: saving a checkpoint ..."]);
    state.apply(&finished(FinishReason::Stopped, 26.0));
    assert_shows(
        &screen(80, 24, &state),
        &["stopped after 0:26: `train --resume electronics-3` continues"],
    );
}

#[test]
fn a_pause_is_announced_while_it_begins_and_shown_while_it_lasts() {
    let mut state = running();
    let pausing = Controls {
        pausing: true,
        ..Controls::default()
    };
    assert_shows(&screen_with(80, 24, &state, &pausing), &["pausing after these steps"]);
    state.apply(&TrainEvent::Paused {
        epoch: 3,
        step: 90,
        seconds: 22.0,
    });
    let paused = screen_with(80, 24, &state, &pausing);
    assert_shows(&paused, &["PAUSED: p goes on, q stops and saves", "paused at step 90"]);
    let following = Controls::new(Role::Following);
    assert_shows(
        &screen_with(80, 24, &state, &following),
        &["PAUSED by its own dashboard"],
    );
}

#[test]
fn whoever_watches_sees_other_keys_and_can_leave_at_the_end() {
    let state = running();
    let shown = |role, state: &State| screen_with(80, 24, state, &Controls::new(role));
    assert_shows(&shown(Role::Replay, &state), &["q leave the replay", "e to its end"]);
    assert_shows(&shown(Role::Following, &state), &["q leave, it trains on"]);
    let ended = state_after(&recorded(FinishReason::Completed));
    assert_shows(
        &shown(Role::Replay, &ended),
        &["completed in 0:30, best epoch 2   q leave"],
    );
}

#[test]
fn help_lies_over_the_picture_and_names_every_key() {
    let help = Controls {
        shows_help: true,
        ..Controls::default()
    };
    for (width, height) in [(80, 24), (60, 16), (200, 60)] {
        let screen = screen_with(width, height, &running(), &help);
        #[rustfmt::skip]
        assert_shows(&screen, &[
            "┌ help ─", " q ", "p, space", "save a checkpoint now", "m, tab", "zoom the chart", "scroll", "this help",
            "120,000 users x 15,000 products x dim 64, batch 8,192",
        ]);
    }
    drawn_with(3, 2, &running(), &help, true);
}

#[test]
fn every_chart_names_its_figures_and_draws_them() {
    let state = state_after(&recorded(FinishReason::Completed));
    for (chart, words) in [
        (ChartKind::Loss, ["loss", "⠤⠒ train 0.4242", "● valid 0.4903"]),
        (
            ChartKind::Precision,
            ["precision, %", "● 89.4 %", "⠤⠒ base rate 83.3 %"],
        ),
        (ChartKind::Recall, ["recall, %", "● 82.5 %", "82.5"]),
        (ChartKind::Auc, ["AUC", "● valid 0.7515", "0.75"]),
        (ChartKind::Speed, ["samples/s", "⠤⠒ 40,000", "40,0"]),
        (ChartKind::LearningRate, ["learning rate", "⠤⠒ 0.000333", "0.00100"]),
    ] {
        let controls = Controls {
            chart,
            ..Controls::default()
        };
        let screen = screen_with(80, 24, &state, &controls);
        let left: String = screen
            .lines()
            .map(|line| line.chars().take(46).collect::<String>() + "\n")
            .collect();
        assert_shows(&left, &words);
        let is_drawn = |c: char| c == '●' || ('\u{2801}'..='\u{28ff}').contains(&c);
        let below_title = left.lines().skip(6);
        assert!(
            below_title.flat_map(str::chars).any(is_drawn),
            "{chart:?} is empty:\n{screen}"
        );
    }
}

#[test]
fn a_zoomed_chart_shows_a_part_and_says_which() {
    let state = state_after(&recorded(FinishReason::Completed));
    let zoomed = |zoom, right| Controls {
        zoom,
        right,
        ..Controls::default()
    };
    let newest = screen_with(80, 24, &state, &zoomed(1, None));
    assert_shows(&newest, &["zoom x2: epochs 1.50 to 3.00", "epoch 3.00"]);
    // The loss of the first epoch, 0.69, is out of the picture, and the scale is that of what is seen.
    assert!(!newest.contains("0.69"), "{newest}");
    let oldest = screen_with(80, 24, &state, &zoomed(1, Some(1.5)));
    assert_shows(&oldest, &["zoom x2: epochs 0.00 to 1.50", "0.690"]);
    let between = screen_with(80, 24, &state, &zoomed(6, Some(0.1)));
    assert_shows(&between, &["nothing was reported here"]);
}

#[test]
fn before_the_first_validation_a_chart_says_what_it_waits_for() {
    let state = state_after(&recorded(FinishReason::Completed)[..3]);
    let precision = Controls {
        chart: ChartKind::Precision,
        ..Controls::default()
    };
    assert_shows(
        &screen_with(80, 24, &state, &precision),
        &["waiting for the first validation"],
    );
}

#[test]
fn without_stages_and_memory_their_places_go_to_the_rest() {
    let mut events = recorded(FinishReason::Completed);
    events.retain(|event| !matches!(event, TrainEvent::Measured { .. }));
    let screen = screen(80, 24, &state_after(&events));
    assert!(!screen.contains("memory") && !screen.contains("step 204"), "{screen}");
    assert_shows(&screen, &["samples/s", "natural"]);
}

#[test]
fn without_colour_no_cell_has_one_and_no_word_is_missing() {
    let state = running();
    let sizes = [(20, 5), (40, 10), (80, 24), (200, 60)];
    let controls = [false, true].map(|shows_help| Controls {
        shows_help,
        pausing: shows_help,
        chart: ChartKind::Precision,
        ..Controls::default()
    });
    for ((width, height), controls) in sizes
        .iter()
        .flat_map(|size| controls.iter().map(move |with| (*size, with)))
    {
        let [coloured, plain] = [true, false].map(|colour| drawn_with(width, height, &state, controls, colour));
        assert!(
            plain
                .content
                .iter()
                .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
        );
        assert!(coloured.content.iter().any(|cell| cell.fg != Color::Reset));
        assert_eq!(text(&coloured), text(&plain));
    }
}

/// A writer whose text a test can read.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn read(&self) -> String {
        let bytes = self.0.lock().expect("no writer panicked").clone();
        String::from_utf8(bytes).expect("lines are UTF-8")
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines(events: &[TrainEvent], interval: u64) -> String {
    let page = Page::default();
    let mut plain = Plain::new(Box::new(page.clone()), Duration::from_secs(interval));
    events.iter().for_each(|event| plain.observe(event));
    page.read()
}

#[test]
fn plain_lines_of_a_whole_training() {
    let expected = "\
run      electronics-3
device   NVIDIA H200 (Vulkan)
ratings  GENERATED: a stand-in for real data, and so is all that is learned
data     320,000 samples an epoch, 40,000 rows for validation
model    120,000 users x 15,000 products x dim 64
epochs   3; 40 steps of 8,192 samples each
epoch 1/3  step 10/40  loss 0.6900            - samples/s  remaining        -
epoch 1/3  step 40/40  loss 0.4725       40,000 samples/s  remaining     0:16
epoch 1/3  done        valid loss 0.5102  precision  89.4 % (base rate  83.3 %, lift 1.073)  recall  82.5 %  AUC 0.7515  best so far
epoch 2/3  step 20/40  loss 0.4483       40,000 samples/s  remaining     0:14
epoch 2/3  done        valid loss 0.4871  precision  89.4 % (base rate  83.3 %, lift 1.073)  recall  82.5 %  AUC 0.7515  best so far
epoch 3/3  step 10/40  loss 0.4322       40,000 samples/s  remaining     0:07
epoch 3/3  step 40/40  loss 0.4242       40,000 samples/s  remaining     0:00
epoch 3/3  done        valid loss 0.4903  precision  89.4 % (base rate  83.3 %, lift 1.073)  recall  82.5 %  AUC 0.7515
stopped early after 0:30: no longer improving, best epoch 2
";
    assert_eq!(lines(&recorded(FinishReason::EarlyStopped), 5), expected);
}

#[test]
fn plain_lines_of_a_stopped_training() {
    let text = lines(&recorded(FinishReason::Stopped), 60);
    let last: Vec<&str> = text.lines().skip(9).collect();
    let expected = [
        "epoch 3/3  step 20/40  valid loss 0.4888  precision  89.4 % (base rate  83.3 %, lift 1.073)  \
         recall  82.5 %  AUC 0.7515",
        "checkpoint at step 100",
        "stopped after 0:26: `train --resume electronics-3` continues",
    ];
    assert_eq!(last, expected);
}

#[test]
fn a_closed_pipe_does_not_stop_a_training() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut plain = Plain::new(Box::new(Closed), Duration::ZERO);
    recorded(FinishReason::Completed)
        .iter()
        .for_each(|event| plain.observe(event));
}

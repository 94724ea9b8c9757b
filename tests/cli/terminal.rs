//! The dashboard in a real terminal: tmux runs it, keys are sent, the screen is read.

use super::needs;
use super::scene::{CONFIG, Scene};
use dotcart::view::dashboard::keys::Role;
use dotcart::view::dashboard::terminal::Terminal;
use std::process::Command;
use std::time::{Duration, Instant};

/// A terminal with a shell in a scene's folder.
struct Tmux {
    socket: String,
}

impl Tmux {
    /// `None` where there is no tmux.
    fn open(scene: &Scene, width: u16, height: u16) -> Option<Self> {
        if !needs::tmux() {
            return None;
        }
        let folder = scene.folder.display();
        let tmux = Self {
            socket: folder.to_string().replace('/', "-"),
        };
        let (width, height) = (width.to_string(), height.to_string());
        tmux.run(&[
            "new-session",
            "-d",
            "-s",
            "test",
            "-x",
            &width,
            "-y",
            &height,
            "bash --norc",
        ]);
        tmux.run(&["set-option", "-g", "history-limit", "0"]);
        tmux.enter(&format!("cd {folder}; PS1='$ '; clear"));
        Some(tmux)
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.socket])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys", "-t", "test"], keys].concat());
    }

    fn enter(&self, line: &str) {
        self.keys(&[line, "Enter"]);
    }

    /// Starts the binary in the shell, which says its exit code.
    fn start(&self, arguments: &str) {
        self.enter(&format!(
            "{} {arguments}; echo exit code $?",
            env!("CARGO_BIN_EXE_dotcart")
        ));
    }

    fn resize(&self, width: u16, height: u16) {
        let (width, height) = (width.to_string(), height.to_string());
        self.run(&["resize-window", "-t", "test", "-x", &width, "-y", &height]);
    }

    /// Waits until the screen has no fault, and returns it.
    fn wait_until(&self, fault: impl Fn(&str) -> Option<String>) -> String {
        let start = Instant::now();
        loop {
            let screen = self.run(&["capture-pane", "-p", "-t", "test"]);
            let Some(fault) = fault(&screen) else { return screen };
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{fault} on the screen:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        self.wait_until(|screen| (!holds(screen)).then(|| format!("no {what}")))
    }

    fn wait_for_words(&self, words: &[&str]) -> String {
        self.wait_for(&format!("{words:?}"), |screen| {
            words.iter().all(|word| screen.contains(word))
        })
    }

    /// Waits for a whole dashboard with these words: what is read while a picture is painted is half of it, or the old one, cut.
    fn wait_for_whole(&self, (width, height): (u16, u16), words: &[&str]) -> String {
        self.wait_until(|screen| {
            let missing = words.iter().find(|word| !screen.contains(**word));
            torn(screen, width.into(), height.into()).or_else(|| Some(format!("no `{}`", missing?)))
        })
    }

    /// Waits for the shell, and checks that it has its terminal as it was.
    fn assert_given_back(&self, code: u8) -> String {
        let screen = self.wait_for_words(&[&format!("exit code {code}")]);
        let modes = self.run(&["display-message", "-p", "-t", "test", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(modes.trim(), "0 1", "alternate screen, cursor");
        self.enter("clear; stty -a");
        let modes = self.wait_for_words(&["icanon", "-ixoff"]);
        for mode in ["-icanon", "-echo ", "-isig", "-opost", "-onlcr"] {
            assert!(!modes.contains(mode), "the terminal is left raw: {mode}\n{modes}");
        }
        screen
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// A training that goes on for minutes, so until it is stopped; the loss falls slowly all the while.
const ENDLESS: &str = "train config.toml --device cpu --set train.epochs=10000 --set train.learning_rate=1e-5 \
                       --set model.dim=64 --set data.generate.ratings=60000";

/// What is torn in a dashboard. Of a whole one every row is there, none is wider than the screen, and all frames are closed.
fn torn(screen: &str, width: usize, height: usize) -> Option<String> {
    const FOOTER: &str = " q stop and save  p pause  c checkpoint  m next chart  ? help";
    let lines: Vec<&str> = screen.lines().collect();
    if lines.len() != height || !lines[0].starts_with(" dotcart  small-1") || !lines[height - 1].starts_with(FOOTER) {
        return Some("a row is missing".to_string());
    }
    if let Some(line) = lines[5..height - 1].iter().find(|line| line.chars().count() != width) {
        return Some(format!("a panel is torn: `{line}`"));
    }
    let [upper_left, upper_right, lower_left, lower_right] =
        ['┌', '┐', '└', '┘'].map(|corner| screen.chars().filter(|&c| c == corner).count());
    // One more lower left corner: that of the chart's axes.
    let is_closed = upper_left == upper_right && lower_left == lower_right + 1;
    (!is_closed).then(|| "a frame is open".to_string())
}

const ALWAYS: [&str; 15] = [
    "dotcart  small-1",
    "GENERATED",
    "cpu, ",
    "memory ",
    "epoch ",
    "step ",
    "samples/s ",
    "elapsed ",
    "remaining ",
    "precision ",
    "base rate ",
    "lift ",
    "recall ",
    "AUC ",
    "valid 0.",
];

#[test]
fn the_dashboard_is_right_at_three_sizes_and_its_keys_work() {
    let scene = Scene::new("tmux", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 80, 24) else { return };
    tmux.start(ENDLESS);
    tmux.wait_for_whole((80, 24), &[&ALWAYS[..], &["gather items", "natural", "notes"]].concat());

    tmux.keys(&["m"]);
    tmux.wait_for_words(&["precision, %", "⠤⠒ base rate"]);
    tmux.keys(&["BTab", "+", "+"]);
    tmux.wait_for_words(&["loss  ⠤⠒ train", "zoom x4: epochs"]);
    tmux.keys(&["Left", "0"]);
    tmux.wait_for("the whole chart", |screen| !screen.contains("zoom x"));
    tmux.keys(&["?"]);
    tmux.wait_for_words(&["┌ help", "save a checkpoint now", "next chart"]);
    tmux.keys(&["Escape"]);
    tmux.wait_for("no help", |screen| !screen.contains("┌ help"));
    tmux.keys(&["p"]);
    tmux.wait_for_words(&["PAUSED: p goes on", "paused at step"]);
    tmux.keys(&["c"]);
    tmux.wait_for_words(&["checkpoint at step"]);
    tmux.keys(&["p"]);
    tmux.wait_for_words(&["q stop and save"]);

    let roomy = ["by stage", "epochs, * best", "learning rate 0.00001"];
    for (size, more) in [((120, 40), &roomy[..]), ((200, 60), &roomy), ((80, 24), &[])] {
        tmux.resize(size.0, size.1);
        let screen = tmux.wait_for_whole(size, &[&ALWAYS[..], more].concat());
        for word in &roomy[more.len()..] {
            assert!(!screen.contains(word), "{word}\n{screen}");
        }
    }
    tmux.keys(&["q"]);
    let screen = tmux.assert_given_back(0);
    assert!(screen.contains("train --resume small-1"), "{screen}");
    assert!(scene.folder.join("runs/small-1/checkpoint/last.safetensors").is_file());
}

#[test]
fn a_terminal_that_cannot_show_it_gets_lines() {
    let scene = Scene::new("dumb", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 100, 50) else {
        return;
    };
    for setting in ["TERM=dumb", "LC_ALL=C"] {
        tmux.enter(&format!("clear; export {setting}"));
        tmux.start("train config.toml --device cpu");
        let screen = tmux.assert_given_back(0);
        assert!(
            screen.is_ascii() && !screen.contains("q stop and save"),
            "{setting}\n{screen}"
        );
    }
    tmux.enter("clear; unset LC_ALL; export TERM=screen LANG=C.UTF-8");
    tmux.start(ENDLESS);
    tmux.wait_for_words(&["q stop and save"]);
    tmux.keys(&["q"]);
    tmux.assert_given_back(0);
}

#[test]
fn a_terminal_sees_no_control_character_of_csv() {
    let scene = Scene::new("csv", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 100, 30) else {
        return;
    };
    let rows: String = (0..400)
        .map(|row| {
            format!(
                "{{\"user\": \"u{}\", \"product\": \"\\u001b[2Jp{}\", \"rating\": {}}}\n",
                row % 40,
                row * 7 % 31,
                1 + row % 5
            )
        })
        .collect();
    std::fs::write(scene.folder.join("rows.jsonl"), rows).unwrap();
    scene.succeed(&[
        "train",
        "config.toml",
        "--device",
        "cpu",
        "--set",
        "data.path=rows.jsonl",
        "--set",
        "oversample.strategy=none",
    ]);
    tmux.start("recommend --user u1 --csv");
    let screen = tmux.wait_for_words(&["user,rank,product", "exit code 0"]);
    assert!(screen.contains(r"\u{1b}[2Jp"), "{screen}");
}

#[test]
fn a_tiny_terminal_is_no_fault() {
    let scene = Scene::new("tiny", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 80, 24) else { return };
    tmux.start(ENDLESS);
    tmux.wait_for_words(&["valid 0."]);
    for (width, height) in [(20, 5), (2, 2), (1, 1)] {
        tmux.resize(width, height);
        tmux.keys(&["?", "m", "+", "Left"]);
        std::thread::sleep(Duration::from_millis(300));
    }
    tmux.resize(80, 24);
    tmux.wait_for_words(&["q stop and save"]);
    tmux.keys(&["q"]);
    tmux.assert_given_back(0);
}

#[test]
fn pausing_and_saving_change_no_byte_and_take_no_time() {
    let scene = Scene::new("pause", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 80, 24) else { return };
    // So slow to learn that the last epoch is the best: its model depends on all before.
    let long = "--device cpu --set train.epochs=100 --set train.batch_size=64 --set train.learning_rate=2e-5";
    tmux.start(&format!("train config.toml --set name=paused {long}"));
    tmux.wait_for_words(&["valid 0."]);
    for _ in 0..2 {
        tmux.keys(&["p"]);
        tmux.wait_for_words(&["PAUSED"]);
        tmux.keys(&["c"]);
        tmux.wait_for_words(&["checkpoint at step"]);
        tmux.keys(&["Space"]);
        tmux.wait_for_words(&["q stop and save"]);
        tmux.keys(&["c"]);
    }
    tmux.assert_given_back(0);
    let arguments = ["train", "config.toml", "--set", "name=whole"];
    scene.succeed(&arguments.into_iter().chain(long.split(' ')).collect::<Vec<_>>());
    assert!(
        scene.read("runs/paused-1/model.safetensors") == scene.read("runs/whole-1/model.safetensors"),
        "another model"
    );

    let log = String::from_utf8(scene.read("runs/paused-1/metrics.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times = |name: &str| -> Vec<f64> {
        let named = events.iter().filter(|event| event["event"] == name);
        named.map(|event| event["seconds"].as_f64().unwrap()).collect()
    };
    let (paused, resumed) = (times("paused"), times("resumed"));
    assert_eq!((paused.len(), resumed.len()), (2, 2), "{log}");
    // Half a second at least, by the clock on the wall: the test waits for pictures, which are a tenth apart, and saves.
    for (paused, resumed) in paused.iter().zip(&resumed) {
        assert!(resumed - paused < 0.05, "the clock went on: {paused} to {resumed}");
    }
}

#[test]
fn ctrl_c_and_sigterm_save_and_give_the_terminal_back() {
    let scene = Scene::new("signals", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 80, 24) else { return };
    for (run, by_key) in [("small-1", true), ("small-2", false)] {
        tmux.enter("clear");
        tmux.enter(&format!(
            "{} {ENDLESS} & echo $! > pid; fg; echo exit code $?",
            env!("CARGO_BIN_EXE_dotcart")
        ));
        tmux.wait_for_words(&[run, "valid 0."]);
        if by_key {
            tmux.keys(&["C-c"]);
        } else {
            let process = String::from_utf8(scene.read("pid")).unwrap();
            let killed = Command::new("kill").args(["-TERM", process.trim()]).status().unwrap();
            assert!(killed.success());
        }
        let screen = tmux.assert_given_back(130);
        assert!(screen.contains(&format!("train --resume {run}")), "{screen}");
        let saved = scene.folder.join("runs").join(run).join("checkpoint/last.safetensors");
        assert!(saved.is_file());
    }
}

/// Set for the process within the terminal that panics under a dashboard.
const PANICS: &str = "DOTCART_TEST_PANICS";

#[test]
fn a_panic_gives_the_terminal_back_and_is_read() {
    if std::env::var_os(PANICS).is_some() {
        let _dashboard = Terminal::start(Role::Training, Box::new(|_| {})).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        panic!("a panic on purpose");
    }
    let scene = Scene::new("panic", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 80, 24) else { return };
    let test = "terminal::a_panic_gives_the_terminal_back_and_is_read";
    let program = std::env::current_exe().unwrap();
    tmux.enter(&format!(
        "{PANICS}=1 RUST_BACKTRACE=0 {} {test} --exact --nocapture; echo exit code $?",
        program.display()
    ));
    tmux.wait_for_words(&["q stop and save"]);
    let screen = tmux.assert_given_back(101);
    assert!(screen.contains("a panic on purpose"), "{screen}");
}

#[test]
fn without_colour_nothing_is_missing_but_the_colour() {
    let scene = Scene::new("colour", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 80, 24) else { return };
    for (variable, is_coloured) in [("NO_COLOR=1", false), ("NO_COLOR=", true)] {
        tmux.enter("clear");
        tmux.enter(&format!("{variable} {} {ENDLESS}", env!("CARGO_BIN_EXE_dotcart")));
        tmux.wait_for_words(&ALWAYS.map(|word| match word {
            "dotcart  small-1" => "dotcart  small-",
            word => word,
        }));
        let screen = tmux.run(&["capture-pane", "-e", "-p", "-t", "test"]);
        // `38;5;6` is a colour of the palette; `39` takes it back.
        assert_eq!(screen.contains("38;5;"), is_coloured, "{variable}\n{screen}");
        tmux.keys(&["q"]);
        tmux.wait_for_words(&["train --resume"]);
    }
}

#[test]
fn another_terminal_watches_a_training_and_sees_it_again_afterwards() {
    let scene = Scene::new("watch", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 120, 40) else {
        return;
    };
    let endless: Vec<&str> = ENDLESS.split(' ').chain(["--plain"]).collect();
    let mut training = scene
        .command(&endless)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let log = scene.folder.join("runs/small-1/metrics.jsonl");
    let start = Instant::now();
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("epoch_ended")) {
        assert!(start.elapsed() < Duration::from_secs(60), "no epoch ends");
        std::thread::sleep(Duration::from_millis(20));
    }
    tmux.start("watch small-1");
    let epoch = |screen: &str| screen.split("epoch ").nth(1)?.split('/').next()?.parse::<usize>().ok();
    let screen = tmux.wait_for_words(&["q leave, it trains on", "valid 0.", "base rate"]);
    let first = epoch(&screen).unwrap();
    tmux.wait_for("a later epoch", |screen| epoch(screen).is_some_and(|now| now > first));
    // So long that its replay can be held. A stage's own seconds do not count.
    let seconds = |event: &str| serde_json::from_str::<serde_json::Value>(event).ok()?["seconds"].as_f64();
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.lines().filter_map(seconds).any(|seconds| seconds > 4.0)) {
        std::thread::sleep(Duration::from_millis(50));
    }
    // The training is killed: the picture stays and says how to go on.
    training.kill().unwrap();
    training.wait().unwrap();
    tmux.wait_for_words(&["`train --resume small-1` continues   q leave"]);
    tmux.keys(&["q"]);
    tmux.assert_given_back(0);

    tmux.enter("clear");
    tmux.start("watch small-1");
    tmux.wait_for_words(&["q leave the replay", "valid 0."]);
    tmux.keys(&["p"]);
    tmux.wait_for_words(&["HELD"]);
    tmux.keys(&["e"]);
    tmux.wait_for_words(&["`train --resume small-1` continues   q leave"]);
    tmux.keys(&["C-c"]);
    tmux.assert_given_back(130);
}

#[test]
fn a_closed_window_saves_and_ends_the_training() {
    let scene = Scene::new("hangup", CONFIG);
    let Some(tmux) = Tmux::open(&scene, 80, 24) else { return };
    tmux.enter(&format!(
        "{} {ENDLESS} & echo $! > pid; fg",
        env!("CARGO_BIN_EXE_dotcart")
    ));
    tmux.wait_for_words(&["valid 0."]);
    let process = String::from_utf8(scene.read("pid")).unwrap();
    tmux.run(&["kill-server"]);
    let start = Instant::now();
    while Command::new("kill")
        .args(["-0", process.trim()])
        .output()
        .unwrap()
        .status
        .success()
    {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the training lives on without its terminal"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(scene.folder.join("runs/small-1/checkpoint/last.safetensors").is_file());
}

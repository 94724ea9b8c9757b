//! `dotcart sweep`: many trainings of one config; killed, continued, at once and one by one, and wrong input.

use super::scene::{CONFIG, Ran, Scene};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

const RESULTS: &str = "runs/small-sweep/results.jsonl";

/// Four trials of the small experiment.
const GRID: [&str; 8] = [
    "sweep",
    "config.toml",
    "--device",
    "cpu",
    "--over",
    "train.learning_rate=0.003,0.02",
    "--over",
    "model.dim=4,8",
];

/// The same, each of them half a second long.
fn long_grid() -> Vec<&'static str> {
    [
        GRID.as_slice(),
        &["--set", "train.epochs=30", "--set", "train.batch_size=64"],
    ]
    .concat()
}

/// The journal's lines without their times.
fn results(scene: &Scene) -> Vec<Value> {
    let text = String::from_utf8(scene.read(RESULTS)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|mut line| {
            line.as_object_mut().unwrap().remove("seconds").expect("a time");
            line
        })
        .collect()
}

#[test]
fn a_grid_is_ranked_and_its_best_config_trains_to_the_same_figures() {
    let scene = Scene::new("sweep-grid", CONFIG);
    let stdout = scene.succeed(&GRID);
    let results = results(&scene);
    assert_eq!(results.len(), 4);
    let loss = |result: &Value| result["valid"]["loss"].as_f64().unwrap();
    let best = results.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    let number = 1 + results.iter().position(|result| result == best).unwrap();

    let lines: Vec<&str> = stdout.lines().collect();
    assert!(
        stdout.contains("GENERATED ratings, 4 trials, judged on 1,200 validation rows"),
        "{stdout}"
    );
    assert!(lines.contains(&"best first by loss:"), "{stdout}");
    let first = lines[4].split_whitespace().collect::<Vec<_>>();
    assert_eq!(first[0], number.to_string(), "{stdout}");
    assert_eq!(first[3], format!("{:.4}", loss(best)), "{stdout}");
    assert_eq!(lines.len(), 8);

    // Nothing else is left: no run, no trial's folder.
    let mut names: Vec<_> = std::fs::read_dir(scene.folder.join("runs/small-sweep"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["base.toml", "best.toml", "data.json", "lock", "results.jsonl"]);
    assert_eq!(std::fs::read_dir(scene.folder.join("runs")).unwrap().count(), 1);

    scene.succeed(&["train", "runs/small-sweep/best.toml"]);
    let metrics = String::from_utf8(scene.read("runs/small-1/metrics.jsonl")).unwrap();
    let mut events = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = events.clone().rfind(|event| event["event"] == "validated").unwrap();
    assert_eq!(last["metrics"], best["last"]);
    let of_best = events
        .rfind(|event| event["event"] == "validated" && event["epoch"] == best["best_epoch"])
        .unwrap();
    assert_eq!(of_best["metrics"], best["valid"]);
}

#[test]
fn more_values_and_more_draws_continue_a_sweep() {
    let scene = Scene::new("sweep-more", CONFIG);
    let draws = |trials: &'static str| {
        let range = [
            "--over",
            "train.l2=0.001..1",
            "--over",
            "model.dim=4,8",
            "--trials",
            trials,
            "--json",
        ];
        let stdout = scene.succeed(&[["sweep", "config.toml", "--device", "cpu"].as_slice(), &range].concat());
        stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    assert_eq!(draws("2").len(), 2);
    let before = results(&scene);
    let ranking = draws("5");
    assert_eq!(ranking.len(), 5);
    assert!(ranking.is_sorted_by_key(|trial| trial["valid"]["loss"].as_f64().unwrap()));
    let after = results(&scene);
    assert_eq!((after.len(), &after[..2]), (5, before.as_slice()));
}

/// Starts the long grid and waits until a trial is in the journal.
fn start_and_wait(scene: &Scene) -> std::process::Child {
    let mut command = scene.command(&long_grid());
    let sweep = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while std::fs::read(scene.folder.join(RESULTS)).map_or(true, |text| text.is_empty()) {
        assert!(start.elapsed() < Duration::from_secs(60), "no trial after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    sweep
}

#[test]
fn a_killed_sweep_goes_on_to_the_same_results_as_one_that_trains_two_at_once() {
    let scene = Scene::new("sweep-kill", CONFIG);
    let mut sweep = start_and_wait(&scene);
    sweep.kill().unwrap();
    sweep.wait().unwrap();
    let first = results(&scene);
    assert!(first.len() < 4, "the sweep was over before it was killed");
    // What a kill in the midst of writing leaves.
    let mut torn = scene.read(RESULTS);
    torn.extend_from_slice(b"{\"settings\":{\"train.lea");
    std::fs::write(scene.folder.join(RESULTS), torn).unwrap();

    let ran = scene.run(&long_grid());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains(&format!("4 trials, {} of them done already", first.len())),
        "{}",
        ran.stderr
    );
    let all = results(&scene);
    assert_eq!((all.len(), &all[..first.len()]), (4, first.as_slice()));

    let two = Scene::new("sweep-jobs", CONFIG);
    two.succeed(&[long_grid(), vec!["--jobs", "2"]].concat());
    let mut at_once = results(&two);
    // Trials that train at once end in any order.
    at_once.sort_by_key(|result| all.iter().position(|other| other["settings"] == result["settings"]));
    assert_eq!(at_once, all);
    assert_eq!(
        two.read("runs/small-sweep/best.toml"),
        scene.read("runs/small-sweep/best.toml")
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_ends_with_130_and_goes_on() {
    let scene = Scene::new("sweep-interrupt", CONFIG);
    let mut sweep = start_and_wait(&scene);
    let id = sweep.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(sweep.wait().unwrap().code(), Some(130));
    assert!(!scene.folder.join("runs/small-sweep/best.toml").exists());
    scene.succeed(&long_grid());
    assert_eq!(results(&scene).len(), 4);
}

#[test]
fn a_trial_that_runs_away_is_told_and_ranked_last() {
    let scene = Scene::new("sweep-diverged", CONFIG);
    let over = |rates: &str| -> Ran {
        let rates = format!("train.learning_rate={rates}");
        scene.run(&[
            "sweep",
            "config.toml",
            "--device",
            "cpu",
            "--set",
            "train.optimizer=sgd",
            "--over",
            &rates,
        ])
    };
    let ran = over("1e30");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("error: no trial came to an end: the model has diverged: a weight is "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("hint: lower `train.learning_rate`"),
        "{}",
        ran.stderr
    );
    let ran = over("1e30,10");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let last = ran.stdout.lines().last().unwrap();
    assert!(
        last.trim_start().starts_with("1 ")
            && last.contains("1e+30")
            && last.ends_with("the model has diverged: a weight is NaN"),
        "{}",
        ran.stdout
    );
    assert!(
        String::from_utf8(scene.read("runs/small-sweep/best.toml"))
            .unwrap()
            .contains("learning_rate = 10.0")
    );
}

#[test]
fn every_fault_has_its_place_its_hint_and_leaves_nothing() {
    let scene = Scene::new("sweep-faults", CONFIG);
    let fails = |more: &[&str]| {
        let before = scene.files("runs");
        let ran = scene.run(&[["sweep", "config.toml", "--device", "cpu"].as_slice(), more].concat());
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(1), ""),
            "{more:?}\n{}",
            ran.stderr
        );
        assert!(scene.files("runs") == before, "{more:?} left something");
        let start = ran.stderr.find("error: ").expect("an error");
        ran.stderr[start..].trim_end().replace("\n\n", " | ")
    };
    assert_eq!(
        fails(&["--over", "train.epoch=1,2"]),
        "error: unknown key `train.epoch` (--over train.epoch=1) | hint: did you mean `train.epochs`?"
    );
    assert_eq!(
        fails(&["--over", "train.l2=0.1,-1"]),
        "error: `train.l2`: found `-1`, wanted a number of at least 0 (--over train.l2=-1) | hint: `configs/electronics.toml` explains every key"
    );
    assert_eq!(
        fails(&["--over", "train.l2=0.1..1"]),
        "error: `train.l2` is a range, and a grid has none | hint: `--trials 20` draws that many, or give values with commas"
    );
    for key in [
        "seed=1,2",
        "split.valid=0.1,0.2",
        "split={valid=0.2}",
        "train.target=scaled,binary",
    ] {
        let name = key.split('=').next().unwrap();
        assert_eq!(
            fails(&["--over", key]),
            format!(
                "error: `{name}` cannot be varied: trials would not be judged on the same ratings by the same measure | hint: `--set {name}=...` sets it for all trials"
            )
        );
    }
    assert_eq!(
        fails(&["--over", "train.l2=0.1", "--set", "split.valid=0"]),
        "error: no row is held out to judge trials on: `split.valid` is 0 | hint: `--set split.valid=0.1` holds a tenth out"
    );
    assert!(
        fails(&["--over", "train.l2"]).starts_with("error: `--over train.l2`: wanted `key=values` | hint: for example")
    );

    scene.succeed(&["sweep", "config.toml", "--device", "cpu", "--over", "train.l2=0.1"]);
    assert_eq!(
        fails(&["--over", "train.l2=0.1", "--set", "train.epochs=2"]),
        "error: `runs/small-sweep` holds a sweep of another config or of other ratings | hint: `--out FOLDER` begins another one; or remove the folder"
    );
    let whole = scene.read(RESULTS);
    std::fs::write(
        scene.folder.join(RESULTS),
        [whole.as_slice(), b"{\"settings\":1}\n"].concat(),
    )
    .unwrap();
    let message = fails(&["--over", "train.l2=0.1,0.2"]);
    assert!(
        message.starts_with("error: `runs/small-sweep/results.jsonl`: line 2 is no result of a sweep: "),
        "{message}"
    );
    assert!(
        message.ends_with("hint: remove the line, and its trial is done again"),
        "{message}"
    );
    assert_eq!(
        scene.run(&["sweep", "config.toml"]).code,
        Some(2),
        "nothing to vary is a usage error"
    );
}

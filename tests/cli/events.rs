//! A training without a terminal: lines, events as JSON, quiet, TensorBoard, and the log that all of it can be seen in again.

use super::needs::gpu;
use super::scene::{CONFIG, Ran, Scene};
use serde_json::Value;

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn log(scene: &Scene, run: &str) -> Vec<Value> {
    events(&String::from_utf8(scene.read(&format!("runs/{run}/metrics.jsonl"))).unwrap())
}

#[test]
fn json_is_the_log_line_by_line_and_then_the_evaluation() {
    let scene = Scene::new("json", CONFIG);
    let ran = scene.run(&["train", "config.toml", "--device", "cpu", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut printed = events(&ran.stdout);
    let last = printed.pop().unwrap();
    assert_eq!(last["event"], "evaluated");
    assert_eq!(last["run"], "runs/small-1");
    assert_eq!(last["evaluation"], scene.json("runs/small-1/evaluation.json"));
    assert_eq!(printed, log(&scene, "small-1"));
    let names: Vec<&str> = printed.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("started", "finished"));
    for name in [
        "epoch_started",
        "progress",
        "measured",
        "validated",
        "epoch_ended",
        "checkpoint_saved",
    ] {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    let measured = printed.iter().find(|event| event["event"] == "measured").unwrap();
    assert_eq!(measured["learning_rate"], 0.01);
    assert!(
        measured["stages"]
            .as_array()
            .unwrap()
            .iter()
            .all(|stage| stage["seconds"].is_f64())
    );
    assert!(!ran.stderr.contains("epoch "), "{}", ran.stderr);
    assert!(ran.stderr.contains("GENERATED"), "{}", ran.stderr);
}

#[test]
fn a_gpu_tells_its_stages_from_a_step_now_and_then() {
    if gpu().is_none() {
        return;
    }
    let scene = Scene::new("gpu-stages", CONFIG);
    scene.succeed(&["train", "config.toml", "--device", "gpu", "--quiet"]);
    let log = log(&scene, "small-1");
    let measured: Vec<&Value> = log.iter().filter(|event| event["event"] == "measured").collect();
    let seconds = |event: &Value| -> f64 {
        let stages = event["stages"].as_array().unwrap().iter();
        stages.map(|stage| stage["seconds"].as_f64().unwrap()).sum()
    };
    let (first, last) = (measured[0], measured[measured.len() - 1]);
    assert!(seconds(first) == 0.0 && seconds(last) > 0.0, "{first} {last}");
    // Only some of the steps are waited for.
    assert!(seconds(last) < 0.5 * last["seconds"].as_f64().unwrap(), "{last}");
}

#[test]
fn a_reader_who_has_enough_does_not_stop_a_training() {
    let scene = Scene::new("json-pipe", CONFIG);
    let mut command = scene.command(&["train", "config.toml", "--device", "cpu", "--json"]);
    let mut training = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(training.stdout.take());
    let ran = Ran::of(training.wait_with_output().unwrap());
    assert_eq!(
        (ran.code, ran.stderr.contains("error")),
        (Some(0), false),
        "{}",
        ran.stderr
    );
    assert!(scene.folder.join("runs/small-1/manifest.json").is_file());
}

#[test]
fn quiet_prints_the_result_and_errors_alone() {
    let scene = Scene::new("quiet", CONFIG);
    let ran = scene.run(&["train", "config.toml", "--device", "cpu", "--quiet"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(
        ran.stdout.contains("GENERATED") && ran.stdout.contains("base rate"),
        "{}",
        ran.stdout
    );
    assert_eq!(log(&scene, "small-1").last().unwrap()["reason"], "completed");
    let wrong = scene.run(&["train", "absent.toml", "--quiet"]);
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.stderr.starts_with("error: ") && wrong.stderr.contains("hint: "),
        "{}",
        wrong.stderr
    );
}

#[test]
fn watch_prints_the_lines_that_the_training_printed() {
    let scene = Scene::new("watch-lines", CONFIG);
    let trained = scene.run(&["train", "config.toml", "--device", "cpu"]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let lines = scene.succeed(&["watch", "small-1"]);
    assert!(
        trained.stderr.ends_with(&lines),
        "{lines}\nis not the end of\n{}",
        trained.stderr
    );
    assert!(lines.starts_with("run      small-1\n"), "{lines}");
    assert!(lines.contains("completed in"), "{lines}");

    // A run that was killed, within a line.
    let path = scene.folder.join("runs/small-1/metrics.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let cut = text.rfind("epoch_ended").unwrap() + 5;
    std::fs::write(&path, &text[..cut]).unwrap();
    let lines = scene.succeed(&["watch", "runs/small-1"]);
    assert!(lines.contains("epoch 2/3  done"), "{lines}");
    assert!(lines.ends_with("`train --resume small-1` continues\n"), "{lines}");

    let unknown = scene.run(&["watch", "nobody"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("error: there is no run `nobody`"),
        "{}",
        unknown.stderr
    );
    std::fs::remove_file(&path).unwrap();
    let unlogged = scene.run(&["watch", "small-1"]);
    assert_eq!(unlogged.code, Some(1));
    assert!(
        unlogged.stderr.contains("cannot read `runs/small-1/metrics.jsonl`"),
        "{}",
        unlogged.stderr
    );
}

#[test]
fn tensorboard_gets_a_file_of_whole_records() {
    let scene = Scene::new("tensorboard", CONFIG);
    scene.succeed(&["train", "config.toml", "--device", "cpu", "--tensorboard", "board/all"]);
    let files = scene.files("board/all/small-1");
    let [(path, bytes)] = &files[..] else {
        panic!("{} files", files.len());
    };
    assert!(
        path.file_name().unwrap().to_string_lossy().contains("tfevents"),
        "{path:?}"
    );
    let (mut rest, mut records) = (&bytes[..], Vec::new());
    while let Some((head, body)) = rest.split_at_checked(12) {
        let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
        records.push(&body[..length]);
        rest = &body[length + 4..];
    }
    assert!(rest.is_empty(), "a record is cut");
    let with = |tag: &str| {
        let has = |record: &&&[u8]| record.windows(tag.len()).any(|part| part == tag.as_bytes());
        records.iter().filter(has).count()
    };
    let events = log(&scene, "small-1");
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!(with("brain.Event:2"), 1);
    assert_eq!(with("loss/train"), count("progress"));
    assert_eq!((with("valid/precision"), with("valid/base_rate")), (3, 3));
    assert_eq!(with("learning_rate"), count("measured"));

    std::fs::write(scene.folder.join("file"), "").unwrap();
    let before = scene.files("runs").len();
    let refused = scene.run(&["train", "config.toml", "--tensorboard", "file/board"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.starts_with("error: cannot write `file/board`: "),
        "{}",
        refused.stderr
    );
    assert_eq!(scene.files("runs").len(), before, "no run was begun");
}

//! The same seed gives the same model, byte for byte: for any number of threads, however often one looks or saves, after a
//! kill and a resume, and on a GPU from run to run.

use super::needs::gpu;
use super::scene::{CONFIG, Scene};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

const MODEL: &str = "model.safetensors";

/// Trains a run called `name` and returns its model.
fn model(scene: &Scene, name: &str, more: &[&str]) -> Vec<u8> {
    let name_is = format!("name={name}");
    let arguments = [&["train", "config.toml", "--set", &name_is], more].concat();
    scene.succeed(&arguments);
    scene.read(&format!("runs/{name}-1/{MODEL}"))
}

#[test]
fn threads_looks_and_checkpoints_change_no_bit() {
    let scene = Scene::new("threads", CONFIG);
    let reference = model(&scene, "one", &["--device", "cpu", "--set", "threads=1"]);
    assert!(
        reference == model(&scene, "two", &["--device", "cpu", "--set", "threads=2"]),
        "two threads"
    );
    let busy = [
        "--device",
        "cpu",
        "--set",
        "train.evaluate_steps=3",
        "--set",
        "train.checkpoint_steps=2",
    ];
    assert!(
        reference == model(&scene, "busy", &busy),
        "evaluated and saved more often"
    );
    assert!(
        reference != model(&scene, "seed", &["--device", "cpu", "--set", "seed=7"]),
        "another seed"
    );
}

/// Long enough to be hit in the middle, and so slow to learn that the last epoch is the best: its model depends on all before.
const LONG: [&str; 10] = [
    "--device",
    "cpu",
    "--set",
    "train.epochs=30",
    "--set",
    "train.checkpoint_steps=20",
    "--set",
    "train.batch_size=64",
    "--set",
    "train.learning_rate=2e-5",
];

/// Trains a run called `whole` for long and returns its model.
fn long_model(scene: &Scene, more: &[&str]) -> Vec<u8> {
    let arguments = [&["train", "config.toml", "--set", "name=whole"], LONG.as_slice(), more].concat();
    let stdout = scene.succeed(&arguments);
    assert!(stdout.contains("best epoch 30"), "{stdout}");
    scene.read(&format!("runs/whole-1/{MODEL}"))
}

/// What a long training comes to that is left alone.
static LONG_MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| long_model(&Scene::new("long", CONFIG), &[]));

/// A training on its way; ended with the test.
struct Training(Child);

impl Drop for Training {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the long training, and waits until it has saved `checkpoints` checkpoints.
fn start_and_wait(scene: &Scene, checkpoints: usize) -> Training {
    start_and_wait_for(scene, "checkpoint_saved", checkpoints, &[])
}

/// The same with more arguments, until an event was seen `count` times.
fn start_and_wait_for(scene: &Scene, event: &str, count: usize, more: &[&str]) -> Training {
    let arguments = [&["train", "config.toml", "--set", "name=cut"], LONG.as_slice(), more].concat();
    let mut command = scene.command(&arguments);
    let training = Training(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let metrics = scene.folder.join("runs/cut-1/metrics.jsonl");
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(&metrics).unwrap_or_default();
        if text.matches(event).count() >= count {
            return training;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no {event} after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts the long training with more arguments and kills it when an event was seen `count` times.
fn kill_after(scene: &Scene, event: &str, count: usize, more: &[&str]) {
    drop(start_and_wait_for(scene, event, count, more));
    assert!(
        !scene.folder.join("runs/cut-1/manifest.json").exists(),
        "the training was over before it was killed"
    );
    // What the checkpoint calls the best epoch is there, wherever the kill fell.
    let last = scene.read("runs/cut-1/checkpoint/last.safetensors");
    let (length, rest) = last.split_at(8);
    let header = &rest[..u64::from_le_bytes(length.try_into().unwrap()) as usize];
    let header: Value = serde_json::from_slice(header).unwrap();
    let notes = header["__metadata__"].as_object().unwrap().values();
    let place = notes.filter_map(|note| serde_json::from_str::<Value>(note.as_str()?).ok());
    let best = place.filter_map(|place| place["best"]["epoch"].as_u64()).next();
    let best = best.expect("a checkpoint has a place");
    let file = format!("runs/cut-1/checkpoint/best-{best}.safetensors");
    assert!(best == 0 || scene.folder.join(&file).is_file(), "{file}");
}

#[test]
fn a_killed_training_resumes_to_the_same_bytes() {
    let scene = Scene::new("kill", CONFIG);
    // In the middle of an epoch.
    kill_after(&scene, "checkpoint_saved", 5, &[]);
    let refused = scene.run(&["recommend", "--user", "x", "--run", "cut-1"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("is unfinished") && refused.stderr.contains("--resume"),
        "{}",
        refused.stderr
    );
    scene.succeed(&["train", "--resume", "cut-1"]);
    assert!(*LONG_MODEL == scene.read("runs/cut-1/model.safetensors"));
    // Complete runs are not trained on, and keep nothing that only training needs.
    assert!(!scene.folder.join("runs/cut-1/checkpoint").exists());
    let again = scene.run(&["train", "--resume", "cut-1"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is complete already"), "{}", again.stderr);
}

#[test]
fn a_training_that_draws_anew_each_epoch_resumes_to_the_same_bytes() {
    let scene = Scene::new("redraw", CONFIG);
    let redraw = ["--set", "oversample.resample=each-epoch"];
    let reference = long_model(&scene, &redraw);
    assert!(reference != *LONG_MODEL, "the same rows are drawn each epoch");
    // In the middle of an epoch after the first.
    kill_after(&scene, "checkpoint_saved", 25, &redraw);
    scene.succeed(&["train", "--resume", "cut-1"]);
    assert!(reference == scene.read("runs/cut-1/model.safetensors"));
}

#[test]
fn a_training_killed_after_a_reduction_resumes_to_the_same_bytes() {
    let scene = Scene::new("plateau", CONFIG);
    // So fast to learn that the best epoch comes early, and the learning rate falls again and again.
    let plateau = [
        "--set",
        "train.learning_rate=5e-2",
        "--set",
        "train.epochs=20",
        "--set",
        "train.early_stopping.patience=0",
        "--set",
        "train.reduce_on_plateau={ factor = 0.5, patience = 2 }",
    ];
    scene.succeed(
        &[
            &["train", "config.toml", "--set", "name=whole"],
            LONG.as_slice(),
            &plateau,
        ]
        .concat(),
    );
    kill_after(&scene, "learning_rate_reduced", 2, &plateau);
    scene.succeed(&["train", "--resume", "cut-1"]);
    // The best epoch came before the kill: what tells is how the last one was judged.
    let [whole, cut] = ["whole-1", "cut-1"].map(|run| last_figures(&scene, run));
    assert!(whole.1.len() > 2, "{whole:?}");
    assert_eq!(whole, cut);
}

#[test]
fn a_prior_centred_by_who_rated_what_keeps_the_bytes() {
    let scene = Scene::new("centred", CONFIG);
    let centred = ["--set", "train.prior={ bias = 0.5, embedding = 1.0, centre_rank = 8 }"];
    let with = |name: &str, threads: &str, prior: &[&str]| {
        let threads = format!("threads={threads}");
        model(&scene, name, &[&["--device", "cpu", "--set", &threads], prior].concat())
    };
    let reference = with("one", "1", &centred);
    assert!(reference == with("two", "2", &centred), "two threads");
    let at_zero = ["--set", "train.prior={ bias = 0.5, embedding = 1.0 }"];
    assert!(reference != with("zero", "1", &at_zero), "no centre");

    scene.succeed(
        &[
            &["train", "config.toml", "--set", "name=whole"],
            LONG.as_slice(),
            &centred,
        ]
        .concat(),
    );
    kill_after(&scene, "checkpoint_saved", 5, &centred);
    scene.succeed(&["train", "--resume", "cut-1"]);
    assert!(last_figures(&scene, "whole-1") == last_figures(&scene, "cut-1"));
}

/// What the last epoch of a run came to on valid, to the last digit, and all reductions of its learning rate.
fn last_figures(scene: &Scene, run: &str) -> (Value, BTreeMap<u64, Value>) {
    let events = String::from_utf8(scene.read(&format!("runs/{run}/metrics.jsonl"))).unwrap();
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut figures, mut reductions) = (Value::Null, BTreeMap::new());
    for mut event in events {
        event.as_object_mut().unwrap().remove("seconds");
        match event["event"].as_str().unwrap() {
            "validated" => figures = event,
            // Those of an epoch that was trained twice are told twice.
            "learning_rate_reduced" => drop(reductions.insert(event["epoch"].as_u64().unwrap(), event)),
            _ => {}
        }
    }
    assert!(figures.is_object());
    (figures, reductions)
}

#[test]
fn an_interrupt_saves_and_ends_with_130() {
    let scene = Scene::new("interrupt", CONFIG);
    let mut training = start_and_wait(&scene, 2);
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &training.0.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let code = training.0.wait().unwrap().code();
    assert_eq!(code, Some(130));
    scene.succeed(&["train", "--resume", "cut-1"]);
    assert!(*LONG_MODEL == scene.read("runs/cut-1/model.safetensors"));
}

/// Losses of the epochs' ends on valid, and the test split's.
fn losses(scene: &Scene, run: &str) -> Vec<f64> {
    let text = String::from_utf8(scene.read(&format!("runs/{run}/metrics.jsonl"))).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    // An epoch that was trained twice is told twice.
    let losses: BTreeMap<u64, f64> = events
        .filter_map(|event| Some((event["epoch"].as_u64()?, event["metrics"]["loss"].as_f64()?)))
        .collect();
    let evaluation = scene.json(&format!("runs/{run}/evaluation.json"));
    let test = evaluation["ratings"][0]["loss"].as_f64().unwrap();
    losses.into_values().chain([test]).collect()
}

/// Both engines do the same f32 arithmetic; they add in another order and their exp, ln and sqrt round differently. Over the
/// 90 steps here the losses differ by some 1e-7; three digits of room are left for other drivers.
const LOSS_TOLERANCE: f64 = 1e-4;

#[test]
fn a_gpu_gives_the_same_bytes_twice_and_the_losses_of_the_cpu() {
    if gpu().is_none() {
        return;
    }
    let scene = Scene::new("gpu", CONFIG);
    let first = model(&scene, "first", &["--device", "gpu"]);
    assert!(
        first == model(&scene, "second", &["--device", "gpu"]),
        "two runs on one device differ"
    );
    model(&scene, "cpu", &["--device", "cpu"]);
    let (gpu, cpu) = (losses(&scene, "first-1"), losses(&scene, "cpu-1"));
    assert_eq!((gpu.len(), cpu.len()), (4, 4));
    for (place, (gpu, cpu)) in gpu.iter().zip(&cpu).enumerate() {
        assert!((gpu - cpu).abs() < LOSS_TOLERANCE, "loss {place}: gpu {gpu}, cpu {cpu}");
    }
}

#[test]
fn a_training_moves_from_one_engine_to_the_other() {
    if gpu().is_none() {
        return;
    }
    let scene = Scene::new("move", CONFIG);
    // So fast to learn that a step that is lost, or taken twice, shows.
    let fast = ["--set", "train.epochs=6", "--set", "train.learning_rate=1e-3"];
    scene.succeed(&[&["train", "config.toml", "--set", "name=whole"], LONG.as_slice(), &fast].concat());
    kill_after(&scene, "checkpoint_saved", 20, &fast);
    scene.succeed(&["train", "--resume", "cut-1", "--device", "gpu"]);
    let (moved, stayed) = (losses(&scene, "cut-1"), losses(&scene, "whole-1"));
    assert_eq!((moved.len(), stayed.len()), (7, 7));
    let [whole, cut] = ["whole-1", "cut-1"].map(|run| scene.read(&format!("runs/{run}/{MODEL}")).len());
    assert_eq!(whole, cut);
    for (place, (moved, stayed)) in moved.iter().zip(&stayed).enumerate() {
        // Measured: 1e-8. A step more or less is 1e-4.
        assert!(
            (moved - stayed).abs() < 1e-5,
            "loss {place}: {moved} moved, {stayed} stayed"
        );
    }
}

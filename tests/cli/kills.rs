//! What a kill leaves, at whatever moment it comes: the newest complete run is found, the rest is named rightly or cleared away.

use super::scene::{CONFIG, Scene};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

const QUICK: [&str; 6] = ["train", "config.toml", "--device", "cpu", "--set", "train.epochs=1"];

/// The run that a command answers from when none is named.
#[track_caller]
fn assert_newest(scene: &Scene, run: &str) {
    let ran = scene.run(&["report"]);
    assert_eq!(ran.stderr, format!("report: runs/{run}/report.html\n"));
    assert_eq!(ran.code, Some(0));
}

#[test]
fn the_newest_complete_run_is_found_whatever_latest_says() {
    let scene = Scene::new("newest", CONFIG);
    scene.succeed(&QUICK);
    let latest = scene.folder.join("runs/latest");
    // What cannot be written over stands in for a kill, or a full disk, between the manifest and the name.
    std::fs::remove_file(&latest).unwrap();
    std::fs::create_dir(&latest).unwrap();
    scene.succeed(&QUICK);
    assert_newest(&scene, "small-2");
    std::fs::remove_dir(&latest).unwrap();
    assert_newest(&scene, "small-2");
    assert_eq!(scene.read("runs/latest"), b"small-2\n");
    std::fs::write(&latest, "small-1\n").unwrap();
    assert_newest(&scene, "small-2");
    assert_eq!(scene.read("runs/latest"), b"small-2\n");

    // A copy has its files in another order; what counts stands in them.
    for (run, seconds) in [("small-1", 2_000_000_000), ("small-2", 1_000_000_000)] {
        let manifest = scene.folder.join("runs").join(run).join("manifest.json");
        let manifest = File::options().append(true).open(manifest).unwrap();
        manifest
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    }
    assert_newest(&scene, "small-2");
    // Nor does a clock that was set back make an older run the newest.
    let manifest = scene.folder.join("runs/small-2/manifest.json");
    let mut later: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    later["completed_ms"] = 5_000_000_000_000u64.into();
    std::fs::write(&manifest, later.to_string()).unwrap();
    scene.succeed(&QUICK);
    assert_newest(&scene, "small-3");
    // The newest is damaged: that is said, and no older one answers in its place.
    std::fs::write(scene.folder.join("runs/small-3/manifest.json"), "{").unwrap();
    let now = SystemTime::now() + Duration::from_secs(10_000_000_000);
    let manifest = File::options()
        .append(true)
        .open(scene.folder.join("runs/small-3/manifest.json"))
        .unwrap();
    manifest.set_modified(now).unwrap();
    let ran = scene.run(&["report"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("`runs/small-3/manifest.json` is damaged"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_complete_run_gets_what_a_kill_left_unwritten() {
    let scene = Scene::new("unwritten", CONFIG);
    scene.succeed(&QUICK);
    let whole = scene.read("runs/small-1/report.html");
    std::fs::remove_file(scene.folder.join("runs/latest")).unwrap();
    std::fs::remove_file(scene.folder.join("runs/small-1/report.html")).unwrap();
    std::fs::write(scene.folder.join("runs/small-1/report.html.7.partial"), "<html>").unwrap();
    let ran = scene.run(&["train", "--resume", "small-1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        ran.stderr,
        "runs/small-1 is complete; written now: latest, report.html\n"
    );
    assert!(scene.read("runs/small-1/report.html") == whole);
    assert_eq!(scene.read("runs/latest"), b"small-1\n");
    assert!(!scene.folder.join("runs/small-1/report.html.7.partial").exists());
    let again = scene.run(&["train", "--resume", "small-1"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is complete already"), "{}", again.stderr);
}

#[test]
fn a_page_that_cannot_be_written_costs_no_result() {
    let scene = Scene::new("no-page", CONFIG);
    scene.succeed(&QUICK);
    let user = scene.succeed(&QUICK);
    let user = user.trim().rsplit(' ').next().unwrap();
    let long = [&QUICK[..4], &["--set", "train.epochs=30", "--set", "name=page"]].concat();
    let mut training = scene
        .command(&long)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A folder in its place, made as soon as the run is there.
    let run = scene.folder.join("runs/page-1");
    while !run.join("config.toml").exists() {
        assert!(training.try_wait().unwrap().is_none(), "no run");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::fs::create_dir(run.join("report.html")).unwrap();
    let ran = training.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&ran.stdout).contains("next: "),
        "the evaluation is not shown"
    );
    scene.succeed(&["recommend", "--user", user, "--run", "page-1"]);
}

/// A run as a training leaves it that is killed while it writes its vocabularies.
fn beginning(run: &Path) {
    std::fs::create_dir_all(run.join("checkpoint")).unwrap();
    for name in [
        "lock",
        "data.json",
        "data.json.12.partial",
        "users.safetensors",
        "products.safetensors.12.partial",
    ] {
        std::fs::write(run.join(name), "").unwrap();
    }
}

#[test]
fn what_never_began_is_named_and_cleared_away_and_nothing_else_is() {
    let scene = Scene::new("begun", CONFIG);
    let runs = scene.folder.join("runs");
    let [dead, held, kept] = ["small-1", "small-2", "small-3"].map(|name| runs.join(name));
    [&dead, &held, &kept].into_iter().for_each(|run| beginning(run));
    std::fs::write(kept.join("notes.txt"), "mine").unwrap();
    let lock = File::open(held.join("lock")).unwrap();
    lock.lock().unwrap();

    let refused = |run: &str| {
        let ran = scene.run(&["train", "--resume", run]);
        assert_eq!(ran.code, Some(1));
        ran.stderr
    };
    let error = "error: run `runs/small-1` was ended before it began: it has no `config.toml`\n\n\
                 hint: train again: that clears it away\n";
    assert_eq!(refused("small-1"), error);
    assert!(refused("small-2").contains("is being trained by another process"));
    assert!(refused("small-3").contains("there is no run `small-3`"));

    scene.succeed(&QUICK);
    assert!(!dead.exists() && held.join("users.safetensors").exists() && kept.join("notes.txt").exists());
    assert_newest(&scene, "small-4");
    drop(lock);
    scene.succeed(&QUICK);
    assert!(!held.exists());
    assert_newest(&scene, "small-5");
}

/// A training of so many epochs that has written its first checkpoint, and its run.
fn trains_until_a_checkpoint(scene: &Scene, epochs: u32) -> (Child, PathBuf) {
    let epochs = format!("train.epochs={epochs}");
    let long = [&QUICK[..4], &["--set", &epochs, "--set", "train.batch_size=64"]].concat();
    let mut training = scene.command(&long).stderr(Stdio::piped()).spawn().unwrap();
    let run = scene.folder.join("runs/small-1");
    while !run.join("checkpoint/last.safetensors").exists() {
        assert!(training.try_wait().unwrap().is_none(), "no checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
    (training, run)
}

#[test]
fn a_resume_clears_away_the_beginnings_of_files() {
    let scene = Scene::new("partials", CONFIG);
    let (mut training, run) = trains_until_a_checkpoint(&scene, 10000);
    training.kill().unwrap();
    training.wait().unwrap();
    let config = run.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("epochs = 10000", "epochs = 1")).unwrap();
    let left = [
        "model.safetensors.7.partial",
        "checkpoint/last.safetensors.7.partial",
        "calibration.json.7.partial",
    ];
    left.iter()
        .for_each(|name| std::fs::write(run.join(name), "half").unwrap());
    // Whether it can go on with such a config or not: the beginnings are dead.
    scene.run(&["train", "--resume", "small-1"]);
    left.iter().for_each(|name| assert!(!run.join(name).exists(), "{name}"));
}

#[test]
fn a_folder_that_is_gone_is_no_full_disk() {
    let scene = Scene::new("gone", CONFIG);
    let (training, run) = trains_until_a_checkpoint(&scene, 10000);
    std::fs::rename(&run, scene.folder.join("elsewhere")).unwrap();
    let ran = training.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        stderr.ends_with("hint: its folder is gone, or was never there\n"),
        "{stderr}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn events_that_are_lost_are_told_of_and_cost_no_training() {
    for more in [["--plain"].as_slice(), &["--quiet"]] {
        let scene = Scene::new("lost-events", CONFIG);
        let (mut training, run) = trains_until_a_checkpoint(&scene, 60);
        training.kill().unwrap();
        training.wait().unwrap();
        let log = run.join("metrics.jsonl");
        std::fs::remove_file(&log).unwrap();
        std::os::unix::fs::symlink("/dev/full", &log).unwrap();
        let ran = scene.run(&[&["train", "--resume", "small-1"], more].concat());
        // The page shows what the log has; a device has no end.
        let told = "No space left on device (os error 28)";
        let once = format!("warning: events are lost at runs/small-1/metrics.jsonl: {told}\n");
        assert_eq!(
            ran.stderr.matches(&once).count(),
            usize::from(more == ["--plain"]),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains(" events are not in `runs/small-1/metrics.jsonl`: "),
            "{}",
            ran.stderr
        );
        assert!(run.join("manifest.json").exists());
    }
}

//! Runs whose files are damaged under digests that match, mixed with another run's, or no files at all: refused by name, at
//! once. `cargo bench --bench fuzz_runs` looks for more.

use super::scene::{CONFIG, Ran, Scene};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

const QUICK: [&str; 6] = ["train", "config.toml", "--device", "cpu", "--set", "train.epochs=1"];

const FILES: [&str; 8] = [
    "config.toml",
    "data.json",
    "users.safetensors",
    "products.safetensors",
    "interactions.safetensors",
    "calibration.json",
    "model.safetensors",
    "evaluation.json",
];

fn run(scene: &Scene) -> PathBuf {
    scene.folder.join("runs/small-1")
}

/// Has the manifest vouch for a file as it stands.
fn vouch(run: &Path, name: &str) {
    let bytes = std::fs::read(run.join(name)).unwrap();
    let path = run.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["files"][name] = serde_json::json!({"bytes": bytes.len(), "xxh3": format!("{:032x}", xxh3_128(&bytes))});
    std::fs::write(path, manifest.to_string()).unwrap();
}

/// The bytes of a tensor within a safetensors file.
fn tensor(bytes: &[u8], name: &str) -> std::ops::Range<usize> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let offset = |end: usize| 8 + length + header[name]["data_offsets"][end].as_u64().unwrap() as usize;
    offset(0)..offset(1)
}

/// Fills a tensor with one number, and has the manifest vouch for it.
fn fill(run: &Path, file: &str, name: &str, number: [u8; 4]) {
    let mut bytes = std::fs::read(run.join(file)).unwrap();
    let range = tensor(&bytes, name);
    bytes[range]
        .chunks_exact_mut(4)
        .for_each(|value| value.copy_from_slice(&number));
    std::fs::write(run.join(file), bytes).unwrap();
    vouch(run, file);
}

#[track_caller]
fn assert_damaged(ran: &Ran, file: &str) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(&format!("/{file}` is damaged: ")), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn files_that_contradict_themselves_or_one_another_are_named() {
    let scene = Scene::new("contradict", CONFIG);
    scene.succeed(&QUICK);
    scene.succeed(
        &[
            &QUICK[..],
            &["--set", "data.generate.users=1400", "--set", "name=other"],
        ]
        .concat(),
    );
    let run = run(&scene);
    let user = format!("--user={}", scene.succeed(&QUICK).trim().rsplit(' ').next().unwrap());
    let whole = scene.files("runs/small-1");
    let restore = || {
        whole
            .iter()
            .for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap())
    };
    let asked = |arguments: &[&str]| scene.run(&[arguments, &["--run", "small-1"]].concat());

    fill(&run, "interactions.safetensors", "rating", [0xff; 4]);
    assert_damaged(&asked(&["evaluate"]), "interactions.safetensors");
    assert_damaged(&asked(&["recommend", &user, "--why"]), "interactions.safetensors");
    restore();
    fill(&run, "interactions.safetensors", "item", [0xff; 4]);
    assert_damaged(&asked(&["evaluate"]), "interactions.safetensors");
    restore();
    for file in ["users.safetensors", "interactions.safetensors", "model.safetensors"] {
        std::fs::copy(scene.folder.join("runs/other-1").join(file), run.join(file)).unwrap();
        vouch(&run, file);
        for command in [["evaluate"].as_slice(), &["report"], &["recommend", &user]] {
            let ran = asked(command);
            assert_eq!(ran.code, Some(1), "{ran:?}");
            assert!(ran.stderr.contains("is damaged: "), "{}", ran.stderr);
        }
        let splits = scene.run(&["export", "splits", "small-1", "--out", "splits"]);
        assert!(
            splits.code == Some(1) && splits.stderr.contains("is damaged: "),
            "{splits:?}"
        );
        let vectors = scene.run(&["export", "embeddings", "small-1", "--for", "npy", "--out", "vectors"]);
        assert!(
            vectors.code == Some(1) && vectors.stderr.contains("is damaged: "),
            "{vectors:?}"
        );
        restore();
    }
    fill(&run, "products.safetensors", "train_ratings", [1, 0, 0, 0]);
    assert_damaged(&asked(&["evaluate"]), "products.safetensors");
    restore();

    // Nothing is like what points nowhere.
    let product = scene.json("runs/small-1/evaluation.json")["rankings"]
        .is_object()
        .then(|| {
            let json = asked(&["recommend", "--json"]).stdout;
            let ranking: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
            ranking["products"][0]["product"].as_str().unwrap().to_string()
        });
    let product = format!("--product={}", product.unwrap());
    fill(
        &run,
        "model.safetensors",
        "item_choice_embedding",
        f32::NAN.to_le_bytes(),
    );
    fill(
        &run,
        "model.safetensors",
        "user_choice_embedding",
        f32::INFINITY.to_le_bytes(),
    );
    assert_damaged(&asked(&["similar", &product]), "model.safetensors");
    assert_damaged(&asked(&["similar", &user]), "model.safetensors");
    let vectors = [
        "export",
        "embeddings",
        "small-1",
        "--for",
        "parquet",
        "--out",
        "vectors",
    ];
    assert_damaged(&scene.run(&vectors), "model.safetensors");
    restore();

    let evaluation = scene.json("runs/small-1/evaluation.json");
    let empty = |path: &[&str]| {
        let mut evaluation = evaluation.clone();
        let place = path.iter().fold(&mut evaluation, |place, key| &mut place[*key]);
        assert!(place.as_array().is_some_and(|list| !list.is_empty()), "{path:?}");
        *place = serde_json::json!([]);
        std::fs::write(run.join("evaluation.json"), evaluation.to_string()).unwrap();
        vouch(&run, "evaluation.json");
        assert_damaged(&asked(&["report"]), "evaluation.json");
        assert_damaged(&scene.run(&["compare", "small-1", "small-2"]), "evaluation.json");
        restore();
    };
    empty(&["ratings"]);
    empty(&["rankings", "rankers"]);

    // A manifest has to vouch for all of it.
    for name in FILES {
        let mut manifest = scene.json("runs/small-1/manifest.json");
        manifest["files"].as_object_mut().unwrap().remove(name);
        std::fs::write(run.join("manifest.json"), manifest.to_string()).unwrap();
        for command in [["evaluate"].as_slice(), &["report"], &["recommend", &user]] {
            assert_damaged(&asked(command), "manifest.json");
        }
        restore();
    }
    assert_eq!(asked(&["evaluate"]).code, Some(0));
}

fn make_pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Runs a command that must not wait; panics if it does.
#[track_caller]
fn run_at_once(scene: &Scene, arguments: &[&str]) -> Ran {
    let mut child = scene
        .command(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{arguments:?} waits");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let scene = Scene::new("pipes", CONFIG);
    scene.succeed(&QUICK);
    let run = run(&scene);
    for name in FILES.into_iter().chain(["manifest.json", "metrics.jsonl"]) {
        let path = run.join(name);
        let bytes = std::fs::read(&path).unwrap();
        make_pipe(&path);
        for command in [
            ["evaluate", "--run", "small-1"].as_slice(),
            &["report", "--run", "small-1"],
            &["recommend", "--run", "small-1"],
            &["similar", "--run", "small-1", "--user", "x"],
            &["compare", "small-1"],
            &["watch", "small-1"],
            &["train", "--resume", "small-1"],
        ] {
            let ran = run_at_once(&scene, command);
            // The log is not needed to recommend, nor the model to watch.
            assert!(ran.code == Some(0) || ran.code == Some(1), "{name} {command:?} {ran:?}");
            assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    for name in ["runs/latest", "runs/small-1/lock"] {
        make_pipe(&scene.folder.join(name));
        run_at_once(&scene, &["recommend"]);
        run_at_once(&scene, &["watch", "small-1"]);
    }
    make_pipe(&scene.folder.join("rows"));
    for command in ["train", "inspect"] {
        for key in ["data.path=rows", "data.titles=rows"] {
            let ran = run_at_once(&scene, &[command, "config.toml", "--set", key]);
            assert_eq!(ran.code, Some(1));
            let fault = "cannot read `rows`: it is a pipe or a device, wanted a regular file";
            assert!(ran.stderr.contains(fault), "{}", ran.stderr);
        }
    }
}

#[test]
fn ratings_come_through_the_standard_input_where_that_is_asked_for() {
    let scene = Scene::new("stdin", CONFIG);
    let rows: String = (0..600)
        .map(|row| format!("u{},p{},{}\n", row % 40, row * 7 % 31, 1 + row % 5))
        .collect();
    std::fs::write(scene.folder.join("rows.csv"), &rows).unwrap();
    let small = [
        "--device",
        "cpu",
        "--quiet",
        "--set",
        "model.dim=8",
        "--set",
        "train.epochs=1",
    ];
    let ran = |command: &str| {
        let dotcart = format!("{} {command} {}", env!("CARGO_BIN_EXE_dotcart"), small.join(" "));
        let mut shell = std::process::Command::new("bash");
        shell
            .args(["-c", &format!("gzip -c rows.csv | {dotcart}")])
            .current_dir(&scene.folder);
        let ran = Ran::of(shell.output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    };
    ran("train - --set name=piped");
    ran("train config.toml --set data.path=/dev/stdin --set name=named --set oversample.strategy=none");
    scene.succeed(
        &[
            &["train", "-", "--set", "data.path=rows.csv", "--set", "name=read"],
            &small[..],
        ]
        .concat(),
    );
    assert!(scene.read("runs/piped-1/model.safetensors") == scene.read("runs/read-1/model.safetensors"));
    assert_eq!(
        scene.json("runs/named-1/data.json")["rows_kept"],
        scene.json("runs/read-1/data.json")["rows_kept"]
    );
}

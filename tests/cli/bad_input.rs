//! Wrong input: one line that names the place, a hint, exit code 1, no panic, and nothing lost.

use super::scene::{CONFIG, Scene};

/// Trains on `text` and returns the first line of the error and the hint.
fn train_on(scene: &Scene, text: &str) -> (String, String) {
    std::fs::write(scene.folder.join("x.csv"), text).unwrap();
    fails(scene, &["train", "config.toml", "--set", "data.path=x.csv"])
}

/// Runs, expects exit code 1, and returns error and hint; the runs that stand must be left as they are.
fn fails(scene: &Scene, arguments: &[&str]) -> (String, String) {
    let before = scene.files("runs");
    let ran = scene.run(arguments);
    assert_eq!(ran.code, Some(1), "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "");
    assert!(scene.files("runs") == before, "{arguments:?} touched a run");
    let start = ran.stderr.find("error: ").expect("an error");
    let mut lines = ran.stderr[start..].lines();
    let error = lines.next().unwrap().to_string();
    assert_eq!(lines.next(), Some(""));
    let hint = lines.next().unwrap().to_string();
    assert!(hint.starts_with("hint: ") && lines.next().is_none(), "{}", ran.stderr);
    (error, hint)
}

#[test]
fn every_fault_has_its_line_its_hint_and_exit_code_1() {
    let scene = Scene::new("bad-input", CONFIG);
    scene.succeed(&["train", "config.toml", "--device", "cpu", "--set", "train.epochs=1"]);

    let (error, hint) = fails(&scene, &["train", "config.toml", "--set", "data.path=nowhere.csv"]);
    assert_eq!(error, "error: no ratings at `nowhere.csv` (--set data.path)");
    assert!(hint.contains("data.path"));

    assert_eq!(train_on(&scene, "").0, "error: `x.csv` has no rows");
    let good = "u1,p1,5.0,1\nu2,p1,4.0,2\n";
    assert_eq!(
        train_on(&scene, &format!("{good}u3,p1\n")).0,
        "error: found 2 columns, wanted 4 (x.csv:3); bad rows: 1 of 3, allowed: 0"
    );
    assert_eq!(
        train_on(&scene, &format!("{good}u3,p1,abc,3\n")).0,
        "error: the rating `abc` is not a number (x.csv:3); bad rows: 1 of 3, allowed: 0"
    );
    let (error, hint) = train_on(&scene, &format!("{good}u3,p1,9,3\n"));
    assert_eq!(
        error,
        "error: the rating `9` is off the scale [1, 5] (x.csv:3); bad rows: 1 of 3, allowed: 0"
    );
    assert_eq!(
        hint,
        "hint: the ratings run from 4 to 9: if that is right, set `data.rating_scale = [1, 10]`"
    );
    std::fs::write(scene.folder.join("x.csv"), "user,product,rating,time\nu3,p1,4,3\n").unwrap();
    let no_header = [
        "train",
        "config.toml",
        "--set",
        "data.path=x.csv",
        "--set",
        "data.header=false",
    ];
    let (error, hint) = fails(&scene, &no_header);
    assert!(
        error.starts_with("error: the rating `rating` is not a number (x.csv:1)") && hint.contains("header"),
        "{error}\n{hint}"
    );
    let (error, hint) = train_on(&scene, &format!("{good}u3,p1,3,\"4\nu4,p1,3,5\nu5,p1,3,6"));
    assert_eq!(
        error,
        "error: a quote opens at character 9 and never closes, up to line 5, wanted on one line (x.csv:3)"
    );
    assert!(hint.contains("close the quote"), "{hint}");
    assert_eq!(
        train_on(&scene, good).0,
        "error: the split of 2 rows leaves the valid part empty"
    );

    let (error, hint) = fails(&scene, &["train", "config.toml", "--set", "train.epoch=3"]);
    assert_eq!(error, "error: unknown key `train.epoch` (--set train.epoch=3)");
    assert_eq!(hint, "hint: did you mean `train.epochs`?");
    std::fs::write(scene.folder.join("typo.toml"), "name = \"x\"\n[model]\ndims = 8\n").unwrap();
    let (error, hint) = fails(&scene, &["train", "typo.toml"]);
    assert_eq!(
        (error.as_str(), hint.as_str()),
        (
            "error: unknown key `model.dims` (typo.toml:3)",
            "hint: did you mean `model.dim`?"
        )
    );
    assert!(
        fails(&scene, &["train", "absent.toml"])
            .0
            .starts_with("error: cannot read config `absent.toml`")
    );
    assert_eq!(
        fails(&scene, &["train", "config.toml", "--set", "epochs"]).0,
        "error: `--set epochs` is not `key=value`"
    );
    let (error, _) = fails(
        &scene,
        &["train", "config.toml", "--set", "oversample.factors={\"1\"=0.5}"],
    );
    assert!(
        error.contains("`oversample.factors`: class `1` has factor `0.5`, wanted a factor of at least 1"),
        "{error}"
    );
    let (error, _) = fails(
        &scene,
        &["train", "config.toml", "--set", "oversample.factors={\"1.5\"=2}"],
    );
    assert!(
        error.contains("names class `1.5`, but the training split has the classes `1`, `2`, `3`, `4`, `5`"),
        "{error}"
    );

    let (error, hint) = fails(&scene, &["recommend", "--user", "nobody"]);
    assert_eq!(error, "error: user `nobody` is not in run `runs/small-1`");
    assert!(hint.contains("one that is there: `A"), "{hint}");
    assert_eq!(
        fails(&scene, &["evaluate", "--run", "absent"]).0,
        "error: there is no run `absent`"
    );
    let (error, _) = fails(&scene, &["train", "config.toml", "--set", "data={path=\"nope.csv\"}"]);
    assert_eq!(error, "error: no ratings at `nope.csv` (--set data.path)");
    let (error, hint) = fails(&scene, &["train", "config.toml", "--set", "train.epochs=1000000000"]);
    assert!(
        error.starts_with("error: 1000000000 epochs are ") && hint.contains("train.epochs"),
        "{error}"
    );
    assert_eq!(scene.run(&["recommend", "--user", "x", "--top", "0"]).code, Some(2));
    assert_eq!(scene.run(&["train"]).code, Some(2));

    let empty = Scene::new("no-runs", CONFIG);
    let (error, hint) = fails(&empty, &["recommend", "--user", "x"]);
    assert_eq!(error, "error: there is no complete run in `runs` yet");
    assert!(hint.contains("train first"));
}

#[test]
fn a_training_that_diverges_says_so() {
    let scene = Scene::new("diverged", CONFIG);
    let ran = scene.run(&[
        "train",
        "config.toml",
        "--device",
        "cpu",
        "--set",
        "train.learning_rate=1e30",
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    let hint = "hint: lower `train.learning_rate`; where `train.l2` or `train.prior` is above 1, lower that first\n";
    assert!(ran.stderr.contains("error: the model has diverged: ") && ran.stderr.ends_with(hint));
    let ran = scene.run(&["train", "config.toml", "--device", "cpu", "--set", "train.l2=1e308"]);
    assert!(ran.code == Some(1) && ran.stderr.ends_with(hint), "{}", ran.stderr);
    assert!(!scene.folder.join("runs/latest").exists());
}

#[test]
fn a_resume_refuses_what_does_not_belong_together() {
    let scene = Scene::new("foreign", CONFIG);
    let long = [
        "train",
        "config.toml",
        "--device",
        "cpu",
        "--set",
        "train.epochs=10000",
        "--set",
        "train.batch_size=64",
    ];
    let mut child = std::process::Command::new("timeout");
    child
        .args(["-s", "INT", "2", env!("CARGO_BIN_EXE_dotcart")])
        .args(long)
        .current_dir(&scene.folder);
    child.output().unwrap();
    let checkpoint = scene.folder.join("runs/small-1/checkpoint/last.safetensors");
    let config = scene.folder.join("runs/small-1/config.toml");
    let (whole, text) = (
        std::fs::read(&checkpoint).unwrap(),
        std::fs::read_to_string(&config).unwrap(),
    );

    std::fs::write(&config, text.replace("batch_size = 64", "batch_size = 100")).unwrap();
    let (error, _) = fails(&scene, &["train", "--resume", "small-1"]);
    assert_eq!(
        error,
        "error: the checkpoint was not made with this config: its step does not fit (runs/small-1/config.toml)"
    );
    std::fs::write(&config, &text).unwrap();

    // A weight that is no number, in the middle of a table.
    let mut broken = whole.clone();
    let middle = broken.len() / 2 / 4 * 4;
    broken[middle..middle + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&checkpoint, &broken).unwrap();
    let (error, _) = fails(&scene, &["train", "--resume", "small-1"]);
    assert!(error.contains("last.safetensors` is damaged: row "), "{error}");
    std::fs::write(&checkpoint, &whole[..whole.len() - 1]).unwrap();
    assert!(
        fails(&scene, &["train", "--resume", "small-1"])
            .0
            .contains("last.safetensors` is damaged: ")
    );
}

#[test]
fn a_damaged_run_is_refused_by_name() {
    let scene = Scene::new("damaged", CONFIG);
    let trained = scene.succeed(&["train", "config.toml", "--device", "cpu", "--set", "train.epochs=1"]);
    let user = trained.trim().rsplit(' ').next().unwrap();
    let model = scene.folder.join("runs/small-1/model.safetensors");
    let whole = std::fs::read(&model).unwrap();
    std::fs::write(&model, &whole[..whole.len() - 7]).unwrap();
    for command in [["recommend", "--user", user].as_slice(), &["evaluate"]] {
        let (error, hint) = fails(&scene, command);
        let wanted = format!(
            "error: `runs/small-1/model.safetensors` is damaged: it has {} bytes, its manifest says {}",
            whole.len() - 7,
            whole.len()
        );
        assert_eq!(
            (error.as_str(), hint.as_str()),
            (wanted.as_str(), "hint: restore the file, or train again")
        );
    }
    // The same length with another content: evaluate reads every byte and says so.
    let mut other = whole.clone();
    let last = other.len() - 1;
    other[last] ^= 1;
    std::fs::write(&model, &other).unwrap();
    assert!(
        fails(&scene, &["evaluate"])
            .0
            .ends_with("is damaged: its content is not what its manifest says")
    );
    // A header that lies.
    std::fs::write(&model, [&[255u8; 8], &whole[8..]].concat()).unwrap();
    assert!(
        fails(&scene, &["recommend", "--user", user])
            .0
            .contains("model.safetensors` is damaged: ")
    );
    std::fs::write(&model, &whole).unwrap();
    std::fs::write(scene.folder.join("runs/small-1/manifest.json"), "{}").unwrap();
    assert!(
        fails(&scene, &["evaluate"])
            .0
            .starts_with("error: `runs/small-1/manifest.json` is damaged: ")
    );
}

#[test]
fn a_full_disk_leaves_the_last_good_state() {
    let scene = Scene::new("full-disk", CONFIG);
    scene.succeed(&["train", "config.toml", "--device", "cpu", "--set", "train.epochs=1"]);
    let before = scene.files("runs/small-1");
    // 60 KiB: enough for the config, not for the interactions. The signal that comes with it must not end the process.
    let script = format!(
        "ulimit -f 60; {} train config.toml --device cpu --set data.path=data/generated-12000x1500x300-seed42.csv",
        env!("CARGO_BIN_EXE_dotcart")
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(&scene.folder)
        .output()
        .unwrap();
    let ran = super::scene::Ran::of(output);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("error: cannot write ") && ran.stderr.contains("see `ulimit -f`"),
        "{}",
        ran.stderr
    );
    assert!(scene.files("runs/small-1") == before);
    assert_eq!(scene.read("runs/latest"), b"small-1\n");
    assert!(!scene.folder.join("runs/small-2").exists(), "half a run was left");
    let script = script.replace(
        " --set data.path=data/generated-12000x1500x300-seed42.csv",
        " --set seed=9",
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(&scene.folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(scene.files("data").len(), 1, "half a file was left");
}

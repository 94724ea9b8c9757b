//! `train --from`: what a finished run learned is where the next begins, and nothing that it saw judges that.

use super::scene::{CONFIG, Scene};
use dotcart::artifact::ratings_log::{NewRating, Posting};
use std::collections::HashSet;

/// A scene with a table of the first of some generated ratings, a table of all, and a run on the first.
fn grown(name: &str) -> Scene {
    let scene = Scene::new(name, CONFIG);
    let size = ["--ratings", "12000", "--users", "1500", "--products", "300"];
    scene.succeed(&[&["generate", "--out", "all.csv"], &size[..]].concat());
    let all = String::from_utf8(scene.read("all.csv")).unwrap();
    let first: Vec<&str> = all.lines().take(8000).collect();
    std::fs::write(scene.folder.join("first.csv"), first.join("\n") + "\n").unwrap();
    train(
        &scene,
        &["config.toml", "--set", "data.path=first.csv", "--set", "train.epochs=8"],
    );
    scene
}

fn train(scene: &Scene, arguments: &[&str]) {
    scene.succeed(&[&["train", "--device", "cpu", "--quiet"], arguments].concat());
}

/// The pairs of a part of a run.
fn pairs(scene: &Scene, run: &str, part: &str) -> HashSet<(String, String)> {
    scene.succeed(&["export", "splits", run, "--out", run, "--force"]);
    let text = String::from_utf8(scene.read(&format!("{run}/{part}.csv"))).unwrap();
    let pair = |line: &str| {
        let mut fields = line.split(',').map(str::to_string);
        (fields.next().unwrap(), fields.next().unwrap())
    };
    text.lines().skip(1).map(pair).collect()
}

fn first_valid_loss(scene: &Scene, run: &str) -> f64 {
    let log = String::from_utf8(scene.read(&format!("runs/{run}/metrics.jsonl"))).unwrap();
    let events = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut validated = events.filter(|event| event["event"] == "validated");
    let first = validated.next().expect("an epoch was validated");
    first["metrics"]["loss"].as_f64().unwrap_or_else(|| panic!("{first}"))
}

#[test]
fn a_run_goes_on_where_another_ended_and_nothing_that_was_trained_on_judges_it() {
    let scene = grown("from");
    // Of the run's own config, on a larger table: two epochs, a fifth of eight.
    train(&scene, &["--from", "small-1", "all.csv"]);
    train(
        &scene,
        &["config.toml", "--set", "data.path=all.csv", "--set", "train.epochs=2"],
    );
    let (from, anew) = (first_valid_loss(&scene, "small-2"), first_valid_loss(&scene, "small-3"));
    assert!(from < anew - 0.005, "{from} {anew}");
    let config = String::from_utf8(scene.read("runs/small-2/config.toml")).unwrap();
    for line in ["from = \"runs/small-1\"", "epochs = 2\n", "learning_rate = 0.005\n"] {
        assert!(config.contains(line), "{line} {config}");
    }

    let [trained, held_out] = ["train", "test"].map(|part| pairs(&scene, "small-1", part));
    for part in ["valid", "test"] {
        let judged = pairs(&scene, "small-2", part);
        assert!(judged.is_disjoint(&trained), "{part}");
        assert!(!judged.is_empty());
    }
    assert!(pairs(&scene, "small-2", "test").is_superset(&held_out));
    // From one that began with another the epochs stay.
    train(&scene, &["--from", "small-2"]);
    let config = String::from_utf8(scene.read("runs/small-4/config.toml")).unwrap();
    assert!(
        config.contains("from = \"runs/small-2\"") && config.contains("epochs = 2\n"),
        "{config}"
    );

    let other = scene.run(&["train", "--from", "small-1", "--set", "model.dim=32", "--device", "cpu"]);
    assert_eq!(other.code, Some(1));
    assert!(
        other.stderr.contains("embeddings of 16 and 64 numbers") && other.stderr.contains("`model.dim`"),
        "{}",
        other.stderr
    );
    let none = scene.run(&["train", "--from", "nothing"]);
    assert!(
        none.code == Some(1) && none.stderr.contains("there is no run `nothing`"),
        "{}",
        none.stderr
    );
}

#[test]
fn ratings_that_came_to_a_run_since_are_trained_on() {
    let scene = grown("from-log");
    let rated = String::from_utf8(scene.read("first.csv")).unwrap();
    let mut fields = rated.lines().next().unwrap().split(',').map(str::to_string);
    let (known, product) = (fields.next().unwrap(), fields.next().unwrap());
    let rating = |user: &str, product: &str, rating: f32| NewRating {
        user: user.to_string(),
        product: product.to_string(),
        rating,
        time: None,
    };
    let ratings = vec![
        rating(&known, &product, 1.0),
        rating("somebody new", &product, 5.0),
        rating("somebody new", "something new", 4.0),
    ];
    let posting = Posting::new(None, ratings);
    std::fs::write(scene.folder.join("runs/small-1/ratings.log"), posting.line()).unwrap();
    train(&scene, &["--from", "small-1"]);
    let before = scene.json("runs/small-1/data.json");
    let after = scene.json("runs/small-2/data.json");
    for (key, more) in [("users", 1), ("items", 1), ("rows_kept", 2)] {
        assert_eq!(
            after[key].as_u64().unwrap(),
            before[key].as_u64().unwrap() + more,
            "{key}"
        );
    }
    let answer = scene.succeed(&["recommend", "--user", "somebody new", "--top", "400", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["seen"], 2);
    let products = answer["products"].as_array().unwrap();
    assert!(
        products
            .iter()
            .all(|other| other["product"] != product.as_str() && other["product"] != "something new")
    );
    scene.succeed(&["evaluate", "--run", "small-2"]);
}

#[test]
fn held_out_rows_that_the_run_was_trained_on_are_told_of() {
    let scene = grown("from-test-path");
    let all = String::from_utf8(scene.read("all.csv")).unwrap();
    // Of these some are from the first table.
    let held_out: Vec<&str> = all.lines().skip(7000).step_by(2).collect();
    std::fs::write(scene.folder.join("test.csv"), held_out.join("\n") + "\n").unwrap();
    let trained = pairs(&scene, "small-1", "train");
    let pair = |line: &&str| {
        let mut fields = line.split(',').map(str::to_string);
        trained.contains(&(fields.next().unwrap(), fields.next().unwrap()))
    };
    let count = held_out.iter().filter(|line| pair(line)).count();
    assert!(count > 0);
    let fresh = [
        "--set",
        "data.test_path=test.csv",
        "--set",
        "split.test=0",
        "--set",
        "split.valid=0",
    ];
    let ran = scene.run(
        &[
            &["train", "--from", "small-1", "--device", "cpu", "--plain"],
            &fresh[..],
        ]
        .concat(),
    );
    let told = format!("{count} of the held-out rows are rows that runs/small-1 was trained on");
    assert!(
        ran.code == Some(0) && (ran.stdout + &ran.stderr).contains(&told),
        "{told}"
    );
}

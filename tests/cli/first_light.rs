//! A newcomer's first hour: train without a data file, look at the result, ask for a recommendation.

use super::scene::{CONFIG, Scene};
use std::collections::HashSet;

#[test]
fn training_without_data_says_so_and_ends_with_a_line_that_works() {
    let scene = Scene::new("first-light", CONFIG);
    let ran = scene.run(&["train", "config.toml", "--device", "cpu"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("GENERATED RATINGS"), "{}", ran.stderr);
    assert!(ran.stderr.contains("12,000 rows read, 12,000 kept"), "{}", ran.stderr);
    for word in [
        "precision",
        "base rate",
        "lift",
        "recall",
        "NDCG@10",
        "RMSE",
        "GENERATED",
        "run:  runs/small-1",
    ] {
        assert!(ran.stdout.contains(word), "no `{word}` in\n{}", ran.stdout);
    }

    let next = ran
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("next: "))
        .expect("a line to paste");
    let words: Vec<&str> = next.split(' ').skip(1).collect();
    assert_eq!(words[..4], ["recommend", "--run", "small-1", "--user"]);
    let (table, user) = (scene.succeed(&words), words[4]);
    assert_eq!(table.lines().count(), 9, "{table}");
    // Every answer says which run of what data gives it.
    let first = |arguments: &[&str]| scene.succeed(arguments).lines().next().unwrap().to_string();
    let heading = table.lines().next().unwrap();
    let day = heading
        .strip_prefix("run runs/small-1, of data/generated-12000x1500x300-seed42.csv, completed 20")
        .unwrap_or_else(|| panic!("{heading}"));
    assert_eq!(day.len(), "26-11-25".len(), "{heading}");
    assert_eq!(first(&["recommend"]), heading);
    assert_eq!(first(&["evaluate"]), heading);
    assert_eq!(first(&["similar", "--user", user]), heading);
    for asked in [
        &["recommend", "--user", user][..],
        &["recommend"],
        &["similar", "--user", user],
    ] {
        let answer = scene.succeed(&[asked, &["--json"]].concat());
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["run"], "runs/small-1", "{asked:?}");
        assert_eq!(answer["data"], "data/generated-12000x1500x300-seed42.csv", "{asked:?}");
        assert_eq!(answer["completed"], format!("20{day}"), "{asked:?}");
    }

    // The evaluation is reproduced, and the file says what the screen said.
    let again = scene.succeed(&["evaluate", "--json"]);
    let mut again: serde_json::Value = serde_json::from_str(&again).unwrap();
    for (field, wanted) in [
        ("run", "runs/small-1"),
        ("data", "data/generated-12000x1500x300-seed42.csv"),
        ("completed", &format!("20{day}")),
    ] {
        assert_eq!(again.as_object_mut().unwrap().remove(field).unwrap(), *wanted);
    }
    assert_eq!(again, scene.json("runs/small-1/evaluation.json"));
    assert_eq!(again["ratings"][0]["predictor"], "model");
    let auc = again["ratings"][0]["auc"].as_f64().unwrap();
    assert!(auc > 0.6, "the planted tastes were not learned: AUC {auc}");
}

#[test]
fn a_recommendation_scores_all_that_the_user_has_not_rated_and_nothing_else() {
    let scene = Scene::new("unseen", CONFIG);
    let ran = scene.run(&["train", "config.toml", "--device", "cpu"]);
    let user = ran.stdout.trim().rsplit(' ').next().unwrap().to_string();
    let data = String::from_utf8(scene.read("data/generated-12000x1500x300-seed42.csv")).unwrap();
    let products: HashSet<&str> = data.lines().map(|line| line.split(',').nth(1).unwrap()).collect();
    let rated: HashSet<&str> = data
        .lines()
        .filter(|line| line.split(',').next() == Some(&user))
        .map(|line| line.split(',').nth(1).unwrap())
        .collect();
    assert!(rated.len() > 10);
    let json = scene.succeed(&["recommend", "--user", &user, "--top", "1000", "--json"]);
    let ranking: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ranked = ranking["products"].as_array().unwrap();
    let names: HashSet<&str> = ranked
        .iter()
        .map(|product| product["product"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), ranked.len(), "a product stands twice");
    assert_eq!(names, products.difference(&rated).copied().collect());
    assert_eq!(ranking["candidates"], names.len());
    assert_eq!(ranking["seen"], rated.len());
    let appeals: Vec<f64> = ranked
        .iter()
        .map(|product| product["appeal"].as_f64().unwrap())
        .collect();
    assert!(appeals.is_sorted_by(|a, b| a >= b), "not ranked: {appeals:?}");
    // The first N of a longer list, and a closed pipe is no error.
    let five: serde_json::Value =
        serde_json::from_str(&scene.succeed(&["recommend", "--user", &user, "--json"])).unwrap();
    assert_eq!(five["products"].as_array().unwrap()[..], ranked[..5]);
}

#[test]
fn a_production_training_holds_nothing_out() {
    let scene = Scene::new("production", CONFIG);
    let text = scene.succeed(&[
        "train",
        "config.toml",
        "--device",
        "cpu",
        "--set",
        "split.valid=0",
        "--set",
        "split.test=0",
    ]);
    assert!(
        text.contains("nothing is held out in the test part (`split.test`), so the model is not judged"),
        "{text}"
    );
    assert!(
        text.contains("best epoch 3"),
        "without a validation split the last epoch is kept: {text}"
    );
    let user = text.trim().rsplit(' ').next().unwrap();
    assert!(scene.succeed(&["recommend", "--user", user]).contains("rank"));
}

#[test]
fn doctor_names_the_engine_that_auto_takes() {
    let scene = Scene::new("doctor", CONFIG);
    let text = scene.succeed(&["doctor"]);
    assert!(
        text.contains("cpu engine") && text.contains("device = \"auto\" takes the "),
        "{text}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_proved_without_an_adapter() {
    let scene = Scene::new("prove", CONFIG);
    let mut command = scene.command(&["doctor", "--prove", "--out", "proof.json"]);
    // Older loaders know the second name alone.
    let absent = scene.folder.join("absent");
    command.env("VK_DRIVER_FILES", &absent).env("VK_ICD_FILENAMES", &absent);
    let ran = super::scene::Ran::of(command.output().unwrap());
    let error = "error: no usable graphics adapter: no driver offers one\n\nhint: `dotcart doctor` lists adapters";
    assert!(
        ran.code == Some(1) && ran.stdout.is_empty() && ran.stderr.contains(error),
        "{}",
        ran.stderr
    );
    assert!(!scene.folder.join("proof.json").exists());
    assert_eq!(scene.run(&["doctor", "--out", "proof.json"]).code, Some(2));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let scene = Scene::new("pipe", CONFIG);
    let mut child = scene
        .command(&["doctor"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = super::scene::Ran::of(child.wait_with_output().unwrap());
    assert_eq!(
        (ran.code, ran.stderr.contains("panicked")),
        (Some(0), false),
        "{}",
        ran.stderr
    );
}

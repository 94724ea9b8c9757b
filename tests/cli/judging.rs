//! Judging: the same figures again, calibration that changes no ranking, runs side by side, splits for other programs.

use super::scene::{CONFIG, Scene};
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeMap;

fn train(scene: &Scene, name: &str, more: &[&str]) -> String {
    let name = format!("name={name}");
    scene.succeed(&[&["train", "config.toml", "--device", "cpu", "--set", &name], more].concat())
}

/// All tables of a run that was judged.
fn tables(scene: &Scene, run: &str) -> String {
    scene.succeed(&["evaluate", "--run", run])
}

fn busiest_user(text: &str) -> String {
    text.trim().rsplit(' ').next().unwrap().to_string()
}

fn ranking(scene: &Scene, run: &str, user: &str) -> (Vec<String>, Vec<f64>) {
    let json = scene.succeed(&["recommend", "--user", user, "--run", run, "--top", "300", "--json"]);
    let ranking: Value = serde_json::from_str(&json).unwrap();
    let products = ranking["products"].as_array().unwrap();
    let ids = products
        .iter()
        .map(|product| product["product"].as_str().unwrap().to_string());
    let scores = products.iter().map(|product| product["score"].as_f64().unwrap());
    (ids.collect(), scores.collect())
}

#[test]
fn calibration_mends_the_scores_and_changes_no_ranking() {
    let scene = Scene::new("calibration", CONFIG);
    let strong = ["--set", "oversample.factors={\"1\"=6.0,\"2\"=6.0}"];
    let on = train(&scene, "on", &strong);
    train(
        &scene,
        "off",
        &[&strong[..], &["--set", "train.calibrate=false"]].concat(),
    );
    for (run, said) in [
        ("on-1", "calibrated on 1,200 validation rows"),
        ("off-1", "not calibrated: `train.calibrate = false`"),
    ] {
        let text = tables(&scene, run);
        assert!(text.contains(said), "{text}");
    }

    let user = busiest_user(&on);
    let ((ids, scores), (raw_ids, raw_scores)) = (ranking(&scene, "on-1", &user), ranking(&scene, "off-1", &user));
    assert!(ids.len() > 50 && ids == raw_ids, "the ranking changed");
    assert!(scores != raw_scores, "the head is the same");

    let [on, off] = ["on", "off"].map(|name| scene.json(&format!("runs/{name}-1/evaluation.json")));
    assert_eq!(on["calibration"]["outcome"], "calibrated");
    assert_eq!(off["calibration"]["outcome"], "off");
    assert_eq!(on["rankings"], off["rankings"]);
    let [after, before] = [&on["ratings"][0], &on["ratings"][1]];
    assert_eq!(before["predictor"], "uncalibrated");
    for figure in ["loss", "brier", "calibration_error"] {
        let figures = [after, before].map(|scores| scores[figure].as_f64().unwrap());
        assert!(figures[0] < figures[1], "{figure}: {figures:?}");
    }
    // What is called uncalibrated is what the other run is.
    let gap = before["loss"].as_f64().unwrap() - off["ratings"][0]["loss"].as_f64().unwrap();
    assert!(gap.abs() < 1e-6, "{gap}");
    assert_eq!(scene.json("runs/on-1/calibration.json"), on["calibration"]);
}

#[test]
fn a_share_of_relevance_moves_what_is_learned_and_not_what_is_measured() {
    let scene = Scene::new("relevance", CONFIG);
    let ratings = |name: &str, share: &str| {
        train(&scene, name, &["--set", &format!("train.relevance={share}")]);
        scene.json(&format!("runs/{name}-1/evaluation.json"))["ratings"].clone()
    };
    let (without, with) = (ratings("without", "0"), ratings("with", "0.5"));
    assert_ne!(without[0]["loss"], with[0]["loss"]);
    // Baselines learn nothing from it: each of their figures is the same, so those of the models compare.
    assert_eq!(without.as_array().unwrap()[2..], with.as_array().unwrap()[2..]);
    // Ratings of 4 and 5 are drawn further from the others, and calibration draws predicted ratings back.
    let rmse = |scores: &Value| scores["rmse"].as_f64().unwrap();
    assert!(rmse(&with[1]) > rmse(&without[1]));
    assert!(rmse(&with[0]) < rmse(&with[1]));
}

#[test]
fn a_training_begins_at_the_centres_of_its_priors() {
    let scene = Scene::new("start", CONFIG);
    // So slow that a bias goes nowhere: what it has at the end it began with.
    let slow = ["--set", "train.learning_rate=1e-9", "--set", "train.epochs=1"];
    let largest_bias = |name: &str, rank: &str| {
        let prior = format!("train.prior={{ bias = 0.5, embedding = 1.0, centre_rank = {rank} }}");
        train(&scene, name, &[&slow[..], &["--set", &prior]].concat());
        let bytes = scene.read(&format!("runs/{name}-1/model.safetensors"));
        let biases = SafeTensors::deserialize(&bytes).unwrap();
        let biases = biases.tensor("item_bias").unwrap().data().as_chunks().0;
        let sizes = biases.iter().map(|bytes| f32::from_le_bytes(*bytes).abs());
        sizes.fold(0.0, f32::max)
    };
    assert!(largest_bias("zero", "0") < 1e-6);
    assert!(largest_bias("centred", "8") > 1e-3);
}

#[test]
fn baselines_definitions_and_both_sides_stand_in_every_evaluation() {
    let scene = Scene::new("judging", CONFIG);
    train(
        &scene,
        "small",
        &["--set", "evaluate.sampled_negatives=99", "--set", "evaluate.k=[1,7]"],
    );
    let text = tables(&scene, "small-1");
    let evaluation = scene.json("runs/small-1/evaluation.json");
    let names = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|scores| scores["predictor"].as_str().unwrap().to_string())
            .collect()
    };
    assert_eq!(
        names(&evaluation["ratings"]),
        [
            "model",
            "uncalibrated",
            "user_item_bias",
            "global_mean",
            "everything_relevant",
            "most_popular"
        ]
    );
    assert_eq!(
        names(&evaluation["rankings"]["rankers"]),
        ["model", "user_item_bias", "most_popular"]
    );
    let all = &evaluation["ratings"][4]["thresholds"][0];
    assert_eq!((&all["precision"], &all["recall"]), (&all["base_rate"], &1.0.into()));
    let at = evaluation["rankings"]["rankers"][0]["at"].as_array().unwrap();
    assert_eq!((at.len(), &at[0]["k"], &at[1]["k"]), (2, &1.into(), &7.into()));
    // One product among a hundred is easier to find than one among all.
    let sampled = &evaluation["rankings"]["sampled"];
    assert_eq!(sampled["negatives"], 99);
    assert!(sampled["at"][1]["hit_rate"].as_f64() > at[1]["recall"].as_f64());
    assert!(text.contains("SAMPLED: "), "{text}");
    // Each number has its definition on its line.
    for (figure, meaning) in [
        ("  precision ", "of the rows predicted relevant, the share that is"),
        ("  ECE ", "mean |score - target| over 15 bins"),
        ("  NDCG ", "hits weighted 1 / log2(1 + rank)"),
    ] {
        let line = text.lines().find(|line| line.starts_with(figure)).unwrap();
        assert!(line.contains(meaning), "{line}");
    }
    let intervals = &evaluation["ratings"][0]["thresholds"][0]["intervals"]["precision"];
    let precision = evaluation["ratings"][0]["thresholds"][0]["precision"].as_f64().unwrap();
    let [low, high] = ["low", "high"].map(|end| intervals[end].as_f64().unwrap());
    assert!(low < precision && precision < high && high - low < 0.2, "{intervals}");

    // Fewer users ranked for: drawn by the seed, and said so.
    train(&scene, "few", &["--set", "evaluate.ranked_users=50"]);
    let few = tables(&scene, "few-1");
    assert!(
        few.contains("for 50 users with a relevant one held out, drawn of "),
        "{few}"
    );
    let mut again: Value = serde_json::from_str(&scene.succeed(&["evaluate", "--run", "few-1", "--json"])).unwrap();
    for field in ["run", "data", "completed"] {
        again.as_object_mut().unwrap().remove(field).unwrap();
    }
    assert_eq!(again, scene.json("runs/few-1/evaluation.json"));
}

/// Rows of a CSV file, without its header.
fn rows(scene: &Scene, path: &str) -> Vec<String> {
    let text = String::from_utf8(scene.read(path)).unwrap();
    text.lines().skip(1).map(str::to_string).collect()
}

#[test]
fn exported_splits_are_the_rows_the_run_was_judged_on() {
    let scene = Scene::new("export", CONFIG);
    train(&scene, "small", &[]);
    scene.succeed(&["export", "splits", "small-1", "--out", "splits"]);
    let [train, valid, test] = ["train", "valid", "test"].map(|part| rows(&scene, &format!("splits/{part}.csv")));
    assert_eq!((train.len(), valid.len(), test.len()), (9_600, 1_200, 1_200));
    let source = String::from_utf8(scene.read("data/generated-12000x1500x300-seed42.csv")).unwrap();
    let mut expected: Vec<&str> = source.lines().map(|line| line.rsplit_once(',').unwrap().0).collect();
    let mut exported: Vec<String> = [train, valid, test.clone()]
        .concat()
        .iter()
        .map(|row| row.trim_end_matches(".0").to_string())
        .collect();
    expected.sort_unstable();
    exported.sort_unstable();
    let expected: Vec<String> = expected
        .iter()
        .map(|row| row.trim_end_matches(".0").to_string())
        .collect();
    assert!(expected == exported, "rows were lost or changed");
    // The base rate of the exported test rows is that of the evaluation.
    let relevant = test
        .iter()
        .filter(|row| row.rsplit(',').next().unwrap().parse::<f64>().unwrap() >= 4.0);
    let base_rate = scene.json("runs/small-1/evaluation.json")["ratings"][0]["thresholds"][0]["base_rate"].clone();
    assert_eq!(base_rate, relevant.count() as f64 / 1_200.0);

    let before = scene.files("splits");
    let refused = scene.run(&["export", "splits", "small-1", "--out", "splits"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("exists already\n\nhint: `--force`"),
        "{}",
        refused.stderr
    );
    scene.succeed(&["export", "splits", "small-1", "--out", "splits", "--force"]);
    assert!(scene.files("splits") == before);
}

#[test]
fn runs_are_compared_side_by_side() {
    let scene = Scene::new("compare", CONFIG);
    train(&scene, "small", &[]);
    train(&scene, "wide", &["--set", "model.dim=32"]);
    train(&scene, "other", &["--set", "seed=7"]);
    let text = scene.succeed(&["compare", "small-1", "wide-1"]);
    for word in [
        "A: small-1",
        "B: wide-1",
        "model.dim",
        "A 16   B 32",
        "B - A",
        "true rating 1",
        "k = 20",
    ] {
        assert!(text.contains(word), "no `{word}` in\n{text}");
    }
    assert!(!text.contains("DO NOT SHARE"), "{text}");
    let text = scene.succeed(&["compare", "small-1", "other-1"]);
    assert!(text.contains("THE RUNS DO NOT SHARE A SPLIT"), "{text}");

    let json: Value =
        serde_json::from_str(&scene.succeed(&["compare", "small-1", "wide-1", "other-1", "--json"])).unwrap();
    assert_eq!(
        (&json["same_split"], json["runs"].as_array().unwrap().len()),
        (&false.into(), 3)
    );
    assert_eq!(json["runs"][1]["evaluation"], scene.json("runs/wide-1/evaluation.json"));
    // The dim of ratings moves no list, another seed moves most of them.
    let lists = json["lists"].as_array().unwrap();
    assert_eq!(
        (&lists[0]["run"], &lists[0]["kept"], &lists[0]["same"]),
        (&"wide-1".into(), &1.0.into(), &1.0.into())
    );
    assert!(
        lists[1]["kept"].as_f64().unwrap() < 0.9 && lists[1]["users"].as_u64().unwrap() > 100,
        "{lists:?}"
    );
    let unknown = scene.run(&["compare", "small-1", "absent-1"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("there is no run `absent-1`"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_run_that_an_older_dotcart_judged_is_compared_all_the_same() {
    let scene = Scene::new("old-judge", CONFIG);
    train(&scene, "small", &[]);
    let evaluation = scene.json("runs/small-1/evaluation.json");
    // As version 1 wrote it, and a manifest that vouches for it and knows no calibration.
    let old = br#"{ "part": "test", "rows": 1200, "auc": 0.6 }"#;
    std::fs::write(scene.folder.join("runs/small-1/evaluation.json"), old).unwrap();
    let mut manifest = scene.json("runs/small-1/manifest.json");
    let files: &mut BTreeMap<String, Value> = &mut serde_json::from_value(manifest["files"].clone()).unwrap();
    files.remove("evaluation.json");
    files.remove("calibration.json");
    manifest["files"] = serde_json::to_value(files).unwrap();
    manifest.as_object_mut().unwrap().remove("completed_ms");
    std::fs::write(scene.folder.join("runs/small-1/manifest.json"), manifest.to_string()).unwrap();
    std::fs::remove_file(scene.folder.join("runs/small-1/calibration.json")).unwrap();
    let json: Value = serde_json::from_str(&scene.succeed(&["compare", "small-1", "--json"])).unwrap();
    let judged = &json["runs"][0]["evaluation"];
    assert_eq!(
        (&judged["calibration"], &judged["ratings"][0]),
        (&Value::Null, &evaluation["ratings"][0])
    );
    assert_eq!(scene.read("runs/small-1/evaluation.json"), old, "the run was changed");
}

#[test]
fn an_ablation_shows_what_oversampling_bought_and_cost() {
    let scene = Scene::new("ablate", CONFIG);
    let text = scene.succeed(&["train", "config.toml", "--device", "cpu", "--ablate", "oversampling"]);
    let table = &text[text.find("what oversampling changes").expect("a table")..];
    for word in [
        "A: small-natural-1",
        "B: small-1",
        "oversample.strategy",
        "as each run predicts",
        "before calibration",
        "true rating 1",
    ] {
        assert!(table.contains(word), "no `{word}` in\n{table}");
    }
    assert!(!table.contains("DO NOT SHARE"), "{table}");
    // Before calibration, oversampled low ratings pull the predictions of low ratings down.
    let mean = |run: &str| {
        let evaluation = scene.json(&format!("runs/{run}/evaluation.json"));
        assert_eq!(evaluation["ratings"][1]["predictor"], "uncalibrated");
        evaluation["ratings"][1]["classes"]["classes"][0]["mean_predicted"]
            .as_f64()
            .unwrap()
    };
    assert!(mean("small-1") < mean("small-natural-1"));

    let before = scene.files("runs");
    let nothing = scene.run(&[
        "train",
        "config.toml",
        "--ablate",
        "oversampling",
        "--set",
        "oversample.strategy=none",
    ]);
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing.stderr.contains("there is no oversampling to do without"),
        "{}",
        nothing.stderr
    );
    assert!(scene.files("runs") == before, "a run was left behind");
}

#[test]
fn users_with_nothing_relevant_and_k_past_the_catalogue_are_no_fault() {
    let scene = Scene::new("edges", CONFIG);
    // Nobody likes anything; then everybody likes everything, in a catalogue of four.
    let ratings = |rating: &str| -> String {
        let rows = (0..60).map(|row| format!("u{},p{},{rating}\n", row / 3, (row % 3 + row / 3) % 4));
        rows.collect()
    };
    std::fs::write(scene.folder.join("low.csv"), ratings("2")).unwrap();
    std::fs::write(scene.folder.join("high.csv"), ratings("5")).unwrap();
    let sets = ["--set", "oversample.strategy=none", "--set", "train.batch_size=16"];
    let low = train(&scene, "low", &[&sets[..], &["--set", "data.path=low.csv"]].concat());
    for (text, what) in [(low, "lists"), (tables(&scene, "low-1"), "rankings")] {
        assert!(
            text.contains(&format!("nothing relevant was held out, so {what} are not judged")),
            "{text}"
        );
    }
    let evaluation = scene.json("runs/low-1/evaluation.json");
    assert_eq!(
        (&evaluation["rankings"], &evaluation["ratings"][0]["auc"]),
        (&Value::Null, &Value::Null)
    );
    train(&scene, "high", &[&sets[..], &["--set", "data.path=high.csv"]].concat());
    let evaluation = scene.json("runs/high-1/evaluation.json");
    let at = &evaluation["rankings"]["rankers"][0]["at"][2];
    assert_eq!((&at["k"], &at["recall"]), (&20.into(), &1.0.into()));
}

#[test]
fn a_report_is_one_page_that_asks_the_network_for_nothing() {
    let scene = Scene::new("report", CONFIG);
    // An id that would be markup if it were not escaped.
    let rows: String = (0..600)
        .map(|row| format!("<b>u{}</b>,p{},{}\n", row / 12, (row * 7) % 23, 1 + row % 5))
        .collect();
    std::fs::write(scene.folder.join("tagged.csv"), rows).unwrap();
    train(
        &scene,
        "small",
        &["--set", "data.path=tagged.csv", "--set", "train.batch_size=64"],
    );
    let page = String::from_utf8(scene.read("runs/small-1/report.html")).unwrap();
    for words in [
        "<!doctype html>",
        "prefers-color-scheme: dark",
        "@media print",
        "In words",
        "base rate",
        "user+item bias",
        "before calibration",
        "What it recommends",
        "&lt;b&gt;u",
        "dotcart train runs/small-1/config.toml",
    ] {
        assert!(page.contains(words), "no `{words}`");
    }
    assert_eq!(page.matches("<svg").count(), 5);
    // One of the words for a missing id is NaN; the config names it.
    let said: String = page.lines().filter(|line| !line.starts_with("missing_ids")).collect();
    for loads in ["http", "<script", "<img", "url(", "@import", "<b>u", "NaN"] {
        assert!(!said.contains(loads), "the page holds `{loads}`");
    }
    scene.succeed(&["report", "--run", "small-1", "--out", "again.html"]);
    assert!(
        scene.read("again.html") == page.as_bytes(),
        "another page of the same run"
    );
    // Nothing held out is no fault.
    train(&scene, "whole", &["--set", "split.valid=0", "--set", "split.test=0"]);
    let page = String::from_utf8(scene.read("runs/whole-1/report.html")).unwrap();
    assert!(page.contains("Nothing was held out") && page.contains("GENERATED"));
}

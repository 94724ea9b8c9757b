//! The end of a training: one screen, which says what the files of the run say.

use super::scene::{CONFIG, Scene};
use serde_json::Value;

/// Trains and returns what is printed, which fits on a screen.
fn end(scene: &Scene, more: &[&str]) -> String {
    let text = scene.succeed(&[&["train", "config.toml", "--device", "cpu"], more].concat());
    assert!(text.lines().count() <= 20, "{text}");
    // Commands name the binary as it was called, which is a word for people and a path here.
    let shown = text.replace(env!("CARGO_BIN_EXE_dotcart"), "dotcart");
    assert!(shown.lines().all(|line| line.chars().count() <= 130), "{shown}");
    text
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    let found = text.lines().find(|line| line.trim_start().starts_with(start));
    found.unwrap_or_else(|| panic!("no `{start}` in\n{text}"))
}

/// The products in the sample.
fn sampled(text: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| !line.starts_with("for user ")).skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().nth(1).unwrap().to_string())
        .collect()
}

#[test]
fn the_end_of_a_training_is_one_screen_of_figures_that_are_judged() {
    let scene = Scene::new("one-screen", CONFIG);
    let text = end(&scene, &[]);
    scene.succeed(&["export", "splits", "small-1", "--out", "splits"]);
    let train_rows = String::from_utf8(scene.read("splits/train.csv"))
        .unwrap()
        .lines()
        .count()
        - 1;
    let learned = text
        .strip_prefix("\nlearned from ")
        .unwrap_or_default()
        .replacen(',', "", 1);
    assert!(
        learned.starts_with(&format!(
            "{train_rows} of 12,000 GENERATED ratings: 300 products, 1,500 users"
        )),
        "{train_rows} {text}"
    );
    assert!(
        text.contains("run:  runs/small-1 (trained in ") && text.contains("best epoch "),
        "{text}"
    );
    let evaluation = scene.json("runs/small-1/evaluation.json");
    let share = |value: &Value| format!("{:.1} %", 100.0 * value.as_f64().unwrap());
    let at = &evaluation["ratings"][0]["thresholds"][0];
    let precision = line(&text, "precision");
    for figure in [
        share(&at["precision"]),
        share(&at["base_rate"]),
        format!("recall {}", share(&at["recall"])),
    ] {
        assert!(precision.contains(&figure), "{figure}: {precision}");
    }
    let rankers = &evaluation["rankings"]["rankers"];
    let (lists, popular) = (&rankers[0]["at"][1], &rankers[2]["at"][1]);
    assert_eq!(
        (&rankers[2]["predictor"], &lists["k"]),
        (&"most_popular".into(), &10.into())
    );
    let [ndcg, base_ndcg] = [lists, popular].map(|at| at["ndcg"].as_f64().unwrap());
    let [low, high] = ["low", "high"].map(|end| lists["ndcg_interval"][end].as_f64().unwrap());
    assert!(low < ndcg && ndcg < high && high - low < 0.2, "{low} {ndcg} {high}");
    assert_eq!(evaluation["ratings"][2]["predictor"], "user_item_bias");
    let [rmse, base_rmse] = [0, 2].map(|place| evaluation["ratings"][place]["rmse"].as_f64().unwrap());
    for (name, model, base) in [("NDCG@10", ndcg, base_ndcg), ("RMSE", rmse, base_rmse)] {
        let figures: Vec<&str> = line(&text, name).split_whitespace().skip(1).take(2).collect();
        assert_eq!(figures, [format!("{model:.4}"), format!("{base:.4}")], "{name}");
    }
    // The sentence tells which is better.
    let words = |is_better| if is_better { "beat" } else { "fall behind" };
    let verdict = line(&text, "Its lists");
    let expected = format!("Its lists {} most popular (NDCG@10 ", words(ndcg > base_ndcg));
    assert!(verdict.starts_with(&expected), "{verdict}");
    let expected = format!("; its ratings {} the bias model's (RMSE ", words(rmse < base_rmse));
    assert!(verdict.contains(&expected), "{verdict}");

    // The sample is the beginning of what the last line answers.
    let next: Vec<&str> = line(&text, "next: ").split(' ').skip(2).collect();
    let answer: Value = serde_json::from_str(&scene.succeed(&[&next[..], &["--json"]].concat())).unwrap();
    let products = answer["products"].as_array().unwrap().iter().take(3);
    let first: Vec<&str> = products.map(|product| product["product"].as_str().unwrap()).collect();
    assert_eq!(sampled(&text), first);
    // Nothing is lost: the line that says where it is works, and the tables are there.
    let all: Vec<&str> = line(&text, "all: ").split(' ').skip(3).take(3).collect();
    let tables = scene.succeed(&all);
    for word in ["AUC", "ECE", "k = 20", "true rating"] {
        assert!(tables.contains(word), "no `{word}` in\n{tables}");
        assert!(!text.contains(word), "`{word}` in\n{text}");
    }
}

#[test]
fn what_was_not_learned_or_not_held_out_is_not_judged() {
    let scene = Scene::new("one-screen-parts", CONFIG);
    let ratings_alone = end(&scene, &["--set", "train.ranking.weight=0"]);
    assert!(!ratings_alone.contains("NDCG"), "{ratings_alone}");
    assert!(ratings_alone.contains("\nIts ratings "), "{ratings_alone}");
    let whole = end(&scene, &["--set", "split.test=0"]);
    assert!(
        whole.contains("nothing is held out in the test part (`split.test`), so the model is not judged"),
        "{whole}"
    );
    assert!(!whole.contains("precision") && !whole.contains("Its "), "{whole}");
    assert_eq!(sampled(&whole).len(), 3);
}

#[test]
fn the_sample_has_titles_and_says_where_nothing_is_left_to_recommend() {
    let scene = Scene::new("one-screen-titles", CONFIG);
    // One has rated all; who has rated most is asked for.
    let rows = (0..60).map(|row| format!("u{},p{},{}\n", row / 5, (row % 5 + row / 7) % 9, 1 + row % 5));
    let all = (0..9).map(|product| format!("all,p{product},4\n"));
    let long = "long".repeat(30);
    let titles = (0..9).map(|product| format!("p{product},the {product}th {long}\n"));
    std::fs::write(scene.folder.join("titles.csv"), titles.collect::<String>()).unwrap();
    std::fs::write(scene.folder.join("rows.csv"), rows.clone().collect::<String>()).unwrap();
    let sets = [
        "--set",
        "data.path=rows.csv",
        "--set",
        "data.titles=titles.csv",
        "--set",
        "train.batch_size=16",
    ];
    let text = end(&scene, &sets);
    let products = sampled(&text);
    assert_eq!(products.len(), 3, "{text}");
    for product in products {
        let title = format!("  the {}th longlong", &product[1..]);
        assert!(text.contains(&title) && text.contains("long..."), "{text}");
    }
    std::fs::write(scene.folder.join("rows.csv"), rows.chain(all).collect::<String>()).unwrap();
    let text = end(&scene, &sets);
    assert!(
        text.contains("for user all, ") && text.contains("  nothing: "),
        "{text}"
    );
}

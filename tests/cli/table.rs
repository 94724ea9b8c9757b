//! A table and one command: no config is written, and what was chosen in its place is shown and kept.

use super::scene::{Ran, Scene};
use serde_json::Value;

/// A folder with a table in it and no config.
fn with_table(name: &str, file: &str, text: &str) -> Scene {
    let scene = Scene::new(name, "");
    std::fs::remove_file(scene.folder.join("config.toml")).unwrap();
    std::fs::write(scene.folder.join(file), text).unwrap();
    scene
}

fn train(scene: &Scene, file: &str, more: &[&str]) -> Ran {
    let ran = scene.run(&[&["train", file, "--device", "cpu", "--plain"], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

/// The line that a training ends with, pasted.
fn next(scene: &Scene, ran: &Ran) -> String {
    let line = ran.stdout.lines().find_map(|line| line.strip_prefix("next: ")).unwrap();
    scene.succeed(&line.split(' ').skip(1).collect::<Vec<_>>())
}

/// Two halves of a shop, each with its own twelve customers and twenty products, as `(customer, product, number of it)`.
fn chosen() -> impl Iterator<Item = (String, String, usize)> {
    (0..2).flat_map(|half| {
        (0..12).flat_map(move |customer| {
            (0..10).map(move |n| {
                let product = (3 * customer + 2 * n + n / 5) % 20;
                (
                    format!("c{half}{customer:02}"),
                    format!("p{half}{product:02}"),
                    customer + product,
                )
            })
        })
    })
}

#[test]
fn semicolons_decimal_commas_and_dates_go_from_file_to_recommendation_with_one_command() {
    let mut text = "item;customer;stars;date\n".to_string();
    for (customer, product, n) in chosen() {
        text += &format!(
            "{product};{customer};{},{};2024-0{}-1{}\n",
            1 + n % 4,
            5 * (n % 2),
            1 + n % 9,
            n % 10
        );
    }
    let scene = with_table("table-stars", "my ratings.csv", &text);
    let ran = train(&scene, "my ratings.csv", &[]);
    for said in [
        "found text, delimiter \";\", header; columns user 1 `customer`, product 0 `item`, rating 2 `stars`, timestamp 3 `date`",
        "time 2024-01-10 to 2024-09-1",
        "scale    1 to 5",
        "chosen for this table",
        "train.batch_size = 16",
    ] {
        assert!(ran.stderr.contains(said), "no `{said}` in\n{}", ran.stderr);
    }
    assert!(next(&scene, &ran).contains("rank"));
    let lists: Value =
        serde_json::from_str(&scene.succeed(&["recommend", "--user", "c103", "--top", "5", "--json"])).unwrap();
    for product in lists["products"].as_array().unwrap() {
        assert_eq!(&product["product"].as_str().unwrap()[..2], "p1", "{lists}");
    }

    // An experiment starts from the config of the run, and comes to the same model.
    let kept = String::from_utf8(scene.read("runs/my_ratings-1/config.toml")).unwrap();
    std::fs::write(scene.folder.join("mine.toml"), kept).unwrap();
    train(&scene, "mine.toml", &[]);
    assert!(scene.read("runs/my_ratings-1/model.safetensors") == scene.read("runs/my_ratings-2/model.safetensors"));

    // What is set is not chosen.
    let set = train(
        &scene,
        "my ratings.csv",
        &["--set", "train.epochs=2", "--set", "name=short"],
    );
    assert!(!set.stderr.contains("train.epochs"), "{}", set.stderr);
    assert!(set.stdout.contains("runs/short-1"), "{}", set.stdout);
    assert!(
        String::from_utf8(scene.read("runs/short-1/config.toml"))
            .unwrap()
            .contains("\nepochs = 2\n")
    );
    // What is set in part is shown as it is in force; all else as it was chosen.
    let part = train(
        &scene,
        "my ratings.csv",
        &["--set", "train.epochs=2", "--set", "train.prior.bias=0.7"],
    );
    let prior = |ran: &Ran| {
        let line = ran.stderr.lines().find(|line| line.contains("train.prior = ")).unwrap();
        (line.contains("bias = 0.7"), line.ends_with("in part as it was set"))
    };
    assert_eq!(
        (prior(&set), prior(&part)),
        ((false, false), (true, true)),
        "{}",
        part.stderr
    );
    assert_eq!(part.stderr.matches("as it was set").count(), 1, "{}", part.stderr);

    let inspected = scene.succeed(&["inspect", "my ratings.csv"]);
    assert!(inspected.contains("240 rows read, 240 kept"), "{inspected}");
}

#[test]
fn purchases_go_from_file_to_recommendation_with_one_command() {
    let rows: String = chosen()
        .map(|(customer, product, _)| format!("{customer},{product}\n"))
        .collect();
    let scene = with_table("table-purchases", "purchases.csv", &format!("customer,product\n{rows}"));
    let ran = train(&scene, "purchases.csv", &[]);
    assert!(
        ran.stderr.contains("no ratings: each row is a choice"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("scale "), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("train.ranking.positives = \"counted\"")
            && ran.stderr.contains("evaluate.relevant_from = 0.0"),
        "{}",
        ran.stderr
    );
    assert!(next(&scene, &ran).contains("rank"));
    let lists: Value =
        serde_json::from_str(&scene.succeed(&["recommend", "--user", "c003", "--top", "5", "--json"])).unwrap();
    for product in lists["products"].as_array().unwrap() {
        assert_eq!(&product["product"].as_str().unwrap()[..2], "p0", "{lists}");
    }
}

#[test]
fn the_scale_is_found_and_what_is_no_scale_is_asked_about() {
    let rows = |value: fn(usize) -> i32| -> String {
        chosen()
            .map(|(customer, product, n)| format!("{customer},{product},{}\n", value(n)))
            .collect()
    };
    let scene = with_table("table-scale", "ten.csv", &rows(|n| 1 + (n % 10) as i32));
    let short = ["--set", "train.epochs=2"];
    let ran = train(&scene, "ten.csv", &short);
    assert!(ran.stderr.contains("scale    1 to 10"), "{}", ran.stderr);
    assert!(ran.stderr.contains("evaluate.relevant_from = 8"), "{}", ran.stderr);

    for (value, hint) in [
        (
            (|n| if n % 7 == 0 { -1 } else { 1 + (n % 5) as i32 }) as fn(usize) -> i32,
            "data.unrated = [-1]",
        ),
        (|n| 1 + (n % 23) as i32, "data.columns.count"),
    ] {
        std::fs::write(scene.folder.join("odd.csv"), rows(value)).unwrap();
        let ran = scene.run(&["train", "odd.csv", "--device", "cpu"]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains(hint), "{}", ran.stderr);
    }
    // A few slips are no scale: one in twenty-four is above the others, as 55 or as 10; or above a scale to ten.
    let asks = |text: &str, hint: &str| {
        std::fs::write(scene.folder.join("slips.csv"), text).unwrap();
        let ran = scene.run(&["train", "slips.csv", "--device", "cpu"]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains(hint), "{}", ran.stderr);
    };
    for (value, hint) in [
        (
            (|n| if n % 24 == 5 { 55 } else { 1 + (n % 5) as i32 }) as fn(usize) -> i32,
            "4 of 240 rows are above 5: if they are slips, set `data.max_bad_rows = 0.017` to leave them out; if ratings go that \
             high, set `data.rating_scale = [0, 100]`",
        ),
        (
            |n| if n % 24 == 5 { 10 } else { 1 + (n % 5) as i32 },
            "4 of 240 rows are above 5: if they are slips, set `data.max_bad_rows = 0.017` to leave them out; if ratings go that \
             high, set `data.rating_scale = [1, 10]`",
        ),
        (
            |n| if n % 24 == 5 { 23 } else { 1 + (n % 5) as i32 },
            "if they are counts, learn from what was chosen and how often, with `data.columns.rating = \"\"` and \
             `data.columns.count` set to this column; 4 of 240 rows are above 5: if they are slips, ",
        ),
    ] {
        asks(&rows(value), hint);
    }
    let to_ten = rows(|n| if n % 24 == 5 { 55 } else { 1 + (n % 10) as i32 });
    asks(
        &to_ten.replace(",7\n", ",7.5\n"),
        "4 of 240 rows are above 10: if they are slips, set `data.rating_scale = [1, 10]` and `data.max_bad_rows = 0.017` to",
    );
    let left_out = [
        "train",
        "slips.csv",
        "--device",
        "cpu",
        "--set",
        "data.max_bad_rows=0.017",
    ];
    std::fs::write(
        scene.folder.join("slips.csv"),
        rows(|n| if n % 24 == 5 { 10 } else { 1 + (n % 5) as i32 }),
    )
    .unwrap();
    let ran = scene.run(&[&left_out[..], &short].concat());
    assert!(
        ran.stderr.contains("left out 4 rows") && ran.stderr.contains("scale    1 to 5"),
        "{}",
        ran.stderr
    );
    // A scale that was asked for is kept to.
    let ran = scene.run(&["train", "ten.csv", "--set", "data.rating_scale=[1, 5]"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
}

#[test]
fn a_handful_of_equal_ratings_trains_on_what_was_chosen_and_says_so() {
    let rows = "ann,tea,5\nann,jam,5\nbob,tea,5\nbob,bun,5\ncat,jam,5\ncat,bun,5\ndan,tea,5\neve,ham,5\neve,egg,5\nfay,ham,5\n";
    let scene = with_table("table-constant", "shop.csv", rows);
    let ran = train(&scene, "shop.csv", &[]);
    assert!(ran.stderr.contains("all ratings are the same"), "{}", ran.stderr);
    assert!(next(&scene, &ran).contains("rank"));
}

#[test]
fn a_table_that_is_not_there_is_named_as_it_was_written() {
    let scene = Scene::new("table-missing", "");
    for command in ["train", "inspect"] {
        let ran = scene.run(&[command, "ratigns.csv"]);
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.stderr
                .starts_with("error: neither a config nor a table is at `ratigns.csv`\n"),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("data.path"), "{}", ran.stderr);
    }
}

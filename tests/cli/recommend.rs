//! `recommend` and `similar`: who may be asked for, what may be left out, every output form, and every wrong argument.

use super::needs::gpu;
use super::scene::{CONFIG, Scene};
use parquet::data_type::{ByteArray, ByteArrayType};
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// A scene with a trained run, and the ratings it was trained on.
fn trained(name: &str) -> (Scene, Vec<[String; 3]>) {
    let scene = Scene::new(name, CONFIG);
    scene.succeed(&["train", "config.toml", "--device", "cpu"]);
    let data = String::from_utf8(scene.read("data/generated-12000x1500x300-seed42.csv")).unwrap();
    let fields = |line: &str| {
        let mut fields = line.split(',').map(str::to_string);
        std::array::from_fn(|_| fields.next().unwrap())
    };
    let rows = data.lines().map(fields).collect();
    (scene, rows)
}

fn users(rows: &[[String; 3]]) -> Vec<String> {
    let mut met = HashSet::new();
    rows.iter()
        .map(|row| row[0].clone())
        .filter(|user| met.insert(user.clone()))
        .collect()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn products(ranking: &Value) -> Vec<String> {
    let products = ranking["products"].as_array().unwrap();
    products
        .iter()
        .map(|product| product["product"].as_str().unwrap().to_string())
        .collect()
}

#[test]
fn many_users_are_ranked_as_one_by_one_in_every_output_form() {
    let (scene, rows) = trained("many");
    let users = users(&rows);
    std::fs::write(
        scene.folder.join("users.txt"),
        format!("{}\n\n{}\n", users[7], users[3]),
    )
    .unwrap();
    let both = scene.succeed(&["recommend", "--user", &users[7], "--user", &users[3], "--json"]);
    assert_eq!(scene.succeed(&["recommend", "--users", "users.txt", "--json"]), both);
    let alone = scene.succeed(&["recommend", "--user", &users[3], "--json"]);
    assert_eq!(both.lines().nth(1), alone.lines().next());

    let all = json_lines(&scene.succeed(&["recommend", "--all", "--top", "3", "--json"]));
    let order: Vec<&str> = all.iter().map(|ranking| ranking["user"].as_str().unwrap()).collect();
    assert_eq!(order, users);
    let three = scene.succeed(&["recommend", "--user", &users[7], "--top", "3", "--json"]);
    assert_eq!(json_lines(&three)[0], all[7]);

    let csv = scene.succeed(&["recommend", "--user", &users[7], "--csv"]);
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("user,rank,product,title,score,predicted_rating,train_ratings,basis")
    );
    let first = &json_lines(&both)[0]["products"][0];
    assert_eq!(
        lines.next().unwrap(),
        format!(
            "{},1,{},,{},{},{},trained",
            users[7],
            first["product"].as_str().unwrap(),
            first["score"],
            first["predicted_rating"],
            first["train_ratings"]
        )
    );
    assert_eq!(lines.count(), 4);
    let table = scene.succeed(&["recommend", "--users", "users.txt"]);
    assert_eq!(table.matches("  rank  product").count(), 2, "{table}");
}

#[test]
fn users_who_are_not_known_keep_nobody_from_an_answer() {
    let (scene, rows) = trained("strangers");
    let users = users(&rows);
    let list = format!("nobody\n{}\n\nno one\n{}\n", users[7], users[3]);
    std::fs::write(scene.folder.join("some.txt"), list).unwrap();
    std::fs::write(scene.folder.join("known.txt"), format!("{}\n{}\n", users[7], users[3])).unwrap();
    std::fs::write(scene.folder.join("none.txt"), "nobody\n").unwrap();
    let listed = "some.txt:1: user `nobody` is not in the run\nsome.txt:4: user `no one` is not in the run\n";
    let wrong = "error: 2 of 4 users in `some.txt` are not in run `runs/small-1`\n\nhint: line 1: ";
    for form in [&["--json"][..], &["--csv"], &[]] {
        let ask = |more: &[&str]| scene.run(&[&["recommend", "--users"], more, form].concat());
        let known = ask(&["known.txt"]);
        let ran = ask(&["some.txt"]);
        assert_eq!((ran.code, &ran.stdout), (Some(1), &known.stdout), "{form:?}");
        assert!(ran.stderr.contains(&format!("{listed}{wrong}")), "{}", ran.stderr);
        let ran = ask(&["some.txt", "--skip-unknown"]);
        assert_eq!((ran.code, &ran.stdout), (Some(0), &known.stdout), "{form:?}");
        assert!(ran.stderr.ends_with(listed), "{}", ran.stderr);
        // A list of strangers alone is a wrong list.
        let ran = ask(&["none.txt", "--skip-unknown"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{form:?}");
        assert!(
            ran.stderr.contains("1 of 1 users in `none.txt` are not in run"),
            "{}",
            ran.stderr
        );
    }
    let write = |more: &[&str], folder: &str| {
        let ran = scene.run(&[&["recommend", "--out", folder, "--users"], more].concat());
        (ran.code, parts(&scene, folder))
    };
    let (_, known) = write(&["known.txt"], "known");
    assert!(write(&["some.txt"], "some") == (Some(1), known.clone()));
    assert!(write(&["some.txt", "--skip-unknown"], "skipped") == (Some(0), known));
    assert_eq!(scene.run(&["recommend", "--all", "--skip-unknown"]).code, Some(2));
}

/// A Parquet file of text columns, by name; nulls where there is `None`.
fn parquet_of(columns: &[(&str, &[Option<&str>])]) -> Vec<u8> {
    let fields: String = columns
        .iter()
        .map(|(name, _)| format!("optional binary {name} (UTF8);"))
        .collect();
    let schema = parquet::schema::parser::parse_message_type(&format!("message users {{ {fields} }}")).unwrap();
    let properties = Arc::new(parquet::file::properties::WriterProperties::default());
    let mut file = parquet::file::writer::SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    for (_, cells) in columns {
        let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
        let values: Vec<ByteArray> = cells.iter().flatten().map(|cell| ByteArray::from(*cell)).collect();
        let mut column = group.next_column().unwrap().unwrap();
        let writer = column.typed::<ByteArrayType>();
        writer.write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.into_inner().unwrap()
}

#[test]
fn users_in_parquet_are_those_of_a_text_file_also_in_parts_and_in_shards() {
    let (scene, rows) = trained("listed");
    let users = users(&rows);
    let write = |path: &str, bytes: &[u8]| std::fs::write(scene.folder.join(path), bytes).unwrap();
    // 1,200 of them, so that there are two parts of answers; a null and an empty id say nothing, and are counted.
    let (first, second) = users[..1200].split_at(700);
    write("all.txt", users[..1200].join("\n").as_bytes());
    let cells = |ids: &[String]| ids.iter().map(|id| id.clone().into()).collect::<Vec<Option<String>>>();
    let mut cells = [cells(first), cells(second)];
    cells[1].splice(1..1, [None, Some(String::new())]);
    let [first, second] = cells
        .each_ref()
        .map(|ids| ids.iter().map(Option::as_deref).collect::<Vec<_>>());
    let other = vec![Some("x"); second.len()];
    std::fs::create_dir(scene.folder.join("list")).unwrap();
    write("list/_SUCCESS", b"");
    write("list/part-0.parquet", &parquet_of(&[("anyone", &first)]));
    // Spark writes a part for each of its tasks, whether it has rows or not.
    write("list/part-1.parquet", &parquet_of(&[("anyone", &[])]));
    write(
        "list/part-2.parquet",
        &parquet_of(&[("segment", &other), ("customer_id", &second)]),
    );
    let ask = |list: &str, folder: &str, more: &[&str]| {
        let request = [
            "recommend",
            "--users",
            list,
            "--top",
            "300",
            "--device",
            "cpu",
            "--out",
            folder,
        ];
        scene.run(&[&request, more].concat())
    };
    assert_eq!(ask("all.txt", "whole", &[]).code, Some(0));
    let whole = parts(&scene, "whole");
    assert_eq!(scene.json("whole/summary.json")["parts"], 2);
    for shard in ["1/2", "0/2"] {
        let ran = ask("list", "shards", &["--shard", shard]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_eq!(ask("list", "shards", &[]).code, Some(0));
    assert!(parts(&scene, "shards") == whole, "other bytes than of the text file");

    // Strangers are named with their file and row.
    let strangers = [Some("nobody"), None, Some(users[7].as_str()), Some("no one")];
    write("list/part-1.parquet", &parquet_of(&[("user", &strangers)]));
    let ran = ask("list", "strangers", &[]);
    assert_eq!(ran.code, Some(1));
    let listed = "list/part-1.parquet:1: user `nobody` is not in the run\nlist/part-1.parquet:4: user `no one` is not in \
                  the run\nerror: 2 of 1203 users in `list` are not in run `runs/small-1`\n\nhint: row 1 of \
                  `list/part-1.parquet`: ";
    assert!(ran.stderr.contains(listed), "{}", ran.stderr);
    write("one.parquet", &parquet_of(&[("user", &strangers)]));
    let alone = scene.succeed(&["recommend", "--user", &users[7], "--json"]);
    let ran = scene.run(&["recommend", "--users", "one.parquet", "--skip-unknown", "--json"]);
    assert_eq!((ran.code, &ran.stdout), (Some(0), &alone), "{}", ran.stderr);
    let ran = scene.run(&["recommend", "--users", "one.parquet", "--json"]);
    assert!(
        ran.code == Some(1) && ran.stderr.contains("\n\nhint: row 1: "),
        "{}",
        ran.stderr
    );

    let (error, hint) = {
        write("two.parquet", &parquet_of(&[("a", &strangers), ("b", &strangers)]));
        fails(&scene, &["recommend", "--users", "two.parquet"])
    };
    assert_eq!(
        error,
        "`two.parquet`: it is not clear which column is the user; there are `a`, `b`"
    );
    assert!(hint.starts_with("name the column of user ids `user`"), "{hint}");
    let mut cut = parquet_of(&[("user", &strangers)]);
    cut.truncate(cut.len() - 9);
    write("cut.parquet", &cut);
    let (error, _) = fails(&scene, &["recommend", "--users", "cut.parquet"]);
    assert!(
        error.starts_with("cannot read `cut.parquet`: damaged Parquet: "),
        "{error}"
    );
    write("null.parquet", &parquet_of(&[("user", &[None])]));
    assert_eq!(
        fails(&scene, &["recommend", "--users", "null.parquet"]).0,
        "there is nobody in `null.parquet`"
    );
    std::fs::create_dir(scene.folder.join("none")).unwrap();
    assert_eq!(
        fails(&scene, &["recommend", "--users", "none"]).0,
        "`none` holds no file of ratings"
    );
}

#[test]
fn filters_leave_out_what_they_say_and_nothing_else() {
    let (scene, rows) = trained("filters");
    let user = &users(&rows)[0];
    let ranked = |more: &[&str]| {
        let arguments = [&["recommend", "--user", user, "--top", "1000", "--json"], more].concat();
        json_lines(&scene.succeed(&arguments)).remove(0)
    };
    let whole = ranked(&[]);
    let all = products(&whole);
    assert!(
        whole["shortfall"].as_str().unwrap().contains("the user has rated"),
        "{}",
        whole["shortfall"]
    );

    let often = ranked(&["--min-ratings", "40"]);
    let wanted: Vec<String> = whole["products"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|product| product["train_ratings"].as_u64().unwrap() >= 40)
        .map(|product| product["product"].as_str().unwrap().to_string())
        .collect();
    assert!(!wanted.is_empty() && wanted.len() < all.len());
    assert_eq!(products(&often), wanted);

    std::fs::write(
        scene.folder.join("some.txt"),
        format!("{}\n{}\nnot-there\n", all[20], all[4]),
    )
    .unwrap();
    assert_eq!(
        products(&ranked(&["--only", "some.txt"])),
        [all[4].clone(), all[20].clone()]
    );
    let rest: Vec<String> = all
        .iter()
        .filter(|product| **product != all[4] && **product != all[20])
        .cloned()
        .collect();
    assert_eq!(products(&ranked(&["--exclude", "some.txt"])), rest);
    let ran = scene.run(&["recommend", "--user", user, "--only", "some.txt"]);
    assert_eq!(ran.stderr, "1 of 3 products in some.txt are not in the run\n");
    assert!(ran.stdout.contains("fewer than asked for: "), "{}", ran.stdout);

    let own: HashSet<&str> = rows
        .iter()
        .filter(|row| row[0] == *user)
        .map(|row| row[1].as_str())
        .collect();
    let with_seen = ranked(&["--include-seen"]);
    assert_eq!(products(&with_seen).len(), all.len() + own.len());
    assert_eq!(with_seen["seen"], 0);

    // Nothing but what is rated already: no rows, and the reason.
    std::fs::write(
        scene.folder.join("own.txt"),
        own.iter().copied().collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    let none = ranked(&["--only", "own.txt"]);
    assert!(products(&none).is_empty());
    let reason = format!(
        "of {} products to choose from the user has rated {}",
        own.len(),
        own.len()
    );
    assert_eq!(none["shortfall"], reason);
}

#[test]
fn somebody_new_is_folded_in_and_nobody_gets_the_best_known() {
    let (scene, rows) = trained("new");
    let whole = json_lines(&scene.succeed(&["recommend", "--top", "300", "--json"])).remove(0);
    assert_eq!(
        (&whole["basis"], &whole["user"]),
        (&"product_appeal".into(), &Value::Null)
    );
    let appeals: Vec<f64> = whole["products"]
        .as_array()
        .unwrap()
        .iter()
        .map(|product| product["appeal"].as_f64().unwrap())
        .collect();
    assert!(
        appeals.len() == 300 && appeals.is_sorted_by(|a, b| a >= b),
        "{appeals:?}"
    );
    assert!(
        scene
            .succeed(&["recommend"])
            .contains("the products of the most appeal")
    );

    // A model of ratings alone does not know what appeals.
    scene.succeed(&[
        "train",
        "config.toml",
        "--device",
        "cpu",
        "--set",
        "train.ranking.weight=0",
        "--set",
        "name=rated",
    ]);
    let whole = json_lines(&scene.succeed(&["recommend", "--top", "300", "--json"])).remove(0);
    assert_eq!(
        (&whole["basis"], &whole["products"][0]["appeal"]),
        (&"shrunken_mean".into(), &Value::Null)
    );
    // The mean of its training ratings, drawn to the mean of all; every product of the 300 stands there.
    assert_eq!(products(&whole).len(), 300);
    let predicted: Vec<f64> = whole["products"]
        .as_array()
        .unwrap()
        .iter()
        .map(|product| product["predicted_rating"].as_f64().unwrap())
        .collect();
    assert!(predicted.is_sorted_by(|a, b| a >= b) && predicted.iter().all(|rating| (1.0..=5.0).contains(rating)));
    assert!(scene.succeed(&["recommend"]).contains("shrunken mean rating"));
    assert!(
        scene
            .succeed(&["recommend", "--csv"])
            .lines()
            .nth(1)
            .unwrap()
            .ends_with(",shrunken_mean")
    );

    let (a, b) = (&rows[0][1], &rows.iter().find(|row| row[1] != rows[0][1]).unwrap()[1]);
    let (likes, hates) = (format!("{a}=5"), format!("{b}=1"));
    let folded = scene.succeed(&[
        "recommend",
        "--rated",
        &likes,
        "--rated",
        &hates,
        "--top",
        "300",
        "--why",
        "--json",
    ]);
    let folded = json_lines(&folded).remove(0);
    assert_eq!(
        (&folded["basis"], &folded["train_ratings"]),
        (&"folded_in".into(), &2.into())
    );
    let ranked = products(&folded);
    assert!(ranked.len() == 298 && !ranked.contains(a) && !ranked.contains(b));
    // At the fit the contributions are the logit: score and explanation say the same.
    for product in folded["products"].as_array().unwrap() {
        let why = &product["why"];
        assert_eq!(why["measure"], "logit");
        let logit = why["sum"].as_f64().unwrap();
        let score = product["score"].as_f64().unwrap();
        assert!((1.0 / (1.0 + (-logit).exp()) - score).abs() < 1e-5, "{product}");
        let sum = why["all_ratings"].as_f64().unwrap() + why["product_itself"].as_f64().unwrap();
        assert!((sum - logit).abs() < 1e-9, "{product}");
    }
    // And where choices were learned, the appeal.
    let chosen = scene.succeed(&["recommend", "--run", "small-1", "--rated", &likes, "--why", "--json"]);
    let chosen = json_lines(&chosen).remove(0);
    assert!(!products(&chosen).contains(a));
    for product in chosen["products"].as_array().unwrap() {
        let (why, appeal) = (&product["why"], product["appeal"].as_f64().unwrap());
        assert_eq!(why["measure"], "appeal");
        assert!((why["sum"].as_f64().unwrap() - appeal).abs() < 1e-4, "{product}");
    }
    std::fs::write(scene.folder.join("mine.txt"), format!("{likes}\n {hates}\n")).unwrap();
    let from_file = scene.succeed(&[
        "recommend",
        "--rated-file",
        "mine.txt",
        "--top",
        "300",
        "--why",
        "--json",
    ]);
    assert_eq!(json_lines(&from_file)[0], folded);
    assert!(
        scene
            .succeed(&["recommend", "--rated", &likes])
            .contains("fitted to 1 given ratings")
    );

    // What a known user's recommendation comes from are products that they rated.
    let user = &users(&rows)[0];
    let own: HashSet<&str> = rows
        .iter()
        .filter(|row| row[0] == *user)
        .map(|row| row[1].as_str())
        .collect();
    let why = json_lines(&scene.succeed(&["recommend", "--user", user, "--why", "--json"])).remove(0);
    let mut reasons = 0;
    for product in why["products"].as_array().unwrap() {
        let because = product["why"]["because"].as_array().unwrap();
        let contributions: Vec<f64> = because
            .iter()
            .map(|one| one["contribution"].as_f64().unwrap())
            .collect();
        assert!(contributions.is_sorted_by(|a, b| a >= b) && contributions.iter().all(|&one| one > 0.0));
        assert!(because.iter().all(|one| own.contains(one["product"].as_str().unwrap())));
        reasons += because.len();
    }
    assert!(reasons > 0);
    assert!(
        scene
            .succeed(&["recommend", "--user", user, "--why=logits"])
            .contains("as fitted to the ratings")
    );
    // In words it is a sentence a product, of what they rated.
    let words = scene.succeed(&["recommend", "--user", user, "--why"]);
    let sentences: Vec<&str> = words.lines().filter(|line| line.contains("because ")).collect();
    assert_eq!(sentences.len(), 5, "{words}");
    assert!(
        sentences.iter().any(|line| own.iter().any(|id| line.contains(id))),
        "{words}"
    );
}

#[test]
fn a_product_is_known_by_its_title_too() {
    let (scene, rows) = trained("by-title");
    let mut products: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
    products.sort_unstable();
    products.dedup();
    // The last two share a title.
    let title = |place: usize| format!("Star Part {}", place.min(products.len() - 2));
    let titles: Vec<String> = products
        .iter()
        .enumerate()
        .map(|(place, id)| format!("{id},{}", title(place)))
        .collect();
    std::fs::write(
        scene.folder.join("titles.csv"),
        format!("id,title\n{}\n", titles.join("\n")),
    )
    .unwrap();
    let train = [
        "train",
        "config.toml",
        "--device",
        "cpu",
        "--quiet",
        "--set",
        "train.epochs=1",
    ];
    scene.succeed(&[&train[..], &["--set", "data.titles=titles.csv", "--set", "name=titled"]].concat());

    let ask = |product: &str| scene.run(&["similar", "--run", "titled-1", "--json", "--product", product]);
    let (by_id, by_title) = (ask(products[7]), ask("star PART 7"));
    assert_eq!(
        (by_id.code, &by_id.stdout),
        (Some(0), &by_title.stdout),
        "{}",
        by_title.stderr
    );
    let rate = |product: &str| {
        scene.succeed(&[
            "recommend",
            "--run",
            "titled-1",
            "--json",
            "--rated",
            &format!("{product}=5"),
        ])
    };
    assert_eq!(rate(products[7]), rate("Star Part 7"));

    let shared = ask(&title(products.len()));
    assert_eq!(shared.code, Some(1));
    let ids = &products[products.len() - 2..];
    assert!(
        shared.stderr.contains("2 products have the title") && ids.iter().all(|id| shared.stderr.contains(id)),
        "{}",
        shared.stderr
    );
    let part = ask("part 7");
    assert!(
        part.code == Some(1) && part.stderr.contains("did you mean `Star Part 7`"),
        "{}",
        part.stderr
    );
}

#[test]
fn similar_names_neighbours_by_a_cosine_that_ratings_bear_out() {
    let (scene, rows) = trained("similar");
    let product = &rows[0][1];
    let found = json_lines(&scene.succeed(&["similar", "--product", product, "--top", "400", "--json"])).remove(0);
    let neighbours = found["similar"].as_array().unwrap();
    assert_eq!(neighbours.len(), 299);
    let figure = |other: &Value, key: &str| other[key].as_f64().unwrap();
    assert!(neighbours.is_sorted_by(|a, b| figure(a, "likeness") >= figure(b, "likeness")));
    for other in neighbours {
        let (cosine, ratings) = (figure(other, "cosine"), figure(other, "train_ratings"));
        assert!(cosine.abs() <= 1.0 + 1e-6, "{other}");
        let wanted = cosine * ratings / (ratings + 20.0);
        assert!((figure(other, "likeness") - wanted).abs() < 1e-6, "{other}");
    }
    // A bound on ratings leaves out those below it, and changes nothing else.
    let bound = figure(&neighbours[0], "train_ratings");
    let ask = [
        "similar",
        "--product",
        product,
        "--top",
        "400",
        "--json",
        "--min-ratings",
    ];
    let bounded = json_lines(&scene.succeed(&[&ask[..], &[&bound.to_string()]].concat())).remove(0);
    let ids = |found: &mut dyn Iterator<Item = &Value>| found.map(|other| other["id"].clone()).collect::<Vec<_>>();
    let wanted = ids(&mut neighbours
        .iter()
        .filter(|other| figure(other, "train_ratings") >= bound));
    assert!(wanted.len() < neighbours.len());
    assert_eq!(ids(&mut bounded["similar"].as_array().unwrap().iter()), wanted);
    assert_eq!(
        fails(&scene, &[&ask[..], &["100000"]].concat()),
        (
            "no other product has 100000 or more training ratings".to_string(),
            "lower `--min-ratings`, or train on more ratings".to_string()
        )
    );
    assert!(
        found["similar"]
            .as_array()
            .unwrap()
            .iter()
            .all(|other| other["id"] != *product)
    );
    // Likeness has no direction.
    let other = found["similar"][0]["id"].as_str().unwrap();
    let back = json_lines(&scene.succeed(&["similar", "--product", other, "--top", "400", "--json"])).remove(0);
    let back = back["similar"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == *product)
        .unwrap()["cosine"]
        .clone();
    assert_eq!(back, found["similar"][0]["cosine"]);
    let user = &rows[0][0];
    assert_eq!(
        scene
            .succeed(&["similar", "--user", user, "--top", "4"])
            .lines()
            .count(),
        8
    );
}

/// Runs, expects exit code 1 and nothing on stdout, and returns error and hint.
fn fails(scene: &Scene, arguments: &[&str]) -> (String, String) {
    let ran = scene.run(arguments);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(1), ""),
        "{arguments:?}\n{}",
        ran.stderr
    );
    let (error, hint) = ran
        .stderr
        .trim_end()
        .split_once("\n\nhint: ")
        .expect("an error and a hint");
    (error.strip_prefix("error: ").unwrap().to_string(), hint.to_string())
}

#[test]
fn every_wrong_argument_has_its_message_its_hint_and_its_exit_code() {
    let (scene, rows) = trained("wrong");
    let (user, product) = (&rows[0][0], &rows[0][1]);
    let pair = |error: &str, hint: &str| (error.to_string(), hint.to_string());
    // One letter off: the right one is named.
    let mut typo = user.clone();
    typo.pop();
    typo.push('~');
    let (error, hint) = fails(&scene, &["recommend", "--user", &typo]);
    assert_eq!(error, format!("user `{typo}` is not in run `runs/small-1`"));
    assert!(
        hint.starts_with("did you mean `") && hint.contains(&format!("`{user}`")),
        "{hint}"
    );
    let (error, hint) = fails(&scene, &["similar", "--product", "?"]);
    assert_eq!(error, "product `?` is not in run `runs/small-1`");
    assert!(hint.starts_with("ids are compared as text"), "{hint}");
    std::fs::write(scene.folder.join("empty.txt"), "\n").unwrap();
    assert_eq!(
        fails(&scene, &["recommend", "--users", "empty.txt"]),
        pair(
            "there is nobody in `empty.txt`",
            "one user id to a line, or to a row of Parquet"
        )
    );
    assert_eq!(
        fails(&scene, &["recommend", "--rated-file", "empty.txt"]),
        pair(
            "there is no rating in `empty.txt`",
            "one `product=rating` to a line, or leave `--rated-file` out"
        )
    );
    for option in ["--users", "--rated-file", "--only", "--exclude"] {
        let (error, hint) = fails(&scene, &["recommend", option, "absent.txt"]);
        assert!(
            error.starts_with("cannot read `absent.txt`: ") && hint == "check the path",
            "{option}: {error}"
        );
    }

    let rated = |text: &str| fails(&scene, &["recommend", "--rated", text]);
    let malformed = "for example `--rated B00004ZCJE=5`; in a file one to a line";
    assert_eq!(rated("five"), pair("`five` is not `product=rating`", malformed));
    let text = format!("{product}=good");
    assert_eq!(
        rated(&text),
        pair(&format!("`{text}` is not `product=rating`"), malformed)
    );
    for (rating, shown) in [("6", "6"), ("0.5", "0.5"), ("nan", "NaN")] {
        let wanted = format!("the rating `{shown}` is off the scale of 1 to 5");
        let hint = "ratings are on the scale that the run was trained on";
        assert_eq!(rated(&format!("{product}={rating}")), pair(&wanted, hint));
    }
    assert_eq!(rated("nothing=5").0, "product `nothing` is not in run `runs/small-1`");
    let text = format!("{product}=5");
    assert_eq!(
        fails(&scene, &["recommend", "--rated", &text, "--rated", &text]),
        pair(&format!("product `{product}` is rated twice"), "name each product once")
    );
    std::fs::write(scene.folder.join("mine.txt"), format!("\n{product}=9\n")).unwrap();
    assert_eq!(
        fails(&scene, &["recommend", "--rated-file", "mine.txt"]).0,
        "the rating `9` is off the scale of 1 to 5 (mine.txt:2)"
    );

    let loosen = "loosen `--min-ratings`, `--only` or `--exclude`";
    assert_eq!(
        fails(&scene, &["recommend", "--user", user, "--min-ratings", "100000"]),
        pair(
            "no product is left to choose from: of 300, 300 have fewer than 100000 ratings",
            loosen
        )
    );
    assert_eq!(
        fails(&scene, &["recommend", "--user", user, "--only", "empty.txt"]),
        pair(
            "no product is left to choose from: of 300, 0 are in `empty.txt`",
            loosen
        )
    );
    std::fs::write(scene.folder.join("none.txt"), "x\ny\n").unwrap();
    let ran = scene.run(&["recommend", "--user", user, "--only", "none.txt"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    let nothing = "no product is left to choose from: of 300, 0 are in `none.txt`";
    assert!(
        ran.stderr.contains(nothing) && ran.stderr.contains(loosen),
        "{}",
        ran.stderr
    );

    std::fs::write(scene.folder.join("file"), "").unwrap();
    let (error, hint) = fails(&scene, &["recommend", "--all", "--out", "file/out"]);
    assert!(error.starts_with("cannot write `file/out`: "), "{error}");
    assert_eq!(hint, "a file stands where its folder should be");
    std::fs::create_dir(scene.folder.join("full")).unwrap();
    std::fs::write(scene.folder.join("full/photo.jpg"), "x").unwrap();
    assert_eq!(
        fails(&scene, &["recommend", "--all", "--out", "full"]),
        pair("folder `full` holds other files", "name a new or an empty folder")
    );
    for usage in [
        &["recommend", "--user", user, "--all"][..],
        &["recommend", "--user", user, "--json", "--csv"],
        &["recommend", "--rated", "x=1", "--out", "o"],
        &["similar"],
        &["recommend", "--rated", "x=1", "--device", "cpu"],
    ] {
        assert_eq!(scene.run(usage).code, Some(2), "{usage:?}");
    }
    for none in [["recommend", "--user"], ["similar", "--product"]] {
        let ran = scene.run(&[none[0], none[1], "x", "--top", "0"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(
            ran.stderr
                .starts_with("error: invalid value '0' for '--top <TOP>': 0 is not in 1..=4294967295\n"),
            "{}",
            ran.stderr
        );
    }

    // A run of another version, for every command that reads runs.
    let manifest = scene.folder.join("runs/small-1/manifest.json");
    let mut other: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    other["format_version"] = 999.into();
    std::fs::write(&manifest, other.to_string()).unwrap();
    for command in [&["recommend", "--user", user][..], &["similar", "--user", user]] {
        let (error, hint) = fails(&scene, command);
        assert!(
            error.starts_with("run `runs/small-1` has format version 999, this dotcart reads "),
            "{error}"
        );
        assert_eq!(hint, "use the dotcart that wrote it, or train again");
    }
}

/// The files of a folder of recommendations by name.
fn parts(scene: &Scene, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let below = scene.folder.join(folder);
    let files = scene.files(folder).into_iter();
    files
        .map(|(path, bytes)| (path.strip_prefix(&below).unwrap().to_path_buf(), bytes))
        .collect()
}

#[test]
fn a_folder_of_parts_is_continued_to_the_same_bytes() {
    let (scene, rows) = trained("parts");
    // Everything for everybody: 300 rows a user, 873 users a part.
    let ask = |folder: &str| scene.run(&["recommend", "--all", "--top", "300", "--out", folder]);
    let ran = ask("whole");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    let whole = parts(&scene, "whole");
    let names: Vec<&str> = whole.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "part-00000.parquet",
            "part-00001.parquet",
            "request.json",
            "summary.json"
        ]
    );
    let count = users(&rows).len();
    let pairs: HashSet<(&str, &str)> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    let wanted = 300 * count - pairs.len();
    assert_eq!(
        scene.json("whole/summary.json"),
        serde_json::json!({ "users": count, "rows": wanted, "parts": 2 })
    );

    // As a kill leaves it: the first part whole, the second under its temporary name.
    std::fs::create_dir(scene.folder.join("cut")).unwrap();
    for name in ["request.json", "part-00000.parquet"] {
        std::fs::copy(
            scene.folder.join("whole").join(name),
            scene.folder.join("cut").join(name),
        )
        .unwrap();
    }
    std::fs::write(scene.folder.join("cut/part-00001.parquet.partial"), "half").unwrap();
    assert_eq!(ask("cut").code, Some(0));
    assert!(parts(&scene, "cut") == whole, "continued to other bytes");
    // Complete already: nothing changes. Another request does not mix with it.
    assert_eq!(ask("cut").code, Some(0));
    assert!(parts(&scene, "cut") == whole);
    let (error, _) = fails(&scene, &["recommend", "--all", "--top", "5", "--out", "cut"]);
    assert_eq!(error, "folder `cut` holds the recommendations of another request");
    std::fs::write(scene.folder.join("cut/part-00001.parquet"), "no parquet").unwrap();
    let ran = ask("cut");
    assert!(
        ran.code == Some(1) && ran.stderr.contains("part-00001.parquet` is damaged: "),
        "{}",
        ran.stderr
    );

    // Nobody writes where another process is writing.
    let path = scene.folder.join("whole/request.json");
    let held = dotcart::common::file_lock::hold(&path).unwrap().unwrap();
    let (error, hint) = fails(&scene, &["recommend", "--all", "--top", "300", "--out", "whole"]);
    assert_eq!(error, "another process writes recommendations into folder `whole`");
    assert_eq!(hint, "wait for it, or name another folder");
    drop(held);
    assert!(ask("whole").code == Some(0) && parts(&scene, "whole") == whole);

    // What the parts hold is what the screen shows: the library that reads ratings reads them back.
    let csv = scene.succeed(&["recommend", "--all", "--top", "300", "--csv"]);
    assert_eq!(csv.lines().count(), wanted + 1);
    let file = std::fs::File::open(scene.folder.join("whole/part-00000.parquet")).unwrap();
    let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let mut lines = csv.lines().skip(1);
    for row in parquet::file::reader::FileReader::get_row_iter(&reader, None).unwrap() {
        let row = row.unwrap();
        let cell = |number: usize| match row.get_column_iter().nth(number).unwrap().1 {
            parquet::record::Field::Null => String::new(),
            parquet::record::Field::Str(text) => text.clone(),
            parquet::record::Field::Int(number) => number.to_string(),
            parquet::record::Field::Float(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        let line: Vec<String> = (0..8).map(cell).collect();
        assert_eq!(line.join(","), lines.next().unwrap());
    }
}

#[test]
fn shards_of_one_folder_leave_the_bytes_of_one_process() {
    let (scene, _) = trained("shards");
    let ask = |folder: &str, more: &[&str]| {
        let request = ["recommend", "--all", "--top", "300", "--device", "cpu", "--out", folder];
        scene.run(&[&request, more].concat())
    };
    assert_eq!(ask("whole", &[]).code, Some(0));
    let whole = parts(&scene, "whole");

    // All at once, and more of them than there are parts.
    let shards = ["0/3", "1/3", "2/3"];
    std::thread::scope(|scope| {
        for shard in shards {
            let ask = &ask;
            scope.spawn(move || {
                let ran = ask("shards", &["--shard", shard]);
                assert_eq!(ran.code, Some(0), "{shard}: {}", ran.stderr);
            });
        }
    });
    let part = |folder: &str, name: &str| scene.folder.join(folder).join(name);
    for name in ["part-00000.parquet", "part-00001.parquet", "request.json"] {
        assert!(std::fs::read(part("shards", name)).unwrap() == std::fs::read(part("whole", name)).unwrap());
    }
    assert!(
        !part("shards", "summary.json").exists(),
        "no shard knows that all parts are there"
    );
    // One is lost, another was killed: its shard alone writes it again, and the whole request ends what is left.
    std::fs::remove_file(part("shards", "part-00001.parquet")).unwrap();
    std::fs::write(part("shards", "part-00001.parquet.7.partial"), "half").unwrap();
    assert_eq!(ask("shards", &["--shard", "0/3"]).code, Some(0));
    assert!(!part("shards", "part-00001.parquet").exists());
    assert_eq!(ask("shards", &["--shard", "1/3"]).code, Some(0));
    std::fs::remove_file(part("shards", "part-00000.parquet")).unwrap();
    assert_eq!(ask("shards", &[]).code, Some(0));
    assert!(parts(&scene, "shards") == whole, "other bytes than one process writes");

    // A shard is in the way of itself and of the whole, and of no other.
    let held = dotcart::common::file_lock::share(&part("shards", "request.json"))
        .unwrap()
        .unwrap();
    let own = dotcart::common::file_lock::hold(&part("shards", "shard-0-of-3.partial"))
        .unwrap()
        .unwrap();
    let busy = "another process writes recommendations into folder `shards`";
    for more in [&["--shard", "0/3"][..], &[]] {
        let ran = ask("shards", more);
        assert!(
            ran.code == Some(1) && ran.stderr.contains(busy),
            "{more:?}: {}",
            ran.stderr
        );
    }
    assert_eq!(ask("shards", &["--shard", "1/3"]).code, Some(0));
    drop((held, own));

    // A part that strayed in is refused, be it of another request or of another model.
    let config = CONFIG.replace("dim = 16", "dim = 8");
    std::fs::write(scene.folder.join("config.toml"), config).unwrap();
    let other = |folder: &str, more: &[&str]| {
        let ran = scene.run(&[&["recommend", "--all", "--device", "cpu", "--out", folder], more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    };
    other("request", &["--top", "299", "--shard", "0/2"]);
    let run = scene.json("whole/request.json")["run"].as_str().unwrap().to_string();
    scene.succeed(&["train", "config.toml", "--device", "cpu"]);
    other("model", &["--top", "300", "--shard", "0/2"]);
    for from in ["request", "model"] {
        std::fs::copy(part(from, "part-00000.parquet"), part("shards", "part-00000.parquet")).unwrap();
        for more in [&["--run", &run, "--shard", "0/2"][..], &["--run", &run]] {
            let ran = ask("shards", more);
            let error = format!("part-00000.parquet` holds the recommendations of another {from}");
            assert!(
                ran.code == Some(1) && ran.stderr.contains(&error),
                "{from}: {}",
                ran.stderr
            );
        }
    }
    for shard in ["2/2", "1", "a/b", "1/0", "-1/2", ""] {
        let ran = ask("none", &[&format!("--shard={shard}")]);
        assert!(
            ran.code == Some(2) && ran.stderr.contains("wanted `I/N`"),
            "{shard}: {}",
            ran.stderr
        );
    }
    for other in ["--all", "--json", "--csv", "--why", "--rated=x=1"] {
        assert_eq!(
            scene.run(&["recommend", other, "--shard", "0/2"]).code,
            Some(2),
            "{other}"
        );
    }
}

#[test]
fn a_device_ranks_everybody_as_the_cpu_does() {
    if gpu().is_none() {
        return;
    }
    let (scene, rows) = trained("device");
    let ask = |device: &str| scene.succeed(&["recommend", "--all", "--device", device, "--csv"]);
    let (on_gpu, on_cpu) = (ask("gpu"), ask("cpu"));
    assert_eq!(on_gpu.lines().count(), 1 + 5 * users(&rows).len());
    let mut same = 0;
    for (received, expected) in on_gpu.lines().zip(on_cpu.lines()).skip(1) {
        let [received, expected] = [received, expected].map(|line| line.split(',').collect::<Vec<_>>());
        assert_eq!(received[..2], expected[..2], "user and rank");
        let [score, wanted] = [received[4], expected[4]].map(|score| score.parse::<f32>().unwrap());
        assert!((score - wanted).abs() < 1e-6, "{received:?} and {expected:?}");
        same += usize::from(received[2] == expected[2]);
    }
    // Two products may change places where rounding decides; here and there, no more.
    assert!(
        same * 1000 > 999 * 5 * users(&rows).len(),
        "{same} products are the same"
    );
    assert_eq!(ask("gpu"), on_gpu, "other bytes the second time");

    // Parts of one engine are not continued on the other.
    let parts = |device: &str| scene.run(&["recommend", "--all", "--device", device, "--out", "parts"]);
    assert_eq!(parts("gpu").code, Some(0));
    assert_eq!(scene.json("parts/summary.json")["users"], users(&rows).len());
    let ran = parts("cpu");
    assert!(
        ran.code == Some(1) && ran.stderr.contains("holds the recommendations of another request"),
        "{}",
        ran.stderr
    );
}

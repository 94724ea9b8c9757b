//! Ids, titles, names and arguments that would command a terminal: they are shown, and reach it under no command.

use super::scene::{CONFIG, Scene};

/// Clear the screen, ring, go back, the same in C1, turn the line around, end the line; and words that a spreadsheet computes.
const USERS: [&str; 6] = [
    "u\u{1b}[2Ju",
    "\u{7}\u{8}u",
    "u\u{9b}31m",
    "u\u{202e}u",
    "u\nu,\"u\r",
    "=1+1",
];
const PRODUCTS: [&str; 6] = [
    "p\u{1b}]0;x\u{7}p",
    "-p",
    "p\u{85}p",
    "\u{2066}p",
    "p\u{2028}p\tp",
    "@p",
];

fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n')
}

#[track_caller]
fn assert_shown(what: &str, text: &str) {
    assert!(!text.contains(is_hidden), "{what}: {text:?}");
}

/// A run of ratings with such ids and titles; ids come back from the readers as they are, but for blanks at their ends.
fn scene(name: &str) -> Scene {
    let scene = Scene::new(name, CONFIG);
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let mut rows = String::new();
    for (place, user) in USERS.iter().enumerate().flat_map(|row| [row; 6]).enumerate() {
        let product = PRODUCTS[place % 6];
        let row = format!(
            "{{\"user\": {}, \"product\": {}, \"rating\": {}}}\n",
            quoted(user.1),
            quoted(product),
            1 + (place + user.0) % 5
        );
        rows.push_str(&row);
    }
    let titles: String = PRODUCTS
        .iter()
        .map(|product| {
            format!(
                "{{\"product\": {}, \"title\": {}}}\n",
                quoted(product),
                quoted(&format!("=\u{202e}{product}"))
            )
        })
        .collect();
    std::fs::write(scene.folder.join("rows.jsonl"), rows).unwrap();
    std::fs::write(scene.folder.join("titles.jsonl"), titles).unwrap();
    let sets = [
        "data.path=rows.jsonl",
        "data.titles=titles.jsonl",
        "oversample.strategy=none",
        "split.test=0.2",
    ];
    let mut arguments = vec!["train", "config.toml", "--device", "cpu"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    let ran = scene.run(&arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_shown("train", &(ran.stdout + &ran.stderr));
    scene
}

#[test]
fn no_command_sends_them_to_a_terminal() {
    let scene = scene("hostile");
    let mut users = String::new();
    for user in USERS.iter().filter(|user| !user.contains('\n')) {
        users.push_str(&format!("{user}\n"));
        let similar = scene.run(&["similar", &format!("--user={user}")]);
        assert_shown("similar", &(similar.stdout + &similar.stderr));
    }
    std::fs::write(scene.folder.join("users.txt"), users).unwrap();
    for product in PRODUCTS {
        let similar = scene.run(&["similar", &format!("--product={product}")]);
        assert!(similar.stdout.contains("rank"), "{similar:?}");
        assert_shown("similar", &(similar.stdout + &similar.stderr));
    }
    let rated = format!("--rated={}=5", PRODUCTS[0]);
    for arguments in [
        ["recommend", "--all", "--include-seen", "--why"].as_slice(),
        &["recommend", "--users", "users.txt", "--top", "1"],
        &["recommend", &rated, "--why"],
        &["recommend"],
        &["evaluate"],
        &["compare", "small-1"],
        &["inspect", "config.toml", "--set", "data.path=rows.jsonl"],
        &["watch", "small-1"],
        // What is wrong is said with what was given.
        &["recommend", "--user=\u{1b}[2J\u{202e}"],
        &["recommend", "--top=\u{1b}[2J\u{202e}"],
        &["\u{1b}[2J\u{202e}"],
        &["evaluate", "--run=\u{1b}[2J"],
        &["train", "config.toml", "--set", "name=\u{1b}[2J\u{202e}"],
        &["train", "\u{9b}2J.toml"],
    ] {
        let ran = scene.run(arguments);
        assert!(!(ran.stdout.is_empty() && ran.stderr.is_empty()), "{arguments:?}");
        assert_shown(arguments[0], &(ran.stdout + &ran.stderr));
    }
    let page = String::from_utf8(scene.read("runs/small-1/report.html")).unwrap();
    assert!(
        page.contains("<h3>User ") && page.contains(r"u{"),
        "the page shows no id"
    );
    assert_shown("report.html", &page);
    // Somebody else's log.
    let log = scene.folder.join("runs/small-1/metrics.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(
        &log,
        text.replace("small-1", r"\u001b[2J\u202e")
            .replace("cpu, ", r"\u0007cpu, "),
    )
    .unwrap();
    let watched = scene.succeed(&["watch", "small-1"]);
    assert!(watched.contains(r"run      \u{1b}[2J\u{202e}"), "{watched}");
    assert_shown("watch", &watched);
}

#[test]
fn programs_get_the_very_text() {
    let scene = scene("text");
    let asked = ["recommend", "--all", "--include-seen", "--top", "6"];
    let json = scene.succeed(&[&asked[..], &["--json"]].concat());
    let rankings: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut expected = Vec::new();
    for ranking in &rankings {
        for product in ranking["products"].as_array().unwrap() {
            // A product without a title has none.
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
            expected.push([
                text(&ranking["user"]),
                text(&product["product"]),
                text(&product["title"]),
            ]);
        }
    }
    expected.iter().for_each(|[user, product, _]| {
        assert!(
            USERS.contains(&user.as_str()) && PRODUCTS.contains(&product.as_str()),
            "{user:?} {product:?}"
        );
    });
    assert_eq!(expected.len(), 36);
    let rows = |style: &str| -> Vec<[String; 3]> {
        let csv = scene.succeed(&[&asked[..], &[style]].concat());
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let row = |row: csv::Result<csv::StringRecord>| {
            let row = row.unwrap();
            [0, 2, 3].map(|column| row[column].to_string())
        };
        reader.records().map(row).collect()
    };
    assert_eq!(rows("--csv"), expected);
    let guarded = |text: &String| match text.starts_with(['=', '-', '@', '+']) {
        true => format!("'{text}"),
        false => text.clone(),
    };
    let excel: Vec<[String; 3]> = expected.iter().map(|row| row.each_ref().map(guarded)).collect();
    assert_eq!(rows("--csv=excel"), excel);
    assert!(excel.iter().any(|row| row[0] == "'=1+1") && excel.iter().any(|row| row[2].starts_with("'=")));
    scene.succeed(&["export", "embeddings", "small-1", "--for", "npy", "--out", "vectors"]);
    for (side, known) in [("users", USERS), ("products", PRODUCTS)] {
        let lines = String::from_utf8(scene.read(&format!("vectors/{side}.ids.jsonl"))).unwrap();
        let mut ids: Vec<String> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        ids.sort_unstable();
        let mut known = known.map(str::to_string);
        known.sort_unstable();
        assert_eq!(ids, known);
    }
}

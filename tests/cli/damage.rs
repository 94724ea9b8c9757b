//! Runs whose files are damaged under digests that match, mixed with another run's, or no files at all: refused by name, at
//! once. `cargo bench --bench fuzz_runs` looks for more.

use super::scene::{CONFIG, Ran, Scene};
use dotcart::artifact::pages::PAGE;
use dotcart::artifact::run_directory::RunDirectory;
use dotcart::artifact::vocabulary_file::VocabularyFile;
use dotcart::common::interaction::{ItemIndex, UserIndex};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const QUICK: [&str; 6] = ["train", "config.toml", "--device", "cpu", "--set", "train.epochs=1"];

const FILES: [&str; 9] = [
    "config.toml",
    "data.json",
    "users.safetensors",
    "products.safetensors",
    "interactions.safetensors",
    "calibration.json",
    "model.safetensors",
    "evaluation.json",
    "pages.safetensors",
];

fn run(scene: &Scene) -> PathBuf {
    scene.folder.join("runs/small-1")
}

/// Has the manifest, and the digests of the pages, vouch for the files as they stand.
fn vouch(run: &Path) {
    let path = run.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let files = RunDirectory::find(run.to_str()).unwrap().vouch().unwrap();
    manifest["files"] = serde_json::json!(files);
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
    vouch(run);
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
        vouch(&run);
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

    // Finite numbers whose product is not: the product is named by its own number, not by its place among those asked for.
    let products = VocabularyFile::<ItemIndex>::open(&run.join("products.safetensors"), None).unwrap();
    let asked_for = products.id(ItemIndex(7)).unwrap().to_string();
    drop(products);
    std::fs::write(scene.folder.join("only.txt"), asked_for).unwrap();
    fill(
        &run,
        "model.safetensors",
        "item_choice_embedding",
        f32::MAX.to_le_bytes(),
    );
    fill(
        &run,
        "model.safetensors",
        "user_choice_embedding",
        f32::MAX.to_le_bytes(),
    );
    let overflown = asked(&["recommend", &user, "--only", "only.txt"]);
    assert_eq!(overflown.code, Some(1), "{overflown:?}");
    assert!(
        overflown.stderr.contains("product number 7 is not finite"),
        "{}",
        overflown.stderr
    );
    restore();

    let evaluation = scene.json("runs/small-1/evaluation.json");
    let empty = |path: &[&str]| {
        let mut evaluation = evaluation.clone();
        let place = path.iter().fold(&mut evaluation, |place, key| &mut place[*key]);
        assert!(place.as_array().is_some_and(|list| !list.is_empty()), "{path:?}");
        *place = serde_json::json!([]);
        std::fs::write(run.join("evaluation.json"), evaluation.to_string()).unwrap();
        vouch(&run);
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

/// Ratings of 6,000 users and 3,000 titled products: tables of several pages each.
const MANY: &str = r#"
name = "many"
device = "cpu"
[data]
path = "rows.jsonl"
titles = "titles.jsonl"
[model]
dim = 16
[train]
epochs = 1
batch_size = 2048
[train.ranking]
dim = 16
"#;

fn many(scene: &Scene) -> PathBuf {
    let rows: String = (0..24_000)
        .map(|row| {
            let (user, product, rating) = (row % 6000, (row * 7 + row / 6000 * 13) % 3000, 1 + row * 5 / 7 % 5);
            format!("{{\"user\": \"u{user}\", \"product\": \"p{product}\", \"rating\": {rating}}}\n")
        })
        .collect();
    let titles: String = (0..3000)
        .map(|product| {
            let title = format!("A title of many words for product {product}");
            format!("{{\"product\": \"p{product}\", \"title\": \"{title}\"}}\n")
        })
        .collect();
    std::fs::write(scene.folder.join("rows.jsonl"), rows).unwrap();
    std::fs::write(scene.folder.join("titles.jsonl"), titles).unwrap();
    std::fs::write(scene.folder.join("list"), "u8\nu9\n").unwrap();
    scene.succeed(&["train", "config.toml", "--quiet"]);
    scene.folder.join("runs/many-1")
}

/// Changes one byte of a file as a disk does; its bytes before.
fn rot(path: &Path, at: usize) -> Vec<u8> {
    let whole = std::fs::read(path).unwrap();
    let mut bytes = whole.clone();
    bytes[at] ^= 4;
    std::fs::write(path, bytes).unwrap();
    whole
}

#[test]
fn no_answer_rests_on_a_byte_that_is_not_what_was_written() {
    let scene = Scene::new("rot", MANY);
    let run = many(&scene);
    let recommend: &[&str] = &["recommend", "--user", "u7", "--why"];
    let listed: &[&str] = &["recommend", "--users", "list"];
    let rated: &[&str] = &["recommend", "--rated", "p5=5"];
    let product: &[&str] = &["similar", "--product", "p5"];
    let user: &[&str] = &["similar", "--user", "u7"];
    let commands = [recommend, listed, rated, product, user];
    let answers = commands.map(|command| scene.succeed(command));
    let asked = |command: &[&str], file: &str, at: usize| {
        let path = run.join(file);
        let whole = rot(&path, at);
        let ran = scene.run(command);
        std::fs::write(path, whole).unwrap();
        ran
    };

    let users = VocabularyFile::<UserIndex>::open(&run.join("users.safetensors"), None).unwrap();
    let products = VocabularyFile::<ItemIndex>::open(&run.join("products.safetensors"), None).unwrap();
    let [u7, u8] = ["u7", "u8"].map(|id| users.index(id).unwrap().unwrap().index());
    let first: serde_json::Value =
        serde_json::from_str(&scene.succeed(&["recommend", "--user", "u7", "--json"])).unwrap();
    let first = first["products"][0]["product"].as_str().unwrap();
    let [first, p5] = [first, "p5"].map(|id| products.index(id).unwrap().unwrap().index());
    // What a command reads: a tensor, and the place of a value of so many bytes in it.
    let word = |file: &str, name: &str, place: usize| {
        let bytes = std::fs::read(run.join(file)).unwrap();
        let at = tensor(&bytes, name).start + 8 * place;
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
    };
    let (own, others) = (
        word("interactions.safetensors", "user_starts", u7),
        word("interactions.safetensors", "user_starts", u8),
    );
    let id = |file: &str, index: usize| word(file, "id_starts", index);
    let title = |index: usize| word("products.safetensors", "title_starts", index);
    let row = 16;
    let reads: [(&[&str], &str, &str, usize, usize); 34] = [
        (recommend, "users", "id_starts", 8, u7),
        (recommend, "users", "id_text", 1, id("users.safetensors", u7)),
        (recommend, "users", "train_ratings", 4, u7),
        (recommend, "users", "sorted", 4, 3000),
        (recommend, "products", "id_text", 1, id("products.safetensors", first)),
        (recommend, "products", "title_starts", 8, first),
        (recommend, "products", "title_text", 1, title(first) + 3),
        (recommend, "products", "train_ratings", 4, first),
        (recommend, "interactions", "user_starts", 8, u7),
        (recommend, "interactions", "item", 4, own),
        (recommend, "interactions", "rating", 4, own),
        (recommend, "interactions", "part", 1, own),
        (recommend, "model", "user_embedding", 4, u7 * row),
        (recommend, "model", "user_bias", 4, u7),
        (recommend, "model", "user_choice_embedding", 4, u7 * row + 5),
        (recommend, "model", "item_choice_embedding", 4, 0),
        (recommend, "model", "item_choice_embedding", 4, 3000 * row - 1),
        (recommend, "model", "item_appeal", 4, 2999),
        (recommend, "model", "item_embedding", 4, first * row),
        (recommend, "model", "item_bias", 4, first),
        (recommend, "model", "scale", 4, 0),
        (listed, "users", "id_text", 1, id("users.safetensors", u8)),
        (listed, "interactions", "item", 4, others),
        (listed, "model", "user_choice_embedding", 4, u8 * row),
        (listed, "model", "item_choice_embedding", 4, 1500 * row),
        (rated, "products", "id_text", 1, id("products.safetensors", p5)),
        (rated, "products", "sorted", 4, 1500),
        (rated, "model", "item_embedding", 4, p5 * row),
        (rated, "model", "item_choice_embedding", 4, 2000 * row),
        (product, "products", "title_text", 1, title(p5)),
        (product, "products", "train_ratings", 4, 2999),
        (product, "model", "item_choice_embedding", 4, 2999 * row),
        (user, "model", "user_choice_embedding", 4, 5999 * row),
        (user, "users", "train_ratings", 4, 5999),
    ];
    for (command, file, name, bytes, place) in reads {
        let file = format!("{file}.safetensors");
        let at = tensor(&std::fs::read(run.join(&file)).unwrap(), name).start + bytes * place;
        let ran = asked(command, &file, at);
        assert!(
            ran.stderr.contains(" are not what was written"),
            "{command:?} {file} {name}: {ran:?}"
        );
        assert_damaged(&ran, &file);
    }
    for file in ["config.toml", "data.json", "pages.safetensors"] {
        for command in commands {
            let bytes = std::fs::metadata(run.join(file)).unwrap().len() as usize;
            assert_damaged(&asked(command, file, bytes / 2), file);
        }
    }

    // A byte of every page: who does not read it answers as before, who does refuses, and nobody answers otherwise.
    let mut answered = [0; 5];
    for file in ["users", "products", "interactions", "model"] {
        let file = format!("{file}.safetensors");
        let bytes = std::fs::metadata(run.join(&file)).unwrap().len() as usize;
        for page in (0..bytes).step_by(PAGE) {
            for (number, command) in commands.into_iter().enumerate() {
                let ran = asked(command, &file, bytes.min(page + PAGE) - 1);
                match ran.code {
                    Some(0) => {
                        assert_eq!(ran.stdout, answers[number], "{command:?}: a byte of {file} at {page}");
                        answered[number] += 1;
                    }
                    _ => assert_damaged(&ran, &file),
                }
            }
        }
    }
    assert!(answered.iter().all(|&pages| pages > 5), "{answered:?}");
    assert_eq!(commands.map(|command| scene.succeed(command)), answers);
}

#[test]
fn a_run_that_an_older_dotcart_completed_has_no_digests_of_pages_and_is_read_all_the_same() {
    let scene = Scene::new("no-pages", CONFIG);
    scene.succeed(&QUICK);
    let run = run(&scene);
    let answer = scene.succeed(&["recommend"]);
    let mut manifest = scene.json("runs/small-1/manifest.json");
    manifest["files"].as_object_mut().unwrap().remove("pages.safetensors");
    std::fs::write(run.join("manifest.json"), manifest.to_string()).unwrap();
    // A manifest does not lose sight of a file that is there.
    assert_damaged(&scene.run(&["recommend"]), "manifest.json");
    std::fs::remove_file(run.join("pages.safetensors")).unwrap();
    let before = scene.files("runs");
    assert_eq!(scene.succeed(&["recommend"]), answer);
    scene.succeed(&["evaluate"]);
    scene.succeed(&["compare", "small-1"]);
    let resumed = scene.run(&["train", "--resume", "small-1"]);
    assert!(
        resumed.code == Some(1) && resumed.stderr.contains("is complete already"),
        "{resumed:?}"
    );
    assert!(before == scene.files("runs"), "the run was changed");
    scene.succeed(&[&QUICK[..], &["--from", "small-1"]].concat());
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

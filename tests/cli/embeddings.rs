//! Embeddings that leave: an exact inner product over the files is the run's own ranking, for whatever was learned.

use super::scene::{CONFIG, Scene};
use parquet::file::reader::SerializedFileReader;
use parquet::record::{Field, ListAccessor, RowAccessor};
use serde_json::Value;

/// A matrix of f32 as numpy wrote it, read by the format's own rules.
fn npy(scene: &Scene, path: &str) -> Vec<Vec<f32>> {
    let bytes = scene.read(path);
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{path}");
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..data]).unwrap().trim_end();
    let shape = header
        .strip_prefix("{'descr': '<f4', 'fortran_order': False, 'shape': (")
        .and_then(|rest| rest.strip_suffix("), }"))
        .unwrap_or_else(|| panic!("{path}: {header}"));
    let (rows, columns) = shape.split_once(", ").unwrap();
    let (rows, columns): (usize, usize) = (rows.parse().unwrap(), columns.parse().unwrap());
    let numbers: Vec<f32> = bytes[data..]
        .chunks_exact(4)
        .map(|number| f32::from_le_bytes(number.try_into().unwrap()))
        .collect();
    assert_eq!(bytes.len() - data, 4 * rows * columns, "{path}");
    numbers.chunks_exact(columns).map(<[f32]>::to_vec).collect()
}

fn ids(scene: &Scene, path: &str) -> Vec<String> {
    let text = String::from_utf8(scene.read(path)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn parquet(scene: &Scene, path: &str) -> (Vec<String>, Vec<Vec<f32>>) {
    let file = std::fs::File::open(scene.folder.join(path)).unwrap();
    let rows = SerializedFileReader::new(file).unwrap().into_iter();
    rows.map(|row| {
        let row = row.unwrap();
        let list = row.get_list(1).unwrap();
        let number = |field: &Field| match field {
            Field::Float(number) => *number,
            other => panic!("{path}: {other:?}"),
        };
        assert!((0..list.len()).all(|at| list.get_float(at).is_ok()));
        (
            row.get_string(0).unwrap().clone(),
            list.elements().iter().map(number).collect(),
        )
    })
    .unzip()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Holds the lists of all users against those of an exact search over the files of `folder`, ties aside.
fn assert_same_lists(scene: &Scene, folder: &str) {
    const TOP: usize = 20;
    const TIE: f32 = 1e-5;
    let users = npy(scene, &format!("{folder}/users.npy"));
    let products = npy(scene, &format!("{folder}/products.npy"));
    let product_ids = ids(scene, &format!("{folder}/products.ids.jsonl"));
    let text = scene.succeed(&["recommend", "--all", "--include-seen", "--top", "20", "--json"]);
    let rankings: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = rankings
        .iter()
        .map(|ranking| ranking["user"].as_str().unwrap())
        .collect();
    assert_eq!(names, ids(scene, &format!("{folder}/users.ids.jsonl")));
    assert_eq!((users.len(), products.len()), (names.len(), product_ids.len()));
    let mut same = 0;
    for (user, ranking) in users.iter().zip(&rankings) {
        let mut found: Vec<(f32, &str)> = products
            .iter()
            .zip(&product_ids)
            .map(|(product, id)| (dot(user, product), id.as_str()))
            .collect();
        let value = |id: &str| found.iter().find(|(_, other)| *other == id).unwrap().0;
        let listed = ranking["products"].as_array().unwrap();
        let listed: Vec<(f32, &str)> = listed
            .iter()
            .map(|product| {
                let id = product["product"].as_str().unwrap();
                if let Some(appeal) = product["appeal"].as_f64() {
                    assert!((value(id) - appeal as f32).abs() < TIE, "{ranking}");
                }
                (value(id), id)
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let pairs = || listed.iter().zip(&found[..TOP]);
        assert!(
            pairs().all(|(a, b)| (a.0 - b.0).abs() < TIE),
            "{ranking}\n{:?}",
            &found[..TOP]
        );
        same += usize::from(pairs().all(|(a, b)| a.1 == b.1));
    }
    // A tie in the first twenty is rare, so nearly all lists are the very same.
    assert!(same * 10 > rankings.len() * 9, "{same} of {}", rankings.len());
}

#[test]
fn an_inner_product_over_the_files_is_the_ranking_of_the_run() {
    for (what, sets) in [
        ("appeal", &["train.ranking.dim=8"][..]),
        (
            "logit",
            &["train.ranking.weight=0", "train.early_stopping.metric=valid_loss"],
        ),
    ] {
        let scene = Scene::new(&format!("embeddings-{what}"), CONFIG);
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let train: Vec<&str> = ["train", "config.toml", "--device", "cpu"]
            .into_iter()
            .chain(sets)
            .collect();
        scene.succeed(&train);
        scene.succeed(&["export", "embeddings", "small-1", "--for", "npy", "--out", "vectors"]);
        assert_same_lists(&scene, "vectors");
        let about = scene.json("vectors/embeddings.json");
        let dimensions = npy(&scene, "vectors/users.npy")[0].len();
        assert_eq!(about["dimensions"], dimensions);
        assert!(about["inner_product"].as_str().unwrap().contains(what), "{about}");

        // The other readers get the same numbers.
        for reader in ["faiss", "hnswlib"] {
            scene.succeed(&["export", "embeddings", "small-1", "--for", reader, "--out", reader]);
            assert!(
                scene
                    .files(reader)
                    .iter()
                    .map(|file| &file.1)
                    .eq(scene.files("vectors").iter().map(|file| &file.1))
            );
        }
        scene.succeed(&["export", "embeddings", "small-1", "--for", "parquet", "--out", "tables"]);
        for side in ["users", "products"] {
            let (names, vectors) = parquet(&scene, &format!("tables/{side}.parquet"));
            assert!(names == ids(&scene, &format!("vectors/{side}.ids.jsonl")));
            assert!(vectors == npy(&scene, &format!("vectors/{side}.npy")));
        }
    }
}

#[test]
fn what_is_there_stays_unless_it_may_go() {
    let scene = Scene::new("embeddings-force", CONFIG);
    scene.succeed(&["train", "config.toml", "--device", "cpu"]);
    let export = ["export", "embeddings", "small-1", "--for", "npy", "--out", "vectors"];
    scene.succeed(&export);
    let before = scene.files("vectors");
    let names: Vec<&str> = before
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap())
        .collect();
    let wanted = [
        "embeddings.json",
        "products.ids.jsonl",
        "products.npy",
        "users.ids.jsonl",
        "users.npy",
    ];
    assert_eq!(names, wanted);
    for file in wanted {
        std::fs::rename(scene.folder.join("vectors"), scene.folder.join("other")).unwrap();
        std::fs::create_dir(scene.folder.join("vectors")).unwrap();
        std::fs::write(scene.folder.join("vectors").join(file), "mine").unwrap();
        let refused = scene.run(&export);
        assert_eq!(refused.code, Some(1));
        let wanted = format!("error: `vectors/{file}` exists already\n\nhint: `--force`");
        assert!(refused.stderr.contains(&wanted), "{}", refused.stderr);
        assert_eq!(scene.files("vectors").len(), 1);
        std::fs::remove_dir_all(scene.folder.join("vectors")).unwrap();
        std::fs::rename(scene.folder.join("other"), scene.folder.join("vectors")).unwrap();
    }
    std::fs::write(scene.folder.join("vectors/users.npy"), "half").unwrap();
    scene.succeed(&[&export[..], &["--force"]].concat());
    assert!(scene.files("vectors") == before);
}

#[test]
fn a_ranking_that_is_no_inner_product_is_refused() {
    let scene = Scene::new("embeddings-liking", CONFIG);
    let train = ["train", "config.toml", "--device", "cpu", "--set"];
    scene.succeed(&[&train[..], &["train.ranking.like_weight=0.5"]].concat());
    let ran = scene.run(&["export", "embeddings", "small-1", "--for", "faiss", "--out", "vectors"]);
    assert_eq!(ran.code, Some(1));
    let wanted = "is ranked by appeal + 0.5 ln(score), which is no inner product\n\nhint: train with `--set train.ranking.like_weight=0`";
    assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    assert!(!scene.folder.join("vectors").exists());
    // Where choices are not learned nothing weighs a score.
    let sets = [
        "name=logit",
        "--set",
        "train.ranking.like_weight=0.5",
        "--set",
        "train.ranking.weight=0",
    ];
    scene.succeed(&[&train[..], &sets, &["--set", "train.early_stopping.metric=valid_loss"]].concat());
    scene.succeed(&["export", "embeddings", "logit-1", "--for", "faiss", "--out", "vectors"]);
    assert_same_lists(&scene, "vectors");
}

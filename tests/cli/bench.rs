//! Benchmarks run on any machine and say what they measured; their figures are nobody's promise.

use super::needs::gpu;
use super::scene::Scene;

const SMALL: [&str; 14] = [
    "bench",
    "train",
    "--users",
    "300",
    "--products",
    "50",
    "--ratings",
    "4000",
    "--dim",
    "8",
    "--batch",
    "500",
    "--seconds",
    "1",
];

#[test]
fn a_training_is_measured_beside_the_machine() {
    let scene = Scene::new("bench-train", "");
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--threads", "1", "--json"]);
    let out = scene.succeed(&arguments);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["users"], &report["dim"]), (&300.into(), &8.into()));
    let number = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {out}"));
    for key in [
        "samples_per_second",
        "planner_samples_per_second",
        "fraction_of_copy",
        "fraction_of_random_records",
    ] {
        assert!(number(key) > 0.0, "{key} in {out}");
    }
    // Whole steps of 500 samples, the time that they took, and a loss near that of a coin.
    let steps = number("steps");
    assert!(
        (number("samples_per_second") * number("seconds") - 500.0 * steps).abs() < 1.0,
        "{out}"
    );
    assert!((0.3..0.8).contains(&number("last_loss")), "{out}");
    assert!(
        report["traffic"]["user_rows_per_step"].as_f64().unwrap() <= 300.0,
        "{out}"
    );
    assert!(
        std::fs::read_dir(&scene.folder).unwrap().count() == 1,
        "a benchmark leaves nothing behind"
    );
}

#[test]
fn ratings_are_written_for_other_programs() {
    let scene = Scene::new("bench-write", "");
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--write", "rows"]);
    assert_eq!(scene.succeed(&arguments), "");
    let words = |name: &str| -> Vec<u32> {
        let bytes = scene.read(&format!("rows/{name}"));
        bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect()
    };
    let (users, products) = (words("users.u32"), words("products.u32"));
    assert_eq!((users.len(), products.len()), (4000, 4000));
    assert_eq!((users.iter().max(), products.iter().max()), (Some(&299), Some(&49)));
    assert!(
        words("ratings.f32")
            .iter()
            .all(|bits| (1.0..=5.0).contains(&f32::from_bits(*bits)))
    );
}

#[test]
fn a_dim_that_no_kernel_takes_is_a_usage_error() {
    let ran = Scene::new("bench-dim", "").run(&["bench", "train", "--dim", "10"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("wanted a multiple of 4 from 4 to 512"),
        "{}",
        ran.stderr
    );
}

#[test]
fn scoring_is_measured_at_several_sizes_on_either_engine() {
    let scene = Scene::new("bench-score", "");
    let sweep = |device: &str, more: &[&str]| {
        let small = ["--items", "2000", "--dim", "8", "--users", "32", "--seconds", "0"];
        scene.succeed(&[&["bench", "score", "--sweep", "--device", device][..], &small, more].concat())
    };
    let points = |out: &str| -> Vec<[u64; 3]> {
        let of_line = |line: &str| {
            let report: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(report["users_per_second"].as_f64().unwrap() > 0.0, "{line}");
            ["items", "users", "k"].map(|key| report[key].as_u64().unwrap())
        };
        out.lines().map(of_line).collect()
    };
    let mut wanted = vec![
        [500, 32, 10],
        [1000, 32, 10],
        [2000, 128, 10],
        [2000, 64, 10],
        [2000, 32, 10],
    ];
    wanted.extend([
        [2000, 8, 10],
        [2000, 2, 10],
        [2000, 1, 10],
        [2000, 32, 1],
        [2000, 32, 100],
        [2000, 32, 1000],
    ]);
    if gpu().is_some() {
        let out = sweep("gpu", &["--json"]);
        assert_eq!(points(&out), wanted);
        assert!(out.lines().all(|line| line.contains("\"engine\":\"gpu\"")), "{out}");
    }
    wanted.push([2000, 32, 10_000]);
    let out = sweep("cpu", &["--json"]);
    assert_eq!(points(&out), wanted);
    assert!(out.lines().all(|line| line.contains("\"engine\":\"cpu\"")), "{out}");
    assert_eq!(sweep("cpu", &[]).lines().count(), 1 + wanted.len());
}

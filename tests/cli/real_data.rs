//! Real ratings, from the folder that `DOTCART_REAL_DATA` names.

use super::needs::real;
use super::scene::Scene;
use std::path::PathBuf;

pub fn config(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_row_of_the_first_50_698_of_electronics_is_accounted_for() {
    let Some(path) = real("electronics_50k.csv") else {
        return;
    };
    let scene = Scene::new("real-50k", &config("electronics.toml"));
    let path = format!("data.path={}", path.display());
    scene.succeed(&[
        "train",
        "config.toml",
        "--device",
        "cpu",
        "--set",
        &path,
        "--set",
        "train.epochs=2",
        "--set",
        "model.dim=16",
    ]);
    let report = scene.json("runs/electronics-1/data.json");
    assert_eq!(
        (&report["rows_read"], &report["rows_kept"], &report["generated"]),
        (&50_698.into(), &50_698.into(), &false.into())
    );
    assert_eq!((&report["users"], &report["items"]), (&47_141.into(), &3_529.into()));
    let histogram: Vec<u64> = report["histogram"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| class[1].as_u64().unwrap())
        .collect();
    assert_eq!(histogram, [5_527, 2_814, 3_981, 10_312, 28_064]);
    // The first product of the file keeps its zero: nobody who rated it is offered it, others are offered such ids.
    let seen = scene.succeed(&["recommend", "--user", "AKM1MP6P0OYPR", "--top", "4000", "--json"]);
    assert!(!seen.contains("\"0132793040\"") && seen.contains("\"0321732944\""));
    let other = scene.succeed(&["recommend", "--user", "A2CX7LUOHB2NDG", "--top", "4000", "--json"]);
    assert!(other.contains("\"0132793040\"") && !other.contains("\"132793040\""));
}

#[test]
fn the_tuned_config_reaches_its_quality_on_electronics_164k() {
    let Some(path) = real("electronics_164k.csv") else {
        return;
    };
    let scene = Scene::new("real-164k", &config("electronics_164k.toml"));
    scene.succeed(&[
        "train",
        "config.toml",
        "--device",
        "cpu",
        "--set",
        &format!("data.path={}", path.display()),
    ]);
    let report = scene.json("runs/electronics_164k-1/data.json");
    assert_eq!(
        (&report["rows_read"], &report["rows_kept"]),
        (&164_007.into(), &164_007.into())
    );
    assert_eq!(
        (&report["users"], &report["items"], &report["has_timestamps"]),
        (&8_014.into(), &6_727.into(), &false.into())
    );
    let ratings = &scene.json("runs/electronics_164k-1/evaluation.json")["ratings"];
    let evaluation = &ratings[0];
    let (auc, rmse) = (
        evaluation["auc"].as_f64().unwrap(),
        evaluation["rmse"].as_f64().unwrap(),
    );
    assert!(auc >= 0.75 && rmse <= 0.95, "AUC {auc}, RMSE {rmse}");
    // What is worth training beats two means and a sum; who rated what is what gets it there.
    let bias = &ratings[2];
    assert_eq!(bias["predictor"], "user_item_bias");
    let (bias_auc, bias_rmse) = (bias["auc"].as_f64().unwrap(), bias["rmse"].as_f64().unwrap());
    assert!(auc > bias_auc + 0.002 && rmse < bias_rmse - 0.004, "{bias}");
    let at = &evaluation["thresholds"][0];
    let precision = at["precision"].as_f64().unwrap();
    assert!(precision > at["base_rate"].as_f64().unwrap() + 0.04, "{at}");
}

//! The metrics against scikit-learn, ranx, pytrec_eval and Microsoft's recommenders: `scripts/make_golden_metrics.py` wrote
//! down what they answer.

use super::calibration::{brier, expected_error, reliability};
use super::catalogue::Shown;
use super::classes::by_class;
use super::curves::Sweep;
use super::ranking::{MeanRanking, RankingMetrics};
use super::rating::{Confusion, cross_entropy, mae, rmse};
use crate::common::interaction::ItemIndex;
use serde_json::Value;

const TOLERANCE: f64 = 1e-9;
const THRESHOLD: f32 = 0.75;
const RELEVANT_FROM: f32 = 4.0;

fn numbers(value: &Value) -> Vec<Option<f64>> {
    value.as_array().unwrap().iter().map(Value::as_f64).collect()
}

fn column(value: &Value) -> Vec<f32> {
    numbers(value)
        .into_iter()
        .map(|number| number.unwrap() as f32)
        .collect()
}

fn indices(value: &Value) -> Vec<u32> {
    numbers(value)
        .into_iter()
        .map(|number| number.unwrap() as u32)
        .collect()
}

fn assert_near(found: Option<f64>, wanted: Option<f64>, what: &str) {
    let is_near = match (found, wanted) {
        (Some(found), Some(wanted)) => (found - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0),
        (found, wanted) => found == wanted,
    };
    assert!(is_near, "{what}: {found:?} for {wanted:?}");
}

fn assert_curve(found: &[[f64; 2]], wanted: &Value, what: &str) {
    let wanted = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(found.len(), wanted.len(), "{what}: points");
    for (found, wanted) in found.iter().zip(wanted) {
        let wanted = numbers(wanted);
        assert_near(Some(found[0]), wanted[0], what);
        assert_near(Some(found[1]), wanted[1], what);
    }
}

#[test]
fn rating_metrics_are_those_of_scikit_learn() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../tests/metrics/golden_rating.json")).unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let near = |key: &str, found: Option<f64>| assert_near(found, case[key].as_f64(), &format!("{name}: {key}"));
        let [logits, scores, ratings, stars] = ["logits", "scores", "ratings", "stars"].map(|key| column(&case[key]));
        let relevant: Vec<bool> = ratings.iter().map(|&rating| rating >= RELEVANT_FROM).collect();
        let labels: Vec<f32> = relevant.iter().map(|&relevant| f32::from(relevant)).collect();
        let fractions: Vec<f32> = ratings.iter().map(|rating| (rating - 1.0) / 4.0).collect();

        let counts = Confusion::at(THRESHOLD, &scores, &relevant);
        near("precision", counts.precision());
        near("recall", counts.recall());
        near("f1", counts.f1());
        near("rmse", rmse(&stars, &ratings));
        near("mae", mae(&stars, &ratings));
        near("log_loss", cross_entropy(&logits, &labels));
        near("log_loss_of_fractions", cross_entropy(&logits, &fractions));
        near("brier", brier(&scores, &labels));
        near("brier_of_fractions", brier(&scores, &fractions));

        let sweep = Sweep::new(&logits, &relevant);
        near("auc", sweep.auc());
        near("average_precision", sweep.average_precision());
        if case["roc"].is_array() {
            assert_curve(&sweep.roc(), &case["roc"], name);
            // scikit-learn stops at the first threshold that finds everything.
            let curve = sweep.precision_recall();
            let wanted = case["precision_recall"].as_array().unwrap().len();
            let beyond = curve.len() - wanted;
            assert!(curve[..beyond].iter().all(|point| point[0] == 1.0));
            assert_curve(&curve[beyond..], &case["precision_recall"], name);
        }

        let bins = reliability(&scores, &labels);
        near("calibration_error", expected_error(&bins));
        let rows: Vec<u32> = bins.iter().map(|bin| bin.rows as u32).collect();
        assert_eq!(rows, indices(&case["bin_counts"]), "{name}");
        for (place, bin) in bins.iter().enumerate() {
            assert_near(Some(bin.mean_score), case["bin_means"][place].as_f64(), name);
            assert_near(Some(bin.mean_target), case["bin_fractions"][place].as_f64(), name);
        }

        let table = by_class(&[1.0, 2.0, 3.0, 4.0, 5.0], &stars, &ratings);
        for (place, class) in table.classes.iter().enumerate() {
            assert_near(class.mae, case["class_mae"][place].as_f64(), name);
            assert_near(class.precision, case["class_precision"][place].as_f64(), name);
            assert_near(class.recall, case["class_recall"][place].as_f64(), name);
        }
        assert_eq!(
            serde_json::to_value(&table.confusion).unwrap(),
            case["confusion"],
            "{name}"
        );
    }
}

fn user(case: &Value, k: usize) -> RankingMetrics {
    let relevant = indices(&case["relevant"]);
    let ranked = indices(&case["ranked"]);
    let hits: Vec<bool> = ranked.iter().map(|item| relevant.contains(item)).collect();
    RankingMetrics::at(k, &hits, relevant.len()).unwrap()
}

fn assert_ranking(found: &RankingMetrics, wanted: &Value, what: &str) {
    let found = serde_json::to_value(found).unwrap();
    for (key, value) in found.as_object().unwrap() {
        if let Some(wanted) = wanted.get(key) {
            assert_near(value.as_f64(), wanted.as_f64(), &format!("{what}: {key}"));
        }
    }
}

#[test]
fn ranking_metrics_are_those_of_ranx_and_pytrec_eval() {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/metrics/golden_ranking.json")).unwrap();
    let cases = golden["users"].as_array().unwrap();
    assert_eq!(cases.len(), 56);
    for case in cases {
        assert_eq!(case.as_object().unwrap().len(), 9, "all six metrics: {case}");
        let k = case["k"].as_u64().unwrap() as usize;
        assert_ranking(&user(case, k), case, &case.to_string());
    }
}

#[test]
fn the_fixture_of_microsofts_recommenders_is_judged_as_there() {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/metrics/golden_ranking.json")).unwrap();
    let fixture = &golden["microsoft"];
    let mut mean = MeanRanking::default();
    for case in fixture["users"].as_array().unwrap() {
        mean.add(user(case, 10));
    }
    assert_ranking(&mean.mean().unwrap(), fixture, "microsoft");
    // The figures that the project's own tests expect.
    assert!((fixture["average_precision"].as_f64().unwrap() - 0.23613).abs() < 1e-5);
    assert!((fixture["ndcg"].as_f64().unwrap() - 0.38172).abs() < 1e-5);

    let mut counts = vec![0; 5];
    for item in indices(&fixture["train_items"]) {
        counts[item as usize - 1] += 1;
    }
    let mut shown = Shown::new(&counts);
    for item in indices(&fixture["recommended_items"]) {
        shown.show(ItemIndex(item - 1));
    }
    assert_near(shown.coverage(), fixture["coverage"].as_f64(), "coverage");
    assert_near(shown.novelty(), fixture["novelty"].as_f64(), "novelty");
}

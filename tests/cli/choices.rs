//! Choices: what people take up is learned with ratings or without any, and lists are ranked by it.

use super::scene::Scene;
use serde_json::Value;

const PURCHASES: &str = r#"
name = "shop"
device = "cpu"
[data]
path = "purchases.csv"
[train]
epochs = 30
batch_size = 128
learning_rate = 0.02
ranking = { dim = 8, negatives = 16, l2 = 0.02 }
early_stopping = { metric = "valid_ndcg", patience = 0 }
"#;

/// Twelve buyers of each of two halves of a shop, each of whom has bought ten of its twenty products, some of them twice.
fn purchases() -> String {
    let mut text = "customer,product\n".to_string();
    for half in 0..2 {
        for buyer in 0..12 {
            for bought in 0..10 {
                let product = (3 * buyer + 2 * bought + bought / 5) % 20;
                for _ in 0..1 + (buyer + bought) % 2 {
                    text += &format!("c{half}{buyer:02},p{half}{product:02}\n");
                }
            }
        }
    }
    text
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn purchases_without_ratings_train_and_lists_stay_in_the_half_that_a_buyer_shops_in() {
    let scene = Scene::new("purchases", PURCHASES);
    std::fs::write(scene.folder.join("purchases.csv"), purchases()).unwrap();
    let ran = scene.run(&["train", "config.toml", "--plain"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("no ratings: each row is a choice"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stdout.contains(" of 240 choices: 40 products, 24 users"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\nIts lists beat most popular"), "{}", ran.stdout);
    let tables = scene.succeed(&["evaluate"]);
    assert!(tables.contains("rankings alone are judged"), "{tables}");
    for text in [&ran.stdout, &ran.stderr, &tables] {
        assert!(!text.contains("RMSE"), "{text}");
    }
    assert!(!ran.stdout.contains("rating"), "{}", ran.stdout);
    let evaluation = json(&String::from_utf8(scene.read("runs/shop-1/evaluation.json")).unwrap());
    assert_eq!(evaluation["ratings"].as_array().unwrap().len(), 0);
    let rankers = evaluation["rankings"]["rankers"].as_array().unwrap();
    let ndcg = |name: &str| {
        let ranker = rankers.iter().find(|ranker| ranker["predictor"] == name).unwrap();
        ranker["at"][0]["ndcg"].as_f64().unwrap()
    };
    assert!(ndcg("model") > ndcg("most_popular"), "{rankers:?}");
    for buyer in ["c003", "c107"] {
        let ranking = json(&scene.succeed(&["recommend", "--user", buyer, "--top", "5", "--json"]));
        for product in ranking["products"].as_array().unwrap() {
            assert_eq!(product["product"].as_str().unwrap()[1..2], buyer[1..2], "{ranking}");
            assert_eq!(product["predicted_rating"], Value::Null);
        }
    }
    // A second look at the run judges it alike.
    let again = scene.succeed(&["evaluate", "--json"]);
    assert_eq!(json(&again)["rankings"]["rankers"], evaluation["rankings"]["rankers"]);
}

#[test]
fn who_asks_for_ratings_alone_where_there_are_none_is_told_so() {
    let scene = Scene::new("purchases-rated", PURCHASES);
    std::fs::write(scene.folder.join("purchases.csv"), purchases()).unwrap();
    let ran = scene.run(&[
        "train",
        "config.toml",
        "--set",
        "train.ranking.weight=0",
        "--set",
        "train.early_stopping.metric=valid_loss",
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(
        ran.stderr
            .contains("error: `purchases.csv` has no ratings, and choices are not learned")
            && ran.stderr.contains("hint: leave `train.ranking.weight`"),
        "{}",
        ran.stderr
    );
    assert!(!scene.folder.join("runs").exists());
}

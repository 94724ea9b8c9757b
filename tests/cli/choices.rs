//! Choices: what people take up is learned with ratings or without any, and lists are ranked by it.

use super::scene::Scene;
use super::server::Server;
use serde_json::{Value, json};

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

fn parsed(text: &str) -> Value {
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
    let evaluation = parsed(&String::from_utf8(scene.read("runs/shop-1/evaluation.json")).unwrap());
    assert_eq!(evaluation["ratings"].as_array().unwrap().len(), 0);
    let rankers = evaluation["rankings"]["rankers"].as_array().unwrap();
    let ndcg = |name: &str| {
        let ranker = rankers.iter().find(|ranker| ranker["predictor"] == name).unwrap();
        ranker["at"][0]["ndcg"].as_f64().unwrap()
    };
    assert!(ndcg("model") > ndcg("most_popular"), "{rankers:?}");
    for buyer in ["c003", "c107"] {
        let ranking = parsed(&scene.succeed(&["recommend", "--user", buyer, "--top", "5", "--json"]));
        for product in ranking["products"].as_array().unwrap() {
            assert_eq!(product["product"].as_str().unwrap()[1..2], buyer[1..2], "{ranking}");
            assert_eq!(product["predicted_rating"], Value::Null);
        }
    }
    // A second look at the run judges it alike.
    let again = scene.succeed(&["evaluate", "--json"]);
    assert_eq!(parsed(&again)["rankings"]["rankers"], evaluation["rankings"]["rankers"]);
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

#[test]
fn counts_are_posted_and_add_up() {
    let scene = Scene::new("counts", PURCHASES);
    std::fs::write(scene.folder.join("purchases.csv"), purchases()).unwrap();
    scene.succeed(&["train", "config.toml", "--quiet"]);
    let server = Server::start(&scene, &[]);
    let path = "/v1/users/c003/recommendations?top=40&why=true";
    let before = server.json(path);
    let best = before["products"][0]["product"].as_str().unwrap().to_string();
    let post = |rating: f32| {
        server.post(
            "/v1/ratings",
            &json!({ "user": "c003", "product": best, "rating": rating }),
        )
    };
    for none in [0.0, -1.0] {
        let (status, answer) = post(none);
        assert!(
            status == 400 && answer["error"].as_str().unwrap().contains("no count"),
            "{answer}"
        );
    }
    let body = server.request(
        "POST",
        "/v1/ratings",
        "{\"user\":\"c003\",\"product\":\"p001\",\"rating\":1e99}",
        Some(super::server::TOKEN),
    );
    assert_eq!(body.0, 400, "{}", body.1);
    assert_eq!(post(1.5).0, 201);
    let once = server.json(path);
    assert_eq!(post(1.5).0, 201);
    let after = server.json(path);
    assert_ne!(after["products"][0]["appeal"], once["products"][0]["appeal"]);
    assert_eq!(after["basis"], "folded_in");
    let listed = after["products"].as_array().unwrap();
    assert!(!listed.is_empty() && listed.iter().all(|product| product["product"] != best.as_str()));
    drop(server);
    // Three more of it, in the next run's table: no more are to come.
    scene.succeed(&["train", "--from", "shop-1", "--quiet"]);
    let server = Server::start(&scene, &[]);
    assert_eq!(server.json(path)["basis"], "trained");
    assert_eq!(server.json("/v1/model")["ratings_since_training"], 0);
    drop(server);
    scene.succeed(&["export", "splits", "shop-2", "--out", "splits"]);
    let rows = String::from_utf8(scene.read("splits/train.csv")).unwrap();
    assert!(rows.contains(&format!("c003,{best},3")), "{rows}");
}

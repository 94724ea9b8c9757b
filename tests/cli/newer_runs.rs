//! Ratings that came since the training, where newer runs take over: none is lost, and none comes back.

use super::scene::Scene;
use super::server::{Server, ids, trained};
use serde_json::{Value, json};

fn train(scene: &Scene, more: &[&str]) {
    scene.succeed(&[&["train", "--device", "cpu", "--quiet"], more].concat());
}

fn since_training(server: &Server) -> Value {
    server.json("/v1/model")["ratings_since_training"].clone()
}

fn post(server: &Server, user: &str, product: &str, rating: f32, name: Option<&str>) -> (u16, Value) {
    let mut body = json!({ "user": user, "product": product, "rating": rating });
    if let Some(name) = name {
        body["request_id"] = json!(name);
    }
    server.post("/v1/ratings", &body)
}

#[test]
fn what_a_run_was_trained_on_is_done_with_and_all_else_goes_along_however_it_begins() {
    let scene = trained("newer-runs");
    let (users, products) = ids(&scene);
    let user = &users[3];
    let server = Server::start(&scene, &[]);
    // One that changes, one with a name, and one for later.
    assert_eq!(post(&server, user, &products[0], 1.0, None).0, 201);
    assert_eq!(post(&server, user, &products[0], 4.0, None).0, 201);
    assert_eq!(post(&server, user, &products[1], 5.0, Some("one")).0, 201);
    assert_eq!(post(&server, "later", &products[1], 5.0, None).0, 201);
    assert_eq!(since_training(&server), 3);
    train(&scene, &["--from", "small-1"]);
    // It was trained on all of these: the first rating of what changed does not come back.
    assert_eq!(post(&server, "later", &products[2], 2.0, Some("two")).0, 201);
    drop(server);
    let server = Server::start(&scene, &[]);
    assert_eq!(server.json("/v1/model")["run"], "runs/small-2");
    assert_eq!(since_training(&server), 1);
    assert_eq!(
        server.json(&format!("/v1/users/{user}/recommendations"))["basis"],
        "trained"
    );
    assert_eq!(server.json("/v1/users/later/recommendations")["basis"], "folded_in");
    // What was posted before is known by its name, whether the run was trained on it or not.
    for (name, user, product, rating) in [
        ("one", user.as_str(), &products[1], 5.0),
        ("two", "later", &products[2], 2.0),
    ] {
        let (status, kept) = post(&server, user, product, rating, Some(name));
        assert_eq!((status, &kept["before"]), (200, &json!(true)), "{name}");
        assert_eq!(post(&server, user, product, 3.0, Some(name)).0, 409, "{name}");
    }
    drop(server);

    // One that knows nothing of them, taken while the server runs: all of it comes along from the first run's folder.
    let server = Server::start(&scene, &["--name", "small"]);
    train(&scene, &["config.toml", "--set", "train.learning_rate=0.02"]);
    server.wait_for_run("runs/small-3");
    assert_eq!(since_training(&server), 4);
    let folded = server.json(&format!("/v1/users/{user}/recommendations?top=20"));
    assert_eq!(folded["basis"], "folded_in");
    // A newer rating stands, whatever older logs say, start after start.
    assert_eq!(post(&server, user, &products[0], 2.0, None).0, 201);
    drop(server);
    let log = scene.read("runs/small-3/ratings.log");
    for _ in 0..2 {
        let server = Server::start(&scene, &[]);
        assert_eq!(since_training(&server), 4);
        drop(server);
        assert!(scene.read("runs/small-3/ratings.log") == log, "the log grew by a start");
    }
    // Nor does it matter that the server of an older run is told of an older one.
    let old = Server::start(&scene, &["--run", "small-1"]);
    let body = json!({ "user": user, "product": products[0], "rating": 3, "time": 1_000_000_000 });
    assert_eq!(old.post("/v1/ratings", &body).0, 201);
    drop(old);
    drop(Server::start(&scene, &[]));
    assert!(
        scene.read("runs/small-3/ratings.log") == log,
        "an older rating came back"
    );
    // The next training takes in all of it, once.
    train(&scene, &["--from", "small-3"]);
    let rows = |run: &str| {
        scene.json(&format!("runs/{run}/data.json"))["rows_kept"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(rows("small-4"), rows("small-2") + 1);
    let server = Server::start(&scene, &[]);
    assert_eq!(since_training(&server), 0);
}

#[test]
fn a_folder_in_the_place_of_another_takes_what_was_posted_to_that() {
    let scene = trained("newer-folder");
    let (users, products) = ids(&scene);
    train(&scene, &["config.toml", "--set", "seed=7", "--set", "name=other"]);
    let runs = scene.folder.join("runs");
    let server = Server::start(&scene, &["--run", "small-1"]);
    assert_eq!(post(&server, &users[0], &products[0], 4.0, None).0, 201);
    std::fs::rename(runs.join("small-1"), scene.folder.join("before")).unwrap();
    std::fs::rename(runs.join("other-1"), runs.join("small-1")).unwrap();
    assert_eq!(server.post("/v1/model/reload", &json!({})).0, 200);
    assert_eq!(since_training(&server), 1);
    assert_eq!(post(&server, &users[1], &products[0], 4.0, None).0, 201);
    drop(server);
    let server = Server::start(&scene, &["--run", "small-1"]);
    assert_eq!(since_training(&server), 2);
}

#[test]
fn two_servers_follow_and_the_one_that_writes_goes_on_to_write() {
    let scene = trained("newer-two");
    let (users, products) = ids(&scene);
    let first = Server::start(&scene, &[]);
    assert_eq!(post(&first, &users[0], &products[0], 4.0, None).0, 201);
    let second = Server::start(&scene, &[]);
    for run in ["runs/small-2", "runs/small-3"] {
        train(&scene, &["config.toml"]);
        for server in [&second, &first] {
            assert_eq!(server.post("/v1/model/reload", &json!({})).1["run"], run);
        }
        assert_eq!(since_training(&second), 1);
        assert_eq!(post(&second, &users[0], &products[1], 4.0, None).0, 503);
        assert_eq!(post(&first, &users[0], &products[0], 4.0, None).0, 201);
    }
}

#[test]
fn another_series_is_not_taken_where_none_was_named() {
    let scene = trained("newer-series");
    let server = Server::start(&scene, &[]);
    train(&scene, &["config.toml", "--set", "name=other"]);
    assert_eq!(server.post("/v1/model/reload", &json!({})).1["run"], "runs/small-1");
    train(&scene, &["config.toml"]);
    assert_eq!(server.post("/v1/model/reload", &json!({})).1["run"], "runs/small-2");
}

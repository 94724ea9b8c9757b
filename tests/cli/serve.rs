//! `serve`: the command line's answers over HTTP, ratings that survive a kill, runs that change under load, hostile requests.

use super::server::{Server, TOKEN, ids, trained};
use dotcart::common::random::{Purpose, stream};
use rand::RngExt;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn its_answers_are_those_of_the_command_line_to_the_last_digit_alone_and_in_a_crowd() {
    let scene = trained("serve-equal");
    let (users, products) = ids(&scene);
    let server = Server::start(&scene, &[]);
    let cli = |arguments: &[&str]| scene.succeed(arguments).trim().to_string();
    // Bodies are what stdout says, but for the line's end.
    let expected: Vec<(String, String)> = users
        .iter()
        .take(24)
        .enumerate()
        .map(|(place, user)| {
            let top = (1 + place % 9).to_string();
            let mut arguments = vec!["recommend", "--json", "--user", user, "--top", &top];
            arguments.extend((place % 3 == 0).then_some("--why"));
            let why = if place % 3 == 0 { "&why=true" } else { "" };
            (
                format!("/v1/users/{user}/recommendations?top={top}{why}"),
                cli(&arguments),
            )
        })
        .collect();
    for (path, answer) in &expected {
        assert_eq!(server.get(path), (200, answer.clone()), "{path}");
    }
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for (path, answer) in expected.iter().cycle().take(100) {
                    assert_eq!(server.get(path), (200, answer.clone()), "{path}");
                }
            });
        }
    });

    let (product, other) = (&products[3], &products[8]);
    let similar = cli(&[
        "similar",
        "--json",
        "--product",
        product,
        "--top",
        "7",
        "--min-ratings",
        "5",
    ]);
    let path = format!("/v1/products/{product}/similar?top=7&min_ratings=5");
    assert_eq!(server.get(&path), (200, similar));
    let post = |body: Value| server.request("POST", "/v1/recommendations", &body.to_string(), None);
    let rated = json!([{ "product": product, "rating": 5 }, { "product": other, "rating": 2.0 }]);
    let (first, second) = (format!("{product}=5"), format!("{other}=2"));
    let answer = cli(&["recommend", "--json", "--rated", &first, "--rated", &second, "--why"]);
    assert_eq!(post(json!({ "rated": rated, "why": true })), (200, answer));
    assert_eq!(
        post(json!({ "top": 3 })),
        (200, cli(&["recommend", "--json", "--top", "3"]))
    );

    // Many at once: the known in their order, the unknown by name, and what is to be left out is.
    let first: Value = serde_json::from_str(&expected[1].1).unwrap();
    let best = first["products"][0]["product"].as_str().unwrap();
    let body = json!({ "users": [users[1], "nobody", users[2]], "top": 2, "exclude": [best, "nothing"] });
    let (status, answer) = post(body);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(status, 200);
    assert_eq!(answer["unknown_users"], json!(["nobody"]));
    assert_eq!(answer["unknown_products"], json!(["nothing"]));
    let lists = answer["recommendations"].as_array().unwrap();
    assert_eq!(
        [&lists[0]["user"], &lists[1]["user"]],
        [&json!(users[1]), &json!(users[2])]
    );
    // So many that they would keep everybody waiting.
    for (count, top, why) in [(21, 1000, false), (3, 700, true)] {
        let body = json!({ "users": vec![&users[1]; count], "top": top, "why": why });
        let (status, answer) = post(body);
        assert!(status == 400 && answer.contains("fewer users"), "{answer}");
    }
    for list in lists {
        let products = list["products"].as_array().unwrap();
        assert!(products.len() == 2 && products.iter().all(|product| product["product"] != best));
    }

    // What the description says there is, there is, and nothing else.
    let description = server.json("/openapi.json");
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 10);
    for (path, methods) in paths {
        let path = path.replace("{id}", if path.contains("users") { &users[0] } else { product });
        for method in ["get", "post"] {
            let (status, body) = server.request(&method.to_uppercase(), &path, "{}", Some(TOKEN));
            match methods.get(method) {
                Some(_) => assert!(status != 405 && status != 404, "{method} {path}: {status} {body}"),
                None => assert_eq!(status, 405, "{method} {path}"),
            }
        }
    }
    let metrics = server.get("/metrics").1;
    assert!(
        metrics.contains("dotcart_request_seconds_count{route=\"/v1/users/{id}/recommendations\",status=\"200\"} 82"),
        "{metrics}"
    );
    assert_eq!(server.json("/health/ready")["status"], "ready");
    let model = server.json("/v1/model");
    assert_eq!(
        (&model["run"], &model["products"]),
        (&json!("runs/small-1"), &json!(300))
    );
}

#[test]
fn ratings_are_kept_whatever_comes_and_the_next_list_knows_them() {
    let scene = trained("serve-ratings");
    let (users, products) = ids(&scene);
    let (user, product) = (&users[5], &products[4]);
    let path = format!("/v1/users/{user}/recommendations?top=300");
    let mut server = Server::start(&scene, &["--run", "small-1"]);
    let has = |answer: &Value, product: &str| {
        let products = answer["products"].as_array().unwrap().iter();
        products.filter(|other| other["product"] == product).count() == 1
    };
    let before = server.json(&path);
    let best = before["products"][0]["product"].as_str().unwrap().to_string();
    assert_eq!(before["basis"], "trained");

    let rating = json!({ "user": user, "product": best, "rating": 4, "request_id": "one" });
    for (token, status) in [(None, 401), (Some("a-token-of-many-lettert"), 401), (Some("a"), 401)] {
        let refused = server.request("POST", "/v1/ratings", &rating.to_string(), token);
        assert_eq!(refused.0, status, "{}", refused.1);
    }
    assert_eq!(server.json(&path), before);
    let (status, kept) = server.post("/v1/ratings", &rating);
    assert_eq!((status, kept), (201, json!({ "ratings": 1, "before": false })));
    let (status, kept) = server.post("/v1/ratings", &rating);
    assert_eq!((status, &kept["before"]), (200, &json!(true)));
    let other = json!({ "user": user, "product": product, "rating": 4, "request_id": "one" });
    assert_eq!(server.post("/v1/ratings", &other).0, 409);
    for wrong in [
        json!({ "user": user, "product": product, "rating": 9 }),
        json!({ "user": user, "product": product }),
        json!({ "user": " ", "product": product, "rating": 4 }),
        json!({ "ratings": [] }),
        json!({ "user": user, "product": product, "rating": 4, "ratings": [] }),
        json!({ "user": "nan", "product": product, "rating": 4 }),
        json!({ "user": user, "product": product, "rating": 4, "time": 1_700_000_000_000_i64 }),
        json!({ "user": user, "product": product, "rating": 4, "time": -1 }),
    ] {
        assert_eq!(server.post("/v1/ratings", &wrong).0, 400, "{wrong}");
    }
    let after = server.json(&path);
    assert!(has(&before, &best) && !has(&after, &best));
    assert_eq!(after["basis"], "folded_in");
    assert_eq!(
        after["train_ratings"],
        json!(before["train_ratings"].as_u64().unwrap() + 1)
    );

    // Somebody whom the run has never seen, and a product that it has not: kept, and said.
    let many = json!({ "ratings": [
        { "user": "new\n\"one\"", "product": product, "rating": 5, "time": 1_700_000_000 },
        { "user": "new\n\"one\"", "product": "not yet there", "rating": 1 },
    ] });
    let (status, kept) = server.post("/v1/ratings", &many);
    assert_eq!((status, &kept["unknown_products"]), (201, &json!(["not yet there"])));
    let new = "/v1/users/new%0A%22one%22/recommendations?top=300";
    let answer = server.json(new);
    assert_eq!(
        (&answer["user"], &answer["basis"]),
        (&json!("new\n\"one\""), &json!("folded_in"))
    );
    assert!(!has(&answer, product));

    // A second server of the same run answers, and keeps nothing.
    let second = Server::start(&scene, &[]);
    assert_eq!(second.json(new), answer);
    let two = json!({ "user": user, "product": product, "rating": 4, "request_id": "two" });
    let (status, body) = second.post("/v1/ratings", &two);
    assert!(
        status == 503 && body["error"].as_str().unwrap().contains("another server"),
        "{body}"
    );
    drop(second);

    // A kill, and what it may leave of a posting that nobody was told of.
    server.child.kill().unwrap();
    drop(server);
    let log = scene.folder.join("runs/small-1/ratings.log");
    let whole = std::fs::read(&log).unwrap();
    std::fs::write(&log, [&whole[..], b"0123456789abcdef {\"rat"].concat()).unwrap();
    let server = Server::start(&scene, &[]);
    assert_eq!((server.json(&path), server.json(new)), (after, answer));
    assert_eq!(std::fs::read(&log).unwrap(), whole);
    assert_eq!(server.post("/v1/ratings", &rating).1["before"], true);
    drop(server);
    // A change in the middle is damage, and nothing is cut off.
    let mut changed = whole.clone();
    changed[30] ^= 1;
    std::fs::write(&log, &changed).unwrap();
    let ran = scene.run(&["serve", "--address", "127.0.0.1:0"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("ratings.log` is damaged: line 1"), "{}", ran.stderr);
    assert_eq!(std::fs::read(&log).unwrap(), changed);
}

#[test]
fn a_newer_run_takes_its_place_under_load_and_no_request_fails() {
    let scene = trained("serve-reload");
    let (users, products) = ids(&scene);
    let server = Server::start(&scene, &["--name", "small"]);
    let rating = json!({ "user": users[0], "product": products[0], "rating": 4 });
    assert_eq!(server.post("/v1/ratings", &rating).0, 201);
    let path = format!("/v1/users/{}/recommendations", users[0]);
    let is_over = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let ask = || {
            let mut asked = 0;
            while !is_over.load(Ordering::Relaxed) {
                let answer = server.json(&path);
                assert_eq!(answer["basis"], "folded_in");
                asked += 1;
            }
            asked
        };
        let load: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        for _ in 0..20 {
            let (status, answer) = server.post("/v1/model/reload", &json!({}));
            assert_eq!((status, &answer["run"]), (200, &json!("runs/small-1")));
        }
        scene.succeed(&["train", "config.toml", "--device", "cpu", "--quiet", "--set", "seed=7"]);
        server.wait_for_run("runs/small-2");
        is_over.store(true, Ordering::Relaxed);
        load.into_iter().map(|load| load.join().unwrap()).sum::<usize>()
    });
    assert!(asked > 20, "{asked}");
    // What the newer run was not trained on went along.
    assert_eq!(server.json(&path)["basis"], "folded_in");
    assert!(scene.folder.join("runs/small-2/ratings.log").exists());

    // A damaged one is not taken, and the older goes on.
    let model = scene.folder.join("runs/small-2/model.safetensors");
    let mut bytes = std::fs::read(&model).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&model).unwrap();
    std::fs::write(&model, bytes).unwrap();
    let (status, answer) = server.post("/v1/model/reload", &json!({}));
    assert!(
        status == 409 && answer["error"].as_str().unwrap().contains("damaged"),
        "{answer}"
    );
    assert_eq!(server.json("/v1/model")["run"], "runs/small-2");
}

#[test]
fn five_thousand_hostile_requests_are_each_refused_with_a_reason() {
    let scene = trained("serve-hostile");
    let (users, _) = ids(&scene);
    let server = Server::start(&scene, &[]);
    let mut random = stream(3, Purpose::Synthetic, 0);
    let texts = [
        "null",
        "true",
        "-1",
        "0",
        "1e999",
        "99999999999999999999",
        "1.5",
        "\"\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[[[[",
        "{\"a\":{\"a\":{",
        "nan",
        "'x'",
        "\u{202e}",
        "\"../../../etc/passwd\"",
        "[null]",
        "[1]",
        "[\"\"]",
    ];
    let keys = [
        "users",
        "rated",
        "top",
        "why",
        "exclude",
        "rating",
        "user",
        "product",
        "request_id",
        "ratings",
        "time",
        "__proto__",
    ];
    let deep = "[".repeat(100_000);
    let mut refused = 0;
    for number in 0..5_000 {
        let mut pick = |list: &[&str]| list[random.random_range(0..list.len())].to_string();
        let known = &users[number % users.len()];
        let (method, path, mut body) = match number % 8 {
            0 => (
                "POST",
                "/v1/recommendations".to_string(),
                format!("{{\"{}\":{}}}", pick(&keys), pick(&texts)),
            ),
            1 => (
                "POST",
                "/v1/ratings".to_string(),
                format!(
                    "{{\"{}\":{},\"{}\":{}}}",
                    pick(&keys),
                    pick(&texts),
                    pick(&keys),
                    pick(&texts)
                ),
            ),
            2 => (
                "GET",
                format!(
                    "/v1/users/{}/recommendations",
                    pick(&["%ff", "%00", "a%2Fb", "..%2f..%2fetc", "%", "%1b[31m", "x", "%F0%9F"])
                ),
                String::new(),
            ),
            3 => (
                "GET",
                format!(
                    "/v1/users/{known}/recommendations?{}={}",
                    pick(&["top", "Top", "limit", "%ff"]),
                    pick(&["0", "-1", "1e3", "1001", "99999999999999999999", "", "%ff", "five"])
                ),
                String::new(),
            ),
            4 => ("POST", pick(&["/v1/recommendations", "/v1/ratings"]), pick(&texts)),
            5 => (
                "GET",
                pick(&[
                    "/v1",
                    "/v1/users",
                    "/v1/users//recommendations",
                    "/..%2f..",
                    "/v1/products/x/similar?top=x",
                    "//",
                    "/v1/model/reload",
                ]),
                String::new(),
            ),
            6 => (
                ["PUT", "DELETE", "PATCH", "FROB"][number % 4],
                pick(&["/v1/recommendations", "/v1/ratings", "/v1/model", "/health/live"]),
                String::new(),
            ),
            _ => (
                "POST",
                "/v1/recommendations".to_string(),
                format!("{{\"users\":[\"{known}\"],\"top\":{}}}", pick(&texts)),
            ),
        };
        if number % 1_000 == 4 {
            body = deep.clone();
        } else if number % 1_000 == 12 {
            body = " ".repeat((1 << 20) + 1);
        }
        let (status, answer) = server.request(method, &path, &body, Some(TOKEN));
        // A few of these are questions that can be answered.
        if status == 200 {
            continue;
        }
        refused += 1;
        assert!(
            (400..500).contains(&status),
            "{method} {path} {body:.200}: {status} {answer}"
        );
        let answer: Value =
            serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{method} {path}: {status} {answer}"));
        assert!(answer["error"].is_string() && answer["hint"].is_string(), "{answer}");
    }
    assert!(refused > 4_000, "{refused}");
    // What is no HTTP at all is closed or refused; nobody else notices.
    for bytes in [
        &b"\0\0\0\0"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        &[b'a'; 40_000],
        b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"),
            "{answer}"
        );
    }
    assert_eq!(server.json("/health/live")["status"], "live");
    assert!(
        !scene.folder.join("runs/small-1/ratings.log").exists() || scene.read("runs/small-1/ratings.log").is_empty()
    );
}

#[test]
fn who_asks_and_does_not_read_is_cut() {
    let scene = trained("serve-deaf");
    let server = Server::start(&scene, &[]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    // So many answers that no buffer on the way holds them.
    let ask = "GET /v1/users/1/recommendations?top=300&why=true HTTP/1.1\r\nHost: a\r\n\r\n";
    let (users, _) = ids(&scene);
    let ask = ask.replace("/1/", &format!("/{}/", users[0]));
    let answer = server
        .get(&format!("/v1/users/{}/recommendations?top=300&why=true", users[0]))
        .1;
    let asked = (32 << 20) / answer.len();
    for _ in 0..asked {
        if stream.write_all(ask.as_bytes()).is_err() {
            break;
        }
    }
    std::thread::sleep(Duration::from_secs(32));
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read);
    assert!(
        read.len() < asked * answer.len(),
        "{} bytes were kept for it",
        read.len()
    );
    assert_eq!(server.json("/health/live")["status"], "live");
}

#[test]
fn it_is_not_exposed_unasked_and_ends_in_order() {
    let scene = trained("serve-access");
    let exposed = scene.run(&["serve", "--address", "0.0.0.0:0"]);
    assert_eq!(exposed.code, Some(1));
    assert!(
        exposed.stderr.contains("--token-file") && exposed.stderr.contains("--public"),
        "{}",
        exposed.stderr
    );
    std::fs::write(scene.folder.join("short"), "abc").unwrap();
    let short = scene.run(&["serve", "--token-file", "short"]);
    assert!(
        short.code == Some(1) && short.stderr.contains("too short"),
        "{}",
        short.stderr
    );
    // One that follows newer runs ends as well where it cannot begin.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let taken = scene.run(&["serve", "--name", "small", "--address", &address]);
    assert!(
        taken.code == Some(1) && taken.stderr.contains("another process listens"),
        "{}",
        taken.stderr
    );
    let unknown = scene.run(&["serve", "--name", "nothing"]);
    assert!(
        unknown.code == Some(1) && unknown.stderr.contains("nothing-N"),
        "{}",
        unknown.stderr
    );

    // Beyond this machine every question needs the token, but for those who watch over it.
    let mut server = Server::start(&scene, &["--address", "0.0.0.0:0"]);
    server.address = server.address.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(server.get("/v1/model").0, 401);
    assert_eq!(server.request("GET", "/v1/model", "", Some(TOKEN)).0, 200);
    let any_case =
        format!("GET /v1/model HTTP/1.1\r\nHost: a\r\nConnection: close\r\nauthorization: bearer {TOKEN}\r\n\r\n");
    assert_eq!(server.send(any_case.as_bytes()).unwrap().0, 200);
    assert_eq!(server.get("/health/live").0, 200);
    // A connection that is open and idle does not keep it from ending.
    let idle = TcpStream::connect(&server.address).unwrap();
    let pid = server.child.id().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .unwrap();
    assert!(kill.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    drop(idle);
    let mut talk = String::new();
    server.talk.read_to_string(&mut talk).unwrap();
    assert!(talk.contains("ending"), "{talk}");
}

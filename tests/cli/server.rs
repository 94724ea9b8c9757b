//! A server of the binary's, and how it is asked.

use super::scene::{CONFIG, Scene};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

pub const TOKEN: &str = "a-token-of-many-letters";

/// A server of its own, killed when it is dropped.
pub struct Server {
    pub child: Child,
    pub address: String,
    pub talk: BufReader<ChildStderr>,
}

impl Server {
    pub fn start(scene: &Scene, arguments: &[&str]) -> Self {
        std::fs::write(scene.folder.join("token"), format!("{TOKEN}\n")).unwrap();
        let fixed = ["serve", "--token-file", "token"];
        let address = if arguments.contains(&"--address") {
            &[][..]
        } else {
            &["--address", "127.0.0.1:0"]
        };
        let mut command = scene.command(&[&fixed[..], address, arguments].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut talk = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        talk.read_line(&mut line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap().to_string();
        assert!(line.contains("answers at"), "{line}");
        Self { child, address, talk }
    }

    /// Sends bytes as they are on a connection of their own; the status and the body. `None` if it was closed without an answer.
    pub fn send(&self, request: &[u8]) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The server may answer and close before all is sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().unwrap(), body.to_string()))
    }

    pub fn request(&self, method: &str, path: &str, body: &str, token: Option<&str>) -> (u16, String) {
        let token = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{token}");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        self.send(request.as_bytes()).expect("an answer")
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", path, "", None)
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.request("POST", path, &body.to_string(), Some(TOKEN));
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}")))
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until it answers from a run.
    pub fn wait_for_run(&self, run: &str) {
        let began = Instant::now();
        while self.json("/v1/model")["run"] != run {
            assert!(began.elapsed() < Duration::from_secs(60), "`{run}` is not taken");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A scene with one run.
pub fn trained(name: &str) -> Scene {
    let scene = Scene::new(name, CONFIG);
    scene.succeed(&["train", "config.toml", "--device", "cpu", "--quiet"]);
    scene
}

/// Some users of the run, and some products.
pub fn ids(scene: &Scene) -> (Vec<String>, Vec<String>) {
    scene.succeed(&["export", "splits", "small-1", "--out", "splits", "--force"]);
    let text = String::from_utf8(scene.read("splits/train.csv")).unwrap();
    let (mut users, mut products) = (Vec::new(), Vec::new());
    for line in text.lines().skip(1).step_by(97) {
        let mut fields = line.split(',').map(str::to_string);
        users.push(fields.next().unwrap());
        products.push(fields.next().unwrap());
    }
    users.dedup();
    products.sort();
    products.dedup();
    (users, products)
}

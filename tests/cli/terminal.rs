//! The dashboard in a real terminal: tmux runs it, keys are sent, the screen is read.

use super::scene::{CONFIG, Scene};
use std::process::Command;
use std::time::{Duration, Instant};

struct Tmux {
    socket: String,
}

impl Tmux {
    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.socket])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the screen satisfies `holds`, and returns it.
    fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.run(&["capture-pane", "-p", "-t", "test"]);
            if holds(&screen) {
                return screen;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "no {what} on the screen:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[test]
fn the_dashboard_shows_a_training_and_q_stops_and_saves() {
    if Command::new("tmux").arg("-V").output().is_err() {
        assert!(std::env::var_os("DOTCART_REQUIRE_GPU").is_none(), "the gate wants tmux");
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"left out: the dashboard in a real terminal; there is no tmux\n",
        );
        return;
    }
    let scene = Scene::new("tmux", CONFIG);
    let tmux = Tmux {
        socket: format!("dotcart-{}", std::process::id()),
    };
    let train = format!(
        "cd {}; {} train config.toml --device cpu --set train.epochs=10000 --set train.batch_size=64; echo exit code $?",
        scene.folder.display(),
        env!("CARGO_BIN_EXE_dotcart"),
    );
    tmux.run(&["new-session", "-d", "-s", "test", "-x", "80", "-y", "24", "bash --norc"]);
    tmux.run(&["send-keys", "-t", "test", &train, "Enter"]);
    let screen = tmux.wait_for("validated epoch", |screen| screen.contains("valid 0."));
    for word in [
        "base rate",
        "lift",
        "samples/s",
        "GENERATED",
        "precision",
        "recall",
        "AUC",
        "loss",
        "epoch",
        "step",
        "elapsed",
        "remaining",
        "cpu",
    ] {
        assert!(screen.contains(word), "no `{word}` on\n{screen}");
    }
    tmux.run(&["resize-window", "-t", "test", "-x", "120", "-y", "40"]);
    tmux.wait_for("wide screen", |screen| {
        screen.lines().any(|line| line.chars().count() > 100)
    });
    tmux.run(&["send-keys", "-t", "test", "q"]);
    // The terminal is given back, and the shell goes on.
    let screen = tmux.wait_for("exit code", |screen| screen.contains("exit code 0"));
    assert!(screen.contains("train --resume small-1"), "{screen}");
    assert!(scene.folder.join("runs/small-1/checkpoint/last.safetensors").is_file());
}

#[test]
fn a_closed_window_saves_and_ends_the_training() {
    if Command::new("tmux").arg("-V").output().is_err() {
        return;
    }
    let scene = Scene::new("hangup", CONFIG);
    let tmux = Tmux {
        socket: format!("dotcart-hangup-{}", std::process::id()),
    };
    let train = format!(
        "cd {}; {} train config.toml --device cpu --set train.epochs=10000 --set train.batch_size=64 & echo $! > pid; fg",
        scene.folder.display(),
        env!("CARGO_BIN_EXE_dotcart"),
    );
    tmux.run(&["new-session", "-d", "-s", "test", "-x", "80", "-y", "24", "bash --norc"]);
    tmux.run(&["send-keys", "-t", "test", &train, "Enter"]);
    tmux.wait_for("training", |screen| screen.contains("valid 0."));
    let process = String::from_utf8(scene.read("pid")).unwrap();
    tmux.run(&["kill-server"]);
    let start = Instant::now();
    while Command::new("kill")
        .args(["-0", process.trim()])
        .output()
        .unwrap()
        .status
        .success()
    {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the training lives on without its terminal"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(scene.folder.join("runs/small-1/checkpoint/last.safetensors").is_file());
}

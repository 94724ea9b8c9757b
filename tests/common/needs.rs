//! What a machine may lack: tests that need it are left out and say so, or fail where it is demanded.
//!
//! Shared by test targets with `#[path]`. `DOTCART_REQUIRE_GPU=1`, `DOTCART_REQUIRE_TMUX=1` and `DOTCART_REQUIRE_DATA=1` each
//! demand one thing.
#![allow(dead_code, reason = "a test target has tests of some needs, not of all")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

/// Says once a process what is left out for want of `need`. Panics if it is demanded.
fn left_out(need: &str, what: &str, why: &str) {
    let demand = format!("DOTCART_REQUIRE_{need}");
    assert!(
        std::env::var_os(&demand).is_none_or(|value| value != "1"),
        "{demand}=1, but {why}"
    );
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = format!("left out: {what} ({why})\n");
    if SAID.lock().unwrap().insert(line.clone()) {
        // Past the test harness's capture, which would hide it from a passing run.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// The graphics device; any adapter will do, the software one too.
pub fn gpu() -> Option<dotcart::engine::gpu::device::Gpu> {
    let open = dotcart::engine::gpu::device::Gpu::open(true);
    open.inspect_err(|error| left_out("GPU", "all tests that need a graphics device", &error.to_string()))
        .ok()
}

/// Whether there is a terminal to look at.
pub fn tmux() -> bool {
    let found = std::process::Command::new("tmux").arg("-V").output().is_ok();
    if !found {
        left_out("TMUX", "the dashboard in a real terminal", "there is no tmux");
    }
    found
}

/// A file of real ratings, from the folder that `DOTCART_REAL_DATA` names, or `.`, the folder. Panics if it is not there.
pub fn real(file: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("DOTCART_REAL_DATA") else {
        left_out("DATA", "all tests on real ratings", "DOTCART_REAL_DATA names no folder");
        return None;
    };
    let path = PathBuf::from(folder).join(file);
    assert!(
        path.exists(),
        "DOTCART_REAL_DATA is set, but there is no {}",
        path.display()
    );
    Some(path)
}

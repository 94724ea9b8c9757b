//! What a release carries beside the binary: completions of every shell, and a manual.

use super::scene::Scene;
use std::process::{Command, Stdio};

#[test]
fn every_shell_completes_the_commands() {
    let scene = Scene::new("completions", "");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = scene.succeed(&["completions", shell]);
        for word in ["recommend", "include-seen", "embeddings"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        std::fs::write(scene.folder.join(shell), script).unwrap();
    }
    assert_eq!(scene.run(&["completions", "tcsh"]).code, Some(2));
    // The others are not on every machine.
    let read = Command::new("bash")
        .args(["-n", "bash"])
        .current_dir(&scene.folder)
        .stderr(Stdio::piped())
        .output();
    let read = read.expect("there is a bash");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let scene = Scene::new("man", "");
    scene.succeed(&["man", "pages"]);
    let page = |name: &str| String::from_utf8(scene.read(&format!("pages/{name}.1"))).unwrap();
    let first = page("dotcart");
    for command in ["train", "recommend", "export"] {
        assert!(first.contains(&format!("dotcart\\-{command}(1)")), "{first}");
    }
    assert!(page("dotcart-recommend").contains("include\\-seen"));
    assert!(page("dotcart-export-embeddings").contains("hnswlib"));
    assert!(!scene.folder.join("pages/dotcart-man.1").exists());
    std::fs::write(scene.folder.join("file"), "").unwrap();
    let refused = scene.run(&["man", "file/pages"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("error: cannot write `file/pages`"),
        "{}",
        refused.stderr
    );
}

//! A folder of its own for each test, and the binary run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A small experiment on generated ratings: a second or so of training.
pub const CONFIG: &str = r#"
name = "small"
[data]
path = "data/absent.csv"
when_missing = "generate"
generate = { ratings = 12000, users = 1500, products = 300 }
[oversample]
factors = { "1" = 2.0, "2" = 3.0 }
[model]
dim = 16
[train]
epochs = 3
batch_size = 512
learning_rate = 0.01
early_stopping = { metric = "valid_loss", patience = 0 }
"#;

/// A folder that is removed when the test ends well.
pub struct Scene {
    pub folder: PathBuf,
}

/// What a run of the binary left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Scene {
    /// A folder with `config.toml` in it.
    pub fn new(name: &str, config: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dotcart-cli-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), config).unwrap();
        Self { folder }
    }

    /// The binary, in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dotcart"));
        command.args(arguments).current_dir(&self.folder).env_remove("CARGO");
        command
    }

    /// Runs it to its end. Panics if it panicked, which is never right.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let ran = Ran::of(self.command(arguments).output().unwrap());
        assert!(!ran.stderr.contains("panicked"), "{arguments:?}\n{}", ran.stderr);
        ran
    }

    /// Runs it and expects success; returns stdout.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// The bytes of a file in the folder.
    pub fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A JSON file in the folder.
    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(path)).unwrap()
    }

    /// Every file below the folder with its bytes, to show that nothing changed.
    pub fn files(&self, below: &str) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    files.push((path, bytes));
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.folder.join(below), &mut files);
        files.sort();
        files
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

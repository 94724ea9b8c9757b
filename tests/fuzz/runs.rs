//! A fuzzer without a special compiler: runs are damaged under digests that match, and asked by all commands, which may refuse
//! them as damaged but never panic, hang, or send a control character to a terminal. Of some the
//! digests of the pages are damaged, too.
//!
//! `cargo bench --bench fuzz_runs -- SECONDS [SEED]`. A finding is kept in the temporary folder and named.

use dotcart::artifact::run_directory::{PAGES, RunDirectory};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

/// Longest that one command may take on a small run.
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
name = "small"
[data]
path = "rows.jsonl"
[split]
valid = 0.1
test = 0.2
[model]
dim = 8
[train]
epochs = 2
batch_size = 64
[evaluate]
k = [2, 3]
"#;

/// What is asked of a damaged run: users, products and figures, in every form.
const COMMANDS: [&[&str]; 14] = [
    &["evaluate", "--run", "small-1"],
    &["evaluate", "--run", "small-1", "--json"],
    &["report", "--run", "small-1"],
    &["compare", "small-1", "small-2"],
    &["recommend", "--run", "small-1", "--user", "u3", "--why"],
    &["recommend", "--run", "small-1", "--all", "--json"],
    &["recommend", "--run", "small-1", "--all", "--out", "bulk"],
    &[
        "recommend",
        "--run",
        "small-1",
        "--rated",
        "p2=5",
        "--rated",
        "p3=1",
        "--why",
    ],
    &["recommend", "--run", "small-1", "--min-ratings", "2"],
    &["recommend", "--run", "small-1", "--user", "nobody"],
    &["similar", "--run", "small-1", "--product", "p1"],
    &["similar", "--run", "small-1", "--user", "u1"],
    &["export", "splits", "small-1", "--out", "splits"],
    &["watch", "small-1", "--plain"],
];

/// Files that a manifest vouches for, and the log that it does not.
const FILES: [&str; 9] = [
    "config.toml",
    "data.json",
    "users.safetensors",
    "products.safetensors",
    "interactions.safetensors",
    "calibration.json",
    "model.safetensors",
    "evaluation.json",
    "metrics.jsonl",
];

#[expect(clippy::print_stdout, reason = "a harness of its own")]
fn main() {
    // cargo passes `--bench` and its like; numbers are ours.
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let seconds = numbers.first().copied().unwrap_or(5);
    let seed = numbers.get(1).copied().unwrap_or(1);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let folder = std::env::temp_dir().join(format!("dotcart-fuzz-runs-{}", std::process::id()));
    let whole = Whole::train(&folder);
    let (mut cases, mut answered) = (0u64, 0u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let damaged = whole.damage(&mut rng);
        // One damage is asked about twice, in two ways.
        for _ in 0..2 {
            let command = COMMANDS[rng.random_range(0..COMMANDS.len())];
            match ask(&folder, command) {
                Ok(done) => answered += u64::from(done),
                Err(verdict) => {
                    let kept = std::env::temp_dir().join(format!("dotcart-fuzz-runs-finding-{seed}-{cases}"));
                    let _ = std::fs::remove_dir_all(&kept);
                    std::fs::rename(&folder, &kept).expect("the temporary folder can be written");
                    println!("finding after {cases} cases, seed {seed}: {verdict}");
                    println!(
                        "in {}: dotcart {}\ndamaged: {damaged}",
                        kept.display(),
                        command.join(" ")
                    );
                    std::process::exit(1);
                }
            }
            cases += 1;
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!(
        "{cases} questions about damaged runs in {seconds} s, {answered} of them answered, no finding (seed {seed})"
    );
}

/// A run as it was trained, another to compare and to mix it with, in memory.
struct Whole {
    run: PathBuf,
    files: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
    manifest: String,
}

impl Whole {
    fn train(folder: &Path) -> Self {
        let rows = |shift: u64| -> String {
            (0..240)
                .map(|row: u64| {
                    let (user, product) = (row % 24, (row + 5 * (row / 24)) % 13);
                    let rating = 1 + (row * 7 + row / 5 + shift) % 5;
                    format!("{{\"user\": \"u{user}\", \"product\": \"p{product}\", \"rating\": {rating}}}\n")
                })
                .collect()
        };
        let titles: String = (0..13)
            .map(|p| format!("{{\"product\": \"p{p}\", \"title\": \"Title {p}\"}}\n"))
            .collect();
        std::fs::create_dir_all(folder).expect("the temporary folder can be written");
        let write =
            |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("the folder can be written");
        write("config.toml", CONFIG);
        write("titles.jsonl", &titles);
        // The second run has one user more and another split.
        for (text, more) in [
            (rows(0), "data.titles=titles.jsonl"),
            (
                rows(3) + "{\"user\": \"v\", \"product\": \"p1\", \"rating\": 3}\n",
                "seed=5",
            ),
        ] {
            write("rows.jsonl", &text);
            let ran = dotcart(
                folder,
                &["train", "config.toml", "--quiet", "--device", "cpu", "--set", more],
            )
            .output();
            assert!(ran.as_ref().is_ok_and(|ran| ran.status.success()), "{ran:?}");
        }
        let read = |run: &str| {
            FILES
                .map(|name| std::fs::read(folder.join("runs").join(run).join(name)).expect(name))
                .to_vec()
        };
        let run = folder.join("runs/small-1");
        Self {
            files: read("small-1"),
            others: read("small-2"),
            manifest: std::fs::read_to_string(run.join("manifest.json")).expect("the run is complete"),
            run,
        }
    }

    /// Puts the run back, damages one file or two, and has the manifest vouch for what stands there; returns what was done.
    fn damage(&self, rng: &mut impl Rng) -> String {
        let mut files = self.files.clone();
        let mut done = Vec::new();
        for _ in 0..rng.random_range(1..3) {
            let place = rng.random_range(0..FILES.len());
            done.push(format!(
                "{}: {}",
                FILES[place],
                mutate(&mut files[place], &self.others[place], FILES[place], rng)
            ));
        }
        let mut manifest: serde_json::Value = serde_json::from_str(&self.manifest).expect("a manifest is JSON");
        for (name, bytes) in FILES.iter().zip(&files) {
            std::fs::write(self.run.join(name), bytes).expect("the folder can be written");
        }
        let run = RunDirectory::find(self.run.to_str()).expect("it has a config");
        manifest["files"] = serde_json::json!(run.vouch().expect("the folder can be written"));
        if rng.random_range(0..16) == 0 {
            let (path, mut bytes) = (self.run.join(PAGES), std::fs::read(self.run.join(PAGES)).expect(PAGES));
            done.push(format!("{PAGES}: {}", mutate(&mut bytes, &files[0], PAGES, rng)));
            std::fs::write(path, &bytes).expect("the folder can be written");
            manifest["files"][PAGES] =
                serde_json::json!({"bytes": bytes.len(), "xxh3": format!("{:032x}", xxh3_128(&bytes))});
        }
        let mut manifest = manifest.to_string().into_bytes();
        if rng.random_range(0..16) == 0 {
            done.push(format!(
                "manifest.json: {}",
                mutate(&mut manifest, self.manifest.as_bytes(), "manifest.json", rng)
            ));
        }
        std::fs::write(self.run.join("manifest.json"), manifest).expect("the folder can be written");
        for made in ["bulk", "splits"] {
            let _ = std::fs::remove_dir_all(self.run.with_file_name("..").join(made));
        }
        done.join("; ")
    }
}

/// Damages bytes as a disk, a program or somebody with a plan would; says how.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], name: &str, rng: &mut impl Rng) -> String {
    const NUMBERS: [u32; 6] = [u32::MAX, 0x7fc0_0000, 0x7f80_0000, 0xff7f_ffff, 0, 1 << 31];
    // The first of two damages may have left next to nothing for the second.
    if bytes.len() < 8 {
        *bytes = other.to_vec();
        return "that of another run".to_string();
    }
    let at = rng.random_range(0..bytes.len());
    // Where the tensors of a safetensors file begin.
    let data = match name.ends_with(".safetensors") {
        true => 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default()).min(bytes.len() as u64 - 8) as usize,
        false => 0,
    };
    match rng.random_range(0..9) {
        0 => {
            bytes[at] ^= 1 << rng.random_range(0..8);
            format!("a bit at {at}")
        }
        1 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        2 => {
            *bytes = other.to_vec();
            "that of another run".to_string()
        }
        3 if data < bytes.len() => {
            // Everything of one kind from somewhere on, as a whole column of `ff`.
            let number = NUMBERS[rng.random_range(0..NUMBERS.len())].to_le_bytes();
            let first = data + (rng.random_range(0..bytes.len() - data) & !3);
            let count = [4, 64, bytes.len()][rng.random_range(0..3)];
            let last = bytes.len().min(first + count);
            bytes[first..last]
                .iter_mut()
                .enumerate()
                .for_each(|(place, byte)| *byte = number[place % 4]);
            format!("{number:02x?} in {first}..{last}")
        }
        4 | 5 if name.ends_with(".json") || name.ends_with(".jsonl") => json(bytes, rng),
        4 | 5 if name.ends_with(".toml") => {
            // A digit for another: a config that may well be a config.
            let digits: Vec<usize> = (0..bytes.len())
                .filter(|&place| bytes[place].is_ascii_digit())
                .collect();
            let Some(&place) = digits.get(rng.random_range(0..digits.len().max(1))) else {
                return "no digit is left".to_string();
            };
            bytes[place] = b'0' + rng.random_range(0..10u8);
            format!("a digit at {place}")
        }
        6 => {
            let to = bytes.len().min(at + rng.random_range(1..64));
            bytes.drain(at..to);
            format!("without {at}..{to}")
        }
        _ => {
            // A text that a terminal would take for an order, where it is long enough.
            let order = "\u{1b}[2J\u{9b}\u{202e}".as_bytes();
            let first = data + rng.random_range(0..(bytes.len() - data).max(1));
            let last = bytes.len().min(first + order.len());
            if first < last {
                bytes[first..last].copy_from_slice(&order[..last - first]);
            }
            format!("an order at {first}")
        }
    }
}

/// One value of a JSON text, of the first line of several, becomes another: empty, huge, or of another kind.
fn json(bytes: &mut Vec<u8>, rng: &mut impl Rng) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (line, rest) = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(_) => (text.as_str(), ""),
        Err(_) => text.split_at(text.find('\n').map_or(text.len(), |end| end + 1)),
    };
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(line) else {
        return "as it was".to_string();
    };
    let values = [
        serde_json::json!([]),
        serde_json::json!({}),
        serde_json::json!(null),
        serde_json::json!(-1),
        serde_json::json!(u64::MAX),
        serde_json::json!(1e308),
        serde_json::json!("\u{1b}[2J\u{202e}"),
    ];
    let mut place = &mut value;
    let mut path = String::new();
    loop {
        let count = match place {
            serde_json::Value::Array(list) => list.len(),
            serde_json::Value::Object(map) => map.len(),
            _ => 0,
        };
        if count == 0 || (!path.is_empty() && rng.random_range(0..4) == 0) {
            break;
        }
        let number = rng.random_range(0..count);
        place = match place {
            serde_json::Value::Array(list) => {
                path.push_str(&format!("[{number}]"));
                &mut list[number]
            }
            serde_json::Value::Object(map) => {
                let (key, value) = map.iter_mut().nth(number).expect("it was counted");
                path.push_str(&format!(".{key}"));
                value
            }
            _ => break,
        };
    }
    // As likely the same kind, or nothing: those pass the type and reach the code behind it.
    let new = match (&*place, rng.random_range(0..2)) {
        (serde_json::Value::Array(_), 0) => serde_json::json!([]),
        (serde_json::Value::Number(_), 0) => serde_json::json!(rng.random_range(0..1_000_000u32)),
        _ => values[rng.random_range(0..values.len())].clone(),
    };
    let done = format!("{path} = {new}");
    *place = new;
    *bytes = format!("{value}\n{rest}").into_bytes();
    done
}

fn dotcart(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dotcart"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// Whether the command answered; an error if it did neither that nor refuse as it should.
fn ask(folder: &Path, arguments: &[&str]) -> Result<bool, String> {
    let (out, err) = (folder.join("stdout"), folder.join("stderr"));
    let file = |path: &Path| std::fs::File::create(path).expect("the folder can be written");
    let mut child = dotcart(folder, arguments)
        .stdout(file(&out))
        .stderr(file(&err))
        .spawn()
        .expect("the binary starts");
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no end after {PATIENCE:?}"));
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let (stdout, stderr) = (text(&out), text(&err));
    let is_order = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    let shown = if arguments.contains(&"--json") {
        stderr.clone()
    } else {
        stdout + &stderr
    };
    match status.code() {
        _ if stderr.contains("panicked") => Err(format!("a panic: {stderr}")),
        _ if shown.contains(is_order) => Err(format!("an order for a terminal: {shown:?}")),
        Some(0) => Ok(true),
        Some(1) if stderr.contains("error: ") && stderr.contains("hint: ") => Ok(false),
        code => Err(format!("exit code {code:?} ({status}): {stderr}")),
    }
}

//! A training that cannot fit is refused before it begins, with what would fit; one that fits says what it takes.

use super::scene::{CONFIG, Ran, Scene};

const ROWS: &str = r#"
device = "cpu"
[data]
path = "data/absent.csv"
when_missing = "generate"
generate = { ratings = 300000, users = 150000, products = 10000 }
[model]
dim = 512
[train]
epochs = 1
ranking = { weight = 0.0 }
"#;

/// Runs with `ulimit -d`, in mebibytes.
#[cfg(target_os = "linux")]
fn limited(scene: &Scene, arguments: &[&str], mebibytes: u64) -> Ran {
    use std::os::unix::process::CommandExt;
    let mut command = scene.command(arguments);
    let set = move || {
        let limit = libc::rlimit {
            rlim_cur: mebibytes << 20,
            rlim_max: mebibytes << 20,
        };
        // SAFETY: a system call on a structure of ours.
        match unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec, `set` makes one system call and allocates nothing.
    unsafe { command.pre_exec(set) };
    Ran::of(command.output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_training_that_cannot_fit_is_refused_with_what_would() {
    let scene = Scene::new("memory", ROWS);
    let ran = limited(&scene, &["train", "config.toml"], 800);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    let error = &ran.stderr[ran.stderr.find("error: ").expect("an error")..];
    // Tables of 160,000 rows are 942 MiB. What is left depends on the machine, and so does the dim that fits.
    let between = |text: &str, before: &str, after: &str| -> String {
        let start = text.find(before).unwrap_or_else(|| panic!("{before} in {text}")) + before.len();
        text[start..start + text[start..].find(after).unwrap()].to_string()
    };
    let needed = between(error, "takes about ", " MiB");
    assert!(("1,000".."1,200").contains(&needed.as_str()), "{error}");
    let left = between(error, "but there are ", " MiB");
    let dim = between(error, "`model.dim` = ", ";");
    let users = between(error, "which keeps ", " users");
    let message = "error: training takes about NEEDED MiB of memory, but there are LEFT MiB for it (the limit of the process, \
                   see `ulimit -a`)\n\nhint: this would fit: `model.dim` = DIM; or `train.optimizer` = \"adagrad\"; \
                   or `data.min_ratings_per_user` = 2, which keeps USERS users\n";
    let message = message
        .replace("NEEDED", &needed)
        .replace("LEFT", &left)
        .replace("DIM", &dim)
        .replace("USERS", &users);
    assert_eq!(error, message);
    assert!(!scene.folder.join("runs").exists(), "nothing is left behind");

    let doctor = ["doctor", "--config", "config.toml"];
    let said = limited(&scene, &doctor, 800);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr
            .contains(&format!("error: training takes about {needed} MiB of memory")),
        "{}",
        said.stderr
    );
    let dim: usize = dim.parse().unwrap();
    for (dim, code) in [(dim - 40, 0), (dim + 80, 1)] {
        let set = format!("model.dim={dim}");
        let ran = limited(&scene, &[&doctor[..], &["--set", &set]].concat(), 800);
        assert_eq!(ran.code, Some(code), "dim {dim}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn what_a_training_takes_is_said_before_it_begins_and_by_doctor_and_inspect() {
    let scene = Scene::new("memory-said", CONFIG);
    let ran = scene.run(&["train", "config.toml", "--device", "cpu", "--set", "train.epochs=1"]);
    let said = ran
        .stderr
        .lines()
        .find_map(|line| line.trim().strip_prefix("memory "))
        .expect("a line about memory");
    assert!(said.trim().starts_with("about ") && said.contains("(dim 16)"), "{said}");
    let cpu = ["--set", "device=cpu"];
    for arguments in [&["doctor", "--config", "config.toml"][..], &["inspect", "config.toml"]] {
        let page = scene.succeed(&[arguments, &cpu, &["--set", "train.epochs=1"]].concat());
        assert!(page.contains(said.trim()), "{page}");
    }
}

//! The binary: exit codes, one-line errors with place and hint, on files and disks that are not as they should be.

use crate::folder;
use crate::tables::golden_bytes;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const DOTCART: &str = env!("CARGO_BIN_EXE_dotcart");

fn config(folder: &Path, data: &str) {
    std::fs::write(
        folder.join("c.toml"),
        format!("[data]\n{data}\n[split]\nvalid = 0.0\ntest = 0.0\n"),
    )
    .unwrap();
}

fn inspect(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(DOTCART)
        .args(["inspect", "c.toml"])
        .args(more)
        .current_dir(folder)
        .output();
    said(output.unwrap())
}

fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn packed_tables_are_read_through_a_pipe() {
    let folder = folder("packed-pipe");
    for kind in ["bzip2", "xz", "zip", "zip, stored"] {
        let mut child = Command::new(DOTCART)
            .args([
                "inspect",
                "-",
                "--json",
                "--set",
                "split.valid=0",
                "--set",
                "split.test=0",
            ])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&golden_bytes(kind)).unwrap();
        let (code, json, talk) = said(child.wait_with_output().unwrap());
        assert_eq!(code, Some(0), "{kind}: {talk}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["data"]["rows_kept"], 5, "{kind}");
        assert_eq!(json["data"]["detected"]["compression"], kind.split(',').next().unwrap());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn above_the_limit_it_stops_and_below_it_says_what_it_left_out() {
    let folder = folder("limit");
    config(&folder, "path = \"r.csv\"");
    let rows: String = (0..2_000)
        .map(|row| format!("u{row},p{},5,1400000000\n", row % 50))
        .collect();
    std::fs::write(folder.join("r.csv"), rows.clone() + "u1,p1\n").unwrap();
    let (code, page, talk) = inspect(&folder, &[]);
    assert_eq!((code, talk.as_str()), (Some(0), ""));
    assert!(
        page.contains("left out 1 rows: found 2 columns, wanted 4 (lines 2001)"),
        "{page}"
    );
    assert!(
        page.contains("found CSV, delimiter \",\", no header; columns user 0, product 1, rating 2, timestamp 3"),
        "{page}"
    );
    assert!(page.contains("time 2014-05-13 to 2014-05-13"), "{page}");

    let (code, json, _) = inspect(&folder, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(json["data"]["rows_read"], 2_001);
    assert_eq!(json["data"]["bad_rows"][0]["lines"][0], 2_001);
    assert_eq!(json["parts"][0]["rows"], 2_000);

    let (code, page, talk) = inspect(&folder, &["--set", "data.max_bad_rows=0"]);
    assert_eq!((code, page.as_str()), (Some(1), ""));
    assert_eq!(
        talk,
        "error: found 2 columns, wanted 4 (r.csv:2001); bad rows: 1 of 2001, allowed: 0\n\n\
         hint: all rows must have the same columns; `data.delimiter` sets what stands between them\n"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_may_not_be_read_is_an_error() {
    let folder = folder("permission");
    config(&folder, "path = \"r.csv\"");
    let file = folder.join("r.csv");
    std::fs::write(&file, "a,b,5\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    // Root may read everything, so the binary runs as somebody else.
    let is_root = std::fs::File::open(&file).is_ok();
    let binary = std::env::temp_dir().join(format!("dotcart-nobody-{}", std::process::id()));
    std::fs::copy(DOTCART, &binary).unwrap();
    let mut command = match is_root {
        true => {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&binary);
            command
        }
        false => Command::new(&binary),
    };
    let output = command.args(["inspect", "c.toml"]).current_dir(&folder).output();
    std::fs::remove_file(&binary).unwrap();
    let (code, _, talk) = said(output.expect("setpriv is part of every Linux"));
    assert_eq!(code, Some(1));
    assert_eq!(
        talk,
        "error: cannot read `r.csv`: Permission denied (os error 13)\n\nhint: check `data.path`; it must be a readable file\n"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

/// Runs the binary where no file may grow past `blocks` of 512 bytes (1,024 in bash), and the signal for it is ignored.
fn with_full_disk(folder: &Path, blocks: usize, command: &str) -> (Option<i32>, String, String) {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {command}");
    let output = Command::new("bash")
        .args(["-c", &script, DOTCART])
        .current_dir(folder)
        .output();
    said(output.unwrap())
}

#[test]
fn a_disk_that_fills_up_while_generating_is_an_error() {
    let folder = folder("full-write");
    config(
        &folder,
        "path = \"r.csv\"\nwhen_missing = \"generate\"\ngenerate = { ratings = 20000, users = 9000, products = 500 }",
    );
    let (code, _, talk) = with_full_disk(&folder, 64, "inspect c.toml");
    assert_eq!(code, Some(1), "{talk}");
    assert_eq!(
        talk,
        "error: cannot write generated ratings to `generated-20000x9000x500-seed42.csv`: File too large (os error 27)\n\n\
         hint: generated ratings go beside `data.path`; that folder must be writable and have room\n"
    );
    assert!(!folder.join("generated-20000x9000x500-seed42.csv").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_disk_that_fills_up_while_downloading_is_an_error_and_the_rest_comes_later() {
    let rows: String = (0..10_000).map(|row| format!("u{row},p{},5\n", row % 50)).collect();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/r.csv", listener.local_addr().unwrap());
    let body = rows.clone();
    std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut from = 0;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let rest = &body[from..];
            let status = match from {
                0 => "200 OK".to_string(),
                _ => format!(
                    "206 Partial Content\r\nContent-Range: bytes {from}-{}/{}",
                    body.len() - 1,
                    body.len()
                ),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                rest.len()
            );
            // The other side stops listening when its disk is full.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(rest.as_bytes()));
        }
    });
    let folder = folder("full-download");
    config(
        &folder,
        &format!("path = \"r.csv\"\nwhen_missing = \"download\"\nurl = \"{url}\""),
    );
    let (code, _, talk) = with_full_disk(&folder, 64, "inspect c.toml");
    assert_eq!(code, Some(1), "{talk}");
    assert_eq!(
        talk,
        "error: cannot write `r.csv.partial`: File too large (os error 27)\n\n\
         hint: the file may not grow so large: see `ulimit -f`, or take another disk; what is there is kept, and the next run goes on from it\n"
    );
    assert!(!folder.join("r.csv").exists() && folder.join("r.csv.partial").exists());

    let (code, page, talk) = inspect(&folder, &[]);
    assert_eq!((code, talk.as_str()), (Some(0), ""));
    assert!(page.contains("10,000 rows read, 10,000 kept"), "{page}");
    assert_eq!(std::fs::read_to_string(folder.join("r.csv")).unwrap(), rows);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_test_of_ones_own_is_judged_and_ids_may_begin_with_a_hyphen() {
    let folder = folder("own-test");
    let line = |row: usize| format!("-u{},p{},{}\n", row % 40, row * 7 % 30, 1 + row % 5);
    std::fs::write(folder.join("train.csv"), (0..600).map(line).collect::<String>()).unwrap();
    std::fs::write(folder.join("test.csv"), "-u1,p29,5\n-u2,p30,4\n-new,p1,1\n").unwrap();
    let config = "[data]\npath = \"train.csv\"\ntest_path = \"test.csv\"\n[model]\ndim = 8\n[train]\nepochs = 1\n";
    std::fs::write(folder.join("c.toml"), config).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(DOTCART).args(arguments).current_dir(&folder).output();
        said(output.unwrap())
    };
    let (code, _, talk) = run(&["train", "c.toml", "--device", "cpu"]);
    assert_eq!(code, Some(0), "{talk}");
    assert!(
        talk.contains(
            "test     test.csv: 3 rows read, 3 kept; 1 users and 1 products have no training row; 0 rows train as well"
        ),
        "{talk}"
    );
    let (code, json, talk) = run(&["evaluate", "--json"]);
    assert_eq!(code, Some(0), "{talk}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"], 3, "{json}");
    let (code, _, talk) = run(&["recommend", "--user", "-u1"]);
    assert_eq!(code, Some(0), "{talk}");
    let (code, _, talk) = run(&["recommend", "--user", "p1"]);
    assert_eq!(code, Some(1));
    assert!(
        talk.contains("hint: this id is a product here: are the columns swapped?"),
        "{talk}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

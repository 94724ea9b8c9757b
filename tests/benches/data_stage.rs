//! The data stage alone: ingest, split and sampling table of one file; seconds of each, and the peak of memory.
//!
//!     cargo bench --bench data_stage -- RATINGS.csv
//!
//! The rows go through the flagship's settings: 80/10/10 at random, the three low classes oversampled. `scripts/peers/data.py`
//! compares it with pandas. Without a file it does nothing, so that `cargo bench` passes on a machine that has none.
#![expect(clippy::print_stdout, reason = "a bench speaks to people")]

use dotcart::config::Config;
use dotcart::data::ingest::ingest;
use dotcart::data::oversample::oversample;
use dotcart::data::progress::Silent;
use dotcart::data::split::Split;
use std::path::Path;
use std::time::Instant;

const FLAGSHIP: &str = "[oversample]\nfactors = { \"1\" = 2.0, \"2\" = 3.0, \"3\" = 2.5 }";

fn main() {
    // Cargo adds `--bench`.
    let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        println!("data_stage: no file given, nothing measured");
        return;
    };
    let config = Config::from_text(FLAGSHIP, "bench", &[]).expect("the settings are valid");
    let start = Instant::now();
    let data = ingest(Path::new(&path), true, &config.data, &Silent).expect("the file is a ratings table");
    let ingested = start.elapsed().as_secs_f64();
    let split = Split::new(&data.interactions, &config.split, config.seed).expect("the table can be split");
    let split_at = start.elapsed().as_secs_f64();
    let table = oversample(
        split.train(),
        &data.interactions.ratings,
        &config.oversample,
        config.seed,
    )
    .expect("all classes occur");
    let samples = table.rows(1).len();
    let done = start.elapsed().as_secs_f64();
    println!(
        "{{\"rows\": {}, \"users\": {}, \"products\": {}, \"samples\": {samples}, \"ingest_seconds\": {ingested:.3}, \
         \"split_seconds\": {:.3}, \"oversample_seconds\": {:.3}, \"seconds\": {done:.3}, \"peak_bytes\": {}}}",
        data.interactions.len(),
        data.users.len(),
        data.items.len(),
        split_at - ingested,
        done - split_at,
        peak_bytes(),
    );
}

/// The most memory this process has held; 0 where the system does not tell (not Linux).
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

//! Proof: what an adapter is, that it computes what the cpu engine computes, and how fast, beside what its memory can do.
//!
//! # Bytes of a stage
//!
//! What a step of B samples over R touched rows of both tables has to move at least, see [`super::train`] for the words:
//!
//! ```text
//! gather rows                  R (record_bytes + factor_bytes)      a record is read, its weights are written
//! loss and gradient of pairs   2 B factor_bytes                     a sample reads a row of each side
//! update rows                  2 R record_bytes + 2 B factor_bytes  a record is read and written, a sample's rows are read
//! ```
//!
//! Caches serve a part of it: popular rows come again, so a share of the copy bandwidth may pass 1 and none is a bound.

use super::agreement::{Agreement, Compared, rankings, trainings, twice};
use super::ratings::{ONE_MILLION, generate};
use super::score::{ScoreReport, ScoreSetup, random_model};
use super::train::TrainReport;
use super::workgroups::{self, Tried};
use super::{score, train};
use crate::config::{Config, DeviceChoice};
use crate::engine::DeviceError;
use crate::engine::gpu::device::{Adapter, AdapterKind, Gpu};
use crate::engine::model::ModelShape;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// All that a proof found.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    pub dotcart_version: &'static str,
    pub system: String,
    pub adapter: Adapter,
    /// Bytes read plus bytes written a second.
    pub copy_bytes_per_second: f64,
    pub checks: Vec<Check>,
    /// Workgroups of other sizes than the usual one, too.
    pub workgroups: Vec<Tried>,
    /// Ratings alone, and with choices.
    pub trainings: Vec<Measured>,
    pub scoring: Option<ScoreReport>,
    pub seconds: f64,
}

impl Proof {
    /// Checks that do not hold.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.fault.is_some())
    }
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub cases: usize,
    /// The largest distance from the cpu engine's numbers, as a share of what is allowed.
    pub largest_gap: f64,
    /// What differs, or what failed; `None` if it holds.
    pub fault: Option<String>,
}

impl Check {
    fn new(name: &'static str, compared: Compared) -> Self {
        let (agreement, fault) = match compared {
            Ok(agreement) => (agreement, None),
            Err(fault) => (Default::default(), Some(fault)),
        };
        Self {
            name,
            cases: agreement.cases,
            largest_gap: agreement.largest_gap,
            fault,
        }
    }
}

/// A training, and what its stages reach.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub report: TrainReport,
    pub reached: Vec<Reached>,
}

/// A stage beside the copy bandwidth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reached {
    pub stage: &'static str,
    pub bytes_per_step: f64,
    pub bytes_per_second: f64,
    pub share_of_copy: f64,
}

/// How long each training is measured, and the scoring.
const SECONDS: f64 = 4.0;
/// Products that are drawn a step where choices are learned.
const NEGATIVES: usize = 512;
/// Samples a step; with choices a software adapter takes seconds for a step of so many.
const BATCH: usize = 4096;
const SOFTWARE_CHOICE_BATCH: usize = 512;
/// The table that workgroups of other sizes are tried on, larger than a cache, and the samples of its step.
const WORKGROUPS_ROWS: usize = 300_000;
const WORKGROUPS_SAMPLES: usize = 65_536;
/// The catalogue of Electronics.
const SCORING: ScoreSetup = ScoreSetup {
    items: 476_002,
    dim: 64,
    users: 256,
    k: 10,
    device: DeviceChoice::Gpu,
    threads: 0,
};

/// Proves the adapter that `gpu` takes; `watch` hears what comes next. What fails on the way is a check that does not hold.
///
/// Errors if there is no adapter, or it cannot even be opened or copy a buffer.
pub fn prove(watch: &mut dyn FnMut(&str)) -> Result<Proof, DeviceError> {
    let start = Instant::now();
    let gpu = Gpu::open(true)?;
    watch(&format!("{}: copying buffers", gpu.adapter()));
    let copy_bytes_per_second = gpu.copy_bytes_per_second()?;
    let mut checks = Vec::new();
    let mut check = |name, what: &str, compare: fn(Gpu) -> Compared| {
        watch(what);
        checks.push(Check::new(name, compare(gpu)));
    };
    check(
        "trainings",
        "trainings at awkward sizes beside the cpu engine",
        trainings,
    );
    check("two trainings", "a training twice, and on the cpu", twice);
    check("rankings", "rankings beside the cpu engine", rankings);

    watch("workgroups of other sizes");
    let tried = workgroups::try_sizes(gpu, WORKGROUPS_ROWS, WORKGROUPS_SAMPLES);
    let agreement = |tried: &Vec<Tried>| Agreement {
        cases: tried.len(),
        largest_gap: 0.0,
    };
    checks.push(Check::new(
        "workgroups of other sizes",
        tried.as_ref().map(agreement).map_err(Clone::clone),
    ));

    let mut measured = Vec::new();
    for negatives in [0, NEGATIVES] {
        watch(&format!(
            "a training of a million generated ratings, {negatives} products drawn a step"
        ));
        let mut config = config(negatives);
        if negatives > 0 && gpu.adapter().kind == AdapterKind::Software {
            config.train.batch_size = SOFTWARE_CHOICE_BATCH;
        }
        let rows = Arc::new(generate(&config.data.generate, config.seed));
        match train::measure(&config, &rows, SECONDS, &mut |_| {}) {
            Ok(report) => measured.push(Measured {
                reached: reached(&report, copy_bytes_per_second),
                report,
            }),
            Err(error) => checks.push(Check::new("speed of training", Err(error.to_string()))),
        }
    }
    watch("rankings of 476,002 products");
    let shape = ModelShape {
        users: SCORING.users,
        items: SCORING.items,
        dim: SCORING.dim,
    };
    let scoring = score::measure(&SCORING, &random_model(1, shape), SECONDS);
    if let Err(error) = &scoring {
        checks.push(Check::new("speed of rankings", Err(error.to_string())));
    }
    Ok(Proof {
        dotcart_version: env!("CARGO_PKG_VERSION"),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        adapter: gpu.adapter().clone(),
        copy_bytes_per_second,
        checks,
        workgroups: tried.unwrap_or_default(),
        trainings: measured,
        scoring: scoring.ok(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// What `dotcart bench train --device gpu [--negatives N]` measures.
fn config(negatives: usize) -> Config {
    let mut config = Config {
        device: DeviceChoice::Gpu,
        ..Config::default()
    };
    config.data.generate = ONE_MILLION;
    config.model.dim = 64;
    config.train.batch_size = BATCH;
    config.train.l2 = 0.0;
    let ranking = &mut config.train.ranking;
    match negatives {
        0 => ranking.weight = 0.0,
        negatives => (ranking.negatives, ranking.dim) = (negatives, config.model.dim),
    }
    config
}

fn reached(report: &TrainReport, copy_bytes_per_second: f64) -> Vec<Reached> {
    let traffic = &report.traffic;
    let samples = report.samples_per_second * report.milliseconds_per_step / 1e3;
    let rows = traffic.user_rows_per_step + traffic.product_rows_per_step;
    let records = traffic.record_bytes_per_sample * samples / 2.0;
    let factor_bytes = traffic.compact_bytes_per_sample * samples / (rows + 4.0 * samples);
    let bytes_of = [
        ("gather rows", records + rows * factor_bytes),
        ("loss and gradient of pairs", 2.0 * samples * factor_bytes),
        ("update rows", 2.0 * records + 2.0 * samples * factor_bytes),
    ];
    let stages = bytes_of.into_iter().filter_map(|(stage, bytes_per_step)| {
        let found = report.stages.iter().find(|found| found.name == stage)?;
        let bytes_per_second = bytes_per_step / (found.milliseconds_per_step / 1e3);
        Some(Reached {
            stage,
            bytes_per_step,
            bytes_per_second,
            share_of_copy: bytes_per_second / copy_bytes_per_second,
        })
    });
    stages.collect()
}

//! `dotcart bench score`: users and products scored a second, on generated matrices.

use super::args::BenchScoreArguments;
use super::output::Output;
use super::{CommandResult, End};
use dotcart::bench::score::{ScoreReport, ScoreSetup, measure, random_model};
use dotcart::common::format::count;
use dotcart::common::whole_file::write_whole;
use dotcart::config::DeviceChoice;
use dotcart::engine::gpu::scorer::MAX_K;
use dotcart::engine::model::{Model, ModelShape, ROW_HEADER};
use dotcart::recommend::RecommendError;
use std::path::Path;

pub fn run(arguments: &BenchScoreArguments, output: &mut Output) -> CommandResult {
    let setup = ScoreSetup {
        items: arguments.items as usize,
        dim: arguments.dim,
        users: arguments.users as usize,
        k: arguments.k as usize,
        device: arguments.device,
        threads: usize::from(arguments.threads),
    };
    let setups = match arguments.sweep {
        true => points(setup),
        false => vec![setup],
    };
    let model_of = |setup: &ScoreSetup| {
        let shape = ModelShape {
            users: setup.users,
            items: setup.items,
            dim: setup.dim,
        };
        random_model(1, shape)
    };
    if let Some(folder) = &arguments.write {
        write(folder, &model_of(&setup))?;
        return Ok(End::Done);
    }
    if !arguments.json {
        output.data("engine   products  dim  users     k         ms  median ms     users/s  million products/s");
    }
    let mut made: Option<Model> = None;
    for setup in &setups {
        let fits = |model: &Model| model.shape.items == setup.items && model.shape.users >= setup.users;
        let model = match made.take() {
            Some(model) if fits(&model) => model,
            _ => model_of(setup),
        };
        let report = measure(setup, &model, f64::from(arguments.seconds))?;
        made = Some(model);
        if arguments.json {
            output.json(&report);
        } else {
            output.data(&line(&report));
        }
    }
    Ok(End::Done)
}

fn line(report: &ScoreReport) -> String {
    format!(
        "{:<6} {:>10} {:>4} {:>6} {:>5} {:>10.2} {:>10.2} {:>11} {:>19}",
        report.engine,
        count(report.items),
        report.dim,
        report.users,
        report.k,
        report.milliseconds,
        report.median_milliseconds,
        count(report.users_per_second as usize),
        count((report.items_per_second / 1e6) as usize),
    )
}

/// One thing changed at a time: products, users, k. Most users first, so that a table is made once.
fn points(setup: ScoreSetup) -> Vec<ScoreSetup> {
    let items = [4, 2].map(|part| ScoreSetup {
        items: setup.items / part,
        ..setup
    });
    let users = [4 * setup.users, 2 * setup.users, setup.users / 4, setup.users / 16, 1];
    let users = users.map(|users| ScoreSetup {
        users: users.max(1),
        ..setup
    });
    let ks = [1, 100, 1000, 10_000].map(|k| ScoreSetup { k, ..setup });
    let mut all = items.to_vec();
    all.extend_from_slice(&users[..2]);
    all.push(setup);
    all.extend_from_slice(&users[2..]);
    // What the cpu engine answers for the other is no figure of that one.
    all.extend(
        ks.into_iter()
            .filter(|setup| setup.device == DeviceChoice::Cpu || setup.k <= MAX_K),
    );
    all
}

/// `users.f32` and `items.f32`: weights row by row, little-endian.
fn write(folder: &Path, model: &Model) -> Result<(), RecommendError> {
    std::fs::create_dir_all(folder)
        .and_then(|()| {
            for (name, rows) in [("users.f32", &model.users), ("items.f32", &model.items)] {
                let rows = rows.chunks_exact(model.shape.factor_len());
                let weights: Vec<f32> = rows.flat_map(|row| &row[ROW_HEADER..]).copied().collect();
                let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
                write_whole(&folder.join(name), &bytes)?;
            }
            Ok(())
        })
        .map_err(|source| RecommendError::Write {
            path: folder.to_path_buf(),
            source,
        })
}

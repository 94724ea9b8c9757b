//! `dotcart bench`: figures of this machine, on ratings generated in memory.

use super::args::{BenchShape, BenchTrainArguments, Sweep};
use super::output::Output;
use super::output::bench::{minute_line, sweep_header, sweep_line, train_page};
use super::{CommandResult, End};
use dotcart::bench::ratings::{ONE_MILLION, generate};
use dotcart::bench::train::measure;
use dotcart::common::format::count;
use dotcart::common::hint::Hint;
use dotcart::common::whole_file::write_whole;
use dotcart::config::{Config, GenerateConfig};
use dotcart::data::interactions::Interactions;
use dotcart::data::marginals::ELECTRONICS;
use dotcart::data::synthetic::GenerateError;
use std::path::Path;
use std::sync::Arc;

/// `dotcart bench train`.
pub fn train(arguments: &BenchTrainArguments, output: &mut Output) -> CommandResult {
    let config = config_of(arguments);
    if let Some(folder) = &arguments.write {
        let rows = generate(&config.data.generate, config.seed);
        write(folder, &rows).map_err(|source| GenerateError::Write {
            path: folder.clone(),
            source,
        })?;
        output.talk(&format!(
            "wrote {} ratings into {}",
            count(rows.len()),
            folder.display()
        ));
        return Ok(End::Done);
    }
    let seconds = f64::from(arguments.seconds);
    let configs = arguments
        .sweep
        .map_or_else(|| vec![config.clone()], |sweep| points(sweep, &config));
    if let (Some(sweep), false) = (arguments.sweep, arguments.json) {
        sweep_header(sweep, &config).iter().for_each(|line| output.data(line));
    }
    let mut made: Option<(GenerateConfig, Arc<Interactions>)> = None;
    for config in &configs {
        let size = config.data.generate;
        let rows = match &made {
            Some((of, rows)) if *of == size => Arc::clone(rows),
            _ => Arc::new(generate(&size, config.seed)),
        };
        made = Some((size, Arc::clone(&rows)));
        let report = measure(config, &rows, seconds, &mut |minute| output.talk(&minute_line(minute)));
        match (report, arguments.sweep) {
            (Ok(report), _) if arguments.json => output.json(&report),
            (Ok(report), None) => train_page(&report).iter().for_each(|line| output.data(line)),
            (Ok(report), Some(sweep)) => output.data(&sweep_line(sweep, &report)),
            // The other points of a curve are worth having.
            (Err(error), Some(_)) if !error.is_internal() => output.talk(&format!("left out: {error}")),
            (Err(error), _) => return Err(error),
        }
    }
    Ok(End::Done)
}

/// The experiment that the arguments describe; nothing of it is kept.
fn config_of(arguments: &BenchTrainArguments) -> Config {
    let like = match arguments.like {
        BenchShape::OneMillion => ONE_MILLION,
        BenchShape::Electronics => ELECTRONICS,
    };
    let chosen = |given: Option<u32>, like: usize| given.map_or(like, |given| given as usize);
    let mut config = Config {
        device: arguments.device,
        threads: usize::from(arguments.threads),
        ..Config::default()
    };
    let ranking = &mut config.train.ranking;
    match arguments.negatives {
        0 => ranking.weight = 0.0,
        negatives => (ranking.negatives, ranking.dim) = (negatives as usize, arguments.dim),
    }
    config.data.generate = GenerateConfig {
        ratings: chosen(arguments.ratings, like.ratings),
        users: chosen(arguments.users, like.users),
        products: chosen(arguments.products, like.products),
    };
    config.model.dim = arguments.dim;
    config.train.batch_size = arguments.batch as usize;
    config.train.optimizer = arguments.optimizer;
    config.train.l2 = 0.0;
    config
}

/// The experiments of a sweep, smallest first.
fn points(sweep: Sweep, config: &Config) -> Vec<Config> {
    let with = |change: &dyn Fn(&mut Config)| {
        let mut config = config.clone();
        change(&mut config);
        config
    };
    match sweep {
        Sweep::Table => [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
            .into_iter()
            .map(|rows| {
                with(&|config| {
                    // Nine users a product, and enough ratings for both engines to have whole epochs to shuffle.
                    config.data.generate = GenerateConfig {
                        ratings: (2 * rows).max(1_000_000),
                        users: rows / 10 * 9,
                        products: rows / 10,
                    }
                })
            })
            .collect(),
        Sweep::Dim => [8, 16, 32, 64, 128, 256, 512]
            .into_iter()
            .map(|dim| with(&|config| config.model.dim = dim))
            .collect(),
        Sweep::Batch => [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18]
            .into_iter()
            .map(|batch| with(&|config| config.train.batch_size = batch))
            .collect(),
        Sweep::Threads => (1..=std::thread::available_parallelism().map_or(1, usize::from))
            .map(|threads| with(&|config| config.threads = threads))
            .collect(),
    }
}

/// Columns as raw little-endian words, one file each.
fn write(folder: &Path, rows: &Interactions) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let columns = [
        ("users.u32", bytemuck::cast_slice::<_, u8>(&rows.users)),
        ("products.u32", bytemuck::cast_slice(&rows.items)),
        ("ratings.f32", bytemuck::cast_slice(&rows.ratings)),
    ];
    for (name, bytes) in columns {
        write_whole(&folder.join(name), bytes)?;
    }
    Ok(())
}

//! `dotcart sweep`: many trainings of one config, and the best of them.

use super::args::SweepArguments;
use super::output::Output;
use super::output::sweep::{table, trial_line};
use super::progress::Bar;
use super::signals::stop_on_signals;
use super::train::{command_name, shell_word};
use super::{CommandResult, End};
use burn::train::Interrupter;
use dotcart::artifact::run_directory::RUNS;
use dotcart::common::format::{count, duration};
use dotcart::config::{Assignment, Config};
use dotcart::flow::inspect::inspect;
use dotcart::flow::pipeline;
use dotcart::flow::sweep::axis::{Axis, trials};
use dotcart::flow::trials::{Sweep, configs};
use std::path::Path;
use std::time::Instant;

pub fn run(arguments: &SweepArguments, output: &mut Output) -> CommandResult {
    let mut sets = Vec::new();
    for text in &arguments.set {
        sets.push(Assignment::parse(text)?);
    }
    let mut axes = Vec::new();
    for text in &arguments.over {
        axes.push(Axis::parse(text)?);
    }
    let mut base = Config::load(&arguments.config, &sets)?;
    let settings = trials(&axes, arguments.trials.map(|trials| trials as usize), base.seed)?;
    let mut trials = configs(&arguments.config, &sets, settings)?;
    if let Some(device) = arguments.device {
        base.device = device;
        trials.iter_mut().for_each(|(_, config)| config.device = device);
    }
    let path_is_explicit = sets.iter().any(Assignment::names_path);
    let prepared = pipeline::load(&base, path_is_explicit, &Bar::new())?.prepared;
    output.data_report(&inspect(&base, &prepared), &base.data.path);
    let (rows, generated) = (prepared.size().valid, prepared.report.generated);

    let folder = arguments
        .out
        .clone()
        .unwrap_or_else(|| Path::new(RUNS).join(format!("{}-sweep", base.name)));
    output.device(base.device);
    let mut sweep = Sweep::open(&folder, &base, trials, prepared)?;
    let (total, mut done) = sweep.count();
    let jobs = sweep.jobs(usize::from(arguments.jobs));
    if jobs < usize::from(arguments.jobs) {
        output.talk(&format!(
            "       trials   {jobs} at once: more do not fit this device or its memory"
        ));
    }
    let words = if done > 0 {
        format!(", {done} of them done already")
    } else {
        String::new()
    };
    output.talk("");
    output.talk(&format!("sweep  {}: {total} trials{words}", folder.display()));

    let interrupter = Interrupter::new();
    stop_on_signals(&interrupter);
    let (start, before, metric) = (Instant::now(), done, sweep.metric());
    let is_done = sweep.run(jobs, &interrupter, &mut |trial| {
        done += 1;
        let each = start.elapsed().as_secs_f64() / (done - before) as f64;
        let left = duration(each * (total - done) as f64);
        output.talk(&format!("{}   ({done} of {total}, {left} left)", trial_line(&trial)));
    })?;
    if !is_done {
        output.talk("stopped; the same command goes on");
        return Ok(End::Interrupted);
    }
    let ranking = sweep.ranking();
    if arguments.json {
        ranking.iter().for_each(|trial| output.json(trial));
    } else {
        let of_generated = if generated { "GENERATED ratings, " } else { "" };
        output.data("");
        output.data(&format!(
            "{of_generated}{total} trials, judged on {} validation rows",
            count(rows)
        ));
        table(&ranking, metric).iter().for_each(|line| output.data(line));
    }
    let best = sweep.write_best()?;
    output.talk("");
    output.talk(&format!("best:  {}", best.display()));
    output.talk(&format!(
        "next:  {} train {}",
        command_name(),
        shell_word(&best.display().to_string())
    ));
    Ok(End::Done)
}

//! Figures of a benchmark, as people read them.

use crate::cli::args::Sweep;
use dotcart::bench::train::{Minute, TrainReport};
use dotcart::common::format::{count, mebibytes, percent};
use dotcart::config::Config;

/// A training that was measured, as a page.
pub fn train_page(report: &TrainReport) -> Vec<String> {
    let rate = |rate: f64| count(rate.round() as usize);
    let traffic = &report.traffic;
    let machine = &report.machine;
    let mut lines = vec![
        format!(
            "shape    {} users, {} products, {} ratings; dim {}, batch {}, {}",
            count(report.users),
            count(report.products),
            count(report.ratings),
            report.dim,
            count(report.batch_size),
            report.optimizer.name(),
        ),
        format!("device   {}", report.device),
        format!(
            "speed    {} samples/s   {:.3} ms a step   {:.2} s an epoch   ({} steps in {:.1} s, last loss {:.4})",
            rate(report.samples_per_second),
            report.milliseconds_per_step,
            report.seconds_per_epoch,
            count(report.steps),
            report.seconds,
            report.last_loss,
        ),
        format!(
            "planner  {} samples/s alone, on one thread; the engine waited for it {} of the time",
            rate(report.planner_samples_per_second),
            percent(report.waited_for_plan),
        ),
    ];
    for (number, stage) in report.stages.iter().enumerate() {
        lines.push(format!(
            "{:<8} {:<30} {:>8.3} ms a step",
            if number == 0 { "stages" } else { "" },
            stage.name,
            stage.milliseconds_per_step,
        ));
    }
    if report.stage_steps > 0 {
        lines.push(format!(
            "         each stage of {} steps of their own, waited for, by the device's clock",
            report.stage_steps
        ));
    }
    lines.push(format!(
        "touched  {} users and {} products a step",
        rate(traffic.user_rows_per_step),
        rate(traffic.product_rows_per_step),
    ));
    lines.push(format!(
        "bytes    {} a sample: records {}, compact rows {}, plan {}",
        rate(traffic.bytes_per_sample()),
        rate(traffic.record_bytes_per_sample),
        rate(traffic.compact_bytes_per_sample),
        rate(traffic.plan_bytes_per_sample),
    ));
    lines.push(format!(
        "machine  copies {:.1} GB/s; random records of {} bytes, read and written: {:.2} million/s on one thread, {:.2} on {}",
        machine.copy_bytes_per_second / 1e9,
        machine.record_bytes,
        machine.random_records_per_second_one_thread / 1e6,
        machine.random_records_per_second / 1e6,
        machine.threads,
    ));
    lines.push(match (report.fraction_of_copy, report.fraction_of_random_records) {
        (Some(copy), Some(random)) => format!(
            "reached  {} of the copy bandwidth with these bytes, {} of the random records with the touched rows",
            percent(copy),
            percent(random),
        ),
        _ => "reached  unknown: the card's memory is not the machine's".to_string(),
    });
    if let (Some(operations), Some(fraction)) = (report.product_operations_per_step, report.fraction_of_products) {
        lines.push(format!(
            "products {:.2} billion operations a step for choices, {} of the {:.0} billion a second that this machine multiplies",
            operations / 1e9,
            percent(fraction),
            machine.product_operations_per_second / 1e9,
        ));
    }
    if let Some(peak) = report.peak_bytes {
        lines.push(format!("memory   {} at the most", mebibytes(peak)));
    }
    lines.extend(report.minutes.iter().map(minute_line));
    lines
}

/// A minute of a long training.
pub fn minute_line(minute: &Minute) -> String {
    format!(
        "minute {:>3}   {:>12} samples/s   {}",
        minute.minute,
        count(minute.samples_per_second.round() as usize),
        minute.resident_bytes.map_or_else(
            || "memory unknown".to_string(),
            |bytes| format!("{} in memory", mebibytes(bytes))
        ),
    )
}

/// What a sweep holds fixed, and the heads of its columns.
pub fn sweep_header(sweep: Sweep, config: &Config) -> [String; 3] {
    let size = &config.data.generate;
    let shape = format!(
        "{} users, {} products, {} ratings",
        count(size.users),
        count(size.products),
        count(size.ratings)
    );
    let dim = format!("dim {}", config.model.dim);
    let batch = format!("batch {}", count(config.train.batch_size));
    let (changes, fixed) = match sweep {
        Sweep::Table => ("rows", [String::new(), dim, batch]),
        Sweep::Dim => ("dim", [shape, String::new(), batch]),
        Sweep::Batch => ("batch", [shape, dim, String::new()]),
        Sweep::Threads => ("threads", [shape, dim, batch]),
    };
    let fixed: Vec<_> = fixed.into_iter().filter(|part| !part.is_empty()).collect();
    let heads = "samples/s   ns a sample   ms a step   rows a step   bytes a sample   of copy   of random   MiB";
    [fixed.join("; "), String::new(), format!("{changes:>10}   {heads}")]
}

/// One point of a sweep.
pub fn sweep_line(sweep: Sweep, report: &TrainReport) -> String {
    let point = match sweep {
        Sweep::Table => report.users + report.products,
        Sweep::Dim => report.dim,
        Sweep::Batch => report.batch_size,
        Sweep::Threads => report.machine.threads,
    };
    let traffic = &report.traffic;
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_string(), percent);
    format!(
        "{:>10}   {:>9}   {:>11.1}   {:>9.3}   {:>11}   {:>14}   {:>7}   {:>9}   {}",
        count(point),
        count(report.samples_per_second.round() as usize),
        1e9 / report.samples_per_second,
        report.milliseconds_per_step,
        count((traffic.user_rows_per_step + traffic.product_rows_per_step).round() as usize),
        count(traffic.bytes_per_sample().round() as usize),
        share(report.fraction_of_copy),
        share(report.fraction_of_random_records),
        report
            .peak_bytes
            .map_or_else(|| "-".to_string(), |bytes| count(bytes.div_ceil(1 << 20) as usize)),
    )
}

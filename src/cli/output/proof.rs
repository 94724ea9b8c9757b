//! A proof, as people read it.

use dotcart::bench::proof::{Measured, Proof};
use dotcart::common::format::{count, percent};

/// What was found of an adapter, as a page.
pub fn proof_page(proof: &Proof) -> Vec<String> {
    let copies = proof.copy_bytes_per_second / 1e9;
    let mut lines = vec![
        String::new(),
        format!("adapter  {}, {}", proof.adapter, proof.adapter.driver),
        format!("copies   {copies:.1} GB/s, read and written"),
    ];
    for check in &proof.checks {
        lines.push(match &check.fault {
            None => format!(
                "holds    {}: {} cases, at most {} of the distance that is allowed",
                check.name,
                check.cases,
                percent(check.largest_gap),
            ),
            Some(fault) => format!("FAILS    {}: {fault}", check.name),
        });
    }
    for tried in &proof.workgroups {
        lines.push(format!(
            "threads  {:>3} a workgroup: gather rows {:.3} ms, update rows {:.3} ms{}",
            tried.threads,
            tried.gather_milliseconds,
            tried.update_milliseconds,
            if tried.is_usual { "; the usual" } else { "" },
        ));
    }
    proof
        .trainings
        .iter()
        .for_each(|measured| lines.extend(training(measured)));
    if let Some(scoring) = &proof.scoring {
        lines.push(format!(
            "scoring  {} users/s: {} users, {} products, dim {}, k {}: {:.1} ms",
            count(scoring.users_per_second.round() as usize),
            scoring.users,
            count(scoring.items),
            scoring.dim,
            scoring.k,
            scoring.milliseconds,
        ));
    }
    lines.push(format!("took     {:.0} s", proof.seconds));
    lines
}

fn training(measured: &Measured) -> Vec<String> {
    let report = &measured.report;
    let mut lines = vec![format!(
        "training {} samples/s, {:.3} ms a step of {}, waiting for plans {} of the time",
        count(report.samples_per_second.round() as usize),
        report.milliseconds_per_step,
        count(report.batch_size),
        percent(report.waited_for_plan),
    )];
    for stage in &report.stages {
        let reached = measured.reached.iter().find(|reached| reached.stage == stage.name);
        let share = reached.map_or_else(String::new, |reached| {
            let rate = reached.bytes_per_second / 1e9;
            format!("   {rate:.1} GB/s, {} of copies", percent(reached.share_of_copy))
        });
        lines.push(format!(
            "         {:<32} {:>8.3} ms{share}",
            stage.name, stage.milliseconds_per_step
        ));
    }
    lines
}

//! Inspect: everything there is to know about the data before a training begins.

use crate::common::interaction::Part;
use crate::config::Config;
use crate::data::report::DataReport;
use crate::engine::memory::MemoryNeed;
use crate::flow::prepare::{Prepared, predict_memory};
use crate::train::event::ClassCount;
use serde::Serialize;

/// The data, its split, and what training on it takes.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub data: DataReport,
    /// Rating classes of the training split, before and after oversampling.
    pub classes: Vec<ClassCount>,
    pub parts: Vec<PartReport>,
    pub memory: MemoryNeed,
}

/// One part of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    pub part: Part,
    pub rows: usize,
    /// Users of this part without a rating in the training split.
    pub cold_users: usize,
    pub cold_products: usize,
    /// Rows whose user or product is cold.
    pub cold_rows: usize,
}

/// Looks at prepared data.
pub fn inspect(config: &Config, prepared: &Prepared) -> Inspection {
    let parts = [Part::Train, Part::Valid, Part::Test].map(|part| part_report(prepared, part));
    let memory = predict_memory(config, prepared);
    Inspection {
        parts: parts.to_vec(),
        memory,
        classes: prepared.classes.clone(),
        data: prepared.report.clone(),
    }
}

fn part_report(prepared: &Prepared, part: Part) -> PartReport {
    let interactions = &prepared.interactions;
    let mut warm_users = vec![false; prepared.report.users];
    let mut warm_items = vec![false; prepared.report.items];
    for &row in prepared.split.train().rows() {
        warm_users[interactions.users[row as usize].index()] = true;
        warm_items[interactions.items[row as usize].index()] = true;
    }
    let rows = prepared.split.rows(part);
    let (mut cold_users, mut cold_items) = (vec![false; warm_users.len()], vec![false; warm_items.len()]);
    let mut cold_rows = 0;
    for &row in &rows {
        let user = interactions.users[row as usize].index();
        let item = interactions.items[row as usize].index();
        cold_users[user] = !warm_users[user];
        cold_items[item] = !warm_items[item];
        cold_rows += usize::from(cold_users[user] || cold_items[item]);
    }
    let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
    PartReport {
        part,
        rows: rows.len(),
        cold_users: count(&cold_users),
        cold_products: count(&cold_items),
        cold_rows,
    }
}

//! Inspect: everything there is to know about the data before a training begins.

use crate::config::Config;
use crate::data::report::DataReport;
use crate::interaction::Part;
use crate::model::ModelShape;
use crate::pipeline::Prepared;
use crate::train::event::ClassCount;
use serde::Serialize;

/// The data, its split, and what training on it takes.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub data: DataReport,
    /// Rating classes of the training split, before and after oversampling.
    pub classes: Vec<ClassCount>,
    pub parts: Vec<PartReport>,
    pub memory: MemoryReport,
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

/// Bytes that training will need, predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryReport {
    pub dim: usize,
    /// Weights and Adam's state, on the device that trains.
    pub tables: usize,
    /// Rows, split and sampling table, on the host.
    pub ratings: usize,
    /// Planned steps on their way to the device.
    pub plans: usize,
}

impl MemoryReport {
    /// All of it.
    pub fn total(&self) -> usize {
        self.tables + self.ratings + self.plans
    }
}

/// Looks at prepared data.
pub fn inspect(config: &Config, prepared: &Prepared) -> Inspection {
    let parts = [Part::Train, Part::Valid, Part::Test].map(|part| part_report(prepared, part));
    let shape = ModelShape {
        users: prepared.report.users,
        items: prepared.report.items,
        dim: config.model.dim,
    };
    let memory = memory(shape, prepared.interactions.len(), prepared.table.len());
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
        warm_users[interactions.users[row as usize] as usize] = true;
        warm_items[interactions.items[row as usize] as usize] = true;
    }
    let rows = prepared.split.rows(part);
    let (mut cold_users, mut cold_items) = (vec![false; warm_users.len()], vec![false; warm_items.len()]);
    let mut cold_rows = 0;
    for &row in &rows {
        let user = interactions.users[row as usize] as usize;
        let item = interactions.items[row as usize] as usize;
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

/// A row of a table holds weight and two Adam moments a column, and a header of four numbers.
fn memory(shape: ModelShape, rows: usize, sampled: usize) -> MemoryReport {
    // User, product, rating, timestamp, part; and the row's number in the sampling table, by file order and by class.
    const RATING: usize = 4 + 4 + 4 + 8 + 1 + 4 + 4;
    const PLANNED_SAMPLE: usize = 48;
    // A chunk of at most 2^16 samples (or one batch) is trained, two wait and one is made.
    const PLANNED_SAMPLES: usize = 4 << 16;
    MemoryReport {
        dim: shape.dim,
        tables: (shape.users + shape.items) * (4 + 3 * shape.dim) * 4,
        ratings: rows * RATING + sampled * 4,
        plans: PLANNED_SAMPLES.min(4 * sampled) * PLANNED_SAMPLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_electronics_at_dim_64_needs_the_tables_of_the_design() {
        let shape = ModelShape {
            users: 4_201_696,
            items: 476_002,
            dim: 64,
        };
        let report = memory(shape, 7_824_482, 6_259_586);
        assert_eq!(report.tables, 4_677_698 * 784);
        assert!(report.total() > report.tables + 7_824_482 * 21);
    }
}

//! The graph of who rated what, as seen from one side.

use crate::common::interaction::DenseIndex;

/// Ratings that every row has more of in N, so that rows with one or two do not lead a direction.
const DAMPING: f32 = 3.0;

/// What each row of one side is rated with, and how.
pub(super) struct Neighbours {
    /// Where the ratings of a row begin and, one further, end.
    starts: Vec<usize>,
    /// The row on the other side of each rating.
    others: Vec<u32>,
    targets: Vec<f32>,
    /// `1 / sqrt(n + DAMPING)`.
    weights: Vec<f32>,
}

impl Neighbours {
    /// Sorts ratings by `rows`, of which there are `number`. Panics if one is not below it, or the columns differ in length.
    pub fn new(rows: &[impl DenseIndex], others: &[impl DenseIndex], targets: &[f32], number: usize) -> Self {
        assert!(
            rows.len() == others.len() && rows.len() == targets.len(),
            "Neighbours: columns differ in length"
        );
        let mut starts = vec![0; number + 1];
        for row in rows {
            starts[row.index() + 1] += 1;
        }
        let weight = |&count: &usize| 1.0 / (count as f32 + DAMPING).sqrt();
        let weights = starts[1..].iter().map(weight).collect();
        for row in 0..number {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut sorted = Self {
            starts,
            others: vec![0; rows.len()],
            targets: vec![0.0; rows.len()],
            weights,
        };
        for ((&row, &other), &target) in rows.iter().zip(others).zip(targets) {
            let place = &mut next[row.index()];
            sorted.others[*place] = other.number();
            sorted.targets[*place] = target;
            *place += 1;
        }
        sorted
    }

    pub fn rows(&self) -> usize {
        self.weights.len()
    }

    /// Ratings of a row.
    pub fn count(&self, row: usize) -> usize {
        self.starts[row + 1] - self.starts[row]
    }

    /// What N multiplies a row with.
    pub fn weight(&self, row: usize) -> f32 {
        self.weights[row]
    }

    pub fn others(&self, row: usize) -> &[u32] {
        &self.others[self.starts[row]..self.starts[row + 1]]
    }

    pub fn targets(&self, row: usize) -> &[f32] {
        &self.targets[self.starts[row]..self.starts[row + 1]]
    }
}

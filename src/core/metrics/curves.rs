//! Curves over all thresholds: ROC and precision-recall, and the areas under them.
//!
//! Rows are taken in order of falling score, rows of equal score together, so no curve depends on the order of tied rows.
//! Definitions as in scikit-learn (`roc_curve` with `drop_intermediate=False`, `precision_recall_curve`, `roc_auc_score`,
//! `average_precision_score`).

/// Counts at every distinct score, from the highest down.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Relevant rows and other rows that reach each distinct score.
    steps: Vec<(u64, u64)>,
}

impl Sweep {
    /// Sorts rows by score. Panics if the columns differ in length.
    pub fn new(scores: &[f32], relevant: &[bool]) -> Self {
        assert_eq!(
            scores.len(),
            relevant.len(),
            "Sweep: scores and labels differ in length"
        );
        let mut rows: Vec<(f32, bool)> = scores.iter().copied().zip(relevant.iter().copied()).collect();
        rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mut positives, mut negatives) = (0, 0);
        let steps = rows.chunk_by(|a, b| a.0 == b.0).map(|tied| {
            let hits = tied.iter().filter(|row| row.1).count() as u64;
            positives += hits;
            negatives += tied.len() as u64 - hits;
            (positives, negatives)
        });
        Self { steps: steps.collect() }
    }

    fn totals(&self) -> (u64, u64) {
        self.steps.last().copied().unwrap_or((0, 0))
    }

    /// Area under the ROC curve: the chance that a relevant row scores above another one, ties counting half.
    ///
    /// `None` unless both kinds of rows exist. Mann and Whitney 1947.
    pub fn auc(&self) -> Option<f64> {
        let (positives, negatives) = self.totals();
        let (mut wins, mut before) = (0.0, (0u64, 0u64));
        for &step in &self.steps {
            let tied = (step.0 - before.0, step.1 - before.1);
            wins += tied.1 as f64 * (before.0 as f64 + tied.0 as f64 / 2.0);
            before = step;
        }
        (positives > 0 && negatives > 0).then(|| wins / (positives as f64 * negatives as f64))
    }

    /// `sum over thresholds of (recall - recall before) * precision`; `None` if nothing is relevant.
    ///
    /// Scores that know nothing give the base rate.
    pub fn average_precision(&self) -> Option<f64> {
        let (positives, _) = self.totals();
        let (mut area, mut before) = (0.0, 0u64);
        for &(hits, misses) in &self.steps {
            area += (hits - before) as f64 * hits as f64 / (hits + misses) as f64;
            before = hits;
        }
        (positives > 0).then(|| area / positives as f64)
    }

    /// The highest precision among thresholds whose recall is at least `recall`; `None` if nothing is relevant.
    pub fn precision_at_recall(&self, recall: f64) -> Option<f64> {
        let (positives, _) = self.totals();
        let reaches = |hits: u64| positives > 0 && hits as f64 >= recall * positives as f64;
        let precisions = self.steps.iter().filter(|step| reaches(step.0));
        precisions
            .map(|&(hits, misses)| hits as f64 / (hits + misses) as f64)
            .max_by(f64::total_cmp)
    }

    /// Points `(false positive rate, true positive rate)` from (0, 0) to (1, 1); empty unless both kinds of rows exist.
    pub fn roc(&self) -> Vec<[f64; 2]> {
        let (positives, negatives) = self.totals();
        if positives == 0 || negatives == 0 {
            return Vec::new();
        }
        let point = |&(hits, misses): &(u64, u64)| [misses as f64 / negatives as f64, hits as f64 / positives as f64];
        std::iter::once([0.0, 0.0])
            .chain(self.steps.iter().map(point))
            .collect()
    }

    /// Points `(recall, precision)` from recall 1 down to (0, 1), the end that the curve has by convention; empty if nothing
    /// is relevant.
    pub fn precision_recall(&self) -> Vec<[f64; 2]> {
        let (positives, _) = self.totals();
        if positives == 0 {
            return Vec::new();
        }
        let point =
            |&(hits, misses): &(u64, u64)| [hits as f64 / positives as f64, hits as f64 / (hits + misses) as f64];
        let points = self.steps.iter().rev().map(point);
        points.chain(std::iter::once([0.0, 1.0])).collect()
    }
}

/// At most `most` points of a curve, evenly taken, both ends kept. Panics if `most` is below 2.
pub fn thin(points: Vec<[f64; 2]>, most: usize) -> Vec<[f64; 2]> {
    assert!(most >= 2, "thin: a curve has two ends");
    if points.len() <= most {
        return points;
    }
    let last = points.len() - 1;
    (0..most).map(|place| points[place * last / (most - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_counted_by_hand() {
        let sweep = Sweep::new(&[0.9, 0.8, 0.8, 0.3, 0.1], &[true, false, true, true, false]);
        // Six pairs: four won, one tied, one lost.
        assert_eq!(sweep.auc(), Some(4.5 / 6.0));
        assert_eq!(
            sweep.roc(),
            [[0.0, 0.0], [0.0, 1.0 / 3.0], [0.5, 2.0 / 3.0], [0.5, 1.0], [1.0, 1.0]]
        );
        assert_eq!(sweep.precision_at_recall(0.7), Some(0.75));
        assert_eq!(sweep.precision_at_recall(0.1), Some(1.0));
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let nothing = Sweep::new(&[0.1, 0.2], &[false, false]);
        assert_eq!((nothing.auc(), nothing.average_precision()), (None, None));
        assert_eq!(nothing.precision_at_recall(0.0), None);
        assert!(nothing.roc().is_empty() && nothing.precision_recall().is_empty());
        assert_eq!(Sweep::new(&[0.5, 0.5], &[true, false]).auc(), Some(0.5));
        assert_eq!(Sweep::new(&[], &[]).auc(), None);
    }

    #[test]
    fn a_thinned_curve_keeps_its_ends() {
        let curve: Vec<[f64; 2]> = (0..1000).map(|x| [x as f64, 0.0]).collect();
        let thinned = thin(curve.clone(), 7);
        assert_eq!((thinned.len(), thinned[0], thinned[6]), (7, curve[0], curve[999]));
        assert_eq!(thin(curve[..5].to_vec(), 7), curve[..5]);
    }
}

//! Rating classes: what becomes of the rows of one true rating.
//!
//! The *predicted class* is the class nearest to the predicted rating, the lower one of two as near. Precision and recall of
//! a class as in scikit-learn's `precision_recall_fscore_support`, the table of both classes as in `confusion_matrix`.

use serde::{Deserialize, Serialize};

/// One true rating.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    pub rating: f32,
    /// Rows that have it.
    pub rows: usize,
    /// Mean predicted rating of them.
    pub mean_predicted: Option<f64>,
    /// Mean distance from the predicted rating.
    pub mae: Option<f64>,
    /// Of the rows predicted to be of this class, the share that is.
    pub precision: Option<f64>,
    /// Of the rows of this class, the share predicted to be.
    pub recall: Option<f64>,
}

/// Ratings predicted against ratings given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassTable {
    pub classes: Vec<ClassRow>,
    /// `confusion[true][predicted]`: rows, classes in the order of `classes`.
    pub confusion: Vec<Vec<usize>>,
}

/// The table of rows with predicted ratings over `classes`, ascending.
///
/// Panics if the columns differ in length, or if a rating is none of the classes.
pub fn by_class(classes: &[f32], predicted: &[f32], ratings: &[f32]) -> ClassTable {
    assert_eq!(predicted.len(), ratings.len(), "by_class: columns differ in length");
    let number = classes.len();
    let mut confusion = vec![vec![0usize; number]; number];
    let mut sums = vec![(0.0f64, 0.0f64); number];
    for (&predicted, &rating) in predicted.iter().zip(ratings) {
        let class = classes.iter().position(|&class| class == rating);
        let class = class.expect("every rating is a class");
        confusion[class][nearest(classes, predicted)] += 1;
        sums[class].0 += f64::from(predicted);
        sums[class].1 += (f64::from(predicted) - f64::from(rating)).abs();
    }
    let share = |part: f64, whole: usize| (whole > 0).then(|| part / whole as f64);
    let rows = (0..number).map(|class| {
        let rows = confusion[class].iter().sum();
        let predicted = confusion.iter().map(|row| row[class]).sum();
        ClassRow {
            rating: classes[class],
            rows,
            mean_predicted: share(sums[class].0, rows),
            mae: share(sums[class].1, rows),
            precision: share(confusion[class][class] as f64, predicted),
            recall: share(confusion[class][class] as f64, rows),
        }
    });
    ClassTable {
        classes: rows.collect(),
        confusion,
    }
}

fn nearest(classes: &[f32], predicted: f32) -> usize {
    let above = classes.partition_point(|&class| class < predicted);
    match above {
        0 => 0,
        above if above == classes.len() => above - 1,
        above if predicted - classes[above - 1] <= classes[above] - predicted => above - 1,
        above => above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_class_is_predicted_and_the_lower_of_two() {
        let classes = [1.0, 2.0, 5.0];
        let found = [-3.0, 1.5, 1.6, 3.5, 3.6, 9.0].map(|predicted| nearest(&classes, predicted));
        assert_eq!(found, [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn a_class_without_rows_or_predictions_has_no_share() {
        let table = by_class(&[1.0, 2.0, 3.0], &[1.2, 1.4], &[1.0, 2.0]);
        assert_eq!(
            (table.classes[0].precision, table.classes[0].recall),
            (Some(0.5), Some(1.0))
        );
        assert_eq!((table.classes[1].precision, table.classes[1].recall), (None, Some(0.0)));
        assert_eq!((table.classes[2].recall, table.classes[2].mae), (None, None));
        assert_eq!(table.confusion, [[1, 0, 0], [1, 0, 0], [0, 0, 0]]);
    }
}

//! Fold-in of choices: what somebody new would choose, fitted to what they chose, with items held fixed.
//!
//! ```text
//! a[i]       = w . v[i] + b[i]                                v, b: an item's row of choices and its appeal
//! minimise     sum over chosen r of weight[r] ( -a[r] + ln( exp(a[r]) + sum over j of exp(a[j] + offset[j]) ) + l2 |w|^2 )
//! ```
//!
//! The objective of training by softmax for one row over items that are drawn once, at random but always the same, or over all
//! where there are few. Its l2 is `train.ranking.l2`, that of a row as long as most: training tempers it by the lengths of all
//! ([`ChoiceL2::tempered`]), which one row does not tell. Convex; solved by Newton steps whose curvature is that of the drawn items, halved
//! until the loss falls.
//!
//! Where the gradient is zero w is a sum over what was chosen, and so is every appeal; that is what
//! [`FoldedChooser::contributions`] shows:
//!
//! ```text
//! w               = sum over r of weight[r] (v[r] - mean[r]) / (2 l2 sum of weights)    mean[r]: of all items, as they are likely
//! a[i]            = b[i] + sum over r of contribution[r](i)
//! ```

use crate::common::cholesky::Cholesky;
use crate::common::interaction::ItemIndex;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::model::ROW_HEADER;
#[cfg(doc)]
use crate::engine::plan::ChoiceL2;
use crate::engine::plan::Draws;

/// Items that are drawn; a catalogue of no more is taken whole.
pub const DRAWN: usize = 4096;
/// Least l2: without any, one choice would pull as far as numbers go.
const LEAST_L2: f64 = 1e-3;
/// A gradient below this, over the sum of weights, changes no digit that is shown.
const CONVERGED: f64 = 1e-6;
const MAX_STEPS: usize = 100;

/// An item that somebody chose, and how much that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChosenItem {
    pub item: ItemIndex,
    pub weight: f32,
}

/// A fitted user.
#[derive(Clone, Debug)]
pub struct FoldedChooser {
    /// The factor row, `[4 + dim]`.
    pub row: Vec<f32>,
    /// What each choice adds to the row, `[chosen, dim]`.
    shares: Vec<Vec<f64>>,
}

/// Fits a user to what they chose; without any choice that counts it is the zero row. Panics if an item is not there.
pub fn fold_in_choices(rows: ItemRows, drawn: &Draws, chosen: &[ChosenItem], l2: f64) -> FoldedChooser {
    let dim = rows.dim();
    let l2 = l2.max(LEAST_L2);
    let total: f64 = chosen.iter().map(|chosen| f64::from(chosen.weight)).sum();
    let mut row = vec![0.0; ROW_HEADER + dim];
    if total <= 0.0 {
        let shares = vec![vec![0.0; dim]; chosen.len()];
        return FoldedChooser { row, shares };
    }
    let features = |item: ItemIndex| rows.weights(item.index()).iter().map(|&weight| f64::from(weight));
    let items: Vec<Vec<f64>> = drawn.items.iter().map(|&item| features(item).collect()).collect();
    let offsets: Vec<f64> = drawn
        .items
        .iter()
        .zip(&drawn.offsets)
        .map(|(&item, &offset)| f64::from(rows.bias(item.index())) + f64::from(offset))
        .collect();
    let own: Vec<(Vec<f64>, f64, f64)> = chosen
        .iter()
        .map(|chosen| {
            let bias = f64::from(rows.bias(chosen.item.index()));
            (features(chosen.item).collect(), bias, f64::from(chosen.weight))
        })
        .collect();
    let mut w = vec![0.0; dim];
    let mut at = Standing::new(&w, &items, &offsets, &own, l2);
    for _ in 0..MAX_STEPS {
        let gradient = at.gradient(&w, &items, &own, l2, total);
        if gradient.iter().all(|slope| slope.abs() < CONVERGED * total) {
            break;
        }
        let mut step = gradient.clone();
        Cholesky::new(at.curvature(&items, l2, total), dim).solve(&mut step);
        let slope = dot(&gradient, &step);
        let mut length = 1.0;
        loop {
            let next: Vec<f64> = w.iter().zip(&step).map(|(w, step)| w - length * step).collect();
            let there = Standing::new(&next, &items, &offsets, &own, l2);
            if there.loss <= at.loss - 1e-4 * length * slope || length < 1e-6 {
                (w, at) = (next, there);
                break;
            }
            length /= 2.0;
        }
    }
    let shares = own.iter().enumerate().map(|(number, (features, _, weight))| {
        let mean = at.mean(number, &own);
        let share = weight / (2.0 * l2 * total);
        features
            .iter()
            .zip(mean)
            .map(|(feature, mean)| share * (feature - mean))
            .collect()
    });
    let shares = shares.collect();
    for (weight, w) in row[ROW_HEADER..].iter_mut().zip(&w) {
        *weight = *w as f32;
    }
    FoldedChooser { row, shares }
}

impl FoldedChooser {
    /// What each choice adds to the appeal of `item`, in the order of the choices. Panics if the item is not there.
    pub fn contributions(&self, rows: ItemRows, item: ItemIndex) -> Vec<f64> {
        let weights = rows.weights(item.index());
        let of = |share: &Vec<f64>| share.iter().zip(weights).map(|(a, &b)| a * f64::from(b)).sum();
        self.shares.iter().map(of).collect()
    }
}

/// The loss at a point, and what its slopes are made of.
struct Standing {
    loss: f64,
    /// `exp(a[j] + offset[j] - most)` of the drawn items, and their sum.
    likely: Vec<f64>,
    sum: f64,
    /// `sum over j of likely[j] v[j]`.
    mean_sum: Vec<f64>,
    /// `exp(a[r] - most)` of the chosen items.
    own: Vec<f64>,
}

impl Standing {
    fn new(w: &[f64], items: &[Vec<f64>], offsets: &[f64], own: &[(Vec<f64>, f64, f64)], l2: f64) -> Self {
        let appeals: Vec<f64> = items
            .iter()
            .zip(offsets)
            .map(|(item, offset)| dot(item, w) + offset)
            .collect();
        let chosen: Vec<f64> = own.iter().map(|(item, bias, _)| dot(item, w) + bias).collect();
        let most = appeals
            .iter()
            .chain(&chosen)
            .fold(f64::MIN, |most, &appeal| most.max(appeal));
        let likely: Vec<f64> = appeals.iter().map(|appeal| (appeal - most).exp()).collect();
        let sum: f64 = likely.iter().sum();
        let mut mean_sum = vec![0.0; w.len()];
        for (item, likely) in items.iter().zip(&likely) {
            add(&mut mean_sum, *likely, item);
        }
        let own_likely: Vec<f64> = chosen.iter().map(|appeal| (appeal - most).exp()).collect();
        let losses = own.iter().zip(&chosen).zip(&own_likely);
        let loss = losses
            .map(|(((_, _, weight), appeal), likely)| weight * ((sum + likely).ln() + most - appeal + l2 * dot(w, w)));
        Self {
            loss: loss.sum(),
            likely,
            sum,
            mean_sum,
            own: own_likely,
        }
    }

    /// The mean item of a choice, as items are likely.
    fn mean(&self, number: usize, own: &[(Vec<f64>, f64, f64)]) -> Vec<f64> {
        let mut mean = self.mean_sum.clone();
        add(&mut mean, self.own[number], &own[number].0);
        let all = self.sum + self.own[number];
        mean.iter_mut().for_each(|mean| *mean /= all);
        mean
    }

    fn gradient(&self, w: &[f64], _: &[Vec<f64>], own: &[(Vec<f64>, f64, f64)], l2: f64, total: f64) -> Vec<f64> {
        let mut gradient: Vec<f64> = w.iter().map(|w| 2.0 * l2 * total * w).collect();
        for (number, (item, _, weight)) in own.iter().enumerate() {
            add(&mut gradient, *weight, &self.mean(number, own));
            add(&mut gradient, -weight, item);
        }
        gradient
    }

    /// Lower triangle of the curvature, its chosen items' own terms left out.
    fn curvature(&self, items: &[Vec<f64>], l2: f64, total: f64) -> Vec<f64> {
        let dim = self.mean_sum.len();
        let mean: Vec<f64> = self
            .mean_sum
            .iter()
            .map(|mean| mean / self.sum.max(f64::MIN_POSITIVE))
            .collect();
        let mut curvature = vec![0.0; dim * dim];
        for (item, likely) in items.iter().zip(&self.likely) {
            let share = total * likely / self.sum.max(f64::MIN_POSITIVE);
            if share < 1e-9 {
                continue;
            }
            for row in 0..dim {
                let centred = share * (item[row] - mean[row]);
                let pairs = curvature[row * dim..][..=row].iter_mut().zip(item.iter().zip(&mean));
                pairs.for_each(|(sum, (item, mean))| *sum += centred * (item - mean));
            }
        }
        (0..dim).for_each(|at| curvature[at * dim + at] += 2.0 * l2 * total);
        curvature
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], factor: f64, values: &[f64]) {
    sum.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += factor * value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::{Purpose, stream};
    use rand::RngExt;

    #[test]
    fn the_fit_is_a_minimum_and_its_contributions_add_up() {
        let mut random = stream(3, Purpose::Synthetic, 1);
        let (dim, items, l2) = (6, 80u32, 0.1);
        let factors: Vec<f32> = (0..items as usize * (ROW_HEADER + dim))
            .map(|_| random.random_range(-1.0..1.0))
            .collect();
        let rows = ItemRows::of_factors(&factors, dim);
        let drawn = Draws {
            items: (0..items).map(ItemIndex).collect(),
            offsets: vec![0.0; items as usize],
        };
        let chosen: Vec<ChosenItem> = (0..7)
            .map(|number| ChosenItem {
                item: ItemIndex(number * 5),
                weight: number as f32 / 4.0,
            })
            .collect();
        let folded = fold_in_choices(rows, &drawn, &chosen, l2);
        let w: Vec<f64> = folded.row[ROW_HEADER..].iter().map(|&w| f64::from(w)).collect();
        let appeal = |w: &[f64], item: ItemIndex| {
            let weights = rows.weights(item.index()).iter().zip(w);
            weights.map(|(&a, b)| f64::from(a) * b).sum::<f64>() + f64::from(rows.bias(item.index()))
        };
        let loss = |w: &[f64]| -> f64 {
            let all: f64 = (0..items).map(|item| appeal(w, ItemIndex(item)).exp()).sum();
            let each = chosen.iter().map(|chosen| {
                let own = appeal(w, chosen.item);
                f64::from(chosen.weight) * ((all + own.exp()).ln() - own + l2 * dot(w, w))
            });
            each.sum()
        };
        let least = loss(&w);
        for column in 0..dim {
            for step in [-1e-2, 1e-2] {
                let mut moved = w.clone();
                moved[column] += step;
                assert!(loss(&moved) > least, "column {column} by {step}");
            }
        }
        for item in (0..items).map(ItemIndex) {
            let sum: f64 = folded.contributions(rows, item).iter().sum();
            let own = f64::from(rows.bias(item.index()));
            assert!((sum + own - appeal(&w, item)).abs() < 1e-4, "item {item}");
        }
        let (item, weight) = (ItemIndex(3), 0.0);
        let nothing = fold_in_choices(rows, &drawn, &[ChosenItem { item, weight }], l2);
        assert!(nothing.row.iter().all(|&weight| weight == 0.0));
        assert_eq!(nothing.contributions(rows, ItemIndex(5)), [0.0]);
    }
}

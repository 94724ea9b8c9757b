//! Baselines: what a model must beat to be worth training. All are fitted on the natural rows of the training split.
//!
//! ```text
//! user + item bias     target(u, i) = mean + user_bias[u] + item_bias[i]
//!                      minimises  sum (target - prediction)^2 + USER_RIDGE |user_bias|^2 + ITEM_RIDGE |item_bias|^2
//! global mean          target(u, i) = mean
//! most popular         ranks by the number of training ratings
//! ```
//!
//! Fitted by alternating least squares: each side in turn is solved exactly for the other. Koren: Factor in the neighbors, 2010;
//! ridges and sweeps are the defaults of Surprise's `BaselineOnly`.

use crate::common::interaction::{ItemIndex, UserIndex};

/// Weight of a user's squared bias; in ratings: a user's mean is pulled halfway to the rest at so many.
const USER_RIDGE: f64 = 15.0;
/// Weight of an item's squared bias: an item's mean is pulled halfway to the rest at so many ratings.
const ITEM_RIDGE: f64 = 10.0;
const SWEEPS: usize = 10;

/// A mean and how users and items depart from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Biases {
    pub mean: f64,
    pub user: Vec<f64>,
    pub item: Vec<f64>,
}

impl Biases {
    /// Fits rows of (user, item, target). A user or item without a row has bias 0.
    ///
    /// Panics if an index is not below `users` or `items`.
    pub fn fit(users: usize, items: usize, rows: impl Iterator<Item = (UserIndex, ItemIndex, f32)> + Clone) -> Self {
        let (mut sum, mut number) = (0.0, 0usize);
        let mut user_counts = vec![0.0f64; users];
        let mut item_counts = vec![0.0f64; items];
        for (user, item, target) in rows.clone() {
            sum += f64::from(target);
            number += 1;
            user_counts[user.index()] += 1.0;
            item_counts[item.index()] += 1.0;
        }
        let mean = sum / number.max(1) as f64;
        let mut biases = Self {
            mean,
            user: vec![0.0; users],
            item: vec![0.0; items],
        };
        for _ in 0..SWEEPS {
            biases.item.fill(0.0);
            for (user, item, target) in rows.clone() {
                biases.item[item.index()] += f64::from(target) - mean - biases.user[user.index()];
            }
            let solved = biases.item.iter_mut().zip(&item_counts);
            solved.for_each(|(bias, count)| *bias /= count + ITEM_RIDGE);
            biases.user.fill(0.0);
            for (user, item, target) in rows.clone() {
                biases.user[user.index()] += f64::from(target) - mean - biases.item[item.index()];
            }
            let solved = biases.user.iter_mut().zip(&user_counts);
            solved.for_each(|(bias, count)| *bias /= count + USER_RIDGE);
        }
        biases
    }

    /// The predicted target; it may lie outside [0, 1].
    pub fn predict(&self, user: UserIndex, item: ItemIndex) -> f32 {
        (self.mean + self.user[user.index()] + self.item[item.index()]) as f32
    }
}

/// Items by falling value, ties by lower index: the ranking that is the same for everybody.
pub fn falling_order<T: Copy>(values: &[T], compare: impl Fn(T, T) -> std::cmp::Ordering) -> Vec<ItemIndex> {
    let mut order: Vec<ItemIndex> = (0..values.len() as u32).map(ItemIndex).collect();
    order.sort_by(|&a, &b| compare(values[b.index()], values[a.index()]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_minimises_the_ridge_loss() {
        let rows: Vec<(UserIndex, ItemIndex, f32)> = (0..400u32)
            .map(|row| {
                (
                    UserIndex(row * 7 % 19),
                    ItemIndex(row * 11 % 13),
                    (row * row % 5) as f32 / 4.0,
                )
            })
            .collect();
        let fitted = Biases::fit(20, 14, rows.iter().copied());
        let loss = |biases: &Biases| {
            let errors = rows.iter().map(|&(user, item, target)| {
                (f64::from(target) - biases.mean - biases.user[user.index()] - biases.item[item.index()]).powi(2)
            });
            let ridge = |side: &[f64], weight: f64| weight * side.iter().map(|bias| bias * bias).sum::<f64>();
            errors.sum::<f64>() + ridge(&biases.user, USER_RIDGE) + ridge(&biases.item, ITEM_RIDGE)
        };
        let least = loss(&fitted);
        for row in 0..13 {
            for step in [1e-3, -1e-3] {
                let mut other = fitted.clone();
                other.user[row] += step;
                assert!(loss(&other) > least, "user {row}, {step}");
                let mut other = fitted.clone();
                other.item[row] += step;
                assert!(loss(&other) > least, "item {row}, {step}");
            }
        }
        assert_eq!((fitted.user[19], fitted.item[13]), (0.0, 0.0));
    }

    #[test]
    fn equal_values_are_ordered_by_index() {
        let order = falling_order(&[1, 3, 1, 3], |a: u32, b| a.cmp(&b));
        assert_eq!(order, [1, 3, 0, 2].map(ItemIndex));
    }
}

//! The model: its shape, its start, and the layouts that both engines and all files share.
//!
//! Two questions are asked of a user and an item, each answered by a pair of tables of its own, which share a training but no
//! weight: how will they rate it, and will they choose it at all.
//!
//! ```text
//! affinity(u, i) = dot(user_embedding[u], item_embedding[i]) + user_bias[u] + item_bias[i]
//! logit(u, i)    = scale * affinity(u, i) + bias
//! score          = sigmoid(logit)
//! appeal(u, i)   = dot(user_choice[u], item_choice[i]) + item_appeal[i]
//! ```
//!
//! Shapes: embeddings `[users, dim]`, `[items, dim]`; biases `[users]`, `[items]`, appeal `[items]`; scale, bias `[1]`; all f32.
//! The dims of the two questions may differ. In a row of the second the appeal stands in the place of the bias.
//!
//! Why not one pair for both: what people choose and how they rate it are explained by different directions, and each question
//! wants its own shrinkage. Measured in the guide's page on ranking.
//!
//! Two row layouts, both multiples of four words so that a GPU reads them as vec4:
//!
//! - *record*: everything training knows of a row, side by side, so that a step pays one seek for it. Its length depends on
//!   the optimiser: `bias, bias_m, bias_v, last_step | weight[dim] | m[dim] | v[dim]` for Adam,
//!   `bias, bias_sum, row_sum, last_step | weight[dim]` for Adagrad and `bias, 0, 0, last_step | weight[dim]` for SGD.
//!   `last_step` is a whole number, 0 if never touched. (A number and no bits of a u32: small integers are subnormal
//!   floats, which a device may flush to zero.)
//! - *factor*, `4 + dim` words: what scoring needs: `bias, 0, 0, 0 | weight[dim]`.

use crate::common::interaction::{ItemIndex, UserIndex};
use crate::config::OptimizerChoice;
use serde::{Deserialize, Serialize};

/// Words before the weights in a record and in a factor row.
pub const ROW_HEADER: usize = 4;
/// Where `last_step` stands in a record.
pub const LAST_STEP: usize = 3;
/// Start weights are uniform in `[-START_RANGE, START_RANGE)`.
pub const START_RANGE: f32 = 0.05;

/// What a model is asked of a user and an item; each question has a pair of tables of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// How will they rate it?
    Rating = 0,
    /// Will they choose it, among all?
    Choice = 1,
}

impl Question {
    pub const BOTH: [Self; 2] = [Self::Rating, Self::Choice];
}

/// One of the two tables of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    User = 0,
    Item = 1,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::User, Self::Item];

    /// The table on the other side of the dot product.
    pub fn other(self) -> Self {
        match self {
            Self::User => Self::Item,
            Self::Item => Self::User,
        }
    }

    /// `user` or `item`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Item => "item",
        }
    }
}

/// One of something for each side, users' first, told apart by [`Side`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides<T>(pub [T; 2]);

impl<T> Sides<T> {
    /// What is made of each side.
    pub fn of(make: impl FnMut(Side) -> T) -> Self {
        Self(Side::BOTH.map(make))
    }
}

impl<T> std::ops::Index<Side> for Sides<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, side: Side) -> &T {
        &self.0[side as usize]
    }
}

impl<T> std::ops::IndexMut<Side> for Sides<T> {
    #[inline(always)]
    fn index_mut(&mut self, side: Side) -> &mut T {
        &mut self.0[side as usize]
    }
}

/// Rows of each table and columns of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelShape {
    pub users: usize,
    pub items: usize,
    pub dim: usize,
}

impl ModelShape {
    /// Rows of one table.
    pub fn rows(&self, side: Side) -> usize {
        match side {
            Side::User => self.users,
            Side::Item => self.items,
        }
    }

    /// Words of a training record.
    pub fn record_len(&self, optimizer: OptimizerChoice) -> usize {
        record_len(optimizer, self.dim)
    }

    /// Words of a factor row.
    pub fn factor_len(&self) -> usize {
        ROW_HEADER + self.dim
    }
}

/// Words of a training record of `dim` weights.
#[inline(always)]
pub fn record_len(optimizer: OptimizerChoice, dim: usize) -> usize {
    let tables = if optimizer.has_moments() { 3 } else { 1 };
    ROW_HEADER + tables * dim
}

/// The dense sigmoid head of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub scale: f32,
    pub bias: f32,
}

impl Head {
    /// Leaves an affinity as it is.
    pub const PLAIN: Self = Self { scale: 1.0, bias: 0.0 };

    /// `scale * affinity + bias`.
    pub fn logit(self, affinity: f32) -> f32 {
        self.scale * affinity + self.bias
    }
}

/// A start weight: a counter hash of (seed, table, row, column), so that every engine begins with the same bits.
///
/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014) over the counter;
/// the top 24 bits make a uniform number in `[-START_RANGE, START_RANGE)`.
pub fn start_weight(seed: u64, question: Question, side: Side, row: usize, column: usize) -> f32 {
    let table = (question as u64) << 1 | side as u64;
    let counter = table << 62 | (row as u64) << 16 | column as u64;
    let bits = split_mix(split_mix(seed).wrapping_add(counter.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let unit = (bits >> 40) as f32 * (1.0 / (1u64 << 24) as f32);
    (2.0 * unit - 1.0) * START_RANGE
}

fn split_mix(mut state: u64) -> u64 {
    state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

/// Writes the untrained records of rows `first..` of a table into `out`, `length` words each.
///
/// Panics if `out` is not a whole number of records.
pub fn start_records(
    seed: u64,
    question: Question,
    side: Side,
    first: usize,
    shape: &ModelShape,
    length: usize,
    out: &mut [f32],
) {
    assert!(
        out.len().is_multiple_of(length),
        "start_records: {} words are no whole number of records of {length}",
        out.len()
    );
    for (offset, record) in out.chunks_exact_mut(length).enumerate() {
        record.fill(0.0);
        let weights = &mut record[ROW_HEADER..ROW_HEADER + shape.dim];
        for (column, weight) in weights.iter_mut().enumerate() {
            *weight = start_weight(seed, question, side, first + offset, column);
        }
    }
}

/// Two tables of factor rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    pub shape: ModelShape,
    pub users: Vec<f32>,
    pub items: Vec<f32>,
}

/// A trained model, weights only.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Of what ratings are predicted with; of dim 0 if they were not learned.
    pub shape: ModelShape,
    pub users: Vec<f32>,
    pub items: Vec<f32>,
    pub head: Head,
    /// What says which item is chosen; `None` if that was not learned. An item's appeal stands in the place of its bias, a
    /// user's is 0.
    pub choices: Option<Factors>,
}

impl Model {
    /// The factor row of a user, `[factor_len]`. Panics if there is no such user.
    pub fn user(&self, user: UserIndex) -> &[f32] {
        row(&self.users, self.shape, user.index())
    }

    /// The factor row of an item, `[factor_len]`. Panics if there is no such item.
    pub fn item(&self, item: ItemIndex) -> &[f32] {
        row(&self.items, self.shape, item.index())
    }
}

fn row(table: &[f32], shape: ModelShape, row: usize) -> &[f32] {
    let length = shape.factor_len();
    &table[row * length..][..length]
}

impl Factors {
    /// The factor row of an item, `[factor_len]`. Panics if there is no such item.
    pub fn item(&self, item: ItemIndex) -> &[f32] {
        row(&self.items, self.shape, item.index())
    }

    /// Rows of nothing but zeros.
    pub fn zeros(shape: ModelShape) -> Self {
        let table = |side| vec![0.0; shape.rows(side) * shape.factor_len()];
        Self {
            shape,
            users: table(Side::User),
            items: table(Side::Item),
        }
    }

    /// The factor row of a user, `[factor_len]`. Panics if there is no such user.
    pub fn user(&self, user: UserIndex) -> &[f32] {
        row(&self.users, self.shape, user.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_weights_are_uniform_and_differ_between_rows_tables_and_seeds() {
        let column: Vec<f32> = (0..20_000)
            .map(|row| start_weight(1, Question::Rating, Side::User, row, 3))
            .collect();
        let mean = column.iter().sum::<f32>() / column.len() as f32;
        let variance = column.iter().map(|x| x * x).sum::<f32>() / column.len() as f32;
        assert!(column.iter().all(|x| x.abs() <= START_RANGE));
        assert!(mean.abs() < 1e-3, "mean {mean}");
        assert!(
            (variance - START_RANGE * START_RANGE / 3.0).abs() < 2e-5,
            "variance {variance}"
        );
        let here = start_weight(1, Question::Rating, Side::User, 7, 3);
        let elsewhere = [
            start_weight(2, Question::Rating, Side::User, 7, 3),
            start_weight(1, Question::Rating, Side::Item, 7, 3),
            start_weight(1, Question::Rating, Side::User, 8, 3),
            start_weight(1, Question::Rating, Side::User, 7, 4),
            start_weight(1, Question::Choice, Side::User, 7, 3),
        ];
        assert!(elsewhere.iter().all(|&other| other != here));
    }
}

//! Score block: the k best unseen items of many queries at once, by a matrix product and a threshold.
//!
//! ```text
//! product[i, q] = dot(user[q], item[i])                   by [`super::product`], a tile of items by a lane group of queries
//! kept          = product + item_bias >= threshold[q] - slack
//! score[i]      = the fixed-order score of [`super::score_top_k`], for the few that are kept
//! ```
//!
//! The product adds in another order than the score; nothing but the choice of what is scored again depends on it. Two ways
//! to add `n` products differ by at most `n` units in the last place of `sum |u| |v|`, both ways together (N. Higham, Accuracy
//! and Stability of Numerical Algorithms, section 3.1), so with
//!
//! ```text
//! slack = (dim + 8) * 2^-23 * (sum |u| * max |v| + max |item_bias|)       max over the tile
//! ```
//!
//! no item is passed over that a full sort by the fixed-order score would take. The answer is that of
//! `super::score_top_k()`, bit for bit, however queries and items are cut into blocks.
//!
//! Why this way round: queries are the lanes, packed by columns once, so that item rows are read where they lie, once for all
//! queries of the block, and a lane compares against the threshold of its own query. A tile of products stays in a core's
//! cache; no score is ever written to memory.

use super::instruction_set::InstructionSet;
use super::item_rows::ItemRows;
use super::lanes::{LargestSize, NotBelow, score_rows};
use super::product::{First, Left, Right, Sum, multiply};
use super::score_top_k::{Best, Candidate};
use super::thresholds::Thresholds;
use crate::common::block::LANES;
use crate::common::interaction::ItemIndex;
use crate::engine::Query;
use crate::engine::model::ROW_HEADER;
use std::ops::Range;

/// Queries of one product: as many columns as its widest tile has.
const GROUP: usize = 64;
/// Items of one product: with 64 queries 32 KiB of products.
const TILE: usize = 128;

/// Queries side by side.
struct Group<'a> {
    queries: &'a [Query<'a>],
    /// `[dim, width]`; columns past the queries are zero.
    columns: Vec<f32>,
    /// The queries, rounded up to whole blocks.
    width: usize,
    /// `sum |u|` of each query.
    sizes: Vec<f32>,
    best: Vec<Best>,
    /// The first query's place among the block's.
    first: usize,
}

impl<'a> Group<'a> {
    fn new(first: usize, queries: &'a [Query<'a>], dim: usize, k: usize) -> Self {
        let width = queries.len().next_multiple_of(LANES);
        let mut columns = vec![0.0; dim * width];
        let mut sizes = Vec::with_capacity(queries.len());
        for (number, query) in queries.iter().enumerate() {
            assert_eq!(
                query.user.len(),
                ROW_HEADER + dim,
                "score_block: a query's row does not fit"
            );
            let weights = &query.user[ROW_HEADER..];
            weights
                .iter()
                .enumerate()
                .for_each(|(column, weight)| columns[column * width + number] = *weight);
            sizes.push(weights.iter().map(|weight| weight.abs()).sum());
        }
        Self {
            queries,
            columns,
            width,
            sizes,
            best: vec![Best::new(k); queries.len()],
            first,
        }
    }

    /// The bounds below which a product with its bias need not be looked at, `[width]`.
    fn bounds(&self, thresholds: &Thresholds, dim: usize, largest_weight: f32, largest_bias: f32, bounds: &mut [f32]) {
        bounds.fill(f32::INFINITY);
        for (lane, (bound, size)) in bounds.iter_mut().zip(&self.sizes).enumerate() {
            let threshold = thresholds.get(self.first + lane);
            let slack = (dim + 8) as f32 * f32::EPSILON * (size * largest_weight + largest_bias);
            // What the subtraction itself rounds off, and products too small for a normal number.
            *bound = threshold - (slack + f32::EPSILON * threshold.abs() + dim as f32 * f32::MIN_POSITIVE);
        }
    }
}

/// The k best of some items for each query, in rank order, of those that reach the query's threshold; raises thresholds.
///
/// Panics if a query's row does not fit, an item is not there, or a query has no threshold.
pub fn score_block(
    queries: &[Query],
    rows: ItemRows,
    items: Range<usize>,
    k: usize,
    thresholds: &Thresholds,
) -> Vec<Vec<Candidate>> {
    let set = InstructionSet::best();
    let dim = rows.dim();
    let groups = queries.chunks(GROUP).enumerate();
    let mut groups: Vec<Group> = groups
        .map(|(number, queries)| Group::new(number * GROUP, queries, dim, k))
        .collect();
    let mut products = vec![0.0; TILE * GROUP];
    let mut biases = Vec::with_capacity(TILE);
    let mut hits = Vec::new();
    let mut bounds = [0.0; GROUP];
    for first in items.clone().step_by(TILE) {
        let tile = first..(first + TILE).min(items.end);
        biases.clear();
        biases.extend(tile.clone().map(|item| rows.bias(item)));
        let largest_bias = biases.iter().fold(0.0f32, |largest, bias| largest.max(bias.abs()));
        let mut largest_weight = 0.0;
        set.run(LargestSize {
            rows,
            items: tile.clone(),
            largest: &mut largest_weight,
        });
        for group in &mut groups {
            let products = &mut products[..biases.len() * group.width];
            let sum = Sum {
                words: products,
                stride: group.width,
                first: First::Zero,
            };
            let right = Right {
                words: &group.columns,
                stride: group.width,
            };
            let (weights, stride) = rows.weights_of(tile.clone());
            let shape = [biases.len(), dim, group.width];
            multiply(set, sum, Left::rows(weights, stride), right, shape);
            let bounds = &mut bounds[..group.width];
            group.bounds(thresholds, dim, largest_weight, largest_bias, bounds);
            set.run(NotBelow {
                products,
                biases: &biases,
                bounds,
                hits: &mut hits,
            });
            for &(offset, lane) in &hits {
                let (item, lane) = (ItemIndex(first as u32 + offset), lane as usize);
                let Some(query) = group.queries.get(lane) else { continue };
                if query.seen.binary_search(&item).is_ok() {
                    continue;
                }
                let mut score = [0.0];
                score_rows(&query.user[ROW_HEADER..], rows, item.index(), &mut score);
                let score = score[0];
                if group.best[lane].push(Candidate { item, score }) {
                    thresholds.raise(group.first + lane, group.best[lane].threshold());
                }
            }
        }
    }
    groups
        .into_iter()
        .flat_map(|group| group.best)
        .map(Best::into_sorted)
        .collect()
}

//! Item rows where they lie: factor rows of a model in memory, or the two tensors of a model file in its memory map.

use super::prefetch::prefetch;
use crate::common::interaction::ItemIndex;
use crate::engine::model::ROW_HEADER;
use std::ops::Range;

/// Weights and biases of items, not copied.
#[derive(Clone, Copy, Debug)]
pub struct ItemRows<'a> {
    items: usize,
    dim: usize,
    weights: &'a [f32],
    weight_stride: usize,
    biases: &'a [f32],
    bias_stride: usize,
}

impl<'a> ItemRows<'a> {
    /// Views factor rows `[items, 4 + dim]`. Panics if they are no whole number of rows.
    pub fn of_factors(rows: &'a [f32], dim: usize) -> Self {
        let length = ROW_HEADER + dim;
        assert!(
            rows.len().is_multiple_of(length),
            "ItemRows: {} words are no whole number of rows of {length}",
            rows.len()
        );
        Self {
            items: rows.len() / length,
            dim,
            weights: rows.get(ROW_HEADER..).unwrap_or_default(),
            weight_stride: length,
            biases: rows,
            bias_stride: length,
        }
    }

    /// Views weights `[items, dim]` and biases `[items]`. Panics if they do not fit one another.
    pub fn of_tensors(weights: &'a [f32], biases: &'a [f32], dim: usize) -> Self {
        assert_eq!(
            weights.len(),
            biases.len() * dim,
            "ItemRows: weights and biases differ in rows"
        );
        Self {
            items: biases.len(),
            dim,
            weights,
            weight_stride: dim,
            biases,
            bias_stride: 1,
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The weights of an item, `[dim]`. Panics if there is no such item.
    #[inline]
    pub fn weights(&self, item: usize) -> &'a [f32] {
        &self.weights[item * self.weight_stride..][..self.dim]
    }

    /// The weights of some items as they lie, from the first of one to the last of another, and the words from one item to the
    /// next. Panics if one of them is not there.
    #[inline]
    pub fn weights_of(&self, items: Range<usize>) -> (&'a [f32], usize) {
        assert!(items.end <= self.items, "ItemRows: items {items:?} of {}", self.items);
        let first = items.start * self.weight_stride;
        let words = (items.len() * self.weight_stride).saturating_sub(self.weight_stride - self.dim);
        (&self.weights[first..first + words], self.weight_stride)
    }

    /// Asks for the weights of an item, which need not exist.
    #[inline(always)]
    pub fn prefetch(&self, item: usize) {
        prefetch(self.weights, item * self.weight_stride, self.weight_stride);
    }

    /// The bias of an item. Panics if there is no such item.
    #[inline]
    pub fn bias(&self, item: usize) -> f32 {
        self.biases[item * self.bias_stride]
    }

    /// Factor rows of some items, copied. Panics if one of them is not there.
    pub fn factors(&self, items: &[ItemIndex]) -> Vec<f32> {
        let mut rows = Vec::with_capacity(items.len() * (ROW_HEADER + self.dim));
        for &item in items {
            rows.extend([self.bias(item.index()), 0.0, 0.0, 0.0]);
            rows.extend_from_slice(self.weights(item.index()));
        }
        rows
    }
}

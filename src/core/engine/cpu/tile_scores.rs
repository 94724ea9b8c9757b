//! Tile scores: the keys of all items of a tile.
//!
//! ```text
//! key[i] = key(dot(user, item[i]) + item_bias[i]), or NO_KEY if the item is seen
//! ```
//!
//! Twin of `shaders/tile_scores.wgsl`.

use super::item_rows::ItemRows;
use super::pair_logits::dot;
use crate::common::interaction::ItemIndex;
use crate::engine::Query;
use crate::engine::key::{NO_KEY, key_of};
use crate::engine::model::ROW_HEADER;
use std::ops::Range;

/// A key for each of some items. Panics if the query's row does not fit or an item is not there.
pub fn tile_scores(query: &Query, rows: ItemRows, items: Range<usize>) -> Vec<u32> {
    let key = |item: usize| match query.seen.binary_search(&ItemIndex(item as u32)) {
        Ok(_) => NO_KEY,
        Err(_) => key_of(dot(&query.user[ROW_HEADER..], rows.weights(item)) + rows.bias(item)),
    };
    items.map(key).collect()
}

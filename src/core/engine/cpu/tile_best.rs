//! Tile best: the key of the best unseen item of a tile.
//!
//! ```text
//! key = max over the unseen items i of key(dot(user, item[i]) + item_bias[i]), or NO_KEY
//! ```
//!
//! Twin of `shaders/tile_best.wgsl`.

use super::item_rows::ItemRows;
use super::tile_scores::tile_scores;
use crate::engine::Query;
use crate::engine::key::NO_KEY;
use std::ops::Range;

/// The largest key of some items for one query. Panics if the query's row does not fit or an item is not there.
pub fn tile_best(query: &Query, rows: ItemRows, items: Range<usize>) -> u32 {
    tile_scores(query, rows, items).into_iter().max().unwrap_or(NO_KEY)
}

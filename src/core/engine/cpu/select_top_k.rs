//! Select top-k: the k largest keys and their positions, in the order of the positions.
//!
//! Ties go to the lower position; [`NO_KEY`] is never chosen. Twin of `shaders/select_top_k.wgsl`.

use crate::engine::key::NO_KEY;

/// (key, position) of the k best; fewer if there are fewer keys.
pub fn select_top_k(keys: &[u32], k: usize) -> Vec<(u32, u32)> {
    let mut chosen: Vec<(u32, u32)> = keys.iter().copied().zip(0..).collect();
    chosen.retain(|&(key, _)| key > NO_KEY);
    chosen.sort_by_key(|&(key, _)| std::cmp::Reverse(key));
    chosen.truncate(k);
    chosen.sort_by_key(|&(_, position)| position);
    chosen
}

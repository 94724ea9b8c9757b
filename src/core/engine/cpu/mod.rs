//! The cpu engine: plain Rust on threads, the same bytes for any number of them.
//!
//! Work is cut at fixed places (groups of samples) or between rows, which never meet; nothing depends on who does what.

pub mod choice_gradient;
pub mod choice_scores;
pub mod choice_sums;
mod exponential;
mod factors;
pub mod gather_rows;
pub mod instruction_set;
pub mod item_rows;
mod lanes;
mod logarithm;
pub mod machine;
pub mod merge_top_k;
pub mod pair_forward;
pub mod pair_logits;
pub mod prefetch;
pub mod product;
mod rows;
pub mod score_block;
pub mod score_top_k;
mod scorer;
pub mod select_top_k;
pub mod softmax;
pub mod sum_pieces;
pub mod table;
pub mod thresholds;
pub mod tile_best;
pub mod tile_scores;
mod trainer;
pub mod update_head;
pub mod update_rows;
pub mod walk;

pub use scorer::CpuScorer;
pub use trainer::{CHOICE_USERS, CpuTrainer};

/// A pool of `threads` threads; 0 = one a core.
pub fn thread_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("engine-{number}"))
        .build()
        .expect("the system starts threads")
}

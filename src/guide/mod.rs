//! The guide, a page a subject, and what a change of the code needs to know.

#[doc = include_str!("tuning.md")]
pub mod tuning {}

#[doc = include_str!("ranking.md")]
pub mod ranking {}

#[doc = include_str!("embeddings.md")]
pub mod embeddings {}

#[doc = include_str!("figures.md")]
pub mod figures {}

#[doc = include_str!("optimisers.md")]
pub mod optimisers {}

#[doc = include_str!("formats.md")]
pub mod formats {}

#[doc = include_str!("python.md")]
pub mod python {}

#[doc = include_str!("distributed.md")]
pub mod distributed {}

#[doc = include_str!("run_directory.md")]
pub mod run_directory {}

#[doc = include_str!("serving.md")]
pub mod serving {}

#[doc = include_str!("trust.md")]
pub mod trust {}

#[doc = include_str!("exit_codes.md")]
pub mod exit_codes {}

#[doc = include_str!("building.md")]
pub mod building {}

#[doc = include_str!("adapters.md")]
pub mod adapters {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("contributing.md")]
pub mod contributing {}

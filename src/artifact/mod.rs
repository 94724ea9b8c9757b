//! The run directory: everything that recommend, evaluate and resume need, and nothing else.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | the config as it took effect |
//! | `data.json` | the data report |
//! | `users.safetensors`, `products.safetensors` | the vocabularies ([`vocabulary_file`]) |
//! | `interactions.safetensors` | all rows, grouped by user: product, rating, part ([`interactions_file`]) |
//! | `model.safetensors` | the best epoch's weights ([`model_file`]) |
//! | `metrics.jsonl` | one event an object, appended while training |
//! | `evaluation.json` | the test split, judged |
//! | `pages.safetensors` | a digest of every page of the files that are read where they lie ([`pages`]) |
//! | `checkpoint/` | `last.safetensors`, and the best epochs' `best-<epoch>.safetensors`; gone once the run is complete |
//! | `manifest.json` | version, sizes and digests, written last: without it a run is unfinished, to be resumed, never loaded |
//!
//! Every file is written to a temporary name, synced and renamed, so that a kill at any moment leaves the last good state.

pub mod embeddings;
pub mod export;
pub mod interactions_file;
pub mod model_file;
pub mod origin;
pub mod pages;
pub mod ratings_log;
pub mod run_directory;
pub mod run_files;
pub mod tensor_file;
pub mod vocabulary_file;

//! dotcart learns user and product embeddings from a ratings table, on any GPU, and recommends what has not been bought yet.
//!
//! This page is the architecture; [`guide`] has the pages for those who use it, and for those who change it.
//!
//! # The flow: one noun per arrow
//!
//! ```text
//! config.toml
//!   -> source       a readable file                     the user's, a downloaded one, or a stand-in, loudly
//!   -> ingest       Vocabulary x 2, Interactions        any format, told by content; cleaned; columns, never a struct a row
//!   -> split        Split                               one byte a row: train, valid, test
//!   -> oversample   SamplingTable                       row numbers, from the training split alone
//!   -> centre       where priors are centred            by who rated what, of the training split; if the config asks for it
//!   -> plan         PlanChunk stream                    batches with sorted row segments, made ahead on a thread
//!   -> train        TrainEvents -> dashboard | lines | metrics.jsonl | TensorBoard
//!   -> artifact     a run directory                     all that recommend, evaluate and resume need
//!   -> calibrate    scale and bias, refitted on the validation split
//!   -> evaluate     Evaluation
//!   -> recommend    Ranking
//! ```
//!
//! [`flow::pipeline`] is this list as code.
//!
//! # The house: imports go down only
//!
//! ```text
//! 9  main.rs      a crate of its own, with
//! 8  cli/         one file a command; output/ is the only printer
//! 7  flow/        what strings stages together: pipeline (the list above), what its arrows need, trials and sweep, inspect, compare
//!    view/        what shows events: dashboard, report, tensorboard          bench/  pure measuring
//! 6  train/       burn-train's learner around an engine          serve/  a run that answers over HTTP
//! 5  recommend/   ranking, filters, reasons, bulk, folding in     evaluate/  what is judged, calibration
//! 4  artifact/    the run directory and its files, and what leaves it
//!    engine/      what devices add to the engine below: gpu/ (WGSL; the only files that name wgpu or cubecl); open, which chooses
//!                 one of the two; memory
//!
//!    core/        a package of its own, which computes on the host and knows of burn what a dataset is:
//!
//! 3  engine/      Trainer and Scorer: cpu/ (plain Rust, the specification), model, plan, objective, optimizer, ranker
//!    centre/      where priors are centred          metrics/  figures of predictions and of lists
//! 2  data/        from any table to columns, host only
//! 1  config/      the experiment          common/  what knows nothing of recommenders
//! ```
//!
//! What is in `core` is named as if it stood here: `dotcart::data` is [`dotcart_core::data`]. It is optimised in every profile,
//! while a dev build optimises nothing else: what takes time belongs there.
//!
//! # Invariants
//!
//! - `data` knows no device; a kernel knows no file and no config; `train` knows no screen, it sends events.
//! - Users and items are numbered in kinds of their own; a bare number is a row, of ratings or of either side's table.
//! - Only the training split is oversampled, after the split.
//! - All randomness comes from the seed. Nothing is added atomically, so the same seed on the same device gives the same
//!   bytes, on the cpu for any number of threads.
//! - Looking (evaluate, export) and saving (checkpoint) change no bit of a training's result.
//! - Training does not wait for a device in order to report, but for one step a second, whose stages are told apart.
//! - Every shader in `shaders/` has a launcher of the same name in `engine/gpu/` and a twin in `core/engine/cpu/`.
//! - A run without a manifest is unfinished: it is resumed, never loaded.

pub mod artifact;
pub mod bench;
pub mod engine;
pub mod evaluate;
pub mod flow;
pub mod guide;
pub mod recommend;
pub mod serve;
pub mod train;
pub mod view;

#[doc(no_inline)]
pub use dotcart_core::{centre, common, config, data, metrics};

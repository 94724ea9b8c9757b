//! Memory: what a training takes, predicted from its sizes before it begins, and refused if it cannot fit.
//!
//! ```text
//! tables      (users + items) record_bytes                    weights and the optimiser's state, of both questions
//! ratings     rows (12 + 8 + 1)                               user, item, rating; timestamp, if there are any; part
//!             + 8 train + 25 samples + 28 valid               sampling table; an epoch as it is drawn; scores of validation
//! steps       (min(b, users) + min(b, items)) factor_bytes    compact rows, b = max(batch, pairs that are scored at once)
//!             + 60 * 4 b + 16 * 2 planned                     planned steps on their way; two tables of step sizes
//!             + 30 * 4 b + 8 (users + items)                  with a prior: its pulls on the rows; each row's samples, its centre
//!             + 18 * 4 b + (b + draws) choice_factor_bytes    with choices: their plan and their compact rows
//!             + (tasks + 2) draws choice_factor_bytes         on the cpu: what each task adds to the gradients of drawn items
//!             + 4 b draws + (b + pieces draws) choice_factor_bytes
//!                                                             on a device: the scores, the sums for users and for drawn items
//! centres     (users + items) (4 r + 48) + 512 r^2 + 32 train
//!                                                             with a prior of centre rank r, before the tables are made: directions
//!                                                             and their sums, effects; the ratings of each side
//! evaluation  2 (users + items) factor_bytes + rows (12 + 8 + 1) + 40 test
//!                                                             the model in its file and as it is judged, when all else is gone
//! process     64 MiB, with a software adapter 256 MiB         the program, its threads, a driver's compiler
//!
//! all in all  process + max(ratings + max(tables + steps, centres), evaluation)
//! ```
//!
//! In bytes. Reading the ratings comes before and is not in it: of a file that is large beside its model it takes the most.
//! The tables stand in the machine's memory, or in that of a graphics card, whose size no graphics API tells:
//! there only the largest single buffer can be checked. `record_bytes` and `factor_bytes`: see [`crate::engine::model`].

use crate::common::format::{count, mebibytes};
use crate::common::hint::Hint;
use crate::common::system_memory::{Room, room};
use crate::config::{Config, OptimizerChoice};
use crate::engine::cpu::walk::{CHOOSERS_PER_TASK, most_tasks};
use crate::engine::gpu::device::{Adapter, AdapterKind};
use crate::engine::gpu::{choice_scores, choice_sums};
use crate::engine::model::ModelShape;
use crate::engine::plan::{PAIRS_PER_PLAN, SAMPLES_PER_CHUNK};
use serde::Serialize;

/// What a training is about, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingSize {
    pub users: usize,
    pub items: usize,
    pub rows: usize,
    pub has_timestamps: bool,
    pub train: usize,
    pub valid: usize,
    pub test: usize,
    /// Of an epoch, after oversampling.
    pub samples: usize,
}

/// Bytes that a training takes, predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryNeed {
    pub dim: usize,
    pub optimizer: OptimizerChoice,
    /// Weights and the optimiser's state.
    pub tables: u64,
    /// Rows, split, sampling table, samples of an epoch.
    pub ratings: u64,
    /// What a step works in, and planned steps.
    pub steps: u64,
    /// What finding the centres of priors takes, before there are tables; 0 where they are at zero.
    pub centres: u64,
    /// The model as it is judged after the training.
    pub evaluation: u64,
    pub process: u64,
    /// The tables are on a graphics card, not in the machine's memory.
    pub tables_on_card: bool,
    /// The largest buffer besides the tables, which are cut into pages.
    pub largest_buffer: u64,
}

impl MemoryNeed {
    /// The most that the process has in the machine's memory at any time.
    pub fn total(&self) -> u64 {
        let tables = if self.tables_on_card { 0 } else { self.tables };
        self.process + (self.ratings + (tables + self.steps).max(self.centres)).max(self.evaluation)
    }
}

const WORD: usize = size_of::<f32>();

/// Predicts what `config` takes for a training of that size, on the cpu (`adapter` absent) or on an adapter.
pub fn predict(size: &TrainingSize, config: &Config, adapter: Option<&Adapter>) -> MemoryNeed {
    let shape = ModelShape {
        users: size.users,
        items: size.items,
        dim: config.model.dim,
    };
    let ranking = &config.train.ranking;
    let choices = (ranking.weight > 0.0).then_some(ModelShape {
        dim: ranking.dim,
        ..shape
    });
    let draws = ranking.negatives.min(size.items);
    // Of ratings that are not learned there is nothing but the model's rows of zeros.
    let asked = [(ranking.weight < 1.0).then_some(shape), choices];
    let asked = || asked.into_iter().flatten();
    let factor_bytes = shape.factor_len() * WORD;
    let choice_factor_bytes = choices.map_or(0, |shape| shape.factor_len() * WORD);
    let batch = config.train.batch_size.min(size.samples.max(1));
    let scored = PAIRS_PER_PLAN.min(size.valid.max(size.test));
    let widest = batch.max(scored);
    // Chunks are filled with steps up to so many samples; one is trained, two wait, one is made, one is given back.
    const CHUNKS: usize = 5;
    let has_prior = config.train.prior.is_set();
    let words_per_sample = if has_prior { 18 } else { 12 } + if choices.is_some() { 14 } else { 0 };
    let chunk = batch.max(SAMPLES_PER_CHUNK.min(size.samples)) * words_per_sample * WORD;
    let rows = size.users + size.items;
    let of_rows = if has_prior { 2 * rows * WORD } else { 0 };
    let centres = match config.train.prior.directions() {
        0 => 0,
        rank => rows * (rank * WORD + 48) + 512 * rank * rank + 32 * size.train,
    };
    let compact = |rows: usize| widest.min(rows) * factor_bytes;
    let batch_users = batch.min(size.users);
    let compact_choices = (batch_users + batch.min(size.items) + draws) * choice_factor_bytes;
    let pieces = choice_sums::pieces(batch_users, draws, ranking.dim);
    let (scores, drawn_sums, user_sums) = match (choices, adapter) {
        (None, _) => (0, 0, 0),
        // A task has the scores of its block alone.
        (Some(_), None) => (
            0,
            (most_tasks(batch_users, CHOOSERS_PER_TASK) + 2) * draws * choice_factor_bytes,
            0,
        ),
        (Some(_), Some(_)) => (
            choice_scores::words(batch_users, draws) * WORD,
            pieces * draws * choice_factor_bytes,
            batch_users * choice_factor_bytes,
        ),
    };
    let of_choices = compact_choices + scores + drawn_sums + user_sums;
    let planned = size.samples.div_ceil(batch) * config.train.epochs;
    let row = 3 * WORD + 1 + if size.has_timestamps { size_of::<i64>() } else { 0 };
    let is_software = adapter.is_some_and(|adapter| adapter.kind == AdapterKind::Software);
    MemoryNeed {
        dim: shape.dim,
        optimizer: config.train.optimizer,
        tables: asked()
            .map(|shape| (rows * shape.record_len(config.train.optimizer) * WORD) as u64)
            .sum(),
        ratings: (size.rows * row + 8 * size.train + 25 * size.samples + 28 * size.valid) as u64,
        steps: (compact(size.users) + compact(size.items) + CHUNKS * chunk + of_rows + of_choices + 32 * planned)
            as u64,
        centres: centres as u64,
        evaluation: (2 * rows * (factor_bytes + choice_factor_bytes) + size.rows * row + 40 * size.test) as u64,
        process: if is_software { 256 << 20 } else { 64 << 20 },
        tables_on_card: adapter.is_some() && !is_software,
        largest_buffer: compact(size.users.max(size.items))
            .max(chunk)
            .max(scores)
            .max(drawn_sums) as u64,
    }
}

/// A training that cannot fit, and what would.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MemoryError {
    #[error("training takes about {} of memory, but there are {} for it ({})", mebibytes(*.needed), mebibytes(.room.bytes), .room.because)]
    Room {
        needed: u64,
        room: Room,
        alternatives: String,
    },
    #[error("a step takes a buffer of {} on the device, but {adapter} binds at most {}", mebibytes(*.needed), mebibytes(*.limit))]
    Buffer {
        needed: u64,
        limit: u64,
        adapter: String,
        alternatives: String,
    },
}

impl Hint for MemoryError {
    fn hint(&self) -> String {
        let hint = match self {
            Self::Room { alternatives, .. } | Self::Buffer { alternatives, .. } => alternatives,
        };
        hint.to_string()
    }
}

/// Refuses a training that takes more than the machine or the adapter has; where a limit is unknown, nothing is refused.
///
/// `ratings_per_user`: what every user rated, for the alternative of leaving out users with few ratings.
pub fn check(
    size: &TrainingSize,
    config: &Config,
    adapter: Option<&Adapter>,
    ratings_per_user: &[u32],
) -> Result<MemoryNeed, MemoryError> {
    let need = predict(size, config, adapter);
    if let Some(adapter) = adapter {
        let limit = adapter.max_buffer_bytes;
        if need.largest_buffer > limit {
            return Err(MemoryError::Buffer {
                needed: need.largest_buffer,
                limit,
                adapter: adapter.to_string(),
                alternatives: alternatives(size, config, Some(adapter), &[], &|need| need.largest_buffer <= limit),
            });
        }
    }
    match room() {
        Some(room) if need.total() > room.bytes => {
            let fits = |need: &MemoryNeed| need.total() <= room.bytes;
            Err(MemoryError::Room {
                needed: need.total(),
                alternatives: alternatives(size, config, adapter, ratings_per_user, &fits),
                room,
            })
        }
        _ => Ok(need),
    }
}

/// Single changes after which the training fits, best first.
fn alternatives(
    size: &TrainingSize,
    config: &Config,
    adapter: Option<&Adapter>,
    ratings_per_user: &[u32],
    fits: &dyn Fn(&MemoryNeed) -> bool,
) -> String {
    let fits_with = |change: &dyn Fn(&mut Config)| {
        let mut config = config.clone();
        change(&mut config);
        fits(&predict(size, &config, adapter))
    };
    let mut found = Vec::new();
    let dims = (1..config.model.dim / 4).rev().map(|quarter| 4 * quarter);
    if let Some(dim) = dims
        .into_iter()
        .find(|&dim| fits_with(&|config| config.model.dim = dim))
    {
        found.push(format!("`model.dim` = {dim}"));
    }
    if config.train.ranking.weight > 0.0 {
        let dims = (1..config.train.ranking.dim / 4).rev().map(|quarter| 4 * quarter);
        if let Some(dim) = dims
            .into_iter()
            .find(|&dim| fits_with(&|config| config.train.ranking.dim = dim))
        {
            found.push(format!("`train.ranking.dim` = {dim}"));
        } else if fits_with(&|config| config.train.ranking.weight = 0.0) {
            found.push("`train.ranking.weight` = 0, without rankings".to_string());
        }
    }
    let ranks = (0..config.train.prior.centre_rank).rev();
    if let Some(rank) = ranks
        .into_iter()
        .find(|&rank| fits_with(&|config| config.train.prior.centre_rank = rank))
    {
        found.push(format!("`train.prior.centre_rank` = {rank}"));
    }
    // Its records are as short as those of SGD.
    if fits_with(&|config| config.train.optimizer = OptimizerChoice::Adagrad) {
        found.push("`train.optimizer` = \"adagrad\"".to_string());
    }
    let batches = (0..config.train.batch_size.ilog2()).rev().map(|power| 1usize << power);
    if let Some(batch) = batches
        .into_iter()
        .find(|&batch| fits_with(&|config| config.train.batch_size = batch))
    {
        found.push(format!("`train.batch_size` = {batch}"));
    }
    let least = (2..=20u32).find_map(|least| {
        let kept = ratings_per_user.iter().filter(|ratings| **ratings >= least);
        let (users, rows) = kept.fold((0, 0), |(users, rows), ratings| (users + 1, rows + *ratings as usize));
        let part = |rows_of: usize| (rows_of as f64 * rows as f64 / size.rows as f64) as usize;
        let core = TrainingSize {
            users,
            rows,
            train: part(size.train),
            valid: part(size.valid),
            test: part(size.test),
            samples: part(size.samples),
            ..*size
        };
        (users > 0 && fits(&predict(&core, config, adapter))).then_some((least, users))
    });
    if let Some((least, users)) = least {
        found.push(format!(
            "`data.min_ratings_per_user` = {least}, which keeps {} users",
            count(users)
        ));
    }
    match found.as_slice() {
        [] => "no smaller model of these ratings fits either: use fewer ratings or more memory".to_string(),
        found => format!("this would fit: {}", found.join("; or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Prior;

    fn ratings_alone() -> Config {
        let mut config = Config::default();
        config.train.ranking.weight = 0.0;
        config
    }

    fn electronics() -> TrainingSize {
        TrainingSize {
            users: 4_201_696,
            items: 476_002,
            rows: 7_824_482,
            has_timestamps: true,
            train: 6_259_586,
            valid: 782_448,
            test: 782_448,
            samples: 8_500_000,
        }
    }

    #[test]
    fn full_electronics_at_dim_64_needs_the_tables_of_the_design() {
        let need = predict(&electronics(), &ratings_alone(), None);
        assert_eq!(need.tables, 4_677_698 * 784);
        assert!(need.total() > need.tables + 7_824_482 * 21);
        assert!(need.total() < 4_831_838_208, "4.5 GiB: {need:?}");
    }

    #[test]
    fn choices_cost_their_tables_and_full_electronics_keeps_within_a_small_machine() {
        let mut config = Config::default();
        (config.model.dim, config.train.ranking.dim) = (16, 48);
        config.train.batch_size = 8192;
        let need = predict(&electronics(), &config, None);
        assert_eq!(need.tables, 4_677_698 * (208 + 592));
        assert!(need.total() < 4_939_212_390, "4.6 GiB: {need:?}");
        config.train.ranking.weight = 1.0;
        assert_eq!(predict(&electronics(), &config, None).tables, 4_677_698 * 592);
    }

    fn adapter(kind: AdapterKind) -> Adapter {
        Adapter {
            name: "a card".to_string(),
            kind,
            api: "vulkan".to_string(),
            driver: String::new(),
            max_buffer_bytes: 128 << 20,
            max_storage_buffers: 8,
            max_workgroup_bytes: 16_384,
            max_workgroups: 65_535,
            max_workgroup_threads: 256,
        }
    }

    #[test]
    fn a_card_holds_the_tables_and_a_software_adapter_does_not() {
        let need = |kind| predict(&electronics(), &ratings_alone(), Some(&adapter(kind)));
        let (card, software) = (need(AdapterKind::Discrete), need(AdapterKind::Software));
        assert!(card.total() < card.tables, "{card:?}");
        assert!(software.total() > software.tables, "{software:?}");
    }

    #[test]
    fn a_device_holds_the_scores_of_a_whole_step() {
        let mut config = Config::default();
        config.train.batch_size = 8192;
        let software = adapter(AdapterKind::Software);
        let steps = |negatives: usize| {
            let mut config = config.clone();
            config.train.ranking.negatives = negatives;
            predict(&electronics(), &config, Some(&software)).steps
        };
        // 8,192 users, 1,744 items more.
        assert!(steps(2_000) - steps(256) > 8_192 * 1_744 * 4, "{}", steps(2_000));
    }

    #[test]
    fn a_batch_beyond_the_largest_buffer_is_refused_with_those_that_fit() {
        let mut config = ratings_alone();
        config.train.batch_size = 1 << 20;
        let error = check(&electronics(), &config, Some(&adapter(AdapterKind::Discrete)), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a step takes a buffer of 272 MiB on the device, but a card (discrete, vulkan) binds at most 128 MiB"
        );
        assert_eq!(
            error.hint(),
            "this would fit: `model.dim` = 28; or `train.batch_size` = 262144"
        );
    }

    #[test]
    fn alternatives_are_the_largest_that_fit() {
        let (size, config) = (electronics(), ratings_alone());
        let counts: Vec<u32> = (0..size.users).map(|user| if user % 3 == 0 { 4 } else { 1 }).collect();
        let room = 3 << 30;
        let fits = |need: &MemoryNeed| need.total() <= room;
        let text = alternatives(&size, &config, None, &counts, &fits);
        let dim: usize = text
            .split("`model.dim` = ")
            .nth(1)
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let total = |dim: usize| {
            let mut config = config.clone();
            config.model.dim = dim;
            predict(&size, &config, None).total()
        };
        assert!(total(dim) <= room && total(dim + 4) > room, "{text}");
        assert!(
            text.ends_with("`data.min_ratings_per_user` = 2, which keeps 1,400,566 users"),
            "{text}"
        );
        assert!(!text.contains("batch_size"), "no batch is small enough: {text}");
        assert!(alternatives(&size, &config, None, &[], &|_| false).starts_with("no smaller model"));

        let mut config = config;
        config.model.dim = 4;
        config.train.prior = Prior {
            bias: 0.3,
            embedding: 1.0,
            centre_rank: 256,
        };
        let (room, centred) = (4 << 30, predict(&size, &config, None));
        assert!(centred.total() > room, "{centred:?}");
        let text = alternatives(&size, &config, None, &[], &|need| need.total() <= room);
        assert_eq!(text, "this would fit: `train.prior.centre_rank` = 178");
        for (rank, fits) in [(178, true), (179, false)] {
            config.train.prior.centre_rank = rank;
            assert_eq!(predict(&size, &config, None).total() <= room, fits, "{rank}");
        }
    }
}

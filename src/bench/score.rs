//! Scoring: users a second and products scored a second, for the engines' top-k on generated matrices.

use crate::common::interaction::UserIndex;
use crate::config::DeviceChoice;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::gpu::scorer::MAX_K;
use crate::engine::model::{Head, Model, ModelShape, Question, ROW_HEADER, Side, start_weight};
use crate::engine::{EngineError, Query, ScoredItem, Scorer, open};
use serde::Serialize;
use std::time::Instant;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScoreSetup {
    pub items: usize,
    pub dim: usize,
    /// Users that are ranked for at once.
    pub users: usize,
    pub k: usize,
    pub device: DeviceChoice,
    /// Threads of the cpu engine; 0 = one a core.
    pub threads: usize,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreReport {
    pub engine: &'static str,
    pub items: usize,
    pub dim: usize,
    pub users: usize,
    pub k: usize,
    pub rounds: usize,
    /// Of the fastest round, which is the one that was disturbed least, and of the middle one.
    pub milliseconds: f64,
    pub median_milliseconds: f64,
    /// By the fastest round.
    pub users_per_second: f64,
    pub items_per_second: f64,
}

/// Rounds are at least this many, however long one takes.
const MIN_ROUNDS: usize = 3;

/// A model of random weights and no biases, so that programs without biases can rank the same matrices.
pub fn random_model(seed: u64, shape: ModelShape) -> Model {
    let table = |side: Side| {
        let mut rows = Vec::with_capacity(shape.rows(side) * shape.factor_len());
        for row in 0..shape.rows(side) {
            rows.extend([0.0; ROW_HEADER]);
            rows.extend((0..shape.dim).map(|column| start_weight(seed, Question::Rating, side, row, column)));
        }
        rows
    };
    Model {
        shape,
        users: table(Side::User),
        items: table(Side::Item),
        head: Head::PLAIN,
        choices: None,
    }
}

/// Ranks for the first `setup.users` users of a model again and again for `seconds`.
///
/// Panics if the model has fewer users.
pub fn measure(setup: &ScoreSetup, model: &Model, seconds: f64) -> Result<ScoreReport, EngineError> {
    let rows = ItemRows::of_factors(&model.items, model.shape.dim);
    let mut scorer = open::scorer(setup.device, model.head, rows, setup.threads)?;
    let mut rounds = Vec::new();
    let start = Instant::now();
    // The first round pays for what is made once, and is not counted.
    top_k(scorer.as_mut(), model, setup)?;
    while rounds.len() < MIN_ROUNDS || start.elapsed().as_secs_f64() < seconds {
        let round = Instant::now();
        top_k(scorer.as_mut(), model, setup)?;
        rounds.push(round.elapsed().as_secs_f64());
    }
    rounds.sort_by(f64::total_cmp);
    let fastest = rounds[0];
    Ok(ScoreReport {
        engine: match open::device(setup.device)?.gpu {
            Some(_) if setup.k <= MAX_K => "gpu",
            _ => "cpu",
        },
        items: setup.items,
        dim: setup.dim,
        users: setup.users,
        k: setup.k,
        rounds: rounds.len(),
        milliseconds: 1e3 * fastest,
        median_milliseconds: 1e3 * rounds[rounds.len() / 2],
        users_per_second: setup.users as f64 / fastest,
        items_per_second: (setup.users * setup.items) as f64 / fastest,
    })
}

/// One round: the ranking of each user.
pub fn top_k(scorer: &mut dyn Scorer, model: &Model, setup: &ScoreSetup) -> Result<Vec<Vec<ScoredItem>>, EngineError> {
    let queries: Vec<Query> = (0..setup.users as u32)
        .map(UserIndex)
        .map(|user| Query {
            user: model.user(user),
            seen: &[],
        })
        .collect();
    scorer.top_k(&queries, setup.k)
}

//! Loaders: burn's [`DataLoader`] over columns; a worker thread plans ahead of the engine.
//!
//! An epoch's rows and their order depend on the sampling table, seed and epoch alone, so a resumed training sees the
//! samples it would have seen.

use super::epoch;
use crate::common::interaction::{ItemIndex, UserIndex};
use crate::config::Prior;
use crate::data::interactions::Interactions;
use crate::data::oversample::SamplingTable;
use crate::engine::model::Sides;
use crate::engine::negatives::Negatives;
use crate::engine::objective::Objective;
use crate::engine::plan::{ChoiceL2, ChoicePlan, EpochPrior, PlanChunk, SAMPLES_PER_CHUNK, Sample};
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

/// Steps of a chunk at the most.
const MAX_STEPS_PER_CHUNK: usize = 64;
/// Chunks that may wait for the engine.
const CHUNKS_AHEAD: usize = 2;

/// A place in a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub epoch: usize,
    /// Steps of the epoch that are done.
    pub steps_done: usize,
}

impl Position {
    /// Before the first step.
    pub const START: Self = Self {
        epoch: 1,
        steps_done: 0,
    };
}

/// What an epoch is drawn from.
#[derive(Clone, Debug)]
pub struct TrainingSet {
    pub interactions: Arc<Interactions>,
    pub table: SamplingTable,
    pub objective: Objective,
    pub batch_size: usize,
    pub prior: Prior,
    /// What is drawn against each step; `None` = choices are not learned.
    pub negatives: Option<Negatives>,
    pub choice_l2: ChoiceL2,
    /// Centres of the biases of users and of items, see [`crate::centre`]; none = all at zero.
    pub centres: Arc<Sides<Vec<f32>>>,
    pub seed: u64,
    /// The last epoch: none is drawn beyond it.
    pub epochs: usize,
    /// A chunk ends wherever a multiple of one of these steps of the epoch is reached, so that one can look and save there.
    pub pauses: Vec<usize>,
}

impl TrainingSet {
    /// Samples of an epoch.
    pub fn samples(&self) -> usize {
        self.table.len()
    }

    /// Steps of an epoch; the last one may be short.
    pub fn steps(&self) -> usize {
        self.samples().div_ceil(self.batch_size)
    }

    /// Samples of an epoch in the order they are trained on.
    fn draw(&self, epoch: usize) -> Vec<Sample> {
        epoch::samples(&self.interactions, &self.table, &self.objective, self.seed, epoch)
    }

    /// The step before which the chunk that begins at `step` ends.
    fn chunk_end(&self, step: usize) -> usize {
        let per_chunk = (SAMPLES_PER_CHUNK / self.batch_size).clamp(1, MAX_STEPS_PER_CHUNK);
        let pauses = self.pauses.iter().filter(|every| **every > 0);
        let next_pause = pauses.map(|every| (step / every + 1) * every).min();
        (step + per_chunk)
            .min(self.steps())
            .min(next_pause.unwrap_or(usize::MAX))
    }

    /// Plans steps `steps` of an epoch, counted from 0.
    fn plan(&self, samples: &[Sample], prior: Option<&EpochPrior>, epoch: usize, steps: Range<usize>) -> PlanChunk {
        let mut chunk = PlanChunk::default();
        for step in steps {
            let batch = step * self.batch_size..((step + 1) * self.batch_size).min(samples.len());
            let number = ((epoch - 1) * self.steps() + step + 1) as u32;
            let draws = self.negatives.as_ref().map(|negatives| negatives.draw(number));
            let choice = draws.as_ref().map(|draws| ChoicePlan {
                draws,
                l2: &self.choice_l2,
            });
            chunk.push_with(number, &samples[batch], prior, choice);
        }
        chunk
    }
}

/// Planned chunks of one epoch after another. Each `iter` is one epoch; the first may begin in its middle.
///
/// A planner that has planned its epoch draws the next one, while the engine still trains or validates.
#[derive(Clone)]
pub struct PlanLoader {
    set: Arc<TrainingSet>,
    next: Arc<Mutex<Next>>,
}

/// What the next `iter` begins with.
struct Next {
    position: Position,
    /// Where the planner of the epoch before sends the samples that it has drawn.
    drawn: Option<Receiver<Vec<Sample>>>,
}

impl PlanLoader {
    /// A loader whose first epoch begins at `start`.
    pub fn new(set: Arc<TrainingSet>, start: Position) -> Self {
        let next = Next {
            position: start,
            drawn: None,
        };
        Self {
            set,
            next: Arc::new(Mutex::new(next)),
        }
    }
}

struct Chunks {
    received: Receiver<PlanChunk>,
    done: usize,
    total: usize,
}

impl Iterator for Chunks {
    type Item = Result<PlanChunk, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.received.recv() {
            Ok(chunk) => {
                self.done += chunk.samples();
                Some(Ok(chunk))
            }
            Err(_) if self.done < self.total => {
                let message = format!("the planner stopped after {} of {} samples", self.done, self.total);
                self.done = self.total;
                Some(Err(DatasetError::new(std::io::Error::other(message))))
            }
            Err(_) => None,
        }
    }
}

impl DataLoaderIterator<PlanChunk> for Chunks {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.total, Some("samples".to_string()))
    }
}

impl DataLoader<PlanChunk> for PlanLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<PlanChunk> + 'a> {
        let (draws, drawn) = sync_channel(1);
        let Next {
            position: start,
            drawn: already_drawn,
        } = {
            let mut next = self.next.lock().expect("no loader panics while it holds the lock");
            let position = Position {
                epoch: next.position.epoch + 1,
                steps_done: 0,
            };
            let drawn = Some(drawn);
            std::mem::replace(&mut *next, Next { position, drawn })
        };
        let (sender, received) = sync_channel(CHUNKS_AHEAD);
        let set = Arc::clone(&self.set);
        std::thread::Builder::new()
            .name("planner".to_string())
            .spawn(move || {
                // The planner before may have been stopped, or told that its epoch was the last.
                let samples = already_drawn
                    .and_then(|drawn| drawn.recv().ok())
                    .unwrap_or_else(|| set.draw(start.epoch));
                let prior = set
                    .prior
                    .is_set()
                    .then(|| EpochPrior::new(set.prior, &set.centres, &samples));
                let mut step = start.steps_done;
                while step < set.steps() {
                    let end = set.chunk_end(step);
                    // A closed channel means that the training stopped.
                    if sender
                        .send(set.plan(&samples, prior.as_ref(), start.epoch, step..end))
                        .is_err()
                    {
                        return;
                    }
                    step = end;
                }
                drop((sender, samples));
                if start.epoch < set.epochs {
                    let _ = draws.send(set.draw(start.epoch + 1));
                }
            })
            .expect("the system starts threads");
        Box::new(Chunks {
            received,
            done: (start.steps_done * self.set.batch_size).min(self.set.samples()),
            total: self.set.samples(),
        })
    }

    fn num_items(&self) -> usize {
        self.set.samples()
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<PlanChunk>> {
        Arc::new(self.clone())
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<PlanChunk>> {
        let table = self.set.table.slice(start..end);
        let set = TrainingSet {
            table,
            ..(*self.set).clone()
        };
        Arc::new(Self::new(Arc::new(set), Position::START))
    }
}

/// Rows of the validation split that are scored together.
const ROWS_PER_BATCH: usize = 1 << 16;

/// Pairs to be scored, with what they were rated.
#[derive(Clone, Debug, Default)]
pub struct PairBatch {
    pub users: Vec<UserIndex>,
    pub items: Vec<ItemIndex>,
    pub ratings: Vec<f32>,
}

/// Held-out rows in file order.
#[derive(Clone)]
pub struct PairLoader {
    interactions: Arc<Interactions>,
    rows: Arc<[u32]>,
}

impl PairLoader {
    /// A loader over the given rows.
    pub fn new(interactions: Arc<Interactions>, rows: Vec<u32>) -> Self {
        Self {
            interactions,
            rows: rows.into(),
        }
    }
}

struct Pairs<'a> {
    loader: &'a PairLoader,
    done: usize,
}

impl Iterator for Pairs<'_> {
    type Item = Result<PairBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.loader.rows[self.done..].chunks(ROWS_PER_BATCH).next()?;
        self.done += rows.len();
        let all = &self.loader.interactions;
        Some(Ok(PairBatch {
            users: rows.iter().map(|&row| all.users[row as usize]).collect(),
            items: rows.iter().map(|&row| all.items[row as usize]).collect(),
            ratings: rows.iter().map(|&row| all.ratings[row as usize]).collect(),
        }))
    }
}

impl DataLoaderIterator<PairBatch> for Pairs<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.loader.rows.len(), Some("rows".to_string()))
    }
}

impl DataLoader<PairBatch> for PairLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<PairBatch> + 'a> {
        Box::new(Pairs { loader: self, done: 0 })
    }

    fn num_items(&self) -> usize {
        self.rows.len()
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<PairBatch>> {
        Arc::new(self.clone())
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<PairBatch>> {
        Arc::new(Self::new(
            Arc::clone(&self.interactions),
            self.rows[start..end].to_vec(),
        ))
    }
}

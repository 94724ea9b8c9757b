//! Ranking on the device.
//!
//! `score_top_k` leaves each query's best of every tile of items, `merge_top_k` merges them, [`FAN_IN`] lists at a time, until
//! one list a query is left: the scores are never stored. Items are in pages, as tables are; each page leaves a list, and
//! these are merged last. Queries go in batches, so that the lists of one fit a bounded buffer; the device works on a batch
//! while the host takes the one before apart.

use super::merge_top_k::{self, FAN_IN, MergeTopK};
use super::pair_logits::{self, PairLogits};
use super::score_top_k::{self, NO_KEY, QUERIES, ScoreTopK, TILE, lay_out, score_of};
use super::teams::Teams;
use crate::device::{Buffer, DeviceError, Gpu, Pending};
use crate::engine::cpu::CpuScorer;
use crate::engine::{EngineError, Query, ScoredItem, Scorer};
use crate::interaction::ItemIndex;
use crate::model::{Head, Model};
use crate::plan::PAIRS_PER_PLAN;

/// The largest `k` that the kernels serve. Beyond it, where a ranking is most of a sort, the cpu engine answers.
pub const MAX_K: usize = 1024;

/// Bytes of candidate lists that a batch of queries may leave.
const LIST_BYTES: usize = 64 << 20;
/// A batch is at most this many queries, so that their results and the work between two reads stay small.
const MAX_QUERIES: usize = 1024;

const CANDIDATE_WORDS: usize = 2;

/// Ranking on a graphics device over a model in memory.
pub struct GpuScorer<'a> {
    gpu: Gpu,
    model: &'a Model,
    pages: Vec<ItemPage>,
    score_top_k: ScoreTopK,
    merge_top_k: MergeTopK,
    pair_logits: PairLogits,
}

/// Items of a range in the order that `score_top_k` wants.
struct ItemPage {
    weights: Buffer,
    biases: Buffer,
    first: usize,
    items: usize,
}

impl ItemPage {
    fn tiles(&self) -> usize {
        self.items.div_ceil(TILE)
    }
}

impl<'a> GpuScorer<'a> {
    /// A scorer over the item rows of a model, in pages as large as the adapter binds.
    ///
    /// Panics unless the model's `dim` is a multiple of 4 from 4 to [`crate::config::MAX_DIM`].
    pub fn new(gpu: Gpu, model: &'a Model) -> Result<Self, EngineError> {
        // Eight queries' lists of a page have to fit a buffer as well, even if all of its items stand in them.
        let bytes_per_item = size_of::<f32>() * model.shape.dim.max(QUERIES * CANDIDATE_WORDS);
        let limit = gpu.adapter().max_buffer_bytes as usize;
        Self::with_pages(gpu, model, limit / bytes_per_item / TILE)
    }

    /// As [`GpuScorer::new`], with pages of `page_tiles` times [`TILE`] items.
    pub fn with_pages(gpu: Gpu, model: &'a Model, page_tiles: usize) -> Result<Self, EngineError> {
        let dim = model.shape.dim;
        let page_items = page_tiles.max(1) * TILE;
        let page = |(number, rows): (usize, &[f32])| {
            let (weights, biases) = lay_out(rows, dim);
            Ok(ItemPage {
                weights: gpu.upload("item rows", weights)?,
                biases: gpu.upload("item biases", biases)?,
                first: number * page_items,
                items: rows.len() / model.shape.factor_len(),
            })
        };
        let rows = model.items.chunks(page_items * model.shape.factor_len());
        Ok(Self {
            gpu,
            model,
            pages: rows.enumerate().map(page).collect::<Result<_, DeviceError>>()?,
            score_top_k: ScoreTopK::new(dim),
            merge_top_k: MergeTopK::new(dim),
            pair_logits: PairLogits::new(Teams::new(gpu.adapter().kind, dim)),
        })
    }

    /// Queries of a batch: as many as the lists of the largest page allow, whole groups.
    fn batch(&self, k: usize) -> usize {
        let tiles = self.pages.iter().map(ItemPage::tiles).max().unwrap_or(1);
        let limit = LIST_BYTES.min(self.gpu.adapter().max_buffer_bytes as usize);
        let per_query = tiles * k.min(TILE) * CANDIDATE_WORDS * size_of::<u32>();
        (limit / per_query / QUERIES * QUERIES).clamp(QUERIES, MAX_QUERIES)
    }

    /// Queues the ranking of a batch; what arrives is `[queries, k]` of (key, item).
    fn queue_batch(&self, queries: &[Query], k: usize) -> Result<Pending, EngineError> {
        let gpu = self.gpu;
        let rows = queries.iter().flat_map(|query| query.user).copied().collect();
        let users = gpu.upload("user rows", rows)?;
        let seen = gpu.upload("seen items", seen_words(queries))?;
        let page_lists = gpu.empty("lists", queries.len() * self.pages.len() * k * CANDIDATE_WORDS)?;
        for (number, page) in self.pages.iter().enumerate() {
            let mut count = page.tiles();
            let mut length = k.min(TILE);
            let mut lists = gpu.empty("lists", queries.len() * count * length * CANDIDATE_WORDS)?;
            let params = score_top_k::Params {
                queries: queries.len() as u32,
                tiles: count as u32,
                first_item: page.first as u32,
                items: page.items as u32,
                list_len: length as u32,
            };
            self.score_top_k
                .launch(gpu, &users, &seen, &page.weights, &page.biases, &lists, &params);
            while count > FAN_IN {
                let params = merge_top_k::Params::level(queries.len(), count, length, k);
                (count, length) = (params.groups as usize, params.merged_len as usize);
                let merged = gpu.empty("lists", queries.len() * count * length * CANDIDATE_WORDS)?;
                self.merge_top_k.launch(gpu, &lists, &merged, &params);
                lists = merged;
            }
            let params = merge_top_k::Params::last(queries.len(), count, length, self.pages.len(), number, k);
            self.merge_top_k.launch(gpu, &lists, &page_lists, &params);
        }
        let mut lists = page_lists;
        let mut count = self.pages.len();
        while count > 1 {
            let params = merge_top_k::Params::level(queries.len(), count, k, k);
            count = params.groups as usize;
            let merged = gpu.empty("lists", queries.len() * count * k * CANDIDATE_WORDS)?;
            self.merge_top_k.launch(gpu, &lists, &merged, &params);
            lists = merged;
        }
        Ok(gpu.read(&[&lists]))
    }

    /// Waits for a batch and takes it apart.
    fn rankings(&self, queries: &[Query], k: usize, batch: Pending) -> Result<Vec<Vec<ScoredItem>>, EngineError> {
        let words = batch.wait_one::<u32>("ranking")?;
        let lists = words.chunks_exact(k * CANDIDATE_WORDS).zip(queries);
        let ranking = |(list, query): (&[u32], &Query)| {
            let candidates = list.as_chunks::<CANDIDATE_WORDS>().0.iter();
            candidates
                .take_while(|[key, _]| *key != NO_KEY)
                .map(|&[key, item]| ScoredItem {
                    item,
                    logit: self.model.head.logit(score_of(key) + query.user[0]),
                })
                .collect()
        };
        Ok(lists.map(ranking).collect())
    }
}

/// Where each query's seen items begin, `[queries + 1]`, then the items: positions in this very array.
fn seen_words(queries: &[Query]) -> Vec<u32> {
    let mut words = Vec::with_capacity(queries.len() + 1 + queries.iter().map(|query| query.seen.len()).sum::<usize>());
    let mut start = queries.len() as u32 + 1;
    words.push(start);
    for query in queries {
        start += query.seen.len() as u32;
        words.push(start);
    }
    for query in queries {
        words.extend_from_slice(query.seen);
    }
    words
}

impl Scorer for GpuScorer<'_> {
    fn top_k(&mut self, queries: &[Query], k: usize) -> Result<Vec<Vec<ScoredItem>>, EngineError> {
        let k = k.min(self.model.shape.items);
        if k > MAX_K {
            return CpuScorer::new(self.model, 0).top_k(queries, k);
        }
        if k == 0 {
            return Ok(vec![Vec::new(); queries.len()]);
        }
        for query in queries {
            assert_eq!(
                query.user.len(),
                self.model.shape.factor_len(),
                "GpuScorer: a query's row does not fit the model"
            );
        }
        let mut rankings = Vec::with_capacity(queries.len());
        let mut before: Option<(&[Query], Pending)> = None;
        for queries in queries.chunks(self.batch(k)) {
            let queued = self.queue_batch(queries, k)?;
            if let Some((queries, batch)) = before.replace((queries, queued)) {
                rankings.extend(self.rankings(queries, k, batch)?);
            }
        }
        if let Some((queries, batch)) = before {
            rankings.extend(self.rankings(queries, k, batch)?);
        }
        Ok(rankings)
    }

    fn score_pairs(&mut self, users: &[&[f32]], items: &[ItemIndex]) -> Result<Vec<f32>, EngineError> {
        assert_eq!(users.len(), items.len(), "GpuScorer: users and items differ in length");
        let Head { scale, bias } = self.model.head;
        let head = self
            .gpu
            .upload("head", vec![scale, 0.0, 0.0, 0.0, bias, 0.0, 0.0, 0.0])?;
        let status = self.gpu.upload("status", vec![0u32])?;
        let mut logits = Vec::with_capacity(users.len());
        for (users, items) in users.chunks(PAIRS_PER_PLAN).zip(items.chunks(PAIRS_PER_PLAN)) {
            let samples = users.len() as u32;
            let out = self.gpu.empty("logits", users.len())?;
            // Both rows of a pair are packed at its number, so one list of slots serves both sides.
            let item_rows = items.iter().flat_map(|&item| self.model.item(item)).copied();
            self.pair_logits.launch(
                self.gpu,
                &self.gpu.upload("slots of pairs", (0..samples).collect())?,
                &self.gpu.upload("users of pairs", users.concat())?,
                &self.gpu.upload("items of pairs", item_rows.collect())?,
                &head,
                &out,
                &status,
                &pair_logits::Params {
                    samples,
                    user_slots_at: 0,
                    item_slots_at: 0,
                    user_rows: samples,
                    item_rows: samples,
                },
            );
            logits.extend(self.gpu.read(&[&out]).wait_one::<f32>("scoring pairs")?);
        }
        Ok(logits)
    }
}

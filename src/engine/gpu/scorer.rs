//! Ranking on the device.
//!
//! `tile_best` leaves the best key of every tile of items for each query: all scores, and none of them stored. `select_top_k`
//! takes each query's `k` best tiles, `tile_scores` scores their items again, and `select_top_k` takes the `k` best of them.
//!
//! Nothing is lost by it: let an item be in a tile that was not taken. Then `k` tiles come before its own, each by a higher key,
//! or by the same one and a lower number; so the best item of each comes before this item, and it is not among the `k` best.
//! Both passes add in one order of explicit fused multiplications, so that a score is the same both times. Ties go to the
//! lower position, and positions are in the order of the items.
//!
//! Items are in pages, as tables are. Queries go in batches, so that the keys of one fit a bounded buffer; the device works on
//! a batch while the host takes the one before apart.

use super::pair_logits::{self, PairLogits};
use super::select_top_k::{self, SelectTopK};
use super::teams::Teams;
use super::tile_best::{self, BLOCK, QUERIES, TILE, TileBest, lay_out_items, lay_out_seen, lay_out_users};
use super::tile_scores::{self, TileScores};
use crate::common::interaction::ItemIndex;
use crate::engine::cpu::CpuScorer;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::gpu::device::{Buffer, Gpu, Pending};
use crate::engine::key::{NO_KEY, score_of};
use crate::engine::model::{Head, Model, ROW_HEADER};
use crate::engine::plan::PAIRS_PER_PLAN;
use crate::engine::{DeviceError, EngineError, Query, ScoredItem, Scorer};

/// The largest `k` that the kernels serve. Beyond it, where a ranking is most of a sort, the cpu engine answers.
pub const MAX_K: usize = 1024;

/// Bytes of keys that a batch of queries may leave in one buffer.
const KEY_BYTES: usize = 64 << 20;
/// A batch is at most this many queries, so that the host takes one apart while the device works on the next.
const MAX_QUERIES: usize = 512;

/// Words of a chosen key with its position.
const CHOSEN_WORDS: usize = 2;

/// Ranking on a graphics device over a model in memory or in a memory map.
pub struct GpuScorer<'a> {
    gpu: Gpu,
    head: Head,
    rows: ItemRows<'a>,
    pages: Vec<ItemPage>,
    tile_best: TileBest,
    select_top_k: SelectTopK,
    tile_scores: TileScores,
    pair_logits: PairLogits,
}

/// Items of a range in the order that the kernels want.
struct ItemPage {
    weights: Buffer,
    biases: Buffer,
    first_tile: usize,
    items: usize,
}

impl<'a> GpuScorer<'a> {
    /// A scorer over the item rows of a model, in pages as large as the adapter binds.
    ///
    /// Panics unless the model's `dim` is a multiple of 4 from 4 to [`crate::config::MAX_DIM`].
    pub fn new(gpu: Gpu, model: &'a Model) -> Result<Self, EngineError> {
        Self::from_rows(gpu, model.head, ItemRows::of_factors(&model.items, model.shape.dim))
    }

    /// A scorer over item rows that stand elsewhere, for example in a memory map. Panics as [`GpuScorer::new`] does.
    pub fn from_rows(gpu: Gpu, head: Head, rows: ItemRows<'a>) -> Result<Self, EngineError> {
        let bytes_per_block = size_of::<f32>() * rows.dim() * BLOCK;
        let limit = gpu.adapter().max_buffer_bytes as usize;
        Self::with_pages(gpu, head, rows, limit / bytes_per_block)
    }

    /// As [`GpuScorer::from_rows`], with pages of `page_blocks` times [`BLOCK`] items.
    pub fn with_pages(gpu: Gpu, head: Head, rows: ItemRows<'a>, page_blocks: usize) -> Result<Self, EngineError> {
        let dim = rows.dim();
        let page_items = page_blocks.max(1) * BLOCK;
        let page = |first: usize| {
            let items = first..rows.len().min(first + page_items);
            let (weights, biases) = lay_out_items(rows, items.clone());
            Ok(ItemPage {
                weights: gpu.upload("item rows", weights)?,
                biases: gpu.upload("item biases", biases)?,
                first_tile: first / TILE,
                items: items.len(),
            })
        };
        let pages = (0..rows.len()).step_by(page_items).map(page);
        Ok(Self {
            gpu,
            head,
            rows,
            pages: pages.collect::<Result<_, DeviceError>>()?,
            tile_best: TileBest::new(dim),
            select_top_k: SelectTopK::new(dim),
            tile_scores: TileScores::new(dim),
            pair_logits: PairLogits::new(Teams::new(gpu.adapter().kind, dim)),
        })
    }

    fn tiles(&self) -> usize {
        self.rows.len().div_ceil(TILE)
    }

    /// Queries of a batch: as many as their keys allow, whole groups.
    fn batch(&self, k: usize) -> usize {
        let limit = KEY_BYTES.min(self.gpu.adapter().max_buffer_bytes as usize);
        let per_query = self.tiles().max(k * TILE) * size_of::<u32>();
        (limit / per_query / QUERIES * QUERIES).clamp(QUERIES, MAX_QUERIES)
    }

    /// Queues the ranking of a batch; what arrives are each query's chosen (key, tile), and its chosen (key, position), `k`
    /// of them, of all items of these tiles.
    fn queue_batch(&self, queries: &[Query], k: usize) -> Result<Pending, EngineError> {
        let gpu = self.gpu;
        let users = gpu.upload("users", lay_out_users(queries, self.rows.dim()))?;
        let seen = gpu.upload("seen items", lay_out_seen(queries))?;
        let count = queries.len();
        let (tiles, slots) = (self.tiles(), k.min(self.tiles()));

        let best = gpu.empty("keys of tiles", count * tiles)?;
        for page in &self.pages {
            let params = tile_best::Params {
                queries: count as u32,
                blocks: page.items.div_ceil(BLOCK) as u32,
                items: page.items as u32,
                first_tile: page.first_tile as u32,
                tiles: tiles as u32,
            };
            self.tile_best
                .launch(gpu, &users, &seen, &page.weights, &page.biases, &best, &params);
        }
        let chosen_tiles = self.select(count, &best, tiles, slots)?;

        let scores = gpu.empty("keys of items", count * slots * TILE)?;
        for page in &self.pages {
            let params = tile_scores::Params {
                queries: count as u32,
                slots: slots as u32,
                items: page.items as u32,
                first_tile: page.first_tile as u32,
            };
            let (weights, biases) = (&page.weights, &page.biases);
            self.tile_scores
                .launch(gpu, &users, &seen, weights, biases, &chosen_tiles, &scores, &params);
        }
        let chosen = self.select(count, &scores, slots * TILE, k)?;
        Ok(gpu.read(&[&chosen_tiles, &chosen]))
    }

    /// Queues the choice of each query's `k` best of `count` keys.
    fn select(&self, queries: usize, keys: &Buffer, count: usize, k: usize) -> Result<Buffer, EngineError> {
        let chosen = self.gpu.empty("chosen", queries * k * CHOSEN_WORDS)?;
        let params = select_top_k::Params {
            queries: queries as u32,
            count: count as u32,
            k: k as u32,
        };
        self.select_top_k.launch(self.gpu, keys, &chosen, &params);
        Ok(chosen)
    }

    /// Waits for a batch and takes it apart.
    fn rankings(&self, queries: &[Query], k: usize, batch: Pending) -> Result<Vec<Vec<ScoredItem>>, EngineError> {
        let words = batch.wait::<u32>("ranking")?;
        let [tiles, chosen] = &words[..] else {
            unreachable!("two buffers are read")
        };
        let slots = k.min(self.tiles());
        let tiles = tiles.chunks_exact(slots * CHOSEN_WORDS);
        let chosen = chosen.chunks_exact(k * CHOSEN_WORDS);
        let rankings = queries.iter().zip(tiles.zip(chosen));
        let rankings = rankings.map(|(query, (tiles, chosen))| self.ranking(query, tiles, chosen));
        rankings.collect()
    }

    /// A query's ranking from its chosen (key, tile) and (key, position).
    fn ranking(&self, query: &Query, tiles: &[u32], chosen: &[u32]) -> Result<Vec<ScoredItem>, EngineError> {
        let (tiles, _) = tiles.as_chunks::<CHOSEN_WORDS>();
        let (chosen, _) = chosen.as_chunks::<CHOSEN_WORDS>();
        let found = chosen.iter().take_while(|[key, _]| *key != NO_KEY);
        let mut best: Vec<(u32, ItemIndex)> = found
            .map(|&[key, position]| {
                let [_, tile] = tiles[position as usize / TILE];
                (key, ItemIndex(tile * TILE as u32 + position % TILE as u32))
            })
            .collect();
        // They come in the order of the items, and a stable sort leaves ties in it.
        best.sort_by_key(|&(key, _)| std::cmp::Reverse(key));
        let scored = |(key, item)| {
            let score = score_of(key);
            if !score.is_finite() {
                return Err(EngineError::NotFinite { item });
            }
            Ok(ScoredItem {
                item,
                logit: self.head.logit(score + query.user[0]),
            })
        };
        best.into_iter().map(scored).collect()
    }
}

impl Scorer for GpuScorer<'_> {
    fn top_k(&mut self, queries: &[Query], k: usize) -> Result<Vec<Vec<ScoredItem>>, EngineError> {
        let k = k.min(self.rows.len());
        if k > MAX_K {
            return CpuScorer::from_rows(self.head, self.rows, 0).top_k(queries, k);
        }
        if k == 0 {
            return Ok(vec![Vec::new(); queries.len()]);
        }
        for query in queries {
            assert_eq!(
                query.user.len(),
                ROW_HEADER + self.rows.dim(),
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
        let Head { scale, bias } = self.head;
        let head = self
            .gpu
            .upload("head", vec![scale, 0.0, 0.0, 0.0, bias, 0.0, 0.0, 0.0])?;
        let status = self.gpu.upload("status", vec![0u32])?;
        let mut logits = Vec::with_capacity(users.len());
        for (users, items) in users.chunks(PAIRS_PER_PLAN).zip(items.chunks(PAIRS_PER_PLAN)) {
            let samples = users.len() as u32;
            let out = self.gpu.empty("logits", users.len())?;
            // Both rows of a pair are packed at its number, so one list of slots serves both sides.
            self.pair_logits.launch(
                self.gpu,
                &self.gpu.upload("slots of pairs", (0..samples).collect())?,
                &self.gpu.upload("users of pairs", users.concat())?,
                &self.gpu.upload("items of pairs", self.rows.factors(items))?,
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

//! Ranking: the kernels against their twins, the two scorers against each other, and the device's against a full sort.
//!
//! Most weights are small integers, so that every sum is exact in any order: rankings have to be the same item by item, and
//! there are ties everywhere. Where they have digits after the point, the device's scores are its own: they are compared with
//! the cpu's in `scores_are_close`, and what is made of them with a full sort of them.

use crate::needs::gpu;
use crate::support::{GARBAGE, assert_close, factor_rows, garbage, rng, upload};
use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::engine::cpu::CpuScorer;
use dotcart::engine::cpu::item_rows::ItemRows;
use dotcart::engine::cpu::select_top_k::select_top_k;
use dotcart::engine::cpu::tile_best::tile_best;
use dotcart::engine::cpu::tile_scores::tile_scores;
use dotcart::engine::gpu::constants;
use dotcart::engine::gpu::device::{Buffer, Gpu};
use dotcart::engine::gpu::launch::Kernel;
use dotcart::engine::gpu::scorer::{GpuScorer, MAX_K};
use dotcart::engine::gpu::select_top_k::{self, NO_PLACE};
use dotcart::engine::gpu::tile_best::{
    self, BLOCK, QUERIES, TILE, TileBest, lay_out_items, lay_out_seen, lay_out_users,
};
use dotcart::engine::gpu::tile_scores::{self, TileScores};
use dotcart::engine::key::{NO_KEY, key_of, score_of};
use dotcart::engine::model::{Head, Model, ModelShape, ROW_HEADER};
use dotcart::engine::{EngineError, Query, ScoredItem, Scorer};
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

const HEAD: Head = Head { scale: 2.0, bias: -1.0 };

/// Factor rows of small integers, so that scores are exact and often equal.
fn integer_rows(rng: &mut ChaCha8Rng, rows: usize, dim: usize) -> Vec<f32> {
    let mut factors = vec![0.0; rows * (ROW_HEADER + dim)];
    for row in factors.chunks_exact_mut(ROW_HEADER + dim) {
        row[0] = rng.random_range(-2..=2) as f32;
        for weight in &mut row[ROW_HEADER..] {
            *weight = rng.random_range(-1..=1) as f32;
        }
    }
    factors
}

fn model(seed: u64, users: usize, items: usize, dim: usize) -> Model {
    let mut rng = rng(seed);
    Model {
        shape: ModelShape { users, items, dim },
        users: integer_rows(&mut rng, users, dim),
        items: integer_rows(&mut rng, items, dim),
        head: HEAD,
        choices: None,
    }
}

/// Seen lists of every kind: none, some, all, all but one.
fn seen_lists(rng: &mut ChaCha8Rng, queries: usize, items: usize) -> Vec<Vec<ItemIndex>> {
    let all = (0..items as u32).map(ItemIndex);
    (0..queries)
        .map(|query| match query % 4 {
            0 => Vec::new(),
            1 => all.clone().filter(|_| rng.random_range(0..3) == 0).collect(),
            2 => all.clone().collect(),
            _ => all.clone().filter(|item| item.index() != items / 2).collect(),
        })
        .collect()
}

fn queries<'a>(model: &'a Model, seen: &'a [Vec<ItemIndex>]) -> Vec<Query<'a>> {
    let queries = seen.iter().enumerate();
    queries
        .map(|(user, seen)| Query {
            user: model.user(UserIndex(user as u32)),
            seen,
        })
        .collect()
}

fn rows_of(model: &Model) -> ItemRows<'_> {
    ItemRows::of_factors(&model.items, model.shape.dim)
}

fn read_words(gpu: Gpu, buffer: &Buffer) -> Vec<u32> {
    gpu.read(&[buffer]).wait_one("a test").unwrap()
}

/// What the kernels bind: users, seen, items, biases.
fn inputs(gpu: Gpu, queries: &[Query], rows: ItemRows) -> [Buffer; 4] {
    let (weights, biases) = lay_out_items(rows, 0..rows.len());
    [
        upload(gpu, &lay_out_users(queries, rows.dim())),
        upload(gpu, &lay_out_seen(queries)),
        upload(gpu, &weights),
        upload(gpu, &biases),
    ]
}

fn tile_items(tile: usize, items: usize) -> Range<usize> {
    tile * TILE..items.min((tile + 1) * TILE)
}

/// (dim, items, queries)
const SHAPES: [(usize, usize, usize); 8] = [
    (8, 1, 1),
    (16, 255, 7),
    (32, 256, QUERIES),
    (64, 257, QUERIES + 1),
    (100, 600, 40),
    (128, 512, 3),
    (512, 300, 2),
    (4, 0, 2),
];

#[test]
fn tile_best_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for (dim, items, users) in SHAPES {
        let model = model(items as u64, users, items, dim);
        let seen = seen_lists(&mut rng(1), users, items);
        let queries = queries(&model, &seen);
        // The page begins at tile 1 of 1 more than it has; there is one more after it.
        let tiles = items.div_ceil(TILE) + 2;
        let keys = garbage(gpu, users * tiles);
        let factor_rows = [vec![0.0; TILE * model.shape.factor_len()], model.items.clone()].concat();
        let params = tile_best::Params {
            queries: users as u32,
            blocks: items.div_ceil(BLOCK) as u32,
            items: items as u32,
            first_tile: 1,
            tiles: tiles as u32 - 1,
        };
        // Seen items are numbered over all pages.
        let shifted: Vec<Vec<ItemIndex>> = seen
            .iter()
            .map(|seen| seen.iter().map(|item| ItemIndex(item.0 + TILE as u32)).collect())
            .collect();
        let on_device: Vec<Query> = queries
            .iter()
            .zip(&shifted)
            .map(|(query, seen)| Query { seen, ..*query })
            .collect();
        let [on_users, on_seen, weights, biases] = inputs(gpu, &on_device, rows_of(&model));
        TileBest::new(dim).launch(gpu, &on_users, &on_seen, &weights, &biases, &keys, &params);
        let words = read_words(gpu, &keys);
        let rows = ItemRows::of_factors(&factor_rows, dim);
        for (number, &key) in words[..users * (tiles - 1)].iter().enumerate() {
            let (query, tile) = (number / (tiles - 1), number % (tiles - 1));
            let expected = match tile {
                0 => GARBAGE.to_bits(),
                _ => tile_best(&on_device[query], rows, tile_items(tile, items + TILE)),
            };
            assert_eq!(key, expected, "dim {dim}, {items} items, query {query}, tile {tile}");
        }
        assert!(
            words[users * (tiles - 1)..]
                .iter()
                .all(|&word| word == GARBAGE.to_bits())
        );
    }
}

#[test]
fn tile_scores_equal_their_twin() {
    let Some(gpu) = gpu() else { return };
    for (dim, items, users) in SHAPES {
        let model = model(items as u64, users, items, dim);
        let seen = seen_lists(&mut rng(1), users, items);
        let queries = queries(&model, &seen);
        // All tiles, then one of another page, then two places for which no tile is left.
        let tiles = items.div_ceil(TILE);
        let elsewhere = items.div_ceil(BLOCK) * BLOCK / TILE;
        let of_query: Vec<u32> = (0..tiles as u32)
            .chain([elsewhere as u32, NO_PLACE, NO_PLACE])
            .collect();
        let slots = of_query.len();
        let chosen: Vec<u32> = of_query.iter().flat_map(|&tile| [NO_KEY + 1, tile]).collect();
        let chosen = upload(gpu, &chosen.repeat(users));
        let keys = garbage(gpu, users * slots * TILE);
        let [on_users, on_seen, weights, biases] = inputs(gpu, &queries, rows_of(&model));
        let params = tile_scores::Params {
            queries: users as u32,
            slots: slots as u32,
            items: items as u32,
            first_tile: 0,
        };
        TileScores::new(dim).launch(gpu, &on_users, &on_seen, &weights, &biases, &chosen, &keys, &params);
        let words = read_words(gpu, &keys);
        let rows = rows_of(&model);
        for (number, received) in words.chunks_exact(TILE).enumerate() {
            let (query, slot) = (number / slots, number % slots);
            let mut expected = match slot {
                _ if slot < tiles => tile_scores(&queries[query], rows, tile_items(slot, items)),
                _ if slot == tiles => vec![GARBAGE.to_bits(); TILE],
                _ => Vec::new(),
            };
            expected.resize(TILE, NO_KEY);
            assert_eq!(
                received, expected,
                "dim {dim}, {items} items, query {query}, slot {slot}"
            );
        }
    }
}

#[test]
fn select_top_k_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut rng = rng(2);
    let all_alike = |_: &mut ChaCha8Rng| key_of(1.5);
    let few_values = |rng: &mut ChaCha8Rng| match rng.random_range(0..6) {
        0 => NO_KEY,
        value => key_of(value as f32 - 3.0),
    };
    let nothing = |_: &mut ChaCha8Rng| NO_KEY;
    let any = |rng: &mut ChaCha8Rng| rng.random_range(NO_KEY..=u32::MAX);
    let last_byte = |rng: &mut ChaCha8Rng| 0x8012_3400 + rng.random_range(0..40);
    let kinds: [fn(&mut ChaCha8Rng) -> u32; 5] = [all_alike, few_values, nothing, any, last_byte];
    for (count, k) in [
        (1, 1),
        (1, 5),
        (255, 10),
        (256, 256),
        (257, 256),
        (1000, 1),
        (5000, 300),
        (70_000, 1024),
        (3, 0),
    ] {
        let keys: Vec<Vec<u32>> = kinds.map(|kind| (0..count).map(|_| kind(&mut rng)).collect()).to_vec();
        let chosen = garbage(gpu, keys.len() * k * 2);
        let params = select_top_k::Params {
            queries: keys.len() as u32,
            count: count as u32,
            k: k as u32,
        };
        // With a spare workgroup, as a folded launch may have.
        let kernel = Kernel::new(&select_top_k::SPEC, &constants(4));
        gpu.launch(
            &kernel,
            &[&upload(gpu, &keys.concat()), &chosen],
            &params,
            keys.len() + 1,
        );
        let words = read_words(gpu, &chosen);
        for (kind, keys) in keys.iter().enumerate() {
            let mut expected = select_top_k(keys, k);
            expected.resize(k, (NO_KEY, NO_PLACE));
            let received = words[kind * k * 2..].as_chunks::<2>().0[..k].iter();
            let received: Vec<(u32, u32)> = received.map(|&[key, position]| (key, position)).collect();
            assert_eq!(received, expected, "{k} of {count} keys of kind {kind}");
        }
    }
}

/// A folded dispatch may have workgroups to spare.
#[test]
fn spare_workgroups_change_nothing() {
    let Some(gpu) = gpu() else { return };
    let (dim, users, items) = (4, 9, 300);
    let model = model(6, users, items, dim);
    let seen = vec![Vec::new(); users];
    let queries = queries(&model, &seen);
    let [on_users, on_seen, weights, biases] = inputs(gpu, &queries, rows_of(&model));
    let rows = rows_of(&model);
    let tiles = items.div_ceil(TILE);

    let keys = garbage(gpu, users * tiles + 64);
    let params = tile_best::Params {
        queries: users as u32,
        blocks: 2,
        items: items as u32,
        first_tile: 0,
        tiles: tiles as u32,
    };
    let kernel = Kernel::new(&tile_best::SPEC, &constants(dim));
    let buffers = [&on_users, &on_seen, &weights, &biases, &keys];
    gpu.launch(&kernel, &buffers, &params, 5);
    let words = read_words(gpu, &keys);
    for (number, &key) in words[..users * tiles].iter().enumerate() {
        let expected = tile_best(&queries[number / tiles], rows, tile_items(number % tiles, items));
        assert_eq!(key, expected, "query {}, tile {}", number / tiles, number % tiles);
    }
    assert!(words[users * tiles..].iter().all(|&word| word == GARBAGE.to_bits()));

    let chosen = upload(gpu, &[NO_KEY + 1, 3].repeat(users));
    let keys = garbage(gpu, (users + 4) * TILE);
    let params = tile_scores::Params {
        queries: users as u32,
        slots: 1,
        items: items as u32,
        first_tile: 0,
    };
    let kernel = Kernel::new(&tile_scores::SPEC, &constants(dim));
    let buffers = [&on_users, &on_seen, &weights, &biases, &chosen, &keys];
    gpu.launch(&kernel, &buffers, &params, users + 4);
    let words = read_words(gpu, &keys);
    for (query, received) in words[..users * TILE].chunks_exact(TILE).enumerate() {
        assert_eq!(received, tile_scores(&queries[query], rows, tile_items(3, items)));
    }
    assert!(words[users * TILE..].iter().all(|&word| word == GARBAGE.to_bits()));
}

#[track_caller]
fn assert_same_rankings(what: &str, received: &[Vec<ScoredItem>], expected: &[Vec<ScoredItem>]) {
    assert_eq!(received.len(), expected.len(), "{what}: queries");
    for (query, (received, expected)) in received.iter().zip(expected).enumerate() {
        assert_eq!(received.len(), expected.len(), "{what}: length for query {query}");
        for (place, (received, expected)) in received.iter().zip(expected).enumerate() {
            assert_eq!(received, expected, "{what}: query {query}, place {place}");
        }
    }
}

#[test]
fn rankings_equal_the_cpu_engines() {
    let Some(gpu) = gpu() else { return };
    for (users, items, dim, page_blocks) in [(20, 1000, 16, 1), (9, 5000, 8, 20), (1, 257, 64, 1), (8, 1300, 32, 2)] {
        let model = model(users as u64, users, items, dim);
        let seen = seen_lists(&mut rng(3), users, items);
        let queries: Vec<_> = (0..users)
            .map(|user| Query {
                user: model.user(UserIndex(user as u32)),
                seen: &seen[user],
            })
            .collect();
        let mut on_gpu = GpuScorer::with_pages(gpu, model.head, rows_of(&model), page_blocks).unwrap();
        let mut on_cpu = CpuScorer::new(&model, 1);
        for k in [0, 1, 10, 255, 256, 257, MAX_K, MAX_K + 1, items, items + 1] {
            let received = on_gpu.top_k(&queries, k).unwrap();
            let expected = on_cpu.top_k(&queries, k).unwrap();
            assert_same_rankings(&format!("{items} items, k {k}"), &received, &expected);
        }
        assert!(on_gpu.top_k(&[], 5).unwrap().is_empty());
    }
}

#[test]
fn many_batches_are_as_one() {
    let Some(gpu) = gpu() else { return };
    let model = model(4, 2100, 300, 4);
    let queries: Vec<_> = (0..2100)
        .map(|user| Query {
            user: model.user(UserIndex(user)),
            seen: &[],
        })
        .collect();
    let received = GpuScorer::new(gpu, &model).unwrap().top_k(&queries, 3).unwrap();
    let expected = CpuScorer::new(&model, 1).top_k(&queries, 3).unwrap();
    assert_same_rankings("2100 users", &received, &expected);
}

/// More workgroups than one dimension of a dispatch holds, of both kernels that score: launches are folded, kernels unfold.
#[test]
fn rankings_go_past_65_535_workgroups() {
    let Some(gpu) = gpu() else { return };
    let (users, items, k) = (512, 524_544usize, 129);
    assert!(users / QUERIES * items.div_ceil(BLOCK) > 65_535 && users * k > 65_535);
    let model = model(8, users, items, 4);
    let seen = vec![Vec::new(); users];
    let queries = queries(&model, &seen);
    let received = GpuScorer::new(gpu, &model).unwrap().top_k(&queries, k).unwrap();
    let expected = CpuScorer::new(&model, 0).top_k(&queries, k).unwrap();
    assert_same_rankings("524,544 items", &received, &expected);
}

/// What weights are like.
#[derive(Clone, Copy, Debug)]
enum World {
    /// Small whole numbers: every sum is exact, and ties abound.
    Whole,
    /// Numbers with digits, a third of the items copied from others.
    Real,
    /// All items alike.
    Equal,
    /// All items alike but for the last bits of a weight: which score is higher is decided by how sums are rounded.
    Close,
}

fn world(world: World, seed: u64, users: usize, items: usize, dim: usize) -> Model {
    if matches!(world, World::Whole) {
        return model(seed, users, items, dim);
    }
    let mut rng = rng(seed);
    let length = ROW_HEADER + dim;
    let mut rows = factor_rows(&mut rng, items, dim);
    for item in 1..items {
        let from = match world {
            World::Real if rng.random_range(0..3) == 0 => rng.random_range(0..item),
            World::Real => continue,
            _ => 0,
        };
        rows.copy_within(from * length..(from + 1) * length, item * length);
    }
    if matches!(world, World::Close) {
        for row in rows.chunks_exact_mut(length) {
            let weight = &mut row[ROW_HEADER + rng.random_range(0..dim)];
            *weight = f32::from_bits(weight.to_bits() ^ rng.random_range(0..4));
        }
    }
    Model {
        shape: ModelShape { users, items, dim },
        users: factor_rows(&mut rng, users, dim),
        items: rows,
        head: HEAD,
        choices: None,
    }
}

/// The keys of all items for each query, `[queries, items]`, as the device scores them.
fn device_keys(gpu: Gpu, model: &Model, queries: &[Query]) -> Vec<Vec<u32>> {
    let ModelShape { items, dim, .. } = model.shape;
    let tiles = items.div_ceil(TILE);
    let chosen: Vec<u32> = (0..tiles as u32).flat_map(|tile| [NO_KEY + 1, tile]).collect();
    let chosen = upload(gpu, &chosen.repeat(queries.len()));
    let keys = garbage(gpu, queries.len() * tiles * TILE);
    let [users, seen, weights, biases] = inputs(gpu, queries, rows_of(model));
    let params = tile_scores::Params {
        queries: queries.len() as u32,
        slots: tiles as u32,
        items: items as u32,
        first_tile: 0,
    };
    TileScores::new(dim).launch(gpu, &users, &seen, &weights, &biases, &chosen, &keys, &params);
    let words = read_words(gpu, &keys);
    words
        .chunks_exact(tiles * TILE)
        .map(|keys| keys[..items].to_vec())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rankings_are_the_head_of_a_full_sort(
        seed: u64,
        kind in prop_oneof![Just(World::Whole), Just(World::Real), Just(World::Equal), Just(World::Close)],
        users in 1usize..40,
        items in prop_oneof![1usize..70, 70usize..600, 600usize..3_000],
        dim in prop_oneof![Just(4usize), Just(60usize), Just(64usize), Just(100usize)],
        seen_share in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0],
        k in prop_oneof![1usize..12, 1usize..120, 1usize..=MAX_K],
        page_blocks in 1usize..12,
    ) {
        let Some(gpu) = gpu() else { return Ok(()) };
        let model = world(kind, seed, users, items, dim);
        let mut rng = rng(seed);
        let all = (0..items as u32).map(ItemIndex);
        let seen: Vec<Vec<_>> = (0..users)
            .map(|_| all.clone().filter(|_| rng.random_bool(seen_share)).collect())
            .collect();
        let queries = queries(&model, &seen);
        let mut scorer = GpuScorer::with_pages(gpu, model.head, rows_of(&model), page_blocks).unwrap();
        let rankings = scorer.top_k(&queries, k).unwrap();

        prop_assert_eq!(rankings.len(), users);
        for ((ranking, query), keys) in rankings.iter().zip(&queries).zip(device_keys(gpu, &model, &queries)) {
            let mut sorted: Vec<_> = keys.into_iter().zip((0..).map(ItemIndex)).collect();
            sorted.retain(|&(key, _)| key != NO_KEY);
            sorted.sort_by_key(|&(key, item)| (std::cmp::Reverse(key), item));
            let sorted = sorted.into_iter().take(k).map(|(key, item)| ScoredItem {
                item,
                logit: HEAD.logit(score_of(key) + query.user[0]),
            });
            prop_assert_eq!(ranking, &sorted.collect::<Vec<_>>());
            prop_assert_eq!(ranking.len(), k.min(items - query.seen.len()));
        }
        // One by one, and in another company.
        let alone = scorer.top_k(&queries[users - 1..], k).unwrap();
        prop_assert_eq!(&alone[0], &rankings[users - 1]);
        let half = users / 2;
        prop_assert_eq!(&scorer.top_k(&queries[half..], k).unwrap()[..], &rankings[half..]);
        if matches!(kind, World::Whole) {
            prop_assert_eq!(rankings, CpuScorer::new(&model, 1).top_k(&queries, k).unwrap());
        }
    }
}

#[test]
fn a_score_that_is_no_number_is_an_error_on_the_device_too() {
    let Some(gpu) = gpu() else { return };
    let mut model = model(9, 20, 1000, 8);
    model.items[765 * model.shape.factor_len() + 6] = f32::NAN;
    let seen = vec![Vec::new(); 20];
    let error = GpuScorer::new(gpu, &model)
        .unwrap()
        .top_k(&queries(&model, &seen), 5)
        .unwrap_err();
    assert!(
        matches!(error, EngineError::NotFinite { item: ItemIndex(765) }),
        "{error}"
    );
}

#[test]
fn scores_are_close() {
    let Some(gpu) = gpu() else { return };
    for dim in [64, 100] {
        let mut rng = rng(5);
        let model = Model {
            shape: ModelShape {
                users: 30,
                items: 700,
                dim,
            },
            users: factor_rows(&mut rng, 30, dim),
            items: factor_rows(&mut rng, 700, dim),
            head: Head { scale: 1.5, bias: 0.25 },
            choices: None,
        };
        let mut on_gpu = GpuScorer::new(gpu, &model).unwrap();
        let mut on_cpu = CpuScorer::new(&model, 1);
        let users: Vec<_> = (0..5000)
            .map(|_| model.user(UserIndex(rng.random_range(0..30))))
            .collect();
        let items: Vec<_> = (0..5000).map(|_| ItemIndex(rng.random_range(0..700))).collect();
        let received = on_gpu.score_pairs(&users, &items).unwrap();
        assert_close("pairs", &received, &on_cpu.score_pairs(&users, &items).unwrap());

        let query = Query {
            user: users[0],
            seen: &[3, 5].map(ItemIndex),
        };
        let [received, expected] = [on_gpu.top_k(&[query], 20), on_cpu.top_k(&[query], 20)].map(|rankings| {
            let ranking = rankings.unwrap().remove(0);
            ranking.iter().map(|item| item.logit).collect::<Vec<_>>()
        });
        assert_close("ranking", &received, &expected);
    }
}

/// At dim 512 the rows of 65,536 pairs are more than software Vulkan binds.
#[test]
fn pairs_of_long_rows_fit_what_the_device_binds() {
    let Some(gpu) = gpu() else { return };
    let model = model(10, 3, 5, 512);
    let users: Vec<_> = (0..70_000).map(|pair| model.user(UserIndex(pair % 3))).collect();
    let items: Vec<_> = (0..70_000).map(|pair| ItemIndex(pair % 5)).collect();
    let received = GpuScorer::new(gpu, &model)
        .unwrap()
        .score_pairs(&users, &items)
        .unwrap();
    assert_eq!(received, CpuScorer::new(&model, 1).score_pairs(&users, &items).unwrap());
}

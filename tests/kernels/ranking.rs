//! Ranking: `score_top_k` and `merge_top_k` against their twins, and the two scorers against each other.
//!
//! Weights are small integers, so that every sum is exact in any order: rankings have to be the same item by item, and there
//! are ties everywhere. Scores with digits after the point are compared in `scores_are_close`.

use crate::gpu::gpu;
use crate::support::{assert_close, factor_rows, garbage, rng, upload};
use dotcart::device::{Buffer, Gpu};
use dotcart::engine::cpu::CpuScorer;
use dotcart::engine::cpu::item_rows::ItemRows;
use dotcart::engine::cpu::merge_top_k::merge_top_k;
use dotcart::engine::cpu::score_top_k::{Candidate, score_top_k};
use dotcart::engine::cpu::thresholds::Thresholds;
use dotcart::engine::gpu::merge_top_k::{self, FAN_IN, MergeTopK};
use dotcart::engine::gpu::score_top_k::{self, NO_ITEM, NO_KEY, ScoreTopK, TILE, lay_out, score_of};
use dotcart::engine::gpu::scorer::{GpuScorer, MAX_K};
use dotcart::engine::gpu::{WORKGROUP, constants};
use dotcart::engine::{Query, ScoredItem, Scorer};
use dotcart::launch::Kernel;
use dotcart::model::{Head, Model, ModelShape, ROW_HEADER};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

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
        head: Head { scale: 2.0, bias: -1.0 },
    }
}

/// Seen lists of every kind: none, some, all, all but one.
fn seen_lists(rng: &mut ChaCha8Rng, queries: usize, items: usize) -> Vec<Vec<u32>> {
    let all = 0..items as u32;
    (0..queries)
        .map(|query| match query % 4 {
            0 => Vec::new(),
            1 => all.clone().filter(|_| rng.random_range(0..3) == 0).collect(),
            2 => all.clone().collect(),
            _ => all.clone().filter(|&item| item as usize != items / 2).collect(),
        })
        .collect()
}

fn candidates(words: &[u32]) -> Vec<Candidate> {
    let pairs = words.as_chunks::<2>().0.iter();
    let found = pairs.take_while(|[key, _]| *key != NO_KEY);
    found
        .map(|&[key, item]| Candidate {
            item,
            score: score_of(key),
        })
        .collect()
}

fn read_words(gpu: Gpu, buffer: &Buffer) -> Vec<u32> {
    gpu.read(&[buffer]).wait_one("a test").unwrap()
}

#[test]
fn keys_are_in_the_order_of_scores() {
    // The twin of the shader's `key_of`, against what reads it back.
    for score in [
        -f32::MAX,
        -1.5,
        -f32::MIN_POSITIVE,
        0.0,
        f32::MIN_POSITIVE,
        1.0,
        f32::MAX,
    ] {
        let bits = score.to_bits();
        let key = if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 };
        assert!(key > NO_KEY);
        assert_eq!(score_of(key), score);
    }
}

#[test]
fn score_top_k_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    for (dim, items, queries, list_len) in [
        (8, 1, 1, 1),
        (16, 255, 7, 10),
        (32, 256, 8, 256),
        (64, 257, 9, 5),
        (100, 600, 20, 100),
        (128, 512, 3, 1),
        (512, 300, 2, 17),
        (4, 0, 2, 3),
    ] {
        let model = model(items as u64, queries, items, dim);
        let seen = seen_lists(&mut rng(1), queries, items);
        let tiles = items.div_ceil(TILE);
        let (weights, biases) = lay_out(&model.items, dim);
        let mut seen_words = vec![queries as u32 + 1];
        for list in &seen {
            seen_words.push(seen_words[seen_words.len() - 1] + list.len() as u32);
        }
        seen_words.extend(seen.iter().flatten());
        let lists = garbage(gpu, queries * tiles * list_len * 2);
        ScoreTopK::new(dim).launch(
            gpu,
            &upload(gpu, &model.users),
            &upload(gpu, &seen_words),
            &upload(gpu, &weights),
            &upload(gpu, &biases),
            &lists,
            &score_top_k::Params {
                queries: queries as u32,
                tiles: tiles as u32,
                first_item: 0,
                items: items as u32,
                list_len: list_len as u32,
            },
        );
        let words = read_words(gpu, &lists);
        for (number, list) in words.chunks_exact(list_len * 2).enumerate() {
            let (query, tile) = (number / tiles, number % tiles);
            let rows = ItemRows::of_factors(&model.items, dim);
            let query_of = Query {
                user: model.user(query as u32),
                seen: &seen[query],
            };
            let of_tile = tile * TILE..items.min((tile + 1) * TILE);
            let expected = score_top_k(&query_of, rows, of_tile, list_len, &Thresholds::new(1), 0);
            assert_eq!(
                candidates(list),
                expected,
                "dim {dim}, {items} items, query {query}, tile {tile}"
            );
            let left_over = &list[expected.len() * 2..];
            assert!(left_over.chunks(2).all(|pair| pair == [NO_KEY, NO_ITEM]));
        }
    }
}

/// A folded dispatch has workgroups to spare. (A really folded one is tested with the other kernels, which unfold it by the
/// same function: here the software driver takes a minute for 65,536 workgroups.)
#[test]
fn score_top_k_leaves_spare_workgroups_idle() {
    let Some(gpu) = gpu() else { return };
    let (dim, queries, items) = (4, 9, 300);
    let model = model(6, queries, items, dim);
    let (weights, biases) = lay_out(&model.items, dim);
    let lists = garbage(gpu, queries * 2 * 2);
    let kernel = Kernel::new(&score_top_k::SPEC, &constants(dim));
    let buffers = [
        &upload(gpu, &model.users),
        &upload(gpu, &vec![queries as u32 + 1; queries + 1]),
        &upload(gpu, &weights),
        &upload(gpu, &biases),
        &lists,
    ];
    let params = score_top_k::Params {
        queries: queries as u32,
        tiles: 1,
        first_item: 0,
        items: items as u32,
        list_len: 1,
    };
    gpu.launch(&kernel, &buffers, &params, 70_000);
    let words = read_words(gpu, &lists);
    let (written, rest) = words.split_at(queries * 2);
    for (query, list) in written.chunks(2).enumerate() {
        let query = Query {
            user: model.user(query as u32),
            seen: &[],
        };
        let rows = ItemRows::of_factors(&model.items, dim);
        assert_eq!(
            candidates(list),
            score_top_k(&query, rows, 0..TILE, 1, &Thresholds::new(1), 0)
        );
    }
    assert!(rest.iter().all(|&word| word == crate::support::GARBAGE.to_bits()));
}

#[test]
fn merge_top_k_equals_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut rng = rng(2);
    for (queries, lists, list_len, k) in [
        (1, 1, 1, 1),
        (3, 2, 255, 256),
        (2, FAN_IN, 256, 1024),
        (5, FAN_IN + 1, 10, 10),
        (2, 257, 3, 7),
        (3, 5, 2, 40),
    ] {
        // Ranked lists with ties and with places that nothing is left for; an item stands in one list only.
        let mut words = Vec::new();
        let mut all = vec![Vec::new(); queries];
        for all in &mut all {
            for list in 0..lists {
                let filled = rng.random_range(0..=list_len);
                let items = (0..filled).map(|at| (list * list_len + at) as u32);
                let scored = items.map(|item| Candidate {
                    item,
                    score: rng.random_range(-3..=3) as f32,
                });
                let ranked = merge_top_k(scored, list_len);
                all.extend_from_slice(&ranked);
                let key = |score: f32| match score.to_bits() {
                    bits if bits >> 31 == 1 => !bits,
                    bits => bits | 0x8000_0000,
                };
                words.extend(ranked.iter().flat_map(|one| [key(one.score), one.item]));
                words.extend((filled..list_len).flat_map(|_| [NO_KEY, NO_ITEM]));
            }
        }
        let kernel = MergeTopK::new(8);
        let (mut count, mut length) = (lists, list_len);
        let mut lists = upload(gpu, &words);
        while count > FAN_IN {
            let params = merge_top_k::Params::level(queries, count, length, k);
            (count, length) = (params.groups as usize, params.merged_len as usize);
            let merged = garbage(gpu, queries * count * length * 2);
            kernel.launch(gpu, &lists, &merged, &params);
            lists = merged;
        }
        // Into the second of three lists a query; the others stay as they were.
        let merged = garbage(gpu, queries * 3 * k * 2);
        kernel.launch(
            gpu,
            &lists,
            &merged,
            &merge_top_k::Params::last(queries, count, length, 3, 1, k),
        );
        let merged = read_words(gpu, &merged);
        for (query, lists) in merged.chunks_exact(3 * k * 2).enumerate() {
            let lists: Vec<_> = lists.chunks_exact(k * 2).collect();
            let expected = merge_top_k(all[query].iter().copied(), k);
            assert_eq!(candidates(lists[1]), expected, "query {query} of {queries}, k {k}");
            assert!(
                lists[1][expected.len() * 2..]
                    .chunks(2)
                    .all(|pair| pair == [NO_KEY, NO_ITEM])
            );
            for other in [lists[0], lists[2]] {
                assert!(other.iter().all(|&word| word == crate::support::GARBAGE.to_bits()));
            }
        }
    }
}

/// More workgroups than one dimension of a dispatch holds: the launch is folded and the kernel unfolds it.
#[test]
fn merge_top_k_goes_past_65_535_workgroups() {
    let Some(gpu) = gpu() else { return };
    let queries = 65_600 * WORKGROUP / FAN_IN;
    let params = merge_top_k::Params::last(queries, 2, 1, 1, 0, 1);
    assert!(queries * params.span as usize / WORKGROUP > 65_535);
    // Two lists of one candidate each; in every third query the second one wins.
    let best = |query: usize| {
        [
            100 + query as u32,
            2 * query as u32 + u32::from(query.is_multiple_of(3)),
        ]
    };
    let words: Vec<u32> = (0..queries)
        .flat_map(|query| {
            let loser = [99, 2 * query as u32 + u32::from(!query.is_multiple_of(3))];
            let lists = if query.is_multiple_of(3) {
                [loser, best(query)]
            } else {
                [best(query), loser]
            };
            lists.concat()
        })
        .collect();
    let merged = garbage(gpu, queries * 2);
    MergeTopK::new(8).launch(gpu, &upload(gpu, &words), &merged, &params);
    let merged = read_words(gpu, &merged);
    for (query, received) in merged.as_chunks::<2>().0.iter().enumerate() {
        assert_eq!(*received, best(query), "query {query} of {queries}");
    }
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
    for (users, items, dim, page_tiles) in [(20, 1000, 16, 1), (9, 5000, 8, 20), (1, 257, 64, 1), (8, 1300, 32, 2)] {
        let model = model(users as u64, users, items, dim);
        let seen = seen_lists(&mut rng(3), users, items);
        let queries: Vec<_> = (0..users)
            .map(|user| Query {
                user: model.user(user as u32),
                seen: &seen[user],
            })
            .collect();
        let mut on_gpu = GpuScorer::with_pages(gpu, &model, page_tiles).unwrap();
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
            user: model.user(user),
            seen: &[],
        })
        .collect();
    let received = GpuScorer::new(gpu, &model).unwrap().top_k(&queries, 3).unwrap();
    let expected = CpuScorer::new(&model, 1).top_k(&queries, 3).unwrap();
    assert_same_rankings("2100 users", &received, &expected);
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
        };
        let mut on_gpu = GpuScorer::new(gpu, &model).unwrap();
        let mut on_cpu = CpuScorer::new(&model, 1);
        let users: Vec<_> = (0..5000).map(|_| model.user(rng.random_range(0..30))).collect();
        let items: Vec<_> = (0..5000).map(|_| rng.random_range(0..700)).collect();
        let received = on_gpu.score_pairs(&users, &items).unwrap();
        assert_close("pairs", &received, &on_cpu.score_pairs(&users, &items).unwrap());

        let query = Query {
            user: users[0],
            seen: &[3, 5],
        };
        let [received, expected] = [on_gpu.top_k(&[query], 20), on_cpu.top_k(&[query], 20)].map(|rankings| {
            let ranking = rankings.unwrap().remove(0);
            ranking.iter().map(|item| item.logit).collect::<Vec<_>>()
        });
        assert_close("ranking", &received, &expected);
    }
}

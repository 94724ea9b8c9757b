//! The cpu engine's top k against a full sort by the fixed-order score, bit for bit, however many are asked for at once.

use dotcart::common::interaction::{ItemIndex, UserIndex};
use dotcart::engine::cpu::CpuScorer;
use dotcart::engine::cpu::pair_logits::dot;
use dotcart::engine::model::{Head, Model, ModelShape, ROW_HEADER};
use dotcart::engine::{EngineError, Query, ScoredItem, Scorer};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HEAD: Head = Head { scale: 0.5, bias: -3.0 };

/// What weights are like.
#[derive(Clone, Copy, Debug)]
enum World {
    /// Small whole numbers: every sum is exact and ties abound.
    Whole,
    /// Numbers with digits, a third of the items copied from others: sums depend on their order, and equal rows tie.
    Real,
    /// As `Real`, from tiny to huge, so that a sum cancels and its rounding errors are as large as its result.
    Wild,
    /// All items alike.
    Equal,
    /// All items alike but for the last bits of a weight: which score is higher is decided by how sums are rounded.
    Close,
}

proptest! {
    #[test]
    fn top_k_is_the_head_of_a_full_sort(
        seed: u64,
        world in prop_oneof![Just(World::Whole), Just(World::Real), Just(World::Wild), Just(World::Equal), Just(World::Close)],
        users in prop_oneof![1usize..4, 4usize..110],
        items in prop_oneof![1usize..40, 40usize..400, 4_000usize..9_000],
        dim in prop_oneof![1usize..20, Just(64usize)],
        seen_share in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0],
        k in prop_oneof![0usize..12, 0usize..120, 0usize..10_000],
        threads in 1usize..4,
    ) {
        // A full sort of every user of the largest worlds would take the whole of the test's time.
        let users = if items > 400 { users.min(60) } else { users };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let model = model(&mut random, world, ModelShape { users, items, dim });
        let all = (0..items as u32).map(ItemIndex);
        let seen: Vec<Vec<_>> = (0..users)
            .map(|_| all.clone().filter(|_| random.random_bool(seen_share)).collect())
            .collect();
        let queries: Vec<Query> = seen
            .iter()
            .zip((0..).map(UserIndex))
            .map(|(seen, user)| Query { user: model.user(user), seen })
            .collect();

        let mut scorer = CpuScorer::new(&model, threads);
        let ranked = scorer.top_k(&queries, k).unwrap();

        prop_assert_eq!(ranked.len(), users);
        for (ranked, query) in ranked.iter().zip(&queries) {
            prop_assert_eq!(ranked, &full_sort(&model, query, k));
        }
        // One by one, and in another company.
        let alone = scorer.top_k(&queries[..1], k).unwrap();
        prop_assert_eq!(&alone[0], &ranked[0]);
        let half = users / 2;
        prop_assert_eq!(&scorer.top_k(&queries[half..], k).unwrap()[..], &ranked[half..]);
    }
}

/// Every unseen item, best first, ties by index; then the first `k`.
fn full_sort(model: &Model, query: &Query, k: usize) -> Vec<ScoredItem> {
    let mut all: Vec<(f32, ItemIndex)> = (0..model.shape.items as u32)
        .map(ItemIndex)
        .filter(|item| query.seen.binary_search(item).is_err())
        .map(|item| {
            let row = model.item(item);
            (dot(&query.user[ROW_HEADER..], &row[ROW_HEADER..]) + row[0], item)
        })
        .collect();
    all.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
    all.truncate(k);
    let scored = |(score, item): (f32, ItemIndex)| ScoredItem {
        item,
        logit: HEAD.logit(score + query.user[0]),
    };
    all.into_iter().map(scored).collect()
}

fn model(random: &mut ChaCha8Rng, world: World, shape: ModelShape) -> Model {
    let number = |random: &mut ChaCha8Rng, whole: i32| match world {
        World::Whole => random.random_range(-whole..=whole) as f32,
        World::Real | World::Equal | World::Close => random.random_range(-1.0..1.0),
        World::Wild => random.random_range(-1.0f32..1.0) * 10f32.powi(random.random_range(-6..=6)),
    };
    let mut table = |rows: usize| {
        let mut table: Vec<f32> = Vec::new();
        for row in 0..rows {
            if row > 0 && matches!(world, World::Real | World::Wild) && random.random_range(0..3) == 0 {
                let from = random.random_range(0..row) * shape.factor_len();
                table.extend_from_within(from..from + shape.factor_len());
                continue;
            }
            table.extend([number(random, 2), 0.0, 0.0, 0.0]);
            table.extend((0..shape.dim).map(|_| number(random, 1)));
        }
        table
    };
    let (users, mut items) = (table(shape.users), table(shape.items));
    if matches!(world, World::Equal | World::Close) {
        items = items[..shape.factor_len()].repeat(shape.items);
    }
    if matches!(world, World::Close) {
        for row in items.chunks_exact_mut(shape.factor_len()) {
            let weight = &mut row[ROW_HEADER + random.random_range(0..shape.dim)];
            *weight = f32::from_bits(weight.to_bits() ^ random.random_range(0..4));
        }
    }
    Model {
        shape,
        users,
        items,
        head: HEAD,
        choices: None,
    }
}

#[test]
fn a_score_that_is_no_number_is_an_error_and_no_recommendation() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let shape = ModelShape {
        users: 60,
        items: 5000,
        dim: 8,
    };
    let mut model = model(&mut random, World::Real, shape);
    model.items[4321 * shape.factor_len() + 7] = f32::NAN;
    let query = |user| Query {
        user: model.user(user),
        seen: &[],
    };
    let queries: Vec<Query> = (0..60).map(UserIndex).map(query).collect();
    for count in [1, 60] {
        let error = CpuScorer::new(&model, 2).top_k(&queries[..count], 5).unwrap_err();
        assert!(
            matches!(error, EngineError::NotFinite { item: ItemIndex(4321) }),
            "{error}"
        );
    }
}

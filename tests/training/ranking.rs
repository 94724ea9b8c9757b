//! The cpu engine's top k against a full sort, in worlds of small whole numbers: sums are exact and ties abound.

use dotcart::engine::cpu::CpuScorer;
use dotcart::engine::{Query, ScoredItem, Scorer};
use dotcart::model::{Head, Model, ModelShape, ROW_HEADER};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A power of two, so that logits are exact too.
const HEAD: Head = Head { scale: 0.5, bias: -3.0 };

proptest! {
    #[test]
    fn top_k_is_the_head_of_a_full_sort(
        seed: u64,
        users in 1usize..4,
        items in prop_oneof![1usize..40, 4_000usize..9_000],
        dim in 1usize..20,
        seen_share in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0],
        k in prop_oneof![0usize..12, 0usize..10_000],
    ) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let model = whole_numbers(&mut random, ModelShape { users, items, dim });
        let seen: Vec<Vec<u32>> = (0..users)
            .map(|_| (0..items as u32).filter(|_| random.random_bool(seen_share)).collect())
            .collect();
        let queries: Vec<Query> = seen
            .iter()
            .enumerate()
            .map(|(user, seen)| Query { user: model.user(user as u32), seen })
            .collect();

        let ranked = CpuScorer::new(&model, 2).top_k(&queries, k).unwrap();

        prop_assert_eq!(ranked.len(), users);
        for (ranked, query) in ranked.iter().zip(&queries) {
            prop_assert_eq!(ranked, &full_sort(&model, query, k));
        }
    }
}

/// Every unseen item, best logit first, ties by index; then the first `k`.
fn full_sort(model: &Model, query: &Query, k: usize) -> Vec<ScoredItem> {
    let mut all: Vec<_> = (0..model.shape.items as u32)
        .filter(|item| query.seen.binary_search(item).is_err())
        .map(|item| {
            let (user, row) = (query.user, model.item(item));
            let dot: f32 = (ROW_HEADER..user.len()).map(|column| user[column] * row[column]).sum();
            ScoredItem {
                item,
                logit: HEAD.scale * (dot + user[0] + row[0]) + HEAD.bias,
            }
        })
        .collect();
    all.sort_by(|a, b| b.logit.partial_cmp(&a.logit).unwrap().then(a.item.cmp(&b.item)));
    all.truncate(k);
    all
}

fn whole_numbers(random: &mut ChaCha8Rng, shape: ModelShape) -> Model {
    let mut table = |rows: usize| {
        let mut table = Vec::new();
        for _ in 0..rows {
            table.extend([random.random_range(-2..=2) as f32, 0.0, 0.0, 0.0]);
            table.extend((0..shape.dim).map(|_| random.random_range(-1..=1) as f32));
        }
        table
    };
    Model {
        shape,
        users: table(shape.users),
        items: table(shape.items),
        head: HEAD,
    }
}

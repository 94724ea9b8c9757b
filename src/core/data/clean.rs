//! Cleaning: one rating a pair of user and product, and users and products with enough of them.

use super::interactions::Interactions;
use super::report::{CoreReport, DuplicateReport};
use super::vocabulary::Vocabulary;
use crate::common::interaction::{DenseIndex, ItemIndex, UserIndex};
use crate::config::Duplicates;

/// A pair with several ratings where there must be none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conflict {
    pub user: UserIndex,
    pub item: ItemIndex,
    pub first: f32,
    pub second: f32,
}

/// Leaves one rating a pair. Rows must be grouped by user, a user's rows in file order.
///
/// `last` and `first` go by timestamp and, where there is none or it is the same, by file order; `mean` keeps the place of the
/// pair's first row and its last timestamp. Counts of choices add up instead (`adds_up`), in the same place. Errors only if the
/// policy is `error` and a pair has several ratings.
pub fn deduplicate(
    interactions: &mut Interactions,
    policy: Duplicates,
    adds_up: bool,
) -> Result<DuplicateReport, Conflict> {
    let mut report = DuplicateReport {
        policy,
        pairs: 0,
        conflicts: 0,
        rows_removed: 0,
        by_file_order: 0,
    };
    let mut keep: Vec<bool> = Vec::new();
    let mut order: Vec<usize> = Vec::new();
    let rows = interactions.len();
    let mut start = 0;
    while start < rows {
        let user = interactions.users[start];
        let rest = &interactions.users[start..];
        let end = start + rest.iter().position(|other| *other != user).unwrap_or(rest.len());
        // Most users have one rating.
        if end - start == 1 {
            start = end;
            continue;
        }
        order.clear();
        order.extend(start..end);
        order.sort_by_key(|&row| interactions.items[row]);
        for pair in order.chunk_by(|&a, &b| interactions.items[a] == interactions.items[b]) {
            if pair.len() == 1 {
                continue;
            }
            let ratings = &interactions.ratings;
            if policy == Duplicates::Error {
                return Err(Conflict {
                    user,
                    item: interactions.items[pair[0]],
                    first: ratings[pair[0]],
                    second: ratings[pair[1]],
                });
            }
            report.pairs += 1;
            report.conflicts += usize::from(pair.iter().any(|&row| ratings[row] != ratings[pair[0]]));
            report.rows_removed += pair.len() - 1;
            let time = |row: usize| interactions.timestamps.as_ref().map_or(0, |timestamps| timestamps[row]);
            // The sort is stable: equal times are in file order, and max takes the last, min the first.
            let last = *pair.iter().max_by_key(|&&row| time(row)).expect("a pair has rows");
            let first = *pair.iter().min_by_key(|&&row| time(row)).expect("a pair has rows");
            let chosen = match policy {
                _ if adds_up => pair[0],
                Duplicates::First => first,
                Duplicates::Last => last,
                Duplicates::Mean | Duplicates::Error => pair[0],
            };
            let ties = pair.iter().filter(|&&row| time(row) == time(chosen)).count();
            let is_merged = adds_up || policy == Duplicates::Mean;
            report.by_file_order += usize::from(!is_merged && ties > 1);
            if is_merged {
                let sum: f64 = pair.iter().map(|&row| f64::from(ratings[row])).sum();
                let latest = time(last);
                let rows = if adds_up { 1.0 } else { pair.len() as f64 };
                interactions.ratings[chosen] = (sum / rows) as f32;
                if let Some(timestamps) = &mut interactions.timestamps {
                    timestamps[chosen] = latest;
                }
            }
            if keep.is_empty() {
                keep.resize(rows, true);
            }
            pair.iter().for_each(|&row| keep[row] = row == chosen);
        }
        start = end;
    }
    if !keep.is_empty() {
        retain(interactions, &keep);
    }
    Ok(report)
}

/// Leaves out users and products with too few ratings until all that are left have enough; vocabularies follow.
///
/// The k-core of the graph of ratings: the order of removal does not matter, so neither does the order of rows. What is left is
/// numbered by the rows that are left, so a table sorted by user that was cleaned elsewhere gives the same numbers.
pub fn k_core(
    users: &mut Vocabulary<UserIndex>,
    items: &mut Vocabulary<ItemIndex>,
    interactions: &mut Interactions,
    min_per_user: usize,
    min_per_item: usize,
) -> Option<CoreReport> {
    if min_per_user <= 1 && min_per_item <= 1 {
        return None;
    }
    let rows = interactions.len();
    let mut user_counts = counts(&interactions.users, users.len());
    let mut item_counts = counts(&interactions.items, items.len());
    let mut keep = vec![true; rows];
    let mut passes = 0;
    loop {
        passes += 1;
        let mut removed = false;
        for (row, keep) in keep.iter_mut().enumerate() {
            let (user, item) = (interactions.users[row].index(), interactions.items[row].index());
            if *keep && (user_counts[user] < min_per_user || item_counts[item] < min_per_item) {
                *keep = false;
                user_counts[user] -= 1;
                item_counts[item] -= 1;
                removed = true;
            }
        }
        if !removed {
            break;
        }
    }
    let (users_before, items_before) = (users.len(), items.len());
    if keep.contains(&false) {
        retain(interactions, &keep);
        renumber(users, &mut interactions.users);
        renumber(items, &mut interactions.items);
    }
    Some(CoreReport {
        passes,
        users_removed: users_before - users.len(),
        items_removed: items_before - items.len(),
        rows_removed: rows - interactions.len(),
    })
}

fn counts(index: &[impl DenseIndex], count: usize) -> Vec<usize> {
    let mut counts = vec![0; count];
    index.iter().for_each(|&index| counts[index.index()] += 1);
    counts
}

/// Keeps the ids that still occur, in the order of their first rows.
fn renumber<Index: DenseIndex>(ids: &mut Vocabulary<Index>, index: &mut [Index]) {
    let mut left = Vocabulary::default();
    let mut new = vec![None; ids.len()];
    for index in index {
        let old = *index;
        *index = *new[old.index()].get_or_insert_with(|| left.intern(ids.id(old)));
    }
    *ids = left;
}

fn retain(interactions: &mut Interactions, keep: &[bool]) {
    fn column<T>(values: &mut Vec<T>, keep: &[bool]) {
        let mut keep = keep.iter();
        values.retain(|_| *keep.next().expect("a flag a row"));
    }
    column(&mut interactions.users, keep);
    column(&mut interactions.items, keep);
    column(&mut interactions.ratings, keep);
    if let Some(timestamps) = &mut interactions.timestamps {
        column(timestamps, keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(of: &[(u32, u32, f32, i64)]) -> Interactions {
        Interactions {
            users: of.iter().map(|row| UserIndex(row.0)).collect(),
            items: of.iter().map(|row| ItemIndex(row.1)).collect(),
            ratings: of.iter().map(|row| row.2).collect(),
            timestamps: Some(of.iter().map(|row| row.3).collect()),
        }
    }

    #[test]
    fn one_rating_a_pair_is_left_by_time_then_by_file_order() {
        let file = [
            (0, 7, 1.0, 50),
            (0, 7, 4.0, 90),
            (0, 7, 2.0, 90),
            (0, 8, 3.0, 1),
            (1, 7, 5.0, 1),
        ];
        let left = |policy| {
            let mut interactions = rows(&file);
            let report = deduplicate(&mut interactions, policy, false).unwrap();
            assert_eq!((report.pairs, report.conflicts, report.rows_removed), (1, 1, 2));
            (
                interactions.ratings,
                interactions.timestamps.unwrap()[0],
                report.by_file_order,
            )
        };
        assert_eq!(left(Duplicates::Last), (vec![2.0, 3.0, 5.0], 90, 1));
        assert_eq!(left(Duplicates::First), (vec![1.0, 3.0, 5.0], 50, 0));
        assert_eq!(left(Duplicates::Mean), (vec![7.0 / 3.0, 3.0, 5.0], 90, 0));
        let conflict = deduplicate(&mut rows(&file), Duplicates::Error, false).unwrap_err();
        assert_eq!(
            (conflict.item, conflict.first, conflict.second),
            (ItemIndex(7), 1.0, 4.0)
        );
        let mut untimed = Interactions {
            timestamps: None,
            ..rows(&file)
        };
        deduplicate(&mut untimed, Duplicates::First, false).unwrap();
        assert_eq!(untimed.ratings, [1.0, 3.0, 5.0]);
        let mut counts = rows(&file);
        deduplicate(&mut counts, Duplicates::Last, true).unwrap();
        assert_eq!(
            (counts.ratings, counts.timestamps.unwrap()[0]),
            (vec![7.0, 3.0, 5.0], 90)
        );
    }

    #[test]
    fn the_core_is_reached_by_several_passes() {
        // Two users who share two products, and a tail that falls off from its end, against the order of the rows.
        let mut interactions = rows(&[
            (0, 0, 5.0, 1),
            (0, 1, 5.0, 1),
            (1, 0, 5.0, 1),
            (1, 1, 5.0, 1),
            (2, 1, 5.0, 1),
            (2, 2, 5.0, 1),
            (3, 2, 5.0, 1),
        ]);
        let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
        for id in ["a", "b", "c", "d"] {
            users.intern(id);
        }
        for id in ["x", "y", "z"] {
            items.intern(id);
        }
        let report = k_core(&mut users, &mut items, &mut interactions, 2, 2).unwrap();
        let wanted = CoreReport {
            passes: 4,
            users_removed: 2,
            items_removed: 1,
            rows_removed: 3,
        };
        assert_eq!(report, wanted);
        assert!(users.ids().eq(["a", "b"]) && items.ids().eq(["x", "y"]));
        assert_eq!(interactions.users, [0, 0, 1, 1].map(UserIndex));
        assert_eq!(interactions.items, [0, 1, 0, 1].map(ItemIndex));
    }

    #[test]
    fn what_is_left_is_numbered_by_the_rows_that_are_left() {
        // `y` is met first with a user who goes.
        let mut interactions = rows(&[
            (0, 0, 5.0, 1),
            (1, 1, 5.0, 1),
            (1, 0, 5.0, 1),
            (2, 1, 5.0, 1),
            (2, 0, 5.0, 1),
        ]);
        let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
        for (user, item) in [("a", "y"), ("b", "x"), ("c", "x")] {
            users.intern(user);
            items.intern(item);
        }
        k_core(&mut users, &mut items, &mut interactions, 2, 1);
        assert!(users.ids().eq(["b", "c"]) && items.ids().eq(["x", "y"]));
        assert_eq!(interactions.users, [0, 0, 1, 1].map(UserIndex));
        assert_eq!(interactions.items, [0, 1, 0, 1].map(ItemIndex));
    }

    proptest! {
        #[test]
        fn the_core_has_enough_of_all_and_does_not_depend_on_row_order(
            pairs in prop::collection::btree_set((0u32..12, 0u32..12), 0..90), least in 1usize..4, seed: u64
        ) {
            let core = |pairs: &[(u32, u32)]| {
                let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
                let mut interactions = Interactions::default();
                for (user, item) in pairs {
                    interactions.users.push(users.intern(&user.to_string()));
                    interactions.items.push(items.intern(&item.to_string()));
                    interactions.ratings.push(1.0);
                }
                k_core(&mut users, &mut items, &mut interactions, least, 2);
                let mut left: Vec<(String, String)> = (0..interactions.len())
                    .map(|row| (users.id(interactions.users[row]).into(), items.id(interactions.items[row]).into()))
                    .collect();
                left.sort();
                assert!(counts(&interactions.users, users.len()).iter().all(|count| *count >= least));
                assert!(counts(&interactions.items, items.len()).iter().all(|count| *count >= 2));
                left
            };
            let mut pairs: Vec<_> = pairs.into_iter().collect();
            let left = core(&pairs);
            let turn = seed as usize % pairs.len().max(1);
            pairs.rotate_left(turn);
            pairs.reverse();
            prop_assert_eq!(left, core(&pairs));
        }
    }
}

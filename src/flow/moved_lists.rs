//! Moved lists: how far the lists of a run are from those of another, for users of both.

use crate::artifact::run_directory::RunDirectory;
use crate::common::interaction::UserIndex;
use crate::config::DeviceChoice;
use crate::flow::error::PipelineError;
use crate::recommend::filter::Filter;
use crate::recommend::{Ask, Ranking, Recommender};
use serde::Serialize;
use std::collections::HashSet;

/// Users whose lists are compared, evenly spread.
const USERS: usize = 1000;
/// Products of a list.
const TOP: usize = 10;

/// The lists of one run beside those of another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MovedLists {
    /// The run, as `--run` takes it; the other is the first that was named.
    pub run: String,
    /// Users of both whose lists were compared.
    pub users: usize,
    pub top: usize,
    /// Mean share of a list's products that are in the other list, too.
    pub kept: f64,
    /// Share of the lists whose first product is the other's.
    pub same_first: f64,
    /// Share of the lists that are the other's, product by product.
    pub same: f64,
}

/// The lists of `run` beside those of `first`; `None` if nobody is in both.
pub fn moved_lists(first: &RunDirectory, run: &RunDirectory) -> Result<Option<MovedLists>, PipelineError> {
    let [first, other] = [first, run].map(|run| Recommender::open(run.clone()));
    let (first, other) = (first?, other?);
    let mut users = [Vec::new(), Vec::new()];
    for index in (0..first.users()).step_by(first.users().div_ceil(USERS).max(1)) {
        let index = UserIndex(index as u32);
        if let Some(same) = other.find_user(first.user_id(index)?)? {
            users[0].push(index);
            users[1].push(same);
        }
    }
    if users[0].is_empty() {
        return Ok(None);
    }
    let lists = [lists(&first, &users[0])?, lists(&other, &users[1])?];
    let (mut kept, mut same_first, mut same) = (0.0, 0.0, 0.0);
    for (before, after) in lists[0].iter().zip(&lists[1]) {
        let known: HashSet<&String> = before.iter().collect();
        let shared = after.iter().filter(|product| known.contains(product)).count();
        kept += shared as f64 / after.len().max(1) as f64;
        same_first += f64::from(u8::from(before.first() == after.first()));
        same += f64::from(u8::from(before == after));
    }
    let count = users[0].len() as f64;
    Ok(Some(MovedLists {
        run: run.argument(),
        users: users[0].len(),
        top: TOP,
        kept: kept / count,
        same_first: same_first / count,
        same: same / count,
    }))
}

/// The ids of the first products of each user.
fn lists(recommender: &Recommender, users: &[UserIndex]) -> Result<Vec<Vec<String>>, PipelineError> {
    let (candidates, _) = recommender.candidates(&Filter::default())?;
    let mut ranker = recommender.ranker(&candidates, DeviceChoice::Cpu)?;
    let ask = Ask {
        top: TOP,
        include_seen: false,
        why: false,
    };
    let rankings = recommender.rank_users(&mut ranker, &candidates, users, ask)?;
    let products = |ranking: Ranking| ranking.products.into_iter().map(|product| product.product).collect();
    Ok(rankings.into_iter().map(products).collect())
}

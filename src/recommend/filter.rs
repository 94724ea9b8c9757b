//! Filter: which products may be recommended at all.

use super::lists::Unlisted;
use super::{RecommendError, Recommender};
use crate::artifact::model_file::Read;
use crate::common::interaction::ItemIndex;
use crate::engine::cpu::item_rows::ItemRows;
use std::path::PathBuf;

/// What the user of the command wants left out.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Leave out products with fewer ratings in the training split.
    pub min_ratings: u32,
    /// A list of products to leave out, one id to a line.
    pub exclude: Option<PathBuf>,
    /// A list of the only products to choose from.
    pub only: Option<PathBuf>,
}

/// Products to choose from: all of them, where they lie, or some, copied side by side so that the rest costs nothing.
pub struct Candidates {
    some: Option<Copied>,
}

/// Some products, in the order of their indices, so that ties go as they would among all.
struct Copied {
    items: Vec<ItemIndex>,
    factors: Vec<f32>,
    /// What they are chosen by; empty if choices were not learned.
    choices: Vec<f32>,
}

impl Candidates {
    /// How many there are, of `all`.
    pub fn len(&self, all: usize) -> usize {
        self.some.as_ref().map_or(all, |some| some.items.len())
    }

    /// The candidates' rows, of all rows.
    pub fn rows<'a>(&'a self, all: ItemRows<'a>) -> ItemRows<'a> {
        match &self.some {
            None => all,
            Some(some) => ItemRows::of_factors(&some.factors, all.dim()),
        }
    }

    /// What the candidates are chosen by, of what all are.
    pub fn choice_rows<'a>(&'a self, all: ItemRows<'a>) -> ItemRows<'a> {
        match &self.some {
            None => all,
            Some(some) => ItemRows::of_factors(&some.choices, all.dim()),
        }
    }

    /// The product at a place among the candidates.
    pub fn item(&self, place: ItemIndex) -> ItemIndex {
        self.some.as_ref().map_or(place, |some| some.items[place.index()])
    }

    /// The places of those of some products that are candidates. Both ascending.
    pub fn places(&self, items: &[ItemIndex]) -> Vec<ItemIndex> {
        let Some(some) = &self.some else {
            return items.to_vec();
        };
        let place = |item: &ItemIndex| some.items.binary_search(item).ok().map(|place| ItemIndex(place as u32));
        items.iter().filter_map(place).collect()
    }

    /// Which products they are, if not all.
    pub fn items(&self) -> Option<&[ItemIndex]> {
        self.some.as_ref().map(|some| some.items.as_slice())
    }
}

impl Recommender {
    /// The products that pass a filter, and what its lists name in vain. Errors if none is left.
    pub fn candidates(&self, filter: &Filter) -> Result<(Candidates, Vec<Unlisted>), RecommendError> {
        let count = self.products.len();
        let mut unlisted = Vec::new();
        if filter.min_ratings == 0 && filter.exclude.is_none() && filter.only.is_none() {
            return match count {
                0 => Err(RecommendError::NoCandidates {
                    products: 0,
                    reason: "the run has none".to_string(),
                }),
                _ => Ok((Candidates { some: None }, unlisted)),
            };
        }
        let mut reasons = Vec::new();
        let mut allowed = vec![filter.only.is_none(); count];
        if let Some(path) = &filter.only {
            let items = self.listed_products(path, &mut unlisted)?;
            items.iter().for_each(|&item| allowed[item.index()] = true);
            reasons.push(format!(
                "{} are in `{}`",
                allowed.iter().filter(|&&is| is).count(),
                path.display()
            ));
        }
        if let Some(path) = &filter.exclude {
            let items = self.listed_products(path, &mut unlisted)?;
            items.iter().for_each(|&item| allowed[item.index()] = false);
            reasons.push(format!("{} are excluded by `{}`", items.len(), path.display()));
        }
        let ratings = self.products.train_ratings()?;
        if filter.min_ratings > 0 {
            let few = ratings.iter().filter(|&&ratings| ratings < filter.min_ratings).count();
            reasons.push(format!("{few} have fewer than {} ratings", filter.min_ratings));
        }
        let items: Vec<ItemIndex> = (0..count)
            .filter(|&item| allowed[item] && ratings[item] >= filter.min_ratings)
            .map(|item| ItemIndex(item as u32))
            .collect();
        if items.is_empty() {
            return Err(RecommendError::NoCandidates {
                products: count,
                reason: reasons.join(", "),
            });
        }
        let factors = self.item_rows(&items)?.factors(&items);
        let choices = self.model.choice_rows(Read::Only(&items))?;
        let choices = choices.map_or_else(Vec::new, |rows| rows.factors(&items));
        let some = Some(Copied {
            items,
            factors,
            choices,
        });
        Ok((Candidates { some }, unlisted))
    }
}

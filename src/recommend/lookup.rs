//! Lookup: who and what is meant by an id, or by a title in the place of a product's id.

use super::{RecommendError, Recommender};
use crate::artifact::vocabulary_file::VocabularyFile;
use crate::common::interaction::{DenseIndex, ItemIndex, UserIndex};

/// Ids or titles that are proposed in the place of an unknown one.
const PROPOSED: usize = 3;

impl Recommender {
    /// The index of a user, if the run knows them.
    pub fn find_user(&self, id: &str) -> Result<Option<UserIndex>, RecommendError> {
        Ok(self.users.index(id)?)
    }

    /// The index of a product, if the run knows it.
    pub fn find_product(&self, id: &str) -> Result<Option<ItemIndex>, RecommendError> {
        Ok(self.products.index(id)?)
    }

    /// The index of a user. Errors with the nearest ids if there is none.
    pub fn user(&self, id: &str) -> Result<UserIndex, RecommendError> {
        self.find_user(id)?.map_or_else(|| Err(self.unknown_user(id)), Ok)
    }

    /// The index of a product, by its id or else by its title, in capitals or not.
    ///
    /// Errors with the nearest ids and titles if there is none, and with the ids if several have the title.
    pub fn product(&self, id: &str) -> Result<ItemIndex, RecommendError> {
        if let Some(item) = self.find_product(id)? {
            return Ok(item);
        }
        let titled = self.products.titled(id)?;
        match titled[..] {
            [item] => return Ok(item),
            [] => {}
            _ => {
                let ids: Result<Vec<String>, _> = titled
                    .iter()
                    .take(PROPOSED)
                    .map(|&item| self.products.id(item).map(str::to_string))
                    .collect();
                return Err(RecommendError::Ambiguous {
                    title: id.to_string(),
                    products: titled.len(),
                    ids: ids?,
                });
            }
        }
        Err(self.unknown("product", id, &self.products, &self.users))
    }

    /// Products whose titles hold a text, in capitals or not, the shortest titles first.
    pub fn products_with(&self, text: &str, count: usize) -> Result<Vec<ItemIndex>, RecommendError> {
        Ok(self.products.with_in_title(text, count)?)
    }

    /// The id of a user. Panics if there is no such user.
    pub fn user_id(&self, user: UserIndex) -> Result<&str, RecommendError> {
        Ok(self.users.id(user)?)
    }

    /// The id and the title of a product. Panics if there is no such product.
    pub fn name(&self, item: ItemIndex) -> Result<(String, Option<String>), RecommendError> {
        let title = self.products.title(item)?.map(str::to_string);
        Ok((self.products.id(item)?.to_string(), title))
    }

    /// What somebody has rated, in any part and since, the highest ratings first.
    pub fn rated(&self, user: &str, since: &[(ItemIndex, f32)]) -> Result<Vec<(ItemIndex, f32)>, RecommendError> {
        let mut rated: Vec<(ItemIndex, f32)> = since.to_vec();
        if let Some(user) = self.find_user(user)? {
            let rows = self.rows.user(user)?;
            let before = rows.items.iter().copied().zip(rows.ratings.iter().copied());
            rated.extend(before.filter(|(item, _)| since.iter().all(|(newer, _)| newer != item)));
        }
        rated.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(rated)
    }

    /// What is wrong with an id that no user has.
    pub(super) fn unknown_user(&self, id: &str) -> RecommendError {
        self.unknown("user", id, &self.users, &self.products)
    }

    fn unknown<Known: DenseIndex>(
        &self,
        what: &'static str,
        id: &str,
        known: &VocabularyFile<Known>,
        others: &VocabularyFile<impl DenseIndex>,
    ) -> RecommendError {
        let nearest = match self.nearest(id, known) {
            Ok(nearest) => nearest,
            Err(error) => return error,
        };
        let example = match known.is_empty() {
            true => String::new(),
            false => known.id(Known::new(0)).unwrap_or_default().to_string(),
        };
        RecommendError::Unknown {
            what,
            id: id.to_string(),
            run: self.run.path().display().to_string(),
            nearest,
            example,
            is_swapped: matches!(others.index(id), Ok(Some(_))),
        }
    }

    /// The ids that are spelled most like one, else the titles that hold it.
    fn nearest(&self, id: &str, known: &VocabularyFile<impl DenseIndex>) -> Result<Vec<String>, RecommendError> {
        let nearest: Vec<String> = known.nearest(id, PROPOSED)?.into_iter().map(str::to_string).collect();
        if !nearest.is_empty() {
            return Ok(nearest);
        }
        let mut titles = Vec::new();
        for index in known.with_in_title(id, PROPOSED)? {
            titles.extend(known.title(index)?.map(str::to_string));
        }
        Ok(titles)
    }
}

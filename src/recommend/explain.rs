//! Explain: which of a user's rated products pull a recommendation up.
//!
//! The user is fitted to their ratings with the items held fixed ([`crate::recommend::fold_in`]); at that fit the logit of every product
//! is a sum of one term for each rating and the product's own part, exactly:
//!
//! ```text
//! logit(i) = scale * c[i] + bias + sum over r of contribution[r](i)
//! contribution[r](i) = scale * pull[r] * (v[r] . v[i] + 1)
//! ```
//!
//! A product rated higher than the fit expects pulls its likes up, one rated lower pulls them down. For a trained user the
//! ranking is by their trained row, and the explanation is that of the fit to the same training ratings, whose logit is given
//! beside it: the two rows differ, as the trained one also moved while the items did.

use super::{Because, Ranking, RecommendError, Recommender, Why};
use crate::common::interaction::ItemIndex;
use crate::recommend::fold_in::fold_in;

/// Rated products that are named for each recommendation.
const REASONS: usize = 3;

impl Recommender {
    /// Adds to each product of a ranking what it comes from.
    pub(super) fn explain(&self, ranking: &mut Ranking, ratings: &[(ItemIndex, f32)]) -> Result<(), RecommendError> {
        let targets: Result<Vec<_>, _> = ratings
            .iter()
            .map(|&(item, rating)| self.target(item, rating))
            .collect();
        let (rows, head) = (self.item_rows()?, self.model.head());
        let folded = fold_in(rows, head, &targets?);
        for product in &mut ranking.products {
            let item = self.product(&product.product)?;
            let contributions = folded.contributions(rows, item);
            let mut order: Vec<usize> = (0..ratings.len()).filter(|&place| contributions[place] > 0.0).collect();
            order.sort_by(|&a, &b| contributions[b].total_cmp(&contributions[a]).then(a.cmp(&b)));
            let mut because = Vec::new();
            for &place in order.iter().take(REASONS) {
                let (item, rating) = ratings[place];
                because.push(Because {
                    product: self.products.id(item)?.to_string(),
                    title: self.products.title(item)?.map(str::to_string),
                    rating,
                    contribution: contributions[place],
                });
            }
            let all_ratings: f64 = contributions.iter().sum();
            let product_itself = f64::from(head.scale) * f64::from(rows.bias(item as usize)) + f64::from(head.bias);
            product.why = Some(Why {
                because,
                all_ratings,
                product_itself,
                logit: all_ratings + product_itself,
            });
        }
        Ok(())
    }
}

//! Explain: which of a user's rated products pull a recommendation up.
//!
//! The user is fitted to their ratings with the items held fixed ([`mod@crate::recommend::fold_in`]); at that fit the logit of every product
//! is a sum of one term for each rating and the product's own part, exactly:
//!
//! ```text
//! logit(i) = scale * c[i] + bias + sum over r of contribution[r](i)
//! contribution[r](i) = scale * pull[r] * (v[r] . v[i] + 1)
//! ```
//!
//! Where choices were learned the sum is that of the appeal, at the fit of [`mod@crate::recommend::fold_in_choices`].
//!
//! A product rated higher than the fit expects pulls its likes up, one rated lower pulls them down. For a trained user the
//! ranking is by their trained row, and the explanation is that of the fit to the same training ratings, whose logit is given
//! beside it: the two rows differ, as the trained one also moved while the items did.

use super::{Because, Ranking, RecommendError, Recommender, Why};
use crate::artifact::model_file::Read;
use crate::common::interaction::ItemIndex;
use crate::engine::cpu::item_rows::ItemRows;
use crate::recommend::fold_in::FoldedUser;
use crate::recommend::fold_in_choices::FoldedChooser;

/// The user as fitted to the question that ranks, and the rows that it was fitted against.
enum Fitted<'a> {
    Choices(FoldedChooser, ItemRows<'a>),
    Ratings(FoldedUser, ItemRows<'a>),
}

/// Rated products that are named for each recommendation.
const REASONS: usize = 3;

impl Recommender {
    /// Adds to each product of a ranking what it comes from.
    pub(super) fn explain(&self, ranking: &mut Ranking, ratings: &[(ItemIndex, f32)]) -> Result<(), RecommendError> {
        let head = self.model.head();
        let fitted = match (self.fold_in_choices(ratings)?, self.model.choice_rows(Read::All)?) {
            (Some(folded), Some(rows)) => Fitted::Choices(folded, rows),
            _ => Fitted::Ratings(self.fold_in_ratings(ratings)?, self.model.item_rows(Read::All)?),
        };
        for product in &mut ranking.products {
            let item = self.product(&product.product)?;
            let (measure, contributions, product_itself) = match &fitted {
                Fitted::Choices(folded, rows) => {
                    let appeal = f64::from(rows.bias(item.index()));
                    ("appeal", folded.contributions(*rows, item), appeal)
                }
                Fitted::Ratings(folded, rows) => {
                    let own = f64::from(head.scale) * f64::from(rows.bias(item.index())) + f64::from(head.bias);
                    ("logit", folded.contributions(*rows, item), own)
                }
            };
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
            product.why = Some(Why {
                measure,
                because,
                all_ratings,
                product_itself,
                sum: all_ratings + product_itself,
            });
        }
        Ok(())
    }
}

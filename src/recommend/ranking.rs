//! Ranking: the answer to one who asks.

use serde::Serialize;

/// What a ranking rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The user's own row of the model.
    Trained,
    /// A row fitted to the ratings that were given, see [`mod@crate::recommend::fold_in`].
    FoldedIn,
    /// The user has no training rating: products by their own bias.
    ProductBias,
    /// The user has no training rating: products by their own appeal.
    ProductAppeal,
    /// Nothing is known of the user: products by their shrunken mean rating.
    ShrunkenMean,
}

impl Basis {
    /// The name in every output form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trained => "trained",
            Self::FoldedIn => "folded_in",
            Self::ProductBias => "product_bias",
            Self::ProductAppeal => "product_appeal",
            Self::ShrunkenMean => "shrunken_mean",
        }
    }
}

/// What one user should see next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    /// Absent for somebody who is not in the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub basis: Basis,
    /// Ratings of the user in the training split, or ratings that were given.
    pub train_ratings: u32,
    /// Products among the candidates that the user has rated in any part, which are left out.
    pub seen: usize,
    /// Products that were scored.
    pub candidates: usize,
    pub products: Vec<Recommendation>,
    /// Why there are fewer products than were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<String>,
    /// True if the model learned from generated ratings.
    pub generated: bool,
}

/// One ranked product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    pub rank: usize,
    pub product: String,
    /// From the product table, where the config names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Sigmoid of the logit, in (0, 1); of the appeal, where ratings were not learned.
    pub score: f32,
    /// Absent where scores are chances of relevance, or ratings were not learned.
    pub predicted_rating: Option<f32>,
    /// What it is ranked by, if choices were learned; comparable within a user's ranking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appeal: Option<f32>,
    /// Ratings of the product in the training split.
    pub train_ratings: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

/// What a recommendation comes from, in appeal, or in logits where choices were not learned; see `explain`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// `appeal` or `logit`: what the other figures add up to.
    pub measure: &'static str,
    /// The user's rated products that pull this one up most, the strongest first.
    pub because: Vec<Because>,
    /// What all of the user's ratings contribute together.
    pub all_ratings: f64,
    /// What the product brings itself: its appeal, or `scale * item_bias + bias`.
    pub product_itself: f64,
    /// `all_ratings + product_itself`: of the user as fitted to the ratings.
    pub sum: f64,
}

/// One rated product and what it contributes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Because {
    pub product: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub rating: f32,
    pub contribution: f64,
}

impl Ranking {
    /// The same asked for fewer products: a best is the best of any number.
    pub fn first(mut self, top: usize) -> Self {
        if self.products.len() >= top {
            self.products.truncate(top);
            self.shortfall = None;
        }
        self
    }
}

impl Why {
    /// Why, in words: the named products with their ratings, and how much of the sum they make up.
    ///
    /// `liked_from` is the rating from which a product counts as liked; `None` where rows are choices.
    pub fn words(&self, liked_from: Option<f32>) -> String {
        let name = |because: &Because| {
            let name = because.title.as_ref().unwrap_or(&because.product);
            match liked_from {
                Some(_) => format!("{name} ({})", because.rating),
                None => name.clone(),
            }
        };
        let names: Vec<String> = self.because.iter().map(name).collect();
        let Some((last, others)) = names.split_last() else {
            return match self.measure {
                "appeal" => "because many choose it".to_string(),
                _ => "because many rate it well".to_string(),
            };
        };
        let names = match others {
            [] => last.clone(),
            _ => format!("{} and {last}", others.join(", ")),
        };
        let is_liked = |from: f32| self.because.iter().all(|because| because.rating >= from);
        let verb = match liked_from {
            Some(from) if is_liked(from) => "you liked",
            Some(_) => "you rated",
            None => "you chose",
        };
        let named: f64 = self.because.iter().map(|because| because.contribution).sum();
        // Of a sum below zero nothing is a share.
        let share = match self.sum > 0.0 {
            true => format!(": {:.0} % of its {}", 100.0 * (named / self.sum).min(1.0), self.measure),
            false => String::new(),
        };
        format!("because {verb} {names}{share}")
    }
}

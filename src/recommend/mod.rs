//! Recommend: every product that a user has not rated, scored in one pass, best first.
//!
//! `lists` reads what is asked for, `filter` says which products may be recommended, `explain` why one is, `popular` what to show
//! to somebody nobody knows, `similar` what is like what, `bulk` writes rankings for millions of users.

pub mod bulk;
mod error;
mod explain;
pub mod filter;
pub mod fold_in;
pub mod fold_in_choices;
pub mod lists;
pub mod parts;
mod popular;
pub mod similar;

pub use error::RecommendError;

use crate::artifact::interactions_file::InteractionsFile;
use crate::artifact::model_file::ModelFile;
use crate::artifact::run_directory::{CONFIG, DATA_REPORT, RunDirectory};
use crate::artifact::run_files::RunFiles;
use crate::artifact::vocabulary_file::VocabularyFile;
use crate::common::interaction::{ItemIndex, Part, UserIndex};
use crate::config::{ChoiceLoss, Config, DeviceChoice};
use crate::data::report::DataReport;
use crate::engine::Scorer;
use crate::engine::cpu::CpuScorer;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::negatives::Negatives;
use crate::engine::objective::{Objective, sigmoid};
use crate::engine::ranker::{Catalogue, RankQuery, RankedItem, Ranker};
use crate::recommend::fold_in::{FoldInRating, fold_in};
use crate::recommend::fold_in_choices::{ChosenItem, DRAWN, FoldedChooser, fold_in_choices};
use bulk::USERS_PER_BATCH;
use filter::Candidates;
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

/// What is wanted for each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub top: usize,
    /// Rank what the user has rated, too.
    pub include_seen: bool,
    /// Explain each recommendation.
    pub why: bool,
}

/// A complete run, open for questions.
pub struct Recommender {
    run: RunDirectory,
    config: Config,
    objective: Objective,
    users: VocabularyFile,
    products: VocabularyFile,
    model: ModelFile,
    rows: InteractionsFile,
    generated: bool,
}

impl Recommender {
    /// Opens a run; rows are read where they lie, when they are asked for.
    pub fn open(run: RunDirectory) -> Result<Self, RecommendError> {
        run.manifest()?;
        let config = Config::load(&run.file(CONFIG), &[])?;
        let report: DataReport = run.read_json(DATA_REPORT)?;
        let RunFiles {
            users,
            products,
            model,
            rows,
        } = run.open()?;
        Ok(Self {
            objective: Objective::new(&config),
            run,
            config,
            users,
            products,
            model,
            rows,
            generated: report.generated,
        })
    }

    /// The run.
    pub fn run(&self) -> &RunDirectory {
        &self.run
    }

    /// How many users the run has.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// The index of a user. Errors with the nearest ids if there is none.
    pub fn user(&self, id: &str) -> Result<UserIndex, RecommendError> {
        let found = self.users.index(id)?;
        found.map_or_else(|| Err(self.unknown("user", id, &self.users, &self.products)), Ok)
    }

    /// The index of a product. Errors with the nearest ids if there is none.
    pub fn product(&self, id: &str) -> Result<ItemIndex, RecommendError> {
        let found = self.products.index(id)?;
        found.map_or_else(|| Err(self.unknown("product", id, &self.products, &self.users)), Ok)
    }

    fn unknown(&self, what: &'static str, id: &str, known: &VocabularyFile, others: &VocabularyFile) -> RecommendError {
        let nearest = match known.nearest(id, 3) {
            Ok(nearest) => nearest.into_iter().map(str::to_string).collect(),
            Err(error) => return error.into(),
        };
        let example = match known.is_empty() {
            true => String::new(),
            false => known.id(0).unwrap_or_default().to_string(),
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

    /// Errors if a rating is off the scale.
    pub fn check_rating(&self, rating: f32) -> Result<(), RecommendError> {
        let scale = self.config.data.rating_scale;
        match scale.contains(rating) {
            true => Ok(()),
            false => Err(RecommendError::OffScale {
                rating,
                min: scale.min,
                max: scale.max,
            }),
        }
    }

    /// A rating as the model sees it. Errors if it is off the scale.
    fn target(&self, item: ItemIndex, rating: f32) -> Result<FoldInRating, RecommendError> {
        self.check_rating(rating)?;
        let target = self.objective.target(rating);
        Ok(FoldInRating { item, target })
    }

    fn item_rows(&self) -> Result<ItemRows<'_>, RecommendError> {
        Ok(self.model.item_rows()?)
    }

    /// The engine to rank for so many users on: as asked, else the run's, but the cpu for up to [`USERS_PER_BATCH`], since
    /// opening a GPU costs more than the work.
    pub fn device(&self, users: usize, asked: Option<DeviceChoice>) -> DeviceChoice {
        asked.unwrap_or(match users > USERS_PER_BATCH {
            true => self.config.device,
            false => DeviceChoice::Cpu,
        })
    }

    /// A ranker of the candidates.
    pub fn ranker<'a>(
        &'a self,
        candidates: &'a Candidates,
        device: DeviceChoice,
    ) -> Result<Ranker<'a>, RecommendError> {
        let choices = self.model.choice_rows()?;
        let catalogue = Catalogue {
            head: self.model.head(),
            ratings: candidates.rows(self.item_rows()?),
            choices: choices.map(|rows| candidates.choice_rows(rows)),
            like_weight: self.config.train.ranking.like_weight as f32,
        };
        Ok(Ranker::open(device, catalogue, self.config.threads)?)
    }

    /// What a ranking rests on for somebody who has no training rating.
    fn basis_without_ratings(&self) -> Basis {
        match self.model.choices() {
            Some(_) => Basis::ProductAppeal,
            None => Basis::ProductBias,
        }
    }

    /// Somebody who is known by some ratings only, as choices see them; `None` if choices were not learned.
    fn fold_in_choices(&self, ratings: &[(ItemIndex, f32)]) -> Result<Option<FoldedChooser>, RecommendError> {
        let Some(rows) = self.model.choice_rows()? else {
            return Ok(None);
        };
        let chosen: Vec<ChosenItem> = ratings
            .iter()
            .map(|&(item, rating)| ChosenItem {
                item,
                weight: self.objective.choice(rating),
            })
            .collect();
        let ranking = &self.config.train.ranking;
        let counts = self.products.train_ratings()?;
        let negatives = Negatives::new(ChoiceLoss::Softmax, DRAWN, ranking.popularity, counts, self.config.seed);
        Ok(Some(fold_in_choices(rows, &negatives.draw(0), &chosen, ranking.l2)))
    }

    /// What a user has rated in any part, ascending.
    fn seen(&self, user: UserIndex) -> Result<Vec<ItemIndex>, RecommendError> {
        let mut seen = self.rows.user(user)?.items.to_vec();
        seen.sort_unstable();
        seen.dedup();
        Ok(seen)
    }

    /// Ranks for known users, in their order. Panics if there is no such user.
    pub fn rank_users(
        &self,
        ranker: &mut Ranker,
        candidates: &Candidates,
        users: &[UserIndex],
        ask: Ask,
    ) -> Result<Vec<Ranking>, RecommendError> {
        let mut lists = Vec::with_capacity(users.len());
        for &user in users {
            let seen = if ask.include_seen { Vec::new() } else { self.seen(user)? };
            let choice = match self.model.choices() {
                Some(_) => self.model.user_choice(user)?,
                None => Vec::new(),
            };
            lists.push((self.model.user(user)?, choice, candidates.places(&seen)));
        }
        let queries: Vec<RankQuery> = lists
            .iter()
            .map(|(rating, choice, seen)| RankQuery { rating, choice, seen })
            .collect();
        let ranked = ranker.top_k(&queries, ask.top)?;
        let counts = self.users.train_ratings()?;
        let mut rankings = Vec::with_capacity(users.len());
        for ((&user, (_, _, seen)), ranked) in users.iter().zip(&lists).zip(ranked) {
            let train_ratings = counts[user as usize];
            let mut ranking = Ranking {
                user: Some(self.users.id(user)?.to_string()),
                basis: match train_ratings {
                    0 => self.basis_without_ratings(),
                    _ => Basis::Trained,
                },
                train_ratings,
                ..self.ranking(candidates, ranked, seen.len(), ask)?
            };
            if ask.why {
                let rows = self.rows.user(user)?;
                let trained = (0..rows.items.len()).filter(|&row| rows.parts[row] == Part::Train as u8);
                let ratings: Vec<_> = trained.map(|row| (rows.items[row], rows.ratings[row])).collect();
                self.explain(&mut ranking, &ratings)?;
            }
            rankings.push(ranking);
        }
        Ok(rankings)
    }

    /// Ranks for somebody who is known by some ratings only, who is folded in.
    pub fn rank_rated(
        &self,
        candidates: &Candidates,
        ratings: &[(ItemIndex, f32)],
        ask: Ask,
    ) -> Result<Ranking, RecommendError> {
        let targets: Result<Vec<_>, _> = ratings
            .iter()
            .map(|&(item, rating)| self.target(item, rating))
            .collect();
        let folded = fold_in(self.item_rows()?, self.model.head(), &targets?);
        let mut seen: Vec<ItemIndex> = ratings.iter().map(|&(item, _)| item).collect();
        seen.sort_unstable();
        let seen = if ask.include_seen {
            Vec::new()
        } else {
            candidates.places(&seen)
        };
        let choice = self.fold_in_choices(ratings)?;
        let query = RankQuery {
            rating: &folded.row,
            choice: choice.as_ref().map_or(&[], |choice| &choice.row),
            seen: &seen,
        };
        let mut ranker = self.ranker(candidates, DeviceChoice::Cpu)?;
        let ranked = ranker.top_k(&[query], ask.top)?.remove(0);
        let mut ranking = Ranking {
            basis: Basis::FoldedIn,
            train_ratings: ratings.len() as u32,
            ..self.ranking(candidates, ranked, seen.len(), ask)?
        };
        if ask.why {
            self.explain(&mut ranking, ratings)?;
        }
        Ok(ranking)
    }

    /// What the model predicts that somebody known by `ratings` alone would give to `items`, as scores in (0, 1).
    pub fn predict_rated(&self, ratings: &[(ItemIndex, f32)], items: &[ItemIndex]) -> Result<Vec<f32>, RecommendError> {
        let targets: Result<Vec<_>, _> = ratings
            .iter()
            .map(|&(item, rating)| self.target(item, rating))
            .collect();
        let folded = fold_in(self.item_rows()?, self.model.head(), &targets?);
        self.predict(&folded.row, items)
    }

    /// What the model predicts for a known user, as scores in (0, 1). Panics if there is no such user.
    pub fn predict_user(&self, user: UserIndex, items: &[ItemIndex]) -> Result<Vec<f32>, RecommendError> {
        self.predict(&self.model.user(user)?, items)
    }

    fn predict(&self, row: &[f32], items: &[ItemIndex]) -> Result<Vec<f32>, RecommendError> {
        let mut scorer = CpuScorer::from_rows(self.model.head(), self.item_rows()?, 1);
        let logits = scorer.score_pairs(&vec![row; items.len()], items)?;
        Ok(logits.into_iter().map(sigmoid).collect())
    }

    /// The rows of a ranking; who it is for is filled in by the caller.
    fn ranking(
        &self,
        candidates: &Candidates,
        ranked: Vec<RankedItem>,
        seen: usize,
        ask: Ask,
    ) -> Result<Ranking, RecommendError> {
        let counts = self.products.train_ratings()?;
        let mut products = Vec::with_capacity(ranked.len());
        for (place, ranked) in ranked.into_iter().enumerate() {
            let item = candidates.item(ranked.item);
            let rates = self.model.shape().dim > 0;
            let score = sigmoid(if rates { ranked.logit } else { ranked.value });
            products.push(Recommendation {
                rank: place + 1,
                product: self.products.id(item)?.to_string(),
                title: self.products.title(item)?.map(str::to_string),
                score,
                predicted_rating: self.objective.predicted_rating(score).filter(|_| rates),
                appeal: self.model.choices().map(|_| ranked.value),
                train_ratings: counts[item as usize],
                why: None,
            });
        }
        let all = candidates.len(self.products.len());
        let shortfall = (products.len() < ask.top).then(|| match seen {
            0 => format!("there are {all} products to choose from"),
            _ => format!("of {all} products to choose from the user has rated {seen}"),
        });
        Ok(Ranking {
            user: None,
            basis: Basis::Trained,
            train_ratings: 0,
            seen,
            candidates: all - seen,
            products,
            shortfall,
            generated: self.generated,
        })
    }
}

//! Recommend: every product that a user has not rated, scored in one pass, best first.
//!
//! `lists` and `lookup` read what is asked for, `filter` says which products may be recommended, `explain` why one is, `popular` what to show
//! to somebody nobody knows, `similar` what is like what, `bulk` writes rankings for millions of users.

pub mod bulk;
mod error;
mod explain;
pub mod filter;
pub mod fold_in;
pub mod fold_in_choices;
pub mod lists;
mod lookup;
pub mod parts;
mod popular;
mod ranking;
pub mod similar;

pub use error::RecommendError;
pub use ranking::{Basis, Because, Ranking, Recommendation, Why};

use crate::artifact::interactions_file::InteractionsFile;
use crate::artifact::model_file::{ModelFile, Read};
use crate::artifact::run_directory::{CONFIG, DATA_REPORT, RunDirectory};
use crate::artifact::run_files::RunFiles;
use crate::artifact::vocabulary_file::VocabularyFile;
use crate::common::interaction::{ItemIndex, Part, RatingScale, UserIndex};
use crate::config::{ChoiceLoss, Config, DeviceChoice, Positives};
use crate::data::report::DataReport;
use crate::engine::EngineError;
use crate::engine::Scorer;
use crate::engine::cpu::CpuScorer;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::negatives::Negatives;
use crate::engine::objective::{Objective, sigmoid};
use crate::engine::open;
use crate::engine::ranker::{Catalogue, RankQuery, RankedItem, Ranker};
use crate::recommend::fold_in::{FoldInRating, FoldedUser, fold_in};
use crate::recommend::fold_in_choices::{ChosenItem, DRAWN, FoldedChooser, fold_in_choices};
use bulk::USERS_PER_BATCH;
use filter::Candidates;
use rayon::ThreadPool;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What is wanted for each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub top: usize,
    /// Rank what the user has rated, too.
    pub include_seen: bool,
    /// Explain each recommendation.
    pub why: bool,
}

/// One to rank for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub who: Who,
    /// Products that are left out beside what they have rated, in any order.
    pub exclude: Vec<ItemIndex>,
}

/// Who is ranked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    /// A user of the run, by the row that was trained.
    User(UserIndex),
    /// A user of the run who has rated since: folded in by their training ratings and these, which count where both are.
    Since(UserIndex, Vec<(ItemIndex, f32)>),
    /// Somebody whom the run does not know, folded in by these ratings.
    Rated(Vec<(ItemIndex, f32)>),
}

/// One who asks, as the ranker sees them.
struct Asked {
    rating: Vec<f32>,
    /// Empty if choices were not learned.
    choice: Vec<f32>,
    basis: Basis,
    train_ratings: u32,
    /// Places among the candidates, ascending.
    left_out: Vec<ItemIndex>,
}

impl Asked {
    fn query(&self) -> RankQuery<'_> {
        RankQuery {
            rating: &self.rating,
            choice: &self.choice,
            seen: &self.left_out,
        }
    }
}

/// A complete run, open for questions.
pub struct Recommender {
    run: RunDirectory,
    config: Config,
    objective: Objective,
    users: VocabularyFile<UserIndex>,
    products: VocabularyFile<ItemIndex>,
    model: ModelFile,
    rows: InteractionsFile,
    generated: bool,
    /// What `similar` compares on, started when it is first asked.
    pool: OnceLock<ThreadPool>,
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
            pool: OnceLock::new(),
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

    /// The run's config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The rating from which a product counts as liked; `None` where rows are choices.
    pub fn liked_from(&self) -> Option<f32> {
        (!self.has_counts()).then_some(self.config.evaluate.relevant_from)
    }

    /// The scale that ratings are on.
    pub fn rating_scale(&self) -> RatingScale {
        self.config.data.rating_scale
    }

    /// Whether the model learned from generated ratings.
    pub fn is_generated(&self) -> bool {
        self.generated
    }

    /// How many products the run has.
    pub fn products(&self) -> usize {
        self.products.len()
    }

    /// The ratings that the run has read of a pair, in any part. Panics if there is no such user.
    pub fn read_ratings(&self, user: UserIndex, item: ItemIndex) -> Result<Vec<f32>, RecommendError> {
        let rows = self.rows.user(user)?;
        let of_item = rows.items.iter().zip(rows.ratings).filter(|&(&other, _)| other == item);
        Ok(of_item.map(|(_, &rating)| rating).collect())
    }

    /// Whether rows are counted choices, and no ratings.
    pub fn has_counts(&self) -> bool {
        self.config.train.ranking.positives == Positives::Counted
    }

    /// Errors if a rating is off the scale, or a count is none.
    pub fn check_rating(&self, rating: f32) -> Result<(), RecommendError> {
        if self.has_counts() {
            return match rating.is_finite() && rating > 0.0 {
                true => Ok(()),
                false => Err(RecommendError::NoCount(rating)),
            };
        }
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

    /// A rating as the model sees it.
    fn target(&self, item: ItemIndex, rating: f32) -> FoldInRating {
        let target = self.objective.target(rating);
        FoldInRating { item, target }
    }

    /// The rating rows of some products.
    fn item_rows(&self, items: &[ItemIndex]) -> Result<ItemRows<'_>, RecommendError> {
        Ok(self.model.item_rows(Read::Only(items))?)
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
        // Of what was copied nothing more is read; where choices rank, which ratings are is seen afterwards.
        let [read, read_ratings] = match (candidates.items(), self.model.choices()) {
            (Some(_), _) => [Read::Only(&[]); 2],
            (None, Some(_)) => [Read::All, Read::Only(&[])],
            (None, None) => [Read::All; 2],
        };
        let choices = self.model.choice_rows(read)?;
        let catalogue = Catalogue {
            head: self.model.head(),
            ratings: candidates.rows(self.model.item_rows(read_ratings)?),
            choices: choices.map(|rows| candidates.choice_rows(rows)),
            like_weight: self.config.train.ranking.like_weight as f32,
        };
        Ok(open::ranker(device, catalogue, self.config.threads)?)
    }

    /// The best for some queries, none of which rests on a row that is not what was written.
    fn best(
        &self,
        ranker: &mut Ranker,
        candidates: &Candidates,
        queries: &[RankQuery],
        top: usize,
    ) -> Result<Vec<Vec<RankedItem>>, RecommendError> {
        let ranked = ranker.top_k(queries, top);
        if candidates.items().is_none() {
            // First: what is not what was written may be why it failed.
            self.item_rows(ranker.rated())?;
        }
        Ok(ranked.map_err(|error| match error {
            EngineError::NotFinite { item: place } => EngineError::NotFinite {
                item: candidates.item(place),
            },
            other => other,
        })?)
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
        let Some(rows) = self.model.choice_rows(Read::All)? else {
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

    /// Ranks for known users, in their order. Panics if there is no such user.
    pub fn rank_users(
        &self,
        ranker: &mut Ranker,
        candidates: &Candidates,
        users: &[UserIndex],
        ask: Ask,
    ) -> Result<Vec<Ranking>, RecommendError> {
        let request = |&user: &UserIndex| Request {
            who: Who::User(user),
            exclude: Vec::new(),
        };
        let requests: Vec<Request> = users.iter().map(request).collect();
        self.rank(ranker, candidates, &requests, ask)
    }

    /// Ranks for somebody who is known by some ratings only, who is folded in.
    pub fn rank_rated(
        &self,
        candidates: &Candidates,
        ratings: Vec<(ItemIndex, f32)>,
        ask: Ask,
    ) -> Result<Ranking, RecommendError> {
        let request = Request {
            who: Who::Rated(ratings),
            exclude: Vec::new(),
        };
        let mut ranker = self.ranker(candidates, DeviceChoice::Cpu)?;
        Ok(self.rank(&mut ranker, candidates, &[request], ask)?.remove(0))
    }

    /// Ranks for all who ask together, in their order. Errors if a rating is off the scale; panics if there is no such user or
    /// product.
    pub fn rank(
        &self,
        ranker: &mut Ranker,
        candidates: &Candidates,
        requests: &[Request],
        ask: Ask,
    ) -> Result<Vec<Ranking>, RecommendError> {
        let asked: Result<Vec<_>, _> = requests
            .iter()
            .map(|request| self.asked(candidates, request, ask))
            .collect();
        let asked = asked?;
        let queries: Vec<RankQuery> = asked.iter().map(Asked::query).collect();
        let ranked = self.best(ranker, candidates, &queries, ask.top)?;
        let mut rankings = Vec::with_capacity(requests.len());
        for ((request, asked), ranked) in requests.iter().zip(&asked).zip(ranked) {
            let user = match request.who {
                Who::User(user) | Who::Since(user, _) => Some(self.users.id(user)?.to_string()),
                Who::Rated(_) => None,
            };
            let mut ranking = Ranking {
                user,
                basis: asked.basis,
                train_ratings: asked.train_ratings,
                ..self.ranking(candidates, ranked, asked.left_out.len(), ask)?
            };
            if ask.why {
                self.explain(&mut ranking, &self.reasons(&request.who)?)?;
            }
            rankings.push(ranking);
        }
        Ok(rankings)
    }

    /// What one who asks is to the ranker.
    fn asked(&self, candidates: &Candidates, request: &Request, ask: Ask) -> Result<Asked, RecommendError> {
        let (mut left_out, folded) = match &request.who {
            Who::User(user) => (self.rows.user(*user)?.items.to_vec(), None),
            Who::Since(user, _) => (self.rows.user(*user)?.items.to_vec(), Some(self.reasons(&request.who)?)),
            Who::Rated(ratings) => (Vec::new(), Some(ratings.clone())),
        };
        left_out.extend(folded.iter().flatten().map(|&(item, _)| item));
        if ask.include_seen {
            left_out.clear();
        }
        left_out.extend(&request.exclude);
        left_out.sort_unstable();
        left_out.dedup();
        let left_out = candidates.places(&left_out);
        match (&request.who, folded) {
            (Who::User(user), _) => {
                let train_ratings = self.users.train_ratings_of(*user)?;
                Ok(Asked {
                    rating: self.model.user(*user)?,
                    choice: match self.model.choices() {
                        Some(_) => self.model.user_choice(*user)?,
                        None => Vec::new(),
                    },
                    basis: match train_ratings {
                        0 => self.basis_without_ratings(),
                        _ => Basis::Trained,
                    },
                    train_ratings,
                    left_out,
                })
            }
            (_, folded) => {
                let ratings = folded.unwrap_or_default();
                let choice = self.fold_in_choices(&ratings)?;
                Ok(Asked {
                    rating: self.fold_in_ratings(&ratings)?.row,
                    choice: choice.map_or_else(Vec::new, |choice| choice.row),
                    basis: Basis::FoldedIn,
                    train_ratings: ratings.len() as u32,
                    left_out,
                })
            }
        }
    }

    /// The ratings that speak for a recommendation.
    fn reasons(&self, who: &Who) -> Result<Vec<(ItemIndex, f32)>, RecommendError> {
        let (user, since) = match who {
            Who::User(user) => (user, &[][..]),
            Who::Since(user, ratings) => (user, ratings.as_slice()),
            Who::Rated(ratings) => return Ok(ratings.clone()),
        };
        let rows = self.rows.user(*user)?;
        let trained = (0..rows.items.len()).filter(|&row| rows.parts[row] == Part::Train as u8);
        let ratings = trained.map(|row| (rows.items[row], rows.ratings[row]));
        // Another run's scale may have held when they were posted: what is off this one says nothing here.
        let since = since.iter().filter(|&&(_, rating)| self.check_rating(rating).is_ok());
        if self.has_counts() {
            // As a training adds them up.
            let mut counts: BTreeMap<ItemIndex, f32> = BTreeMap::new();
            for (item, count) in ratings.chain(since.copied()) {
                *counts.entry(item).or_default() += count;
            }
            return Ok(counts.into_iter().collect());
        }
        let since: Vec<_> = since.copied().collect();
        let is_newer = |item: ItemIndex| since.iter().any(|&(newer, _)| newer == item);
        let kept = ratings.filter(|&(item, _)| !is_newer(item));
        Ok(kept.chain(since.iter().copied()).collect())
    }

    /// Somebody who is known by some ratings only, as ratings see them.
    fn fold_in_ratings(&self, ratings: &[(ItemIndex, f32)]) -> Result<FoldedUser, RecommendError> {
        // Where ratings were not learned there is nobody to fit.
        let ratings = if self.has_counts() { &[][..] } else { ratings };
        let targets: Vec<_> = ratings
            .iter()
            .map(|&(item, rating)| self.target(item, rating))
            .collect();
        let items: Vec<ItemIndex> = ratings.iter().map(|&(item, _)| item).collect();
        Ok(fold_in(self.item_rows(&items)?, self.model.head(), &targets))
    }

    /// What the model predicts that somebody known by `ratings` alone would give to `items`, as scores in (0, 1).
    pub fn predict_rated(&self, ratings: &[(ItemIndex, f32)], items: &[ItemIndex]) -> Result<Vec<f32>, RecommendError> {
        self.predict(&self.fold_in_ratings(ratings)?.row, items)
    }

    /// What the model predicts for a known user, as scores in (0, 1). Panics if there is no such user.
    pub fn predict_user(&self, user: UserIndex, items: &[ItemIndex]) -> Result<Vec<f32>, RecommendError> {
        self.predict(&self.model.user(user)?, items)
    }

    fn predict(&self, row: &[f32], items: &[ItemIndex]) -> Result<Vec<f32>, RecommendError> {
        let mut scorer = CpuScorer::from_rows(self.model.head(), self.item_rows(items)?, 1);
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
                train_ratings: self.products.train_ratings_of(item)?,
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

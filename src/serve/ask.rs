//! Ask: lists for users, and products like a product.

use super::Service;
use super::answer::{ApiError, json};
use super::desk::{Got, Wish};
use super::routes::{Answered, Shared};
use super::served::Served;
use crate::artifact::origin::{Answer, Origin};
use crate::common::interaction::ItemIndex;
use crate::recommend::{Ask, Ranking, RecommendError, Request, Who};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Products of a list.
const TOP: std::ops::RangeInclusive<usize> = 1..=1000;
const USUAL_TOP: usize = 5;
/// Users of one request.
pub const USERS: usize = 256;
/// Products of all lists of one request, and of lists with reasons, each of which takes longer and is a hundred times as long.
const LISTED: usize = 20_000;
const EXPLAINED: usize = 2_000;
/// Products that a request names to be left out, and ratings that it gives.
const NAMED: usize = 10_000;
/// Bytes of an id.
pub const ID: usize = 1024;

type GivenPath = Result<Path<String>, PathRejection>;
pub type GivenQuery = Result<Query<Vec<(String, String)>>, QueryRejection>;
/// A request's body.
pub type GivenBody = Result<Bytes, BytesRejection>;

/// What is asked of `POST /v1/recommendations`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    users: Option<Vec<String>>,
    rated: Option<Vec<Rated>>,
    #[serde(default = "usual_top")]
    top: usize,
    #[serde(default)]
    why: bool,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rated {
    product: String,
    rating: f32,
}

fn usual_top() -> usize {
    USUAL_TOP
}

/// Lists of many users, in the order in which they were named.
#[derive(Serialize)]
struct Lists<'a> {
    recommendations: &'a [Ranking],
    unknown_users: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_products: Vec<String>,
}

/// One list, and what could not be left out because nobody knows it.
#[derive(Serialize)]
struct List<'a> {
    #[serde(flatten)]
    ranking: &'a Ranking,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_products: Vec<String>,
}

/// `GET /v1/users/{id}/recommendations`
pub async fn user(State(service): Shared, id: GivenPath, query: GivenQuery) -> Answered {
    let id = given_id(id)?;
    let (mut top, mut why, mut exclude) = (USUAL_TOP, false, Vec::new());
    for (name, value) in given_query(query)? {
        match name.as_str() {
            "top" => top = number("top", &value)?,
            "why" => why = truth("why", &value)?,
            "exclude" => exclude.push(value),
            _ => return Err(no_parameter(&name, "top, why, exclude")),
        }
    }
    let served = service.served();
    let ask = ask(top, why)?;
    let (exclude, unknown_products) = products(&served, exclude)?;
    let wish = wish_for(&service, &served, &id, exclude, ask)?;
    let ranking = named(lists(&service, &served, vec![wish]).await?.remove(0), &id);
    let answer = List {
        ranking: &ranking,
        unknown_products,
    };
    Ok(of(&served.origin, &answer))
}

/// The list of a user, with the reasons if they are asked for.
pub async fn list_for(
    service: &Service,
    served: &Arc<Served>,
    id: &str,
    top: usize,
    why: bool,
) -> Result<Ranking, ApiError> {
    let wish = wish_for(service, served, id, Vec::new(), ask(top, why)?)?;
    Ok(named(lists(service, served, vec![wish]).await?.remove(0), id))
}

fn wish_for(service: &Service, served: &Served, id: &str, exclude: Vec<ItemIndex>, ask: Ask) -> Result<Wish, ApiError> {
    match who(service, served, id)? {
        Some(who) => Ok(Wish::List(Request { who, exclude }, ask)),
        None => Err(ApiError::from_recommend(&served.unknown("user", id))),
    }
}

/// `POST /v1/recommendations`
pub async fn many(State(service): Shared, body: GivenBody) -> Answered {
    let question: Question = given_json(body)?;
    let ask = ask(question.top, question.why)?;
    let served = service.served();
    let (exclude, unknown_products) = products(&served, question.exclude)?;
    let (wish, users) = match (question.users, question.rated) {
        (Some(_), Some(_)) => {
            return Err(ApiError::malformed(
                "`users` and `rated` are two questions",
                "ask one of them",
            ));
        }
        (Some(users), None) => (None, users),
        (None, Some(rated)) => {
            let ratings = ratings(&served, rated)?;
            let who = Who::Rated(ratings);
            (
                Some(Wish::List(
                    Request {
                        who,
                        exclude: exclude.clone(),
                    },
                    ask,
                )),
                Vec::new(),
            )
        }
        (None, None) if exclude.is_empty() => (Some(Wish::Anybody(ask)), Vec::new()),
        (None, None) => {
            return Err(ApiError::malformed(
                "a list for anybody leaves nothing out",
                "name `users`, or what somebody `rated`",
            ));
        }
    };
    if let Some(wish) = wish {
        let ranking = lists(&service, &served, vec![wish]).await?.remove(0);
        let answer = List {
            ranking: &ranking,
            unknown_products,
        };
        return Ok(of(&served.origin, &answer));
    }
    if users.len() > USERS {
        let message = format!("{} users are asked for at once", users.len());
        return Err(ApiError::malformed(message, format!("ask for up to {USERS}")));
    }
    let most = if ask.why { EXPLAINED } else { LISTED };
    if users.len() * ask.top > most {
        let message = format!("{} lists of {} are asked for at once", users.len(), ask.top);
        let hint = format!("ask for {most} products in all: fewer users, or a smaller `top`");
        return Err(ApiError::malformed(message, hint));
    }
    let (mut wishes, mut ids, mut unknown_users) = (Vec::new(), Vec::new(), Vec::new());
    for id in users {
        match who(&service, &served, &id)? {
            Some(who) => {
                let exclude = exclude.clone();
                wishes.push(Wish::List(Request { who, exclude }, ask));
                ids.push(id);
            }
            None => unknown_users.push(id),
        }
    }
    let rankings = lists(&service, &served, wishes).await?;
    let rankings: Vec<Ranking> = rankings
        .into_iter()
        .zip(&ids)
        .map(|(ranking, id)| named(ranking, id))
        .collect();
    let answer = Lists {
        recommendations: &rankings,
        unknown_users,
        unknown_products,
    };
    Ok(of(&served.origin, &answer))
}

/// `GET /v1/products/{id}/similar`
pub async fn similar(State(service): Shared, id: GivenPath, query: GivenQuery) -> Answered {
    let product = given_id(id)?;
    let (mut top, mut min_ratings) = (USUAL_TOP, 0);
    for (name, value) in given_query(query)? {
        match name.as_str() {
            "top" => top = number("top", &value)?,
            "min_ratings" => min_ratings = number("min_ratings", &value)?,
            _ => return Err(no_parameter(&name, "top, min_ratings")),
        }
    }
    let top = ask(top, false)?.top;
    let served = service.served();
    if found(served.recommender.find_product(&product))?.is_none() {
        return Err(ApiError::from_recommend(&served.unknown("product", &product)));
    }
    let wish = Wish::Like {
        product,
        top,
        min_ratings,
    };
    match service.asked(&served, vec![wish]).await?.remove(0) {
        Got::Like(similar) => Ok(of(&served.origin, &similar)),
        Got::List(_) => Err(ApiError::fault("a list for a likeness")),
    }
}

impl Service {
    /// What the desk says; its faults are told.
    pub async fn asked(&self, served: &Arc<Served>, wishes: Vec<Wish>) -> Result<Vec<Got>, ApiError> {
        let got = self.desk.ask(served, wishes).await;
        got.inspect_err(|error| self.tell_of(error))
    }
}

/// Lists from the desk.
async fn lists(service: &Service, served: &Arc<Served>, wishes: Vec<Wish>) -> Result<Vec<Ranking>, ApiError> {
    let got = service.asked(served, wishes).await?;
    let lists = got.into_iter().map(|got| match got {
        Got::List(ranking) => Ok(ranking),
        Got::Like(_) => Err(ApiError::fault("a likeness for a list")),
    });
    lists.collect()
}

fn of(origin: &Origin, answer: &impl Serialize) -> axum::response::Response {
    json(StatusCode::OK, &Answer { origin, answer })
}

/// Somebody whom the run does not know, but who has rated since, keeps their name.
fn named(mut ranking: Ranking, id: &str) -> Ranking {
    ranking.user.get_or_insert_with(|| id.to_string());
    ranking
}

/// Who an id is: as trained, or by what they have rated since. `None` if nothing is known of them.
fn who(service: &Service, served: &Served, id: &str) -> Result<Option<Who>, ApiError> {
    let since = found(service.log.of_user(served, id))?;
    let user = found(served.recommender.find_user(id))?;
    Ok(match (user, since.is_empty()) {
        (Some(user), true) => Some(Who::User(user)),
        (Some(user), false) => Some(Who::Since(user, since)),
        (None, false) => Some(Who::Rated(since)),
        (None, true) => None,
    })
}

fn found<T>(result: Result<T, RecommendError>) -> Result<T, ApiError> {
    result.map_err(|error| ApiError::from_recommend(&error))
}

/// The products of some ids, and the ids that the run does not know.
fn products(served: &Served, ids: Vec<String>) -> Result<(Vec<ItemIndex>, Vec<String>), ApiError> {
    if ids.len() > NAMED {
        let message = format!("{} products are to be left out", ids.len());
        return Err(ApiError::malformed(message, format!("name up to {NAMED}")));
    }
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for id in ids {
        match found(served.recommender.find_product(&id))? {
            Some(item) => known.push(item),
            None => unknown.push(id),
        }
    }
    Ok((known, unknown))
}

/// The ratings of somebody new. Errors as the command line does.
fn ratings(served: &Served, rated: Vec<Rated>) -> Result<Vec<(ItemIndex, f32)>, ApiError> {
    if rated.is_empty() || rated.len() > NAMED {
        let message = format!("{} ratings are given", rated.len());
        return Err(ApiError::malformed(message, format!("give 1 to {NAMED}")));
    }
    let mut ratings: Vec<(ItemIndex, f32)> = Vec::with_capacity(rated.len());
    let mut names = std::collections::HashSet::new();
    for Rated { product, rating } in rated {
        let item = found(served.recommender.find_product(&product))?;
        let item = item.ok_or_else(|| ApiError::from_recommend(&served.unknown("product", &product)))?;
        found(served.recommender.check_rating(rating))?;
        if !names.insert(item) {
            return Err(ApiError::from_recommend(&RecommendError::RatedTwice(product)));
        }
        ratings.push((item, rating));
    }
    Ok(ratings)
}

fn ask(top: usize, why: bool) -> Result<Ask, ApiError> {
    if !TOP.contains(&top) {
        let hint = format!("ask for {} to {}", TOP.start(), TOP.end());
        return Err(ApiError::malformed(format!("`top` is {top}"), hint));
    }
    Ok(Ask {
        top,
        include_seen: false,
        why,
    })
}

fn given_id(id: GivenPath) -> Result<String, ApiError> {
    let Path(id) = id.map_err(|error| ApiError::malformed(error.body_text(), "percent-encode the id as UTF-8"))?;
    match id.len() <= ID {
        true => Ok(id),
        false => Err(ApiError::malformed(
            "the id is too long",
            format!("ids have up to {ID} bytes"),
        )),
    }
}

pub fn given_query(query: GivenQuery) -> Result<Vec<(String, String)>, ApiError> {
    let hint = "parameters are `name=value`, percent-encoded, with `&` between them";
    query
        .map(|Query(pairs)| pairs)
        .map_err(|error| ApiError::malformed(error.body_text(), hint))
}

/// A body as JSON of a form. Errors with what is wrong, and its status.
pub fn given_json<T: DeserializeOwned>(body: GivenBody) -> Result<T, ApiError> {
    let body = body.map_err(|error| {
        let hint = "a body has up to a mebibyte, and comes whole";
        ApiError::new(error.status(), error.body_text(), hint)
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        ApiError::malformed(
            format!("the body is not what is expected: {error}"),
            "`/openapi.json` describes it",
        )
    })
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, ApiError> {
    let malformed = |_| ApiError::malformed(format!("`{name}={value}` is no number of that kind"), "a whole number");
    value.parse().map_err(malformed)
}

fn truth(name: &str, value: &str) -> Result<bool, ApiError> {
    match value {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ApiError::malformed(
            format!("`{name}={value}` is neither true nor false"),
            "true or false",
        )),
    }
}

fn no_parameter(name: &str, known: &str) -> ApiError {
    ApiError::malformed(format!("there is no parameter `{name}`"), format!("there are {known}"))
}

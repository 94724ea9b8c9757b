//! Tell: ratings that came since the training.

use super::answer::{ApiError, json};
use super::ask::{GivenBody, ID, given_json};
use super::ratings_log::Taken;
use super::routes::{Answered, Shared};
use super::served::Served;
use crate::artifact::ratings_log::{NewRating, Posting};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// Ratings of one posting.
const RATINGS: usize = 1000;

/// What is posted: one rating, or `ratings`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    request_id: Option<String>,
    ratings: Option<Vec<NewRating>>,
    user: Option<String>,
    product: Option<String>,
    rating: Option<f32>,
    time: Option<i64>,
}

impl Posted {
    fn posting(self) -> Result<Posting, ApiError> {
        let one = (self.user, self.product, self.rating);
        let ratings = match (self.ratings, one, self.time) {
            (Some(ratings), (None, None, None), None) => ratings,
            (None, (Some(user), Some(product), Some(rating)), time) => vec![NewRating {
                user,
                product,
                rating,
                time,
            }],
            _ => {
                return Err(ApiError::malformed(
                    "a posting is one rating or a list of them",
                    "send `user`, `product` and `rating`, or `ratings` with these in each",
                ));
            }
        };
        Ok(Posting::new(self.request_id, ratings))
    }
}

#[derive(Serialize)]
struct Kept {
    ratings: usize,
    /// True if the same had been posted under this `request_id` before.
    before: bool,
    /// Those that the run cannot answer with yet: they wait for the next training.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_products: Vec<String>,
}

/// `POST /v1/ratings`
pub async fn ratings(State(service): Shared, body: GivenBody) -> Answered {
    let mut posting = given_json::<Posted>(body)?.posting()?;
    let served = service.served();
    let unknown_products = check(&served, &posting)?;
    let ratings = posting.ratings.len();
    posting.stamp(now());
    let taken = service
        .log
        .post(posting)
        .await
        .inspect_err(|error| service.tell_of(error))?;
    let kept = Kept {
        ratings,
        before: taken == Taken::Before,
        unknown_products,
    };
    let status = match taken {
        Taken::New => StatusCode::CREATED,
        Taken::Before => StatusCode::OK,
    };
    Ok(json(status, &kept))
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
}

/// Errors if a time lies before 1970, or more than a day from now.
fn check_time(time: i64) -> Result<(), ApiError> {
    const DAY: i64 = 86_400;
    match (0..=now() + DAY).contains(&time) {
        true => Ok(()),
        false => Err(ApiError::malformed(
            format!("`{time}` is no time of a rating"),
            "`time` is in seconds since 1970; a clock of milliseconds gives 1,000 times as many",
        )),
    }
}

/// Errors unless all of it can be kept; the products that the run does not know.
fn check(served: &Served, posting: &Posting) -> Result<Vec<String>, ApiError> {
    let count = posting.ratings.len();
    if count == 0 || count > RATINGS {
        let message = format!("{count} ratings are posted at once");
        return Err(ApiError::malformed(message, format!("post 1 to {RATINGS}")));
    }
    let request_id = posting.request_id.iter().map(|id| ("request_id", id));
    let ids = posting
        .ratings
        .iter()
        .flat_map(|rating| [("user", &rating.user), ("product", &rating.product)]);
    for (what, id) in request_id.chain(ids) {
        // As tables are read: what stands around an id is no part of it.
        if id.trim().is_empty() || id.trim() != id || id.len() > ID {
            let hint = format!("1 to {ID} bytes, and no space around them");
            return Err(ApiError::malformed(format!("`{id}` is no `{what}`"), hint));
        }
    }
    // The words that tables have where there is no id, as a client writes what it does not know.
    let missing = &served.recommender.config().data.missing_ids;
    let ids = posting
        .ratings
        .iter()
        .flat_map(|rating| [&rating.user, &rating.product]);
    if let Some(word) = ids.into_iter().find(|id| missing.contains(id)) {
        let hint = "it is one of `data.missing_ids`, which no table gives to a user or a product";
        return Err(ApiError::malformed(format!("`{word}` is no id"), hint));
    }
    let mut unknown = Vec::new();
    for rating in &posting.ratings {
        rating.time.map_or(Ok(()), check_time)?;
        let fault = |error| ApiError::from_recommend(&error);
        served.recommender.check_rating(rating.rating).map_err(fault)?;
        if served
            .recommender
            .find_product(&rating.product)
            .map_err(fault)?
            .is_none()
        {
            unknown.push(rating.product.clone());
        }
    }
    Ok(unknown)
}

//! Model: which run answers, a newer one in its place, and how the server is.

use super::Service;
use super::answer::{ApiError, json, text};
use super::desk::CAPACITY;
use super::meter::Gauges;
use super::routes::{Answered, Shared};
use super::served::Served;
use crate::artifact::origin::Answer;
use crate::common::hint::Hint;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Serialize)]
struct Model {
    users: usize,
    products: usize,
    /// The scale that ratings are on.
    rating_min: f32,
    rating_max: f32,
    /// True if it learned from generated ratings.
    generated: bool,
    /// Seconds since the run was completed, and since it was read.
    age_seconds: f64,
    served_seconds: f64,
    /// Ratings that came since the training.
    ratings_since_training: usize,
}

/// `GET /v1/model`
pub async fn model(State(service): Shared) -> Response {
    let served = service.served();
    let scale = served.recommender.rating_scale();
    let model = Model {
        users: served.recommender.users(),
        products: served.recommender.products(),
        rating_min: scale.min,
        rating_max: scale.max,
        generated: served.recommender.is_generated(),
        age_seconds: age(&served),
        served_seconds: since(served.since),
        ratings_since_training: service.log.len(),
    };
    json(
        StatusCode::OK,
        &Answer {
            origin: &served.origin,
            answer: &model,
        },
    )
}

/// `POST /v1/model/reload`
pub async fn reload(State(service): Shared) -> Answered {
    let reading = service.clone();
    let read = tokio::task::spawn_blocking(move || reading.reload()).await;
    let read = read.map_err(|error| ApiError::fault(error.to_string()));
    let run = match read.inspect_err(|error| service.tell_of(error))? {
        Ok(run) => run,
        Err(error) => {
            let message = format!("the run is not taken, the older one goes on: {error}");
            return Err(ApiError::new(StatusCode::CONFLICT, message, error.hint()));
        }
    };
    #[derive(Serialize)]
    struct Reloaded {
        run: String,
    }
    Ok(json(StatusCode::OK, &Reloaded { run }))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /health/live`
pub async fn live() -> Response {
    json(StatusCode::OK, &Health { status: "live" })
}

/// `GET /health/ready`
pub async fn ready(State(service): Shared) -> Response {
    match service.desk.business().waiting < CAPACITY {
        true => json(StatusCode::OK, &Health { status: "ready" }),
        false => json(StatusCode::SERVICE_UNAVAILABLE, &Health { status: "busy" }),
    }
}

/// `GET /metrics`
pub async fn metrics(State(service): Shared) -> Response {
    let body = service.meter.text(gauges(&service));
    text(StatusCode::OK, "text/plain; version=0.0.4", body)
}

/// What is counted beside requests.
pub fn gauges(service: &Service) -> Gauges {
    let (served, business) = (service.served(), service.desk.business());
    Gauges {
        waiting: business.waiting,
        passes: business.passes,
        answered: business.answered,
        users: served.recommender.users(),
        products: served.recommender.products(),
        model_age: age(&served),
        ratings: service.log.len(),
    }
}

/// Seconds since a run was completed.
fn age(served: &Served) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs_f64() - served.completed_ms as f64 / 1e3
}

fn since(time: SystemTime) -> f64 {
    time.elapsed().unwrap_or_default().as_secs_f64()
}

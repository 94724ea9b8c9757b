//! Routes: one table of what can be asked; the router and the description are both made of it.

use super::answer::ApiError;
use super::{Service, ask, model, openapi, pages, tell};
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a request's body.
const BODY: usize = 1 << 20;
/// For a request's body to come and its answer to be made.
const TIME: Duration = Duration::from_secs(20);

/// What all handlers see.
pub type Shared = State<Arc<Service>>;
/// What all handlers return.
pub type Answered = Result<Response, ApiError>;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Anybody who reaches the server: what watches over it has no token.
    Watch,
    /// Those who may ask.
    Ask,
    /// Those who have the token.
    Tell,
}

/// One thing that can be asked.
pub struct Route {
    pub method: &'static str,
    /// With `{id}` where an id stands, percent-encoded.
    pub path: &'static str,
    pub summary: &'static str,
    /// Parameters behind the `?`: name, type in the description, what it says.
    pub parameters: &'static [(&'static str, &'static str, &'static str)],
    /// The body's schema in the description, if there is one.
    pub body: Option<&'static str>,
    pub right: Right,
    handler: MethodRouter<Arc<Service>>,
}

/// All of them.
pub fn routes() -> Vec<Route> {
    const TOP: (&str, &str, &str) = ("top", "integer", "how many products, 1 to 1,000; 5 if it is not said");
    vec![
        Route {
            method: "get",
            path: "/v1/users/{id}/recommendations",
            summary: "The best products for a user, of those that they have not rated",
            parameters: &[
                TOP,
                ("why", "boolean", "name the rated products that pull each up"),
                ("exclude", "string", "a product to leave out; may be repeated"),
            ],
            body: None,
            right: Right::Ask,
            handler: get(ask::user),
        },
        Route {
            method: "post",
            path: "/v1/recommendations",
            summary: "The best products for many users, for somebody known by some ratings, or for anybody",
            parameters: &[],
            body: Some("Question"),
            right: Right::Ask,
            handler: post(ask::many),
        },
        Route {
            method: "get",
            path: "/v1/products/{id}/similar",
            summary: "The products most like one",
            parameters: &[
                TOP,
                (
                    "min_ratings",
                    "integer",
                    "leave out products with fewer training ratings",
                ),
            ],
            body: None,
            right: Right::Ask,
            handler: get(ask::similar),
        },
        Route {
            method: "post",
            path: "/v1/ratings",
            summary: "Keep new ratings; the user's next list takes them in",
            parameters: &[],
            body: Some("Posting"),
            right: Right::Tell,
            handler: post(tell::ratings),
        },
        Route {
            method: "get",
            path: "/v1/model",
            summary: "Which run answers",
            parameters: &[],
            body: None,
            right: Right::Ask,
            handler: get(model::model),
        },
        Route {
            method: "post",
            path: "/v1/model/reload",
            summary: "Read the newest run, and answer from it",
            parameters: &[],
            body: None,
            right: Right::Tell,
            handler: post(model::reload),
        },
        Route {
            method: "get",
            path: "/health/live",
            summary: "Whether the process answers",
            parameters: &[],
            body: None,
            right: Right::Watch,
            handler: get(model::live),
        },
        Route {
            method: "get",
            path: "/health/ready",
            summary: "Whether lists are to be had: 503 while the queue is full",
            parameters: &[],
            body: None,
            right: Right::Watch,
            handler: get(model::ready),
        },
        Route {
            method: "get",
            path: "/metrics",
            summary: "Counts and times, as Prometheus reads them",
            parameters: &[],
            body: None,
            right: Right::Watch,
            handler: get(model::metrics),
        },
        Route {
            method: "get",
            path: "/openapi.json",
            summary: "This description",
            parameters: &[],
            body: None,
            right: Right::Watch,
            handler: get(openapi::openapi),
        },
    ]
}

/// The routes, each behind its right, with the limits of all.
pub fn router(service: Arc<Service>) -> Router {
    let mut router = Router::new();
    for Route {
        path, right, handler, ..
    } in routes()
    {
        let guarded = from_fn_with_state((service.clone(), right), guard);
        router = router.route(path, handler.layer(guarded));
    }
    // For people: the description is for programs.
    for (path, handler) in [
        ("/", get(pages::home)),
        ("/users", get(pages::user)),
        ("/products", get(pages::product)),
        (pages::STYLE_PATH, get(pages::style)),
        ("/favicon.ico", get(pages::icon)),
    ] {
        let guarded = from_fn_with_state((service.clone(), Right::Ask), guard);
        router = router.route(path, handler.layer(guarded));
    }
    router
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(service.clone(), time))
        .with_state(service)
}

async fn guard(
    State((service, right)): State<(Arc<Service>, Right)>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Answered {
    match right {
        Right::Watch => {}
        Right::Ask => service.access.to_ask(&headers)?,
        Right::Tell => service.access.to_tell(&headers)?,
    }
    Ok(next.run(request).await)
}

/// Bounds the time of a request, and counts it.
async fn time(State(service): Shared, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = match tokio::time::timeout(TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the request took longer than {} s", TIME.as_secs());
            ApiError::new(StatusCode::REQUEST_TIMEOUT, message, "send it at once, or ask for less").into_response()
        }
    };
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    service
        .meter
        .answered(route, response.status().as_u16(), began.elapsed());
    response
}

async fn nothing_here() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "there is nothing at this path",
        "`/openapi.json` describes what there is",
    )
}

async fn other_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path is not asked in this way",
        "`/openapi.json` says which method it takes",
    )
}

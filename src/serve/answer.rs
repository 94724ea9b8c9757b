//! Answers: JSON, and errors that say what is wrong and what to do about it.

use crate::common::hint::Hint;
use crate::recommend::RecommendError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A question that is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    pub hint: String,
    /// What happened, for whoever runs the server; a client is told in general words.
    internal: Option<String>,
}

/// Seconds after which to ask again, where the queue is full.
const RETRY_AFTER: &str = "1";

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            hint: hint.into(),
            internal: None,
        }
    }

    /// The question is malformed.
    pub fn malformed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, hint)
    }

    /// The queue is full.
    pub fn busy() -> Self {
        let hint = format!("ask again after {RETRY_AFTER} s, as `Retry-After` says");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too many questions wait already", hint)
    }

    /// The server is about to end.
    pub fn draining() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is ending",
            "ask another one",
        )
    }

    /// Nobody may: the server was started without a token.
    pub fn forbidden() -> Self {
        let hint = "start the server with `--token-file FILE`";
        Self::new(
            StatusCode::FORBIDDEN,
            "this needs a token, and the server has none",
            hint,
        )
    }

    /// The token is missing or wrong.
    pub fn unauthorized() -> Self {
        let hint = "send `Authorization: Bearer TOKEN`, with what the server's token file holds";
        Self::new(StatusCode::UNAUTHORIZED, "the token is missing or wrong", hint)
    }

    /// A fault of ours.
    pub fn fault(what: impl Into<String>) -> Self {
        let mut error = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server failed to answer",
            "its log says why",
        );
        error.internal = Some(what.into());
        error
    }

    /// What a ranking failed at.
    pub fn from_recommend(error: &RecommendError) -> Self {
        use RecommendError as E;
        let status = match error {
            E::Unknown { .. } | E::NoEmbedding { .. } | E::NoNeighbour { .. } => StatusCode::NOT_FOUND,
            E::OffScale { .. } | E::NoCount(_) | E::RatedTwice(_) => StatusCode::BAD_REQUEST,
            _ => return Self::fault(error.to_string()),
        };
        let hint = match error {
            E::Unknown { .. } => "ids are compared as text, leading zeros count".to_string(),
            E::NoNeighbour { .. } => "lower `min_ratings`".to_string(),
            _ => error.hint(),
        };
        Self::new(status, error.to_string(), hint)
    }

    /// What happened, if it is a fault of ours.
    pub fn internal(&self) -> Option<&str> {
        self.internal.as_deref()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            hint: &'a str,
        }
        let body = Body {
            error: &self.message,
            hint: &self.hint,
        };
        let mut response = json(self.status, &body);
        let extra = match self.status {
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, RETRY_AFTER)),
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            _ => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// A value as JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_string(value).expect("answers are JSON");
    text(status, "application/json", body)
}

/// A text of a kind.
pub fn text(status: StatusCode, kind: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body).into_response()
}

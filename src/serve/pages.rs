//! Pages: the run, a user and a product, for people with a browser. They work without scripts, and allow none.

use super::Service;
use super::answer::{ApiError, text};
use super::ask::{GivenQuery, given_query, list_for};
use super::desk::{Got, Wish};
use super::model::gauges;
use super::routes::{Answered, Shared};
use super::served::Served;
use crate::common::calendar::date_of;
use crate::common::format::count;
use crate::recommend::{Basis, Ranking, RecommendError};
use crate::view::page::{STYLE, Style, escape, page, paragraph, section};
use crate::view::report;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Where all pages have their style.
pub const STYLE_PATH: &str = "/page.css";
/// Products of a list, and of those that a user rated.
const SHOWN: usize = 20;
/// Products whose titles hold what was looked for.
const FOUND: usize = 30;
/// What a page may load: its style, from here, and no more.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// `GET /page.css`
pub async fn style() -> Response {
    text(StatusCode::OK, "text/css; charset=utf-8", STYLE.to_string())
}

/// `GET /favicon.ico`, which browsers ask for unasked: there is none, and that is no error.
pub async fn icon() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `GET /`
pub async fn home(State(service): Shared) -> Response {
    let reading = service.clone();
    let read = tokio::task::spawn_blocking(move || {
        let served = reading.served();
        let [words, curves] = report::summary(served.run(), served.recommender.config())?;
        Ok::<_, crate::evaluate::EvaluateError>((served, words, curves))
    });
    let answer = match read.await {
        Ok(Ok((served, words, curves))) => {
            let body = [
                section("In words", &words),
                section("This server", &health(&service, &served)),
                section("The training", &curves),
            ];
            Ok(html(StatusCode::OK, &served.origin.run, &body.concat()))
        }
        Ok(Err(error)) => Err(ApiError::fault(error.to_string())),
        Err(error) => Err(ApiError::fault(error.to_string())),
    };
    shown(&service, answer)
}

/// `GET /users?id=`
pub async fn user(State(service): Shared, query: GivenQuery) -> Response {
    let answer = user_page(&service, query).await;
    shown(&service, answer)
}

async fn user_page(service: &Arc<Service>, query: GivenQuery) -> Answered {
    let (id, served) = (looked_for(query)?, service.served());
    let ranking = list_for(service, &served, &id, SHOWN, true).await?;
    let since = service.log.of_user(&served, &id).map_err(|error| fault(&error))?;
    let rated = served.recommender.rated(&id, &since).map_err(|error| fault(&error))?;
    let mut rows = Vec::new();
    for (item, rating) in rated.iter().take(SHOWN) {
        let (id, title) = served.recommender.name(*item).map_err(|error| fault(&error))?;
        rows.push([product_link(&id, title.as_deref()), escape(&rating.to_string())]);
    }
    let more = match rated.len() > SHOWN {
        true => paragraph(&format!("and {} more", count(rated.len() - SHOWN))),
        false => String::new(),
    };
    let body = [
        section(
            "What to show next",
            &(paragraph(&basis_words(&ranking)) + &list(&ranking, &served)),
        ),
        section("What they rated", &(table(["product", "rating"], &rows) + &more)),
    ];
    Ok(html(StatusCode::OK, &format!("User {id}"), &body.concat()))
}

/// `GET /products?id=`
pub async fn product(State(service): Shared, query: GivenQuery) -> Response {
    let answer = product_page(&service, query).await;
    shown(&service, answer)
}

async fn product_page(service: &Arc<Service>, query: GivenQuery) -> Answered {
    let (id, served) = (looked_for(query)?, service.served());
    let looking = (served.clone(), id.clone());
    // All titles are looked at.
    let looked = tokio::task::spawn_blocking(move || looking.0.recommender.product(&looking.1));
    let item = match looked.await {
        Ok(Ok(item)) => item,
        Ok(Err(RecommendError::Unknown { .. } | RecommendError::Ambiguous { .. })) => {
            let found = tokio::task::spawn_blocking(move || found_page(&served, &id));
            return found.await.map_err(|error| ApiError::fault(error.to_string()))?;
        }
        Ok(Err(error)) => return Err(fault(&error)),
        Err(error) => return Err(ApiError::fault(error.to_string())),
    };
    let (id, title) = served.recommender.name(item).map_err(|error| fault(&error))?;
    let wish = Wish::Like {
        product: id.clone(),
        top: SHOWN,
        min_ratings: 0,
    };
    let similar = match service.asked(&served, vec![wish]).await {
        Ok(mut got) => match got.remove(0) {
            Got::Like(similar) => similar,
            Got::List(_) => return Err(ApiError::fault("a list for a likeness")),
        },
        Err(error) => return Err(error),
    };
    let rows: Vec<[String; 3]> = similar
        .similar
        .iter()
        .map(|other| {
            [
                product_link(&other.id, other.title.as_deref()),
                format!("{:.3}", other.likeness),
                count(other.train_ratings as usize),
            ]
        })
        .collect();
    let words = format!("id {id}, {} training ratings", count(similar.train_ratings as usize));
    let body = [
        paragraph(&words),
        section("Most like it", &table(["product", "likeness", "ratings of it"], &rows)),
    ];
    Ok(html(StatusCode::OK, title.as_deref().unwrap_or(&id), &body.concat()))
}

/// Products that may have been meant.
fn found_page(served: &Served, text: &str) -> Answered {
    let found = served
        .recommender
        .products_with(text, FOUND)
        .map_err(|error| fault(&error))?;
    if found.is_empty() {
        return Err(ApiError::from_recommend(&served.unknown("product", text)));
    }
    let mut rows = Vec::new();
    for item in found {
        let (id, title) = served.recommender.name(item).map_err(|error| fault(&error))?;
        rows.push([product_link(&id, title.as_deref()), escape(&id)]);
    }
    let body = section("Titles that hold it", &table(["product", "id"], &rows));
    Ok(html(StatusCode::OK, &format!("Products: {text}"), &body))
}

fn fault(error: &RecommendError) -> ApiError {
    ApiError::from_recommend(error)
}

fn looked_for(query: GivenQuery) -> Result<String, ApiError> {
    let mut pairs = given_query(query)?.into_iter();
    match (pairs.next(), pairs.next()) {
        (Some((name, id)), None) if name == "id" && !id.is_empty() => Ok(id),
        _ => Err(ApiError::malformed("nothing is looked for", "give an id")),
    }
}

/// A page, or what is wrong as one.
fn shown(service: &Service, answer: Answered) -> Response {
    answer.unwrap_or_else(|error| {
        service.tell_of(&error);
        let body = paragraph(&error.message) + &paragraph(&error.hint);
        html(error.status, "Not to be had", &body)
    })
}

fn html(status: StatusCode, title: &str, body: &str) -> Response {
    let forms = "<nav aria-label=\"look up\"><a href=\"/\">the run</a></nav>\n\
        <form action=\"/users\" role=\"search\"><label>user id <input name=\"id\" required autocomplete=\"off\"></label>\
        <button>Recommend</button></form>\n\
        <form action=\"/products\" role=\"search\"><label>product id, or part of a title <input name=\"id\" required \
        autocomplete=\"off\"></label><button>Find alike</button></form>\n";
    let page = page(title, Style::At(STYLE_PATH), &format!("{forms}{body}"));
    let mut response = text(status, "text/html; charset=utf-8", page).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Rows of HTML under heads of text.
fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let heads: String = heads
        .map(|head| format!("<th scope=\"col\">{}</th>", escape(head)))
        .concat();
    let row = |row: &[String; N]| format!("<tr><td>{}</td></tr>\n", row.join("</td><td>"));
    let body: String = rows.iter().map(row).collect();
    format!(
        "<div class=\"wide\"><table class=\"list\"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )
}

fn product_link(id: &str, title: Option<&str>) -> String {
    format!(
        "<a href=\"/products?id={}\">{}</a>",
        encoded(id),
        escape(title.unwrap_or(id))
    )
}

/// An id as it may stand behind `?id=`.
fn encoded(id: &str) -> String {
    let mut encoded = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => encoded.push(byte as char),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn basis_words(ranking: &Ranking) -> String {
    let ratings = format!("{} ratings", count(ranking.train_ratings as usize));
    match ranking.basis {
        Basis::Trained => format!("By the row that was trained on {ratings} of theirs."),
        Basis::FoldedIn => format!("Fitted to {ratings} of theirs, new ones among them."),
        Basis::ProductAppeal | Basis::ProductBias | Basis::ShrunkenMean => {
            "No rating of theirs was trained on: this is what most people like.".to_string()
        }
    }
}

fn list(ranking: &Ranking, served: &Served) -> String {
    let liked_from = served.recommender.liked_from();
    let is_rated = ranking
        .products
        .iter()
        .any(|product| product.predicted_rating.is_some());
    let rows: Vec<[String; 3]> = ranking
        .products
        .iter()
        .map(|product| {
            let why = product.why.as_ref().map_or(String::new(), |why| why.words(liked_from));
            let name = product_link(&product.product, product.title.as_deref());
            [
                format!("{name}<small>{}</small>", escape(&why)),
                match product.predicted_rating {
                    Some(rating) => format!("{rating:.2}"),
                    None => format!("{:.3}", product.score),
                },
                count(product.train_ratings as usize),
            ]
        })
        .collect();
    let by = if is_rated { "predicted rating" } else { "score" };
    table(["product", by, "ratings of it"], &rows)
}

fn health(service: &Service, served: &Served) -> String {
    let gauges = gauges(service);
    let completed = date_of((served.completed_ms / 1_000) as i64);
    paragraph(&format!(
        "{} of {}, completed {completed}: {} users, {} products. {} ratings came since. {} lists wait; {} were scored in {} passes.",
        served.origin.run,
        served.origin.data,
        count(gauges.users),
        count(gauges.products),
        count(gauges.ratings),
        count(gauges.waiting),
        count(gauges.answered as usize),
        count(gauges.passes as usize),
    )) + "<p><a href=\"/openapi.json\">what programs can ask</a>, <a href=\"/metrics\">counts and times</a></p>\n"
}

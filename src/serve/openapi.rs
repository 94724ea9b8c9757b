//! The description of all routes, made of the table that the router is made of.

use super::answer::json;
use super::routes::{Right, Route, routes};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

/// `GET /openapi.json`
pub async fn openapi() -> Response {
    json(StatusCode::OK, &description())
}

/// The routes as OpenAPI 3.1.
pub fn description() -> Value {
    let mut paths = Map::new();
    for route in routes() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dotcart",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Lists of one run. Errors are an object with `error` and `hint`.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    if route.path.contains("{id}") {
        parameters.push(json!({
            "name": "id", "in": "path", "required": true, "schema": { "type": "string" },
            "description": "as it stands in the table, percent-encoded",
        }));
    }
    for (name, kind, words) in route.parameters {
        parameters.push(json!({ "name": name, "in": "query", "schema": { "type": kind }, "description": words }));
    }
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "the answer" },
            "default": {
                "description": "what is wrong, and what to do about it",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            },
        },
    });
    if let Some(schema) = route.body {
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    if route.right == Right::Tell {
        operation["security"] = json!([{ "token": [] }]);
    }
    operation
}

fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "Error": {
            "type": "object",
            "required": ["error", "hint"],
            "properties": { "error": text, "hint": text },
        },
        "Question": {
            "type": "object",
            "additionalProperties": false,
            "description": "`users`, or `rated` for somebody new; neither: for anybody",
            "properties": {
                "users": texts,
                "rated": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["product", "rating"],
                        "properties": { "product": text, "rating": { "type": "number" } },
                    },
                },
                "top": { "type": "integer", "minimum": 1, "maximum": 1000 },
                "why": { "type": "boolean" },
                "exclude": texts,
            },
        },
        "Posting": {
            "description": "one rating, or `ratings` for many; the same `request_id` again is answered and not kept twice",
            "oneOf": [
                { "allOf": [
                    { "$ref": "#/components/schemas/Rating" },
                    { "type": "object", "properties": { "request_id": text } },
                ] },
                {
                    "type": "object",
                    "required": ["ratings"],
                    "properties": {
                        "request_id": text,
                        "ratings": { "type": "array", "items": { "$ref": "#/components/schemas/Rating" } },
                    },
                },
            ],
        },
        "Rating": {
            "type": "object",
            "required": ["user", "product", "rating"],
            "properties": {
                "user": text,
                "product": text,
                "rating": { "type": "number" },
                "time": { "type": "integer", "description": "seconds since 1970" },
            },
        },
    })
}

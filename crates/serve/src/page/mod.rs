//! The page at `/`: plain HTML, style and script, part of the binary, and nothing from anywhere else.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;
use crate::problem::Problem;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Name, type and content of what the page is made of.
const FILES: [(&str, &str, &str); 7] = [
    ("index.html", HTML, include_str!("index.html")),
    ("style.css", CSS, include_str!("style.css")),
    ("app.js", JS, include_str!("app.js")),
    ("ask.js", JS, include_str!("ask.js")),
    ("search.js", JS, include_str!("search.js")),
    ("library.js", JS, include_str!("library.js")),
    ("parts.js", JS, include_str!("parts.js")),
];

/// What the page may do: show its own files and talk to its own server. No word of a document can become script or style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(|| async { file("index.html") }))
        .route("/page/{file}", get(|Path(name): Path<String>| async move { file(&name) }))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
}

fn file(name: &str) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, content)) => {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::CACHE_CONTROL, "no-cache"), // another version of docent may be here tomorrow
            ];
            (headers, *content).into_response()
        }
        None => Problem::not_found("no_such_route", "the page has no such file").into_response(),
    }
}

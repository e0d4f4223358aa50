//! docent's own interface. What it answers has the keys of the commands' `--json` (`docs/json.md`).

pub(crate) mod ask;
pub(crate) mod cache;
pub(crate) mod documents;
pub(crate) mod jobs;
pub(crate) mod search;
pub(crate) mod service;
mod words;

pub(crate) use words::{Filter, RerankName, checked_text};

use axum::Router;
use axum::routing::{get, post, put};

use crate::app::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(service::health))
        .route("/metrics", get(service::metrics))
        .route("/v1/search", post(search::search))
        .route("/v1/ask", post(ask::ask))
        .route("/v1/pack", post(ask::pack))
        .route("/v1/documents", get(documents::list).post(documents::add).delete(documents::remove))
        .route("/v1/documents/text", get(documents::text))
        .route("/v1/documents/upload", put(documents::upload))
        .route("/v1/documents/update", post(documents::update))
        .route("/v1/jobs", get(jobs::list))
        .route("/v1/jobs/{id}", get(jobs::show).delete(jobs::stop))
        .route("/v1/collections", get(service::collections))
        .route("/v1/status", get(service::status))
        .route("/v1/cache", get(cache::status).delete(cache::purge))
        .route("/v1/cache/verify", post(cache::verify))
}

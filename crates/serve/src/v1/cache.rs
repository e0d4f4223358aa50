//! `/v1/cache`: what is kept of what the model read.

use std::path::Path;

use axum::extract::State;
use docent::json::{CacheStatus, CacheVerified};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::body::Query;
use crate::metrics::Spared;
use crate::problem::Problem;

/// What is kept, and what that spared.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CacheBody {
    #[serde(flatten)]
    cache: CacheStatus,
    /// What was read and what was spared since the server's start.
    spared: Spared,
}

/// What to remove.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Purge {
    /// Only what holds this document, or documents below this folder; left out: everything.
    document: Option<String>,
    /// The document's collection.
    collection: Option<String>,
}

/// What was removed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Purged {
    /// Blocks removed.
    removed_blocks: usize,
}

/// What is kept of documents that were read.
#[utoipa::path(get, path = "/v1/cache", tag = "docent", responses((status = 200, description = "The prefix store.", body = CacheBody)))]
pub(crate) async fn status(State(app): State<App>) -> Result<axum::Json<CacheBody>, Problem> {
    let library = app.library(None)?;
    let cache = app.search(move || Ok::<_, Problem>(CacheStatus::of(&library))).await?;
    Ok(axum::Json(CacheBody { cache, spared: app.metrics().spared() }))
}

/// Removes what is kept, of a document or of all.
#[utoipa::path(delete, path = "/v1/cache", tag = "docent", params(Purge),
    responses((status = 200, description = "It is removed.", body = Purged)))]
pub(crate) async fn purge(
    State(app): State<App>,
    Query(purge): Query<Purge>,
) -> Result<axum::Json<Purged>, Problem> {
    let library = app.library(purge.collection.as_deref())?;
    let removed_blocks = app
        .search(move || match purge.document {
            Some(document) => library.purge_prefixes_of(Path::new(&document)),
            None => {
                let dir = library.settings().prefix_dir();
                library.purge_prefixes().map_err(|source| docent::Error::Prefixes { dir, source })
            }
        })
        .await?;
    Ok(axum::Json(Purged { removed_blocks }))
}

/// Reads every byte that is kept. What cannot be believed is told and removed.
#[utoipa::path(post, path = "/v1/cache/verify", tag = "docent",
    responses((status = 200, description = "What was found.", body = CacheVerified)))]
pub(crate) async fn verify(State(app): State<App>) -> Result<axum::Json<CacheVerified>, Problem> {
    let library = app.library(None)?;
    let verified =
        app.search(move || Ok::<_, Problem>(CacheVerified::from(&library.verify_prefixes()))).await?;
    Ok(axum::Json(verified))
}

//! `/v1/search`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docent::json::SearchResult;
use docent::{SearchMode, SearchOptions};
use serde::{Deserialize, Serialize};

use super::{Filter, RerankName, checked_text};
use crate::app::{App, UNNAMED};
use crate::body::Json;
use crate::problem::Problem;

/// The most hits, and the most neighbours of one.
const MOST_HITS: usize = 100;
const MOST_CONTEXT: usize = 10;
/// Collections searched at once.
const MOST_COLLECTIONS: usize = 32;

/// What to search for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// The question, or words.
    #[schema(min_length = 1, max_length = 20000, example = "notice period")]
    query: String,
    /// How many passages.
    #[serde(default = "ten")]
    #[schema(minimum = 1, maximum = 100)]
    limit: usize,
    /// The collections to look in, `.` being the one without a name; left out: the one the server was started with.
    #[serde(default)]
    #[schema(max_items = 32)]
    collections: Vec<String>,
    /// Which documents.
    #[serde(default)]
    filter: Filter,
    /// Which rankings.
    #[serde(default)]
    mode: ModeName,
    /// Whether a model reads the best candidates again: its name, or `none`; left out: as the collection is set.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    rerank: RerankName,
    /// Neighbouring passages to show around each hit.
    #[serde(default)]
    #[schema(maximum = 10)]
    context: usize,
}

/// Which rankings a search uses.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeName {
    /// Both, fused.
    #[default]
    Hybrid,
    /// By words.
    Lexical,
    /// By meaning.
    Vector,
}

fn ten() -> usize {
    10
}

impl SearchRequest {
    fn options(&self) -> Result<SearchOptions, Problem> {
        if !(1..=MOST_HITS).contains(&self.limit) {
            return Err(Problem::bad("limit", format!("`limit` is a number from 1 to {MOST_HITS}")));
        }
        if self.context > MOST_CONTEXT || self.collections.len() > MOST_COLLECTIONS {
            let message = format!(
                "`context` is at most {MOST_CONTEXT}, and `collections` are at most {MOST_COLLECTIONS}"
            );
            return Err(Problem::bad("limit", message));
        }
        let (within, narrow) = self.filter.resolve()?;
        let named = |name: &String| (name != UNNAMED).then(|| name.clone());
        Ok(SearchOptions {
            k: self.limit,
            within,
            narrow,
            mode: match self.mode {
                ModeName::Hybrid => SearchMode::Hybrid,
                ModeName::Lexical => SearchMode::Lexical,
                ModeName::Vector => SearchMode::Vector,
            },
            collections: self.collections.iter().map(named).collect(),
            rerank: self.rerank.resolve()?,
            context: self.context,
        })
    }
}

/// Passages, best first.
#[utoipa::path(post, path = "/v1/search", tag = "docent", request_body = SearchRequest,
    responses((status = 200, description = "What was found; perhaps nothing.", body = SearchResult)))]
pub(crate) async fn search(
    State(app): State<App>,
    Json(request): Json<SearchRequest>,
) -> Result<Response, Problem> {
    checked_text(&app, "query", &request.query)?;
    let options = request.options()?;
    for name in &request.collections {
        app.library(Some(name))?;
    }
    let library = app.library(None)?;
    // Writing it down looks at the files of the hits, so it belongs on that thread, too.
    let body = app
        .search(move || {
            let found = library.search(&request.query, &options)?;
            let result = SearchResult::new(&request.query, &found);
            serde_json::to_vec(&result).map_err(|error| {
                Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
            })
        })
        .await?;
    Ok(([(axum::http::header::CONTENT_TYPE, "application/json")], body).into_response())
}

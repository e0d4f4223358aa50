//! What a search found.

use serde::{Deserialize, Serialize};

use super::text_of;
use crate::{Around, Found, FoundHit, Hit, Reranked};

/// `search --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchResult {
    /// What was searched for.
    pub query: String,
    /// What the second stage took, if there was one.
    pub rerank: Option<SecondStage>,
    /// Best first.
    pub hits: Vec<SearchHit>,
}

/// A model read the best candidates again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecondStage {
    /// Its name, or its folder.
    pub model: String,
    /// Passages it read.
    pub passages: usize,
    /// Seconds it read.
    pub seconds: f64,
    /// Seconds it took to open it.
    pub load_seconds: f64,
}

/// A passage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchHit {
    /// The file, absolute.
    pub path: String,
    /// The collection it is from; `null` for the one without a name.
    pub collection: Option<String>,
    /// How well it fits: see `docs/json.md` for what it means in each mode.
    pub score: f32,
    /// What the second stage says.
    pub rerank_score: Option<f32>,
    /// The document's title.
    pub title: Option<String>,
    /// Headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// First byte in the extracted text.
    pub byte_start: usize,
    /// One past the last.
    pub byte_end: usize,
    /// First line, from 1.
    pub line_start: u32,
    /// Last line.
    pub line_end: u32,
    /// Page, from 1, for formats with pages.
    pub page: Option<u32>,
    /// Format of the file.
    pub format: String,
    /// Exactly the text at the span.
    pub text: String,
    /// The file has changed or gone since it was indexed.
    pub changed: bool,
    /// The stretch it stands in, where that was asked for.
    pub context: Option<HitContext>,
}

/// The stretch of a document that a hit stands in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HitContext {
    /// First byte in the extracted text.
    pub byte_start: usize,
    /// One past the last.
    pub byte_end: usize,
    /// First line, from 1.
    pub line_start: u32,
    /// Last line.
    pub line_end: u32,
    /// Exactly the text at the span.
    pub text: String,
    /// Other hits in it, which are not listed by themselves.
    pub other_hits: Vec<OtherHit>,
}

/// A hit in the stretch of a better one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OtherHit {
    /// First byte in the extracted text.
    pub byte_start: usize,
    /// One past the last.
    pub byte_end: usize,
    /// As for a hit.
    pub score: f32,
    /// As for a hit.
    pub rerank_score: Option<f32>,
}

impl SearchResult {
    /// What `found` says about `query`. Looks at each hit's file, to see whether it has changed.
    pub fn new(query: &str, found: &Found) -> Self {
        Self {
            query: query.to_owned(),
            rerank: found.reranked.as_ref().map(SecondStage::from),
            hits: found.hits.iter().map(SearchHit::from).collect(),
        }
    }
}

impl From<&Reranked> for SecondStage {
    fn from(reranked: &Reranked) -> Self {
        let Reranked { model, n_passages, load_s, seconds } = reranked;
        Self { model: model.clone(), passages: *n_passages, seconds: *seconds, load_seconds: *load_s }
    }
}

impl From<&FoundHit> for SearchHit {
    fn from(found: &FoundHit) -> Self {
        let (hit, chunk) = (&found.hit, &found.hit.chunk);
        Self {
            path: text_of(&chunk.path),
            collection: found.collection.clone(),
            score: hit.score,
            rerank_score: hit.rerank_score,
            title: chunk.title.clone(),
            heading_path: chunk.heading_path.clone(),
            byte_start: chunk.span.start,
            byte_end: chunk.span.end,
            line_start: chunk.lines.0,
            line_end: chunk.lines.1,
            page: chunk.page,
            format: chunk.format.clone(),
            text: chunk.text.clone(),
            changed: hit.changed(),
            context: found.around.as_ref().map(HitContext::from),
        }
    }
}

impl From<&Around> for HitContext {
    fn from(around: &Around) -> Self {
        Self {
            byte_start: around.span.start,
            byte_end: around.span.end,
            line_start: around.lines.0,
            line_end: around.lines.1,
            text: around.text.clone(),
            other_hits: around.others.iter().map(OtherHit::from).collect(),
        }
    }
}

impl From<&Hit> for OtherHit {
    fn from(hit: &Hit) -> Self {
        let span = &hit.chunk.span;
        Self { byte_start: span.start, byte_end: span.end, score: hit.score, rerank_score: hit.rerank_score }
    }
}

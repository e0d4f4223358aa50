//! What programs are told: the objects that commands print with `--json` and the server answers with, described key by key in
//! `docs/json.md`. Keys stay stable. What is text on the way out is text here: a path that is not UTF-8 has its odd bytes replaced.
//!
//! ```text
//! search    hits                        library   documents, roots, collections, status, what an ingestion did
//! kept      what the prefix store has   progress  how far an ingestion is
//! ```

mod kept;
mod library;
mod progress;
mod search;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::answer::Answer;

pub use kept::{CacheStatus, CacheVerified, CachedModel, DamagedBlock, StoreWrites, WarmResult};
pub use library::{
    CollectionEntry, CollectionList, DocumentEntry, DocumentList, FolderSize, IngestSummary, LibraryStatus,
    ModelInfo, ModelList, NotIndexedFile, RootEntry, folder_bytes, not_indexed,
};
pub use progress::{IngestPhase, IngestProgress};
pub use search::{HitContext, OtherHit, SearchHit, SearchResult, SecondStage};

/// `ask --json`: an answer, and what the prefix store did meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AskResult {
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// What went to the store since it was last asked.
    pub prefix_store: StoreWrites,
}

/// A path as text.
fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

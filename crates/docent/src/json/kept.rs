//! What is kept of what the model read.

use serde::{Deserialize, Serialize};

use super::text_of;
use crate::{Library, NamespaceStatus, Verified, Warmed, Written};

/// `cache status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CacheStatus {
    /// The store's folder.
    pub path: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// The most there may be.
    pub max_bytes: u64,
    /// By model.
    pub models: Vec<CachedModel>,
}

/// What is kept of a model's work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CachedModel {
    /// The model and how it computes.
    pub model: String,
    /// Blocks.
    pub blocks: usize,
    /// Tokens in them.
    pub tokens: usize,
    /// Bytes on disk.
    pub bytes: u64,
    /// Documents whose content is in them.
    pub documents: usize,
}

/// `cache verify --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CacheVerified {
    /// Blocks that are as they should be.
    pub good: usize,
    /// What was damaged, and has been removed.
    pub damaged: Vec<DamagedBlock>,
    /// Damage that was met since the last time.
    pub noted: Vec<String>,
    /// Blocks whose beginning is gone; removed.
    pub orphans: usize,
    /// Unfinished files; removed.
    pub stale: usize,
    /// Nothing was damaged.
    pub clean: bool,
}

/// A damaged block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DamagedBlock {
    /// Its file.
    pub file: String,
    /// What was wrong with it.
    pub reason: String,
}

/// What went to the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoreWrites {
    /// Blocks written.
    pub written_blocks: usize,
    /// Their bytes.
    pub written_bytes: u64,
    /// Seconds it took, in the background.
    pub write_s: f64,
    /// Tokens whose blocks gave way.
    pub evicted_tokens: usize,
    /// Seconds that took.
    pub evict_s: f64,
    /// Why a block could not be written.
    pub failure: Option<String>,
}

/// `warm --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WarmResult {
    /// Documents.
    pub documents: usize,
    /// Tokens of instructions and documents.
    pub tokens: usize,
    /// Those of them that were kept already.
    pub cached_tokens: usize,
    /// Those that were read.
    pub prefilled_tokens: usize,
    /// Seconds it took.
    pub seconds: f64,
    /// It was stopped.
    pub interrupted: bool,
    /// Tokens that gave way.
    pub evicted_tokens: usize,
    /// Bytes written.
    pub written_bytes: u64,
}

impl CacheStatus {
    /// What `library` keeps.
    pub fn of(library: &Library) -> Self {
        let status = library.prefix_status();
        Self {
            path: text_of(&library.settings().prefix_dir()),
            bytes: status.n_bytes,
            max_bytes: status.max_bytes,
            models: status.namespaces.iter().map(CachedModel::from).collect(),
        }
    }
}

impl From<&NamespaceStatus> for CachedModel {
    fn from(n: &NamespaceStatus) -> Self {
        Self {
            model: n.about.clone(),
            blocks: n.n_blocks,
            tokens: n.n_tokens,
            bytes: n.n_bytes,
            documents: n.n_owners,
        }
    }
}

impl From<&Verified> for CacheVerified {
    fn from(verified: &Verified) -> Self {
        let damaged = verified.damaged.iter();
        Self {
            good: verified.n_good,
            damaged: damaged
                .map(|(file, why)| DamagedBlock { file: file.to_string(), reason: why.to_string() })
                .collect(),
            noted: verified.noted.clone(),
            orphans: verified.n_orphans,
            stale: verified.n_stale,
            clean: verified.damaged.is_empty() && verified.noted.is_empty(),
        }
    }
}

impl From<&Written> for StoreWrites {
    fn from(written: &Written) -> Self {
        Self {
            written_blocks: written.n_blocks,
            written_bytes: written.n_bytes,
            write_s: written.seconds,
            evicted_tokens: written.n_evicted_tokens,
            evict_s: written.evict_seconds,
            failure: written.failure.clone(),
        }
    }
}

impl From<&Warmed> for WarmResult {
    fn from(warmed: &Warmed) -> Self {
        Self {
            documents: warmed.n_documents,
            tokens: warmed.n_tokens,
            cached_tokens: warmed.n_cached,
            prefilled_tokens: warmed.n_prefilled,
            seconds: warmed.seconds,
            interrupted: warmed.interrupted,
            evicted_tokens: warmed.written.n_evicted_tokens,
            written_bytes: warmed.written.n_bytes,
        }
    }
}

//! What can go wrong in a search or an evaluation.

use std::path::PathBuf;

use docent_index::IndexError;

/// Everything this crate can fail at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetrieveError {
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A search by vector was asked for without a vector.
    #[error("a search by vector needs the question's vector: use the lexical mode, or an embedding model")]
    NoQueryVector,
    /// A file of a test collection cannot be used.
    #[error("{}: {what}. A test collection is a folder with corpus.jsonl, queries.jsonl and qrels.tsv", .path.display())]
    Collection {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of an evaluation cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The caller's embedding function failed.
    #[error("embedding failed: {0}")]
    Embedding(String),
    /// The caller's function that scores passages failed.
    #[error("the model that puts passages in order failed: {0}")]
    Reranking(String),
    /// The caller asked to stop.
    #[error("interrupted: run it again to go on where it stopped")]
    Cancelled,
}

/// What every function here returns.
pub type Result<T> = std::result::Result<T, RetrieveError>;

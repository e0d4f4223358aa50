//! What can go wrong, each with what to do about it.

use std::path::PathBuf;

/// An error of opening or running the embedding model.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// A file of the model cannot be read.
    #[error("cannot read {}, a file of the embedding model ({source}): run `docent models pull all-minilm-l6-v2`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the model is damaged, or of another model.
    #[error("{} is not a file of a usable embedding model: {reason}; run `docent models rm all-minilm-l6-v2`, then `docent models pull all-minilm-l6-v2`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensor library failed.
    #[error("embedding failed: {0}")]
    Compute(#[from] candle_core::Error),
    /// The tokenizer failed.
    #[error("a text could not be cut into tokens: {0}")]
    Tokenize(String),
}

impl EmbedError {
    pub(crate) fn malformed(path: PathBuf, reason: impl std::fmt::Display) -> EmbedError {
        EmbedError::Malformed { path, reason: reason.to_string() }
    }
}

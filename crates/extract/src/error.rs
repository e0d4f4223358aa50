//! Why a file gave no document, as sentences for the person who owns it.

use serde::{Deserialize, Serialize};

/// A file without a document. The reason says what is wrong and, where there is one, the remedy;
/// it does not name the file, which the caller knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ExtractError {
    /// There is nothing to read in it, for cause: binary, too large, empty, unsupported, images only.
    #[error("{reason}")]
    Skipped {
        /// A sentence for the user.
        reason: String,
    },
    /// It should be readable and is not: broken, encrypted, or its parser crashed or took too long.
    #[error("{reason}")]
    Failed {
        /// A sentence for the user.
        reason: String,
    },
}

impl ExtractError {
    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped { reason: reason.into() }
    }

    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into() }
    }

    /// The sentence for the user.
    pub fn reason(&self) -> &str {
        match self {
            Self::Skipped { reason } | Self::Failed { reason } => reason,
        }
    }
}

//! What stops an ingestion. A file that cannot be read does not: it is listed with its reason.

use std::path::PathBuf;

use docent_index::IndexError;

/// Why an ingestion came to an end before its work was done. What was committed before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// A root is gone.
    #[error(
        "{} is not there: what was indexed from it is kept. If it lies on a disk that is not mounted, mount it and run the command again; to forget it, run `docent rm {}`",
        .path.display(), .path.display()
    )]
    RootMissing {
        /// The root.
        path: PathBuf,
    },
    /// A root cannot be listed.
    #[error("{}: {reason}; what was indexed from it is kept", .path.display())]
    RootUnreadable {
        /// The root.
        path: PathBuf,
        /// The cause, in words.
        reason: String,
    },
    /// The index failed or refused.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The embedding model failed.
    #[error("the embedding model failed on a passage of {}: {source}", .path.display())]
    Embed {
        /// A document whose passages were being embedded.
        path: PathBuf,
        /// The model's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

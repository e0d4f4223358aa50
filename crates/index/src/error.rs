//! What can go wrong in an index, each with the file concerned and the remedy.

use std::io;
use std::path::{Path, PathBuf};

use crate::{ChunkId, DocId};

/// Everything the index can refuse or fail at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A read-only opening found no index.
    #[error("there is no index in {}: add a folder to it first", .dir.display())]
    Missing {
        /// The folder that was looked in.
        dir: PathBuf,
    },
    /// Another process writes to this index now.
    #[error("the index in {} is being written by {holder}: wait until it has finished, or stop it", .dir.display())]
    Busy {
        /// The index's folder.
        dir: PathBuf,
        /// Who holds the lock: command and process id, as far as known.
        holder: String,
    },
    /// The folder holds another index than when writing began, or none.
    #[error("the index in {} was removed while it was written to: run the command again", .dir.display())]
    Replaced {
        /// The index's folder.
        dir: PathBuf,
    },
    /// The index was written by a later version.
    #[error(
        "the index in {} has format {found}, written by docent {written_by}; this docent reads formats up to {supported}: use that version, or remove the index and add your folders again",
        .dir.display()
    )]
    NewerFormat {
        /// The index's folder.
        dir: PathBuf,
        /// The format found on disk.
        found: u32,
        /// The version of docent that wrote it.
        written_by: String,
        /// The latest format that this build reads.
        supported: u32,
    },
    /// The index has an earlier format and cannot be written, so it cannot be brought to the present one.
    #[error(
        "the index in {} has format {found}, of an earlier docent, and cannot be written: make it writable once, so that it can be brought to format {supported}",
        .dir.display()
    )]
    OlderFormat {
        /// The index's folder.
        dir: PathBuf,
        /// The format found on disk.
        found: u32,
        /// The present format.
        supported: u32,
    },
    /// The caller asked to stop while postings were made anew.
    #[error("the words of the index in {} are not all cut anew yet: nothing is lost, the next `docent update` begins with it", .dir.display())]
    Stopped {
        /// The index's folder.
        dir: PathBuf,
    },
    /// A pattern for paths that is none.
    #[error("{pattern:?} is no pattern for paths: {what}. Examples: '*.md', 'notes/**', '/srv/manuals'")]
    Pattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        what: String,
    },
    /// The file is not docent's at all.
    #[error("{} is not a docent index: name another folder", .path.display())]
    NotAnIndex {
        /// The file that was opened.
        path: PathBuf,
    },
    /// A file of the index is broken.
    #[error("{}: {what}. `docent doctor --index` mends what can be mended; otherwise remove the index and add your folders again: no document is touched by that", .path.display())]
    Corrupt {
        /// The broken file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// No room left on the device.
    #[error("the disk that holds {} is full: free some space and run the command again; the index is as it was before", .path.display())]
    DiskFull {
        /// The file or folder being written.
        path: PathBuf,
    },
    /// The place cannot be written.
    #[error("{} cannot be written: make it writable, or keep the index elsewhere", .path.display())]
    NotWritable {
        /// The file or folder being written.
        path: PathBuf,
    },
    /// An index that was opened for reading, where nothing can be written, was asked for its writer.
    #[error("the index in {} cannot be written: make its folder writable", .dir.display())]
    ReadOnly {
        /// The index's folder.
        dir: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The catalog refused a statement.
    #[error("the catalog {}: {source}", .path.display())]
    Catalog {
        /// The catalog's file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// The lexical index failed.
    #[error("the postings in {}: {message}. `docent doctor --index` makes them anew", .path.display())]
    Postings {
        /// The postings' folder.
        path: PathBuf,
        /// The lexical index's own words.
        message: String,
    },
    /// A vector has another length than the index's vectors.
    #[error(
        "a vector of {given} numbers does not fit an index whose vectors have {expected}: embed with the model that the index was built with"
    )]
    Dimension {
        /// Length of the vector given.
        given: usize,
        /// Length the index holds.
        expected: usize,
    },
    /// The chunk is not (any more) in the index.
    #[error("passage {0} is not in the index: search again")]
    NoSuchChunk(ChunkId),
    /// The document is not (any more) in the index.
    #[error("document {0} is not in the index: search again")]
    NoSuchDocument(DocId),
    /// A document given to the writer contradicts itself. A defect of the caller.
    #[error("{}: {what}", .path.display())]
    InvalidDocument {
        /// The document's path.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// An earlier error undid what this writer had not committed.
    #[error("an earlier error undid the uncommitted part of this update of {}: run it again", .dir.display())]
    RolledBack {
        /// The index's folder.
        dir: PathBuf,
    },
}

/// What every function here returns.
pub type Result<T> = std::result::Result<T, IndexError>;

impl IndexError {
    /// The error for an input or output failure at `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                IndexError::DiskFull { path: path.to_owned() }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                IndexError::NotWritable { path: path.to_owned() }
            }
            _ => IndexError::Io { path: path.to_owned(), source },
        }
    }

    /// The error for a statement that the catalog at `path` refused.
    pub(crate) fn catalog(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => IndexError::DiskFull { path: path.to_owned() },
            Some(ErrorCode::ReadOnly) => IndexError::NotWritable { path: path.to_owned() },
            Some(ErrorCode::NotADatabase) => IndexError::NotAnIndex { path: path.to_owned() },
            Some(ErrorCode::DatabaseCorrupt) => {
                IndexError::Corrupt { path: path.to_owned(), what: source.to_string() }
            }
            _ => IndexError::Catalog { path: path.to_owned(), source },
        }
    }
}

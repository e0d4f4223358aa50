//! What an ingestion is told, and what it tells.

use std::path::PathBuf;
use std::time::Duration;

use docent_extract::Limits;

use crate::ChunkOptions;

/// Settings of an ingestion.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// What one file may cost. A larger one is not read.
    pub limits: Limits,
    /// Program and arguments of a process that extracts documents whose parsers may crash or hang (see
    /// [`docent_extract::Worker`]); without it, and without one in `limits`, they run on a thread.
    pub worker: Option<Vec<String>>,
    /// Read hidden files too.
    pub hidden: bool,
    /// Read what ignore files exclude.
    pub no_ignore: bool,
    /// Patterns of files and folders that are not read, in gitignore syntax and seen from each root.
    pub ignore: Vec<String>,
    /// Files and folders that are never read: docent's own.
    pub exclude: Vec<PathBuf>,
    /// Read files that failed or were skipped before once more, even if they have not changed.
    pub retry_failed: bool,
    /// Sizes of passages.
    pub chunks: ChunkOptions,
    /// Threads that read, extract and cut documents while others are embedded.
    pub n_threads: usize,
    /// Time after which finished work is committed: about what a killed process loses.
    pub commit_every: Duration,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            worker: None,
            hidden: false,
            no_ignore: false,
            ignore: Vec::new(),
            exclude: Vec::new(),
            retry_failed: false,
            chunks: ChunkOptions::default(),
            n_threads: std::thread::available_parallelism().map_or(1, usize::from).min(4),
            commit_every: Duration::from_secs(1),
        }
    }
}

/// How far an ingestion is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Waiting until another process has finished writing.
    Waiting {
        /// That process: its command and number, as far as known.
        holder: String,
    },
    /// The index is of an earlier format: the words of its documents are cut anew.
    Renewing {
        /// Bytes of text done.
        bytes_done: u64,
        /// Bytes of text to do.
        bytes_total: u64,
    },
    /// Looking for files.
    Scanning {
        /// Files found so far.
        found: usize,
    },
    /// Reading and indexing what is new or changed.
    Working {
        /// Files done.
        files_done: usize,
        /// Files to do.
        files_total: usize,
        /// Bytes of the files done and of the part done of the present one.
        bytes_done: u64,
        /// Bytes of the files to do.
        bytes_total: u64,
        /// The file worked on.
        path: PathBuf,
    },
    /// Everything is indexed; vectors are sorted, so that searches among so many stay quick.
    Sorting {
        /// Of a hundred.
        percent: u8,
    },
}

/// What an ingestion did, in files, and what it found unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Indexed for the first time.
    pub added: usize,
    /// Indexed again because the content changed.
    pub changed: usize,
    /// Recognised by their content under a new name.
    pub renamed: usize,
    /// Gone from the disk, and now from the index.
    pub removed: usize,
    /// Indexed before and still the same.
    pub unchanged: usize,
    /// Left out for cause, now or before.
    pub skipped: usize,
    /// Could not be read, now or before.
    pub failed: usize,
    /// Files whose content was read.
    pub n_read: usize,
    /// Passages that were embedded.
    pub n_embedded: usize,
    /// The caller asked to stop before everything was done; what was done is kept.
    pub interrupted: bool,
}

impl Summary {
    /// Files whose place in the index changed.
    pub fn n_changes(&self) -> usize {
        self.added + self.changed + self.renamed + self.removed
    }
}

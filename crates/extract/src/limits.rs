//! What one file may cost.

use std::sync::Arc;
use std::time::Duration;

use crate::{ExtractError, Worker};

/// Bounds on what one file may cost. Going over one costs the file, never the run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest file read, in bytes.
    pub max_bytes: u64,
    /// Most bytes taken out of one compressed container (DOCX, EPUB, …), over all its entries.
    pub max_unpacked_bytes: u64,
    /// Most entries a compressed container may list.
    pub max_entries: usize,
    /// Longest time a parser that may hang (PDF) gets for one file.
    pub timeout: Duration,
    /// The process such a parser runs in; without one it runs on a thread of this process.
    pub worker: Option<Arc<Worker>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_unpacked_bytes: 256 << 20,
            max_entries: 20_000,
            timeout: Duration::from_secs(60),
            worker: None,
        }
    }
}

impl Limits {
    /// Whether a file of `n_bytes` may be read: ask before reading it.
    ///
    /// # Errors
    /// [`ExtractError::Skipped`] naming both sizes when it is larger than [`Limits::max_bytes`].
    pub fn check_size(&self, n_bytes: u64) -> Result<(), ExtractError> {
        if n_bytes <= self.max_bytes {
            return Ok(());
        }
        Err(ExtractError::skipped(format!(
            "larger than {} ({}): raise the limit with --max-size",
            megabytes(self.max_bytes),
            megabytes(n_bytes)
        )))
    }
}

/// `64 MB`, `81.2 MB`: units of 2^20 bytes with one digit where it says something.
pub(crate) fn megabytes(n_bytes: u64) -> String {
    let tenths = n_bytes.saturating_mul(10) >> 20;
    if tenths.is_multiple_of(10) && n_bytes.is_multiple_of(1 << 20) {
        format!("{} MB", tenths / 10)
    } else {
        format!("{}.{} MB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_told_both_sizes_and_the_remedy() {
        let error = Limits::default().check_size(85_145_000).unwrap_err();
        assert_eq!(error.reason(), "larger than 64 MB (81.2 MB): raise the limit with --max-size");
        assert!(Limits::default().check_size(64 << 20).is_ok());
    }
}

//! What one file may cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{ExtractError, Ocr, Worker};

/// Bounds on what one file may cost. Going over one costs the file, never the run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest file read, in bytes.
    pub max_bytes: u64,
    /// Most bytes taken out of one compressed container (DOCX, EPUB, …), over all its entries.
    pub max_unpacked_bytes: u64,
    /// Most entries a compressed container may list.
    pub max_entries: usize,
    /// How deep containers (archives, mails with attachments) are opened in containers.
    pub max_nesting: usize,
    /// Longest time a parser that may hang (PDF) gets for one file, and after which no further file inside a container is begun.
    pub timeout: Duration,
    /// The process such a parser runs in; without one it runs on a thread of this process.
    pub worker: Option<Arc<Worker>>,
    /// Recognition of text in pictures and in PDFs without any; none: they are reported as such.
    pub ocr: Option<Ocr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_unpacked_bytes: 256 << 20,
            max_entries: 20_000,
            max_nesting: 4,
            timeout: Duration::from_secs(60),
            worker: None,
            ocr: None,
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

/// What is left of a file's limits while the files inside it are read, one after the other.
///
/// A container in a container draws on the same allowance, so that nesting multiplies nothing.
pub(crate) struct Allowance {
    /// The limits of the next file inside; `max_unpacked_bytes` and `max_entries` are what is left of them.
    pub(crate) limits: Limits,
    /// Containers that may still be opened inside the one being read.
    n_levels: usize,
    deadline: Instant,
}

impl Allowance {
    pub(crate) fn of(limits: &Limits) -> Self {
        let limits = limits.clone();
        Self { n_levels: limits.max_nesting, deadline: Instant::now() + limits.timeout, limits }
    }

    /// Runs `read` one container further in.
    ///
    /// # Errors
    /// Failed when containers nest too deep; otherwise what `read` gives.
    pub(crate) fn inside<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ExtractError>,
    ) -> Result<T, ExtractError> {
        let Some(n_levels) = self.n_levels.checked_sub(1) else {
            return Err(ExtractError::failed("archives nested too deep: unpack it"));
        };
        self.n_levels = n_levels;
        let done = read(self);
        self.n_levels = n_levels + 1;
        done
    }

    /// Accounts for one more file inside.
    ///
    /// # Errors
    /// A sentence saying which limit is used up: nothing more is to be read.
    pub(crate) fn take_entry(&mut self) -> Result<(), String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("reading it took too long: what comes after this was left out".to_owned());
        }
        let Some(n_entries) = self.limits.max_entries.checked_sub(1) else {
            return Err("it holds too many files: what comes after this was left out".to_owned());
        };
        self.limits.max_entries = n_entries;
        self.limits.timeout = left;
        Ok(())
    }

    /// Accounts for unpacked bytes.
    ///
    /// # Errors
    /// As [`Allowance::take_entry`].
    pub(crate) fn take_bytes(&mut self, n_bytes: u64) -> Result<(), String> {
        match self.limits.max_unpacked_bytes.checked_sub(n_bytes) {
            Some(left) => {
                self.limits.max_unpacked_bytes = left;
                Ok(())
            }
            None => Err("it unpacks to too much: what comes after this was left out".to_owned()),
        }
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

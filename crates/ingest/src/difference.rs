//! What an ingestion would have to do, found out without the right to write.

use std::path::PathBuf;

use docent_index::{Fate, Snapshot};

use crate::plan::{Plan, plan};
use crate::{IngestError, IngestOptions, Summary};

/// How the files on disk differ from the ledger, by their sizes, times and inodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Files that the ledger does not know.
    pub new: Vec<PathBuf>,
    /// Files that look different from what the ledger says.
    pub changed: Vec<PathBuf>,
    /// Files of the ledger that are not there any more.
    pub gone: Vec<PathBuf>,
    /// Files that would be noted as skipped or failed, or looked at again to see whether they still are.
    pub noted: Vec<PathBuf>,
    /// Roots that are not there or cannot be listed.
    pub lost_roots: Vec<PathBuf>,
    /// The caller asked to stop: this is not all.
    pub interrupted: bool,
}

impl Difference {
    /// Whether an ingestion would find nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Difference::default()
    }
}

/// Compares what lies at or below `roots` with the index. Opens no file.
///
/// # Errors
/// If the index cannot be read. A root that is not there is in the answer.
pub fn difference(
    snapshot: &Snapshot<'_>,
    roots: &[PathBuf],
    options: &IngestOptions,
    cancel: &dyn Fn() -> bool,
) -> Result<(Difference, Summary), IngestError> {
    let mut summary = Summary::default();
    let plan = plan(snapshot, roots, options, &mut summary, &mut |_| !cancel())?;
    let Plan { candidates, fates, vanished, lost_root, interrupted, .. } = plan;
    let mut difference = Difference { interrupted, ..Difference::default() };
    for candidate in candidates {
        let path = candidate.stat.path.clone();
        match candidate.known {
            None => difference.new.push(path),
            // Its content was never read; it is looked at each time.
            Some(known) if known.fate != Fate::Indexed && known.stat == candidate.stat => {
                difference.noted.push(path)
            }
            Some(_) => difference.changed.push(path),
        }
    }
    difference.noted.extend(fates.into_iter().map(|(stat, _)| stat.path));
    difference.gone = vanished.into_iter().map(|record| record.stat.path).collect();
    if lost_root.is_some() {
        difference.lost_roots = roots.iter().filter(|root| !root.exists()).cloned().collect();
    }
    Ok((difference, summary))
}

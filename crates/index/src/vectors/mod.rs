//! The vectors of passages: files that only grow, a scan over them, and for many rows lists of those near each other.
//!
//! `vectors/N.f32` holds the vectors row after row, `vectors/N.ids` for each row the numbers of its passage and its
//! document, `vectors/N.i8` the vectors as codes of one byte, `vectors/N.lists` rows near each other. The last two are made from the
//! first and may be missing. How many rows count, and which N, is written in the catalog; see `indexes/README.md` for the drawing.
//!
//!  1. A writer appends rows behind those that count, and syncs the files;
//!  2. the catalog's commit makes them count.
//!
//! Killed between 1 and 2, the rows lie behind the end and the next writer writes over them. Rows that count never
//! change where they lie, so readers map the files and need no lock. A row whose passage is gone is listed in the
//! catalog (`dead_rows`); when a fifth of the rows is dead, the rest is copied to files with the next N.
//!
//! Cost of a search: one pass over all rows, 388 bytes each at 384 dimensions; with lists over some hundredths of them. Figures:
//! docs/retrieval.md.

pub mod alone;
mod codes;
mod file;
mod lists;
mod scan;

use std::path::Path;

pub(crate) use file::{VectorFiles, VectorWriter, remove_copies, sweep};
pub(crate) use scan::Among;

use crate::error::Result;
use crate::fault::Faults;
use crate::types::EmbeddingSpec;

/// Rows from which lists are made: looking at all takes some 4 ms of a thread there (20 ns a row), which is no longer little beside
/// embedding the question. They would be faster for fewer rows, too; below, missing nothing is worth more.
pub(crate) const LISTED_FROM: u64 = 200_000;
/// Lists are made anew when more than one in so many of the rows they cover has come since.
const NEW_SHARE: u64 = 5;

/// Whether the first `n_rows` rows of `serial` should be put into lists (again): there are `from` or more, and too many that no list has.
///
/// # Errors
/// If the files are not what the catalog says.
pub(crate) fn wants_lists(
    folder: &Path,
    spec: &EmbeddingSpec,
    serial: u64,
    n_rows: u64,
    from: u64,
) -> Result<bool> {
    if n_rows < from.max(1) {
        return Ok(false);
    }
    let files = VectorFiles::open(folder, spec, serial, n_rows)?;
    let n_covered = files.lists.as_ref().map_or(0, |lists| lists.n_rows() as u64);
    Ok((n_rows - n_covered) * NEW_SHARE > n_covered)
}

/// Puts the first `n_rows` rows of `serial` into lists. They must count: then the file is right whatever becomes of its writer. `tell`
/// hears how much of how much is done, and answers whether to go on; false if it said no.
///
/// # Errors
/// If the files cannot be read or written; searches do without lists then.
pub(crate) fn make_lists(
    folder: &Path,
    spec: &EmbeddingSpec,
    serial: u64,
    n_rows: u64,
    faults: &Faults,
    tell: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<bool> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    lists::build((folder, spec, serial, n_rows), n_threads, faults, tell)
}

/// Name of the vectors' folder in the index's folder.
pub(crate) const FOLDER: &str = "vectors";

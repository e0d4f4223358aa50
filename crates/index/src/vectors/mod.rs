//! The vectors of passages: two files that only grow, and an exact scan over them.
//!
//! `vectors/N.f32` holds the vectors row after row, `vectors/N.ids` for each row the numbers of its passage and its
//! document. How many rows count, and which N, is written in the catalog; see `indexes/README.md` for the drawing.
//!
//!  1. A writer appends rows behind those that count, and syncs both files;
//!  2. the catalog's commit makes them count.
//!
//! Killed between 1 and 2, the rows lie behind the end and the next writer writes over them. Rows that count never
//! change where they lie, so readers map the files and need no lock. A row whose passage is gone is listed in the
//! catalog (`dead_rows`); when a fifth of the rows is dead, the rest is copied to files with the next N.
//!
//! Cost of a search: one pass over all rows, 1.5 KB each at 384 dimensions. When not to use it: from some 100,000
//! rows on a graph is faster.

mod file;
mod scan;

pub(crate) use file::{VectorFiles, VectorWriter, sweep};

/// Name of the vectors' folder in the index's folder.
pub(crate) const FOLDER: &str = "vectors";

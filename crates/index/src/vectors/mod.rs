//! The vectors of passages: files that only grow, and a scan over them.
//!
//! `vectors/N.f32` holds the vectors row after row, `vectors/N.ids` for each row the numbers of its passage and its
//! document, `vectors/N.i8` the vectors as codes of one byte, made from the first and perhaps missing. How many rows count, and which N, is written in the catalog; see `indexes/README.md` for the drawing.
//!
//!  1. A writer appends rows behind those that count, and syncs the files;
//!  2. the catalog's commit makes them count.
//!
//! Killed between 1 and 2, the rows lie behind the end and the next writer writes over them. Rows that count never
//! change where they lie, so readers map the files and need no lock. A row whose passage is gone is listed in the
//! catalog (`dead_rows`); when a fifth of the rows is dead, the rest is copied to files with the next N.
//!
//! Cost of a search: one pass over all rows, 388 bytes each at 384 dimensions. Figures: docs/retrieval.md.

mod codes;
mod file;
mod scan;

pub(crate) use file::{VectorFiles, VectorWriter, sweep};
pub(crate) use scan::Among;

/// Name of the vectors' folder in the index's folder.
pub(crate) const FOLDER: &str = "vectors";

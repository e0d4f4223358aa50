//! Mending what a check found.

use std::collections::BTreeSet;

use crate::check::{Problem, Store};
use crate::error::{IndexError, Result};
use crate::types::DocId;
use crate::writer::Writer;

/// What was mended, and what is left to the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Documents that were removed, to be ingested again.
    pub n_removed: usize,
    /// The postings were made anew.
    pub postings: bool,
    /// The vectors were forgotten: every passage has to be embedded again.
    pub vectors: bool,
    /// What is made from the vectors was dropped, to be made anew.
    pub vector_copies: bool,
}

/// See [`Writer::repair`].
pub(crate) fn repair(writer: &mut Writer, problems: &[Problem]) -> Result<Repaired> {
    if let Some(problem) = problems.iter().find(|problem| problem.store == Store::CatalogFile) {
        return Err(IndexError::Corrupt { path: writer.catalog_path(), what: problem.what.clone() });
    }
    let mut repaired = Repaired::default();
    let has = |store: Store| problems.iter().any(|problem| problem.store == store);
    if has(Store::VectorCopies) {
        writer.forget_copies()?;
        repaired.vector_copies = true;
    }
    // What is damaged must not be read by what comes after.
    let damaged: BTreeSet<DocId> = problems.iter().filter_map(|problem| problem.doc).collect();
    for doc in damaged {
        writer.remove(doc)?;
        repaired.n_removed += 1;
    }
    if has(Store::Catalog) || has(Store::Vectors) {
        writer.remove_orphans()?;
    }
    if has(Store::Vectors) {
        writer.forget_vectors()?;
        repaired.vectors = true;
    }
    if has(Store::Catalog) || has(Store::Postings) {
        writer.rebuild_postings()?;
        repaired.postings = true;
    }
    Ok(repaired)
}

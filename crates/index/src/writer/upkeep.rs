//! Mending, and making anew what is made from something else: postings, codes, lists.

use crate::catalog::{State, write};
use crate::error::{IndexError, Result};
use crate::types::Filter;
use crate::vectors;
use crate::{Problem, Repaired};

use super::{Tell, Writer};

impl Writer {
    /// Makes the postings anew from the texts in the catalog; for an index whose check found them wrong.
    ///
    /// # Errors
    /// If the catalog cannot be read or the postings cannot be written.
    pub fn rebuild_postings(&mut self) -> Result<()> {
        self.rebuild_postings_telling(&mut |_, _| true)
    }

    pub(super) fn rebuild_postings_telling(&mut self, tell: &mut Tell<'_>) -> Result<()> {
        self.guarded(|writer| {
            writer.changed = true;
            writer.state.postings = None;
            writer.postings = None;
            let mut files = writer.files(&Filter::default())?;
            files.retain(|record| record.n_chunks > 0);
            let n_bytes = files.iter().map(|record| record.n_bytes_text).sum();
            let mut n_done = 0;
            for record in files {
                writer.repost(record.id)?;
                n_done += record.n_bytes_text;
                if !tell(n_done, n_bytes) {
                    return Err(IndexError::Stopped { dir: writer.dir.clone() });
                }
            }
            Ok(())
        })
    }

    /// Drops all vectors; [`chunks_without_vectors`](Self::chunks_without_vectors) then lists every passage. For an
    /// index whose check found them wrong.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn forget_vectors(&mut self) -> Result<()> {
        self.write(write::forget_vectors)?;
        if let Some(vectors) = self.vectors.take() {
            vectors.abandon();
        }
        self.state.vector_serial += 1;
        self.state.vector_rows = 0;
        Ok(())
    }

    /// Drops what is made from the vectors. The codes are made anew here and now, lists by [`make_lists`](Self::make_lists).
    ///
    /// # Errors
    /// If the files cannot be deleted or written.
    pub fn forget_copies(&mut self) -> Result<()> {
        self.commit()?; // nothing half written is lost with the files
        self.vectors = None;
        self.changed = true;
        let State { vector_serial, vector_rows, embedding, .. } = self.state.clone();
        vectors::remove_copies(&self.dir.join(vectors::FOLDER), vector_serial)?;
        if let Some(spec) = embedding.filter(|_| vector_rows > 0) {
            self.vectors(&spec)?;
        }
        Ok(())
    }

    /// Makes lists of vectors near each other if there are enough vectors to be worth it and too many that no list has: searches then
    /// need not look at all of them. Commits first, and again if lists were made. To be called when a larger change is over; it takes
    /// a minute or so for a million vectors. `tell` hears how much of how much is done, and answers whether to go on. True if lists
    /// were made.
    ///
    /// # Errors
    /// What committing gives; if the files cannot be written. Searches find all the same without lists.
    pub fn make_lists(&mut self, tell: &mut Tell<'_>) -> Result<bool> {
        self.commit()?;
        let State { vector_serial, vector_rows, embedding, .. } = self.committed.clone();
        let Some(spec) = embedding else { return Ok(false) };
        let folder = self.dir.join(vectors::FOLDER);
        let made = vectors::wants_lists(&folder, &spec, vector_serial, vector_rows, self.listed_from)?
            && vectors::make_lists(&folder, &spec, vector_serial, vector_rows, &self.faults, tell)?;
        if made {
            self.changed = true;
            self.commit()?;
        }
        Ok(made)
    }

    /// Mends what a check found wrong, as far as the index can do so by itself; takes effect with the next commit.
    /// Documents that are damaged in the catalog are removed, to be ingested again; postings are made anew from the
    /// catalog; vectors are forgotten, to be embedded again.
    ///
    /// # Errors
    /// `Corrupt` if the catalog's own file is damaged: nothing can mend that.
    pub fn repair(&mut self, problems: &[Problem]) -> Result<Repaired> {
        crate::repair::repair(self, problems)
    }

    /// Removes texts and passages without a file, and tells anew which vector rows are dead.
    pub(crate) fn remove_orphans(&mut self) -> Result<()> {
        let n_rows = self.state.vector_rows;
        self.write(|c| write::remove_orphans(c, n_rows))
    }
}

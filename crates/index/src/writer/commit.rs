//! The commit.
//!
//! Everything between two commits is one SQLite transaction. The commit, as a numbered story:
//!
//!  1. new vector rows are synced; they lie behind the rows that count;
//!  2. if a fifth of the rows is dead, the living are copied to files of the next serial and synced;
//!  3. new postings segments are written, merged as needed and synced; tantivy's list of them is held in memory;
//!  4. the state row gets the new generation, list of segments and number of rows;
//!  5. SQLite commits: **the one commit point**;
//!  6. files that the new state does not name are deleted.
//!
//! Lists of near vectors ([`Writer::make_lists`]) are made after a commit, of rows that count, and a commit of nothing else follows so
//! that readers look for them.
//!
//! A process killed before 5 leaves the old state with some files that nobody names; killed after 5, the new state
//! with the same. The next writer begins with step 6. An error before 5 undoes the transaction, and the writer
//! refuses to go on until [`Writer::rollback`] is called, so that a caller cannot commit half of its work unawares.
//!
//! An error in 5 itself leaves a doubt, as a story: a) SQLite appends the pages and the mark of the commit to its log;
//! b) the sync of the log fails, so the commit is undone for everybody who has the catalog open; c) all of them are
//! killed; d) whoever opens the catalog next finds the mark, if the disk has kept it, and the new state is in force.
//! So the files of neither state may be deleted between b and d. Where the log may hold such a mark, a writer therefore
//! first commits something small, whose pages take the mark's place, and deletes only then.

use crate::catalog::{self, read, write};
use crate::error::{IndexError, Result};
use crate::index::identity;
use crate::postings;
use crate::vectors::{self, VectorFiles, VectorWriter};

use super::Writer;

/// Rows below which dead ones are not worth a copy of the rest.
const MIN_ROWS_TO_COMPACT: u64 = 256;
/// One in so many rows dead: the living are copied to new files.
const DEAD_SHARE: u64 = 5;

impl Writer {
    /// Makes all changes since the last commit visible and durable, in all stores at once. Returns the generation.
    ///
    /// # Errors
    /// Whatever writing gives; the index is then as it was after the last commit, and the writer refuses to go on
    /// until [`rollback`](Self::rollback).
    pub fn commit(&mut self) -> Result<u64> {
        if self.broken {
            return Err(IndexError::RolledBack { dir: self.dir.clone() });
        }
        let result = if self.changed { self.commit_stores() } else { self.end_transaction("ROLLBACK") };
        match result {
            Ok(()) => Ok(self.committed.generation),
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        }
    }

    fn commit_stores(&mut self) -> Result<()> {
        self.check_place()?;
        let generation = self.committed.generation + 1;
        if let Some(vectors) = &mut self.vectors {
            vectors.sync()?; // 1
            self.state.vector_rows = vectors.n_rows();
        }
        self.compact_vectors()?; // 2
        if let Some(postings) = &mut self.postings {
            self.state.postings = Some(postings.commit(&self.dir.join(postings::FOLDER), generation)?); // 3
        }
        self.state.generation = generation;
        let state = self.state.clone();
        self.write(|c| catalog::set_state(c, &state))?; // 4
        let path = self.catalog_path();
        self.faults.before("commit the catalog").map_err(|e| IndexError::io(&path, e))?;
        self.certain = false;
        self.end_transaction("COMMIT")?; // 5
        self.certain = true;
        self.committed = self.state.clone();
        self.changed = false;
        // Tests look at the disk between the two steps; there is nothing left that could fail.
        let _ = self.faults.before("sweep");
        self.sweep(); // 6
        Ok(())
    }

    fn end_transaction(&mut self, how: &str) -> Result<()> {
        if self.in_transaction.get() {
            self.connection.execute_batch(how).map_err(|e| IndexError::catalog(&self.catalog_path(), e))?;
            self.in_transaction.set(false);
        }
        Ok(())
    }

    /// Copies the living rows to new files if too many are dead.
    fn compact_vectors(&mut self) -> Result<()> {
        let Some(spec) = self.state.embedding.clone() else { return Ok(()) };
        let n_rows = self.state.vector_rows;
        if n_rows < MIN_ROWS_TO_COMPACT {
            return Ok(());
        }
        let n_dead = self.read(read::dead_rows)?.len() as u64;
        if n_dead * DEAD_SHARE < n_rows {
            return Ok(());
        }
        let folder = self.dir.join(vectors::FOLDER);
        let old = VectorFiles::open(&folder, &spec, self.state.vector_serial, n_rows)?;
        let serial = self.state.vector_serial + 1;
        let mut new = VectorWriter::open(&folder, &spec, serial, 0, &self.faults)?;
        let living = self.read(write::live_rows)?;
        for (chunk, row) in &living {
            let (Some(vector), Some((_, doc))) = (old.row(*row), old.id(*row)) else { continue };
            new.push(vector, chunk.0, doc)?;
        }
        new.sync()?;
        self.write(|c| write::renumber_rows(c, &living))?;
        self.state.vector_serial = new.serial();
        self.state.vector_rows = new.n_rows();
        self.vectors = Some(new);
        Ok(())
    }

    /// Deletes the files that the committed state does not name, if it is certain that it is the state; where that
    /// cannot be made sure, nothing.
    pub(super) fn sweep_if_certain(&mut self) {
        if !self.certain {
            let confirm = || -> rusqlite::Result<bool> {
                self.connection.execute_batch("BEGIN IMMEDIATE")?;
                let is_state = catalog::state(&self.connection)? == self.committed;
                self.connection.execute("UPDATE state SET written_by = ?1", [env!("CARGO_PKG_VERSION")])?;
                self.connection.execute_batch("COMMIT")?;
                Ok(is_state)
            };
            self.certain = confirm().unwrap_or(false);
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
        if self.certain {
            self.sweep();
        }
    }

    /// Deletes the files that the committed state does not name. Only when that is certain.
    fn sweep(&self) {
        if self.check_place().is_err() {
            return; // the files are another index's
        }
        postings::sweep(&self.dir.join(postings::FOLDER), self.committed.postings.as_deref());
        vectors::sweep(&self.dir.join(vectors::FOLDER), self.committed.vector_serial);
    }

    /// Whether the folder still holds the index that this writer opened.
    pub(super) fn check_place(&self) -> Result<()> {
        match identity(&self.dir) == self.identity {
            true => Ok(()),
            false => Err(IndexError::Replaced { dir: self.dir.clone() }),
        }
    }

    /// Undoes every change since the last commit; the writer can be used again.
    ///
    /// # Errors
    /// If the catalog cannot undo its transaction.
    pub fn rollback(&mut self) -> Result<()> {
        self.postings = None;
        if let Some(vectors) = self.vectors.take() {
            vectors.abandon();
        }
        if !self.connection.is_autocommit() {
            self.connection
                .execute_batch("ROLLBACK")
                .map_err(|e| IndexError::catalog(&self.catalog_path(), e))?;
        }
        self.in_transaction.set(false);
        self.broken = false;
        self.changed = false;
        self.state = self.committed.clone();
        self.sweep_if_certain();
        self.adopt_embedding()
    }
}

//! Writing: the one writer and its commit.
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

use std::cell::Cell;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::analysis::Language;
use crate::catalog::{self, Access, State, read, write};
use crate::error::{IndexError, Result};
use crate::fault::Faults;
use crate::index::identity;
use crate::lock::{self, WriterLock};
use crate::postings::{self, Passage, PostingsWriter};
use crate::types::{
    Chunk, ChunkId, DocId, DocumentText, EmbeddingSpec, Fate, FileRecord, FileStat, Filter, NewDocument,
    Root, RootSettings,
};
use crate::vectors::{self, VectorFiles, VectorWriter};
use crate::{Problem, Repaired};

/// Rows below which dead ones are not worth a copy of the rest.
const MIN_ROWS_TO_COMPACT: u64 = 256;
/// One in so many rows dead: the living are copied to new files.
const DEAD_SHARE: u64 = 5;

/// Hears how many bytes of text of how many have been gone through, and answers whether to go on.
pub type Tell<'a> = dyn FnMut(u64, u64) -> bool + 'a;

/// The right to change an index. Changes take effect with [`commit`](Self::commit), all at once; dropping the
/// writer undoes what was not committed.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    /// Of the catalog that was opened. Another one may come to lie at its path, and what is found by path is then that one's.
    identity: Option<u64>,
    connection: Connection,
    /// Begun by the first call after a commit, and not ended by SQLite behind our back.
    in_transaction: Cell<bool>,
    /// An error has undone changes that the caller believes made.
    broken: bool,
    /// There is something to commit.
    changed: bool,
    /// The log holds no mark of a commit but that of `committed`.
    certain: bool,
    committed: State,
    state: State,
    accepts: Option<EmbeddingSpec>,
    postings: Option<PostingsWriter>,
    vectors: Option<VectorWriter>,
    /// Vector rows from which lists are made.
    listed_from: u64,
    faults: Faults,
    _lock: WriterLock,
}

impl Writer {
    pub(crate) fn open_telling(
        dir: &Path,
        embedding: Option<EmbeddingSpec>,
        faults: Faults,
        tell: &mut Tell<'_>,
    ) -> Result<Writer> {
        let lock = lock::take(dir)?;
        let connection = catalog::open(dir, Access::Write)?;
        let state =
            catalog::state(&connection).map_err(|e| IndexError::catalog(&catalog::path_in(dir), e))?;
        let mut writer = Writer {
            dir: dir.to_owned(),
            identity: identity(dir),
            connection,
            in_transaction: Cell::new(false),
            broken: false,
            changed: false,
            // An empty log holds no mark of anybody's.
            certain: catalog::log_is_empty(&catalog::path_in(dir)),
            committed: state.clone(),
            state,
            accepts: embedding,
            postings: None,
            vectors: None,
            listed_from: vectors::LISTED_FROM,
            faults,
            _lock: lock,
        };
        writer.sweep_if_certain();
        writer.adopt_embedding()?;
        writer.renew_terms(tell)?;
        Ok(writer)
    }

    /// If terms are cut in another way than when the postings were written, those are made anew with the next commit.
    fn renew_terms(&mut self, tell: &mut Tell<'_>) -> Result<()> {
        let stale = read::setting(&self.connection, catalog::STALE_TERMS);
        if stale.map_err(|e| IndexError::catalog(&self.catalog_path(), e))?.is_some() {
            self.rebuild_postings_telling(tell)?;
            self.write(|c| write::remove_setting(c, catalog::STALE_TERMS))?;
        }
        Ok(())
    }

    /// If the caller's model is not the one of the stored vectors, those are forgotten with the next commit.
    fn adopt_embedding(&mut self) -> Result<()> {
        if self.accepts.is_none() || self.accepts == self.state.embedding {
            return Ok(());
        }
        if self.state.embedding.is_some() {
            self.write(write::forget_vectors)?;
        }
        self.state.embedding = self.accepts.clone();
        self.state.vector_serial += 1;
        self.state.vector_rows = 0;
        Ok(())
    }

    fn catalog_path(&self) -> PathBuf {
        catalog::path_in(&self.dir)
    }

    /// The catalog inside the transaction.
    fn catalog(&self) -> Result<&Connection> {
        if self.broken || (self.in_transaction.get() && self.connection.is_autocommit()) {
            return Err(IndexError::RolledBack { dir: self.dir.clone() });
        }
        if !self.in_transaction.get() {
            self.connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(|e| IndexError::catalog(&self.catalog_path(), e))?;
            self.in_transaction.set(true);
        }
        Ok(&self.connection)
    }

    fn read<T>(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        f(self.catalog()?).map_err(|e| IndexError::catalog(&self.catalog_path(), e))
    }

    /// Changes the catalog. An error breaks the writer: part of the change may have been made.
    fn write<T>(&mut self, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.changed = true;
        let result = self.read(f);
        self.broken |= result.is_err();
        result
    }

    /// Runs a change of the other stores. An error breaks the writer.
    fn guarded<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let result = f(self);
        self.broken |= result.is_err();
        result
    }

    fn postings(&mut self) -> Result<&mut PostingsWriter> {
        let folder = self.dir.join(postings::FOLDER);
        let writer = match self.postings.take() {
            Some(writer) => writer,
            None => {
                self.check_place()?;
                PostingsWriter::open(&folder, self.state.postings.clone(), self.faults.clone())?
            }
        };
        Ok(self.postings.insert(writer))
    }

    fn vectors(&mut self, spec: &EmbeddingSpec) -> Result<&mut VectorWriter> {
        let folder = self.dir.join(vectors::FOLDER);
        let writer = match self.vectors.take() {
            Some(writer) => writer,
            None => {
                self.check_place()?;
                let State { vector_serial, vector_rows, .. } = self.state;
                VectorWriter::open(&folder, spec, vector_serial, vector_rows, &self.faults)?
            }
        };
        Ok(self.vectors.insert(writer))
    }

    // --- what the writer sees: the committed state with its own changes

    /// Added folders and files, by path.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn roots(&self) -> Result<Vec<Root>> {
        self.read(read::roots)
    }

    /// Every file seen that passes the filter, whatever its fate, by path.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn files(&self, filter: &Filter) -> Result<Vec<FileRecord>> {
        self.read(|c| read::files(c, filter))
    }

    /// The ledger's line of one absolute path.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn file(&self, path: &Path) -> Result<Option<FileRecord>> {
        self.read(|c| read::file(c, path))
    }

    /// The files with this content, by path: how a renamed file is recognised.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn files_by_hash(&self, hash: &[u8; 32]) -> Result<Vec<FileRecord>> {
        self.read(|c| read::files_by_hash(c, hash))
    }

    /// A document's text with its pages and its line in the ledger.
    ///
    /// # Errors
    /// `NoSuchDocument`, or if the catalog cannot be read.
    pub fn document(&self, doc: DocId) -> Result<DocumentText> {
        self.read(|c| read::document(c, doc))?.ok_or(IndexError::NoSuchDocument(doc))
    }

    /// A passage.
    ///
    /// # Errors
    /// `NoSuchChunk`, or if the catalog cannot be read.
    pub fn chunk(&self, id: ChunkId) -> Result<Chunk> {
        self.read(|c| read::chunk(c, id))?.ok_or(IndexError::NoSuchChunk(id))
    }

    /// The numbers of a document's passages, in order.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn chunks_of(&self, doc: DocId) -> Result<Vec<ChunkId>> {
        Ok(self.read(|c| read::chunks_of(c, doc))?.into_iter().map(|(id, _)| id).collect())
    }

    /// Up to `limit` passages that have no vector of the present model, in order, after number `after`
    /// (`ChunkId(0)` to begin). To be embedded and given to [`put_vectors`](Self::put_vectors).
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn chunks_without_vectors(&self, after: ChunkId, limit: usize) -> Result<Vec<ChunkId>> {
        self.read(|c| read::chunks_without_vectors(c, after, limit))
    }

    /// Number of a document's passages that have a vector of the present model.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn n_vectors_of(&self, doc: DocId) -> Result<usize> {
        self.read(|c| read::n_vectors_of(c, doc))
    }

    // --- changes

    /// Adds a root. One that is remembered stays remembered.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn add_root(&mut self, path: impl AsRef<Path>, remembered: bool) -> Result<()> {
        self.write(|c| write::add_root(c, path.as_ref(), remembered))
    }

    /// Says how a root is to be read from now on. Nothing happens if there is no such root.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn set_root_settings(&mut self, path: impl AsRef<Path>, settings: RootSettings) -> Result<()> {
        self.write(|c| write::set_root_settings(c, path.as_ref(), settings))
    }

    /// Writes a setting of this index, e.g. the name of its embedding model. The index itself reads none.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn set_setting(&mut self, name: &str, value: &str) -> Result<()> {
        self.write(|c| write::set_setting(c, name, value))
    }

    /// Forgets a root and removes every file at or below it that no other root covers. Returns how many files
    /// were removed; works for a path that is no root, too.
    ///
    /// # Errors
    /// If the catalog or the postings cannot be written.
    pub fn remove_root(&mut self, path: impl AsRef<Path>) -> Result<usize> {
        let path = path.as_ref();
        self.write(|c| write::remove_root(c, path))?;
        let others = Filter {
            under: self.roots()?.into_iter().map(|r| r.path).collect(),
            remembered_only: false,
            ..Filter::default()
        };
        let mut n_removed = 0;
        for record in
            self.files(&Filter { under: vec![path.to_owned()], remembered_only: false, ..Filter::default() })?
        {
            if !others.under.iter().any(|root| record.stat.path.starts_with(root)) {
                self.remove(record.id)?;
                n_removed += 1;
            }
        }
        Ok(n_removed)
    }

    /// Stores a document, in place of whatever the index had of the same path. The number of a known path stays.
    ///
    /// # Errors
    /// `InvalidDocument` if spans or vectors do not fit (nothing is changed then); otherwise what writing gives.
    pub fn put_document(&mut self, document: NewDocument) -> Result<DocId> {
        self.check(&document)?;
        self.guarded(|writer| writer.put_checked(&document))
    }

    fn put_checked(&mut self, document: &NewDocument) -> Result<DocId> {
        self.clear(&document.stat.path)?;
        let language = document.language.as_deref().and_then(Language::from_code);
        let doc = self.write(|c| {
            let doc = write::put_file(c, &document.stat, &write::Entry::of_document(document))?;
            write::put_text(c, doc, &document.text)?;
            Ok(doc)
        })?;
        let folder = self.dir.join(postings::FOLDER);
        for (i, chunk) in document.chunks.iter().enumerate() {
            let vector = document.vectors.get(i);
            let row = match vector {
                Some(_) => Some(self.next_row()?),
                None => None,
            };
            let id = self.write(|c| write::put_chunk(c, doc, chunk, row))?;
            if let Some(vector) = vector {
                self.push_vector(vector, id, doc)?;
            }
            let passage = Passage {
                chunk: id.0,
                doc: doc.0,
                text: &document.text[chunk.span.clone()],
                headings: &chunk.heading_path,
                title: document.title.as_deref(),
                path: &document.stat.path,
                language,
            };
            self.postings()?.add(&folder, &passage)?;
        }
        Ok(doc)
    }

    /// Notes that a file was seen and is not in the index, and why; what the index had of it is removed. With
    /// [`Fate::Indexed`] the file counts as indexed, with nothing to be found in it.
    ///
    /// # Errors
    /// If the catalog or the postings cannot be written.
    pub fn put_fate(
        &mut self,
        stat: FileStat,
        hash: Option<[u8; 32]>,
        fate: Fate,
        format: impl Into<String>,
    ) -> Result<DocId> {
        let format = format.into();
        self.guarded(|writer| {
            writer.clear(&stat.path)?;
            let entry = write::Entry {
                hash,
                fate: &fate,
                format: &format,
                title: None,
                language: None,
                same_as_file: false,
                pages: &[],
                n_chunks: 0,
                n_bytes_text: 0,
            };
            writer.write(|c| write::put_file(c, &stat, &entry))
        })
    }

    /// Notes a file's new size, time and inode; its content is the same.
    ///
    /// # Errors
    /// `NoSuchDocument`, or if the catalog cannot be written.
    pub fn touch(&mut self, doc: DocId, stat: FileStat) -> Result<()> {
        self.rename(doc, stat)
    }

    /// Notes a file's new path (and size, time, inode); its content is the same. Passages and vectors stay; what
    /// the index had of the new path is removed.
    ///
    /// # Errors
    /// `NoSuchDocument`, or if the catalog or the postings cannot be written.
    pub fn rename(&mut self, doc: DocId, stat: FileStat) -> Result<()> {
        let old = self.read(|c| read::file_by_id(c, doc))?.ok_or(IndexError::NoSuchDocument(doc))?;
        self.guarded(|writer| {
            if let Some(replaced) = writer.file(&stat.path)?.filter(|replaced| replaced.id != doc) {
                writer.remove(replaced.id)?;
            }
            writer.write(|c| write::set_stat(c, doc, &stat))?;
            if old.stat.path != stat.path && old.n_chunks > 0 {
                writer.repost(doc)?;
            }
            Ok(())
        })
    }

    /// Writes a document's postings anew: the words of its path have changed.
    fn repost(&mut self, doc: DocId) -> Result<()> {
        let folder = self.dir.join(postings::FOLDER);
        let language = self.document(doc)?.record.language.as_deref().and_then(Language::from_code);
        self.postings()?.delete_document(doc.0);
        for (id, _) in self.read(|c| read::chunks_of(c, doc))? {
            let chunk = self.chunk(id)?;
            let passage = Passage {
                chunk: id.0,
                doc: doc.0,
                text: &chunk.text,
                headings: &chunk.heading_path,
                title: chunk.title.as_deref(),
                path: &chunk.path,
                language,
            };
            self.postings()?.add(&folder, &passage)?;
        }
        Ok(())
    }

    /// Removes a file and everything the index has of it. Nothing happens if there is no such document.
    ///
    /// # Errors
    /// If the catalog or the postings cannot be written.
    pub fn remove(&mut self, doc: DocId) -> Result<()> {
        self.guarded(|writer| {
            let had_chunks = writer.read(|c| read::file_by_id(c, doc))?.is_some_and(|file| file.n_chunks > 0);
            if had_chunks {
                writer.postings()?.delete_document(doc.0);
            }
            writer.write(|c| write::remove_file(c, doc)).map(drop)
        })
    }

    /// Stores vectors of passages already in the index, e.g. after a change of the model.
    ///
    /// # Errors
    /// `NoSuchChunk`, `Dimension`, or what writing gives.
    pub fn put_vectors(&mut self, vectors: &[(ChunkId, Vec<f32>)]) -> Result<()> {
        for (id, vector) in vectors {
            let chunk = self.chunk(*id)?;
            self.check_vector(&chunk.path, vector)?;
            self.guarded(|writer| {
                let row = writer.next_row()?;
                writer.write(|c| write::set_vector_row(c, *id, row))?;
                writer.push_vector(vector, *id, chunk.doc)
            })?;
        }
        Ok(())
    }

    /// Makes the postings anew from the texts in the catalog; for an index whose check found them wrong.
    ///
    /// # Errors
    /// If the catalog cannot be read or the postings cannot be written.
    pub fn rebuild_postings(&mut self) -> Result<()> {
        self.rebuild_postings_telling(&mut |_, _| true)
    }

    fn rebuild_postings_telling(&mut self, tell: &mut Tell<'_>) -> Result<()> {
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
    pub fn make_lists(&mut self, tell: &mut dyn FnMut(u64, u64) -> bool) -> Result<bool> {
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

    pub(crate) fn catalog_file(&self) -> PathBuf {
        self.catalog_path()
    }

    fn next_row(&mut self) -> Result<u64> {
        let spec = self.accepted()?;
        Ok(self.vectors(&spec)?.next_row())
    }

    fn push_vector(&mut self, vector: &[f32], chunk: ChunkId, doc: DocId) -> Result<()> {
        let spec = self.accepted()?;
        self.vectors(&spec)?.push(vector, chunk.0, doc.0)
    }

    fn accepted(&self) -> Result<EmbeddingSpec> {
        self.accepts.clone().ok_or_else(|| IndexError::InvalidDocument {
            path: self.dir.clone(),
            what: "vectors were given to a writer that was opened without an embedding".to_owned(),
        })
    }

    /// Removes text, passages, postings and vectors of a path, if it has any.
    fn clear(&mut self, path: &Path) -> Result<()> {
        let Some(record) = self.file(path)? else { return Ok(()) };
        if record.n_chunks > 0 {
            self.postings()?.delete_document(record.id.0);
        }
        self.write(|c| write::clear_content(c, record.id))
    }

    fn check(&self, document: &NewDocument) -> Result<()> {
        let invalid =
            |what: String| Err(IndexError::InvalidDocument { path: document.stat.path.clone(), what });
        for chunk in &document.chunks {
            if document.text.get(chunk.span.clone()).is_none() {
                return invalid(format!(
                    "the passage at bytes {}..{} does not lie on characters of a text of {} bytes",
                    chunk.span.start,
                    chunk.span.end,
                    document.text.len()
                ));
            }
        }
        if !document.vectors.is_empty() && document.vectors.len() != document.chunks.len() {
            return invalid(format!(
                "{} vectors were given for {} passages",
                document.vectors.len(),
                document.chunks.len()
            ));
        }
        document.vectors.iter().try_for_each(|vector| self.check_vector(&document.stat.path, vector))
    }

    fn check_vector(&self, path: &Path, vector: &[f32]) -> Result<()> {
        let expected = self.accepted()?.dim;
        if vector.len() != expected {
            return Err(IndexError::Dimension { given: vector.len(), expected });
        }
        if !vector.iter().all(|v| v.is_finite()) {
            let what = "a vector holds something that is no finite number".to_owned();
            return Err(IndexError::InvalidDocument { path: path.to_owned(), what });
        }
        Ok(())
    }

    // --- the commit

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
    fn sweep_if_certain(&mut self) {
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
    fn check_place(&self) -> Result<()> {
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

#[cfg(test)]
impl Writer {
    /// Makes lists of so few rows already.
    pub(crate) fn make_lists_from(&mut self, n_rows: u64) {
        self.listed_from = n_rows;
    }

    pub(crate) fn open(dir: &Path, embedding: Option<EmbeddingSpec>, faults: Faults) -> Result<Writer> {
        Writer::open_telling(dir, embedding, faults, &mut |_, _| true)
    }

    /// Lets the catalog grow by so many pages only, as a disk that is nearly full would.
    pub(crate) fn limit_catalog_pages(&self, n_more: i64) {
        let n: i64 = self.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit = format!("PRAGMA max_page_count = {}", n + n_more);
        self.connection.query_row(&limit, [], |_| Ok(())).unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.accepts = None;
        // What cannot be undone or swept now is undone by SQLite and swept by the next writer.
        let _ = self.rollback();
        // Readers in a folder that cannot be written need the log to be empty.
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

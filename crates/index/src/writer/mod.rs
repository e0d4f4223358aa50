//! Writing: the one writer, what it sees ([`view`]), its changes (here), its commit ([`commit`]), and what mends an index and makes anew
//! what is derived ([`upkeep`]).

mod commit;
mod upkeep;
mod view;

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
use crate::types::{ChunkId, DocId, EmbeddingSpec, Fate, FileStat, Filter, NewDocument, RootSettings};
use crate::vectors::{self, VectorWriter};

/// Hears how much of how much is done, and answers whether to go on.
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

    pub(crate) fn catalog_path(&self) -> PathBuf {
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

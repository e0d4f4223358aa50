//! What the writer sees: the committed state with its own changes.

use std::path::Path;

use crate::catalog::read;
use crate::error::{IndexError, Result};
use crate::types::{Chunk, ChunkId, DocId, DocumentText, FileRecord, Filter, Root};

use super::Writer;

impl Writer {
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
}

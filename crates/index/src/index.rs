//! Reading: the index and its snapshots.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::analysis::Language;
use crate::catalog::{self, Access, State, read};
use crate::docset::DocSet;
use crate::error::{IndexError, Result};
use crate::postings::{self, PostingsReader};
use crate::types::{Chunk, ChunkId, DocId, DocumentText, EmbeddingSpec, FileRecord, Filter, Root, Stats};
use crate::vectors::{self, Among, VectorFiles};
use crate::writer::{Tell, Writer};

/// How often a reader begins again when a writer's commits outrun it.
const MAX_ATTEMPTS: usize = 50;

/// How an index is to be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexOptions {
    /// Opening and reading change nothing and create nothing, and work in a folder that cannot be written. Without
    /// it a missing index is created. [`Index::writer`] is the same either way.
    pub read_only: bool,
}

/// An index in a folder. Cheap to share: `Send` and `Sync`, all methods take `&self`.
///
/// Every method here looks at the last commit. Use a [`Snapshot`] for several questions to the same state.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    read_only: bool,
    /// Which file the catalog was when it was opened.
    identity: Option<u64>,
    idle: Mutex<Vec<Connection>>,
    stores: Mutex<Option<Arc<Stores>>>,
}

/// Postings and vectors of one generation, opened once and shared by its snapshots.
struct Stores {
    state: State,
    postings: Option<PostingsReader>,
    vectors: Option<VectorFiles>,
    dead_rows: DocSet,
    languages: Vec<Option<Language>>,
    n_docs: usize,
    /// What the last filter let through: a hybrid search asks twice, and most searches have the same one.
    last_allowed: Mutex<Option<(Filter, Allowed)>>,
}

/// The documents a filter lets through: outer none: no document; inner none: every document.
type Allowed = Option<Option<Arc<DocSet>>>;

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stores(generation {})", self.state.generation)
    }
}

impl Index {
    /// Opens the index in the folder `dir`; creates folder and index if there is none, unless `read_only`.
    ///
    /// # Errors
    /// `Missing` (read-only and nothing there), `NewerFormat`, `NotAnIndex`, `NotWritable`, `DiskFull`.
    pub fn open(dir: &Path, options: &IndexOptions) -> Result<Index> {
        if !options.read_only {
            crate::private::create_dir(dir).map_err(|e| IndexError::io(dir, e))?;
            drop(catalog::open(dir, Access::Write)?);
        }
        let index = Index {
            read_only: options.read_only,
            identity: identity(dir),
            dir: dir.to_owned(),
            idle: Mutex::new(Vec::new()),
            stores: Mutex::new(None),
        };
        let connection = catalog::open(dir, Access::Read)?;
        index.give_back(connection);
        Ok(index)
    }

    /// Whether there is an index in the folder `dir`.
    pub fn exists(dir: &Path) -> bool {
        catalog::path_in(dir).exists()
    }

    /// Who writes to the index in `dir` now, if somebody does.
    pub fn writer_of(dir: &Path) -> Option<String> {
        match crate::lock::take(dir) {
            Err(IndexError::Busy { holder, .. }) => Some(holder),
            _ => None,
        }
    }

    /// Whether the folder still holds the index that was opened, and not another one made in its place, or none.
    pub fn is_still_there(&self) -> bool {
        Self::exists(&self.dir) && identity(&self.dir) == self.identity
    }

    /// The index's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The one writer. `embedding` names the model of the vectors that will be given; none: no vectors will be.
    ///
    /// If the index has vectors of another model, they are forgotten with the first commit, and
    /// [`Writer::chunks_without_vectors`] lists what must be embedded again.
    ///
    /// # Errors
    /// `Busy` names the process that writes now; `NotWritable` or `ReadOnly` if the folder cannot be written.
    pub fn writer(&self, embedding: Option<EmbeddingSpec>) -> Result<Writer> {
        self.writer_telling(embedding, &mut |_, _| true)
    }

    /// As [`writer`](Self::writer). The first writer of an index of an earlier format may have to make its postings anew, which takes
    /// minutes for a large one: `tell` hears how far that is.
    ///
    /// # Errors
    /// The same; `Stopped` if `tell` says so. The index is then as it was.
    pub fn writer_telling(&self, embedding: Option<EmbeddingSpec>, tell: &mut Tell<'_>) -> Result<Writer> {
        let faults = crate::fault::Faults::default();
        Writer::open_telling(&self.dir, embedding, faults, tell).map_err(|error| match error {
            IndexError::NotWritable { .. } if self.read_only => {
                IndexError::ReadOnly { dir: self.dir.clone() }
            }
            other => other,
        })
    }

    /// The last committed state, unmoved by later commits while the value lives.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the stores are not what the catalog says.
    pub fn snapshot(&self) -> Result<Snapshot<'_>> {
        let path = catalog::path_in(&self.dir);
        let mut failed_at = None;
        for _ in 0..MAX_ATTEMPTS {
            let connection = match self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
                Some(connection) => connection,
                None => catalog::open(&self.dir, Access::Read)?,
            };
            let wrap = |e| IndexError::catalog(&path, e);
            connection.execute_batch("BEGIN").map_err(wrap)?;
            let state = catalog::state(&connection).map_err(wrap)?;
            let known = self.stores.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(stores) = known.filter(|stores| stores.state.generation == state.generation) {
                return Ok(Snapshot { index: self, connection: Some(connection), stores });
            }
            let generation = state.generation;
            match Stores::open(&self.dir, &connection, state) {
                Ok(stores) => {
                    let stores = Arc::new(stores);
                    *self.stores.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&stores));
                    return Ok(Snapshot { index: self, connection: Some(connection), stores });
                }
                // 1) we read generation G; 2) a writer commits G + 1 and deletes files that only G used; 3) we miss
                // them. Then a new transaction sees a later generation; if it sees G again, the index is broken.
                Err(error) if failed_at == Some(generation) => return Err(error),
                Err(_) => failed_at = Some(generation),
            }
        }
        Err(IndexError::Busy {
            dir: self.dir.clone(),
            holder: "a process that commits without pause".to_owned(),
        })
    }

    /// Compares the three stores with each other; an empty answer means that all is well. Reads everything.
    ///
    /// # Errors
    /// If the catalog cannot be read at all.
    pub fn check(&self) -> Result<Vec<crate::Problem>> {
        crate::check::check(self)
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// Added folders and files, by path.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn roots(&self) -> Result<Vec<Root>> {
        self.snapshot()?.roots()
    }

    /// The ledger: every file seen, whatever its fate, by path.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn files(&self) -> Result<Vec<FileRecord>> {
        self.snapshot()?.files(&Filter::default())
    }

    /// The ledger's line of one absolute path.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn file(&self, path: &Path) -> Result<Option<FileRecord>> {
        self.snapshot()?.file(path)
    }

    /// A document's extracted text.
    ///
    /// # Errors
    /// `NoSuchDocument`, or if the catalog cannot be read.
    pub fn document_text(&self, doc: DocId) -> Result<String> {
        Ok(self.snapshot()?.document(doc)?.text)
    }

    /// A document's text with its pages and its line in the ledger.
    ///
    /// # Errors
    /// `NoSuchDocument`, or if the catalog cannot be read.
    pub fn document(&self, doc: DocId) -> Result<DocumentText> {
        self.snapshot()?.document(doc)
    }

    /// A passage.
    ///
    /// # Errors
    /// `NoSuchChunk`, or if the catalog cannot be read.
    pub fn chunk(&self, id: ChunkId) -> Result<Chunk> {
        self.snapshot()?.chunk(id)
    }

    /// The `k` best passages for the words of `query` by BM25, best first. See [`Snapshot::lexical`].
    ///
    /// # Errors
    /// If a store cannot be read.
    pub fn lexical(&self, query: &str, filter: &Filter, k: usize) -> Result<Vec<(ChunkId, f32)>> {
        self.snapshot()?.lexical(query, filter, k)
    }

    /// The `k` passages whose vectors have the greatest dot product with `query`. See [`Snapshot::vector`].
    ///
    /// # Errors
    /// `Dimension`, or if a store cannot be read.
    pub fn vector(&self, query: &[f32], filter: &Filter, k: usize) -> Result<Vec<(ChunkId, f32)>> {
        self.snapshot()?.vector(query, filter, k)
    }

    /// The model of the stored vectors; none if there are none. Embed questions with this model and no other.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn embedding(&self) -> Result<Option<EmbeddingSpec>> {
        Ok(self.snapshot()?.embedding().cloned())
    }

    /// A setting of this index, as [`Writer::set_setting`] wrote it.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn setting(&self, name: &str) -> Result<Option<String>> {
        self.snapshot()?.setting(name)
    }

    /// Counts and sizes.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        self.snapshot()?.stats()
    }
}

/// What tells one catalog file from another at the same path, where the system has such a thing.
pub(crate) fn identity(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(catalog::path_in(dir)).ok().map(|metadata| metadata.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

impl Stores {
    fn open(dir: &Path, connection: &Connection, state: State) -> Result<Self> {
        let path = catalog::path_in(dir);
        let wrap = |e| IndexError::catalog(&path, e);
        let postings = match &state.postings {
            Some(meta) => Some(PostingsReader::open(&dir.join(postings::FOLDER), meta.clone())?),
            None => None,
        };
        let vectors = match &state.embedding {
            Some(spec) if state.vector_rows > 0 => {
                let folder = dir.join(vectors::FOLDER);
                Some(VectorFiles::open(&folder, spec, state.vector_serial, state.vector_rows)?)
            }
            _ => None,
        };
        let dead_rows = read::dead_rows(connection).map_err(wrap)?.into_iter().collect();
        let by_language = read::languages(connection).map_err(wrap)?;
        let n_docs = by_language.iter().map(|(_, n)| n).sum();
        let mut languages: Vec<Option<Language>> = Vec::new();
        for (code, _) in by_language {
            let language = code.as_deref().and_then(Language::from_code);
            if !languages.contains(&language) {
                languages.push(language);
            }
        }
        let last_allowed = Mutex::new(None);
        Ok(Stores { state, postings, vectors, dead_rows, languages, n_docs, last_allowed })
    }
}

/// One generation of the index. Holds a read transaction: keep it for a question, not for a day.
#[derive(Debug)]
pub struct Snapshot<'i> {
    index: &'i Index,
    /// Present until dropped.
    connection: Option<Connection>,
    stores: Arc<Stores>,
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.execute_batch("ROLLBACK").is_ok()
        {
            self.index.give_back(connection);
        }
    }
}

impl Snapshot<'_> {
    fn read<T>(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let path = catalog::path_in(&self.index.dir);
        let connection = self.connection.as_ref().ok_or_else(|| IndexError::Missing { dir: path.clone() })?;
        f(connection).map_err(|e| IndexError::catalog(&path, e))
    }

    /// Number of the commit this snapshot shows.
    pub fn generation(&self) -> u64 {
        self.stores.state.generation
    }

    /// The model of the stored vectors; none if there are none.
    pub fn embedding(&self) -> Option<&EmbeddingSpec> {
        self.stores.vectors.as_ref().and(self.stores.state.embedding.as_ref())
    }

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

    /// The passages of a document in order: number and byte span.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn chunks_of(&self, doc: DocId) -> Result<Vec<(ChunkId, Range<usize>)>> {
        self.read(|c| read::chunks_of(c, doc))
    }

    /// The `k` best passages for the words of `query` by BM25, best first; equal scores by passage number.
    ///
    /// Any text is a query. Words are alternatives; "quoted words" are a phrase that must occur if the query is
    /// nothing else. Empty if no word of it is in the index. Scores are comparable within one call only.
    ///
    /// # Errors
    /// If a store cannot be read.
    pub fn lexical(&self, query: &str, filter: &Filter, k: usize) -> Result<Vec<(ChunkId, f32)>> {
        Ok(self.lexical_with_ceiling(query, filter, k)?.0)
    }

    /// As [`lexical`](Self::lexical), with the BM25 score of a passage that would say nothing but the query's words,
    /// those that no passage has included. The best score's share of it says how well the words were met.
    ///
    /// # Errors
    /// If a store cannot be read.
    pub fn lexical_with_ceiling(
        &self,
        query: &str,
        filter: &Filter,
        k: usize,
    ) -> Result<(Vec<(ChunkId, f32)>, f32)> {
        let nothing = (Vec::new(), 0.0);
        let Some(postings) = &self.stores.postings else { return Ok(nothing) };
        let Some(allowed) = self.allowed(filter)? else { return Ok(nothing) };
        let folder = self.index.dir.join(postings::FOLDER);
        let (found, ceiling) =
            postings.search(&folder, query, &self.stores.languages, allowed.as_ref(), k)?;
        Ok((found.into_iter().map(|(chunk, score)| (ChunkId(chunk), score)).collect(), ceiling))
    }

    /// The `k` passages whose vectors have the greatest dot product with `query` (the cosine, as all are unit
    /// vectors), best first. Products are exact; of an index with lists of near vectors ([`Writer::make_lists`]) one passage in a hundred
    /// or so is missed. Empty if the index has no vectors.
    ///
    /// # Errors
    /// `Dimension` if `query` is not as long as the stored vectors; if a store cannot be read.
    pub fn vector(&self, query: &[f32], filter: &Filter, k: usize) -> Result<Vec<(ChunkId, f32)>> {
        let Some(files) = &self.stores.vectors else { return Ok(Vec::new()) };
        let expected = self.stores.state.embedding.as_ref().map_or(0, |spec| spec.dim);
        if query.len() != expected {
            return Err(IndexError::Dimension { given: query.len(), expected });
        }
        let Some(allowed) = self.allowed(filter)? else { return Ok(Vec::new()) };
        let n_threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let Stores { dead_rows, n_docs, .. } = &*self.stores;
        let among = Among { dead: dead_rows, allowed: allowed.as_ref(), n_docs: *n_docs };
        let found = files.search(query, among, k, n_threads);
        Ok(found.into_iter().map(|(chunk, score)| (ChunkId(chunk), score)).collect())
    }

    fn allowed(&self, filter: &Filter) -> Result<Allowed> {
        let last = || self.stores.last_allowed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, allowed)) = last().as_ref().filter(|(known, _)| known == filter) {
            return Ok(allowed.clone());
        }
        let allowed = match self.read(|c| read::allowed(c, filter))? {
            None => Some(None),
            Some(set) if set.is_empty() => None,
            Some(set) if set.len() == self.stores.n_docs => Some(None),
            Some(set) => Some(Some(Arc::new(set))),
        };
        *last() = Some((filter.clone(), allowed.clone()));
        Ok(allowed)
    }

    /// A setting of this index, as [`Writer::set_setting`] wrote it.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn setting(&self, name: &str) -> Result<Option<String>> {
        self.read(|c| read::setting(c, name))
    }

    /// Counts and sizes.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        let ([n_indexed, n_skipped, n_failed], n_chunks, n_bytes_text) = self.read(read::counts)?;
        let state = &self.stores.state;
        let n_dead_vectors = self.stores.dead_rows.len();
        let catalog = catalog::path_in(&self.index.dir);
        let side_files = ["", "-wal", "-shm"].map(|ending| {
            let mut path = catalog.as_os_str().to_owned();
            path.push(ending);
            std::fs::metadata(path).map_or(0, |m| m.len())
        });
        Ok(Stats {
            generation: state.generation,
            n_indexed,
            n_skipped,
            n_failed,
            n_chunks,
            n_vectors: usize::try_from(state.vector_rows)
                .unwrap_or(usize::MAX)
                .saturating_sub(n_dead_vectors),
            n_dead_vectors,
            n_bytes_text,
            n_bytes_catalog: side_files.iter().sum(),
            n_bytes_postings: n_bytes_in(&self.index.dir.join(postings::FOLDER)),
            n_bytes_vectors: n_bytes_in(&self.index.dir.join(vectors::FOLDER)),
            embedding: self.embedding().cloned(),
        })
    }
}

fn n_bytes_in(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

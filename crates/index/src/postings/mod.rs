//! The lexical index: BM25 over passages, in tantivy. No tantivy type leaves this folder and `analysis`.
//!
//! A passage is one tantivy document with the fields
//!
//! ```text
//! body      terms of its text, with positions
//! heading   terms of its headings and the document's title, with positions
//! name      terms of the file's name and its folder's
//! chunk     number of the passage (column)
//! doc       number of the document (column, and indexed for deletion)
//! ```
//!
//! Nothing is stored: texts are the catalog's.

mod directory;
mod query;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::Weight;
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{ReloadPolicy, Score, Searcher, SegmentOrdinal, SegmentReader};

use crate::analysis::Language;
use crate::docset::DocSet;
use crate::error::{IndexError, Result};
use crate::fault::Faults;
use crate::top::Top;
use directory::PostingsDirectory;
pub(crate) use writer::{Passage, PostingsWriter, sweep};

/// Name of the postings' folder in the index's folder.
pub(crate) const FOLDER: &str = "postings";

/// The fields by number.
#[derive(Debug, Clone, Copy)]
struct Fields {
    body: Field,
    heading: Field,
    name: Field,
    chunk: Field,
    doc: Field,
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let text = |option| {
        // The terms come from `analysis`, already cut: the tokenizer's name is never looked up.
        let indexing = TextFieldIndexing::default().set_tokenizer("raw").set_index_option(option);
        TextOptions::default().set_indexing_options(indexing)
    };
    let fields = Fields {
        body: builder.add_text_field("body", text(IndexRecordOption::WithFreqsAndPositions)),
        heading: builder.add_text_field("heading", text(IndexRecordOption::WithFreqsAndPositions)),
        name: builder.add_text_field("name", text(IndexRecordOption::WithFreqs)),
        chunk: builder.add_u64_field("chunk", FAST),
        doc: builder.add_u64_field("doc", FAST | INDEXED),
    };
    (builder.build(), fields)
}

fn failed(path: &Path) -> impl Fn(tantivy::TantivyError) -> IndexError + '_ {
    move |error| {
        use tantivy::TantivyError;
        use tantivy::directory::error::{OpenReadError, OpenWriteError};
        let io = match &error {
            TantivyError::IoError(e) => Some(e),
            TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. })
            | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. }) => Some(io_error),
            _ => None,
        };
        match io {
            Some(e) => IndexError::io(path, std::io::Error::new(e.kind(), e.to_string())),
            None => IndexError::Postings { path: path.to_owned(), message: error.to_string() },
        }
    }
}

/// Runs something of tantivy's on files that may be damaged. It asserts where it reads nonsense; that is an error of
/// the index, not of the process.
fn contained<T>(path: &Path, f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        let what = "a file of it is damaged".to_owned();
        Err(IndexError::Corrupt { path: path.to_owned(), what })
    })
}

/// The postings at one generation.
#[derive(Clone)]
pub(crate) struct PostingsReader {
    searcher: Searcher,
    fields: Fields,
}

impl PostingsReader {
    /// Opens the segments that `meta` names in the folder at `path`.
    pub(crate) fn open(path: &Path, meta: Vec<u8>) -> Result<Self> {
        contained(path, || Self::open_segments(path, meta))
    }

    fn open_segments(path: &Path, meta: Vec<u8>) -> Result<Self> {
        let wrap = failed(path);
        let directory =
            PostingsDirectory::open(path, Some(meta), Faults::default()).map_err(|e| wrap(e.into()))?;
        let index = tantivy::Index::open(directory).map_err(&wrap)?;
        let (expected, fields) = schema();
        if index.schema() != expected {
            let what = "the postings have other fields than this version writes".to_owned();
            return Err(IndexError::Corrupt { path: path.to_owned(), what });
        }
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(&wrap)?;
        Ok(PostingsReader { searcher: reader.searcher(), fields })
    }

    /// Passage and document of every entry that is not deleted; the files' checksums are verified on the way.
    pub(crate) fn passages(&self, path: &Path) -> Result<Vec<(u64, u64)>> {
        contained(path, || self.all_passages(path))
    }

    fn all_passages(&self, path: &Path) -> Result<Vec<(u64, u64)>> {
        let wrap = failed(path);
        let meta = self.searcher.index().load_metas().map_err(&wrap)?;
        for file in meta.list_segment_files() {
            if path.join(&file).exists() {
                let is_whole = self.searcher.index().directory().validate_checksum(&file);
                if !is_whole.map_err(|e| wrap(e.into()))? {
                    let what = "its content does not agree with its checksum".to_owned();
                    return Err(IndexError::Corrupt { path: path.join(file), what });
                }
            }
        }
        let mut passages = Vec::new();
        for segment in self.searcher.segment_readers() {
            let chunks = segment.fast_fields().u64("chunk").map_err(&wrap)?.first_or_default_col(0);
            let docs = segment.fast_fields().u64("doc").map_err(&wrap)?.first_or_default_col(0);
            passages.extend(segment.doc_ids_alive().map(|doc| (chunks.get_val(doc), docs.get_val(doc))));
        }
        Ok(passages)
    }

    /// The `k` best passages for `text` by BM25, best first, equal scores by passage number; and what the score of
    /// a perfect passage would be.
    pub(crate) fn search(
        &self,
        path: &Path,
        text: &str,
        languages: &[Option<Language>],
        allowed: Option<&Arc<DocSet>>,
        k: usize,
    ) -> Result<(Vec<(u64, f32)>, f32)> {
        let wrap = failed(path);
        if k == 0 || allowed.is_some_and(|set| set.is_empty()) {
            return Ok((Vec::new(), 0.0));
        }
        contained(path, || {
            let built = query::build(&self.searcher, self.fields, text, languages).map_err(&wrap)?;
            let best = Best { k, allowed: allowed.cloned() };
            let found = match built.query {
                Some(query) => self.searcher.search(&*query, &best).map_err(&wrap)?,
                None => Vec::new(),
            };
            Ok((found, built.ceiling))
        })
    }
}

/// Collects the best passages among the allowed documents.
struct Best {
    k: usize,
    allowed: Option<Arc<DocSet>>,
}

/// Never fed: [`Best::collect_segment`] does the work itself, with the pruning that the trait's own loop lacks.
struct Unused;

impl SegmentCollector for Unused {
    type Fruit = Vec<(u64, Score)>;

    fn collect(&mut self, _doc: tantivy::DocId, _score: Score) {}

    fn harvest(self) -> Self::Fruit {
        Vec::new()
    }
}

impl Collector for Best {
    type Fruit = Vec<(u64, Score)>;
    type Child = Unused;

    fn for_segment(&self, _ordinal: SegmentOrdinal, _reader: &SegmentReader) -> tantivy::Result<Unused> {
        Ok(Unused)
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, fruits: Vec<Self::Fruit>) -> tantivy::Result<Self::Fruit> {
        let mut top = Top::new(self.k);
        for (chunk, score) in fruits.into_iter().flatten() {
            top.push(chunk, score);
        }
        Ok(top.into_sorted())
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        _ordinal: u32,
        reader: &SegmentReader,
    ) -> tantivy::Result<Self::Fruit> {
        let chunks = reader.fast_fields().u64("chunk")?.first_or_default_col(0);
        let docs = reader.fast_fields().u64("doc")?.first_or_default_col(0);
        let alive = reader.alive_bitset();
        let mut top = Top::new(self.k);
        weight.for_each_pruning(Score::MIN, reader, &mut |doc, score| {
            let is_candidate = alive.is_none_or(|alive| alive.is_alive(doc))
                && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(docs.get_val(doc)));
            if is_candidate {
                top.push(chunks.get_val(doc), score);
            }
            // Equal scores must still be seen: the passage's number decides between them.
            top.threshold().map_or(Score::MIN, Score::next_down)
        })?;
        Ok(top.into_sorted())
    }
}

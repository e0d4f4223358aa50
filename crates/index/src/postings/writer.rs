//! Adding and deleting passages.

use std::path::Path;

use tantivy::indexer::{LogMergePolicy, MergePolicy, NoMergePolicy};
use tantivy::schema::Field;
use tantivy::tokenizer::PreTokenizedString;
use tantivy::{IndexMeta, IndexWriter, TantivyDocument, Term};

use super::directory::{self, PostingsDirectory};
use super::{Fields, failed, schema};
use crate::analysis::{Analyser, Language};
use crate::error::Result;
use crate::fault::Faults;

/// Memory for postings before they are written out as a segment.
const HEAP_BYTES: usize = 64 << 20;
/// Share of deleted passages in a segment from which it is rewritten without them.
const MAX_DELETED: f32 = 0.2;

/// A passage to be made findable.
pub(crate) struct Passage<'a> {
    pub chunk: u64,
    pub doc: u64,
    pub text: &'a str,
    pub headings: &'a [String],
    pub title: Option<&'a str>,
    pub path: &'a Path,
    pub language: Option<Language>,
}

/// The one writer of the postings. Starts tantivy's threads at the first change only.
pub(crate) struct PostingsWriter {
    writer: IndexWriter,
    directory: PostingsDirectory,
    fields: Fields,
    analyser: (Option<Language>, Analyser),
}

impl std::fmt::Debug for PostingsWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostingsWriter({:?})", self.directory)
    }
}

impl PostingsWriter {
    /// Opens the postings in the folder at `path` at the state `meta` describes, or begins new ones.
    pub(crate) fn open(path: &Path, meta: Option<Vec<u8>>, faults: Faults) -> Result<Self> {
        let wrap = failed(path);
        crate::private::create_dir(path).map_err(|e| crate::IndexError::io(path, e))?;
        let is_new = meta.is_none();
        let directory = PostingsDirectory::open(path, meta, faults).map_err(|e| wrap(e.into()))?;
        let (schema, fields) = schema();
        let index = if is_new {
            tantivy::Index::create(directory.clone(), schema, tantivy::IndexSettings::default())
        } else {
            tantivy::Index::open(directory.clone())
        }
        .map_err(&wrap)?;
        // One thread: a commit gives one segment, and analysis is a small part of ingestion beside embedding.
        let writer: IndexWriter = index.writer_with_num_threads(1, HEAP_BYTES).map_err(&wrap)?;
        // Merges are done inside `commit`, never in the background: the list of segments changes there alone.
        writer.set_merge_policy(Box::new(NoMergePolicy));
        Ok(PostingsWriter { writer, directory, fields, analyser: (None, Analyser::new(None)) })
    }

    /// Adds a passage.
    pub(crate) fn add(&mut self, path: &Path, passage: &Passage<'_>) -> Result<()> {
        if self.analyser.0 != passage.language {
            self.analyser = (passage.language, Analyser::new(passage.language));
        }
        let mut headings = String::new();
        for heading in passage.title.into_iter().chain(passage.headings.iter().map(String::as_str)) {
            headings.push_str(heading);
            headings.push('\n');
        }
        let mut document = TantivyDocument::new();
        document.add_u64(self.fields.chunk, passage.chunk);
        document.add_u64(self.fields.doc, passage.doc);
        self.add_terms(&mut document, self.fields.body, passage.text);
        self.add_terms(&mut document, self.fields.heading, &headings);
        self.add_terms(&mut document, self.fields.name, &name_of(passage.path));
        self.writer.add_document(document).map_err(failed(path)).map(drop)
    }

    fn add_terms(&mut self, document: &mut TantivyDocument, field: Field, text: &str) {
        let tokens = self.analyser.1.terms(text);
        document.add_pre_tokenized_text(field, PreTokenizedString { text: String::new(), tokens });
    }

    /// Deletes every passage of a document that was added before this call.
    pub(crate) fn delete_document(&mut self, doc: u64) {
        self.writer.delete_term(Term::from_field_u64(self.fields.doc, doc));
    }

    /// Writes everything down and gives the new list of segments, which is not in force before the catalog has it.
    pub(crate) fn commit(&mut self, path: &Path, generation: u64) -> Result<Vec<u8>> {
        let wrap = failed(path);
        let mut prepared = self.writer.prepare_commit().map_err(&wrap)?;
        prepared.set_payload(&generation.to_string());
        prepared.commit().map_err(&wrap)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(MAX_DELETED);
        // A merge can make room for another one on the next level: at most a handful of rounds.
        for _ in 0..8 {
            let segments = self.writer.index().searchable_segment_metas().map_err(&wrap)?;
            let candidates = policy.compute_merge_candidates(&segments);
            if candidates.is_empty() {
                break;
            }
            for candidate in candidates {
                self.writer.merge(&candidate.0).wait().map_err(&wrap)?;
            }
        }
        Ok(self.directory.meta().unwrap_or_default())
    }
}

/// The file's name without its ending, and its folder's name: what people call a document.
fn name_of(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    let stem = path.file_stem().unwrap_or_default();
    format!("{} {}", stem.to_string_lossy(), folder.to_string_lossy())
}

/// Deletes the segment files in `path` that the committed list does not name. To be called by the writer alone.
pub(crate) fn sweep(path: &Path, meta: Option<&[u8]>) {
    match meta {
        None => directory::sweep(path, None),
        Some(bytes) => {
            // An unreadable list is a matter for whoever opens it; here it only means that nothing is deleted.
            if let Some(meta) = parse_meta(path, bytes) {
                directory::sweep(path, Some(&meta));
            }
        }
    }
}

fn parse_meta(path: &Path, bytes: &[u8]) -> Option<IndexMeta> {
    let directory = PostingsDirectory::open(path, Some(bytes.to_vec()), Faults::default()).ok()?;
    tantivy::Index::open(directory).ok()?.load_metas().ok()
}

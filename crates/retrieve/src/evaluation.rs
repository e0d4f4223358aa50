//! Measures a search mode on a test collection.
//!
//! The collection becomes an ordinary index, one passage a document, in a folder of the caller's; a second run finds
//! it there, recognises every document by its content, and embeds nothing again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use docent_index::{EmbeddingSpec, FileStat, Index, IndexOptions, NewChunk, NewDocument, Writer};

use crate::beir::{Collection, Document};
use crate::error::{Result, RetrieveError};
use crate::metrics::{self, Means};
use crate::search::{self, Mode, SearchOptions};

/// Documents embedded and committed at a time: what a killed run loses at most.
const BATCH: usize = 256;
/// Places of a ranking that are judged.
const DEPTH: usize = 100;

/// Texts to unit vectors, in order. An error is the model's own words.
pub type EmbedTexts<'a> = dyn Fn(&[&str]) -> std::result::Result<Vec<Vec<f32>>, String> + 'a;

/// How texts are embedded: the model's name and the function.
pub struct Embedding<'a> {
    /// Fingerprint and length of the vectors.
    pub spec: EmbeddingSpec,
    /// Makes the vectors.
    pub embed: &'a EmbedTexts<'a>,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many documents are indexed.
    Indexed(usize, usize),
    /// So many of so many queries are answered.
    Answered(usize, usize),
}

/// The result.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Documents in the collection.
    pub n_documents: usize,
    /// Judged queries.
    pub n_queries: usize,
    /// Means over the queries.
    pub means: Means,
    /// Milliseconds of a search without the embedding of the question: median and 99th percentile.
    pub latency_ms: (f64, f64),
}

/// Measures `mode` on the collection, with the index in the folder `index_dir`.
///
/// # Errors
/// `Cancelled` if `progress` returns false; otherwise what index and embedding give.
pub fn evaluate(
    collection: &Collection,
    index_dir: &Path,
    embedding: Option<&Embedding<'_>>,
    mode: Mode,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Report> {
    let index = Index::open(index_dir, &IndexOptions { read_only: false })?;
    build(collection, &index, embedding, progress)?;
    let names: HashMap<PathBuf, &str> =
        collection.documents.iter().map(|document| (path_of(&document.id), document.id.as_str())).collect();
    let options = SearchOptions { k: DEPTH, mode, ..SearchOptions::default() };
    let vectors = match embedding {
        Some(embedding) if mode != Mode::Lexical => embed_queries(collection, embedding)?,
        _ => Vec::new(),
    };
    let mut rankings = HashMap::new();
    let mut times = Vec::new();
    for (i, query) in collection.queries.iter().enumerate() {
        let start = Instant::now();
        let snapshot = index.snapshot()?;
        let vector = vectors.get(i).map(Vec::as_slice);
        let ranking = search::rank(&snapshot, &query.text, vector, &options)?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        let mut documents = Vec::new();
        for fused in ranking.into_iter().take(DEPTH) {
            let path = snapshot.chunk(docent_index::ChunkId(fused.id))?.path;
            documents.extend(names.get(&path).map(|id| (*id).to_owned()));
        }
        rankings.insert(query.id.clone(), documents);
        if !progress(Progress::Answered(i + 1, collection.queries.len())) {
            return Err(RetrieveError::Cancelled);
        }
    }
    let judged: BTreeMap<_, _> = collection.judgements.clone();
    times.sort_by(f64::total_cmp);
    let percentile =
        |p: usize| times.get((times.len() * p / 100).min(times.len().saturating_sub(1))).copied();
    Ok(Report {
        n_documents: collection.documents.len(),
        n_queries: collection.queries.len(),
        means: metrics::means(&judged, &rankings),
        latency_ms: (percentile(50).unwrap_or(0.0), percentile(99).unwrap_or(0.0)),
    })
}

/// Brings the index to the collection's content.
fn build(
    collection: &Collection,
    index: &Index,
    embedding: Option<&Embedding<'_>>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<()> {
    let mut writer = index.writer(embedding.map(|embedding| embedding.spec.clone()))?;
    let n_documents = collection.documents.len();
    for (batch, documents) in collection.documents.chunks(BATCH).enumerate() {
        let mut missing = Vec::new();
        for document in documents {
            let record = writer.file(&path_of(&document.id))?;
            let is_known = record.as_ref().is_some_and(|record| record.hash == Some(hash_of(document)));
            let has_vector = embedding.is_none() || has_vector(&writer, record.map(|record| record.id))?;
            if !is_known || !has_vector {
                missing.push(document);
            }
        }
        let texts: Vec<String> = missing.iter().map(|document| document.full_text()).collect();
        let vectors = match embedding {
            Some(embedding) if !texts.is_empty() => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                (embedding.embed)(&texts).map_err(RetrieveError::Embedding)?
            }
            _ => Vec::new(),
        };
        let mut vectors = vectors.into_iter();
        for (document, text) in missing.into_iter().zip(texts) {
            writer.put_document(new_document(document, text, vectors.next().into_iter().collect()))?;
        }
        writer.commit()?;
        if !progress(Progress::Indexed(n_documents.min((batch + 1) * BATCH), n_documents)) {
            return Err(RetrieveError::Cancelled);
        }
    }
    Ok(())
}

fn has_vector(writer: &Writer, doc: Option<docent_index::DocId>) -> Result<bool> {
    Ok(match doc {
        Some(doc) => writer.n_vectors_of(doc)? > 0,
        None => false,
    })
}

fn new_document(document: &Document, text: String, vectors: Vec<Vec<f32>>) -> NewDocument {
    let n_lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    let chunk = NewChunk {
        span: 0..text.len(),
        line_start: 1,
        line_end: n_lines.max(1),
        page: None,
        heading_path: Vec::new(),
    };
    NewDocument {
        stat: FileStat { path: path_of(&document.id), size: text.len() as u64, mtime_ns: 0, inode: 0 },
        hash: hash_of(document),
        format: "text".to_owned(),
        title: None,
        // The collections are English or have scripts that no stemmer touches.
        language: Some("en".to_owned()),
        chunks: vec![chunk],
        text,
        same_as_file: false,
        pages: Vec::new(),
        vectors,
    }
}

/// A path that no word of a question can match.
fn path_of(id: &str) -> PathBuf {
    Path::new("/").join(blake3::hash(id.as_bytes()).to_hex().as_str())
}

fn hash_of(document: &Document) -> [u8; 32] {
    *blake3::hash(document.full_text().as_bytes()).as_bytes()
}

fn embed_queries(collection: &Collection, embedding: &Embedding<'_>) -> Result<Vec<Vec<f32>>> {
    let texts: Vec<&str> = collection.queries.iter().map(|query| query.text.as_str()).collect();
    let mut vectors = Vec::with_capacity(texts.len());
    for batch in texts.chunks(BATCH) {
        vectors.extend((embedding.embed)(batch).map_err(RetrieveError::Embedding)?);
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beir::Query;
    use crate::metrics::Judgements;

    fn collection() -> Collection {
        let document =
            |id: &str, text: &str| Document { id: id.into(), title: String::new(), text: text.into() };
        let query = |id: &str, text: &str| Query { id: id.into(), text: text.into() };
        let judged = |id: &str| Judgements::from([(id.to_owned(), 1.0)]);
        Collection {
            documents: vec![
                document("a", "engines of aircraft"),
                document("b", "boats and ships"),
                document("c", ""),
            ],
            queries: vec![query("1", "an engine"), query("2", "ship")],
            judgements: BTreeMap::from([("1".into(), judged("a")), ("2".into(), judged("b"))]),
        }
    }

    #[test]
    fn a_second_run_embeds_no_document_again() {
        let dir = tempfile::tempdir().unwrap();
        let n_embedded = std::cell::Cell::new(0);
        let embed = |texts: &[&str]| {
            n_embedded.set(n_embedded.get() + texts.len());
            Ok(texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect())
        };
        let embedding =
            Embedding { spec: EmbeddingSpec { fingerprint: "length".into(), dim: 2 }, embed: &embed };
        for expected in [3 + 2, 2] {
            n_embedded.set(0);
            evaluate(&collection(), dir.path(), Some(&embedding), Mode::Hybrid, &mut |_| true).unwrap();
            assert_eq!(n_embedded.get(), expected);
        }
    }

    #[test]
    fn a_perfect_search_scores_one() {
        let dir = tempfile::tempdir().unwrap();
        let report = evaluate(&collection(), dir.path(), None, Mode::Lexical, &mut |_| true).unwrap();
        assert_eq!(report.means, Means { ndcg_at_10: 1.0, recall_at_100: 1.0, mrr_at_10: 1.0 });
        assert_eq!((report.n_documents, report.n_queries), (3, 2));
    }
}

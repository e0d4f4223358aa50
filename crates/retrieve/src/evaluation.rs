//! Measures a search mode on a test collection.
//!
//! The collection becomes an ordinary index, one passage a document, in a folder of the caller's, and every question goes
//! through the same ranking as a search. A second run finds the index there, recognises every document by its content, and
//! embeds nothing again; the questions' vectors are kept beside it (`query_vectors`).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use docent_index::{
    ChunkId, EmbeddingSpec, FileStat, Filter, Index, IndexOptions, NewChunk, NewDocument, Snapshot, Writer,
};

use crate::beir::{Collection, Document};
use crate::error::{Result, RetrieveError};
use crate::metrics::{self, Means};
use crate::query_vectors::QueryVectors;
use crate::rerank::CANDIDATES;
use crate::search::{self, Background, Mode, SearchOptions, Source};

/// Documents embedded and committed at a time: what a killed run loses at most.
const BATCH: usize = 256;
/// Places of a ranking that are judged.
const DEPTH: usize = 100;
/// Name of the questions' vectors in the index's folder.
const QUERY_VECTORS: &str = "queries.vectors";

/// Texts to unit vectors, in order. An error is the model's own words.
pub type EmbedTexts<'a> = dyn Fn(&[&str]) -> std::result::Result<Vec<Vec<f32>>, String> + 'a;

/// How texts are embedded: the model's name and the function.
pub struct Embedding<'a> {
    /// Fingerprint and length of the vectors.
    pub spec: EmbeddingSpec,
    /// Makes the vectors of documents.
    pub embed: &'a EmbedTexts<'a>,
    /// Makes the vectors of questions.
    pub embed_queries: &'a EmbedTexts<'a>,
}

/// The language of a text, if it can be told.
pub type LanguageOf<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// How well each text answers the question, in order: the second stage. An error is the model's own words.
pub type ScoreTexts<'a> = dyn Fn(&str, &[&str]) -> std::result::Result<Vec<f32>, String> + 'a;

/// What is measured, and with what.
pub struct Evaluation<'a> {
    /// The collection.
    pub collection: &'a Collection,
    /// The folder of the collection's index; made if it is not there.
    pub index_dir: &'a Path,
    /// How texts are embedded; not needed for [`Mode::Lexical`].
    pub embedding: Option<&'a Embedding<'a>>,
    /// Decides stemming and stop words, as in any index.
    pub language: &'a LanguageOf<'a>,
    /// Which lists are asked.
    pub mode: Mode,
    /// Puts the first [`CANDIDATES`] of each ranking in another order.
    pub second_stage: Option<&'a ScoreTexts<'a>>,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many documents are indexed.
    Indexed(usize, usize),
    /// So many of so many questions are embedded.
    Embedded(usize, usize),
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
    /// Each question's ranking, best first: document and score. In the collection's order.
    pub rankings: Vec<(String, Vec<(String, f32)>)>,
}

/// Measures.
///
/// # Errors
/// `Cancelled` if `progress` returns false; otherwise what index and embedding give.
pub fn evaluate(evaluation: &Evaluation<'_>, progress: &mut dyn FnMut(Progress) -> bool) -> Result<Report> {
    let Evaluation { collection, index_dir, embedding, mode, .. } = *evaluation;
    let index = Index::open(index_dir, &IndexOptions { read_only: false })?;
    build(evaluation, &index, progress)?;
    let names: HashMap<PathBuf, &str> =
        collection.documents.iter().map(|document| (path_of(&document.id), document.id.as_str())).collect();
    let options = SearchOptions { k: DEPTH, mode, ..SearchOptions::default() };
    let vectors = match embedding {
        Some(embedding) if mode != Mode::Lexical => {
            embed_queries(collection, embedding, index_dir, progress)?
        }
        _ => Vec::new(),
    };
    let mut rankings = Vec::with_capacity(collection.queries.len());
    let mut times = Vec::with_capacity(collection.queries.len());
    for (i, query) in collection.queries.iter().enumerate() {
        let start = Instant::now();
        let snapshot = index.snapshot()?;
        let query_vector = vectors.get(i).map(Vec::as_slice);
        let source = Source { snapshot: &snapshot, query_vector, background: Background::default() };
        let mut ranking: Vec<(ChunkId, f32)> = search::rank(&[source], &query.text, &options)?
            .into_iter()
            .map(|(_, fused)| (ChunkId(fused.id), fused.score))
            .collect();
        if let Some(scores) = evaluation.second_stage {
            read_again(&snapshot, &query.text, &mut ranking, scores)?;
        }
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        let mut documents = Vec::new();
        for (chunk, score) in ranking.into_iter().take(DEPTH) {
            let path = snapshot.chunk(chunk)?.path;
            documents.extend(names.get(&path).map(|id| ((*id).to_owned(), score)));
        }
        rankings.push((query.id.clone(), documents));
        if !progress(Progress::Answered(i + 1, collection.queries.len())) {
            return Err(RetrieveError::Cancelled);
        }
    }
    let ids = |ranking: &[(String, f32)]| ranking.iter().map(|(id, _)| id.clone()).collect();
    let by_query = rankings.iter().map(|(query, ranking)| (query.clone(), ids(ranking))).collect();
    times.sort_by(f64::total_cmp);
    let percentile =
        |p: usize| times.get((times.len() * p / 100).min(times.len().saturating_sub(1))).copied();
    Ok(Report {
        n_documents: collection.documents.len(),
        n_queries: collection.queries.len(),
        means: metrics::means(&collection.judgements, &by_query),
        latency_ms: (percentile(50).unwrap_or(0.0), percentile(99).unwrap_or(0.0)),
        rankings,
    })
}

/// Orders the first candidates of a ranking by the second stage's scores. Those behind keep their order and get scores below.
fn read_again(
    snapshot: &Snapshot<'_>,
    query: &str,
    ranking: &mut [(ChunkId, f32)],
    scores: &ScoreTexts<'_>,
) -> Result<()> {
    let n = ranking.len().min(CANDIDATES);
    let (first, others) = ranking.split_at_mut(n);
    let mut texts = Vec::with_capacity(n);
    for (chunk, _) in first.iter() {
        texts.push(snapshot.chunk(*chunk)?.text);
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let given = scores(query, &texts).map_err(RetrieveError::Reranking)?;
    let lowest = given.iter().copied().fold(0.0, f32::min);
    first.iter_mut().zip(given).for_each(|(entry, score)| entry.1 = score);
    first.sort_by(|a, b| b.1.total_cmp(&a.1));
    (1..).zip(others).for_each(|(place, entry)| entry.1 = lowest - place as f32);
    Ok(())
}

/// Brings the index to the collection's content.
fn build(
    evaluation: &Evaluation<'_>,
    index: &Index,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<()> {
    let Evaluation { collection, embedding, .. } = *evaluation;
    let mut writer = index.writer(embedding.map(|embedding| embedding.spec.clone()))?;
    remove_others(&mut writer, collection)?;
    let n_documents = collection.documents.len();
    for (batch, documents) in collection.documents.chunks(BATCH).enumerate() {
        let mut missing = Vec::new();
        for document in documents {
            if !is_current(&writer, evaluation, document)? {
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
            let vectors = vectors.next().into_iter().collect();
            writer.put_document(new_document(document, text, evaluation.language, vectors))?;
        }
        writer.commit()?;
        if !progress(Progress::Indexed(n_documents.min((batch + 1) * BATCH), n_documents)) {
            return Err(RetrieveError::Cancelled);
        }
    }
    Ok(())
}

/// Removes what the collection had when it was last measured and has no more.
fn remove_others(writer: &mut Writer, collection: &Collection) -> Result<()> {
    let paths: HashSet<PathBuf> = collection.documents.iter().map(|document| path_of(&document.id)).collect();
    for record in writer.files(&Filter::default())? {
        if !paths.contains(&record.stat.path) {
            writer.remove(record.id)?;
        }
    }
    Ok(())
}

/// Whether the index holds the document as it would be indexed now: with its content, its language (by which its words are stemmed),
/// and a vector where those are wanted.
fn is_current(writer: &Writer, evaluation: &Evaluation<'_>, document: &Document) -> Result<bool> {
    let Some(record) = writer.file(&path_of(&document.id))? else { return Ok(false) };
    Ok(record.hash == Some(hash_of(document))
        && record.language == (evaluation.language)(&document.full_text())
        && (evaluation.embedding.is_none() || writer.n_vectors_of(record.id)? > 0))
}

fn new_document(
    document: &Document,
    text: String,
    language: &LanguageOf<'_>,
    vectors: Vec<Vec<f32>>,
) -> NewDocument {
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
        language: language(&text),
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

/// The questions' vectors, those known from an earlier run from there.
fn embed_queries(
    collection: &Collection,
    embedding: &Embedding<'_>,
    index_dir: &Path,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Vec<Vec<f32>>> {
    let path = index_dir.join(QUERY_VECTORS);
    let mut known = QueryVectors::read(&path, &embedding.spec);
    let mut missing: Vec<&str> = collection.queries.iter().map(|query| query.text.as_str()).collect();
    missing.retain(|text| known.get(text).is_none());
    let n_missing = missing.len();
    for (i, batch) in missing.chunks(BATCH).enumerate() {
        let vectors = (embedding.embed_queries)(batch).map_err(RetrieveError::Embedding)?;
        batch.iter().zip(vectors).for_each(|(text, vector)| known.insert(text, vector));
        if !progress(Progress::Embedded(n_missing.min((i + 1) * BATCH), n_missing)) {
            known.write(&path)?;
            return Err(RetrieveError::Cancelled);
        }
    }
    if n_missing > 0 {
        known.write(&path)?;
    }
    Ok(collection.queries.iter().map(|query| known.get(&query.text).unwrap_or_default().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beir::Query;
    use crate::metrics::Judgements;
    use std::collections::BTreeMap;

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

    fn english(_: &str) -> Option<String> {
        Some("en".to_owned())
    }

    fn run(
        dir: &Path,
        collection: &Collection,
        embedding: Option<&Embedding<'_>>,
        mode: Mode,
    ) -> Result<Report> {
        let second_stage = None;
        let language = &english;
        let evaluation = Evaluation { collection, index_dir: dir, embedding, language, mode, second_stage };
        evaluate(&evaluation, &mut |_| true)
    }

    #[test]
    fn a_second_run_embeds_nothing_again_and_a_change_only_what_changed() {
        let dir = tempfile::tempdir().unwrap();
        let n_embedded = std::cell::Cell::new(0);
        let embed = |texts: &[&str]| {
            n_embedded.set(n_embedded.get() + texts.len());
            Ok(texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect())
        };
        let spec = EmbeddingSpec { fingerprint: "length".into(), dim: 2 };
        let embedding = Embedding { spec, embed: &embed, embed_queries: &embed };
        let mut collection = collection();
        for expected in [3 + 2, 0] {
            n_embedded.set(0);
            run(dir.path(), &collection, Some(&embedding), Mode::Hybrid).unwrap();
            assert_eq!(n_embedded.get(), expected);
        }
        collection.documents[1].text.push_str(" and rafts");
        collection.queries[0].text.push('?');
        n_embedded.set(0);
        run(dir.path(), &collection, Some(&embedding), Mode::Hybrid).unwrap();
        assert_eq!(n_embedded.get(), 2);
    }

    #[test]
    fn documents_whose_language_is_taken_for_another_one_now_are_indexed_anew() {
        let dir = tempfile::tempdir().unwrap();
        let collection = collection();
        let found = |language: &LanguageOf<'_>| {
            let evaluation = Evaluation {
                collection: &collection,
                index_dir: dir.path(),
                embedding: None,
                language,
                mode: Mode::Lexical,
                second_stage: None,
            };
            evaluate(&evaluation, &mut |_| true).unwrap().rankings[0].1.len()
        };
        assert_eq!(found(&|_| None), 0, "`engine` is not `engines` without stemming");
        assert_eq!(found(&english), 1);
    }

    #[test]
    fn the_second_stage_decides_the_order_of_the_first_candidates() {
        let dir = tempfile::tempdir().unwrap();
        let mut collection = collection();
        collection.documents[1].text.push_str(" have an engine");
        let ranking = |second_stage: Option<&ScoreTexts<'_>>| {
            let evaluation = Evaluation {
                collection: &collection,
                index_dir: dir.path(),
                embedding: None,
                language: &english,
                mode: Mode::Lexical,
                second_stage,
            };
            let report = evaluate(&evaluation, &mut |_| true).unwrap();
            report.rankings[0].1.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ranking(None), ["a", "b"]);
        let ships = |_: &str, texts: &[&str]| {
            Ok(texts.iter().map(|text| f32::from(u8::from(text.contains("ships")))).collect())
        };
        assert_eq!(ranking(Some(&ships)), ["b", "a"]);
    }

    #[test]
    fn documents_that_left_the_collection_are_found_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let mut collection = collection();
        run(dir.path(), &collection, None, Mode::Lexical).unwrap();
        collection.documents.remove(0);
        let report = run(dir.path(), &collection, None, Mode::Lexical).unwrap();
        assert!(report.rankings[0].1.is_empty(), "{:?}", report.rankings);
        assert_eq!(report.rankings[1].1[0].0, "b");
    }

    #[test]
    fn a_perfect_search_scores_one() {
        let dir = tempfile::tempdir().unwrap();
        let report = run(dir.path(), &collection(), None, Mode::Lexical).unwrap();
        assert_eq!(report.means, Means { ndcg_at_10: 1.0, recall_at_100: 1.0, mrr_at_10: 1.0 });
        assert_eq!((report.n_documents, report.n_queries), (3, 2));
    }
}

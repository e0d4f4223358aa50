//! The search itself.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use docent_index::{Chunk, ChunkId, Filter, Index, IndexError, Snapshot};

use crate::error::{Result, RetrieveError};
use crate::fusion::{self, Fused};
use crate::several::{self, Lists};
use crate::variety::Variety;

/// Which of the two lists is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Both, fused. Without a question's vector or without stored vectors: the lexical list alone.
    #[default]
    Hybrid,
    /// Words alone.
    Lexical,
    /// Vectors alone.
    Vector,
}

/// What is wanted of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchOptions {
    /// Number of passages at most.
    pub k: usize,
    /// Which documents may answer; applied before ranking.
    pub filter: Filter,
    /// Which lists are asked.
    pub mode: Mode,
}

impl Default for SearchOptions {
    fn default() -> Self {
        SearchOptions { k: 10, filter: Filter::default(), mode: Mode::Hybrid }
    }
}

/// One of the indexes that a search goes over.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its state.
    pub snapshot: &'a Snapshot<'a>,
    /// The question's unit vector, made by the model of its stored vectors; none: words alone.
    pub query_vector: Option<&'a [f32]>,
    /// What cosines of that model mean. Looked at only where several models are searched.
    pub background: Background,
}

/// The cosines that a question has with texts that have nothing to do with it: what those of different models are held
/// against, to be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Background {
    /// Their mean.
    pub mean: f32,
    /// Their standard deviation; above 0.
    pub deviation: f32,
}

impl Default for Background {
    /// Cosines as they are.
    fn default() -> Self {
        Background { mean: 0.0, deviation: 1.0 }
    }
}

/// A passage found, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The passage.
    pub chunk: Chunk,
    /// Which of the searched indexes it is from; 0 where one was searched.
    pub source: usize,
    /// Hybrid: the fused score, between 0 and 1. Otherwise the list's own: BM25, or the cosine; over several indexes as
    /// `several` makes them comparable.
    pub score: f32,
    /// Place in the lexical list, from 1.
    pub lexical_rank: Option<usize>,
    /// Place in the vector list, from 1.
    pub vector_rank: Option<usize>,
    /// Score in the lexical list.
    pub lexical_score: Option<f32>,
    /// Score in the vector list.
    pub vector_score: Option<f32>,
    /// What a model that read question and passage together thinks of them, if one was asked; the ranking's first key.
    pub rerank_score: Option<f32>,
}

impl Hit {
    /// Whether the file is no longer what was indexed: gone, of another size, or of another content. Reads the file
    /// only if its time of change differs.
    pub fn changed(&self) -> bool {
        let chunk = &self.chunk;
        let Ok(metadata) = std::fs::metadata(&chunk.path) else { return true };
        if metadata.len() != chunk.file_size {
            return true;
        }
        let mtime = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        if mtime.is_some_and(|t| i64::try_from(t.as_nanos()) == Ok(chunk.file_mtime_ns)) {
            return false;
        }
        match (std::fs::read(&chunk.path), chunk.hash) {
            (Ok(bytes), Some(hash)) => blake3::hash(&bytes).as_bytes() != &hash,
            _ => true,
        }
    }
}

/// The `options.k` best passages of one index for a question, best first: see [`search_all`].
///
/// # Errors
/// The same.
pub fn search(
    index: &Index,
    query: &str,
    query_vector: Option<&[f32]>,
    options: &SearchOptions,
) -> Result<Vec<Hit>> {
    let snapshot = index.snapshot()?;
    let source = Source { snapshot: &snapshot, query_vector, background: Background::default() };
    search_all(&[source], query, options)
}

/// The `options.k` best passages of several indexes for a question, best first. Fewer, or none, if they have no more.
///
/// # Errors
/// `NoQueryVector` in [`Mode::Vector`] without a vector; `IndexError::Dimension` if it is of another model.
pub fn search_all(sources: &[Source<'_>], query: &str, options: &SearchOptions) -> Result<Vec<Hit>> {
    let ranking = rank(sources, query, options)?;
    let mut variety = Variety::new(options.k);
    for (source, fused) in ranking {
        if variety.is_full() {
            break;
        }
        let chunk = match sources[source].snapshot.chunk(ChunkId(fused.id)) {
            Ok(chunk) => chunk,
            // A store that names a passage the catalog does not have is a matter for the integrity check.
            Err(IndexError::NoSuchChunk(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        variety.offer(hit(source, chunk, fused));
    }
    Ok(variety.into_hits())
}

/// The fused ranking of passages without their texts: which source, and the passage's number there.
pub(crate) fn rank(
    sources: &[Source<'_>],
    query: &str,
    options: &SearchOptions,
) -> Result<Vec<(usize, Fused)>> {
    let depth = fusion::DEPTH.max(options.k);
    let mut lists = Vec::with_capacity(sources.len());
    for source in sources {
        lists.push(lists_of(source, query, options, depth)?);
    }
    let joined = several::join(lists, depth);
    let has_vector = sources.iter().any(|source| source.query_vector.is_some());
    let ranking = match options.mode {
        Mode::Hybrid if has_vector => fusion::fuse(query, &joined.lexical, &joined.vectors),
        _ => fusion::single(&joined.lexical, &joined.vectors),
    };
    Ok(ranking
        .into_iter()
        .map(|fused| {
            let (source, id) = joined.passage(fused.id);
            (source, Fused { id, ..fused })
        })
        .collect())
}

/// What one index has for the question.
fn lists_of(source: &Source<'_>, query: &str, options: &SearchOptions, depth: usize) -> Result<Lists> {
    let Source { snapshot, query_vector, background } = *source;
    let (lexical, ceiling) = match options.mode {
        Mode::Vector => (Vec::new(), 0.0),
        Mode::Hybrid | Mode::Lexical => snapshot.lexical_with_ceiling(query, &options.filter, depth)?,
    };
    let vectors = match (options.mode, query_vector) {
        (Mode::Vector, None) => return Err(RetrieveError::NoQueryVector),
        (Mode::Vector | Mode::Hybrid, Some(vector)) => snapshot.vector(vector, &options.filter, depth)?,
        (Mode::Lexical, _) | (Mode::Hybrid, None) => Vec::new(),
    };
    let model = snapshot.embedding().map(|spec| spec.fingerprint.clone());
    Ok(Lists { lexical: plain(lexical), ceiling, vectors: plain(vectors), model, background })
}

fn plain(list: Vec<(ChunkId, f32)>) -> Vec<(u64, f32)> {
    list.into_iter().map(|(chunk, score)| (chunk.0, score)).collect()
}

fn hit(source: usize, chunk: Chunk, fused: Fused) -> Hit {
    let Fused { score, lexical_rank, vector_rank, lexical_score, vector_score, .. } = fused;
    Hit { chunk, source, score, lexical_rank, vector_rank, lexical_score, vector_score, rerank_score: None }
}

/// Ranks (from 1) and scores of a list by number.
pub(crate) fn places(list: &[(u64, f32)]) -> HashMap<u64, (usize, f32)> {
    list.iter().enumerate().map(|(i, &(id, score))| (id, (i + 1, score))).collect()
}

/// What the tests of this crate are made with.
#[cfg(test)]
pub(crate) mod testing {
    use std::path::Path;

    use docent_index::{DocId, EmbeddingSpec, FileStat, IndexOptions, NewChunk, NewDocument};

    use super::*;

    /// A hit on a passage of a document.
    pub(crate) fn hit(id: u64, doc: u64, text: &str) -> Hit {
        let chunk = Chunk {
            id: ChunkId(id),
            doc: DocId(doc),
            path: format!("/{doc}").into(),
            file_size: 0,
            file_mtime_ns: 0,
            span: 0..text.len(),
            lines: (1, 1),
            page: None,
            heading_path: Vec::new(),
            text: text.to_owned(),
            format: "text".to_owned(),
            title: None,
            language: None,
            same_as_file: true,
            hash: None,
        };
        Hit {
            chunk,
            source: 0,
            score: 1.0 / id as f32,
            lexical_rank: None,
            vector_rank: None,
            lexical_score: None,
            vector_score: None,
            rerank_score: None,
        }
    }

    /// An index of documents whose lines are passages each, without vectors.
    pub(crate) fn index_of(dir: &Path, documents: &[Vec<String>]) -> Index {
        index_with(dir, documents, None)
    }

    /// The same with a vector for each passage, in order.
    pub(crate) fn index_with(
        dir: &Path,
        documents: &[Vec<String>],
        vectors: Option<(&str, &[Vec<Vec<f32>>])>,
    ) -> Index {
        let index = Index::open(dir, &IndexOptions { read_only: false }).unwrap();
        let spec = vectors.map(|(model, vectors)| EmbeddingSpec {
            fingerprint: model.to_owned(),
            dim: vectors[0][0].len(),
        });
        let mut writer = index.writer(spec).unwrap();
        for (i, lines) in documents.iter().enumerate() {
            let mut chunks = Vec::new();
            let mut start = 0;
            for (line, text) in (1..).zip(lines) {
                let span = start..start + text.len();
                start = span.end + 1;
                let (page, heading_path) = (None, Vec::new());
                chunks.push(NewChunk { span, line_start: line, line_end: line, page, heading_path });
            }
            let text = lines.join("\n");
            writer
                .put_document(NewDocument {
                    stat: FileStat { path: format!("/{i}").into(), size: 1, mtime_ns: 1, inode: i as u64 },
                    hash: *blake3::hash(text.as_bytes()).as_bytes(),
                    format: "text".to_owned(),
                    title: None,
                    language: Some("en".to_owned()),
                    text,
                    same_as_file: true,
                    pages: Vec::new(),
                    chunks,
                    vectors: vectors.map(|(_, vectors)| vectors[i].clone()).unwrap_or_default(),
                })
                .unwrap();
        }
        writer.commit().unwrap();
        drop(writer);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{index_of, index_with};
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Vec<String>> {
        texts.iter().map(|text| vec![(*text).to_owned()]).collect()
    }

    fn found(
        indexes: &[&Index],
        vectors: &[Option<&[f32]>],
        mode: Mode,
        query: &str,
    ) -> Vec<(usize, String)> {
        let snapshots: Vec<Snapshot<'_>> = indexes.iter().map(|index| index.snapshot().unwrap()).collect();
        let background = Background::default();
        let sources: Vec<Source<'_>> = snapshots
            .iter()
            .zip(vectors)
            .map(|(snapshot, &query_vector)| Source { snapshot, query_vector, background })
            .collect();
        let options = SearchOptions { mode, ..SearchOptions::default() };
        let hits = search_all(&sources, query, &options).unwrap();
        hits.into_iter().map(|hit| (hit.source, hit.chunk.text)).collect()
    }

    #[test]
    fn hits_of_several_indexes_say_where_they_are_from_and_copies_are_one() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let house = index_of(dirs[0].path(), &lines(&["the boiler is red", "a copy of the boiler page"]));
        let boat = index_of(dirs[1].path(), &lines(&["the mast has a boiler", "a copy of the boiler page"]));
        let hits = found(&[&house, &boat], &[None, None], Mode::Lexical, "boiler mast");
        assert_eq!(hits[0], (1, "the mast has a boiler".to_owned()));
        assert_eq!(hits.iter().filter(|hit| hit.1.contains("copy")).count(), 1, "{hits:?}");
        assert!(hits.contains(&(0, "the boiler is red".to_owned())));
    }

    #[test]
    fn an_index_in_two_parts_answers_vectors_like_the_whole() {
        let texts: Vec<String> = (0..20).map(|i| format!("text {i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let angle = |i: usize| vec![vec![(i as f32 * 0.3).cos(), (i as f32 * 0.3).sin()]];
        let vectors: Vec<Vec<Vec<f32>>> = (0..20).map(angle).collect();
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let whole = index_with(dirs[0].path(), &lines(&texts), Some(("m", &vectors[..])));
        let first = index_with(dirs[1].path(), &lines(&texts[..3]), Some(("m", &vectors[..3])));
        let second = index_with(dirs[2].path(), &lines(&texts[3..]), Some(("m", &vectors[3..])));
        let query: Option<&[f32]> = Some(&[0.8, 0.6]);
        let texts_of = |hits: Vec<(usize, String)>| hits.into_iter().map(|hit| hit.1).collect::<Vec<_>>();
        let in_parts = texts_of(found(&[&first, &second], &[query, query], Mode::Vector, "x"));
        assert_eq!(in_parts, texts_of(found(&[&whole], &[query], Mode::Vector, "x")));
    }
}

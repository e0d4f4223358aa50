//! The search itself.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use docent_index::{Chunk, ChunkId, Filter, Index, IndexError, Snapshot};

use crate::error::{Result, RetrieveError};
use crate::fusion::{self, Fused};
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

/// A passage found, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The passage.
    pub chunk: Chunk,
    /// Hybrid: the fused score, between 0 and 1. Otherwise the list's own: BM25, or the cosine.
    pub score: f32,
    /// Place in the lexical list, from 1.
    pub lexical_rank: Option<usize>,
    /// Place in the vector list, from 1.
    pub vector_rank: Option<usize>,
    /// BM25 score.
    pub lexical_score: Option<f32>,
    /// Cosine of the passage's and the question's vector.
    pub vector_score: Option<f32>,
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

/// The `options.k` best passages for a question, best first.
///
/// `query_vector` is the question's unit vector, made by the model of the stored vectors; none: words alone. Fewer
/// hits, or none, if the index has no more.
///
/// # Errors
/// `NoQueryVector` in [`Mode::Vector`] without a vector; `IndexError::Dimension` if it is of another model.
pub fn search(
    index: &Index,
    query: &str,
    query_vector: Option<&[f32]>,
    options: &SearchOptions,
) -> Result<Vec<Hit>> {
    let snapshot = index.snapshot()?;
    let ranking = rank(&snapshot, query, query_vector, options)?;
    let mut variety = Variety::new(options.k);
    for fused in ranking {
        if variety.is_full() {
            break;
        }
        let chunk = match snapshot.chunk(ChunkId(fused.id)) {
            Ok(chunk) => chunk,
            // A store that names a passage the catalog does not have is a matter for the integrity check.
            Err(IndexError::NoSuchChunk(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        variety.offer(hit(chunk, fused));
    }
    Ok(variety.into_hits())
}

/// The fused ranking of passages without their texts.
pub(crate) fn rank(
    snapshot: &Snapshot<'_>,
    query: &str,
    query_vector: Option<&[f32]>,
    options: &SearchOptions,
) -> Result<Vec<Fused>> {
    let depth = fusion::DEPTH.max(options.k);
    let by_words = |k| -> Result<Vec<(u64, f32)>> { Ok(plain(snapshot.lexical(query, &options.filter, k)?)) };
    let by_vector =
        |vector, k| -> Result<Vec<(u64, f32)>> { Ok(plain(snapshot.vector(vector, &options.filter, k)?)) };
    Ok(match (options.mode, query_vector) {
        (Mode::Vector, None) => return Err(RetrieveError::NoQueryVector),
        (Mode::Vector, Some(vector)) => fusion::single(&[], &by_vector(vector, depth)?),
        (Mode::Lexical, _) | (Mode::Hybrid, None) => fusion::single(&by_words(depth)?, &[]),
        (Mode::Hybrid, Some(vector)) => {
            let (lexical, vectors) = (by_words(depth)?, by_vector(vector, depth)?);
            fusion::fuse(query, &lexical, &vectors)
        }
    })
}

fn plain(list: Vec<(ChunkId, f32)>) -> Vec<(u64, f32)> {
    list.into_iter().map(|(chunk, score)| (chunk.0, score)).collect()
}

fn hit(chunk: Chunk, fused: Fused) -> Hit {
    let Fused { score, lexical_rank, vector_rank, lexical_score, vector_score, .. } = fused;
    Hit { chunk, score, lexical_rank, vector_rank, lexical_score, vector_score }
}

/// Ranks (from 1) and scores of a list by number.
pub(crate) fn places(list: &[(u64, f32)]) -> HashMap<u64, (usize, f32)> {
    list.iter().enumerate().map(|(i, &(id, score))| (id, (i + 1, score))).collect()
}

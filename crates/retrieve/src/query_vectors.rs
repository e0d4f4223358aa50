//! The vectors of an evaluation's questions, kept in a file.
//!
//! ```text
//! "DOCENTQV"  version u32  dim u32  BLAKE3 of the model's fingerprint (32)  number of rows u64
//! rows: BLAKE3 of the text (32)  dim f32
//! BLAKE3 of all of the above (32)
//! ```
//!
//! All numbers are little-endian. A file that is missing, damaged, or of another model is an empty one: the questions
//! are then embedded again.

use std::collections::HashMap;
use std::path::Path;

use docent_index::EmbeddingSpec;

use crate::error::{Result, RetrieveError};

const MAGIC: &[u8; 8] = b"DOCENTQV";
const VERSION: u32 = 1;
const HASH: usize = 32;

/// Vectors by the hash of their text.
pub(crate) struct QueryVectors {
    header: Vec<u8>,
    dim: usize,
    rows: HashMap<[u8; HASH], Vec<f32>>,
}

impl QueryVectors {
    /// What the file at `path` has of the model `spec`.
    pub(crate) fn read(path: &Path, spec: &EmbeddingSpec) -> Self {
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend((spec.dim as u32).to_le_bytes());
        header.extend(blake3::hash(spec.fingerprint.as_bytes()).as_bytes());
        let rows = std::fs::read(path).ok().and_then(|bytes| rows(&bytes, &header, spec.dim));
        QueryVectors { header, dim: spec.dim, rows: rows.unwrap_or_default() }
    }

    /// The vector of a text, if it is known.
    pub(crate) fn get(&self, text: &str) -> Option<&[f32]> {
        self.rows.get(blake3::hash(text.as_bytes()).as_bytes()).map(Vec::as_slice)
    }

    /// Takes a text's vector; one of another length is not kept.
    pub(crate) fn insert(&mut self, text: &str, vector: Vec<f32>) {
        if vector.len() == self.dim {
            self.rows.insert(*blake3::hash(text.as_bytes()).as_bytes(), vector);
        }
    }

    /// Replaces the file at `path`.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut bytes = self.header.clone();
        bytes.extend((self.rows.len() as u64).to_le_bytes());
        for (hash, vector) in &self.rows {
            bytes.extend(hash);
            bytes.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
        }
        bytes.extend(blake3::hash(&bytes).as_bytes());
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, &bytes)
            .and_then(|()| std::fs::rename(&unfinished, path))
            .map_err(|source| RetrieveError::Write { path: path.to_owned(), source })
    }
}

fn rows(bytes: &[u8], header: &[u8], dim: usize) -> Option<HashMap<[u8; HASH], Vec<f32>>> {
    let (content, sum) = bytes.split_last_chunk::<HASH>()?;
    if blake3::hash(content).as_bytes() != sum {
        return None;
    }
    let (_, rows) = content.strip_prefix(header)?.split_first_chunk::<8>()?;
    let rows = rows.chunks_exact(HASH + 4 * dim).map(|row| {
        let (hash, numbers) = row.split_first_chunk::<HASH>()?;
        let (numbers, _) = numbers.as_chunks::<4>();
        Some((*hash, numbers.iter().map(|x| f32::from_le_bytes(*x)).collect()))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(fingerprint: &str) -> EmbeddingSpec {
        EmbeddingSpec { fingerprint: fingerprint.into(), dim: 2 }
    }

    #[test]
    fn what_was_kept_comes_back_for_the_same_model_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q");
        let mut vectors = QueryVectors::read(&path, &spec("a"));
        vectors.insert("one", vec![1.0, -2.5]);
        vectors.insert("wrong length", vec![1.0]);
        vectors.write(&path).unwrap();
        let again = QueryVectors::read(&path, &spec("a"));
        assert_eq!(again.get("one"), Some(&[1.0, -2.5][..]));
        assert!(again.get("wrong length").is_none() && again.get("two").is_none());
        assert!(QueryVectors::read(&path, &spec("b")).get("one").is_none());
    }

    #[test]
    fn a_damaged_file_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q");
        let mut vectors = QueryVectors::read(&path, &spec("a"));
        vectors.insert("one", vec![1.0, -2.5]);
        vectors.write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(QueryVectors::read(&path, &spec("a")).get("one").is_none(), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(QueryVectors::read(&path, &spec("a")).get("one").is_none(), "cut at {at}");
        }
    }
}

//! A page of hits that does not repeat itself.
//!
//! Two copies of a text (a file saved twice, a licence in every folder) are one hit. One document takes at most
//! half of the places while other documents have candidates; what was put off fills the places left over.

use std::collections::{HashMap, HashSet};

use docent_index::DocId;

use crate::search::Hit;

/// Words in a shingle.
const SHINGLE: usize = 5;
/// Share of common shingles (Jaccard) from which two texts count as the same.
const SAME: f32 = 0.9;
/// Places that one document may always take.
const MIN_PER_DOCUMENT: usize = 3;

/// Takes hits best first and keeps the `k` to be shown.
#[derive(Debug)]
pub struct Variety {
    k: usize,
    kept: Vec<Hit>,
    put_off: Vec<Hit>,
    texts: Vec<HashSet<u64>>,
    per_document: HashMap<(usize, DocId), usize>,
}

impl Variety {
    /// A page of `k` places.
    pub fn new(k: usize) -> Self {
        Variety { k, kept: Vec::new(), put_off: Vec::new(), texts: Vec::new(), per_document: HashMap::new() }
    }

    /// Whether no further hit can be taken.
    pub fn is_full(&self) -> bool {
        self.kept.len() >= self.k
    }

    /// Takes the next best hit, puts it off, or drops it as a copy of one already taken.
    pub fn offer(&mut self, hit: Hit) {
        if self.is_full() {
            return;
        }
        let shingles = shingles(&hit.chunk.text);
        if self.texts.iter().any(|known| similarity(known, &shingles) >= SAME) {
            return;
        }
        self.texts.push(shingles);
        let n = self.per_document.entry((hit.source, hit.chunk.doc)).or_default();
        if *n >= MIN_PER_DOCUMENT.max(self.k.div_ceil(2)) {
            self.put_off.push(hit);
        } else {
            *n += 1;
            self.kept.push(hit);
        }
    }

    /// The hits to be shown, best first.
    pub fn into_hits(self) -> Vec<Hit> {
        let Variety { k, mut kept, put_off, .. } = self;
        let n_free = k.saturating_sub(kept.len());
        kept.extend(put_off.into_iter().take(n_free));
        kept
    }
}

/// Hashes of every five neighbouring words, or of the whole of a shorter text.
fn shingles(text: &str) -> HashSet<u64> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let hash = |words: &[String]| {
        let digest = blake3::hash(words.join(" ").as_bytes());
        u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap_or_default())
    };
    if words.len() < SHINGLE {
        HashSet::from([hash(&words)])
    } else {
        words.windows(SHINGLE).map(hash).collect()
    }
}

fn similarity(a: &HashSet<u64>, b: &HashSet<u64>) -> f32 {
    let n_common = a.intersection(b).count();
    n_common as f32 / (a.len() + b.len() - n_common).max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::testing::hit;

    fn ids(variety: Variety) -> Vec<u64> {
        variety.into_hits().iter().map(|hit| hit.chunk.id.0).collect()
    }

    #[test]
    fn copies_are_shown_once() {
        let text = "the quick brown fox jumps over the lazy dog and runs away";
        let mut variety = Variety::new(10);
        variety.offer(hit(1, 1, text));
        variety.offer(hit(2, 2, &text.replace(' ', "\n").to_uppercase()));
        variety.offer(hit(3, 3, "something else"));
        assert_eq!(ids(variety), [1, 3]);
    }

    #[test]
    fn one_document_does_not_fill_the_page_while_others_have_something() {
        let mut variety = Variety::new(6);
        for id in 1..=8 {
            variety.offer(hit(id, 1, &format!("passage number {id}")));
        }
        variety.offer(hit(9, 2, "another document"));
        assert_eq!(ids(variety), [1, 2, 3, 9, 4, 5]);
    }

    #[test]
    fn a_single_document_fills_the_page() {
        let mut variety = Variety::new(6);
        for id in 1..=8 {
            variety.offer(hit(id, 1, &format!("passage number {id}")));
        }
        assert_eq!(ids(variety), [1, 2, 3, 4, 5, 6]);
    }
}

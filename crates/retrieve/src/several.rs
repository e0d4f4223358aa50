//! The lists of several indexes as those of one.
//!
//! Each index ranks by itself, and what its scores mean depends on what else it holds. Before they are joined they are brought
//! to scales that do not:
//!
//! - words: a passage's share of the greatest score that the question's words could give in its index. BM25 itself would favour
//!   large indexes, where every word is rarer than in a small one; the words that an index does not have at all count in its
//!   ceiling, so that one without the subject stays behind;
//! - vectors of one model: cosines, as they are;
//! - vectors of different models: in standard deviations above what unrelated texts have with the question ([`Background`]).
//!   Some models give any two texts 0.8, others 0.1.
//!
//! Then the joined lists are cut to the length of one, and fused like those of one index ([`fusion`](crate::fusion)). Ranks alone
//! (one hit of each index in turn) would give an index that has nothing on the matter as much room as the one that has it.

use std::collections::{HashMap, HashSet};

use crate::search::Background;

/// What one index has for a question: (passage, score), best first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    pub lexical: Vec<(u64, f32)>,
    /// The lexical score of a passage that would say nothing but the question's words.
    pub ceiling: f32,
    pub vectors: Vec<(u64, f32)>,
    /// Fingerprint of the vectors' model.
    pub model: Option<String>,
    pub background: Background,
}

/// Two lists over all indexes, best first, by numbers of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Joined {
    pub lexical: Vec<(u64, f32)>,
    pub vectors: Vec<(u64, f32)>,
    /// Index and passage of each number; none: the numbers are those of the passages of the only index.
    passages: Option<Vec<(usize, u64)>>,
}

impl Joined {
    /// The index that a number means, and the passage there.
    pub(crate) fn passage(&self, number: u64) -> (usize, u64) {
        self.passages.as_ref().map_or((0, number), |passages| passages[number as usize])
    }
}

/// Joins the lists of all indexes and keeps the best `depth` of each kind. The lists of a single index stay as they are.
pub(crate) fn join(mut lists: Vec<Lists>, depth: usize) -> Joined {
    if lists.len() == 1 {
        let Lists { lexical, vectors, .. } = lists.remove(0);
        return Joined { lexical, vectors, passages: None };
    }
    let with_vectors = lists.iter().filter(|lists| !lists.vectors.is_empty());
    let models: HashSet<&Option<String>> = with_vectors.map(|lists| &lists.model).collect();
    let one_model = models.len() < 2;
    let mut numbers = Numbers::default();
    let mut joined = Joined::default();
    for (source, lists) in lists.iter().enumerate() {
        let share = |score: f32| if lists.ceiling > 0.0 { score / lists.ceiling } else { 0.0 };
        let words = lists.lexical.iter().map(|&(id, score)| (numbers.of(source, id), share(score)));
        joined.lexical.extend(words);
        let Background { mean, deviation } = if one_model { Background::default() } else { lists.background };
        let vectors = lists.vectors.iter();
        joined.vectors.extend(
            vectors.map(|&(id, cosine)| (numbers.of(source, id), (cosine - mean) / deviation.max(1e-6))),
        );
    }
    for list in [&mut joined.lexical, &mut joined.vectors] {
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        list.truncate(depth);
    }
    Joined { passages: Some(numbers.passages), ..joined }
}

/// Numbers for passages of several indexes.
#[derive(Debug, Default)]
struct Numbers {
    passages: Vec<(usize, u64)>,
    known: HashMap<(usize, u64), u64>,
}

impl Numbers {
    fn of(&mut self, source: usize, id: u64) -> u64 {
        *self.known.entry((source, id)).or_insert_with(|| {
            self.passages.push((source, id));
            self.passages.len() as u64 - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(lexical: &[(u64, f32)], ceiling: f32, vectors: &[(u64, f32)], model: &str) -> Lists {
        Lists {
            lexical: lexical.to_vec(),
            ceiling,
            vectors: vectors.to_vec(),
            model: Some(model.to_owned()),
            background: Background::default(),
        }
    }

    fn passages(joined: &Joined, list: &[(u64, f32)]) -> Vec<(usize, u64)> {
        list.iter().map(|(number, _)| joined.passage(*number)).collect()
    }

    #[test]
    fn a_small_index_that_has_all_words_stands_before_a_large_one_that_has_some() {
        let large = lists(&[(1, 9.0), (2, 8.0)], 20.0, &[], "m");
        let small = lists(&[(1, 3.0)], 3.2, &[], "m");
        let joined = join(vec![large, small], 100);
        assert_eq!(passages(&joined, &joined.lexical), [(1, 1), (0, 1), (0, 2)]);
    }

    #[test]
    fn cosines_of_one_model_are_compared_as_they_are() {
        let mut high = lists(&[], 0.0, &[(7, 0.6), (8, 0.5)], "m");
        high.background = Background { mean: 0.9, deviation: 0.01 };
        let joined = join(vec![high, lists(&[], 0.0, &[(7, 0.55)], "m")], 2);
        assert_eq!(passages(&joined, &joined.vectors), [(0, 7), (1, 7)]);
    }

    /// A model in whose space all vectors share a direction gives a + (1 - a) cos where another gives cos.
    #[test]
    fn a_model_that_finds_all_texts_alike_does_not_push_the_others_away() {
        let cosines = [(1, 0.7), (2, 0.4), (3, 0.1), (4, -0.1)];
        let shifted = cosines.map(|(id, cosine)| (id, 0.8 + 0.2 * (cosine - 0.05)));
        let mut plain = lists(&[], 0.0, &cosines, "plain");
        plain.background = Background { mean: 0.05, deviation: 0.1 };
        let mut alike = lists(&[], 0.0, &shifted, "alike");
        alike.background = Background { mean: 0.8 + 0.2 * 0.05, deviation: 0.02 };
        let joined = join(vec![plain, alike], 100);
        let ids: Vec<u64> = joined.vectors.iter().map(|(n, _)| joined.passage(*n).1).collect();
        assert_eq!(ids, [1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn an_index_without_vectors_or_words_takes_part_with_what_it_has() {
        let words = Lists { lexical: vec![(5, 2.0)], ceiling: 2.0, ..Lists::default() };
        let joined = join(vec![words, lists(&[], 0.0, &[(5, 0.9)], "m"), Lists::default()], 100);
        assert_eq!(passages(&joined, &joined.lexical), [(0, 5)]);
        assert_eq!(joined.vectors[0].1, 0.9, "there is only one model");
    }

    #[test]
    fn the_lists_of_a_single_index_stay_as_they_are() {
        let joined = join(vec![lists(&[(9, 3.5)], 7.0, &[(4, 0.2)], "m")], 1);
        assert_eq!((&joined.lexical[..], &joined.vectors[..]), (&[(9, 3.5)][..], &[(4, 0.2)][..]));
        assert_eq!(joined.passage(9), (0, 9));
        assert!(join(Vec::new(), 10).lexical.is_empty());
    }
}

//! Two ranked lists to one.
//!
//! Each list's scores are brought to 0..1 between its best and its worst candidate, and added with a weight
//! (a convex combination: Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).
//! Reciprocal-rank fusion throws the scores away and loses 0.12 nDCG@10 to vectors alone on questions about code.
//!
//! No one weight serves every collection, so the lists are asked, each of itself and about each other:
//!
//! - how far the best lexical score stands above the tenth: words that a few passages have and the rest have not tell
//!   something, words that all candidates have alike tell little (this is what parts claims about science from questions
//!   about code: the tenth has lost 49 % on average there, and 33 % here);
//! - what the vectors think of the best lexical candidates: if little, the words have probably matched by chance;
//! - how far each list's best stands out, in standard deviations of its scores: a list of nearly equal scores, stretched
//!   to 0..1, would be all noise.
//!
//! nDCG@10 with all-MiniLM-L6-v2, the best 100 of each list, from a script with the same formulas (what `docent eval` gives is
//! in docs/retrieval.md). The constants were chosen on one half of each collection's queries (by a hash of their names);
//! "other half" are the rest.
//!
//! | | scifact | cranfield | cosqa-dev |
//! |---|---|---|---|
//! | words alone | .689 | .372 | .383 |
//! | vectors alone | .645 | .395 | .603 |
//! | best fixed weight for each collection | .733 | .427 | .606 |
//! | 0.8 less 0.35 times the agreement (before) | .705 | .426 | .599 |
//! | in force | .723 | .425 | .600 |
//! | in force, other half; best fixed weight there | .733; .752 | .423; .429 | .603; .616 |

use std::collections::BTreeSet;

use crate::search::places;

/// Weight of the vectors, in standard deviations, when the lexical list says nothing.
const GREATEST_WEIGHT: f32 = 0.95;
/// What full agreement of the lists takes from that weight.
const AGREEMENT_SHARE: f32 = 0.2;
/// What a lexical list takes from it whose tenth candidate has no score left.
const FALL_SHARE: f32 = 0.6;
/// The least weight.
const LEAST_WEIGHT: f32 = 0.2;
/// Lexical candidates that the vectors are asked about, and behind which the first is compared.
const ASKED: usize = 10;
/// Candidates a full list has. Of a shorter lexical list it is known that everything else matches nothing.
pub const DEPTH: usize = 100;

/// A passage in the fused ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fused {
    /// The passage's number.
    pub id: u64,
    /// Fused score, or the only list's own.
    pub score: f32,
    /// Place in the lexical list, from 1.
    pub lexical_rank: Option<usize>,
    /// Place in the vector list, from 1.
    pub vector_rank: Option<usize>,
    /// Score in the lexical list.
    pub lexical_score: Option<f32>,
    /// Score in the vector list.
    pub vector_score: Option<f32>,
}

/// The ranking of one list alone; the other one is empty.
pub fn single(lexical: &[(u64, f32)], vectors: &[(u64, f32)]) -> Vec<Fused> {
    let mut ranking =
        join(lexical, vectors, |fused| fused.lexical_score.or(fused.vector_score).unwrap_or(0.0));
    sort(&mut ranking);
    ranking
}

/// Fuses the lexical and the vector list for `query`; each holds (number, score), best first.
pub fn fuse(query: &str, lexical: &[(u64, f32)], vectors: &[(u64, f32)]) -> Vec<Fused> {
    // The index has at least as many passages as the longer list; those the words do not list score nothing.
    let n_passages = lexical.len().max(vectors.len());
    let vector_range = range(vectors);
    let mut lexical_range = range(lexical);
    if lexical.len() < n_passages {
        lexical_range.0 = 0.0;
    }
    let weight = if is_latin(query) { weight(lexical, vectors, n_passages) } else { 0.0 };
    let mut ranking = join(lexical, vectors, |fused| {
        let words = fused.lexical_score.map_or(0.0, |score| scaled(score, lexical_range));
        let vector = fused.vector_score.map_or(0.0, |score| scaled(score, vector_range));
        weight * vector + (1.0 - weight) * words
    });
    sort(&mut ranking);
    ranking
}

/// The weight of the vectors' scaled scores, 0..1.
fn weight(lexical: &[(u64, f32)], vectors: &[(u64, f32)], n_passages: usize) -> f32 {
    let in_deviations = (GREATEST_WEIGHT
        - AGREEMENT_SHARE * agreement(lexical, vectors)
        - FALL_SHARE * fall(lexical, n_passages))
    .max(LEAST_WEIGHT);
    let (words, vector) = (spread(lexical, n_passages), spread(vectors, vectors.len()));
    let (words, vector) = ((1.0 - in_deviations) * words, in_deviations * vector);
    if words + vector > 0.0 { vector / (words + vector) } else { in_deviations }
}

/// How much of the best score the tenth candidate has lost, 0..1.
fn fall(lexical: &[(u64, f32)], n_passages: usize) -> f32 {
    let Some((_, best)) = lexical.first().filter(|(_, best)| *best > 0.0) else { return 0.0 };
    let tenth = lexical.get((ASKED - 1).min(n_passages - 1)).map_or(0.0, |(_, score)| *score);
    1.0 - tenth / best
}

/// How many standard deviations lie between the best and the worst of `n` scores, of which those not listed are 0.
fn spread(list: &[(u64, f32)], n: usize) -> f32 {
    let n_float = n.max(1) as f32;
    let mean = list.iter().map(|entry| entry.1).sum::<f32>() / n_float;
    let squares: f32 = list.iter().map(|entry| (entry.1 - mean).powi(2)).sum();
    let deviation = ((squares + (n - list.len()) as f32 * mean * mean) / n_float).sqrt();
    let (mut low, high) = range(list);
    if list.len() < n {
        low = low.min(0.0);
    }
    if deviation > 0.0 && high > low { (high - low) / deviation } else { 0.0 }
}

/// How much the vector list thinks of the best lexical candidates: their mean scaled score in it, 0..1; a candidate
/// that is not in the list counts as 0.
fn agreement(lexical: &[(u64, f32)], vectors: &[(u64, f32)]) -> f32 {
    let (by_vector, vector_range) = (places(vectors), range(vectors));
    let asked = &lexical[..lexical.len().min(ASKED)];
    let sum: f32 =
        asked.iter().filter_map(|(id, _)| by_vector.get(id)).map(|place| scaled(place.1, vector_range)).sum();
    sum / asked.len().max(1) as f32
}

/// Whether most letters of the text are of the alphabet that the embedding model knows.
fn is_latin(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let (n, n_latin) = letters.fold((0, 0), |(n, latin), c| (n + 1, latin + usize::from(c < '\u{250}')));
    n_latin * 2 >= n
}

fn range(list: &[(u64, f32)]) -> (f32, f32) {
    let low = list.iter().map(|entry| entry.1).fold(f32::INFINITY, f32::min);
    let high = list.iter().map(|entry| entry.1).fold(f32::NEG_INFINITY, f32::max);
    (low, high)
}

fn scaled(score: f32, (low, high): (f32, f32)) -> f32 {
    if high > low { (score - low) / (high - low) } else { 1.0 }
}

fn join(lexical: &[(u64, f32)], vectors: &[(u64, f32)], score: impl Fn(&Fused) -> f32) -> Vec<Fused> {
    let (by_words, by_vector) = (places(lexical), places(vectors));
    let ids: BTreeSet<u64> = by_words.keys().chain(by_vector.keys()).copied().collect();
    ids.into_iter()
        .map(|id| {
            let (words, vector) = (by_words.get(&id), by_vector.get(&id));
            let mut fused = Fused {
                id,
                score: 0.0,
                lexical_rank: words.map(|place| place.0),
                vector_rank: vector.map(|place| place.0),
                lexical_score: words.map(|place| place.1),
                vector_score: vector.map(|place| place.1),
            };
            fused.score = score(&fused);
            fused
        })
        .collect()
}

/// Best first; equal scores by number, so that the ranking is the same every time.
fn sort(ranking: &mut [Fused]) {
    ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ranking: &[Fused]) -> Vec<u64> {
        ranking.iter().map(|fused| fused.id).collect()
    }

    #[test]
    fn a_passage_that_both_lists_like_comes_first() {
        let lexical = [(1, 9.0), (2, 8.0), (3, 1.0)];
        let vectors = [(4, 0.9), (2, 0.8), (3, 0.1)];
        let ranking = fuse("engine", &lexical, &vectors);
        assert_eq!(ids(&ranking)[0], 2);
        assert_eq!((ranking[0].lexical_rank, ranking[0].vector_rank), (Some(2), Some(2)));
    }

    #[test]
    fn words_that_the_vectors_think_nothing_of_weigh_less() {
        let lexical: Vec<(u64, f32)> = (1..=10).map(|id| (id, 20.0 - id as f32)).collect();
        let agreeing: Vec<(u64, f32)> =
            (1..=10).map(|id| (id, 0.9 - id as f32 * 0.001)).chain([(99, 0.1)]).collect();
        let strange: Vec<(u64, f32)> = (50..=60).map(|id| (id, 1.0 - id as f32 * 0.01)).collect();
        assert!(agreement(&lexical, &agreeing) > 0.9);
        assert_eq!(agreement(&lexical, &strange), 0.0);
        assert_eq!(ids(&fuse("engine", &lexical, &strange))[0], 50);
    }

    #[test]
    fn a_word_that_one_passage_alone_has_brings_it_to_the_front() {
        let vectors: Vec<(u64, f32)> = (0..100).map(|id| (id, 0.6 - id as f32 * 0.002)).collect();
        assert_eq!(ids(&fuse("Kowalczyk", &[(70, 9.0)], &vectors))[0], 70);
    }

    #[test]
    fn words_that_all_candidates_have_alike_weigh_less_than_words_that_part_them() {
        let vectors: Vec<(u64, f32)> = (0..100).map(|id| (id, 0.9 - id as f32 * 0.004)).collect();
        let alike: Vec<(u64, f32)> = (0..100).map(|id| (99 - id, 9.0 - id as f32 * 0.01)).collect();
        let parted: Vec<(u64, f32)> = (0..100).map(|id| (99 - id, 9.0 / (1.0 + id as f32))).collect();
        assert!(weight(&alike, &vectors, 100) > weight(&parted, &vectors, 100) + 0.2);
    }

    #[test]
    fn scores_that_do_not_differ_or_are_not_there_break_nothing() {
        let same: Vec<(u64, f32)> = (0..20).map(|id| (id, 1.0)).collect();
        for (lexical, vectors) in [(&same[..], &same[..]), (&same[..1], &same[..]), (&same[..], &same[..1])] {
            let ranking = fuse("engine", lexical, vectors);
            assert!(ranking.iter().all(|fused| (0.0..=1.0).contains(&fused.score)), "{ranking:?}");
        }
    }

    #[test]
    fn an_empty_list_leaves_the_other_ones_order() {
        let list = [(5, 3.0), (2, 2.0), (9, 1.0)];
        assert_eq!(ids(&fuse("engine", &list, &[])), [5, 2, 9]);
        assert_eq!(ids(&fuse("engine", &[], &list)), [5, 2, 9]);
        assert!(fuse("engine", &[], &[]).is_empty());
    }

    #[test]
    fn one_list_alone_keeps_its_own_scores() {
        let ranking = single(&[(5, 3.0), (2, 2.0)], &[]);
        assert_eq!(ranking[0].score, 3.0);
        assert_eq!(ranking[1].lexical_rank, Some(2));
    }

    #[test]
    fn a_script_the_model_does_not_know_is_left_to_the_words() {
        let lexical = [(1, 2.0), (2, 1.0)];
        let vectors = [(2, 0.9), (1, 0.1)];
        assert_eq!(ids(&fuse("日本で梅雨がないのは", &lexical, &vectors))[0], 1);
    }
}

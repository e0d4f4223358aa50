//! The second stage: a model that reads question and passage together puts the best candidates in order.
//!
//! It costs a forward pass a passage, so it sees the first page and a little more, not the index. What it reads is up to the
//! caller, as is the model: here are only hits and numbers.

use crate::error::{Result, RetrieveError};
use crate::search::Hit;
use crate::variety::Variety;

/// Candidates that are read: three pages. Their number bounds the time; what the first stage has not among them is lost to the
/// second.
pub const CANDIDATES: usize = 30;

/// How well each passage answers the question, any numbers, higher is better, in the order of the hits. An error is the model's
/// own words.
pub type ScoreHits<'a> = dyn Fn(&[Hit]) -> std::result::Result<Vec<f32>, String> + 'a;

/// The `k` best of `hits`, which are best first and hold no copies: those among the first [`CANDIDATES`] by what `scores` says
/// of them, and the others behind them as they were. Equal scores leave the order.
///
/// # Errors
/// `Reranking` with what the model said, or if it gave another number of scores.
pub fn rerank(mut hits: Vec<Hit>, k: usize, scores: &ScoreHits<'_>) -> Result<Vec<Hit>> {
    let others = hits.split_off(hits.len().min(CANDIDATES));
    let given = scores(&hits).map_err(RetrieveError::Reranking)?;
    if given.len() != hits.len() {
        let what = format!("{} scores were given for {} passages", given.len(), hits.len());
        return Err(RetrieveError::Reranking(what));
    }
    for (hit, score) in hits.iter_mut().zip(given) {
        hit.rerank_score = Some(score);
    }
    hits.sort_by(|a, b| b.rerank_score.unwrap_or(0.0).total_cmp(&a.rerank_score.unwrap_or(0.0)));
    let mut variety = Variety::new(k);
    hits.into_iter().chain(others).for_each(|hit| variety.offer(hit));
    Ok(variety.into_hits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::testing::hit;

    fn ids(hits: &[Hit]) -> Vec<u64> {
        hits.iter().map(|hit| hit.chunk.id.0).collect()
    }

    fn hits(n: u64) -> Vec<Hit> {
        (1..=n).map(|id| hit(id, id, &format!("passage number {id}"))).collect()
    }

    #[test]
    fn the_model_orders_the_first_candidates_and_sees_no_others() {
        let seen = std::cell::Cell::new(0);
        let by_number = |hits: &[Hit]| {
            seen.set(hits.len());
            Ok(hits.iter().map(|hit| hit.chunk.id.0 as f32).collect())
        };
        let found = rerank(hits(40), 35, &by_number).unwrap();
        assert_eq!(seen.get(), CANDIDATES);
        assert_eq!(ids(&found)[..3], [30, 29, 28]);
        assert_eq!(ids(&found)[30..], [31, 32, 33, 34, 35]);
        assert_eq!((found[0].rerank_score, found[30].rerank_score), (Some(30.0), None));
    }

    #[test]
    fn equal_scores_leave_the_order_and_nothing_is_nothing() {
        let equal = |hits: &[Hit]| Ok(vec![0.5; hits.len()]);
        assert_eq!(ids(&rerank(hits(5), 3, &equal).unwrap()), [1, 2, 3]);
        assert!(rerank(Vec::new(), 3, &equal).unwrap().is_empty());
    }

    #[test]
    fn one_document_does_not_fill_the_page_of_the_second_stage_either() {
        let mut all: Vec<Hit> = (1..=8).map(|id| hit(id, 1, &format!("passage number {id}"))).collect();
        all.push(hit(9, 2, "another document"));
        let in_order = |hits: &[Hit]| Ok(hits.iter().map(|hit| -(hit.chunk.id.0 as f32)).collect());
        assert_eq!(ids(&rerank(all, 6, &in_order).unwrap()), [1, 2, 3, 9, 4, 5]);
    }

    #[test]
    fn a_model_that_fails_or_miscounts_is_told() {
        let failing = |_: &[Hit]| Err("out of memory".to_owned());
        assert!(rerank(hits(2), 2, &failing).unwrap_err().to_string().contains("out of memory"));
        let short = |_: &[Hit]| Ok(vec![1.0]);
        assert!(rerank(hits(2), 2, &short).unwrap_err().to_string().contains("1 scores"));
    }
}

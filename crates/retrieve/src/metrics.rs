//! How good a ranking is, measured against judgements. All measures are between 0 and 1; higher is better.

use std::collections::{BTreeMap, HashMap};

/// Judged documents of one query: document to gain; what is not listed has gain 0.
pub type Judgements = HashMap<String, f64>;

/// Normalised discounted cumulative gain of the first `k` places: sum of gain / log2(place + 1), divided by that of
/// the best possible order (Järvelin and Kekäläinen 2002; gains linear, as `trec_eval` and BEIR have it).
pub fn ndcg_at(k: usize, ranking: &[String], judged: &Judgements) -> f64 {
    let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains.take(k).enumerate().map(|(place, gain)| gain / (place as f64 + 2.0).log2()).sum()
    };
    let mut ideal: Vec<f64> = judged.values().copied().filter(|gain| *gain > 0.0).collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = discounted(&mut ideal.into_iter());
    if best == 0.0 {
        return 0.0;
    }
    discounted(&mut ranking.iter().map(|id| judged.get(id).copied().unwrap_or(0.0).max(0.0))) / best
}

/// Share of the relevant documents among the first `k` places.
pub fn recall_at(k: usize, ranking: &[String], judged: &Judgements) -> f64 {
    let n_relevant = judged.values().filter(|gain| **gain > 0.0).count();
    let n_found = ranking.iter().take(k).filter(|id| judged.get(*id).is_some_and(|gain| *gain > 0.0)).count();
    if n_relevant == 0 { 0.0 } else { n_found as f64 / n_relevant as f64 }
}

/// 1 / place of the first relevant document if it is among the first `k`, else 0.
pub fn reciprocal_rank_at(k: usize, ranking: &[String], judged: &Judgements) -> f64 {
    let found = ranking.iter().take(k).position(|id| judged.get(id).is_some_and(|gain| *gain > 0.0));
    found.map_or(0.0, |place| 1.0 / (place as f64 + 1.0))
}

/// Means over all judged queries; a query without a ranking counts as 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Means {
    /// nDCG of the first 10 places.
    pub ndcg_at_10: f64,
    /// Recall of the first 100 places.
    pub recall_at_100: f64,
    /// Reciprocal rank within the first 10 places.
    pub mrr_at_10: f64,
}

/// Means of all measures over `queries` (query to judgements), given each query's ranking.
pub fn means(queries: &BTreeMap<String, Judgements>, rankings: &HashMap<String, Vec<String>>) -> Means {
    let n = queries.len().max(1) as f64;
    let mut means = Means::default();
    for (query, judged) in queries {
        let ranking = rankings.get(query).map(Vec::as_slice).unwrap_or_default();
        means.ndcg_at_10 += ndcg_at(10, ranking, judged) / n;
        means.recall_at_100 += recall_at(100, ranking, judged) / n;
        means.mrr_at_10 += reciprocal_rank_at(10, ranking, judged) / n;
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn judged(gains: &[(&str, f64)]) -> Judgements {
        gains.iter().map(|(id, gain)| ((*id).to_owned(), *gain)).collect()
    }

    #[test]
    fn the_best_order_scores_one() {
        let judged = judged(&[("a", 2.0), ("b", 1.0)]);
        assert_eq!(ndcg_at(10, &ranking(&["a", "b", "c"]), &judged), 1.0);
        assert_eq!(recall_at(2, &ranking(&["a", "b", "c"]), &judged), 1.0);
        assert_eq!(reciprocal_rank_at(10, &ranking(&["a"]), &judged), 1.0);
    }

    #[test]
    fn figures_worked_out_by_hand() {
        let judged = judged(&[("a", 1.0), ("b", 1.0)]);
        let found = ranking(&["x", "a", "y", "b"]);
        let expected = (1.0 / 3f64.log2() + 1.0 / 5f64.log2()) / (1.0 + 1.0 / 3f64.log2());
        assert!((ndcg_at(10, &found, &judged) - expected).abs() < 1e-12);
        assert_eq!(recall_at(3, &found, &judged), 0.5);
        assert_eq!(reciprocal_rank_at(10, &found, &judged), 0.5);
        assert_eq!(reciprocal_rank_at(1, &found, &judged), 0.0);
    }

    #[test]
    fn a_query_that_found_nothing_counts_as_nought() {
        let queries = BTreeMap::from([
            ("1".to_owned(), judged(&[("a", 1.0)])),
            ("2".to_owned(), judged(&[("b", 1.0)])),
        ]);
        let rankings = HashMap::from([("1".to_owned(), ranking(&["a"]))]);
        assert_eq!(means(&queries, &rankings).ndcg_at_10, 0.5);
    }
}

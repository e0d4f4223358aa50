//! Search: by codes for candidates, then by the numbers themselves.
//!
//! Every living row that may answer is looked at; where there are lists (`lists`), those in the nearest ones, and the rows behind what
//! the lists cover.

use std::sync::Arc;

use docent_kernels::Dense;

use super::codes;
use super::file::VectorFiles;
use crate::docset::DocSet;
use crate::top::Top;

/// Rows from which a second thread pays for its start (about 20 us against 20 ns a row).
const ROWS_PER_THREAD: usize = 8192;
/// Candidates beyond the wanted ones that are scored again: more than ever change places over the codes' rounding.
const SPARE: usize = 32;

/// A question as codes.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) dense: Dense,
    pub(super) code: &'a [i8],
    pub(super) scale: f32,
}

impl Query<'_> {
    /// About the dot product with a row of codes.
    pub(super) fn score(&self, row: &[u8]) -> f32 {
        let (code, scale) = codes::parts(row);
        self.dense.dot_i8(self.code, code) as f32 * (self.scale * scale)
    }
}

/// What a search may answer with.
#[derive(Clone, Copy)]
pub(crate) struct Among<'a> {
    /// Rows whose passage is gone.
    pub dead: &'a DocSet,
    /// Documents that may answer; none: all.
    pub allowed: Option<&'a Arc<DocSet>>,
    /// Number of all documents.
    pub n_docs: usize,
}

impl Among<'_> {
    /// The share of documents that may answer, which is about that of their rows.
    fn share(&self) -> f32 {
        self.allowed.map_or(1.0, |allowed| allowed.len() as f32 / self.n_docs.max(1) as f32)
    }
}

impl VectorFiles {
    /// The `k` rows with the greatest dot product with `query` whose document is allowed and that are not dead: passage
    /// number and product, best first. By lists some of them may be missed, one in a hundred or so.
    pub(crate) fn search(
        &self,
        query: &[f32],
        among: Among<'_>,
        k: usize,
        n_threads: usize,
    ) -> Vec<(u64, f32)> {
        let n_candidates = k + SPARE;
        let coded = codes::row(query);
        let (code, scale) = codes::parts(&coded);
        let query_codes = Query { dense: Dense::default(), code, scale };
        let by_lists = self.lists.as_ref().and_then(|lists| {
            let effort = lists.effort(n_candidates, among.share())?;
            let doc_of = |row: u32| Some(self.id(u64::from(row))?.1);
            Some((lists.search(&query_codes, among, doc_of, n_candidates, effort), lists.n_rows()))
        });
        let (mut candidates, n_covered) = by_lists.unwrap_or_default();
        candidates.extend(self.scan(n_covered, query, &query_codes, among, n_candidates, n_threads));
        self.rescore(query, candidates, k)
    }

    /// The best of the rows from `first` on: row number and product, by the codes if the files have them.
    fn scan(
        &self,
        first: usize,
        query: &[f32],
        query_codes: &Query<'_>,
        among: Among<'_>,
        k: usize,
        n_threads: usize,
    ) -> Vec<(u64, f32)> {
        let n_rows = self.n_rows.saturating_sub(first);
        let n_parts = n_threads.min(n_rows / ROWS_PER_THREAD).max(1);
        let part = n_rows.div_ceil(n_parts).max(1);
        let scan = |part_idx: usize| {
            let start = first + part_idx * part;
            let mut top = Top::new(k);
            for row in start..(start + part).min(self.n_rows) {
                let doc = self.ids()[2 * row + 1];
                if among.dead.contains(row as u64) || !among.allowed.is_none_or(|set| set.contains(doc)) {
                    continue;
                }
                let score = match self.code_row(row) {
                    Some(code) => query_codes.score(code),
                    None => query_codes.dense.dot(&self.rows()[row * self.dim..][..self.dim], query),
                };
                top.push(row as u64, score);
            }
            top.into_sorted()
        };
        let found: Vec<Vec<(u64, f32)>> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..n_parts).map(|i| scope.spawn(move || scan(i))).collect();
            let mut found = vec![scan(0)];
            // A scan has nothing that panics; if one did, its part would be searched here.
            let joined =
                others.into_iter().enumerate().map(|(i, other)| other.join().unwrap_or_else(|_| scan(i + 1)));
            found.extend(joined);
            found
        });
        let mut top = Top::new(k);
        found.into_iter().flatten().for_each(|(row, score)| top.push(row, score));
        top.into_sorted()
    }

    /// Passages and exact products of the best `k` of the candidate rows.
    fn rescore(&self, query: &[f32], candidates: Vec<(u64, f32)>, k: usize) -> Vec<(u64, f32)> {
        let dense = Dense::default();
        let mut top = Top::new(k);
        for (row, _) in candidates {
            if let (Some(vector), Some((chunk, _))) = (self.row(row), self.id(row)) {
                top.push(chunk, dense.dot(vector, query));
            }
        }
        top.into_sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Faults;
    use crate::types::EmbeddingSpec;
    use crate::vectors::VectorWriter;
    use std::path::Path;

    const DIM: usize = 32;

    fn unit(seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut vector: Vec<f32> = (0..DIM)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }

    fn spec() -> EmbeddingSpec {
        EmbeddingSpec { fingerprint: "test".into(), dim: DIM }
    }

    fn written(dir: &Path, n: u64) -> VectorFiles {
        let mut writer = VectorWriter::open(dir, &spec(), 1, 0, &Faults::default()).unwrap();
        for i in 0..n {
            writer.push(&unit(i), i + 1, i / 10).unwrap();
        }
        writer.sync().unwrap();
        VectorFiles::open(dir, &spec(), 1, n).unwrap()
    }

    fn exact(n: u64, query: &[f32], k: usize, passes: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut top = Top::new(k);
        for i in (0..n).filter(|i| passes(*i)) {
            top.push(i + 1, unit(i).iter().zip(query).map(|(x, y)| x * y).sum());
        }
        top.into_sorted().into_iter().map(|(chunk, _)| chunk).collect()
    }

    fn chunks(found: &[(u64, f32)]) -> Vec<u64> {
        found.iter().map(|(chunk, _)| *chunk).collect()
    }

    #[test]
    fn many_threads_find_what_one_finds_and_codes_what_the_numbers_find() {
        let dir = tempfile::tempdir().unwrap();
        let n = 20_000;
        let files = written(dir.path(), n);
        let dead: DocSet = (0..n).step_by(7).collect();
        let allowed: Arc<DocSet> = Arc::new((0..n / 10).filter(|doc| doc % 3 == 0).collect());
        let among = Among { dead: &dead, allowed: Some(&allowed), n_docs: 2_000 };
        let query = unit(1 << 40);
        let one = files.search(&query, among, 20, 1);
        assert_eq!(chunks(&one), exact(n, &query, 20, |i| i % 7 != 0 && i / 10 % 3 == 0));
        for n_threads in [2, 3, 16] {
            assert_eq!(files.search(&query, among, 20, n_threads), one);
        }
        std::fs::remove_file(dir.path().join("1.i8")).unwrap();
        let without = VectorFiles::open(dir.path(), &spec(), 1, n).unwrap();
        assert_eq!(without.search(&query, among, 20, 2), one, "files of an earlier version");
    }

    #[test]
    fn codes_that_are_missing_are_made_anew_by_the_next_writer() {
        let dir = tempfile::tempdir().unwrap();
        drop(written(dir.path(), 300));
        let path = dir.path().join("1.i8");
        let whole = std::fs::read(&path).unwrap();
        for damage in [None, Some(&whole[..1000])] {
            match damage {
                None => std::fs::remove_file(&path).unwrap(),
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            }
            let mut writer = VectorWriter::open(dir.path(), &spec(), 1, 300, &Faults::default()).unwrap();
            writer.sync().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }
}

//! Exact search: the dot product of the query with every row that may answer.

use std::sync::Arc;

use super::file::VectorFiles;
use crate::docset::DocSet;
use crate::top::Top;

/// Rows from which a second thread pays for its start (about 20 us against 40 ns a row).
const ROWS_PER_THREAD: usize = 8192;
/// Independent sums in a dot product: two vector registers of any width up to 256 bits.
const LANES: usize = 16;

impl VectorFiles {
    /// The `k` rows with the greatest dot product with `query` whose document is allowed and that are not in `dead`
    /// (a bitmap over rows): passage number and product, best first.
    pub(crate) fn search(
        &self,
        query: &[f32],
        dead: &DocSet,
        allowed: Option<&Arc<DocSet>>,
        k: usize,
        n_threads: usize,
    ) -> Vec<(u64, f32)> {
        let n_parts = n_threads.min(self.n_rows / ROWS_PER_THREAD).max(1);
        let part = self.n_rows.div_ceil(n_parts).max(1);
        let scan = |first: usize| {
            let mut top = Top::new(k);
            let rows = &self.rows()[first * self.dim..(first + part).min(self.n_rows) * self.dim];
            for (i, row) in rows.chunks_exact(self.dim).enumerate() {
                let row_idx = first + i;
                let (chunk, doc) = (self.ids()[2 * row_idx], self.ids()[2 * row_idx + 1]);
                let is_candidate =
                    !dead.contains(row_idx as u64) && allowed.is_none_or(|set| set.contains(doc));
                if is_candidate {
                    top.push(chunk, dot(row, query));
                }
            }
            top.into_sorted()
        };
        let mut top = Top::new(k);
        let found: Vec<Vec<(u64, f32)>> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..n_parts).map(|i| scope.spawn(move || scan(i * part))).collect();
            let mut found = vec![scan(0)];
            // A scan has nothing that panics; if one did, its part would be searched here.
            found.extend(
                others
                    .into_iter()
                    .enumerate()
                    .map(|(i, other)| other.join().unwrap_or_else(|_| scan((i + 1) * part))),
            );
            found
        });
        for (chunk, score) in found.into_iter().flatten() {
            top.push(chunk, score);
        }
        top.into_sorted()
    }
}

/// Dot product of two vectors of the same length, in a fixed order of summation.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Faults;
    use crate::types::EmbeddingSpec;
    use crate::vectors::VectorWriter;

    #[test]
    fn a_dot_product_counts_every_number() {
        for n in [0, 1, 15, 16, 17, 384] {
            let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let b: Vec<f32> = (0..n).map(|i| (i % 3) as f32).collect();
            let expected: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(x * y)).sum();
            assert!((f64::from(dot(&a, &b)) - expected).abs() <= expected * 1e-6, "{n}");
        }
    }

    #[test]
    fn many_threads_find_what_one_finds() {
        let dir = tempfile::tempdir().unwrap();
        let spec = EmbeddingSpec { fingerprint: "test".into(), dim: 4 };
        let mut writer = VectorWriter::open(dir.path(), &spec, 1, 0, &Faults::default()).unwrap();
        let n = 40_000u64;
        for i in 0..n {
            let x = (i.wrapping_mul(2_654_435_761) % 1000) as f32 / 1000.0;
            writer.push(&[x, 1.0 - x, x * x, 0.5], i + 1, i / 10).unwrap();
        }
        writer.sync().unwrap();
        let files = VectorFiles::open(dir.path(), &spec, 1, n).unwrap();
        let dead: DocSet = (0..n).step_by(7).collect();
        let allowed: Arc<DocSet> = Arc::new((0..n / 10).filter(|doc| doc % 3 == 0).collect());
        let query = [0.3, 0.1, 0.9, 0.2];
        let one = files.search(&query, &dead, Some(&allowed), 50, 1);
        assert_eq!(one.len(), 50);
        assert!(one.iter().all(|(chunk, _)| (chunk - 1) % 7 != 0 && (chunk - 1) / 10 % 3 == 0));
        for n_threads in [2, 3, 16] {
            assert_eq!(files.search(&query, &dead, Some(&allowed), 50, n_threads), one);
        }
    }
}

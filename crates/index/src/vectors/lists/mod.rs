//! Lists of rows that lie near each other: a search looks at the lists nearest to the question instead of at every row.
//!
//! An inverted file (Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search", section IV) over the codes
//! of one byte a number. Rows are clustered; each cluster is a list; a list's codes lie one behind the other, so that looking at one reads
//! memory in order.
//!
//! ```text
//! question ─▶ products with the centres ─▶ the nearest lists ─▶ products with their codes ─▶ candidates
//! ```
//!
//! How many lists are looked at is measured when they are made (`build.rs`) and stands in the file. A filter, or rows that are dead,
//! make it more: it goes on until as many rows were scored as would have been without. Where that would be a good part of all,
//! the caller looks at every row instead ([`Lists::effort`] says so).
//!
//! The file is made of rows that count, and those never change where they lie: so it is right or not there, whatever process is
//! killed when. It covers the rows there were; later ones are looked at one by one until there are so many that it is made anew.
//!
//! Not a graph of neighbours (HNSW): filters and dead rows do not hurt what lists find, there is nothing to keep connected, and a file is
//! made in one go from rows that lie on the disk anyway. `benches/vectors.py` puts graphs beside it.

mod build;
mod cluster;
mod file;
mod products;
#[cfg(test)]
mod tests;

use std::collections::BinaryHeap;
use std::ops::Range;

use docent_mapped::MappedFile;

use super::codes;
use super::scan::{Among, Query};
use crate::top::Top;

pub(super) use build::build;
pub(super) use file::open;

/// Rows scored for a candidate that is asked for, at least: what was measured is right for ten hits, and a hundred are spread further.
const ROWS_PER_CANDIDATE: usize = 32;
/// Going through lists pays while it scores less than one row in so many: beyond, their order in memory and the filter's look-ups
/// cost what is saved. Of a million rows without a filter, three in ten took a third of what all of them took.
const WORTHWHILE: usize = 2;

/// The lists of one serial, mapped.
#[derive(Debug)]
pub(crate) struct Lists {
    map: MappedFile,
    dim: usize,
    /// The first so many rows are in lists.
    n_rows: usize,
    n_lists: usize,
    n_probes: usize,
    starts: Range<usize>,
    rows: Range<usize>,
    centres: Range<usize>,
    codes: Range<usize>,
}

/// How much of the lists a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effort {
    n_lists: usize,
    n_rows: usize,
}

impl Lists {
    /// Rows in lists: the first so many.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of lists, and how many of them a search looks at.
    pub(super) fn n_lists(&self) -> (usize, usize) {
        (self.n_lists, self.n_probes)
    }

    /// What finding `n_candidates` takes when the rows that may answer are `share` of all; none if looking at every row is
    /// quicker.
    pub(super) fn effort(&self, n_candidates: usize, share: f32) -> Option<Effort> {
        let usual = self.n_probes * self.n_rows / self.n_lists.max(1);
        let n_rows = usual.max(n_candidates.saturating_mul(ROWS_PER_CANDIDATE));
        let passed = n_rows as f32 / share.max(f32::MIN_POSITIVE);
        let pays = passed * WORTHWHILE as f32 <= self.n_rows as f32;
        pays.then_some(Effort { n_lists: self.n_probes, n_rows })
    }

    /// The best `n_candidates` of the rows in the nearest lists: row and product by the codes. `doc_of` gives a row's document.
    pub(super) fn search(
        &self,
        query: &Query<'_>,
        among: Among<'_>,
        doc_of: impl Fn(u32) -> Option<u64>,
        n_candidates: usize,
        effort: Effort,
    ) -> Vec<(u64, f32)> {
        let mut top = Top::new(n_candidates);
        let (mut n_looked_at, mut n_scored) = (0, 0);
        let mut nearest = self.by_nearness(query);
        while let Some(Near { list, .. }) = nearest.pop() {
            if n_looked_at >= effort.n_lists && n_scored >= effort.n_rows {
                break;
            }
            n_looked_at += 1;
            let (rows, codes) = self.list(list);
            for (row, code) in rows.iter().zip(codes.chunks_exact(codes::row_bytes(self.dim))) {
                let passes = !among.dead.contains(u64::from(*row))
                    && among.allowed.is_none_or(|set| doc_of(*row).is_some_and(|doc| set.contains(doc)));
                if passes {
                    n_scored += 1;
                    top.push(u64::from(*row), query.score(code));
                }
            }
        }
        top.into_sorted()
    }

    /// The lists, the nearest on top.
    fn by_nearness(&self, query: &Query<'_>) -> BinaryHeap<Near> {
        let centres = self.map.get(self.centres.clone()).unwrap_or_default();
        let score = |(list, centre): (usize, &[u8])| Near { product: query.score(centre), list };
        centres.chunks_exact(codes::row_bytes(self.dim)).enumerate().map(score).collect()
    }

    /// Rows of a list, and their codes.
    fn list(&self, list: usize) -> (&[u32], &[u8]) {
        let found = (|| {
            let starts = self.numbers(&self.starts);
            let (start, end) = (*starts.get(list)? as usize, *starts.get(list + 1)? as usize);
            let codes = self.map.get(self.codes.clone())?;
            let row_bytes = codes::row_bytes(self.dim);
            Some((
                self.numbers(&self.rows).get(start..end)?,
                codes.get(start.checked_mul(row_bytes)?..end.checked_mul(row_bytes)?)?,
            ))
        })();
        found.unwrap_or_default()
    }

    fn numbers(&self, part: &Range<usize>) -> &[u32] {
        // Parts of numbers begin at multiples of 4, and the map on a page.
        self.map.get(part.clone()).and_then(|bytes| bytemuck::try_cast_slice(bytes).ok()).unwrap_or_default()
    }

    /// Rows that are not in just one list, or whose code there is not the one of `code_of`.
    pub(super) fn n_wrong(&self, code_of: impl Fn(u32) -> Vec<u8>) -> usize {
        let mut times = vec![0u32; self.n_rows];
        let mut n_wrong = 0;
        for list in 0..self.n_lists {
            let (rows, codes) = self.list(list);
            for (row, code) in rows.iter().zip(codes.chunks_exact(codes::row_bytes(self.dim))) {
                if let Some(times) = times.get_mut(*row as usize) {
                    *times += 1;
                }
                n_wrong += usize::from(code != code_of(*row));
            }
        }
        n_wrong + times.iter().filter(|times| **times != 1).count()
    }
}

/// A list by its centre's product with the question; of equals the first is the nearer one.
#[derive(Debug, Clone, Copy)]
struct Near {
    product: f32,
    list: usize,
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.product.total_cmp(&other.product).then(other.list.cmp(&self.list))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Near {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Near {}

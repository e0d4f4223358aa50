//! Clusters of directions: spherical k-means (Dhillon and Modha 2001).
//!
//! ```text
//! centres = k vectors of the sample
//! repeat:  each vector goes to the centre with the greatest product
//!          each centre becomes the direction of its vectors' sum
//!          a centre without vectors becomes the vector that fits worst into one of the largest clusters
//! ```
//!
//! The same centres for the same sample, whatever the number of threads: sums are made in the sample's order by one thread.

use super::products::{GoOn, Rows, for_each_row, greatest, normalise, pack};

/// Passes over the sample. Not tuned: how many lists a search needs is measured afterwards, however good the clusters are.
pub(super) const N_PASSES: usize = 8;

/// Up to `k` unit vectors (k, dim); some may be of no use to any vector. None if the caller gave up.
pub(super) fn centres(
    rows: Rows<'_>,
    sample: &[u32],
    k: usize,
    n_threads: usize,
    go_on: &mut GoOn<'_>,
) -> Option<Vec<f32>> {
    let k = k.min(sample.len());
    let first = (0..k).map(|i| sample[i * sample.len() / k]);
    let mut centres: Vec<f32> = first.flat_map(|row| rows.get(row).iter().copied()).collect();
    let mut threads = vec![(); n_threads.max(1)];
    for _ in 0..N_PASSES {
        let packed = pack(&centres, rows.dim);
        let nearest =
            for_each_row(rows, sample, &packed, &mut threads, &|(), _, products| greatest(products), go_on)?;
        let mut sums = vec![0.0; centres.len()];
        let mut counts = vec![0usize; k];
        for (row, (centre, _)) in sample.iter().zip(&nearest) {
            counts[*centre as usize] += 1;
            let sum = &mut sums[*centre as usize * rows.dim..][..rows.dim];
            sum.iter_mut().zip(rows.get(*row)).for_each(|(sum, x)| *sum += x);
        }
        for ((centre, sum), count) in
            centres.chunks_exact_mut(rows.dim).zip(sums.chunks_exact_mut(rows.dim)).zip(&counts)
        {
            if *count > 0 && normalise(sum) {
                centre.copy_from_slice(sum);
            }
        }
        for (empty, row) in replacements(sample, &nearest, &counts) {
            centres[empty * rows.dim..][..rows.dim].copy_from_slice(rows.get(row));
        }
    }
    Some(centres)
}

/// For each centre without vectors a row to put there.
fn replacements(sample: &[u32], nearest: &[(u32, f32)], counts: &[usize]) -> Vec<(usize, u32)> {
    let empty: Vec<usize> = (0..counts.len()).filter(|centre| counts[*centre] == 0).collect();
    if empty.is_empty() {
        return Vec::new();
    }
    let mut worst: Vec<Option<(f32, u32)>> = vec![None; counts.len()];
    for (row, (centre, product)) in sample.iter().zip(nearest) {
        let worst = &mut worst[*centre as usize];
        if worst.is_none_or(|(least, _)| *product < least) {
            *worst = Some((*product, *row));
        }
    }
    let mut largest: Vec<usize> = (0..counts.len()).collect();
    largest.sort_by_key(|centre| std::cmp::Reverse(counts[*centre]));
    empty.into_iter().zip(largest).filter_map(|(empty, from)| Some((empty, worst[from]?.1))).collect()
}

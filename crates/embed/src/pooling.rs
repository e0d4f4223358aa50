//! From the hidden states of a text's tokens to its vector.

use std::ops::Range;

/// For each span of the rows `x` (n, hidden) its first row, divided by its Euclidean length.
pub(crate) fn first(x: &[f32], spans: &[Range<usize>], hidden: usize) -> Vec<Vec<f32>> {
    spans.iter().map(|span| unit_mean(&x[span.start * hidden..][..hidden], hidden)).collect()
}

/// For each span of the rows `x` (n, hidden) their mean, divided by its Euclidean length.
pub(crate) fn mean(x: &[f32], spans: &[Range<usize>], hidden: usize) -> Vec<Vec<f32>> {
    let rows = |span: &Range<usize>| &x[span.start * hidden..span.end * hidden];
    spans.iter().map(|span| unit_mean(rows(span), hidden)).collect()
}

fn unit_mean(rows: &[f32], hidden: usize) -> Vec<f32> {
    let mut mean = vec![0f32; hidden];
    for row in rows.chunks_exact(hidden) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    // Dividing by the number of rows would be undone by the next line.
    let length = mean.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt().max(1e-12);
    mean.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    mean
}

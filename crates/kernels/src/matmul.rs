//! Products of whole matrices, shared out over the pool.

use std::sync::{Mutex, PoisonError};

use crate::activation::Activations;
use crate::format::{BlockFormat, Matrix};
use crate::kernels::Kernels;
use crate::profile::{Operation, Work};
use crate::shared_out::SharedOut;
use crate::strip::{Input, STRIP_ROWS, StripScratch};
use crate::tile::TILE_ROWS;

/// Input rows multiplied with one unpacking of a strip: all their chunks (426 KiB where there are 2048 columns) stay in the
/// second-level cache from strip to strip; unpacking is 3 % of the multiplication by then. (512 rows are a tenth slower.)
pub(crate) const INPUTS_AT_ONCE: usize = 128;

/// Rows shorter than this in all are quantised by the caller alone.
const QUANTISE_ALONE: usize = 16 << 10;

/// One matrix of a product.
struct Part<'a> {
    matrix: Matrix<'a>,
    out: SharedOut<'a, f32>,
    /// Rows of a strip: 32, or 16 where there would be fewer strips than threads.
    strip_rows: usize,
    n_strips: usize,
}

/// The part that has strip `strip` of all, and which of its own strips that is.
fn part_of<'p, 'a>(parts: &'p [Part<'a>], strip: usize) -> Option<(&'p Part<'a>, usize)> {
    let mut strip = strip;
    for part in parts {
        if strip < part.n_strips {
            return Some((part, strip));
        }
        strip -= part.n_strips;
    }
    None
}

impl Kernels {
    /// out = x Wᵀ: `x` is (n, n_cols), `out` (n, n_rows).
    ///
    /// With quantised weights each row of `x` is rounded to int8 in blocks of 32 columns; the dot products of blocks are
    /// exact, their f32 sum runs over the blocks in order. For Q8_0 what the rounding left over is multiplied too, chunk of
    /// 256 columns by chunk, so that some 15 bits of `x` count. Float weights are multiplied as f32, 32 columns at a time.
    /// A NaN or infinity in a row of `x` makes that row of `out` NaN.
    ///
    /// # Panics
    /// When the lengths of `x` and `out` do not belong to the same n.
    pub fn matmul(&self, matrix: Matrix<'_>, x: &[f32], out: &mut [f32]) {
        self.matmul_many(&[matrix], x, &mut [out]);
    }

    /// Several products of the same `x` (n, n_cols), which is quantised once: `outs[i]` is (n, rows of `matrices[i]`).
    ///
    /// # Panics
    /// When the matrices differ in `n_cols`, or lengths do not belong to the same n.
    pub fn matmul_many(&self, matrices: &[Matrix<'_>], x: &[f32], outs: &mut [&mut [f32]]) {
        assert_eq!(matrices.len(), outs.len(), "matrices and outputs");
        let Some(first) = matrices.first() else { return };
        let n_cols = first.n_cols();
        if n_cols == 0 {
            outs.iter_mut().for_each(|out| out.fill(0.0));
            return;
        }
        let n = x.len() / n_cols;
        assert_eq!(x.len(), n * n_cols, "input of a product with {n_cols} columns");
        for (matrix, out) in matrices.iter().zip(&*outs) {
            assert_eq!(matrix.n_cols(), n_cols, "columns of matrices multiplied together");
            assert_eq!(out.len(), n * matrix.n_rows(), "output of a product of {n} rows");
        }
        let mut activations = self.activations.lock().unwrap_or_else(PoisonError::into_inner);
        self.quantise_for(matrices.iter().map(|matrix| matrix.format()), x, n_cols, &mut activations);
        let _timed = self.profiler.time(Operation::Product(first.format()), || {
            let of = |matrix: &Matrix<'_>| Work {
                bytes: matrix.bytes().len() as f64,
                operations: 2.0 * (n * n_cols * matrix.n_rows()) as f64,
            };
            matrices.iter().map(of).fold(Work::default(), Work::and)
        });
        let parts: Vec<Part<'_>> = matrices
            .iter()
            .zip(outs)
            .map(|(&matrix, out)| {
                let few = matrix.n_rows() < STRIP_ROWS * self.pool.n_threads();
                let strip_rows = if few { TILE_ROWS } else { STRIP_ROWS };
                let n_strips = matrix.n_rows().div_ceil(strip_rows);
                Part { matrix, out: SharedOut::new(out), strip_rows, n_strips }
            })
            .collect();
        let input_of = |matrix: &Matrix<'_>| match matrix.format().code_kind() {
            Some(_) => Input::Quantised(&activations),
            None => Input::Floats(x),
        };
        for start in (0..n).step_by(INPUTS_AT_ONCE) {
            let inputs = start..n.min(start + INPUTS_AT_ONCE);
            self.pool.run(parts.iter().map(|part| part.n_strips).sum(), &|worker, items| {
                let mut scratch = self.scratch(worker);
                while let Some((part, strip)) = items.take(worker).and_then(|item| part_of(&parts, item)) {
                    let (matrix, first_row) = (&part.matrix, strip * part.strip_rows);
                    let rows = first_row..matrix.n_rows().min(first_row + part.strip_rows);
                    let input = input_of(matrix);
                    let sums =
                        scratch.strip.multiply(&self.dispatch, matrix, rows.clone(), input, inputs.clone());
                    for (row, sums) in inputs.clone().zip(sums) {
                        // SAFETY: these columns of the output belong to this strip, which one worker took.
                        let out = unsafe { part.out.part(row * matrix.n_rows() + rows.start, rows.len()) };
                        out.copy_from_slice(&sums.rows()[..rows.len()]);
                    }
                }
            });
        }
    }

    /// Quantises rows of `n_cols` floats as far as matrices of `formats` need it.
    pub(crate) fn quantise_for(
        &self,
        formats: impl Iterator<Item = BlockFormat> + Clone,
        x: &[f32],
        n_cols: usize,
        out: &mut Activations,
    ) {
        if !formats.clone().any(|format| format.code_kind().is_some()) {
            return;
        }
        let with_rests = formats.clone().any(BlockFormat::multiplies_rests);
        let _timed = self.profiler.time(Operation::Quantise, Work::default);
        let n = x.len() / n_cols;
        out.reshape(n, n_cols, with_rests);
        let writer = out.writer(with_rests);
        let rows_per_item =
            if x.len() <= QUANTISE_ALONE { n.max(1) } else { (QUANTISE_ALONE / n_cols).max(1) };
        self.pool.run(n.div_ceil(rows_per_item), &|worker, items| {
            while let Some(item) = items.take(worker) {
                let first = item * rows_per_item;
                let rows = &x[first * n_cols..n_cols * n.min(first + rows_per_item)];
                // SAFETY: the table proves its target features; the rows of an item are written by the one worker
                // that took it, into an `Activations` we hold mutably.
                unsafe { (self.dispatch.quantise_rows)(rows, first, &writer) };
            }
        });
    }
}

/// A worker's own memory.
pub(crate) struct WorkerScratch {
    pub(crate) strip: StripScratch,
    /// For the second of two products made together.
    pub(crate) second_strip: StripScratch,
    pub(crate) attention: crate::attention::AttentionScratch,
}

impl WorkerScratch {
    pub(crate) fn for_threads(n_threads: usize) -> Vec<Mutex<WorkerScratch>> {
        let new = || WorkerScratch {
            strip: StripScratch::new(),
            second_strip: StripScratch::new(),
            attention: Default::default(),
        };
        (0..n_threads).map(|_| Mutex::new(new())).collect()
    }
}

//! Products of whole matrices and of grouped experts, shared out over the pool.

use std::sync::{Mutex, PoisonError};

use crate::activation::Activations;
use crate::format::{BlockFormat, ExpertMatrix, Matrix};
use crate::kernels::Kernels;
use crate::profile::{Operation, Work};
use crate::shared_out::SharedOut;
use crate::strip::{Input, STRIP_ROWS, StripScratch};

/// Input rows multiplied with one unpacking of a strip: their chunk, 128 KiB, and their sums, 64 KiB, stay in the
/// second-level cache; unpacking is a few percent of the multiplication by then.
const INPUTS_AT_ONCE: usize = 512;

/// Rows shorter than this in all are quantised by the caller alone.
const QUANTISE_ALONE: usize = 16 << 10;

/// One matrix of a product.
struct Part<'a> {
    matrix: Matrix<'a>,
    out: SharedOut<'a, f32>,
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
            .map(|(&matrix, out)| Part {
                matrix,
                out: SharedOut::new(out),
                n_strips: matrix.n_rows().div_ceil(STRIP_ROWS),
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
                    let (matrix, first_row) = (&part.matrix, strip * STRIP_ROWS);
                    let input = input_of(matrix);
                    let sums =
                        scratch.strip.multiply(&self.dispatch, matrix, first_row, input, inputs.clone());
                    let width = STRIP_ROWS.min(matrix.n_rows() - first_row);
                    for (row, sums) in inputs.clone().zip(sums) {
                        // SAFETY: these columns of the output belong to this strip, which one worker took.
                        let out = unsafe { part.out.part(row * matrix.n_rows() + first_row, width) };
                        out.copy_from_slice(&sums.rows()[..width]);
                    }
                }
            });
        }
    }

    /// Quantises rows of `n_cols` floats as far as matrices of `formats` need it.
    fn quantise_for(
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

    /// The feed-forward of a mixture of experts:
    /// `out[t] = Σ_slot weights[t][slot] * down_e (silu(gate_e x[t]) * up_e x[t])`, e = `chosen[t][slot]`, slots in order.
    ///
    /// `x` and `out` are (n, d), `chosen` and `weights` (n, n_used), `gate` and `up` (n_experts, d_hidden, d),
    /// `down` (n_experts, d, d_hidden). Rows are grouped by expert, so that each expert's weights are unpacked once.
    ///
    /// # Panics
    /// When shapes do not belong together or an expert in `chosen` does not exist.
    #[allow(clippy::too_many_arguments)] // the formula has that many letters
    pub fn expert_ffn(
        &self,
        gate: ExpertMatrix<'_>,
        up: ExpertMatrix<'_>,
        down: ExpertMatrix<'_>,
        x: &[f32],
        chosen: &[u32],
        weights: &[f32],
        out: &mut [f32],
    ) {
        let (d, d_hidden) = (gate.n_cols(), gate.n_rows());
        let n = x.len() / d.max(1);
        assert!(up.n_cols() == d && up.n_rows() == d_hidden, "gate and up of different shape");
        assert!(down.n_cols() == d_hidden && down.n_rows() == d, "down does not turn gate around");
        assert!(
            gate.n_experts() == up.n_experts() && up.n_experts() == down.n_experts(),
            "numbers of experts"
        );
        assert!(
            x.len() == n * d && out.len() == n * d && chosen.len() == weights.len(),
            "rows of an expert layer"
        );
        if n == 0 {
            return;
        }
        let n_used = chosen.len() / n;
        assert_eq!(chosen.len(), n * n_used, "chosen experts of {n} rows");
        let timed = self.profiler.time(Operation::ExpertRows, Work::default);
        let groups = Groups::new(chosen, gate.n_experts());
        let n_slots = chosen.len();

        let mut buffers = self.expert_buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers = &mut *buffers;
        // Rows in group order: position p of the grouped buffers is (token, slot) number `groups.order[p]`.
        buffers.grouped.resize(n_slots * d, 0.0);
        for (row, &slot) in buffers.grouped.chunks_exact_mut(d).zip(&groups.order) {
            row.copy_from_slice(&x[slot / n_used * d..][..d]);
        }
        buffers.hidden.resize(n_slots * d_hidden, 0.0);
        buffers.up.resize(n_slots * d_hidden, 0.0);
        drop(timed);
        self.grouped(&groups, &[gate, up], &buffers.grouped, &mut [&mut buffers.hidden, &mut buffers.up]);
        self.swiglu(&mut buffers.hidden, &buffers.up);
        self.grouped(&groups, &[down], &buffers.hidden, &mut [&mut buffers.grouped]);

        let _timed = self.profiler.time(Operation::ExpertRows, Work::default);
        let mut place = vec![0; n_slots];
        for (position, &slot) in groups.order.iter().enumerate() {
            place[slot] = position;
        }
        let (out, products) = (SharedOut::new(out), &buffers.grouped);
        self.by_rows(n, n_used * d, &|first, n_rows| {
            for token in first..first + n_rows {
                // SAFETY: a token's row is written by the one worker that took its item.
                let out = unsafe { out.part(token * d, d) };
                out.fill(0.0);
                for slot in token * n_used..(token + 1) * n_used {
                    for (out, value) in out.iter_mut().zip(&products[place[slot] * d..][..d]) {
                        *out += value * weights[slot];
                    }
                }
            }
        });
    }

    /// Products of each group's rows of `x` with its expert's matrices.
    fn grouped(&self, groups: &Groups, matrices: &[ExpertMatrix<'_>], x: &[f32], outs: &mut [&mut Vec<f32>]) {
        let Some(first) = matrices.first() else { return };
        let mut activations = self.activations.lock().unwrap_or_else(PoisonError::into_inner);
        let formats = matrices.iter().map(|matrix| matrix.format());
        self.quantise_for(formats, x, first.n_cols(), &mut activations);
        let _timed = self.profiler.time(Operation::ExpertProduct(first.format()), || {
            let of = |matrix: &ExpertMatrix<'_>| {
                let one = matrix.expert(0);
                let operations = 2.0 * x.len() as f64 * one.n_rows() as f64;
                Work { bytes: (groups.groups.len() * one.bytes().len()) as f64, operations }
            };
            matrices.iter().map(of).fold(Work::default(), Work::and)
        });
        let outs: Vec<SharedOut<'_, f32>> = outs.iter_mut().map(|out| SharedOut::new(out)).collect();
        let n_strips = first.n_rows().div_ceil(STRIP_ROWS);
        let per_group = n_strips * matrices.len();
        self.pool.run(groups.groups.len() * per_group, &|worker, items| {
            let mut scratch = self.scratch(worker);
            while let Some(item) = items.take(worker) {
                let group = &groups.groups[item / per_group];
                let (which, strip) = (item % per_group / n_strips, item % n_strips);
                let matrix = matrices[which].expert(group.expert);
                let first_row = strip * STRIP_ROWS;
                let input = match matrix.format().code_kind() {
                    Some(_) => Input::Quantised(&activations),
                    None => Input::Floats(x),
                };
                let width = STRIP_ROWS.min(matrix.n_rows() - first_row);
                for start in group.rows.clone().step_by(INPUTS_AT_ONCE) {
                    let inputs = start..group.rows.end.min(start + INPUTS_AT_ONCE);
                    let sums =
                        scratch.strip.multiply(&self.dispatch, &matrix, first_row, input, inputs.clone());
                    for (row, sums) in inputs.zip(sums) {
                        // SAFETY: these columns of these rows belong to this item, which one worker took.
                        let out = unsafe { outs[which].part(row * matrix.n_rows() + first_row, width) };
                        out.copy_from_slice(&sums.rows()[..width]);
                    }
                }
            }
        });
    }
}

/// Room between the two halves of an expert layer.
#[derive(Default)]
pub(crate) struct ExpertBuffers {
    grouped: Vec<f32>,
    hidden: Vec<f32>,
    up: Vec<f32>,
}

/// (token, slot) numbers sorted by expert.
struct Groups {
    order: Vec<usize>,
    groups: Vec<Group>,
}

/// The rows, in group order, that one expert works on.
struct Group {
    expert: usize,
    rows: std::ops::Range<usize>,
}

impl Groups {
    /// Largest groups first, so that the last items are short ones.
    fn new(chosen: &[u32], n_experts: usize) -> Groups {
        let mut of_expert: Vec<Vec<usize>> = vec![Vec::new(); n_experts];
        for (slot, &expert) in chosen.iter().enumerate() {
            let expert = expert as usize;
            assert!(expert < n_experts, "expert {expert} of {n_experts}");
            of_expert[expert].push(slot);
        }
        let mut experts: Vec<usize> =
            (0..n_experts).filter(|&expert| !of_expert[expert].is_empty()).collect();
        experts.sort_by_key(|&expert| std::cmp::Reverse(of_expert[expert].len()));
        let mut order = Vec::with_capacity(chosen.len());
        let mut groups = Vec::with_capacity(experts.len());
        for expert in experts {
            let start = order.len();
            order.extend_from_slice(&of_expert[expert]);
            groups.push(Group { expert, rows: start..order.len() });
        }
        Groups { order, groups }
    }
}

/// A worker's own memory.
pub(crate) struct WorkerScratch {
    pub(crate) strip: StripScratch,
    pub(crate) attention: crate::attention::AttentionScratch,
}

impl WorkerScratch {
    pub(crate) fn for_threads(n_threads: usize) -> Vec<Mutex<WorkerScratch>> {
        let new = || WorkerScratch { strip: StripScratch::new(), attention: Default::default() };
        (0..n_threads).map(|_| Mutex::new(new())).collect()
    }
}

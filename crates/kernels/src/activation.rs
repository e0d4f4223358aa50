//! Input rows as the integer kernels read them: int8 in blocks of 32 columns, each with an f32 scale.
//!
//! All integer formats use the same blocks of 32, the K formats too: one quantisation serves q, k and v of whatever
//! mix of formats, and its error is smaller than that of one scale for 256 columns (ggml's Q8_K).
//!
//! Rows are stored chunk by chunk (256 columns), all rows of a chunk together, so that a tile of weights walks
//! straight through them:
//!
//! ```text
//! q      [chunk][row][256]     int8, the last chunk is as wide as the row needs
//! scale  [chunk][row][8]       f32
//! total  [chunk][row][8]       f32: scale * sum of the block's q
//! sums   [chunk][row][16]      i32: sums of q over 16 columns
//! ```
//!
//! A block with a NaN or an infinity gets the scale NaN, so that every product of the row says so. A block whose
//! largest value is below 1e-30 is taken as zeros.

use crate::math::ROUND_MAGIC;
use crate::tile::{BLOCK, CHUNK_BLOCKS, CHUNK_COLS};

/// Below this, 127 / maximum overflows; no real activation is near.
const SMALLEST_MAXIMUM: f32 = 1e-30;

/// Quantised input rows, or room for them.
#[derive(Default)]
pub(crate) struct Activations {
    pub(crate) n_rows: usize,
    pub(crate) n_blocks: usize,
    pub(crate) q: Vec<i8>,
    pub(crate) scale: Vec<f32>,
    pub(crate) total: Vec<f32>,
    pub(crate) sums: Vec<i32>,
}

/// One block of one row, quantised.
#[derive(Clone, Copy)]
pub(crate) struct QuantisedBlock {
    pub(crate) q: [i8; BLOCK],
    pub(crate) scale: f32,
    pub(crate) total: f32,
    pub(crate) sums: [i32; 2],
}

/// The rows of one chunk of 256 columns (fewer at the end of the row): what a tile is multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct ActivationChunk<'a> {
    pub(crate) n_rows: usize,
    pub(crate) n_blocks: usize,
    /// (n_rows, n_blocks, 32)
    pub(crate) q: &'a [i8],
    /// (n_rows, n_blocks)
    pub(crate) scale: &'a [f32],
    /// (n_rows, n_blocks)
    pub(crate) total: &'a [f32],
    /// (n_rows, n_blocks, 2)
    pub(crate) sums: &'a [i32],
}

impl Activations {
    /// Makes room for `n_rows` rows of `n_cols` columns (a multiple of 32); the contents are old or zero.
    pub(crate) fn reshape(&mut self, n_rows: usize, n_cols: usize) {
        self.n_rows = n_rows;
        self.n_blocks = n_cols / BLOCK;
        let n = n_rows * self.n_blocks;
        if self.scale.len() < n {
            self.q.resize(n * BLOCK, 0);
            self.scale.resize(n, 0.0);
            self.total.resize(n, 0.0);
            self.sums.resize(n * 2, 0);
        }
    }

    pub(crate) fn n_chunks(&self) -> usize {
        self.n_blocks.div_ceil(CHUNK_BLOCKS)
    }

    /// Rows `rows` of chunk `chunk`.
    pub(crate) fn chunk(&self, chunk: usize, rows: std::ops::Range<usize>) -> ActivationChunk<'_> {
        let n_blocks = CHUNK_BLOCKS.min(self.n_blocks - chunk * CHUNK_BLOCKS);
        let start = chunk * CHUNK_BLOCKS * self.n_rows + rows.start * n_blocks;
        let n = rows.len() * n_blocks;
        ActivationChunk {
            n_rows: rows.len(),
            n_blocks,
            q: &self.q[start * BLOCK..][..n * BLOCK],
            scale: &self.scale[start..][..n],
            total: &self.total[start..][..n],
            sums: &self.sums[start * 2..][..n * 2],
        }
    }

    /// A writer for several threads.
    pub(crate) fn writer(&mut self) -> ActivationWriter {
        ActivationWriter {
            n_rows: self.n_rows,
            n_blocks: self.n_blocks,
            q: self.q.as_mut_ptr(),
            scale: self.scale.as_mut_ptr(),
            total: self.total.as_mut_ptr(),
            sums: self.sums.as_mut_ptr(),
        }
    }
}

/// Writes blocks of an [`Activations`] from several threads, each block by one of them.
#[derive(Clone, Copy)]
pub(crate) struct ActivationWriter {
    n_rows: usize,
    n_blocks: usize,
    q: *mut i8,
    scale: *mut f32,
    total: *mut f32,
    sums: *mut i32,
}

// SAFETY: the pointers are only written through `write`, whose contract forbids two threads the same block.
unsafe impl Send for ActivationWriter {}
// SAFETY: as above.
unsafe impl Sync for ActivationWriter {}

impl ActivationWriter {
    /// Writes one block.
    ///
    /// # Safety
    /// The `Activations` this came from is alive, not read, and not reshaped; no other thread writes this block.
    #[inline(always)]
    pub(crate) unsafe fn write(&self, row: usize, block: usize, value: &QuantisedBlock) {
        debug_assert!(row < self.n_rows && block < self.n_blocks);
        let chunk = block / CHUNK_BLOCKS;
        let width = CHUNK_BLOCKS.min(self.n_blocks - chunk * CHUNK_BLOCKS);
        let at = chunk * CHUNK_BLOCKS * self.n_rows + row * width + block % CHUNK_BLOCKS;
        // SAFETY: `at` is below n_rows * n_blocks, for which `reshape` made room.
        unsafe {
            self.q.add(at * BLOCK).cast::<[i8; BLOCK]>().write(value.q);
            *self.scale.add(at) = value.scale;
            *self.total.add(at) = value.total;
            self.sums.add(at * 2).cast::<[i32; 2]>().write(value.sums);
        }
    }
}

/// Quantises 32 values: q = round(x * 127 / max |x|), ties to even.
#[inline(always)]
pub(crate) fn quantise_block(x: &[f32; BLOCK]) -> QuantisedBlock {
    // As integers, magnitudes order like the floats, infinities above them and NaN above those.
    let mut largest = 0u32;
    for value in x {
        largest = largest.max(value.to_bits() & 0x7fff_ffff);
    }
    let maximum = f32::from_bits(largest);
    let mut block = QuantisedBlock { q: [0; BLOCK], scale: 0.0, total: 0.0, sums: [0; 2] };
    if !maximum.is_finite() {
        (block.scale, block.total) = (f32::NAN, f32::NAN);
        return block;
    }
    if maximum < SMALLEST_MAXIMUM {
        return block;
    }
    let inverse = 127.0 / maximum;
    block.scale = maximum / 127.0;
    let mut rounded = [0i32; BLOCK];
    for (rounded, value) in rounded.iter_mut().zip(x) {
        *rounded =
            ((value * inverse + ROUND_MAGIC).to_bits() as i32).wrapping_sub(ROUND_MAGIC.to_bits() as i32);
    }
    for (q, rounded) in block.q.iter_mut().zip(rounded) {
        *q = rounded as i8;
    }
    block.sums = [rounded[..16].iter().sum(), rounded[16..].iter().sum()];
    block.total = block.scale * (block.sums[0] + block.sums[1]) as f32;
    block
}

/// Quantises the rows of `x` (n, n_cols), which become rows `first_row..` of `out`.
///
/// # Safety
/// As [`ActivationWriter::write`] for the rows written; `x` has whole rows of the writer's width.
#[inline(always)]
pub(crate) unsafe fn quantise_rows(x: &[f32], first_row: usize, out: &ActivationWriter) {
    let n_cols = out.n_blocks * BLOCK;
    for (row, x) in x.chunks_exact(n_cols).enumerate() {
        for (block, x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
            // SAFETY: promised by the caller.
            unsafe { out.write(first_row + row, block, &quantise_block(x)) };
        }
    }
}

const _: () = assert!(CHUNK_COLS == CHUNK_BLOCKS * BLOCK);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantising_keeps_values_to_half_a_step_and_sums_exactly() {
        let x: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 * 0.77).sin() * 3.0);
        let block = quantise_block(&x);
        for (q, x) in block.q.iter().zip(x) {
            assert!((f32::from(*q) * block.scale - x).abs() <= block.scale * 0.501);
        }
        let sum = |q: &[i8]| q.iter().map(|&q| i32::from(q)).sum::<i32>();
        assert_eq!(block.sums, [sum(&block.q[..16]), sum(&block.q[16..])]);
        assert_eq!(block.q.iter().map(|q| q.unsigned_abs()).max(), Some(127));
    }

    #[test]
    fn values_that_are_no_numbers_poison_their_block_and_tiny_ones_vanish() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = [1.0; BLOCK];
            x[17] = bad;
            assert!(quantise_block(&x).scale.is_nan() && quantise_block(&x).total.is_nan());
        }
        assert_eq!(quantise_block(&[1e-38; BLOCK]).scale, 0.0);
        let huge = quantise_block(&[f32::MAX; BLOCK]);
        assert!(huge.scale.is_finite() && huge.q == [127; BLOCK]);
    }
}

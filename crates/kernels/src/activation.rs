//! Input rows as the integer kernels read them: int8 in blocks of 32 columns, each with an f32 scale.
//!
//! All integer formats use the same blocks of 32, the K formats too: one quantisation serves q, k and v of whatever
//! mix of formats, and its error is smaller than that of one scale for 256 columns (ggml's Q8_K).
//!
//! Rows are stored chunk by chunk (256 columns), all rows of a chunk together, so that a tile of weights walks
//! straight through them: `[chunk][row]` of [`RowChunk`]. The last chunk's blocks behind the end of the row are unused.
//!
//! **Two terms.** Rounding to int8 costs about 0.5 % of a row. That is less than the error of weights of up to six bits, but as
//! much as that of Q8_0's own, and a mixture of experts turns small errors into other experts. So for a product with Q8_0 the
//! rest, x - scale * q, is quantised the same way and multiplied as well: x is then known to some 15 bits, at the price of
//! twice the dot products (not of weights read or unpacked).
//!
//! A block with a NaN, or a value above 1e33, gets the scale NaN, so that every product of the row says so. A block whose
//! largest value is below 1e-30 is taken as zeros.

use crate::math::ROUND_MAGIC;
use crate::shared_out::SharedOut;
use crate::tile::{BLOCK, CHUNK_BLOCKS};

/// Below this, 127 / maximum overflows; no real activation is near.
const SMALLEST_MAXIMUM: f32 = 1e-30;
/// Above this, ROUND_MAGIC * scale comes near infinity. (The norm that every activation went through overflows at 1e19.)
const LARGEST_MAXIMUM: f32 = 1e33;

/// 256 columns of a row.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct RowChunk {
    pub(crate) q: [[i8; BLOCK]; CHUNK_BLOCKS],
    pub(crate) scale: [f32; CHUNK_BLOCKS],
    /// scale * sum of the block's q.
    pub(crate) total: [f32; CHUNK_BLOCKS],
    /// ROUND_MAGIC * scale, which is exact: what to subtract from (ROUND_MAGIC + dot) * scale.
    pub(crate) magic: [f32; CHUNK_BLOCKS],
    /// -32 * the sums of q over the first and the second 16 columns of each block: where the dot products with codes
    /// that stand for code - 32 start.
    pub(crate) centres: [[i32; 2]; CHUNK_BLOCKS],
}

impl RowChunk {
    const ZERO: RowChunk = RowChunk {
        q: [[0; BLOCK]; CHUNK_BLOCKS],
        scale: [0.0; CHUNK_BLOCKS],
        total: [0.0; CHUNK_BLOCKS],
        magic: [0.0; CHUNK_BLOCKS],
        centres: [[0; 2]; CHUNK_BLOCKS],
    };
}

/// Quantised input rows, or room for them.
#[derive(Default)]
pub(crate) struct Activations {
    n_rows: usize,
    n_blocks: usize,
    chunks: Vec<RowChunk>,
    /// What `chunks` left over, quantised; stale or empty where no matrix asked for it.
    rests: Vec<RowChunk>,
}

/// The rows of one chunk: what a tile is multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct ActivationChunk<'a> {
    /// Blocks of the chunk that belong to the row.
    pub(crate) n_blocks: usize,
    pub(crate) rows: &'a [RowChunk],
}

impl Activations {
    /// Makes room for `n_rows` rows of `n_cols` columns (a multiple of 32), and for their rests if there are to be any;
    /// the contents are old or zero.
    pub(crate) fn reshape(&mut self, n_rows: usize, n_cols: usize, with_rests: bool) {
        self.n_rows = n_rows;
        self.n_blocks = n_cols / BLOCK;
        let n = n_rows * self.n_chunks();
        if self.chunks.len() < n {
            self.chunks.resize(n, RowChunk::ZERO);
        }
        if with_rests && self.rests.len() < n {
            self.rests.resize(n, RowChunk::ZERO);
        }
    }

    pub(crate) fn n_chunks(&self) -> usize {
        self.n_blocks.div_ceil(CHUNK_BLOCKS)
    }

    /// Rows `rows` of chunk `chunk`.
    pub(crate) fn chunk(&self, chunk: usize, rows: std::ops::Range<usize>) -> ActivationChunk<'_> {
        self.part(&self.chunks, chunk, rows)
    }

    /// Bytes from a row's chunk to its next one.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.n_rows * size_of::<RowChunk>()
    }

    /// What [`chunk`](Self::chunk) left over of the same rows. They were quantised with rests.
    pub(crate) fn rest(&self, chunk: usize, rows: std::ops::Range<usize>) -> ActivationChunk<'_> {
        self.part(&self.rests, chunk, rows)
    }

    fn part<'a>(
        &self,
        chunks: &'a [RowChunk],
        chunk: usize,
        rows: std::ops::Range<usize>,
    ) -> ActivationChunk<'a> {
        ActivationChunk {
            n_blocks: CHUNK_BLOCKS.min(self.n_blocks - chunk * CHUNK_BLOCKS),
            rows: &chunks[chunk * self.n_rows..][..self.n_rows][rows],
        }
    }

    /// A writer for several threads, of rests too if `reshape` made room for them.
    pub(crate) fn writer(&mut self, with_rests: bool) -> ActivationWriter<'_> {
        let n = self.n_rows * self.n_chunks();
        let chunks = SharedOut::new(&mut self.chunks[..n]);
        let rests = with_rests.then(|| SharedOut::new(&mut self.rests[..n]));
        ActivationWriter { n_rows: self.n_rows, n_blocks: self.n_blocks, chunks, rests }
    }
}

/// Writes rows of an [`Activations`] from several threads.
#[derive(Clone, Copy)]
pub(crate) struct ActivationWriter<'a> {
    n_rows: usize,
    n_blocks: usize,
    chunks: SharedOut<'a, RowChunk>,
    rests: Option<SharedOut<'a, RowChunk>>,
}

/// Quantises the rows of `x` (n, n_cols), which become rows `first_row..` of `out`.
///
/// # Safety
/// No other thread writes the same rows at the same time.
#[inline(always)]
pub(crate) unsafe fn quantise_rows(x: &[f32], first_row: usize, out: &ActivationWriter<'_>) {
    for (row, x) in x.chunks_exact(out.n_blocks * BLOCK).enumerate() {
        for (block, x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
            // SAFETY: this row is ours, as the caller promises.
            unsafe { out.quantise_block(x, first_row + row, block) };
        }
    }
}

/// Quantises block `block` of rows: `x` is (n, 32), its rows belong to `first_row..` of `out`.
///
/// # Safety
/// No other thread writes the same block of the same rows at the same time.
#[inline(always)]
pub(crate) unsafe fn quantise_column(x: &[f32], first_row: usize, block: usize, out: &ActivationWriter<'_>) {
    for (row, x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
        // SAFETY: this block of the row is ours, as the caller promises.
        unsafe { out.quantise_block(x, first_row + row, block) };
    }
}

impl ActivationWriter<'_> {
    /// Makes row i of chunk `chunk` a copy of row `rows[i]` of `from`, for all rows.
    ///
    /// # Safety
    /// No other thread writes the same chunk at the same time.
    pub(crate) unsafe fn copy_chunk(&self, from: &Activations, chunk: usize, rows: &[usize]) {
        let all = 0..from.n_rows;
        let rests = self.rests.map(|rests| (rests, from.rest(chunk, all.clone())));
        for (to, from) in [(self.chunks, from.chunk(chunk, all))].into_iter().chain(rests) {
            // SAFETY: the chunk is ours, as the caller promises.
            let to = unsafe { to.part(chunk * self.n_rows, self.n_rows) };
            for (to, &row) in to.iter_mut().zip(rows) {
                *to = from.rows[row];
            }
        }
    }

    /// Writes one block of a row, and what it leaves over where there are rests.
    ///
    /// # Safety
    /// No other thread writes the same block of the row at the same time.
    #[inline(always)]
    unsafe fn quantise_block(&self, x: &[f32; BLOCK], row: usize, block: usize) {
        assert!(row < self.n_rows && block < self.n_blocks);
        let (at, in_chunk) = (block / CHUNK_BLOCKS * self.n_rows + row, block % CHUNK_BLOCKS);
        let quantised = QuantisedBlock::new(x);
        // SAFETY: the item exists, and this block of it is ours.
        unsafe { quantised.write(self.chunks.pointer(at), in_chunk) };
        if let Some(rests) = &self.rests {
            let rest = QuantisedBlock::new(&left_over(x, &quantised));
            // SAFETY: as above.
            unsafe { rest.write(rests.pointer(at), in_chunk) };
        }
    }
}

/// 32 columns of a row.
struct QuantisedBlock {
    q: [i8; BLOCK],
    scale: f32,
    total: f32,
    centres: [i32; 2],
}

/// x - scale * q, with one rounding.
#[inline(always)]
fn left_over(x: &[f32; BLOCK], quantised: &QuantisedBlock) -> [f32; BLOCK] {
    let mut rest = [0.0; BLOCK];
    for ((rest, x), q) in rest.iter_mut().zip(x).zip(quantised.q) {
        *rest = (-quantised.scale).mul_add(f32::from(q), *x);
    }
    rest
}

impl QuantisedBlock {
    /// Quantises 32 values: q = round(x * 127 / max |x|), ties to even.
    #[inline(always)]
    fn new(x: &[f32; BLOCK]) -> QuantisedBlock {
        // As integers, magnitudes order like the floats, infinities above them and NaN above those.
        let mut largest = 0u32;
        for value in x {
            largest = largest.max(value.to_bits() & 0x7fff_ffff);
        }
        let maximum = f32::from_bits(largest);
        if !(SMALLEST_MAXIMUM..LARGEST_MAXIMUM).contains(&maximum) {
            let scale = if maximum < SMALLEST_MAXIMUM { 0.0 } else { f32::NAN };
            return QuantisedBlock { q: [0; BLOCK], scale, total: scale, centres: [0; 2] };
        }
        let inverse = 127.0 / maximum;
        // 22 significant bits, so that a path may multiply it with dot products that carry ROUND_MAGIC, without rounding
        // twice.
        let scale = f32::from_bits((maximum / 127.0).to_bits() & !3);
        let mut rounded = [0i32; BLOCK];
        for (rounded, value) in rounded.iter_mut().zip(x) {
            *rounded =
                ((value * inverse + ROUND_MAGIC).to_bits() as i32).wrapping_sub(ROUND_MAGIC.to_bits() as i32);
        }
        let mut q = [0; BLOCK];
        for (q, rounded) in q.iter_mut().zip(rounded) {
            *q = rounded as i8;
        }
        let sums: [i32; 2] = [rounded[..16].iter().sum(), rounded[16..].iter().sum()];
        let total = scale * (sums[0] + sums[1]) as f32;
        QuantisedBlock { q, scale, total, centres: sums.map(|sum| -32 * sum) }
    }

    /// Puts it at block `block` of `to`, touching nothing else of it.
    ///
    /// # Safety
    /// `to` can be written and nobody else accesses that block of it.
    #[inline(always)]
    unsafe fn write(&self, to: *mut RowChunk, block: usize) {
        assert!(block < CHUNK_BLOCKS);
        // SAFETY: promised by the caller; no reference to the whole is made, since others write other blocks.
        unsafe {
            (&raw mut (*to).q[block]).write(self.q);
            (&raw mut (*to).scale[block]).write(self.scale);
            (&raw mut (*to).total[block]).write(self.total);
            (&raw mut (*to).magic[block]).write(ROUND_MAGIC * self.scale);
            (&raw mut (*to).centres[block]).write(self.centres);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantised(x: &[f32; BLOCK]) -> RowChunk {
        quantised_twice(x).0
    }

    /// The block and its rest.
    fn quantised_twice(x: &[f32; BLOCK]) -> (RowChunk, RowChunk) {
        let mut activations = Activations::default();
        activations.reshape(1, BLOCK, true);
        // SAFETY: one thread.
        unsafe { quantise_rows(x, 0, &activations.writer(true)) };
        (activations.chunk(0, 0..1).rows[0], activations.rest(0, 0..1).rows[0])
    }

    #[test]
    fn two_terms_keep_values_to_a_254th_of_half_a_step() {
        let x: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 * 0.77).sin() * 3.0);
        let (block, rest) = quantised_twice(&x);
        for (i, x) in x.iter().enumerate() {
            let value = f32::from(block.q[0][i]) * block.scale[0] + f32::from(rest.q[0][i]) * rest.scale[0];
            assert!((value - x).abs() <= block.scale[0] * 0.501 / 254.0, "{value} for {x}");
        }
        let (zero, rest) = quantised_twice(&[0.0; BLOCK]);
        assert!(zero.scale[0] == 0.0 && rest.scale[0] == 0.0);
        let (bad, rest) = quantised_twice(&[f32::NAN; BLOCK]);
        assert!(bad.scale[0].is_nan() && rest.scale[0].is_nan());
    }

    #[test]
    fn quantising_keeps_values_to_half_a_step_and_sums_exactly() {
        let x: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 * 0.77).sin() * 3.0);
        let block = quantised(&x);
        for (q, x) in block.q[0].iter().zip(x) {
            assert!((f32::from(*q) * block.scale[0] - x).abs() <= block.scale[0] * 0.501);
        }
        let sum = |q: &[i8]| q.iter().map(|&q| i32::from(q)).sum::<i32>();
        assert_eq!(block.centres[0], [-32 * sum(&block.q[0][..16]), -32 * sum(&block.q[0][16..])]);
        assert_eq!(block.q[0].iter().map(|q| q.unsigned_abs()).max(), Some(127));
    }

    #[test]
    fn values_that_are_no_numbers_poison_their_block_and_tiny_ones_vanish() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -2e33] {
            let mut x = [1.0; BLOCK];
            x[17] = bad;
            assert!(quantised(&x).scale[0].is_nan() && quantised(&x).total[0].is_nan());
        }
        assert_eq!(quantised(&[1e-38; BLOCK]).scale[0], 0.0);
        let huge = quantised(&[9e32; BLOCK]);
        assert!(huge.magic[0].is_finite() && huge.q[0] == [127; BLOCK]);
    }
}

//! Sixteen rows of weights, unpacked for multiplication: what every path reads, and how the blocks of a file get there.
//!
//! A tile holds up to 256 columns of 16 rows. Codes stand as unsigned bytes, four columns of one row beside each
//! other, the 16 rows of those four columns in 64 bytes: one AVX-512 register against which one dword of an
//! input row (four int8 values) is multiplied, each lane a row.
//!
//! ```text
//! codes  [column / 4][row][column % 4]
//! scale  [sub-block][row]    sub-blocks of 32 columns (16 for Q6_K)
//! offset [sub-block][row]    what a code of 0 is worth: the minimum, or -scale * the code that stands for 0
//!                            (unused by Q6_K, whose products are centred as integers)
//! ```
//!
//! This file is the plain version, the oracle of the SIMD ones.

use crate::BlockFormat;
use crate::math::{bf16_to_f32, f16_to_f32};

/// Rows in a tile.
pub(crate) const TILE_ROWS: usize = 16;
/// Columns unpacked at a time: 4 KiB of codes, so that two tiles and their input fit the first-level cache.
pub(crate) const CHUNK_COLS: usize = 256;
/// Columns that share a scale of the input row, and the step in which sums are rounded to f32.
pub(crate) const BLOCK: usize = 32;
/// Blocks in a whole chunk.
pub(crate) const CHUNK_BLOCKS: usize = CHUNK_COLS / BLOCK;
/// Columns of float weights unpacked at a time.
pub(crate) const FLOAT_CHUNK_COLS: usize = 64;

/// Sixteen rows x up to 256 columns of integer codes with their scales.
#[repr(C, align(64))]
pub(crate) struct Tile {
    pub(crate) codes: [[u8; 4 * TILE_ROWS]; CHUNK_COLS / 4],
    pub(crate) scale: [[f32; TILE_ROWS]; 2 * CHUNK_BLOCKS],
    pub(crate) offset: [[f32; TILE_ROWS]; CHUNK_BLOCKS],
}

/// Sixteen rows x up to 64 columns of float weights.
#[repr(C, align(64))]
pub(crate) struct FloatTile {
    pub(crate) weights: [[f32; TILE_ROWS]; FLOAT_CHUNK_COLS],
}

impl Tile {
    pub(crate) fn zeroed() -> Tile {
        Tile {
            codes: [[0; 4 * TILE_ROWS]; CHUNK_COLS / 4],
            scale: [[0.0; TILE_ROWS]; 2 * CHUNK_BLOCKS],
            offset: [[0.0; TILE_ROWS]; CHUNK_BLOCKS],
        }
    }

    /// Clears the rows from `row` on, so that stale codes of an earlier tile do not reach an unused lane.
    fn clear_rows_from(&mut self, row: usize) {
        for group in &mut self.codes {
            group[4 * row..].fill(0);
        }
        for lanes in self.scale.iter_mut().chain(&mut self.offset) {
            lanes[row..].fill(0.0);
        }
    }
}

impl FloatTile {
    pub(crate) fn zeroed() -> FloatTile {
        FloatTile { weights: [[0.0; TILE_ROWS]; FLOAT_CHUNK_COLS] }
    }
}

/// One row's share of a chunk.
struct RowChunk {
    codes: [u8; CHUNK_COLS],
    scale: [f32; 2 * CHUNK_BLOCKS],
    offset: [f32; CHUNK_BLOCKS],
}

/// The rows of a tile as they lie in the file: `n_rows` rows of `row_bytes` bytes, of which the chunk that starts
/// `chunk_at` bytes into each row is wanted.
#[derive(Clone, Copy)]
pub(crate) struct TileSource<'a> {
    pub(crate) format: BlockFormat,
    /// From the first byte of the first row to the last byte of the last.
    pub(crate) rows: &'a [u8],
    pub(crate) row_bytes: usize,
    pub(crate) n_rows: usize,
    /// Column the chunk starts at.
    pub(crate) first_col: usize,
    /// Columns wanted, a multiple of 32 for integer formats.
    pub(crate) n_cols: usize,
    /// Bytes that will be unpacked soon, to be fetched from memory in between.
    pub(crate) next: &'a [u8],
}

impl<'a> TileSource<'a> {
    /// The blocks of the wanted columns of `row`.
    pub(crate) fn chunk(&self, row: usize) -> &'a [u8] {
        let (start, size) = self.chunk_range();
        &self.rows[row * self.row_bytes + start..][..size]
    }

    /// Where the wanted columns start in a row, and their size, in bytes.
    pub(crate) fn chunk_range(&self) -> (usize, usize) {
        let (len, bytes) = (self.format.block_len(), self.format.block_bytes());
        (self.first_col / len * bytes, self.n_cols / len * bytes)
    }
}

/// Unpacks integer codes; rows the matrix does not have become zeros.
#[inline(always)]
pub(crate) fn unpack(source: &TileSource<'_>, tile: &mut Tile) {
    let mut chunk = RowChunk { codes: [0; CHUNK_COLS], scale: [0.0; 16], offset: [0.0; 8] };
    for row in 0..source.n_rows {
        unpack_row(source.format, source.chunk(row), &mut chunk);
        // All 64 groups, also those behind the end of the row, which are never looked at: a loop of known length.
        for (group, codes) in tile.codes.iter_mut().zip(chunk.codes.as_chunks::<4>().0) {
            group.as_chunks_mut::<4>().0[row] = *codes;
        }
        for (lanes, value) in tile.scale.iter_mut().zip(chunk.scale) {
            lanes[row] = value;
        }
        for (lanes, value) in tile.offset.iter_mut().zip(chunk.offset) {
            lanes[row] = value;
        }
    }
    tile.clear_rows_from(source.n_rows);
}

/// Unpacks float weights; rows the matrix does not have become zeros.
#[inline(always)]
pub(crate) fn unpack_floats(source: &TileSource<'_>, tile: &mut FloatTile) {
    let mut values = [0.0; FLOAT_CHUNK_COLS];
    let values = &mut values[..source.n_cols];
    for row in 0..source.n_rows {
        read_floats(source.format, source.chunk(row), values);
        for (lanes, value) in tile.weights.iter_mut().zip(&*values) {
            lanes[row] = *value;
        }
    }
    for lanes in &mut tile.weights {
        lanes[source.n_rows..].fill(0.0);
    }
}

/// The values of (a part of) a row of a float format.
#[inline(always)]
fn read_floats(format: BlockFormat, bytes: &[u8], out: &mut [f32]) {
    let (halves, singles) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
    match format {
        BlockFormat::F16 => {
            out.iter_mut().zip(halves).for_each(|(out, half)| *out = f16_to_f32(u16::from_le_bytes(*half)));
        }
        BlockFormat::BF16 => {
            out.iter_mut().zip(halves).for_each(|(out, half)| *out = bf16_to_f32(u16::from_le_bytes(*half)));
        }
        _ => out.iter_mut().zip(singles).for_each(|(out, single)| *out = f32::from_le_bytes(*single)),
    }
}

/// Writes one row of a matrix as floats, rounded as gguf-py rounds them: scale * (code - centre), or
/// scale * code + minimum.
pub(crate) fn dequantise_row(format: BlockFormat, bytes: &[u8], out: &mut [f32]) {
    if format.code_kind().is_none() {
        return read_floats(format, bytes, out);
    }
    let columns_per_scale = if format == BlockFormat::Q6K { 16 } else { 32 };
    // A chunk of the 32-column formats is eight blocks, or what is left at the end of the row.
    let chunk_bytes = CHUNK_COLS / format.block_len() * format.block_bytes();
    let mut chunk = RowChunk { codes: [0; CHUNK_COLS], scale: [0.0; 16], offset: [0.0; 8] };
    for (bytes, out) in bytes.chunks(chunk_bytes).zip(out.chunks_mut(CHUNK_COLS)) {
        unpack_row(format, bytes, &mut chunk);
        for (col, (out, code)) in out.iter_mut().zip(chunk.codes).enumerate() {
            let scale = chunk.scale[col / columns_per_scale];
            *out = match format.centre() {
                Some(centre) => scale * f32::from(i16::from(code) - i16::from(centre)),
                None => scale * f32::from(code) + chunk.offset[col / BLOCK],
            };
        }
    }
}

fn f16_at(bytes: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// The codes, scales and offsets of up to 256 columns of a row.
#[inline(always)]
fn unpack_row(format: BlockFormat, bytes: &[u8], chunk: &mut RowChunk) {
    match format {
        BlockFormat::Q4K => unpack_q4_k(bytes, chunk),
        BlockFormat::Q5K => unpack_q5_k(bytes, chunk),
        BlockFormat::Q6K => unpack_q6_k(bytes, chunk),
        BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16 => {
            unreachable!("float formats have no codes")
        }
        _ => {
            for (index, block) in bytes.chunks_exact(format.block_bytes()).enumerate() {
                let codes = &mut chunk.codes[BLOCK * index..][..BLOCK];
                let (scale, offset) = unpack_block32(format, block, codes);
                (chunk.scale[index], chunk.offset[index]) = (scale, offset);
            }
        }
    }
}

/// One block of a 32-column format: scale and offset, with the codes written to `codes`.
#[inline(always)]
fn unpack_block32(format: BlockFormat, block: &[u8], codes: &mut [u8]) -> (f32, f32) {
    let scale = f16_at(block, 0);
    let centred = -(scale * f32::from(format.centre().unwrap_or_default()));
    let codes: &mut [u8; BLOCK] = codes.try_into().expect("a block's codes");
    if format == BlockFormat::Q8_0 {
        for (code, byte) in codes.iter_mut().zip(&block[2..]) {
            *code = byte ^ 0x80;
        }
        return (scale, centred);
    }
    let (header, packed) = block.split_last_chunk::<16>().expect("a block ends with 16 bytes of nibbles");
    nibbles(packed, codes);
    if let BlockFormat::Q5_0 | BlockFormat::Q5_1 = format {
        add_fifth_bits(header.last_chunk().expect("fifth bits lie before the nibbles"), codes);
    }
    let minimum = matches!(format, BlockFormat::Q4_1 | BlockFormat::Q5_1);
    (scale, if minimum { f16_at(block, 2) } else { centred })
}

/// Low nibbles are the first half of the columns, high nibbles the second.
#[inline(always)]
fn nibbles<const N: usize>(packed: &[u8; N], codes: &mut [u8]) {
    let (low, high) = codes.split_at_mut(N);
    for i in 0..N {
        (low[i], high[i]) = (packed[i] & 15, packed[i] >> 4);
    }
}

/// Bit `i` of the little-endian dword is bit 4 of code `i`.
#[inline(always)]
fn add_fifth_bits(bits: &[u8; 4], codes: &mut [u8; BLOCK]) {
    let bits = u32::from_le_bytes(*bits);
    for (col, code) in codes.iter_mut().enumerate() {
        *code |= ((bits >> col) as u8 & 1) << 4;
    }
}

/// The eight 6-bit scales and minimums of a Q4_K or Q5_K block (ggml `get_scale_min_k4`).
fn scales_and_minimums(packed: &[u8]) -> ([u8; 8], [u8; 8]) {
    let (mut scales, mut minimums) = ([0; 8], [0; 8]);
    for i in 0..4 {
        scales[i] = packed[i] & 63;
        minimums[i] = packed[i + 4] & 63;
        scales[i + 4] = packed[i + 8] & 15 | packed[i] >> 6 << 4;
        minimums[i + 4] = packed[i + 8] >> 4 | packed[i + 4] >> 6 << 4;
    }
    (scales, minimums)
}

#[inline(always)]
fn set_k_scales(block: &[u8], chunk: &mut RowChunk) {
    let (d, d_min) = (f16_at(block, 0), f16_at(block, 2));
    let (scales, minimums) = scales_and_minimums(&block[4..16]);
    for i in 0..8 {
        chunk.scale[i] = d * f32::from(scales[i]);
        chunk.offset[i] = -(d_min * f32::from(minimums[i]));
    }
}

/// d, d_min, 12 bytes of scales, then 4 x 32 bytes: low nibbles are one sub-block of 32, high nibbles the next.
#[inline(always)]
fn unpack_q4_k(block: &[u8], chunk: &mut RowChunk) {
    set_k_scales(block, chunk);
    for (packed, codes) in block[16..].as_chunks::<32>().0.iter().zip(chunk.codes.chunks_exact_mut(64)) {
        nibbles(packed, codes);
    }
}

/// As Q4_K with 32 bytes of fifth bits before the nibbles: bit `s` of byte `i` belongs to column `i` of sub-block `s`.
#[inline(always)]
fn unpack_q5_k(block: &[u8], chunk: &mut RowChunk) {
    set_k_scales(block, chunk);
    for (packed, codes) in block[48..].as_chunks::<32>().0.iter().zip(chunk.codes.chunks_exact_mut(64)) {
        nibbles(packed, codes);
    }
    for (sub_block, codes) in chunk.codes.chunks_exact_mut(32).enumerate() {
        for (code, bits) in codes.iter_mut().zip(&block[16..48]) {
            *code |= (bits >> sub_block & 1) << 4;
        }
    }
}

/// 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales, d; each half of the block holds 128 columns:
/// four runs of 32 whose nibbles are low, low, high, high and whose bit pairs are 0, 1, 2, 3 of the same 32 bytes.
#[inline(always)]
fn unpack_q6_k(block: &[u8], chunk: &mut RowChunk) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    for (half, codes) in chunk.codes.chunks_exact_mut(128).enumerate() {
        let (low, high) = (&low[64 * half..][..64], &high[32 * half..][..32]);
        for i in 0..32 {
            codes[i] = low[i] & 15 | (high[i] & 3) << 4;
            codes[i + 32] = low[i + 32] & 15 | (high[i] >> 2 & 3) << 4;
            codes[i + 64] = low[i] >> 4 | (high[i] >> 4 & 3) << 4;
            codes[i + 96] = low[i + 32] >> 4 | (high[i] >> 6) << 4;
        }
    }
    let d = f16_at(rest, 16);
    for (scale, byte) in chunk.scale.iter_mut().zip(&rest[..16]) {
        *scale = d * f32::from(*byte as i8);
    }
}

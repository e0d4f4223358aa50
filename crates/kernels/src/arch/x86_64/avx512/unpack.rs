//! Unpacking of tiles: 16 bytes of each of the 16 rows at a time, transposed so that a register holds one dword of
//! every row, then split into codes. Tiles with fewer than 16 rows take the plain path.

use std::arch::x86_64::*;

use super::k_tiles;
use crate::BlockFormat;
use crate::tile::{self, BLOCK, TILE_ROWS, Tile, TileSource};

/// See [`tile::unpack`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn unpack(source: &TileSource<'_>, tile: &mut Tile) {
    let (start, size) = source.chunk_range();
    // Everything below reads whole blocks inside `size` bytes of each of 16 rows; gathers index them with i32.
    let whole = source.n_rows == TILE_ROWS && source.row_bytes < (1 << 26);
    if !whole || source.rows.len() < TILE_ROWS * source.row_bytes || start + size > source.row_bytes {
        return tile::unpack(source, tile);
    }
    let rows = Rows { first: source.rows[start..].as_ptr(), stride: source.row_bytes };
    let n_blocks = source.n_cols / BLOCK;
    let ahead = &mut Ahead::new(source.next, 8);
    // Where nothing comes next, lines that are in the cache anyway.
    let next = if source.next.is_empty() { rows.first } else { source.next.as_ptr() };
    // SAFETY: the rows hold `n_blocks` blocks of 32 columns (or one of 256) from `first` on, as checked above; the
    // functions read only inside them.
    unsafe {
        match source.format {
            BlockFormat::Q8_0 => blocks_of_32::<34, 17, 8>(rows, n_blocks, tile, ahead),
            BlockFormat::Q4_0 => blocks_of_32::<18, 9, 4>(rows, n_blocks, tile, ahead),
            BlockFormat::Q4_1 => blocks_of_32::<20, 10, 4>(rows, n_blocks, tile, ahead),
            BlockFormat::Q5_0 => blocks_of_32::<22, 11, 5>(rows, n_blocks, tile, ahead),
            BlockFormat::Q5_1 => blocks_of_32::<24, 12, 5>(rows, n_blocks, tile, ahead),
            BlockFormat::Q4K => k_tiles::q4_k(rows.first, rows.stride, next, tile),
            BlockFormat::Q5K => q5_k(rows, tile, ahead),
            BlockFormat::Q6K => k_tiles::q6_k(rows.first, rows.stride, next, tile),
            BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16 => tile::unpack(source, tile),
        }
    }
}

/// What is fetched from memory while a tile is unpacked, a few lines at a time: all at once they would fill the core's
/// buffers for misses, and everything behind them would wait.
struct Ahead<'a> {
    left: &'a [u8],
    step: usize,
}

impl<'a> Ahead<'a> {
    fn new(bytes: &'a [u8], n_steps: usize) -> Self {
        Ahead { left: bytes, step: bytes.len().div_ceil(n_steps) }
    }

    /// Fetches the next of the steps.
    #[inline(always)]
    fn fetch(&mut self) {
        let (now, later) = self.left.split_at(self.step.min(self.left.len()));
        self.left = later;
        super::super::prefetch(now);
    }
}

/// Sixteen rows, `stride` bytes apart.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) first: *const u8,
    pub(super) stride: usize,
}

impl Rows {
    /// Dword `d` of the 16 bytes at `offset` of every row, in result `d`, a lane a row.
    ///
    /// # Safety
    /// Those bytes can be read.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn dwords(self, offset: usize) -> [__m512i; 4] {
        // Few addresses, each a base and a multiple of the same step: the processor adds those while it loads.
        let step = 4 * self.stride;
        let mut quarters = [_mm512_setzero_si512(); 4];
        for (i, quarter) in quarters.iter_mut().enumerate() {
            let first = self.first.wrapping_add(offset + i * self.stride);
            // SAFETY: promised by the caller.
            let row = |at: usize| unsafe { _mm_loadu_si128(first.wrapping_add(at).cast()) };
            // Rows i, i + 4, i + 8, i + 12: after the transposition inside each 128 bits, rows are in order.
            let two = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(row(0)), row(step));
            *quarter = _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(two, row(2 * step)), row(3 * step));
        }
        let low_even = _mm512_unpacklo_epi32(quarters[0], quarters[1]);
        let high_even = _mm512_unpackhi_epi32(quarters[0], quarters[1]);
        let low_odd = _mm512_unpacklo_epi32(quarters[2], quarters[3]);
        let high_odd = _mm512_unpackhi_epi32(quarters[2], quarters[3]);
        [
            _mm512_unpacklo_epi64(low_even, low_odd),
            _mm512_unpackhi_epi64(low_even, low_odd),
            _mm512_unpacklo_epi64(high_even, high_odd),
            _mm512_unpackhi_epi64(high_even, high_odd),
        ]
    }

    /// `N` dwords from `offset` on, of every row; at least four.
    ///
    /// # Safety
    /// Those bytes can be read.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn span<const N: usize>(self, offset: usize) -> [__m512i; N] {
        let mut dwords = [_mm512_setzero_si512(); N];
        for first in (0..N).step_by(4) {
            let first = first.min(N - 4); // the last four overlap the ones before
            // SAFETY: promised by the caller.
            let four = unsafe { self.dwords(offset + 4 * first) };
            dwords[first..first + 4].copy_from_slice(&four);
        }
        dwords
    }

    /// The dword at `offset` of every row.
    ///
    /// # Safety
    /// Those bytes can be read, and 16 strides fit an i32.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn dword(self, offset: usize) -> __m512i {
        let row = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let at = _mm512_mullo_epi32(row, _mm512_set1_epi32(self.stride as i32));
        // SAFETY: promised by the caller.
        unsafe { _mm512_i32gather_epi32::<1>(at, self.first.add(offset).cast()) }
    }
}

/// The f16 in the lower half of every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn low_halves(lanes: __m512i) -> __m512 {
    _mm512_cvtph_ps(_mm512_cvtepi32_epi16(lanes))
}

/// The f16 in the upper half of every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn high_halves(lanes: __m512i) -> __m512 {
    low_halves(_mm512_srli_epi32::<16>(lanes))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(to: &mut [u8; 64], codes: __m512i) {
    // SAFETY: 64 bytes.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), codes) };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_floats(to: &mut [f32; 16], values: __m512) {
    // SAFETY: 16 floats.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn low_nibbles(bytes: __m512i) -> __m512i {
    _mm512_and_si512(bytes, _mm512_set1_epi8(15))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn high_nibbles(bytes: __m512i) -> __m512i {
    _mm512_and_si512(_mm512_srli_epi32::<4>(bytes), _mm512_set1_epi8(15))
}

/// Blocks of 32 columns: f16 scale, f16 minimum where the size leaves room for it, then `FIELDS` dwords: 32 fifth bits
/// if there are five, and nibbles; or 32 signed bytes if there are eight.
///
/// Two blocks together are `DWORDS` whole dwords, which are read and transposed as such: gathering the scales one by
/// one would take as long as all the rest.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn blocks_of_32<const BYTES: usize, const DWORDS: usize, const FIELDS: usize>(
    rows: Rows,
    n_blocks: usize,
    tile: &mut Tile,
    ahead: &mut Ahead<'_>,
) {
    for block in (0..n_blocks - n_blocks % 2).step_by(2) {
        ahead.fetch();
        // SAFETY: the rows hold both blocks.
        let pair = unsafe { rows.span::<DWORDS>(block * BYTES) };
        let mut fields = [_mm512_setzero_si512(); FIELDS];
        if BYTES.is_multiple_of(4) {
            for second in 0..2 {
                let header = second * BYTES / 4;
                fields.copy_from_slice(&pair[header + 1..][..FIELDS]);
                if second == 1 {
                    ahead.fetch();
                }
                unpack_fields(
                    low_halves(pair[header]),
                    Some(high_halves(pair[header])),
                    fields,
                    tile,
                    block + second,
                );
            }
        } else {
            // The first block's fields begin in the middle of a dword, the second's scale lies there.
            let turned = pair.map(|dword| _mm512_rol_epi32::<16>(dword));
            for (field, turned) in fields.iter_mut().zip(turned.windows(2)) {
                *field = _mm512_mask_blend_epi16(0xaaaa_aaaa, turned[0], turned[1]);
            }
            unpack_fields(low_halves(pair[0]), None, fields, tile, block);
            ahead.fetch();
            fields.copy_from_slice(&pair[BYTES / 4 + 1..][..FIELDS]);
            unpack_fields(low_halves(turned[BYTES / 4]), None, fields, tile, block + 1);
        }
    }
    if !n_blocks.is_multiple_of(2) {
        let (block, at) = (n_blocks - 1, (n_blocks - 1) * BYTES);
        let mut fields = [_mm512_setzero_si512(); FIELDS];
        // SAFETY: the rows hold this block, and a block ends with its fields.
        let header = unsafe {
            for (i, field) in fields.iter_mut().enumerate() {
                *field = rows.dword(at + BYTES - 4 * (FIELDS - i));
            }
            rows.dword(at)
        };
        let minimum = BYTES.is_multiple_of(4).then(|| high_halves(header));
        unpack_fields(low_halves(header), minimum, fields, tile, block);
    }
}

/// Writes one block of 32 columns; without a minimum, codes are around 128, 16 or 8.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn unpack_fields<const FIELDS: usize>(
    scale: __m512,
    minimum: Option<__m512>,
    fields: [__m512i; FIELDS],
    tile: &mut Tile,
    block: usize,
) {
    let centre = _mm512_set1_ps(match FIELDS {
        8 => -128.0,
        5 => -16.0,
        _ => -8.0,
    });
    store_floats(&mut tile.scale[block], scale);
    store_floats(&mut tile.offset[block], minimum.unwrap_or(_mm512_mul_ps(scale, centre)));
    let codes = &mut tile.codes[8 * block..][..8];
    if FIELDS == 8 {
        for (to, signed) in codes.iter_mut().zip(fields) {
            store(to, _mm512_xor_si512(signed, _mm512_set1_epi8(-128)));
        }
        return;
    }
    let (low, high) = codes.split_at_mut(4);
    for (i, packed) in fields[FIELDS - 4..].iter().enumerate() {
        let (mut first, mut second) = (low_nibbles(*packed), high_nibbles(*packed));
        if FIELDS == 5 {
            first = _mm512_or_si512(first, fifth_bits(fields[0], i));
            second = _mm512_or_si512(second, fifth_bits(fields[0], i + 4));
        }
        store(&mut low[i], first);
        store(&mut high[i], second);
    }
}

/// Bits 4 `group`.. of every lane as bit 4 of its four bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn fifth_bits(bits: __m512i, group: usize) -> __m512i {
    // The byte that holds the four bits, four times; then a test of one bit in each.
    let byte = 0x0101_0101 * (group as i32 / 2);
    let in_lane = _mm512_set4_epi32(0x0c0c_0c0c, 0x0808_0808, 0x0404_0404, 0);
    let spread = _mm512_shuffle_epi8(bits, _mm512_add_epi8(in_lane, _mm512_set1_epi32(byte)));
    let one_each =
        _mm512_set1_epi32(if group.is_multiple_of(2) { 0x0804_0201 } else { 0x8040_2010u32 as i32 });
    _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(spread, one_each), _mm512_set1_epi8(16))
}

/// Scales and offsets of the eight sub-blocks of Q5_K, from the first 16 bytes of a block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn k_scales(rows: Rows, tile: &mut Tile) {
    // SAFETY: a block starts with 16 bytes of header.
    let [floats, scales, minimums, both] = unsafe { rows.dwords(0) };
    let (d, d_min) = (low_halves(floats), high_halves(floats));
    let six = _mm512_set1_epi32(0x3f3f_3f3f);
    let upper_two = |bytes| _mm512_and_si512(_mm512_srli_epi32::<2>(bytes), _mm512_set1_epi32(0x3030_3030));
    let scales = [_mm512_and_si512(scales, six), _mm512_or_si512(low_nibbles(both), upper_two(scales))];
    let minimums =
        [_mm512_and_si512(minimums, six), _mm512_or_si512(high_nibbles(both), upper_two(minimums))];
    let minus_zero = _mm512_set1_ps(-0.0);
    for sub_block in 0..8 {
        let shift = _mm_cvtsi32_si128(8 * (sub_block as i32 % 4));
        let byte = |bytes| {
            _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srl_epi32(bytes, shift), _mm512_set1_epi32(255)))
        };
        store_floats(&mut tile.scale[sub_block], _mm512_mul_ps(d, byte(scales[sub_block / 4])));
        let minimum = _mm512_mul_ps(d_min, byte(minimums[sub_block / 4]));
        store_floats(&mut tile.offset[sub_block], _mm512_xor_ps(minimum, minus_zero));
    }
}

/// Header of 16 bytes, 32 bytes of fifth bits, four times 32 bytes: low nibbles one sub-block, high nibbles the next; bit `s` of a byte belongs to sub-block `s`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn q5_k(rows: Rows, tile: &mut Tile, ahead: &mut Ahead<'_>) {
    // SAFETY: a block is 176 bytes.
    unsafe {
        k_scales(rows, tile);
        let fifth = [rows.dwords(16), rows.dwords(32)];
        let bit = _mm512_set1_epi8(16);
        for part in 0..8 {
            ahead.fetch();
            let packed = rows.dwords(48 + 16 * part);
            let group = part / 2 * 16 + part % 2 * 4;
            let low_shift = _mm_cvtsi32_si128(part as i32 / 2 * 2);
            let high_shift = _mm_cvtsi32_si128(part as i32 / 2 * 2 + 1);
            for (i, packed) in packed.into_iter().enumerate() {
                // Bits that come in from a neighbouring byte fall outside the mask.
                let fifth = fifth[part % 2][i];
                let at_four = |shift| {
                    let right = _mm512_srl_epi32(fifth, shift);
                    _mm512_and_si512(_mm512_slli_epi32::<4>(right), bit)
                };
                store(&mut tile.codes[group + i], _mm512_or_si512(low_nibbles(packed), at_four(low_shift)));
                store(
                    &mut tile.codes[group + 8 + i],
                    _mm512_or_si512(high_nibbles(packed), at_four(high_shift)),
                );
            }
        }
    }
}

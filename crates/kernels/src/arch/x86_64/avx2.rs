//! AVX2 with FMA and F16C.
//!
//! Products of integer codes are written by hand: `vpmaddubsw` multiplies the codes of eight rows with four values of an
//! input row and adds them in pairs of 16 bits, `vpmaddwd` widens to exact 32-bit sums. The rest is `plain`, compiled
//! with these features.

use std::arch::x86_64::*;

use crate::activation::{ActivationChunk, RowChunk};
use crate::arch::{Dispatch, Isa, Lanes, Sums, compiled_plain};
use crate::format::CodeKind;
use crate::tile::{self, Tile, TileSource};

/// The kernels for a processor that [`has_avx2`](super::has_avx2).
pub(crate) fn table() -> Dispatch {
    Dispatch { prefetch: super::prefetch, unpack, multiply, ..compiled_plain!(Isa::Avx2, "avx2,fma,f16c") }
}

/// Input rows multiplied with a register of codes: four sums, the codes, an input and its products fit 16 registers.
const PANEL: usize = 4;

/// See [`tile::unpack`].
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack(source: &TileSource<'_>, tile: &mut Tile) {
    super::prefetch(source.next);
    tile::unpack(source, tile);
}

/// See [`plain::multiply`](crate::arch::plain::multiply).
#[target_feature(enable = "avx2,fma,f16c")]
fn multiply(kind: CodeKind, tiles: &[Tile], x: &ActivationChunk<'_>, next: &[u8], sums: &mut Sums) {
    let mut next = next.chunks(next.len().div_ceil(x.rows.len().div_ceil(PANEL).max(1)).max(1));
    for (rows, sums) in x.rows.chunks(PANEL).zip(sums.chunks_mut(PANEL)) {
        super::prefetch(next.next().unwrap_or_default());
        for (index, tile) in tiles.iter().enumerate() {
            for block in 0..x.n_blocks {
                match rows.len() {
                    4 => add_block::<4>(kind, tile, rows, block, index, sums),
                    3 => add_block::<3>(kind, tile, rows, block, index, sums),
                    2 => add_block::<2>(kind, tile, rows, block, index, sums),
                    _ => add_block::<1>(kind, tile, rows, block, index, sums),
                }
            }
        }
    }
}

/// Adds the products of one block of columns of `ROWS` input rows with tile `index`.
#[target_feature(enable = "avx2,fma,f16c")]
fn add_block<const ROWS: usize>(
    kind: CodeKind,
    tile: &Tile,
    rows: &[RowChunk],
    block: usize,
    index: usize,
    sums: &mut Sums,
) {
    let rows: &[RowChunk; ROWS] = rows.try_into().expect("a panel's rows");
    let codes = &tile.codes[8 * block..][..8];
    // Lanes 0 to 7, then 8 to 15: eight rows a register.
    for lanes in [0, 8] {
        match kind {
            CodeKind::Offset => {
                let dots = dots::<ROWS, false>(codes, rows, (block, 0), lanes);
                let (scale, offset) = (eight(&tile.scale[block], lanes), eight(&tile.offset[block], lanes));
                for row in 0..ROWS {
                    let input_scale = _mm256_set1_ps(rows[row].scale[block]);
                    let input_total = _mm256_set1_ps(rows[row].total[block]);
                    let sum = _mm256_fmadd_ps(offset, input_total, eight(&sums[row][index], lanes));
                    let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[row]), input_scale);
                    store(&mut sums[row][index], lanes, _mm256_fmadd_ps(scaled, scale, sum));
                }
            }
            CodeKind::Centred { centre } => {
                let dots = if centre == 128 {
                    dots::<ROWS, true>(codes, rows, (block, 0), lanes)
                } else {
                    dots::<ROWS, false>(codes, rows, (block, 0), lanes)
                };
                let scale = eight(&tile.scale[block], lanes);
                for row in 0..ROWS {
                    let [first, second] = rows[row].centres[block]; // -32 * sums of q
                    let start = _mm256_set1_epi32((first + second) / 32 * i32::from(centre));
                    let dots = _mm256_cvtepi32_ps(_mm256_add_epi32(dots[row], start));
                    let scaled = _mm256_mul_ps(dots, _mm256_set1_ps(rows[row].scale[block]));
                    let sum = eight(&sums[row][index], lanes);
                    store(&mut sums[row][index], lanes, _mm256_fmadd_ps(scaled, scale, sum));
                }
            }
            CodeKind::CentredHalves => {
                let first = dots::<ROWS, false>(&codes[..4], rows, (block, 0), lanes);
                let second = dots::<ROWS, false>(&codes[4..], rows, (block, 16), lanes);
                let scales = [eight(&tile.scale[2 * block], lanes), eight(&tile.scale[2 * block + 1], lanes)];
                for row in 0..ROWS {
                    let [first_centre, second_centre] =
                        rows[row].centres[block].map(|c| _mm256_set1_epi32(c));
                    let first = _mm256_cvtepi32_ps(_mm256_add_epi32(first[row], first_centre));
                    let second = _mm256_cvtepi32_ps(_mm256_add_epi32(second[row], second_centre));
                    let both = _mm256_fmadd_ps(second, scales[1], _mm256_mul_ps(first, scales[0]));
                    let input_scale = _mm256_set1_ps(rows[row].scale[block]);
                    let sum = _mm256_fmadd_ps(both, input_scale, eight(&sums[row][index], lanes));
                    store(&mut sums[row][index], lanes, sum);
                }
            }
        }
    }
}

/// Dot products of groups of four columns, from column `at.1` of block `at.0` on, for eight rows of the tile. Codes above
/// 127 (`WIDE`) would overflow the 16-bit sums of pairs, so their upper two bits are multiplied apart.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dots<const ROWS: usize, const WIDE: bool>(
    codes: &[[u8; 64]],
    rows: &[RowChunk; ROWS],
    at: (usize, usize),
    lanes: usize,
) -> [__m256i; ROWS] {
    let mut dots = [_mm256_setzero_si256(); ROWS];
    let (ones, sixty_fours) = (_mm256_set1_epi16(1), _mm256_set1_epi16(64));
    for (group, codes) in codes.iter().enumerate() {
        let codes: &[u8; 32] = codes[4 * lanes..][..32].try_into().expect("eight rows");
        // SAFETY: 32 bytes.
        let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
        for (dot, row) in dots.iter_mut().zip(rows) {
            let q = row.q[at.0][at.1 + 4 * group..][..4].as_chunks::<4>().0[0].map(|q| q as u8);
            let q = _mm256_set1_epi32(i32::from_le_bytes(q));
            if WIDE {
                let low = _mm256_maddubs_epi16(_mm256_and_si256(codes, _mm256_set1_epi8(63)), q);
                let upper = _mm256_and_si256(_mm256_srli_epi16::<6>(codes), _mm256_set1_epi8(3));
                let high = _mm256_madd_epi16(_mm256_maddubs_epi16(upper, q), sixty_fours);
                *dot = _mm256_add_epi32(*dot, _mm256_add_epi32(_mm256_madd_epi16(low, ones), high));
            } else {
                *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, q), ones));
            }
        }
    }
    dots
}

#[inline]
#[target_feature(enable = "avx2")]
fn eight(lanes: &Lanes, first: usize) -> __m256 {
    let lanes: &[f32; 8] = lanes[first..][..8].try_into().expect("eight lanes");
    // SAFETY: eight floats.
    unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(lanes: &mut Lanes, first: usize, values: __m256) {
    let lanes: &mut [f32; 8] = (&mut lanes[first..][..8]).try_into().expect("eight lanes");
    // SAFETY: eight floats.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), values) };
}

//! Float weights: unpacking to columns of 16 rows, and their products with a lane a row.

use std::arch::x86_64::*;
use std::ops::Range;

use super::unpack::{Rows, high_halves, low_halves};
use crate::BlockFormat;
use crate::arch::{Sums, plain};
use crate::tile::{self, BLOCK, FloatTile, TILE_ROWS, TileSource};

/// Input rows at a time: with two tiles 16 sums.
const PANEL: usize = 8;

/// See [`tile::unpack_floats`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn unpack(source: &TileSource<'_>, tile: &mut FloatTile) {
    let (start, size) = source.chunk_range();
    let inside = source.rows.len() >= TILE_ROWS * source.row_bytes && start + size <= source.row_bytes;
    if source.n_rows != TILE_ROWS || !size.is_multiple_of(16) || !inside {
        return tile::unpack_floats(source, tile);
    }
    let rows = Rows { first: source.rows[start..].as_ptr(), stride: source.row_bytes };
    let per_load = 16 / source.format.block_bytes();
    for (at, columns) in (0..size).step_by(16).zip(tile.weights.chunks_exact_mut(per_load)) {
        // SAFETY: 16 bytes at `at` are inside the wanted columns of each of 16 rows.
        let loaded = unsafe { rows.dwords(at) };
        for (i, lanes) in loaded.into_iter().enumerate() {
            match source.format {
                BlockFormat::F16 => {
                    store(&mut columns[2 * i], low_halves(lanes));
                    store(&mut columns[2 * i + 1], high_halves(lanes));
                }
                BlockFormat::BF16 => {
                    let upper = _mm512_and_si512(lanes, _mm512_set1_epi32(0xffff_0000u32 as i32));
                    store(&mut columns[2 * i], _mm512_castsi512_ps(_mm512_slli_epi32::<16>(lanes)));
                    store(&mut columns[2 * i + 1], _mm512_castsi512_ps(upper));
                }
                _ => store(&mut columns[i], _mm512_castsi512_ps(lanes)),
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(to: &mut [f32; 16], values: __m512) {
    // SAFETY: 16 floats.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) };
}

/// See [`plain::multiply_floats`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn multiply(tiles: &[FloatTile], x: &[f32], row_len: usize, cols: Range<usize>, sums: &mut Sums) {
    let [first, second] = match tiles {
        [first, second] => [first, second],
        [only] => [only, only],
        _ => return plain::multiply_floats(tiles, x, row_len, cols, sums),
    };
    for (x, sums) in x.chunks(PANEL * row_len).zip(sums.chunks_mut(PANEL)) {
        macro_rules! with_rows {
            ($($n:literal)*) => {
                match x.len() / row_len {
                    $($n => panel::<$n>([first, second], x, row_len, cols.clone(), sums),)*
                    _ => unreachable!("a panel has 1 to 8 rows"),
                }
            };
        }
        with_rows!(1 2 3 4 5 6 7 8);
    }
}

/// `ROWS` input rows times two tiles, 32 columns at a time.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn panel<const ROWS: usize>(
    tiles: [&FloatTile; 2],
    x: &[f32],
    row_len: usize,
    cols: Range<usize>,
    sums: &mut Sums,
) {
    assert!(x.len() == ROWS * row_len && sums.len() >= ROWS && cols.end <= row_len);
    assert!(cols.len() <= tiles[0].weights.len());
    for start in (0..cols.len()).step_by(BLOCK) {
        let mut block = [[_mm512_setzero_ps(); 2]; ROWS];
        for col in start..cols.len().min(start + BLOCK) {
            // SAFETY: `col` is below the tiles' columns and `cols.start + col` below the length of a row.
            unsafe {
                let low = _mm512_loadu_ps(tiles[0].weights.get_unchecked(col).as_ptr());
                let high = _mm512_loadu_ps(tiles[1].weights.get_unchecked(col).as_ptr());
                for (row, block) in block.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*x.as_ptr().add(row * row_len + cols.start + col));
                    block[0] = _mm512_fmadd_ps(x, low, block[0]);
                    block[1] = _mm512_fmadd_ps(x, high, block[1]);
                }
            }
        }
        for (block, sums) in block.iter().zip(&mut *sums) {
            for (block, sums) in block.iter().zip(sums) {
                // SAFETY: 16 floats, read and written.
                unsafe {
                    let sum = _mm512_add_ps(_mm512_loadu_ps(sums.as_ptr()), *block);
                    _mm512_storeu_ps(sums.as_mut_ptr(), sum);
                }
            }
        }
    }
}

//! x86-64: the plain functions compiled for AVX2 and AVX-512, with products and dot products of their own for AVX-512.

use std::arch::x86_64::*;

use super::plain::{self, Block, Start};
use super::{LANES, LayerNorm, TILE_ROWS, Table};
use crate::Isa;

macro_rules! compiled {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn gelu(row: &mut [f32]) {
            plain::gelu(row);
        }
        #[target_feature(enable = $features)]
        pub(super) fn softmax(row: &mut [f32], scale: f32) {
            plain::softmax(row, scale);
        }
        #[target_feature(enable = $features)]
        pub(super) fn add_norm(x: &mut [f32], y: &[f32], norm: &LayerNorm<'_>) {
            plain::add_norm(x, y, norm);
        }
        #[target_feature(enable = $features)]
        pub(super) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
            plain::dot_f32(a, b)
        }
    };
}

mod avx2 {
    use super::*;

    compiled!("avx2,fma");

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn block(block: &Block<'_>, c: &mut [f32]) {
        plain::block::<true>(block, c);
    }
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
        plain::dot_i8(a, b)
    }
}

pub(super) static AVX2: Table = Table {
    isa: Isa::Avx2,
    block: avx2::block,
    gelu: avx2::gelu,
    softmax: avx2::softmax,
    add_norm: avx2::add_norm,
    dot_i8: avx2::dot_i8,
    dot_f32: avx2::dot_f32,
};

pub(super) static AVX512: Table = Table {
    isa: Isa::Avx512,
    block: avx512::block,
    gelu: avx512::gelu,
    softmax: avx512::softmax,
    add_norm: avx512::add_norm,
    dot_i8: avx512::dot_i8,
    dot_f32: avx512::dot_f32,
};

mod avx512 {
    use super::*;

    compiled!("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl");

    /// Tiles of up to 8 rows by 3 registers.
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn block(block: &Block<'_>, c: &mut [f32]) {
        assert!(block.fits(c), "a block of a product");
        let n_rows = block.shape.0;
        for row in (0..n_rows).step_by(TILE_ROWS) {
            macro_rules! with_shape {
                ($($rows:literal)*) => {
                    match (TILE_ROWS.min(n_rows - row), block.shape.2.div_ceil(LANES)) {
                        // SAFETY: the rows are inside the block, the block inside its slices, and the registers cover
                        // its columns.
                        $(($rows, 1) => unsafe { tile::<$rows, 1>(block, row, c) },
                        // SAFETY: as above.
                        ($rows, 2) => unsafe { tile::<$rows, 2>(block, row, c) },
                        // SAFETY: as above.
                        ($rows, 3) => unsafe { tile::<$rows, 3>(block, row, c) },)*
                        _ => unreachable!("a tile has 1 to 8 rows and 1 to 3 registers"),
                    }
                };
            }
            with_shape!(1 2 3 4 5 6 7 8);
        }
    }

    /// `ROWS` rows by `REGISTERS` registers of a block, from row `row` on.
    ///
    /// # Safety
    /// The block fits and has the rows; its columns need just `REGISTERS` registers.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn tile<const ROWS: usize, const REGISTERS: usize>(block: &Block<'_>, row: usize, c: &mut [f32]) {
        let (_, depth, n_cols) = block.shape;
        let last = REGISTERS - 1;
        let mask = |i: usize| if i == last { u16::MAX >> (REGISTERS * LANES - n_cols) } else { u16::MAX };
        let c = c.as_mut_ptr().wrapping_add(row * block.c_stride);
        let mut sums = [[_mm512_setzero_ps(); REGISTERS]; ROWS];
        for (r, sums) in sums.iter_mut().enumerate() {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the mask ends with the last column; rows and columns are inside the slices.
                *sum = unsafe {
                    match block.start {
                        Start::Zero => _mm512_setzero_ps(),
                        Start::Bias(bias) => _mm512_maskz_loadu_ps(mask(i), bias.as_ptr().add(i * LANES)),
                        Start::Continue => {
                            _mm512_maskz_loadu_ps(mask(i), c.add(r * block.c_stride + i * LANES))
                        }
                    }
                };
            }
        }
        let a = block.a.as_ptr().wrapping_add(row * block.a_stride);
        let mut b = block.b.as_ptr();
        for k in 0..depth {
            // SAFETY: row k of b and column k of a are inside their slices.
            unsafe {
                let mut columns = [_mm512_setzero_ps(); REGISTERS];
                for (i, column) in columns.iter_mut().enumerate() {
                    *column = if i == last {
                        _mm512_maskz_loadu_ps(mask(i), b.add(i * LANES))
                    } else {
                        _mm512_loadu_ps(b.add(i * LANES))
                    };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let value = _mm512_set1_ps(*a.add(r * block.a_stride + k));
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_fmadd_ps(value, column, *sum);
                    }
                }
            }
            b = b.wrapping_add(block.b_stride);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (i, sum) in sums.iter().enumerate() {
                // SAFETY: as for the loads.
                unsafe {
                    let to = c.add(r * block.c_stride + i * LANES);
                    // A load right behind a masked store waits for it to reach the cache.
                    if mask(i) == u16::MAX {
                        _mm512_storeu_ps(to, *sum);
                    } else {
                        _mm512_mask_storeu_ps(to, mask(i), *sum);
                    }
                }
            }
        }
    }

    /// Products of bytes need one side without a sign: a + 128, less 128 times the sum of b.
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
        let n = a.len().min(b.len());
        let (mut products, mut sums) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        let (flip, ones) = (_mm512_set1_epi8(i8::MIN), _mm512_set1_epi8(1));
        for at in (0..n).step_by(64) {
            let mask = if n - at >= 64 { u64::MAX } else { u64::MAX >> (64 - (n - at)) };
            // SAFETY: the mask ends with the slices.
            let (a, b) = unsafe {
                (
                    _mm512_maskz_loadu_epi8(mask, a.as_ptr().add(at)),
                    _mm512_maskz_loadu_epi8(mask, b.as_ptr().add(at)),
                )
            };
            products = _mm512_dpbusd_epi32(products, _mm512_xor_si512(a, flip), b);
            sums = _mm512_dpbusd_epi32(sums, ones, b);
        }
        _mm512_reduce_add_epi32(products) - 128 * _mm512_reduce_add_epi32(sums)
    }
}

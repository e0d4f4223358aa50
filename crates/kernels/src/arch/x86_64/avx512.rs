//! AVX-512 F, BW, DQ, VL and VNNI.
//!
//! Products: a register holds four columns of the 16 rows of a tile; one `vpdpbusd` multiplies it with four values
//! of an input row (broadcast from memory) into 16 exact sums. The sums of a panel of up to [`PANEL`] input rows and two
//! tiles live in registers through a block of 32 columns, then are scaled and added as `plain` defines.
//!
//! What is not written by hand here is `plain`, compiled with these features.

mod attention;
mod floats;
mod unpack;

use std::arch::x86_64::*;

use crate::activation::{ActivationChunk, RowChunk};
use crate::arch::{Dispatch, Isa, Sums, compiled_plain, plain};
use crate::format::CodeKind;
use crate::tile::{BLOCK, CHUNK_BLOCKS, TILE_ROWS, Tile};

/// The kernels for a processor that [`has_avx512`](super::has_avx512).
pub(crate) fn table() -> Dispatch {
    Dispatch {
        prefetch: super::prefetch,
        unpack: unpack::unpack,
        multiply,
        unpack_floats: floats::unpack,
        multiply_floats: floats::multiply,
        load_keys: attention::load_keys,
        load_values: attention::load_values,
        attend: attention::attend,
        ..compiled_plain!(Isa::Avx512, "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
    }
}

/// Input rows multiplied at a time: with two tiles 12 integer and 12 float sums, which leaves registers for two columns of
/// weights and an input. (Measured on Cascade Lake, of 640 Gop/s: 4 rows 330, 6 rows 362, 8 rows 368; three rows x four
/// tiles 350.)
const PANEL: usize = 6;

/// See [`plain::multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply(kind: CodeKind, tiles: &[Tile], x: &ActivationChunk<'_>, sums: &mut Sums) {
    match (tiles, kind) {
        ([first, second], CodeKind::Offset { .. }) => by_panels::<2, false>([first, second], x, sums),
        ([first, second], CodeKind::CentredHalves) => by_panels::<2, true>([first, second], x, sums),
        ([only], CodeKind::Offset { .. }) => by_panels::<1, false>([only], x, sums),
        ([only], CodeKind::CentredHalves) => by_panels::<1, true>([only], x, sums),
        _ => plain::multiply(kind, tiles, x, sums),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn by_panels<const TILES: usize, const HALVES: bool>(
    tiles: [&Tile; TILES],
    x: &ActivationChunk<'_>,
    sums: &mut Sums,
) {
    let sums = &mut sums[..x.rows.len()];
    for (rows, sums) in x.rows.chunks(PANEL).zip(sums.chunks_mut(PANEL)) {
        match rows.len() {
            6 => panel::<TILES, HALVES, 6>(tiles, rows, x.n_blocks, sums),
            5 => panel::<TILES, HALVES, 5>(tiles, rows, x.n_blocks, sums),
            4 => panel::<TILES, HALVES, 4>(tiles, rows, x.n_blocks, sums),
            3 => panel::<TILES, HALVES, 3>(tiles, rows, x.n_blocks, sums),
            2 => panel::<TILES, HALVES, 2>(tiles, rows, x.n_blocks, sums),
            _ => panel::<TILES, HALVES, 1>(tiles, rows, x.n_blocks, sums),
        }
    }
}

/// `ROWS` input rows times the tiles.
///
/// Written with pointers that step from block to block: with indices the compiler sees that there are at most eight
/// blocks and unrolls them all, and the 12 KB of code that makes no longer come from the decoded-instruction cache.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn panel<const TILES: usize, const HALVES: bool, const ROWS: usize>(
    tiles: [&Tile; TILES],
    rows: &[RowChunk],
    n_blocks: usize,
    sums: &mut Sums,
) {
    let rows: &[RowChunk; ROWS] = rows.try_into().expect("a panel's rows");
    let sums: &mut [[[f32; TILE_ROWS]; 2]; ROWS] = sums.try_into().expect("a panel's sums");
    assert!(n_blocks <= CHUNK_BLOCKS);
    let mut total = [[_mm512_setzero_ps(); TILES]; ROWS];
    for (total, sums) in total.iter_mut().zip(&*sums) {
        for (total, sums) in total.iter_mut().zip(sums) {
            *total = load_floats(sums.as_ptr());
        }
    }
    let mut at = BlockPointers {
        q: rows[0].q.as_ptr().cast(),
        scale: rows[0].scale.as_ptr(),
        total: rows[0].total.as_ptr(),
        centres: rows[0].centres.as_ptr().cast(),
        codes: tiles.map(|tile| tile.codes.as_ptr().cast()),
        scales: tiles.map(|tile| tile.scale.as_ptr().cast()),
        offsets: tiles.map(|tile| tile.offset.as_ptr().cast()),
    };
    for _ in 0..n_blocks {
        // SAFETY: `at` points to a block below `n_blocks` of each tile and of the first of `ROWS` rows.
        unsafe { add_block::<TILES, HALVES, ROWS>(&at, &mut total) };
        at.step(if HALVES { 2 } else { 1 });
    }
    for (total, sums) in total.iter().zip(sums) {
        for (total, sums) in total.iter().zip(sums) {
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *total) };
        }
    }
}

/// Where a block of the tiles and of a panel's first row is; the other rows are one `RowChunk` further each.
struct BlockPointers<const TILES: usize> {
    q: *const i8,
    scale: *const f32,
    total: *const f32,
    centres: *const i32,
    codes: [*const u8; TILES],
    scales: [*const f32; TILES],
    offsets: [*const f32; TILES],
}

impl<const TILES: usize> BlockPointers<TILES> {
    /// To the next block, which is `scales` sub-blocks of scales further.
    #[inline(always)]
    fn step(&mut self, scales: usize) {
        self.q = self.q.wrapping_add(BLOCK);
        self.scale = self.scale.wrapping_add(1);
        self.total = self.total.wrapping_add(1);
        self.centres = self.centres.wrapping_add(2);
        for tile in 0..TILES {
            self.codes[tile] = self.codes[tile].wrapping_add(4 * TILE_ROWS * BLOCK / 4);
            self.scales[tile] = self.scales[tile].wrapping_add(scales * TILE_ROWS);
            self.offsets[tile] = self.offsets[tile].wrapping_add(TILE_ROWS);
        }
    }

    /// Dot products of groups of four columns of the block, which start at 0 or at a row's `centres[half]`.
    ///
    /// # Safety
    /// The pointers are to a block of each tile and of the first of `ROWS` consecutive rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn dots<const ROWS: usize>(
        &self,
        groups: std::ops::Range<usize>,
        centre: Option<usize>,
    ) -> [[__m512i; TILES]; ROWS] {
        let mut dots = [[_mm512_setzero_si512(); TILES]; ROWS];
        if let Some(half) = centre {
            for (row, dots) in dots.iter_mut().enumerate() {
                // SAFETY: a row that the pointers reach has two centres for the block.
                let centre = unsafe { self.centres.byte_add(row * size_of::<RowChunk>()).add(half).read() };
                *dots = [_mm512_set1_epi32(centre); TILES];
            }
        }
        for group in groups {
            let mut codes = [_mm512_setzero_si512(); TILES];
            for (codes, from) in codes.iter_mut().zip(self.codes) {
                // SAFETY: a block has 8 groups of 64 bytes.
                *codes = unsafe { _mm512_loadu_si512(from.add(4 * TILE_ROWS * group).cast()) };
            }
            for (row, dots) in dots.iter_mut().enumerate() {
                // SAFETY: four i8 of a row that the pointers reach, read as one i32.
                let q = unsafe {
                    self.q.add(row * size_of::<RowChunk>() + 4 * group).cast::<i32>().read_unaligned()
                };
                let q = _mm512_set1_epi32(q);
                for (dot, codes) in dots.iter_mut().zip(codes) {
                    *dot = _mm512_dpbusd_epi32(*dot, codes, q);
                }
            }
        }
        dots
    }
}

/// Adds a block's products to the sums.
///
/// # Safety
/// The pointers are to a block of each tile and of the first of `ROWS` consecutive rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn add_block<const TILES: usize, const HALVES: bool, const ROWS: usize>(
    at: &BlockPointers<TILES>,
    total: &mut [[__m512; TILES]; ROWS],
) {
    // SAFETY: promised by the caller.
    let of_row = |value: *const f32, row: usize| unsafe {
        _mm512_set1_ps(value.byte_add(row * size_of::<RowChunk>()).read())
    };
    if HALVES {
        // SAFETY: promised by the caller.
        let first = unsafe { at.dots::<ROWS>(0..4, Some(0)) };
        let mut half = [[_mm512_setzero_ps(); TILES]; ROWS];
        for (half, first) in half.iter_mut().zip(first) {
            for tile in 0..TILES {
                half[tile] = _mm512_mul_ps(_mm512_cvtepi32_ps(first[tile]), load_floats(at.scales[tile]));
            }
        }
        // SAFETY: promised by the caller.
        let second = unsafe { at.dots::<ROWS>(4..8, Some(1)) };
        for (row, total) in total.iter_mut().enumerate() {
            let input_scale = of_row(at.scale, row);
            for (tile, total) in total.iter_mut().enumerate() {
                let scale = load_floats(at.scales[tile].wrapping_add(TILE_ROWS));
                let both = _mm512_fmadd_ps(_mm512_cvtepi32_ps(second[row][tile]), scale, half[row][tile]);
                *total = _mm512_fmadd_ps(both, input_scale, *total);
            }
        }
        return;
    }
    // SAFETY: promised by the caller.
    let dots = unsafe { at.dots::<ROWS>(0..8, None) };
    for (row, total) in total.iter_mut().enumerate() {
        let input_scale = of_row(at.scale, row);
        for (tile, total) in total.iter_mut().enumerate() {
            *total = _mm512_fmadd_ps(load_floats(at.offsets[tile]), of_row(at.total, row), *total);
            let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[row][tile]), input_scale);
            *total = _mm512_fmadd_ps(scaled, load_floats(at.scales[tile]), *total);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_floats(lanes: *const f32) -> __m512 {
    // SAFETY: only called with pointers to the 16 floats of a tile's or a sum's lanes.
    unsafe { _mm512_loadu_ps(lanes) }
}

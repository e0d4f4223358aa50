//! AVX-512 F, BW, DQ, VL and VNNI.
//!
//! Products: a register holds four columns of the 16 rows of a tile; one `vpdpbusd` multiplies it with four values
//! of an input row (broadcast from memory) into 16 exact sums. The sums of a panel of up to [`PANEL`] input rows and two
//! tiles live in registers through a block of 32 columns, then are scaled and added as `plain` defines.
//!
//! What is not written by hand here is `plain`, compiled with these features.

mod attention;
mod unpack;

use std::arch::x86_64::*;

use crate::activation::{ActivationChunk, RowChunk};
use crate::arch::{Dispatch, Isa, Sums, compiled_plain, plain};
use crate::format::CodeKind;
use crate::tile::{TILE_ROWS, Tile};

/// The kernels for a processor that [`has_avx512`](super::has_avx512).
pub(crate) fn table() -> Dispatch {
    Dispatch {
        unpack: unpack::unpack,
        multiply,
        ..compiled_plain!(Isa::Avx512, "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
    }
}

/// Input rows multiplied at a time: with two tiles 12 integer sums and 12 float sums, which leaves registers for
/// two columns of weights and an input.
const PANEL: usize = 6;

/// See [`plain::multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply(kind: CodeKind, tiles: &[Tile], x: &ActivationChunk<'_>, sums: &mut Sums) {
    match (tiles, kind) {
        ([first, second], CodeKind::Centred { .. }) => {
            by_panels::<2, CENTRED>(kind, [first, second], x, sums)
        }
        ([first, second], CodeKind::Offset) => by_panels::<2, OFFSET>(kind, [first, second], x, sums),
        ([first, second], CodeKind::CentredHalves) => by_panels::<2, HALVES>(kind, [first, second], x, sums),
        ([only], CodeKind::Centred { .. }) => by_panels::<1, CENTRED>(kind, [only], x, sums),
        ([only], CodeKind::Offset) => by_panels::<1, OFFSET>(kind, [only], x, sums),
        ([only], CodeKind::CentredHalves) => by_panels::<1, HALVES>(kind, [only], x, sums),
        _ => plain::multiply(kind, tiles, x, sums),
    }
}

// The kinds of codes, as constants that a kernel is compiled for.
const CENTRED: u8 = 0;
const OFFSET: u8 = 1;
const HALVES: u8 = 2;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn by_panels<const TILES: usize, const KIND: u8>(
    kind: CodeKind,
    tiles: [&Tile; TILES],
    x: &ActivationChunk<'_>,
    sums: &mut Sums,
) {
    let centre = match kind {
        CodeKind::Centred { shift } => _mm512_set1_epi16(-1i16 << shift),
        _ => _mm512_setzero_si512(),
    };
    let sums = &mut sums[..x.rows.len()];
    for (rows, sums) in x.rows.chunks(PANEL).zip(sums.chunks_mut(PANEL)) {
        match rows.len() {
            6 => panel::<TILES, KIND, 6>(tiles, centre, rows, x.n_blocks, sums),
            5 => panel::<TILES, KIND, 5>(tiles, centre, rows, x.n_blocks, sums),
            4 => panel::<TILES, KIND, 4>(tiles, centre, rows, x.n_blocks, sums),
            3 => panel::<TILES, KIND, 3>(tiles, centre, rows, x.n_blocks, sums),
            2 => panel::<TILES, KIND, 2>(tiles, centre, rows, x.n_blocks, sums),
            _ => panel::<TILES, KIND, 1>(tiles, centre, rows, x.n_blocks, sums),
        }
    }
}

/// `ROWS` input rows times the tiles. `centre` is -2^shift in each 16 bits: times the two halves' sums of an input
/// block and added, it is where its dot products start.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn panel<const TILES: usize, const KIND: u8, const ROWS: usize>(
    tiles: [&Tile; TILES],
    centre: __m512i,
    rows: &[RowChunk],
    n_blocks: usize,
    sums: &mut Sums,
) {
    let rows: &[RowChunk; ROWS] = rows.try_into().expect("a panel's rows");
    let sums: &mut [[[f32; TILE_ROWS]; 2]; ROWS] = sums.try_into().expect("a panel's sums");
    let mut total = [[_mm512_setzero_ps(); TILES]; ROWS];
    for (total, sums) in total.iter_mut().zip(&*sums) {
        for (total, sums) in total.iter_mut().zip(sums) {
            *total = load_floats(sums);
        }
    }
    for block in 0..n_blocks {
        if KIND == HALVES {
            let first = dots::<TILES, ROWS>(tiles, rows, block, 0..4, _mm512_set1_epi32(0xffe0));
            let mut half = [[_mm512_setzero_ps(); TILES]; ROWS];
            for row in 0..ROWS {
                for tile in 0..TILES {
                    let scale = load_floats(&tiles[tile].scale[2 * block]);
                    half[row][tile] = _mm512_mul_ps(_mm512_cvtepi32_ps(first[row][tile]), scale);
                }
            }
            let second = dots::<TILES, ROWS>(tiles, rows, block, 4..8, _mm512_set1_epi32(-32 << 16));
            for row in 0..ROWS {
                let input_scale = _mm512_set1_ps(rows[row].scale[block]);
                for tile in 0..TILES {
                    let scale = load_floats(&tiles[tile].scale[2 * block + 1]);
                    let both = _mm512_fmadd_ps(_mm512_cvtepi32_ps(second[row][tile]), scale, half[row][tile]);
                    total[row][tile] = _mm512_fmadd_ps(both, input_scale, total[row][tile]);
                }
            }
        } else {
            let dots = dots::<TILES, ROWS>(tiles, rows, block, 0..8, centre);
            for row in 0..ROWS {
                let input_scale = _mm512_set1_ps(rows[row].scale[block]);
                let input_total = _mm512_set1_ps(rows[row].total[block]);
                for tile in 0..TILES {
                    if KIND == OFFSET {
                        let offset = load_floats(&tiles[tile].offset[block]);
                        total[row][tile] = _mm512_fmadd_ps(offset, input_total, total[row][tile]);
                    }
                    let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[row][tile]), input_scale);
                    let scale = load_floats(&tiles[tile].scale[block]);
                    total[row][tile] = _mm512_fmadd_ps(scaled, scale, total[row][tile]);
                }
            }
        }
    }
    for (total, sums) in total.iter().zip(sums) {
        for (total, sums) in total.iter().zip(sums) {
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *total) };
        }
    }
}

/// Dot products of groups of four columns of a block, started at `centre` times the sums of the block's halves.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dots<const TILES: usize, const ROWS: usize>(
    tiles: [&Tile; TILES],
    rows: &[RowChunk; ROWS],
    block: usize,
    groups: std::ops::Range<usize>,
    centre: __m512i,
) -> [[__m512i; TILES]; ROWS] {
    let mut dots = [[_mm512_setzero_si512(); TILES]; ROWS];
    for (dots, row) in dots.iter_mut().zip(rows) {
        // SAFETY: two i16 are read as one i32, which need not be aligned.
        let sums = unsafe { row.sums[block].as_ptr().cast::<i32>().read_unaligned() };
        *dots = [_mm512_madd_epi16(_mm512_set1_epi32(sums), centre); TILES];
    }
    for group in groups {
        let mut codes = [_mm512_setzero_si512(); TILES];
        for (codes, tile) in codes.iter_mut().zip(tiles) {
            // SAFETY: 64 bytes.
            *codes = unsafe { _mm512_loadu_si512(tile.codes[8 * block + group].as_ptr().cast()) };
        }
        for (dots, row) in dots.iter_mut().zip(rows) {
            // SAFETY: four i8 are read as one i32, which need not be aligned; a group is below 8.
            let q = unsafe { row.q[block].as_ptr().cast::<i32>().add(group).read_unaligned() };
            let q = _mm512_set1_epi32(q);
            for (dot, codes) in dots.iter_mut().zip(codes) {
                *dot = _mm512_dpbusd_epi32(*dot, codes, q);
            }
        }
    }
    dots
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_floats(lanes: &[f32; 16]) -> __m512 {
    // SAFETY: 16 floats.
    unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
}

//! AVX-512 F, BW, DQ, VL and VNNI.
//!
//! Products: a register holds four columns of the 16 rows of a tile; one `vpdpbusd` multiplies it with four values
//! of an input row (broadcast from memory) into 16 exact sums. The sums of a panel of up to [`PANEL`] input rows and two
//! tiles live in registers through a block of 32 columns, then are scaled and added as `plain` defines.
//!
//! Two thirds of the arithmetic units' time are these products; the rest is making floats of the sums. What keeps it so low:
//! - the integer sums start at the bits of [`ROUND_MAGIC`], 1.5 * 2^23, so that they *are* floats, larger by that, and
//!   `dot * scale` is one fused multiply-subtract, exact until its one rounding because a scale has 22 bits;
//! - codes around a centre have -centre * Σq in that start too, and no offset to add.
//!
//! What is not written by hand here is `plain`, compiled with these features.

mod attention;
mod floats;
mod one_row;
mod panel;
mod unpack;

use std::arch::x86_64::*;

use crate::activation::{ActivationChunk, RowChunk};
use crate::arch::{Dispatch, Isa, Sums, compiled_plain, plain};
use crate::format::CodeKind;
use crate::math::ROUND_MAGIC;
use crate::tile::{BLOCK, CHUNK_BLOCKS, TILE_ROWS, Tile};

/// The kernels for a processor that [`has_avx512`](super::has_avx512).
pub(crate) fn table() -> Dispatch {
    Dispatch {
        prefetch: super::prefetch,
        unpack: unpack::unpack,
        multiply,
        multiply_one: one_row::multiply_one,
        unpack_floats: floats::unpack,
        multiply_floats: floats::multiply,
        load_keys: attention::load_keys,
        load_values: attention::load_values,
        attend: attention::attend,
        attend_one: attention::attend_one,
        ..compiled_plain!(Isa::Avx512, "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
    }
}

/// Input rows multiplied at a time: with two tiles 12 integer and 12 float sums, which leaves registers for two columns of
/// weights and an input. (Measured on Cascade Lake, of 640 Gop/s: 4 rows 330, 6 rows 362, 8 rows 368; three rows x four
/// tiles 350.)
const PANEL: usize = 6;

/// How a panel is computed: the [`CodeKind`] as a constant, which generics take.
type Kind = u8;
const OFFSET: Kind = 0;
const CENTRED: Kind = 1;
const HALVES: Kind = 2;

/// See [`plain::multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply(kind: CodeKind, tiles: &[Tile], x: &ActivationChunk<'_>, sums: &mut Sums) {
    match (tiles.len(), kind) {
        (2, CodeKind::Offset) => by_panels::<2, OFFSET>(kind, tiles, x, sums),
        (2, CodeKind::Centred { .. }) => by_panels::<2, CENTRED>(kind, tiles, x, sums),
        (2, CodeKind::CentredHalves) => by_panels::<2, HALVES>(kind, tiles, x, sums),
        (1, CodeKind::Offset) => by_panels::<1, OFFSET>(kind, tiles, x, sums),
        (1, CodeKind::Centred { .. }) => by_panels::<1, CENTRED>(kind, tiles, x, sums),
        (1, CodeKind::CentredHalves) => by_panels::<1, HALVES>(kind, tiles, x, sums),
        _ => plain::multiply(kind, tiles, x, sums),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn by_panels<const TILES: usize, const KIND: Kind>(
    kind: CodeKind,
    tiles: &[Tile],
    x: &ActivationChunk<'_>,
    sums: &mut Sums,
) {
    let sums = &mut sums[..x.rows.len()];
    for (rows, sums) in x.rows.chunks(PANEL).zip(sums.chunks_mut(PANEL)) {
        let done = match rows.len() {
            6 => match (KIND, tiles) {
                (OFFSET | CENTRED, [first, second]) => {
                    six_rows::<KIND>(kind, [first, second], rows, x.n_blocks, sums)
                }
                _ => panel::<TILES, KIND, 6>(kind, tiles, rows, x.n_blocks, sums),
            },
            5 => panel::<TILES, KIND, 5>(kind, tiles, rows, x.n_blocks, sums),
            4 => panel::<TILES, KIND, 4>(kind, tiles, rows, x.n_blocks, sums),
            3 => panel::<TILES, KIND, 3>(kind, tiles, rows, x.n_blocks, sums),
            2 => panel::<TILES, KIND, 2>(kind, tiles, rows, x.n_blocks, sums),
            _ => panel::<TILES, KIND, 1>(kind, tiles, rows, x.n_blocks, sums),
        };
        if !done {
            plain::multiply(kind, tiles, &ActivationChunk { n_blocks: x.n_blocks, rows }, sums);
        }
    }
}

/// What integer sums of a panel's rows start at, and what makes floats of them again; by block.
struct Starts<const ROWS: usize> {
    /// Bits of ROUND_MAGIC; for codes around a centre less centre * Σq.
    dots: [[i32; CHUNK_BLOCKS]; ROWS],
    /// ROUND_MAGIC * scale, which is exact.
    magic: [[f32; CHUNK_BLOCKS]; ROWS],
}

impl<const ROWS: usize> Starts<ROWS> {
    /// `None` where ROUND_MAGIC * scale is no float any more: inputs above 1e33.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn new(kind: CodeKind, rows: &[RowChunk; ROWS]) -> Option<Self> {
        let mut starts = Starts { dots: [[0; CHUNK_BLOCKS]; ROWS], magic: [[0.0; CHUNK_BLOCKS]; ROWS] };
        let (magic, infinity) = (_mm256_set1_ps(ROUND_MAGIC), _mm256_set1_ps(f32::INFINITY));
        let mut too_large = 0;
        for (row, chunk) in rows.iter().enumerate() {
            // SAFETY: eight scales and eight pairs of centres are read, eight of either written.
            unsafe {
                let scaled = _mm256_mul_ps(_mm256_loadu_ps(chunk.scale.as_ptr()), magic);
                too_large |= _mm256_cmp_ps_mask::<_CMP_EQ_OQ>(scaled, infinity);
                _mm256_storeu_ps(starts.magic[row].as_mut_ptr(), scaled);
                if let CodeKind::Centred { centre } = kind {
                    let halves = _mm512_loadu_si512(chunk.centres.as_ptr().cast()); // -32 * sums of q
                    let both = _mm512_add_epi32(halves, _mm512_srli_epi64::<32>(halves));
                    let sums = _mm256_srai_epi32::<5>(_mm512_cvtepi64_epi32(both));
                    let centred = _mm256_mullo_epi32(sums, _mm256_set1_epi32(i32::from(centre)));
                    let start = _mm256_add_epi32(centred, _mm256_castps_si256(magic));
                    _mm256_storeu_si256(starts.dots[row].as_mut_ptr().cast(), start);
                }
            }
        }
        (too_large == 0).then_some(starts)
    }
}

/// [`panel`] for six rows and two tiles, the case that a prefill's time goes to.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn six_rows<const KIND: Kind>(
    kind: CodeKind,
    tiles: [&Tile; 2],
    rows: &[RowChunk],
    n_blocks: usize,
    sums: &mut Sums,
) -> bool {
    let rows: &[RowChunk; 6] = rows.try_into().expect("a panel's rows");
    let sums: &mut [[[f32; TILE_ROWS]; 2]; 6] = sums.try_into().expect("a panel's sums");
    assert!(n_blocks <= CHUNK_BLOCKS);
    let Some(starts) = Starts::new(kind, rows) else { return false };
    if n_blocks > 0 {
        // SAFETY: the target features are those of this function; there are 1 to 8 blocks.
        unsafe {
            match KIND {
                OFFSET => panel::offset(tiles, rows, &starts.magic, n_blocks, sums),
                _ => panel::centred(tiles, rows, (&starts.dots, &starts.magic), n_blocks, sums),
            }
        }
    }
    true
}

/// `ROWS` input rows times the tiles. Says whether it could: not with inputs above 1e33.
///
/// Written with pointers that step from block to block: with indices the compiler sees that there are at most eight
/// blocks and unrolls them all, and the 12 KB of code that makes no longer come from the decoded-instruction cache.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn panel<const TILES: usize, const KIND: Kind, const ROWS: usize>(
    kind: CodeKind,
    tiles: &[Tile],
    rows: &[RowChunk],
    n_blocks: usize,
    sums: &mut Sums,
) -> bool {
    let tiles: &[Tile; TILES] = tiles.try_into().expect("a panel's tiles");
    let rows: &[RowChunk; ROWS] = rows.try_into().expect("a panel's rows");
    let sums: &mut [[[f32; TILE_ROWS]; 2]; ROWS] = sums.try_into().expect("a panel's sums");
    assert!(n_blocks <= CHUNK_BLOCKS);
    let Some(starts) = Starts::new(kind, rows) else { return false };
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
        start: starts.dots.as_ptr().cast(),
        magic: starts.magic.as_ptr().cast(),
        codes: tiles.each_ref().map(|tile| tile.codes.as_ptr().cast()),
        scales: tiles.each_ref().map(|tile| tile.scale.as_ptr().cast()),
        offsets: tiles.each_ref().map(|tile| tile.offset.as_ptr().cast()),
    };
    for _ in 0..n_blocks {
        // SAFETY: `at` points to a block below `n_blocks` of each tile and of the first of `ROWS` rows.
        unsafe { add_block::<TILES, KIND, ROWS>(&at, &mut total) };
        at.step(if KIND == HALVES { 2 } else { 1 });
    }
    for (total, sums) in total.iter().zip(sums) {
        for (total, sums) in total.iter().zip(sums) {
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *total) };
        }
    }
    true
}

/// Where a block of the tiles and of a panel's first row is; the other rows are one `RowChunk` further each, or one row
/// of [`Starts`].
struct BlockPointers<const TILES: usize> {
    q: *const i8,
    scale: *const f32,
    total: *const f32,
    centres: *const i32,
    start: *const i32,
    magic: *const f32,
    codes: [*const u8; TILES],
    scales: [*const f32; TILES],
    offsets: [*const f32; TILES],
}

/// The first value of an integer sum.
#[derive(Clone, Copy)]
enum Start {
    /// The bits of ROUND_MAGIC.
    Magic,
    /// A row's entry in [`Starts`].
    Centred,
    /// A row's `centres[half]`.
    Half(usize),
}

impl<const TILES: usize> BlockPointers<TILES> {
    /// To the next block, which is `scales` sub-blocks of scales further.
    #[inline(always)]
    fn step(&mut self, scales: usize) {
        self.q = self.q.wrapping_add(BLOCK);
        self.scale = self.scale.wrapping_add(1);
        self.total = self.total.wrapping_add(1);
        self.centres = self.centres.wrapping_add(2);
        self.start = self.start.wrapping_add(1);
        self.magic = self.magic.wrapping_add(1);
        for tile in 0..TILES {
            self.codes[tile] = self.codes[tile].wrapping_add(4 * TILE_ROWS * BLOCK / 4);
            self.scales[tile] = self.scales[tile].wrapping_add(scales * TILE_ROWS);
            self.offsets[tile] = self.offsets[tile].wrapping_add(TILE_ROWS);
        }
    }

    /// Dot products of groups of four columns of the block, added to `start`.
    ///
    /// # Safety
    /// The pointers are to a block of each tile, of the first of `ROWS` consecutive rows and of their [`Starts`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn dots<const ROWS: usize>(
        &self,
        groups: std::ops::Range<usize>,
        start: Start,
    ) -> [[__m512i; TILES]; ROWS] {
        let mut dots = [[_mm512_castps_si512(_mm512_set1_ps(ROUND_MAGIC)); TILES]; ROWS];
        for (row, dots) in dots.iter_mut().enumerate() {
            // SAFETY: rows that the pointers reach have two centres for the block and one start.
            let first = unsafe {
                match start {
                    Start::Magic => continue,
                    Start::Centred => self.start.add(row * CHUNK_BLOCKS).read(),
                    Start::Half(half) => self.centres.byte_add(row * size_of::<RowChunk>()).add(half).read(),
                }
            };
            *dots = [_mm512_set1_epi32(first); TILES];
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

    /// A value of row `row`, in every lane.
    ///
    /// # Safety
    /// As for [`dots`](Self::dots); `value` is one of the pointers.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn of_row(value: *const f32, row: usize) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_set1_ps(value.byte_add(row * size_of::<RowChunk>()).read()) }
    }
}

/// Adds a block's products to the sums.
///
/// # Safety
/// The pointers are to a block of each tile, of the first of `ROWS` consecutive rows and of their [`Starts`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn add_block<const TILES: usize, const KIND: Kind, const ROWS: usize>(
    at: &BlockPointers<TILES>,
    total: &mut [[__m512; TILES]; ROWS],
) {
    if KIND == HALVES {
        // SAFETY: the same contract.
        return unsafe { add_halves(at, total) };
    }
    let start = if KIND == CENTRED { Start::Centred } else { Start::Magic };
    // SAFETY: promised by the caller.
    let dots = unsafe { at.dots::<ROWS>(0..8, start) };
    for (row, total) in total.iter_mut().enumerate() {
        // SAFETY: promised by the caller.
        let (scale, magic) = unsafe {
            let magic = at.magic.add(row * CHUNK_BLOCKS).read();
            (BlockPointers::<TILES>::of_row(at.scale, row), _mm512_set1_ps(magic))
        };
        for (tile, total) in total.iter_mut().enumerate() {
            if KIND == OFFSET {
                // SAFETY: promised by the caller.
                let input_total = unsafe { BlockPointers::<TILES>::of_row(at.total, row) };
                *total = _mm512_fmadd_ps(load_floats(at.offsets[tile]), input_total, *total);
            }
            let scaled = _mm512_fmsub_ps(_mm512_castsi512_ps(dots[row][tile]), scale, magic);
            *total = _mm512_fmadd_ps(scaled, load_floats(at.scales[tile]), *total);
        }
    }
}

/// [`add_block`] for blocks whose halves have scales of their own.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn add_halves<const TILES: usize, const ROWS: usize>(
    at: &BlockPointers<TILES>,
    total: &mut [[__m512; TILES]; ROWS],
) {
    // SAFETY: promised by the caller.
    let first = unsafe { at.dots::<ROWS>(0..4, Start::Half(0)) };
    let mut half = [[_mm512_setzero_ps(); TILES]; ROWS];
    for (half, first) in half.iter_mut().zip(first) {
        for tile in 0..TILES {
            half[tile] = _mm512_mul_ps(_mm512_cvtepi32_ps(first[tile]), load_floats(at.scales[tile]));
        }
    }
    // SAFETY: promised by the caller.
    let second = unsafe { at.dots::<ROWS>(4..8, Start::Half(1)) };
    for (row, total) in total.iter_mut().enumerate() {
        // SAFETY: promised by the caller.
        let input_scale = unsafe { BlockPointers::<TILES>::of_row(at.scale, row) };
        for (tile, total) in total.iter_mut().enumerate() {
            let scale = load_floats(at.scales[tile].wrapping_add(TILE_ROWS));
            let both = _mm512_fmadd_ps(_mm512_cvtepi32_ps(second[row][tile]), scale, half[row][tile]);
            *total = _mm512_fmadd_ps(both, input_scale, *total);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_floats(lanes: *const f32) -> __m512 {
    // SAFETY: only called with pointers to the 16 floats of a tile's or a sum's lanes.
    unsafe { _mm512_loadu_ps(lanes) }
}

//! Products of a few input rows with Q4_K and Q6_K weights, as 64 tokens give each of 32 experts: 16 rows of weights at a time,
//! unpacked a piece at a time in between the products. A piece is multiplied with all rows while the next one is being
//! transposed, which other execution units do; a whole tile first and then its products (`k_tiles`, `panel`) costs a third more
//! for eight rows, half as much again for four. More rows share a tile, which is unpacked once for all of them.
//!
//! ```text
//! zmm0-7    integer sums of a block, a row each; between blocks, what unpacking works on
//! zmm8-15   float sums                            zmm16-23  Q6_K: the first half's scaled sums; temporaries before
//! zmm24-31  codes, scales and masks of bits
//! ```
//! Q4_K keeps both nibbles of a byte together: the upper ones are multiplied where they stand, sixteen times as large, with a
//! sixteenth of their scale. Both are powers of two, so no bit of a sum changes. The sums are those of
//! [`plain::multiply`](crate::arch::plain::multiply), in its order.

use std::mem::offset_of;
use std::ops::Range;

use super::k_tiles::{load_dwords, q4_k_scale, q6_k_codes, q6_k_runs, q6_k_scales};
use super::sixteen_rows::{
    Q4_K_BYTES, Q6_K_BYTES, fetch, load_halves, load_quarters, q4_k_header, q6_k_header, transpose,
};
use crate::BlockFormat;
use crate::activation::{Activations, RowChunk};
use crate::arch::Sums;
use crate::math::ROUND_MAGIC;
use crate::tile::{TILE_ROWS, Tile, TileSource};

/// Input rows that go through the products together.
const MOST_ROWS: usize = 8;
/// Input rows up to which unpacking Q4_K again for every [`MOST_ROWS`] of them is faster than a tile. Q6_K's takes longer.
const MOST_ROWS_OF_Q4_K: usize = 16;

/// Products of rows `rows` of `x` with the rows of `source`, which become sums with tile `tile_index`; or nothing, and false.
///
/// # Safety
/// AVX-512 F, BW, VL and VNNI are present.
pub(super) unsafe fn multiply_few(
    source: &TileSource<'_>,
    x: &Activations,
    rows: Range<usize>,
    scratch: &mut Tile,
    sums: &mut Sums,
    tile_index: usize,
) -> bool {
    type Run = unsafe fn(&Weights, &Rows, &mut Tile);
    let (block_bytes, most_rows, run): (usize, usize, Run) = match source.format {
        BlockFormat::Q4K => (Q4_K_BYTES, MOST_ROWS_OF_Q4_K, q4_k),
        BlockFormat::Q6K => (Q6_K_BYTES, MOST_ROWS, q6_k),
        _ => return false,
    };
    let n_chunks = x.n_chunks();
    if source.n_rows != TILE_ROWS || n_chunks == 0 || !(2..=most_rows).contains(&rows.len()) {
        return false;
    }
    assert_eq!(n_chunks * block_bytes, source.row_bytes, "columns of the input and of the weights");
    assert_eq!(sums.len(), rows.len(), "rows and their sums");
    let here = source.rows[..TILE_ROWS * source.row_bytes].as_ptr();
    // Where nothing comes next, lines that are in the cache anyway.
    let mut next = if source.next.is_empty() { here } else { source.next.as_ptr() };
    // As equal as they get: 5 and 4 rows are faster than 8 and 1.
    let n_panels = rows.len().div_ceil(MOST_ROWS);
    for panel in 0..n_panels {
        let at = panel * rows.len() / n_panels..(panel + 1) * rows.len() / n_panels;
        let x_rows = x.chunk(0, rows.start + at.start..rows.start + at.end).rows;
        let sums = sums[at].as_flattened_mut()[tile_index..].as_mut_ptr();
        let weights = Weights { first: here, stride: source.row_bytes, n_chunks, next };
        let rows = Rows {
            n: x_rows.len(),
            first: x_rows.as_ptr(),
            step: if n_chunks > 1 { x.chunk_bytes() } else { 0 },
            sums: sums.cast(),
        };
        // SAFETY: there are 16 rows of `n_chunks` blocks; the input rows have as many chunks, each `step` bytes after the one
        // before; sums of a row are 128 bytes apart; target features are promised by the caller.
        unsafe { run(&weights, &rows, scratch) };
        next = here;
    }
    true
}

/// Sixteen rows of weights.
struct Weights {
    first: *const u8,
    stride: usize,
    n_chunks: usize,
    /// Fetched into the second-level cache meanwhile, as many bytes as the rows have.
    next: *const u8,
}

/// The input rows of a panel.
struct Rows {
    n: usize,
    first: *const RowChunk,
    /// Bytes from a row's chunk to its next one.
    step: usize,
    /// Where the first row's 16 sums go; those of the next row are 128 bytes further on.
    sums: *mut f32,
}

/// What the assembly has no registers for.
#[repr(C)]
struct Constants {
    low_nibbles: u32,
    high_nibbles: u32,
    byte: u32,
    six_bits: u32,
    sign: u32,
    pairs: u32,
    sixteenth: f32,
    round_magic: f32,
    sums: *mut f32,
    chunks_left: usize,
    /// From where a chunk leaves the pointer to an input row, and to its factors, to the next chunk.
    rest: usize,
    factors_rest: usize,
}

impl Constants {
    /// A chunk's assembly moves the pointer to a row `passed` bytes on, that to its factors `factors_passed`.
    fn new(weights: &Weights, rows: &Rows, [passed, factors_passed]: [usize; 2]) -> Constants {
        Constants {
            low_nibbles: 0x0f0f_0f0f,
            high_nibbles: 0xf0f0_f0f0,
            byte: 0xff,
            six_bits: 0x3f3f_3f3f,
            sign: 0x8000_0000,
            pairs: 0x3030_3030,
            sixteenth: 1.0 / 16.0,
            round_magic: ROUND_MAGIC,
            sums: rows.sums,
            chunks_left: weights.n_chunks,
            rest: rows.step.wrapping_sub(passed),
            factors_rest: rows.step.wrapping_sub(factors_passed),
        }
    }
}

/// The assembly `$piece` of every row of the panel, with the row's number and registers (integer sums, float sums, scaled sums of
/// a half) and `$argument`, which is `_` where there is none.
macro_rules! each_row {
    ([$(($row:tt, $dot:literal, $sum:literal, $half:literal)),*], $piece:ident $argument:tt) => {
        concat!($($piece!($row, $dot, $sum, $half, $argument)),*)
    };
}

macro_rules! clear {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, _) => {
        concat!("vpxord zmm", $sum, ", zmm", $sum, ", zmm", $sum, "\n")
    };
}

macro_rules! store {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, _) => {
        concat!("vmovups [{p0} + 128*", $row, "], zmm", $sum, "\n")
    };
}

/// Four columns of a row, whose values are `$at` bytes into it: codes are zmm24.
macro_rules! product {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, $at:literal) => {
        concat!("vpdpbusd zmm", $dot, ", zmm24, [{x} + ", $row, "*{row_bytes} + ", $at, "]{{1to16}}\n")
    };
}

/// Integer sums start at the bits of ROUND_MAGIC.
macro_rules! start_at_magic {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, _) => {
        concat!("vmovdqa64 zmm", $dot, ", zmm28\n")
    };
}

/// Adds the offsets, in zmm25, times the row's total of block `$block`.
macro_rules! add_offset {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, $block:literal) => {
        concat!(
            "vfmadd231ps zmm",
            $sum,
            ", zmm25, [{factors} + ",
            $row,
            "*{row_bytes} + {total} + 4*",
            $block,
            "]{{1to16}}\n"
        )
    };
}

/// Makes floats of the integer sums and adds them times the scales, in zmm26.
macro_rules! add_scaled {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, $block:literal) => {
        concat!(
            "vbroadcastss zmm24, [{factors} + ",
            $row,
            "*{row_bytes} + 4*",
            $block,
            "]\n",
            "vfmsub213ps zmm",
            $dot,
            ", zmm24, [{factors} + ",
            $row,
            "*{row_bytes} + {magic} + 4*",
            $block,
            "]{{1to16}}\n",
            "vfmadd231ps zmm",
            $sum,
            ", zmm",
            $dot,
            ", zmm26\n",
        )
    };
}

/// The codes of a pair of blocks, both nibbles of a byte together, to the first eight groups of the tile.
macro_rules! q4_k_unpack {
    ([$($fetch:literal),*], [$($fetch_too:literal),*]) => {
        concat!(
            load_halves!(low, "16", "0", "1", "2", "3"),
            fetch!($($fetch),*),
            transpose!("0", "1", "2", "3", ["4", "5", "6", "7"]),
            load_halves!(high, "16", "16", "17", "18", "19"),
            fetch!($($fetch_too),*),
            transpose!("16", "17", "18", "19", ["20", "21", "22", "23"]),
            q4_k_unpack!(dword 0, "0", "16"),
            q4_k_unpack!(dword 1, "1", "17"),
            q4_k_unpack!(dword 2, "2", "18"),
            q4_k_unpack!(dword 3, "3", "19"),
        )
    };
    (dword $d:literal, $low:literal, $high:literal) => {
        concat!(
            "vshufi32x4 zmm4, zmm", $low, ", zmm", $high, ", 0x88\n",
            "vshufi32x4 zmm5, zmm", $low, ", zmm", $high, ", 0xdd\n",
            "vmovdqa64 [{tile} + 64*", $d, "], zmm4\n",
            "vmovdqa64 [{tile} + 64*", $d, " + 256], zmm5\n",
        )
    };
}

/// A block of 32 columns, the lower (0) or upper (1) nibbles of a pair of blocks: those that zmm`$mask` leaves.
macro_rules! q4_k_block {
    ($rows:tt, $block:tt, $mask:literal, [$($at:literal),*]) => {
        concat!(
            each_row!($rows, start_at_magic _),
            q4_k_block!(groups $rows, $mask, [0, 1, 2, 3, 4, 5, 6, 7], [$($at),*]),
            "vmovaps zmm25, [{tile} + {at} + {offset} + 64*", $block, "]\n",
            "vmovaps zmm26, [{tile} + {at} + {scale} + 64*", $block, "]\n",
            each_row!($rows, add_offset $block),
            each_row!($rows, add_scaled $block),
        )
    };
    (groups $rows:tt, $mask:literal, [$($group:literal),*], [$($at:literal),*]) => {
        concat!($(
            "vpandd zmm24, zmm", $mask, ", [{tile} + 64*", $group, "]\n",
            each_row!($rows, product $at),
        )*)
    };
}

/// Runs the assembly `$chunk` for every chunk of `$rows`, then stores the sums.
macro_rules! for_each_chunk {
    ($weights:ident, $scratch:ident, $constants:ident, $rows:tt, [$($before:expr),*], [$($chunk:expr),* $(,)?], $($operand:tt)*) => {
        vector_asm!(
            each_row!($rows, clear _),
            $($before,)*
            "2:",
            $($chunk,)*
            "dec qword ptr [{constants} + {chunks_left}]",
            "jnz 2b",
            "mov {p0}, [{constants} + {sums}]",
            each_row!($rows, store _),
            constants = in(reg) &raw mut $constants,
            chunks_left = const offset_of!(Constants, chunks_left),
            sums = const offset_of!(Constants, sums),
            low_nibbles = const offset_of!(Constants, low_nibbles),
            six_bits = const offset_of!(Constants, six_bits),
            rest = const offset_of!(Constants, rest),
            p0 = inout(reg) $weights.first => _,
            p1 = inout(reg) $weights.first.wrapping_add($weights.stride) => _,
            p2 = inout(reg) $weights.first.wrapping_add(2 * $weights.stride) => _,
            p3 = inout(reg) $weights.first.wrapping_add(3 * $weights.stride) => _,
            s4 = in(reg) 4 * $weights.stride,
            s12 = in(reg) 12 * $weights.stride,
            next = inout(reg) $weights.next => _,
            tile = in(reg) &raw mut *$scratch,
            scale = const offset_of!(Tile, scale),
            row_bytes = const size_of::<RowChunk>(),
            $($operand)*
        )
    };
}

/// `$then!` with the rows of a panel of `$n`.
macro_rules! with_rows {
    ($n:expr, $then:ident) => {
        with_rows!($n, $then, [],
            [1 (0, "0", "8", "16")], [2 (1, "1", "9", "17")], [3 (2, "2", "10", "18")], [4 (3, "3", "11", "19")],
            [5 (4, "4", "12", "20")], [6 (5, "5", "13", "21")], [7 (6, "6", "14", "22")], [8 (7, "7", "15", "23")])
    };
    ($n:expr, $then:ident, [$($row:tt)*], [$number:literal $next:tt] $(, $more:tt)*) => {
        if $n == $number { $then!([$($row)* $next]) } else { with_rows!($n, $then, [$($row)* $next,] $(, $more)*) }
    };
    ($n:expr, $then:ident, [$($row:tt)*]) => { unreachable!("a panel of {} rows", $n) };
}

/// # Safety
/// As [`multiply_few`] says.
unsafe fn q4_k(weights: &Weights, rows: &Rows, scratch: &mut Tile) {
    let mut constants = Constants::new(weights, rows, [4 * 64, 4 * 8]);
    macro_rules! run {
        ($rows:tt) => {
            // SAFETY: each chunk reads 144 bytes of each of 16 rows, and 416 of each input row; a tile has room for 8 lines of
            // codes and 8 of scales and of offsets; prefetches may be of anything; 16 sums are written for each row.
            unsafe {
                for_each_chunk!(
                    weights, scratch, constants, $rows,
                    [
                        "vpbroadcastd zmm31, [{constants} + {low_nibbles}]",
                        "vpbroadcastd zmm30, [{constants} + {high_nibbles}]",
                        "vpbroadcastd zmm29, [{constants} + {byte}]",
                        "vpbroadcastd zmm28, [{constants} + {round_magic}]",
                        "vpbroadcastd zmm27, [{constants} + {six_bits}]"
                    ],
                    [
                        q4_k_header!(),
                        "vpxord zmm25, zmm25, [{constants} + {sign}]{{1to16}}", // offsets are minus the minimum
                        "vmulps zmm26, zmm24, [{constants} + {sixteenth}]{{1to16}}",
                        q4_k_scale!(0, "20", "22", 0, "24"),
                        q4_k_scale!(1, "20", "22", 8, "26"),
                        q4_k_scale!(2, "20", "22", 16, "24"),
                        q4_k_scale!(3, "20", "22", 24, "26"),
                        q4_k_scale!(4, "21", "23", 0, "24"),
                        q4_k_scale!(5, "21", "23", 8, "26"),
                        q4_k_scale!(6, "21", "23", 16, "24"),
                        q4_k_scale!(7, "21", "23", 24, "26"),
                        "xor {at:e}, {at:e}",
                        "3:", // a pair of blocks
                        q4_k_unpack!([0, 1, 2, 3, 4], [5, 6, 7, 8]),
                        q4_k_block!($rows, 0, "31", [0, 4, 8, 12, 16, 20, 24, 28]),
                        q4_k_block!($rows, 1, "30", [32, 36, 40, 44, 48, 52, 56, 60]),
                        "add {p0}, 32",
                        "add {p1}, 32",
                        "add {p2}, 32",
                        "add {p3}, 32",
                        "add {next}, 9*64",
                        "add {x}, 64",
                        "add {factors}, 8",
                        "add {at}, 128",
                        "cmp {at}, 512",
                        "jb 3b",
                        "add {p0}, 16",
                        "add {p1}, 16",
                        "add {p2}, 16",
                        "add {p3}, 16",
                        "add {x}, [{constants} + {rest}]",
                        "add {factors}, [{constants} + {factors_rest}]",
                    ],
                    at = out(reg) _,
                    x = inout(reg) rows.first => _,
                    factors = inout(reg) rows.first.byte_add(offset_of!(RowChunk, scale)) => _,
                    factors_rest = const offset_of!(Constants, factors_rest),
                    high_nibbles = const offset_of!(Constants, high_nibbles),
                    byte = const offset_of!(Constants, byte),
                    sign = const offset_of!(Constants, sign),
                    sixteenth = const offset_of!(Constants, sixteenth),
                    round_magic = const offset_of!(Constants, round_magic),
                    offset = const offset_of!(Tile, offset),
                    total = const offset_of!(RowChunk, total) - offset_of!(RowChunk, scale),
                    magic = const offset_of!(RowChunk, magic) - offset_of!(RowChunk, scale),
                )
            }
        };
    }
    with_rows!(rows.n, run)
}

/// Integer sums start at the row's centre of a half of a block, which is `$at` bytes behind the first.
macro_rules! start_at_half {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, $at:literal) => {
        concat!("vpbroadcastd zmm", $dot, ", [{x} + ", $row, "*{row_bytes} + {centres} + ", $at, "]\n")
    };
}

/// Makes floats of the first half's integer sums, times the scales in zmm26.
macro_rules! scale_half {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, _) => {
        concat!(
            "vcvtdq2ps zmm", $half, ", zmm", $dot, "\n",
            "vmulps zmm", $half, ", zmm", $half, ", zmm26\n",
        )
    };
}

/// Adds the first half's scaled sums and the second half's, times the scales in zmm26, to the float sums.
macro_rules! add_halves {
    ($row:literal, $dot:literal, $sum:literal, $half:literal, $block:literal) => {
        concat!(
            "vcvtdq2ps zmm",
            $dot,
            ", zmm",
            $dot,
            "\n",
            "vfmadd231ps zmm",
            $half,
            ", zmm",
            $dot,
            ", zmm26\n",
            "vfmadd231ps zmm",
            $sum,
            ", zmm",
            $half,
            ", [{x} + ",
            $row,
            "*{row_bytes} + {row_scale} + 4*",
            $block,
            "]{{1to16}}\n",
        )
    };
}

/// The codes of half a chunk: nibbles at `$low` and `$low_too`, pairs of bits at `$pairs`.
macro_rules! q6_k_unpack {
    ($low:literal, $low_too:literal, $pairs:literal) => {
        concat!(
            load_dwords!($pairs, ["0", "1", "2", "3", "4", "5", "6", "7"]),
            q6_k_runs!(first, $low, ["20", "21", "22", "23", "24", "25", "26", "27"], 0, 16),
            q6_k_runs!(second, $low_too, ["20", "21", "22", "23", "24", "25", "26", "27"], 8, 24),
        )
    };
}

/// Block `$block` of the chunk, whose codes start at group `$group` of the tile; columns' bytes and those of their centres are named.
macro_rules! q6_k_block {
    ($rows:tt, $block:literal, [$c0:literal, $c1:literal], [$g0:literal, $g1:literal, $g2:literal, $g3:literal], [$a0:literal, $a1:literal, $a2:literal, $a3:literal], [$g4:literal, $g5:literal, $g6:literal, $g7:literal], [$a4:literal, $a5:literal, $a6:literal, $a7:literal]) => {
        concat!(
            each_row!($rows, start_at_half $c0),
            q6_k_block!(groups $rows, [$g0, $g1, $g2, $g3], [$a0, $a1, $a2, $a3]),
            "vmovaps zmm26, [{tile} + {scale} + 128*", $block, "]\n",
            each_row!($rows, scale_half _),
            each_row!($rows, start_at_half $c1),
            q6_k_block!(groups $rows, [$g4, $g5, $g6, $g7], [$a4, $a5, $a6, $a7]),
            "vmovaps zmm26, [{tile} + {scale} + 128*", $block, " + 64]\n",
            each_row!($rows, add_halves $block),
        )
    };
    (groups $rows:tt, [$($group:literal),*], [$($at:literal),*]) => {
        concat!($(
            "vmovdqa64 zmm24, [{tile} + 64*", $group, "]\n",
            each_row!($rows, product $at),
        )*)
    };
}

/// # Safety
/// As [`multiply_few`] says.
unsafe fn q6_k(weights: &Weights, rows: &Rows, scratch: &mut Tile) {
    let mut constants = Constants::new(weights, rows, [0, 0]);
    macro_rules! run {
        ($rows:tt) => {
            // SAFETY: each chunk reads 210 bytes of each of 16 rows, and 416 of each input row; a tile has room for 32 lines of
            // codes and 16 of scales; prefetches may be of anything; 16 sums are written for each row.
            unsafe {
                for_each_chunk!(
                    weights, scratch, constants, $rows,
                    [
                        "vpbroadcastd zmm31, [{constants} + {low_nibbles}]",
                        "vpbroadcastd zmm30, [{constants} + {pairs}]",
                        "vpbroadcastd zmm28, [{constants} + {six_bits}]"
                    ],
                    [
                        q6_k_header!(),
                        q6_k_scales!("24", 0),
                        q6_k_scales!("25", 4),
                        q6_k_scales!("26", 8),
                        q6_k_scales!("27", 12),
                        fetch!(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
                        q6_k_unpack!("0", "32", "128"),
                        q6_k_block!($rows, 0, [0, 4], [0, 1, 2, 3], [0, 4, 8, 12], [4, 5, 6, 7], [16, 20, 24, 28]),
                        q6_k_block!($rows, 1, [8, 12], [8, 9, 10, 11], [32, 36, 40, 44], [12, 13, 14, 15], [48, 52, 56, 60]),
                        fetch!(13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26),
                        q6_k_block!($rows, 2, [16, 20], [16, 17, 18, 19], [64, 68, 72, 76], [20, 21, 22, 23], [80, 84, 88, 92]),
                        q6_k_block!($rows, 3, [24, 28], [24, 25, 26, 27], [96, 100, 104, 108], [28, 29, 30, 31], [112, 116, 120, 124]),
                        fetch!(27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39),
                        q6_k_unpack!("64", "96", "160"),
                        q6_k_block!($rows, 4, [32, 36], [0, 1, 2, 3], [128, 132, 136, 140], [4, 5, 6, 7], [144, 148, 152, 156]),
                        q6_k_block!($rows, 5, [40, 44], [8, 9, 10, 11], [160, 164, 168, 172], [12, 13, 14, 15], [176, 180, 184, 188]),
                        fetch!(40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52),
                        q6_k_block!($rows, 6, [48, 52], [16, 17, 18, 19], [192, 196, 200, 204], [20, 21, 22, 23], [208, 212, 216, 220]),
                        q6_k_block!($rows, 7, [56, 60], [24, 25, 26, 27], [224, 228, 232, 236], [28, 29, 30, 31], [240, 244, 248, 252]),
                        "add {p0}, {bytes}",
                        "add {p1}, {bytes}",
                        "add {p2}, {bytes}",
                        "add {p3}, {bytes}",
                        "add {next}, 16*{bytes}",
                        "add {x}, [{constants} + {rest}]",
                    ],
                    x = inout(reg) rows.first => _,
                    bytes = const Q6_K_BYTES,
                    pairs = const offset_of!(Constants, pairs),
                    row_scale = const offset_of!(RowChunk, scale),
                    centres = const offset_of!(RowChunk, centres),
                )
            }
        };
    }
    with_rows!(rows.n, run)
}

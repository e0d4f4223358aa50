//! Products of one input row with Q4_K and Q6_K weights, as a token that is being written has: from memory into registers and
//! the products, without a tile in between. In assembly, since the compiler spills half of it.
//!
//! ```text
//! zmm0-7, 8-15   rows 0..7 and 8..15, and what becomes of them        zmm28      float sums
//! zmm16-23       input, products (Q6_K); zmm20-27 scales              zmm29-31   masks of bits
//! ```
//! The sums are those of [`plain::multiply`](crate::arch::plain::multiply), in its order.

use std::mem::offset_of;

use super::sixteen_rows::{
    Masks, Q4_K_BYTES, Q6_K_BYTES, fetch, load_halves, load_quarters, q4_k_header, q6_k_header, transpose,
};
use crate::BlockFormat;
use crate::activation::{Activations, RowChunk};
use crate::arch::Lanes;
use crate::tile::{TILE_ROWS, TileSource};

/// Products of row `row` of `x` with the rows of `source`; or nothing, and false.
///
/// # Safety
/// AVX-512 F, BW, VL and VNNI are present.
pub(super) unsafe fn multiply_one(
    source: &TileSource<'_>,
    x: &Activations,
    row: usize,
    sums: &mut Lanes,
) -> bool {
    let (block_bytes, run): (usize, unsafe fn(&Rows, &mut Lanes)) = match source.format {
        BlockFormat::Q4K => (Q4_K_BYTES, q4_k),
        BlockFormat::Q6K => (Q6_K_BYTES, q6_k),
        _ => return false,
    };
    let n_chunks = x.n_chunks();
    if source.n_rows != TILE_ROWS || n_chunks == 0 {
        return false;
    }
    let rows = Rows {
        first: source.rows[..TILE_ROWS * source.row_bytes].as_ptr(),
        stride: source.row_bytes,
        n_chunks,
        // Where nothing comes next, lines that are in the cache anyway.
        next: if source.next.is_empty() { source.rows } else { source.next }.as_ptr(),
        x: &raw const x.chunk(0, row..row + 1).rows[0],
        x_step: if n_chunks > 1 { x.chunk_bytes() } else { 0 },
    };
    assert_eq!(n_chunks * block_bytes, source.row_bytes, "columns of the input and of the weights");
    // SAFETY: there are 16 rows of `n_chunks` blocks, and the input has as many chunks, each `x_step` bytes after the one
    // before; target features are promised by the caller.
    unsafe { run(&rows, sums) };
    true
}

/// What is multiplied.
struct Rows {
    first: *const u8,
    stride: usize,
    n_chunks: usize,
    /// Fetched into the second-level cache meanwhile, as many bytes as the rows have.
    next: *const u8,
    x: *const RowChunk,
    x_step: usize,
}

/// The products of dword `$d` of a pair of sub-blocks: nibbles in zmm`$low` (rows 0..7) and zmm`$high` (rows 8..15).
macro_rules! q4_k_products {
    ($pattern:literal, $low:literal, $high:literal) => {
        concat!(
            "vpshufd zmm18, zmm16, ",
            $pattern,
            "\n",
            "vpshufd zmm19, zmm17, ",
            $pattern,
            "\n",
            "vpandd zmm12, zmm",
            $low,
            ", zmm31\n",
            "vpandd zmm13, zmm",
            $high,
            ", zmm31\n",
            "vpandd zmm14, zmm",
            $low,
            ", zmm30\n",
            "vpandd zmm15, zmm",
            $high,
            ", zmm30\n",
            "vpdpbusd zmm4, zmm12, zmm18\n",
            "vpdpbusd zmm5, zmm13, zmm18\n",
            "vpdpbusd zmm6, zmm14, zmm19\n",
            "vpdpbusd zmm7, zmm15, zmm19\n",
        )
    };
}

/// Adds sub-block `$block`, whose integer sums are zmm12: `$bits` is the place of its byte in the scales in
/// zmm`$scales` and the minimums in zmm`$minimums`.
macro_rules! q4_k_add {
    ($block:literal, $scales:literal, $minimums:literal, $bits:literal) => {
        concat!(
            "vpsrld zmm13, zmm",
            $scales,
            ", ",
            $bits,
            "\n",
            "vpsrld zmm15, zmm",
            $minimums,
            ", ",
            $bits,
            "\n",
            "vpandd zmm13, zmm13, zmm29\n",
            "vpandd zmm15, zmm15, zmm29\n",
            "vcvtdq2ps zmm13, zmm13\n",
            "vcvtdq2ps zmm15, zmm15\n",
            "vcvtdq2ps zmm12, zmm12\n",
            "vmulps zmm13, zmm13, zmm24\n",
            "vmulps zmm15, zmm15, zmm25\n",
            "vmulps zmm12, zmm12, [{x} + {scale} + 4*",
            $block,
            "]{{1to16}}\n",
            "vfnmadd231ps zmm28, zmm15, [{x} + {total} + 4*",
            $block,
            "]{{1to16}}\n",
            "vfmadd231ps zmm28, zmm12, zmm13\n",
        )
    };
}

/// Sub-blocks `$low` and `$high`, whose nibbles are at `$at`.
macro_rules! q4_k_pair {
    ($at:literal, $low:literal, $high:literal, $scales:literal, $minimums:literal, [$low_bits:literal, $high_bits:literal], [$($fetch:literal),*], [$($fetch_too:literal),*]) => {
        concat!(
            load_halves!(low, $at, "0", "1", "2", "3"),
            fetch!($($fetch),*),
            transpose!("0", "1", "2", "3", ["4", "5", "6", "7"]),
            load_halves!(high, $at, "8", "9", "10", "11"),
            fetch!($($fetch_too),*),
            transpose!("8", "9", "10", "11", ["12", "13", "14", "15"]),
            "vbroadcasti64x4 zmm16, [{x} + 32*", $low, "]\n",
            "vbroadcasti64x4 zmm17, [{x} + 32*", $high, "]\n",
            "vpxord zmm4, zmm4, zmm4\n",
            "vpxord zmm5, zmm5, zmm5\n",
            "vpxord zmm6, zmm6, zmm6\n",
            "vpxord zmm7, zmm7, zmm7\n",
            q4_k_products!("0x00", "0", "8"),
            q4_k_products!("0x55", "1", "9"),
            q4_k_products!("0xaa", "2", "10"),
            q4_k_products!("0xff", "3", "11"),
            "vshufi32x4 zmm12, zmm4, zmm5, 0x88\n",
            "vshufi32x4 zmm13, zmm4, zmm5, 0xdd\n",
            "vshufi32x4 zmm14, zmm6, zmm7, 0x88\n",
            "vshufi32x4 zmm15, zmm6, zmm7, 0xdd\n",
            "vpaddd zmm12, zmm12, zmm13\n",
            "vpaddd zmm14, zmm14, zmm15\n",
            "vpsrad zmm0, zmm14, 4\n",
            q4_k_add!($low, $scales, $minimums, $low_bits),
            "vmovdqa64 zmm12, zmm0\n",
            q4_k_add!($high, $scales, $minimums, $high_bits),
        )
    };
}

/// Runs the assembly `$chunk` for every chunk of the rows, each of which takes `$bytes` of a row.
macro_rules! for_each_chunk {
    ($rows:ident, $sums:ident, $masks:ident, $bytes:expr, $chunk:expr, $($operand:tt)*) => {
        vector_asm!(
            "vpbroadcastd zmm31, [{masks}]",
            "vpbroadcastd zmm30, [{masks} + 4]",
            "vpbroadcastd zmm29, [{masks} + 8]",
            "vpbroadcastd zmm27, [{masks} + 12]",
            "vpxord zmm28, zmm28, zmm28",
            "2:",
            $chunk,
            "add {p0}, {bytes}",
            "add {p1}, {bytes}",
            "add {p2}, {bytes}",
            "add {p3}, {bytes}",
            "add {next}, 16*{bytes}",
            "add {x}, {x_step}",
            "dec {n_chunks}",
            "jnz 2b",
            "vmovups [{sums}], zmm28",
            masks = in(reg) $masks.as_ptr(),
            p0 = inout(reg) $rows.first => _,
            p1 = inout(reg) $rows.first.wrapping_add($rows.stride) => _,
            p2 = inout(reg) $rows.first.wrapping_add(2 * $rows.stride) => _,
            p3 = inout(reg) $rows.first.wrapping_add(3 * $rows.stride) => _,
            s4 = in(reg) 4 * $rows.stride,
            s12 = in(reg) 12 * $rows.stride,
            next = inout(reg) $rows.next => _,
            x = inout(reg) $rows.x => _,
            x_step = in(reg) $rows.x_step,
            n_chunks = inout(reg) $rows.n_chunks => _,
            sums = in(reg) $sums.as_mut_ptr(),
            bytes = const $bytes,
            scale = const offset_of!(RowChunk, scale),
            $($operand)*
        )
    };
}

/// # Safety
/// As [`multiply_one`] says.
unsafe fn q4_k(rows: &Rows, sums: &mut Lanes) {
    let masks: Masks = [0x0f0f_0f0f, 0xf0f0_f0f0, 0xff, 0x3f3f_3f3f];
    // SAFETY: the rows have `n_chunks` blocks of 144 bytes each, the input as many chunks; prefetches may be of anything; 16
    // sums are written.
    unsafe {
        for_each_chunk!(
            rows, sums, masks, Q4_K_BYTES,
            concat!(
                q4_k_header!(),
                q4_k_pair!("16", 0, 1, "20", "22", ["0", "8"], [0, 1, 2, 3, 4], [5, 6, 7, 8]),
                q4_k_pair!("48", 2, 3, "20", "22", ["16", "24"], [9, 10, 11, 12, 13], [14, 15, 16, 17]),
                q4_k_pair!("80", 4, 5, "21", "23", ["0", "8"], [18, 19, 20, 21, 22], [23, 24, 25, 26]),
                q4_k_pair!("112", 6, 7, "21", "23", ["16", "24"], [27, 28, 29, 30, 31], [32, 33, 34, 35]),
            ),
            total = const offset_of!(RowChunk, total),
        );
    }
}

/// The products of run `$run` of 32 columns, dword `$pattern`, whose codes are zmm12, added to zmm`$sum`.
macro_rules! q6_k_products {
    ($run:literal, $pattern:literal, $sum:literal) => {
        concat!(
            "vbroadcasti64x4 zmm14, [{x} + 32*",
            $run,
            "]\n",
            "vpshufd zmm14, zmm14, ",
            $pattern,
            "\n",
            "vpdpbusd zmm",
            $sum,
            ", zmm12, zmm14\n",
        )
    };
}

/// Four runs of 32 columns: dword `$pattern` of low nibbles in zmm`$first` and zmm`$second`, of pairs of bits in zmm`$pairs`.
macro_rules! q6_k_dword {
    ($pattern:literal, [$r0:literal, $r1:literal, $r2:literal, $r3:literal], $first:literal, $second:literal, $pairs:literal, [$s0:literal, $s1:literal, $s2:literal, $s3:literal]) => {
        concat!(
            "vpandd zmm12, zmm",
            $first,
            ", zmm31\n",
            "vpslld zmm13, zmm",
            $pairs,
            ", 4\n",
            "vpternlogd zmm12, zmm13, zmm30, 0xf8\n", // first | second & mask
            q6_k_products!($r0, $pattern, $s0),
            "vpandd zmm12, zmm",
            $second,
            ", zmm31\n",
            "vpslld zmm13, zmm",
            $pairs,
            ", 2\n",
            "vpternlogd zmm12, zmm13, zmm30, 0xf8\n",
            q6_k_products!($r1, $pattern, $s1),
            "vpsrld zmm12, zmm",
            $first,
            ", 4\n",
            "vpternlogd zmm12, zmm",
            $pairs,
            ", zmm31, 0xe4\n", // first where the mask is set, else second
            "vpandd zmm12, zmm12, [{masks} + 12]{{1to16}}\n",
            q6_k_products!($r2, $pattern, $s2),
            "vpsrld zmm12, zmm",
            $second,
            ", 4\n",
            "vpsrld zmm13, zmm",
            $pairs,
            ", 2\n",
            "vpternlogd zmm12, zmm13, zmm31, 0xe4\n",
            "vpandd zmm12, zmm12, [{masks} + 12]{{1to16}}\n",
            q6_k_products!($r3, $pattern, $s3),
        )
    };
}

/// The integer sums of four runs with rows 0 to 7 (`low`) or 8 to 15 (`high`).
macro_rules! q6_k_rows {
    ($which:ident, [$first:literal, $second:literal, $pairs:literal], $runs:tt, $sums:tt, [$($fetch:literal),*]) => {
        concat!(
            load_halves!($which, $first, "0", "1", "2", "3"),
            transpose!("0", "1", "2", "3", ["12", "13", "14", "15"]),
            load_halves!($which, $second, "4", "5", "6", "7"),
            transpose!("4", "5", "6", "7", ["12", "13", "14", "15"]),
            load_halves!($which, $pairs, "8", "9", "10", "11"),
            transpose!("8", "9", "10", "11", ["12", "13", "14", "15"]),
            fetch!($($fetch),*),
            q6_k_rows!(zero $sums),
            q6_k_dword!("0x00", $runs, "0", "4", "8", $sums),
            q6_k_dword!("0x55", $runs, "1", "5", "9", $sums),
            q6_k_dword!("0xaa", $runs, "2", "6", "10", $sums),
            q6_k_dword!("0xff", $runs, "3", "7", "11", $sums),
        )
    };
    (zero [$($sum:literal),*]) => { concat!($("vpxord zmm", $sum, ", zmm", $sum, ", zmm", $sum, "\n"),*) };
}

/// Adds run `$run`, whose integer sums are zmm`$low` and zmm`$high`: its scales are bytes of zmm24, `$bits` from the left.
macro_rules! q6_k_add {
    ($run:literal, $low:literal, $high:literal, [$bits:literal, $bits_too:literal], $scales:literal) => {
        concat!(
            "vshufi32x4 zmm0, zmm",
            $low,
            ", zmm",
            $high,
            ", 0x88\n",
            "vshufi32x4 zmm1, zmm",
            $low,
            ", zmm",
            $high,
            ", 0xdd\n",
            "vpaddd zmm0, zmm0, [{x} + {centres} + 8*",
            $run,
            "]{{1to16}}\n",
            "vpaddd zmm1, zmm1, [{x} + {centres} + 8*",
            $run,
            " + 4]{{1to16}}\n",
            "vpslld zmm2, zmm",
            $scales,
            ", ",
            $bits,
            "\n",
            "vpslld zmm3, zmm",
            $scales,
            ", ",
            $bits_too,
            "\n",
            "vpsrad zmm2, zmm2, 24\n",
            "vpsrad zmm3, zmm3, 24\n",
            "vcvtdq2ps zmm0, zmm0\n",
            "vcvtdq2ps zmm1, zmm1\n",
            "vcvtdq2ps zmm2, zmm2\n",
            "vcvtdq2ps zmm3, zmm3\n",
            "vmulps zmm2, zmm2, zmm29\n",
            "vmulps zmm3, zmm3, zmm29\n",
            "vmulps zmm0, zmm0, zmm2\n",
            "vfmadd231ps zmm0, zmm1, zmm3\n",
            "vfmadd231ps zmm28, zmm0, [{x} + {scale} + 4*",
            $run,
            "]{{1to16}}\n",
        )
    };
}

/// Half a block: 128 columns. `$scales` are the registers with the scales of its first and last two runs.
macro_rules! q6_k_half {
    ($bytes:tt, [$r0:literal, $r1:literal, $r2:literal, $r3:literal], [$scales:literal, $scales_too:literal], $fetch:tt, $fetch_too:tt) => {
        concat!(
            q6_k_rows!(low, $bytes, [$r0, $r1, $r2, $r3], ["16", "17", "18", "19"], $fetch),
            q6_k_rows!(high, $bytes, [$r0, $r1, $r2, $r3], ["20", "21", "22", "23"], $fetch_too),
            q6_k_add!($r0, "16", "20", ["24", "16"], $scales),
            q6_k_add!($r1, "17", "21", ["8", "0"], $scales),
            q6_k_add!($r2, "18", "22", ["24", "16"], $scales_too),
            q6_k_add!($r3, "19", "23", ["8", "0"], $scales_too),
        )
    };
}

/// # Safety
/// As [`multiply_one`] says.
unsafe fn q6_k(rows: &Rows, sums: &mut Lanes) {
    let masks: Masks = [0x0f0f_0f0f, 0x3030_3030, 0, 0x3f3f_3f3f];
    // SAFETY: the rows have `n_chunks` blocks of 210 bytes each, the input as many chunks; prefetches may be of anything; 16
    // sums are written.
    unsafe {
        for_each_chunk!(
            rows, sums, masks, Q6_K_BYTES,
            concat!(
                q6_k_header!(),
                q6_k_half!(["0", "32", "128"], [0, 1, 2, 3], ["24", "25"],
                    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]),
                q6_k_half!(["64", "96", "160"], [4, 5, 6, 7], ["26", "27"],
                    [26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38], [39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52]),
            ),
            centres = const offset_of!(RowChunk, centres),
        );
    }
}

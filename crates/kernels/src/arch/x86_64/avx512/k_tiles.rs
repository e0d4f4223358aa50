//! Unpacking of Q4_K and Q6_K, the formats most weights have: [`tile::unpack`](crate::tile::unpack) in assembly. From
//! intrinsics the compiler makes three times as many instructions, most of them moves to the stack and back.
//!
//! The codes of dword d of all 16 rows are the even quarters of two registers, those of dword d + 4 the odd ones.

use std::mem::offset_of;

use super::sixteen_rows::{Masks, fetch, load_halves, load_quarters, q4_k_header, q6_k_header, transpose};
use crate::tile::Tile;

/// Dwords `$d` and `$d` + 4 of a pair of sub-blocks, which are zmm`$low` and zmm`$high`; the sub-blocks' codes start at
/// groups `$first` and `$second` of the tile.
macro_rules! q4_k_codes {
    ($d:literal, $low:literal, $high:literal, $first:literal, $second:literal) => {
        concat!(
            "vshufi32x4 zmm12, zmm",
            $low,
            ", zmm",
            $high,
            ", 0x88\n",
            "vshufi32x4 zmm13, zmm",
            $low,
            ", zmm",
            $high,
            ", 0xdd\n",
            "vpandd zmm14, zmm12, zmm31\n",
            "vpandd zmm15, zmm13, zmm31\n",
            "vpsrld zmm12, zmm12, 4\n",
            "vpsrld zmm13, zmm13, 4\n",
            "vpandd zmm12, zmm12, zmm31\n",
            "vpandd zmm13, zmm13, zmm31\n",
            "vmovdqa64 [{tile} + 64*",
            $first,
            " + 64*",
            $d,
            "], zmm14\n",
            "vmovdqa64 [{tile} + 64*",
            $first,
            " + 64*",
            $d,
            " + 256], zmm15\n",
            "vmovdqa64 [{tile} + 64*",
            $second,
            " + 64*",
            $d,
            "], zmm12\n",
            "vmovdqa64 [{tile} + 64*",
            $second,
            " + 64*",
            $d,
            " + 256], zmm13\n",
        )
    };
}

/// Scale and offset of sub-block `$block`: bits `$bits`.. of zmm`$scales` and zmm`$minimums`, times zmm`$d` and zmm25.
macro_rules! q4_k_scale {
    ($block:literal, $scales:literal, $minimums:literal, $bits:literal, $d:literal) => {
        concat!(
            "vpsrld zmm16, zmm",
            $scales,
            ", ",
            $bits,
            "\n",
            "vpsrld zmm17, zmm",
            $minimums,
            ", ",
            $bits,
            "\n",
            "vpandd zmm16, zmm16, zmm29\n",
            "vpandd zmm17, zmm17, zmm29\n",
            "vcvtdq2ps zmm16, zmm16\n",
            "vcvtdq2ps zmm17, zmm17\n",
            "vmulps zmm16, zmm16, zmm",
            $d,
            "\n",
            "vmulps zmm17, zmm17, zmm25\n",
            "vmovaps [{tile} + {scale} + 64*",
            $block,
            "], zmm16\n",
            "vmovaps [{tile} + {offset} + 64*",
            $block,
            "], zmm17\n",
        )
    };
}

/// Sub-blocks `$low` and `$low` + 1, whose nibbles are at `$at`.
macro_rules! q4_k_pair {
    ($at:literal, [$low:literal, $high:literal], [$first:literal, $second:literal], [$scales:literal, $minimums:literal], [$low_bits:literal, $high_bits:literal], [$($fetch:literal),*], [$($fetch_too:literal),*]) => {
        concat!(
            load_halves!(low, $at, "0", "1", "2", "3"),
            fetch!($($fetch),*),
            transpose!("0", "1", "2", "3", ["4", "5", "6", "7"]),
            load_halves!(high, $at, "8", "9", "10", "11"),
            fetch!($($fetch_too),*),
            transpose!("8", "9", "10", "11", ["12", "13", "14", "15"]),
            q4_k_codes!(0, "0", "8", $first, $second),
            q4_k_codes!(1, "1", "9", $first, $second),
            q4_k_codes!(2, "2", "10", $first, $second),
            q4_k_codes!(3, "3", "11", $first, $second),
            q4_k_scale!($low, $scales, $minimums, $low_bits, "24"),
            q4_k_scale!($high, $scales, $minimums, $high_bits, "24"),
        )
    };
}

/// Runs the assembly `$chunk`, which unpacks 256 columns of the 16 rows at `$rows`, `$stride` apart.
macro_rules! unpack_chunk {
    ($rows:ident, $stride:ident, $next:ident, $tile:ident, $masks:ident, [$($chunk:expr),* $(,)?], $($operand:tt)*) => {
        vector_asm!(
            "vpbroadcastd zmm31, [{masks}]",
            "vpbroadcastd zmm30, [{masks} + 4]",
            $($chunk,)*
            masks = in(reg) $masks.as_ptr(),
            p0 = in(reg) $rows,
            p1 = in(reg) $rows.wrapping_add($stride),
            p2 = in(reg) $rows.wrapping_add(2 * $stride),
            p3 = in(reg) $rows.wrapping_add(3 * $stride),
            s4 = in(reg) 4 * $stride,
            s12 = in(reg) 12 * $stride,
            next = in(reg) $next,
            tile = in(reg) $tile,
            scale = const offset_of!(Tile, scale),
            $($operand)*
        )
    };
}

/// 16 rows, `stride` bytes apart, of one block each; 36 lines from `next` on are fetched.
///
/// # Safety
/// The blocks can be read, and AVX-512 F, BW and VL are present.
pub(super) unsafe fn q4_k(rows: *const u8, stride: usize, next: *const u8, tile: &mut Tile) {
    let masks: Masks = [0x0f0f_0f0f, 0x8000_0000, 0xff, 0x3f3f_3f3f];
    let tile = &raw mut *tile;
    // SAFETY: 144 bytes of each row are read; a tile has 64 x 64 bytes of codes, and 64 bytes of scales and of offsets for each of
    // 8 sub-blocks.
    unsafe {
        unpack_chunk!(
            rows, stride, next, tile, masks,
            [
                "vpbroadcastd zmm29, [{masks} + 8]",
                "vpbroadcastd zmm27, [{masks} + 12]",
                q4_k_header!(),
                "vpxord zmm25, zmm25, zmm30", // offsets are minus the minimum
                q4_k_pair!("16", [0, 1], [0, 8], ["20", "22"], ["0", "8"], [0, 1, 2, 3, 4], [5, 6, 7, 8]),
                q4_k_pair!("48", [2, 3], [16, 24], ["20", "22"], ["16", "24"], [9, 10, 11, 12, 13], [14, 15, 16, 17]),
                q4_k_pair!("80", [4, 5], [32, 40], ["21", "23"], ["0", "8"], [18, 19, 20, 21, 22], [23, 24, 25, 26]),
                q4_k_pair!("112", [6, 7], [48, 56], ["21", "23"], ["16", "24"], [27, 28, 29, 30, 31], [32, 33, 34, 35]),
            ],
            offset = const offset_of!(Tile, offset),
        );
    }
}

/// Loads 32 bytes at `$at` of all 16 rows: dword i of each in register i of `$to`.
macro_rules! load_dwords {
    ($at:literal, [$a:literal, $b:literal, $c:literal, $d:literal, $e:literal, $f:literal, $g:literal, $h:literal]) => {
        concat!(
            load_halves!(low, $at, $a, $b, $c, $d),
            transpose!($a, $b, $c, $d, ["16", "17", "18", "19"]),
            load_halves!(high, $at, $e, $f, $g, $h),
            transpose!($e, $f, $g, $h, ["16", "17", "18", "19"]),
            load_dwords!(gather $a, $e),
            load_dwords!(gather $b, $f),
            load_dwords!(gather $c, $g),
            load_dwords!(gather $d, $h),
        )
    };
    (gather $low:literal, $high:literal) => {
        concat!(
            "vshufi32x4 zmm16, zmm", $low, ", zmm", $high, ", 0xdd\n",
            "vshufi32x4 zmm", $low, ", zmm", $low, ", zmm", $high, ", 0x88\n",
            "vmovdqa64 zmm", $high, ", zmm16\n",
        )
    };
}

/// Codes of the runs that low (`first`) or high nibbles of the dword in zmm`$nibbles` make with two pairs of the bits in
/// zmm`$pairs`, to groups `$low` and `$high` of the tile, dword `$d`.
macro_rules! q6_k_codes {
    (first, $d:literal, $nibbles:literal, $pairs:literal, $low:literal, $high:literal) => {
        concat!(
            "vpandd zmm16, zmm",
            $nibbles,
            ", zmm31\n",
            "vpslld zmm17, zmm",
            $pairs,
            ", 4\n",
            "vpternlogd zmm16, zmm17, zmm30, 0xf8\n", // first | second & mask
            "vpsrld zmm18, zmm",
            $nibbles,
            ", 4\n",
            "vpternlogd zmm18, zmm",
            $pairs,
            ", zmm31, 0xe4\n", // first where the mask is set, else second
            "vpandd zmm18, zmm18, zmm28\n",
            "vmovdqa64 [{tile} + 64*",
            $low,
            " + 64*",
            $d,
            "], zmm16\n",
            "vmovdqa64 [{tile} + 64*",
            $high,
            " + 64*",
            $d,
            "], zmm18\n",
        )
    };
    (second, $d:literal, $nibbles:literal, $pairs:literal, $low:literal, $high:literal) => {
        concat!(
            "vpandd zmm16, zmm",
            $nibbles,
            ", zmm31\n",
            "vpslld zmm17, zmm",
            $pairs,
            ", 2\n",
            "vpternlogd zmm16, zmm17, zmm30, 0xf8\n",
            "vpsrld zmm18, zmm",
            $nibbles,
            ", 4\n",
            "vpsrld zmm19, zmm",
            $pairs,
            ", 2\n",
            "vpternlogd zmm18, zmm19, zmm31, 0xe4\n",
            "vpandd zmm18, zmm18, zmm28\n",
            "vmovdqa64 [{tile} + 64*",
            $low,
            " + 64*",
            $d,
            "], zmm16\n",
            "vmovdqa64 [{tile} + 64*",
            $high,
            " + 64*",
            $d,
            "], zmm18\n",
        )
    };
}

/// Two runs of 32 columns out of the nibbles at `$at`, loaded into eight registers; pairs of bits are in zmm0 to zmm7.
macro_rules! q6_k_runs {
    ($which:ident, $at:literal, [$a:literal, $b:literal, $c:literal, $d:literal, $e:literal, $f:literal, $g:literal, $h:literal], $low:literal, $high:literal) => {
        concat!(
            load_dwords!($at, [$a, $b, $c, $d, $e, $f, $g, $h]),
            q6_k_codes!($which, 0, $a, "0", $low, $high),
            q6_k_codes!($which, 1, $b, "1", $low, $high),
            q6_k_codes!($which, 2, $c, "2", $low, $high),
            q6_k_codes!($which, 3, $d, "3", $low, $high),
            q6_k_codes!($which, 4, $e, "4", $low, $high),
            q6_k_codes!($which, 5, $f, "5", $low, $high),
            q6_k_codes!($which, 6, $g, "6", $low, $high),
            q6_k_codes!($which, 7, $h, "7", $low, $high),
        )
    };
}

/// Four scales, the bytes of zmm`$scales`, from number `$first` on.
macro_rules! q6_k_scales {
    ($scales:literal, $first:literal) => {
        concat!(
            q6_k_scales!(one $scales, $first, 0, "24"),
            q6_k_scales!(one $scales, $first, 1, "16"),
            q6_k_scales!(one $scales, $first, 2, "8"),
            q6_k_scales!(one $scales, $first, 3, "0"),
        )
    };
    (one $scales:literal, $first:literal, $number:literal, $bits:literal) => {
        concat!(
            "vpslld zmm16, zmm", $scales, ", ", $bits, "\n",
            "vpsrad zmm16, zmm16, 24\n",
            "vcvtdq2ps zmm16, zmm16\n",
            "vmulps zmm16, zmm16, zmm29\n",
            "vmovaps [{tile} + {scale} + 64*", $first, " + 64*", $number, "], zmm16\n",
        )
    };
}

/// 16 rows, `stride` bytes apart, of one block each; 53 lines from `next` on are fetched.
///
/// # Safety
/// The blocks can be read, and AVX-512 F, BW and VL are present.
pub(super) unsafe fn q6_k(rows: *const u8, stride: usize, next: *const u8, tile: &mut Tile) {
    let masks: Masks = [0x0f0f_0f0f, 0x3030_3030, 0, 0x3f3f_3f3f];
    let tile = &raw mut *tile;
    // SAFETY: 210 bytes of each row are read; a tile has 64 x 64 bytes of codes and 16 x 64 of scales.
    unsafe {
        unpack_chunk!(
            rows,
            stride,
            next,
            tile,
            masks,
            [
                "vpbroadcastd zmm28, [{masks} + 12]",
                q6_k_header!(),
                q6_k_scales!("24", 0),
                q6_k_scales!("25", 4),
                fetch!(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
                load_dwords!("128", ["0", "1", "2", "3", "4", "5", "6", "7"]),
                q6_k_runs!(first, "0", ["8", "9", "10", "11", "12", "13", "14", "15"], 0, 16),
                fetch!(11, 12, 13, 14, 15, 16, 17, 18, 19, 20),
                q6_k_runs!(second, "32", ["8", "9", "10", "11", "12", "13", "14", "15"], 8, 24),
                fetch!(21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31),
                q6_k_scales!("26", 8),
                q6_k_scales!("27", 12),
                load_dwords!("160", ["0", "1", "2", "3", "4", "5", "6", "7"]),
                q6_k_runs!(first, "64", ["8", "9", "10", "11", "12", "13", "14", "15"], 32, 48),
                fetch!(32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42),
                q6_k_runs!(second, "96", ["8", "9", "10", "11", "12", "13", "14", "15"], 40, 56),
                fetch!(43, 44, 45, 46, 47, 48, 49, 50, 51, 52),
            ],
        );
    }
}

pub(super) use {load_dwords, q4_k_scale, q6_k_codes, q6_k_runs, q6_k_scales};

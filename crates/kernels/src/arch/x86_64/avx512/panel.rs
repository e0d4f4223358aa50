//! The innermost loop of a prefill: six input rows times two tiles, in assembly.
//!
//! It needs 12 registers for integer sums, 12 for float sums and the other 8 for what passes through, and exactly the
//! order written here. From intrinsics the compiler makes another one (row by row, all codes of a block in registers),
//! spills the float sums in every block, and is a third slower.
//!
//! ```text
//! zmm0-11   integer sums, row * 2 + tile          zmm24, 25  codes of the two tiles
//! zmm12-23  float sums, row * 2 + tile            zmm26      four values of an input row
//! zmm27     the bits of ROUND_MAGIC               zmm28-31   scales, offsets and what rows bring along
//! ```
//! See [`plain::multiply`](crate::arch::plain::multiply) for what is computed, and [`super`] for how.

use std::arch::asm;
use std::mem::offset_of;

use crate::activation::RowChunk;
use crate::math::ROUND_MAGIC;
use crate::tile::{CHUNK_BLOCKS, TILE_ROWS, Tile};

/// The sums of a panel.
type PanelSums = [[[f32; TILE_ROWS]; 2]; 6];

/// Row `$row`, whose integer sums are `$first` and `$second`: four columns, group `$group`.
macro_rules! row_products {
    ($group:literal, $row:literal, $first:literal, $second:literal) => {
        concat!(
            "vpbroadcastd zmm26, [{q} + ",
            $row,
            "*{row_bytes} + 4*",
            $group,
            "]\n",
            "vpdpbusd zmm",
            $first,
            ", zmm24, zmm26\n",
            "vpdpbusd zmm",
            $second,
            ", zmm25, zmm26\n",
        )
    };
}

/// Four columns of all rows: group `$group` of the block.
macro_rules! group_products {
    ($group:literal) => {
        concat!(
            "vmovdqu64 zmm24, [{first} + 8*{at} + 64*",
            $group,
            "]\n",
            "vmovdqu64 zmm25, [{second} + 8*{at} + 64*",
            $group,
            "]\n",
            row_products!($group, 0, 0, 1),
            row_products!($group, 1, 2, 3),
            row_products!($group, 2, 4, 5),
            row_products!($group, 3, 6, 7),
            row_products!($group, 4, 8, 9),
            row_products!($group, 5, 10, 11),
        )
    };
}

/// The 32 columns of the block.
macro_rules! block_products {
    () => {
        concat!(
            group_products!(0),
            group_products!(1),
            group_products!(2),
            group_products!(3),
            group_products!(4),
            group_products!(5),
            group_products!(6),
            group_products!(7),
        )
    };
}

/// Adds the offsets, in zmm28 and zmm29, times row `$row`'s total to its float sums.
macro_rules! add_offsets {
    ($row:literal, $first:literal, $second:literal) => {
        concat!(
            "vbroadcastss zmm30, [{factors} + ",
            $row,
            "*{row_bytes} + {total}]\n",
            "vfmadd231ps zmm",
            $first,
            ", zmm28, zmm30\n",
            "vfmadd231ps zmm",
            $second,
            ", zmm29, zmm30\n",
        )
    };
}

/// Makes floats of row `$row`'s integer sums and adds them, times the scales in zmm28 and zmm29, to its float sums.
macro_rules! add_scaled {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal) => {
        concat!(
            "vbroadcastss zmm30, [{factors} + ",
            $row,
            "*{row_bytes}]\n",
            "vbroadcastss zmm31, [{magic} + ",
            $row,
            "*{start_bytes}]\n",
            "vfmsub213ps zmm",
            $first,
            ", zmm30, zmm31\n",
            "vfmsub213ps zmm",
            $second,
            ", zmm30, zmm31\n",
            "vfmadd231ps zmm",
            $first_sum,
            ", zmm",
            $first,
            ", zmm28\n",
            "vfmadd231ps zmm",
            $second_sum,
            ", zmm",
            $second,
            ", zmm29\n",
        )
    };
}

/// Scales all rows' integer sums and adds them.
macro_rules! add_all_scaled {
    () => {
        concat!(
            "vmovups zmm28, [{first} + {at} + {scales}]\n",
            "vmovups zmm29, [{second} + {at} + {scales}]\n",
            add_scaled!(0, 0, 1, 12, 13),
            add_scaled!(1, 2, 3, 14, 15),
            add_scaled!(2, 4, 5, 16, 17),
            add_scaled!(3, 6, 7, 18, 19),
            add_scaled!(4, 8, 9, 20, 21),
            add_scaled!(5, 10, 11, 22, 23),
        )
    };
}

/// Moves the float sums between registers and memory: `$to` and `$from` are the operands' order.
macro_rules! load_sums {
    () => {
        concat!(
            "vmovups zmm12, [{sums}]\n",
            "vmovups zmm13, [{sums} + 64]\n",
            "vmovups zmm14, [{sums} + 128]\n",
            "vmovups zmm15, [{sums} + 192]\n",
            "vmovups zmm16, [{sums} + 256]\n",
            "vmovups zmm17, [{sums} + 320]\n",
            "vmovups zmm18, [{sums} + 384]\n",
            "vmovups zmm19, [{sums} + 448]\n",
            "vmovups zmm20, [{sums} + 512]\n",
            "vmovups zmm21, [{sums} + 576]\n",
            "vmovups zmm22, [{sums} + 640]\n",
            "vmovups zmm23, [{sums} + 704]\n",
        )
    };
}

macro_rules! store_sums {
    () => {
        concat!(
            "vmovups [{sums}], zmm12\n",
            "vmovups [{sums} + 64], zmm13\n",
            "vmovups [{sums} + 128], zmm14\n",
            "vmovups [{sums} + 192], zmm15\n",
            "vmovups [{sums} + 256], zmm16\n",
            "vmovups [{sums} + 320], zmm17\n",
            "vmovups [{sums} + 384], zmm18\n",
            "vmovups [{sums} + 448], zmm19\n",
            "vmovups [{sums} + 512], zmm20\n",
            "vmovups [{sums} + 576], zmm21\n",
            "vmovups [{sums} + 640], zmm22\n",
            "vmovups [{sums} + 704], zmm23\n",
        )
    };
}

/// Row `$row`'s integer sums start at its entry of the starts.
macro_rules! start_row {
    ($row:literal, $first:literal, $second:literal) => {
        concat!(
            "vpbroadcastd zmm",
            $first,
            ", [{starts} + ",
            $row,
            "*{start_bytes}]\n",
            "vmovdqa64 zmm",
            $second,
            ", zmm",
            $first,
            "\n",
        )
    };
}

/// Runs the assembly `$block` once a block. All operands that the pieces above name are given here.
macro_rules! for_each_block {
    ($tiles:ident, $rows:ident, $n_blocks:ident, $sums:ident, [$($block:expr),* $(,)?], $($operand:tt)*) => {
        asm!(
            load_sums!(),
            "2:",
            $($block,)*
            "add {q}, 32",
            "add {factors}, 4",
            "add {magic}, 4",
            "add {at}, 64",
            "cmp {at}, {end}",
            "jb 2b",
            store_sums!(),
            first = in(reg) $tiles[0],
            second = in(reg) $tiles[1],
            q = inout(reg) $rows.as_ptr() => _,
            factors = inout(reg) $rows[0].scale.as_ptr() => _,
            at = inout(reg) 0usize => _,
            end = in(reg) 64 * $n_blocks,
            sums = in(reg) $sums.as_mut_ptr(),
            row_bytes = const size_of::<RowChunk>(),
            start_bytes = const 4 * CHUNK_BLOCKS,
            scales = const offset_of!(Tile, scale),
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
            out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
            out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
            out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
            out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
            out("zmm30") _, out("zmm31") _,
            options(nostack),
            $($operand)*
        )
    };
}

/// Codes with offsets: `sums += offset * total + (dot * input scale) * scale` for `n_blocks` blocks; `magic` is
/// ROUND_MAGIC * input scale.
///
/// # Safety
/// AVX-512 F and VNNI are present, and `n_blocks` is 1 to 8.
pub(super) unsafe fn offset(
    tiles: [&Tile; 2],
    rows: &[RowChunk; 6],
    magic: &[[f32; CHUNK_BLOCKS]; 6],
    n_blocks: usize,
    sums: &mut PanelSums,
) {
    let round_magic = ROUND_MAGIC;
    // SAFETY: a tile has 8 x 512 bytes of codes and 64 bytes of scales and of offsets for each of up to 8 blocks, a row 32
    // bytes and a factor of each kind, `magic` a float; rows are `row_bytes` apart, sums 64 bytes. Nothing else is written.
    unsafe {
        for_each_block!(
            tiles, rows, n_blocks, sums,
            [
                "vbroadcastss zmm27, [{round_magic}]",
                "vmovdqa64 zmm0, zmm27", "vmovdqa64 zmm1, zmm27", "vmovdqa64 zmm2, zmm27", "vmovdqa64 zmm3, zmm27",
                "vmovdqa64 zmm4, zmm27", "vmovdqa64 zmm5, zmm27", "vmovdqa64 zmm6, zmm27", "vmovdqa64 zmm7, zmm27",
                "vmovdqa64 zmm8, zmm27", "vmovdqa64 zmm9, zmm27", "vmovdqa64 zmm10, zmm27", "vmovdqa64 zmm11, zmm27",
                block_products!(),
                "vmovups zmm28, [{first} + {at} + {offsets}]",
                "vmovups zmm29, [{second} + {at} + {offsets}]",
                add_offsets!(0, 12, 13), add_offsets!(1, 14, 15), add_offsets!(2, 16, 17),
                add_offsets!(3, 18, 19), add_offsets!(4, 20, 21), add_offsets!(5, 22, 23),
                add_all_scaled!(),
            ],
            round_magic = in(reg) &raw const round_magic,
            magic = inout(reg) magic.as_ptr() => _,
            offsets = const offset_of!(Tile, offset),
            total = const offset_of!(RowChunk, total) - offset_of!(RowChunk, scale),
        );
    }
}

/// Codes around a centre: `sums += (dot * input scale) * scale` for `n_blocks` blocks; `starts` are what the integer sums
/// start at, and ROUND_MAGIC * input scale.
///
/// # Safety
/// AVX-512 F and VNNI are present, and `n_blocks` is 1 to 8.
pub(super) unsafe fn centred(
    tiles: [&Tile; 2],
    rows: &[RowChunk; 6],
    starts: (&[[i32; CHUNK_BLOCKS]; 6], &[[f32; CHUNK_BLOCKS]; 6]),
    n_blocks: usize,
    sums: &mut PanelSums,
) {
    // SAFETY: as in `offset`; the starts have an entry for each row and block.
    unsafe {
        for_each_block!(
            tiles, rows, n_blocks, sums,
            [
                start_row!(0, 0, 1), start_row!(1, 2, 3), start_row!(2, 4, 5),
                start_row!(3, 6, 7), start_row!(4, 8, 9), start_row!(5, 10, 11),
                block_products!(),
                add_all_scaled!(),
                "add {starts}, 4",
            ],
            starts = inout(reg) starts.0.as_ptr() => _,
            magic = inout(reg) starts.1.as_ptr() => _,
        );
    }
}

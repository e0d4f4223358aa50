//! The innermost loop of products: up to six input rows times two tiles, in assembly.
//!
//! Six rows need 12 registers for integer sums, 12 for float sums and the other 8 for what passes through, and exactly the
//! order written here. From intrinsics the compiler makes another one (row by row, all codes of a block in registers),
//! spills the float sums in every block, and takes half as long again.
//!
//! ```text
//! zmm0-11   integer sums, row * 2 + tile          zmm24, 25  codes of the two tiles
//! zmm12-23  float sums, row * 2 + tile            zmm26      four values of an input row
//! zmm27     the bits of ROUND_MAGIC               zmm28-31   scales, offsets and what rows bring along
//! ```
//! Q6_K, whose blocks have two scales, keeps the first half's scaled sums of up to four rows in zmm8-11 and zmm20-23.
//!
//! See [`plain::multiply`](crate::arch::plain::multiply) for what is computed, and [`super`] for how.

use std::mem::offset_of;

use crate::activation::RowChunk;
use crate::math::ROUND_MAGIC;
use crate::tile::{CHUNK_BLOCKS, TILE_ROWS, Tile};

/// Sums of one input row with two tiles.
type RowSums = [[f32; TILE_ROWS]; 2];

/// What a panel multiplies: rows that follow each other, of `n_blocks` (1 to 8) blocks.
pub(super) struct Panel<'a> {
    pub(super) tiles: [&'a Tile; 2],
    pub(super) rows: &'a [RowChunk],
    pub(super) n_blocks: usize,
    pub(super) sums: &'a mut [RowSums],
    /// Fetched from memory in between, as far as the panel has time: [`LINES_A_BLOCK`] cache lines a block.
    pub(super) next: &'a [u8],
}

/// Cache lines fetched in each block: six rows take some 250 cycles for a block, in which a core can read seven lines.
const LINES_A_BLOCK: usize = 6;

/// Most rows of a panel.
pub(super) const MOST_ROWS: usize = 6;
/// Most rows of a panel of Q6_K.
pub(super) const MOST_ROWS_OF_HALVES: usize = 4;

/// The assembly `$piece` of every row of the panel, with the row's number, its registers (integer sums, float sums) and
/// `$argument`, which is `_` where there is none.
macro_rules! each_row {
    ([$(($row:tt, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal)),*], $piece:ident $argument:tt) => {
        concat!($($piece!($row, $first, $second, $first_sum, $second_sum, $argument)),*)
    };
}

/// Four columns, group `$group`, of a row.
macro_rules! products {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, $group:literal) => {
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

/// Groups of four columns, of all rows.
macro_rules! groups {
    ($rows:tt, $($group:literal),*) => {
        concat!($(
            "vmovdqu64 zmm24, [{first} + 8*{at} + 64*", $group, "]\n",
            "vmovdqu64 zmm25, [{second} + 8*{at} + 64*", $group, "]\n",
            each_row!($rows, products $group),
        )*)
    };
}

/// Integer sums start at the bits of ROUND_MAGIC.
macro_rules! start_at_magic {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, _) => {
        concat!("vmovdqa64 zmm", $first, ", zmm27\n", "vmovdqa64 zmm", $second, ", zmm27\n")
    };
}

/// Integer sums start at the row's entry of the starts.
macro_rules! start_at_centre {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, _) => {
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

/// Integer sums start at the row's centre of half `$half` of the block.
macro_rules! start_at_half {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, $half:literal) => {
        concat!(
            "vpbroadcastd zmm",
            $first,
            ", [{starts} + ",
            $row,
            "*{row_bytes} + 4*",
            $half,
            "]\n",
            "vmovdqa64 zmm",
            $second,
            ", zmm",
            $first,
            "\n",
        )
    };
}

/// Adds the offsets, in zmm28 and zmm29, times the row's total to its float sums.
macro_rules! add_offsets {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, _) => {
        concat!(
            "vbroadcastss zmm30, [{factors} + ",
            $row,
            "*{row_bytes} + {total}]\n",
            "vfmadd231ps zmm",
            $first_sum,
            ", zmm28, zmm30\n",
            "vfmadd231ps zmm",
            $second_sum,
            ", zmm29, zmm30\n",
        )
    };
}

/// Makes floats of the row's integer sums and adds them, times the scales in zmm28 and zmm29, to its float sums.
macro_rules! add_scaled {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, _) => {
        concat!(
            "vbroadcastss zmm30, [{factors} + ",
            $row,
            "*{row_bytes}]\n",
            "vbroadcastss zmm31, [{factors} + ",
            $row,
            "*{row_bytes} + {magic}]\n",
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

/// Makes floats of the first half's integer sums, times the scales in zmm28 and zmm29.
macro_rules! scale_half {
    (0, $($rest:tt)*) => { scale_half!(to "8", "20", $($rest)*) };
    (1, $($rest:tt)*) => { scale_half!(to "9", "21", $($rest)*) };
    (2, $($rest:tt)*) => { scale_half!(to "10", "22", $($rest)*) };
    (3, $($rest:tt)*) => { scale_half!(to "11", "23", $($rest)*) };
    (to $half:literal, $half_too:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, _) => {
        concat!(
            "vcvtdq2ps zmm", $half, ", zmm", $first, "\n",
            "vcvtdq2ps zmm", $half_too, ", zmm", $second, "\n",
            "vmulps zmm", $half, ", zmm", $half, ", zmm28\n",
            "vmulps zmm", $half_too, ", zmm", $half_too, ", zmm29\n",
        )
    };
}

/// Adds the first half's scaled sums and the second half's, times the scales in zmm28 and zmm29, to the float sums.
macro_rules! add_halves {
    (0, $($rest:tt)*) => { add_halves!(of 0, "8", "20", $($rest)*) };
    (1, $($rest:tt)*) => { add_halves!(of 1, "9", "21", $($rest)*) };
    (2, $($rest:tt)*) => { add_halves!(of 2, "10", "22", $($rest)*) };
    (3, $($rest:tt)*) => { add_halves!(of 3, "11", "23", $($rest)*) };
    (of $row:literal, $half:literal, $half_too:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, _) => {
        concat!(
            "vcvtdq2ps zmm", $first, ", zmm", $first, "\n",
            "vcvtdq2ps zmm", $second, ", zmm", $second, "\n",
            "vbroadcastss zmm30, [{factors} + ", $row, "*{row_bytes}]\n",
            "vfmadd231ps zmm", $half, ", zmm", $first, ", zmm28\n",
            "vfmadd231ps zmm", $half_too, ", zmm", $second, ", zmm29\n",
            "vfmadd231ps zmm", $first_sum, ", zmm", $half, ", zmm30\n",
            "vfmadd231ps zmm", $second_sum, ", zmm", $half_too, ", zmm30\n",
        )
    };
}

macro_rules! load_sums {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, _) => {
        concat!(
            "vmovups zmm",
            $first_sum,
            ", [{sums} + 128*",
            $row,
            "]\n",
            "vmovups zmm",
            $second_sum,
            ", [{sums} + 128*",
            $row,
            " + 64]\n",
        )
    };
}

macro_rules! store_sums {
    ($row:literal, $first:literal, $second:literal, $first_sum:literal, $second_sum:literal, _) => {
        concat!(
            "vmovups [{sums} + 128*",
            $row,
            "], zmm",
            $first_sum,
            "\n",
            "vmovups [{sums} + 128*",
            $row,
            " + 64], zmm",
            $second_sum,
            "\n",
        )
    };
}

/// Runs the assembly `$block` once a block, for the rows `$rows`; tiles have `$scales` x 64 bytes of scales a block.
macro_rules! for_each_block {
    ($panel:ident, $rows:tt, [$($block:expr),* $(,)?], $($operand:tt)*) => {
        vector_asm!(
            each_row!($rows, load_sums _),
            "vbroadcastss zmm27, [{round_magic}]",
            "2:",
            "cmp {next}, {stop}",
            "jae 3f",
            "prefetcht1 [{next}]",
            "prefetcht1 [{next} + 64]",
            "prefetcht1 [{next} + 128]",
            "prefetcht1 [{next} + 192]",
            "prefetcht1 [{next} + 256]",
            "prefetcht1 [{next} + 320]",
            "add {next}, {fetched}",
            "3:",
            $($block,)*
            "add {q}, 32",
            "add {factors}, 4",
            "add {at}, 64",
            "cmp {at}, {end}",
            "jb 2b",
            each_row!($rows, store_sums _),
            first = in(reg) $panel.tiles[0],
            second = in(reg) $panel.tiles[1],
            q = inout(reg) $panel.rows.as_ptr() => _,
            factors = inout(reg) (&raw const $panel.rows[0].scale) => _,
            at = inout(reg) 0usize => _,
            end = in(reg) 64 * $panel.n_blocks,
            sums = in(reg) $panel.sums.as_mut_ptr(),
            next = inout(reg) $panel.next.as_ptr_range().start => _,
            stop = in(reg) $panel.next.as_ptr_range().end,
            fetched = const 64 * LINES_A_BLOCK,
            round_magic = in(reg) &raw const ROUND,
            row_bytes = const size_of::<RowChunk>(),
            scales = const offset_of!(Tile, scale),
            $($operand)*
        )
    };
}

static ROUND: f32 = ROUND_MAGIC;

/// `$then!` with the rows of a panel of `$n`.
macro_rules! with_rows {
    ($n:expr, $then:ident, [$($most:tt)*]) => {
        match $n {
            1 => $then!([(0, "0", "1", "12", "13")]),
            2 => $then!([(0, "0", "1", "12", "13"), (1, "2", "3", "14", "15")]),
            3 => $then!([(0, "0", "1", "12", "13"), (1, "2", "3", "14", "15"), (2, "4", "5", "16", "17")]),
            4 => $then!([
                (0, "0", "1", "12", "13"), (1, "2", "3", "14", "15"), (2, "4", "5", "16", "17"), (3, "6", "7", "18", "19")
            ]),
            $($most)*
            _ => unreachable!("a panel of {} rows", $n),
        }
    };
    ($n:expr, $then:ident) => {
        with_rows!($n, $then, [
            5 => $then!([
                (0, "0", "1", "12", "13"), (1, "2", "3", "14", "15"), (2, "4", "5", "16", "17"), (3, "6", "7", "18", "19"),
                (4, "8", "9", "20", "21")
            ]),
            6 => $then!([
                (0, "0", "1", "12", "13"), (1, "2", "3", "14", "15"), (2, "4", "5", "16", "17"), (3, "6", "7", "18", "19"),
                (4, "8", "9", "20", "21"), (5, "10", "11", "22", "23")
            ]),
        ])
    };
}

impl Panel<'_> {
    /// Its number of rows, after checking what the assembly relies on.
    fn n_rows(&self) -> usize {
        assert!((1..=CHUNK_BLOCKS).contains(&self.n_blocks), "{} blocks", self.n_blocks);
        assert_eq!(self.rows.len(), self.sums.len(), "rows and their sums");
        self.rows.len()
    }

    /// Codes with offsets: `sums += offset * total + (dot * input scale) * scale`, for up to [`MOST_ROWS`] rows.
    ///
    /// # Safety
    /// AVX-512 F and VNNI are present.
    pub(super) unsafe fn offset(self) {
        macro_rules! run {
            ($rows:tt) => {
                // SAFETY: a tile has 8 x 512 bytes of codes and 64 bytes of scales and of offsets for each of up to 8 blocks; a row
                // 32 bytes and a factor of each kind; rows are `row_bytes` apart, sums 128. Nothing else is written.
                unsafe {
                    for_each_block!(
                        self, $rows,
                        [
                            each_row!($rows, start_at_magic _),
                            groups!($rows, 0, 1, 2, 3, 4, 5, 6, 7),
                            "vmovups zmm28, [{first} + {at} + {offsets}]",
                            "vmovups zmm29, [{second} + {at} + {offsets}]",
                            each_row!($rows, add_offsets _),
                            "vmovups zmm28, [{first} + {at} + {scales}]",
                            "vmovups zmm29, [{second} + {at} + {scales}]",
                            each_row!($rows, add_scaled _),
                        ],
                        offsets = const offset_of!(Tile, offset),
                        total = const offset_of!(RowChunk, total) - offset_of!(RowChunk, scale),
                        magic = const offset_of!(RowChunk, magic) - offset_of!(RowChunk, scale),
                    )
                }
            };
        }
        with_rows!(self.n_rows(), run)
    }

    /// Codes around a centre: `sums += (dot * input scale) * scale`; the integer sums of row i and a block start at
    /// `starts[i][block]`, for up to [`MOST_ROWS`] rows.
    ///
    /// # Safety
    /// AVX-512 F and VNNI are present.
    pub(super) unsafe fn centred(self, starts: &[[i32; CHUNK_BLOCKS]; MOST_ROWS]) {
        macro_rules! run {
            ($rows:tt) => {
                // SAFETY: as in `offset`; the starts have an entry for each row and block.
                unsafe {
                    for_each_block!(
                        self, $rows,
                        [
                            each_row!($rows, start_at_centre _),
                            groups!($rows, 0, 1, 2, 3, 4, 5, 6, 7),
                            "vmovups zmm28, [{first} + {at} + {scales}]",
                            "vmovups zmm29, [{second} + {at} + {scales}]",
                            each_row!($rows, add_scaled _),
                            "add {starts}, 4",
                        ],
                        starts = inout(reg) starts.as_ptr() => _,
                        start_bytes = const 4 * CHUNK_BLOCKS,
                        magic = const offset_of!(RowChunk, magic) - offset_of!(RowChunk, scale),
                    )
                }
            };
        }
        with_rows!(self.n_rows(), run)
    }

    /// Codes around a centre whose blocks have two scales: `sums += (dot of the first half * scale + dot of the second *
    /// its scale) * input scale`, for up to [`MOST_ROWS_OF_HALVES`] rows.
    ///
    /// # Safety
    /// AVX-512 F and VNNI are present.
    pub(super) unsafe fn halves(self) {
        macro_rules! run {
            ($rows:tt) => {
                // SAFETY: as in `offset`; a tile has twice as many scales, a row two centres a block.
                unsafe {
                    for_each_block!(
                        self, $rows,
                        [
                            each_row!($rows, start_at_half 0),
                            groups!($rows, 0, 1, 2, 3),
                            "vmovups zmm28, [{first} + 2*{at} + {scales}]",
                            "vmovups zmm29, [{second} + 2*{at} + {scales}]",
                            each_row!($rows, scale_half _),
                            each_row!($rows, start_at_half 1),
                            groups!($rows, 4, 5, 6, 7),
                            "vmovups zmm28, [{first} + 2*{at} + {scales} + 64]",
                            "vmovups zmm29, [{second} + 2*{at} + {scales} + 64]",
                            each_row!($rows, add_halves _),
                            "add {starts}, 8",
                        ],
                        starts = inout(reg) (&raw const self.rows[0].centres) => _,
                    )
                }
            };
        }
        with_rows!(self.n_rows(), run, [])
    }
}

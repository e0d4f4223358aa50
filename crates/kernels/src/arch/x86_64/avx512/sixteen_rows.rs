//! How sixteen rows of K-quants come into registers: pieces of assembly that products of one row and unpacking share.
//!
//! 32 bytes of rows i and i + 4 fill a register; four of these (i = 0..3), transposed inside their quarters, become registers
//! that hold dword d of four rows in quarters 0 and 2, and dword d + 4 of the same rows in quarters 1 and 3. Half as many
//! loads, and instructions to put them together, as with 16 bytes of four rows a register. What even and odd quarters of
//! two such registers become, all 16 rows in order, is gathered later, when it is less.
//!
//! Operands: p0 to p3 point to the first four rows, s4 and s12 are 4 and 12 times their distance, `next` points to what is to be
//! fetched, `masks` to [`Masks`].

/// Bytes of 256 columns of a row.
pub(super) const Q4_K_BYTES: usize = 144;
pub(super) const Q6_K_BYTES: usize = 210;

/// Masks of bits, each for a dword.
pub(super) type Masks = [u32; 4];

/// Loads 32 bytes at `$at` of rows i and i + 4 (`low`), or i + 8 and i + 12 (`high`), into four registers.
macro_rules! load_halves {
    (low, $at:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        load_halves!(all $at, "", "{s4}", $a, $b, $c, $d)
    };
    (high, $at:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        load_halves!(all $at, " + 2*{s4}", "{s12}", $a, $b, $c, $d)
    };
    (all $at:literal, $near:literal, $far:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            load_halves!(one $at, $near, $far, $a, "{p0}"),
            load_halves!(one $at, $near, $far, $b, "{p1}"),
            load_halves!(one $at, $near, $far, $c, "{p2}"),
            load_halves!(one $at, $near, $far, $d, "{p3}"),
        )
    };
    (one $at:literal, $near:literal, $far:literal, $to:literal, $row:literal) => {
        concat!(
            "vmovdqu64 ymm", $to, ", [", $row, $near, " + ", $at, "]\n",
            "vinserti64x4 zmm", $to, ", zmm", $to, ", [", $row, " + ", $far, " + ", $at, "], 1\n",
        )
    };
}

/// Loads 16 bytes at `$at` of rows i, i + 4, i + 8 and i + 12 into zmm0 to zmm3.
macro_rules! load_quarters {
    ($at:literal) => {
        concat!(
            load_quarters!(one, $at, "0", "p0"),
            load_quarters!(one, $at, "1", "p1"),
            load_quarters!(one, $at, "2", "p2"),
            load_quarters!(one, $at, "3", "p3"),
        )
    };
    (one, $at:literal, $to:literal, $row:literal) => {
        concat!(
            "vmovdqu xmm",
            $to,
            ", [{",
            $row,
            "} + ",
            $at,
            "]\n",
            "vinserti32x4 zmm",
            $to,
            ", zmm",
            $to,
            ", [{",
            $row,
            "} + {s4} + ",
            $at,
            "], 1\n",
            "vinserti32x4 zmm",
            $to,
            ", zmm",
            $to,
            ", [{",
            $row,
            "} + 2*{s4} + ",
            $at,
            "], 2\n",
            "vinserti32x4 zmm",
            $to,
            ", zmm",
            $to,
            ", [{",
            $row,
            "} + {s12} + ",
            $at,
            "], 3\n",
        )
    };
}

/// Transposes dwords of four registers inside their quarters: dword d of each, in register d.
macro_rules! transpose {
    ($a:literal, $b:literal, $c:literal, $d:literal, [$e:literal, $f:literal, $g:literal, $h:literal]) => {
        concat!(
            "vpunpckldq zmm",
            $e,
            ", zmm",
            $a,
            ", zmm",
            $b,
            "\n",
            "vpunpckhdq zmm",
            $f,
            ", zmm",
            $a,
            ", zmm",
            $b,
            "\n",
            "vpunpckldq zmm",
            $g,
            ", zmm",
            $c,
            ", zmm",
            $d,
            "\n",
            "vpunpckhdq zmm",
            $h,
            ", zmm",
            $c,
            ", zmm",
            $d,
            "\n",
            "vpunpcklqdq zmm",
            $a,
            ", zmm",
            $e,
            ", zmm",
            $g,
            "\n",
            "vpunpckhqdq zmm",
            $b,
            ", zmm",
            $e,
            ", zmm",
            $g,
            "\n",
            "vpunpcklqdq zmm",
            $c,
            ", zmm",
            $f,
            ", zmm",
            $h,
            "\n",
            "vpunpckhqdq zmm",
            $d,
            ", zmm",
            $f,
            ", zmm",
            $h,
            "\n",
        )
    };
}

/// Fetches four lines from `$at` on.
macro_rules! fetch {
    ($($at:literal),*) => { concat!($("prefetcht1 [{next} + 64*", $at, "]\n"),*) };
}

/// The header of the block: d in zmm24, d_min in zmm25, scales in zmm20 and zmm21, minimums in zmm22 and zmm23.
macro_rules! q4_k_header {
    () => {
        concat!(
            load_quarters!("0"),
            transpose!("0", "1", "2", "3", ["4", "5", "6", "7"]),
            "vpmovdw ymm4, zmm0\n",
            "vpsrld zmm5, zmm0, 16\n",
            "vcvtph2ps zmm24, ymm4\n",
            "vpmovdw ymm5, zmm5\n",
            "vcvtph2ps zmm25, ymm5\n",
            "vpandd zmm20, zmm1, zmm27\n",
            "vpandd zmm22, zmm2, zmm27\n",
            "vpsrld zmm21, zmm1, 2\n",
            "vpsrld zmm23, zmm2, 2\n",
            "vpsrld zmm4, zmm3, 4\n",
            // Where the mask of nibbles is set the second operand, else the first.
            "vpternlogd zmm21, zmm3, zmm31, 0xd8\n",
            "vpternlogd zmm23, zmm4, zmm31, 0xd8\n",
            "vpandd zmm21, zmm21, zmm27\n",
            "vpandd zmm23, zmm23, zmm27\n",
        )
    };
}

/// The header of the block: d in zmm29, 16 scales in zmm24 to zmm27.
macro_rules! q6_k_header {
    () => {
        concat!(
            // d is the upper half of the last dword.
            load_quarters!("194"),
            "vpunpckhdq zmm4, zmm0, zmm1\n",
            "vpunpckhdq zmm5, zmm2, zmm3\n",
            "vpunpckhqdq zmm4, zmm4, zmm5\n",
            "vpsrld zmm4, zmm4, 16\n",
            "vpmovdw ymm4, zmm4\n",
            "vcvtph2ps zmm29, ymm4\n",
            load_quarters!("192"),
            transpose!("0", "1", "2", "3", ["4", "5", "6", "7"]),
            "vmovdqa64 zmm24, zmm0\n",
            "vmovdqa64 zmm25, zmm1\n",
            "vmovdqa64 zmm26, zmm2\n",
            "vmovdqa64 zmm27, zmm3\n",
        )
    };
}

pub(super) use {fetch, load_halves, load_quarters, q4_k_header, q6_k_header, transpose};

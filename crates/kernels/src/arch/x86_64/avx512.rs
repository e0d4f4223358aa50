//! AVX-512 F, BW, DQ, VL and VNNI.
//!
//! Products: a register holds four columns of the 16 rows of a tile; one `vpdpbusd` multiplies it with four values
//! of an input row (broadcast from memory) into 16 exact sums. The sums of a [`Panel`] of up to six input rows and two
//! tiles live in registers through a block of 32 columns, then are scaled and added as `plain` defines.
//!
//! Two thirds of the arithmetic units' time are these products; the rest is making floats of the sums. What keeps it so low:
//! - the integer sums start at the bits of [`ROUND_MAGIC`], 1.5 * 2^23, so that they *are* floats, larger by that, and
//!   `dot * scale` is one fused multiply-subtract, exact until its one rounding because a scale has 22 bits;
//! - codes around a centre have -centre * Σq in that start too, and no offset to add.
//!
//! What is not written by hand here is `plain`, compiled with these features.

/// `asm!` that may change every vector register and leaves the stack alone. Operands end with a comma.
macro_rules! vector_asm {
    ($($body:tt)*) => {
        std::arch::asm!(
            $($body)*
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
            out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
            out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
            out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
            out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
            out("zmm30") _, out("zmm31") _,
            options(nostack),
        )
    };
}

mod attention;
mod few_rows;
mod floats;
mod k_tiles;
mod one_row;
mod panel;
mod sixteen_rows;
mod unpack;

use std::arch::x86_64::*;

use crate::activation::{ActivationChunk, RowChunk};
use crate::arch::{Dispatch, Isa, Sums, compiled_plain};
use crate::format::CodeKind;
use crate::math::ROUND_MAGIC;
use crate::tile::{CHUNK_BLOCKS, Tile};
use panel::{MOST_ROWS, MOST_ROWS_OF_HALVES, Panel};

/// The kernels for a processor that [`has_avx512`](super::has_avx512).
pub(crate) fn table() -> Dispatch {
    Dispatch {
        prefetch: super::prefetch,
        unpack: unpack::unpack,
        multiply,
        multiply_one: one_row::multiply_one,
        multiply_few: few_rows::multiply_few,
        unpack_floats: floats::unpack,
        multiply_floats: floats::multiply,
        load_keys: attention::load_keys,
        load_values: attention::load_values,
        attend: attention::attend,
        attend_one: attention::attend_one,
        ..compiled_plain!(Isa::Avx512, "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
    }
}

/// See [`plain::multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply(kind: CodeKind, tiles: &[Tile], x: &ActivationChunk<'_>, next: &[u8], sums: &mut Sums) {
    let tiles = match tiles {
        [] => return,
        [one] => [one, one], // the sums of the second are nobody's
        [first, second, ..] => [first, second],
    };
    let most = if kind == CodeKind::CentredHalves { MOST_ROWS_OF_HALVES } else { MOST_ROWS };
    // Panels of the same size as nearly as can be: 4 and 4 rows are faster than 6 and 2.
    let mut n_panels = x.rows.len().div_ceil(most);
    let (mut rows, mut sums) = (x.rows, &mut sums[..x.rows.len()]);
    let mut next = next.chunks(next.len().div_ceil(n_panels.max(1)).max(1));
    while n_panels > 0 {
        let n_rows = rows.len().div_ceil(n_panels);
        let (now, later) = rows.split_at(n_rows);
        let (sums_now, sums_later) = sums.split_at_mut(n_rows);
        let next = next.next().unwrap_or_default();
        let panel = Panel { tiles, rows: now, n_blocks: x.n_blocks, sums: sums_now, next };
        // SAFETY: the target features are those of this function.
        unsafe {
            match kind {
                CodeKind::Offset => panel.offset(),
                CodeKind::Centred { centre } => panel.centred(&starts(now, centre)),
                CodeKind::CentredHalves => panel.halves(),
            }
        }
        (rows, sums, n_panels) = (later, sums_later, n_panels - 1);
    }
}

/// What the integer sums of a panel's rows start at where codes are around `centre`: -centre * Σq and the bits of ROUND_MAGIC.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn starts(rows: &[RowChunk], centre: u8) -> [[i32; CHUNK_BLOCKS]; MOST_ROWS] {
    let mut starts = [[0; CHUNK_BLOCKS]; MOST_ROWS];
    for (starts, row) in starts.iter_mut().zip(rows) {
        // SAFETY: eight pairs of centres are read, eight starts written.
        unsafe {
            let halves = _mm512_loadu_si512(row.centres.as_ptr().cast()); // -32 * sums of q
            let both = _mm512_add_epi32(halves, _mm512_srli_epi64::<32>(halves));
            let sums = _mm256_srai_epi32::<5>(_mm512_cvtepi64_epi32(both));
            let centred = _mm256_mullo_epi32(sums, _mm256_set1_epi32(i32::from(centre)));
            let start = _mm256_add_epi32(centred, _mm256_set1_epi32(ROUND_MAGIC.to_bits() as i32));
            _mm256_storeu_si256(starts.as_mut_ptr().cast(), start);
        }
    }
    starts
}

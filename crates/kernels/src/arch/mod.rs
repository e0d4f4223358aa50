//! Instruction sets: which there are, which one this machine has, and the table of kernels each provides.
//!
//! `plain` is the definition; `x86_64` holds one file per instruction set. A table exists only for a set whose
//! presence was proved, so calling through it is sound. Other processors (NEON among them) take the plain table.

pub(crate) mod plain;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::ops::Range;

use crate::activation::{ActivationChunk, ActivationWriter, Activations};
use crate::format::CodeKind;
use crate::tile::{FloatTile, TILE_ROWS, Tile, TileSource};
use crate::{KernelError, KvType, RopePairing};
use plain::{BlockResult, BlockRows, HeadBlock, StoredBlock};

/// An instruction set that has kernels of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust for the baseline of the target: works everywhere, slow.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C (2013 and later).
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and VNNI (2019 and later server parts).
    Avx512,
}

impl Isa {
    /// Every instruction set, slowest first.
    pub const ALL: [Isa; 3] = [Isa::Scalar, Isa::Avx2, Isa::Avx512];

    /// Whether this processor has it.
    pub fn is_present(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86_64::has_avx2(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => x86_64::has_avx512(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The fastest one present.
    pub fn best() -> Isa {
        Isa::ALL.into_iter().rev().find(|isa| isa.is_present()).unwrap_or(Isa::Scalar)
    }
}

/// A value for each row of a tile.
pub(crate) type Lanes = [f32; TILE_ROWS];

/// Sums of input rows with the rows of two tiles: one entry an input row.
pub(crate) type Sums = [[Lanes; 2]];

/// What a position of the gated convolution is made of.
pub(crate) struct ConvInput<'a> {
    /// B, C and x: (3, d).
    pub(crate) bcx: &'a [f32],
    /// (d, 3)
    pub(crate) kernel: &'a [f32],
    /// B * x two positions before.
    pub(crate) before: &'a [f32],
    /// B * x one position before.
    pub(crate) last: &'a [f32],
}

/// The kernels of one instruction set. See `plain` for what each does.
///
/// Every pointer is unsafe to call only for its target features (and the quantising ones for their writer): whoever holds
/// a table got it from [`Dispatch::new`], which proved them.
#[allow(clippy::type_complexity)] // the signatures are said once, here
pub(crate) struct Dispatch {
    pub(crate) isa: Isa,
    /// Asks for bytes that will be read soon; changes nothing.
    pub(crate) prefetch: fn(&[u8]),
    pub(crate) unpack: unsafe fn(&TileSource<'_>, &mut Tile),
    pub(crate) unpack_floats: unsafe fn(&TileSource<'_>, &mut FloatTile),
    /// Bytes that will be read soon may be fetched meanwhile.
    pub(crate) multiply: unsafe fn(CodeKind, &[Tile], &ActivationChunk<'_>, &[u8], &mut Sums),
    /// Products of one row of the input with whole rows of up to 16 rows of weights, without unpacking them first; or nothing,
    /// and false. The source's columns are all of the matrix's.
    pub(crate) multiply_one: unsafe fn(&TileSource<'_>, &Activations, usize, &mut Lanes) -> bool,
    /// Products of a few rows of the input with 16 rows of weights, which are unpacked on the way (through the tile): the sums
    /// with tile 0 or 1; or nothing, and false. The source's columns are all of the matrix's.
    pub(crate) multiply_few:
        unsafe fn(&TileSource<'_>, &Activations, Range<usize>, &mut Tile, &mut Sums, usize) -> bool,
    pub(crate) multiply_floats: unsafe fn(&[FloatTile], &[f32], usize, Range<usize>, &mut Sums),
    pub(crate) quantise_rows: unsafe fn(&[f32], usize, &ActivationWriter<'_>),
    pub(crate) quantise_column: unsafe fn(&[f32], usize, usize, &ActivationWriter<'_>),
    pub(crate) rms_norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(crate) swiglu: unsafe fn(&mut [f32], &[f32]),
    pub(crate) sigmoids: unsafe fn(&mut [f32]),
    pub(crate) rope: unsafe fn(&mut [f32], usize, &[f32], &[f32], RopePairing),
    pub(crate) short_conv: unsafe fn(&ConvInput<'_>, &mut [f32], &mut [f32]),
    pub(crate) load_keys: unsafe fn(KvType, &[u8], usize, usize, &mut [f32]),
    pub(crate) load_values: unsafe fn(KvType, &[u8], usize, usize, usize, &mut [f32]) -> bool,
    pub(crate) attend: unsafe fn(&HeadBlock<'_>, &[f32], &[u32], &mut [f32], &mut BlockResult<'_>),
    /// Attention of one panel, up to 12 rows, without converting the block first; or nothing, and false.
    pub(crate) attend_one: unsafe fn(&StoredBlock<'_>, &[f32], &mut [f32], &mut BlockResult<'_>) -> bool,
    pub(crate) merge: unsafe fn(&mut BlockResult<'_>, &BlockRows<'_>, usize),
}

/// A table whose functions are the plain ones, compiled with the given target features (none: the baseline).
macro_rules! compiled_plain {
    ($isa:expr $(, $features:literal)?) => {{
        use std::ops::Range;
        use crate::activation::{self, ActivationChunk, ActivationWriter};
        use crate::arch::{ConvInput, Dispatch, Sums, plain, plain::{BlockResult, BlockRows, HeadBlock}};
        use crate::format::CodeKind;
        use crate::tile::{self, FloatTile, Tile, TileSource};
        use crate::{KvType, RopePairing};

        $(#[target_feature(enable = $features)])?
        fn unpack(source: &TileSource<'_>, tile: &mut Tile) {
            tile::unpack(source, tile);
        }
        $(#[target_feature(enable = $features)])?
        fn unpack_floats(source: &TileSource<'_>, tile: &mut FloatTile) {
            tile::unpack_floats(source, tile);
        }
        $(#[target_feature(enable = $features)])?
        fn multiply(kind: CodeKind, tiles: &[Tile], x: &ActivationChunk<'_>, _: &[u8], sums: &mut Sums) {
            plain::multiply(kind, tiles, x, sums);
        }
        $(#[target_feature(enable = $features)])?
        fn multiply_floats(
            tiles: &[FloatTile],
            x: &[f32],
            row_len: usize,
            cols: Range<usize>,
            sums: &mut Sums,
        ) {
            plain::multiply_floats(tiles, x, row_len, cols, sums);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn quantise_rows(x: &[f32], first_row: usize, out: &ActivationWriter<'_>) {
            // SAFETY: the contract is the same.
            unsafe { activation::quantise_rows(x, first_row, out) };
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn quantise_column(x: &[f32], first_row: usize, block: usize, out: &ActivationWriter<'_>) {
            // SAFETY: the contract is the same.
            unsafe { activation::quantise_column(x, first_row, block, out) };
        }
        $(#[target_feature(enable = $features)])?
        fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
            plain::rms_norm(x, weight, eps, out);
        }
        $(#[target_feature(enable = $features)])?
        fn swiglu(gate: &mut [f32], up: &[f32]) {
            plain::swiglu(gate, up);
        }
        $(#[target_feature(enable = $features)])?
        fn sigmoids(x: &mut [f32]) {
            plain::sigmoids(x);
        }
        $(#[target_feature(enable = $features)])?
        fn rope(heads: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32], pairing: RopePairing) {
            plain::rope(heads, head_dim, cos, sin, pairing);
        }
        $(#[target_feature(enable = $features)])?
        fn short_conv(input: &ConvInput<'_>, gated: &mut [f32], out: &mut [f32]) {
            plain::short_conv(input, gated, out);
        }
        $(#[target_feature(enable = $features)])?
        fn load_keys(kv_type: KvType, bytes: &[u8], head_dim: usize, n_keys: usize, out: &mut [f32]) {
            plain::load_keys(kv_type, bytes, head_dim, n_keys, out);
        }
        $(#[target_feature(enable = $features)])?
        fn load_values(
            kv_type: KvType,
            bytes: &[u8],
            head_dim: usize,
            n_keys: usize,
            stride: usize,
            out: &mut [f32],
        ) -> bool {
            plain::load_values(kv_type, bytes, head_dim, n_keys, stride, out)
        }
        $(#[target_feature(enable = $features)])?
        fn attend(
            block: &HeadBlock<'_>,
            queries: &[f32],
            limits: &[u32],
            weights: &mut [f32],
            result: &mut BlockResult<'_>,
        ) {
            plain::attend(block, queries, limits, weights, result);
        }
        $(#[target_feature(enable = $features)])?
        fn merge(running: &mut BlockResult<'_>, block: &BlockRows<'_>, stride: usize) {
            plain::merge(running, block, stride);
        }
        Dispatch {
            isa: $isa,
            prefetch: |_| (),
            unpack,
            unpack_floats,
            multiply,
            multiply_one: |_, _, _, _| false,
            multiply_few: |_, _, _, _, _, _| false,
            multiply_floats,
            quantise_rows,
            quantise_column,
            rms_norm,
            swiglu,
            sigmoids,
            rope,
            short_conv,
            load_keys,
            load_values,
            attend,
            attend_one: |_, _, _, _| false,
            merge,
        }
    }};
}
#[cfg(target_arch = "x86_64")]
pub(crate) use compiled_plain;

impl Dispatch {
    /// The table of `isa`, or of the best set present.
    ///
    /// # Errors
    /// When the processor has no such instructions.
    pub(crate) fn new(isa: Option<Isa>) -> Result<Dispatch, KernelError> {
        let isa = isa.unwrap_or_else(Isa::best);
        if !isa.is_present() {
            return Err(KernelError::IsaMissing(isa));
        }
        Ok(match isa {
            Isa::Scalar => compiled_plain!(Isa::Scalar),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86_64::avx2::table(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => x86_64::avx512::table(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("not present, so refused above"),
        })
    }
}

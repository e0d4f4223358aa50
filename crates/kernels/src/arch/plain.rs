//! The kernels in plain Rust: the oracle, and the body that the compiler vectorises for each instruction set where
//! nothing is gained by hand. Each function is inlined into a wrapper that carries the target features, so it must not
//! call anything that is not inlined.
//!
//! The order of every f32 operation here is the definition of the result: a path written by hand follows it to the bit.

use std::ops::Range;

use crate::activation::ActivationChunk;
use crate::arch::{ConvInput, Sums};
use crate::format::CodeKind;
use crate::kv::{KV_GROUP, KV_SCALED};
use crate::math::{exp2_below, f16_to_f32, sigmoid, silu, sum_lanes};
use crate::tile::{BLOCK, FloatTile, TILE_ROWS, Tile};
use crate::{KV_BLOCK, KvType, RopePairing};

/// `sums[row][tile] += tile * x[row]` for a chunk: per block of 32 columns an exact integer dot product, scaled and
/// added with one rounding each.
#[inline(always)]
pub(crate) fn multiply(kind: CodeKind, tiles: &[Tile], x: &ActivationChunk<'_>, sums: &mut Sums) {
    for (x_row, sums) in x.rows.iter().zip(sums) {
        for (tile, sum) in tiles.iter().zip(sums) {
            for block in 0..x.n_blocks {
                let q = &x_row.q[block];
                let codes = &tile.codes[block * 8..][..8];
                let (scale, total) = (x_row.scale[block], x_row.total[block]);
                match kind {
                    CodeKind::Offset => {
                        let dots = dot(codes, q, 0);
                        for lane in 0..TILE_ROWS {
                            let with_offset = tile.offset[block][lane].mul_add(total, sum[lane]);
                            sum[lane] =
                                (dots[lane] as f32 * scale).mul_add(tile.scale[block][lane], with_offset);
                        }
                    }
                    CodeKind::Centred { centre } => {
                        let [first, second] = x_row.centres[block]; // -32 * sums of q
                        let dots = dot(codes, q, (first + second) / 32 * i32::from(centre));
                        for lane in 0..TILE_ROWS {
                            sum[lane] =
                                (dots[lane] as f32 * scale).mul_add(tile.scale[block][lane], sum[lane]);
                        }
                    }
                    CodeKind::CentredHalves => {
                        let first = dot(&codes[..4], &q[..16], x_row.centres[block][0]);
                        let second = dot(&codes[4..], &q[16..], x_row.centres[block][1]);
                        for lane in 0..TILE_ROWS {
                            let half = first[lane] as f32 * tile.scale[2 * block][lane];
                            let both = (second[lane] as f32).mul_add(tile.scale[2 * block + 1][lane], half);
                            sum[lane] = both.mul_add(scale, sum[lane]);
                        }
                    }
                }
            }
        }
    }
}

/// Per lane `start` + the dot product of its codes with `q`.
#[inline(always)]
fn dot(codes: &[[u8; 4 * TILE_ROWS]], q: &[i8], start: i32) -> [i32; TILE_ROWS] {
    let mut dots = [start; TILE_ROWS];
    for (codes, q) in codes.iter().zip(q.as_chunks::<4>().0) {
        for lane in 0..TILE_ROWS {
            for i in 0..4 {
                dots[lane] += i32::from(codes[4 * lane + i]) * i32::from(q[i]);
            }
        }
    }
    dots
}

/// `sums[row][tile] += tile * x[row]` for float weights: columns `cols` of rows of `row_len`
/// floats; each 32 columns are summed one after the other, then added.
#[inline(always)]
pub(crate) fn multiply_floats(
    tiles: &[FloatTile],
    x: &[f32],
    row_len: usize,
    cols: Range<usize>,
    sums: &mut Sums,
) {
    for (x, sums) in x.chunks_exact(row_len).zip(sums) {
        let x = &x[cols.clone()];
        for (tile, sum) in tiles.iter().zip(sums) {
            for (x, weights) in x.chunks(BLOCK).zip(tile.weights.chunks(BLOCK)) {
                let mut block = [0.0; TILE_ROWS];
                for (x, weights) in x.iter().zip(weights) {
                    for lane in 0..TILE_ROWS {
                        block[lane] = x.mul_add(weights[lane], block[lane]);
                    }
                }
                for lane in 0..TILE_ROWS {
                    sum[lane] += block[lane];
                }
            }
        }
    }
}

/// Rows of `weight.len()`: x / rms(x) * weight.
#[inline(always)]
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let n = weight.len();
    for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        let mut lanes = [0.0f32; 16];
        let (whole, rest) = x.as_chunks::<16>();
        for x in whole {
            for lane in 0..16 {
                lanes[lane] = x[lane].mul_add(x[lane], lanes[lane]);
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane = x.mul_add(*x, *lane);
        }
        let factor = 1.0 / (sum_lanes(lanes) / n as f32 + eps).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * factor * weight;
        }
    }
}

/// gate = silu(gate) * up.
#[inline(always)]
pub(crate) fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = silu(*gate) * up;
    }
}

/// x = sigmoid(x).
#[inline(always)]
pub(crate) fn sigmoids(x: &mut [f32]) {
    for x in x {
        *x = sigmoid(*x);
    }
}

/// Rotates the heads of one token (n_heads, head_dim) by the angles of its position.
#[inline(always)]
pub(crate) fn rope(heads: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32], pairing: RopePairing) {
    let n_pairs = cos.len();
    for head in heads.chunks_exact_mut(head_dim) {
        match pairing {
            RopePairing::Neox => {
                let (first, second) = head[..2 * n_pairs].split_at_mut(n_pairs);
                for i in 0..n_pairs {
                    let (a, b) = (first[i], second[i]);
                    first[i] = a.mul_add(cos[i], -(b * sin[i]));
                    second[i] = a.mul_add(sin[i], b * cos[i]);
                }
            }
            RopePairing::Interleaved => {
                for (i, pair) in head[..2 * n_pairs].as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    let (a, b) = (pair[0], pair[1]);
                    pair[0] = a.mul_add(cos[i], -(b * sin[i]));
                    pair[1] = a.mul_add(sin[i], b * cos[i]);
                }
            }
        }
    }
}

/// One position of the gated short convolution: g = b * x; z = k0 before + k1 last + k2 g; out = c * z.
/// `gated` gets g.
#[inline(always)]
pub(crate) fn short_conv(input: &ConvInput<'_>, gated: &mut [f32], out: &mut [f32]) {
    let d = out.len();
    let (b, rest) = input.bcx.split_at(d);
    let (c, x) = rest.split_at(d);
    let (before, last, gated) = (&input.before[..d], &input.last[..d], &mut gated[..d]);
    let (c, x, kernel) = (&c[..d], &x[..d], &input.kernel.as_chunks::<3>().0[..d]);
    for i in 0..d {
        let g = b[i] * x[i];
        gated[i] = g;
        let z = g.mul_add(kernel[i][2], last[i].mul_add(kernel[i][1], before[i] * kernel[i][0]));
        out[i] = c[i] * z;
    }
}

/// Makes floats of `n_keys` keys of one head, rounded up to groups of 32: (256 / 32, head_dim, 32).
#[inline(always)]
pub(crate) fn load_keys(kv_type: KvType, bytes: &[u8], head_dim: usize, n_keys: usize, out: &mut [f32]) {
    let groups = bytes.chunks_exact(kv_type.group_bytes(head_dim)).take(n_keys.div_ceil(KV_GROUP));
    for (group, out) in groups.zip(out.chunks_exact_mut(KV_GROUP * head_dim)) {
        let (scales, numbers) = group.split_at(kv_type.scales_bytes(head_dim));
        for (dim, out) in out.chunks_exact_mut(KV_GROUP).enumerate() {
            for (key, out) in out.iter_mut().enumerate() {
                let scale = dim / KV_SCALED * KV_GROUP + key;
                *out = kv_number(kv_type, scales, scale, numbers, dim * KV_GROUP + key);
            }
        }
    }
}

/// Makes floats of `n_keys` values of one head: (stride / 32, 256, 32), the last group 16 wide when the stride is an odd
/// multiple of 16; zeros behind head_dim. Says whether all are finite.
#[inline(always)]
pub(crate) fn load_values(
    kv_type: KvType,
    bytes: &[u8],
    head_dim: usize,
    n_keys: usize,
    stride: usize,
    out: &mut [f32],
) -> bool {
    let (mut finite, n_scales) = (true, head_dim.div_ceil(KV_SCALED));
    for key in 0..n_keys {
        let group = &bytes[key / KV_GROUP * kv_type.group_bytes(head_dim)..];
        let (scales, numbers) = group.split_at(kv_type.scales_bytes(head_dim));
        for dim in 0..stride {
            let width = (stride - dim / 32 * 32).min(32);
            let to = dim / 32 * 32 * KV_BLOCK + key * width + dim % 32;
            out[to] = 0.0;
            if dim < head_dim {
                let scale = key % KV_GROUP * n_scales + dim / KV_SCALED;
                out[to] = kv_number(kv_type, scales, scale, numbers, key % KV_GROUP * head_dim + dim);
            }
            finite &= out[to].is_finite();
        }
    }
    finite
}

/// Number `index` of `numbers`. A code times its scale has at most 19 bits, so it is exact.
#[inline(always)]
fn kv_number(kv_type: KvType, scales: &[u8], scale: usize, numbers: &[u8], index: usize) -> f32 {
    let half = |bytes: &[u8], index: usize| f16_to_f32(u16::from_le_bytes(bytes.as_chunks::<2>().0[index]));
    match kv_type {
        KvType::F16 => half(numbers, index),
        KvType::F32 => f32::from_le_bytes(numbers.as_chunks::<4>().0[index]),
        KvType::Q8_0 => half(scales, scale) * f32::from(numbers[index] as i8),
    }
}

/// The keys and values of one head in one block, as floats.
#[derive(Clone, Copy)]
pub(crate) struct HeadBlock<'a> {
    pub(crate) head_dim: usize,
    /// head_dim rounded up to 16: the length of a row of values and of an output row.
    pub(crate) stride: usize,
    /// (256 / 32, head_dim, 32)
    pub(crate) keys: &'a [f32],
    /// (stride / 32, 256, 32), the last group as wide as is left
    pub(crate) values: &'a [f32],
    /// Whether no value is infinite or NaN.
    pub(crate) finite: bool,
    /// Bytes that will be read after this block, to be fetched meanwhile.
    pub(crate) next: [&'a [u8]; 2],
}

/// The same as they are stored.
pub(crate) struct StoredBlock<'a> {
    pub(crate) kv_type: KvType,
    pub(crate) head_dim: usize,
    /// As in [`HeadBlock`].
    pub(crate) stride: usize,
    /// See [`crate::kv`].
    pub(crate) keys: &'a [u8],
    pub(crate) values: &'a [u8],
    /// Keys that every row sees, at least 1.
    pub(crate) n_keys: usize,
}

/// What rows of queries got from one block: not divided by the sum yet.
pub(crate) struct BlockResult<'a> {
    /// Largest score; negative infinity for a row that sees nothing of the block.
    pub(crate) max: &'a mut [f32],
    /// Sum of 2^(score - max).
    pub(crate) sum: &'a mut [f32],
    /// Sum of 2^(score - max) * value, (n_rows, stride).
    pub(crate) values: &'a mut [f32],
}

impl BlockResult<'_> {
    /// The same to read.
    pub(crate) fn rows(&self) -> BlockRows<'_> {
        BlockRows { max: self.max, sum: self.sum, values: self.values }
    }
}

/// A [`BlockResult`] to read.
pub(crate) struct BlockRows<'a> {
    pub(crate) max: &'a [f32],
    pub(crate) sum: &'a [f32],
    pub(crate) values: &'a [f32],
}

/// Attention of a panel of up to 12 query rows, scaled for powers of two, to the first `limits[row]` keys of a block.
/// `queries` is (head_dim, n_rows); `weights` is room for (n_rows, 256) floats.
#[inline(always)]
pub(crate) fn attend(
    block: &HeadBlock<'_>,
    queries: &[f32],
    limits: &[u32],
    weights: &mut [f32],
    result: &mut BlockResult<'_>,
) {
    for (row, limit) in limits.iter().enumerate() {
        let n_keys = *limit as usize;
        let weights = &mut weights[row * KV_BLOCK..][..KV_BLOCK];
        weights.fill(0.0);
        for (dim, queries) in queries.chunks_exact(limits.len()).enumerate() {
            for (group, weights) in weights[..n_keys].chunks_mut(32).enumerate() {
                let keys = &block.keys[(group * block.head_dim + dim) * 32..];
                for (weight, key) in weights.iter_mut().zip(keys) {
                    *weight = queries[row].mul_add(*key, *weight);
                }
            }
        }
        let mut max = f32::NEG_INFINITY;
        for score in &weights[..n_keys] {
            max = if *score > max { *score } else { max };
        }
        let mut lanes = [0.0; 16];
        for (key, weight) in weights.iter_mut().enumerate() {
            *weight = if key < n_keys { exp2_below(*weight - max) } else { 0.0 };
            lanes[key % 16] += *weight;
        }
        let out = &mut result.values[row * block.stride..][..block.stride];
        out.fill(0.0);
        for (group, out) in out.chunks_mut(32).enumerate() {
            let values = block.values[group * 32 * KV_BLOCK..].chunks_exact(out.len());
            for (weight, values) in weights[..n_keys].iter().zip(values) {
                for (out, value) in out.iter_mut().zip(values) {
                    *out = weight.mul_add(*value, *out);
                }
            }
        }
        result.max[row] = max;
        result.sum[row] = sum_lanes(lanes);
    }
}

/// Adds a block's result to what the blocks before it gave.
#[inline(always)]
pub(crate) fn merge(running: &mut BlockResult<'_>, block: &BlockRows<'_>, stride: usize) {
    // The factors of some rows first: side by side, a lane a row.
    const ROWS: usize = 16;
    for first in (0..running.max.len()).step_by(ROWS) {
        let rows = first..running.max.len().min(first + ROWS);
        let (mut old, mut new) = ([0.0f32; ROWS], [0.0f32; ROWS]);
        old[..rows.len()].copy_from_slice(&running.max[rows.clone()]);
        new[..rows.len()].copy_from_slice(&block.max[rows.clone()]);
        let (mut max, mut keep, mut add) = ([0.0f32; ROWS], [0.0f32; ROWS], [0.0f32; ROWS]);
        for i in 0..ROWS {
            max[i] = if new[i] > old[i] { new[i] } else { old[i] };
            keep[i] = exp2_below(old[i] - max[i]);
            add[i] = exp2_below(new[i] - max[i]);
        }
        for (i, row) in rows.enumerate() {
            if block.sum[row] == 0.0 {
                continue; // nothing seen; a row that sees a key has at least 2^0 there, or NaN
            }
            running.max[row] = max[i];
            running.sum[row] = block.sum[row].mul_add(add[i], running.sum[row] * keep[i]);
            let out = &mut running.values[row * stride..][..stride];
            for (out, value) in out.iter_mut().zip(&block.values[row * stride..][..stride]) {
                *out = value.mul_add(add[i], *out * keep[i]);
            }
        }
    }
}

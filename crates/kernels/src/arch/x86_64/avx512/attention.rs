//! Attention of panels of query rows to one block: scores with a lane a key, then weighted values with a lane a
//! dimension, both as outer products in registers: up to 12 rows x two vectors.
//!
//! What it is bound by: 128 multiply-adds of a register for 16 keys of a row with heads of 64, and the softmax's
//! 12 instructions beside them. Blocks come from the second-level cache (converted) or from memory (as stored), so both
//! loops fetch ahead; without that they wait a quarter of the time.

use std::arch::x86_64::*;

use crate::arch::plain::{self, BlockResult, HeadBlock, StoredBlock};
use crate::kv::{KV_GROUP, KV_SCALED};
use crate::math::{EXP2_LOWEST, EXP2_SERIES};
use crate::{KV_BLOCK, KvType};

/// Query rows of a panel: 24 sums, two vectors and a broadcast fill 32 registers.
const PANEL: usize = 12;

/// Bytes fetched ahead of a converted block: eight steps of the loops over it.
const AHEAD: usize = 1 << 10;

/// Bytes fetched ahead of a stored block, which comes from memory.
const AHEAD_STORED: usize = 2 << 10;

/// Scales of all of a head's values in a block: of 256 tokens, a head at most 256 wide.
const MOST_SCALES: usize = KV_BLOCK * 256 / KV_SCALED;

/// How numbers are stored: a [`KvType`] as a constant, which generics take.
type Source = u8;
const HALVES: Source = 0;
const FLOATS: Source = 1;
const CODES: Source = 2;

/// Bytes of a number.
const fn size_of_number(source: Source) -> usize {
    match source {
        HALVES => 2,
        FLOATS => 4,
        _ => 1,
    }
}

/// Sixteen numbers as floats; codes are multiplied with `scale`.
///
/// # Safety
/// They can be read at `from`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn sixteen<const SOURCE: Source>(from: *const u8, scale: __m512) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe {
        match SOURCE {
            HALVES => _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())),
            FLOATS => _mm512_loadu_ps(from.cast()),
            _ => {
                let codes = _mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()));
                _mm512_mul_ps(_mm512_cvtepi32_ps(codes), scale)
            }
        }
    }
}

/// The scales of dimension `dim` for the two halves of a group of keys.
///
/// # Safety
/// `scales` are those of a group of codes, whose heads are wider than `dim`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn key_scales(scales: *const u8, dim: usize) -> [__m512; 2] {
    // SAFETY: (head_dim / 32, 32) halves.
    unsafe {
        let from = scales.add(dim / KV_SCALED * 2 * KV_GROUP);
        [sixteen::<HALVES>(from, _mm512_setzero_ps()), sixteen::<HALVES>(from.add(32), _mm512_setzero_ps())]
    }
}

/// See [`plain::load_keys`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn load_keys(kv_type: KvType, bytes: &[u8], head_dim: usize, n_keys: usize, out: &mut [f32]) {
    match kv_type {
        KvType::F16 => load_keys_of::<HALVES>(kv_type, bytes, head_dim, n_keys, out),
        KvType::F32 => load_keys_of::<FLOATS>(kv_type, bytes, head_dim, n_keys, out),
        KvType::Q8_0 => load_keys_of::<CODES>(kv_type, bytes, head_dim, n_keys, out),
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn load_keys_of<const SOURCE: Source>(
    kv_type: KvType,
    bytes: &[u8],
    head_dim: usize,
    n_keys: usize,
    out: &mut [f32],
) {
    let groups = bytes.chunks_exact(kv_type.group_bytes(head_dim)).take(n_keys.div_ceil(KV_GROUP));
    for (group, out) in groups.zip(out.chunks_exact_mut(KV_GROUP * head_dim)) {
        let (scales, numbers) = group.split_at(kv_type.scales_bytes(head_dim));
        let size = KV_GROUP * size_of_number(SOURCE);
        let mut scale = [_mm512_setzero_ps(); 2];
        for (dim, (out, numbers)) in
            out.chunks_exact_mut(KV_GROUP).zip(numbers.chunks_exact(size)).enumerate()
        {
            // SAFETY: 32 numbers and 32 floats; `dim` is below head_dim.
            unsafe {
                if SOURCE == CODES && dim.is_multiple_of(KV_SCALED) {
                    scale = key_scales(scales.as_ptr(), dim);
                }
                _mm_prefetch::<_MM_HINT_T0>(numbers.as_ptr().wrapping_add(AHEAD_STORED).cast());
                let first = sixteen::<SOURCE>(numbers.as_ptr(), scale[0]);
                let second = sixteen::<SOURCE>(numbers.as_ptr().add(size / 2), scale[1]);
                _mm512_storeu_ps(out.as_mut_ptr(), first);
                _mm512_storeu_ps(out.as_mut_ptr().add(16), second);
            }
        }
    }
}

/// See [`plain::load_values`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn load_values(
    kv_type: KvType,
    bytes: &[u8],
    head_dim: usize,
    n_keys: usize,
    stride: usize,
    out: &mut [f32],
) -> bool {
    if stride != head_dim {
        return plain::load_values(kv_type, bytes, head_dim, n_keys, stride, out);
    }
    match kv_type {
        KvType::F16 => load_values_of::<HALVES>(kv_type, bytes, head_dim, n_keys, out),
        KvType::F32 => load_values_of::<FLOATS>(kv_type, bytes, head_dim, n_keys, out),
        KvType::Q8_0 => load_values_of::<CODES>(kv_type, bytes, head_dim, n_keys, out),
    }
}

/// [`load_values`] of heads that are a multiple of 16 wide.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn load_values_of<const SOURCE: Source>(
    kv_type: KvType,
    bytes: &[u8],
    head_dim: usize,
    n_keys: usize,
    out: &mut [f32],
) -> bool {
    // 0 * value is 0 unless the value is infinite or NaN.
    let (zero, mut check) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let (size, group_bytes) = (size_of_number(SOURCE), kv_type.group_bytes(head_dim));
    let n_scales = head_dim.div_ceil(KV_SCALED);
    let (bytes, out) = (&bytes[..KV_BLOCK / KV_GROUP * group_bytes], &mut out[..KV_BLOCK * head_dim]);
    for key in 0..n_keys {
        let (scales, numbers) =
            bytes[key / KV_GROUP * group_bytes..][..group_bytes].split_at(kv_type.scales_bytes(head_dim));
        let row = &numbers[key % KV_GROUP * head_dim * size..][..head_dim * size];
        for dim in (0..head_dim).step_by(16) {
            let mut scale = zero;
            if SOURCE == CODES {
                let half = scales.as_chunks::<2>().0[key % KV_GROUP * n_scales + dim / KV_SCALED];
                scale = _mm512_cvtph_ps(_mm256_set1_epi16(i16::from_le_bytes(half)));
            }
            let width = (head_dim - dim / 32 * 32).min(32);
            let to = dim / 32 * 32 * KV_BLOCK + key * width + dim % 32;
            // SAFETY: 16 values from `dim` on are inside the row; `to` is such a place in (head_dim / 32, 256, width),
            // sliced above.
            unsafe {
                let from = row.as_ptr().add(dim * size);
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD_STORED).cast());
                let values = sixteen::<SOURCE>(from, scale);
                check = _mm512_fmadd_ps(values, zero, check);
                _mm512_storeu_ps(out.as_mut_ptr().add(to), values);
            }
        }
    }
    _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(check, check) == 0
}

/// Runs `$run::<ROWS>` for the number of rows, or `$otherwise`.
macro_rules! with_rows {
    ($n_rows:expr, [$($n:literal)*], $rows:ident => $run:expr, $otherwise:expr) => {
        match $n_rows {
            $($n => { const $rows: usize = $n; $run })*
            _ => $otherwise,
        }
    };
}

/// See [`plain::attend`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn attend(
    block: &HeadBlock<'_>,
    queries: &[f32],
    limits: &[u32],
    weights: &mut [f32],
    result: &mut BlockResult<'_>,
) {
    let most = limits.iter().max().map_or(0, |&limit| limit as usize);
    // A weight of 0 hides a later key from a row only while the value is finite.
    if !block.finite && limits.iter().any(|&limit| limit as usize != most) {
        return plain::attend(block, queries, limits, weights, result);
    }
    let (head_dim, stride, n_rows) = (block.head_dim, block.stride, limits.len());
    assert!(block.keys.len() >= head_dim * KV_BLOCK && block.values.len() >= KV_BLOCK * stride);
    assert!(most <= KV_BLOCK && stride.is_multiple_of(16));
    let (weights, out) = (&mut weights[..n_rows * KV_BLOCK], &mut result.values[..n_rows * stride]);
    let keys =
        Keys { first: block.keys.as_ptr().cast(), group_bytes: 4 * KV_GROUP * head_dim, scales_bytes: 0 };
    with_rows!(
        n_rows, [1 2 3 4 5 6 7 8 9 10 11 12],
        // SAFETY: the lengths were checked above.
        ROWS => unsafe {
            scores::<ROWS, FLOATS>(keys, head_dim, most, queries, weights);
            softmax(weights, limits, most, block.next, result.max, result.sum);
            for dim in (0..stride).step_by(32) {
                let width = (stride - dim).min(32);
                let first = block.values.as_ptr().add(dim * KV_BLOCK).cast();
                let values = Values { first, key_bytes: 4 * width, group_bytes: 4 * width * KV_GROUP };
                if width == 32 {
                    weigh::<ROWS, 2, FLOATS>(values, &[], weights, most, out, stride, dim);
                } else {
                    weigh::<ROWS, 1, FLOATS>(values, &[], weights, most, out, stride, dim);
                }
            }
        },
        plain::attend(block, queries, limits, weights, result)
    );
}

/// Attention of a panel to a block as it is stored: for one panel converting it first would cost more. Heads a multiple of
/// 16 wide only. The order of all sums is that of [`plain::attend`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn attend_one(
    block: &StoredBlock<'_>,
    queries: &[f32],
    weights: &mut [f32],
    result: &mut BlockResult<'_>,
) -> bool {
    match block.kv_type {
        KvType::F16 => attend_one_as::<HALVES>(block, queries, weights, result),
        KvType::F32 => attend_one_as::<FLOATS>(block, queries, weights, result),
        KvType::Q8_0 => attend_one_as::<CODES>(block, queries, weights, result),
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn attend_one_as<const SOURCE: Source>(
    block: &StoredBlock<'_>,
    queries: &[f32],
    weights: &mut [f32],
    result: &mut BlockResult<'_>,
) -> bool {
    let (head_dim, kv_type, n_keys, n_rows) = (block.head_dim, block.kv_type, block.n_keys, result.max.len());
    let (group_bytes, scales_bytes) = (kv_type.group_bytes(head_dim), kv_type.scales_bytes(head_dim));
    if !head_dim.is_multiple_of(16) || head_dim > 256 || !(1..=PANEL).contains(&n_rows) {
        return false;
    }
    assert!(block.stride == head_dim && (1..=KV_BLOCK).contains(&n_keys));
    let n_bytes = KV_BLOCK / KV_GROUP * group_bytes;
    assert!(block.keys.len() == n_bytes && block.values.len() == n_bytes);
    let (weights, out) = (&mut weights[..n_rows * KV_BLOCK], &mut result.values[..n_rows * head_dim]);
    let keys = Keys { first: block.keys.as_ptr(), group_bytes, scales_bytes };
    let mut room = [0.0; MOST_SCALES];
    let n_scales = head_dim.div_ceil(KV_SCALED);
    let scales = &mut room[..if SOURCE == CODES { KV_BLOCK * n_scales } else { 0 }];
    let limits = [n_keys as u32; PANEL];
    with_rows!(
        n_rows, [1 2 3 4 5 6 7 8 9 10 11 12],
        // SAFETY: the lengths were checked above.
        ROWS => unsafe {
            scores::<ROWS, SOURCE>(keys, head_dim, n_keys, queries, weights);
            softmax(weights, &limits[..n_rows], n_keys, [&[], &[]], result.max, result.sum);
            read_scales(block.values, group_bytes, n_scales, scales);
            let values = |dim: usize| Values {
                first: block.values.as_ptr().add(scales_bytes + dim * size_of_number(SOURCE)),
                key_bytes: head_dim * size_of_number(SOURCE),
                group_bytes,
            };
            let mut dim = 0;
            // Few rows have registers for twice as many dimensions, and then read the block once.
            while ROWS <= PANEL / 2 && dim + 64 <= head_dim {
                weigh::<ROWS, 4, SOURCE>(values(dim), scales, weights, n_keys, out, head_dim, dim);
                dim += 64;
            }
            while dim + 32 <= head_dim {
                weigh::<ROWS, 2, SOURCE>(values(dim), scales, weights, n_keys, out, head_dim, dim);
                dim += 32;
            }
            if dim < head_dim {
                weigh::<ROWS, 1, SOURCE>(values(dim), scales, weights, n_keys, out, head_dim, dim);
            }
        },
        return false
    );
    true
}

/// Makes floats of the scales of a block's values, (256, n_scales): as many as `scales` has room for.
///
/// # Safety
/// Every 32 tokens' `n_scales` halves each are at a multiple of `group_bytes`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn read_scales(values: &[u8], group_bytes: usize, n_scales: usize, scales: &mut [f32]) {
    for (group, scales) in scales.chunks_exact_mut(KV_GROUP * n_scales).enumerate() {
        for (i, scales) in scales.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            // SAFETY: 16 of the group's scales.
            unsafe {
                let from = values.as_ptr().add(group * group_bytes + 32 * i);
                _mm512_storeu_ps(scales.as_mut_ptr(), sixteen::<HALVES>(from, _mm512_setzero_ps()));
            }
        }
    }
}

/// Where keys are: groups of 32, across.
#[derive(Clone, Copy)]
struct Keys {
    first: *const u8,
    group_bytes: usize,
    scales_bytes: usize,
}

/// weights[row][key] = query[row] . key, for `n_keys` keys rounded up to 32.
///
/// # Safety
/// `n_keys` keys, rounded up to groups, can be read, and there are 1 to 256.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn scores<const ROWS: usize, const SOURCE: Source>(
    keys: Keys,
    head_dim: usize,
    n_keys: usize,
    queries: &[f32],
    weights: &mut [f32],
) {
    assert!(queries.len() == ROWS * head_dim && weights.len() == ROWS * KV_BLOCK && n_keys <= KV_BLOCK);
    let half = KV_GROUP / 2 * size_of_number(SOURCE);
    for first in (0..n_keys).step_by(KV_GROUP) {
        let group = keys.first.wrapping_add(first / KV_GROUP * keys.group_bytes);
        let mut from = group.wrapping_add(keys.scales_bytes);
        let mut query = queries.as_ptr();
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let mut scales = [_mm512_setzero_ps(); 2];
        for dim in 0..head_dim {
            // SAFETY: `from` is at row `dim` of (head_dim, 32) numbers and `query` at the same row of (head_dim, ROWS).
            unsafe {
                if SOURCE == CODES && dim.is_multiple_of(KV_SCALED) {
                    scales = key_scales(group, dim);
                }
                if SOURCE == FLOATS {
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD).cast());
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD + 64).cast());
                } else {
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD_STORED).cast());
                }
                let low = sixteen::<SOURCE>(from, scales[0]);
                let high = sixteen::<SOURCE>(from.add(half), scales[1]);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let query = _mm512_set1_ps(*query.add(row));
                    sums[0] = _mm512_fmadd_ps(query, low, sums[0]);
                    sums[1] = _mm512_fmadd_ps(query, high, sums[1]);
                }
            }
            from = from.wrapping_add(2 * half);
            query = query.wrapping_add(ROWS);
        }
        for (row, sums) in sums.iter().enumerate() {
            let to = &mut weights[row * KV_BLOCK + first..][..KV_GROUP];
            // SAFETY: 32 floats.
            unsafe {
                _mm512_storeu_ps(to.as_mut_ptr(), sums[0]);
                _mm512_storeu_ps(to.as_mut_ptr().add(16), sums[1]);
            }
        }
    }
}

/// Turns the first `limits[row]` scores of each row into 2^(score - max), the others up to `most` into 0; gives max and
/// sum. Meanwhile it fetches `next`: nothing else here waits for memory.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn softmax(
    weights: &mut [f32],
    limits: &[u32],
    most: usize,
    next: [&[u8]; 2],
    max: &mut [f32],
    sum: &mut [f32],
) {
    let n_vectors = most.div_ceil(16);
    for (weights, &limit) in weights.chunks_exact_mut(KV_BLOCK).zip(limits) {
        // What is not seen counts as the lowest score, whatever was computed there.
        weights[limit as usize..16 * n_vectors].fill(f32::NEG_INFINITY);
    }
    let n_rows = limits.len();
    let mut row = 0;
    while row < n_rows {
        let weights = &mut weights[row * KV_BLOCK..];
        let (max, sum) = (&mut max[row..], &mut sum[row..]);
        let next =
            next.map(|bytes| &bytes[bytes.len() * row / n_rows..bytes.len() * n_rows.min(row + 4) / n_rows]);
        match n_rows - row {
            1 => softmax_rows::<1>(weights, n_vectors, next, max, sum),
            2 => softmax_rows::<2>(weights, n_vectors, next, max, sum),
            3 => softmax_rows::<3>(weights, n_vectors, next, max, sum),
            _ => softmax_rows::<4>(weights, n_vectors, next, max, sum),
        }
        row += 4;
    }
    for (row, _) in limits.iter().enumerate().filter(|(_, limit)| **limit == 0) {
        // -inf - -inf is NaN, but this row sees nothing.
        weights[row * KV_BLOCK..][..16 * n_vectors].fill(0.0);
        (max[row], sum[row]) = (f32::NEG_INFINITY, 0.0);
    }
}

/// [`softmax`] of `ROWS` rows side by side, so that none waits for its maximum, over whole vectors.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn softmax_rows<const ROWS: usize>(
    weights: &mut [f32],
    n_vectors: usize,
    next: [&[u8]; 2],
    max: &mut [f32],
    sum: &mut [f32],
) {
    assert!(weights.len() >= ROWS * KV_BLOCK && 16 * n_vectors <= KV_BLOCK);
    let scores = weights.as_mut_ptr();
    let mut highest = [_mm512_set1_ps(f32::NEG_INFINITY); ROWS];
    for i in 0..n_vectors {
        for (row, highest) in highest.iter_mut().enumerate() {
            // The second operand is what comes out beside a NaN: a NaN score leaves the maximum alone, as in `plain`.
            // SAFETY: vector `i` is inside row `row` of (ROWS, 256).
            *highest =
                unsafe { _mm512_max_ps(_mm512_loadu_ps(scores.add(row * KV_BLOCK + 16 * i)), *highest) };
        }
    }
    let highest = highest.map(|lanes| _mm512_reduce_max_ps(lanes));
    let mut sums = [_mm512_setzero_ps(); ROWS];
    for i in 0..n_vectors {
        for bytes in next {
            super::super::prefetch(&bytes[bytes.len() * i / n_vectors..bytes.len() * (i + 1) / n_vectors]);
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            unsafe {
                let at = scores.add(row * KV_BLOCK + 16 * i);
                let weight = exp2_below(_mm512_sub_ps(_mm512_loadu_ps(at), _mm512_set1_ps(highest[row])));
                *sums = _mm512_add_ps(*sums, weight);
                _mm512_storeu_ps(at, weight);
            }
        }
    }
    for row in 0..ROWS {
        (max[row], sum[row]) = (highest[row], sum_lanes(sums[row]));
    }
}

/// See [`crate::math::sum_lanes`].
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn sum_lanes(lanes: __m512) -> f32 {
    let eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps::<1>(lanes));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// See [`crate::math::exp2_below`]: x - round(x), and the product with a power of two, are one instruction each, and exact.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn exp2_below(x: __m512) -> __m512 {
    let r = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let mut series = _mm512_set1_ps(EXP2_SERIES[0]);
    for coefficient in &EXP2_SERIES[1..] {
        series = _mm512_fmadd_ps(series, r, _mm512_set1_ps(*coefficient));
    }
    series = _mm512_fmadd_ps(series, r, _mm512_set1_ps(1.0));
    let counts = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x, _mm512_set1_ps(EXP2_LOWEST));
    _mm512_maskz_scalef_ps(counts, series, _mm512_sub_ps(x, r))
}

/// Where values are: rows of a token's dimensions, 32 to a group.
#[derive(Clone, Copy)]
struct Values {
    first: *const u8,
    key_bytes: usize,
    group_bytes: usize,
}

/// out[row] = sum over keys, in order, of weights[row][key] * value[key], for the `16 * VECTORS` dimensions from `dim` on,
/// which is where `values` point. `scales` are (256, n_scales) for codes, else nothing.
///
/// # Safety
/// Those dimensions of `n_keys` values can be read, and there are at most 256.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn weigh<const ROWS: usize, const VECTORS: usize, const SOURCE: Source>(
    values: Values,
    scales: &[f32],
    weights: &[f32],
    n_keys: usize,
    out: &mut [f32],
    stride: usize,
    dim: usize,
) {
    assert!(weights.len() == ROWS * KV_BLOCK && out.len() == ROWS * stride && n_keys <= KV_BLOCK);
    let n_scales = scales.len() / KV_BLOCK;
    let bytes = 16 * size_of_number(SOURCE);
    let ahead = if SOURCE == FLOATS { AHEAD } else { AHEAD_STORED };
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for first in (0..n_keys).step_by(KV_GROUP) {
        let mut from = values.first.wrapping_add(first / KV_GROUP * values.group_bytes);
        for key in first..n_keys.min(first + KV_GROUP) {
            let scale = |i: usize| match SOURCE {
                CODES => _mm512_set1_ps(scales[key * n_scales + (dim + 16 * i) / KV_SCALED]),
                _ => _mm512_setzero_ps(),
            };
            // SAFETY: `from` is at `16 * VECTORS` values of key `key`; weights are (ROWS, 256).
            unsafe {
                for line in (0..VECTORS * bytes).step_by(64) {
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(ahead + line).cast());
                }
                let row: [__m512; VECTORS] =
                    std::array::from_fn(|i| sixteen::<SOURCE>(from.add(bytes * i), scale(i)));
                for (index, sums) in sums.iter_mut().enumerate() {
                    let weight = _mm512_set1_ps(*weights.as_ptr().add(index * KV_BLOCK + key));
                    for (sum, values) in sums.iter_mut().zip(row) {
                        *sum = _mm512_fmadd_ps(weight, values, *sum);
                    }
                }
            }
            from = from.wrapping_add(values.key_bytes);
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (i, sum) in sums.iter().enumerate() {
            let to = &mut out[row * stride + dim + 16 * i..][..16];
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), *sum) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_have_the_bits_of_the_plain_ones() {
        if !crate::Isa::Avx512.is_present() {
            return;
        }
        let special =
            [0.0, -0.0, -1e-30, -1e-45, -0.5, -1.5, -2.5, -99.5, -100.0, -1e30, f32::NEG_INFINITY, f32::NAN];
        let many = (0..200_000u32).map(|i| -(i as f32) / 1967.0);
        for x in special.into_iter().chain(many).chain((0..256).map(|i| i as f32 * -0.5)) {
            let mut lanes = [0.0; 16];
            // SAFETY: the instructions are there, and 16 floats.
            unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), exp2_below(_mm512_set1_ps(x))) };
            let expected = crate::math::exp2_below(x);
            assert!(lanes[3].to_bits() == expected.to_bits() || (x.is_nan() && lanes[3].is_nan()), "{x:e}");
        }
    }
}

//! Attention of panels of query rows to one block: scores with a lane a key, then weighted values with a lane a
//! dimension, both as outer products in registers: up to 12 rows x two vectors.

use std::arch::x86_64::*;

use super::unpack::{Rows, high_halves, low_halves};
use crate::arch::plain::{self, BlockResult, HeadBlock, StoredBlock};
use crate::math::{EXP_HIGHEST, EXP_LOWEST, EXP_SERIES, LN2_HIGH, LN2_LOW, ROUND_MAGIC};
use crate::{KV_BLOCK, KvType};

/// See [`plain::load_keys`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn load_keys(kv_type: KvType, bytes: &[u8], head_dim: usize, n_keys: usize, out: &mut [f32]) {
    let per_load = 16 / kv_type.bytes();
    if !head_dim.is_multiple_of(per_load) {
        return plain::load_keys(kv_type, bytes, head_dim, n_keys, out);
    }
    let stride = head_dim * kv_type.bytes();
    // All 256 keys have room in the block, so whole groups of 16 may be read.
    let (bytes, out) = (&bytes[..KV_BLOCK * stride], &mut out[..head_dim * KV_BLOCK]);
    for first in (0..n_keys).step_by(16) {
        let rows = Rows { first: bytes[first * stride..].as_ptr(), stride };
        for dim in (0..head_dim).step_by(per_load) {
            // SAFETY: 16 bytes from `dim` on are inside a row of `head_dim` values.
            let loaded = unsafe { rows.dwords(dim * kv_type.bytes()) };
            for (i, lanes) in loaded.into_iter().enumerate() {
                let mut put = |dim: usize, values| {
                    let to = &mut out[first / 32 * 32 * head_dim + dim * 32 + first % 32..][..16];
                    // SAFETY: 16 floats.
                    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) };
                };
                match kv_type {
                    KvType::F32 => put(dim + i, _mm512_castsi512_ps(lanes)),
                    KvType::F16 => {
                        put(dim + 2 * i, low_halves(lanes));
                        put(dim + 2 * i + 1, high_halves(lanes));
                    }
                }
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
    // 0 * value is 0 unless the value is infinite or NaN.
    let (zero, mut check) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let size = kv_type.bytes();
    let (bytes, out) = (&bytes[..n_keys * head_dim * size], &mut out[..KV_BLOCK * stride]);
    for key in 0..n_keys {
        for dim in (0..head_dim).step_by(16) {
            let width = (stride - dim / 32 * 32).min(32);
            let to = dim / 32 * 32 * KV_BLOCK + key * width + dim % 32;
            // SAFETY: 16 values from `dim` on are inside row `key` of (n_keys, head_dim), whose bytes are sliced above;
            // `to` is such a place in (stride / 32, 256, width), sliced above too.
            unsafe {
                let from = bytes.as_ptr().add((key * head_dim + dim) * size);
                let values = match kv_type {
                    KvType::F16 => _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())),
                    KvType::F32 => _mm512_loadu_ps(from.cast()),
                };
                check = _mm512_fmadd_ps(values, zero, check);
                _mm512_storeu_ps(out.as_mut_ptr().add(to), values);
            }
        }
    }
    _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(check, check) == 0
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
    assert!(block.keys.len() >= block.head_dim * KV_BLOCK && block.values.len() >= KV_BLOCK * block.stride);
    assert!(most <= KV_BLOCK && block.stride.is_multiple_of(16));
    let n_rows = limits.len();
    let (weights, values) = (&mut weights[..n_rows * KV_BLOCK], &mut result.values[..n_rows * block.stride]);
    macro_rules! with_rows {
        ($($n:literal)*) => {
            match n_rows {
                $($n => {
                    scores::<$n>(block, queries, most, weights);
                    for (row, &limit) in limits.iter().enumerate() {
                        let weights = &mut weights[row * KV_BLOCK..][..KV_BLOCK];
                        (result.max[row], result.sum[row]) = softmax(weights, limit as usize, most);
                    }
                    weigh::<$n>(block, weights, most, values);
                })*
                _ => plain::attend(block, queries, limits, weights, result),
            }
        };
    }
    with_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// Attention of one token's rows to a block as it is stored: converting it first would write and read again four times
/// its size. Half precision and whole vectors only. The order of all sums is that of [`plain::attend`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn attend_one(
    block: &StoredBlock<'_>,
    queries: &[f32],
    weights: &mut [f32],
    result: &mut BlockResult<'_>,
) -> bool {
    if block.kv_type != KvType::F16 || !block.head_dim.is_multiple_of(16) {
        return false;
    }
    assert!(block.stride == block.head_dim && (1..=KV_BLOCK).contains(&block.n_keys));
    let n_bytes = 2 * KV_BLOCK * block.head_dim;
    assert!(block.keys.len() == n_bytes && block.values.len() == n_bytes);
    let n_rows = result.max.len();
    let weights = &mut weights[..n_rows * KV_BLOCK];
    macro_rules! with_rows {
        ($($n:literal)*) => {
            match n_rows {
                $($n => {
                    scores_of_stored::<$n>(block, queries, weights);
                    for (row, weights) in weights.chunks_exact_mut(KV_BLOCK).enumerate() {
                        (result.max[row], result.sum[row]) = softmax(weights, block.n_keys, block.n_keys);
                    }
                    weigh_stored::<$n>(block, weights, result.values);
                })*
                _ => return false,
            }
        };
    }
    with_rows!(1 2 3 4 5 6);
    true
}

/// [`scores`] of keys as they are stored, 32 at a time.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn scores_of_stored<const ROWS: usize>(block: &StoredBlock<'_>, queries: &[f32], weights: &mut [f32]) {
    let stride = 2 * block.head_dim;
    assert!(queries.len() == ROWS * block.head_dim && weights.len() == ROWS * KV_BLOCK);
    for first in (0..block.n_keys).step_by(32) {
        let rows = [first, first + 16].map(|key| Rows { first: block.keys[key * stride..].as_ptr(), stride });
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for dim in (0..block.head_dim).step_by(8) {
            // SAFETY: a block has room for 256 keys, 32 of them from `first` on, and 16 bytes from `dim` on are inside each.
            let pairs = unsafe { [rows[0].dwords(2 * dim), rows[1].dwords(2 * dim)] };
            for i in 0..4 {
                let two_dims = [
                    [low_halves(pairs[0][i]), low_halves(pairs[1][i])],
                    [high_halves(pairs[0][i]), high_halves(pairs[1][i])],
                ];
                for (second, keys) in two_dims.into_iter().enumerate() {
                    let queries = &queries[(dim + 2 * i + second) * ROWS..][..ROWS];
                    for (query, sums) in queries.iter().zip(&mut sums) {
                        let query = _mm512_set1_ps(*query);
                        sums[0] = _mm512_fmadd_ps(query, keys[0], sums[0]);
                        sums[1] = _mm512_fmadd_ps(query, keys[1], sums[1]);
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            let to = &mut weights[row * KV_BLOCK + first..][..32];
            // SAFETY: 32 floats.
            unsafe {
                _mm512_storeu_ps(to.as_mut_ptr(), sums[0]);
                _mm512_storeu_ps(to.as_mut_ptr().add(16), sums[1]);
            }
        }
    }
}

/// [`weigh`] with values as they are stored.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn weigh_stored<const ROWS: usize>(block: &StoredBlock<'_>, weights: &[f32], out: &mut [f32]) {
    let head_dim = block.head_dim;
    assert!(weights.len() == ROWS * KV_BLOCK && out.len() == ROWS * head_dim);
    assert!(block.values.len() == 2 * KV_BLOCK * head_dim && block.n_keys <= KV_BLOCK);
    let mut dim = 0;
    while dim + 32 <= head_dim {
        // SAFETY: two vectors from `dim` on are inside a row of `head_dim` values.
        unsafe { weigh_stored_dims::<ROWS, 2>(block, weights, dim, out) };
        dim += 32;
    }
    if dim < head_dim {
        // SAFETY: one vector is left.
        unsafe { weigh_stored_dims::<ROWS, 1>(block, weights, dim, out) };
    }
}

/// [`weigh_stored`] for `16 * VECTORS` dimensions.
///
/// # Safety
/// `dim + 16 * VECTORS` is at most head_dim, and slices are as `weigh_stored` asserts.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn weigh_stored_dims<const ROWS: usize, const VECTORS: usize>(
    block: &StoredBlock<'_>,
    weights: &[f32],
    dim: usize,
    out: &mut [f32],
) {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for key in 0..block.n_keys {
        // SAFETY: the vectors from `dim` on are inside row `key` of (256, head_dim); weights are (ROWS, 256).
        unsafe {
            let from = block.values.as_ptr().add(2 * (key * block.head_dim + dim));
            let values: [__m512; VECTORS] =
                std::array::from_fn(|i| _mm512_cvtph_ps(_mm256_loadu_si256(from.add(32 * i).cast())));
            for (row, sums) in sums.iter_mut().enumerate() {
                let weight = _mm512_set1_ps(*weights.as_ptr().add(row * KV_BLOCK + key));
                for (sum, values) in sums.iter_mut().zip(values) {
                    *sum = _mm512_fmadd_ps(weight, values, *sum);
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (i, sum) in sums.iter().enumerate() {
            let to = &mut out[row * block.head_dim + dim + 16 * i..][..16];
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), *sum) };
        }
    }
}

/// weights[row][key] = query[row] . key, for `n_keys` keys rounded up to 32 (what lies behind is never looked at).
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn scores<const ROWS: usize>(block: &HeadBlock<'_>, queries: &[f32], n_keys: usize, weights: &mut [f32]) {
    let head_dim = block.head_dim;
    assert!(queries.len() == ROWS * head_dim && weights.len() == ROWS * KV_BLOCK && n_keys <= KV_BLOCK);
    for first in (0..n_keys).step_by(32) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let mut keys = block.keys[first * head_dim..].as_ptr();
        let mut query = queries.as_ptr();
        for _ in 0..head_dim {
            // SAFETY: `keys` is at a row of (256 / 32, head_dim, 32) and `query` at the same row of (head_dim, ROWS).
            unsafe {
                let (low, high) = (_mm512_loadu_ps(keys), _mm512_loadu_ps(keys.add(16)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let q = _mm512_set1_ps(*query.add(row));
                    sums[0] = _mm512_fmadd_ps(q, low, sums[0]);
                    sums[1] = _mm512_fmadd_ps(q, high, sums[1]);
                }
            }
            keys = keys.wrapping_add(32);
            query = query.wrapping_add(ROWS);
        }
        for (row, sums) in sums.iter().enumerate() {
            let to = &mut weights[row * KV_BLOCK + first..][..32];
            // SAFETY: 32 floats.
            unsafe {
                _mm512_storeu_ps(to.as_mut_ptr(), sums[0]);
                _mm512_storeu_ps(to.as_mut_ptr().add(16), sums[1]);
            }
        }
    }
}

/// Turns the first `limit` scores into e^(score - max), the others up to `n_keys` into 0; gives max and sum.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn softmax(weights: &mut [f32], limit: usize, n_keys: usize) -> (f32, f32) {
    let used = n_keys.div_ceil(16);
    let vectors = &mut weights.as_chunks_mut::<16>().0[..used];
    // Lanes of vector `i` that are below the limit.
    let seen = |i: usize| -> __mmask16 {
        let left = limit.saturating_sub(16 * i);
        if left >= 16 { 0xffff } else { (1 << left) - 1 }
    };
    let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
    let mut max = lowest;
    for (i, scores) in vectors.iter().enumerate() {
        // SAFETY: 16 floats.
        let scores = unsafe { _mm512_loadu_ps(scores.as_ptr()) };
        // The second operand is what comes out beside a NaN: a NaN score leaves the maximum alone, as in `plain`.
        max = _mm512_max_ps(_mm512_mask_blend_ps(seen(i), lowest, scores), max);
    }
    let max = _mm512_reduce_max_ps(max);
    let mut sums = _mm512_setzero_ps();
    for (i, scores) in vectors.iter_mut().enumerate() {
        // SAFETY: 16 floats, read and written.
        unsafe {
            let distance = _mm512_sub_ps(_mm512_loadu_ps(scores.as_ptr()), _mm512_set1_ps(max));
            let weight = _mm512_maskz_mov_ps(seen(i), exp(distance));
            sums = _mm512_add_ps(sums, weight);
            _mm512_storeu_ps(scores.as_mut_ptr(), weight);
        }
    }
    (max, sum_lanes(sums))
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

/// See [`crate::math::exp`].
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn exp(x: __m512) -> __m512 {
    let magic = _mm512_set1_ps(ROUND_MAGIC);
    let capped = _mm512_min_ps(_mm512_set1_ps(EXP_HIGHEST), x);
    let shifted = _mm512_fmadd_ps(capped, _mm512_set1_ps(std::f32::consts::LOG2_E), magic);
    let n = _mm512_sub_ps(shifted, magic);
    let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN2_HIGH), capped);
    let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN2_LOW), r);
    let mut series = _mm512_set1_ps(EXP_SERIES[0]);
    for coefficient in &EXP_SERIES[1..] {
        series = _mm512_fmadd_ps(series, r, _mm512_set1_ps(*coefficient));
    }
    let whole = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_castps_si512(magic));
    let power = _mm512_slli_epi32::<23>(_mm512_add_epi32(whole, _mm512_set1_epi32(127)));
    let value = _mm512_mul_ps(series, _mm512_castsi512_ps(power));
    let too_low = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_set1_ps(EXP_LOWEST));
    _mm512_mask_mov_ps(value, too_low, _mm512_setzero_ps())
}

/// out[row] = sum over keys, in order, of weights[row][key] * value[key].
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn weigh<const ROWS: usize>(block: &HeadBlock<'_>, weights: &[f32], n_keys: usize, out: &mut [f32]) {
    let stride = block.stride;
    assert!(weights.len() == ROWS * KV_BLOCK && out.len() == ROWS * stride && n_keys <= KV_BLOCK);
    let mut dim = 0;
    while dim + 32 <= stride {
        // SAFETY: two vectors from `dim` on are inside a row of `stride` values.
        unsafe { weigh_dims::<ROWS, 2>(block, weights, n_keys, dim, out) };
        dim += 32;
    }
    if dim < stride {
        // SAFETY: one vector is left.
        unsafe { weigh_dims::<ROWS, 1>(block, weights, n_keys, dim, out) };
    }
}

/// [`weigh`] for `16 * VECTORS` dimensions.
///
/// # Safety
/// `dim + 16 * VECTORS` is at most the stride, and slices are as `weigh` asserts.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn weigh_dims<const ROWS: usize, const VECTORS: usize>(
    block: &HeadBlock<'_>,
    weights: &[f32],
    n_keys: usize,
    dim: usize,
    out: &mut [f32],
) {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    let mut values = block.values[dim * KV_BLOCK..].as_ptr();
    for key in 0..n_keys {
        // SAFETY: `values` is at row `key` of (256, 16 * VECTORS); weights are (ROWS, 256).
        unsafe {
            let row: [__m512; VECTORS] = std::array::from_fn(|i| _mm512_loadu_ps(values.add(16 * i)));
            for (index, sums) in sums.iter_mut().enumerate() {
                let weight = _mm512_set1_ps(*weights.as_ptr().add(index * KV_BLOCK + key));
                for (sum, values) in sums.iter_mut().zip(row) {
                    *sum = _mm512_fmadd_ps(weight, values, *sum);
                }
            }
        }
        values = values.wrapping_add(16 * VECTORS);
    }
    for (row, sums) in sums.iter().enumerate() {
        for (i, sum) in sums.iter().enumerate() {
            let to = &mut out[row * block.stride + dim + 16 * i..][..16];
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), *sum) };
        }
    }
}

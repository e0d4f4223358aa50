//! Keys and values of past tokens, in blocks of 256, as attention reads them where they lie.
//!
//! Keys are stored across: the same dimension of 32 keys in a row, so that scores are computed with a lane a key
//! straight from memory. Values are stored along: a token's dimensions in a row, a lane a dimension.
//!
//! ```text
//! block   head 0, head 1, ...                each of 8 groups of 32 tokens
//! K       f16, f32   (head_dim, 32)
//!         q8_0       scales f16 (head_dim / 32, 32), codes i8 (head_dim, 32)
//! V       f16, f32   (32, head_dim)
//!         q8_0       scales f16 (32, head_dim / 32), codes i8 (32, head_dim)
//! ```
//! All little-endian; no alignment is needed, but blocks that start on a cache line are read faster.

use half::slice::HalfFloatSliceExt;

use crate::math::ROUND_MAGIC;

/// Tokens in a block. Attention sums each block on its own and merges blocks in order, so this number is part of the
/// result's definition.
pub const KV_BLOCK: usize = 256;

/// Tokens in a group: two registers of 16 lanes.
pub(crate) const KV_GROUP: usize = 32;

/// Dimensions that share a scale in q8_0; the last ones of a head may be fewer.
pub(crate) const KV_SCALED: usize = 32;

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvType {
    /// Half precision: the default.
    F16,
    /// Single precision, for comparison with references.
    F32,
    /// 32 dimensions of a token as int8 with a scale in half precision: a little more than half of F16, at a price in
    /// precision (`docs/performance.md` has figures).
    Q8_0,
}

impl KvType {
    /// Bytes of the K (or the V) of one layer's block: [`KV_BLOCK`] tokens of `n_kv_heads` heads.
    pub const fn block_bytes(self, n_kv_heads: usize, head_dim: usize) -> usize {
        n_kv_heads * (KV_BLOCK / KV_GROUP) * self.group_bytes(head_dim)
    }

    /// Bytes at the start of a head's K (or V) that hold its first `n_tokens`: whole groups.
    pub const fn head_bytes(self, n_tokens: usize, head_dim: usize) -> usize {
        n_tokens.div_ceil(KV_GROUP) * self.group_bytes(head_dim)
    }

    /// Bytes of a group of 32 keys (or values) of one head.
    pub(crate) const fn group_bytes(self, head_dim: usize) -> usize {
        self.scales_bytes(head_dim)
            + KV_GROUP
                * head_dim
                * match self {
                    KvType::F16 => 2,
                    KvType::F32 => 4,
                    KvType::Q8_0 => 1,
                }
    }

    /// Bytes of a group's scales, which come first.
    pub(crate) const fn scales_bytes(self, head_dim: usize) -> usize {
        match self {
            KvType::F16 | KvType::F32 => 0,
            KvType::Q8_0 => 2 * KV_GROUP * head_dim.div_ceil(KV_SCALED),
        }
    }
}

/// One block of one layer, as drawn above.
#[derive(Debug, Clone, Copy)]
pub struct KvBlockRef<'a> {
    /// Keys.
    pub k: &'a [u8],
    /// Values.
    pub v: &'a [u8],
}

/// One layer's keys and values: whole blocks, of which the last may be partly filled.
#[derive(Debug, Clone, Copy)]
pub struct KvView<'a> {
    /// How the blocks store numbers.
    pub kv_type: KvType,
    /// The blocks, in order; block i holds tokens 256 i and up.
    pub blocks: &'a [KvBlockRef<'a>],
    /// Tokens stored, those of the running batch included.
    pub n_tokens: usize,
}

/// Rounds rows of keys, (n, n_kv_heads * head_dim), into the K of a block, from token `offset` of the block on.
/// Values beyond the range of `kv_type` become its largest finite value. NaN stays NaN, and in q8_0 spreads to all that
/// share its scale.
///
/// # Panics
/// When the rows do not fit behind `offset`, or `block` is not [`KvType::block_bytes`] long.
pub fn store_keys(
    kv_type: KvType,
    block: &mut [u8],
    n_kv_heads: usize,
    head_dim: usize,
    offset: usize,
    rows: &[f32],
) {
    store::<true>(kv_type, block, n_kv_heads, head_dim, offset, rows);
}

/// The same for rows of values and the V of a block.
///
/// # Panics
/// As [`store_keys`].
pub fn store_values(
    kv_type: KvType,
    block: &mut [u8],
    n_kv_heads: usize,
    head_dim: usize,
    offset: usize,
    rows: &[f32],
) {
    store::<false>(kv_type, block, n_kv_heads, head_dim, offset, rows);
}

fn store<const KEYS: bool>(
    kv_type: KvType,
    block: &mut [u8],
    n_kv_heads: usize,
    head_dim: usize,
    offset: usize,
    rows: &[f32],
) {
    let width = n_kv_heads * head_dim;
    assert_eq!(block.len(), kv_type.block_bytes(n_kv_heads, head_dim), "bytes of a KV block");
    assert!(
        rows.len().is_multiple_of(width) && offset + rows.len() / width <= KV_BLOCK,
        "rows for a KV block"
    );
    let groups = block.chunks_exact_mut(kv_type.group_bytes(head_dim).max(1));
    for (index, group) in groups.enumerate() {
        let (head, first) = (index / (KV_BLOCK / KV_GROUP), index % (KV_BLOCK / KV_GROUP) * KV_GROUP);
        let (scales, numbers) = group.split_at_mut(kv_type.scales_bytes(head_dim));
        let tokens = first.max(offset)..(first + KV_GROUP).min(offset + rows.len() / width);
        for token in tokens {
            let row = &rows[(token - offset) * width + head * head_dim..][..head_dim];
            let mut numbers = Row::<'_, KEYS> { bytes: numbers, token: token - first, len: head_dim };
            match kv_type {
                KvType::F32 => {
                    row.iter().enumerate().for_each(|(dim, value)| numbers.put(dim, value.to_le_bytes()));
                }
                KvType::F16 => store_halves(row, &mut numbers),
                KvType::Q8_0 => {
                    let len = head_dim.div_ceil(KV_SCALED);
                    let mut scales = Row::<'_, KEYS> { bytes: scales, token: token - first, len };
                    for (i, values) in row.chunks(KV_SCALED).enumerate() {
                        let scale = store_codes(values, i * KV_SCALED, &mut numbers);
                        scales.put(i, scale.to_le_bytes());
                    }
                }
            }
        }
    }
}

/// Leaves zeros where tokens behind the first `n_tokens` of a head's K would be; `head` are the first
/// [`KvType::head_bytes`] of it.
///
/// # Panics
/// When `head` has another length.
pub fn erase_keys_behind(kv_type: KvType, head: &mut [u8], head_dim: usize, n_tokens: usize) {
    erase::<true>(kv_type, head, head_dim, n_tokens);
}

/// The same for a head's V.
///
/// # Panics
/// As [`erase_keys_behind`].
pub fn erase_values_behind(kv_type: KvType, head: &mut [u8], head_dim: usize, n_tokens: usize) {
    erase::<false>(kv_type, head, head_dim, n_tokens);
}

fn erase<const KEYS: bool>(kv_type: KvType, head: &mut [u8], head_dim: usize, n_tokens: usize) {
    assert_eq!(head.len(), kv_type.head_bytes(n_tokens, head_dim), "bytes of {n_tokens} tokens");
    let Some(group) = head.chunks_exact_mut(kv_type.group_bytes(head_dim).max(1)).next_back() else { return };
    let (scales, numbers) = group.split_at_mut(kv_type.scales_bytes(head_dim));
    for token in (n_tokens - 1) % KV_GROUP + 1..KV_GROUP {
        let mut numbers = Row::<'_, KEYS> { bytes: numbers, token, len: head_dim };
        for dim in 0..head_dim {
            match kv_type {
                KvType::F32 => numbers.put(dim, [0; 4]),
                KvType::F16 => numbers.put(dim, [0; 2]),
                KvType::Q8_0 => numbers.put(dim, [0]),
            }
        }
        if kv_type == KvType::Q8_0 {
            let len = head_dim.div_ceil(KV_SCALED);
            let mut scales = Row::<'_, KEYS> { bytes: scales, token, len };
            (0..len).for_each(|i| scales.put(i, [0; 2]));
        }
    }
}

/// A token's numbers in a group: across (`KEYS`) or along.
struct Row<'a, const KEYS: bool> {
    bytes: &'a mut [u8],
    token: usize,
    len: usize,
}

impl<const KEYS: bool> Row<'_, KEYS> {
    #[inline(always)]
    fn put<const SIZE: usize>(&mut self, i: usize, number: [u8; SIZE]) {
        let at = if KEYS { i * KV_GROUP + self.token } else { self.token * self.len + i };
        self.bytes.as_chunks_mut::<SIZE>().0[at] = number;
    }
}

fn store_halves<const KEYS: bool>(row: &[f32], out: &mut Row<'_, KEYS>) {
    let largest = half::f16::MAX.to_f32_const();
    let mut halves = [half::f16::ZERO; 64];
    let mut clamped = [0.0f32; 64];
    for (piece, values) in row.chunks(64).enumerate() {
        for (clamped, value) in clamped.iter_mut().zip(values) {
            *clamped = value.clamp(-largest, largest);
        }
        halves[..values.len()].convert_from_f32_slice(&clamped[..values.len()]);
        for (dim, half) in halves[..values.len()].iter().enumerate() {
            out.put(64 * piece + dim, half.to_le_bytes());
        }
    }
}

/// Rounds up to 32 values to int8 and gives their scale. Codes belong to the scale as it was rounded.
fn store_codes<const KEYS: bool>(values: &[f32], first_dim: usize, out: &mut Row<'_, KEYS>) -> half::f16 {
    let mut largest = 0.0f32;
    for value in values {
        // Written so that a NaN is kept.
        largest = if value.abs() <= largest { largest } else { value.abs() };
        if largest.is_nan() {
            break;
        }
    }
    let mut scale = half::f16::from_f32((largest / 127.0).min(half::f16::MAX.to_f32_const()));
    if scale.to_f32() * 127.0 < largest && scale != half::f16::MAX {
        scale = half::f16::from_bits(scale.to_bits() + 1); // rounded up, so that the largest value has a code
    }
    let scale = if largest.is_nan() { half::f16::NAN } else { scale };
    let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
    for (dim, value) in values.iter().enumerate() {
        let code = (value * inverse).clamp(-127.0, 127.0) + ROUND_MAGIC - ROUND_MAGIC;
        out.put(first_dim + dim, [code as i8 as u8]);
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_at(block: &[u8], i: usize) -> f32 {
        half::f16::from_le_bytes([block[2 * i], block[2 * i + 1]]).to_f32()
    }

    /// Two tokens at 254 and 255: values count up, with two beyond the range.
    fn rows(n_kv_heads: usize, head_dim: usize) -> Vec<f32> {
        let mut rows: Vec<f32> = (0..2 * n_kv_heads * head_dim).map(|i| i as f32).collect();
        rows[1] = 1e9;
        rows[2] = f32::NEG_INFINITY;
        rows
    }

    #[test]
    fn keys_land_across_and_values_along_and_overflow_stays_finite() {
        let (n_kv_heads, head_dim) = (2, 80);
        let rows = rows(n_kv_heads, head_dim);
        let mut keys = vec![0u8; KvType::F16.block_bytes(n_kv_heads, head_dim)];
        let mut values = keys.clone();
        store_keys(KvType::F16, &mut keys, n_kv_heads, head_dim, 254, &rows);
        store_values(KvType::F16, &mut values, n_kv_heads, head_dim, 254, &rows);
        let key = |head: usize, token: usize, dim: usize| {
            half_at(&keys, ((head * 8 + token / 32) * head_dim + dim) * 32 + token % 32)
        };
        let value = |head: usize, token: usize, dim: usize| {
            half_at(&values, (head * KV_BLOCK + token) * head_dim + dim)
        };
        for at in [&key as &dyn Fn(usize, usize, usize) -> f32, &value] {
            assert_eq!((at(0, 254, 1), at(0, 254, 2)), (65504.0, -65504.0));
            assert_eq!((at(0, 254, 79), at(1, 254, 5), at(1, 255, 79)), (79.0, 85.0, 319.0));
            assert_eq!(at(0, 253, 79), 0.0);
        }
    }

    #[test]
    fn what_lies_behind_is_erased_and_nothing_else() {
        let (head_dim, n) = (40, 70);
        let rows: Vec<f32> = (0..256 * head_dim).map(|i| 1.0 + (i % 7) as f32).collect();
        type Store = fn(KvType, &mut [u8], usize, usize, usize, &[f32]);
        type Erase = fn(KvType, &mut [u8], usize, usize);
        for kv_type in [KvType::F32, KvType::F16, KvType::Q8_0] {
            for (store, erase) in
                [(store_keys as Store, erase_keys_behind as Erase), (store_values, erase_values_behind)]
            {
                let mut full = vec![0u8; kv_type.block_bytes(1, head_dim)];
                let mut expected = full.clone();
                store(kv_type, &mut full, 1, head_dim, 0, &rows);
                store(kv_type, &mut expected, 1, head_dim, 0, &rows[..n * head_dim]);
                let first = &mut full[..kv_type.head_bytes(n, head_dim)];
                erase(kv_type, first, head_dim, n);
                assert!(*first == expected[..first.len()], "{kv_type:?}");
                assert!(expected[first.len()..].iter().all(|&byte| byte == 0), "{kv_type:?}");
            }
        }
    }

    #[test]
    fn codes_are_within_half_a_step_of_their_own_scale() {
        let (n_kv_heads, head_dim) = (1, 40);
        let mut rows: Vec<f32> = (0..2 * head_dim).map(|i| (i as f32 * 0.7).sin() * 3e-4).collect();
        rows[0] = 5.0;
        rows[head_dim + 3] = f32::NAN;
        rows[head_dim + 35] = f32::INFINITY;
        let mut block = vec![0u8; KvType::Q8_0.block_bytes(n_kv_heads, head_dim)];
        store_values(KvType::Q8_0, &mut block, n_kv_heads, head_dim, 0, &rows);
        let group = &block[..KvType::Q8_0.group_bytes(head_dim)];
        let at = |token: usize, dim: usize| {
            let scale = half_at(group, token * 2 + dim / 32);
            (f32::from(group[128 + token * head_dim + dim] as i8) * scale, scale)
        };
        for (dim, &value) in rows[..head_dim].iter().enumerate() {
            let (stored, scale) = at(0, dim);
            assert!((stored - value).abs() <= scale * 0.5001, "{dim}: {stored} for {value}");
        }
        assert!(at(1, 4).0.is_nan() && at(1, 31).0.is_nan());
        assert_eq!((at(1, 35).0, at(1, 36).0), (127.0 * 65504.0, 0.0));
    }
}

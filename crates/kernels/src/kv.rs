//! Keys and values of past tokens, in blocks of 256, as attention reads them where they lie.

use half::slice::HalfFloatSliceExt;

/// Tokens in a block. Attention sums each block on its own and merges blocks in order, so this number is part of the
/// result's definition.
pub const KV_BLOCK: usize = 256;

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvType {
    /// Half precision: the default.
    F16,
    /// Single precision, for comparison with references.
    F32,
}

impl KvType {
    /// Bytes of a value.
    pub const fn bytes(self) -> usize {
        match self {
            KvType::F16 => 2,
            KvType::F32 => 4,
        }
    }

    /// Bytes of the K (or the V) of one layer's block: (n_kv_heads, 256, head_dim).
    pub const fn block_bytes(self, n_kv_heads: usize, head_dim: usize) -> usize {
        n_kv_heads * KV_BLOCK * head_dim * self.bytes()
    }
}

/// One block of one layer: K and V, each (n_kv_heads, 256, head_dim), little-endian, no alignment needed.
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

/// Rounds rows of keys (or values), (n, n_kv_heads * head_dim), into a block's bytes, from token `offset` of the block on.
/// Values beyond the range of `kv_type` become its largest finite value; NaN stays NaN.
///
/// # Panics
/// When the rows do not fit behind `offset`, or `block` is not [`KvType::block_bytes`] long.
pub fn store_kv(
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
    let mut halves = [half::f16::ZERO; 64];
    let mut clamped = [0.0f32; 64];
    for (row, values) in rows.chunks_exact(width).enumerate() {
        for (head, values) in values.chunks_exact(head_dim).enumerate() {
            let at = (head * KV_BLOCK + offset + row) * head_dim * kv_type.bytes();
            let out = &mut block[at..][..head_dim * kv_type.bytes()];
            match kv_type {
                KvType::F32 => {
                    for (out, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                        *out = value.to_le_bytes();
                    }
                }
                KvType::F16 => {
                    for (out, values) in out.chunks_mut(128).zip(values.chunks(64)) {
                        let largest = half::f16::MAX.to_f32_const();
                        for (clamped, value) in clamped.iter_mut().zip(values) {
                            *clamped = value.clamp(-largest, largest);
                        }
                        halves[..values.len()].convert_from_f32_slice(&clamped[..values.len()]);
                        for (out, half) in out.as_chunks_mut::<2>().0.iter_mut().zip(&halves) {
                            *out = half.to_le_bytes();
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_land_at_their_head_and_token_and_overflow_stays_finite() {
        let (n_kv_heads, head_dim) = (2, 80);
        let mut block = vec![0u8; KvType::F16.block_bytes(n_kv_heads, head_dim)];
        let mut rows: Vec<f32> = (0..2 * n_kv_heads * head_dim).map(|i| i as f32).collect();
        rows[1] = 1e9;
        rows[2] = f32::NEG_INFINITY;
        store_kv(KvType::F16, &mut block, n_kv_heads, head_dim, 254, &rows);
        let at = |head: usize, token: usize, dim: usize| {
            let i = ((head * KV_BLOCK + token) * head_dim + dim) * 2;
            half::f16::from_le_bytes([block[i], block[i + 1]]).to_f32()
        };
        assert_eq!(at(0, 254, 1), 65504.0);
        assert_eq!(at(0, 254, 2), -65504.0);
        assert_eq!(at(0, 254, 79), 79.0);
        assert_eq!(at(1, 254, 5), 85.0);
        assert_eq!(at(1, 255, 79), 319.0);
        assert_eq!(at(0, 253, 79), 0.0);
    }
}

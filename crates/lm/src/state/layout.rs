//! Where each layer's keys, values and convolution state lie.

use std::ops::Range;

use docent_kernels::{KV_BLOCK, KvType};

use crate::config::{CONV_KERNEL, Config};

/// The shape of a state, the same for all sequences of a model.
///
/// ```text
/// block     attention layer 0: K | V,  attention layer 1: K | V,  ...
///           256 tokens each, as `docent_kernels` stores them for the KV type
/// conv      convolution layer 0, 1, ...: (2, n_embd) f32, older position first
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    kv_type: KvType,
    head_dim: usize,
    /// Key heads of each attention layer, and where its K starts in a block.
    attention: Vec<(usize, usize)>,
    block_bytes: usize,
    n_conv_layers: usize,
    n_embd: usize,
}

impl Layout {
    pub(crate) fn new(config: &Config, kv_type: KvType) -> Self {
        let mut block_bytes = 0;
        let mut attention = Vec::new();
        for &n_kv_heads in config.n_kv_heads.iter().filter(|&&n| n > 0) {
            attention.push((n_kv_heads, block_bytes));
            block_bytes += 2 * kv_type.block_bytes(n_kv_heads, config.head_dim);
        }
        let (head_dim, n_conv_layers, n_embd) = (config.head_dim, config.n_conv_layers(), config.n_embd);
        Self { kv_type, head_dim, attention, block_bytes, n_conv_layers, n_embd }
    }

    /// How keys and values are stored.
    pub fn kv_type(&self) -> KvType {
        self.kv_type
    }

    /// Bytes of a block: keys and values of [`KV_BLOCK`] tokens in all attention layers.
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// Bytes of keys and values for each token.
    pub fn bytes_per_token(&self) -> usize {
        self.block_bytes / KV_BLOCK
    }

    /// Numbers of the convolution state: (n_conv_layers, 2, n_embd). 0 where no layer convolves.
    pub fn conv_len(&self) -> usize {
        self.n_conv_layers * self.conv_layer_len()
    }

    /// Bytes that a state of `n_tokens` takes: whole blocks, the convolution state and its copy at each block's end.
    pub fn state_bytes(&self, n_tokens: usize) -> usize {
        let n_blocks = n_tokens.div_ceil(KV_BLOCK);
        n_blocks * self.block_bytes + (n_tokens / KV_BLOCK + 1) * self.conv_len() * size_of::<f32>()
    }

    /// Positions back at which the last convolution layer's state still depends on the input, and so how many tokens
    /// have to be computed again to have it: 2 for each convolution layer.
    pub fn replay_len(&self) -> usize {
        (CONV_KERNEL - 1) * self.n_conv_layers
    }

    pub(super) fn conv_layer_len(&self) -> usize {
        (CONV_KERNEL - 1) * self.n_embd
    }

    pub(super) fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Key heads of an attention layer.
    pub(super) fn n_kv_heads(&self, attention_idx: usize) -> usize {
        self.attention[attention_idx].0
    }

    /// Where each head's K and V lie in a block, in order, and whether it is a K.
    pub(super) fn heads(&self) -> impl Iterator<Item = (bool, Range<usize>)> + '_ {
        let head = self.kv_type.block_bytes(1, self.head_dim);
        self.attention.iter().flat_map(move |&(n_kv_heads, start)| {
            (0..2 * n_kv_heads).map(move |i| (i < n_kv_heads, start + i * head..start + (i + 1) * head))
        })
    }

    /// Bytes of each head's first `n_tokens`.
    pub(super) fn head_bytes(&self, n_tokens: usize) -> usize {
        self.kv_type.head_bytes(n_tokens, self.head_dim)
    }

    /// Where an attention layer's K starts in a block, and the length of its K (and of its V behind it).
    pub(super) fn plane(&self, attention_idx: usize) -> (usize, usize) {
        let (n_kv_heads, start) = self.attention[attention_idx];
        (start, self.kv_type.block_bytes(n_kv_heads, self.head_dim))
    }
}

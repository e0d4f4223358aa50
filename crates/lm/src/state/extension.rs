//! A state while a slice of new tokens passes through the layers.

use std::ops::Range;
use std::sync::Arc;

use docent_kernels::{KV_BLOCK, KvBlockRef, KvView, store_keys, store_values};

use super::{Block, State};

/// What a pass does with the keys and values it makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// New tokens: write them behind what is there.
    Extend,
    /// Tokens that were here before, computed again for their convolution state: what is there stays and is read.
    Replay,
}

/// A state being extended by `n` tokens. Nothing counts until [`commit`](Self::commit); dropping it changes nothing.
pub(crate) struct Extension<'a> {
    state: &'a mut State,
    mode: Mode,
    first_pos: usize,
    n: usize,
    /// The convolution state so far, (n_conv_layers, 2, n_embd).
    conv: Vec<f32>,
    /// The same at the end of each block that this slice fills.
    conv_at_ends: Vec<Vec<f32>>,
}

impl<'a> Extension<'a> {
    /// Makes room for `n` more tokens.
    pub(crate) fn extend(state: &'a mut State, n: usize) -> Self {
        let (first_pos, end) = (state.n_tokens, state.n_tokens + n);
        // A slice that was dropped may have left blocks behind.
        state.blocks.truncate(first_pos.div_ceil(KV_BLOCK));
        while state.blocks.len() < end.div_ceil(KV_BLOCK) {
            state.blocks.push(Arc::new(Block::empty(&state.layout)));
        }
        let conv = state.conv.clone();
        let n_filled = end / KV_BLOCK - first_pos / KV_BLOCK;
        let conv_at_ends = vec![vec![0.0; conv.len()]; n_filled];
        Self { state, mode: Mode::Extend, first_pos, n, conv, conv_at_ends }
    }

    /// Goes over the `n` tokens before position `end` again, to have the convolution state there.
    pub(crate) fn replay(state: &'a mut State, end: usize, n: usize) -> Self {
        let conv = vec![0.0; state.conv.len()];
        Self { state, mode: Mode::Replay, first_pos: end - n, n, conv, conv_at_ends: Vec::new() }
    }

    /// Position of the slice's first token.
    pub(crate) fn first_pos(&self) -> usize {
        self.first_pos
    }

    /// Rounds keys and values, each (n, n_kv_heads, head_dim), into their blocks.
    pub(crate) fn store_kv(&mut self, attention_idx: usize, k: &[f32], v: &[f32]) {
        if self.mode == Mode::Replay {
            return;
        }
        let layout = Arc::clone(&self.state.layout);
        let (n_kv_heads, head_dim) = (layout.n_kv_heads(attention_idx), layout.head_dim());
        let width = n_kv_heads * head_dim;
        let (start, plane_len) = layout.plane(attention_idx);
        for rows in self.pieces() {
            let position = self.first_pos + rows.start;
            let block = Arc::make_mut(&mut self.state.blocks[position / KV_BLOCK]);
            let planes = &mut block.bytes_mut()[start..start + 2 * plane_len];
            let (k_plane, v_plane) = planes.split_at_mut(plane_len);
            let values = rows.start * width..rows.end * width;
            let offset = position % KV_BLOCK;
            store_keys(layout.kv_type(), k_plane, n_kv_heads, head_dim, offset, &k[values.clone()]);
            store_values(layout.kv_type(), v_plane, n_kv_heads, head_dim, offset, &v[values]);
        }
    }

    /// Lets `work` read an attention layer's keys and values, those of this slice included.
    pub(crate) fn with_kv(&self, attention_idx: usize, work: impl FnOnce(&KvView<'_>)) {
        let (start, plane_len) = self.state.layout.plane(attention_idx);
        let n_tokens = self.first_pos + self.n;
        let blocks: Vec<KvBlockRef<'_>> = self.state.blocks[..n_tokens.div_ceil(KV_BLOCK)]
            .iter()
            .map(|block| {
                let (k, v) = block.bytes()[start..start + 2 * plane_len].split_at(plane_len);
                KvBlockRef { k, v }
            })
            .collect();
        work(&KvView { kv_type: self.state.layout.kv_type(), blocks: &blocks, n_tokens });
    }

    /// The slice's rows in pieces that do not cross a block's end.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (first_pos, n) = (self.first_pos, self.n);
        let mut start = 0;
        std::iter::from_fn(move || {
            let left_in_block = KV_BLOCK - (first_pos + start) % KV_BLOCK;
            let piece = start..n.min(start + left_in_block);
            start = piece.end;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// A convolution layer's state, (2, n_embd), older position first.
    pub(crate) fn conv_mut(&mut self, conv_idx: usize) -> &mut [f32] {
        let len = self.state.layout.conv_layer_len();
        &mut self.conv[conv_idx * len..(conv_idx + 1) * len]
    }

    /// Keeps a convolution layer's state with the block that ends behind row `end`, if one does.
    pub(crate) fn keep_conv(&mut self, conv_idx: usize, end: usize) {
        let position = self.first_pos + end;
        if self.mode == Mode::Replay || !position.is_multiple_of(KV_BLOCK) {
            return;
        }
        let len = self.state.layout.conv_layer_len();
        let range = conv_idx * len..(conv_idx + 1) * len;
        let filled_idx = position / KV_BLOCK - 1 - self.first_pos / KV_BLOCK;
        self.conv_at_ends[filled_idx][range.clone()].copy_from_slice(&self.conv[range]);
    }

    /// The slice is through all layers: it now belongs to the state. A replayed one cuts the state at its end.
    pub(crate) fn commit(self) {
        let Self { state, first_pos, n, conv, conv_at_ends, .. } = self;
        for (filled_idx, conv) in conv_at_ends.into_iter().enumerate() {
            Arc::make_mut(&mut state.blocks[first_pos / KV_BLOCK + filled_idx]).seal(conv);
        }
        state.conv = conv;
        state.n_tokens = first_pos + n;
        state.blocks.truncate(state.n_tokens.div_ceil(KV_BLOCK));
    }
}

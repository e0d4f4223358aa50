//! What a sequence leaves behind: keys and values in blocks of 256 tokens, and the convolution state.
//!
//! ```text
//! blocks   [full][full][full][partly filled]     each behind an Arc: a clone of a state shares them all
//! conv     g at the last two positions of every convolution layer
//! ```
//! A full block is never written again, and carries the convolution state at its end, so a state can be cut there. The
//! partly filled block is copied when a state that shares it is extended. A state changes when a slice of tokens is
//! through all layers, or not at all: what is dropped half-way leaves it as it was.
//!
//! Cost: a clone takes one reference count for each block; cutting is free.

mod block;
mod extension;
mod layout;

use std::sync::Arc;

use docent_kernels::{KV_BLOCK, erase_keys_behind, erase_values_behind};

pub use block::Block;
pub(crate) use extension::Extension;
pub use layout::Layout;

use crate::LmError;

/// The state of one sequence of tokens. Made by [`Model::new_state`](crate::Model::new_state).
#[derive(Debug, Clone)]
pub struct State {
    layout: Arc<Layout>,
    /// `n_tokens` rounded up to blocks.
    blocks: Vec<Arc<Block>>,
    /// (n_conv_layers, 2, n_embd)
    conv: Vec<f32>,
    n_tokens: usize,
}

impl State {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        Self { blocks: Vec::new(), conv: vec![0.0; layout.conv_len()], n_tokens: 0, layout }
    }

    /// Tokens the state holds.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Where everything lies.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The full blocks, in order.
    pub fn full_blocks(&self) -> &[Arc<Block>] {
        &self.blocks[..self.n_tokens / KV_BLOCK]
    }

    /// Appends a full block behind full blocks.
    ///
    /// # Errors
    /// [`LmError::State`] where the last block is only partly filled or the block is of another layout.
    pub fn push_block(&mut self, block: Arc<Block>) -> Result<(), LmError> {
        if !self.n_tokens.is_multiple_of(KV_BLOCK) {
            return Err(LmError::State(format!(
                "a block cannot follow {} tokens, only whole blocks",
                self.n_tokens
            )));
        }
        if block.bytes().len() != self.layout.block_bytes() || block.conv_len() != self.layout.conv_len() {
            return Err(LmError::State("the block belongs to another model, or is not full".to_owned()));
        }
        self.blocks.truncate(self.n_tokens / KV_BLOCK);
        self.conv.copy_from_slice(&block.conv());
        self.blocks.push(block);
        self.n_tokens += KV_BLOCK;
        Ok(())
    }

    /// The convolution state after the last token, (n_conv_layers, 2, n_embd).
    pub fn conv(&self) -> &[f32] {
        &self.conv
    }

    /// Keys and values of the tokens behind the last full block, without the room for others but what is needed for
    /// whole groups, which is zeros: of each attention layer's K, then V, of each head the first
    /// [`KvType::head_bytes`](docent_kernels::KvType::head_bytes).
    pub fn tail(&self) -> Vec<u8> {
        let n = self.n_tokens % KV_BLOCK;
        let mut tail = Vec::new();
        if n > 0 {
            let (bytes, len) = (self.blocks[self.n_tokens / KV_BLOCK].bytes(), self.layout.head_bytes(n));
            let (kv_type, head_dim) = (self.layout.kv_type(), self.layout.head_dim());
            for (is_keys, head) in self.layout.heads() {
                let start = tail.len();
                tail.extend_from_slice(&bytes[head][..len]);
                // A state that was cut still has there what followed, which is nobody's to keep.
                match is_keys {
                    true => erase_keys_behind(kv_type, &mut tail[start..], head_dim, n),
                    false => erase_values_behind(kv_type, &mut tail[start..], head_dim, n),
                }
            }
        }
        tail
    }

    /// Appends `n` tokens behind full blocks: their [`tail`](Self::tail) and the convolution state after them.
    ///
    /// # Errors
    /// [`LmError::State`] where the last block is partly filled already or a length is not the layout's.
    pub fn push_tail(&mut self, tail: &[u8], n: usize, conv: &[f32]) -> Result<(), LmError> {
        let len = self.layout.head_bytes(n);
        let fits = tail.len() == len * self.layout.heads().count() && conv.len() == self.layout.conv_len();
        if !self.n_tokens.is_multiple_of(KV_BLOCK) || n == 0 || n >= KV_BLOCK || !fits {
            return Err(LmError::State(format!(
                "{n} tokens in {} bytes cannot follow {} tokens of this model",
                tail.len(),
                self.n_tokens
            )));
        }
        let mut block = Block::empty(&self.layout);
        let bytes = block.bytes_mut();
        for ((_, head), tail) in self.layout.heads().zip(tail.chunks_exact(len)) {
            bytes[head][..len].copy_from_slice(tail);
        }
        self.blocks.truncate(self.n_tokens / KV_BLOCK);
        self.blocks.push(Arc::new(block));
        self.conv.copy_from_slice(conv);
        self.n_tokens += n;
        Ok(())
    }

    /// Cuts the state to its first `n_tokens`.
    ///
    /// # Errors
    /// [`LmError::State`] where that is more than it holds, or lies inside a block and a layer convolves:
    /// [`Model::cut`](crate::Model::cut) can do that.
    pub fn truncate(&mut self, n_tokens: usize) -> Result<(), LmError> {
        if n_tokens == self.n_tokens {
            return Ok(());
        }
        if n_tokens > self.n_tokens {
            return Err(LmError::State(format!("cannot cut {} tokens to {n_tokens}", self.n_tokens)));
        }
        if self.layout.conv_len() > 0 {
            match n_tokens {
                0 => self.conv.fill(0.0),
                n if n.is_multiple_of(KV_BLOCK) => {
                    self.conv.copy_from_slice(&self.blocks[n / KV_BLOCK - 1].conv())
                }
                n => {
                    return Err(LmError::State(format!(
                        "cannot cut to {n} tokens: only at multiples of {KV_BLOCK}"
                    )));
                }
            }
        }
        self.blocks.truncate(n_tokens.div_ceil(KV_BLOCK));
        self.n_tokens = n_tokens;
        Ok(())
    }

    /// Bytes of keys and values held, shared ones included.
    pub fn n_bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.n_bytes()).sum()
    }
}

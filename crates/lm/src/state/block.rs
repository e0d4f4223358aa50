//! A block: the keys and values of 256 tokens in one run of bytes, and the convolution state at its end.

use std::sync::Arc;

use super::Layout;
use crate::LmError;

/// Cache lines are 64 bytes; a block that starts on one is read without straddling.
const ALIGNMENT: usize = 64;

/// Zeroed bytes that start on a cache line.
struct AlignedBytes {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBytes {
    fn zeroed(len: usize) -> Self {
        let bytes = vec![0u8; len + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start, len }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

enum Payload {
    Owned(AlignedBytes),
    /// Bytes that somebody else keeps, for instance a mapped file.
    Shared(Arc<dyn AsRef<[u8]> + Send + Sync>),
}

/// Keys and values of 256 tokens and, once it is full, the convolution state at its end. See [`Layout`] for the bytes.
pub struct Block {
    payload: Payload,
    conv: Vec<f32>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("n_bytes", &self.bytes().len())
            .field("n_conv", &self.conv.len())
            .finish()
    }
}

impl Clone for Block {
    /// Copies the bytes, wherever they are.
    fn clone(&self) -> Self {
        let mut copy = AlignedBytes::zeroed(self.bytes().len());
        copy.get_mut().copy_from_slice(self.bytes());
        Self { payload: Payload::Owned(copy), conv: self.conv.clone() }
    }
}

impl Block {
    pub(super) fn empty(layout: &Layout) -> Self {
        Self { payload: Payload::Owned(AlignedBytes::zeroed(layout.block_bytes())), conv: Vec::new() }
    }

    /// A full block that was kept elsewhere: its bytes are read where they lie. `conv` is the convolution state at its
    /// end, (n_conv_layers, 2, n_embd).
    ///
    /// # Errors
    /// [`LmError::State`] where a length is not the layout's.
    pub fn from_parts(
        layout: &Layout,
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        conv: Vec<f32>,
    ) -> Result<Self, LmError> {
        let n_bytes = (*bytes).as_ref().len();
        if n_bytes != layout.block_bytes() || conv.len() != layout.conv_len() {
            return Err(LmError::State(format!(
                "a block of {n_bytes} bytes and {} numbers of convolution state does not fit this model, which has {} and {}",
                conv.len(),
                layout.block_bytes(),
                layout.conv_len()
            )));
        }
        Ok(Self { payload: Payload::Shared(bytes), conv })
    }

    /// Keys and values of all attention layers, [`Layout::block_bytes`] long.
    pub fn bytes(&self) -> &[u8] {
        match &self.payload {
            Payload::Owned(bytes) => bytes.get(),
            Payload::Shared(bytes) => (**bytes).as_ref(),
        }
    }

    /// The convolution state at the block's end, (n_conv_layers, 2, n_embd). Empty while the block is not full.
    pub fn conv(&self) -> &[f32] {
        &self.conv
    }

    pub(super) fn seal(&mut self, conv: Vec<f32>) {
        self.conv = conv;
    }

    /// The bytes to write to: copied first where they are not ours.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        if let Payload::Shared(_) = self.payload {
            *self = self.clone();
        }
        match &mut self.payload {
            Payload::Owned(bytes) => bytes.get_mut(),
            Payload::Shared(_) => unreachable!("a copy is owned"),
        }
    }
}

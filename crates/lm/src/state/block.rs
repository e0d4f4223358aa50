//! A block: the keys and values of 256 tokens in one run of bytes, and the convolution state at its end.

use std::borrow::Cow;
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

/// Bytes that somebody else keeps, for instance a mapped file.
type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

enum Payload {
    Owned(AlignedBytes),
    Shared(SharedBytes),
}

/// The convolution state at a block's end.
#[derive(Clone)]
enum Conv {
    /// Empty while the block is not full.
    Owned(Vec<f32>),
    /// Little-endian.
    Shared(SharedBytes),
}

/// Keys and values of 256 tokens and, once it is full, the convolution state at its end. See [`Layout`] for the bytes.
pub struct Block {
    payload: Payload,
    conv: Conv,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("n_bytes", &self.bytes().len())
            .field("n_conv", &self.conv_len())
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
        Self {
            payload: Payload::Owned(AlignedBytes::zeroed(layout.block_bytes())),
            conv: Conv::Owned(Vec::new()),
        }
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
        check(layout, (*bytes).as_ref().len(), conv.len())?;
        Ok(Self { payload: Payload::Shared(bytes), conv: Conv::Owned(conv) })
    }

    /// The same with the convolution state as little-endian bytes, which are read where they lie too.
    ///
    /// # Errors
    /// As [`from_parts`](Self::from_parts).
    pub fn from_shared(
        layout: &Layout,
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        conv: Arc<dyn AsRef<[u8]> + Send + Sync>,
    ) -> Result<Self, LmError> {
        let conv_bytes = (*conv).as_ref().len();
        let whole = conv_bytes.is_multiple_of(size_of::<f32>());
        check(
            layout,
            (*bytes).as_ref().len(),
            if whole { conv_bytes / size_of::<f32>() } else { usize::MAX },
        )?;
        Ok(Self { payload: Payload::Shared(bytes), conv: Conv::Shared(conv) })
    }

    /// Keys and values of all attention layers, [`Layout::block_bytes`] long.
    pub fn bytes(&self) -> &[u8] {
        match &self.payload {
            Payload::Owned(bytes) => bytes.get(),
            Payload::Shared(bytes) => (**bytes).as_ref(),
        }
    }

    /// The convolution state at the block's end, (n_conv_layers, 2, n_embd). Empty while the block is not full.
    pub fn conv(&self) -> Cow<'_, [f32]> {
        match &self.conv {
            Conv::Owned(conv) => Cow::Borrowed(conv),
            Conv::Shared(bytes) => {
                let numbers = (**bytes).as_ref().as_chunks::<4>().0;
                Cow::Owned(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
            }
        }
    }

    /// Bytes held, of keys, values and convolution state.
    pub(super) fn n_bytes(&self) -> usize {
        let conv = match &self.conv {
            Conv::Owned(conv) => size_of_val(&conv[..]),
            Conv::Shared(bytes) => (**bytes).as_ref().len(),
        };
        self.bytes().len() + conv
    }

    /// Numbers of convolution state.
    pub(super) fn conv_len(&self) -> usize {
        match &self.conv {
            Conv::Owned(conv) => conv.len(),
            Conv::Shared(bytes) => (**bytes).as_ref().len() / size_of::<f32>(),
        }
    }

    pub(super) fn seal(&mut self, conv: Vec<f32>) {
        self.conv = Conv::Owned(conv);
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

fn check(layout: &Layout, n_bytes: usize, conv_len: usize) -> Result<(), LmError> {
    if n_bytes == layout.block_bytes() && conv_len == layout.conv_len() {
        return Ok(());
    }
    Err(LmError::State(format!(
        "a block of {n_bytes} bytes and {conv_len} numbers of convolution state does not fit this model, which has {} and {}",
        layout.block_bytes(),
        layout.conv_len()
    )))
}

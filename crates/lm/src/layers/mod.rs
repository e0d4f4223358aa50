//! One file per kind of layer. A layer holds where its tensors lie and what its formula needs; it is loaded once and
//! then only read.
//!
//! Every `forward` takes rows of new tokens, `(n, width)`, and gives each row the same bits whatever other rows come
//! with it: the kernels promise it for theirs, and what is added here works on one row, or one number, at a time.

mod attention;
mod embedding;
mod experts;
mod feed_forward;
mod short_conv;
mod weights;

pub(crate) use attention::{Attention, AttentionConfig};
pub(crate) use embedding::{Embedding, Norm, Output};
pub(crate) use experts::Experts;
pub(crate) use feed_forward::Dense;
pub(crate) use short_conv::ShortConv;
pub(crate) use weights::Loader;

use docent_kernels::{Buffer, Kernels};

use crate::state::Extension;

/// What mixes information between positions.
#[allow(clippy::large_enum_variant, reason = "a model has a few dozen of them")]
pub(crate) enum Mixer {
    Attention(Attention),
    ShortConv(ShortConv),
}

/// What works on each position alone.
pub(crate) enum FeedForward {
    Dense(Dense),
    Experts(Experts),
}

/// One layer of the stack: `h += mixer(norm(h)); h += feed_forward(norm(h))`.
pub(crate) struct Layer {
    pub(crate) mixer_norm: Norm,
    pub(crate) mixer: Mixer,
    pub(crate) feed_forward_norm: Norm,
    pub(crate) feed_forward: FeedForward,
}

/// What a pass over a slice of new tokens carries from layer to layer.
pub(crate) struct Pass<'a> {
    pub(crate) kernels: &'a Kernels,
    /// The mapped model file.
    pub(crate) file: &'a [u8],
    /// The sequence's state, being extended by this slice.
    pub(crate) state: Extension<'a>,
    /// New tokens in this slice.
    pub(crate) n: usize,
    pub(crate) scratch: &'a mut Scratch,
}

impl Layer {
    /// Adds the layer to the residual stream `h` (n, n_embd), in place.
    pub(crate) fn forward(&self, pass: &mut Pass<'_>, h: &mut [f32]) {
        let mut normed = pass.scratch.take(h.len()); // (n, n_embd)
        let mut out = pass.scratch.take(h.len()); // (n, n_embd)
        self.mixer_norm.forward(pass.kernels, h, &mut normed);
        match &self.mixer {
            Mixer::Attention(layer) => layer.forward(pass, &normed, &mut out),
            Mixer::ShortConv(layer) => layer.forward(pass, &normed, &mut out),
        }
        pass.kernels.add(h, &out);
        self.feed_forward_norm.forward(pass.kernels, h, &mut normed);
        match &self.feed_forward {
            FeedForward::Dense(layer) => layer.forward(pass, &normed, &mut out),
            FeedForward::Experts(layer) => layer.forward(pass, &normed, &mut out),
        }
        pass.kernels.add(h, &out);
        pass.scratch.give(normed);
        pass.scratch.give(out);
    }
}

/// Buffers that layers hand on to one another. A fresh allocation of several megabytes per matrix product costs page
/// faults that are a tenth of a layer's time; reused ones cost nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    free: Vec<Buffer>,
}

impl Scratch {
    /// A buffer of `len` numbers whose values are whatever was left there.
    pub(crate) fn take(&mut self, len: usize) -> Buffer {
        // The same lengths come again in every layer: one that has it needs neither room nor zeros.
        match self.free.iter().rposition(|buffer| buffer.len() == len) {
            Some(at) => self.free.swap_remove(at),
            None => Buffer::zeroed(len),
        }
    }

    /// Returns a buffer for the next one who asks.
    pub(crate) fn give(&mut self, buffer: Buffer) {
        self.free.push(buffer);
    }
}

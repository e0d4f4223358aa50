//! The encoder's layers as operations on candle's tensors, computed by [`Dense`] on the calling thread.
//!
//! candle's own matrix product reaches some 60 % of what ours does on these shapes, and its GELU, softmax and norm each
//! make a tensor of their own and call a scalar `erf` or `exp`.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, InplaceOp2, Layout, Result, Shape, bail};
use docent_kernels::{Activation, AttentionScratch, Dense, PackedMatrix};

use crate::weights::Norm;

/// Rows that pass through both feed-forward matrices at a time: 128 rows of 1536 numbers stay in the second-level cache.
const FEED_FORWARD_ROWS: usize = 128;

/// (n, n_in) to (n, n_out).
pub(crate) struct Linear<'a> {
    pub dense: Dense,
    pub layer: &'a PackedMatrix,
}

/// (n, 3 * hidden) to (n, hidden): each text's tokens attend to each other.
pub(crate) struct Attention<'a> {
    pub dense: Dense,
    /// Heads, and numbers of a head.
    pub shape: (usize, usize),
    /// Rows of each text, one after another.
    pub spans: &'a [Range<usize>],
}

/// (n, hidden) to (n, hidden): up, GELU, down.
pub(crate) struct FeedForward<'a> {
    pub dense: Dense,
    pub up: &'a PackedMatrix,
    pub down: &'a PackedMatrix,
}

/// `x = LayerNorm(x + y)`, for tensors (n, hidden).
pub(crate) struct AddNorm<'a> {
    pub dense: Dense,
    pub norm: &'a Norm,
}

/// The numbers of a contiguous f32 tensor.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&all[start..end]),
        _ => bail!("expected a contiguous f32 tensor"),
    }
}

fn made(values: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(values), shape.into()))
}

impl CustomOp1 for Linear<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let n = layout.dims()[0];
        let mut out = vec![0f32; n * self.layer.n_out()];
        self.dense.linear(floats(storage, layout)?, self.layer, Activation::None, &mut out);
        made(out, (n, self.layer.n_out()))
    }
}

impl CustomOp1 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, hidden) = (layout.dims()[0], self.shape.0 * self.shape.1);
        let qkv = floats(storage, layout)?;
        let mut out = vec![0f32; n * hidden];
        let mut scratch = AttentionScratch::default();
        for span in self.spans {
            let qkv = &qkv[span.start * 3 * hidden..span.end * 3 * hidden];
            let out = &mut out[span.start * hidden..span.end * hidden];
            self.dense.attention(qkv, self.shape, &mut scratch, out);
        }
        made(out, (n, hidden))
    }
}

impl CustomOp1 for FeedForward<'_> {
    fn name(&self) -> &'static str {
        "feed-forward"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, hidden, wide) = (layout.dims()[0], self.up.n_in(), self.up.n_out());
        let x = floats(storage, layout)?;
        let mut out = vec![0f32; n * hidden];
        let mut between = vec![0f32; n.min(FEED_FORWARD_ROWS) * wide];
        let parts = x.chunks(FEED_FORWARD_ROWS * hidden).zip(out.chunks_mut(FEED_FORWARD_ROWS * hidden));
        for (x, out) in parts {
            let between = &mut between[..x.len() / hidden * wide];
            self.dense.linear(x, self.up, Activation::Gelu, between);
            self.dense.linear(between, self.down, Activation::None, out);
        }
        made(out, (n, hidden))
    }
}

impl InplaceOp2 for AddNorm<'_> {
    fn name(&self) -> &'static str {
        "add-norm"
    }
    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<()> {
        let y = floats(y, y_layout)?;
        match (x, x_layout.contiguous_offsets()) {
            (CpuStorage::F32(x), Some((start, end))) => {
                self.dense.add_norm(&mut x[start..end], y, &self.norm.view());
                Ok(())
            }
            _ => bail!("expected a contiguous f32 tensor"),
        }
    }
}

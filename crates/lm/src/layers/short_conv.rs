//! LFM2's gated short convolution: each token looks at itself and the two before it.
//!
//! ```text
//! B, C, x = thirds of (W_in u)
//! g = B * x
//! z[t] = k0 * g[t-2] + k1 * g[t-1] + k2 * g[t]
//! out = W_out (C * z)
//! ```
//! Source: transformers `models/lfm2/modular_lfm2.py`, `Lfm2ShortConv`. The state is g at the last two positions, zeros
//! before the first token. A prefill of any length after a prefix starts from it: forgetting that for more than one
//! token is how others get fluent nonsense after a cached prefix.

use super::Pass;
use super::weights::{Loader, Weight};
use crate::LmError;
use crate::config::{CONV_KERNEL, Config};

pub(crate) struct ShortConv {
    in_proj: Weight,
    out_proj: Weight,
    /// (n_embd, 3), oldest position first.
    kernel: Vec<f32>,
    n_embd: usize,
    /// Which convolution layer this is: its place in the state.
    conv_idx: usize,
}

impl ShortConv {
    pub(crate) fn load(loader: &Loader<'_>, config: &Config, layer_idx: usize) -> Result<Self, LmError> {
        let name = |part: &str| format!("blk.{layer_idx}.shortconv.{part}.weight");
        let n_embd = config.n_embd;
        Ok(Self {
            in_proj: loader.matrix(&name("in_proj"), 3 * n_embd, n_embd)?,
            out_proj: loader.matrix(&name("out_proj"), n_embd, n_embd)?,
            kernel: loader.floats(&name("conv"), &[CONV_KERNEL, n_embd])?,
            n_embd,
            conv_idx: config.n_kv_heads[..layer_idx].iter().filter(|&&n| n == 0).count(),
        })
    }

    /// `x` and `out` are (n, n_embd).
    pub(crate) fn forward(&self, pass: &mut Pass<'_>, x: &[f32], out: &mut [f32]) {
        let d = self.n_embd;
        let mut bcx = pass.scratch.take(pass.n * 3 * d); // (n, 3 n_embd)
        let mut mixed = pass.scratch.take(pass.n * d); // (n, n_embd)
        pass.kernels.matmul(self.in_proj.matrix(pass.file), x, &mut bcx);
        // In pieces that end where a block ends, so that the state there can be kept with the block.
        for rows in pass.state.pieces() {
            let (bcx, mixed) =
                (&bcx[rows.start * 3 * d..rows.end * 3 * d], &mut mixed[rows.start * d..rows.end * d]);
            pass.kernels.short_conv(bcx, &self.kernel, pass.state.conv_mut(self.conv_idx), mixed);
            pass.state.keep_conv(self.conv_idx, rows.end);
        }
        pass.kernels.matmul(self.out_proj.matrix(pass.file), &mixed, out);
        pass.scratch.give(bcx);
        pass.scratch.give(mixed);
    }
}

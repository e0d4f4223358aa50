//! The ends of the stack: tokens to rows, rows to logits, and the RMS norm between layers.

use docent_kernels::Kernels;

use super::Scratch;
use super::weights::{Loader, Weight};
use crate::LmError;
use crate::config::Config;

/// RMS norm: `x / sqrt(mean(x²) + eps) * weight`, row by row (Zhang & Sennrich 2019, equation 4).
pub(crate) struct Norm {
    weight: Vec<f32>,
    eps: f32,
}

impl Norm {
    pub(crate) fn load(loader: &Loader<'_>, name: &str, width: usize, eps: f32) -> Result<Self, LmError> {
        Ok(Self { weight: loader.floats(name, &[width])?, eps })
    }

    /// `x` and `out` are rows of the norm's width.
    pub(crate) fn forward(&self, kernels: &Kernels, x: &[f32], out: &mut [f32]) {
        kernels.rms_norm(x, &self.weight, self.eps, out);
    }
}

/// The embedding matrix.
pub(crate) struct Embedding {
    weight: Weight,
}

impl Embedding {
    pub(crate) fn load(loader: &Loader<'_>, config: &Config) -> Result<Self, LmError> {
        Ok(Self { weight: loader.matrix("token_embd.weight", config.n_vocab, config.n_embd)? })
    }

    /// Rows of `tokens`, (n, n_embd). Every token must be below the vocabulary's size.
    pub(crate) fn forward(&self, kernels: &Kernels, file: &[u8], tokens: &[u32], out: &mut [f32]) {
        kernels.dequantise_rows(self.weight.matrix(file), tokens, out);
    }
}

/// The final norm and the output matrix, which is the embedding matrix where the file has no other.
pub(crate) struct Output {
    norm: Norm,
    weight: Weight,
}

impl Output {
    /// `norms` are the names the final norm may have.
    pub(crate) fn load(loader: &Loader<'_>, config: &Config, norms: &[&str]) -> Result<Self, LmError> {
        let name = norms.iter().find(|name| loader.has(name)).ok_or_else(|| loader.missing(norms[0]))?;
        let weight = match loader.optional_matrix("output.weight", config.n_vocab, config.n_embd)? {
            Some(weight) => weight,
            None => loader.matrix("token_embd.weight", config.n_vocab, config.n_embd)?,
        };
        Ok(Self { norm: Norm::load(loader, name, config.n_embd, config.norm_eps)?, weight })
    }

    /// Appends the logits of the rows `h` (n, n_embd) to `logits`: (n, n_vocab).
    pub(crate) fn forward(
        &self,
        kernels: &Kernels,
        file: &[u8],
        scratch: &mut Scratch,
        h: &[f32],
        logits: &mut Vec<f32>,
    ) {
        let mut normed = scratch.take(h.len());
        self.norm.forward(kernels, h, &mut normed);
        let n = h.len() / self.norm.weight.len();
        let start = logits.len();
        logits.resize(start + n * self.weight.n_rows(), 0.0);
        kernels.matmul(self.weight.matrix(file), &normed, &mut logits[start..]);
        scratch.give(normed);
    }
}

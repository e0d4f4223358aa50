//! One file per architecture: the list of layers it stacks. What a layer computes is in [`crate::layers`].

mod lfm2;
mod lfm2moe;
mod llama;
mod qwen2;
mod qwen3;

use std::sync::Arc;

use docent_kernels::RopeTable;

use crate::LmError;
use crate::config::{Architecture, Config};
use crate::layers::{AttentionConfig, Embedding, Layer, Loader, Norm, Output};

/// Embedding, layers and output of a model.
pub(crate) struct Stack {
    pub(crate) embedding: Embedding,
    pub(crate) layers: Vec<Layer>,
    pub(crate) output: Output,
}

impl Stack {
    /// Finds every tensor the architecture needs and proves its shape.
    pub(crate) fn load(loader: &Loader<'_>, config: &Config) -> Result<Self, LmError> {
        // LFM2's final norm carries another name; some converters write the common one.
        let (layers, norms): (_, &[&str]) = match config.architecture {
            Architecture::Lfm2Moe => {
                (lfm2moe::layers(loader, config)?, &["token_embd_norm.weight", "output_norm.weight"])
            }
            Architecture::Lfm2 => {
                (lfm2::layers(loader, config)?, &["token_embd_norm.weight", "output_norm.weight"])
            }
            Architecture::Llama => (llama::layers(loader, config)?, &["output_norm.weight"]),
            Architecture::Qwen2 => (qwen2::layers(loader, config)?, &["output_norm.weight"]),
            Architecture::Qwen3 => (qwen3::layers(loader, config)?, &["output_norm.weight"]),
        };
        let embedding = Embedding::load(loader, config)?;
        Ok(Self { embedding, layers, output: Output::load(loader, config, norms)? })
    }
}

/// The attention of an architecture; angles are those of the file's base, scaling and `rope_freqs.weight` (Llama 3.1).
fn attention(loader: &Loader<'_>, config: &Config, qk_norm: bool) -> Result<AttentionConfig, LmError> {
    let n_pairs = config.head_dim / 2;
    let mut factors =
        loader.optional_floats("rope_freqs.weight", &[n_pairs])?.unwrap_or_else(|| vec![1.0; n_pairs]);
    factors.iter_mut().for_each(|f| *f *= config.rope_factor);
    let rope = Arc::new(RopeTable::new(config.head_dim, f64::from(config.rope_theta), Some(&factors)));
    Ok(AttentionConfig { rope, pairing: config.architecture.rope_pairing(), qk_norm })
}

/// The norm before a layer's part: `attn_norm` before the mixer of either kind, `ffn_norm` before the feed-forward.
fn norm(loader: &Loader<'_>, config: &Config, layer_idx: usize, part: &str) -> Result<Norm, LmError> {
    Norm::load(loader, &format!("blk.{layer_idx}.{part}.weight"), config.n_embd, config.norm_eps)
}

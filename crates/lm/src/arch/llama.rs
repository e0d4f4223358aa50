//! Llama and its kin (SmolLM2, Llama 3): attention and a dense feed-forward in every layer.
//! Source: transformers `models/llama/modeling_llama.py`.

use super::{attention, norm};
use crate::LmError;
use crate::config::Config;
use crate::layers::{Attention, AttentionConfig, Dense, FeedForward, Layer, Loader, Mixer};

pub(super) fn layers(loader: &Loader<'_>, config: &Config) -> Result<Vec<Layer>, LmError> {
    uniform(loader, config, &attention(loader, config, false)?)
}

/// The same layer all the way: attention, then dense feed-forward.
pub(super) fn uniform(
    loader: &Loader<'_>,
    config: &Config,
    attention: &AttentionConfig,
) -> Result<Vec<Layer>, LmError> {
    (0..config.n_layers)
        .map(|layer_idx| {
            Ok(Layer {
                mixer_norm: norm(loader, config, layer_idx, "attn_norm")?,
                mixer: Mixer::Attention(Attention::load(loader, config, attention, layer_idx)?),
                feed_forward_norm: norm(loader, config, layer_idx, "ffn_norm")?,
                feed_forward: FeedForward::Dense(Dense::load(loader, config, layer_idx)?),
            })
        })
        .collect()
}

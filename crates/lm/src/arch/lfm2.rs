//! LFM2: short convolutions with attention every few layers, dense feed-forward everywhere. Layers without key heads
//! convolve. Source: transformers `models/lfm2/modular_lfm2.py`.

use super::{attention, norm};
use crate::LmError;
use crate::config::Config;
use crate::layers::{Attention, AttentionConfig, Dense, FeedForward, Layer, Loader, Mixer, ShortConv};

pub(super) fn layers(loader: &Loader<'_>, config: &Config) -> Result<Vec<Layer>, LmError> {
    let attention = attention(loader, config, true)?;
    (0..config.n_layers)
        .map(|layer_idx| {
            Ok(Layer {
                mixer_norm: norm(loader, config, layer_idx, "attn_norm")?,
                mixer: mixer(loader, config, &attention, layer_idx)?,
                feed_forward_norm: norm(loader, config, layer_idx, "ffn_norm")?,
                feed_forward: FeedForward::Dense(Dense::load(loader, config, layer_idx)?),
            })
        })
        .collect()
}

/// Convolution or attention, as the layer's number of key heads says.
pub(super) fn mixer(
    loader: &Loader<'_>,
    config: &Config,
    attention: &AttentionConfig,
    layer_idx: usize,
) -> Result<Mixer, LmError> {
    Ok(match config.n_kv_heads[layer_idx] {
        0 => Mixer::ShortConv(ShortConv::load(loader, config, layer_idx)?),
        _ => Mixer::Attention(Attention::load(loader, config, attention, layer_idx)?),
    })
}

//! LFM2 with experts (LFM2-8B-A1B, LFM2.5-8B-A1B): as `lfm2`, but behind the first few layers the feed-forward is a
//! choice of experts. Source: transformers `models/lfm2_moe/modular_lfm2_moe.py`.

use super::{attention, lfm2, norm};
use crate::LmError;
use crate::config::Config;
use crate::layers::{Dense, Experts, FeedForward, Layer, Loader};

pub(super) fn layers(loader: &Loader<'_>, config: &Config) -> Result<Vec<Layer>, LmError> {
    let attention = attention(loader, config, true)?;
    (0..config.n_layers)
        .map(|layer_idx| {
            let feed_forward = match &config.experts {
                Some(experts) if layer_idx >= experts.n_dense_layers => {
                    FeedForward::Experts(Experts::load(loader, config, experts, layer_idx)?)
                }
                _ => FeedForward::Dense(Dense::load(loader, config, layer_idx)?),
            };
            Ok(Layer {
                mixer_norm: norm(loader, config, layer_idx, "attn_norm")?,
                mixer: lfm2::mixer(loader, config, &attention, layer_idx)?,
                feed_forward_norm: norm(loader, config, layer_idx, "ffn_norm")?,
                feed_forward,
            })
        })
        .collect()
}

//! Qwen2 and Qwen2.5: llama's stack with biases on query, key and value.
//! Source: transformers `models/qwen2/modular_qwen2.py`.

use super::{attention, llama};
use crate::LmError;
use crate::config::Config;
use crate::layers::{Layer, Loader};

pub(super) fn layers(loader: &Loader<'_>, config: &Config) -> Result<Vec<Layer>, LmError> {
    // The attention takes biases wherever the file has them; a Qwen2 file without is damaged.
    for layer_idx in 0..config.n_layers {
        for part in ["q", "k", "v"] {
            let name = format!("blk.{layer_idx}.attn_{part}.bias");
            if !loader.has(&name) {
                return Err(loader.missing(&name));
            }
        }
    }
    llama::uniform(loader, config, &attention(loader, config, false)?)
}

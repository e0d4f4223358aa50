//! Qwen3: llama's stack with norms on query and key instead of Qwen2's biases.
//! Source: transformers `models/qwen3/modular_qwen3.py`.

use super::{attention, llama};
use crate::LmError;
use crate::config::Config;
use crate::layers::{Layer, Loader};

pub(super) fn layers(loader: &Loader<'_>, config: &Config) -> Result<Vec<Layer>, LmError> {
    llama::uniform(loader, config, &attention(loader, config, true)?)
}

//! GGUF models: file, tokenizer, chat template, layers, architectures, state.
//!
//! ```text
//! gguf       the file: header, metadata, tensor table; memory-mapped, nothing copied
//! config     the metadata that shapes the forward pass, read once and validated
//! layers     one file per kind of layer; each knows its tensors and its formula, nothing else
//! arch       one file per architecture: the list of layers it stacks
//! state      what a sequence leaves behind: KV blocks and convolution state
//! model      open, forward, inspect
//! tokenizer, chat, tools     text to tokens and back, all from the same file
//! npy        matrices in files, for comparison with other programs
//! ```
//!
//! This crate knows no prompt, no sampling and no cache on disk. It reads no setting of its own: what
//! may vary is passed in [`ModelOptions`].

mod arch;
pub mod chat;
mod config;
mod error;
pub mod gguf;
mod layers;
mod model;
pub mod npy;
mod state;
pub mod tokenizer;
pub mod tools;

/// Tokens of a block of keys and values.
pub use docent_kernels::KV_BLOCK;

pub use config::{Architecture, Config, ExpertConfig};
pub use error::LmError;
pub use model::{Logits, Model, ModelOptions, ModelSummary, Progress, SLICE, TensorTypeSummary};
pub use state::{Block, Layout, State};

//! A model: open a file, extend a state by tokens, look at what is inside.

mod forward;
mod inspect;
mod text;

use std::path::Path;
use std::sync::Arc;

use docent_kernels::{Kernels, KvType};

pub use forward::{Logits, Progress, SLICE};
pub use inspect::{ModelSummary, TensorTypeSummary};

use crate::LmError;
use crate::arch::Stack;
use crate::chat::ChatTemplate;
use crate::config::Config;
use crate::gguf::Gguf;
use crate::layers::Loader;
use crate::state::{Layout, State};
use crate::tokenizer::Tokenizer;

/// How a model is to be run.
#[derive(Debug, Clone)]
pub struct ModelOptions {
    /// How keys and values are kept. F16 takes half the memory; F32 is for comparison with a reference.
    pub kv_type: KvType,
    /// What computes.
    pub kernels: Arc<Kernels>,
}

/// An open model. The weights stay in the mapped file; two processes share its pages.
pub struct Model {
    file: Gguf,
    config: Config,
    stack: Stack,
    tokenizer: Tokenizer,
    chat_template: Option<ChatTemplate>,
    layout: Arc<Layout>,
    kernels: Arc<Kernels>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("file", &self.file)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Maps the file and checks everything a forward pass relies on: architecture, tensors, shapes, vocabulary.
    ///
    /// # Errors
    /// An [`LmError`] that names the file and what is wrong with it.
    pub fn open(path: &Path, options: &ModelOptions) -> Result<Self, LmError> {
        Self::from_file(Gguf::open(path)?, options)
    }

    /// The same for a file already read.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_file(file: Gguf, options: &ModelOptions) -> Result<Self, LmError> {
        let config = Config::read(&file)?;
        let stack = Stack::load(&Loader::new(&file), &config)?;
        let tokenizer = text::tokenizer(file.metadata())?;
        if tokenizer.n_vocab() != config.n_vocab {
            return Err(LmError::Inconsistent {
                path: file.path().to_owned(),
                what: format!(
                    "the vocabulary has {} tokens and `token_embd.weight` {} rows: they do not belong together",
                    tokenizer.n_vocab(),
                    config.n_vocab
                ),
            });
        }
        let chat_template = text::chat_template(file.metadata(), &tokenizer)?;
        let layout = Arc::new(Layout::new(&config, options.kv_type));
        Ok(Self {
            file,
            config,
            stack,
            tokenizer,
            chat_template,
            layout,
            kernels: Arc::clone(&options.kernels),
        })
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The file, for its metadata.
    pub fn file(&self) -> &Gguf {
        &self.file
    }

    /// Text to tokens and back.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// How the model wants conversations written; `None` for a file without a template whose vocabulary has no ChatML.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.chat_template.as_ref()
    }

    /// Where a state keeps what.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// What computes.
    pub fn kernels(&self) -> &Arc<Kernels> {
        &self.kernels
    }

    /// The state before the first token. Takes memory as it grows.
    pub fn new_state(&self) -> State {
        State::new(Arc::clone(&self.layout))
    }
}

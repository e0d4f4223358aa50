//! The one error type of this crate.

use std::path::PathBuf;

/// What can go wrong with a model file or a forward pass. Every message names the file and says what is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LmError {
    /// The file could not be opened or mapped.
    #[error("cannot open the model {path}: {source}", path = path.display())]
    Open {
        /// The model file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a well-formed GGUF file: truncated, corrupted or foreign.
    #[error("{path} is not a usable GGUF file: {what}", path = path.display())]
    Malformed {
        /// The model file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A metadata key that the model needs is absent.
    #[error("{path} lacks the metadata key `{key}`", path = path.display())]
    MissingKey {
        /// The model file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A metadata key has another type than its name asks for.
    #[error("{path}: metadata key `{key}` is of type {found}, expected {expected}", path = path.display())]
    KeyType {
        /// The model file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The type in the file.
        found: &'static str,
        /// The type that is needed.
        expected: &'static str,
    },
    /// A tensor that the architecture needs is absent.
    #[error("{path} lacks the tensor `{tensor}`", path = path.display())]
    MissingTensor {
        /// The model file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor has another shape than the metadata asks for.
    #[error("{path}: tensor `{tensor}` has shape {found:?}, expected {expected:?}", path = path.display())]
    TensorShape {
        /// The model file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Dimensions in the file, fastest first.
        found: Vec<usize>,
        /// Dimensions that are needed, fastest first.
        expected: Vec<usize>,
    },
    /// A tensor has a type that docent does not compute with.
    #[error("{path}: tensor `{tensor}` has type {found}, which docent does not support; use a file quantised as Q4_K_M, Q6_K, Q8_0, Q4_0 or F16", path = path.display())]
    TensorType {
        /// The model file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type's name.
        found: String,
    },
    /// The file asks for something that docent does not implement.
    #[error("{path}: {what}", path = path.display())]
    Unsupported {
        /// The model file.
        path: PathBuf,
        /// What is not supported, by name.
        what: String,
    },
    /// A metadata value, or two of them together, make no sense.
    #[error("{path}: {what}", path = path.display())]
    Inconsistent {
        /// The model file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The tokenizer's metadata cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Tokenizer {
        /// The model file.
        path: PathBuf,
        /// What is wrong.
        source: crate::tokenizer::TokenizerError,
    },
    /// The chat template in the metadata is not usable.
    #[error("{path}: {source}", path = path.display())]
    ChatTemplate {
        /// The model file.
        path: PathBuf,
        /// What is wrong.
        source: crate::chat::TemplateError,
    },
    /// A token id beyond the vocabulary.
    #[error("token {token} is outside the model's vocabulary of {n_vocab}")]
    Token {
        /// The id.
        token: u32,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// More tokens than the model's context holds.
    #[error("{n_tokens} tokens exceed the model's context of {context_length}; give it less to read")]
    ContextFull {
        /// Tokens that the state would hold.
        n_tokens: usize,
        /// Tokens the model was made for.
        context_length: usize,
    },
    /// A state or block that does not fit what is asked of it.
    #[error("model state: {0}")]
    State(String),
    /// The caller broke off.
    #[error("cancelled")]
    Cancelled,
}

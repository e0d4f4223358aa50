//! The one error type of this crate.

use docent_lm::LmError;

/// What can go wrong while generating.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// The model could not be opened or run.
    #[error(transparent)]
    Model(#[from] LmError),
    /// The kernels could not be set up.
    #[error("cannot set up the computation: {0}")]
    Kernels(#[from] docent_kernels::KernelError),
    /// There is nothing to go on from.
    #[error("the prompt is empty; give at least one token")]
    EmptyPrompt,
    /// No room for an answer behind the prompt.
    #[error(
        "the prompt has {n_prompt} tokens and the model's context is {context_length}; give it less to read"
    )]
    PromptTooLong {
        /// Tokens in the prompt.
        n_prompt: usize,
        /// Tokens the model takes.
        context_length: usize,
    },
    /// The forward pass gave no usable logits.
    #[error(
        "the model gives no usable logits after {n_tokens} tokens: the file is damaged or its weights are not a model's"
    )]
    NoLogits {
        /// Tokens before them.
        n_tokens: usize,
    },
    /// A JSON schema that answers cannot be held to.
    #[error("the JSON schema cannot be used: {0}")]
    Schema(String),
    /// A likelihood needs a token and one before it.
    #[error("a likelihood needs at least two tokens, {0} were given")]
    TooFewTokens(usize),
}

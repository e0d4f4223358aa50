//! A sequence of tokens and the model's state after it.
//!
//! [`Session::sync`] brings the state to a prompt with as little work as possible:
//!
//! ```text
//! held     [a b c d e f]
//! prompt   [a b c x y]          common: 3
//!           └cut┘ └prefill┘     cut the state to 3 tokens, run 2
//! ```
//! The last token of a prompt is always run, since its logits are wanted. A state that was kept elsewhere (a prefix store)
//! comes in through [`Session::with_state`]; generation does not care where it came from.

use std::ops::ControlFlow;

use docent_lm::{LmError, Logits, Model, State};

use crate::InferError;

/// The state of a conversation. Cheap to clone: full blocks of keys and values are shared.
#[derive(Debug, Clone)]
pub struct Session {
    state: State,
    tokens: Vec<u32>,
}

/// How a session got to a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Synced {
    /// Logits after the prompt's last token (n_vocab).
    pub logits: Vec<f32>,
    /// Tokens whose state was there already.
    pub n_cached: usize,
}

impl Session {
    /// A session before the first token.
    pub fn new(model: &Model) -> Self {
        Session { state: model.new_state(), tokens: Vec::new() }
    }

    /// A session that goes on from `state`, the model's state after `tokens`.
    ///
    /// # Errors
    /// [`LmError::State`] where the state holds another number of tokens.
    pub fn with_state(state: State, tokens: Vec<u32>) -> Result<Self, InferError> {
        if state.n_tokens() != tokens.len() {
            return Err(LmError::State(format!(
                "a state of {} tokens was given with {} tokens",
                state.n_tokens(),
                tokens.len()
            ))
            .into());
        }
        Ok(Session { state, tokens })
    }

    /// The tokens that the state has seen.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The model's state after [`tokens`](Self::tokens).
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Brings the state to `prompt`, keeping the longest common beginning. `on_progress(n_done, n_total)` tells how many of the tokens
    /// that have to be run are done; when it breaks off, the session holds what was done so far.
    ///
    /// # Errors
    /// [`InferError::EmptyPrompt`]; [`LmError::Cancelled`] where `on_progress` broke off; what [`Model::forward`] says.
    pub fn sync(
        &mut self,
        model: &Model,
        prompt: &[u32],
        on_progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Synced, InferError> {
        let last = prompt.len().checked_sub(1).ok_or(InferError::EmptyPrompt)?;
        let n_cached = common_len(&self.tokens, &prompt[..last]);
        if n_cached < self.tokens.len() {
            model.cut(&mut self.state, n_cached, &self.tokens[..n_cached])?;
            self.tokens.truncate(n_cached);
        }
        let rest = &prompt[n_cached..];
        let result = model.forward_with(&mut self.state, rest, Logits::Last, &mut |progress| {
            on_progress(progress.n_done, progress.n_total)
        });
        // Also when broken off, or refused: the tokens are those that the state holds.
        self.tokens.extend_from_slice(&rest[..self.state.n_tokens() - n_cached]);
        let logits = result?;
        let _ = on_progress(rest.len(), rest.len());
        Ok(Synced { logits, n_cached })
    }

    /// Runs one more token and gives the logits after it (n_vocab).
    ///
    /// # Errors
    /// What [`Model::forward`] says.
    pub fn push(&mut self, model: &Model, token: u32) -> Result<Vec<f32>, InferError> {
        let logits = model.forward(&mut self.state, &[token], Logits::Last)?;
        self.tokens.push(token);
        Ok(logits)
    }
}

fn common_len(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

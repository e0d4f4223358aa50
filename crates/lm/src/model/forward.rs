//! The forward pass.
//!
//! ```text
//! for each slice of 512 tokens:
//!   h = embedding[tokens]                       (n, n_embd)
//!   for each layer: h += mixer(norm(h)); h += feed_forward(norm(h))
//!   logits = W_out norm(h)                      only of the rows that are asked for
//! ```
//! The bits of a row do not depend on the cut: prefilling 8 tokens at once gives what 5 and then 3 give.

use std::ops::ControlFlow;

use docent_kernels::Buffer;

use super::Model;
use crate::LmError;
use crate::layers::{Pass, Scratch};
use crate::state::{Extension, State};

/// Tokens that go through the layers together. Large enough to share each unpacked tile of weights among many tokens
/// (64 for each expert of LFM2.5-8B-A1B), small enough that activations stay at some 60 MB.
pub const SLICE: usize = 512;

/// Which positions' logits to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logits {
    /// None: the tokens only extend the state.
    None,
    /// Those of the last token, (1, n_vocab).
    Last,
    /// Those of every token, (n, n_vocab).
    All,
}

/// How far a forward pass is. Reported before every layer of every slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Tokens done; those of the slice under way count by the layers they are through.
    pub n_done: usize,
    /// Tokens asked for.
    pub n_total: usize,
}

impl Model {
    /// Extends `state` by `tokens` and gives the logits that were asked for: none, (1, n_vocab) or (n, n_vocab).
    ///
    /// # Errors
    /// [`LmError::Token`] for a token beyond the vocabulary, [`LmError::ContextFull`] where the context would not hold
    /// them, [`LmError::State`] for another model's state. The state is then as it was.
    pub fn forward(&self, state: &mut State, tokens: &[u32], want: Logits) -> Result<Vec<f32>, LmError> {
        self.forward_with(state, tokens, want, &mut |_| ControlFlow::Continue(()))
    }

    /// The same, telling `on_progress` how far it is before every layer. When that breaks off, the state holds the
    /// tokens of the slices done so far.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`LmError::Cancelled`] where `on_progress` broke off.
    pub fn forward_with(
        &self,
        state: &mut State,
        tokens: &[u32],
        want: Logits,
        on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, LmError> {
        self.check(state, tokens)?;
        let _timed = self.kernels.profile_pass(tokens.len());
        let mut scratch = Scratch::default();
        let mut logits = Vec::new();
        let n_total = tokens.len();
        let mut n_before = 0;
        for slice in tokens.chunks(SLICE) {
            let mut on_layer = |layer_idx: usize| {
                let n_done = n_before + slice.len() * layer_idx / self.stack.layers.len();
                on_progress(Progress { n_done, n_total })
            };
            let extension = Extension::extend(state, slice.len());
            let h =
                self.run_layers(extension, slice, &mut scratch, &mut on_layer).ok_or(LmError::Cancelled)?;
            n_before += slice.len();
            let wanted = match want {
                Logits::None => &[],
                Logits::Last if n_before < n_total => &[],
                Logits::Last => &h[h.len() - self.config.n_embd..],
                Logits::All => &h[..],
            };
            if !wanted.is_empty() {
                self.stack.output.forward(&self.kernels, self.file.file(), &mut scratch, wanted, &mut logits);
            }
            scratch.give(h);
        }
        Ok(logits)
    }

    /// Cuts `state` to its first `n_tokens`, anywhere. `tokens` are all tokens of the state up to there, or at least the
    /// last [`Layout::replay_len`](crate::Layout::replay_len) of them: inside a block those are computed again, against
    /// the keys and values that are there, which gives exactly the convolution state that was there.
    ///
    /// # Errors
    /// [`LmError::State`] where the state holds fewer tokens or too few `tokens` are given, [`LmError::Token`] for one
    /// beyond the vocabulary.
    pub fn cut(&self, state: &mut State, n_tokens: usize, tokens: &[u32]) -> Result<(), LmError> {
        if state.truncate(n_tokens).is_ok() {
            return Ok(());
        }
        if n_tokens > state.n_tokens() {
            return Err(LmError::State(format!("cannot cut {} tokens to {n_tokens}", state.n_tokens())));
        }
        // From the start of the sequence zeros are the true state, so that fewer tokens are enough there.
        let n_replay = self.layout.replay_len().min(n_tokens);
        if tokens.len() < n_replay || tokens.len() > n_tokens {
            return Err(LmError::State(format!(
                "to cut at {n_tokens} tokens the last {n_replay} of them are needed, {} were given",
                tokens.len()
            )));
        }
        let tokens = &tokens[tokens.len() - n_replay..];
        self.check_tokens(tokens)?;
        let _timed = self.kernels.profile_pass(tokens.len());
        let extension = Extension::replay(state, n_tokens, n_replay);
        let mut scratch = Scratch::default();
        // Only a break from the callback ends a pass early.
        let _ = self.run_layers(extension, tokens, &mut scratch, &mut |_| ControlFlow::Continue(()));
        Ok(())
    }

    /// Runs `tokens` through all layers and commits them to the state. Gives the residual stream (n, n_embd), or
    /// nothing where `on_layer` broke off.
    fn run_layers(
        &self,
        state: Extension<'_>,
        tokens: &[u32],
        scratch: &mut Scratch,
        on_layer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Option<Buffer> {
        let (kernels, file) = (&*self.kernels, self.file.file());
        let mut h = scratch.take(tokens.len() * self.config.n_embd); // (n, n_embd)
        self.stack.embedding.forward(kernels, file, tokens, &mut h);
        let mut pass = Pass { kernels, file, state, n: tokens.len(), scratch };
        for (layer_idx, layer) in self.stack.layers.iter().enumerate() {
            if on_layer(layer_idx).is_break() {
                return None;
            }
            layer.forward(&mut pass, &mut h);
        }
        pass.state.commit();
        Some(h)
    }

    fn check(&self, state: &State, tokens: &[u32]) -> Result<(), LmError> {
        if state.layout() != &self.layout {
            return Err(LmError::State("the state belongs to another model or KV type".to_owned()));
        }
        let n_tokens = state.n_tokens() + tokens.len();
        if n_tokens > self.config.context_length {
            return Err(LmError::ContextFull { n_tokens, context_length: self.config.context_length });
        }
        self.check_tokens(tokens)
    }

    fn check_tokens(&self, tokens: &[u32]) -> Result<(), LmError> {
        match tokens.iter().find(|&&token| token as usize >= self.config.n_vocab) {
            Some(&token) => Err(LmError::Token { token, n_vocab: self.config.n_vocab }),
            None => Ok(()),
        }
    }
}

//! A sequence of tokens and the model's state after it.
//!
//! [`Session::sync`] brings the state to a prompt with as little work as possible:
//!
//! ```text
//! held     [a b c d e f]                 what this session has
//! kept     [a b c x y z]                 what the store has
//! prompt   [a b c x y | q]               the longer beginning wins: 5
//!           └─restore─┘ └prefill┘        and its last token is always run, since its logits are wanted
//! ```
//! Of what is computed, the blocks that may be kept go to the store: as they fill, or when the caller says so.

use std::ops::ControlFlow;
use std::time::Instant;

use docent_lm::{LmError, Logits, Model, SLICE, State};
use docent_prefix::NewBlock;

use crate::InferError;
use crate::prefixes::Prefixes;
use crate::prompt::Prompt;

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
    /// Tokens whose keys and values were there already.
    pub n_cached: usize,
    /// Those of them that were computed again for their convolution state.
    pub n_replayed: usize,
    /// Tokens prefilled.
    pub n_prefilled: usize,
    /// Seconds it took to find and restore what was there.
    pub restore_s: f64,
    /// Seconds of the prefill.
    pub prefill_s: f64,
}

/// What happens on the way to a prompt.
#[derive(Debug)]
pub enum SyncEvent {
    /// What is there was found; the rest is computed next.
    Found {
        /// Tokens whose state is there.
        n_cached: usize,
        /// Seconds that the others will take, if enough is known to say.
        estimate_s: Option<f64>,
    },
    /// So many of the tokens that had to be computed are.
    Prefill {
        /// Tokens computed.
        n_done: usize,
        /// Tokens to compute.
        n_total: usize,
    },
    /// A block that may be kept was computed.
    Filled(NewBlock),
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

    /// Brings the state to `prompt`, keeping the longest beginning that the session has. `on_progress(n_done, n_total)` tells how
    /// many of the tokens that have to be run are done; when it breaks off, the session holds what was done so far.
    ///
    /// # Errors
    /// [`InferError::EmptyPrompt`]; [`LmError::Cancelled`] where `on_progress` broke off; what [`Model::forward`] says.
    pub fn sync(
        &mut self,
        model: &Model,
        prompt: &[u32],
        on_progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Synced, InferError> {
        self.sync_kept(model, &Prompt::passing(prompt), None, &mut |event| match event {
            SyncEvent::Prefill { n_done, n_total } => on_progress(n_done, n_total),
            _ => ControlFlow::Continue(()),
        })
    }

    /// The same, where the longest beginning may also come from `prefixes`, and what may be kept is handed out for it. A break in
    /// answer to an event stops at the next layer.
    ///
    /// # Errors
    /// As [`sync`](Self::sync). What goes wrong in the store is a miss, never an error.
    pub fn sync_kept(
        &mut self,
        model: &Model,
        prompt: &Prompt<'_>,
        prefixes: Option<&Prefixes>,
        on_event: &mut dyn FnMut(SyncEvent) -> ControlFlow<()>,
    ) -> Result<Synced, InferError> {
        let started = Instant::now();
        let tokens = prompt.tokens;
        let last = tokens.len().checked_sub(1).ok_or(InferError::EmptyPrompt)?;
        let n_replayed = self.restore(model, &tokens[..last], prefixes)?;
        let n_cached = self.tokens.len();
        let restore_s = started.elapsed().as_secs_f64();

        let n_total = tokens.len() - n_cached;
        let estimate_s = prefixes.and_then(|prefixes| prefixes.estimate(n_cached, n_total));
        let mut flow = on_event(SyncEvent::Found { n_cached, estimate_s });
        let mut recorder = prefixes.filter(|_| prompt.n_kept > 0).map(|prefixes| prefixes.recorder(prompt));
        if let Some(recorder) = &mut recorder {
            // What the session held may never have been kept.
            recorder.take(&self.state, 0.0, &mut |block| {
                flow = and_then(flow, on_event(SyncEvent::Filled(block)))
            });
        }
        let started = Instant::now();
        let mut logits = Vec::new();
        while self.tokens.len() < tokens.len() {
            if flow.is_break() {
                return Err(LmError::Cancelled.into());
            }
            let at = self.tokens.len();
            // On the fixed grid of slices, so that a block is handed out when it is full.
            let grid_end = if recorder.is_some() { (at / SLICE + 1) * SLICE } else { tokens.len() };
            let stop = recorder.as_ref().map_or(tokens.len(), |recorder| recorder.next_stop(at));
            let end = grid_end.min(stop).min(tokens.len());
            let piece_started = Instant::now();
            logits = self.extend(model, &tokens[at..end], end == tokens.len(), &mut |n_done| {
                on_event(SyncEvent::Prefill { n_done: at - n_cached + n_done, n_total })
            })?;
            let rate = piece_started.elapsed().as_secs_f64() / (end - at) as f64;
            if let Some(recorder) = &mut recorder {
                recorder.take(&self.state, rate, &mut |block| {
                    flow = and_then(flow, on_event(SyncEvent::Filled(block)))
                });
            }
        }
        let _ = on_event(SyncEvent::Prefill { n_done: n_total, n_total });
        let prefill_s = started.elapsed().as_secs_f64();
        Ok(Synced { logits, n_cached, n_replayed, n_prefilled: n_total, restore_s, prefill_s })
    }

    /// Cuts the session to the longest beginning of `tokens` that it has or that is kept, and gives the number of tokens replayed.
    fn restore(
        &mut self,
        model: &Model,
        tokens: &[u32],
        prefixes: Option<&Prefixes>,
    ) -> Result<usize, InferError> {
        let n_held = common_len(&self.tokens, tokens);
        let found = prefixes.map(|prefixes| (prefixes, prefixes.find(model, tokens)));
        if let Some((prefixes, found)) = found.filter(|(_, found)| found.n_tokens > n_held) {
            let restored = prefixes.restore(model, &found, tokens);
            if restored.state.n_tokens() > n_held {
                self.tokens = tokens[..restored.state.n_tokens()].to_vec();
                self.state = restored.state;
                return Ok(restored.n_replayed);
            }
        }
        if n_held < self.tokens.len() {
            model.cut(&mut self.state, n_held, &self.tokens[..n_held])?;
            self.tokens.truncate(n_held);
        }
        Ok(0)
    }

    /// Runs `tokens`; gives the logits of the last one where they are wanted.
    fn extend(
        &mut self,
        model: &Model,
        tokens: &[u32],
        wants_logits: bool,
        on_progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, InferError> {
        let n_before = self.state.n_tokens();
        let want = if wants_logits { Logits::Last } else { Logits::None };
        let result =
            model.forward_with(&mut self.state, tokens, want, &mut |progress| on_progress(progress.n_done));
        // Also when broken off, or refused: the tokens are those that the state holds.
        self.tokens.extend_from_slice(&tokens[..self.state.n_tokens() - n_before]);
        Ok(result?)
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

fn and_then(a: ControlFlow<()>, b: ControlFlow<()>) -> ControlFlow<()> {
    if a.is_break() { a } else { b }
}

fn common_len(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

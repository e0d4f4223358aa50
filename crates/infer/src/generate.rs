//! The generation loop: sync the session to the prompt, then token by token until something ends it.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Instant;

use docent_lm::tokenizer::{DecodeStream, TokenKind, Tokenizer};
use docent_lm::{LmError, Model};
use docent_prefix::NewBlock;

use crate::constraint::Constraint;
use crate::prefixes::Prefixes;
use crate::prompt::Prompt;
use crate::sampling::{Sampler, Sampling};
use crate::session::{Session, SyncEvent, Synced};
use crate::thinking::{Part, Splitter};
use crate::{Cancel, InferError};

/// What to generate and when to stop.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// At most so many tokens, thinking included.
    pub max_tokens: usize,
    /// After so many tokens of thinking `</think>` is written for the model; `None` lets it think on.
    pub max_thinking: Option<usize>,
    /// Tokens that end the answer besides those that the tokenizer knows ([`Tokenizer::stop_ids`]).
    pub stop_tokens: Vec<u32>,
    /// The answer (not the thinking) is JSON of this schema; `max_tokens` may still break it off.
    pub json_schema: Option<serde_json::Value>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions {
            sampling: Sampling::default(),
            max_tokens: 1024,
            max_thinking: None,
            stop_tokens: Vec::new(),
            json_schema: None,
        }
    }
}

/// How far the reading of a prompt is, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// The model's file is read to know it by its content: once for each file.
    Hashed {
        /// Bytes read.
        done: u64,
        /// Bytes of the file.
        total: u64,
    },
    /// What of the prompt was computed before was found; the rest is read next.
    Found {
        /// Tokens whose state was there.
        cached: usize,
        /// Tokens of the prompt.
        total: usize,
        /// Seconds that reading the others will take, if enough is known to say.
        estimate_s: Option<f64>,
    },
    /// Part of the rest was read.
    Prefill {
        /// Tokens read.
        done: usize,
        /// Tokens to read: those that were not cached.
        total: usize,
    },
}

/// What happens while generating, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The prompt is being read.
    Reading(Reading),
    /// Text between `<think>` and `</think>`.
    Thinking(String),
    /// Text of the answer.
    Answer(String),
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its turn.
    Stop,
    /// `max_tokens`, or the context is full.
    Length,
    /// Somebody raised the [`Cancel`].
    Cancelled,
}

/// Tokens in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them whose state was there already.
    pub cached_tokens: usize,
    /// Tokens generated, thinking included, the one that ended the turn not.
    pub completion_tokens: usize,
    /// Those of them that were thinking, tags included.
    pub thinking_tokens: usize,
}

/// Seconds of wall time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// Reading the prompt, restoring what was there included.
    pub prefill_s: f64,
    /// Restoring what was there.
    pub restore_s: f64,
    /// Writing the answer.
    pub decode_s: f64,
    /// From the start until the first token was chosen; 0 if none was.
    pub time_to_first_token_s: f64,
}

/// A finished generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The tokens, thinking and tags included, the one that ended the turn not.
    pub tokens: Vec<u32>,
    /// The answer.
    pub text: String,
    /// What came between `<think>` and `</think>`.
    pub thinking: String,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens in and out.
    pub usage: Usage,
    /// Seconds it took.
    pub timing: Timing,
}

/// A generation's surroundings.
pub(crate) struct Generation<'a> {
    pub(crate) model: &'a Model,
    /// Where beginnings of prompts are kept.
    pub(crate) prefixes: Option<&'a Prefixes>,
    pub(crate) options: &'a GenerateOptions,
    pub(crate) cancel: &'a Cancel,
}

impl Generation<'_> {
    /// Generates behind `prompt` in `session`, which afterwards holds the prompt and what was generated. See
    /// [`Engine::generate`](crate::Engine::generate).
    ///
    /// # Errors
    /// [`InferError`]: the prompt is empty or too long, or the model fails. A cancelled generation is not an error.
    pub(crate) fn run(
        &self,
        session: &mut Session,
        prompt: &Prompt<'_>,
        constraint: Option<Constraint>,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Generated, InferError> {
        let (n_prompt, context_length) = (prompt.tokens.len(), self.model.config().context_length);
        if n_prompt >= context_length {
            return Err(InferError::PromptTooLong { n_prompt, context_length });
        }
        let started = Instant::now();
        let mut writer = Writer::new(self.model.tokenizer(), prompt.tokens, on_event);
        writer.usage.prompt_tokens = n_prompt;
        let mut timing = Timing::default();
        let mut filled = Vec::new();
        let synced = self.sync(session, prompt, &mut writer, &mut filled);
        timing.prefill_s = started.elapsed().as_secs_f64();
        let finish = match synced {
            Err(InferError::Model(LmError::Cancelled)) => {
                self.keep(&mut filled);
                Finish::Cancelled
            }
            Err(error) => return Err(error),
            Ok(synced) => {
                timing.restore_s = synced.restore_s;
                let mut decode = Decode {
                    sampler: Sampler::new(self.options.sampling.clone()),
                    constraint,
                    forced: VecDeque::new(),
                    closed: false,
                };
                let mut on_first = || {
                    timing.time_to_first_token_s = started.elapsed().as_secs_f64();
                    self.keep(&mut filled);
                };
                let finish = self.decode(session, synced.logits, &mut decode, &mut writer, &mut on_first)?;
                timing.decode_s = started.elapsed().as_secs_f64() - timing.prefill_s;
                finish
            }
        };
        Ok(writer.finish(finish, timing))
    }

    /// Brings the session to the prompt. The blocks that may be kept are collected: writing them now would take the disk and a core
    /// from whoever waits for the first token.
    fn sync(
        &self,
        session: &mut Session,
        prompt: &Prompt<'_>,
        writer: &mut Writer<'_>,
        filled: &mut Vec<NewBlock>,
    ) -> Result<Synced, InferError> {
        session.sync_kept(self.model, prompt, self.prefixes, &mut |event| {
            match event {
                SyncEvent::Found { n_cached, estimate_s } => {
                    writer.usage.cached_tokens = n_cached;
                    let total = prompt.tokens.len();
                    let found = Reading::Found { cached: n_cached, total, estimate_s };
                    (writer.on_event)(Event::Reading(found));
                }
                SyncEvent::Prefill { n_done, n_total } => {
                    (writer.on_event)(Event::Reading(Reading::Prefill { done: n_done, total: n_total }));
                }
                SyncEvent::Filled(block) => filled.push(block),
            }
            if self.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    fn keep(&self, filled: &mut Vec<NewBlock>) {
        if let Some(prefixes) = self.prefixes {
            filled.drain(..).for_each(|block| prefixes.store().keep(block));
        }
    }

    /// Token by token until something ends it. `on_first` is called once, when the first token was chosen.
    fn decode(
        &self,
        session: &mut Session,
        mut logits: Vec<f32>,
        decode: &mut Decode,
        writer: &mut Writer<'_>,
        on_first: &mut dyn FnMut(),
    ) -> Result<Finish, InferError> {
        let (model, options) = (self.model, self.options);
        let mut is_first = true;
        loop {
            if self.cancel.is_cancelled() {
                return Ok(Finish::Cancelled);
            }
            if writer.tokens.len() >= options.max_tokens {
                return Ok(Finish::Length);
            }
            if decode.constraint.as_ref().is_some_and(Constraint::is_complete) {
                return Ok(Finish::Stop);
            }
            let n_tokens = session.tokens().len();
            let next = decode.next(&mut logits, writer, options)?.ok_or(InferError::NoLogits { n_tokens })?;
            let token = next.token;
            let is_stop =
                model.tokenizer().stop_ids().contains(&token) || options.stop_tokens.contains(&token);
            let was_thinking = writer.splitter.is_thinking();
            if !is_stop {
                writer.push(token);
            }
            if std::mem::take(&mut is_first) {
                on_first();
            }
            if is_stop {
                return Ok(Finish::Stop);
            }
            if !(was_thinking || writer.splitter.is_thinking() || next.is_forced)
                && let Some(constraint) = &mut decode.constraint
            {
                constraint.accept(token)?;
            }
            // The last token's logits are not needed, but its place in the state is: the session holds what was said.
            if n_tokens >= model.config().context_length {
                return Ok(Finish::Length);
            }
            logits = session.push(model, token)?;
        }
    }
}

/// Chooses tokens: the sampler's, or those that end a thinking that went on too long.
struct Decode {
    sampler: Sampler,
    constraint: Option<Constraint>,
    forced: VecDeque<u32>,
    /// Whether `</think>` was forced already.
    closed: bool,
}

struct Next {
    token: u32,
    is_forced: bool,
}

impl Decode {
    /// The next token, or `None` if no logit is usable.
    fn next(
        &mut self,
        logits: &mut [f32],
        writer: &Writer,
        options: &GenerateOptions,
    ) -> Result<Option<Next>, InferError> {
        let is_over = options.max_thinking.is_some_and(|max| writer.usage.thinking_tokens >= max);
        if is_over && writer.splitter.is_thinking() && !self.closed {
            self.forced.extend(writer.tokenizer.encode_template("\n</think>\n\n"));
            self.closed = true;
        }
        if let Some(token) = self.forced.pop_front() {
            self.sampler.accept(token);
            return Ok(Some(Next { token, is_forced: true }));
        }
        if let Some(constraint) = self.constraint.as_mut().filter(|_| !writer.splitter.is_thinking()) {
            constraint.mask(logits, writer.tokens.is_empty())?;
        }
        Ok(self.sampler.next(logits).map(|token| Next { token, is_forced: false }))
    }
}

/// Collects tokens as text, thinking and answer, and tells of it.
struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    on_event: &'a mut dyn FnMut(Event),
    stream: DecodeStream<'a>,
    splitter: Splitter,
    tokens: Vec<u32>,
    text: String,
    thinking: String,
    usage: Usage,
}

impl<'a> Writer<'a> {
    fn new(tokenizer: &'a Tokenizer, prompt: &[u32], on_event: &'a mut dyn FnMut(Event)) -> Self {
        // Some templates open the thinking themselves.
        let tail = tokenizer.decode(&prompt[prompt.len().saturating_sub(8)..]);
        let splitter = Splitter::new(tail.trim_end().ends_with("<think>"));
        Writer {
            tokenizer,
            on_event,
            stream: tokenizer.decode_stream(),
            splitter,
            tokens: Vec::new(),
            text: String::new(),
            thinking: String::new(),
            usage: Usage::default(),
        }
    }

    fn push(&mut self, token: u32) {
        let was_thinking = self.splitter.is_thinking();
        let was_undecided = self.splitter.is_undecided();
        self.tokens.push(token);
        if !self.is_hidden(token) {
            let text = self.stream.push(token);
            self.write(&text);
        }
        if was_thinking {
            self.usage.thinking_tokens += 1;
        } else if was_undecided && self.splitter.is_thinking() {
            self.usage.thinking_tokens = self.tokens.len(); // all of them were the tag
        }
    }

    /// Control tokens are not text, but for those around a tool call, which whoever parses it needs.
    fn is_hidden(&self, token: u32) -> bool {
        if self.tokenizer.kind(token) != Some(TokenKind::Control) {
            return false;
        }
        let spelled = String::from_utf8_lossy(self.tokenizer.token_bytes(token));
        !(spelled.contains("tool_call") || spelled.contains("think"))
    }

    fn write(&mut self, text: &str) {
        let (answer, thinking, on_event) = (&mut self.text, &mut self.thinking, &mut *self.on_event);
        self.splitter.push(text, &mut |part| tell(part, answer, thinking, on_event));
    }

    fn finish(mut self, finish: Finish, timing: Timing) -> Generated {
        let rest = self.stream.finish();
        self.write(&rest);
        let (answer, thinking, on_event) = (&mut self.text, &mut self.thinking, &mut *self.on_event);
        self.splitter.finish(&mut |part| tell(part, answer, thinking, on_event));
        self.usage.completion_tokens = self.tokens.len();
        Generated {
            tokens: self.tokens,
            text: self.text,
            thinking: self.thinking,
            finish,
            usage: self.usage,
            timing,
        }
    }
}

fn tell(part: Part, answer: &mut String, thinking: &mut String, on_event: &mut dyn FnMut(Event)) {
    match part {
        Part::Thinking(text) => {
            thinking.push_str(&text);
            on_event(Event::Thinking(text));
        }
        Part::Answer(text) => {
            answer.push_str(&text);
            on_event(Event::Answer(text));
        }
    }
}

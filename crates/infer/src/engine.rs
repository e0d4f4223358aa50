//! A model ready to generate.

use std::path::Path;
use std::sync::Arc;

use docent_kernels::{Kernels, KvType, Settings};
use docent_lm::{Model, ModelOptions};

use crate::constraint::Grammars;
use crate::generate::{Event, GenerateOptions, Generated, Generation};
use crate::likelihood::log_likelihood;
use crate::prefixes::Prefixes;
use crate::prompt::Prompt;
use crate::session::Session;
use crate::{Cancel, InferError};

/// How an engine computes.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How keys and values are kept: F16 takes half the memory of F32.
    pub kv_type: KvType,
    /// Threads, instruction set and numerics.
    pub kernels: Settings,
}

/// An open model. Shared between threads; one generation at a time computes, others wait.
#[derive(Debug, Clone)]
pub struct Engine {
    model: Arc<Model>,
    grammars: Grammars,
}

impl Engine {
    /// Opens the GGUF file at `path`.
    ///
    /// # Errors
    /// [`InferError`] names the file and what is wrong with it.
    pub fn open(path: &Path, options: &EngineOptions) -> Result<Self, InferError> {
        let kernels = Arc::new(Kernels::new(options.kernels.clone())?);
        let model = Model::open(path, &ModelOptions { kv_type: options.kv_type, kernels })?;
        Ok(Engine::new(Arc::new(model)))
    }

    /// An engine on a model that is open already.
    pub fn new(model: Arc<Model>) -> Self {
        Engine { model, grammars: Grammars::default() }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// A session before the first token, for a conversation of several turns.
    pub fn session(&self) -> Session {
        Session::new(&self.model)
    }

    /// Generates behind `prompt` from nothing. `on_event` is told of the progress through the prompt and of every piece of text;
    /// the text of all events, joined, is the result's.
    ///
    /// # Errors
    /// [`InferError`]: the prompt is empty or too long, or the model fails. A cancelled generation is not an error: what there is
    /// comes back with [`Finish::Cancelled`](crate::Finish::Cancelled).
    pub fn generate(
        &self,
        prompt: &[u32],
        options: &GenerateOptions,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Generated, InferError> {
        self.generate_in(&mut self.session(), prompt, options, cancel, on_event)
    }

    /// Log-likelihood, in nats, of the tokens of `continuation` behind those of `given`: the sum over them.
    ///
    /// # Errors
    /// [`InferError::TooFewTokens`] where `given` is empty; what the model says.
    pub fn log_likelihood(&self, given: &[u32], continuation: &[u32]) -> Result<f64, InferError> {
        log_likelihood(&self.model, given, continuation)
    }

    /// [`generate`](Self::generate) in a session: the beginning that `prompt` has in common with what the session holds is not computed again.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn generate_in(
        &self,
        session: &mut Session,
        prompt: &[u32],
        options: &GenerateOptions,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Generated, InferError> {
        self.generate_kept(session, &Prompt::passing(prompt), None, options, cancel, on_event)
    }

    /// [`generate_in`](Self::generate_in), where the beginning of the prompt may come from `prefixes`; what may be kept of it goes
    /// there once the first token is out.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn generate_kept(
        &self,
        session: &mut Session,
        prompt: &Prompt<'_>,
        prefixes: Option<&Prefixes>,
        options: &GenerateOptions,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Generated, InferError> {
        let constraint = match &options.json_schema {
            Some(schema) => Some(self.grammars.json(self.model.tokenizer(), schema)?),
            None => None,
        };
        let generation = Generation { model: &self.model, prefixes, options, cancel };
        generation.run(session, prompt, constraint, on_event)
    }
}

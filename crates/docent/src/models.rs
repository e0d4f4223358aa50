//! Which model answers, and what suits it.

use std::path::PathBuf;

use docent_infer::{GenerateOptions, Sampling};
use docent_models::{ModelEntry, ModelKind};

use crate::{Error, Library};

pub use docent_kernels::KvType;

/// The embedding model of every index.
pub const EMBEDDING_MODEL: &str = "all-minilm-l6-v2";
/// The generation model that is offered where none is: small enough to try docent with.
pub const STARTER_MODEL: &str = "smollm2-135m-instruct";
/// The model that docent is made for.
pub const BEST_MODEL: &str = "lfm2.5-8b-a1b";

/// Tokens of an answer from a model that does not reason first. Answers are a few sentences; a small model that goes on
/// for longer has lost the thread.
const ANSWER_TOKENS: usize = 256;
/// Tokens of an answer, and of the reasoning before it, for a model that reasons.
const REASONED_ANSWER_TOKENS: usize = 1_024;
const THINKING_TOKENS: usize = 4_096;
/// What a GGUF of the user's own gets, about which nothing is known.
const UNKNOWN_CONTEXT: usize = 8_192;
const UNKNOWN_EVIDENCE: usize = 3_000;

/// What the user says about the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModelChoice {
    /// The best one that is pulled.
    #[default]
    Best,
    /// A name in the catalogue, or the path of a GGUF file.
    Named(String),
}

/// A model that is here, with the budgets that suit it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenModel {
    /// Its name in the catalogue, or the file's name.
    pub name: String,
    /// The GGUF file.
    pub path: PathBuf,
    /// The most tokens of prompt and answer together.
    pub context_length: usize,
    /// The most tokens of evidence by default.
    pub evidence_budget: usize,
    /// The catalogue's entry, if it has one.
    pub entry: Option<&'static ModelEntry>,
}

impl ChosenModel {
    /// Sampling and lengths that suit the model.
    pub fn generation(&self) -> GenerateOptions {
        let reasons = self.name == BEST_MODEL;
        let sampling = self.entry.map_or_else(Sampling::default, |entry| Sampling {
            temperature: entry.sampling.temperature,
            top_k: entry.sampling.top_k,
            top_p: entry.sampling.top_p,
            repetition_penalty: entry.sampling.repetition_penalty,
            ..Sampling::default()
        });
        GenerateOptions {
            sampling,
            max_tokens: if reasons { REASONED_ANSWER_TOKENS + THINKING_TOKENS } else { ANSWER_TOKENS },
            max_thinking: reasons.then_some(THINKING_TOKENS),
            ..GenerateOptions::default()
        }
    }
}

impl Library {
    /// Finds the model that is meant among those that are here.
    ///
    /// # Errors
    /// [`Error::ModelMissing`] where it is known but not pulled, or none is; [`Error::Models`] for an unknown name.
    pub fn choose_model(&self, choice: &ModelChoice) -> Result<ChosenModel, Error> {
        match choice {
            ModelChoice::Best => {
                let best = self.models().best_installed(ModelKind::Generation);
                let best = best.ok_or_else(|| Error::ModelMissing { name: STARTER_MODEL.to_owned() })?;
                Ok(known(best.entry, best.weights().to_owned()))
            }
            ModelChoice::Named(name) => {
                let located = self.models().locate(name)?;
                match located.entry {
                    Some(entry) if entry.kind == ModelKind::Embedding => {
                        Err(Error::NotAGenerator { name: entry.name.to_owned() })
                    }
                    Some(entry) => Ok(known(entry, located.path)),
                    None => Ok(ChosenModel {
                        name: located.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                        path: located.path,
                        context_length: UNKNOWN_CONTEXT,
                        evidence_budget: UNKNOWN_EVIDENCE,
                        entry: None,
                    }),
                }
            }
        }
    }
}

fn known(entry: &'static ModelEntry, path: PathBuf) -> ChosenModel {
    ChosenModel {
        name: entry.name.to_owned(),
        path,
        context_length: entry.context_length,
        evidence_budget: entry.evidence_budget,
        entry: Some(entry),
    }
}

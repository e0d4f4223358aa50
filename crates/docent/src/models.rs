//! Which model answers, and what suits it.

use std::path::PathBuf;

use docent_infer::{GenerateOptions, InferError, Sampling};
use docent_lm::LmError;
use docent_lm::gguf::{Gguf, Metadata};
use docent_models::{ModelEntry, ModelKind, find};

use crate::{Error, Library};

pub use docent_kernels::KvType;

/// The embedding model of every index.
pub const EMBEDDING_MODEL: &str = "all-minilm-l6-v2";
/// The model that reads the best candidates of a search again, where one is asked for without a name.
pub const RERANKING_MODEL: &str = "ms-marco-minilm-l6-v2";
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
/// Tokens of evidence for a GGUF of the user's own, unless more are asked for: how well it reads long texts is not known.
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
    /// The sampling that its makers recommend.
    pub sampling: Sampling,
    /// Whether it thinks before it answers.
    pub reasons: bool,
}

impl ChosenModel {
    /// What to choose it by again: one of the catalogue is known by its name, wherever it lies; one of the user's by its path.
    pub(crate) fn to_choose(&self) -> String {
        if self.entry.is_some() { self.name.clone() } else { self.path.display().to_string() }
    }

    /// Sampling and lengths that suit the model.
    pub fn generation(&self) -> GenerateOptions {
        let max_tokens = if self.reasons { REASONED_ANSWER_TOKENS + THINKING_TOKENS } else { ANSWER_TOKENS };
        GenerateOptions {
            sampling: self.sampling.clone(),
            max_tokens: max_tokens.min(self.context_length / 2),
            max_thinking: self.reasons.then_some(THINKING_TOKENS),
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
                    Some(entry) if entry.kind != ModelKind::Generation => {
                        Err(Error::NotAGenerator { name: entry.name.to_owned() })
                    }
                    Some(entry) => Ok(known(entry, located.path)),
                    None => of_the_user(located.path),
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
        sampling: Sampling {
            temperature: entry.sampling.temperature,
            top_k: entry.sampling.top_k,
            top_p: entry.sampling.top_p,
            repetition_penalty: entry.sampling.repetition_penalty,
            ..Sampling::default()
        },
        reasons: entry.name == BEST_MODEL,
    }
}

/// A GGUF file that is not in the catalogue: what suits it is told by its metadata. One of the architecture that docent is
/// made for is treated as the catalogue's, another quantisation of it as a rule.
fn of_the_user(path: PathBuf) -> Result<ChosenModel, Error> {
    let file = Gguf::open(&path).map_err(InferError::from)?;
    let metadata = file.metadata();
    let read = || -> Result<_, LmError> {
        let architecture = metadata.require_string("general.architecture")?;
        let context_length = metadata.require_u32(&format!("{architecture}.context_length"))? as usize;
        let template = metadata.string("tokenizer.chat_template")?.unwrap_or_default();
        Ok((architecture == "lfm2moe", context_length, template.contains("</think>")))
    };
    let (is_lfm, context_length, reasons) = read().map_err(InferError::from)?;
    let best = find(BEST_MODEL).ok().filter(|_| is_lfm);
    let sampling = if is_lfm { Sampling::lfm2() } else { Sampling::default() };
    Ok(ChosenModel {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        path,
        context_length: best.map_or(context_length, |entry| context_length.min(entry.context_length)),
        evidence_budget: best.map_or(UNKNOWN_EVIDENCE, |entry| entry.evidence_budget),
        entry: None,
        sampling: recommended(metadata, sampling).map_err(InferError::from)?,
        reasons,
    })
}

/// The sampling that a file itself recommends (llama.cpp `gguf-py/gguf/constants.py`, `general.sampling.*`), over `otherwise`.
fn recommended(metadata: &Metadata, otherwise: Sampling) -> Result<Sampling, LmError> {
    let value = |key: &str| metadata.f32(&format!("general.sampling.{key}"));
    let top_k = metadata.u32("general.sampling.top_k")?.map(|top_k| top_k as usize);
    Ok(Sampling {
        temperature: value("temp")?.unwrap_or(otherwise.temperature),
        top_k: top_k.unwrap_or(otherwise.top_k),
        top_p: value("top_p")?.unwrap_or(otherwise.top_p),
        min_p: value("min_p")?.unwrap_or(otherwise.min_p),
        repetition_penalty: value("penalty_repeat")?.unwrap_or(otherwise.repetition_penalty),
        ..otherwise
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_test_data(name: &str) -> ChosenModel {
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/data");
        of_the_user(data.join(name)).unwrap()
    }

    #[test]
    fn a_file_of_the_architecture_docent_is_made_for_gets_its_recommended_sampling() {
        let options = of_test_data("nano-f32.gguf").generation();
        let sampling = &options.sampling;
        assert_eq!(
            (sampling.temperature, sampling.top_k, sampling.repetition_penalty),
            (0.2, 80, 1.05),
            "the values of the model card"
        );
        assert_eq!(options.max_thinking, None, "its template knows no thinking");
        assert_eq!(of_test_data("small-llama.gguf").generation().sampling, Sampling::default());
    }

    #[test]
    fn the_context_of_a_file_is_what_its_metadata_says() {
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/data/small-llama.gguf");
        let mut bytes = std::fs::read(data).unwrap();
        let key = b"llama.context_length";
        // Behind the key stand four bytes of its type and the number.
        let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4;
        bytes[at..at + 4].copy_from_slice(&40_960_u32.to_le_bytes());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.gguf");
        std::fs::write(&path, bytes).unwrap();
        let model = of_the_user(path).unwrap();
        assert_eq!((model.context_length, model.evidence_budget), (40_960, UNKNOWN_EVIDENCE));
    }

    #[test]
    fn an_answer_leaves_room_for_the_question_in_a_short_context() {
        for name in ["small-llama.gguf", "small-qwen3.gguf", "nano-f32.gguf"] {
            let model = of_test_data(name);
            assert!(model.generation().max_tokens <= model.context_length / 2, "{name}");
        }
    }
}

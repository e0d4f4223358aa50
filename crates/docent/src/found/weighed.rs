//! What the verdict on a question was taken from, for looking at it and for trying other signals.

use std::path::PathBuf;

use serde::Serialize;

use super::coverage::Wanted;
use super::{Held, N_WEIGHED, Signals, compared};
use crate::answer::Status;
use crate::{AskOptions, Error, Library};

/// What the search found for a question, and what that tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weighed {
    /// The question.
    pub question: String,
    /// The verdict of an answer that quotes.
    pub status: Status,
    /// How likely the documents hold the answer; none where nothing was found.
    pub held: Option<Held>,
    /// What the question is about.
    pub words: Vec<WeighedWord>,
    /// The passages that the words were looked for in, best first.
    pub passages: Vec<WeighedPassage>,
    /// The sentences of the best of them that were compared with the question.
    pub sentences: Vec<WeighedSentence>,
}

/// A word of a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeighedWord {
    /// As it is said.
    pub said: String,
    /// The rarer the weightier.
    pub weight: f32,
    /// Whether none of the passages has it in any form.
    pub is_absent: bool,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeighedPassage {
    /// Its file.
    pub path: PathBuf,
    /// The headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// Its text.
    pub text: String,
    /// How well the search thinks that it fits.
    pub score: f32,
}

/// A sentence that was compared with the question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeighedSentence {
    /// Its passage's place among the passages, from 0.
    pub passage: usize,
    /// Its text.
    pub text: String,
    /// Cosine with the question, under its headings.
    pub cosine: f32,
}

impl Library {
    /// What [`Library::ask`] finds for `question`, and whether that holds the answer. No model but the embedding model is needed.
    ///
    /// # Errors
    /// As [`Library::search`].
    pub fn weighed(&self, question: &str, options: &AskOptions) -> Result<Weighed, Error> {
        let index = self.open_index()?;
        let hits = self.search_in(&index, question, &options.candidates())?;
        let embedder = self.embedder()?;
        let sentences = compared(&embedder, question, &hits)?;
        let signals = Signals::of(question, &hits, &sentences, &embedder)?;
        let signals = signals.read(question, &hits, &sentences, &embedder)?;
        let (status, held) = match hits.is_empty() {
            true => (Status::NotFound, None),
            false => {
                let (status, held) = signals.verdict(None);
                (status, Some(held))
            }
        };
        let hits_weighed = &hits[..hits.len().min(N_WEIGHED)];
        let wanted = Wanted::new(question, hits_weighed, &|word| embedder.frequency_rank(word));
        Ok(Weighed {
            question: question.to_owned(),
            status,
            held,
            words: wanted.weighed(),
            sentences: sentences
                .iter()
                .map(|sentence| WeighedSentence {
                    passage: sentence.hit,
                    text: sentence.text(&hits).to_owned(),
                    cosine: sentence.cosine,
                })
                .collect(),
            passages: hits_weighed
                .iter()
                .map(|hit| WeighedPassage {
                    path: hit.chunk.path.clone(),
                    heading_path: hit.chunk.heading_path.clone(),
                    text: hit.chunk.text.clone(),
                    score: hit.score,
                })
                .collect(),
        })
    }
}

//! Whether the documents hold what was asked: answered, partly, or not found.
//!
//! No single figure tells. A cosine is high for a question about the right subject that the text happens not to answer; the words of a
//! question may all be there, in five documents. So several figures are taken from what the search found, and a logistic regression
//! weighs them ([`weights`], with the script that fitted it):
//!
//! ```text
//! question, passages, sentences ──▶ signals ──▶ ln (p / (1 − p)) = bias + Σ weight · signal ──▶ p: the documents do not hold it
//! ```
//!
//! Where a model wrote an answer, its own statement and how far the documents support what it says count as well. How likely a small model
//! finds the question behind the best sentence was tried, too, and told nothing that the cosine did not.

mod answering;
mod coverage;
mod sentences;
mod weighed;
mod weights;

use std::collections::BTreeSet;

use docent_embed::Embedder;
use docent_retrieve::Hit;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::answer::Status;
use crate::cite;
use answering::answers;
use coverage::{Term, Wanted, n_beyond, numbers_absent, terms, terms_around};

pub(crate) use coverage::said_content;
pub(crate) use sentences::{N_PASSAGES, Sentence, compared};
pub use weighed::{Weighed, WeighedPassage, WeighedSentence, WeighedWord};

/// Passages that a question's words are weighed against: the rarest words of a question are in one of them if they are anywhere.
pub(crate) const N_WEIGHED: usize = 32;

/// Figures of what a search found, for telling whether it holds the answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Signals {
    /// Cosine of the question with the best sentence under its headings; less where it says little beyond them.
    pub cosine: f32,
    /// Cosine of the best sentence that holds a number or a date, where one is asked for; otherwise as `cosine`.
    pub cosine_of_kind: f32,
    /// Weighted share of the question's words in the best two neighbouring sentences and the headings above them.
    pub window: f32,
    /// The same, where a word that is not there counts as much as the cosine with the word there that is nearest in meaning.
    pub meaning: f32,
    /// Weighted share of the question's words that none of the passages holds.
    pub absent: f32,
    /// Share of the question's numbers, and of its names with digits, that the passages with the best sentences have not.
    #[serde(default)]
    pub numbers_absent: f32,
    /// Log odds that one of the best windows answers the question, as a reader trained for that tells it; none where there is none for the
    /// embedding model.
    #[serde(default)]
    pub answers: Option<f32>,
    /// Share of the question's words that are written in a script the embedding model was made for. Where it is small, cosines mean little.
    pub understood: f32,
}

/// How likely the documents hold the answer, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Held {
    /// Probability that they do, 0 to 1.
    pub probability: f32,
    /// What it was taken from.
    pub signals: Signals,
}

/// What a model's own words say about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Written {
    /// It says that the documents do not hold the answer.
    pub declined: bool,
    /// Mean support of its sentences, 0 to 1.
    pub support: f32,
}

impl Signals {
    /// Those of a question whose best sentences were compared with it already, before anything was read.
    ///
    /// # Errors
    /// What the embedding model says.
    pub(crate) fn of(
        question: &str,
        hits: &[Hit],
        sentences: &[Sentence],
        embedder: &Embedder,
    ) -> Result<Self, Error> {
        let hits = &hits[..hits.len().min(N_WEIGHED)];
        let wanted = Wanted::new(question, hits, &|word| embedder.frequency_rank(word));
        let windows = windows(hits, sentences, &wanted);
        let likely: Vec<&BTreeSet<Term>> = windows.iter().take(N_MEANT).map(|window| &window.terms).collect();
        let meanings = wanted.meanings(&likely, embedder)?;
        let best = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
        let told: Vec<(&Sentence, f32)> = sentences
            .iter()
            .map(|sentence| (sentence, sentence.cosine * told(&hits[sentence.hit], sentence.text(hits))))
            .collect();
        let of_kind = told.iter().filter(|(sentence, _)| wanted.may_answer(sentence.text(hits)));
        let meant: Vec<f32> = likely.iter().map(|terms| wanted.share_of_meaning(terms, &meanings)).collect();
        let best_told = told.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(sentence, _)| sentence.hit);
        let best_meant =
            windows.iter().zip(&meant).max_by(|a, b| a.1.total_cmp(b.1)).map(|(window, _)| window.hit);
        let likely_hits: Vec<&Hit> = best_told.iter().chain(&best_meant).map(|&hit| &hits[hit]).collect();
        Ok(Self {
            cosine: best(&mut told.iter().map(|(_, cosine)| *cosine)),
            cosine_of_kind: best(&mut of_kind.map(|(_, cosine)| *cosine)),
            window: best(&mut windows.iter().map(|window| window.share)),
            meaning: best(&mut meant.iter().copied()),
            absent: wanted.absent,
            numbers_absent: numbers_absent(question, &likely_hits),
            answers: None,
            understood: wanted.understood(),
        })
    }

    /// The same with what a reader of question and sentences says, where there is one for the embedding model and it knows the script. Takes some
    /// tenths of a second.
    ///
    /// # Errors
    /// What the embedding model says.
    pub(crate) fn read(
        self,
        question: &str,
        hits: &[Hit],
        sentences: &[Sentence],
        embedder: &Embedder,
    ) -> Result<Self, Error> {
        if weights::is_foreign(&self) {
            return Ok(self);
        }
        Ok(Self { answers: answers(question, hits, sentences, embedder)?, ..self })
    }

    /// The verdict; `written` where a model wrote an answer.
    pub(crate) fn verdict(self, written: Option<Written>) -> (Status, Held) {
        let mut log_odds = weights::log_odds(&self);
        if let Some(written) = written {
            log_odds += weights::of_written(written);
        }
        let absence = 1.0 / (1.0 + (-log_odds).exp());
        let status = match absence {
            _ if written.is_some_and(|written| written.declined) => Status::NotFound,
            p if p >= weights::not_found(&self) => Status::NotFound,
            p if p >= weights::DOUBTFUL => Status::Partly,
            _ => Status::Answered,
        };
        (status, Held { probability: 1.0 - absence, signals: self })
    }
}

/// The signals of a question, from nothing but the hits.
pub(crate) fn signals(question: &str, hits: &[Hit], embedder: &Embedder) -> Result<Signals, Error> {
    let sentences = compared(embedder, question, hits)?;
    Signals::of(question, hits, &sentences, embedder)?.read(question, hits, &sentences, embedder)
}

/// How much of a sentence's cosine counts: half where it only repeats the headings above it, which are compared with the question, too, and so
/// have it near to any question about their subject; all where it adds [`FULLY_TOLD`] words or more.
fn told(hit: &Hit, text: &str) -> f32 {
    let headings = terms(&hit.chunk.heading_path.join(" "));
    (0.5 + 0.5 * n_beyond(&terms(text), &headings) as f32 / FULLY_TOLD as f32).min(1.0)
}

/// Words beyond the headings that a sentence needs to be a statement of its own. Of 3, 4 and 5 the last told most on the questions of the fit.
const FULLY_TOLD: usize = 5;

/// Windows whose words are compared by their meaning: those that look best without.
const N_MEANT: usize = 24;

/// Two neighbouring sentences.
struct Window {
    /// Their words, and those above them.
    terms: BTreeSet<Term>,
    /// Weighted share of the question's words.
    share: f32,
    /// That and the cosine of the first sentence.
    likely: f32,
    /// Place of its passage among the hits, from 0.
    hit: usize,
}

/// The windows of the best passages, the likeliest first.
fn windows(hits: &[Hit], sentences: &[Sentence], wanted: &Wanted) -> Vec<Window> {
    let mut windows = Vec::new();
    for (at, hit) in hits.iter().take(N_PASSAGES).enumerate() {
        let text = &hit.chunk.text;
        let around = terms_around(hit);
        let spans = cite::sentences(text);
        let held: Vec<BTreeSet<Term>> = spans.iter().map(|span| terms(&text[span.clone()])).collect();
        for (first, span) in spans.iter().enumerate() {
            let pair = &held[first..(first + 2).min(held.len())];
            let terms = pair.iter().fold(around.clone(), |terms, more| &terms | more);
            let known = sentences.iter().find(|sentence| sentence.hit == at && sentence.span == *span);
            let share = wanted.share(&terms);
            windows.push(Window {
                terms,
                share,
                likely: share + known.map_or(0.0, |known| known.cosine),
                hit: at,
            });
        }
    }
    windows.sort_by(|a, b| b.likely.total_cmp(&a.likely));
    windows
}

#[cfg(test)]
pub(crate) mod tests {
    use docent_index::{Chunk, ChunkId, DocId};

    use super::*;

    /// A passage from `start` to the end of a text.
    pub(crate) fn hit(id: u64, text: &str, start: usize, score: f32) -> Hit {
        let chunk = Chunk {
            id: ChunkId(id),
            doc: DocId(1),
            path: "/notes.md".into(),
            file_size: text.len() as u64,
            file_mtime_ns: 0,
            span: start..text.len(),
            lines: (1, 3),
            page: None,
            heading_path: vec!["Water".to_owned()],
            text: text[start..].to_owned(),
            format: "markdown".to_owned(),
            title: None,
            language: None,
            hash: None,
            same_as_file: true,
        };
        Hit {
            chunk,
            source: 0,
            score,
            lexical_rank: None,
            vector_rank: None,
            lexical_score: None,
            vector_score: Some(score),
            rerank_score: None,
        }
    }

    const KNOWN: Signals = Signals {
        cosine: 0.7,
        cosine_of_kind: 0.7,
        window: 0.9,
        meaning: 0.95,
        absent: 0.0,
        numbers_absent: 0.0,
        answers: None,
        understood: 1.0,
    };
    const UNKNOWN: Signals = Signals {
        cosine: 0.3,
        cosine_of_kind: 0.1,
        window: 0.2,
        meaning: 0.5,
        absent: 0.6,
        numbers_absent: 0.0,
        answers: None,
        understood: 1.0,
    };

    #[test]
    fn a_question_whose_words_stand_together_is_answered_and_one_whose_stand_nowhere_is_not() {
        assert_eq!(KNOWN.verdict(None).0, Status::Answered);
        assert_eq!(UNKNOWN.verdict(None).0, Status::NotFound);
    }

    #[test]
    fn every_signal_counts_in_the_direction_that_its_name_says() {
        let absence = |signals: Signals| 1.0 - signals.verdict(None).1.probability;
        for known in [KNOWN, Signals { answers: Some(2.0), ..KNOWN }] {
            let before = absence(known);
            let other = Signals { cosine: 0.5, cosine_of_kind: 0.5, ..known };
            assert!(absence(other) > before);
            assert!(absence(Signals { meaning: 0.5, ..known }) > before);
            assert!(absence(Signals { absent: 0.5, ..known }) > before);
            assert!(absence(Signals { numbers_absent: 1.0, ..known }) > before);
        }
        let read = |answers| absence(Signals { answers: Some(answers), ..KNOWN });
        assert!(read(-2.0) > read(2.0));
    }

    #[test]
    fn a_sentence_that_repeats_its_headings_counts_half_and_one_that_adds_to_them_whole() {
        let hit = hit(1, "Water. The main stopcock stands behind the vacuum cleaner.", 0, 0.5);
        assert_eq!(told(&hit, "The water"), 0.5);
        assert_eq!(told(&hit, "The main stopcock stands behind the vacuum cleaner."), 1.0);
        let some = told(&hit, "Water: main stopcock");
        assert!(some > 0.5 && some < 1.0, "{some}");
    }

    #[test]
    fn where_the_embedding_model_knows_no_word_the_words_alone_decide() {
        let foreign = Signals { understood: 0.0, ..UNKNOWN };
        assert_ne!(Signals { window: 0.4, ..foreign }.verdict(None).0, Status::NotFound);
        assert_eq!(Signals { window: 0.0, cosine: 0.9, ..foreign }.verdict(None).0, Status::NotFound);
    }

    #[test]
    fn windows_are_two_sentences_under_their_headings_and_the_likeliest_is_first() {
        let text = "The stopcock is under the stairs. It was renewed in 2019. The cat sleeps on the boiler.";
        let hits = [hit(1, text, 0, 0.5)];
        let wanted = Wanted::new("When was the stopcock for the water renewed?", &hits, &|_| None);
        let windows = windows(&hits, &[], &wanted);
        assert_eq!((windows.len(), windows[0].share), (3, 1.0));
        assert!(windows[2].share < 1.0);
    }

    #[test]
    fn a_model_that_says_no_is_believed_and_one_that_is_supported_helps() {
        let verdict = |declined, support| KNOWN.verdict(Some(Written { declined, support }));
        assert_eq!(verdict(true, 1.0).0, Status::NotFound);
        assert!(verdict(false, 1.0).1.probability > verdict(false, 0.0).1.probability);
    }
}

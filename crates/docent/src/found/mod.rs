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
//! Where a model has judged the sentences (answering by quoting), how much likelier the best of them makes the question is a signal too.
//! Where a model wrote an answer, its own statement and how far the documents support what it says count as well.

mod coverage;
mod sentences;
mod weights;

use std::collections::BTreeSet;

use docent_embed::Embedder;
use docent_retrieve::Hit;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::answer::Status;
use crate::cite;
use coverage::{Wanted, words_around};

pub(crate) use coverage::said_content;
pub(crate) use sentences::{N_PASSAGES, Sentence, compared};

/// Passages that a question's words are weighed against: the rarest words of a question are in one of them if they are anywhere.
pub(crate) const N_WEIGHED: usize = 32;

/// Figures of what a search found, for telling whether it holds the answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Cosine of the question with the best sentence under its headings.
    pub cosine: f32,
    /// Mean of the best three.
    pub cosine_of_three: f32,
    /// Cosine of the best sentence that holds a number or a date, where one is asked for; otherwise as `cosine`.
    pub cosine_of_kind: f32,
    /// Cosine of the question with the best passage.
    pub passage: f32,
    /// That less the cosine of the best passage of another document.
    pub margin: f32,
    /// Weighted share of the question's words in the best two neighbouring sentences and the headings above them.
    pub window: f32,
    /// The same among those that hold a number or a date, where one is asked for.
    pub window_of_kind: f32,
    /// Weighted share of the question's words in the best passage.
    pub page: f32,
    /// Weighted share of the question's words that none of the passages holds.
    pub absent: f32,
    /// Number of those words.
    pub n_absent: f32,
    /// Share of the question's names and numbers that the best passage for them lacks; 0 where it has none.
    pub names_absent: f32,
    /// Nats a token by which the best sentence makes the question likelier; none where no model judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<f32>,
    /// Nats a token of the question behind the best sentence; none where no model judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<f32>,
}

/// How likely the documents hold the answer, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
    /// Those of a question whose best sentences were compared with it already.
    pub(crate) fn of(question: &str, hits: &[Hit], sentences: &[Sentence]) -> Self {
        let hits = &hits[..hits.len().min(N_WEIGHED)];
        let wanted = Wanted::new(question, hits);
        let best = |of: &mut dyn Iterator<Item = f32>| of.fold(0.0, f32::max);
        let mut cosines: Vec<f32> = sentences.iter().map(|sentence| sentence.cosine).collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        let n_best = cosines.len().clamp(1, 3);
        let of_kind = sentences.iter().filter(|sentence| wanted.may_answer(sentence.text(hits)));
        let windows = Windows::new(hits, &wanted);
        let (passage, margin) = passages(hits);
        Self {
            cosine: cosines.first().copied().unwrap_or(0.0),
            cosine_of_three: cosines.iter().take(3).sum::<f32>() / n_best as f32,
            cosine_of_kind: best(&mut of_kind.map(|sentence| sentence.cosine)),
            passage,
            margin,
            window: windows.best,
            window_of_kind: windows.best_of_kind,
            page: windows.best_page,
            absent: wanted.absent,
            n_absent: wanted.n_absent as f32,
            names_absent: windows.names_absent,
            gain: None,
            likelihood: None,
        }
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
            p if p >= weights::NOT_FOUND => Status::NotFound,
            p if p >= weights::DOUBTFUL => Status::Partly,
            _ => Status::Answered,
        };
        (status, Held { probability: 1.0 - absence, signals: self })
    }
}

/// The signals of a question, from nothing but the hits.
pub(crate) fn signals(question: &str, hits: &[Hit], embedder: &Embedder) -> Result<Signals, Error> {
    Ok(Signals::of(question, hits, &compared(embedder, question, hits)?))
}

/// Cosine of the best passage, and how far the best of another document is behind it.
fn passages(hits: &[Hit]) -> (f32, f32) {
    let cosine = |hit: &Hit| hit.vector_score.unwrap_or(0.0);
    let Some(best) = hits.iter().max_by(|a, b| cosine(a).total_cmp(&cosine(b))) else { return (0.0, 0.0) };
    let others = hits.iter().filter(|hit| hit.chunk.doc != best.chunk.doc);
    (cosine(best), cosine(best) - others.map(cosine).fold(0.0, f32::max))
}

/// How much of a question stands together somewhere.
struct Windows {
    best: f32,
    best_of_kind: f32,
    best_page: f32,
    names_absent: f32,
}

impl Windows {
    fn new(hits: &[Hit], wanted: &Wanted) -> Self {
        let mut windows = Self { best: 0.0, best_of_kind: 0.0, best_page: 0.0, names_absent: 1.0 };
        let mut has_names = false;
        for hit in hits.iter().take(N_PASSAGES) {
            let text = &hit.chunk.text;
            let around = words_around(hit);
            let spans = cite::sentences(text);
            let held: Vec<BTreeSet<String>> =
                spans.iter().map(|span| cite::words(&text[span.clone()]).into_iter().collect()).collect();
            let mut page = around.clone();
            for at in 0..spans.len() {
                let pair = &held[at..(at + 2).min(held.len())];
                let words = pair.iter().fold(around.clone(), |words, more| &words | more);
                let end = spans[(at + 1).min(spans.len() - 1)].end;
                let share = wanted.share(&words);
                windows.best = windows.best.max(share);
                if wanted.may_answer(&text[spans[at].start..end]) {
                    windows.best_of_kind = windows.best_of_kind.max(share);
                }
                page.extend(held[at].iter().cloned());
            }
            windows.best_page = windows.best_page.max(wanted.share(&page));
            if let Some(share) = wanted.share_of_names(&page) {
                has_names = true;
                windows.names_absent = windows.names_absent.min(1.0 - share);
            }
        }
        windows.names_absent = if has_names { windows.names_absent } else { 0.0 };
        windows
    }
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

    const TEXT: &str =
        "The stopcock is under the stairs. It was renewed in 2019. The cat sleeps on the boiler.";

    fn signals(question: &str, cosine: f32) -> Signals {
        let hits = [hit(1, TEXT, 0, 0.5)];
        let sentence = Sentence { hit: 0, span: 0..33, cosine, score: 0.0 };
        Signals::of(question, &hits, &[sentence])
    }

    #[test]
    fn words_that_stand_together_count_more_than_words_that_stand_nowhere() {
        let known = signals("When was the stopcock renewed?", 0.7);
        let unknown = signals("When was the chimney swept?", 0.7);
        assert_eq!((known.window, known.window_of_kind, known.n_absent), (1.0, 1.0, 0.0));
        assert_eq!((unknown.window, unknown.n_absent), (0.0, 2.0));
        assert!(weights::log_odds(&known) < weights::log_odds(&unknown));
    }

    #[test]
    fn a_question_for_a_number_is_not_answered_by_a_sentence_without_one() {
        let asked = signals("How many cats sleep on the boiler?", 0.7);
        assert!(asked.window > asked.window_of_kind, "{asked:?}");
        assert_eq!(asked.cosine_of_kind, 0.0, "the compared sentence holds no number");
    }

    #[test]
    fn a_model_that_says_no_is_believed_and_one_that_is_supported_helps() {
        let signals = signals("When was the stopcock renewed?", 0.7);
        let verdict = |declined, support| signals.verdict(Some(Written { declined, support }));
        assert_eq!(verdict(true, 1.0).0, Status::NotFound);
        assert!(verdict(false, 1.0).1.probability > verdict(false, 0.0).1.probability);
    }
}

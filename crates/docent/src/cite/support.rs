//! How far a place in a source supports a sentence: weighted word coverage.
//!
//! support(s, t) = Σ weight(w) over words of s that stand in t / Σ weight(w) over words of s,
//! weight(w) = ln(1 + N / n(w)): N windows in all sources, n(w) of them hold w (the inverse document frequency).
//! A number in s that does not stand in t makes the support 0: figures are either the source's or invented. Words (and
//! numbers) that only repeat the question count little: they were not learned from t. Words that speak of answers and
//! documents themselves count nothing.
//!
//! Words are kept sorted, so that sums come out the same in every run.
//!
//! Among places with like support the one that shares more with the question wins, then the smaller one.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::words::{is_number, words};
use super::{Source, sentences};

/// What a word counts that the sentence took over from the question.
const REPEATED_WEIGHT: f32 = 0.3;
/// What a word of up to three letters counts: nearly all of them are grammar.
const SHORT_WEIGHT: f32 = 0.3;
/// Words, stemmed, with which models introduce an answer.
const FRAMING: [&str; 14] = [
    "accord", "answer", "article", "correct", "describ", "document", "explain", "mention", "passage",
    "provid", "question", "refer", "state", "text",
];
/// How much sharing words with the question counts beside supporting the sentence.
const QUESTION_WEIGHT: f32 = 0.25;
/// What a window of two sentences must gain over one: quotes should be short, and sharing the question alone is no gain.
const PAIR_COST: f32 = 0.3;

/// A place that supports a sentence.
pub(super) struct Best {
    pub number: usize,
    pub span: Range<usize>,
    pub support: f32,
}

/// The sources cut into windows of one or two sentences, with their words counted once.
pub(super) struct Scorer {
    windows: Vec<Window>,
    holders: HashMap<String, f32>,
    question: BTreeSet<String>,
}

struct Window {
    number: usize,
    span: Range<usize>,
    words: BTreeSet<String>,
    n_sentences: usize,
}

impl Scorer {
    pub fn new(question: &str, sources: &[Source]) -> Self {
        let mut windows = Vec::new();
        for source in sources {
            let spans = sentences(source.text);
            for (idx, span) in spans.iter().enumerate() {
                windows.push(Window::new(source, span.clone(), 1));
                if let Some(next) = spans.get(idx + 1) {
                    windows.push(Window::new(source, span.start..next.end, 2));
                }
            }
        }
        let mut holders: HashMap<String, f32> = HashMap::new();
        for word in windows.iter().flat_map(|window| &window.words) {
            *holders.entry(word.clone()).or_default() += 1.0;
        }
        Self { windows, holders, question: words(question).into_iter().collect() }
    }

    /// The place that supports `sentence` best among the sources whose number `allowed` accepts.
    pub fn best(&self, sentence: &str, allowed: impl Fn(usize) -> bool) -> Option<Best> {
        let wanted: BTreeSet<String> = words(sentence).into_iter().collect();
        self.windows
            .iter()
            .filter(|window| allowed(window.number))
            .map(|window| {
                let support = self.coverage(&wanted, window);
                let question = self.coverage_of_question(window);
                let cost = if window.n_sentences > 1 { PAIR_COST } else { 0.0 };
                (support + QUESTION_WEIGHT * question - cost, support, window)
            })
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.2.span.len().cmp(&a.2.span.len())))
            .map(|(_, support, window)| Best { number: window.number, span: window.span.clone(), support })
    }

    fn coverage(&self, wanted: &BTreeSet<String>, window: &Window) -> f32 {
        let invented = |word: &&String| {
            is_number(word) && !window.words.contains(*word) && !self.question.contains(*word)
        };
        if wanted.iter().any(|word| invented(&word)) {
            return 0.0;
        }
        self.share(wanted, window, |word| match word {
            _ if FRAMING.contains(&word) => 0.0,
            _ if self.question.contains(word) => REPEATED_WEIGHT,
            _ if word.len() <= 3 && word.bytes().all(|b| b.is_ascii_alphabetic()) => SHORT_WEIGHT,
            _ => 1.0,
        })
    }

    fn coverage_of_question(&self, window: &Window) -> f32 {
        self.share(&self.question, window, |_| 1.0)
    }

    fn share(&self, wanted: &BTreeSet<String>, window: &Window, factor: impl Fn(&str) -> f32) -> f32 {
        let (mut held, mut all) = (0.0, 0.0);
        for word in wanted {
            let weight = self.weight(word) * factor(word);
            all += weight;
            held += if window.words.contains(word) { weight } else { 0.0 };
        }
        if all > 0.0 { held / all } else { 0.0 }
    }

    fn weight(&self, word: &str) -> f32 {
        let holders = self.holders.get(word).copied().unwrap_or(1.0);
        (1.0 + self.windows.len() as f32 / holders).ln()
    }
}

impl Window {
    fn new(source: &Source, span: Range<usize>, n_sentences: usize) -> Self {
        let words = words(&source.text[span.clone()]).into_iter().collect();
        Self { number: source.number, span, words, n_sentences }
    }
}

//! From an answer to citations: which sentence of which passage stands behind each sentence of the answer.
//!
//! A model cites by number and often wrongly; a small one does not cite at all. So nothing it says about its
//! sources is taken on trust. Each sentence of the answer is held against the passages it was given:
//!
//! ```text
//! for each sentence of the answer:
//!     [n] in it, and passage n supports it     → cited, with the sentence of n that supports it best
//!     otherwise, some passage supports it      → attributed to the best one
//!     otherwise, some passage comes close      → attributed to it, and the answer counts as partly supported
//!     otherwise                                → unsupported, and counted as such
//! ```
//!
//! Support is word coverage weighted by how rare a word is among the passages ([`support`]). It is lexical on
//! purpose: cheap, exact to explain, and independent of the model that wrote the answer. It cannot follow a
//! paraphrase that shares no word with its source; such a sentence is reported as unsupported rather than guessed at.

mod sentence;
mod support;
mod words;

use std::ops::Range;

use serde::Serialize;

pub use sentence::sentences;
use support::Scorer;
pub(crate) use words::says_something;

/// How a citation came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The answer repeats the source word for word in quotation marks.
    Quoted,
    /// The model named the passage, and the passage supports the sentence.
    Cited,
    /// The model named no passage that supports the sentence; this one does.
    Attributed,
}

/// A passage the model was given.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The number it was given under.
    pub number: usize,
    /// Its text.
    pub text: &'a str,
}

/// One sentence of the answer tied to one place in a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Number of the source.
    pub number: usize,
    /// Bytes of the source's text that support the sentence: whole sentences, trimmed.
    pub span: Range<usize>,
    /// How the source was found.
    pub kind: Kind,
    /// Share of the sentence's weighted words found at `span`, 0 to 1.
    pub support: f32,
    /// The sentence's bytes in the answer.
    pub sentence: Range<usize>,
}

/// What checking an answer gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// In the order of the answer; one source place appears once.
    pub citations: Vec<Finding>,
    /// Sentences of the answer that no source supports.
    pub unsupported: Vec<Range<usize>>,
}

/// Below this share of its weighted words a sentence does not count as supported. Chosen on the sample folder's
/// questions: paraphrases of the right place reach 0.4 and more, sentences put beside a wrong passage stay under 0.3.
const SUPPORTED: f32 = 0.35;

/// From this share on a sentence is attributed although it does not count as supported: a place to look at, for answers
/// in the model's own words. Sentences invented from nothing stay under 0.2.
const CLOSE: f32 = 0.2;

/// Quotations shorter than this (in characters) occur by chance and prove nothing.
const SHORTEST_QUOTATION: usize = 12;

impl Findings {
    /// Whether every sentence that says something is supported.
    pub fn all_supported(&self) -> bool {
        self.unsupported.is_empty() && self.citations.iter().all(|finding| finding.support >= SUPPORTED)
    }
}

/// Ties every sentence of `answer` to the place in `sources` that supports it best.
pub fn check(question: &str, answer: &str, sources: &[Source]) -> Findings {
    let scorer = Scorer::new(question, sources);
    let mut findings = Findings::default();
    for sentence in sentences(answer) {
        let text = &answer[sentence.clone()];
        let named = cited_numbers(text);
        let plain = without_marks(text);
        if !says_something(&plain) {
            continue;
        }
        match find(&scorer, &plain, &named, sources) {
            Some((number, span, kind, support)) => {
                let known = findings.citations.iter().any(|c| c.number == number && c.span == span);
                if !known {
                    findings.citations.push(Finding { number, span, kind, support, sentence });
                }
            }
            None => findings.unsupported.push(sentence),
        }
    }
    findings
}

fn find(
    scorer: &Scorer,
    sentence: &str,
    named: &[usize],
    sources: &[Source],
) -> Option<(usize, Range<usize>, Kind, f32)> {
    if let Some((number, span)) = quoted_place(sentence, named, sources) {
        return Some((number, span, Kind::Quoted, 1.0));
    }
    let cited = scorer.best(sentence, |number| named.contains(&number));
    if let Some(best) = cited.filter(|best| best.support >= SUPPORTED) {
        return Some((best.number, best.span, Kind::Cited, best.support));
    }
    let best = scorer.best(sentence, |_| true).filter(|best| best.support >= CLOSE)?;
    Some((best.number, best.span, Kind::Attributed, best.support))
}

/// Where a quotation of the sentence stands word for word, in a source it names if possible.
fn quoted_place(sentence: &str, named: &[usize], sources: &[Source]) -> Option<(usize, Range<usize>)> {
    let quotations = sentence::quotations(sentence);
    let mut ordered: Vec<&Source> = sources.iter().collect();
    ordered.sort_by_key(|source| !named.contains(&source.number));
    for quotation in quotations.iter().filter(|q| q.chars().count() >= SHORTEST_QUOTATION) {
        for source in &ordered {
            if let Some(at) = source.text.find(quotation.as_str()) {
                return Some((source.number, at..at + quotation.len()));
            }
        }
    }
    None
}

/// The numbers in `[1]`, `[1, 2]`, `[1][2]`.
fn cited_numbers(sentence: &str) -> Vec<usize> {
    marks(sentence).into_iter().flat_map(|(_, numbers)| numbers).collect()
}

fn without_marks(sentence: &str) -> String {
    let mut plain = String::with_capacity(sentence.len());
    let mut from = 0;
    for (range, _) in marks(sentence) {
        plain.push_str(&sentence[from..range.start]);
        from = range.end;
    }
    plain.push_str(&sentence[from..]);
    plain
}

/// Bracketed lists of numbers with their byte ranges.
fn marks(text: &str) -> Vec<(Range<usize>, Vec<usize>)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices('[') {
        let Some(len) = text[start..].find(']') else { break };
        let inside = &text[start + 1..start + len];
        let numbers: Result<Vec<usize>, _> = inside.split(',').map(|part| part.trim().parse()).collect();
        if let Ok(numbers) = numbers {
            found.push((start..start + len + 1, numbers));
        }
    }
    found
}

/// Whether an answer says, in so many words, that the documents do not hold it.
pub fn declines(answer: &str) -> bool {
    const PHRASES: [&str; 12] = [
        "not in your documents",
        "not in the documents",
        "not mentioned in the",
        "not provided in the",
        "not specified in the",
        "not stated in the",
        "do not contain",
        "does not contain",
        "do not mention",
        "does not mention",
        "no information",
        "cannot be determined from",
    ];
    let lower = answer.to_lowercase();
    PHRASES.iter().any(|phrase| lower.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOILER: &str = "The boiler stands in the cellar. To restart it, hold the red button for ten seconds. \
        The service man is called Ruiz.";
    const LEASE: &str = "The rent is 840 euros a month. Notice must be given three months ahead.";

    fn sources() -> Vec<Source<'static>> {
        vec![Source { number: 1, text: BOILER }, Source { number: 2, text: LEASE }]
    }

    fn quote(finding: &Finding) -> &'static str {
        let text = if finding.number == 1 { BOILER } else { LEASE };
        &text[finding.span.clone()]
    }

    #[test]
    fn a_supported_mark_becomes_a_citation_with_the_sentence_that_supports_it() {
        let findings = check("How do I restart it?", "Hold the red button for ten seconds [1].", &sources());
        assert_eq!(findings.citations.len(), 1);
        assert_eq!(findings.citations[0].kind, Kind::Cited);
        assert_eq!(quote(&findings.citations[0]), "To restart it, hold the red button for ten seconds.");
        assert!(findings.unsupported.is_empty());
    }

    #[test]
    fn a_wrong_mark_is_not_believed() {
        let findings = check("What is the rent?", "The rent is 840 euros a month [1].", &sources());
        assert_eq!(findings.citations[0].number, 2);
        assert_eq!(findings.citations[0].kind, Kind::Attributed);
    }

    #[test]
    fn an_answer_without_marks_is_attributed() {
        let findings = check("What is the notice?", "You must give notice three months ahead.", &sources());
        assert_eq!(quote(&findings.citations[0]), "Notice must be given three months ahead.");
        assert_eq!(findings.citations[0].kind, Kind::Attributed);
    }

    #[test]
    fn a_number_that_stands_nowhere_is_unsupported() {
        let findings = check("What is the rent?", "The rent is 950 euros a month.", &sources());
        assert!(findings.citations.is_empty());
        assert_eq!(findings.unsupported.len(), 1);
    }

    #[test]
    fn an_invented_sentence_is_unsupported() {
        let findings =
            check("Who painted it?", "Leonardo painted the famous portrait in Florence.", &sources());
        assert!(findings.citations.is_empty());
        assert_eq!(findings.unsupported.len(), 1);
    }

    #[test]
    fn a_literal_quotation_is_found_to_the_byte() {
        let findings = check("?", "It says \"hold the red button for ten seconds\" somewhere.", &sources());
        assert_eq!(findings.citations[0].kind, Kind::Quoted);
        assert_eq!(quote(&findings.citations[0]), "hold the red button for ten seconds");
    }

    #[test]
    fn a_loose_paraphrase_is_attributed_but_not_counted_as_supported() {
        let findings = check("?", "Somebody called Ruiz repairs heating systems for tenants.", &sources());
        assert_eq!(quote(&findings.citations[0]), "The service man is called Ruiz.");
        assert!(!findings.all_supported());
    }

    #[test]
    fn the_same_place_is_cited_once() {
        let findings = check("?", "The rent is 840 euros. The rent is 840 euros a month.", &sources());
        assert_eq!(findings.citations.len(), 1);
    }

    #[test]
    fn japanese_is_attributed_by_its_characters() {
        let text = "富士山は日本で一番高い山です。高さは三七七六メートルです。";
        let findings = check("富士山は？", "高さは三七七六メートルです。", &[Source { number: 1, text }]);
        assert_eq!(&text[findings.citations[0].span.clone()], "高さは三七七六メートルです。");
    }

    #[test]
    fn a_refusal_is_recognised() {
        assert!(declines("This is not in your documents."));
        assert!(!declines("The rent is 840 euros."));
    }
}

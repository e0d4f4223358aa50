//! The sentences of the best passages, compared with the question.

use std::ops::Range;

use docent_embed::Embedder;
use docent_index::DocId;
use docent_retrieve::Hit;

use crate::Error;
use crate::cite;

/// Passages whose sentences are looked at. The right one was among the first five for every question of the sample folder.
pub(crate) const N_PASSAGES: usize = 8;
/// Sentences that the embedding model compares with the question.
const N_COMPARED: usize = 64;

/// A sentence of a passage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sentence {
    /// Place of the passage among the hits, from 0.
    pub hit: usize,
    /// Bytes of the passage's text.
    pub span: Range<usize>,
    /// Cosine of the question with the sentence under its headings.
    pub cosine: f32,
    /// How well it answers the question; comparable within one question, and roughly between questions.
    pub score: f32,
}

impl Sentence {
    /// The document it is from, and its bytes there.
    pub(crate) fn in_document(&self, hits: &[Hit]) -> (DocId, Range<usize>) {
        let chunk = &hits[self.hit].chunk;
        (chunk.doc, chunk.span.start + self.span.start..chunk.span.start + self.span.end)
    }

    /// Its text.
    pub(crate) fn text<'a>(&self, hits: &'a [Hit]) -> &'a str {
        &hits[self.hit].chunk.text[self.span.clone()]
    }

    fn overlaps(&self, other: &Self, hits: &[Hit]) -> bool {
        let ((of_a, at_a), (of_b, at_b)) = (self.in_document(hits), other.in_document(hits));
        of_a == of_b && at_a.start < at_b.end && at_b.start < at_a.end
    }
}

/// The sentences of the best of `hits` with their cosines; scored by those and by their passages' scores.
pub(crate) fn compared(embedder: &Embedder, question: &str, hits: &[Hit]) -> Result<Vec<Sentence>, Error> {
    let mut sentences = candidates(hits);
    let under_headings = |sentence: &Sentence| {
        format!("{}\n{}", hits[sentence.hit].chunk.heading_path.join(" > "), sentence.text(hits))
    };
    let headed: Vec<String> = sentences.iter().map(under_headings).collect();
    let texts: Vec<&str> = std::iter::once(question).chain(headed.iter().map(String::as_str)).collect();
    let vectors = embedder.embed(&texts)?; // unit vectors
    let (asked, others) = vectors.split_first().map_or((&[][..], &[][..]), |(a, rest)| (a, rest));
    for (sentence, vector) in sentences.iter_mut().zip(others) {
        sentence.cosine = asked.iter().zip(vector).map(|(a, b)| a * b).sum();
        sentence.score += sentence.cosine;
    }
    Ok(sentences)
}

/// The sentences of the best passages that say something, headings aside, each once: passages of a document overlap.
fn candidates(hits: &[Hit]) -> Vec<Sentence> {
    let mut sentences: Vec<Sentence> = Vec::new();
    for (hit, found) in hits.iter().take(N_PASSAGES).enumerate() {
        let text = &found.chunk.text;
        for span in cite::sentences(text) {
            let said = text[span.clone()].trim_start_matches(['#', ' ']);
            let is_heading = found.chunk.heading_path.iter().any(|heading| heading == said);
            let sentence = Sentence { hit, span, cosine: 0.0, score: found.score };
            let is_known = sentences.iter().any(|known| known.overlaps(&sentence, hits));
            if !is_heading && !is_known && cite::says_something(said) {
                sentences.push(sentence);
            }
        }
    }
    sentences.truncate(N_COMPARED);
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::tests::hit;

    #[test]
    fn a_sentence_in_two_passages_is_one_candidate_and_a_heading_is_none() {
        let text = "Water\n\nThe stopcock is under the stairs. The meter is in the pavement. Yes.";
        let second = text.find("The meter").unwrap();
        let hits = [hit(1, text, 0, 0.9), hit(2, text, second, 0.8)];
        let texts: Vec<&str> = candidates(&hits).iter().map(|sentence| sentence.text(&hits)).collect();
        assert_eq!(texts, ["The stopcock is under the stairs.", "The meter is in the pavement."]);
    }
}

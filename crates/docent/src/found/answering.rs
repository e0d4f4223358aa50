//! The best sentences with their neighbours, read together with the question.

use docent_embed::Embedder;
use docent_retrieve::Hit;

use super::sentences::Sentence;
use crate::Error;

/// Sentences that are read with what stands beside them, the nearest to the question.
const N_READ: usize = 10;

/// How sure the reader is, in log odds, that the likeliest of the best windows answers the question; none where there is no reader, or nothing
/// to read.
///
/// # Errors
/// What the embedding model says.
pub(super) fn answers(
    question: &str,
    hits: &[Hit],
    sentences: &[Sentence],
    embedder: &Embedder,
) -> Result<Option<f32>, Error> {
    let windows = windows(hits, sentences);
    let texts: Vec<&str> = windows.iter().map(String::as_str).collect();
    let all = embedder.answers(question, &texts)?;
    Ok(all.and_then(|all| all.into_iter().max_by(f32::total_cmp)))
}

/// The nearest sentences, each with the one before and the one after it under their headings: as the reader was trained.
fn windows(hits: &[Hit], sentences: &[Sentence]) -> Vec<String> {
    let mut nearest: Vec<usize> = (0..sentences.len()).collect();
    nearest.sort_by(|&a, &b| sentences[b].cosine.total_cmp(&sentences[a].cosine));
    let beside = |at: usize, of: &Sentence| sentences.get(at).filter(|sentence| sentence.hit == of.hit);
    let window = |&at: &usize| {
        let sentence = &sentences[at];
        let first = at.checked_sub(1).and_then(|before| beside(before, sentence)).unwrap_or(sentence);
        let last = beside(at + 1, sentence).unwrap_or(sentence);
        let chunk = &hits[sentence.hit].chunk;
        let said = &chunk.text[first.span.start..last.span.end];
        match chunk.heading_path.as_slice() {
            [] => said.to_owned(),
            headings => format!("{}. {said}", headings.join(" > ")),
        }
    };
    nearest.iter().take(N_READ).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::tests::hit;

    #[test]
    fn a_window_is_a_sentence_and_its_neighbours_in_the_same_passage_under_the_headings() {
        let text = "The stopcock is under the stairs. It was renewed in 2019. The meter is in the pavement.";
        let hits = [hit(1, text, 0, 0.9), hit(2, "Bins go out on Tuesday.", 0, 0.8)];
        let sentence = |hit: usize, said: &str, cosine| {
            let start = hits[hit].chunk.text.find(said).unwrap();
            Sentence { hit, span: start..start + said.len(), cosine, score: cosine }
        };
        let sentences = [
            sentence(0, "The stopcock is under the stairs.", 0.5),
            sentence(0, "It was renewed in 2019.", 0.3),
            sentence(0, "The meter is in the pavement.", 0.4),
            sentence(1, "Bins go out on Tuesday.", 0.1),
        ];
        let read = windows(&hits, &sentences);
        assert_eq!(read[0], "Water. The stopcock is under the stairs. It was renewed in 2019.");
        assert_eq!(read[1], "Water. It was renewed in 2019. The meter is in the pavement.");
        assert_eq!(read[2], format!("Water. {text}"));
        assert_eq!(read[3], "Water. Bins go out on Tuesday.");
    }
}

//! The sentences of the passages that answer a question, best first: answering by quoting.
//!
//! A model of a hundred million parameters writes fluent nonsense from the right page, yet is a fair judge of which question
//! a sentence answers. So it is asked just that, and what it picks is quoted word for word:
//!
//! ```text
//! passages ──▶ sentences ──▶ cosine with the question ──▶ the best few ──▶ ln P(question | headings, sentence) ──▶ the best
//! ```
//!
//! The likelihood of the question given the text is the query likelihood of Ponte and Croft (1998); that language models
//! judge passages well by it was shown by Sachan and others (2022, "Improving Passage Retrieval with Zero-Shot Question
//! Generation"). Cost: one reading of some [`N_JUDGED`] sentences, each on its own.

use std::ops::Range;
use std::time::Instant;

use docent_embed::Embedder;
use docent_index::DocId;
use docent_infer::{Cancel, Engine, Reading};
use docent_retrieve::Hit;

use crate::Error;
use crate::answer::{Answer, Citation, Status, Timing, Usage};
use crate::ask::{AskEvent, Asked, not_found};
use crate::cite::{self, Kind};
use crate::history::{How, Made, MadeBy, MadeFrom};
use crate::locate::Locator;

/// Passages whose sentences are looked at. The right one was among the first five for every question of the sample folder.
const N_PASSAGES: usize = 8;
/// Sentences that the embedding model compares with the question.
const N_COMPARED: usize = 64;
/// Sentences that the language model judges.
const N_JUDGED: usize = 16;
/// Tokens of a sentence, and of the headings above it, that it reads at most.
const JUDGED_TOKENS: usize = 120;
const HEADING_TOKENS: usize = 40;
/// What a nat of the question's likelihood weighs against the cosine: of 0.02, 0.03, 0.05 and 0.1 the one that chose most often the
/// sentence that holds the answer, on 59 questions about the sample folder (37; 30 with the cosine alone, 31 with the likelihood alone).
const LIKELIHOOD_WEIGHT: f32 = 0.02;

/// Cosine of the best quote with the question below which nothing answers it, and below which it may not be all of the answer. On
/// questions that the sample folder does not answer, those about other worlds stay below the first; a question about the right
/// subject that the text happens not to answer cannot be told by this.
const UNRELATED: f32 = 0.38;
const DOUBTFUL: f32 = 0.5;
/// Quotes shown at most, and how far behind the best one another may be.
const MOST: usize = 2;
const CLOSE: f32 = 0.1;

/// A sentence of a passage.
#[derive(Debug, Clone, PartialEq)]
struct Quote {
    /// Place of the passage among the hits, from 0.
    hit: usize,
    /// Bytes of the passage's text.
    span: Range<usize>,
    /// Cosine of the question with the sentence under its headings.
    cosine: f32,
    /// How well it answers the question; comparable within one question, and roughly between questions.
    score: f32,
}

/// What choosing gave.
struct Chosen {
    /// Best first.
    quotes: Vec<Quote>,
    /// Tokens the language model read.
    n_tokens: usize,
}

/// Answers with the sentences that fit best. Its timing counts from here.
pub(crate) fn answer(
    asked: &Asked,
    embedder: &Embedder,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<Answer, Error> {
    let start = Instant::now();
    let n_passages = asked.hits.len().min(N_PASSAGES);
    let chosen = choose(asked, embedder, cancel, &mut |done, total| {
        if done == 0 {
            let n_left_out = asked.hits.len() - n_passages;
            on_event(AskEvent::Packed { prompt_tokens: total, n_passages, n_left_out });
        }
        on_event(AskEvent::Reading(Reading::Prefill { done, total }));
    })?;
    let read_s = start.elapsed().as_secs_f64();
    let usage = Usage { prompt_tokens: chosen.n_tokens, ..Usage::default() };
    let timing = Timing { prefill_s: read_s, first_token_s: read_s, ..Timing::default() };
    let cosine = chosen.quotes.first().map_or(0.0, |quote| quote.cosine);
    if cosine < UNRELATED {
        return Ok(Answer { usage, timing, ..not_found(asked.model, asked.hits) });
    }
    let mut locator = Locator::new(asked.index);
    let mut citations = Vec::new();
    for (n, quote) in (1..).zip(best(&chosen.quotes)) {
        let (document, span) = in_document(asked.hits, quote);
        let headings = asked.hits[quote.hit].chunk.heading_path.clone();
        let check = locator.check(document, &span)?;
        let place = locator.place(document, span, headings)?;
        let text = place.quote.split_whitespace().collect::<Vec<_>>().join(" ");
        on_event(AskEvent::Answer(format!("{}{text} [{n}]", if n > 1 { "\n" } else { "" })));
        citations.push((text, Citation { n, place, kind: Kind::Quoted, check, support: 1.0 }));
    }
    let sentences: Vec<String> = citations.iter().map(|(text, c)| format!("{text} [{}]", c.n)).collect();
    Ok(Answer {
        status: if cosine < DOUBTFUL { Status::Partly } else { Status::Answered },
        answer: sentences.join("\n"),
        citations: citations.into_iter().map(|(_, citation)| citation).collect(),
        usage,
        timing,
        ..not_found(asked.model, &[])
    })
}

/// What it takes to make the answer again.
pub(crate) fn made(asked: &Asked, embedder: &Embedder) -> Made {
    let made_from = |(rank, hit): (usize, &Hit)| MadeFrom {
        path: hit.chunk.path.clone(),
        hash: hit.chunk.hash.map(|hash| blake3::Hash::from_bytes(hash).to_string()),
        byte_start: hit.chunk.span.start,
        byte_end: hit.chunk.span.end,
        heading_path: hit.chunk.heading_path.clone(),
        rank,
        score: hit.score,
    };
    Made {
        how: How::Quoted { embedding: embedder.fingerprint().to_owned() },
        model: MadeBy::now(asked),
        passages: asked.hits.iter().take(N_PASSAGES).enumerate().map(made_from).collect(),
    }
}

/// Ranks the sentences of `hits` by how well they answer `question`. `on_read` is told (tokens read, tokens in all).
/// Where `cancel` stops it, what is judged so far is ranked.
fn choose(
    asked: &Asked,
    embedder: &Embedder,
    cancel: &Cancel,
    on_read: &mut dyn FnMut(usize, usize),
) -> Result<Chosen, Error> {
    let Asked { question, hits, engine, .. } = *asked;
    let mut quotes = candidates(hits);
    compare(embedder, question, hits, &mut quotes)?;
    quotes.sort_by(|a, b| b.score.total_cmp(&a.score));
    quotes.truncate(N_JUDGED);

    let tokenizer = engine.model().tokenizer();
    let question = tokenizer.encode(&format!(" {question}"));
    let prompts: Vec<Vec<u32>> = quotes.iter().map(|quote| judged_text(engine, hits, quote)).collect();
    let total = prompts.iter().map(|prompt| prompt.len() + question.len()).sum();
    let mut n_tokens = 0;
    for (n_judged, prompt) in prompts.iter().enumerate() {
        on_read(n_tokens, total);
        if cancel.is_cancelled() {
            quotes.truncate(n_judged);
            break;
        }
        quotes[n_judged].score += LIKELIHOOD_WEIGHT * engine.log_likelihood(prompt, &question)? as f32;
        n_tokens += prompt.len() + question.len();
    }
    quotes.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(Chosen { quotes, n_tokens })
}

/// What of the ranked quotes is shown: the best, and a second that comes close.
fn best(quotes: &[Quote]) -> &[Quote] {
    let Some(first) = quotes.first() else { return &[] };
    let n = quotes.iter().take(MOST).take_while(|quote| quote.score >= first.score - CLOSE).count();
    &quotes[..n]
}

/// The sentences of the best passages that say something, headings aside, each once: passages of a document overlap.
fn candidates(hits: &[Hit]) -> Vec<Quote> {
    let mut quotes: Vec<Quote> = Vec::new();
    for (hit, found) in hits.iter().take(N_PASSAGES).enumerate() {
        let text = &found.chunk.text;
        for span in cite::sentences(text) {
            let sentence = text[span.clone()].trim_start_matches(['#', ' ']);
            let is_heading = found.chunk.heading_path.iter().any(|heading| heading == sentence);
            let quote = Quote { hit, span, cosine: 0.0, score: found.score };
            let is_known = quotes.iter().any(|known| overlap(hits, known, &quote));
            if !is_heading && !is_known && cite::says_something(sentence) {
                quotes.push(quote);
            }
        }
    }
    quotes.truncate(N_COMPARED);
    quotes
}

fn overlap(hits: &[Hit], a: &Quote, b: &Quote) -> bool {
    let ((of_a, at_a), (of_b, at_b)) = (in_document(hits, a), in_document(hits, b));
    of_a == of_b && at_a.start < at_b.end && at_b.start < at_a.end
}

/// The document a quote is from, and its bytes there.
fn in_document(hits: &[Hit], quote: &Quote) -> (DocId, Range<usize>) {
    let chunk = &hits[quote.hit].chunk;
    (chunk.doc, chunk.span.start + quote.span.start..chunk.span.start + quote.span.end)
}

/// Adds the cosine between the question and each sentence under its headings.
fn compare(embedder: &Embedder, question: &str, hits: &[Hit], quotes: &mut [Quote]) -> Result<(), Error> {
    let headed: Vec<String> = quotes.iter().map(|quote| under_headings(hits, quote)).collect();
    let texts: Vec<&str> = std::iter::once(question).chain(headed.iter().map(String::as_str)).collect();
    let vectors = embedder.embed(&texts)?; // unit vectors
    let (asked, sentences) = vectors.split_first().map_or((&[][..], &[][..]), |(a, rest)| (a, rest));
    for (quote, sentence) in quotes.iter_mut().zip(sentences) {
        quote.cosine = asked.iter().zip(sentence).map(|(a, b)| a * b).sum();
        quote.score += quote.cosine;
    }
    Ok(())
}

fn under_headings(hits: &[Hit], quote: &Quote) -> String {
    let chunk = &hits[quote.hit].chunk;
    format!("{}\n{}", chunk.heading_path.join(" > "), &chunk.text[quote.span.clone()])
}

/// The tokens before the question when a sentence is judged.
fn judged_text(engine: &Engine, hits: &[Hit], quote: &Quote) -> Vec<u32> {
    let tokenizer = engine.model().tokenizer();
    let chunk = &hits[quote.hit].chunk;
    let some = |text: &str, n: usize| tokenizer.encode(text).into_iter().take(n).collect::<Vec<u32>>();
    let mut tokens: Vec<u32> = tokenizer.bos().filter(|_| tokenizer.add_bos()).into_iter().collect();
    tokens.extend(some(&format!("{}\n", chunk.heading_path.join(" > ")), HEADING_TOKENS));
    tokens.extend(some(&chunk.text[quote.span.clone()], JUDGED_TOKENS));
    tokens.extend(tokenizer.encode("\nQuestion:"));
    tokens
}

#[cfg(test)]
mod tests {
    use docent_index::{Chunk, ChunkId};

    use super::*;

    const TEXT: &str = "Water\n\nThe stopcock is under the stairs. The meter is in the pavement. Yes.";

    fn hit(id: u64, start: usize, score: f32) -> Hit {
        let chunk = Chunk {
            id: ChunkId(id),
            doc: DocId(1),
            path: "/notes.md".into(),
            file_size: TEXT.len() as u64,
            file_mtime_ns: 0,
            span: start..TEXT.len(),
            lines: (1, 3),
            page: None,
            heading_path: vec!["Water".to_owned()],
            text: TEXT[start..].to_owned(),
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
            vector_score: None,
            rerank_score: None,
        }
    }

    #[test]
    fn a_sentence_in_two_passages_is_one_candidate_and_a_heading_is_none() {
        let second = TEXT.find("The meter").unwrap();
        let hits = [hit(1, 0, 0.9), hit(2, second, 0.8)];
        let texts: Vec<&str> =
            candidates(&hits).iter().map(|quote| &hits[quote.hit].chunk.text[quote.span.clone()]).collect();
        assert_eq!(texts, ["The stopcock is under the stairs.", "The meter is in the pavement."]);
    }

    #[test]
    fn a_second_quote_is_shown_only_where_it_comes_close() {
        let quote = |score: f32| Quote { hit: 0, span: 0..1, cosine: 0.6, score };
        assert_eq!(best(&[quote(1.0), quote(0.95), quote(0.94)]).len(), MOST);
        assert_eq!(best(&[quote(1.0), quote(0.8)]).len(), 1);
        assert!(best(&[]).is_empty());
    }
}

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

use std::time::Instant;

use docent_embed::Embedder;
use docent_infer::{Cancel, Engine, Reading};
use docent_retrieve::Hit;

use crate::Error;
use crate::answer::{Answer, Citation, Status, Timing, Usage};
use crate::ask::{AskEvent, Asked, not_found};
use crate::cite::Kind;
use crate::found::{self, N_PASSAGES, N_WEIGHED, Sentence, Signals};
use crate::history::{How, Made, MadeBy, MadeFrom};
use crate::locate::Locator;

/// Sentences that the language model judges.
const N_JUDGED: usize = 16;
/// Tokens of a sentence, and of the headings above it, that it reads at most.
const JUDGED_TOKENS: usize = 120;
const HEADING_TOKENS: usize = 40;
/// What a nat of the question's likelihood weighs against the cosine: of 0.02, 0.03, 0.05 and 0.1 the one that chose most often the
/// sentence that holds the answer, on 59 questions about the sample folder (37; 30 with the cosine alone, 31 with the likelihood alone).
const LIKELIHOOD_WEIGHT: f32 = 0.02;
/// Quotes shown at most, and how far behind the best one another may be.
const MOST: usize = 2;
const CLOSE: f32 = 0.1;

/// What choosing gave.
struct Chosen {
    /// Best first.
    quotes: Vec<Sentence>,
    /// Whether they are likely to answer the question at all.
    signals: Signals,
    /// Tokens the language model read.
    n_tokens: usize,
}

/// Answers with the sentences that fit best. `said`: the question in the words of a conversation, where it was searched for in others; it is
/// what a sentence is to answer. Its timing counts from here.
pub(crate) fn answer(
    asked: &Asked,
    said: Option<&str>,
    embedder: &Embedder,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<Answer, Error> {
    let start = Instant::now();
    let n_passages = asked.hits.len().min(N_PASSAGES);
    let chosen = choose(asked, said, embedder, cancel, &mut |done, total| {
        if done == 0 {
            let n_left_out = asked.hits.len() - n_passages;
            on_event(AskEvent::Packed { prompt_tokens: total, n_passages, n_left_out });
        }
        on_event(AskEvent::Reading(Reading::Prefill { done, total }));
    })?;
    let read_s = start.elapsed().as_secs_f64();
    let usage = Usage { prompt_tokens: chosen.n_tokens, ..Usage::default() };
    let timing = Timing { prefill_s: read_s, first_token_s: read_s, ..Timing::default() };
    let (status, held) = chosen.signals.verdict(None);
    if status == Status::NotFound || chosen.quotes.is_empty() {
        return Ok(Answer { usage, timing, held: Some(held), ..not_found(asked.model, asked.hits) });
    }
    let mut locator = Locator::new(asked.index);
    let mut citations = Vec::new();
    for (n, quote) in (1..).zip(best(&chosen.quotes)) {
        let (document, span) = quote.in_document(asked.hits);
        let headings = asked.hits[quote.hit].chunk.heading_path.clone();
        let check = locator.check(document, &span)?;
        let place = locator.place(document, span, headings)?;
        let text = place.quote.split_whitespace().collect::<Vec<_>>().join(" ");
        on_event(AskEvent::Answer(format!("{}{text} [{n}]", if n > 1 { "\n" } else { "" })));
        citations.push((text, Citation { n, place, kind: Kind::Quoted, check, support: 1.0 }));
    }
    let sentences: Vec<String> = citations.iter().map(|(text, c)| format!("{text} [{}]", c.n)).collect();
    Ok(Answer {
        status,
        held: Some(held),
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
        cosine: hit.vector_score,
    };
    Made {
        how: How::Quoted { embedding: embedder.fingerprint().to_owned() },
        model: MadeBy::now(asked),
        passages: asked.hits.iter().take(N_WEIGHED).enumerate().map(made_from).collect(),
    }
}

/// Ranks the sentences of `hits` by how well they answer `question`. `on_read` is told (tokens read, tokens in all).
/// Where `cancel` stops it, what is judged so far is ranked.
fn choose(
    asked: &Asked,
    said: Option<&str>,
    embedder: &Embedder,
    cancel: &Cancel,
    on_read: &mut dyn FnMut(usize, usize),
) -> Result<Chosen, Error> {
    let Asked { question, hits, engine, .. } = *asked;
    let mut quotes = found::compared(embedder, question, hits)?;
    let signals = Signals::of(question, hits, &quotes, embedder)?.read(question, hits, &quotes, embedder)?;
    let question = match said {
        Some(said) => {
            quotes = found::compared(embedder, said, hits)?;
            said
        }
        None => question,
    };
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
    Ok(Chosen { quotes, signals, n_tokens })
}

/// What of the ranked quotes is shown: the best, and a second that comes close.
fn best(quotes: &[Sentence]) -> &[Sentence] {
    let Some(first) = quotes.first() else { return &[] };
    let n = quotes.iter().take(MOST).take_while(|quote| quote.score >= first.score - CLOSE).count();
    &quotes[..n]
}

/// The tokens before the question when a sentence is judged.
fn judged_text(engine: &Engine, hits: &[Hit], quote: &Sentence) -> Vec<u32> {
    let tokenizer = engine.model().tokenizer();
    let some = |text: &str, n: usize| tokenizer.encode(text).into_iter().take(n).collect::<Vec<u32>>();
    let mut tokens: Vec<u32> = tokenizer.bos().filter(|_| tokenizer.add_bos()).into_iter().collect();
    let headings = hits[quote.hit].chunk.heading_path.join(" > ");
    tokens.extend(some(&format!("{headings}\n"), HEADING_TOKENS));
    tokens.extend(some(quote.text(hits), JUDGED_TOKENS));
    tokens.extend(tokenizer.encode("\nQuestion:"));
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_quote_is_shown_only_where_it_comes_close() {
        let quote = |score: f32| Sentence { hit: 0, span: 0..1, cosine: 0.6, score };
        assert_eq!(best(&[quote(1.0), quote(0.95), quote(0.94)]).len(), MOST);
        assert_eq!(best(&[quote(1.0), quote(0.8)]).len(), 1);
        assert!(best(&[]).is_empty());
    }
}

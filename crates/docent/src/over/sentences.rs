//! What a model too small to write tells of each document: a sentence of it, word for word.
//!
//! A question is held against each document's best passages as against a whole folder's, with the same verdict. A summary needs no
//! question: of a document's sentences the one nearest to the mean of them all stands for it (the centroid of Radev and others, 2004,
//! "Centroid-based summarization of multiple documents").

use std::ops::Range;

use docent_embed::Embedder;
use docent_index::{DocId, FileRecord};
use docent_infer::{Cancel, Reading};

use super::{Coverage, Form, holding};
use crate::answer::{Answer, Citation, Status, Timing, Usage};
use crate::ask::{AskEvent, Asked, not_found};
use crate::cite::{self, Kind};
use crate::found::{self, N_WEIGHED};
use crate::locate::Locator;
use crate::{Error, Library, Narrow, SearchOptions, write};

/// Sentences of a document that its mean is taken from.
const N_SUMMED: usize = 64;
/// Sentences that stand for a document in a summary.
const N_SHOWN: usize = 2;

/// Share of a question's words that stand together where something is mentioned, whatever else is said of it.
const ALL_WORDS: f32 = 0.99;

/// A place that stands for a document.
struct Told {
    document: DocId,
    span: Range<usize>,
    headings: Vec<String>,
}

/// Tells a sentence of each document that holds something, or of each where a summary is asked for.
pub(super) fn answer(
    library: &Library,
    asked: &Asked,
    form: Form,
    files: &[FileRecord],
    coverage: &mut Coverage,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<Answer, Error> {
    let embedder = library.embedder()?;
    let mut told: Vec<Told> = Vec::new();
    for (n, file) in (1..).zip(files) {
        if cancel.is_cancelled() {
            break;
        }
        on_event(AskEvent::Document { n, of: files.len(), path: file.stat.path.clone() });
        on_event(AskEvent::Reading(Reading::Prefill { done: n - 1, total: files.len() }));
        let found = match form {
            Form::Summary => central(asked, &embedder, file)?,
            _ => best(library, asked, &embedder, file)?.into_iter().collect(),
        };
        coverage.read += 1;
        coverage.parts += 1;
        coverage.holding += usize::from(!found.is_empty());
        told.extend(found);
    }
    if told.is_empty() {
        return Ok(not_found(asked.model, asked.hits));
    }
    let mut lines = Vec::new();
    if form != Form::Summary {
        lines.push(format!("{}:", holding(coverage)));
    }
    let mut locator = Locator::new(asked.index);
    let mut citations = Vec::new();
    for (n, Told { document, span, headings }) in (1..).zip(told) {
        let check = locator.check(document, &span)?;
        let place = locator.place(document, span, headings)?;
        let quote = place.quote.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push(format!("- {}: {quote} [{n}]", write::name(&place.path)));
        citations.push(Citation { n, place, kind: Kind::Quoted, check, support: 1.0 });
    }
    on_event(AskEvent::Answer(lines.join("\n")));
    Ok(Answer {
        status: if form == Form::Summary { Status::Partly } else { Status::Answered },
        answer: lines.join("\n"),
        citations,
        usage: Usage::default(),
        timing: Timing::default(),
        ..not_found(asked.model, &[])
    })
}

/// The sentence of a document that answers best, if the document holds an answer at all.
fn best(
    library: &Library,
    asked: &Asked,
    embedder: &Embedder,
    file: &FileRecord,
) -> Result<Option<Told>, Error> {
    let within = vec![file.stat.path.clone()];
    let search =
        SearchOptions { k: N_WEIGHED, within, narrow: Narrow::default(), ..SearchOptions::default() };
    let wanted = Form::topic(asked.question);
    let hits = library.search_in(asked.index, wanted, &search)?;
    let sentences = found::compared(embedder, wanted, &hits)?;
    let signals = found::Signals::of(wanted, &hits, &sentences, embedder)?;
    let holds = signals.window >= ALL_WORDS || signals.verdict(None).0 != Status::NotFound;
    let best = sentences.iter().max_by(|a, b| a.cosine.total_cmp(&b.cosine));
    Ok(best.filter(|_| holds).map(|best| {
        let (document, span) = best.in_document(&hits);
        Told { document, span, headings: hits[best.hit].chunk.heading_path.clone() }
    }))
}

/// The sentences of a document that are nearest to the mean of its sentences, in their order.
fn central(asked: &Asked, embedder: &Embedder, file: &FileRecord) -> Result<Vec<Told>, Error> {
    let snapshot = asked.index.snapshot()?;
    let mut found: Vec<(Told, String)> = Vec::new();
    for (id, _) in snapshot.chunks_of(file.id)? {
        let chunk = snapshot.chunk(id)?;
        for span in cite::sentences(&chunk.text) {
            let text = chunk.text[span.clone()].trim_start_matches(['#', ' ']).to_owned();
            let span = chunk.span.start + span.start..chunk.span.start + span.end;
            let is_known =
                found.iter().any(|(told, _)| told.span.start < span.end && span.start < told.span.end);
            let is_heading = chunk.heading_path.contains(&text);
            if !is_known && !is_heading && cite::says_something(&text) {
                let headings = chunk.heading_path.clone();
                found.push((Told { document: file.id, span, headings }, text));
            }
        }
        if found.len() >= N_SUMMED {
            break;
        }
    }
    found.truncate(N_SUMMED);
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let vectors = embedder.embed(&texts)?; // unit vectors
    let mut chosen = nearest_to_mean(&vectors);
    chosen.truncate(N_SHOWN);
    let is_chosen = |at: usize| chosen.contains(&at);
    Ok(found.into_iter().enumerate().filter(|(at, _)| is_chosen(*at)).map(|(_, (told, _))| told).collect())
}

/// Indices of vectors, the nearest to the mean of all first.
fn nearest_to_mean(vectors: &[Vec<f32>]) -> Vec<usize> {
    let mut mean = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    let nearness = |at: &usize| -> f32 { vectors[*at].iter().zip(&mean).map(|(a, b)| a * b).sum() };
    let mut order: Vec<usize> = (0..vectors.len()).collect();
    order.sort_by(|a, b| nearness(b).total_cmp(&nearness(a)));
    order
}

#[cfg(test)]
mod tests {
    use super::nearest_to_mean;

    #[test]
    fn what_most_sentences_are_about_comes_before_what_one_is_about() {
        let vectors = [vec![0.0, 1.0], vec![1.0, 0.0], vec![0.8, 0.6]];
        assert_eq!(nearest_to_mean(&vectors), [2, 1, 0]);
        assert!(nearest_to_mean(&[]).is_empty());
    }
}

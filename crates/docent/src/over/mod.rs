//! Questions about all documents: each is read whole, and what it says is put together.
//!
//! ```text
//! for each document:                                            (map)
//!     [instructions][its passages, all of them][question: what does it say about this?] ──▶ note
//!     sentences of the note that the document does not support are dropped; no sentence left, no note
//! [instructions][notes, numbered][question] ──▶ answer          (reduce; where notes exceed the budget, in groups first)
//! each sentence of the answer is held against the whole documents that the notes are from
//! ```
//!
//! A document longer than the budget is read in parts. Instructions and documents stand as in any other prompt, so what was read before of a
//! document that fits comes from the prefix store, and the next question about all documents reads nothing again. A list of documents needs
//! no reduce: what was found in each is told as it is. A model too small to write chooses a sentence of each document instead.

mod form;
mod notes;
mod sentences;

use std::time::Instant;

use docent_index::{FileRecord, Index};
use docent_infer::Cancel;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Citation, Status, Timing};
use crate::ask::{AskEvent, AskOptions, Asked, not_found};
use crate::cite::{self, Findings, Source};
use crate::locate::Locator;
use crate::warm::files_in;
use crate::{Error, Library};
use notes::{Note, Reader};

pub use form::Form;

/// What a question about all documents read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Coverage {
    /// Documents that the question was asked about.
    pub documents: usize,
    /// Those of them that were read; fewer where it was stopped.
    pub read: usize,
    /// Those that hold something about it.
    pub holding: usize,
    /// Prompts they were read in: more than documents where one is longer than the budget.
    pub parts: usize,
    /// Tokens of all prompts.
    pub tokens: usize,
    /// Those of them that were not computed again.
    pub cached_tokens: usize,
}

/// What a question about all documents would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Documents.
    pub documents: usize,
    /// Bytes of their text.
    pub bytes: u64,
    /// About so many tokens.
    pub tokens: usize,
    /// Tokens of evidence that the model is given at once.
    pub budget: usize,
}

/// Bytes of a token in English prose.
const BYTES_PER_TOKEN: u64 = 4;

impl Library {
    /// What [`Library::ask_over`] would read.
    ///
    /// # Errors
    /// [`Error::Empty`] before anything was indexed; a missing model.
    pub fn reach(&self, options: &AskOptions) -> Result<Reach, Error> {
        let model = self.choose_model(&options.model)?;
        let index = self.open_index()?;
        let files = files_in(&index.snapshot()?, &options.narrow.filter(&options.within))?;
        let bytes = files.iter().map(|file| file.n_bytes_text).sum();
        let tokens = usize::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(usize::MAX);
        let budget = crate::write::room(&model, options).0;
        Ok(Reach { documents: files.len(), bytes, tokens, budget })
    }

    /// Answers a question from all documents that `options` leave, each of them read whole. Where it is stopped, what was read so far is
    /// put together and [`Coverage`] says how much that was.
    ///
    /// # Errors
    /// As [`Library::ask`].
    pub fn ask_over(
        &self,
        question: &str,
        options: &AskOptions,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Answer, Error> {
        let start = Instant::now();
        let model = self.choose_model(&options.model)?;
        let index = self.open_index()?;
        let files = files_in(&index.snapshot()?, &options.narrow.filter(&options.within))?;
        let hits = self.search_in(&index, question, &options.candidates())?;
        let loading = Instant::now();
        let engine = self.engine(&model, options.kv_type)?;
        let prefixes = match options.style.quotes(&model) {
            true => None,
            false => self.prefixes(&engine, &mut |reading| on_event(AskEvent::Reading(reading))),
        };
        let load_s = loading.elapsed().as_secs_f64();
        let asked = Asked {
            question,
            index: &index,
            hits: &hits,
            model: &model,
            engine: &engine,
            prefixes: prefixes.as_ref(),
            options,
        };
        let mut coverage = Coverage { documents: files.len(), ..Coverage::default() };
        let form = Form::of(question).unwrap_or(Form::Each);
        let answer = match options.style.quotes(&model) {
            true => sentences::answer(self, &asked, form, &files, &mut coverage, cancel, on_event)?,
            false => written(self, &asked, form, &files, &mut coverage, cancel, on_event)?,
        };
        let total_s = start.elapsed().as_secs_f64();
        let timing = Timing { load_s, total_s, first_token_s: answer.timing.first_token_s, ..answer.timing };
        let answer = Answer { timing, coverage: Some(coverage), ..answer };
        if cancel.is_cancelled() {
            return Ok(answer);
        }
        Ok(self.named(question, None, answer, on_event))
    }
}

/// Reads every document, and puts together what they say.
fn written(
    library: &Library,
    asked: &Asked,
    form: Form,
    files: &[FileRecord],
    coverage: &mut Coverage,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<Answer, Error> {
    let start = Instant::now();
    let mut reader = Reader::new(library, asked, cancel);
    let mut notes: Vec<Note> = Vec::new();
    for (n, file) in (1..).zip(files) {
        if cancel.is_cancelled() {
            break;
        }
        let path = file.stat.path.clone();
        on_event(AskEvent::Document { n, of: files.len(), path });
        let found = reader.read(file, on_event)?;
        if cancel.is_cancelled() {
            break;
        }
        coverage.read += 1;
        notes.extend(found);
    }
    let documents = documents(&notes);
    coverage.holding = documents.len();
    let text = match form {
        _ if notes.is_empty() => String::new(),
        Form::Which => listed(&notes, &documents, coverage),
        // What was read before it was stopped is worth telling; the model is not to go on.
        _ if cancel.is_cancelled() => listed(&notes, &documents, coverage),
        _ => reader.put_together(&notes, &documents, on_event)?,
    };
    (coverage.parts, coverage.tokens, coverage.cached_tokens) = reader.counts();
    let usage = reader.usage();
    let first_token_s = start.elapsed().as_secs_f64();
    let timing = Timing { first_token_s, ..reader.timing() };
    if text.is_empty() {
        return Ok(Answer { usage, timing, ..not_found(asked.model, asked.hits) });
    }
    if form == Form::Which || cancel.is_cancelled() {
        on_event(AskEvent::Answer(text.clone()));
    }
    let answer = checked(asked, &documents, text)?;
    Ok(Answer { usage, timing, ..answer })
}

/// The documents that notes are from, in order, each once.
fn documents(notes: &[Note]) -> Vec<FileRecord> {
    let mut documents: Vec<FileRecord> = Vec::new();
    for note in notes {
        if documents.iter().all(|known| known.id != note.file.id) {
            documents.push(note.file.clone());
        }
    }
    documents
}

/// The documents and what is in them, as they are.
fn listed(notes: &[Note], documents: &[FileRecord], coverage: &Coverage) -> String {
    let mut lines = vec![format!("{}:", holding(coverage))];
    for (n, document) in (1..).zip(documents) {
        let said: Vec<&str> =
            notes.iter().filter(|note| note.file.id == document.id).map(|note| note.text.as_str()).collect();
        lines.push(format!("- {}: {} [{n}]", crate::write::name(&document.stat.path), said.join(" ")));
    }
    lines.join("\n")
}

/// "3 of 12 documents hold something about this"
fn holding(coverage: &Coverage) -> String {
    let (holding, read) = (coverage.holding, coverage.read);
    let hold = if holding == 1 { "holds" } else { "hold" };
    format!("{holding} of {read} documents {hold} something about this")
}

/// Holds an answer against the whole documents it was made from; the first has number 1.
fn checked(asked: &Asked, documents: &[FileRecord], text: String) -> Result<Answer, Error> {
    let texts =
        documents.iter().map(|file| asked.index.document_text(file.id)).collect::<Result<Vec<_>, _>>()?;
    let sources: Vec<Source<'_>> =
        (1..).zip(&texts).map(|(number, text)| Source { number, text: text.as_str() }).collect();
    let declined = cite::declines(&text);
    let findings = if declined { Findings::default() } else { cite::check(asked.question, &text, &sources) };
    let citations = citations(asked.index, documents, &findings)?;
    let status = match (declined || citations.is_empty(), findings.all_supported()) {
        (true, _) => Status::NotFound,
        (false, true) => Status::Answered,
        (false, false) => Status::Partly,
    };
    let unsupported = findings.unsupported.iter().map(|range| text[range.clone()].to_owned()).collect();
    let hits = if status == Status::NotFound { asked.hits } else { &[] };
    Ok(Answer {
        status,
        unsupported,
        failed_quotes: findings.failed_quotes,
        answer: text,
        citations,
        ..not_found(asked.model, hits)
    })
}

fn citations(index: &Index, documents: &[FileRecord], findings: &Findings) -> Result<Vec<Citation>, Error> {
    let snapshot = index.snapshot()?;
    let mut locator = Locator::new(index);
    let mut citations = Vec::new();
    for finding in &findings.citations {
        let Some(file) = documents.get(finding.number.wrapping_sub(1)) else { continue };
        let chunks = snapshot.chunks_of(file.id)?;
        let around = chunks.iter().rfind(|(_, span)| span.start <= finding.span.start);
        let headings = match around {
            Some((id, _)) => snapshot.chunk(*id)?.heading_path,
            None => Vec::new(),
        };
        let check = locator.check(file.id, &finding.span)?;
        citations.push(Citation {
            n: finding.number,
            place: locator.place(file.id, finding.span.clone(), headings)?,
            kind: finding.kind,
            check,
            support: finding.support,
        });
    }
    Ok(citations)
}

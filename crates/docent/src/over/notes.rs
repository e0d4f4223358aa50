//! What a writing model notes of each document, and how notes become an answer.

use std::ops::Range;

use docent_index::FileRecord;
use docent_infer::{Cancel, GenerateOptions, Generated};
use docent_pack::{Frame, Order, Packed, Passage, Reason};
use docent_prefix::Owner;

use crate::answer::{Timing, Usage};
use crate::ask::{AskEvent, Asked};
use crate::chat::template_of;
use crate::cite::{self, Source};
use crate::prompt::Surroundings;
use crate::warm::whole;
use crate::write::{self, Laid, Plan, passages};
use crate::{Error, Library, kept};

/// Tokens of a note; a model that reasons may take more before it.
const NOTE_TOKENS: usize = 128;
/// Groups of groups of notes, at most: with some twenty notes to a group, more than any folder has documents.
const MOST_LEVELS: usize = 6;

/// What is asked of each document.
const NOTE: &str = "\n\nThe documents above are one file of several. Say in at most three short sentences what this file says that helps \
    with the question. If it says nothing about it, say: \"This is not in your documents.\"";
/// What is asked of the notes.
const PUT_TOGETHER: &str =
    "\n\nEach document above is a note on what one file says. Answer the question from all of them together.";

/// What a document, or a part of it, says about a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub file: FileRecord,
    /// Sentences that the document supports.
    pub text: String,
}

/// Reads documents one after the other.
pub(super) struct Reader<'a> {
    library: &'a Library,
    asked: &'a Asked<'a>,
    cancel: &'a Cancel,
    plan: Plan,
    n_parts: usize,
    usage: Usage,
    timing: Timing,
}

impl<'a> Reader<'a> {
    pub(super) fn new(library: &'a Library, asked: &'a Asked<'a>, cancel: &'a Cancel) -> Self {
        let plan = Plan::new(asked.model, asked.options, asked.prefixes);
        Self { library, asked, cancel, plan, n_parts: 0, usage: Usage::default(), timing: Timing::default() }
    }

    /// Prompts, their tokens, and those of them that were not computed again.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.n_parts, self.usage.prompt_tokens, self.usage.cached_tokens)
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn timing(&self) -> Timing {
        self.timing
    }

    /// What a document says about the question: a note for each part of it that says something.
    pub(super) fn read(
        &mut self,
        file: &FileRecord,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Vec<Note>, Error> {
        let hits = whole(&self.asked.index.snapshot()?, std::slice::from_ref(file), usize::MAX)?;
        let mut to_read = passages(&hits.unwrap_or_default());
        let mut notes = Vec::new();
        while !to_read.is_empty() && !self.cancel.is_cancelled() {
            let packed = self.pack(NOTE, to_read, true)?;
            to_read = over_budget(&packed);
            if packed.passages.is_empty() {
                break; // not one of them fits
            }
            let owners = kept::owners(self.library.settings(), &packed, std::slice::from_ref(file));
            let generated =
                self.generate(&packed, &owners, self.note_options(), &mut |event| match event {
                    AskEvent::Answer(_) | AskEvent::Thinking(_) => (), // a note is not the answer
                    event => on_event(event),
                })?;
            notes.extend(self.note(file, &packed, &generated));
        }
        Ok(notes)
    }

    /// The supported sentences of what the model said of a document.
    fn note(&self, file: &FileRecord, packed: &Packed, generated: &Generated) -> Option<Note> {
        let said = generated.text.trim();
        if cite::declines(said) {
            return None;
        }
        let sources: Vec<Source<'_>> =
            packed.passages.iter().map(|p| Source { number: p.number, text: &p.passage.text }).collect();
        let findings = cite::check(self.asked.question, said, &sources);
        let mut supported: Vec<Range<usize>> =
            findings.citations.iter().map(|finding| finding.sentence.clone()).collect();
        supported.sort_by_key(|range| range.start);
        supported.dedup();
        let sentences: Vec<String> =
            supported.into_iter().map(|range| cite::without_marks(&said[range]).trim().to_owned()).collect();
        (!sentences.is_empty()).then(|| Note { file: file.clone(), text: sentences.join(" ") })
    }

    /// The answer from all notes. A document is told by its number among `documents`.
    pub(super) fn put_together(
        &mut self,
        notes: &[Note],
        documents: &[FileRecord],
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<String, Error> {
        let said = documents.iter().enumerate().map(|(rank, file)| {
            let said: Vec<&str> =
                notes.iter().filter(|note| note.file.id == file.id).map(|note| note.text.as_str()).collect();
            noted(rank, &write::name(&file.stat.path), said.join(" "))
        });
        let mut notes: Vec<Passage> = said.collect();
        let mut is_numbered = true;
        for _ in 0..MOST_LEVELS {
            let packed = self.pack(PUT_TOGETHER, notes.clone(), is_numbered)?;
            let others = over_budget(&packed);
            if others.is_empty() {
                let options = self.plan.generation.clone();
                let generated = self.generate(&packed, &[], options, on_event)?;
                let text = generated.text.trim().to_owned();
                // Numbers of groups name no document.
                return Ok(if is_numbered { text } else { cite::without_marks(&text) });
            }
            notes = self.grouped(packed, others, on_event)?;
            is_numbered = false;
        }
        Ok(notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>().join("\n"))
    }

    /// One note from as many as fit, and so on.
    fn grouped(
        &mut self,
        first: Packed,
        mut others: Vec<Passage>,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Vec<Passage>, Error> {
        let mut packed = first;
        let mut groups = Vec::new();
        loop {
            let generated = self.generate(&packed, &[], self.note_options(), &mut |event| match event {
                AskEvent::Answer(_) | AskEvent::Thinking(_) => (),
                event => on_event(event),
            })?;
            let names: Vec<&str> = packed.passages.iter().map(|p| p.passage.name.as_str()).collect();
            let said = cite::without_marks(generated.text.trim());
            groups.push(noted(groups.len(), &names.join(", "), said));
            if others.is_empty() || self.cancel.is_cancelled() {
                return Ok(groups);
            }
            packed = self.pack(PUT_TOGETHER, others, true)?;
            others = over_budget(&packed);
            if packed.passages.is_empty() {
                return Ok(groups);
            }
        }
    }

    fn note_options(&self) -> GenerateOptions {
        let options = self.plan.generation.clone();
        let thinking = options.max_thinking.unwrap_or(0);
        GenerateOptions { max_tokens: options.max_tokens.min(NOTE_TOKENS + thinking), ..options }
    }

    /// Passages in their order under the instructions, with the question and what is wanted behind them.
    fn pack(&self, wanted: &str, passages: Vec<Passage>, numbered: bool) -> Result<Packed, Error> {
        let tokenizer = self.asked.engine.model().tokenizer();
        let brief = self.plan.brief;
        let surroundings = Surroundings::render(template_of(self.asked.engine)?, tokenizer, brief)?;
        let question = format!("{}{wanted}", self.asked.question);
        let after = |_: &[usize]| surroundings.after(&question, &[], tokenizer);
        let frame = Frame {
            before: surroundings.before.clone(),
            after: &after,
            numbered: numbered && !brief,
            kept: &[],
            first_number: 1,
        };
        let plain = |text: &str| tokenizer.encode(text);
        Ok(docent_pack::pack(&frame, passages, self.plan.budget, Order::Canonical, &plain)?)
    }

    fn generate(
        &mut self,
        packed: &Packed,
        owners: &[(Range<usize>, Owner)],
        options: GenerateOptions,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Generated, Error> {
        let mut session = self.asked.engine.session();
        // Notes are answers: nothing of them is kept.
        let is_kept = !owners.is_empty();
        let unkept = Packed { documents_end: packed.documents_start, ..packed.clone() };
        let laid = Laid { packed: if is_kept { packed } else { &unkept }, owners, session: &mut session };
        let generated = write::generate(self.asked, laid, &options, self.cancel, on_event)?;
        self.n_parts += usize::from(is_kept);
        self.usage.prompt_tokens += generated.usage.prompt_tokens;
        self.usage.cached_tokens += generated.usage.cached_tokens;
        self.usage.completion_tokens += generated.usage.completion_tokens;
        self.usage.thinking_tokens += generated.usage.thinking_tokens;
        self.timing.prefill_s += generated.timing.prefill_s;
        self.timing.restore_s += generated.timing.restore_s;
        self.timing.decode_s += generated.timing.decode_s;
        Ok(generated)
    }
}

/// A note as a passage of a document of its own.
fn noted(rank: usize, name: &str, text: String) -> Passage {
    let (span, name) = (0..text.len(), name.to_owned());
    // The name decides the order, which is to be that of the documents.
    Passage { document: rank as u64, name, heading_path: Vec::new(), span, text, rank }
}

fn over_budget(packed: &Packed) -> Vec<Passage> {
    let is_over = |left_out: &&docent_pack::LeftOut| left_out.reason == Reason::OverBudget;
    packed.left_out.iter().filter(is_over).map(|left_out| left_out.passage.clone()).collect()
}

#[cfg(test)]
mod tests {
    use docent_pack::PackedPassage;

    use super::*;

    #[test]
    fn what_had_no_room_is_read_next_and_what_is_repeated_is_not() {
        let passage = |rank| noted(rank, "a.md", format!("Text {rank}."));
        let left_out = |rank, reason| docent_pack::LeftOut { passage: passage(rank), reason };
        let packed = Packed {
            tokens: vec![],
            documents_start: 0,
            documents_end: 0,
            passages: vec![PackedPassage { number: 1, passage: passage(0), tokens: 0..0 }],
            left_out: vec![left_out(1, Reason::OverBudget), left_out(2, Reason::Repeated)],
        };
        assert_eq!(over_budget(&packed), [passage(1)]);
    }
}

//! Conversations about documents: questions that follow each other, over what was read before.
//!
//! ```text
//! [BOS][instructions][documents][question 1]  reply 1  [more documents][question 2]  reply 2  [question 3] …
//!  └──────── kept on disk, as of any question ──────┘└──────────── in the session alone ──────────────────┘
//! ```
//!
//! A turn adds what the search finds for it and the conversation has not read yet, behind all that was said: so the model computes only
//! what is new. Where it no longer fits the model's context, the conversation begins anew with the last question and its documents.
//!
//! A model too small to write quotes sentences here too, and reads nothing twice anyway.

mod follow_up;
mod turn;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use docent_index::{FileRecord, Index};
use docent_infer::{Cancel, Engine, Prefixes, Session};
use docent_pack::{Budget, Packed, PackedPassage};
use docent_prefix::Owner;
use docent_retrieve::Hit;

use crate::answer::{Answer, Timing};
use crate::ask::{AskEvent, AskOptions, Asked, not_found};
use crate::chat::template_of;
use crate::history::MadeFrom;
use crate::journal;
use crate::models::ChosenModel;
use crate::prompt::{Dialogue, Turned};
use crate::replay::Sources;
use crate::warm::files_in;
use crate::write::{self, Laid, Plan};
use crate::{Difference, Error, Library, found, kept, quote};

pub use follow_up::standing_alone;
pub use turn::{ConversationInfo, Turn};

/// What part of the budget the documents of a later turn may take.
const FOLLOW_UP_SHARE: usize = 4;
/// Passages of a follow-up that are held against what was read, and offered where they were not.
const FOLLOW_UP_HITS: usize = 12;
/// Passages told to the model as the ones that matter most.
const N_TOLD: usize = 3;

/// A conversation about documents.
pub struct Talk<'a> {
    library: &'a Library,
    options: AskOptions,
    model: ChosenModel,
    engine: Arc<Engine>,
    prefixes: Option<Prefixes>,
    index: Arc<Index>,
    id: String,
    said: Vec<Said>,
    /// Question as it was searched for, and answer, of the turn before; also where the model began anew.
    before: Option<(String, String)>,
    session: Session,
}

/// A turn as the model has it before it.
#[derive(Debug, Clone, Default)]
struct Said {
    question: String,
    documents: Vec<u32>,
    /// Their token ranges count from the beginning of `documents`.
    passages: Vec<PackedPassage>,
    numbers: Vec<usize>,
    reply: String,
}

impl Library {
    /// Begins a conversation about documents.
    ///
    /// # Errors
    /// [`Error::Empty`] before anything was indexed; a missing model.
    pub fn talk(&self, options: &AskOptions, on_event: &mut dyn FnMut(AskEvent)) -> Result<Talk<'_>, Error> {
        let model = self.choose_model(&options.model)?;
        let index = self.open_index()?;
        let engine = self.engine(&model, options.kv_type)?;
        let prefixes = match options.style.quotes(&model) {
            true => None,
            false => self.prefixes(&engine, &mut |reading| on_event(AskEvent::Reading(reading))),
        };
        let session = engine.session();
        let id = journal::new_id(&model.name, journal::now());
        Ok(Talk {
            library: self,
            options: options.clone(),
            model,
            engine,
            prefixes,
            index,
            id,
            said: Vec::new(),
            before: None,
            session,
        })
    }

    /// Takes a conversation up again. Documents that have changed since are named, and left out of what the model has before it.
    ///
    /// # Errors
    /// As [`Library::talk`]; [`Error::NoSuchConversation`].
    pub fn resume(
        &self,
        id: &str,
        options: &AskOptions,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<(Talk<'_>, Vec<Difference>), Error> {
        let turns = self.conversation(id)?;
        let mut talk = self.talk(options, on_event)?;
        let mut differences: Vec<Difference> = Vec::new();
        for turn in &turns {
            talk.id.clone_from(&turn.conversation);
            talk.before = Some((turn.searched.clone(), turn.answer.answer.clone()));
            if turn.anew {
                talk.said.clear();
            }
            if turn.passages.is_empty() && talk.said.is_empty() {
                continue; // it was answered by quoting
            }
            let snapshot = talk.index.snapshot()?;
            let (sources, changed) = Sources::find(&snapshot, &turn.passages)?;
            let passages = sources.passages(&snapshot, &turn.passages)?;
            differences.extend(changed);
            let brief = talk.plan().brief;
            let laid = write::lay_out(&talk.engine, brief, talk.next_number(), &passages);
            talk.said.push(Said {
                question: turn.question.clone(),
                documents: laid.tokens,
                passages: laid.passages,
                numbers: turn.numbers.clone(),
                reply: turn.answer.answer.clone(),
            });
        }
        let mut seen = std::collections::HashSet::new();
        differences.retain(|difference| seen.insert(difference.to_string()));
        Ok((talk, differences))
    }
}

impl Talk<'_> {
    /// The conversation's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Answers the next question, and writes the turn down where the settings ask for it. A turn that was cancelled was never said.
    ///
    /// # Errors
    /// As [`Library::ask`]. What was said before stays said; `question` does not.
    pub fn ask(
        &mut self,
        question: &str,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Answer, Error> {
        let start = Instant::now();
        let searched = match &self.before {
            Some((before, answer)) => follow_up::standalone(question, before, answer),
            None => None,
        };
        if let Some(searched) = &searched {
            on_event(AskEvent::Searched(searched.clone()));
        }
        let searched = searched.unwrap_or_else(|| question.to_owned());
        let hits = self.library.search_in(&self.index, &searched, &self.options.candidates())?;
        let retrieve_s = start.elapsed().as_secs_f64();
        let answered = match hits.is_empty() && self.said.is_empty() {
            true => Ok((not_found(&self.model, &hits), Vec::new(), false)),
            _ if self.options.style.quotes(&self.model) => {
                self.quoted(question, &searched, &hits, cancel, on_event)
            }
            _ => self.written(question, &searched, &hits, cancel, on_event),
        };
        let (answer, passages, anew) = match answered {
            Ok(answered) if !cancel.is_cancelled() => answered,
            stopped => {
                self.said.retain(|said| !said.reply.is_empty());
                return stopped.map(|(answer, ..)| answer);
            }
        };
        let timing = Timing { retrieve_s, total_s: start.elapsed().as_secs_f64(), ..answer.timing };
        let timing = Timing { first_token_s: timing.first_token_s + retrieve_s, ..timing };
        let answer = Answer { timing, ..answer };
        self.before = Some((searched.clone(), answer.answer.clone()));
        let turn = Turn {
            conversation: self.id.clone(),
            asked_at: journal::now().as_secs(),
            collection: self.library.settings().collection.clone(),
            within: self.options.within.clone(),
            model: self.model.to_choose(),
            question: question.to_owned(),
            searched,
            passages,
            numbers: self.said.last().map(|said| said.numbers.clone()).unwrap_or_default(),
            anew,
            answer: answer.clone(),
        };
        if let Err(error) = self.library.write_turn(&turn) {
            on_event(AskEvent::NotWrittenDown(error.to_string()));
        }
        Ok(answer)
    }

    fn quoted(
        &self,
        question: &str,
        searched: &str,
        hits: &[Hit],
        cancel: &Cancel,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<(Answer, Vec<MadeFrom>, bool), Error> {
        let embedder = self.library.embedder()?;
        let said = (question != searched).then_some(question);
        let answer = quote::answer(&self.asked(searched, hits), said, &embedder, cancel, on_event)?;
        Ok((answer, Vec::new(), true))
    }

    fn written(
        &mut self,
        question: &str,
        searched: &str,
        hits: &[Hit],
        cancel: &Cancel,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<(Answer, Vec<MadeFrom>, bool), Error> {
        let plan = self.plan();
        let snapshot = self.index.snapshot()?;
        let files = files_in(&snapshot, &self.options.narrow.filter(&self.options.within))?;
        drop(snapshot);
        let mut said = self.next_turn(question, hits, &plan, &files)?;
        let mut anew = self.said.is_empty();
        let mut dialogue = self.dialogue(&said, plan.brief)?;
        let Budget { context, reserved, .. } = plan.budget;
        if dialogue.tokens.len() + reserved > context && !anew {
            on_event(AskEvent::BegunAnew { n_turns: self.said.len() });
            self.said.clear();
            said = self.next_turn(question, hits, &plan, &files)?;
            dialogue = self.dialogue(&said, plan.brief)?;
            anew = true;
        }
        self.said.push(said);
        let packed = self.packed(dialogue);
        let owners = self.owners(&packed, &files);
        let signals = found::signals(searched, hits, &*self.library.embedder()?)?;
        let mut session = std::mem::replace(&mut self.session, self.engine.session());
        let laid = Laid { packed: &packed, owners: &owners, session: &mut session };
        let answered =
            write::from_prompt(&self.asked(question, hits), laid, &plan.generation, cancel, on_event);
        self.session = session;
        let mut answer = answered?;
        if !cancel.is_cancelled() {
            write::weigh(&mut answer, signals, hits);
        }
        let Some(last) = self.said.last_mut() else { return Ok((answer, Vec::new(), anew)) };
        last.reply.clone_from(&answer.answer);
        let passages = write::made_from(&last.passages, &files);
        Ok((answer, passages, anew))
    }

    /// The next turn: what the search found and was not read yet.
    fn next_turn(
        &self,
        question: &str,
        hits: &[Hit],
        plan: &Plan,
        files: &[FileRecord],
    ) -> Result<Said, Error> {
        let laid = if self.said.is_empty() {
            let packed = write::pack_prompt(self.library, &self.asked(question, hits), plan, files)?;
            let start = packed.documents_start;
            let tokens = packed.tokens[start..packed.documents_end].to_vec();
            let moved = |mut passage: PackedPassage| {
                passage.tokens = passage.tokens.start - start..passage.tokens.end - start;
                passage
            };
            Documents { tokens, passages: packed.passages.into_iter().map(moved).collect() }
        } else {
            let is_new = |hit: &&Hit| !self.said.iter().any(|said| position(&said.passages, hit).is_some());
            let new: Vec<Hit> = hits.iter().take(FOLLOW_UP_HITS).filter(is_new).cloned().collect();
            let evidence = plan.budget.evidence / FOLLOW_UP_SHARE;
            write::lay_out_within(&self.engine, plan, self.next_number(), &new, evidence)?
        };
        let mut numbers: Vec<usize> = Vec::new();
        let all = || self.said.iter().flat_map(|said| &said.passages).chain(&laid.passages);
        for hit in hits {
            let found = all().find(|packed| holds(packed, hit)).map(|packed| packed.number);
            if let Some(number) = found.filter(|number| !numbers.contains(number)) {
                numbers.push(number);
            }
            if numbers.len() == N_TOLD {
                break;
            }
        }
        let Documents { tokens, passages } = laid;
        Ok(Said { question: question.to_owned(), documents: tokens, passages, numbers, reply: String::new() })
    }

    fn dialogue(&self, next: &Said, brief: bool) -> Result<Dialogue, Error> {
        fn turned<'a>(said: &'a Said, reply: Option<&'a str>) -> Turned<'a> {
            Turned { question: &said.question, documents: &said.documents, numbers: &said.numbers, reply }
        }
        let turns: Vec<Turned<'_>> = self
            .said
            .iter()
            .map(|said| turned(said, Some(&said.reply)))
            .chain([turned(next, None)])
            .collect();
        Dialogue::render(template_of(&self.engine)?, self.engine.model().tokenizer(), brief, &turns)
    }

    /// The whole conversation as one prompt. Only the passages of the first turn have their places told: what follows is not kept.
    fn packed(&self, dialogue: Dialogue) -> Packed {
        let Range { start, end } = dialogue.documents;
        let moved = |packed: &PackedPassage| {
            let tokens = packed.tokens.start + start..packed.tokens.end + start;
            PackedPassage { tokens, ..packed.clone() }
        };
        let first = self.said.first().into_iter().flat_map(|said| said.passages.iter().map(moved));
        let later = self.said.iter().skip(1).flat_map(|said| said.passages.iter().cloned());
        let nowhere = |packed: PackedPassage| PackedPassage { tokens: end..end, ..packed };
        Packed {
            passages: first.chain(later.map(nowhere)).collect(),
            tokens: dialogue.tokens,
            documents_start: start,
            documents_end: end,
            left_out: Vec::new(),
        }
    }

    /// Whose the documents of the first turn are.
    fn owners(&self, packed: &Packed, files: &[FileRecord]) -> Vec<(Range<usize>, Owner)> {
        let n_first = self.said.first().map_or(0, |said| said.passages.len());
        let first = Packed { passages: packed.passages[..n_first].to_vec(), ..packed.clone() };
        kept::owners(self.library.settings(), &first, files)
    }

    fn asked<'b>(&'b self, question: &'b str, hits: &'b [Hit]) -> Asked<'b> {
        Asked {
            question,
            index: &self.index,
            hits,
            model: &self.model,
            engine: &self.engine,
            prefixes: self.prefixes.as_ref(),
            options: &self.options,
        }
    }

    fn plan(&self) -> Plan {
        Plan::new(&self.model, &self.options, self.prefixes.as_ref())
    }

    /// The number of the next passage.
    fn next_number(&self) -> usize {
        1 + self.said.iter().map(|said| said.passages.len()).sum::<usize>()
    }
}

/// Passages as they stand in a turn.
pub(crate) struct Documents {
    pub tokens: Vec<u32>,
    /// Their token ranges count from the beginning of `tokens`.
    pub passages: Vec<PackedPassage>,
}

/// Where among `passages` a hit was read.
fn position(passages: &[PackedPassage], hit: &Hit) -> Option<usize> {
    passages.iter().position(|packed| holds(packed, hit))
}

fn holds(packed: &PackedPassage, hit: &Hit) -> bool {
    let (passage, chunk) = (&packed.passage, &hit.chunk);
    let is_inside = passage.document == chunk.doc.0
        && passage.span.start <= chunk.span.start
        && chunk.span.end <= passage.span.end;
    is_inside || passage.text.contains(chunk.text.trim())
}

//! Answering in the model's own words: pack, read, generate, check.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use docent_index::{DocId, FileRecord, Index, Snapshot};
use docent_infer::{
    Cancel, Engine, Event, Finish, GenerateOptions, Generated, Prefixes, Prompt, Sampling, Session,
};
use docent_pack::{Budget, Frame, Kept, Order, Packed, PackedPassage, Passage, Reason};
use docent_prefix::Owner;
use docent_retrieve::Hit;

use crate::answer::{Answer, Check, Citation, Status, Timing, Usage};
use crate::ask::{AskEvent, AskOptions, Asked, Evidence, SMALL_BUDGET, nearest};
use crate::chat::template_of;
use crate::cite::{self, Findings, Source};
use crate::converse::Documents;
use crate::found::{self, Signals, Written};
use crate::history::{How, Made, MadeBy, MadeFrom};
use crate::kept;
use crate::locate::Locator;
use crate::models::ChosenModel;
use crate::prompt::Surroundings;
use crate::warm::{files_in, whole};
use crate::{Error, Library};

/// What suits a small model, whose writing ends in repetition: no randomness, and little room.
const BRIEF_PENALTY: f32 = 1.1;
const BRIEF_ANSWER_TOKENS: usize = 96;
/// Bytes of the best passages that stand before a section, for each token of the budget: a quarter of it in English, a little more in
/// other scripts.
const BEST_BYTES_PER_TOKEN: usize = 1;
/// Bytes of a document's section for each token of the budget.
const SECTION_BYTES_PER_TOKEN: usize = 1;
/// The most passages of a section: some pages.
const SECTION_PASSAGES: usize = 12;

/// Answers from as many passages as the model's budget holds, and says how. Its timing counts from here.
pub(crate) fn answer(
    library: &Library,
    asked: &Asked,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<(Answer, Made), Error> {
    let start = Instant::now();
    let plan = Plan::new(asked.model, asked.options, asked.prefixes);
    let files = files_in(&asked.index.snapshot()?, &asked.options.narrow.filter(&asked.options.within))?;
    let packed = pack_prompt(library, asked, &plan, &files)?;
    let made = made(asked, &packed, &plan.generation, &files);
    let signals = found::signals(asked.question, asked.hits, &*library.embedder()?)?;
    let owners = kept::owners(&library.settings, &packed, &files);
    let laid = Laid { packed: &packed, owners: &owners, session: &mut asked.engine.session() };
    let mut answer = from_prompt(asked, laid, &plan.generation, cancel, on_event)?;
    if !cancel.is_cancelled() {
        weigh(&mut answer, signals, asked.hits);
    }
    answer.timing.first_token_s += start.elapsed().as_secs_f64() - answer.timing.total_s;
    Ok((answer, made))
}

/// A prompt that is laid out, whose content it holds where, and the session that is to read it.
pub(crate) struct Laid<'a> {
    pub packed: &'a Packed,
    pub owners: &'a [(Range<usize>, Owner)],
    pub session: &'a mut Session,
}

/// Reads a packed prompt, generates, and checks what was generated. Its timing, `total_s` too, counts from here.
pub(crate) fn from_prompt(
    asked: &Asked,
    laid: Laid<'_>,
    generation: &GenerateOptions,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<Answer, Error> {
    let start = Instant::now();
    let Laid { packed, owners, session } = laid;
    let generated = generate(asked, Laid { packed, owners, session }, generation, cancel, on_event)?;
    let timing = Timing {
        prefill_s: generated.timing.prefill_s,
        restore_s: generated.timing.restore_s,
        first_token_s: generated.timing.time_to_first_token_s,
        decode_s: generated.timing.decode_s,
        ..Timing::default()
    };
    let answer = checked(asked, packed, generated)?;
    Ok(Answer { timing: Timing { total_s: start.elapsed().as_secs_f64(), ..timing }, ..answer })
}

/// Reads a packed prompt and generates.
pub(crate) fn generate(
    asked: &Asked,
    laid: Laid<'_>,
    generation: &GenerateOptions,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<Generated, Error> {
    let Laid { packed, owners, session } = laid;
    on_event(AskEvent::Packed {
        prompt_tokens: packed.tokens.len(),
        n_passages: packed.passages.len(),
        n_left_out: packed.left_out.len(),
    });
    let prompt = Prompt {
        tokens: &packed.tokens,
        n_frozen: packed.documents_start,
        n_kept: packed.documents_end,
        owners,
    };
    let told = &mut |event| match event {
        Event::Reading(reading) => on_event(AskEvent::Reading(reading)),
        Event::Thinking(text) => on_event(AskEvent::Thinking(text)),
        Event::Answer(text) => on_event(AskEvent::Answer(text)),
    };
    Ok(asked.engine.generate_kept(session, &prompt, asked.prefixes, generation, cancel, told)?)
}

/// What it takes to make the prompt, and the answer behind it, again.
fn made(asked: &Asked, packed: &Packed, generation: &GenerateOptions, files: &[FileRecord]) -> Made {
    Made {
        how: How::Written {
            sampling: generation.sampling.clone(),
            max_tokens: generation.max_tokens,
            max_thinking: generation.max_thinking,
            prompt_hash: prompt_hash(packed),
        },
        model: MadeBy::now(asked),
        passages: made_from(&packed.passages, files),
    }
}

/// What it takes to find packed passages again.
pub(crate) fn made_from(passages: &[PackedPassage], files: &[FileRecord]) -> Vec<MadeFrom> {
    let files: HashMap<u64, &FileRecord> = files.iter().map(|file| (file.id.0, file)).collect();
    let made_from = |packed: &PackedPassage| {
        let passage = &packed.passage;
        files.get(&passage.document).map(|file| MadeFrom {
            path: file.stat.path.clone(),
            hash: file.hash.as_ref().map(|hash| blake3::Hash::from_bytes(*hash).to_string()),
            byte_start: passage.span.start,
            byte_end: passage.span.end,
            heading_path: passage.heading_path.clone(),
            rank: passage.rank,
            score: 0.0,
            cosine: None,
        })
    };
    passages.iter().filter_map(made_from).collect()
}

/// BLAKE3 of a prompt's tokens.
pub(crate) fn prompt_hash(packed: &Packed) -> String {
    let bytes: Vec<u8> = packed.tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    blake3::hash(&bytes).to_string()
}

/// Budgets and sampling, from the model's own values and what the caller asked for.
pub(crate) struct Plan {
    pub(crate) budget: Budget,
    pub(crate) generation: GenerateOptions,
    order: Order,
    /// The model is too small for more than one instruction.
    pub(crate) brief: bool,
    /// All documents are to be read, or none.
    everything: bool,
}

/// Budgets that differ by little would make other prompts of the same documents, with little in common: so there are few.
const STEPS: [usize; 10] = [1_000, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000, 16_000, 24_000, 32_000];

/// The most tokens, up to `most`, that can be read within `seconds`; `most` where nobody knows.
fn readable(most: usize, seconds: f64, prefixes: Option<&Prefixes>) -> usize {
    let takes = |n_tokens: usize| prefixes.and_then(|prefixes| prefixes.estimate(0, n_tokens));
    if takes(most).is_none_or(|estimate| estimate <= seconds) {
        return most;
    }
    let fits = |n_tokens: &usize| takes(*n_tokens).is_some_and(|estimate| estimate <= seconds);
    STEPS.into_iter().filter(|step| *step < most).take_while(fits).last().unwrap_or(STEPS[0].min(most))
}

impl Plan {
    /// Those of a question; `prefixes` know how fast the model reads here.
    pub(crate) fn new(model: &ChosenModel, options: &AskOptions, prefixes: Option<&Prefixes>) -> Self {
        let brief = model.evidence_budget < SMALL_BUDGET;
        let mut generation = model.generation();
        if brief {
            generation.sampling = Sampling { repetition_penalty: BRIEF_PENALTY, ..Sampling::default() };
            generation.max_tokens = BRIEF_ANSWER_TOKENS;
        }
        generation.sampling.temperature = options.temperature.unwrap_or(generation.sampling.temperature);
        generation.sampling.seed = options.seed;
        generation.max_tokens = options.max_tokens.unwrap_or(generation.max_tokens);
        generation.max_thinking = options.max_thinking.or(generation.max_thinking);
        let order = options.order.unwrap_or(if brief { Order::Relevance } else { Order::Sticky });
        let (context, reserved) = (model.context_length, generation.max_tokens);
        let evidence = match options.budget {
            Evidence::Suits => model.evidence_budget,
            Evidence::Tokens(n_tokens) => n_tokens,
            Evidence::Everything => context.saturating_sub(reserved),
            Evidence::Seconds(seconds) => readable(model.evidence_budget, seconds, prefixes),
        };
        Self {
            budget: Budget { context, reserved, evidence },
            everything: options.budget == Evidence::Everything,
            generation,
            order,
            brief,
        }
    }
}

/// The prompt: all documents that may answer, where they fit the budget, and otherwise the best passages.
pub(crate) fn pack_prompt(
    library: &Library,
    asked: &Asked,
    plan: &Plan,
    files: &[FileRecord],
) -> Result<Packed, Error> {
    let snapshot = asked.index.snapshot()?;
    if plan.everything || (!plan.brief && plan.order != Order::Relevance) {
        let all = whole(&snapshot, files, plan.budget.evidence)?;
        if let Some(hits) = all.map(|all| best_first(asked.hits, all))
            && let Some(packed) = pack_all(asked.engine, plan, asked.question, &hits)?
        {
            return Ok(packed);
        }
    }
    if plan.everything {
        let Budget { context, reserved, evidence } = plan.budget;
        let bytes = files.iter().map(|file| file.n_bytes_text).sum();
        return Err(Error::TooMuchToRead { bytes, budget: evidence, room: context.saturating_sub(reserved) });
    }
    let is_sticky = plan.order == Order::Sticky && !plan.brief;
    let hits = match is_sticky {
        true => with_section(&snapshot, asked.hits, plan.budget.evidence)?,
        false => asked.hits.to_vec(),
    };
    let kept = match asked.prefixes {
        Some(prefixes) if is_sticky => kept::kept(&library.settings, prefixes, &snapshot, files)?,
        _ => Vec::new(),
    };
    pack_with(asked.engine, plan, asked.question, &hits, plan.order, &kept)
}

/// `hits` with the section of the best one's document that it stands in, behind the best few: the passages around an answer belong to it,
/// and since sections are cut at fixed places the next question about the same matter finds the same one, already read.
fn with_section(snapshot: &Snapshot<'_>, hits: &[Hit], budget: usize) -> Result<Vec<Hit>, Error> {
    let Some(best) = hits.first() else { return Ok(Vec::new()) };
    let mut n_bytes = 0;
    let best_few = hits.iter().take_while(|hit| {
        n_bytes += hit.chunk.text.len();
        n_bytes <= budget * BEST_BYTES_PER_TOKEN
    });
    let (first, others) = hits.split_at(best_few.count().max(1));
    let chunks = snapshot.chunks_of(best.chunk.doc)?;
    let ends: Vec<usize> = chunks.iter().map(|(_, span)| span.end).collect();
    let at = chunks.iter().position(|(id, _)| *id == best.chunk.id).unwrap_or(0);
    let mut expanded = first.to_vec();
    for (id, _) in &chunks[section(&ends, budget * SECTION_BYTES_PER_TOKEN, at)] {
        if first.iter().all(|hit| hit.chunk.id != *id) {
            expanded.push(Hit { chunk: snapshot.chunk(*id)?, ..best.clone() });
        }
    }
    let n_expanded = expanded.len();
    for hit in others {
        if expanded[..n_expanded].iter().all(|known| known.chunk.id != hit.chunk.id) {
            expanded.push(hit.clone());
        }
    }
    Ok(expanded)
}

/// Of a document whose passages end at `ends`, those of the section that passage `at` stands in: of some `n_bytes`, cut at fixed places.
fn section(ends: &[usize], n_bytes: usize, at: usize) -> Range<usize> {
    let n_passages = ends.len().max(1);
    let mean = (ends.last().copied().unwrap_or(0) / n_passages).max(1);
    let n = (n_bytes / mean).clamp(1, SECTION_PASSAGES);
    let first = at / n * n;
    first..(first + n).min(ends.len())
}

/// `whole` with what was found first, in its order, so that the ranking can be told. A text found in one copy may be there as another.
fn best_first(found: &[Hit], whole: Vec<Hit>) -> Vec<Hit> {
    let rank: HashMap<&str, usize> =
        found.iter().enumerate().rev().map(|(rank, hit)| (hit.chunk.text.trim(), rank)).collect();
    let mut ranked: Vec<(usize, Hit)> = whole
        .into_iter()
        .map(|hit| (rank.get(hit.chunk.text.trim()).copied().unwrap_or(usize::MAX), hit))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, hit)| hit).collect()
}

/// All of `hits`, or none where they do not fit.
fn pack_all(engine: &Engine, plan: &Plan, question: &str, hits: &[Hit]) -> Result<Option<Packed>, Error> {
    let packed = pack_with(engine, plan, question, hits, Order::Canonical, &[])?;
    let all_fit = packed.left_out.iter().all(|left_out| left_out.reason != Reason::OverBudget);
    Ok(all_fit.then_some(packed))
}

/// Instructions and all of `hits` as any question will find them; `None` where they do not fit.
pub(crate) fn pack_whole(
    engine: &Engine,
    model: &ChosenModel,
    options: &AskOptions,
    hits: &[Hit],
) -> Result<Option<Packed>, Error> {
    pack_all(engine, &Plan::new(model, options, None), "", hits)
}

/// Tokens of evidence that an answer reads, and that it could.
pub(crate) fn room(model: &ChosenModel, options: &AskOptions) -> (usize, usize) {
    let budget = Plan::new(model, options, None).budget;
    (budget.evidence, budget.context.saturating_sub(budget.reserved))
}

fn pack_with(
    engine: &Engine,
    plan: &Plan,
    question: &str,
    hits: &[Hit],
    order: Order,
    kept: &[Kept],
) -> Result<Packed, Error> {
    let tokenizer = engine.model().tokenizer();
    let surroundings = Surroundings::render(template_of(engine)?, tokenizer, plan.brief)?;
    let after = |numbers: &[usize]| surroundings.after(question, numbers, tokenizer);
    let frame = Frame {
        before: surroundings.before.clone(),
        after: &after,
        numbered: !plan.brief,
        kept,
        first_number: 1,
    };
    let plain = |text: &str| tokenizer.encode(text);
    Ok(docent_pack::pack(&frame, passages(hits), plan.budget, order, &plain)?)
}

/// The prompt of exactly these passages in this order.
pub(crate) fn repack(
    engine: &Engine,
    brief: bool,
    question: &str,
    passages: &[Passage],
) -> Result<Packed, Error> {
    let tokenizer = engine.model().tokenizer();
    let surroundings = Surroundings::render(template_of(engine)?, tokenizer, brief)?;
    let after = |numbers: &[usize]| surroundings.after(question, numbers, tokenizer);
    let frame = Frame {
        before: surroundings.before.clone(),
        after: &after,
        numbered: !brief,
        kept: &[],
        first_number: 1,
    };
    Ok(docent_pack::repack(&frame, passages, &|text: &str| tokenizer.encode(text)))
}

/// Documents that stand behind others: no instructions before them and no question behind.
fn bare(brief: bool, first_number: usize) -> Frame<'static> {
    Frame { before: Vec::new(), after: &|_| Vec::new(), numbered: !brief, kept: &[], first_number }
}

/// The tokens of exactly these passages, numbered from `first_number` on.
pub(crate) fn lay_out(engine: &Engine, brief: bool, first_number: usize, passages: &[Passage]) -> Documents {
    let plain = |text: &str| engine.model().tokenizer().encode(text);
    let Packed { tokens, passages, .. } = docent_pack::repack(&bare(brief, first_number), passages, &plain);
    Documents { tokens, passages }
}

/// The tokens of as many of `hits` as `evidence` tokens hold, best document first.
pub(crate) fn lay_out_within(
    engine: &Engine,
    plan: &Plan,
    first_number: usize,
    hits: &[Hit],
    evidence: usize,
) -> Result<Documents, Error> {
    let plain = |text: &str| engine.model().tokenizer().encode(text);
    let budget = Budget { evidence, ..plan.budget };
    let frame = bare(plan.brief, first_number);
    let packed = docent_pack::pack(&frame, passages(hits), budget, Order::Sticky, &plain)?;
    Ok(Documents { tokens: packed.tokens, passages: packed.passages })
}

/// Hits as passages, ranked as they come.
pub(crate) fn passages(hits: &[Hit]) -> Vec<Passage> {
    let passage = |(rank, hit): (usize, &Hit)| Passage {
        document: hit.chunk.doc.0,
        name: name(&hit.chunk.path),
        heading_path: hit.chunk.heading_path.clone(),
        span: hit.chunk.span.clone(),
        text: hit.chunk.text.clone(),
        rank,
    };
    hits.iter().enumerate().map(passage).collect()
}

/// What the model is shown as a document's name.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Holds what the model wrote against what it was given.
fn checked(asked: &Asked, packed: &Packed, generated: Generated) -> Result<Answer, Error> {
    let sources: Vec<Source> =
        packed.passages.iter().map(|p| Source { number: p.number, text: &p.passage.text }).collect();
    let text = generated.text.trim().to_owned();
    let declined = cite::declines(&text);
    let findings = if declined { Findings::default() } else { cite::check(asked.question, &text, &sources) };
    let citations = citations(asked.index, packed, &findings)?;
    let status = match (declined || citations.is_empty(), findings.all_supported()) {
        (true, _) => Status::NotFound,
        (false, true) => Status::Answered,
        (false, false) => Status::Partly,
    };
    let cut_off = generated.finish == Finish::Cancelled;
    Ok(Answer {
        id: None,
        status,
        held: None,
        unsupported: findings.unsupported.iter().map(|range| text[range.clone()].to_owned()).collect(),
        failed_quotes: findings.failed_quotes,
        nearest: if status == Status::NotFound && !cut_off { nearest(asked.hits) } else { Vec::new() },
        answer: text,
        citations,
        coverage: None,
        model: asked.model.name.clone(),
        usage: Usage {
            prompt_tokens: generated.usage.prompt_tokens,
            cached_tokens: generated.usage.cached_tokens,
            completion_tokens: generated.usage.completion_tokens,
            thinking_tokens: generated.usage.thinking_tokens,
        },
        timing: Timing::default(),
    })
}

/// Weighs what the search found against what the model wrote.
pub(crate) fn weigh(answer: &mut Answer, signals: Signals, hits: &[Hit]) {
    let n_sentences = answer.citations.len() + answer.unsupported.len();
    let support = answer.citations.iter().map(|citation| citation.support).sum::<f32>();
    let written =
        Written { declined: cite::declines(&answer.answer), support: support / n_sentences.max(1) as f32 };
    let (status, held) = signals.verdict(Some(written));
    answer.held = Some(held);
    answer.status = match (answer.status, status) {
        (Status::NotFound, _) | (_, Status::NotFound) => Status::NotFound,
        (Status::Answered, Status::Answered) => Status::Answered,
        _ => Status::Partly,
    };
    if answer.status == Status::NotFound && answer.nearest.is_empty() {
        answer.nearest = nearest(hits);
    }
}

fn citations(index: &Index, packed: &Packed, findings: &Findings) -> Result<Vec<Citation>, Error> {
    let mut locator = Locator::new(index);
    let mut citations = Vec::new();
    for finding in &findings.citations {
        let Some(source) = packed.passages.iter().find(|p| p.number == finding.number) else { continue };
        let passage = &source.passage;
        let span = passage.span.start + finding.span.start..passage.span.start + finding.span.end;
        let document = DocId(passage.document);
        let check = match locator.check(document, &span)? {
            Check::Verified if finding.repaired => Check::Repaired,
            check => check,
        };
        citations.push(Citation {
            n: finding.number,
            place: locator.place(document, span, passage.heading_path.clone())?,
            kind: finding.kind,
            check,
            support: finding.support,
        });
    }
    Ok(citations)
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn a_section_is_the_same_for_every_passage_in_it_and_all_together_are_the_document() {
        let ends: Vec<usize> = (1..40).map(|i| i * 130 + i * i % 17).collect();
        let mut next = 0;
        while next < ends.len() {
            let whole = section(&ends, 1_000, next);
            assert_eq!(whole.start, next);
            assert!(whole.clone().all(|at| section(&ends, 1_000, at) == whole));
            next = whole.end;
        }
        assert_eq!(section(&[10, 20], 1_000, 1), 0..2);
        assert_eq!(section(&[10], 0, 0), 0..1);
    }
}

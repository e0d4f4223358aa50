//! The journey of a question: retrieve, pack, read, generate, check.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::time::Instant;

use docent_index::{DocId, DocumentText, Index};
use docent_infer::{Cancel, Engine, Event, Finish, GenerateOptions, Generated, Sampling};
use docent_pack::{Budget, Frame, Order, Packed, Passage};
use docent_retrieve::Hit;

use crate::answer::{Answer, Citation, Place, Status, Timing, Usage};
use crate::chat::template_of;
use crate::cite::{self, Findings, Source};
use crate::models::{ChosenModel, KvType, ModelChoice};
use crate::prompt::Surroundings;
use crate::{Error, Library, SearchOptions, locate};

/// Passages offered to the packer. More than any default budget holds; the packer takes the best that fit.
const N_CANDIDATES: usize = 100;
/// A model whose own budget of evidence is below this many tokens is told less.
const SMALL_BUDGET: usize = 2_000;
/// What suits copying a sentence or two: no randomness, and little room to repeat itself, which is where such models end.
const BRIEF_PENALTY: f32 = 1.1;
const BRIEF_ANSWER_TOKENS: usize = 96;
/// Passages listed when nothing answers the question.
const N_NEAREST: usize = 3;

/// How a question is to be answered.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Only from files at or below these paths; empty means everything that was added.
    pub within: Vec<PathBuf>,
    /// Which model answers.
    pub model: ModelChoice,
    /// How keys and values are kept.
    pub kv_type: KvType,
    /// The most tokens of evidence; what suits the model if none.
    pub budget: Option<usize>,
    /// How passages are laid out; canonical if none, but best first for a model too small to be told a ranking.
    pub order: Option<Order>,
    /// Sampling temperature; the model's own if none.
    pub temperature: Option<f32>,
    /// Seed of the sampling.
    pub seed: u64,
    /// The most tokens of reasoning and answer together; what suits the model if none.
    pub max_tokens: Option<usize>,
    /// The most tokens of reasoning; what suits the model if none.
    pub max_thinking: Option<usize>,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            within: Vec::new(),
            model: ModelChoice::Best,
            kv_type: KvType::F16,
            budget: None,
            order: None,
            temperature: None,
            seed: 0,
            max_tokens: None,
            max_thinking: None,
        }
    }
}

/// What happens while a question is being answered.
#[derive(Debug, Clone, PartialEq)]
pub enum AskEvent {
    /// Passages were found and packed.
    Packed {
        /// Tokens of the whole prompt.
        prompt_tokens: usize,
        /// Passages in it.
        n_passages: usize,
        /// Passages found and left out.
        n_left_out: usize,
    },
    /// Part of the prompt was read.
    Prefill {
        /// Tokens read.
        done: usize,
        /// Tokens to read.
        total: usize,
    },
    /// A piece of the model's reasoning.
    Thinking(String),
    /// A piece of the answer.
    Answer(String),
}

impl Library {
    /// Answers `question` from the indexed documents. Pieces of the answer go to `on_event` as they are generated; what
    /// is returned is the whole of it, checked.
    ///
    /// Does not index anything: see [`Library::add`] and [`Library::look_into`].
    ///
    /// # Errors
    /// A missing model or index, a path that is not indexed, a question longer than the model's context.
    pub fn ask(
        &self,
        question: &str,
        options: &AskOptions,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Answer, Error> {
        let start = Instant::now();
        let model = self.choose_model(&options.model)?;
        let mut timing = Timing::default();
        let index = self.open_index()?;
        let search =
            SearchOptions { k: N_CANDIDATES, within: options.within.clone(), ..SearchOptions::default() };
        let hits = self.search_in(&index, question, &search)?;
        timing.retrieve_s = start.elapsed().as_secs_f64();
        if hits.is_empty() {
            timing.total_s = start.elapsed().as_secs_f64();
            return Ok(not_found(&model, &hits, timing));
        }

        let loading = Instant::now();
        let engine = self.engine(&model, options.kv_type)?;
        timing.load_s = loading.elapsed().as_secs_f64();
        let plan = Plan::new(&model, options);
        let packed = pack_prompt(&engine, question, &hits, &plan)?;
        on_event(AskEvent::Packed {
            prompt_tokens: packed.tokens.len(),
            n_passages: packed.passages.len(),
            n_left_out: packed.left_out.len(),
        });

        let before_generation = start.elapsed().as_secs_f64();
        let generated =
            engine.generate(&packed.tokens, &plan.generation, cancel, &mut |event| match event {
                Event::Prefill { done, total } => on_event(AskEvent::Prefill { done, total }),
                Event::Thinking(text) => on_event(AskEvent::Thinking(text)),
                Event::Answer(text) => on_event(AskEvent::Answer(text)),
            })?;
        timing.prefill_s = generated.timing.prefill_s;
        timing.first_token_s = before_generation + generated.timing.time_to_first_token_s;
        timing.decode_s = generated.timing.decode_s;
        let mut answer = checked(&index, question, &model, &packed, &hits, generated)?;
        timing.total_s = start.elapsed().as_secs_f64();
        answer.timing = timing;
        Ok(answer)
    }
}

/// Budgets and sampling, from the model's own values and what the caller asked for.
struct Plan {
    budget: Budget,
    generation: GenerateOptions,
    order: Order,
    /// The model is too small for more than one instruction.
    brief: bool,
}

impl Plan {
    fn new(model: &ChosenModel, options: &AskOptions) -> Self {
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
        let order = options.order.unwrap_or(if brief { Order::Relevance } else { Order::Canonical });
        let evidence = options.budget.unwrap_or(model.evidence_budget);
        Self {
            budget: Budget { context: model.context_length, reserved: generation.max_tokens, evidence },
            generation,
            order,
            brief,
        }
    }
}

fn pack_prompt(engine: &Engine, question: &str, hits: &[Hit], plan: &Plan) -> Result<Packed, Error> {
    let tokenizer = engine.model().tokenizer();
    let surroundings = Surroundings::render(template_of(engine)?, tokenizer, plan.brief)?;
    let after = |numbers: &[usize]| surroundings.after(question, numbers, tokenizer);
    let frame = Frame { before: surroundings.before.clone(), after: &after, numbered: !plan.brief };
    let plain = |text: &str| tokenizer.encode(text);
    Ok(docent_pack::pack(&frame, passages(hits), plan.budget, plan.order, &plain)?)
}

fn passages(hits: &[Hit]) -> Vec<Passage> {
    let passage = |(rank, hit): (usize, &Hit)| Passage {
        document: hit.chunk.doc.0,
        name: hit.chunk.path.file_name().unwrap_or(hit.chunk.path.as_os_str()).to_string_lossy().into_owned(),
        heading_path: hit.chunk.heading_path.clone(),
        span: hit.chunk.span.clone(),
        text: hit.chunk.text.clone(),
        rank,
    };
    hits.iter().enumerate().map(passage).collect()
}

/// Holds what the model wrote against what it was given.
fn checked(
    index: &Index,
    question: &str,
    model: &ChosenModel,
    packed: &Packed,
    hits: &[Hit],
    generated: Generated,
) -> Result<Answer, Error> {
    let sources: Vec<Source> =
        packed.passages.iter().map(|p| Source { number: p.number, text: &p.passage.text }).collect();
    let text = generated.text.trim().to_owned();
    let declined = cite::declines(&text);
    let findings = if declined { Findings::default() } else { cite::check(question, &text, &sources) };
    let citations = citations(index, packed, &findings)?;
    let status = match (declined || citations.is_empty(), findings.all_supported()) {
        (true, _) => Status::NotFound,
        (false, true) => Status::Answered,
        (false, false) => Status::Partly,
    };
    let cut_off = generated.finish == Finish::Cancelled;
    Ok(Answer {
        status,
        unsupported: findings.unsupported.iter().map(|range| text[range.clone()].to_owned()).collect(),
        nearest: if status == Status::NotFound && !cut_off { nearest(hits) } else { Vec::new() },
        answer: text,
        citations,
        model: model.name.clone(),
        usage: Usage {
            prompt_tokens: generated.usage.prompt_tokens,
            cached_tokens: generated.usage.cached_tokens,
            completion_tokens: generated.usage.completion_tokens,
            thinking_tokens: generated.usage.thinking_tokens,
        },
        timing: Timing::default(),
    })
}

fn citations(index: &Index, packed: &Packed, findings: &Findings) -> Result<Vec<Citation>, Error> {
    let mut documents: HashMap<u64, DocumentText> = HashMap::new();
    let mut citations = Vec::new();
    for finding in &findings.citations {
        let Some(source) = packed.passages.iter().find(|p| p.number == finding.number) else { continue };
        let passage = &source.passage;
        let document = match documents.entry(passage.document) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(index.document(DocId(passage.document))?),
        };
        let span = passage.span.start + finding.span.start..passage.span.start + finding.span.end;
        citations.push(Citation {
            n: finding.number,
            place: locate::place(document, span, passage.heading_path.clone()),
            kind: finding.kind,
            support: finding.support,
        });
    }
    Ok(citations)
}

fn nearest(hits: &[Hit]) -> Vec<Place> {
    hits.iter().take(N_NEAREST).map(|hit| locate::chunk_place(&hit.chunk)).collect()
}

fn not_found(model: &ChosenModel, hits: &[Hit], timing: Timing) -> Answer {
    Answer {
        status: Status::NotFound,
        answer: "This is not in your documents.".to_owned(),
        citations: Vec::new(),
        unsupported: Vec::new(),
        nearest: nearest(hits),
        model: model.name.clone(),
        usage: Usage::default(),
        timing,
    }
}

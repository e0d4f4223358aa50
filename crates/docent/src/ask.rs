//! The journey of a question: retrieve, pack, read, generate, check.

use std::path::PathBuf;
use std::time::Instant;

use docent_index::Index;
use docent_infer::{Cancel, Engine, Prefixes, Reading};
use docent_pack::Order;
use docent_retrieve::Hit;

use crate::answer::{Answer, Place, Status, Timing, Usage};
use crate::history::Made;
use crate::models::{ChosenModel, KvType, ModelChoice};
use crate::{Error, Library, Narrow, Rerank, SearchOptions, locate, quote, write};

/// Passages offered to the packer. More than any default budget holds; the packer takes the best that fit.
const N_CANDIDATES: usize = 100;
/// A model whose own budget of evidence is below this many tokens is too small to write: it chooses what to quote.
pub(crate) const SMALL_BUDGET: usize = 2_000;
/// Passages listed when nothing answers the question.
const N_NEAREST: usize = 3;

/// In whose words a question is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// [`Style::Quote`] by models too small to write, [`Style::Write`] by all others.
    #[default]
    Auto,
    /// The model writes; what it says is held against the documents.
    Write,
    /// The model chooses sentences of the documents, which are repeated word for word. Nothing is packed or generated: budget,
    /// order, sampling and lengths have no effect.
    Quote,
}

/// How many tokens of evidence an answer reads at most.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Evidence {
    /// As many as suit the model.
    #[default]
    Suits,
    /// So many.
    Tokens(usize),
    /// As many as suit the model and can be read from nothing in so many seconds, going by how fast it was read here before.
    Seconds(f64),
    /// All documents, as far as the model's context goes; more than that is an error.
    Everything,
}

/// How a question is to be answered.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Only from files at or below these paths; empty means everything that was added.
    pub within: Vec<PathBuf>,
    /// Only from these of them.
    pub narrow: Narrow,
    /// Whether a model reads the best candidates again before one answers.
    pub rerank: Rerank,
    /// Which model answers.
    pub model: ModelChoice,
    /// In the model's words or in the documents'.
    pub style: Style,
    /// How keys and values are kept.
    pub kv_type: KvType,
    /// The most tokens of evidence.
    pub budget: Evidence,
    /// How passages are laid out; what was read before first if none, but best first for a model too small to be told a ranking.
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
            narrow: Narrow::default(),
            rerank: Rerank::AsSet,
            model: ModelChoice::Best,
            style: Style::Auto,
            kv_type: KvType::F16,
            budget: Evidence::default(),
            order: None,
            temperature: None,
            seed: 0,
            max_tokens: None,
            max_thinking: None,
        }
    }
}

impl AskOptions {
    /// The search whose hits are what a prompt can be packed from.
    pub(crate) fn candidates(&self) -> SearchOptions {
        SearchOptions {
            k: N_CANDIDATES,
            within: self.within.clone(),
            narrow: self.narrow.clone(),
            rerank: self.rerank.clone(),
            ..SearchOptions::default()
        }
    }
}

/// What happens while a question is being answered.
#[derive(Debug, Clone, PartialEq)]
pub enum AskEvent {
    /// The documents were searched.
    Retrieved {
        /// Passages found.
        n_hits: usize,
        /// Seconds it took.
        seconds: f64,
    },
    /// Passages were found and packed.
    Packed {
        /// Tokens of the whole prompt.
        prompt_tokens: usize,
        /// Passages in it.
        n_passages: usize,
        /// Passages found and left out.
        n_left_out: usize,
    },
    /// The prompt is being read.
    Reading(Reading),
    /// A piece of the model's reasoning.
    Thinking(String),
    /// A piece of the answer.
    Answer(String),
    /// Of all documents, this one is read next.
    Document {
        /// Its number, from 1.
        n: usize,
        /// Documents in all.
        of: usize,
        /// Its file.
        path: PathBuf,
    },
    /// A question that follows another was searched for in these words.
    Searched(String),
    /// A conversation no longer fits the model's context: so many turns are not before it any more.
    BegunAnew {
        /// Turns.
        n_turns: usize,
    },
    /// The answer could not be written down in the history, and why.
    NotWrittenDown(String),
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
        let index = self.open_index()?;
        let hits = self.search_in(&index, question, &options.candidates())?;
        let retrieve_s = start.elapsed().as_secs_f64();
        on_event(AskEvent::Retrieved { n_hits: hits.len(), seconds: retrieve_s });
        if hits.is_empty() {
            let timing = Timing { retrieve_s, total_s: retrieve_s, ..Timing::default() };
            let answer = Answer { timing, ..not_found(&model, &hits) };
            return Ok(self.named(question, None, answer, on_event));
        }

        let loading = Instant::now();
        let engine = self.engine(&model, options.kv_type)?;
        let quotes = options.style.quotes(&model);
        let prefixes = match quotes {
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
        let (mut answer, made) = if quotes {
            let embedder = self.embedder()?;
            (quote::answer(&asked, None, &embedder, cancel, on_event)?, quote::made(&asked, &embedder))
        } else {
            write::answer(self, &asked, cancel, on_event)?
        };
        answer.timing.retrieve_s = retrieve_s;
        answer.timing.load_s = load_s;
        answer.timing.first_token_s += retrieve_s + load_s;
        answer.timing.total_s = start.elapsed().as_secs_f64();
        if cancel.is_cancelled() {
            return Ok(answer);
        }
        Ok(self.named(question, Some(made), answer, on_event))
    }

    /// The answer with its name in the history.
    pub(crate) fn named(
        &self,
        question: &str,
        made: Option<Made>,
        answer: Answer,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Answer {
        let id = self.write_down(question, made, &answer).unwrap_or_else(|error| {
            on_event(AskEvent::NotWrittenDown(error.to_string()));
            None
        });
        Answer { id, ..answer }
    }
}

impl Style {
    /// Whether the model that is chosen by `choice` quotes.
    ///
    /// # Errors
    /// As [`Library::choose_model`].
    pub fn quotes_with(self, library: &Library, choice: &ModelChoice) -> Result<bool, Error> {
        Ok(self.quotes(&library.choose_model(choice)?))
    }

    pub(crate) fn quotes(self, model: &ChosenModel) -> bool {
        match self {
            Style::Auto => model.evidence_budget < SMALL_BUDGET,
            Style::Write => false,
            Style::Quote => true,
        }
    }
}

/// A question, and all that is at hand to answer it.
pub(crate) struct Asked<'a> {
    pub question: &'a str,
    pub index: &'a Index,
    /// Best first; not empty.
    pub hits: &'a [Hit],
    pub model: &'a ChosenModel,
    pub engine: &'a Engine,
    pub prefixes: Option<&'a Prefixes>,
    pub options: &'a AskOptions,
}

/// Where to look instead.
pub(crate) fn nearest(hits: &[Hit]) -> Vec<Place> {
    hits.iter().take(N_NEAREST).map(|hit| locate::chunk_place(&hit.chunk)).collect()
}

/// The answer that the documents hold none.
pub(crate) fn not_found(model: &ChosenModel, hits: &[Hit]) -> Answer {
    Answer {
        id: None,
        status: Status::NotFound,
        held: None,
        answer: "This is not in your documents.".to_owned(),
        citations: Vec::new(),
        unsupported: Vec::new(),
        failed_quotes: Vec::new(),
        nearest: nearest(hits),
        coverage: None,
        model: model.name.clone(),
        usage: Usage::default(),
        timing: Timing::default(),
    }
}

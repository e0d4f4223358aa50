//! `/v1/ask` and `/v1/pack`: an answer with checked citations, and what would be read for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use docent::json::{AskResult, StoreWrites};
use docent::{Answer, AskEvent, AskOptions, Evidence, Library, Order, Packing, Reading, Style};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Filter, RerankName, checked_text};
use crate::app::App;
use crate::body::Json;
use crate::guard::Client;
use crate::problem::Problem;
use crate::queue::Running;
use crate::sse::{self, Event, StreamEvent};

/// Progress of a prefill is told so often at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Seconds after which an answer should begin, for the budget `auto`.
const DEFAULT_WAIT: f64 = 60.0;
/// The most tokens that a request may ask for; a model's context is the real limit.
pub(crate) const MOST_TOKENS: usize = 1_000_000;

/// What to answer, and how.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// The question.
    #[schema(min_length = 1, max_length = 20000, example = "What is the notice period in my lease?")]
    question: String,
    /// The collection; `.` is the one without a name; left out: the one the server was started with.
    collection: Option<String>,
    /// Which documents.
    #[serde(default)]
    filter: Filter,
    /// Whether a model reads the best candidates again: its name, or `none`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    rerank: RerankName,
    /// The model that answers: a name from `/v1/models`; left out: the best that is here.
    model: Option<String>,
    /// In whose words: `write` or `quote`; left out: what suits the model.
    style: Option<StyleName>,
    /// The most tokens of evidence: a number, `auto` (what can be read within `wait`), or `all` (every document).
    budget: Option<Budget>,
    /// Seconds after which an answer should begin when nothing was read before; for the budget `auto`.
    #[schema(minimum = 0, maximum = 1000000)]
    wait: Option<f64>,
    /// How passages are laid out; left out: what was read before first.
    order: Option<OrderName>,
    /// Sampling temperature, 0 to 5; left out: the model's own.
    #[schema(minimum = 0, maximum = 5)]
    temperature: Option<f32>,
    /// Same seed, same text.
    #[serde(default)]
    seed: u64,
    /// The most tokens of reasoning and answer.
    #[schema(minimum = 1, maximum = 1000000)]
    max_tokens: Option<usize>,
    /// The most tokens of reasoning.
    #[schema(maximum = 1000000)]
    max_thinking: Option<usize>,
    /// Tell what happens as it happens, as server-sent events; so does `Accept: text/event-stream`.
    #[serde(default)]
    stream: bool,
}

/// In whose words.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StyleName {
    /// The model's, held against the documents.
    Write,
    /// The documents', word for word.
    Quote,
}

/// How passages are laid out.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderName {
    /// What was read before first.
    Sticky,
    /// By path and offset.
    Canonical,
    /// Best first.
    Relevance,
}

/// How many tokens of evidence.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "`budget` is a number of tokens, \"auto\" or \"all\"")]
pub enum Budget {
    /// So many.
    Tokens(usize),
    /// `auto` or `all`.
    Word(BudgetWord),
}

/// How many tokens of evidence, in a word.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetWord {
    /// As many as can be read in time.
    Auto,
    /// Every document.
    All,
}

impl Budget {
    /// What the library takes, for an answer that should begin after `wait` seconds.
    pub fn evidence(self, wait: Option<f64>) -> Evidence {
        match self {
            Budget::Tokens(n_tokens) => Evidence::Tokens(n_tokens),
            Budget::Word(BudgetWord::Auto) => Evidence::Seconds(wait.unwrap_or(DEFAULT_WAIT)),
            Budget::Word(BudgetWord::All) => Evidence::Everything,
        }
    }
}

impl AskRequest {
    fn options(&self, app: &App) -> Result<AskOptions, Problem> {
        let is_in = |value: Option<f64>, most: f64| value.is_none_or(|value| (0.0..=most).contains(&value));
        if !is_in(self.wait, 1e6) || !is_in(self.temperature.map(f64::from), 5.0) {
            return Err(Problem::bad(
                "range",
                "`wait` is a number of seconds up to 1000000, `temperature` one from 0 to 5",
            ));
        }
        if self.max_tokens.is_some_and(|n| !(1..=MOST_TOKENS).contains(&n))
            || self.max_thinking.is_some_and(|n| n > MOST_TOKENS)
        {
            return Err(Problem::bad("range", format!("`max_tokens` is a number from 1 to {MOST_TOKENS}")));
        }
        let (within, narrow) = self.filter.resolve()?;
        Ok(AskOptions {
            within,
            narrow,
            rerank: self.rerank.resolve()?,
            model: app.model(self.model.as_deref())?,
            style: match self.style {
                None => Style::Auto,
                Some(StyleName::Write) => Style::Write,
                Some(StyleName::Quote) => Style::Quote,
            },
            budget: self.budget.map_or(Evidence::Suits, |budget| budget.evidence(self.wait)),
            order: self.order.map(|order| match order {
                OrderName::Sticky => Order::Sticky,
                OrderName::Canonical => Order::Canonical,
                OrderName::Relevance => Order::Relevance,
            }),
            temperature: self.temperature,
            seed: self.seed,
            max_tokens: self.max_tokens,
            max_thinking: self.max_thinking,
            ..AskOptions::default()
        })
    }
}

/// What the model's thread tells while it answers.
pub(crate) enum Told {
    /// Something happens.
    Event(AskEvent),
    /// The answer is there; what was read is being written.
    Answered(Box<Answer>),
    /// It is written.
    Kept(StoreWrites),
    /// There will be none.
    Failed(Problem),
}

/// Begins to answer `question`.
///
/// # Errors
/// What can be known before: no documents, no such model, too many questions.
pub(crate) fn begin(
    app: &App,
    client: &Client,
    library: Arc<Library>,
    question: String,
    options: AskOptions,
) -> Result<Running<Told>, Problem> {
    if !library.exists() {
        return Err(docent::Error::Empty.into());
    }
    library.choose_model(&options.model)?;
    let told_by = app.clone();
    app.ask(&client.0, move |cancel, emit| {
        let mut last = None::<Instant>;
        let answered = library.ask(&question, &options, cancel, &mut |event| {
            let is_progress = match &event {
                AskEvent::Reading(Reading::Prefill { done, total }) => done < total,
                AskEvent::Reading(Reading::Hashed { done, total }) => done < total,
                _ => false,
            };
            if is_progress && last.is_some_and(|last| last.elapsed() < PROGRESS_EVERY) {
                return;
            }
            last = is_progress.then(Instant::now).or(last);
            emit(Told::Event(event));
        });
        match answered {
            Ok(_) if cancel.is_cancelled() => told_by.metrics().cancelled(),
            Ok(answer) => {
                told_by.metrics().answer(&answer.usage);
                emit(Told::Answered(Box::new(answer)));
                emit(Told::Kept(StoreWrites::from(&library.flush_prefixes())));
            }
            Err(error) => emit(Told::Failed(error.into())),
        }
    })
}

/// The answer, when it is there.
///
/// # Errors
/// What went wrong.
pub(crate) async fn end(mut running: Running<Told>) -> Result<AskResult, Problem> {
    let mut answer = None;
    while let Some(told) = running.next().await {
        match told {
            Told::Event(_) => (),
            Told::Answered(answered) => answer = Some(*answered),
            Told::Kept(kept) => {
                return answer
                    .map(|answer| AskResult { answer, prefix_store: kept })
                    .ok_or_else(Problem::stopped);
            }
            Told::Failed(problem) => return Err(problem),
        }
    }
    Err(Problem::stopped())
}

/// What is told, as it goes over the wire.
fn event(told: Told) -> Event {
    match told {
        Told::Event(AskEvent::Retrieved { n_hits, seconds }) => {
            Event::new("retrieved", &json!({ "hits": n_hits, "seconds": seconds }))
        }
        Told::Event(AskEvent::Packed { prompt_tokens, n_passages, n_left_out }) => Event::new(
            "packed",
            &json!({ "prompt_tokens": prompt_tokens, "passages": n_passages, "left_out": n_left_out }),
        ),
        Told::Event(AskEvent::Reading(reading)) => match reading {
            Reading::Hashed { done, total } => {
                Event::new("hashing", &json!({ "done": done, "total": total }))
            }
            Reading::Found { cached, total, estimate_s } => Event::new(
                "reading",
                &json!({ "cached_tokens": cached, "prefill_tokens": total - cached, "prompt_tokens": total, "estimate_s": estimate_s }),
            ),
            Reading::Prefill { done, total } => {
                Event::new("prefill", &json!({ "done": done, "total": total }))
            }
        },
        Told::Event(AskEvent::Thinking(text)) => Event::new("thinking", &json!({ "text": text })),
        Told::Event(AskEvent::Answer(text)) => Event::new("answer", &json!({ "text": text })),
        Told::Event(AskEvent::NotWrittenDown(reason)) => Event::new("note", &json!({ "message": reason })),
        // Of questions over all documents and of conversations, which are not asked here.
        Told::Event(AskEvent::Document { n, of, path }) => {
            Event::new("document", &json!({ "n": n, "of": of, "path": path }))
        }
        Told::Event(AskEvent::Searched(question)) => Event::new("searched", &json!({ "question": question })),
        Told::Event(AskEvent::BegunAnew { n_turns }) => {
            Event::new("begun_anew", &json!({ "turns": n_turns }))
        }
        Told::Answered(answer) => Event::new("result", &answer),
        Told::Kept(kept) => Event::new("kept", &kept),
        Told::Failed(problem) => Event::problem(&problem),
    }
}

/// An answer, checked against the documents.
///
/// As events: `queued` (`ahead`), `retrieved` (`hits`, `seconds`), `packed` (`prompt_tokens`, `passages`, `left_out`), `hashing` (`done`, `total` bytes; at a model's first
/// use), `reading` (`cached_tokens`, `prefill_tokens`, `prompt_tokens`, `estimate_s`), `prefill` (`done`, `total`), `thinking` and `answer` (`text`), `result` (the answer, checked), `kept` (what
/// went to the prefix store), or `error`.
#[utoipa::path(post, path = "/v1/ask", tag = "docent", request_body = AskRequest,
    responses((status = 200, description = "The answer.", content((AskResult = "application/json"), (StreamEvent = "text/event-stream")))))]
pub(crate) async fn ask(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Json(request): Json<AskRequest>,
) -> Result<Response, Problem> {
    checked_text(&app, "question", &request.question)?;
    let options = request.options(&app)?;
    let library = app.library(request.collection.as_deref())?;
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let streams = request.stream || accepts.is_some_and(|accepts| accepts.contains("text/event-stream"));
    let running = begin(&app, &client, library, request.question, options)?;
    if streams {
        let queued = Event::new("queued", &json!({ "ahead": running.ahead }));
        return Ok(sse::response(vec![queued], running, Box::new(|told| vec![event(told)]), Vec::new()));
    }
    Ok(axum::Json(end(running).await?).into_response())
}

/// What would be read to answer, why, and about how long that would take.
#[utoipa::path(post, path = "/v1/pack", tag = "docent", request_body = AskRequest,
    responses((status = 200, description = "The passages, in the order of the prompt.", body = Packing)))]
pub(crate) async fn pack(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(request): Json<AskRequest>,
) -> Result<axum::Json<Packing>, Problem> {
    checked_text(&app, "question", &request.question)?;
    let options = request.options(&app)?;
    let library = app.library(request.collection.as_deref())?;
    if !library.exists() {
        return Err(docent::Error::Empty.into());
    }
    library.choose_model(&options.model)?;
    let mut running = app.ask(&client.0, move |_, emit| {
        emit(library.packing(&request.question, &options, &mut |_| ()).map_err(Problem::from));
    })?;
    running.next().await.ok_or_else(Problem::stopped)?.map(axum::Json)
}

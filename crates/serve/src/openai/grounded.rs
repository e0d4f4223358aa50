//! An answer from the documents, in OpenAI's form.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use docent::{Answer, AskEvent, AskOptions, Evidence, Library, ModelChoice, Style};

use super::request::{ChatMessage, DocentField, RoleName, Wishes};
use super::wire::{self, Header, MessageBody, UsageBody};
use crate::app::App;
use crate::guard::Client;
use crate::problem::Problem;
use crate::sse::{self, Event};
use crate::v1::ask::{StyleName, Told, begin, end};

/// What is to be answered.
pub(crate) struct Question {
    pub text: String,
    pub library: Arc<Library>,
    pub model: ModelChoice,
    pub field: Option<DocentField>,
    pub wishes: Wishes,
}

/// The last question, made whole where it points back at those before it. Everything else that was said is not read again: each question is
/// answered from the documents.
pub(crate) fn asked(messages: &[ChatMessage]) -> String {
    let mut said: Vec<(String, String)> = Vec::new();
    for message in messages {
        match message.role {
            RoleName::User => said.push((message.text(), String::new())),
            RoleName::Assistant => {
                if let Some((_, answer)) = said.last_mut() {
                    answer.push_str(message.text().split(SOURCES).next().unwrap_or_default());
                }
            }
            RoleName::System | RoleName::Developer | RoleName::Tool => {}
        }
    }
    let Some((question, _)) = said.pop() else { return String::new() };
    docent::standing_alone(&said, &question)
}

/// What stands before the citations of a client that knows of none.
const SOURCES: &str = "\n\nSources:";

/// How the answer is sent.
pub(crate) struct Manner {
    pub streams: bool,
    pub with_usage: bool,
    /// The client knows of no citations, so they are written behind the answer.
    pub sources_in_text: bool,
}

impl Question {
    fn options(&self) -> Result<AskOptions, Problem> {
        let field = self.field.clone().unwrap_or_default();
        let (within, narrow) = field.filter.resolve()?;
        Ok(AskOptions {
            within,
            narrow,
            rerank: field.rerank.resolve()?,
            model: self.model.clone(),
            style: match field.style {
                None => Style::Auto,
                Some(StyleName::Write) => Style::Write,
                Some(StyleName::Quote) => Style::Quote,
            },
            budget: field.budget.map_or(Evidence::Suits, |budget| budget.evidence(None)),
            temperature: self.wishes.temperature,
            seed: self.wishes.seed.map_or(0, i64::cast_unsigned),
            max_tokens: self.wishes.max_tokens,
            ..AskOptions::default()
        })
    }
}

/// Answers, at once or piece by piece.
///
/// # Errors
/// What `/v1/ask` says.
pub(crate) async fn respond(
    app: &App,
    client: &Client,
    question: Question,
    header: Header,
    manner: Manner,
) -> Result<Response, Problem> {
    let options = question.options()?;
    let running = begin(app, client, question.library, question.text, options)?;
    if !manner.streams {
        let answer = end(running).await?.answer;
        let usage = UsageBody::from(&answer.usage);
        let sources = if manner.sources_in_text { sources(&answer) } else { String::new() };
        let message = wire::text(format!("{}{sources}", answer.answer));
        return Ok(axum::Json(header.whole(message, "stop", usage, Some(answer))).into_response());
    }
    let first = Event::data(&header.piece(MessageBody { role: Some("assistant"), ..wire::text("") }, None));
    let mut is_empty = true;
    let write = move |told: Told| match told {
        Told::Event(AskEvent::Thinking(text)) => {
            let thought = MessageBody { reasoning_content: Some(text), ..MessageBody::default() };
            vec![Event::data(&header.piece(thought, None))]
        }
        Told::Event(AskEvent::Answer(text)) => {
            is_empty = false;
            vec![Event::data(&header.piece(wire::text(text), None))]
        }
        Told::Event(_) | Told::Kept(_) => Vec::new(),
        Told::Answered(answer) => last(&header, *answer, &manner, is_empty),
        Told::Failed(problem) => vec![Event::data(&problem.body())],
    };
    Ok(sse::response(vec![first], running, Box::new(write), vec![Event::done()]))
}

/// What comes when the answer is there: what was not said yet, why it ended with its citations, and token counts.
fn last(header: &Header, answer: Answer, manner: &Manner, is_empty: bool) -> Vec<Event> {
    let mut rest = if is_empty { answer.answer.clone() } else { String::new() };
    if manner.sources_in_text {
        rest.push_str(&sources(&answer));
    }
    let mut events = Vec::new();
    if !rest.is_empty() {
        events.push(Event::data(&header.piece(wire::text(rest), None)));
    }
    let usage = UsageBody::from(&answer.usage);
    let mut end = header.piece(MessageBody::default(), Some("stop"));
    end.docent = Some(answer);
    events.push(Event::data(&end));
    if manner.with_usage {
        events.push(Event::data(&header.usage(usage)));
    }
    events
}

/// The citations as a client shows them that knows of none.
fn sources(answer: &Answer) -> String {
    let mut text = String::new();
    for citation in &answer.citations {
        let place = &citation.place;
        let name = place.path.file_name().unwrap_or(place.path.as_os_str()).to_string_lossy();
        let at = place.page.map_or(format!("line {}", place.line_start), |page| format!("page {page}"));
        let quote = place.quote.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = write!(text, "\n- [{}] {name}, {at}: “{quote}”", citation.n);
    }
    if text.is_empty() { text } else { format!("{SOURCES}{text}") }
}

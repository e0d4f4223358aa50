//! `/v1/chat/completions`.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use docent::ModelChoice;

use super::generating::{self, End, Input, Plan, Said};
use super::grounded::{self, Manner, Question};
use super::request::{ChatRequest, DocentField, Wishes, refuse};
use super::tools::{self, Tools};
use super::wire::{self, CompletionBody, Header, Kind, MessageBody};
use crate::app::App;
use crate::body::Json;
use crate::guard::Client;
use crate::problem::Problem;
use crate::queue::Running;
use crate::sse::{self, Event, StreamEvent};
use crate::v1::checked_text;

/// The name under which the library itself answers.
pub(crate) const LIBRARY_MODEL: &str = "docent";
/// The most messages of a conversation.
const MOST_MESSAGES: usize = 1_000;

/// A number for each completion, so that its name is its own.
pub(crate) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Who answers.
enum Target {
    /// The documents of a collection, read by a model.
    Library(Option<String>, ModelChoice),
    /// A model alone.
    Model(ModelChoice),
}

fn target(app: &App, model: &str, field: Option<&DocentField>) -> Result<Target, Problem> {
    let of_field = field.and_then(|field| field.collection.clone());
    match model.strip_prefix(LIBRARY_MODEL) {
        Some("") => Ok(Target::Library(of_field, app.model(None)?)),
        Some(rest) if rest.starts_with('/') => {
            Ok(Target::Library(of_field.or(Some(rest[1..].to_owned())), app.model(None)?))
        }
        _ => {
            let choice = app.model(Some(model))?;
            Ok(if field.is_some() { Target::Library(of_field, choice) } else { Target::Model(choice) })
        }
    }
}

impl ChatRequest {
    fn wishes(&self) -> Result<Wishes, Problem> {
        refuse(&[
            ("n", self.n.is_some_and(|n| n != 1)),
            ("logprobs", self.logprobs == Some(true)),
            ("frequency_penalty", self.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("presence_penalty", self.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("logit_bias", self.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
        ])?;
        let wishes = Wishes {
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed,
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            stop: self.stop.clone().map(|stop| stop.into_vec()).unwrap_or_default(),
        };
        wishes.check()?;
        if self.messages.is_empty() || self.messages.len() > MOST_MESSAGES {
            return Err(Problem::bad("messages", format!("`messages` has 1 to {MOST_MESSAGES} messages")));
        }
        Ok(wishes)
    }

    fn manner(&self) -> Manner {
        Manner {
            streams: self.stream == Some(true),
            with_usage: self.stream_options.is_some_and(|options| options.include_usage),
            sources_in_text: self.docent.is_none(),
        }
    }
}

/// The next message of a conversation, by a model alone or from the documents.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = ChatRequest,
    responses((status = 200, description = "The message.", content((CompletionBody = "application/json"), (StreamEvent = "text/event-stream")))))]
pub(crate) async fn chat(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(request): Json<ChatRequest>,
) -> Result<Response, Problem> {
    let wishes = request.wishes()?;
    let manner = request.manner();
    let header = Header::new(Kind::Chat, &request.model, number());
    let schema = generating::schema(request.response_format.as_ref())?;
    let tools = Tools::read(request.tools.clone(), request.tool_choice.as_ref())?;
    match target(&app, &request.model, request.docent.as_ref())? {
        Target::Library(collection, model) => {
            refuse(&[
                ("tools", !tools.offered.is_empty()),
                ("response_format", schema.is_some()),
                ("stop", !wishes.stop.is_empty()),
                ("top_p", wishes.top_p.is_some_and(|p| p < 1.0)),
            ])?;
            let text = grounded::asked(&request.messages);
            checked_text(&app, "messages", &text)?;
            let library = app.library(collection.as_deref())?;
            let question = Question { text, library, model, field: request.docent, wishes };
            grounded::respond(&app, &client, question, header, manner).await
        }
        Target::Model(choice) => {
            let library = app.library(None)?;
            let model = library.choose_model(&choice)?;
            let input = Input::Chat(generating::messages(&request.messages)?, tools);
            let running = generating::begin(&app, &client, Plan { library, model, input, wishes, schema })?;
            respond(running, header, &manner).await
        }
    }
}

/// Sends what a model writes, at once or piece by piece.
///
/// # Errors
/// What went wrong before anything was sent.
pub(crate) async fn respond(
    mut running: Running<Said>,
    header: Header,
    manner: &Manner,
) -> Result<Response, Problem> {
    let calls_number = number();
    if manner.streams {
        let first =
            Event::data(&header.piece(MessageBody { role: Some("assistant"), ..wire::text("") }, None));
        let with_usage = manner.with_usage;
        let write = move |said: Said| match said {
            Said::Thinking(text) => vec![Event::data(&header.piece(thought(text), None))],
            Said::Text(text) => vec![Event::data(&header.piece(wire::text(text), None))],
            Said::Failed(problem) => vec![Event::data(&problem.body())],
            Said::Done(end) => last(&header, &end, with_usage, calls_number),
        };
        return Ok(sse::response(vec![first], running, Box::new(write), vec![Event::done()]));
    }
    let (mut text, mut thinking) = (String::new(), String::new());
    while let Some(said) = running.next().await {
        match said {
            Said::Thinking(piece) => thinking.push_str(&piece),
            Said::Text(piece) => text.push_str(&piece),
            Said::Failed(problem) => return Err(problem),
            Said::Done(end) => {
                let has_calls = !end.calls.is_empty();
                let message = MessageBody {
                    role: None,
                    content: (!has_calls || !text.is_empty()).then_some(text),
                    reasoning_content: (!thinking.is_empty()).then_some(thinking),
                    tool_calls: has_calls.then(|| tools::bodies(&end.calls, calls_number, false)),
                };
                return Ok(axum::Json(header.whole(message, end.finish, end.usage, None)).into_response());
            }
        }
    }
    Err(Problem::stopped())
}

fn thought(text: String) -> MessageBody {
    MessageBody { reasoning_content: Some(text), ..MessageBody::default() }
}

fn last(header: &Header, end: &End, with_usage: bool, calls_number: u64) -> Vec<Event> {
    let mut events = Vec::new();
    if !end.calls.is_empty() {
        let calls = Some(tools::bodies(&end.calls, calls_number, true));
        events.push(Event::data(
            &header.piece(MessageBody { tool_calls: calls, ..MessageBody::default() }, None),
        ));
    }
    events.push(Event::data(&header.piece(MessageBody::default(), Some(end.finish))));
    if with_usage {
        events.push(Event::data(&header.usage(end.usage)));
    }
    events
}

//! A model writes without documents, on its own thread.

use std::sync::Arc;

use docent::chat::{self, ChatOptions, GenerateOptions, Message, ReplyEvent, Role, ToolCall};
use docent::{Cancel, ChosenModel, Engine, KvType, Library, Usage};
use serde_json::{Value, json};

use super::request::{ChatMessage, RoleName, Wishes};
use super::stops::Stops;
use super::tools::{self, Tools};
use super::wire::{self, UsageBody};
use crate::app::App;
use crate::guard::Client;
use crate::problem::Problem;
use crate::queue::Running;

/// The most tokens of a reply where a request names none and the model's own number is lower: a conversation takes more words than an answer
/// from documents.
const REPLY_TOKENS: usize = 1_024;

/// What is to be written.
pub(crate) struct Plan {
    pub library: Arc<Library>,
    pub model: ChosenModel,
    pub input: Input,
    pub wishes: Wishes,
    /// The answer is JSON of this.
    pub schema: Option<Value>,
}

/// What stands before it.
pub(crate) enum Input {
    Chat(Vec<Message>, Tools),
    Text(String),
}

/// What is told meanwhile.
pub(crate) enum Said {
    Thinking(String),
    Text(String),
    Done(Box<End>),
    Failed(Problem),
}

/// How it ended.
pub(crate) struct End {
    pub finish: &'static str,
    pub usage: UsageBody,
    pub calls: Vec<ToolCall>,
}

/// Begins to write.
///
/// # Errors
/// Too many wait for the model.
pub(crate) fn begin(app: &App, client: &Client, plan: Plan) -> Result<Running<Said>, Problem> {
    let works = app.clone();
    app.ask(&client.0, move |cancel, emit| match write(&works, &plan, cancel, emit) {
        Ok(Some(end)) => emit(Said::Done(Box::new(end))),
        Ok(None) => works.metrics().cancelled(),
        Err(problem) => emit(Said::Failed(problem)),
    })
}

/// Writes; nothing where nobody waits for it any more.
fn write(
    app: &App,
    plan: &Plan,
    cancel: &Cancel,
    emit: &mut dyn FnMut(Said),
) -> Result<Option<End>, Problem> {
    let Plan { library, model, input, wishes, schema } = plan;
    let engine = library.engine(model, KvType::F16)?;
    let (tokens, forced, has_tools) = match input {
        Input::Text(text) => (text_tokens(&engine, text), None, false),
        Input::Chat(messages, tools) => {
            (chat_tokens(&engine, messages, tools)?, tools.forced.as_ref(), !tools.offered.is_empty())
        }
    };
    let mut options = model.generation();
    options.max_tokens = options.max_tokens.max(REPLY_TOKENS.min(model.context_length / 2));
    wishes.apply(&mut options);
    options.json_schema = forced.or(schema.as_ref()).cloned();
    let marks = if has_tools { tools::marks() } else { Vec::new() };
    let mut shown = Stops::new(wishes.stop.clone(), marks);
    let mut session = app.conversations().session(&engine, &tokens);
    let generated = generate(&engine, &mut session, &tokens, &options, cancel, &mut |event| match event {
        ReplyEvent::Reading(_) => (),
        ReplyEvent::Thinking(text) => emit(Said::Thinking(text)),
        ReplyEvent::Answer(_) if forced.is_some() => (),
        ReplyEvent::Answer(text) => {
            let text = shown.push(&text);
            if !text.is_empty() {
                emit(Said::Text(text));
            }
            if shown.has_ended() {
                cancel.cancel();
            }
        }
    })?;
    app.conversations().keep(&engine, session);
    if cancel.is_cancelled() && !shown.has_ended() {
        return Ok(None);
    }
    let rest = shown.finish();
    if !rest.is_empty() {
        emit(Said::Text(rest));
    }
    let calls = match forced {
        Some(_) => tools::forced_call(&generated.text).into_iter().collect(),
        // What is not a call after all is the model's fault, and no reason to lose its answer.
        None if has_tools => chat::tool_calls(&engine, &generated).unwrap_or_default(),
        None => Vec::new(),
    };
    let usage = Usage {
        prompt_tokens: generated.usage.prompt_tokens,
        cached_tokens: generated.usage.cached_tokens,
        completion_tokens: generated.usage.completion_tokens,
        thinking_tokens: generated.usage.thinking_tokens,
    };
    app.metrics().answer(&usage);
    let finish = if calls.is_empty() { wire::reason(generated.finish) } else { "tool_calls" };
    Ok(Some(End { finish, usage: UsageBody::from(&usage), calls }))
}

fn generate(
    engine: &Engine,
    session: &mut docent::Session,
    tokens: &[u32],
    options: &GenerateOptions,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(ReplyEvent),
) -> Result<chat::Reply, Problem> {
    engine
        .generate_in(session, tokens, options, cancel, on_event)
        .map_err(|error| docent::Error::from(error).into())
}

fn text_tokens(engine: &Engine, text: &str) -> Vec<u32> {
    let tokenizer = engine.model().tokenizer();
    let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
    bos.into_iter().chain(tokenizer.encode(text)).collect()
}

fn chat_tokens(engine: &Engine, messages: &[Message], tools: &Tools) -> Result<Vec<u32>, Problem> {
    let without = ChatOptions::default();
    if tools.offered.is_empty() {
        return Ok(chat::prompt(engine, messages, &without)?);
    }
    let with = ChatOptions { tools: tools.for_model(engine), ..without.clone() };
    let tokens = chat::prompt(engine, messages, &with)?;
    if tools.forced.is_none() && tokens == chat::prompt(engine, messages, &without)? {
        let message = "this model was not made for tools: its chat template leaves them out; take another model, leave `tools` out, or set \
                       `tool_choice` to \"required\"";
        return Err(Problem::bad("tools", message));
    }
    Ok(tokens)
}

/// The conversation as the library has it.
///
/// # Errors
/// 400 for calls that are none.
pub(crate) fn messages(all: &[ChatMessage]) -> Result<Vec<Message>, Problem> {
    let message = |message: &ChatMessage| {
        let role = match message.role {
            RoleName::System | RoleName::Developer => Role::System,
            RoleName::User => Role::User,
            RoleName::Assistant => Role::Assistant,
            RoleName::Tool => Role::Tool,
        };
        let calls =
            message.tool_calls.iter().flatten().map(tools::call_from).collect::<Result<Vec<_>, _>>()?;
        let thinking = message.reasoning_content.clone();
        Ok(Message { thinking, tool_calls: calls, ..Message::new(role, message.text()) })
    };
    all.iter().map(message).collect()
}

/// The schema that `response_format` asks for.
///
/// # Errors
/// 400 for a format that there is not.
pub(crate) fn schema(format: Option<&Value>) -> Result<Option<Value>, Problem> {
    let Some(format) = format.filter(|format| !format.is_null()) else { return Ok(None) };
    match format["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({ "type": "object" }))),
        Some("json_schema") if format.pointer("/json_schema/schema").is_some_and(Value::is_object) => {
            Ok(format.pointer("/json_schema/schema").cloned())
        }
        _ => {
            let message = "`response_format` is {\"type\": \"text\"}, {\"type\": \"json_object\"}, or {\"type\": \"json_schema\", \"json_schema\": \
                           {\"name\": …, \"schema\": {…}}}";
            Err(Problem::bad("response_format", message))
        }
    }
}

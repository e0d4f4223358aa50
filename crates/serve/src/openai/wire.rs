//! What clients are sent.

use std::time::{SystemTime, UNIX_EPOCH};

use docent::Answer;
use docent::chat::Finish;
use serde::Serialize;

/// Token counts.
#[derive(Debug, Clone, Copy, Default, Serialize, utoipa::ToSchema)]
pub struct UsageBody {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens written, reasoning included.
    pub completion_tokens: usize,
    /// Both.
    pub total_tokens: usize,
    /// About the prompt.
    pub prompt_tokens_details: PromptDetails,
    /// About what was written.
    pub completion_tokens_details: CompletionDetails,
}

/// About the prompt.
#[derive(Debug, Clone, Copy, Default, Serialize, utoipa::ToSchema)]
pub struct PromptDetails {
    /// Tokens whose state was not computed again.
    pub cached_tokens: usize,
}

/// About what was written.
#[derive(Debug, Clone, Copy, Default, Serialize, utoipa::ToSchema)]
pub struct CompletionDetails {
    /// Tokens of reasoning.
    pub reasoning_tokens: usize,
}

impl From<&docent::Usage> for UsageBody {
    fn from(usage: &docent::Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached_tokens },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.thinking_tokens },
        }
    }
}

/// A tool call.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CallBody {
    /// Its place, in streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Its name.
    pub id: String,
    /// Always `function`.
    pub r#type: &'static str,
    /// What is called.
    pub function: FunctionBody,
}

/// What is called.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FunctionBody {
    /// The tool.
    pub name: String,
    /// Its arguments, as JSON in a text.
    pub arguments: String,
}

/// What the model said: whole, or the next piece of it.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct MessageBody {
    /// Always `assistant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The text.
    pub content: Option<String>,
    /// What the model thought before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// What it asks tools to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<CallBody>>,
}

/// An answer.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ChoiceBody {
    /// Always 0.
    pub index: usize,
    /// All of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageBody>,
    /// The next piece of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<MessageBody>,
    /// The text of a text completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Always `null`.
    pub logprobs: Option<bool>,
    /// `stop`, `length` or `tool_calls`; `null` before the end.
    pub finish_reason: Option<&'static str>,
}

/// A completion, or a piece of one.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CompletionBody {
    /// Its name.
    pub id: String,
    /// `chat.completion`, `chat.completion.chunk` or `text_completion`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// One answer; none where there are token counts only.
    pub choices: Vec<ChoiceBody>,
    /// Token counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageBody>,
    /// The answer from documents: status, citations and what nothing supports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docent: Option<Answer>,
}

/// What stays the same in all pieces of a completion.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    id: String,
    created: u64,
    model: String,
    kind: Kind,
}

/// Chat or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Text,
}

impl Header {
    pub fn new(kind: Kind, model: &str, number: u64) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let prefix = if kind == Kind::Chat { "chatcmpl" } else { "cmpl" };
        Self { id: format!("{prefix}-{created:x}-{number}"), created, model: model.to_owned(), kind }
    }

    fn body(&self, object: &'static str, choices: Vec<ChoiceBody>) -> CompletionBody {
        let Self { id, created, model, .. } = self.clone();
        CompletionBody { id, object, created, model, choices, usage: None, docent: None }
    }

    /// All of it at once.
    pub fn whole(
        &self,
        message: MessageBody,
        finish: &'static str,
        usage: UsageBody,
        docent: Option<Answer>,
    ) -> CompletionBody {
        let choice = match self.kind {
            Kind::Chat => ChoiceBody {
                message: Some(MessageBody { role: Some("assistant"), ..message }),
                ..choice(Some(finish))
            },
            Kind::Text => {
                ChoiceBody { text: Some(message.content.unwrap_or_default()), ..choice(Some(finish)) }
            }
        };
        let object = if self.kind == Kind::Chat { "chat.completion" } else { "text_completion" };
        CompletionBody { usage: Some(usage), docent, ..self.body(object, vec![choice]) }
    }

    /// The next piece.
    pub fn piece(&self, delta: MessageBody, finish: Option<&'static str>) -> CompletionBody {
        let choice = match self.kind {
            Kind::Chat => ChoiceBody { delta: Some(delta), ..choice(finish) },
            Kind::Text => ChoiceBody { text: Some(delta.content.unwrap_or_default()), ..choice(finish) },
        };
        self.body(self.chunk(), vec![choice])
    }

    /// The last piece: token counts.
    pub fn usage(&self, usage: UsageBody) -> CompletionBody {
        CompletionBody { usage: Some(usage), ..self.body(self.chunk(), Vec::new()) }
    }

    fn chunk(&self) -> &'static str {
        if self.kind == Kind::Chat { "chat.completion.chunk" } else { "text_completion" }
    }
}

fn choice(finish_reason: Option<&'static str>) -> ChoiceBody {
    ChoiceBody { index: 0, message: None, delta: None, text: None, logprobs: None, finish_reason }
}

/// A piece of text.
pub(crate) fn text(content: impl Into<String>) -> MessageBody {
    MessageBody { content: Some(content.into()), ..MessageBody::default() }
}

/// Why an answer ended. One that a stop text ended was cancelled by us.
pub(crate) fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::Stop | Finish::Cancelled => "stop",
    }
}

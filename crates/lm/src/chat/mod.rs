//! Chat templates: from messages to the pieces of a prompt.
//!
//! A GGUF file carries a Jinja template (`tokenizer.chat_template`) that writes the conversation as the model was trained on it. It
//! is rendered with **marks in place of contents** ([`marks`]), and cut at the marks:
//!
//! ```text
//! "<|im_start|>user\n" ▮ "<|im_end|>\n<|im_start|>assistant\n"      ▮ = what the user wrote
//!  Template, tokenised with special tokens      Content, tokenised as plain text
//! ```
//!
//! so nothing that a user, a document or a tool wrote is ever taken for the template's own words, and each content keeps the same
//! tokens wherever it stands. A template that drops a content, or changes it other than by trimming, is an error.
//!
//! Templates are Jinja as Hugging Face runs it (`transformers/utils/chat_template_utils.py`): blocks are trimmed, Python's methods and
//! spellings of values apply, `raise_exception` refuses a conversation. `strftime_now` gives the date that the caller names, never the clock's:
//! a prefix that changes at midnight cannot be reused.

mod marks;
mod python;
#[cfg(test)]
mod tests;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind};
use serde_json::json;

use self::marks::Marks;
use crate::tokenizer::Tokenizer;
use crate::tools::ToolCall;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// The person or program asking.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// The name that templates know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// One turn of a conversation. Nothing in it can act as a template token.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// What an assistant thought before; templates leave it out of past turns unless told to preserve it.
    pub thinking: Option<String>,
    /// What an assistant asked tools to do.
    pub tool_calls: Vec<ToolCall>,
}

impl Message {
    /// A message without thinking and tool calls.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Message { role, content: content.into(), thinking: None, tool_calls: Vec::new() }
    }

    /// Instructions.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// A question.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// A past answer.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// The result of a tool call.
    pub fn tool(content: impl Into<String>) -> Self {
        Self::new(Role::Tool, content)
    }
}

/// What else a template is told.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatOptions {
    /// Ends the prompt where the assistant starts to speak.
    pub add_generation_prompt: bool,
    /// Tool definitions, as JSON objects in the model's form (name, description, parameters).
    pub tools: Vec<serde_json::Value>,
    /// Keeps the thinking of past turns, in templates that know `preserve_thinking`.
    pub preserve_thinking: bool,
    /// The date that `strftime_now` tells.
    pub date: Date,
    /// Further variables of the template, such as `enable_thinking`.
    pub variables: serde_json::Map<String, serde_json::Value>,
}

impl Default for ChatOptions {
    fn default() -> Self {
        ChatOptions {
            add_generation_prompt: true,
            tools: Vec::new(),
            preserve_thinking: false,
            date: Date { year: 2026, month: 1, day: 1 },
            variables: serde_json::Map::new(),
        }
    }
}

/// A calendar day. The default of [`ChatOptions`] is a fixed one, so that a prompt does not change from day to day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Year of the common era.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text of the template: special tokens in it are meant.
    Template(String),
    /// What somebody wrote: plain text, whatever it spells.
    Content {
        /// Index of the message it belongs to; for text out of a tool's definition, the number of messages.
        message: usize,
        /// The text, as the template left it (some trim).
        text: String,
    },
}

/// Why a conversation could not be written.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template is not Jinja as we know it.
    #[error("the model's chat template cannot be read: {0}")]
    Syntax(String),
    /// The template failed on this conversation.
    #[error("the model's chat template failed: {0}")]
    Render(String),
    /// The template itself refuses: roles in the wrong order, tools it does not know.
    #[error("the model's chat template refuses this conversation: {0}")]
    Refused(String),
    /// The template left a message out.
    #[error(
        "the model's chat template leaves out message {message} ({role}); use a model whose template knows that role"
    )]
    Dropped {
        /// Index of the message.
        message: usize,
        /// Its role.
        role: &'static str,
    },
    /// The template changed a content in a way that cannot be followed.
    #[error("the model's chat template rewrites what messages say, which is not supported")]
    Mangled,
}

/// How a model wants conversations written.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    bos: String,
    eos: String,
    /// Spellings of special tokens: text out of a tool definition that holds one is kept apart from the template.
    specials: Vec<String>,
}

/// ChatML, for files without a template of their own.
const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// A template may take so many steps of Jinja; LFM2.5's takes about 30 a message.
const FUEL: u64 = 5_000_000;

impl ChatTemplate {
    /// Reads a template; `None` is ChatML.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`] if it is not Jinja.
    pub fn new(source: Option<&str>, tokenizer: &Tokenizer) -> Result<Self, TemplateError> {
        let spelled = |id: Option<u32>| id.map_or(String::new(), |id| tokenizer.decode(&[id]));
        let specials = tokenizer.special_tokens().map(|(text, _)| text.to_owned()).collect();
        let source = python::without_generation_tags(source.unwrap_or(CHATML));
        let template =
            ChatTemplate { source, bos: spelled(tokenizer.bos()), eos: spelled(tokenizer.eos()), specials };
        if marks::are_in(&template.source) {
            return Err(TemplateError::Syntax("it uses characters of docent's own".to_owned()));
        }
        template
            .environment()
            .template_from_named_str("chat_template", &template.source)
            .map_err(|error| TemplateError::Syntax(error.to_string()))?;
        Ok(template)
    }

    /// Writes `messages` as the model expects them, cut into the template's text and what the messages say, in order.
    /// Neighbouring pieces of the template are joined; no piece is empty.
    ///
    /// # Errors
    /// [`TemplateError`] if the template fails, refuses, or does not carry every message's content.
    pub fn pieces(&self, messages: &[Message], options: &ChatOptions) -> Result<Vec<Piece>, TemplateError> {
        let mut marks = Marks::default();
        let context = self.context(messages, options, &mut marks);
        let mut environment = self.environment();
        let date = options.date;
        environment.add_function("strftime_now", move |format: String| python::strftime(&format, date));
        let rendered =
            environment.render_named_str("chat_template", &self.source, context).map_err(render_error)?;
        let pieces = marks.cut(&rendered)?;
        for (idx, message) in messages.iter().enumerate() {
            if marks.content_of(idx).is_some_and(|mark| !mark.seen) {
                return Err(TemplateError::Dropped { message: idx, role: message.role.as_str() });
            }
        }
        Ok(pieces)
    }

    /// The tokens of a conversation: [`pieces`](Self::pieces) through [`encode_pieces`].
    ///
    /// # Errors
    /// As for [`pieces`](Self::pieces).
    pub fn tokens(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        options: &ChatOptions,
    ) -> Result<Vec<u32>, TemplateError> {
        Ok(encode_pieces(tokenizer, &self.pieces(messages, options)?))
    }

    /// Everything the template may look at, contents replaced by marks.
    fn context(&self, messages: &[Message], options: &ChatOptions, marks: &mut Marks) -> Value {
        let mut variables = options.variables.clone();
        let mut set = |name: &str, value| variables.insert(name.to_owned(), value);
        let written: Vec<_> =
            messages.iter().enumerate().map(|(idx, message)| written(idx, message, marks)).collect();
        set("messages", json!(written));
        if options.tools.is_empty() {
            set("tools", serde_json::Value::Null);
        } else {
            let apart = |text: &str| self.specials.iter().any(|special| text.contains(special));
            let tools: Vec<_> =
                options.tools.iter().map(|tool| marks.strings_of(messages.len(), tool, &apart)).collect();
            set("tools", json!(tools));
        }
        set("add_generation_prompt", json!(options.add_generation_prompt));
        set("preserve_thinking", json!(options.preserve_thinking));
        set("bos_token", json!(self.bos));
        set("eos_token", json!(self.eos));
        Value::from(Serde(&variables))
    }

    /// Jinja as Hugging Face sets it up.
    fn environment(&self) -> Environment<'_> {
        let mut environment = Environment::new();
        // With the default delimiters this cannot fail.
        if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
            environment.set_syntax(syntax);
        }
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(python::write_value);
        environment.add_filter("tojson", python::to_json);
        environment.add_filter("string", python::to_string);
        environment.add_function("raise_exception", python::raise_exception);
        environment
    }
}

/// One message as the template sees it.
fn written(idx: usize, message: &Message, marks: &mut Marks) -> serde_json::Value {
    let mut fields = json!({
        "role": message.role.as_str(),
        "content": marks.content(idx, &message.content),
    });
    if let Some(thinking) = &message.thinking {
        let mark = marks.aside(idx, thinking);
        fields["thinking"] = json!(mark); // LFM2.5
        fields["reasoning_content"] = json!(mark); // Qwen3
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            let arguments = serde_json::Value::Object(call.arguments.clone());
            json!({
                "type": "function",
                "function": {
                    "name": marks.aside(idx, &call.name),
                    "arguments": marks.strings_of(idx, &arguments, &|_| true),
                },
            })
        });
        fields["tool_calls"] = calls.collect();
    }
    fields
}

fn render_error(error: minijinja::Error) -> TemplateError {
    if error.kind() == ErrorKind::InvalidOperation
        && let Some(reason) = error.detail().and_then(|detail| detail.strip_prefix(python::RAISED))
    {
        return TemplateError::Refused(reason.to_owned());
    }
    TemplateError::Render(error.to_string())
}

/// The tokens of a prompt's pieces: special tokens only in the template's, and BOS exactly once where the file or the template asks for it.
pub fn encode_pieces(tokenizer: &Tokenizer, pieces: &[Piece]) -> Vec<u32> {
    let mut ids = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Template(text) => ids.extend(tokenizer.encode_template(text)),
            Piece::Content { text, .. } => ids.extend(tokenizer.encode(text)),
        }
    }
    if let Some(bos) = tokenizer.bos() {
        let written = ids.iter().take_while(|&&id| id == bos).count();
        if written > 1 && bos_is_start(tokenizer, bos) {
            ids.drain(..written - 1);
        } else if written == 0 && tokenizer.add_bos() {
            ids.insert(0, bos);
        }
    }
    ids
}

/// Some files (SmolLM2's) name the token that starts every turn as BOS; a turn's start is not a superfluous BOS.
fn bos_is_start(tokenizer: &Tokenizer, bos: u32) -> bool {
    tokenizer.token_id("<|im_start|>") != Some(bos)
}

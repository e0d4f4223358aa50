//! What clients send. Keys are OpenAI's; those that ask for something that is not there are named so that they can be refused with a reason.

#![allow(
    dead_code,
    reason = "keys that are taken without effect are named all the same, so that unknown ones can be refused"
)]

use docent::chat::GenerateOptions;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::v1::ask::{Budget, MOST_TOKENS, StyleName};
use crate::v1::{Filter, RerankName};

/// docent's own field: from which documents an answer is made, and how.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DocentField {
    /// The collection; `.` is the one without a name; left out: the one the server was started with.
    pub collection: Option<String>,
    /// Which documents of it.
    pub filter: Filter,
    /// Whether a model reads the best candidates again: its name, or `none`.
    #[schema(value_type = Option<String>)]
    pub rerank: RerankName,
    /// The most tokens of evidence: a number, `auto` or `all`.
    pub budget: Option<Budget>,
    /// In whose words: `write` or `quote`.
    pub style: Option<StyleName>,
}

/// A conversation to go on with.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// A name from `/v1/models`; `docent` answers from the documents.
    #[schema(example = "docent")]
    pub model: String,
    /// What was said so far.
    #[schema(min_items = 1, max_items = 1000)]
    pub messages: Vec<ChatMessage>,
    /// docent's own field: answer from documents.
    pub docent: Option<DocentField>,
    /// Tools that the model may ask for: `{"type": "function", "function": {"name", "description", "parameters"}}`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Vec<Value>>,
    /// `none`, `auto`, `required`, or `{"type": "function", "function": {"name"}}`.
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    /// `{"type": "text"}`, `{"type": "json_object"}`, or `{"type": "json_schema", "json_schema": {"name", "schema"}}`.
    #[schema(value_type = Option<Object>)]
    pub response_format: Option<Value>,
    /// The older name of `max_completion_tokens`.
    #[schema(minimum = 1, maximum = 1000000)]
    pub max_tokens: Option<usize>,
    /// The most tokens of reasoning and answer.
    #[schema(minimum = 1, maximum = 1000000)]
    pub max_completion_tokens: Option<usize>,
    /// Sampling temperature, 0 to 5.
    #[schema(minimum = 0, maximum = 5)]
    pub temperature: Option<f32>,
    /// Of the likeliest tokens, those that together reach this probability.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Same seed, same text.
    pub seed: Option<i64>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Option<OneOrMany>,
    /// Send the answer as it is written.
    pub stream: Option<bool>,
    /// What to send with it.
    pub stream_options: Option<StreamOptions>,
    /// How many answers: 1.
    #[schema(minimum = 1, maximum = 1)]
    pub n: Option<usize>,
    /// Not there: `false`.
    pub logprobs: Option<bool>,
    /// Not there: 0.
    #[schema(minimum = 0, maximum = 0)]
    pub frequency_penalty: Option<f32>,
    /// Not there: 0.
    #[schema(minimum = 0, maximum = 0)]
    pub presence_penalty: Option<f32>,
    /// Not there: empty.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<Map<String, Value>>,
    /// Taken, and without effect.
    pub parallel_tool_calls: Option<bool>,
    /// Taken, and without effect.
    pub user: Option<String>,
    /// Taken, and without effect.
    pub store: Option<bool>,
    /// Taken, and without effect.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// Taken, and without effect.
    pub service_tier: Option<String>,
    /// Taken, and without effect.
    pub reasoning_effort: Option<String>,
}

/// A text to go on with.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompletionRequest {
    /// A name from `/v1/models`.
    #[schema(example = "smollm2-135m-instruct")]
    pub model: String,
    /// The text.
    pub prompt: OneOrMany,
    /// The most tokens.
    #[schema(minimum = 1, maximum = 1000000)]
    pub max_tokens: Option<usize>,
    /// Sampling temperature, 0 to 5.
    #[schema(minimum = 0, maximum = 5)]
    pub temperature: Option<f32>,
    /// Of the likeliest tokens, those that together reach this probability.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Same seed, same text.
    pub seed: Option<i64>,
    /// Texts that end the text; they are not part of it.
    pub stop: Option<OneOrMany>,
    /// Send the text as it is written.
    pub stream: Option<bool>,
    /// What to send with it.
    pub stream_options: Option<StreamOptions>,
    /// How many texts: 1.
    #[schema(minimum = 1, maximum = 1)]
    pub n: Option<usize>,
    /// How many texts to choose from: 1.
    #[schema(minimum = 1, maximum = 1)]
    pub best_of: Option<usize>,
    /// Send the prompt, too.
    pub echo: Option<bool>,
    /// Not there.
    #[schema(value_type = Option<Object>)]
    pub logprobs: Option<Value>,
    /// Not there.
    #[schema(value_type = Option<Object>)]
    pub suffix: Option<Value>,
    /// Not there: 0.
    #[schema(minimum = 0, maximum = 0)]
    pub frequency_penalty: Option<f32>,
    /// Not there: 0.
    #[schema(minimum = 0, maximum = 0)]
    pub presence_penalty: Option<f32>,
    /// Not there: empty.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<Map<String, Value>>,
    /// Taken, and without effect.
    pub user: Option<String>,
}

/// Texts to turn into vectors.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingRequest {
    /// The name of an embedding model, or `docent`: the collection's.
    #[schema(example = "docent")]
    pub model: String,
    /// The texts.
    pub input: OneOrMany,
    /// `float` or `base64` (of little-endian 32-bit floats).
    #[serde(default)]
    pub encoding_format: Encoding,
    /// The model's own number, or left out.
    #[schema(minimum = 1)]
    pub dimensions: Option<usize>,
    /// Taken, and without effect.
    pub user: Option<String>,
    /// docent's own field.
    #[serde(default)]
    pub docent: EmbeddingField,
}

/// docent's own field for embeddings.
#[derive(Debug, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingField {
    /// The collection whose model is meant by `docent`.
    pub collection: Option<String>,
    /// What the texts are: `passage`, or `query`; some models are told.
    pub input_type: InputType,
}

/// What a text is to an embedding model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputType {
    /// What is found.
    #[default]
    Passage,
    /// What is searched for.
    Query,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Numbers.
    #[default]
    Float,
    /// Base64 of little-endian 32-bit floats.
    Base64,
}

/// One text or several.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "expected a text or a list of texts; lists of token ids are not taken")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// What to send with a stream.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamOptions {
    /// Token counts at the end.
    #[serde(default)]
    pub include_usage: bool,
    /// Taken, and without effect.
    #[serde(default)]
    pub include_obfuscation: bool,
}

/// A message of a conversation.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: RoleName,
    /// What is said: a text, or parts of type `text`.
    #[serde(default)]
    pub content: Option<Content>,
    /// What an assistant thought.
    #[serde(default)]
    pub reasoning_content: Option<String>,
    /// What an assistant asked tools to do.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    pub tool_calls: Option<Vec<Value>>,
    /// The call that a tool answers.
    #[serde(default)]
    pub tool_call_id: Option<String>,
    /// Taken, and without effect.
    #[serde(default)]
    pub name: Option<String>,
    /// Taken, and without effect.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub refusal: Option<Value>,
    /// Taken, and without effect: clients send back what they were given.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub annotations: Option<Value>,
    /// As `annotations`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub audio: Option<Value>,
    /// As `annotations`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub function_call: Option<Value>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Instructions.
    System,
    /// Instructions, by another name.
    Developer,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// What is said.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(
    untagged,
    expecting = "`content` is a text, or a list of {\"type\": \"text\", \"text\": …}; images and sounds are not read"
)]
pub enum Content {
    /// A text.
    Text(String),
    /// A text in parts.
    Parts(Vec<ContentPart>),
}

/// A part of what is said.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentPart {
    /// `text`.
    pub r#type: PartType,
    /// The text.
    pub text: String,
}

/// The only kind of part there is.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartType {
    /// Text.
    Text,
}

impl ChatMessage {
    /// All that is said.
    pub fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().map(|part| part.text.as_str()).collect(),
        }
    }
}

/// What chat and text completions have in common.
pub(crate) struct Wishes {
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub seed: Option<i64>,
    pub max_tokens: Option<usize>,
    pub stop: Vec<String>,
}

/// The most texts that end an answer, and characters of one (OpenAI takes four).
const MOST_STOPS: usize = 16;
const STOP_CHARS: usize = 200;

impl Wishes {
    /// Whether they can be met.
    ///
    /// # Errors
    /// 400 with what cannot.
    pub fn check(&self) -> Result<(), Problem> {
        let range = |what: &str| Err(Problem::bad("range", what.to_owned()));
        if self.temperature.is_some_and(|t| !(0.0..=5.0).contains(&t)) {
            return range("`temperature` is a number from 0 to 5");
        }
        if self.top_p.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return range("`top_p` is a number from 0 to 1");
        }
        if self.max_tokens.is_some_and(|n| !(1..=MOST_TOKENS).contains(&n)) {
            return range("`max_tokens` and `max_completion_tokens` are numbers from 1 to 1000000");
        }
        if self.stop.len() > MOST_STOPS
            || self.stop.iter().any(|stop| stop.chars().count() > STOP_CHARS || stop.is_empty())
        {
            return range("`stop` has at most 16 texts, none of them empty or longer than 200 characters");
        }
        Ok(())
    }

    /// Puts them into a model's own settings.
    pub fn apply(&self, options: &mut GenerateOptions) {
        let sampling = &mut options.sampling;
        sampling.temperature = self.temperature.unwrap_or(sampling.temperature);
        sampling.top_p = self.top_p.unwrap_or(sampling.top_p);
        sampling.seed = self.seed.map_or(sampling.seed, i64::cast_unsigned);
        options.max_tokens = self.max_tokens.unwrap_or(options.max_tokens);
    }
}

/// 400 for a key that asks for what is not there.
pub(crate) fn refuse(wanted: &[(&str, bool)]) -> Result<(), Problem> {
    match wanted.iter().find(|(_, is_wanted)| *is_wanted) {
        Some((what, _)) => Err(Problem::bad(
            "unsupported",
            format!("`{what}` asks for something that docent does not do; leave it out"),
        )),
        None => Ok(()),
    }
}

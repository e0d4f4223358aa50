//! Tool calls as values: what a model asks for, parsed from its answer, and the result as the model reads it.
//!
//! LFM2.5 writes calls as Python between two control tokens, or as JSON if it was asked to:
//!
//! ```text
//! <|tool_call_start|>[search(query='kv cache', limit=3), stop()]<|tool_call_end|>
//! <|tool_call_start|>[{"name": "search", "arguments": {"query": "kv cache"}}]<|tool_call_end|>
//! ```
//!
//! Qwen writes one JSON object between `<tool_call>` and `</tool_call>`. [`calls_in`] finds the markers **by token id**: an answer that merely
//! quotes a document which spells them out calls nothing. Nothing is ever evaluated.

mod json;
mod python;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::tokenizer::Tokenizer;

/// One call that a model asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Which tool.
    pub name: String,
    /// Its arguments by name.
    pub arguments: Map<String, Value>,
}

/// Why a call could not be read.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[error("the tool call cannot be read at byte {at}: {what}, in `{text}`")]
pub struct ToolCallError {
    /// What was to be read.
    pub text: String,
    /// Where it stops making sense.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// The tokens between which models write calls.
const MARKERS: [(&str, &str); 2] =
    [("<|tool_call_start|>", "<|tool_call_end|>"), ("<tool_call>", "</tool_call>")];

/// The calls in generated `tokens`, in order; empty if there are none. A call that the answer breaks off inside is an error.
///
/// # Errors
/// [`ToolCallError`] for text between the markers that is not a call, so that the model can be told.
pub fn calls_in(tokenizer: &Tokenizer, tokens: &[u32]) -> Result<Vec<ToolCall>, ToolCallError> {
    let mut calls = Vec::new();
    for (open, close) in MARKERS {
        let (Some(open), Some(close)) = (tokenizer.token_id(open), tokenizer.token_id(close)) else {
            continue;
        };
        let mut rest = tokens;
        while let Some(start) = rest.iter().position(|&token| token == open) {
            let inside = &rest[start + 1..];
            let len = inside.iter().position(|&token| token == close).unwrap_or(inside.len());
            calls.extend(parse(&tokenizer.decode(&inside[..len]))?);
            rest = &inside[len..];
        }
    }
    Ok(calls)
}

/// Reads the text between a call's markers: Python calls (`f(a=1)`, or a list of them), or JSON (an object with `name` and
/// `arguments`, or a list of them).
///
/// # Errors
/// [`ToolCallError`] says where the text stops being one of these.
pub fn parse(text: &str) -> Result<Vec<ToolCall>, ToolCallError> {
    let trimmed = text.trim_start();
    let inside = trimmed.strip_prefix('[').unwrap_or(trimmed).trim_start();
    if inside.starts_with('{') { json::calls(text) } else { python::calls(text) }
}

/// A tool's result as the content of a message of [`Role::Tool`](crate::chat::Role::Tool): text as it is, everything else as JSON.
pub fn render_result(result: &Value) -> String {
    match result {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

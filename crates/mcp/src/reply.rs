//! What a tool gives back: text for a model to read, and the same as JSON for a program.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

/// A tool's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub text: String,
    pub json: Value,
}

/// A result, or what went wrong, in a sentence with the remedy. That is a result too: who called can do it better.
pub type Replied = Result<Reply, String>;

pub fn result(replied: Replied) -> CallToolResult {
    match replied {
        Ok(reply) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(reply.text)]);
            result.structured_content = Some(reply.json);
            result
        }
        Err(fault) => CallToolResult::error(vec![ContentBlock::text(fault)]),
    }
}

/// The first `n` characters of a text, and whether that is not all of it.
pub fn capped(text: &str, n: usize) -> (&str, bool) {
    match text.char_indices().nth(n) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_only_if_they_are_longer() {
        assert_eq!(capped("über", 2), ("üb", true));
        assert_eq!(capped("über", 4), ("über", false));
    }
}

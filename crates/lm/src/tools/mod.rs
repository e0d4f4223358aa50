//! Tool calls as values: what a model asks for, parsed from its answer.

/// One call that a model asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Which tool.
    pub name: String,
    /// Its arguments by name.
    pub arguments: serde_json::Map<String, serde_json::Value>,
}

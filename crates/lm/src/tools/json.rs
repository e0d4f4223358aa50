//! Calls written as JSON.

use serde_json::{Map, Value};

use super::{ToolCall, ToolCallError};

/// Reads an object `{"name": …, "arguments": {…}}`, several of them, or a list.
pub(super) fn calls(text: &str) -> Result<Vec<ToolCall>, ToolCallError> {
    let error = |at, what| ToolCallError { text: text.to_owned(), at, what };
    let mut calls = Vec::new();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    loop {
        let at = values.byte_offset();
        let call = |value| call(value).map_err(|what| error(at, what));
        match values.next() {
            None => break,
            Some(Ok(Value::Array(items))) => {
                for item in items {
                    calls.push(call(item)?);
                }
            }
            Some(Ok(value)) => calls.push(call(value)?),
            Some(Err(_)) => return Err(error(values.byte_offset(), "not JSON")),
        }
    }
    Ok(calls)
}

fn call(value: Value) -> Result<ToolCall, &'static str> {
    let Value::Object(mut fields) = value else { return Err("a call is an object") };
    // OpenAI's form wraps the call.
    if let Some(Value::Object(function)) = fields.remove("function") {
        fields = function;
    }
    let Some(Value::String(name)) = fields.remove("name") else {
        return Err("a call has a `name` that is a string");
    };
    let arguments = match fields.remove("arguments").or_else(|| fields.remove("parameters")) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        // Some models write the arguments as JSON in a string.
        Some(Value::String(text)) => {
            serde_json::from_str(&text).map_err(|_| "`arguments` is a string that is not a JSON object")?
        }
        Some(_) => return Err("`arguments` is not an object"),
    };
    Ok(ToolCall { name, arguments })
}

//! Tools: what a model is told of them, whether it has to call one, and what it calls.

use docent::Engine;
use docent::chat::ToolCall;
use serde_json::{Map, Value, json};

use super::wire::{CallBody, FunctionBody};
use crate::problem::Problem;

/// The most tools of a request.
const MOST: usize = 128;

/// What a request says about tools.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tools {
    /// In OpenAI's form; empty where there are none, or none may be called.
    pub offered: Vec<Value>,
    /// One has to be called: the answer is JSON of this schema, a tool's name and its arguments.
    pub forced: Option<Value>,
}

impl Tools {
    /// Reads `tools` and `tool_choice`.
    ///
    /// # Errors
    /// 400 for what is no tool, or a choice that is none.
    pub fn read(tools: Option<Vec<Value>>, choice: Option<&Value>) -> Result<Self, Problem> {
        let offered = tools.unwrap_or_default();
        if offered.len() > MOST {
            return Err(bad(format!("`tools` has at most {MOST} tools")));
        }
        let names = offered.iter().map(name_of).collect::<Result<Vec<_>, _>>()?;
        let all = || names.iter().copied().zip(&offered);
        let named = choice.and_then(|choice| choice.pointer("/function/name")).and_then(Value::as_str);
        match (choice.and_then(Value::as_str), named) {
            (Some("none"), _) => Ok(Self::default()),
            (Some("auto"), _) => Ok(Self { offered, forced: None }),
            _ if choice.is_none_or(Value::is_null) => Ok(Self { offered, forced: None }),
            (Some("required"), _) if !offered.is_empty() => {
                let forced = json!({ "anyOf": all().map(|(name, tool)| call_of(name, tool)).collect::<Vec<_>>() });
                Ok(Self { forced: Some(forced), offered })
            }
            (None, Some(wanted)) if names.contains(&wanted) => {
                let forced = all().find(|(name, _)| *name == wanted).map(|(name, tool)| call_of(name, tool));
                Ok(Self { forced, offered })
            }
            _ => Err(bad("`tool_choice` is \"none\", \"auto\", \"required\", or {\"type\": \"function\", \"function\": {\"name\": …}} with the name of one of `tools`".to_owned())),
        }
    }

    /// The offered tools as the model's template wants them: LFM2 was trained on the functions themselves
    /// (docs.liquid.ai, "Tool use"), all others on OpenAI's form.
    pub fn for_model(&self, engine: &Engine) -> Vec<Value> {
        let is_lfm = engine.model().tokenizer().token_id("<|tool_call_start|>").is_some();
        let function = |tool: &Value| tool["function"].clone();
        match is_lfm {
            true => self.offered.iter().map(function).collect(),
            false => self.offered.clone(),
        }
    }
}

/// The marks behind which a model writes a call: what is shown of an answer ends there.
pub(crate) fn marks() -> Vec<String> {
    ["<|tool_call_start|>", "<tool_call>"].map(str::to_owned).to_vec()
}

fn bad(message: String) -> Problem {
    Problem::bad("tools", message)
}

fn name_of(tool: &Value) -> Result<&str, Problem> {
    let is_function = tool["type"] == "function";
    let name = tool.pointer("/function/name").and_then(Value::as_str);
    let fits = |name: &&str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    name.filter(fits).filter(|_| is_function).ok_or_else(|| {
        bad("each tool is {\"type\": \"function\", \"function\": {\"name\": …, \"parameters\": …}}, its name of letters, digits, `_` and `-`".to_owned())
    })
}

/// The schema of a call of a tool.
fn call_of(name: &str, tool: &Value) -> Value {
    let parameters = tool.pointer("/function/parameters").filter(|schema| schema.is_object());
    let arguments = parameters.cloned().unwrap_or_else(|| json!({ "type": "object" }));
    json!({
        "type": "object",
        "properties": { "name": { "const": name }, "arguments": arguments },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// The call in an answer that was held to be one.
pub(crate) fn forced_call(text: &str) -> Option<ToolCall> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    let name = value["name"].as_str()?.to_owned();
    Some(ToolCall { name, arguments: value["arguments"].as_object()?.clone() })
}

/// A call as a client sends it back.
///
/// # Errors
/// 400 for what is no call.
pub(crate) fn call_from(value: &Value) -> Result<ToolCall, Problem> {
    let wrong = || {
        bad("each of `tool_calls` is {\"id\", \"type\": \"function\", \"function\": {\"name\", \"arguments\"}}, its arguments JSON in a text".to_owned())
    };
    let function = &value["function"];
    let name = function["name"].as_str().ok_or_else(wrong)?;
    let arguments: Map<String, Value> = match &function["arguments"] {
        Value::String(text) if text.trim().is_empty() => Map::new(),
        Value::String(text) => serde_json::from_str(text).map_err(|_| wrong())?,
        Value::Object(fields) => fields.clone(),
        _ => return Err(wrong()),
    };
    Ok(ToolCall { name: name.to_owned(), arguments })
}

/// Calls as clients are sent them.
pub(crate) fn bodies(calls: &[ToolCall], number: u64, in_stream: bool) -> Vec<CallBody> {
    let body = |(index, call): (usize, &ToolCall)| CallBody {
        index: in_stream.then_some(index),
        id: format!("call_{number}_{index}"),
        r#type: "function",
        function: FunctionBody {
            name: call.name.clone(),
            arguments: Value::Object(call.arguments.clone()).to_string(),
        },
    };
    calls.iter().enumerate().map(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weather() -> Vec<Value> {
        let parameters =
            json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
        vec![json!({ "type": "function", "function": { "name": "weather", "parameters": parameters } })]
    }

    #[test]
    fn a_choice_is_read_as_it_was_meant() {
        let read = |choice: Value| Tools::read(Some(weather()), Some(&choice));
        assert!(read(json!("none")).unwrap().offered.is_empty());
        assert!(read(json!("auto")).unwrap().forced.is_none());
        assert!(read(json!("required")).unwrap().forced.is_some());
        let named =
            read(json!({ "type": "function", "function": { "name": "weather" } })).unwrap().forced.unwrap();
        assert_eq!(named["properties"]["name"]["const"], "weather");
        for wrong in [json!("sometimes"), json!({ "function": { "name": "other" } }), json!(3)] {
            assert_eq!(read(wrong.clone()).unwrap_err().code, "tools", "{wrong}");
        }
        assert!(Tools::read(Some(vec![json!({ "name": "weather" })]), None).is_err());
        assert!(Tools::read(None, Some(&json!("required"))).is_err());
    }

    #[test]
    fn a_call_comes_back_as_it_was_sent() {
        let call = forced_call(r#"{"name": "weather", "arguments": {"city": "Oslo"}}"#).unwrap();
        let sent = serde_json::to_value(&bodies(std::slice::from_ref(&call), 1, false)[0]).unwrap();
        assert_eq!(call_from(&sent).unwrap(), call);
        assert_eq!(sent["function"]["arguments"], r#"{"city":"Oslo"}"#);
    }
}

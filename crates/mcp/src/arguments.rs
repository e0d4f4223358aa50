//! What a client may say, and how it is described to it. The schemas are flat, of strings and whole numbers, because small models
//! fill them in.

use docent::{Narrow, PathGlob};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The longest question or query, in characters. More is no question.
const MAX_QUESTION: usize = 4_000;
/// The most hits of a search.
const MAX_HITS: usize = 20;
/// Hits where the call does not say.
const HITS: usize = 8;
/// The most documents of a list.
pub const MAX_LISTED: usize = 200;
/// The most tokens of evidence that a call can ask for.
const MAX_BUDGET: usize = 128_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    pub query: String,
    #[serde(default = "hits")]
    pub limit: usize,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default, rename = "type")]
    pub types: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    pub question: String,
    #[serde(default)]
    pub budget: Option<usize>,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default, rename = "type")]
    pub types: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadPassage {
    pub path: String,
    #[serde(default = "first")]
    pub first_line: usize,
    #[serde(default)]
    pub last_line: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default, rename = "type")]
    pub types: Option<String>,
    #[serde(default)]
    pub offset: usize,
    #[serde(default = "listed")]
    pub limit: usize,
}

fn hits() -> usize {
    HITS
}

fn first() -> usize {
    1
}

fn listed() -> usize {
    MAX_LISTED / 2
}

/// The arguments of a call.
///
/// # Errors
/// What is wrong with them, for whoever called.
pub fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, String> {
    serde_json::from_value(Value::Object(arguments.unwrap_or_default())).map_err(|error| error.to_string())
}

impl Search {
    pub fn check(&self) -> Result<(), String> {
        text("query", &self.query)?;
        number("limit", self.limit, 1, MAX_HITS)
    }

    pub fn narrow(&self) -> Result<Narrow, String> {
        narrow(self.path.as_deref(), self.types.as_deref())
    }
}

impl Ask {
    pub fn check(&self) -> Result<(), String> {
        text("question", &self.question)?;
        self.budget.map_or(Ok(()), |budget| number("budget", budget, 1, MAX_BUDGET))
    }

    pub fn narrow(&self) -> Result<Narrow, String> {
        narrow(self.path.as_deref(), self.types.as_deref())
    }
}

impl ReadPassage {
    pub fn check(&self) -> Result<(), String> {
        let last = self.last_line.unwrap_or(usize::MAX);
        match self.first_line {
            0 => Err("first_line counts from 1".to_owned()),
            first if first > last => Err(format!("last_line {last} is before first_line {first}")),
            _ => Ok(()),
        }
    }
}

impl List {
    pub fn check(&self) -> Result<(), String> {
        number("limit", self.limit, 1, MAX_LISTED)
    }

    pub fn narrow(&self) -> Result<Narrow, String> {
        narrow(self.path.as_deref(), self.types.as_deref())
    }
}

fn narrow(path: Option<&str>, types: Option<&str>) -> Result<Narrow, String> {
    let given = |text: &&str| !text.trim().is_empty();
    let globs = path.filter(given).map(|glob| PathGlob::new(glob).map_err(|error| error.to_string()));
    let types = types.filter(given).into_iter().flat_map(|types| types.split(','));
    Ok(Narrow {
        paths: globs.transpose()?.into_iter().collect(),
        types: types.map(docent::parse_type).collect(),
        ..Narrow::default()
    })
}

fn text(name: &str, value: &str) -> Result<(), String> {
    match value.trim().chars().count() {
        0 => Err(format!("{name} is empty")),
        n if n > MAX_QUESTION => Err(format!("{name} has {n} characters; the most are {MAX_QUESTION}")),
        _ => Ok(()),
    }
}

fn number(name: &str, value: usize, least: usize, most: usize) -> Result<(), String> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} is {value}, not {least} to {most}"))
    }
}

/// The tools, with what they take.
pub fn tools() -> Vec<Tool> {
    let path = json!({
        "type": "string",
        "description": "Only documents whose path this glob matches: '*.md', 'notes/**', or a folder's absolute path",
    });
    let types = json!({ "type": "string", "description": "Only these formats or endings, e.g. 'pdf,md'" });
    vec![
        tool(
            "search",
            "Search the user's documents",
            "Find passages in the user's indexed documents, by words and by meaning. Returns path, lines and text of each.",
            &["query"],
            json!({
                "query": { "type": "string", "description": "What to look for; \"words in quotes\" must stand together" },
                "limit": { "type": "integer", "minimum": 1, "maximum": MAX_HITS, "default": HITS },
                "path": path, "type": types,
            }),
        ),
        tool(
            "ask",
            "Ask the user's documents",
            "Have a language model on the user's machine answer a question from the indexed documents. Returns the answer and the \
             sentences that support it. Takes seconds to minutes; `search` is quick.",
            &["question"],
            json!({
                "question": { "type": "string", "description": "A whole question" },
                "budget": { "type": "integer", "minimum": 1, "maximum": MAX_BUDGET, "description": "The most tokens of documents to read" },
                "path": path, "type": types,
            }),
        ),
        tool(
            "read_passage",
            "Read a document",
            "Read lines of an indexed document, as text. Long documents come in parts: go on at `next_line`.",
            &["path"],
            json!({
                "path": { "type": "string", "description": "Its path, as search and list give it" },
                "first_line": { "type": "integer", "minimum": 1, "default": 1 },
                "last_line": { "type": "integer", "minimum": 1 },
            }),
        ),
        tool(
            "list",
            "List the user's documents",
            "List the indexed documents by path. Long lists come in parts: go on at `next_offset`.",
            &[],
            json!({
                "path": path, "type": types,
                "offset": { "type": "integer", "minimum": 0, "default": 0 },
                "limit": { "type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": listed() },
            }),
        ),
    ]
}

fn tool(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    required: &[&str],
    properties: Value,
) -> Tool {
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let schema = schema.as_object().cloned().unwrap_or_default();
    let annotations = ToolAnnotations::with_title(title).read_only(true).open_world(false);
    Tool::new(name, description, schema).with_title(title).with_annotations(annotations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Option<JsonObject> {
        value.as_object().cloned()
    }

    #[test]
    fn what_is_not_described_is_refused_by_name() {
        let told = read::<Search>(object(json!({ "query": "x", "folder": "/etc" }))).unwrap_err();
        assert!(told.contains("unknown field `folder`") && told.contains("`query`"), "{told}");
        assert!(read::<Ask>(object(json!({}))).unwrap_err().contains("missing field `question`"));
        assert!(read::<List>(object(json!({ "limit": "ten" }))).is_err());
        assert!(read::<List>(None).is_ok());
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let search = |value| read::<Search>(object(value)).unwrap().check();
        assert!(search(json!({ "query": "x" })).is_ok());
        assert!(search(json!({ "query": "  " })).unwrap_err().contains("empty"));
        assert!(search(json!({ "query": "x", "limit": 21 })).unwrap_err().contains("1 to 20"));
        assert!(search(json!({ "query": "x".repeat(MAX_QUESTION + 1) })).is_err());
        let passage = |value| read::<ReadPassage>(object(value)).unwrap().check();
        assert!(passage(json!({ "path": "a", "first_line": 0 })).is_err());
        assert!(passage(json!({ "path": "a", "first_line": 5, "last_line": 4 })).is_err());
    }

    #[test]
    fn every_argument_that_is_taken_is_described_and_no_other() {
        for tool in tools() {
            let schema = Value::Object((*tool.input_schema).clone());
            assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
            for (name, described) in schema["properties"].as_object().unwrap() {
                let mut given = serde_json::Map::new();
                for required in schema["required"].as_array().unwrap() {
                    given.insert(required.as_str().unwrap().to_owned(), json!("x"));
                }
                let value = if described["type"] == "integer" { json!(1) } else { json!("x") };
                given.insert(name.clone(), value);
                let read = match &*tool.name {
                    "search" => read::<Search>(Some(given)).map(drop),
                    "ask" => read::<Ask>(Some(given)).map(drop),
                    "read_passage" => read::<ReadPassage>(Some(given)).map(drop),
                    _ => read::<List>(Some(given)).map(drop),
                };
                assert_eq!(read, Ok(()), "{}: {name}", tool.name);
            }
        }
    }
}

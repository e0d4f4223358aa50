//! Jupyter notebooks: the cells in order, Markdown cells by their own structure, code cells and the text they printed as code.
//!
//! Format 4 (nbformat.readthedocs.io, "The notebook file format"); pictures among the outputs are left out.

use serde::Deserialize;

use crate::decode::Decoded;
use crate::document::{BlockKind, Document, Writer};
use crate::{ExtractError, Format, markdown};

#[derive(Deserialize)]
struct Notebook {
    #[serde(default)]
    cells: Vec<Cell>,
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Cell {
    cell_type: String,
    #[serde(default)]
    source: Text,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    text: Text,
    #[serde(default)]
    data: serde_json::Map<String, serde_json::Value>,
}

/// A string, or its lines.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Lines(Vec<String>),
    #[default]
    Absent,
}

/// Printed output longer than this is data.
const MAX_OUTPUT: usize = 4000;

pub(crate) fn extract(decoded: &Decoded) -> Result<Document, ExtractError> {
    let notebook: Notebook = serde_json::from_str(decoded.text.trim_start_matches('\u{feff}'))
        .map_err(|error| ExtractError::failed(format!("broken notebook: {error}")))?;
    let language = notebook
        .metadata
        .pointer("/kernelspec/language")
        .or(notebook.metadata.pointer("/language_info/name"));
    let language = language.and_then(serde_json::Value::as_str).map(str::to_lowercase);
    let mut writer = Writer::default();
    let mut title = None;
    for cell in notebook.cells {
        let source = cell.source.into_string();
        if cell.cell_type == "markdown" {
            let part = markdown::extract(Decoded { text: source, same_as_file: false });
            title = title.or(part.title.clone());
            writer.append(&part, 0);
            continue;
        }
        let language = if cell.cell_type == "code" { language.clone() } else { None };
        writer.push(&source, BlockKind::Code { language });
        for output in cell.outputs {
            let plain = output
                .data
                .get("text/plain")
                .cloned()
                .and_then(|value| serde_json::from_value::<Text>(value).ok());
            for text in [output.text, plain.unwrap_or_default()] {
                let text = text.into_string();
                if text.len() <= MAX_OUTPUT {
                    writer.push(&text, BlockKind::Code { language: None });
                }
            }
        }
    }
    let mut document = writer.finish(Format::Notebook, title);
    let authors = notebook.metadata.get("authors").and_then(serde_json::Value::as_array);
    for author in authors.into_iter().flatten() {
        document.about.add_author(author.get("name").and_then(serde_json::Value::as_str).unwrap_or_default());
    }
    Ok(document)
}

impl Text {
    fn into_string(self) -> String {
        match self {
            Self::Whole(text) => text,
            Self::Lines(lines) => lines.concat(),
            Self::Absent => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_out_in_order_with_their_output() {
        let text = r##"{"cells":[{"cell_type":"markdown","source":["# Title\n","\n","- item"]},
            {"cell_type":"code","source":"print(1)","outputs":[{"output_type":"stream","text":["1\n"]},{"data":{"text/plain":["<x>"],"image/png":"AAAA"}}]}],
            "metadata":{"kernelspec":{"language":"python"}},"nbformat":4}"##;
        let document = extract(&Decoded { text: text.into(), same_as_file: true }).unwrap();
        assert_eq!(document.text, "Title\n\n- item\n\nprint(1)\n\n1\n\n<x>");
        assert_eq!(document.title.as_deref(), Some("Title"));
        assert_eq!(document.blocks[2].kind, BlockKind::Code { language: Some("python".into()) });
        assert_eq!(document.check(), Ok(()));
        assert!(extract(&Decoded { text: "{".into(), same_as_file: true }).is_err());
    }
}

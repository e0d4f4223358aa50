//! `extract`: what was understood of a file, to look at and to report.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use docent_extract::{Block, BlockKind, Document, ExtractError, Format, Limits};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::args::ExtractArgs;
use crate::exit::Outcome;
use crate::output::{Output, count, name, printable};

/// Characters of a block shown in the overview.
const SHOWN: usize = 60;

pub fn run(output: Output, limits: &Limits, args: &ExtractArgs) -> anyhow::Result<Outcome> {
    let (mut n_without_text, mut n_failed) = (0, 0);
    for path in &args.files {
        let read = extract(path, limits);
        match &read {
            Err(ExtractError::Skipped { .. }) => n_without_text += 1,
            Err(ExtractError::Failed { .. }) => n_failed += 1,
            Ok(_) => {}
        }
        if args.json {
            output.line(told(path, &read)?);
            continue;
        }
        match &read {
            Ok(document) if args.markdown => {
                document
                    .warnings
                    .iter()
                    .for_each(|warning| output.note(format!("{}: {warning}", name(path))));
                output.write(&printable(&document.markdown()));
            }
            Ok(document) => overview(output, path, document),
            Err(error) => output.warn(format!("{}: {}", name(path), printable(error.reason()))),
        }
    }
    Ok(match (n_failed, n_without_text) {
        (0, 0) => Outcome::Done,
        (0, _) => Outcome::NotFound,
        _ => Outcome::Failed,
    })
}

/// Reads one file; what stands in the way is a failure like any other.
fn extract(path: &Path, limits: &Limits) -> Result<Document, ExtractError> {
    let failed = |error: std::io::Error| ExtractError::Failed { reason: error.to_string() };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(ExtractError::Failed { reason: "is a folder; name the files in it".to_owned() });
    }
    limits.check_size(metadata.len())?;
    let mut bytes = Vec::new();
    file.by_ref().take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    docent_extract::extract(path, &bytes, limits)
}

/// The JSON object of one file.
fn told(path: &Path, read: &Result<Document, ExtractError>) -> serde_json::Result<String> {
    let path = path.to_string_lossy();
    let document = match read {
        Ok(document) => document,
        Err(error) => {
            let outcome = if matches!(error, ExtractError::Skipped { .. }) { "no_text" } else { "failed" };
            let told = json!({ "path": path, "outcome": outcome, "reason": error.reason() });
            return serde_json::to_string(&told);
        }
    };
    let about = &document.about;
    serde_json::to_string(&Told {
        path: &path,
        outcome: "text",
        reason: None,
        format: document.format,
        title: document.title.as_deref(),
        authors: &about.authors,
        created: about.created.as_deref(),
        modified: about.modified.as_deref(),
        language: docent::language_of(document),
        declared_language: about.language.as_deref(),
        fields: about.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect(),
        same_as_file: document.same_as_file,
        warnings: &document.warnings,
        pages: document.pages.iter().map(|p| json!({ "byte_start": p.start, "byte_end": p.end })).collect(),
        blocks: Blocks(document),
        text: &document.text,
    })
}

/// What `--json` prints of a file with text, in this order.
#[derive(Serialize)]
struct Told<'a> {
    path: &'a str,
    outcome: &'a str,
    reason: Option<&'a str>,
    format: Format,
    title: Option<&'a str>,
    authors: &'a [String],
    created: Option<&'a str>,
    modified: Option<&'a str>,
    language: Option<&'a str>,
    declared_language: Option<&'a str>,
    fields: Map<String, Value>,
    same_as_file: bool,
    warnings: &'a [String],
    pages: Vec<Value>,
    blocks: Blocks<'a>,
    text: &'a str,
}

/// The blocks, each made when it is written: as one tree of values those of a mail of a million parts took 3 GB.
struct Blocks<'a>(&'a Document);

impl Serialize for Blocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let paths = self.0.heading_paths();
        let blocks = self.0.blocks.iter().zip(&paths);
        serializer.collect_seq(blocks.map(|(block, path)| told_block(self.0, block, path)))
    }
}

fn told_block(document: &Document, block: &Block, heading_path: &[&str]) -> Value {
    let (kind, level, language) = kind(&block.kind);
    json!({
        "kind": kind, "level": level, "language": language, "byte_start": block.span.start, "byte_end": block.span.end,
        "page": document.page_of(block.span.start), "cells": document.cells_of(&block.span), "heading_path": heading_path,
    })
}

fn kind(kind: &BlockKind) -> (&'static str, Option<u8>, Option<&str>) {
    match kind {
        BlockKind::Heading { level } => ("heading", Some(*level), None),
        BlockKind::Paragraph => ("paragraph", None, None),
        BlockKind::ListItem => ("list_item", None, None),
        BlockKind::Table => ("table", None, None),
        BlockKind::Code { language } => ("code", None, language.as_deref()),
        BlockKind::Quote => ("quote", None, None),
    }
}

/// What a file says about itself, then a line for each block.
fn overview(output: Output, path: &Path, document: &Document) {
    let about = &document.about;
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut add = |name: &'static str, value: Option<&str>| {
        facts.extend(value.map(|value| (name, printable(value).replace('\n', " "))));
    };
    add("format", Some(document.format.as_str()));
    add("title", document.title.as_deref());
    let authors = about.authors.join("; ");
    add("by", Some(authors.as_str()).filter(|authors| !authors.is_empty()));
    add("made", about.created.as_deref());
    add("changed", about.modified.as_deref());
    add("language", docent::language_of(document).or(about.language.as_deref()));
    about.fields.iter().for_each(|(name, value)| facts.push((name, printable(value).replace('\n', " "))));
    let n_pages = match document.pages.len() {
        0 => String::new(),
        n => format!("{} pages, ", count(n)),
    };
    let n_chars = document.text.chars().count();
    output.line(output.bold(&name(path)));
    for (name, value) in facts {
        output.line(format!("  {name:11} {value}"));
    }
    output.line(format!(
        "  {:11} {n_pages}{} blocks, {} characters",
        "read",
        count(document.blocks.len()),
        count(n_chars)
    ));
    for warning in &document.warnings {
        output.line(format!("  {:11} {}", "warning", printable(warning).replace('\n', " ")));
    }
    for (block, heading_path) in document.blocks.iter().zip(document.heading_paths()) {
        let (kind, level, language) = kind(&block.kind);
        let what = match (level, language) {
            (Some(level), _) => format!("{kind} {level}"),
            (_, Some(language)) => format!("{kind} {language}"),
            _ => kind.to_owned(),
        };
        let page = document.page_of(block.span.start).map_or_else(String::new, |page| format!("p.{page}"));
        let words =
            printable(&document.text[block.span.clone()]).split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = words.chars().take(SHOWN).collect();
        let more = if shown.len() < words.len() { "…" } else { "" };
        let indent = "  ".repeat(heading_path.len().min(8));
        output.line(format!(
            "{:>9} {page:>6} {:13} {indent}{shown}{more}",
            block.span.start,
            printable(&what)
        ));
    }
}

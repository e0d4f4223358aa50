//! `read_passage`, `list`, and the documents as resources.
//!
//! What was only looked into with `--in`, and never added, is in the index as well: it is nobody's to read here.

use std::path::Path;

use docent::{DocumentText, FileRecord, Library, Narrow};
use rmcp::model::Resource;
use serde_json::{Value, json};

use crate::arguments::{List, ReadPassage};
use crate::places::{address, path_of};
use crate::reply::{Replied, Reply};

/// The most characters of a document in one reply: about 4,000 tokens.
const READ_CHARS: usize = 16_000;
/// The most characters of a document as a resource, which cannot come in parts.
const RESOURCE_CHARS: usize = 400_000;
/// Resources in one part of their list.
const PAGE: usize = 200;

fn document(library: &Library, path: &Path) -> Result<DocumentText, String> {
    library.added_document(path).map_err(|error| match error {
        docent::Error::NotIndexed { .. } | docent::Error::Empty => {
            format!("{} is not among the indexed documents; `list` names them", path.display())
        }
        other => other.to_string(),
    })
}

pub fn read_passage(library: &Library, wanted: &ReadPassage) -> Replied {
    wanted.check()?;
    let document = document(library, Path::new(&wanted.path))?;
    let n_lines = document.text.lines().count();
    if wanted.first_line > n_lines.max(1) {
        return Err(format!(
            "{} has {n_lines} lines; line {} is past its end",
            wanted.path, wanted.first_line
        ));
    }
    let last = wanted.last_line.unwrap_or(n_lines).min(n_lines);
    let (text, last_shown) = lines(&document.text, wanted.first_line, last);
    let next_line = (last_shown < last).then_some(last_shown + 1);
    let path = document.record.stat.path.to_string_lossy().into_owned();
    let more =
        next_line.map_or_else(String::new, |next| format!("\n[… goes on at line {next} of {n_lines}]"));
    let json = json!({
        "path": path, "line_start": wanted.first_line, "line_end": last_shown, "lines": n_lines, "next_line": next_line,
        "text": text,
    });
    Ok(Reply { text: format!("{path}:{}-{last_shown}\n{text}{more}", wanted.first_line), json })
}

/// Lines `first` to `last`, or as many of them as may be shown, and the last of those. A line that is too long by itself is cut.
fn lines(text: &str, first: usize, last: usize) -> (String, usize) {
    let mut shown = String::new();
    let mut n_chars = 0;
    let mut last_shown = first.saturating_sub(1);
    for (idx, line) in text.lines().enumerate().skip(first - 1).take((last + 1).saturating_sub(first)) {
        let room = READ_CHARS.saturating_sub(n_chars);
        let line_chars = line.chars().count();
        if line_chars > room && !shown.is_empty() {
            break;
        }
        let (line, is_cut) = crate::reply::capped(line, room);
        shown.push_str(line);
        shown.push_str(if is_cut { " [… the line is longer]\n" } else { "\n" });
        n_chars += line_chars;
        last_shown = idx + 1;
    }
    (shown, last_shown)
}

pub fn list(library: &Library, wanted: &List) -> Replied {
    wanted.check()?;
    let narrow = wanted.narrow()?;
    let files = library.documents(&narrow).map_err(|error| error.to_string())?;
    let part: Vec<&FileRecord> = files.iter().skip(wanted.offset).take(wanted.limit).collect();
    let end = wanted.offset + part.len();
    let next_offset = (end < files.len()).then_some(end);
    let mut text = format!("{} documents", files.len());
    for file in &part {
        text.push_str(&format!(
            "\n{}  ({}, {} passages)",
            file.stat.path.display(),
            file.format,
            file.n_chunks
        ));
    }
    if let Some(next) = next_offset {
        text.push_str(&format!("\n[… goes on at offset {next}]"));
    }
    let told: Vec<Value> = part.iter().map(|file| as_json(file)).collect();
    Ok(Reply { text, json: json!({ "total": files.len(), "next_offset": next_offset, "documents": told }) })
}

fn as_json(file: &FileRecord) -> Value {
    json!({
        "path": file.stat.path.to_string_lossy(), "title": file.title, "format": file.format, "bytes": file.stat.size,
        "passages": file.n_chunks, "language": file.language,
    })
}

/// A part of the list of resources, from `cursor` on, and the cursor of the next one.
///
/// # Errors
/// A cursor that is none, or an index that cannot be read.
pub fn resources(library: &Library, cursor: Option<&str>) -> Result<(Vec<Resource>, Option<String>), String> {
    let start: usize =
        cursor.map_or(Ok(0), str::parse).map_err(|_| "this is no cursor of docent".to_owned())?;
    let files = library.documents(&Narrow::default()).map_err(|error| error.to_string())?;
    let part: Vec<Resource> = files.iter().skip(start).take(PAGE).map(resource).collect();
    let end = start + part.len();
    Ok((part, (end < files.len()).then(|| end.to_string())))
}

fn resource(file: &FileRecord) -> Resource {
    let name = file.stat.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut resource = Resource::new(address(&file.stat.path), name)
        .with_description(file.stat.path.display().to_string())
        .with_mime_type(mime_type(&file.format));
    resource.title.clone_from(&file.title);
    resource
}

/// What docent reads of a document is text, whatever the file is.
fn mime_type(format: &str) -> &'static str {
    if format == "markdown" { "text/markdown" } else { "text/plain" }
}

/// A resource's text and type. None if there is no such document.
///
/// # Errors
/// A document that is too long, or an index that cannot be read.
pub fn read_resource(library: &Library, uri: &str) -> Result<Option<(String, &'static str)>, String> {
    let Some(document) = path_of(uri).and_then(|path| document(library, &path).ok()) else { return Ok(None) };
    let n_chars = document.text.chars().count();
    if n_chars > RESOURCE_CHARS {
        let path = document.record.stat.path.display();
        return Err(format!("{path} has {n_chars} characters: read it in parts, with the tool read_passage"));
    }
    let mime_type = mime_type(&document.record.format);
    Ok(Some((document.text, mime_type)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_documents_come_in_parts_of_whole_lines() {
        let text = format!("{}\n{}\nshort\n", "a".repeat(READ_CHARS - 10), "b".repeat(20));
        let (first, last) = lines(&text, 1, 3);
        assert_eq!((first.len(), last), (READ_CHARS - 9, 1));
        let (second, last) = lines(&text, 2, 3);
        assert_eq!((second.as_str(), last), (&*format!("{}\nshort\n", "b".repeat(20)), 3));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_says_so() {
        let text = format!("{}\nnext\n", "ü".repeat(READ_CHARS + 5));
        let (shown, last) = lines(&text, 1, 2);
        assert!(shown.ends_with("[… the line is longer]\n"));
        assert_eq!(last, 1);
    }
}

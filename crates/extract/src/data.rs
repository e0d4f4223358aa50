//! Data with keys (JSON, YAML, TOML, INI): the file itself; the keys of its large parts are headings, so that a value deep inside
//! can be found and cited by where it belongs.
//!
//! 1. The file is read into a tree of entries, each a key and a byte range. No value is interpreted.
//! 2. A large entry becomes a heading (its key, where it stands in the file) and its own entries are looked at; small ones that
//!    follow each other make one block of code.
//!
//! What does not read as what its name says is cut at blank lines, like source code.

use std::ops::Range;

use crate::Format;
use crate::code;
use crate::decode::Decoded;
use crate::document::{BlockKind, Document, Spans};
use crate::plain::lines;

/// Entries of more bytes than this get a heading of their own: about 150 tokens.
const LARGE: usize = 500;

/// Small entries are gathered to about this many bytes.
const GROUP: usize = 800;

/// Keys further in than this are no headings.
const MAX_DEPTH: usize = 5;

/// One entry of the tree, in the order of the file; those inside it come right behind it.
struct Entry {
    /// The words of the key, without quotes.
    key: Option<Range<usize>>,
    /// Key and value.
    span: Range<usize>,
    /// Where the value begins.
    value: usize,
    depth: usize,
    /// Position behind the last entry inside.
    next: usize,
}

pub(crate) fn extract(decoded: Decoded, language: Option<&str>) -> Document {
    let text = &decoded.text;
    let entries = match language {
        Some("json") => json(text),
        Some("yaml") => Some(yaml(text)),
        _ => Some(sections(text)),
    };
    let Some(entries) = entries.filter(|entries| entries.iter().any(|entry| entry.key.is_some())) else {
        return Document { format: Format::Data, ..code::extract(decoded, language) };
    };
    let kind = BlockKind::Code { language: language.map(str::to_owned) };
    let mut writer = Blocks { text, spans: Spans::new(text), kind, group: None };
    if let Some(first) = entries.first() {
        writer.add(0..first.span.start);
    }
    write(&entries, 0..entries.len(), &mut writer);
    writer.add(entries.last().map_or(0, |_| entries_end(&entries))..text.len());
    writer.end_group();
    let blocks = writer.spans.into_blocks();
    Document::in_place(decoded, Format::Data, None, blocks)
}

fn entries_end(entries: &[Entry]) -> usize {
    entries.iter().filter(|entry| entry.depth == 0).map(|entry| entry.span.end).max().unwrap_or(0)
}

struct Blocks<'a> {
    text: &'a str,
    spans: Spans<'a>,
    kind: BlockKind,
    group: Option<Range<usize>>,
}

impl Blocks<'_> {
    fn add(&mut self, span: Range<usize>) {
        match &mut self.group {
            Some(group) if span.end - group.start <= GROUP => group.end = span.end,
            _ => {
                self.end_group();
                self.group = Some(span);
            }
        }
    }

    fn end_group(&mut self) {
        // A bracket on its own says nothing.
        let says_something = |group: &Range<usize>| self.text[group.clone()].contains(char::is_alphanumeric);
        if let Some(group) = self.group.take().filter(says_something) {
            self.spans.push(group, self.kind.clone());
        }
    }
}

fn write(entries: &[Entry], range: Range<usize>, blocks: &mut Blocks<'_>) {
    let mut at = range.start;
    while at < range.end {
        let entry = &entries[at];
        let inside = at + 1..entry.next;
        at = entry.next;
        if entry.span.len() <= LARGE {
            blocks.add(entry.span.clone());
            continue;
        }
        if let Some(key) = &entry.key {
            blocks.end_group();
            blocks.spans.push(key.clone(), BlockKind::Heading { level: entry.depth as u8 + 1 });
        }
        match entries.get(inside.start).filter(|_| !inside.is_empty()) {
            Some(first) => {
                blocks.add(entry.value..first.span.start);
                write(entries, inside, blocks);
            }
            None => {
                blocks.add(if entry.key.is_some() { entry.value..entry.span.end } else { entry.span.clone() })
            }
        }
        if entry.key.is_some() {
            blocks.end_group();
        }
    }
}

/// Entries of objects and arrays. Comments and several values one after the other are let through; `None` if brackets
/// or quotes do not close as they should.
fn json(text: &str) -> Option<Vec<Entry>> {
    let bytes = text.as_bytes();
    let mut entries: Vec<Entry> = Vec::new();
    // Position of the entry each open bracket belongs to, if it is kept.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut key: Option<(usize, Range<usize>)> = None;
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let begin = at;
        match b {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..].find('\n').map_or(text.len(), |n| at + n);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = at + 2 + text.get(at + 2..)?.find("*/")? + 2,
            b'"' => {
                at = string_end(bytes, at)?;
                let after = bytes[at..].iter().find(|b| !b.is_ascii_whitespace());
                if after == Some(&b':') && key.is_none() {
                    key = Some((begin, begin + 1..at - 1));
                } else {
                    push(&mut entries, &mut key, begin..at, open.len());
                }
            }
            b'{' | b'[' => {
                at += 1;
                open.push(push(&mut entries, &mut key, begin..at, open.len()));
            }
            b'}' | b']' => {
                at += 1;
                key = None;
                if let Some(idx) = open.pop()? {
                    entries[idx].span.end = at;
                    entries[idx].next = entries.len();
                }
            }
            b',' | b':' => at += 1,
            _ if b.is_ascii_whitespace() => at += 1,
            _ => {
                let ends = |b: &u8| b.is_ascii_whitespace() || b",:{}[]\"".contains(b);
                at += bytes[at..].iter().position(ends).unwrap_or(bytes.len() - at).max(1);
                push(&mut entries, &mut key, begin..at, open.len());
            }
        }
    }
    for idx in open.into_iter().flatten() {
        entries[idx].span.end = text.len();
        entries[idx].next = entries.len();
    }
    // The outermost brackets are the file itself.
    if let [first, ..] = entries.as_slice()
        && first.next == entries.len()
        && first.key.is_none()
        && entries.len() > 1
    {
        entries.remove(0);
        for entry in &mut entries {
            entry.depth = entry.depth.saturating_sub(1);
            entry.next -= 1;
        }
    }
    Some(entries)
}

/// Notes an entry unless it lies too deep. Gives its position.
fn push(
    entries: &mut Vec<Entry>,
    key: &mut Option<(usize, Range<usize>)>,
    value: Range<usize>,
    depth: usize,
) -> Option<usize> {
    let (start, key) = key.take().map_or((value.start, None), |(start, key)| (start, Some(key)));
    if depth > MAX_DEPTH {
        return None;
    }
    let next = entries.len() + 1;
    entries.push(Entry { key, span: start..value.end, value: value.start, depth, next });
    Some(next - 1)
}

/// Where the string that opens at `at` ends.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    loop {
        match bytes.get(end)? {
            b'\\' => end += 2,
            b'"' => return Some(end + 1),
            b'\n' => return None,
            _ => end += 1,
        }
    }
}

/// Entries by indentation: `key: value`, `- item`. What else a line holds belongs to the entry before it.
fn yaml(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    // Indentation and position of each open entry.
    let mut open: Vec<(usize, usize)> = Vec::new();
    // Lines indented by more than this are a block of text (`key: |`).
    let mut text_below: Option<usize> = None;
    let mut end = 0;
    let close = |open: &mut Vec<(usize, usize)>, entries: &mut Vec<Entry>, indent: usize, end: usize| {
        while open.last().is_some_and(|(above, _)| *above >= indent) {
            if let Some((_, idx)) = open.pop() {
                entries[idx].span.end = end.max(entries[idx].span.start);
                entries[idx].next = entries.len();
            }
        }
    };
    for span in lines(text) {
        let line = text[span.clone()].trim_end().trim_start_matches('\u{feff}');
        let words = line.trim_start();
        let lead = words.as_ptr() as usize - text.as_ptr() as usize;
        let mut indent = line.len() - words.len();
        if words.is_empty() || words.starts_with('#') || text_below.is_some_and(|above| indent > above) {
            end = if words.is_empty() { end } else { span.end };
            continue;
        }
        text_below = None;
        if words.starts_with("---") || words.starts_with("...") {
            close(&mut open, &mut entries, 0, end);
            end = span.end;
            continue;
        }
        let mut rest = words;
        let mut is_first = true;
        while let Some((key, value)) = yaml_entry(rest) {
            // An item may stand as far left as the key it belongs to.
            let closes_from = if rest.starts_with("- ") || rest == "-" { indent * 2 + 1 } else { indent * 2 };
            if is_first {
                close(&mut open, &mut entries, closes_from, end);
            }
            is_first = false;
            let start = lead + words.len() - rest.len();
            let key = key.map(|key| start + key.start..start + key.end);
            if open.len() <= MAX_DEPTH {
                entries.push(Entry {
                    key,
                    span: start..span.end,
                    value: start + rest.len() - value.len(),
                    depth: open.len(),
                    next: entries.len() + 1,
                });
                open.push((closes_from, entries.len() - 1));
            }
            indent += rest.len() - value.len();
            if value.starts_with(['|', '>']) {
                text_below = Some(line.len() - words.len());
            }
            if value.is_empty() || !rest.starts_with("- ") {
                break;
            }
            rest = value;
        }
        end = span.end;
    }
    close(&mut open, &mut entries, 0, end);
    entries
}

/// The key (a range of `words`; none for `- `) and what follows it.
fn yaml_entry(words: &str) -> Option<(Option<Range<usize>>, &str)> {
    if words == "-" || words.starts_with("- ") {
        return Some((None, words[1..].trim_start()));
    }
    let quoted = words.chars().next().filter(|c| *c == '"' || *c == '\'');
    let (key, after) = match quoted {
        Some(quote) => {
            let n = words[1..].find(quote)?;
            (1..1 + n, &words[n + 2..])
        }
        None => {
            let n = words
                .match_indices(':')
                .map(|(n, _)| n)
                .find(|n| words[n + 1..].is_empty() || words[n + 1..].starts_with(' '))?;
            (0..n, &words[n..])
        }
    };
    let value = after.trim_start().strip_prefix(':')?;
    let is_key =
        !key.is_empty() && key.len() <= 100 && !words[key.clone()].starts_with(['{', '[', '#', '&', '*']);
    is_key.then(|| (Some(key), value.trim_start()))
}

/// `[section]`, `[[list.of.tables]]`: each up to the next one. A dotted name lies as deep as it has dots.
fn sections(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for span in lines(text) {
        let line = text[span.clone()].trim_end();
        let name = line.trim_start_matches('\u{feff}').trim().trim_start_matches('[');
        let is_header = line.trim_start_matches('\u{feff}').starts_with('[')
            && name.split_once(']').is_some_and(|(name, rest)| {
                let rest = rest.trim_start_matches(']').trim_start();
                !name.is_empty()
                    && !name.contains(['[', '{', ','])
                    && (rest.is_empty() || rest.starts_with(['#', ';']))
            });
        if is_header {
            let name = name.split(']').next().unwrap_or(name);
            let start = span.start + text[span.clone()].find(name).unwrap_or(0);
            if let Some(last) = entries.last_mut() {
                last.span.end = span.start;
            }
            let depth = name.matches('.').count().min(MAX_DEPTH);
            let next = entries.len() + 1;
            entries.push(Entry {
                key: Some(start..start + name.len()),
                span: span.clone(),
                value: span.end,
                depth,
                next,
            });
        }
    }
    if let Some(last) = entries.last_mut() {
        last.span.end = text.len();
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, language: &str) -> Vec<(String, Option<u8>)> {
        let document = extract(Decoded { text: text.into(), same_as_file: true }, Some(language));
        assert_eq!(document.check(), Ok(()));
        let level = |kind: &BlockKind| match kind {
            BlockKind::Heading { level } => Some(*level),
            _ => None,
        };
        document.blocks.iter().map(|b| (document.text[b.span.clone()].to_owned(), level(&b.kind))).collect()
    }

    #[test]
    fn keys_of_large_values_are_headings() {
        let long = "x".repeat(600);
        let text = format!(
            "{{\"name\": \"a\", \"n\": 1, \"server\": {{\"ports\": [80, 443], \"note\": \"{long}\"}}, \"tail\": true}}"
        );
        let parts = parts(&text, "json");
        assert_eq!(parts[0].0, "{\"name\": \"a\", \"n\": 1");
        assert_eq!(parts[1], ("server".to_owned(), Some(1)));
        assert_eq!(parts[2].0, "{\"ports\": [80, 443]");
        assert_eq!(parts[3], ("note".to_owned(), Some(2)));
        assert!(parts[4].0.starts_with("\"xxx"));
        assert_eq!(parts[5].0, "\"tail\": true}");
    }

    #[test]
    fn records_of_a_list_are_gathered() {
        let text: String = (0..100).map(|i| format!("{{\"id\": {i}, \"name\": \"record\"}}\n")).collect();
        let parts = parts(&text, "json");
        assert!(parts.len() > 3 && parts.len() < 10 && parts.iter().all(|(_, level)| level.is_none()));
        assert!(parts[0].0.starts_with("{\"id\": 0,") && parts[1].0.starts_with("{\"id\": "));
    }

    #[test]
    fn indentation_makes_the_tree_of_yaml() {
        let long = "    word\n".repeat(100);
        let text = format!(
            "# top\nname: a\nserver:\n  ports:\n  - 80\n  - name: x\n    port: 443\n  text: |\n{long}\"quoted key\":\n  - url: http://x\nend: 1\n"
        );
        let parts = parts(&text, "yaml");
        assert_eq!(parts[0].0, "# top\nname: a");
        assert_eq!(parts[1], ("server".to_owned(), Some(1)));
        assert_eq!(parts[2].0, "ports:\n  - 80\n  - name: x\n    port: 443");
        assert_eq!(parts[3], ("text".to_owned(), Some(2)));
        assert!(parts[4].0.starts_with("|\n    word"));
        assert_eq!(parts[5].0, "\"quoted key\":\n  - url: http://x\nend: 1");
    }

    #[test]
    fn sections_of_settings_are_headings_when_large() {
        let long = "key = \"value\"\n".repeat(60);
        let text = format!("top = 1\n[a]\nx = [1, 2]\n[b.c]\n{long}[[d]]\ny = 2\n");
        let parts = parts(&text, "toml");
        assert_eq!(parts[0].0, "top = 1\n[a]\nx = [1, 2]");
        assert_eq!(parts[1], ("b.c".to_owned(), Some(2)));
        assert_eq!(parts.last().unwrap().0, "[[d]]\ny = 2");
    }

    #[test]
    fn what_is_broken_is_read_as_text() {
        for text in [
            "}",
            "{\"a\": \"never closed",
            "{\"a\": {\"b\"",
            "\"",
            "/*",
            "{]}",
            "[[[[[[[[[[1]]]]]]]]]]",
            "a: b: c",
            "- - - x: y",
            "['x': 1",
        ] {
            for language in ["json", "yaml", "toml"] {
                parts(text, language);
            }
        }
    }
}

//! Source code: one block for each top-level item, or group of lines, that blank lines part.
//!
//! No grammar is used. A blank line ends a block when the next line is indented no deeper than the block's first line,
//! and does not merely close a bracket. An item longer than [`LONG`] lines is cut the same way
//! one indentation deeper, so that a class becomes its methods.

use std::ops::Range;

use crate::Format;
use crate::decode::Decoded;
use crate::document::{BlockKind, Document, Spans};
use crate::plain::lines;

/// Lines after which an item is cut at its inner blank lines. About 220 tokens are 20-30 lines of code;
/// twice that still reads as one thing.
const LONG: usize = 60;

/// How often an item is cut one level deeper.
const MAX_DEPTH: usize = 6;

pub(crate) fn extract(decoded: Decoded, language: Option<&str>) -> Document {
    let text = &decoded.text;
    let language = language.map_or_else(|| shebang_language(text), |l| Some(l.to_owned()));
    let kind = BlockKind::Code { language };
    let lines: Vec<Line> = lines(text).map(|span| Line::new(text, span)).collect();
    let mut spans = Spans::new(text);
    cut(&lines, 0, &mut |group| {
        if let (Some(first), Some(last)) = (group.first(), group.last()) {
            spans.push(first.span.start..last.span.end, kind.clone());
        }
    });
    let blocks = spans.into_blocks();
    Document::in_place(decoded, Format::Code, None, blocks)
}

struct Line {
    span: Range<usize>,
    /// Columns of blank space before its first character; `None` for a blank line.
    indent: Option<usize>,
    /// Whether it goes on with what is above it: `}`, `)`, `end`, `else`.
    closes: bool,
}

impl Line {
    fn new(text: &str, span: Range<usize>) -> Self {
        let line = text[span.clone()].trim_end();
        let words = line.trim_start_matches([' ', '\t', '\u{feff}']);
        let indent = line[..line.len() - words.len()].bytes().map(|b| if b == b'\t' { 4 } else { 1 }).sum();
        let closes = words.starts_with(['}', ')', ']'])
            || ["end", "else", "elif", "except", "finally", "catch", "fi", "done", "esac"].iter().any(|w| {
                words
                    .strip_prefix(w)
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
        Self { span, indent: (!words.is_empty()).then_some(indent), closes }
    }
}

/// Hands out groups of lines. Each level looks at every line once.
fn cut(lines: &[Line], depth: usize, emit: &mut dyn FnMut(&[Line])) {
    // The shallowest indentation that follows a blank line is where this level's items begin.
    let after_blank = || {
        (1..lines.len())
            .filter(|i| lines[i - 1].indent.is_none() && !lines[*i].closes)
            .filter_map(|i| lines[i].indent.map(|n| (i, n)))
    };
    let Some(level) = after_blank().map(|(_, indent)| indent).min() else {
        return emit(lines);
    };
    let mut start = 0;
    let ends: Vec<usize> =
        after_blank().filter(|(_, n)| *n <= level).map(|(i, _)| i).chain([lines.len()]).collect();
    for end in ends {
        let group = &lines[start..end];
        start = end;
        if group.len() > LONG && group.len() < lines.len() && depth < MAX_DEPTH {
            cut(group, depth + 1, emit);
        } else {
            emit(group);
        }
    }
}

fn shebang_language(text: &str) -> Option<String> {
    let line = text.lines().next()?.strip_prefix("#!")?;
    let program = line
        .split_whitespace()
        .map(|w| w.rsplit('/').next().unwrap_or(w))
        .find(|w| !w.starts_with('-') && *w != "env")?;
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let name = match name {
        "sh" | "dash" | "zsh" | "ksh" => "bash",
        "node" | "deno" | "bun" => "javascript",
        other => other,
    };
    name.chars().all(|c| c.is_ascii_alphanumeric()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<String> {
        let document = extract(Decoded { text: text.into(), same_as_file: true }, Some("x"));
        assert_eq!(document.check(), Ok(()));
        document.blocks.iter().map(|b| document.text[b.span.clone()].to_owned()).collect()
    }

    #[test]
    fn each_item_is_a_block_with_its_comment() {
        let text = "use a;\nuse b;\n\n/// Does it.\nfn one() {\n    x();\n\n    y();\n}\n\nfn two() {}\n";
        assert_eq!(
            blocks(text),
            ["use a;\nuse b;", "/// Does it.\nfn one() {\n    x();\n\n    y();\n}", "fn two() {}"]
        );
    }

    #[test]
    fn a_long_class_becomes_its_methods() {
        let mut text = String::from("import os\n\nclass A:\n    x = 1\n\n");
        for i in 0..20 {
            text += &format!("    def m{i}(self):\n        a = 1\n\n        return a\n\n");
        }
        text += "def last():\n    pass\n";
        let blocks = blocks(&text);
        assert_eq!(blocks.len(), 1 + 1 + 20 + 1);
        assert!(blocks[2].starts_with("def m0") && blocks[2].ends_with("return a"));
    }

    #[test]
    fn closing_brackets_stay_with_what_they_close() {
        assert_eq!(blocks("f(\n  a,\n\n);\n\ng();\n"), ["f(\n  a,\n\n);", "g();"]);
    }

    #[test]
    fn the_language_of_a_script_is_on_its_first_line() {
        assert_eq!(shebang_language("#!/usr/bin/env -S python3.11 -u\n").as_deref(), Some("python"));
        assert_eq!(shebang_language("#!/bin/sh\n").as_deref(), Some("bash"));
        assert_eq!(shebang_language("int main"), None);
    }
}

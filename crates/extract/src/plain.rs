//! Plain text: paragraphs are what blank lines part.
//!
//! A line underlined with `===` or `---` (reStructuredText, and how people write headings in plain text) is a heading;
//! kinds of underline rank by first appearance, as reStructuredText has it.

use std::ops::Range;

use crate::Format;
use crate::decode::Decoded;
use crate::document::{BlockKind, Document, Spans};

pub(crate) fn extract(decoded: Decoded) -> Document {
    let text = &decoded.text;
    let mut spans = Spans::new(text);
    let mut underlines: Vec<char> = Vec::new();
    let mut title = None;
    for paragraph in paragraphs(text) {
        let mut body = paragraph.start;
        if let Some(heading) = underlined(text, &paragraph) {
            let rank = underlines.iter().position(|c| *c == heading.mark).unwrap_or_else(|| {
                underlines.push(heading.mark);
                underlines.len() - 1
            });
            if title.is_none() && rank == 0 {
                title = Some(text[heading.words.clone()].to_owned());
            }
            spans.push(heading.words, BlockKind::Heading { level: (rank + 1).min(6) as u8 });
            body = heading.end;
        }
        spans.push(body..paragraph.end, BlockKind::Paragraph);
    }
    let blocks = spans.into_blocks();
    Document::in_place(decoded, Format::Text, title, blocks)
}

/// Runs of lines that are not blank, as byte ranges. A form feed parts paragraphs too.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut lines = lines(text).peekable();
    std::iter::from_fn(move || {
        let first = lines.find(|line| !text[line.clone()].trim().is_empty())?;
        let mut span = first;
        while let Some(line) = lines.next_if(|line| !text[line.clone()].trim().is_empty()) {
            span.end = line.end;
        }
        Some(span)
    })
}

/// Byte ranges of lines with their line ends. `\n`, `\r\n`, a lone `\r` and form feeds end a line.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = text.as_bytes();
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= bytes.len() {
            return None;
        }
        let n = bytes[start..]
            .iter()
            .position(|b| matches!(b, b'\n' | b'\r' | b'\x0c'))
            .map_or(bytes.len() - start, |n| n + 1);
        let mut end = start + n;
        if bytes[end - 1] == b'\r' && bytes.get(end) == Some(&b'\n') {
            end += 1;
        }
        let line = start..end;
        start = end;
        Some(line)
    })
}

struct Underlined {
    words: Range<usize>,
    /// Where the underline ends.
    end: usize,
    mark: char,
}

/// The heading a paragraph opens with: one line of words and one of punctuation as long, perhaps one above too.
fn underlined(text: &str, paragraph: &Range<usize>) -> Option<Underlined> {
    let mut at = lines(&text[paragraph.clone()]).map(|l| l.start + paragraph.start..l.end + paragraph.start);
    let first = at.next()?;
    let (words, rule) = if rule_mark(&text[first.clone()]).is_some() {
        (at.next()?, at.next()?)
    } else {
        (first, at.next()?)
    };
    let mark = rule_mark(&text[rule.clone()])?;
    let n_words = text[words.clone()].trim().chars().count();
    let n_rule = text[rule.clone()].trim().chars().count();
    let is_heading =
        rule_mark(&text[words.clone()]).is_none() && n_words <= 120 && n_rule + 2 >= n_words && n_rule >= 3;
    is_heading.then_some(Underlined { words, end: rule.end, mark })
}

/// The character of a line made of three or more of one punctuation mark.
pub(crate) fn rule_mark(line: &str) -> Option<char> {
    let line = line.trim();
    let mark = line.chars().next().filter(|c| "=-~^*#+\"'`:._".contains(*c))?;
    (line.len() >= 3 && line.chars().all(|c| c == mark)).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        let document = extract(Decoded { text: text.into(), same_as_file: true });
        assert_eq!(document.check(), Ok(()));
        document
    }

    fn parts(document: &Document) -> Vec<(&str, &BlockKind)> {
        document.blocks.iter().map(|b| (&document.text[b.span.clone()], &b.kind)).collect()
    }

    #[test]
    fn blank_lines_part_paragraphs_whatever_ends_a_line() {
        for text in ["a b\nc\n \n\nd\n", "a b\nc\r\n\t\r\nd", "\u{feff}a b\nc\n\x0cd\n"] {
            let document = read(text);
            assert_eq!(
                parts(&document),
                [("a b\nc", &BlockKind::Paragraph), ("d", &BlockKind::Paragraph)],
                "{text:?}"
            );
        }
        assert_eq!(parts(&read("one\r\rtwo")).len(), 2);
    }

    #[test]
    fn underlined_lines_are_headings_ranked_by_first_use() {
        let document = read("=====\nTitle\n=====\n\nIntro.\n\nPart\n----\nText of it.\n\nOther\n=====\n");
        let kinds: Vec<_> = parts(&document);
        assert_eq!(kinds[0], ("Title", &BlockKind::Heading { level: 1 }));
        assert_eq!(kinds[2], ("Part", &BlockKind::Heading { level: 2 }));
        assert_eq!(kinds[3], ("Text of it.", &BlockKind::Paragraph));
        assert_eq!(kinds[4], ("Other", &BlockKind::Heading { level: 1 }));
        assert_eq!(document.title.as_deref(), Some("Title"));
    }

    #[test]
    fn a_table_of_dashes_is_not_a_heading() {
        let document = read("a very long line of words that goes on and on\n---\nb\n");
        assert_eq!(parts(&document).len(), 1);
    }
}

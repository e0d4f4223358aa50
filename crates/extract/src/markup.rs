//! What the readers of line-based markup share: the lines of a file, and blocks that grow line by line.
//!
//! The text stays the file; blocks are spans of it, so that a passage can be cited where it stands.

use std::ops::Range;

use crate::document::{Block, BlockKind, Spans};
use crate::plain;

/// The lines of a text.
pub(crate) struct Lines<'a> {
    text: &'a str,
    spans: Vec<Range<usize>>,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, spans: plain::lines(text).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Line `idx` without its end and a byte-order mark; empty past the last one.
    pub(crate) fn line(&self, idx: usize) -> &'a str {
        let line = self.spans.get(idx).map_or("", |span| &self.text[span.clone()]);
        line.trim_end().trim_start_matches('\u{feff}')
    }

    pub(crate) fn is_blank(&self, idx: usize) -> bool {
        self.line(idx).is_empty()
    }

    /// Columns of blank space before the line's first character; a tab goes to the next multiple of eight.
    pub(crate) fn indent(&self, idx: usize) -> usize {
        let mut column = 0;
        for b in self.line(idx).bytes() {
            match b {
                b' ' => column += 1,
                b'\t' => column += 8 - column % 8,
                _ => break,
            }
        }
        column
    }

    /// Bytes of lines `from..to`.
    pub(crate) fn span(&self, from: usize, to: usize) -> Range<usize> {
        match (self.spans.get(from), self.spans.get(to.wrapping_sub(1))) {
            (Some(first), Some(last)) if from < to => first.start..last.end,
            _ => 0..0,
        }
    }

    /// Where `part`, a piece of the text, lies in it.
    pub(crate) fn span_of(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + part.len()
    }

    /// The first line from `from` on that passes, or the number of lines.
    pub(crate) fn find(&self, from: usize, is_wanted: impl Fn(&str) -> bool) -> usize {
        (from..self.len()).find(|idx| is_wanted(self.line(*idx))).unwrap_or(self.len())
    }

    /// The end of the lines from `from` on that are blank or indented by more than `indent`, blank ones at the end not counted.
    pub(crate) fn end_of_indented(&self, from: usize, indent: usize) -> usize {
        let end = (from..self.len()).find(|idx| !self.is_blank(*idx) && self.indent(*idx) <= indent);
        let end = end.unwrap_or(self.len());
        (from..end).rfind(|idx| !self.is_blank(*idx)).map_or(from, |last| last + 1)
    }
}

/// Blocks in the making: one is open and takes line after line.
pub(crate) struct Growing<'a> {
    spans: Spans<'a>,
    open: Option<(Range<usize>, BlockKind)>,
}

impl<'a> Growing<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { spans: Spans::new(text), open: None }
    }

    /// Begins a block that may grow.
    pub(crate) fn begin(&mut self, span: Range<usize>, kind: BlockKind) {
        self.close();
        self.open = Some((span, kind));
    }

    /// Takes a line of running text: the open block's next one, or a paragraph's first.
    pub(crate) fn grow(&mut self, line: Range<usize>) {
        match &mut self.open {
            Some((span, _)) => span.end = line.end,
            None => self.open = Some((line, BlockKind::Paragraph)),
        }
    }

    /// Adds a whole block.
    pub(crate) fn push(&mut self, span: Range<usize>, kind: BlockKind) {
        self.close();
        self.spans.push(span, kind);
    }

    pub(crate) fn close(&mut self) {
        if let Some((span, kind)) = self.open.take() {
            self.spans.push(span, kind);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn finish(mut self) -> Vec<Block> {
        self.close();
        self.spans.into_blocks()
    }
}

/// What follows the marker of a list item (`- `, `* `, `1. `, `a) `), if the line is one.
pub(crate) fn item_text<'a>(line: &'a str, bullets: &str) -> Option<&'a str> {
    let line = line.trim_start();
    let mut chars = line.chars();
    if chars.next().is_some_and(|c| bullets.contains(c)) {
        let rest = chars.as_str();
        return rest.starts_with([' ', '\t']).then(|| rest.trim_start());
    }
    let open = line.strip_prefix('(').unwrap_or(line);
    let n = open.find(|c: char| !c.is_ascii_alphanumeric() && c != '#')?;
    let (number, rest) = open.split_at(n);
    let is_number = number == "#"
        || (number.len() <= 4 && number.bytes().all(|b| b.is_ascii_digit()))
        || (number.len() == 1 && number.is_ascii());
    let rest = rest.strip_prefix('.').filter(|_| open.len() == line.len()).or(rest.strip_prefix(')'))?;
    (is_number && !number.is_empty() && rest.starts_with(' ')).then(|| rest.trim_start())
}

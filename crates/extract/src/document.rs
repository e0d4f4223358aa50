//! What a file said: a text, and where its blocks and pages lie in it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Format;
use crate::decode::Decoded;

/// The readable content of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The whole text. All spans below are byte ranges of it.
    pub text: String,
    /// What the file was read as.
    pub format: Format,
    /// The title the file gives itself, if it does.
    pub title: Option<String>,
    /// The parts of the text worth indexing: in order, not overlapping, on character boundaries, none of them empty,
    /// and without blank space at either end. What lies between them is markup and blank lines.
    pub blocks: Vec<Block>,
    /// Byte range of page `i + 1` (slide, sheet). Empty if the format has no pages. In order, not overlapping.
    pub pages: Vec<Range<usize>>,
    /// Where the rows of spreadsheets stand, in order, not overlapping. A header repeated for reading is not among them.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// Whether `text` is the file byte for byte, byte-order mark and line endings included, so that every span is also
    /// a range of the file.
    pub same_as_file: bool,
    /// What the file says about itself besides its title.
    #[serde(default)]
    pub about: About,
    /// What was left out or could not be read, as sentences for the user.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One row of a spreadsheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Byte range in [`Document::text`].
    pub span: Range<usize>,
    /// Its number in the sheet, from 1, as spreadsheet programs show it.
    pub number: u32,
    /// Its columns that hold something, counted from 0.
    pub columns: Range<u32>,
}

/// What a file says about itself. Nothing is inferred: an empty field means that the file does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// Who wrote it, in the file's order.
    pub authors: Vec<String>,
    /// When it was made: RFC 3339 (`2024-03-01`, `2024-03-01T12:00:00Z`) where the format defines how dates are written, else as it stands there.
    pub created: Option<String>,
    /// When it was last changed, written like [`About::created`].
    pub modified: Option<String>,
    /// The language it declares, as a tag (`de`, `en-GB`).
    pub language: Option<String>,
    /// Further fields under the format's own names in lower case: `message-id`, `in-reply-to`, `references`, `subject`.
    pub fields: Vec<(String, String)>,
}

impl About {
    /// Adds an author unless the name is blank or there already.
    pub(crate) fn add_author(&mut self, name: &str) {
        if let Some(name) = clean_title(Some(name.to_owned()))
            && !self.authors.contains(&name)
        {
            self.authors.push(name);
        }
    }
}

/// One part of a document's structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Byte range in [`Document::text`].
    pub span: Range<usize>,
    /// What it is.
    pub kind: BlockKind,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockKind {
    /// A heading. The span holds its words alone, without `#` or underline.
    Heading {
        /// 1 is the outermost; may skip levels, as the file does.
        level: u8,
    },
    /// Running text.
    Paragraph,
    /// One item of a list, with its marker. Nested items are items of their own.
    ListItem,
    /// A whole table; in formats without a table syntax of their own, rows are Markdown rows (`| a | b |`).
    Table,
    /// Program text or other preformatted text; line breaks and indentation matter.
    Code {
        /// Lower-case name (`rust`, `python`), where known.
        language: Option<String>,
    },
    /// Quoted text.
    Quote,
}

impl Document {
    /// A document whose text is the file, or the file decoded.
    pub(crate) fn in_place(
        decoded: Decoded,
        format: Format,
        title: Option<String>,
        blocks: Vec<Block>,
    ) -> Self {
        Self {
            text: decoded.text,
            format,
            title: clean_title(title),
            blocks,
            pages: Vec::new(),
            rows: Vec::new(),
            same_as_file: decoded.same_as_file,
            about: About::default(),
            warnings: Vec::new(),
        }
    }

    /// The cells that `span` shows, as spreadsheet programs write a range: `A2:D14`. `None` if there are no rows in it. Of rows
    /// of several sheets those of the first count.
    pub fn cells_of(&self, span: &Range<usize>) -> Option<String> {
        let begin = self.rows.partition_point(|row| row.span.end <= span.start);
        let mut shown: Option<(u32, u32, Range<u32>)> = None;
        for row in self.rows[begin..].iter().take_while(|row| row.span.start < span.end) {
            shown = Some(match shown {
                None => (row.number, row.number, row.columns.clone()),
                Some((first, last, columns)) if last < row.number => {
                    let both = columns.start.min(row.columns.start)..columns.end.max(row.columns.end);
                    (first, row.number, both)
                }
                Some(_) => break,
            });
        }
        let (first, last, columns) = shown?;
        let cell = |column: u32, row: u32| format!("{}{row}", column_name(column));
        let (from, to) = (cell(columns.start, first), cell(columns.end.saturating_sub(1), last));
        Some(if from == to { from } else { format!("{from}:{to}") })
    }

    /// Checks the promises of [`Document::blocks`], [`Document::pages`] and [`Document::rows`].
    ///
    /// # Errors
    /// A sentence naming the first span that breaks one.
    pub fn check(&self) -> Result<(), String> {
        let mut end = 0;
        for (i, block) in self.blocks.iter().enumerate() {
            let span = &block.span;
            let Some(text) = self.text.get(span.clone()) else {
                return Err(format!("block {i} ({span:?}) is not a range of the text"));
            };
            if text.is_empty() || text.trim() != text {
                return Err(format!("block {i} ({span:?}) is empty or has blank space at its ends"));
            }
            if span.start < end {
                return Err(format!("block {i} ({span:?}) begins before the one before it ended ({end})"));
            }
            end = span.end;
        }
        let mut end = 0;
        for (i, page) in self.pages.iter().enumerate() {
            if self.text.get(page.clone()).is_none() || page.start < end {
                return Err(format!("page {} ({page:?}) is out of order or not a range of the text", i + 1));
            }
            end = page.end;
        }
        let mut end = 0;
        for (i, Row { span, columns, .. }) in self.rows.iter().enumerate() {
            if self.text.get(span.clone()).is_none() || span.start < end || columns.is_empty() {
                return Err(format!(
                    "row {i} ({span:?}, {columns:?}) is empty, out of order or not a range of the text"
                ));
            }
            end = span.end;
        }
        Ok(())
    }
}

/// Column 0 is `A`, 25 `Z`, 26 `AA`.
fn column_name(column: u32) -> String {
    let (mut letters, mut left) = (Vec::new(), column + 1);
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'A' + (left % 26) as u8));
        left /= 26;
    }
    letters.iter().rev().collect()
}

/// `span` without the blank space (and byte-order marks) at both ends of it; `None` if nothing is left.
pub(crate) fn trimmed(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let part = text.get(span.clone())?;
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let start = span.start + (part.len() - part.trim_start_matches(blank).len());
    let end = span.end - (part.len() - part.trim_end_matches(blank).len());
    (start < end).then_some(start..end)
}

/// Collects blocks whose spans point into a text that is already there. Spans are trimmed; empty ones are dropped.
pub(crate) struct Spans<'a> {
    text: &'a str,
    blocks: Vec<Block>,
}

impl<'a> Spans<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, blocks: Vec::new() }
    }

    /// Adds a block. A span that reaches back into the block before it is cut there.
    pub(crate) fn push(&mut self, span: Range<usize>, kind: BlockKind) {
        let floor = self.blocks.last().map_or(0, |b| b.span.end);
        let span = span.start.max(floor)..span.end;
        if span.start >= span.end {
            return;
        }
        if let Some(span) = trimmed(self.text, span) {
            self.blocks.push(Block { span, kind });
        }
    }

    pub(crate) fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }
}

/// A row of a sheet as Markdown, with its number and columns.
pub(crate) type RowText = (String, Option<(u32, Range<u32>)>);

/// Writes a text block by block, for formats whose text is not the file itself.
#[derive(Default)]
pub(crate) struct Writer {
    text: String,
    blocks: Vec<Block>,
    pages: Vec<Range<usize>>,
    rows: Vec<Row>,
    /// Blocks there were when the open page began.
    page_begins: Option<usize>,
}

impl Writer {
    /// Appends a block: a blank line before it, a mere line break between two list items. Blank text adds nothing.
    /// `indent` spaces go before it and belong to no block.
    pub(crate) fn push_indented(&mut self, indent: usize, text: &str, kind: BlockKind) {
        let Some(part) = trimmed(text, 0..text.len()) else { return };
        // A code block keeps the indentation of its first line, outside its span.
        let lead = match kind {
            BlockKind::Code { .. } => text[..part.start].rfind('\n').map_or(0, |i| i + 1),
            _ => part.start,
        };
        if !self.text.is_empty() {
            let both_items = kind == BlockKind::ListItem
                && self.blocks.last().is_some_and(|b| b.kind == BlockKind::ListItem);
            self.text.push_str(if both_items { "\n" } else { "\n\n" });
        }
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(&text[lead..part.start]);
        let start = self.text.len();
        self.text.push_str(&text[part]);
        self.blocks.push(Block { span: start..self.text.len(), kind });
    }

    pub(crate) fn push(&mut self, text: &str, kind: BlockKind) {
        self.push_indented(0, text, kind);
    }

    /// Appends rows of a sheet as a table. Each comes as its Markdown with its number and columns, or without them if it is
    /// a header that stands elsewhere.
    pub(crate) fn push_rows(&mut self, rows: &[RowText]) {
        let table: String = rows.iter().map(|(row, _)| row.as_str()).collect();
        let n_blocks = self.blocks.len();
        self.push(&table, BlockKind::Table);
        let Some(block) = self.blocks.get(n_blocks) else { return };
        let mut at = block.span.start;
        for (row, place) in rows {
            let end = (at + row.len()).min(block.span.end);
            if let Some((number, columns)) = place.clone() {
                self.rows.push(Row { span: at..end, number, columns });
            }
            at = end;
        }
    }

    /// Runs `write`; what it writes is the next page.
    pub(crate) fn page(&mut self, write: impl FnOnce(&mut Self)) {
        self.begin_page();
        write(self);
        self.end_page();
    }

    /// What is written from here to [`Writer::end_page`] is a page. One that is open ends.
    pub(crate) fn begin_page(&mut self) {
        self.end_page();
        self.page_begins = Some(self.blocks.len());
    }

    pub(crate) fn end_page(&mut self) {
        if let Some(n_blocks) = self.page_begins.take() {
            let start = self.blocks.get(n_blocks).map_or(self.text.len(), |block| block.span.start);
            self.pages.push(start..self.text.len());
        }
    }

    /// Appends the blocks of another document: a part of this one in a format of its own. Its headings go `n_levels` further in.
    pub(crate) fn append(&mut self, part: &Document, n_levels: u8) {
        for block in &part.blocks {
            // A code block's first line may be indented before its span.
            let line = part.text[..block.span.start].rfind('\n').map_or(0, |i| i + 1);
            let is_code = matches!(block.kind, BlockKind::Code { .. });
            let is_indent = is_code && part.text[line..block.span.start].trim().is_empty();
            let start = if is_indent { line } else { block.span.start };
            let kind = match &block.kind {
                BlockKind::Heading { level } => BlockKind::Heading { level: level.saturating_add(n_levels) },
                kind => kind.clone(),
            };
            // What stands before an item on its line is its indentation.
            let indent = match kind {
                BlockKind::ListItem
                    if part.text[line..block.span.start].trim_start_matches(' ').is_empty() =>
                {
                    block.span.start - line
                }
                _ => 0,
            };
            let n_blocks = self.blocks.len();
            self.push_indented(indent, &part.text[start..block.span.end], kind);
            let Some(to) = self.blocks.get(n_blocks).map(|to| to.span.start) else { continue };
            let begin = part.rows.partition_point(|row| row.span.start < block.span.start);
            for row in part.rows[begin..].iter().take_while(|row| row.span.end <= block.span.end) {
                let moved = |at: usize| at - block.span.start + to;
                self.rows.push(Row { span: moved(row.span.start)..moved(row.span.end), ..row.clone() });
            }
        }
    }

    /// The words of the first heading written.
    pub(crate) fn first_heading(&self) -> Option<String> {
        let heading = self.blocks.iter().find(|block| matches!(block.kind, BlockKind::Heading { .. }))?;
        Some(self.text[heading.span.clone()].to_owned())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Bytes written so far.
    pub(crate) fn n_bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn finish(self, format: Format, title: Option<String>) -> Document {
        Document {
            text: self.text,
            format,
            title: clean_title(title),
            blocks: self.blocks,
            pages: self.pages,
            rows: self.rows,
            same_as_file: false,
            about: About::default(),
            warnings: Vec::new(),
        }
    }
}

/// One line, no blank ends; `None` if nothing is left.
pub(crate) fn clean_title(title: Option<String>) -> Option<String> {
    let line = title?.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_matches(|c: char| c == '\u{feff}' || c == '\0').to_owned();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_space_never_belongs_to_a_block() {
        let mut writer = Writer::default();
        writer.push("  a b \n", BlockKind::Paragraph);
        writer.push(" \n\t ", BlockKind::Paragraph);
        writer.push("\n    fn x() {\n    }\n", BlockKind::Code { language: None });
        writer.push("- one", BlockKind::ListItem);
        writer.push_indented(2, "- two", BlockKind::ListItem);
        let document = writer.finish(Format::Html, None);
        assert_eq!(document.text, "a b\n\n    fn x() {\n    }\n\n- one\n  - two");
        assert_eq!(document.check(), Ok(()));
        assert_eq!(document.blocks.len(), 4);
    }

    #[test]
    fn cells_are_named_as_spreadsheets_do() {
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(column_name), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
        let mut writer = Writer::default();
        let row = |text: &str, number, columns| (text.to_owned(), Some((number, columns)));
        writer.push_rows(&[row("| a |\n", 2, 0..3), ("| --- |\n".to_owned(), None), row("| b |\n", 7, 1..5)]);
        writer.push_rows(&[row("| c |\n", 1, 0..1)]);
        let sheets = writer.finish(Format::Xlsx, None);
        let mut outer = Writer::default();
        outer.push("costs.xlsx", BlockKind::Heading { level: 1 });
        outer.append(&sheets, 1);
        let document = outer.finish(Format::Zip, None);
        assert_eq!(document.check(), Ok(()));
        let cells = |words: &str| {
            let at = document.text.find(words).unwrap();
            document.cells_of(&(at..at + words.len()))
        };
        assert_eq!(cells("| a |\n| --- |\n| b |").as_deref(), Some("A2:E7"));
        assert_eq!(cells("| b |").as_deref(), Some("B7:E7"));
        assert_eq!(cells("| b |\n\n| c |").as_deref(), Some("B7:E7"), "the next sheet is another matter");
        assert_eq!(cells("| c |").as_deref(), Some("A1"));
        assert_eq!(cells("costs"), None);
    }

    #[test]
    fn a_broken_span_is_found() {
        let mut document = Document {
            text: "añb".into(),
            format: Format::Text,
            title: None,
            blocks: vec![Block { span: 0..2, kind: BlockKind::Paragraph }],
            pages: vec![],
            rows: vec![],
            same_as_file: true,
            about: About::default(),
            warnings: vec![],
        };
        assert!(document.check().is_err(), "cuts a character");
        document.blocks = vec![
            Block { span: 0..1, kind: BlockKind::Paragraph },
            Block { span: 0..4, kind: BlockKind::Paragraph },
        ];
        assert!(document.check().is_err(), "overlaps");
        document.blocks.pop();
        assert_eq!(document.check(), Ok(()));
    }
}

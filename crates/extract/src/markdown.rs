//! Markdown: blocks by CommonMark's own rules (pulldown-cmark), as byte ranges of the file.
//!
//! A heading's span is its words; a fenced block's span is its lines without the fences; a list item's is its marker and
//! its text up to a nested list or fenced block. Quotes keep the `>` of their inner lines. Link definitions, comments and HTML without words are no blocks.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::Format;
use crate::decode::Decoded;
use crate::document::{About, BlockKind, Document, Spans};
use crate::html_tokens::{Dialect, Token, tokens};

/// More container markers than this at the start of one line are no document but an attack on the parser.
const MAX_NESTING: usize = 200;

pub(crate) fn extract(decoded: Decoded) -> Document {
    if nests_too_deep(&decoded.text) {
        return crate::plain::extract(decoded);
    }
    let text = &decoded.text;
    // A byte-order mark would hide front matter and the first heading; offsets count from the file's start all the same.
    let skip = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader::new(text);
    for (event, span) in Parser::new_ext(&text[skip..], options()).into_offset_iter() {
        reader.event(event, span.start + skip..span.end + skip);
    }
    reader.close(text.len());
    let front = std::mem::take(&mut reader.front);
    let title = front.title.or(reader.first_heading.take());
    let blocks = reader.spans.into_blocks();
    let mut document = Document::in_place(decoded, Format::Markdown, title, blocks);
    document.about = front.about;
    document
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_HEADING_ATTRIBUTES
}

struct Reader<'a> {
    text: &'a str,
    spans: Spans<'a>,
    /// The running-text piece being collected: where it began and what it is.
    open: Option<(usize, BlockKind)>,
    /// What each open container makes of the text in it.
    containers: Vec<BlockKind>,
    /// The heading, fenced block or metadata block being read, and the range of its inner events.
    inner: Option<Range<usize>>,
    /// Inside a table, whose cells are not looked at.
    in_table: bool,
    front: FrontMatter,
    first_heading: Option<String>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            spans: Spans::new(text),
            open: None,
            containers: Vec::new(),
            inner: None,
            in_table: false,
            front: FrontMatter::default(),
            first_heading: None,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(&tag, span),
            Event::End(tag) => self.end(tag, span),
            Event::Rule => self.close(span.start),
            _ => self.grow(span),
        }
    }

    fn start(&mut self, tag: &Tag<'_>, span: Range<usize>) {
        match tag {
            Tag::Heading { .. } | Tag::CodeBlock(_) | Tag::MetadataBlock(_) => {
                self.close(span.start);
                self.inner = Some(span.end..span.start);
            }
            Tag::Table(_) => {
                self.close(span.start);
                self.spans.push(span, BlockKind::Table);
                self.in_table = true;
            }
            Tag::List(_) => self.close(span.start),
            Tag::Item => self.enter(span.start, BlockKind::ListItem),
            Tag::FootnoteDefinition(_) => self.enter(span.start, BlockKind::Paragraph),
            Tag::BlockQuote(_) => {
                self.close(span.start);
                self.containers.push(BlockKind::Quote);
            }
            Tag::HtmlBlock => {
                self.close(span.start);
                if has_words_outside_tags(&self.text[span.clone()]) {
                    self.spans.push(span, BlockKind::Paragraph);
                }
            }
            Tag::Paragraph if self.open.is_none() => {
                self.open =
                    Some((span.start, self.containers.last().cloned().unwrap_or(BlockKind::Paragraph)));
            }
            _ => self.grow(span),
        }
    }

    fn end(&mut self, tag: TagEnd, span: Range<usize>) {
        match tag {
            TagEnd::Heading(level) => {
                let words = self.inner.take().unwrap_or(span);
                if self.first_heading.is_none() && level == HeadingLevel::H1 {
                    self.first_heading = self.text.get(words.clone()).map(without_marks);
                }
                self.spans.push(words, BlockKind::Heading { level: level as u8 });
            }
            TagEnd::CodeBlock => {
                let language = fence_language(&self.text[span.clone()]);
                self.spans.push(self.inner.take().unwrap_or(span), BlockKind::Code { language });
            }
            TagEnd::MetadataBlock(_) => {
                let lines = self.inner.take().unwrap_or(span);
                self.front = self.text.get(lines.clone()).map(front_matter).unwrap_or_default();
                self.spans.push(lines, BlockKind::Code { language: Some("yaml".into()) });
            }
            TagEnd::Table => self.in_table = false,
            TagEnd::Item | TagEnd::FootnoteDefinition | TagEnd::BlockQuote(_) => {
                self.close(span.end);
                self.containers.pop();
            }
            // A paragraph of a list item goes on with the item.
            TagEnd::Paragraph if self.containers.last().is_none_or(|c| *c == BlockKind::Quote) => {
                self.close(span.end)
            }
            _ => {}
        }
    }

    fn enter(&mut self, at: usize, kind: BlockKind) {
        self.close(at);
        self.open = Some((at, kind.clone()));
        self.containers.push(kind);
    }

    /// Text at `span`: the inside of what is being read, or running text on its own (a tight list item).
    fn grow(&mut self, span: Range<usize>) {
        if let Some(inner) = &mut self.inner {
            *inner = inner.start.min(span.start)..inner.end.max(span.end);
        } else if self.open.is_none() && !self.in_table && !self.containers.is_empty() {
            self.open = Some((span.start, self.containers.last().cloned().unwrap_or(BlockKind::Paragraph)));
        }
    }

    /// Ends the running-text piece. A list marker or `>` on its own is dropped.
    fn close(&mut self, at: usize) {
        let Some((start, kind)) = self.open.take() else { return };
        if self.text.get(start..at).is_some_and(|t| t.contains(char::is_alphanumeric)) {
            self.spans.push(start..at, kind);
        }
    }
}

/// The first word of a fence's info string.
fn fence_language(block: &str) -> Option<String> {
    let info = block.trim_start_matches([' ', '>']).lines().next()?;
    let info = info.trim_start_matches(['`', '~']);
    if info.len() == block.lines().next()?.trim_start_matches([' ', '>']).len() {
        return None;
    }
    let word = info
        .trim()
        .trim_start_matches(['{', '.'])
        .split(|c: char| c.is_whitespace() || ",{}".contains(c))
        .next()?;
    (!word.is_empty() && word.len() <= 30).then(|| word.to_ascii_lowercase())
}

/// What front matter says, where it is one line: `title: …` (YAML), `title = …` (TOML), and a list of authors below their key.
#[derive(Default)]
struct FrontMatter {
    title: Option<String>,
    about: About,
}

fn front_matter(front: &str) -> FrontMatter {
    let mut found = FrontMatter::default();
    let unquoted = |value: &str| value.trim().trim_matches(|c| c == '"' || c == '\'').trim().to_owned();
    let mut in_authors = false;
    for line in front.lines() {
        if let (true, Some(item)) = (in_authors, line.trim_start().strip_prefix("- ")) {
            found.about.add_author(&unquoted(item.trim_start().strip_prefix("name:").unwrap_or(item)));
            continue;
        }
        let Some((key, value)) = line.split_once([':', '=']) else { continue };
        let value = unquoted(value);
        let value = (!value.is_empty()).then_some(value);
        in_authors = false;
        match key.trim_end() {
            "title" => found.title = value,
            "author" | "authors" | "by" => match value {
                Some(list) => list
                    .trim_matches(['[', ']'])
                    .split([',', ';'])
                    .for_each(|name| found.about.add_author(&unquoted(name))),
                None => in_authors = true,
            },
            "date" | "created" | "published" => found.about.created = value,
            "updated" | "modified" | "lastmod" | "last_modified" => found.about.modified = value,
            "lang" | "language" | "locale" => found.about.language = value,
            _ => {}
        }
    }
    found
}

/// Heading words without emphasis marks, backticks and link targets.
fn without_marks(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for event in Parser::new(words) {
        match event {
            Event::Text(text) | Event::Code(text) => out.push_str(&text),
            Event::SoftBreak | Event::HardBreak => out.push(' '),
            _ => {}
        }
    }
    out
}

/// Whether HTML in Markdown says anything: a letter or digit outside tags and comments.
fn has_words_outside_tags(html: &str) -> bool {
    tokens(html, Dialect::Html).any(|token| match token {
        Token::Text { text, is_raw } => !is_raw && text.contains(char::is_alphanumeric),
        _ => false,
    })
}

/// Whether a line opens with hundreds of quote and list markers, which no parser of Markdown takes in linear time.
fn nests_too_deep(text: &str) -> bool {
    text.lines().any(|line| {
        let lead = line.as_bytes();
        let n = lead.iter().take_while(|b| b" \t>-+*".contains(b)).count();
        let is_marker = |i: usize| {
            lead[i] == b'>'
                || (b"-+*".contains(&lead[i]) && lead.get(i + 1).is_none_or(|b| b" \t".contains(b)))
        };
        (0..n).filter(|i| is_marker(*i)).count() > MAX_NESTING
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        let document = extract(Decoded { text: text.into(), same_as_file: true });
        assert_eq!(document.check(), Ok(()));
        document
    }

    fn parts(document: &Document) -> Vec<(&str, BlockKind)> {
        document.blocks.iter().map(|b| (&document.text[b.span.clone()], b.kind.clone())).collect()
    }

    fn code(language: Option<&str>) -> BlockKind {
        BlockKind::Code { language: language.map(str::to_owned) }
    }

    #[test]
    fn blocks_are_found_where_they_stand_in_the_file() {
        let document = read(
            "\u{feff}# The **big** one #\r\n\r\nText\r\nof it.\r\n\r\nSecond\n======\n\n```Rust,ignore\nfn x() {}\n\ny\n```\n\n    indented\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nEnd\n",
        );
        assert_eq!(
            parts(&document),
            [
                ("The **big** one", BlockKind::Heading { level: 1 }),
                ("Text\r\nof it.", BlockKind::Paragraph),
                ("Second", BlockKind::Heading { level: 1 }),
                ("fn x() {}\n\ny", code(Some("rust"))),
                ("indented", code(None)),
                ("| a | b |\n|---|---|\n| 1 | 2 |", BlockKind::Table),
                ("End", BlockKind::Paragraph),
            ]
        );
        assert_eq!(document.title.as_deref(), Some("The big one"));
        assert!(document.same_as_file);
    }

    #[test]
    fn lists_come_apart_into_items_and_what_nests_in_them() {
        let document = read(
            "- one\n  more\n  - inner\n    1. deep\n- two\n\n  para\n\n  ```sh\n  ls\n  ```\n\n  after\n- [ ] task\n-\n",
        );
        let item = BlockKind::ListItem;
        assert_eq!(
            parts(&document),
            [
                ("- one\n  more", item.clone()),
                ("- inner", item.clone()),
                ("1. deep", item.clone()),
                ("- two\n\n  para", item.clone()),
                ("ls", code(Some("sh"))),
                ("after", item.clone()),
                ("- [ ] task", item),
            ]
        );
    }

    #[test]
    fn quotes_footnotes_and_html() {
        let document = read(
            "> said\n> he\n>\n> twice\n\nx[^1]\n\n[^1]: The note.\n\n<!-- no -->\n\n<p align=center><img src=x></p>\n\n<div>\nwords\n</div>\n\n[ref]: http://x\n",
        );
        let parts = parts(&document);
        assert_eq!(parts[0], ("said\n> he", BlockKind::Quote));
        assert_eq!(parts[1], ("twice", BlockKind::Quote));
        assert_eq!(parts[3], ("[^1]: The note.", BlockKind::Paragraph));
        assert_eq!(parts[4], ("<div>\nwords\n</div>", BlockKind::Paragraph));
        assert_eq!(parts.len(), 5);
    }

    #[test]
    fn front_matter_gives_the_title() {
        for text in ["---\ntitle: \"A: b\"\ntags: [x]\n---\n# Other\n", "+++\ntitle = 'A: b'\n+++\n\nx\n"] {
            let document = read(text);
            assert_eq!(document.title.as_deref(), Some("A: b"));
            assert_eq!(parts(&document)[0].1, code(Some("yaml")));
        }
    }

    #[test]
    fn hostile_nesting_is_read_as_plain_text() {
        for part in [">", "- ", "[", "*a ", "`", "<a ", "![", "> - ", "_", "|a", "[^"] {
            let document = read(&part.repeat(50_000));
            assert!(document.blocks.len() <= 50_000);
        }
    }
}

//! AsciiDoc (docs.asciidoctor.org, "AsciiDoc Language Documentation"), as byte ranges of the file.
//!
//! Attribute lines, comments, includes and pictures are no blocks; a delimited block is code, a quote or a table by its delimiter,
//! and what stands in examples and sidebars is read as text. Inline markup stays as it is.

use crate::Format;
use crate::decode::Decoded;
use crate::document::{About, BlockKind, Document};
use crate::markup::{Growing, Lines, item_text};
use crate::plain::rule_mark;

/// Lines that begin with one of these are instructions to the converter.
const MACROS: &[&str] =
    &["include::", "image::", "toc::", "ifdef::", "ifndef::", "endif::", "ifeval::", "video::", "audio::"];

pub(crate) fn extract(decoded: Decoded) -> Document {
    let mut reader = Reader {
        lines: Lines::of(&decoded.text),
        growing: Growing::new(&decoded.text),
        title: None,
        about: About::default(),
        attributes: String::new(),
    };
    let mut at = 0;
    while at < reader.lines.len() {
        at = reader.step(at).max(at + 1);
    }
    let (title, about) = (reader.title, reader.about);
    let blocks = reader.growing.finish();
    Document { about, ..Document::in_place(decoded, Format::Asciidoc, title, blocks) }
}

struct Reader<'a> {
    lines: Lines<'a>,
    growing: Growing<'a>,
    title: Option<String>,
    about: About,
    /// The `[source,rust]` that belongs to the next block.
    attributes: String,
}

impl Reader<'_> {
    fn step(&mut self, at: usize) -> usize {
        let line = self.lines.line(at);
        if line.is_empty() {
            self.growing.close();
            return at + 1;
        }
        let next = self.delimited(at, line).or_else(|| self.heading(at, line));
        if let Some(next) = next.or_else(|| self.underlined(at, line)) {
            self.attributes.clear();
            return next;
        }
        let is_attributes = line.starts_with('[') && line.ends_with(']') && !self.growing.is_open();
        if is_attributes {
            self.attributes = line.trim_matches(['[', ']']).to_ascii_lowercase();
            return at + 1;
        }
        let is_silent = MACROS.iter().any(|name| line.starts_with(name))
            || line.starts_with("//")
            || line == "+"
            || matches!(line, "'''" | "<<<" | "---" | "***");
        if is_silent {
            // A comment within a paragraph does not end it, but a continuation mark ends an item's first part.
            if !line.starts_with("//") {
                self.growing.close();
            }
            return at + 1;
        }
        if self.attribute(line) {
            return at + 1;
        }
        let span = self.lines.span(at, at + 1);
        if let Some(caption) = line.strip_prefix('.').filter(|rest| rest.starts_with(char::is_alphabetic))
            && !self.growing.is_open()
        {
            self.growing.push(self.lines.span_of(caption), BlockKind::Paragraph);
        } else if is_item(line) {
            self.growing.begin(span, BlockKind::ListItem);
        } else if line.starts_with(' ') && !self.growing.is_open() && self.attributes.is_empty() {
            // An indented paragraph is literal.
            let end = self.lines.find(at, str::is_empty);
            self.growing.push(self.lines.span(at, end), BlockKind::Code { language: None });
            return end;
        } else if !self.growing.is_open() && self.attributes.starts_with("source") {
            let end = self.lines.find(at, str::is_empty);
            self.growing.push(self.lines.span(at, end), self.code());
            self.attributes.clear();
            return end;
        } else if !self.growing.is_open() && self.attributes.starts_with("quote") {
            self.growing.begin(span, BlockKind::Quote);
            self.attributes.clear();
        } else {
            self.growing.grow(span);
        }
        at + 1
    }

    /// `== Title`, or `## Title` as Markdown has it.
    fn heading(&mut self, at: usize, line: &str) -> Option<usize> {
        let n_marks = line
            .bytes()
            .take_while(|b| *b == b'=')
            .count()
            .max(line.bytes().take_while(|b| *b == b'#').count());
        let words = line[n_marks..].strip_prefix(' ')?.trim();
        if n_marks == 0 || n_marks > 6 || words.is_empty() {
            return None;
        }
        let words = words.trim_end_matches(['=', '#']).trim_end();
        self.growing.push(self.lines.span_of(words), BlockKind::Heading { level: n_marks as u8 });
        if n_marks == 1 && self.title.is_none() {
            self.title = Some(words.to_owned());
            return Some(self.header(at + 1));
        }
        Some(at + 1)
    }

    /// A title of two lines, the second of marks and as long as the first, give or take two.
    fn underlined(&mut self, at: usize, words: &str) -> Option<usize> {
        let rule = self.lines.line(at + 1);
        let level = "=-~^+".find(rule_mark(rule)?)? + 1;
        let n_words = words.chars().count();
        if self.growing.is_open()
            || n_words.abs_diff(rule.len()) > 2
            || !words.contains(char::is_alphanumeric)
            || is_item(words)
        {
            return None;
        }
        self.growing.push(self.lines.span_of(words), BlockKind::Heading { level: level as u8 });
        if level == 1 && self.title.is_none() {
            self.title = Some(words.to_owned());
            return Some(self.header(at + 2));
        }
        Some(at + 2)
    }

    /// The lines below a document's title: authors, revision, attributes, up to a blank line.
    fn header(&mut self, from: usize) -> usize {
        let end = self.lines.find(from, str::is_empty);
        for idx in from..end {
            let line = self.lines.line(idx);
            if self.attribute(line) || line.starts_with("//") {
                continue;
            }
            if idx == from {
                for author in line.split(';') {
                    self.about.add_author(author.split('<').next().unwrap_or(author));
                }
            } else if let Some(date) = line.split(',').nth(1).or(Some(line)) {
                self.about.created = Some(date.split(':').next().unwrap_or(date).trim().to_owned());
            }
        }
        end
    }

    /// `:author: A. Name`.
    fn attribute(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.strip_prefix(':').and_then(|rest| rest.split_once(':')) else {
            return false;
        };
        if name.is_empty() || name.contains(' ') || !(value.is_empty() || value.starts_with(' ')) {
            return false;
        }
        let value = value.trim();
        match name {
            "author" => self.about.add_author(value),
            "lang" => self.about.language = Some(value.to_owned()),
            "revdate" => self.about.created = Some(value.to_owned()),
            "keywords" => self.about.fields.push(("keywords".to_owned(), value.to_owned())),
            _ => {}
        }
        true
    }

    /// A delimited block; of examples, sidebars and open blocks only the delimiter.
    fn delimited(&mut self, at: usize, line: &str) -> Option<usize> {
        if let Some(language) = line.strip_prefix("```") {
            let end = self.lines.find(at + 1, |line| line == "```");
            let language = (!language.is_empty()).then(|| language.trim().to_ascii_lowercase());
            self.growing.push(self.lines.span(at + 1, end), BlockKind::Code { language });
            return Some(end + 1);
        }
        let mark = line.chars().next()?;
        let is_table = line.len() >= 4 && line.bytes().skip(1).all(|b| b == b'=') && "|,:!".contains(mark);
        let is_delimiter =
            line == "--" || (line.len() >= 4 && line.chars().all(|c| c == mark) && "-.=*_+/".contains(mark));
        if !is_table && !is_delimiter {
            return None;
        }
        if line == "--" || mark == '=' || mark == '*' {
            self.growing.close();
            return Some(at + 1);
        }
        let end = self.lines.find(at + 1, |other| other == line);
        let inside = self.lines.span(at + 1, end);
        match mark {
            _ if is_table => self.growing.push(inside, BlockKind::Table),
            '-' | '.' => self.growing.push(inside, self.code()),
            '_' => self.growing.push(inside, BlockKind::Quote),
            _ => self.growing.close(),
        }
        Some(end + 1)
    }

    /// Code in the language of `[source,rust]`.
    fn code(&self) -> BlockKind {
        let mut parts = self.attributes.split(',').map(str::trim);
        let language = parts.next().filter(|style| style.starts_with("source")).and_then(|_| parts.next());
        BlockKind::Code { language: language.filter(|name| !name.is_empty()).map(str::to_owned) }
    }
}

/// `* item`, `.. item`, `1. item`, `term:: text`.
fn is_item(line: &str) -> bool {
    let words = line.trim_start();
    let rest = words.trim_start_matches(['*', '.', '-']);
    let n_marks = words.len() - rest.len();
    ((1..=6).contains(&n_marks) && rest.starts_with(' '))
        || item_text(line, "").is_some()
        || words.split_once("::").is_some_and(|(term, rest)| {
            !term.is_empty() && !term.contains(':') && (rest.is_empty() || rest.starts_with(' '))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_two_lines_are_no_listings() {
        let text = "roof(1)\n=======\n\nNAME\n----\nroof - looks after roofs\n\n----\ncode here\n----\n";
        let document = extract(Decoded { text: text.into(), same_as_file: true });
        let kinds: Vec<&BlockKind> = document.blocks.iter().map(|b| &b.kind).collect();
        let heading = |level| BlockKind::Heading { level };
        let code = BlockKind::Code { language: None };
        assert_eq!(kinds, [&heading(1), &heading(2), &BlockKind::Paragraph, &code]);
        assert_eq!(document.title.as_deref(), Some("roof(1)"));
    }

    #[test]
    fn structure_is_found_where_it_stands() {
        let text = "= The Title\nAnn Lee <a@b>; Bo\nv1.0, 2024-03-01\n:lang: de\n:toc:\n\nIntro\nof it. // x\n\n== Part\n\n* one\n** two\n. three\nterm:: what\n\n\
            [source,Rust]\n----\nfn x() {}\n\n== no heading\n----\n\n.Caption\n|===\n| a | b\n|===\n\n____\nSaid.\n____\n\n====\nExample text.\n====\n\n////\nhidden\n////\n\ninclude::x[]\n literal\n\nNOTE: Mind.\n";
        let document = extract(Decoded { text: text.into(), same_as_file: true });
        assert_eq!(document.check(), Ok(()));
        let parts: Vec<(&str, &BlockKind)> =
            document.blocks.iter().map(|b| (&document.text[b.span.clone()], &b.kind)).collect();
        let code = |language: Option<&str>| BlockKind::Code { language: language.map(str::to_owned) };
        assert_eq!(
            parts,
            [
                ("The Title", &BlockKind::Heading { level: 1 }),
                ("Intro\nof it. // x", &BlockKind::Paragraph),
                ("Part", &BlockKind::Heading { level: 2 }),
                ("* one", &BlockKind::ListItem),
                ("** two", &BlockKind::ListItem),
                (". three", &BlockKind::ListItem),
                ("term:: what", &BlockKind::ListItem),
                ("fn x() {}\n\n== no heading", &code(Some("rust"))),
                ("Caption", &BlockKind::Paragraph),
                ("| a | b", &BlockKind::Table),
                ("Said.", &BlockKind::Quote),
                ("Example text.", &BlockKind::Paragraph),
                ("literal", &code(None)),
                ("NOTE: Mind.", &BlockKind::Paragraph),
            ]
        );
        assert_eq!(document.about.authors, ["Ann Lee", "Bo"]);
        assert_eq!(document.about.created.as_deref(), Some("2024-03-01"));
        assert_eq!(document.about.language.as_deref(), Some("de"));
    }
}

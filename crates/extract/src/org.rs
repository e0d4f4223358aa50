//! Org mode (orgmode.org, "The Org Syntax"), as byte ranges of the file.
//!
//! A heading's span is its words, without stars, state, priority and tags. Drawers, comments and settings are no blocks.

use crate::Format;
use crate::decode::Decoded;
use crate::document::{About, BlockKind, Document};
use crate::markup::{Growing, Lines, item_text};

/// States that Org knows unless a file says otherwise, and those that people add most.
const STATES: &[&str] = &["TODO", "DONE", "NEXT", "WAITING", "CANCELLED", "CANCELED", "STARTED", "HOLD"];

/// Lines of a drawer; one that is longer was never closed.
const MAX_DRAWER: usize = 300;

pub(crate) fn extract(decoded: Decoded) -> Document {
    let mut reader = Reader {
        lines: Lines::of(&decoded.text),
        growing: Growing::new(&decoded.text),
        title: None,
        first_heading: None,
        about: About::default(),
    };
    let mut at = 0;
    while at < reader.lines.len() {
        at = reader.step(at).max(at + 1);
    }
    let (title, about) = (reader.title.or(reader.first_heading), reader.about);
    let blocks = reader.growing.finish();
    Document { about, ..Document::in_place(decoded, Format::Org, title, blocks) }
}

struct Reader<'a> {
    lines: Lines<'a>,
    growing: Growing<'a>,
    title: Option<String>,
    first_heading: Option<String>,
    about: About,
}

impl Reader<'_> {
    fn step(&mut self, at: usize) -> usize {
        let line = self.lines.line(at);
        let words = line.trim_start();
        if words.is_empty() {
            self.growing.close();
            return at + 1;
        }
        let n_stars = line.bytes().take_while(|b| *b == b'*').count();
        if n_stars > 0 && line[n_stars..].starts_with(' ') {
            let words = heading_words(&line[n_stars..]);
            self.first_heading.get_or_insert_with(|| words.to_owned());
            let level = n_stars.min(9) as u8;
            self.growing.push(self.lines.span_of(words), BlockKind::Heading { level });
            return at + 1;
        }
        if let Some(next) = self.setting(at, words).or_else(|| self.drawer(at, words)) {
            return next;
        }
        if words == "#" || words.starts_with("# ") {
            return at + 1;
        }
        let span = self.lines.span(at, at + 1);
        if words.starts_with('|') {
            let end = self.lines.find(at, |line| !line.trim_start().starts_with('|'));
            self.growing.push(self.lines.span(at, end), BlockKind::Table);
            return end;
        }
        if words == ":" || words.starts_with(": ") {
            let end = self.lines.find(at, |line| !line.trim_start().starts_with(':'));
            self.growing.push(self.lines.span(at, end), BlockKind::Code { language: None });
            return end;
        }
        // A star at the line's start is a heading; an indented one is a bullet.
        let bullets = if line.starts_with('*') { "-+" } else { "-+*" };
        if item_text(line, bullets).is_some() {
            self.growing.begin(span, BlockKind::ListItem);
        } else {
            self.growing.grow(span);
        }
        at + 1
    }

    /// `#+TITLE: …`, or a block between `#+BEGIN_…` and `#+END_…`.
    fn setting(&mut self, at: usize, words: &str) -> Option<usize> {
        let rest = words.strip_prefix("#+")?;
        let lower = rest.to_ascii_lowercase();
        if let Some(name) = lower.strip_prefix("begin_") {
            let name: String = name.chars().take_while(|c| !c.is_whitespace()).collect();
            // What else stands between marks is text; looking for its end would cost as much as there is text.
            if !matches!(name.as_str(), "src" | "example" | "export" | "comment" | "quote" | "verse") {
                self.growing.close();
                return Some(at + 1);
            }
            let ends = |line: &str| {
                let line = line.trim_start().to_ascii_lowercase();
                line.strip_prefix("#+end_").is_some_and(|end| end.starts_with(&name))
            };
            let end = self.lines.find(at + 1, ends);
            let inside = self.lines.span(at + 1, end);
            match name.as_str() {
                "quote" | "verse" => self.growing.push(inside, BlockKind::Quote),
                "comment" => self.growing.close(),
                _ => {
                    let language = lower.split_whitespace().nth(1).filter(|_| name == "src");
                    let language = language.map(str::to_owned);
                    self.growing.push(inside, BlockKind::Code { language });
                }
            }
            return Some(end + 1);
        }
        if let Some((name, _)) = lower.split_once(':') {
            let value = rest[name.len() + 1..].trim();
            match name {
                "title" => self.title = Some(value.to_owned()),
                "author" => self.about.add_author(value),
                "date" => self.about.created = Some(value.trim_matches(['<', '>', '[', ']']).to_owned()),
                "language" => self.about.language = Some(value.to_owned()),
                "caption" => self.growing.push(self.lines.span_of(value), BlockKind::Paragraph),
                _ => {}
            }
        }
        self.growing.close();
        Some(at + 1)
    }

    /// `:PROPERTIES:` and whatever else is shut up in a drawer.
    fn drawer(&mut self, at: usize, words: &str) -> Option<usize> {
        let name = words.strip_prefix(':')?.strip_suffix(':')?;
        if name.is_empty()
            || name.eq_ignore_ascii_case("end")
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            return None;
        }
        let is_end = |idx: &usize| self.lines.line(*idx).trim_start().eq_ignore_ascii_case(":end:");
        let end = (at + 1..self.lines.len().min(at + MAX_DRAWER)).find(is_end)?;
        self.growing.close();
        Some(end + 1)
    }
}

/// A heading without state, priority (`[#A]`) and tags (`:a:b:`).
fn heading_words(line: &str) -> &str {
    let mut words = line.trim();
    if let Some(state) = STATES.iter().find(|state| words.split_whitespace().next() == Some(**state)) {
        words = words[state.len()..].trim_start();
    }
    if words.starts_with("[#") && words.as_bytes().get(3) == Some(&b']') {
        words = words[4..].trim_start();
    }
    if let Some((before, tags)) = words.rsplit_once(char::is_whitespace)
        && tags.len() > 2
        && tags.starts_with(':')
        && tags.ends_with(':')
    {
        words = before.trim_end();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_is_found_where_it_stands() {
        let text = "#+TITLE: The Title\n#+AUTHOR: Ann Lee\n#+DATE: <2024-03-01 Fri>\n\nIntro\ntext.\n* TODO [#A] Part one :work:x:\n:PROPERTIES:\n:ID: 7\n:END:\n- one\n  more\n  * two\n1. three\n\
            ** Sub *bold*\n#+begin_src Rust :tangle x\nfn x() {}\n\n* no heading\n#+end_src\n# comment\n| a | b |\n|---+---|\n| 1 | 2 |\n: fixed\n#+BEGIN_QUOTE\nSaid.\n#+END_QUOTE\nEnd.\n";
        let document = extract(Decoded { text: text.into(), same_as_file: true });
        assert_eq!(document.check(), Ok(()));
        let parts: Vec<(&str, &BlockKind)> =
            document.blocks.iter().map(|b| (&document.text[b.span.clone()], &b.kind)).collect();
        let code = |language: Option<&str>| BlockKind::Code { language: language.map(str::to_owned) };
        assert_eq!(
            parts,
            [
                ("Intro\ntext.", &BlockKind::Paragraph),
                ("Part one", &BlockKind::Heading { level: 1 }),
                ("- one\n  more", &BlockKind::ListItem),
                ("* two", &BlockKind::ListItem),
                ("1. three", &BlockKind::ListItem),
                ("Sub *bold*", &BlockKind::Heading { level: 2 }),
                ("fn x() {}\n\n* no heading", &code(Some("rust"))),
                ("| a | b |\n|---+---|\n| 1 | 2 |", &BlockKind::Table),
                (": fixed", &code(None)),
                ("Said.", &BlockKind::Quote),
                ("End.", &BlockKind::Paragraph),
            ]
        );
        assert_eq!(document.title.as_deref(), Some("The Title"));
        assert_eq!(document.about.created.as_deref(), Some("2024-03-01 Fri"));
    }
}

//! reStructuredText (docutils' specification of the markup), as byte ranges of the file.
//!
//! Directives: code is code, tables are tables, pictures and lists of contents are left out, and of all others (notes, figures,
//! descriptions of functions) the argument and the body are read as text. Comments, targets and substitutions are no
//! blocks. Inline markup stays as it is.

use crate::Format;
use crate::decode::Decoded;
use crate::document::{About, BlockKind, Document};
use crate::markup::{Growing, Lines, item_text};
use crate::plain::rule_mark;

/// Directives whose body is code; `math` is TeX.
const CODE: &[&str] = &[
    "code",
    "code-block",
    "sourcecode",
    "parsed-literal",
    "literal",
    "highlight-code",
    "testcode",
    "testoutput",
    "doctest",
    "math",
    "prompt",
    "ipython",
    "jupyter-execute",
    "productionlist",
];

const TABLES: &[&str] = &["table", "list-table", "csv-table", "flat-table"];

/// Directives that say nothing to a reader of the text.
const SILENT: &[&str] = &[
    "image",
    "toctree",
    "include",
    "literalinclude",
    "raw",
    "highlight",
    "contents",
    "index",
    "meta",
    "role",
    "default-role",
    "sectnum",
    "section-numbering",
    "currentmodule",
    "module",
    "py:module",
    "py:currentmodule",
    "tabularcolumns",
    "graphviz",
    "digraph",
    "autosummary",
    "automodule",
    "autoclass",
    "autofunction",
    "bibliography",
    "target-notes",
    "testsetup",
    "testcleanup",
    "header",
    "footer",
    "title",
    "date",
    "replace",
    "unicode",
    "plot",
];

/// Directives whose argument is no text: a file, a class, a condition.
const ARGUMENT_IS_NO_TEXT: &[&str] =
    &["figure", "container", "class", "rst-class", "only", "ifconfig", "cssclass", "tab-set"];

pub(crate) fn extract(decoded: Decoded) -> Document {
    let mut reader = Reader {
        lines: Lines::of(&decoded.text),
        growing: Growing::new(&decoded.text),
        ranks: Vec::new(),
        title: None,
        about: About::default(),
        literal_below: None,
        tables_never_end: false,
        has_text: false,
    };
    let mut at = 0;
    while at < reader.lines.len() {
        at = reader.step(at).max(at + 1);
    }
    let (title, about) = (reader.title, reader.about);
    let blocks = reader.growing.finish();
    Document { about, ..Document::in_place(decoded, Format::Rst, title, blocks) }
}

struct Reader<'a> {
    lines: Lines<'a>,
    growing: Growing<'a>,
    /// Marks of headings with whether they stand above, too; the first seen is the outermost.
    ranks: Vec<(char, bool)>,
    title: Option<String>,
    about: About,
    /// A paragraph ended with `::`: what is indented by more than this is literal.
    literal_below: Option<usize>,
    /// No simple table ends below: what opens like one ends with a blank line. Keeps a file of such openings linear.
    tables_never_end: bool,
    /// Anything but a title was met: fields at the top are about the document.
    has_text: bool,
}

impl Reader<'_> {
    /// Reads what begins at a line; gives the line after it.
    fn step(&mut self, at: usize) -> usize {
        let line = self.lines.line(at);
        let indent = self.lines.indent(at);
        if line.is_empty() {
            self.growing.close();
            return at + 1;
        }
        if let Some(above) =
            self.literal_below.take().filter(|above| !self.growing.is_open() && indent > *above)
        {
            let end = self.lines.end_of_indented(at, above);
            self.growing.push(self.lines.span(at, end), BlockKind::Code { language: None });
            return end;
        }
        if let Some(next) = self.heading(at).or_else(|| self.table(at)) {
            return next;
        }
        let words = line.trim_start();
        if words == ".." || words.starts_with(".. ") {
            self.growing.close();
            return self.explicit(at, indent, words);
        }
        if words.starts_with(">>> ") && !self.growing.is_open() {
            let end = self.lines.find(at, str::is_empty);
            self.growing.push(self.lines.span(at, end), BlockKind::Code { language: Some("python".into()) });
            return end;
        }
        if let Some(next) = self.field(at, words) {
            return next;
        }
        self.has_text = true;
        if item_text(line, "-*+•‣").is_some() {
            self.growing.begin(self.lines.span(at, at + 1), BlockKind::ListItem);
        } else {
            self.growing.grow(self.lines.span(at, at + 1));
        }
        if words.ends_with("::") {
            self.literal_below = Some(indent);
        }
        at + 1
    }

    fn heading(&mut self, at: usize) -> Option<usize> {
        if self.growing.is_open() {
            return None;
        }
        let is_rule = |idx: usize| rule_mark(self.lines.line(idx)).filter(|_| self.lines.indent(idx) == 0);
        let (words_at, mark, is_above) = match (is_rule(at), is_rule(at + 1), is_rule(at + 2)) {
            (Some(above), None, Some(below)) if above == below && !self.lines.is_blank(at + 1) => {
                (at + 1, above, true)
            }
            (None, Some(below), _) => (at, below, false),
            // A rule on its own parts the text.
            (Some(_), _, _) if self.lines.is_blank(at + 1) => return Some(at + 1),
            _ => return None,
        };
        let words = self.lines.line(words_at).trim_start();
        let rule = self.lines.line(words_at + 1);
        if words.chars().count() > rule.chars().count() + 2 || (!is_above && self.lines.indent(words_at) > 0)
        {
            return None;
        }
        let rank = self.ranks.iter().position(|seen| *seen == (mark, is_above)).unwrap_or_else(|| {
            self.ranks.push((mark, is_above));
            self.ranks.len() - 1
        });
        if rank == 0 && self.title.is_none() {
            self.title = Some(words.to_owned());
        }
        self.growing.push(self.lines.span_of(words), BlockKind::Heading { level: (rank + 1).min(6) as u8 });
        Some(words_at + 2)
    }

    /// A grid table (`+---+`) or a simple one (`===  ===`).
    fn table(&mut self, at: usize) -> Option<usize> {
        let line = self.lines.line(at).trim_start();
        let end = if line.starts_with("+-") && line.ends_with('+') {
            self.lines.find(at, |line| !line.trim_start().starts_with(['+', '|']))
        } else if is_simple_rule(line) {
            // It ends with the second or third rule, before a blank line.
            let is_last = |idx: &usize| {
                is_simple_rule(self.lines.line(*idx).trim_start()) && self.lines.is_blank(idx + 1)
            };
            let last = if self.tables_never_end { None } else { (at + 1..self.lines.len()).find(is_last) };
            self.tables_never_end = last.is_none();
            last.map_or_else(|| self.lines.find(at, str::is_empty), |last| last + 1)
        } else {
            return None;
        };
        self.growing.push(self.lines.span(at, end), BlockKind::Table);
        self.has_text = true;
        Some(end)
    }

    /// What `..` opens: a directive, a footnote, a target, a comment.
    fn explicit(&mut self, at: usize, indent: usize, words: &str) -> usize {
        let end = self.lines.end_of_indented(at + 1, indent);
        let rest = words[2..].trim_start();
        if rest.starts_with('[') {
            self.growing.begin(self.lines.span_of(rest), BlockKind::Paragraph);
            return at + 1;
        }
        let directive = rest.split_once("::").filter(|(name, _)| {
            !name.is_empty() && !name.starts_with(['_', '|']) && !name.contains(char::is_whitespace)
        });
        let Some((name, argument)) = directive else { return end };
        let (name, argument) = (name.to_ascii_lowercase(), argument.trim());
        let body = (at + 1..end)
            .find(|idx| !self.lines.is_blank(*idx) && !self.lines.line(*idx).trim_start().starts_with(':'))
            .unwrap_or(end);
        if SILENT.contains(&name.as_str()) {
            return end;
        }
        self.has_text = true;
        if CODE.contains(&name.as_str()) {
            let language = if name == "math" { "latex" } else { argument };
            let language = (!language.is_empty()).then(|| language.to_ascii_lowercase());
            self.growing.push(self.lines.span(body, end), BlockKind::Code { language });
            return end;
        }
        if !argument.is_empty() && !ARGUMENT_IS_NO_TEXT.contains(&name.as_str()) {
            self.growing.push(self.lines.span_of(argument), BlockKind::Paragraph);
        }
        // A grid or simple table is found where it stands.
        if TABLES.contains(&name.as_str()) && name != "table" {
            self.growing.push(self.lines.span(body, end), BlockKind::Table);
            return end;
        }
        body
    }

    /// `:Author: A. Name`: about the document before any text, a line of a list elsewhere.
    fn field(&mut self, at: usize, words: &str) -> Option<usize> {
        let (name, value) = words.strip_prefix(':')?.split_once(':')?;
        let is_name = !name.is_empty() && name.len() <= 60 && !name.contains('`') && name.trim() == name;
        if !is_name || !(value.is_empty() || value.starts_with(' ')) {
            return None;
        }
        let value = value.trim().to_owned();
        if !self.has_text && self.lines.indent(at) == 0 {
            match name.to_ascii_lowercase().as_str() {
                "author" | "authors" => value.split([',', ';']).for_each(|name| self.about.add_author(name)),
                "date" => self.about.created = Some(value),
                "title" => self.title = Some(value),
                "language" | "lang" => self.about.language = Some(value),
                _ => {}
            }
        }
        self.growing.begin(self.lines.span(at, at + 1), BlockKind::ListItem);
        Some(at + 1)
    }
}

/// `====  ====`: rules over the columns of a simple table.
fn is_simple_rule(line: &str) -> bool {
    line.contains("= ") && line.starts_with("==") && line.bytes().all(|b| b == b'=' || b == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_is_found_where_it_stands() {
        let text = "=====\nTitle\n=====\n\n:Author: A. Name\n:Date: 2024-03-01\n\nIntro text\nof it::\n\n    literal\n\n      more\n\nPart\n----\n\n.. _target:\n\n\
            - one\n  more\n- two\n\n.. code-block:: Rust\n   :linenos:\n\n   fn x() {}\n\n.. note:: Mind this.\n\n   And that.\n\n.. image:: x.png\n   :alt: no\n\n\
            .. comment of\n   two lines\n\n+---+---+\n| a | b |\n+---+---+\n\n===  ===\nc    d\n===  ===\n1    2\n===  ===\n\n.. [1] A note.\n\n>>> 1 + 1\n2\n";
        let document = extract(Decoded { text: text.into(), same_as_file: true });
        assert_eq!(document.check(), Ok(()));
        let parts: Vec<(&str, &BlockKind)> =
            document.blocks.iter().map(|b| (&document.text[b.span.clone()], &b.kind)).collect();
        let code = |language: Option<&str>| BlockKind::Code { language: language.map(str::to_owned) };
        assert_eq!(
            parts,
            [
                ("Title", &BlockKind::Heading { level: 1 }),
                (":Author: A. Name", &BlockKind::ListItem),
                (":Date: 2024-03-01", &BlockKind::ListItem),
                ("Intro text\nof it::", &BlockKind::Paragraph),
                ("literal\n\n      more", &code(None)),
                ("Part", &BlockKind::Heading { level: 2 }),
                ("- one\n  more", &BlockKind::ListItem),
                ("- two", &BlockKind::ListItem),
                ("fn x() {}", &code(Some("rust"))),
                ("Mind this.", &BlockKind::Paragraph),
                ("And that.", &BlockKind::Paragraph),
                ("+---+---+\n| a | b |\n+---+---+", &BlockKind::Table),
                ("===  ===\nc    d\n===  ===\n1    2\n===  ===", &BlockKind::Table),
                ("[1] A note.", &BlockKind::Paragraph),
                (">>> 1 + 1\n2", &code(Some("python"))),
            ]
        );
        assert_eq!(document.title.as_deref(), Some("Title"));
        assert_eq!(document.about.authors, ["A. Name"]);
        assert_eq!(document.about.created.as_deref(), Some("2024-03-01"));
    }
}

//! LaTeX: the text without its macros, with headings, lists, tables, code and formulas.
//!
//! No macro is expanded. What a command makes of its arguments is known for the usual ones; of all others the arguments
//! are read as text, which is what they mostly are. Formulas stay as they are written. A file without `\begin{document}` is a
//! part of one and is read whole.
//!
//! One pass. Arguments are looked for up to their closing brace; what such searches may look at in vain is bounded by the size of the
//! file, so that a file of a million `\section{` takes no longer than another.

mod symbols;

use crate::Format;
use crate::document::{About, BlockKind, Document, Writer};
use crate::table::markdown_row;
use symbols::{accent, silent_arguments, symbol};

const HEADINGS: &[&str] =
    &["part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph"];

const CODE: &[&str] = &[
    "verbatim",
    "verbatim*",
    "Verbatim",
    "lstlisting",
    "minted",
    "alltt",
    "semiverbatim",
    "BVerbatim",
    "LVerbatim",
];

const MATH: &[&str] = &[
    "equation",
    "align",
    "gather",
    "multline",
    "eqnarray",
    "displaymath",
    "alignat",
    "flalign",
    "math",
    "dmath",
];

const DRAWINGS: &[&str] =
    &["tikzpicture", "picture", "comment", "pgfpicture", "filecontents", "asy", "pspicture", "axis"];

const TABLES: &[&str] = &["tabular", "tabular*", "tabularx", "tabulary", "longtable", "supertabular"];

/// Environments with one argument in braces that is no text.
const SILENT_ARGUMENT: &[&str] =
    &["minipage", "multicols", "thebibliography", "adjustbox", "wrapfigure", "adjustwidth"];

const THEOREMS: &[&str] = &[
    "theorem",
    "lemma",
    "proof",
    "definition",
    "corollary",
    "proposition",
    "remark",
    "example",
    "claim",
    "conjecture",
];

/// How deep arguments are read in arguments (a footnote in a caption).
const MAX_DEPTH: usize = 6;

pub(crate) fn extract(text: &str) -> Document {
    let mut reader = Reader::new(text, 0);
    reader.is_part = is_part(text);
    reader.is_body = reader.is_part;
    reader.first_level = 1 + u8::from(text.contains("\\maketitle"));
    reader.outermost = HEADINGS
        .iter()
        .position(|name| {
            [format!("\\{name}{{"), format!("\\{name}*"), format!("\\{name}[")]
                .iter()
                .any(|c| text.contains(c))
        })
        .unwrap_or(0);
    reader.run();
    reader.end_paragraph();
    let title = reader.title.or(reader.writer.first_heading());
    Document { about: reader.about, ..reader.writer.finish(Format::Latex, title) }
}

/// Whether a file is a part of a document and read whole. One that begins or ends a document somewhere in its lines only, and has no
/// class, writes about LaTeX: a manual that shows a program which prints LaTeX.
fn is_part(text: &str) -> bool {
    let begins = |command: &str| text.lines().any(|line| line.trim_start().starts_with(command));
    let has_class = || begins("\\documentclass") || begins("\\documentstyle");
    !text.contains("\\begin{document}") || !(begins("\\begin{document}") || has_class())
}

/// The text of an argument.
fn inline(argument: &str, depth: usize) -> String {
    if depth > MAX_DEPTH {
        return argument.replace(['\\', '{', '}'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let mut reader = Reader::new(argument, depth);
    (reader.is_part, reader.is_body) = (true, true);
    reader.run();
    let notes = std::mem::take(&mut reader.notes);
    let notes = notes.iter().map(|note| format!(" ({note})")).collect::<String>();
    (reader.paragraph + &notes).split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// 0 for the file, more for arguments, which have no blocks.
    depth: usize,
    writer: Writer,
    paragraph: String,
    kind: BlockKind,
    /// Open lists: the number of the last item if they count.
    lists: Vec<Option<u32>>,
    notes: Vec<String>,
    n_notes: usize,
    is_part: bool,
    is_body: bool,
    /// Level of the outermost kind of heading in the file, and which kind that is.
    first_level: u8,
    outermost: usize,
    title: Option<String>,
    about: About,
    /// Bytes that searches for closing braces may still look at in vain.
    n_searched: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, depth: usize) -> Self {
        Self {
            text,
            at: 0,
            depth,
            writer: Writer::default(),
            paragraph: String::new(),
            kind: BlockKind::Paragraph,
            lists: Vec::new(),
            notes: Vec::new(),
            n_notes: 0,
            is_part: false,
            is_body: false,
            first_level: 1,
            outermost: 0,
            title: None,
            about: About::default(),
            n_searched: 4 * text.len() + 10_000,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn run(&mut self) {
        while let Some(c) = self.rest().chars().next() {
            match c {
                '\\' => self.command(),
                '%' => {
                    let n = self.rest().find('\n').map_or(self.rest().len(), |n| n + 1);
                    self.at += n;
                    // The blank space that begins the next line goes with the comment, a blank line does not.
                    self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
                }
                '$' => self.formula(),
                '{' | '}' => self.at += 1,
                '~' => self.put(" ", 1),
                '\n' => self.line_end(),
                '-' if self.rest().starts_with("---") => self.put("—", 3),
                '-' if self.rest().starts_with("--") => self.put("–", 2),
                '`' if self.rest().starts_with("``") => self.put("“", 2),
                '\'' if self.rest().starts_with("''") => self.put("”", 2),
                '`' => self.put("‘", 1),
                _ => {
                    let n = self.rest().find(['\\', '%', '$', '{', '}', '~', '\n', '-', '`', '\'']);
                    let n = n.unwrap_or(self.rest().len()).max(c.len_utf8());
                    self.put(&self.rest()[..n], n);
                }
            }
        }
    }

    fn put(&mut self, text: &str, n_read: usize) {
        self.paragraph.push_str(text);
        self.at += n_read;
    }

    /// A line end is a space, a blank line ends the paragraph.
    fn line_end(&mut self) {
        let rest = self.rest();
        let n_blank = rest.len() - rest.trim_start().len();
        if rest[..n_blank].matches('\n').count() > 1 && self.depth == 0 {
            self.end_paragraph();
        }
        self.put(" ", n_blank);
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.depth > 0 {
            self.paragraph = words + " ";
            return;
        }
        if !self.is_body {
            return;
        }
        let indent = 2 * self.lists.len().saturating_sub(1).min(10);
        let kind = self.kind.clone();
        self.writer.push_indented(if kind == BlockKind::ListItem { indent } else { 0 }, &words, kind);
        if self.kind == BlockKind::ListItem {
            self.kind = BlockKind::Paragraph;
        }
        for note in std::mem::take(&mut self.notes) {
            self.writer.push(&note, BlockKind::Paragraph);
        }
    }

    fn block(&mut self, text: &str, kind: BlockKind) {
        self.end_paragraph();
        if self.depth > 0 {
            self.paragraph.push_str(text);
        } else if self.is_body {
            self.writer.push(text, kind);
        }
    }

    /// `$…$` as it is; `$$…$$` as a block. A dollar without its partner in the paragraph is a character.
    fn formula(&mut self) {
        let rest = self.rest();
        if let Some(inside) = rest.strip_prefix("$$")
            && let Some(n) = self.search(inside, "$$")
        {
            self.at += n + 4;
            return self.block(&inside[..n], BlockKind::Code { language: Some("latex".into()) });
        }
        let end = rest[1..].find("\n\n").unwrap_or(rest.len() - 1);
        match rest[1..1 + end].find('$') {
            Some(n) if n > 0 => self.put(&rest[..n + 2], n + 2),
            _ => self.put("$", 1),
        }
    }

    /// Where `needle` is, within what searches may cost.
    fn search(&mut self, text: &str, needle: &str) -> Option<usize> {
        if self.n_searched == 0 {
            return None;
        }
        let found = text.find(needle);
        if found.is_none() {
            self.n_searched = self.n_searched.saturating_sub(text.len());
        }
        found
    }

    fn skip_blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// The next argument between `open` and `close`, if one comes.
    fn argument(&mut self, open: char, close: char) -> Option<&'a str> {
        let rest = self.rest();
        let inside = rest.trim_start().strip_prefix(open)?;
        if self.n_searched == 0 || rest[..rest.len() - inside.len()].matches('\n').count() > 1 {
            return None;
        }
        let (mut n_open, mut is_escaped) = (0usize, false);
        for (at, c) in inside.char_indices() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                _ if c == close && n_open == 0 => {
                    self.at += rest.len() - inside.len() + at + 1;
                    return Some(&inside[..at]);
                }
                '{' => n_open += 1,
                '}' => n_open = n_open.saturating_sub(1),
                _ => {}
            }
        }
        self.n_searched = self.n_searched.saturating_sub(inside.len());
        None
    }

    fn optional(&mut self) -> Option<&'a str> {
        self.rest().starts_with('[').then(|| self.argument('[', ']')).flatten()
    }

    /// An argument's text.
    fn text_argument(&mut self) -> Option<String> {
        let argument = self.argument('{', '}')?;
        Some(inline(argument, self.depth + 1))
    }

    fn command(&mut self) {
        let rest = &self.rest()[1..];
        let n = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let n = if n == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { n };
        let name = &rest[..n];
        self.at += 1 + n;
        let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_word && self.rest().starts_with('*') {
            self.at += 1;
        }
        if let Some(mark) = accent(name).filter(|_| !is_word || self.is_accent_ahead()) {
            return self.accented(mark);
        }
        if let Some(text) = symbol(name) {
            if is_word {
                self.skip_one_blank();
            }
            if matches!(name, "\\" | "newline" | "linebreak") {
                self.optional();
            }
            return self.paragraph.push_str(text);
        }
        match name {
            "(" | ")" => self.paragraph.push('$'),
            "[" => self.displayed("\\]"),
            "begin" => self.begin(),
            "end" => self.end(),
            _ if HEADINGS.contains(&name) => self.heading(name),
            _ => self.word(name),
        }
    }

    fn skip_one_blank(&mut self) {
        if self.rest().starts_with("{}") {
            self.at += 2;
        } else if self.rest().starts_with(' ') {
            self.at += 1;
        }
    }

    /// `\c{c}` and `\v s` are accents, `\color` was none.
    fn is_accent_ahead(&self) -> bool {
        self.rest().starts_with(['{', ' '])
    }

    fn accented(&mut self, mark: char) {
        let letter = match self.argument('{', '}') {
            Some(argument) => inline(argument, self.depth + 1),
            None => {
                self.skip_one_blank();
                let rest = self.rest();
                let n = rest
                    .chars()
                    .next()
                    .map_or(0, |c| if c == '\\' { 2.min(rest.len()) } else { c.len_utf8() });
                let letter = rest.get(..n).unwrap_or_default();
                self.at += letter.len();
                letter.to_owned()
            }
        };
        let plain = match letter.trim_start_matches('\\') {
            "ı" | "i" => 'i',
            "ȷ" | "j" => 'j',
            other => other.chars().next().unwrap_or(' '),
        };
        match unicode_normalization::char::compose(plain, mark) {
            Some(whole) => self.paragraph.push(whole),
            None => self.paragraph.push_str(&letter),
        }
    }

    fn displayed(&mut self, end: &str) {
        let rest = self.rest();
        let n = self.search(rest, end).unwrap_or(rest.len());
        self.at += (n + end.len()).min(rest.len());
        self.block(&rest[..n], BlockKind::Code { language: Some("latex".into()) });
    }

    fn heading(&mut self, name: &str) {
        self.optional();
        let Some(words) = self.text_argument() else { return };
        let rank = HEADINGS.iter().position(|heading| *heading == name).unwrap_or(0);
        let level = self.first_level + rank.saturating_sub(self.outermost) as u8;
        self.block(&words, BlockKind::Heading { level });
    }

    fn word(&mut self, name: &str) {
        match name {
            "title" | "author" | "date" => {
                self.optional();
                let Some(argument) = self.argument('{', '}') else { return };
                self.about_itself(name, argument);
            }
            "maketitle" => {
                if let Some(title) = self.title.clone() {
                    self.block(&title, BlockKind::Heading { level: 1 });
                }
            }
            "frametitle" => {
                if let Some(words) = self.text_argument() {
                    self.block(&words, BlockKind::Heading { level: self.first_level + 2 });
                }
            }
            "caption" | "captionof" => {
                self.optional();
                if let Some(words) = self.text_argument() {
                    self.block(&words, BlockKind::Paragraph);
                }
            }
            "footnote" | "footnotetext" | "thanks" => {
                self.optional();
                let Some(words) = self.text_argument() else { return };
                if self.depth > 0 {
                    return self.notes.push(words);
                }
                self.n_notes += 1;
                self.paragraph.push_str(&format!("[^{}]", self.n_notes));
                self.notes.push(format!("[^{}] {words}", self.n_notes));
            }
            "item" => self.item(),
            "bibitem" => {
                self.end_paragraph();
                self.optional();
                let key = self.argument('{', '}').unwrap_or_default();
                self.kind = BlockKind::ListItem;
                self.paragraph = format!("[{key}] ");
            }
            "par" | "newpage" | "clearpage" => self.end_paragraph(),
            "verb" | "lstinline" => self.verbatim_word(),
            "def" | "let" | "gdef" | "edef" => {
                // `\def\name#1{…}`: up to the body, and the body.
                let n = self.rest().find(['{', '\n']).unwrap_or(self.rest().len());
                self.at += n;
                self.argument('{', '}');
            }
            _ if name.starts_with("cite") || name.ends_with("cite") => {
                while self.optional().is_some() {}
                let keys = self.argument('{', '}').unwrap_or_default();
                self.paragraph.push_str(&format!(
                    "[{}]",
                    keys.split(',').map(str::trim).collect::<Vec<_>>().join(", ")
                ));
            }
            _ => {
                let n_silent = silent_arguments(name);
                while self.optional().is_some() {}
                for _ in 0..n_silent.unwrap_or(0) {
                    // `\newcommand\name{…}`: the name may stand without braces.
                    self.skip_blank_before_argument();
                    if self.argument('{', '}').is_none() && self.rest().starts_with('\\') {
                        let name = &self.rest()[1..];
                        let n =
                            name.find(|c: char| !c.is_ascii_alphabetic() && c != '@').unwrap_or(name.len());
                        self.at += 1 + n;
                    }
                    while self.optional().is_some() {}
                }
                if n_silent.is_none() && self.rest().starts_with(' ') && !self.paragraph.ends_with(' ') {
                    self.put(" ", 1);
                }
            }
        }
    }

    fn skip_blank_before_argument(&mut self) {
        if self.rest().trim_start_matches([' ', '\t']).starts_with(['{', '\\']) {
            self.skip_blank();
        }
    }

    fn about_itself(&mut self, name: &str, argument: &'a str) {
        match name {
            "title" => {
                let words = argument.split("\\thanks").next().unwrap_or(argument);
                self.title = Some(inline(words, self.depth + 1));
            }
            "author" => {
                for author in argument.split("\\and") {
                    let name = author.split("\\\\").next().unwrap_or(author);
                    let name = name.split("\\thanks").next().unwrap_or(name);
                    self.about.add_author(&inline(name, self.depth + 1));
                }
            }
            _ => {
                let date = inline(argument, self.depth + 1);
                self.about.created = (!date.is_empty() && !argument.contains("\\today")).then_some(date);
            }
        }
    }

    fn item(&mut self) {
        self.end_paragraph();
        let label = self.optional().map(|label| inline(label, self.depth + 1));
        let marker = match (label, self.lists.last_mut()) {
            (Some(label), _) => format!("- {label}: "),
            (None, Some(Some(n))) => {
                *n += 1;
                format!("{n}. ")
            }
            _ => "- ".to_owned(),
        };
        self.kind = BlockKind::ListItem;
        self.paragraph = marker;
    }

    /// `\verb|x|`.
    fn verbatim_word(&mut self) {
        self.optional();
        let rest = self.rest();
        let Some(mark) = rest.chars().next() else { return };
        let close = if mark == '{' { '}' } else { mark };
        let line = rest.find('\n').unwrap_or(rest.len());
        if let Some(n) = rest.get(mark.len_utf8()..line).and_then(|inside| inside.find(close)) {
            let inside = &rest[mark.len_utf8()..mark.len_utf8() + n];
            self.put(inside, n + mark.len_utf8() + close.len_utf8());
        }
    }

    fn begin(&mut self) {
        let Some(name) = self.argument('{', '}') else { return };
        let plain = name.trim_end_matches('*');
        if name == "document" {
            if !self.is_body {
                self.paragraph.clear();
                self.notes.clear();
                self.is_body = true;
            }
        } else if CODE.contains(&name) {
            self.code(name);
        } else if DRAWINGS.contains(&plain) {
            let rest = self.rest();
            let end = format!("\\end{{{name}}}");
            if let Some(n) = self.search(rest, &end) {
                self.at += n + end.len();
            }
        } else if MATH.contains(&plain) {
            self.displayed(&format!("\\end{{{name}}}"));
        } else if TABLES.contains(&name) {
            self.table(name);
        } else if let "itemize" | "enumerate" | "description" = plain {
            self.optional();
            self.end_paragraph();
            self.lists.push((plain == "enumerate").then_some(0));
        } else if let "quote" | "quotation" | "verse" = plain {
            self.end_paragraph();
            self.kind = BlockKind::Quote;
        } else if plain == "abstract" {
            self.block("Abstract", BlockKind::Heading { level: self.first_level });
        } else if plain == "frame" {
            self.optional();
            if let Some(words) = self.rest().starts_with('{').then(|| self.text_argument()).flatten() {
                self.block(&words, BlockKind::Heading { level: self.first_level + 2 });
            }
        } else if THEOREMS.contains(&plain) {
            self.end_paragraph();
            let of = self.optional().map(|of| format!(" ({})", inline(of, self.depth + 1)));
            let (first, others) = plain.split_at(1);
            self.paragraph = format!("{}{others}{}. ", first.to_uppercase(), of.unwrap_or_default());
        } else {
            self.end_paragraph();
            self.optional();
            if SILENT_ARGUMENT.contains(&plain) {
                self.argument('{', '}');
            }
        }
    }

    fn end(&mut self) {
        let Some(name) = self.argument('{', '}') else { return };
        self.end_paragraph();
        match name.trim_end_matches('*') {
            "itemize" | "enumerate" | "description" => drop(self.lists.pop()),
            "quote" | "quotation" | "verse" => self.kind = BlockKind::Paragraph,
            "document" if !self.is_part => self.at = self.text.len(),
            _ => {}
        }
    }

    fn code(&mut self, name: &str) {
        let options = self.optional().unwrap_or_default();
        let language = match name {
            "minted" => self.argument('{', '}'),
            _ => options.split("language=").nth(1).and_then(|rest| rest.split([',', '[']).next()),
        };
        let language =
            language.map(|l| l.trim_matches(['{', '}', ' ']).to_lowercase()).filter(|l| !l.is_empty());
        let rest = self.rest();
        let end = format!("\\end{{{name}}}");
        let n = self.search(rest, &end).unwrap_or(rest.len());
        self.at += (n + end.len()).min(rest.len());
        self.block(&rest[..n], BlockKind::Code { language });
    }

    fn table(&mut self, name: &str) {
        self.optional();
        if matches!(name, "tabular*" | "tabularx" | "tabulary") {
            self.argument('{', '}');
        }
        self.optional();
        self.argument('{', '}');
        let rest = self.rest();
        let end = format!("\\end{{{name}}}");
        let Some(n) = self.search(rest, &end) else { return };
        self.at += n + end.len();
        let mut rows = String::new();
        for row in rest[..n].split("\\\\") {
            let cells: Vec<String> =
                cells(row).into_iter().map(|cell| inline(cell, self.depth + 1)).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                rows.push_str(&markdown_row(cells.iter().map(String::as_str)));
            }
        }
        self.block(&rows, BlockKind::Table);
    }
}

/// The cells of a row: what unescaped `&` part.
fn cells(row: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let (mut start, mut is_escaped) = (0, false);
    for (at, b) in row.bytes().enumerate() {
        match b {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'&' => {
                cells.push(&row[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    cells.push(&row[start..]);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> String {
        let document = extract(source);
        assert_eq!(document.check(), Ok(()));
        document.text
    }

    #[test]
    fn a_paper_is_read_without_its_macros() {
        let source = r#"\documentclass[11pt]{article}\usepackage{x} % comment
\newcommand{\foo}[1]{bar #1}
\title{The \emph{Title}\thanks{Grant.}} \author{Ann L\'ee \and Bo~Z\\ Town} \date{March 2024}
\begin{document}\maketitle
\begin{abstract}
Short.
\end{abstract}
\section{First \& \textbf{bold}}\label{sec:a}
Some ``quoted'' text --- it costs 5\,\% of \$3, see~\cite[p.~2]{knuth, lamport} and $x^2$.% tail
 More\footnote{A \emph{note}.} words in Stra\ss e, na\"{\i}ve gar\c{c}on.

\subsection*{Second}
\begin{itemize}
\item one
  \begin{enumerate} \item deep \item[x] labelled \end{enumerate}
\item \texttt{two}
\end{itemize}
\begin{lstlisting}[language=Rust,caption=x]
fn x() {}  % kept
\end{lstlisting}
\begin{table}\centering\caption{Sizes}
\begin{tabular}{l|r} \hline Name & Size \\ \hline a\&b & \multicolumn{1}{c}{2} \\ \end{tabular}\end{table}
\begin{equation}\label{e} a = b \end{equation}
\begin{tikzpicture}\draw (0,0);\end{tikzpicture}
\begin{theorem}[Main] It holds. \end{theorem}
\end{document} ignored"#;
        assert_eq!(
            text(source),
            "The Title\n\nAbstract\n\nShort.\n\nFirst & bold\n\nSome “quoted” text — it costs 5 % of $3, see [knuth, lamport] and $x^2$.More[^1] words in Straße, naïve garçon.\n\n\
             [^1] A note.\n\nSecond\n\n- one\n  1. deep\n  - x: labelled\n- two\n\nfn x() {}  % kept\n\nSizes\n\n| Name | Size |\n| a&b | 2 |\n\n\\label{e} a = b\n\nTheorem (Main). It holds."
        );
        let document = extract(source);
        assert_eq!(document.about.authors, ["Ann Lée", "Bo Z"]);
        assert_eq!(document.about.created.as_deref(), Some("March 2024"));
    }

    #[test]
    fn a_part_of_a_document_is_read_whole() {
        assert_eq!(text("\\chapter{One}\nText.\n\nMore $ alone."), "One\n\nText.\n\nMore $ alone.");
    }

    #[test]
    fn unclosed_and_nested_arguments_take_linear_time() {
        for part in [
            "\\section{",
            "\\footnote{",
            "$$",
            "$",
            "\\begin{tikzpicture}",
            "\\begin{",
            "\\[",
            "\\item[",
            "{",
            "\\'{",
            "\\verb|",
            "\\title{",
            "\\begin{tabular}{",
            "\\cite[",
            "\\def",
        ] {
            extract(&part.repeat(100_000));
        }
    }
}

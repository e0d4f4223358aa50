//! Rich text (Rich Text Format Specification 1.9.1): paragraphs, headings by style, lists, tables, notes.
//!
//! One pass over the bytes with a stack of groups. Of each group we know whether its text belongs to the document, to a table of
//! fonts or styles, to what the file says about itself, or to nothing we read. Bytes above ASCII are decoded as the font's
//! character set says, else as the file's code page.

mod tables;

use encoding_rs::Encoding;

use crate::Format;
use crate::document::{About, BlockKind, Document, Writer};
use crate::table::markdown_row;
use tables::{Date, Fonts, Styles, character, code_page, is_silent};

/// Groups that are remembered; text further in counts as text of the innermost that is.
const MAX_GROUPS: usize = 1000;

/// Where the text of a group goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Body,
    Nothing,
    Fonts,
    Styles,
    /// The marker of a list item.
    Marker,
    About(&'static str),
    Note,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    target: Target,
    /// Bytes after `\u` that stand for the same character in older readers.
    n_fallback: usize,
    font: u32,
    is_hidden: bool,
}

pub(crate) fn extract(bytes: &[u8]) -> Document {
    let mut reader = Reader::new(bytes);
    reader.run();
    reader.end_paragraph();
    reader.end_table();
    for note in std::mem::take(&mut reader.notes) {
        reader.writer.push(&note, BlockKind::Paragraph);
    }
    let title = reader.title.take().or(reader.writer.first_heading());
    Document { about: reader.about, ..reader.writer.finish(Format::Rtf, title) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    groups: Vec<Group>,
    /// Open groups beyond those remembered.
    n_deeper: usize,
    /// Bytes of one encoding not decoded yet, and what decodes them.
    raw: Vec<u8>,
    code_page: &'static Encoding,
    fonts: Fonts,
    styles: Styles,
    /// The first half of a character beyond U+FFFF.
    surrogate: Option<u16>,
    n_to_skip: usize,
    /// Text of the innermost group that is not the body's.
    aside: String,
    date: Date,
    paragraph: String,
    marker: String,
    style: Option<u32>,
    outline_level: Option<u8>,
    in_table: bool,
    cells: Vec<String>,
    rows: String,
    /// Paragraphs that notes interrupted.
    interrupted: Vec<String>,
    notes: Vec<String>,
    n_notes: usize,
    writer: Writer,
    title: Option<String>,
    about: About,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            groups: vec![Group { target: Target::Body, n_fallback: 1, font: 0, is_hidden: false }],
            n_deeper: 0,
            raw: Vec::new(),
            code_page: encoding_rs::WINDOWS_1252,
            fonts: Fonts::default(),
            styles: Styles::default(),
            surrogate: None,
            n_to_skip: 0,
            aside: String::new(),
            date: Date::default(),
            paragraph: String::new(),
            marker: String::new(),
            style: None,
            outline_level: None,
            in_table: false,
            cells: Vec::new(),
            rows: String::new(),
            interrupted: Vec::new(),
            notes: Vec::new(),
            n_notes: 0,
            writer: Writer::default(),
            title: None,
            about: About::default(),
        }
    }

    fn group(&mut self) -> &mut Group {
        if self.groups.is_empty() {
            self.groups.push(Group { target: Target::Nothing, n_fallback: 1, font: 0, is_hidden: false });
        }
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    fn run(&mut self) {
        while let Some(&b) = self.bytes.get(self.at) {
            self.at += 1;
            match b {
                b'{' => {
                    self.decode();
                    self.n_to_skip = 0;
                    let group = *self.group();
                    if self.groups.len() < MAX_GROUPS { self.groups.push(group) } else { self.n_deeper += 1 }
                }
                b'}' => {
                    self.decode();
                    self.n_to_skip = 0;
                    self.end_group();
                }
                b'\\' => self.control(),
                b'\r' | b'\n' => {}
                _ => self.byte(b),
            }
        }
        self.decode();
    }

    /// One byte of text.
    fn byte(&mut self, b: u8) {
        if self.n_to_skip > 0 {
            self.n_to_skip -= 1;
        } else {
            self.raw.push(b);
        }
    }

    fn decode(&mut self) {
        if self.raw.is_empty() {
            return;
        }
        let raw = std::mem::take(&mut self.raw);
        let font = self.group().font;
        let encoding = self.fonts.encoding(font).unwrap_or(self.code_page);
        let text = if raw.is_ascii() {
            String::from_utf8_lossy(&raw)
        } else {
            encoding.decode_without_bom_handling(&raw).0
        };
        self.put(&text);
    }

    fn put(&mut self, text: &str) {
        let group = *self.group();
        match group.target {
            Target::Body | Target::Note if !group.is_hidden => self.paragraph.push_str(text),
            Target::Marker => self.marker.push_str(text),
            Target::Fonts | Target::Styles | Target::About(_) => self.aside.push_str(text),
            _ => {}
        }
    }

    fn control(&mut self) {
        let Some(&b) = self.bytes.get(self.at) else { return };
        if b.is_ascii_alphabetic() {
            return self.word();
        }
        self.at += 1;
        match b {
            b'\'' => {
                let hex = self.bytes.get(self.at..self.at + 2).and_then(|hex| std::str::from_utf8(hex).ok());
                if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    self.at += 2;
                    self.byte(byte);
                }
                return;
            }
            b'\\' | b'{' | b'}' => return self.byte(b),
            _ => self.decode(),
        }
        match b {
            b'~' => self.put("\u{a0}"),
            b'_' => self.put("-"),
            b'\r' | b'\n' => self.end_paragraph_here(),
            // What follows is for those who know it; what we know of these we look for by name.
            b'*' if !self.is_known_destination() => self.group().target = Target::Nothing,
            _ => {}
        }
    }

    /// After `\*`.
    fn is_known_destination(&self) -> bool {
        let rest = self.bytes[self.at..].trim_ascii_start();
        [&b"\\shpinst"[..], b"\\pntext", b"\\shppict", b"\\cs", b"\\ds", b"\\ts"].iter().any(|name| {
            rest.strip_prefix(*name).is_some_and(|after| !after.first().is_some_and(u8::is_ascii_alphabetic))
        })
    }

    fn word(&mut self) {
        let rest = &self.bytes[self.at..];
        let n_name = rest.iter().take(32).take_while(|b| b.is_ascii_alphabetic()).count();
        let name = std::str::from_utf8(&rest[..n_name]).unwrap_or_default();
        let number = &rest[n_name..];
        let n_sign = usize::from(number.first() == Some(&b'-'));
        let n_digits = number[n_sign..].iter().take(10).take_while(|b| b.is_ascii_digit()).count();
        let n_number = if n_digits == 0 { 0 } else { n_sign + n_digits };
        let value: Option<i64> =
            std::str::from_utf8(&number[..n_number]).ok().and_then(|digits| digits.parse().ok());
        self.at += n_name + n_number;
        if self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        if name == "u" {
            return self.unicode(value.unwrap_or(0));
        }
        self.decode();
        self.surrogate = None;
        // A word stands for a character that was to be skipped, too.
        if let Some(text) = character(name) {
            if self.n_to_skip > 0 {
                self.n_to_skip -= 1;
                return;
            }
            return self.put(text);
        }
        self.obey(name, value);
    }

    fn unicode(&mut self, value: i64) {
        self.decode();
        let unit = value.rem_euclid(65536) as u16;
        match (self.surrogate.take(), unit) {
            (None, 0xd800..=0xdbff) => self.surrogate = Some(unit),
            (first, _) => {
                let units: Vec<u16> = first.into_iter().chain([unit]).collect();
                let text = String::from_utf16_lossy(&units);
                self.put(&text);
            }
        }
        self.n_to_skip = self.group().n_fallback;
    }

    fn obey(&mut self, name: &str, value: Option<i64>) {
        let number = || value.and_then(|value| u32::try_from(value).ok());
        let is_on = value != Some(0);
        match name {
            "par" | "sect" | "page" => self.end_paragraph_here(),
            "line" => self.put("\n"),
            "cell" | "nestcell" => self.end_cell(),
            "row" | "nestrow" => self.end_row(),
            "intbl" => self.in_table = true,
            "pard" => {
                (self.style, self.outline_level, self.in_table) = (None, None, false);
            }
            "s" if self.group().target == Target::Styles => self.styles.begin(number().unwrap_or(0)),
            "s" => self.style = number(),
            "outlinelevel" => {
                self.outline_level =
                    number().and_then(|level| u8::try_from(level).ok()).filter(|level| *level < 9)
            }
            "f" => {
                let font = number().unwrap_or(0);
                self.group().font = font;
                if self.group().target == Target::Fonts {
                    self.fonts.begin(font);
                }
            }
            "fcharset" => self.fonts.set(number().unwrap_or(0)),
            "ansicpg" => self.code_page = number().and_then(code_page).unwrap_or(self.code_page),
            "mac" => self.code_page = encoding_rs::MACINTOSH,
            "uc" => self.group().n_fallback = number().unwrap_or(1).min(16) as usize,
            "v" | "deleted" => self.group().is_hidden = is_on,
            "plain" => self.group().is_hidden = false,
            "bin" => self.at = self.at.saturating_add(number().unwrap_or(0) as usize).min(self.bytes.len()),
            "yr" | "mo" | "dy" | "hr" | "min" | "sec" => self.date.set(name, number().unwrap_or(0)),
            _ => self.destination(name),
        }
    }

    fn destination(&mut self, name: &str) {
        let about = |name: &'static str| Some(Target::About(name));
        let in_body = matches!(self.group().target, Target::Body | Target::Note);
        let target = match name {
            "fonttbl" => Some(Target::Fonts),
            "stylesheet" => Some(Target::Styles),
            "listtext" | "pntext" if in_body => Some(Target::Marker),
            "footnote" if in_body => {
                self.interrupted.push(std::mem::take(&mut self.paragraph));
                Some(Target::Note)
            }
            // Only what stands in `\info` is about the file.
            "info" => Some(Target::About("")),
            _ if !matches!(self.group().target, Target::About(_)) => {
                is_silent(name).then_some(Target::Nothing)
            }
            "title" => about("title"),
            "author" => about("author"),
            "subject" => about("subject"),
            "keywords" => about("keywords"),
            "creatim" => about("creatim"),
            "revtim" => about("revtim"),
            _ => None,
        };
        if let Some(target) = target {
            self.aside.clear();
            self.group().target = target;
        }
    }

    fn end_group(&mut self) {
        if self.n_deeper > 0 {
            self.n_deeper -= 1;
            return;
        }
        // The file's own group may be closed too often.
        let Some(group) = (self.groups.len() > 1).then(|| self.groups.pop()).flatten() else { return };
        let outer = self.group().target;
        match group.target {
            Target::Styles => self.styles.end(&std::mem::take(&mut self.aside)),
            Target::About(name) if !name.is_empty() && outer != group.target => self.note_about(name),
            Target::Note if outer != Target::Note => {
                let words = std::mem::take(&mut self.paragraph);
                let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
                self.paragraph = self.interrupted.pop().unwrap_or_default();
                if !words.is_empty() {
                    self.n_notes += 1;
                    self.paragraph.push_str(&format!("[^{}]", self.n_notes));
                    self.notes.push(format!("[^{}] {words}", self.n_notes));
                }
            }
            _ => {}
        }
    }

    fn note_about(&mut self, name: &'static str) {
        let value = std::mem::take(&mut self.aside);
        let date = std::mem::take(&mut self.date).rfc3339();
        match name {
            "title" => self.title = Some(value).filter(|title| !title.trim().is_empty()),
            "author" => self.about.add_author(&value),
            "creatim" => self.about.created = date,
            "revtim" => self.about.modified = date,
            _ if !value.trim().is_empty() => {
                self.about.fields.push((name.to_owned(), value.trim().to_owned()))
            }
            _ => {}
        }
    }

    /// The end of a paragraph, if it is one of the document.
    fn end_paragraph_here(&mut self) {
        match self.group().target {
            Target::Body => self.end_paragraph(),
            Target::Note => self.paragraph.push(' '),
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let text = std::mem::take(&mut self.paragraph);
        let marker = std::mem::take(&mut self.marker);
        let text = text.trim();
        if self.in_table {
            let cell = self.cells.last_mut();
            return match cell {
                Some(cell) => cell.push_str(&format!(" {marker}{text}")),
                None => self.cells.push(text.to_owned()),
            };
        }
        self.end_table();
        if text.is_empty() {
            return;
        }
        let level = self.outline_level.map(|level| level + 1).or_else(|| self.styles.heading(self.style?));
        let marker = marker.trim();
        match level {
            Some(level) => self.writer.push(&format!("{marker} {text}"), BlockKind::Heading { level }),
            None if !marker.is_empty() => {
                let is_number = marker.starts_with(|c: char| c.is_alphanumeric() || c == '(');
                let marker = if is_number { marker } else { "-" };
                self.writer.push(&format!("{marker} {text}"), BlockKind::ListItem);
            }
            None => self.writer.push(text, BlockKind::Paragraph),
        }
    }

    fn end_cell(&mut self) {
        if self.group().target == Target::Body {
            // The last of the cells is being filled by its paragraphs; what follows the last of them is here.
            let text = std::mem::take(&mut self.paragraph);
            self.marker.clear();
            match self.cells.last_mut() {
                Some(cell) => cell.push_str(&format!(" {}", text.trim())),
                None => self.cells.push(text.trim().to_owned()),
            }
            self.cells.push(String::new());
        }
    }

    fn end_row(&mut self) {
        // The cell opened after the last one is none.
        self.cells.pop();
        if self.cells.iter().any(|cell| !cell.trim().is_empty()) {
            self.rows.push_str(&markdown_row(self.cells.iter().map(String::as_str)));
        }
        self.cells.clear();
    }

    fn end_table(&mut self) {
        let rest = std::mem::take(&mut self.cells).join(" ");
        let rows = std::mem::take(&mut self.rows);
        self.writer.push(&rows, BlockKind::Table);
        self.writer.push(&rest, BlockKind::Paragraph);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rtf: &str) -> Document {
        let document = extract(rtf.as_bytes());
        assert_eq!(document.check(), Ok(()));
        document
    }

    #[test]
    fn structure_is_kept_and_tables_of_fonts_are_not() {
        let rtf = r"{\rtf1\ansi\ansicpg1252\uc1{\fonttbl{\f0\fswiss Arial;}{\f1\fnil\fcharset204 Times;}}{\colortbl;\red0;}
{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}{\s7 Mein Titel;}}{\info{\title The \'dcber}{\author Ann}{\creatim\yr2024\mo3\dy1\hr9\min5}}
{\*\generator x;}\pard\s1 First\par\pard Gr\'fc\u223?e an \u8364\'80 {\b bold}{\v hidden}\~x.{\footnote\pard A {\i note}.\par}\par
\pard{\listtext\bullet\tab}one\par{\pntext 2.\tab}two\line more\par
\trowd\intbl Name\cell Size\cell\row\trowd\intbl a|b\cell 1\par 2\cell\row\pard
{\f1 \'cf\'f0\'e8}\par{\field{\*\fldinst HYPERLINK x}{\fldrslt link}} \{x\} \emdash\par{\pict\bin3 }}}{\header gone\par}}";
        let document = read(rtf);
        assert_eq!(
            document.text,
            "First\n\nGrüße an € bold\u{a0}x.[^1]\n\n- one\n2. two\nmore\n\n| Name | Size |\n| a\\|b | 1 2 |\n\nПри\n\nlink {x} —\n\n[^1] A note."
        );
        assert_eq!(document.title.as_deref(), Some("The Über"));
        assert_eq!(document.about.authors, ["Ann"]);
        assert_eq!(document.about.created.as_deref(), Some("2024-03-01T09:05:00"));
        assert_eq!(document.blocks[0].kind, BlockKind::Heading { level: 1 });
    }

    #[test]
    fn every_truncation_and_every_depth_is_survived() {
        let rtf =
            r"{\rtf1{\fonttbl{\f0 A;}}\pard\u55357\'3f\u56832\'3f{\footnote x}\trowd a\cell\row\bin99999 x}";
        for n in 0..rtf.len() {
            read(&rtf[..n]);
        }
        read(&format!("{}deep{}", "{".repeat(200_000), "}".repeat(300_000)));
        read(&"{\\footnote ".repeat(100_000));
        assert!(read(rtf).text.contains("😀[^1]a"));
    }
}

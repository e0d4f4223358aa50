//! The text of a Word document: paragraphs, lists, tables, notes.

use std::collections::HashMap;

use super::styles::{Numbering, Role, Styles};
use crate::document::{BlockKind, Writer};
use crate::html_tokens::Tag;
use crate::table::Table;
use crate::xml::{Node, attribute, walk};

/// Elements whose text is not part of the document as it reads now.
const SKIPPED: &[&str] = &["fallback", "movefrom", "del", "instrtext", "deltext"];

/// A paragraph being read.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    list: Option<String>,
    list_level: Option<usize>,
    outline_level: Option<u8>,
}

pub(super) struct Body<'a> {
    styles: &'a Styles,
    numbering: &'a Numbering,
    writer: Writer,
    /// Open paragraphs: a text box is a paragraph in a paragraph.
    open: Vec<Paragraph>,
    in_text: bool,
    /// Inside `w:pPr`, where `w:tab` defines a stop and is no tab.
    in_properties: bool,
    /// The element being skipped and how many of its name are open.
    skipped: Option<(&'static str, usize)>,
    table: Option<Table>,
    n_tables: usize,
    /// Items so far, by list and level.
    counters: HashMap<(String, usize), u32>,
    /// Code paragraphs in a row are one block.
    code: String,
    note: Option<String>,
    title: Option<String>,
    first_heading: Option<String>,
}

impl<'a> Body<'a> {
    pub(super) fn new(styles: &'a Styles, numbering: &'a Numbering, writer: Writer) -> Self {
        Self {
            styles,
            numbering,
            writer,
            open: Vec::new(),
            in_text: false,
            in_properties: false,
            skipped: None,
            table: None,
            n_tables: 0,
            counters: HashMap::new(),
            code: String::new(),
            note: None,
            title: None,
            first_heading: None,
        }
    }

    /// The blocks, and the title the text gives itself.
    pub(super) fn finish(mut self) -> (Writer, Option<String>) {
        self.end_code();
        (self.writer, self.title.or(self.first_heading))
    }

    pub(super) fn read(&mut self, xml: &str) {
        walk(xml, &mut |node| match node {
            Node::Start(name, tag) => self.start(name, tag),
            Node::End(name) => self.end(name),
            Node::Text(text) if self.in_text && self.skipped.is_none() => self.append(text),
            Node::Text(_) => {}
        });
        while !self.open.is_empty() {
            self.end_paragraph();
        }
        self.n_tables = 0;
        self.end_table();
    }

    fn start(&mut self, name: &str, tag: &Tag<'_>) {
        if let Some((skipped, n)) = &mut self.skipped {
            *n += usize::from(*skipped == name);
            return;
        }
        if let Some(skipped) = SKIPPED.iter().find(|s| **s == name) {
            // `<w:del/>` in run properties marks a deleted paragraph mark; its end comes right after.
            self.skipped = Some((skipped, 1));
            return;
        }
        let val = || attribute(tag, "val");
        match name {
            "p" => self.open.push(Paragraph::default()),
            "ppr" => self.in_properties = true,
            "t" => self.in_text = true,
            "tab" | "ptab" if !self.in_properties => self.append("\t"),
            "br" | "cr" => self.append("\n"),
            "nobreakhyphen" => self.append("-"),
            "footnotereference" | "endnotereference" => {
                if let Some(id) = attribute(tag, "id") {
                    self.append(&format!("[^{id}]"));
                }
            }
            "footnote" | "endnote" => self.note = attribute(tag, "id"),
            "tbl" => {
                self.end_code();
                self.n_tables += 1;
                self.table.get_or_insert_default();
            }
            "tr" | "tc" if self.n_tables == 1 => {
                if let Some(table) = &mut self.table {
                    if name == "tr" { table.begin_row() } else { table.begin_cell(false) }
                }
            }
            "tblheader" if self.n_tables == 1 => {
                if let Some(table) = &mut self.table {
                    table.mark_header();
                }
            }
            _ => {
                let Some(paragraph) = self.open.last_mut().filter(|_| self.in_properties) else { return };
                match name {
                    "pstyle" => paragraph.style = val(),
                    "numid" => paragraph.list = val(),
                    "ilvl" => paragraph.list_level = val().and_then(|v| v.parse().ok()),
                    "outlinelvl" => paragraph.outline_level = val().and_then(|v| v.parse().ok()),
                    _ => {}
                }
            }
        }
    }

    fn end(&mut self, name: &str) {
        if let Some((skipped, n)) = &mut self.skipped {
            *n -= usize::from(*skipped == name);
            if *n == 0 {
                self.skipped = None;
            }
            return;
        }
        match name {
            "t" => self.in_text = false,
            "ppr" => self.in_properties = false,
            "p" => self.end_paragraph(),
            "footnote" | "endnote" => self.note = None,
            "tbl" => {
                self.n_tables = self.n_tables.saturating_sub(1);
                if self.n_tables == 0 {
                    self.end_table();
                }
            }
            _ => {}
        }
    }

    fn append(&mut self, text: &str) {
        if let Some(paragraph) = self.open.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn end_table(&mut self) {
        let Some(mut table) = self.table.take() else { return };
        if table.is_list() {
            for paragraph in table.take_paragraphs() {
                self.writer.push(&paragraph, BlockKind::Paragraph);
            }
        } else {
            self.writer.push(&table.markdown(), BlockKind::Table);
        }
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.open.pop() else { return };
        if let Some(table) = &mut self.table {
            let text = paragraph.text.split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.is_empty() {
                table.add(&text);
            }
            return;
        }
        let style = paragraph.style.as_deref().unwrap_or_default();
        let role = match paragraph.outline_level {
            Some(level) if level < 9 => Role::Heading(level + 1),
            _ => self.styles.role(style),
        };
        if role == Role::Code {
            self.code.push_str(&paragraph.text);
            self.code.push('\n');
            return;
        }
        self.end_code();
        if paragraph.text.trim().is_empty() {
            return;
        }
        let text = paragraph.text.trim();
        match role {
            Role::Contents => {}
            Role::Title => {
                self.title.get_or_insert_with(|| text.to_owned());
                self.writer.push(text, BlockKind::Heading { level: 1 });
            }
            Role::Heading(level) => {
                self.first_heading.get_or_insert_with(|| text.to_owned());
                self.writer.push(text, BlockKind::Heading { level });
            }
            Role::Quote => self.writer.push(text, BlockKind::Quote),
            Role::Code | Role::Text => self.push_text(&paragraph, style),
        }
    }

    /// A paragraph of text: a list item, a note or neither.
    fn push_text(&mut self, paragraph: &Paragraph, style: &str) {
        let text = paragraph.text.trim();
        if let Some(id) = self.note.take() {
            return self.writer.push(&format!("[^{id}] {text}"), BlockKind::Paragraph);
        }
        let by_style = self.styles.list(style);
        let list = paragraph.list.clone().or(by_style.as_ref().map(|(list, _)| list.clone()));
        let Some(list) = list.filter(|list| list != "0") else {
            return self.writer.push(text, BlockKind::Paragraph);
        };
        let level = paragraph.list_level.or(by_style.map(|(_, level)| level)).unwrap_or(0).min(9);
        // Items further in count from one again, whether this one counts or not.
        self.counters.retain(|(l, deeper), _| *l != list || *deeper <= level);
        let marker = if self.numbering.counts(&list, level) {
            let n = self.counters.entry((list, level)).or_insert(0);
            *n += 1;
            format!("{n}.")
        } else {
            "-".to_owned()
        };
        self.writer.push_indented(2 * level, &format!("{marker} {text}"), BlockKind::ListItem);
    }

    fn end_code(&mut self) {
        let code = std::mem::take(&mut self.code);
        self.writer.push(&code, BlockKind::Code { language: None });
    }
}

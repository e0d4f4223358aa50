//! OpenDocument texts, presentations and spreadsheets (OASIS ODF 1.3 part 3): one `content.xml` for all three.
//!
//! A slide of a presentation and a sheet of a spreadsheet is a page. Tracked deletions and comments are left out; notes follow
//! the paragraph they belong to.

use crate::container::Container;
use crate::document::{BlockKind, Document, Writer};
use crate::html_tokens::Tag;
use crate::table::{CellBudget, MAX_COLUMNS, SheetRow, Table, write_sheet};
use crate::xml::{Node, about, attribute, walk};
use crate::{ExtractError, Format, Limits};

/// Elements whose text is not part of the document as it reads now.
const SKIPPED: &[&str] =
    &["tracked-changes", "annotation", "note-citation", "forms", "table-of-content", "bibliography-source"];

/// A cell with something in it is repeated this often at most.
const MAX_REPEATED: usize = 64;

pub(crate) fn extract(bytes: &[u8], format: Format, limits: &Limits) -> Result<Document, ExtractError> {
    let mut container = Container::open(bytes, "OpenDocument file", limits)?;
    let manifest = container.read_text("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.contains("encryption-data") {
        return Err(ExtractError::failed("encrypted: remove the password and run `docent update`"));
    }
    let content = container.required_text("content.xml")?;
    let meta = container.read_text("meta.xml")?.unwrap_or_default();
    let mut budget = CellBudget::of(limits.max_bytes);
    let writer = match format {
        Format::Ods => sheets(&content, &mut budget),
        _ => Text::read(&content, format == Format::Odp),
    };
    let first_heading = writer.first_heading().filter(|_| format != Format::Ods);
    let (title, about) = about(&meta);
    Ok(Document { about, warnings: budget.warnings(), ..writer.finish(format, title.or(first_heading)) })
}

/// Appends what an element inside a paragraph stands for.
fn append_special(name: &str, tag: &Tag<'_>, text: &mut String) {
    match name {
        "tab" => text.push('\t'),
        "line-break" => text.push('\n'),
        "s" => {
            let n = attribute(tag, "c").and_then(|n| n.parse().ok()).unwrap_or(1usize);
            text.extend(std::iter::repeat_n(' ', n.min(100)));
        }
        _ => {}
    }
}

/// A text document or presentation being read.
#[derive(Default)]
struct Text {
    writer: Writer,
    /// Open paragraphs and headings with their level; notes and text boxes nest.
    open: Vec<(String, Option<u8>)>,
    skipped: Option<(&'static str, usize)>,
    n_lists: usize,
    is_item_start: bool,
    tables: Vec<Table>,
    in_header_rows: bool,
    is_title: bool,
    /// Notes so far; those met in the open paragraph, which they follow; and whether one is being read.
    n_notes: usize,
    notes: Vec<String>,
    in_note: bool,
}

impl Text {
    fn read(xml: &str, has_pages: bool) -> Writer {
        let mut text = Self::default();
        walk(xml, &mut |node| match node {
            Node::Start(name, tag) => {
                if has_pages && name == "page" {
                    text.writer.begin_page();
                }
                text.start(name, tag);
            }
            Node::End(name) => {
                text.end(name);
                if has_pages && name == "page" {
                    text.writer.end_page();
                }
            }
            Node::Text(part) if text.skipped.is_none() => {
                if let Some((paragraph, _)) = text.open.last_mut() {
                    paragraph.push_str(part);
                }
            }
            Node::Text(_) => {}
        });
        text.in_note = false;
        while !text.open.is_empty() {
            text.end_paragraph();
        }
        for note in std::mem::take(&mut text.notes) {
            text.writer.push(&note, BlockKind::Paragraph);
        }
        text.writer
    }

    fn start(&mut self, name: &str, tag: &Tag<'_>) {
        if let Some((skipped, n)) = &mut self.skipped {
            *n += usize::from(*skipped == name);
            return;
        }
        if let Some(skipped) = SKIPPED.iter().find(|s| **s == name) {
            self.skipped = Some((skipped, 1));
            return;
        }
        match name {
            "p" => self.open.push((String::new(), None)),
            "h" => {
                let level = attribute(tag, "outline-level").and_then(|v| v.parse().ok()).unwrap_or(1u8);
                self.open.push((String::new(), Some(level.clamp(1, 9))));
            }
            "list" => self.n_lists += 1,
            "list-item" => self.is_item_start = true,
            "frame" => self.is_title = attribute(tag, "class").is_some_and(|class| class == "title"),
            "table" => self.tables.push(Table::default()),
            "table-header-rows" => self.in_header_rows = true,
            "table-row" if self.tables.len() == 1 => {
                self.tables[0].begin_row();
                if self.in_header_rows {
                    self.tables[0].mark_header();
                }
            }
            "note" if !self.in_note => {
                self.n_notes += 1;
                let mark = format!("[^{}]", self.n_notes);
                self.open.last_mut().into_iter().for_each(|(text, _)| text.push_str(&mark));
                self.in_note = true;
            }
            "table-cell" if self.tables.len() == 1 => self.tables[0].begin_cell(false),
            _ => {
                if let Some((text, _)) = self.open.last_mut() {
                    append_special(name, tag, text);
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
            "p" | "h" => self.end_paragraph(),
            "list" => self.n_lists = self.n_lists.saturating_sub(1),
            "frame" => self.is_title = false,
            "note" => self.in_note = false,
            "table-header-rows" => self.in_header_rows = false,
            "table" => {
                let Some(mut table) = self.tables.pop() else { return };
                if !self.tables.is_empty() {
                    return;
                }
                if table.is_list() {
                    table.take_paragraphs().iter().for_each(|p| self.writer.push(p, BlockKind::Paragraph));
                } else {
                    self.writer.push(&table.markdown(), BlockKind::Table);
                }
            }
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let Some((text, level)) = self.open.pop() else { return };
        let text = text.trim();
        if self.in_note {
            self.notes.push(format!("[^{}] {text}", self.n_notes));
            return;
        }
        self.write_paragraph(text, level);
        if self.open.is_empty() && self.tables.is_empty() {
            let notes = std::mem::take(&mut self.notes);
            notes.iter().for_each(|note| self.writer.push(note, BlockKind::Paragraph));
        }
    }

    fn write_paragraph(&mut self, text: &str, level: Option<u8>) {
        if text.is_empty() {
            return;
        }
        if let Some(table) = self.tables.first_mut() {
            table.add(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        } else if let Some(level) = level.or(self.is_title.then_some(1)) {
            self.writer.push(&text.replace('\n', " "), BlockKind::Heading { level });
        } else if self.n_lists > 0 {
            let marker = if std::mem::take(&mut self.is_item_start) { "- " } else { "" };
            self.writer.push_indented(
                2 * (self.n_lists - 1).min(9),
                &format!("{marker}{text}"),
                BlockKind::ListItem,
            );
        } else {
            self.writer.push(text, BlockKind::Paragraph);
        }
    }
}

/// Each sheet is a page: its name, then its rows.
fn sheets(xml: &str, budget: &mut CellBudget) -> Writer {
    let mut writer = Writer::default();
    let mut rows: Vec<SheetRow> = Vec::new();
    let (mut name, mut cell, mut n_repeated) = (String::new(), String::new(), 1usize);
    // Blank cells are written when one follows them that is not, since most go on to the edge of the sheet.
    let (mut next_row, mut n_blank) = (1u32, 0usize);
    let (mut in_cell, mut n_skipped) = (false, 0usize);
    walk(xml, &mut |node| match node {
        Node::Start("annotation" | "tracked-changes", _) => n_skipped += 1,
        Node::End("annotation" | "tracked-changes") => n_skipped = n_skipped.saturating_sub(1),
        Node::Start("table", tag) => {
            rows.clear();
            budget.begin_sheet();
            next_row = 1;
            name = attribute(tag, "name").unwrap_or_default();
        }
        Node::Start("table-row", tag) => {
            n_blank = 0;
            rows.pop_if(|row| row.cells.is_empty());
            rows.push(SheetRow { number: next_row, cells: Vec::new() });
            let n = attribute(tag, "number-rows-repeated").and_then(|n| n.parse().ok()).unwrap_or(1);
            next_row = next_row.saturating_add(n);
        }
        Node::Start("table-cell" | "covered-table-cell", tag) => {
            in_cell = true;
            cell.clear();
            n_repeated = attribute(tag, "number-columns-repeated").and_then(|n| n.parse().ok()).unwrap_or(1);
        }
        Node::End("table-cell" | "covered-table-cell") => {
            in_cell = false;
            let text = cell.trim();
            if text.is_empty() {
                n_blank = n_blank.saturating_add(n_repeated);
                return;
            }
            let Some(row) = rows.last_mut().map(|row| &mut row.cells) else { return };
            let n = n_repeated.min(MAX_REPEATED);
            let is_near = row.len().saturating_add(n_blank) < MAX_COLUMNS;
            if is_near && budget.take(n_blank.saturating_add(n), n as u64 * text.len() as u64) {
                row.extend(std::iter::repeat_n(String::new(), n_blank));
                row.extend(std::iter::repeat_n(text.to_owned(), n));
                // The rest of a run that was cut short is there, if not shown.
                n_blank = n_repeated - n;
            }
        }
        Node::End("table") => writer.page(|writer| {
            writer.push(&name, BlockKind::Heading { level: 1 });
            write_sheet(&rows, writer);
        }),
        Node::Start(name, tag) if in_cell && n_skipped == 0 => append_special(name, tag, &mut cell),
        Node::Text(text) if in_cell && n_skipped == 0 => cell.push_str(text),
        _ => {}
    });
    writer
}

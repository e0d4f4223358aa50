//! Takes the tokens of a page and makes blocks of them.

use super::{Page, Piece};
use crate::document::{About, BlockKind, clean_title};
use crate::html_tokens::Tag;
use crate::table::Table;

/// Elements without text for a reader, skipped always.
const NEVER_TEXT: &[&str] = &[
    "script", "style", "template", "noscript", "svg", "math", "canvas", "iframe", "object", "audio", "video",
    "select", "button", "textarea", "noembed", "noframes", "datalist",
];

/// Elements that never have an end tag; they can neither be skipped up to it nor nest.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];

/// Words in a class attribute that mark navigation in the generators of documentation and blogs we know:
/// Sphinx, DocBook, Doxygen, rustdoc, mdBook, MkDocs, Javadoc, MediaWiki, WordPress.
const FURNITURE_CLASSES: &[&str] = &[
    "sidebar",
    "sphinxsidebar",
    "sidebar-nav",
    "navbar",
    "nav-bar",
    "navigation",
    "navheader",
    "navfooter",
    "breadcrumb",
    "breadcrumbs",
    "related",
    "headerlink",
    "toc",
    "toctree-wrapper",
    "md-nav",
    "md-sidebar",
    "nav-wrapper",
    "nav-chapters",
    "menu-bar",
    "topnav",
    "top-nav",
    "subnav",
    "bottomnav",
    "mw-editsection",
    "noprint",
    "skip-link",
    "visually-hidden",
    "screen-reader-text",
    "cookie-banner",
    "site-footer",
    "page-footer",
    "footer-nav",
    "prev-next-area",
    "rst-footer-buttons",
    "wy-nav-side",
    "anchorjs-link",
    "copybtn",
    "linenos",
];

/// Elements that end the running text before and after them.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "body",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "main",
    "menu",
    "nav",
    "optgroup",
    "option",
    "p",
    "search",
    "section",
    "summary",
    "tbody",
    "tfoot",
    "thead",
    "caption",
    "colgroup",
];

pub(super) struct Sink {
    skip_furniture: bool,
    /// The element being skipped and how many of its name are open.
    skipped: Option<(String, usize)>,
    /// Running text collected so far: blank runs are one space outside `<pre>`.
    text: String,
    /// The title, while it is being read.
    in_title: bool,
    title: Option<String>,
    about: About,
    first_heading: Option<String>,
    heading: Option<u8>,
    n_pre: usize,
    pre_language: Option<String>,
    n_quotes: usize,
    /// Open lists: the number of the last item if they count.
    lists: Vec<Option<u32>>,
    /// The marker of the item whose text is being read, until it is used.
    marker: Option<String>,
    in_item: bool,
    tables: Vec<Table>,
    /// How many main parts are open.
    n_main: usize,
    /// Names that opened a main part by their role, innermost last, with how many of that name have opened inside.
    main_by_role: Vec<(String, usize)>,
    blocks: Vec<Piece>,
}

impl Sink {
    pub(super) fn new(skip_furniture: bool) -> Self {
        Self {
            skip_furniture,
            skipped: None,
            text: String::new(),
            in_title: false,
            title: None,
            about: About::default(),
            first_heading: None,
            heading: None,
            n_pre: 0,
            pre_language: None,
            n_quotes: 0,
            lists: Vec::new(),
            marker: None,
            in_item: false,
            tables: Vec::new(),
            n_main: 0,
            main_by_role: Vec::new(),
            blocks: Vec::new(),
        }
    }

    pub(super) fn finish(mut self) -> Page {
        self.flush();
        while !self.tables.is_empty() {
            self.end_table();
        }
        Page { title: self.title, about: self.about, first_heading: self.first_heading, blocks: self.blocks }
    }

    pub(super) fn start(&mut self, tag: &Tag<'_>) {
        let name = tag.name.as_str();
        if let Some((skipped, n)) = &mut self.skipped {
            *n += usize::from(skipped == name);
            return;
        }
        if !VOID.contains(&name)
            && (NEVER_TEXT.contains(&name) || (self.skip_furniture && self.is_furniture(tag)))
        {
            self.skipped = Some((tag.name.clone(), 1));
            return;
        }
        if let Some((main, n)) = self.main_by_role.last_mut() {
            *n += usize::from(main == name);
        }
        match name {
            "title" => self.in_title = self.title.is_none(),
            "meta" => self.note_meta(tag),
            "html" if self.about.language.is_none() => {
                let language = tag.attribute("lang").or_else(|| tag.attribute("xml:lang"));
                self.about.language = clean_title(language);
            }
            "br" if self.n_pre > 0 => self.text.push('\n'),
            "br" => self.line_break(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.leave_table_cells();
                self.flush();
                self.heading = Some(name.as_bytes()[1] - b'0');
            }
            "pre" | "listing" | "xmp" => {
                if self.n_pre == 0 {
                    self.leave_table_cells();
                    self.flush();
                }
                self.n_pre += 1;
                self.note_language(tag);
            }
            "code" if self.n_pre > 0 => self.note_language(tag),
            "blockquote" => {
                self.flush();
                self.n_quotes += 1;
            }
            "ul" | "ol" => {
                self.flush();
                self.lists.push((name == "ol").then(|| {
                    tag.attribute("start").and_then(|n| n.parse().ok()).unwrap_or(1u32).saturating_sub(1)
                }));
            }
            "li" => self.start_item(),
            "table" => {
                self.leave_table_cells();
                self.flush();
                self.tables.push(Table::default());
            }
            "tr" | "td" | "th" => self.start_cell(name),
            _ if BLOCKS.contains(&name) => {
                self.flush();
                if self.n_pre == 0 {
                    self.note_language(tag);
                }
            }
            _ => {}
        }
        self.enter_main(tag);
    }

    pub(super) fn end(&mut self, name: &str) {
        if let Some((skipped, n)) = &mut self.skipped {
            if skipped == name {
                *n -= 1;
                if *n == 0 {
                    self.skipped = None;
                }
            }
            return;
        }
        match name {
            "title" if self.in_title => {
                self.in_title = false;
                self.title = Some(std::mem::take(&mut self.text));
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush();
                self.heading = None;
            }
            "pre" | "listing" | "xmp" if self.n_pre > 0 => {
                if self.n_pre == 1 {
                    self.flush();
                    self.pre_language = None;
                }
                self.n_pre -= 1;
            }
            "blockquote" => {
                self.flush();
                self.n_quotes = self.n_quotes.saturating_sub(1);
            }
            "ul" | "ol" => {
                self.flush();
                self.lists.pop();
                self.in_item = false;
            }
            "li" => {
                self.flush();
                self.in_item = false;
            }
            "table" => {
                self.flush();
                self.end_table();
            }
            "td" | "th" | "tr" => {
                self.flush();
                if let Some(table) = self.tables.last_mut() {
                    table.in_cell = false;
                }
            }
            "p" => self.flush(),
            _ if BLOCKS.contains(&name) => self.flush(),
            _ => {}
        }
        self.leave_main(name);
    }

    /// Takes text; `append` writes it with its references replaced.
    pub(super) fn text(&mut self, append: impl FnOnce(&mut String)) {
        if self.skipped.is_some() {
            return;
        }
        if self.n_pre > 0 {
            return append(&mut self.text);
        }
        let mut text = String::new();
        append(&mut text);
        for c in text.chars() {
            if c.is_ascii_whitespace() || c == '\u{a0}' {
                if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                    self.text.push(' ');
                }
            } else if c != '\u{ad}' {
                self.text.push(c);
            }
        }
    }

    fn line_break(&mut self) {
        let n = self.text.trim_end_matches(' ').len();
        self.text.truncate(n);
        if n > 0 {
            self.text.push('\n');
        }
    }

    fn is_furniture(&self, tag: &Tag<'_>) -> bool {
        let in_main = self.n_main > 0;
        if matches!(tag.name.as_str(), "nav" | "menu" | "dialog")
            || (!in_main && matches!(tag.name.as_str(), "footer" | "aside"))
        {
            return true;
        }
        if matches!(tag.name.as_str(), "html" | "body" | "main" | "article") {
            return false;
        }
        let role = tag.attribute("role").unwrap_or_default();
        matches!(role.as_str(), "navigation" | "search" | "menu" | "menubar" | "tablist" | "dialog")
            || (role == "contentinfo" && !in_main)
            || tag.attribute("hidden").is_some()
            || tag.attribute("aria-hidden").is_some_and(|v| v == "true")
            || tag.attribute("class").is_some_and(|class| {
                class
                    .split_ascii_whitespace()
                    .any(|c| FURNITURE_CLASSES.contains(&c.to_ascii_lowercase().as_str()))
            })
    }

    fn enter_main(&mut self, tag: &Tag<'_>) {
        if matches!(tag.name.as_str(), "main" | "article") {
            self.n_main += 1;
        } else if self.main_by_role.is_empty() && tag.attribute("role").is_some_and(|r| r == "main") {
            self.n_main += 1;
            self.main_by_role.push((tag.name.clone(), 1));
        }
    }

    fn leave_main(&mut self, name: &str) {
        if matches!(name, "main" | "article") {
            self.n_main = self.n_main.saturating_sub(1);
        } else if let Some((main, n)) = self.main_by_role.last_mut()
            && main == name
        {
            *n -= 1;
            if *n == 0 {
                self.main_by_role.pop();
                self.n_main = self.n_main.saturating_sub(1);
            }
        }
    }

    /// Author and dates, under the names that generators of pages give them.
    fn note_meta(&mut self, tag: &Tag<'_>) {
        let name = tag.attribute("name").or_else(|| tag.attribute("property")).unwrap_or_default();
        let Some(value) = clean_title(tag.attribute("content")) else { return };
        match name.to_ascii_lowercase().as_str() {
            "author" | "dc.creator" | "dcterms.creator" | "citation_author" => self.about.add_author(&value),
            "date"
            | "dc.date"
            | "dcterms.created"
            | "article:published_time"
            | "citation_publication_date" => {
                let _ = self.about.created.get_or_insert(value);
            }
            "last-modified" | "dcterms.modified" | "article:modified_time" => {
                self.about.modified = Some(value)
            }
            "keywords" => self.about.fields.push(("keywords".to_owned(), value)),
            _ => {}
        }
    }

    /// `class="language-rust"`, Sphinx's `highlight-python`, pandoc's `sourceCode python`.
    fn note_language(&mut self, tag: &Tag<'_>) {
        let Some(class) = tag.attribute("class") else { return };
        let mut words = class.split_ascii_whitespace();
        let name = words.clone().find_map(|w| {
            let name =
                w.strip_prefix("language-").or(w.strip_prefix("lang-")).or(w.strip_prefix("highlight-"));
            name.or_else(|| w.strip_prefix("brush:"))
        });
        let name = name.or_else(|| (words.next() == Some("sourceCode")).then(|| words.next()).flatten());
        let is_name = |n: &&str| {
            !n.is_empty() && n.len() <= 30 && !matches!(*n, "default" | "none" | "text" | "source")
        };
        if let Some(name) = name.filter(is_name) {
            self.pre_language = Some(name.to_ascii_lowercase());
        } else if self.n_pre == 0 {
            self.pre_language = None;
        }
    }

    fn start_item(&mut self) {
        self.flush();
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                format!("{number}. ")
            }
            _ => "- ".to_owned(),
        };
        self.marker = Some(marker);
        self.in_item = true;
    }

    fn start_cell(&mut self, name: &str) {
        self.flush();
        // A row outside any table is a page's mistake: read it as text.
        if let Some(table) = self.tables.last_mut().filter(|t| !t.is_layout) {
            if name == "tr" {
                table.begin_row();
            } else {
                table.begin_cell(name == "th");
            }
        }
    }

    /// A heading, code or another table begins: if that is in a cell, the table is layout. What it held so far becomes text.
    fn leave_table_cells(&mut self) {
        self.flush();
        if let Some(table) = self.tables.last_mut().filter(|t| t.in_cell && !t.is_layout) {
            table.is_layout = true;
            table.in_cell = false;
            for paragraph in table.take_paragraphs() {
                self.push(paragraph, BlockKind::Paragraph, 0);
            }
        }
    }

    fn end_table(&mut self) {
        let Some(mut table) = self.tables.pop() else { return };
        if table.is_list() {
            for paragraph in table.take_paragraphs() {
                self.push(paragraph, BlockKind::Paragraph, 0);
            }
        } else {
            self.push(table.markdown(), BlockKind::Table, 0);
        }
    }

    /// Ends the running text: it becomes a block, or goes to the open cell.
    fn flush(&mut self) {
        if self.in_title || self.text.trim().is_empty() {
            if !self.in_title {
                self.text.clear();
            }
            return;
        }
        let text = std::mem::take(&mut self.text);
        if let Some(table) = self.tables.last_mut().filter(|t| t.in_cell && !t.is_layout) {
            let marker = self.marker.take().unwrap_or_default();
            let fits =
                table.add(&format!("{marker}{}", text.split_whitespace().collect::<Vec<_>>().join(" ")));
            if !fits {
                self.leave_table_cells();
            }
            return;
        }
        if self.n_pre > 0 {
            let kind = BlockKind::Code { language: self.pre_language.clone() };
            return self.push(text, kind, 0);
        }
        if let Some(level) = self.heading {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if self.first_heading.is_none() {
                self.first_heading = Some(words.clone());
            }
            return self.push(words, BlockKind::Heading { level }, 0);
        }
        if self.in_item {
            // Capped: ten thousand nested lists must not write ten thousand spaces before each item.
            let indent = 2 * (self.lists.len().saturating_sub(1)).min(10);
            return match self.marker.take() {
                Some(marker) => self.push(format!("{marker}{}", text.trim()), BlockKind::ListItem, indent),
                None => self.push(text, BlockKind::ListItem, indent + 2),
            };
        }
        let kind = if self.n_quotes > 0 { BlockKind::Quote } else { BlockKind::Paragraph };
        self.push(text, kind, 0);
    }

    fn push(&mut self, text: String, kind: BlockKind, indent: usize) {
        self.blocks.push(Piece { text, kind, indent, in_main: self.n_main > 0 });
    }
}

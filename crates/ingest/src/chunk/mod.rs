//! A document cut into passages that can be found, embedded and cited on their own.
//!
//! ```text
//! blocks ─▶ units (a heading, a sentence, a whole table, a piece of code), each counted once in the model's tokens
//! units  ─▶ runs of neighbours of about `target` tokens:
//!             a heading of the document's section level always begins a passage, and one below it does
//!               when the passage before it has some substance already
//!             a heading stays with what follows it; a table or a piece of code is whole where it fits
//!             a paragraph that fits the next passage but not this one waits for it, if this one is well filled
//!             a passage ended by its size is overlapped by the next: its last sentences begin that one,
//!               within a page, so that what is new on a page is cited as that page
//! ```
//!
//! A passage is one contiguous byte range of the document's text. Everything in a block lies in at least one of them, and
//! none exceeds `max_tokens` together with the heading line that is embedded before it ([`embedding_text`]).
//!
//! Cost: two to three passes of the tokenizer over the text, a tenth of what embedding it takes or less. The
//! `text-splitter` crate was considered: it searches each cut with repeated token counts over growing text, and knows neither
//! pages, heading paths nor blocks that were not parsed from Markdown; fitting those around it was more code than this.

mod heading;
mod sentences;
mod split;

use std::ops::Range;

use docent_extract::{BlockKind, Document};

pub use heading::embedding_text;
use heading::{Paths, common, prefix, section_level};
use sentences::{sentences, trim};
use split::{Cost, Piece, split_code, split_prose, split_rows};

/// Sizes of passages, in tokens of the embedding model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkOptions {
    /// Size at which a passage is full.
    pub target_tokens: usize,
    /// Most that a passage repeats of the one before it.
    pub overlap_tokens: usize,
    /// What the model reads at most of a passage and its heading line, its own marks (`[CLS]`, `[SEP]`) not counted.
    pub max_tokens: usize,
}

impl Default for ChunkOptions {
    /// For all-MiniLM-L6-v2, which reads 256 tokens, two of them its own marks.
    fn default() -> Self {
        Self { target_tokens: 220, overlap_tokens: 40, max_tokens: 254 }
    }
}

/// A passage of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Byte range in the document's text, without blank space at its ends.
    pub span: Range<usize>,
    /// Line of its first character in the text, from 1.
    pub line_start: u32,
    /// Line of its last character.
    pub line_end: u32,
    /// Page of its first character, from 1, where the format has pages.
    pub page: Option<u32>,
    /// Headings that all of it stands under, outermost first; one that begins it is among them. The last is the range of
    /// cells (`A2:D14`) where the passage is of a spreadsheet.
    pub heading_path: Vec<String>,
}

/// Bytes that count as one token at least. A word of more than a hundred letters is one unknown token to a WordPiece
/// model, so that a megabyte of base64 would count as one; this bounds a passage to some 4,000 bytes whatever it holds.
const BYTES_PER_TOKEN: usize = 16;

/// A passage smaller than this goes on past a heading below the section level.
const MIN_BEFORE_SUBHEADING: usize = 80;

/// Text between two blocks (markup) of more tokens than this ends a passage: it is not worth embedding.
const MAX_MARKUP_TOKENS: usize = 24;

/// Room is kept for a range of cells as long as this.
const LONGEST_RANGE: &str = "AA100000:AZ100000";

/// What a passage is made of.
struct Unit {
    span: Range<usize>,
    n_tokens: usize,
    /// Tokens between the unit before it and itself: markup, mostly none.
    n_markup: usize,
    kind: UnitKind,
    /// Which block it is from.
    block: usize,
    /// Index of its section.
    section: usize,
    /// Index of its page.
    page: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum UnitKind {
    Heading(u8),
    Sentence,
    /// A table or code, or a piece of one.
    Whole,
}

/// What lies between two headings.
struct Section {
    /// The headings it stands under, outermost first.
    path: Vec<String>,
    /// Tokens that `path` leaves a passage of what the model can read.
    room: usize,
}

/// Cuts `document` into passages, in order of their place in the text.
///
/// `count` gives the number of tokens of a text in the embedding model, without the model's own marks.
pub fn chunk(document: &Document, options: &ChunkOptions, count: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    let at_once = options.max_tokens * BYTES_PER_TOKEN;
    let cost = |text: &str| {
        let by_bytes = text.len().div_ceil(BYTES_PER_TOKEN);
        if text.len() > at_once { by_bytes } else { count(text).max(by_bytes) }
    };
    let (units, sections) = units(document, options, &cost);
    let section_level = section_level(&document.blocks);
    let packer = Packer { document, options, cost: &cost, section_level, units, sections };
    let places = Places::new(document);
    packer.pack().into_iter().map(|(span, heading_path)| places.place(span, heading_path)).collect()
}

/// Tokens that a WordPiece model makes of `text`, roughly: one for each word of up to eight letters and each further
/// eight, each punctuation mark and each character of a script without spaces. For ingestion without a model.
pub fn approximate_tokens(text: &str) -> usize {
    let mut n_tokens = 0;
    let mut n_letters = 0;
    for c in text.chars() {
        if c.is_alphanumeric() && u32::from(c) < 0x2e80 {
            n_tokens += usize::from(n_letters % 8 == 0);
            n_letters += 1;
        } else {
            n_letters = 0;
            n_tokens += usize::from(!c.is_whitespace());
        }
    }
    n_tokens
}

/// The units of `document` in order, and the sections they refer to.
fn units(document: &Document, options: &ChunkOptions, cost: Cost) -> (Vec<Unit>, Vec<Section>) {
    let text = document.text.as_str();
    let section = |path: Vec<String>| {
        let mut longest = path.clone();
        longest.extend((!document.rows.is_empty()).then(|| LONGEST_RANGE.to_owned()));
        let prefix_tokens = cost(&prefix(document.title.as_deref(), &longest, ""));
        Section { path, room: options.max_tokens.saturating_sub(prefix_tokens).max(1) }
    };
    let mut units: Vec<Unit> = Vec::new();
    let mut open = Paths::default();
    let mut sections = vec![section(Vec::new())];
    let mut room = options.target_tokens.min(sections[0].room);
    for (block_idx, block) in document.blocks.iter().enumerate() {
        let span = trim(text, block.span.clone());
        if let BlockKind::Heading { level } = block.kind {
            open.enter(level, &text[span.clone()]);
            sections.push(section(open.current()));
            room = options.target_tokens.min(sections[sections.len() - 1].room);
        }
        let pieces = match &block.kind {
            BlockKind::Code { .. } => split_code(text, span, room, cost),
            BlockKind::Table => split_rows(text, span, room, cost),
            _ => prose(text, span, room, options, cost),
        };
        let mut kind = match &block.kind {
            BlockKind::Heading { level } => UnitKind::Heading(*level),
            BlockKind::Code { .. } | BlockKind::Table => UnitKind::Whole,
            _ => UnitKind::Sentence,
        };
        for Piece { span, n_tokens } in pieces {
            let between = units.last().map_or("", |last| text[last.span.end..span.start].trim());
            let n_markup = if between.is_empty() { 0 } else { cost(between) };
            let (section, page) = (sections.len() - 1, page_index(document, span.start));
            units.push(Unit { span, n_tokens, n_markup, kind, block: block_idx, section, page });
            if let UnitKind::Heading(_) = kind {
                kind = UnitKind::Sentence; // only the first piece of an overlong heading begins a section
            }
        }
    }
    (units, sections)
}

/// Running text as sentences; one too long to be packed well is cut into pieces no larger than the overlap.
fn prose(text: &str, span: Range<usize>, room: usize, options: &ChunkOptions, cost: Cost) -> Vec<Piece> {
    let whole = cost(&text[span.clone()]);
    if whole <= options.overlap_tokens.min(room) {
        return vec![Piece { span, n_tokens: whole }];
    }
    let mut pieces = Vec::new();
    for sentence in sentences(text, span) {
        let n_tokens = cost(&text[sentence.clone()]);
        if n_tokens <= room / 2 {
            pieces.push(Piece { span: sentence, n_tokens });
        } else {
            pieces.extend(split_prose(text, sentence, options.overlap_tokens.clamp(1, room), cost));
        }
    }
    pieces
}

struct Packer<'a> {
    document: &'a Document,
    options: &'a ChunkOptions,
    cost: Cost<'a>,
    section_level: u8,
    units: Vec<Unit>,
    sections: Vec<Section>,
}

impl Packer<'_> {
    /// The passages: each a byte range and its heading path.
    fn pack(&self) -> Vec<(Range<usize>, Vec<String>)> {
        let mut passages = Vec::new();
        let (mut start, mut fresh) = (0, 0); // the units from `start` to `fresh` are repeated from the passage before
        while fresh < self.units.len() {
            let end = self.extend(start, fresh);
            self.finish(start, fresh, end, &mut passages);
            start = self.overlap(passages.last().map_or(0, |(span, _)| span.start), end);
            fresh = end;
        }
        passages
    }

    /// Where the passage ends that begins with the units `start..fresh` of overlap and has `fresh` as its first new one.
    fn extend(&self, start: usize, fresh: usize) -> usize {
        let mut end = start;
        let mut n_tokens = 0;
        while end < self.units.len() {
            if end > fresh && self.must_break(start, end, n_tokens) {
                break;
            }
            let group_end = self.group_end(end);
            let mut with_group = n_tokens;
            for unit in end..group_end {
                let unit_tokens = self.units[unit].n_tokens;
                with_group += unit_tokens + if unit > start { self.units[unit].n_markup } else { 0 };
            }
            if end > fresh && with_group > self.limit(start.max(fresh), group_end) {
                break;
            }
            // The first group is taken whatever its size; `finish` cuts it where it does not fit.
            (end, n_tokens) = (group_end, with_group);
        }
        end.max(fresh + 1)
    }

    /// Whether a passage of `n_tokens` that began at unit `start` may not go on with unit `next`.
    fn must_break(&self, start: usize, next: usize, n_tokens: usize) -> bool {
        if self.units[next].n_markup > MAX_MARKUP_TOKENS {
            return true;
        }
        let last = &self.units[next - 1];
        let unit = &self.units[next];
        match (last.kind, unit.kind) {
            (UnitKind::Heading(above), UnitKind::Heading(level)) => level <= above,
            (_, UnitKind::Heading(level)) => level <= self.section_level || n_tokens >= MIN_BEFORE_SUBHEADING,
            _ if last.block == unit.block => false,
            _ => {
                // A new block that would be cut here but not in a passage of its own waits for that.
                let block_end = self.units[next..].iter().position(|u| u.block != unit.block);
                let units = &self.units[next..next + block_end.unwrap_or(self.units.len() - next)];
                let block_tokens: usize = units.iter().map(|u| u.n_tokens).sum();
                let limit = self.limit(start, next + units.len());
                let enough = if unit.kind == UnitKind::Whole { limit / 4 } else { limit / 2 };
                n_tokens >= enough && n_tokens + block_tokens > limit && block_tokens <= limit
            }
        }
    }

    /// End of the group that unit `at` begins: headings stay with the unit after them.
    fn group_end(&self, at: usize) -> usize {
        let mut end = at;
        while let UnitKind::Heading(level) = self.units[end].kind {
            match self.units.get(end + 1).map(|next| next.kind) {
                Some(UnitKind::Heading(next)) if next <= level => break,
                None => break,
                _ => end += 1,
            }
        }
        end + 1
    }

    /// Most tokens of a passage whose new units begin at `fresh` and end before `end`.
    fn limit(&self, fresh: usize, end: usize) -> usize {
        let room = self.sections[self.units[fresh].section].room;
        // A whole table or piece of code may use the room that is kept free above the target.
        if self.units[end - 1].kind == UnitKind::Whole { room } else { room.min(self.options.target_tokens) }
    }

    /// First unit of the passage after the one that ended before `end`: sentences repeated from it, or `end` itself.
    /// `begun` is the byte at which that one began (a part, where it was too large for one): the next begins later.
    fn overlap(&self, begun: usize, end: usize) -> usize {
        let Some(next) = self.units.get(end) else { return end };
        let earliest = self.units[..end].partition_point(|unit| unit.span.start <= begun);
        let mut first = end;
        let mut n_tokens = 0;
        while first > earliest {
            let unit = &self.units[first - 1];
            let repeats = (unit.section, unit.page) == (next.section, next.page)
                && !matches!(unit.kind, UnitKind::Heading(_))
                && !matches!(next.kind, UnitKind::Heading(_))
                && self.units[first].n_markup <= MAX_MARKUP_TOKENS;
            if !repeats || n_tokens + unit.n_tokens > self.options.overlap_tokens {
                break;
            }
            n_tokens += unit.n_tokens;
            first -= 1;
        }
        // An overlap that leaves no room for what is new is none.
        let n_new: usize = self.units[end..self.group_end(end)].iter().map(|u| u.n_tokens).sum();
        if n_tokens + n_new > self.limit(end, self.group_end(end)) { end } else { first }
    }

    /// Adds the passage of units `start..end`, of which those from `fresh` on are new: as one if the model can read it
    /// whole, else in parts.
    fn finish(
        &self,
        start: usize,
        fresh: usize,
        end: usize,
        passages: &mut Vec<(Range<usize>, Vec<String>)>,
    ) {
        let span = self.units[start].span.start..self.units[end - 1].span.end;
        let path = self.path_and_cells(fresh, end, &span);
        let text = &self.document.text[span.clone()];
        let title = self.document.title.as_deref();
        let n_prefix = (self.cost)(&prefix(title, &path, text));
        let n_tokens = (self.cost)(text) + n_prefix;
        let limit = self.options.max_tokens.saturating_sub(n_prefix).max(1);
        if n_tokens <= self.options.max_tokens {
            passages.push((span, path));
        } else if start < fresh {
            self.finish(fresh, fresh, end, passages);
        } else if end - start > 1 {
            let middle = start + (end - start) / 2;
            self.finish(start, start, middle, passages);
            self.finish(middle, middle, end, passages);
        } else {
            let parts = split_prose(&self.document.text, span, limit, self.cost);
            passages.extend(parts.into_iter().map(|Piece { span, .. }| {
                let path = self.path_and_cells(fresh, end, &span);
                (span, path)
            }));
        }
    }

    /// The headings that all units `from..to` stand under, and the cells that `span` shows.
    fn path_and_cells(&self, from: usize, to: usize, span: &Range<usize>) -> Vec<String> {
        let mut path = self.path(from, to);
        path.extend(self.document.cells_of(span));
        path
    }

    /// The headings that all units `from..to` stand under.
    fn path(&self, from: usize, to: usize) -> Vec<String> {
        let path_of = |unit: &Unit| self.sections[unit.section].path.as_slice();
        let first = path_of(&self.units[from]);
        let n_common = self.units[from..to].iter().map(|unit| common(first, path_of(unit))).min();
        // Headings that only introduce the first of the text are part of the path: `# Title`, `## Part`, text.
        let n_leading =
            self.units[from..to].iter().take_while(|u| matches!(u.kind, UnitKind::Heading(_))).count();
        if n_leading > 1 && n_leading < to - from {
            return self.path(from + n_leading - 1, to);
        }
        first[..n_common.unwrap_or(0)].to_vec()
    }
}

/// The page that holds byte `at`, from 0; text between two pages belongs to the one before it.
fn page_index(document: &Document, at: usize) -> usize {
    document.pages.partition_point(|page| page.start <= at).saturating_sub(1)
}

/// Finds lines and pages of byte offsets.
struct Places<'a> {
    document: &'a Document,
    line_ends: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(document: &'a Document) -> Self {
        let line_ends =
            document.text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
        Self { document, line_ends }
    }

    fn place(&self, span: Range<usize>, heading_path: Vec<String>) -> Chunk {
        let line = |at: usize| {
            u32::try_from(self.line_ends.partition_point(|&end| end < at) + 1).unwrap_or(u32::MAX)
        };
        let page = page_index(self.document, span.start) + 1;
        Chunk {
            line_start: line(span.start),
            line_end: line(span.end.saturating_sub(1)),
            page: if self.document.pages.is_empty() { None } else { u32::try_from(page).ok() },
            span,
            heading_path,
        }
    }
}

#[cfg(test)]
mod tests;

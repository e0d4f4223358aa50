//! From the lines of pages to paragraphs, headings and list items.
//!
//! 1. Ligatures, soft hyphens and control characters are mended.
//! 2. Lines that come back at the top or bottom of many pages (numbers aside) are running heads, and dropped.
//! 3. Lines gather into paragraphs as the layout says; a bullet begins a list item; the end of a page ends everything.
//! 4. The lines of running text are joined, words cut by a hyphen at the line's end mended; lines of tables, code and
//!    verse stay lines.
//! 5. A line is a heading if the outline names it, if it is set larger than the text, or if it is short, numbered
//!    and on its own. The level is the outline's, else by rank of size, else how many numbers it has.

use std::collections::{HashMap, HashSet};

use super::layout::Line;
use super::reader::{Bookmark, Raw};
use crate::document::{BlockKind, Document, Writer};
use crate::{ExtractError, Format};

/// Lines looked at for running heads, at each end of a page.
const EDGE: usize = 2;

/// A paragraph whose lines are on average at least this long is running text: about half a line of a narrow column.
const PROSE_LINE: usize = 28;

/// A line set this much larger than the text may be a heading.
const LARGER: f64 = 1.12;

/// Longer lines are no headings.
const MAX_HEADING: usize = 120;

pub(super) fn document(raw: Raw) -> Result<Document, ExtractError> {
    let n_pages = raw.pages.len();
    let mut pages = raw.pages;
    for line in pages.iter_mut().flatten() {
        line.text = mended(&line.text);
    }
    drop_running_heads(&mut pages);
    let words = Words::of(&pages);
    let mut headings = Headings::new(raw.outline, &pages);
    let mut writer = Writer::default();
    for (page_idx, lines) in pages.iter().enumerate() {
        writer.page(|writer| write_page(page_idx, lines, &mut headings, &words, writer));
    }
    if writer.is_empty() {
        return Err(no_text(n_pages, raw.n_unreadable));
    }
    let warnings = unreadable(n_pages, raw.n_unreadable, writer.n_bytes());
    Ok(Document { about: raw.about, warnings, ..writer.finish(Format::Pdf, raw.title) })
}

/// Tells when a good part of the glyphs stand for no known character.
fn unreadable(n_pages: usize, n_unreadable: usize, n_bytes: usize) -> Vec<String> {
    if n_unreadable * 20 < n_bytes {
        return Vec::new();
    }
    vec![format!(
        "{n_unreadable} characters on its {n_pages} pages cannot be read: their fonts do not tell which characters they are"
    )]
}

fn no_text(n_pages: usize, n_unreadable: usize) -> ExtractError {
    if n_pages == 0 {
        return ExtractError::failed("broken: it has no page that can be read; open and save it again");
    }
    let pages = if n_pages == 1 { "1 page".to_owned() } else { format!("{n_pages} pages") };
    if n_unreadable > 0 {
        return ExtractError::skipped(format!(
            "no text: {pages} in fonts that do not tell which characters they show; text recognition (OCR) would be needed, see `--ocr`"
        ));
    }
    ExtractError::skipped(format!(
        "no text: {pages} of images only or empty; text recognition (OCR) would be needed, see `--ocr`"
    ))
}

/// A line without what stands in the way of searching it.
fn mended(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.trim_end().chars() {
        match c {
            '\u{fb00}' => out.push_str("ff"),
            '\u{fb01}' => out.push_str("fi"),
            '\u{fb02}' => out.push_str("fl"),
            '\u{fb03}' => out.push_str("ffi"),
            '\u{fb04}' => out.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => out.push_str("st"),
            // A soft hyphen counts at the line's end alone, where it becomes a hyphen to be mended.
            '\u{ad}' => out.push('\u{ad}'),
            '\u{a0}' | '\u{2002}'..='\u{200a}' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{200b}' | '\u{feff}' | '\u{fffe}') => {}
            c => out.push(c),
        }
    }
    let at_end = out.ends_with('\u{ad}');
    let mut out = out.replace('\u{ad}', "");
    if at_end {
        out.push('-');
    }
    out
}

fn drop_running_heads(pages: &mut [Vec<Line>]) {
    let edges = |page: &[Line]| {
        let mut order: Vec<usize> = (0..page.len()).collect();
        order.sort_by(|a, b| page[*a].across.total_cmp(&page[*b].across));
        // A page of a few lines has no edges.
        let keep = if page.len() > 2 * EDGE { EDGE } else { 0 };
        let last = order[page.len() - keep..].to_vec();
        order.truncate(keep);
        order.extend(last);
        order
    };
    let mut n_seen: HashMap<String, usize> = HashMap::new();
    for page in pages.iter() {
        let keys: HashSet<String> = edges(page).into_iter().map(|i| without_numbers(&page[i].text)).collect();
        for key in keys {
            *n_seen.entry(key).or_default() += 1;
        }
    }
    // Left and right pages differ, and so do chapters: a head need not stand on every page.
    let needed = (pages.len() / 5).max(3);
    for page in pages.iter_mut() {
        for i in edges(page) {
            if n_seen.get(&without_numbers(&page[i].text)).is_some_and(|n| *n >= needed) {
                page[i].text.clear();
            }
        }
        page.retain(|line| !line.text.is_empty());
    }
}

/// Digits as `#`, runs of them and of blanks as one.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    for c in line.trim().chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if !((c == '#' || c == ' ') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out
}

fn write_page(page_idx: usize, lines: &[Line], headings: &mut Headings, words: &Words, writer: &mut Writer) {
    let mut paragraph: Vec<&str> = Vec::new();
    let mut heading: Option<(String, u8, f64)> = None;
    for (i, line) in lines.iter().enumerate() {
        let text = line.text.trim();
        let ends_next = lines.get(i + 1).is_none_or(|next| next.begins);
        // A heading of two lines goes on in the same size without a gap.
        if let Some((words, _, size)) = &mut heading
            && !line.begins
            && headings.are_set_in(line.size)
            && (line.size - *size).abs() < 0.1
        {
            words.push(' ');
            words.push_str(text);
            continue;
        }
        if let Some((words, level, _)) = heading.take() {
            writer.push(&words, BlockKind::Heading { level });
        }
        if let Some(level) = headings.level(page_idx, line, line.begins && ends_next) {
            write_paragraph(&std::mem::take(&mut paragraph), words, writer);
            heading = Some((text.to_owned(), level, line.size));
            continue;
        }
        if line.begins || starts_with_bullet(text) {
            write_paragraph(&std::mem::take(&mut paragraph), words, writer);
        }
        paragraph.push(text);
    }
    write_paragraph(&paragraph, words, writer);
    if let Some((words, level, _)) = heading {
        writer.push(&words, BlockKind::Heading { level });
    }
}

fn write_paragraph(lines: &[&str], words: &Words, writer: &mut Writer) {
    let Some(first) = lines.first() else { return };
    if starts_with_bullet(first) {
        writer.push(&joined(lines, words), BlockKind::ListItem);
    } else if is_prose(lines) {
        writer.push(&joined(lines, words), BlockKind::Paragraph);
    } else {
        writer.push(&lines.join("\n"), BlockKind::Paragraph);
    }
}

fn starts_with_bullet(line: &str) -> bool {
    let mut chars = line.chars();
    matches!(chars.next(), Some('•' | '◦' | '▪' | '‣' | '●' | '○' | '■' | '\u{f0b7}'))
        && chars.next().is_some()
}

/// Whether the lines are text that was broken to fit: long enough, no columns, filled but for the last one.
fn is_prose(lines: &[&str]) -> bool {
    let Some((last, body)) = lines.split_last() else { return false };
    if body.is_empty() || lines.iter().any(|line| line.trim_start().contains("   ")) {
        return false;
    }
    let length = |line: &str| line.trim().chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum::<usize>();
    let n_chars: usize = body.iter().map(|line| length(line)).sum();
    let longest = body.iter().map(|line| length(line)).max().unwrap_or(0);
    let average = n_chars / body.len();
    average >= PROSE_LINE && average * 4 >= longest * 3 && length(last) <= longest + longest / 4
}

/// Characters of scripts without spaces: lines of these are joined without one.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

fn joined(lines: &[&str], words: &Words) -> String {
    let mut out = String::new();
    for line in lines {
        let line = line.trim();
        let (before, after) = (out.chars().next_back(), line.chars().next());
        let hyphenated = matches!(before, Some('-' | '\u{2010}')) && after.is_some_and(char::is_lowercase);
        match (before, after) {
            (Some(_), Some(_)) if hyphenated && words.is_one_word(&out, line) => {
                out.pop();
            }
            (Some(_), Some(_)) if hyphenated => {}
            (Some(before), Some(after)) if is_wide(before) && is_wide(after) => {}
            (Some(_), Some(_)) => out.push(' '),
            _ => {}
        }
        out.push_str(line);
    }
    out
}

/// Every word of the document that stands within a line, lower-case: what a cut word is looked up in.
struct Words(HashSet<String>);

impl Words {
    fn of(pages: &[Vec<Line>]) -> Self {
        let split = |line: &Line| {
            line.text
                .to_lowercase()
                .split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '\u{2010}'))
                .filter(|word| word.chars().count() > 3 && !word.ends_with(['-', '\u{2010}']))
                .map(|word| word.replace('\u{2010}', "-"))
                .collect::<Vec<_>>()
        };
        Self(pages.iter().flatten().flat_map(split).collect())
    }

    /// Whether the hyphen that ends `before` only broke a word that `after` goes on with. The document's own
    /// spelling decides; if it has neither, the hyphen goes, as most line-end hyphens are the typesetter's.
    fn is_one_word(&self, before: &str, after: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '\u{2010}';
        let head = before.trim_end_matches(['-', '\u{2010}']);
        let head: String = head.chars().rev().take_while(|c| is_part(*c)).collect();
        let head: String = head.chars().rev().collect();
        let tail: String = after.chars().take_while(|c| is_part(*c)).collect();
        let whole = format!("{head}{tail}").to_lowercase();
        let hyphenated = format!("{head}-{tail}").to_lowercase();
        if head.is_empty() || head.chars().any(|c| c.is_ascii_digit()) {
            return false;
        }
        self.0.contains(&whole) || !self.0.contains(&hyphenated)
    }
}

/// What is known about a document's headings.
struct Headings {
    /// Entries of the outline not met yet, by the letters of their title.
    outline: HashMap<String, Vec<Bookmark>>,
    /// Sizes of lines that may be headings, in tenths of a point, the largest first.
    sizes: Vec<i64>,
}

impl Headings {
    fn new(outline: Vec<Bookmark>, pages: &[Vec<Line>]) -> Self {
        let mut by_title: HashMap<String, Vec<Bookmark>> = HashMap::new();
        for bookmark in outline.into_iter().rev() {
            by_title.entry(without_number(&letters(&bookmark.title)).to_owned()).or_default().push(bookmark);
        }
        by_title.remove("");
        Self { outline: by_title, sizes: heading_sizes(pages) }
    }

    /// Whether only headings are set in this size.
    fn are_set_in(&self, size: f64) -> bool {
        self.sizes.contains(&tenths(size))
    }

    /// The level of a line that is a heading. `stands_alone` says that it is a paragraph of its own.
    fn level(&mut self, page_idx: usize, line: &Line, stands_alone: bool) -> Option<u8> {
        let text = line.text.trim();
        if text.len() > MAX_HEADING {
            return None;
        }
        let key = letters(text);
        if let Some(bookmarks) = self.outline.get_mut(without_number(&key))
            && let Some(at) =
                bookmarks.iter().rposition(|bookmark| bookmark.page_idx.is_none_or(|idx| idx == page_idx))
        {
            return Some(bookmarks.remove(at).level);
        }
        if key.len() < 2 || text.contains("   ") {
            return None;
        }
        let rank = self.sizes.iter().position(|size| *size == tenths(line.size));
        rank.map(|rank| (rank + 1).min(6) as u8)
            .or_else(|| if stands_alone { numbered_level(text) } else { None })
    }
}

fn tenths(size: f64) -> i64 {
    (size * 10.0).round() as i64
}

/// Sizes larger than the text's, if little is set in them: a poster or slides are set large throughout.
fn heading_sizes(pages: &[Vec<Line>]) -> Vec<i64> {
    let mut n_chars: HashMap<i64, usize> = HashMap::new();
    for line in pages.iter().flatten() {
        *n_chars.entry(tenths(line.size)).or_default() += line.text.len();
    }
    let n_all: usize = n_chars.values().sum();
    let Some(body) = n_chars.iter().max_by_key(|(size, n)| (**n, **size)).map(|(size, _)| *size) else {
        return Vec::new();
    };
    let mut sizes: Vec<i64> =
        n_chars.keys().copied().filter(|size| *size as f64 > body as f64 * LARGER).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let n_large: usize = sizes.iter().filter_map(|size| n_chars.get(size)).sum();
    if n_large * 5 > n_all { Vec::new() } else { sizes }
}

/// A title's letters without the number in front, which may be in the outline, on the page, in both or in neither.
fn without_number(key: &str) -> &str {
    let rest = key.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.is_empty() { key } else { rest }
}

/// `3 Results`, `3.2 Set-up`, `A.1 Proofs`: how many numbers, if the rest is a few words that open with a capital and end no sentence.
fn numbered_level(line: &str) -> Option<u8> {
    let (number, words) = line.split_once(' ')?;
    let words = words.trim();
    let parts: Vec<&str> = number.trim_end_matches('.').split('.').collect();
    let is_number = parts.iter().enumerate().all(|(i, part)| {
        let is_letter =
            i == 0 && parts.len() > 1 && part.len() == 1 && part.chars().all(|c| c.is_ascii_uppercase());
        is_letter
            || (!part.is_empty()
                && part.len() <= 2
                && part.chars().all(|c| c.is_ascii_digit())
                && *part != "0")
    });
    let is_title = words.len() <= 80
        && words.chars().next().is_some_and(char::is_uppercase)
        && words.chars().filter(|c| c.is_alphabetic()).count() * 10 >= words.chars().count() * 7
        && !words.ends_with(['.', ',', ';', ':'])
        && !words.contains("   ");
    (is_number && is_title).then_some(parts.len().min(6) as u8)
}

fn letters(line: &str) -> String {
    line.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::About;

    /// Pages of lines at 10 points; a blank line begins a paragraph, `#` in front sets a line in 14.
    fn read(pages: &[&str], outline: Vec<Bookmark>) -> Document {
        let page = |text: &&str| {
            let mut begins = true;
            let mut lines = Vec::new();
            for (i, line) in text.lines().enumerate() {
                if line.is_empty() {
                    begins = true;
                    continue;
                }
                let size = if line.starts_with('#') { 14.0 } else { 10.0 };
                lines.push(Line {
                    text: line.trim_start_matches('#').to_owned(),
                    size,
                    across: i as f64 * 12.0,
                    begins,
                });
                begins = false;
            }
            lines
        };
        let raw = Raw {
            title: None,
            about: About::default(),
            pages: pages.iter().map(page).collect(),
            outline,
            n_unreadable: 0,
        };
        let document = document(raw).unwrap();
        assert_eq!(document.check(), Ok(()));
        document
    }

    #[test]
    fn words_cut_at_line_ends_are_mended_as_the_document_spells_them() {
        let text = "Here the example that was long enough to be exam-\nple text shows a matter that is clearly well-\nknown to each of us and other-\nwise rare.\n\nIt is well-known.";
        assert_eq!(
            read(&[text], vec![]).text,
            "Here the example that was long enough to be example text shows a matter that is clearly well-known to each of us and otherwise rare.\n\nIt is well-known."
        );
    }

    #[test]
    fn short_lines_and_columns_stay_lines() {
        assert_eq!(
            read(&["roses are red\nviolets are blue"], vec![]).text,
            "roses are red\nviolets are blue"
        );
        let rows = "first name of it all   100\nsecond name of it all   200";
        assert_eq!(read(&[rows], vec![]).text, rows);
    }

    #[test]
    fn running_heads_and_page_numbers_are_dropped() {
        let pages: Vec<String> = (1..=6)
            .map(|i| {
                format!(
                    "My Report, chapter {i}\n\nText {} of it.\n\nMore.\n\nAnd.\n\n{i}",
                    "abcdef".repeat(i)
                )
            })
            .collect();
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        let document = read(&pages, vec![]);
        assert!(!document.text.contains("My Report"));
        assert!(document.text.contains("Text abcdef of it.\n\nMore."));
    }

    #[test]
    fn pages_are_ranges_of_the_text_and_blocks_never_cross_them() {
        let document = read(&["one\n\ntwo", "", "three"], vec![]);
        let texts: Vec<&str> = document.pages.iter().map(|p| &document.text[p.clone()]).collect();
        assert_eq!(texts, ["one\n\ntwo", "", "three"]);
    }

    #[test]
    fn outline_size_and_numbers_make_headings() {
        let outline = vec![Bookmark { title: "Results of it".into(), level: 2, page_idx: Some(0) }];
        let page = "2.1 Results of it\nText below that goes on for some while so that most is small.\n\n#Large\n#words\nMore text.\n\n3 Other Things\n\n3 items. The rest";
        let document = read(&[page], outline);
        let parts: Vec<_> =
            document.blocks.iter().map(|b| (&document.text[b.span.clone()], b.kind.clone())).collect();
        assert_eq!(parts[0], ("2.1 Results of it", BlockKind::Heading { level: 2 }));
        assert_eq!(parts[2], ("Large words", BlockKind::Heading { level: 1 }));
        assert_eq!(parts[4], ("3 Other Things", BlockKind::Heading { level: 1 }));
        assert_eq!(parts[5].1, BlockKind::Paragraph);
    }

    #[test]
    fn lines_of_japanese_join_without_a_space() {
        let line = "これは日本語の長い行であり改行は文の途中にある";
        assert_eq!(read(&[&format!("{line}\n{line}")], vec![]).text, format!("{line}{line}"));
    }

    #[test]
    fn a_file_without_a_readable_page_is_broken_not_empty() {
        let raw =
            Raw { title: None, about: About::default(), pages: vec![], outline: vec![], n_unreadable: 0 };
        assert!(matches!(document(raw), Err(ExtractError::Failed { .. })));
    }

    #[test]
    fn no_text_is_told_with_the_page_count() {
        let raw = Raw {
            title: None,
            about: About::default(),
            pages: vec![Vec::new(); 12],
            outline: vec![],
            n_unreadable: 0,
        };
        assert_eq!(
            document(raw).unwrap_err().reason(),
            "no text: 12 pages of images only or empty; text recognition (OCR) would be needed, see `--ocr`"
        );
    }
}

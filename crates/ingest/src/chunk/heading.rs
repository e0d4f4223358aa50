//! Which headings a passage stands under, and the line made of them that is put before it when it is embedded.

use docent_extract::{Block, BlockKind};

use super::sentences::trim;

/// Longest heading kept in a path, in characters: what is longer is a paragraph in a heading's clothes.
const MAX_HEADING_CHARS: usize = 120;

/// Room for the prefix, counted as one for each ASCII character and three for any other, which makes at most some
/// 40 tokens of an English or a Chinese path. Measured in characters, not tokens, so that the prefix does not depend on
/// the model.
const MAX_PREFIX_WEIGHT: usize = 140;

/// The heading paths of a document, as its blocks are walked in order.
#[derive(Debug, Default)]
pub(super) struct Paths {
    open: Vec<(u8, String)>,
}

impl Paths {
    /// Enters the section that a heading of `level` with the given words begins.
    pub(super) fn enter(&mut self, level: u8, words: &str) {
        self.open.retain(|(open, _)| *open < level);
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        self.open.push((level, shorten(&words, MAX_HEADING_CHARS)));
    }

    /// The headings open now, outermost first.
    pub(super) fn current(&self) -> Vec<String> {
        self.open.iter().map(|(_, words)| words.clone()).filter(|w| !w.is_empty()).collect()
    }
}

/// The level whose headings divide the document into its sections: the outermost that occurs more than once, or just the
/// outermost. (One `#` at the head of a file is its title, and the `##` are its sections.)
pub(super) fn section_level(blocks: &[Block]) -> u8 {
    let mut n_of_level = [0usize; 256];
    for block in blocks {
        if let BlockKind::Heading { level } = block.kind {
            n_of_level[usize::from(level)] += 1;
        }
    }
    let repeated = (0..=u8::MAX).find(|&level| n_of_level[usize::from(level)] > 1);
    repeated.or_else(|| (0..=u8::MAX).find(|&level| n_of_level[usize::from(level)] == 1)).unwrap_or(0)
}

/// The headings that two passages share, outermost first.
pub(super) fn common(a: &[String], b: &[String]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What is embedded for a passage: `Title > Heading > Subheading`, a line break, and the passage.
///
/// A title equal to the outermost heading and a last heading with which the passage begins are not said twice. Of a
/// long path the title and the innermost headings are kept. Without title and headings it is the passage alone.
pub fn embedding_text(title: Option<&str>, heading_path: &[String], text: &str) -> String {
    let prefix = prefix(title, heading_path, text);
    if prefix.is_empty() { text.to_owned() } else { format!("{prefix}\n{text}") }
}

/// The line before the passage in [`embedding_text`]; empty if there is none.
pub(super) fn prefix(title: Option<&str>, heading_path: &[String], text: &str) -> String {
    let mut path: Vec<&str> = heading_path.iter().map(String::as_str).collect();
    if path.last().is_some_and(|last| begins_with(text, last)) {
        path.pop();
    }
    let title = title.map(|t| t.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default();
    let title_is_told =
        title.is_empty() || path.first() == Some(&title.as_str()) || begins_with(text, &title);
    let mut left = MAX_PREFIX_WEIGHT;
    let mut parts: Vec<String> = Vec::new();
    if !title_is_told {
        take(&title, &mut left, MAX_PREFIX_WEIGHT / 2, &mut parts);
    }
    let n_outer = parts.len();
    for words in path.iter().rev() {
        take(words, &mut left, MAX_PREFIX_WEIGHT / 2, &mut parts);
    }
    parts[n_outer..].reverse();
    parts.join(" > ")
}

/// Adds `words`, cut to `at_most`, if there is room left.
fn take(words: &str, left: &mut usize, at_most: usize, parts: &mut Vec<String>) {
    let mut room = at_most.min(*left);
    let end = words.char_indices().find(|(_, c)| {
        let weight = if c.is_ascii() { 1 } else { 3 };
        let fits = weight <= room;
        room -= if fits { weight } else { 0 };
        !fits
    });
    let cut = match end {
        None => words,
        Some((end, _)) => words[..end].rsplit_once(' ').map_or(&words[..end], |(whole_words, _)| whole_words),
    };
    if cut.is_empty() {
        *left = 0; // what lies further out is left out as well: a path has no holes
        return;
    }
    *left -= cut.chars().map(|c| if c.is_ascii() { 1 } else { 3 }).sum::<usize>().min(*left);
    parts.push(cut.to_owned());
}

/// Whether `text` begins with `words`, blank space aside.
fn begins_with(text: &str, words: &str) -> bool {
    let mut text_words = text.split_whitespace();
    !words.is_empty() && words.split_whitespace().all(|word| text_words.next() == Some(word))
}

fn shorten(words: &str, n_chars: usize) -> String {
    match words.char_indices().nth(n_chars) {
        None => words.to_owned(),
        Some((end, _)) => words[trim(words, 0..end)].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|&p| p.to_owned()).collect()
    }

    #[test]
    fn the_prefix_is_title_and_headings_each_once() {
        assert_eq!(
            embedding_text(Some("Guide"), &path(&["Guide", "Setup"]), "Run it."),
            "Guide > Setup\nRun it."
        );
        assert_eq!(
            embedding_text(Some("Guide"), &path(&["Setup"]), "Setup\n\nRun it."),
            "Guide\nSetup\n\nRun it."
        );
        assert_eq!(embedding_text(None, &[], "Run it."), "Run it.");
        assert_eq!(embedding_text(Some(" "), &[], "Run it."), "Run it.");
    }

    #[test]
    fn a_long_path_keeps_title_and_innermost_headings_within_bounds() {
        let long = "word ".repeat(60);
        let headings = path(&[&long, &long, "inner"]);
        let prefix = prefix(Some("Title"), &headings, "text");
        assert!(prefix.starts_with("Title > ") && prefix.ends_with(" > inner"), "{prefix}");
        assert!(prefix.len() <= MAX_PREFIX_WEIGHT + 12);
        let wide = super::prefix(Some(&"題".repeat(200)), &path(&[&"節".repeat(200)]), "text");
        assert!(wide.chars().count() <= MAX_PREFIX_WEIGHT / 3 + 3, "{wide}");
    }

    #[test]
    fn a_heading_closes_those_of_its_level_and_below() {
        let mut paths = Paths::default();
        for (level, words) in [(1, "A"), (2, "B"), (4, "C"), (3, "D\n  E")] {
            paths.enter(level, words);
        }
        assert_eq!(paths.current(), path(&["A", "B", "D E"]));
        paths.enter(2, "F");
        assert_eq!(paths.current(), path(&["A", "F"]));
    }
}

//! Cutting one piece of text that is too large for a passage at the place that hurts least.
//!
//! Prose is cut near its middle: at a line break, else after a mark inside the sentence, else between words, else
//! between characters. Code is cut at a line that begins a new thing: the least indented line near the middle,
//! preferably after a blank one, never at a lone closing bracket. Halves that are still too large are cut again, so every
//! text ends in pieces that fit, however it is written.

use std::ops::Range;

use super::sentences::{push_trimmed, trim};

/// How large a text is, in tokens.
pub(super) type Cost<'a> = &'a dyn Fn(&str) -> usize;

/// A piece of text and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub span: Range<usize>,
    pub n_tokens: usize,
}

/// Cuts prose into pieces of at most `limit` tokens (a single character may exceed it).
pub(super) fn split_prose(text: &str, span: Range<usize>, limit: usize, cost: Cost) -> Vec<Piece> {
    split(text, span, limit, cost, &middle_of_prose)
}

/// Cuts code into pieces of at most `limit` tokens (a single character may exceed it).
pub(super) fn split_code(text: &str, span: Range<usize>, limit: usize, cost: Cost) -> Vec<Piece> {
    split(text, span, limit, cost, &middle_of_code)
}

fn split(
    text: &str,
    span: Range<usize>,
    limit: usize,
    cost: Cost,
    middle: &dyn Fn(&str) -> usize,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = vec![span]; // a stack, so that depth is no matter of what the text holds
    while let Some(span) = rest.pop() {
        let span = trim(text, span);
        let part = &text[span.clone()];
        if part.is_empty() {
            continue;
        }
        let n_tokens = cost(part);
        if n_tokens <= limit || part.chars().nth(1).is_none() {
            pieces.push(Piece { span, n_tokens });
            continue;
        }
        let cut = span.start + middle(part);
        rest.push(cut..span.end);
        rest.push(span.start..cut);
    }
    pieces
}

/// The best place to cut `part` in two, strictly inside it and on a character boundary. `part` has two characters or more.
fn middle_of_prose(part: &str) -> usize {
    let half = part.len() / 2;
    let (from, to) = (part.len() / 4, part.len() - part.len() / 4);
    let mut best: Option<(u8, usize, usize)> = None; // (rank of the place, distance to the middle, where)
    let mut before = ' ';
    for (at, c) in part.char_indices() {
        let rank = match (before, c) {
            _ if at == 0 || is_extending(c) || before == '\u{200d}' => None,
            ('\n', _) => Some(0),
            (mark, space) if space.is_whitespace() && is_inner_mark(mark) => Some(1),
            (mark, _) if is_wide_inner_mark(mark) => Some(1),
            (_, space) if space.is_whitespace() => Some(2),
            _ => Some(3),
        };
        before = c;
        // Outside of the middle half a place is taken only when there is none inside (a few large characters).
        if let Some(rank) = rank {
            let rank = if (from..=to).contains(&at) { rank } else { 4 };
            let candidate = (rank, at.abs_diff(half), at);
            if best.is_none_or(|b| candidate < b) {
                best = Some(candidate);
            }
        }
    }
    best.map_or_else(|| part.chars().next().map_or(0, char::len_utf8), |(_, _, at)| at)
}

fn is_inner_mark(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '.' | '!' | '?' | ')' | '—' | '–')
}

fn is_wide_inner_mark(c: char) -> bool {
    matches!(c, '、' | '，' | '；' | '：' | '。')
}

/// Characters that show as part of the one before them.
fn is_extending(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}')
}

/// As [`middle_of_prose`], but at the beginning of a line where there is one.
fn middle_of_code(part: &str) -> usize {
    let half = part.len() / 2;
    let (from, to) = (part.len() / 5, part.len() - part.len() / 5);
    let mut best: Option<(usize, usize, usize, usize)> = None; // (outside, depth, distance, where)
    let mut at = 0;
    let mut after_blank = false;
    for line in part.split_inclusive('\n') {
        let words = line.trim();
        if at > 0 && !words.is_empty() && !is_closing_line(words) {
            let outside = usize::from(!(from..=to).contains(&at));
            let depth = 2 * indent(line) + usize::from(!after_blank);
            let candidate = (outside, depth, at.abs_diff(half), at);
            if best.is_none_or(|b| candidate < b) {
                best = Some(candidate);
            }
        }
        after_blank = words.is_empty();
        at += line.len();
    }
    best.map_or_else(|| middle_of_prose(part), |(_, _, _, at)| at)
}

/// Width of the blank space that begins `line`; a tab counts as four.
fn indent(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum()
}

/// A line that ends what came before it and begins nothing.
fn is_closing_line(words: &str) -> bool {
    words.starts_with(['}', ')', ']'])
        || matches!(words, "end" | "end;" | "fi" | "done" | "esac" | "*/" | "\"\"\"")
}

/// A table as it is where it fits, else its rows; a row larger than `limit` is cut like prose.
pub(super) fn split_rows(text: &str, span: Range<usize>, limit: usize, cost: Cost) -> Vec<Piece> {
    let n_tokens = cost(&text[span.clone()]);
    if n_tokens <= limit {
        return vec![Piece { span, n_tokens }];
    }
    let mut rows = Vec::new();
    let mut at = span.start;
    for line in text[span].split_inclusive('\n') {
        push_trimmed(text, at..at + line.len(), &mut rows);
        at += line.len();
    }
    rows.into_iter().flat_map(|row| split_prose(text, row, limit, cost)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn parts(text: &str, pieces: Vec<Piece>) -> Vec<&str> {
        pieces.into_iter().map(|p| &text[p.span]).collect()
    }

    #[test]
    fn prose_is_cut_at_lines_then_marks_then_words_then_characters() {
        let by_line = "aa bb cc\ndd ee ff";
        assert_eq!(
            parts(by_line, split_prose(by_line, 0..by_line.len(), 3, &words)),
            ["aa bb cc", "dd ee ff"]
        );
        let by_mark = "aa bb, cc dd";
        assert_eq!(parts(by_mark, split_prose(by_mark, 0..by_mark.len(), 3, &words)), ["aa bb,", "cc dd"]);
        let bytes = |t: &str| t.len();
        assert_eq!(parts("あいうえ", split_prose("あいうえ", 0..12, 6, &bytes)), ["あい", "うえ"]);
        assert_eq!(parts("😀", split_prose("😀", 0..4, 1, &bytes)), ["😀"], "one character is never cut");
    }

    #[test]
    fn code_is_cut_between_functions() {
        let text =
            "fn a() {\n    one();\n\n    two();\n}\n\n/// B.\nfn b() {\n    three();\n    four();\n}\n";
        let pieces = parts(text, split_code(text, 0..text.len(), 8, &words));
        assert_eq!(pieces.len(), 2);
        assert!(pieces[1].starts_with("/// B."), "{pieces:?}");
    }

    #[test]
    fn a_megabyte_without_a_space_ends_in_small_pieces() {
        let text = "x".repeat(1 << 20);
        let pieces = split_prose(&text, 0..text.len(), 50, &|t| t.len().div_ceil(16));
        assert!(pieces.iter().all(|p| p.n_tokens <= 50));
        assert_eq!(pieces.iter().map(|p| p.span.len()).sum::<usize>(), text.len());
    }
}

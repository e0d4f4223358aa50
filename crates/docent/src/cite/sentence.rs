//! Where sentences begin and end, in prose, lists, tables and wrapped lines.

use std::ops::Range;

/// A sentence longer than this (bytes) is cut at its line breaks: tables and verse have no full stops, and a quote has
/// to stay readable.
const LONG: usize = 300;

/// The sentences of `text` as byte ranges, in order, trimmed of white space; blank ones are left out.
///
/// A sentence ends at `.`, `!`, `?` followed by white space, at their ideographic forms, at a blank line, and before
/// a line that starts a list item, a table row or a heading. A full stop inside a number or after a single
/// letter (`3.5`, `J. Smith`) ends nothing.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        let cut = match c {
            '。' | '！' | '？' | '｡' => true,
            '.' | '!' | '?' => ends_sentence(&text[start..end], &text[end..]),
            '\n' => starts_block(&text[end..]) || heads_block(&text[start..at]),
            _ => false,
        };
        if cut {
            // Closing quotes and brackets belong to the sentence they close.
            let mut end = end;
            while let Some(&(next, closing)) = chars.peek() {
                if !matches!(closing, '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」' | '』') {
                    break;
                }
                end = next + closing.len_utf8();
                chars.next();
            }
            push_trimmed(text, start..end, &mut ranges);
            start = end;
        }
    }
    push_trimmed(text, start..text.len(), &mut ranges);
    attach_marks(text, ranges)
}

/// Texts between quotation marks.
pub(super) fn quotations(sentence: &str) -> Vec<String> {
    const PAIRS: [(char, char); 4] = [('"', '"'), ('“', '”'), ('«', '»'), ('「', '」')];
    let mut found = Vec::new();
    for (open, close) in PAIRS {
        let mut rest = sentence;
        while let Some(from) = rest.find(open) {
            let inside = &rest[from + open.len_utf8()..];
            let Some(to) = inside.find(close) else { break };
            found.push(inside[..to].to_owned());
            rest = &inside[to + close.len_utf8()..];
        }
    }
    found
}

fn ends_sentence(so_far: &str, rest: &str) -> bool {
    let closing = |c: char| matches!(c, '"' | '\'' | ')' | ']' | '”' | '’' | '»');
    let followed = rest.trim_start_matches(closing).chars().next();
    if followed.is_some_and(|c| !c.is_whitespace() && c != '[') {
        return false;
    }
    let word = so_far.trim_end_matches(['.', '!', '?']).rsplit(char::is_whitespace).next().unwrap_or("");
    let initial = word.chars().count() == 1 && word.chars().all(|c| c.is_uppercase());
    let abbreviation = matches!(
        word.to_lowercase().as_str(),
        "e.g" | "i.e" | "etc" | "mr" | "mrs" | "dr" | "no" | "vs" | "cf" | "fig"
    );
    let ordinal =
        !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) && so_far.trim() == format!("{word}.");
    !(so_far.ends_with('.') && (initial || abbreviation || ordinal))
}

/// Whether a new block begins with the line that `rest` starts with.
fn starts_block(rest: &str) -> bool {
    let line = rest.lines().next().unwrap_or("").trim_start();
    line.is_empty()
        || line.starts_with(['|', '#', '-', '*', '+', '•', '>', '`'])
        || line.split_once(['.', ')']).is_some_and(|(number, _)| {
            !number.is_empty() && number.len() <= 3 && number.bytes().all(|b| b.is_ascii_digit())
        })
}

/// Whether what came before the line break is a heading or a table row, which end with their line.
fn heads_block(sentence: &str) -> bool {
    let sentence = sentence.trim_start();
    sentence.starts_with(['#', '|'])
}

fn push_trimmed(text: &str, range: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    let end = range.start + piece.trim_end().len();
    if end.saturating_sub(start) > LONG && text[start..end].contains('\n') {
        let mut at = start;
        for line in text[start..end].split_inclusive('\n') {
            let blank = line.len() - line.trim_start().len();
            if !line.trim().is_empty() {
                ranges.push(at + blank..at + line.trim_end().len());
            }
            at += line.len();
        }
    } else if start < end {
        ranges.push(start..end);
    }
}

/// A sentence's `[1]` often stands after its full stop: such a piece belongs to the sentence before it.
fn attach_marks(text: &str, ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for mut range in ranges {
        let piece = &text[range.clone()];
        let marks_len = leading_marks(piece);
        if let Some(last) = joined.last_mut().filter(|_| marks_len > 0) {
            last.end = range.start + piece[..marks_len].trim_end().len();
            range.start += piece.len() - piece[marks_len..].trim_start().len();
            let only_stop = text[range.clone()].chars().all(|c| matches!(c, '.' | '!' | '?'));
            if range.start >= range.end || only_stop {
                continue;
            }
        }
        joined.push(range);
    }
    joined
}

/// Bytes of `[1][2] ` at the start of a piece.
fn leading_marks(piece: &str) -> usize {
    let mut len = 0;
    while piece[len..].starts_with('[') {
        let Some(close) = piece[len..].find(']') else { break };
        let numeric = piece[len + 1..len + close].chars().all(|c| c.is_ascii_digit() || c == ',' || c == ' ');
        if !numeric || close == 1 {
            break;
        }
        len += close + 1;
        len += piece[len..].len() - piece[len..].trim_start_matches(' ').len();
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn prose_splits_at_full_stops_but_not_inside_numbers_and_names() {
        assert_eq!(
            split("Pi is 3.14 or so. J. Smith said so! Did he? Yes, e.g. here."),
            ["Pi is 3.14 or so.", "J. Smith said so!", "Did he?", "Yes, e.g. here."]
        );
    }

    #[test]
    fn a_wrapped_line_does_not_end_a_sentence_but_a_blank_one_does() {
        assert_eq!(split("One line\ngoes on.\n\nNext"), ["One line\ngoes on.", "Next"]);
    }

    #[test]
    fn list_items_rows_and_headings_stand_alone() {
        assert_eq!(
            split("# Head\nText here\n- first\n- second\n1. third\n| a | b |\n| c | d |"),
            ["# Head", "Text here", "- first", "- second", "1. third", "| a | b |", "| c | d |"]
        );
    }

    #[test]
    fn a_table_without_full_stops_is_cut_into_its_lines() {
        let rows: Vec<String> = (0..20).map(|i| format!("F{i} fault number {i}, call a fitter")).collect();
        let table = rows.join("\n");
        assert_eq!(split(&table), rows);
    }

    #[test]
    fn ideographic_stops_need_no_space() {
        assert_eq!(split("山です。川です。"), ["山です。", "川です。"]);
    }

    #[test]
    fn a_mark_after_the_stop_belongs_to_the_sentence_before() {
        assert_eq!(split("Hold it. [1] Then wait [2]."), ["Hold it. [1]", "Then wait [2]."]);
    }

    #[test]
    fn quotations_are_what_stands_between_the_marks() {
        assert_eq!(quotations("He said \"one\" and “two”."), ["one", "two"]);
    }
}

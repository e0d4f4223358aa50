//! Where sentences end, in languages with and without spaces between words.
//!
//! One pass over the characters. A mark that ends a sentence in its script by itself (`。`, `？`, `।`, `؟`) ends it here;
//! a mark that may also stand inside one (`.`, `!`, `?`) needs blank space after it, a next word that does not begin in
//! lower case and, for the full stop, a word before it that is no abbreviation and no single initial. A blank line
//! always ends a sentence.
//!
//! This is for cutting text into passages, where a missed end costs a longer passage and a false one costs
//! a little context. UAX #29 rules (the `unicode-segmentation` crate) know no abbreviations and would be one more
//! dependency for the same result.

use std::ops::Range;

/// Words that a full stop follows without ending the sentence, in lower case and without their last full stop.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "cf", "fig", "figs", "eq", "eqs", "no", "nos",
    "vol", "vols", "pp", "ch", "sec", "al", "approx", "dept", "ca", "bzw", "z.b", "d.h", "bd", "nr", "p.ex",
    "sra", "sr", "jr", "ed", "eds", "rev", "gen", "col", "capt", "hon",
];

/// The sentences of `text[span]`, in order, as byte ranges of `text`, without blank space at their ends. Together they
/// hold every character of the span that is not blank.
pub(super) fn sentences(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = span.start;
    let mut chars = text[span.clone()].char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        let at = span.start + offset;
        let end = if c == '\n' {
            if !blank_line_follows(&text[at + 1..span.end]) {
                continue;
            }
            at
        } else if ends_alone(c) || ends_before_space(c) {
            while chars
                .next_if(|&(_, next)| is_closing(next) || ends_alone(next) || ends_before_space(next))
                .is_some()
            {}
            let end = chars.peek().map_or(span.end, |&(next, _)| span.start + next);
            let sure = ends_alone(c) || text[at..end].chars().any(ends_alone);
            if !sure && !ends_here(&text[start..at], c, &text[end..span.end]) {
                continue;
            }
            end
        } else {
            continue;
        };
        push_trimmed(text, start..end, &mut found);
        start = end;
    }
    push_trimmed(text, start..span.end, &mut found);
    found
}

/// Appends `span` without the blank space at its ends, unless nothing is left.
pub(super) fn push_trimmed(text: &str, span: Range<usize>, found: &mut Vec<Range<usize>>) {
    let trimmed = trim(text, span);
    if !trimmed.is_empty() {
        found.push(trimmed);
    }
}

/// `span` without the blank space at its ends.
pub(super) fn trim(text: &str, span: Range<usize>) -> Range<usize> {
    let part = &text[span.clone()];
    let start = span.start + (part.len() - part.trim_start().len());
    let end = span.start + part.trim_end().len();
    start..end.max(start)
}

fn blank_line_follows(rest: &str) -> bool {
    rest.chars().find(|c| *c == '\n' || !c.is_whitespace()) == Some('\n')
}

/// Marks that end a sentence wherever they stand.
fn ends_alone(c: char) -> bool {
    matches!(
        c,
        '。' | '｡' | '！' | '？' | '।' | '॥' | '؟' | '۔' | '።' | '።'
            ..='፨' | '។' | '៕' | '။' | '‼' | '⁇' | '⁈' | '⁉'
    )
}

/// Marks that end a sentence if blank space follows.
fn ends_before_space(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '．')
}

/// Marks that belong to the sentence they follow.
fn is_closing(c: char) -> bool {
    matches!(
        c,
        ')' | ']'
            | '"'
            | '\''
            | '”'
            | '’'
            | '»'
            | '」'
            | '』'
            | '）'
            | '】'
            | '》'
            | '〉'
            | '*'
            | '_'
            | '`'
    )
}

/// Whether `mark` between `before` (the sentence so far) and `after` (the rest of the span) ends the sentence.
fn ends_here(before: &str, mark: char, after: &str) -> bool {
    if after.is_empty() {
        return true;
    }
    if !after.starts_with(char::is_whitespace) {
        return false;
    }
    let goes_on = after.trim_start().chars().next().is_some_and(|c| c.is_lowercase() || c == ',' || c == ';');
    if goes_on {
        return false;
    }
    mark != '.' || !is_abbreviation(before)
}

/// Whether the last word of `before` is an abbreviation, an initial, or the number of a list item.
fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or("");
    let whole_sentence = word.len() == before.trim_start().len();
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut chars = word.chars();
    let single = chars.next().is_some_and(|c| c.is_uppercase()) && chars.next().is_none();
    let item_number = whole_sentence && word.len() <= 3 && word.bytes().all(|b| b.is_ascii_digit());
    single || item_number || (word.len() <= 6 && ABBREVIATIONS.contains(&word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text, 0..text.len()).into_iter().map(|s| &text[s]).collect()
    }

    #[test]
    fn sentences_end_at_marks_followed_by_a_new_one() {
        assert_eq!(
            split("It rains. Does it? \"Yes!\" he said."),
            ["It rains.", "Does it?", "\"Yes!\" he said."]
        );
        assert_eq!(
            split("Version 1.2.3 of a.out is v. good. Next."),
            ["Version 1.2.3 of a.out is v. good.", "Next."]
        );
        assert_eq!(split("One line\nand its rest. Two"), ["One line\nand its rest.", "Two"]);
    }

    #[test]
    fn abbreviations_initials_and_item_numbers_do_not_end_a_sentence() {
        let text = "See Fig. 3 by J. R. Smith et al. Dr. No agrees, e.g. Monday.";
        assert_eq!(split(text), [text]);
        assert_eq!(split("1. First do this. 2. Then that."), ["1. First do this.", "2. Then that."]);
    }

    #[test]
    fn scripts_without_spaces_are_split_at_their_own_marks() {
        assert_eq!(
            split("今日は雨。傘は「ある？」と聞いた。はい"),
            ["今日は雨。", "傘は「ある？」", "と聞いた。", "はい"]
        );
        assert_eq!(split("यह वाक्य है। दूसरा वाक्य।"), ["यह वाक्य है।", "दूसरा वाक्य।"]);
        assert_eq!(split("هل هذا؟ نعم."), ["هل هذا؟", "نعم."]);
    }

    #[test]
    fn a_blank_line_ends_a_sentence_without_a_mark() {
        assert_eq!(split("title\n \nbody goes\non"), ["title", "body goes\non"]);
    }
}

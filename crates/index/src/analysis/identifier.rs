//! The words inside a word: parts of identifiers, and the form without accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of the longest word that is taken apart; encoded data is longer.
const MAX_IDENTIFIER: usize = 64;

/// The parts of an identifier at underscores and at changes of case; the word itself when it has one part.
///
/// `parseHTTPHeader` gives `parse`, `HTTP`, `Header`. The plural of an abbreviation is no change of case: `DNAs`.
pub(super) fn parts(word: &str) -> Vec<&str> {
    let has_upper_after_first = word.chars().skip(1).any(char::is_uppercase);
    if word.len() > MAX_IDENTIFIER || !(has_upper_after_first || word.contains('_')) {
        return vec![word.trim_matches('_')];
    }
    let mut parts = Vec::new();
    for piece in word.split('_').filter(|piece| !piece.is_empty()) {
        let characters: Vec<(usize, char)> = piece.char_indices().collect();
        let mut start = 0;
        for i in 1..characters.len() {
            let (at, here) = characters[i];
            let before = characters[i - 1].1;
            let after = characters.get(i + 1).map(|&(_, c)| c);
            let new_word = here.is_uppercase() && (before.is_lowercase() || before.is_numeric());
            let plural = after == Some('s') && i + 2 == characters.len();
            let end_of_abbreviation = here.is_uppercase()
                && before.is_uppercase()
                && after.is_some_and(char::is_lowercase)
                && !plural;
            if new_word || end_of_abbreviation {
                parts.push(&piece[start..at]);
                start = at;
            }
        }
        parts.push(&piece[start..]);
    }
    parts
}

/// The word with plain Latin letters in place of those with marks; none if that changes nothing.
pub(super) fn without_accents(word: &str) -> Option<String> {
    if word.is_ascii() || !word.chars().any(|c| is_latin_with_mark(c) || is_combining_mark(c)) {
        return None;
    }
    let mut folded = String::with_capacity(word.len());
    for c in word.nfd().filter(|&c| !is_combining_mark(c)) {
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ł' => folded.push('l'),
            'ı' => folded.push('i'),
            'þ' => folded.push_str("th"),
            other => folded.push(other),
        }
    }
    (!folded.is_empty() && folded != word).then_some(folded)
}

fn is_latin_with_mark(c: char) -> bool {
    matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_underscores_part_identifiers() {
        assert_eq!(parts("parseHTTPHeader"), ["parse", "HTTP", "Header"]);
        assert_eq!(parts("_private__value_"), ["private", "value"]);
        assert_eq!(parts("utf8Text"), ["utf8", "Text"]);
        assert_eq!(parts("DNAs"), ["DNAs"]);
        assert_eq!(parts("Word"), ["Word"]);
        assert_eq!(parts("HTTP"), ["HTTP"]);
    }

    #[test]
    fn only_words_with_accents_have_a_form_without() {
        assert_eq!(without_accents("naïve").as_deref(), Some("naive"));
        assert_eq!(without_accents("plain"), None);
        assert_eq!(without_accents("русский"), None);
    }
}

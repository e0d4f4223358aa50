//! Cuts text into runs of word characters and runs of characters of scripts written without spaces.

use unicode_normalization::char::is_combining_mark;

/// A stretch of text that is analysed in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run<'t> {
    /// Letters, digits, `_`, and apostrophes between letters.
    Word(&'t str),
    /// Characters of a script in which spaces do not part the words.
    Spaceless(&'t str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Spaceless,
    Mark,
    Other,
}

/// The runs of `text` in order; what lies between them is punctuation.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Run<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            let kind = class(first);
            let end = match kind {
                Class::Other | Class::Mark => {
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
                Class::Word => word_end(rest),
                Class::Spaceless => rest
                    .char_indices()
                    .find(|&(_, c)| !matches!(class(c), Class::Spaceless | Class::Mark))
                    .map_or(rest.len(), |(at, _)| at),
            };
            let (run, after) = rest.split_at(end);
            rest = after;
            match kind {
                Class::Spaceless => return Some(Run::Spaceless(run)),
                // A run of underscores alone is a line, not a word.
                _ if run.bytes().all(|b| b == b'_') => {}
                _ => return Some(Run::Word(run)),
            }
        }
    })
}

/// Where the word at the start of `text` ends.
fn word_end(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    let mut previous = ' ';
    while let Some((at, c)) = characters.next() {
        let goes_on = match class(c) {
            Class::Word | Class::Mark => true,
            Class::Other => {
                c == '\''
                    && previous.is_alphabetic()
                    && characters
                        .peek()
                        .is_some_and(|&(_, next)| next.is_alphabetic() && class(next) == Class::Word)
            }
            Class::Spaceless => false,
        };
        if !goes_on {
            return at;
        }
        previous = c;
    }
    text.len()
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() || c == '_' { Class::Word } else { Class::Other };
    }
    if is_combining_mark(c) {
        Class::Mark
    } else if is_spaceless(c) {
        Class::Spaceless
    } else if c.is_alphanumeric() {
        Class::Word
    } else {
        Class::Other
    }
}

/// Chinese characters, which mean something each.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Letters of Han, Kana, Bopomofo, Hangul, Thai, Lao, Myanmar and Khmer, by Unicode block.
fn is_spaceless(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}'                             // iteration mark, closing mark, zero
        | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' // Hiragana
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' // Katakana with the long vowel, without the dot
        | '\u{3105}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' // Bopomofo
        | '\u{3131}'..='\u{318e}' | '\u{1100}'..='\u{11ff}' // Hangul letters
        | '\u{a960}'..='\u{a97c}' | '\u{ac00}'..='\u{d7fb}' // Hangul syllables
        | '\u{31f0}'..='\u{31ff}'                           // Katakana extensions
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' // Han
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
        | '\u{0e01}'..='\u{0e3a}' | '\u{0e40}'..='\u{0e4e}' // Thai without its digits
        | '\u{0e81}'..='\u{0ecd}' | '\u{0edc}'..='\u{0edf}' // Lao
        | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{108f}' // Myanmar
        | '\u{1780}'..='\u{17d3}') // Khmer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_inner_apostrophes_and_underscores() {
        let found: Vec<_> = runs("don't 'quote' a_b __ x-y").collect();
        assert_eq!(found, ["don't", "quote", "a_b", "x", "y"].map(Run::Word));
    }

    #[test]
    fn thai_vowel_marks_stay_in_their_run() {
        let text = "ที่นี่";
        assert_eq!(runs(text).collect::<Vec<_>>(), [Run::Spaceless(text)]);
    }

    #[test]
    fn the_katakana_dot_parts_names() {
        let found: Vec<_> = runs("トム・ハンクス").collect();
        assert_eq!(found, [Run::Spaceless("トム"), Run::Spaceless("ハンクス")]);
    }

    #[test]
    fn devanagari_marks_stay_in_their_word() {
        assert_eq!(runs("हिन्दी भाषा").collect::<Vec<_>>(), [Run::Word("हिन्दी"), Run::Word("भाषा")]);
    }
}

//! Cuts text into the pieces ("words") inside which byte pairs may merge.
//!
//! Every byte-level BPE model fixes this cut with regular expressions; a different cut gives different token ids. The
//! expressions are those of llama.cpp (`src/llama-vocab.cpp`, `llm_tokenizer_bpe`):
//!
//! | [`Split`]   | expressions, applied one after the other |
//! |-------------|------------------------------------------|
//! | `Llama3`    | `(?i:'s\|'t\|'re\|'ve\|'m\|'ll\|'d)\|[^\r\n\p{L}\p{N}]?\p{L}+\|\p{N}{1,3}\| ?[^\s\p{L}\p{N}]+[\r\n]*\|\s*[\r\n]+\|\s+(?!\S)\|\s+` |
//! | `Qwen2`     | the same with `\p{N}` for `\p{N}{1,3}` |
//! | `Gpt2`      | `'s\|'t\|'re\|'ve\|'m\|'ll\|'d\| ?\p{L}+\| ?\p{N}+\| ?[^\s\p{L}\p{N}]+\|\s+(?!\S)\|\s+` |
//! | `SmolLm`    | `\p{N}`, then `Gpt2` |
//! | `Default`   | `[\p{P}$+<=>^~\|]+`, then `Gpt2`, then `\p{N}+`, then `[0-9][0-9][0-9]` |
//!
//! They are written out by hand because a backtracking engine walks `\s*[\r\n]+` back over a run of spaces and gives up on a
//! long one (fancy-regex stops after a million steps: 1 MB of spaces is an error). Here each character is looked at a bounded number
//! of times: time is linear in the text, and nothing is allocated. The tests hold this file against the expressions themselves.
//!
//! Every character of the text is in exactly one piece, in order.

use std::sync::OnceLock;

use regex_syntax::hir::{Class, HirKind};

/// How a model's vocabulary expects text to be cut; see the table in the module's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    Llama3,
    Qwen2,
    Gpt2,
    SmolLm,
    Default,
}

/// What the expressions distinguish: `\p{L}`, `\p{N}`, `\s`, and all the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Number,
    Space,
    Other,
}

impl Split {
    /// Calls `word` with every piece of `text`, in order; together they are the text.
    pub(crate) fn words<'t>(self, text: &'t str, word: &mut dyn FnMut(&'t str)) {
        match self {
            Split::Llama3 => each(text, word, |rest| llama3_word(rest, 3)),
            Split::Qwen2 => each(text, word, |rest| llama3_word(rest, 1)),
            Split::Gpt2 => each(text, word, gpt2_word),
            Split::SmolLm => {
                isolate(text, |c| kind(c) == Kind::Number, 1, &mut |piece| {
                    each(piece, word, gpt2_word);
                });
            }
            Split::Default => isolate(text, is_default_punctuation, usize::MAX, &mut |piece| {
                each(piece, &mut |w| default_digits(w, word), gpt2_word);
            }),
        }
    }
}

/// Cuts `text` with `word_len`, which says how many bytes of a non-empty rest make the next piece.
fn each<'t>(text: &'t str, word: &mut dyn FnMut(&'t str), word_len: impl Fn(&str) -> usize) {
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(word_len(rest));
        word(piece);
        rest = tail;
    }
}

/// Makes every run of characters that are `inside` (at most `max` long) a piece of its own, and what lies between them too.
fn isolate<'t>(text: &'t str, inside: impl Fn(char) -> bool, max: usize, piece: &mut dyn FnMut(&'t str)) {
    let mut rest = text;
    while !rest.is_empty() {
        let outside = rest.find(&inside).unwrap_or(rest.len());
        if outside > 0 {
            piece(&rest[..outside]);
            rest = &rest[outside..];
        }
        let run = run_len(rest, max, &inside);
        if run > 0 {
            piece(&rest[..run]);
            rest = &rest[run..];
        }
    }
}

/// Last two expressions of `Default`: `\p{N}+` apart from what is around it, then ASCII digits in threes from the left.
fn default_digits<'t>(text: &'t str, word: &mut dyn FnMut(&'t str)) {
    let is_number = |c| kind(c) == Kind::Number;
    isolate(text, is_number, usize::MAX, &mut |piece| {
        let mut rest = piece;
        // A match needs three in a row; what is between two matches stays together.
        while let Some(at) = first_three_digits(rest) {
            if at > 0 {
                word(&rest[..at]);
            }
            word(&rest[at..at + 3]);
            rest = &rest[at + 3..];
        }
        if !rest.is_empty() {
            word(rest);
        }
    });
}

fn first_three_digits(text: &str) -> Option<usize> {
    text.as_bytes().windows(3).position(|w| w.iter().all(u8::is_ascii_digit))
}

/// Length in bytes of the longest prefix of at most `max` characters that are all `inside`.
fn run_len(text: &str, max: usize, inside: impl Fn(char) -> bool) -> usize {
    text.char_indices()
        .take(max)
        .take_while(|&(_, c)| inside(c))
        .last()
        .map_or(0, |(at, c)| at + c.len_utf8())
}

/// One match of the llama-3 expression at the start of `rest`; `max_digits` is 3, or 1 for Qwen.
fn llama3_word(rest: &str, max_digits: usize) -> usize {
    if let Some(len) = contraction(rest, true) {
        return len;
    }
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or(' ');
    let second = chars.next();
    let first_kind = kind(first);
    let second_kind = second.map(kind);

    // [^\r\n\p{L}\p{N}]?\p{L}+
    let may_lead = first_kind != Kind::Number && first != '\r' && first != '\n';
    if first_kind == Kind::Letter {
        return run_len(rest, usize::MAX, |c| kind(c) == Kind::Letter);
    }
    if may_lead && second_kind == Some(Kind::Letter) {
        let lead = first.len_utf8();
        return lead + run_len(&rest[lead..], usize::MAX, |c| kind(c) == Kind::Letter);
    }
    // \p{N}{1,3}
    if first_kind == Kind::Number {
        return run_len(rest, max_digits, |c| kind(c) == Kind::Number);
    }
    // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
    let lead = usize::from(first == ' ' && second_kind == Some(Kind::Other));
    if lead == 1 || first_kind == Kind::Other {
        let end = lead + run_len(&rest[lead..], usize::MAX, |c| kind(c) == Kind::Other);
        return end + run_len(&rest[end..], usize::MAX, |c| c == '\r' || c == '\n');
    }
    // \s*[\r\n]+ : up to the last line break of the run of white space
    let spaces = run_len(rest, usize::MAX, |c| kind(c) == Kind::Space);
    if let Some(at) = rest[..spaces].rfind(['\r', '\n']) {
        return at + 1;
    }
    white_space(rest, spaces)
}

/// One match of the GPT-2 expression at the start of `rest`.
fn gpt2_word(rest: &str) -> usize {
    if let Some(len) = contraction(rest, false) {
        return len;
    }
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or(' ');
    let second_kind = chars.next().map(kind);

    // ` ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+`
    let lead = usize::from(first == ' ' && second_kind.is_some_and(|k| k != Kind::Space));
    let run_kind = match second_kind {
        Some(second) if lead == 1 => second,
        _ => kind(first),
    };
    if run_kind != Kind::Space {
        return lead + run_len(&rest[lead..], usize::MAX, |c| kind(c) == run_kind);
    }
    let spaces = run_len(rest, usize::MAX, |c| kind(c) == Kind::Space);
    white_space(rest, spaces)
}

/// `\s+(?!\S)|\s+`: a run of white space leaves its last character to the word that follows, if it is longer than one.
fn white_space(rest: &str, spaces: usize) -> usize {
    let last = rest[..spaces].chars().next_back().map_or(0, char::len_utf8);
    if spaces < rest.len() && spaces > last { spaces - last } else { spaces }
}

/// `'s|'t|'re|'ve|'m|'ll|'d`, in any case of the ASCII letters if `any_case`.
fn contraction(rest: &str, any_case: bool) -> Option<usize> {
    let bytes = rest.as_bytes();
    if bytes.first() != Some(&b'\'') {
        return None;
    }
    let letter = |at: usize| {
        let byte = bytes.get(at).copied().unwrap_or(0);
        if any_case { byte.to_ascii_lowercase() } else { byte }
    };
    match (letter(1), letter(2)) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r', b'e') | (b'v', b'e') | (b'l', b'l') => Some(3),
        _ => None,
    }
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return match c {
            'a'..='z' | 'A'..='Z' => Kind::Letter,
            '0'..='9' => Kind::Number,
            ' ' | '\t'..='\r' => Kind::Space,
            _ => Kind::Other,
        };
    }
    // `char::is_numeric` is \p{N}; `char::is_alphabetic` is wider than \p{L}, hence the table.
    if letters().contains(c) {
        Kind::Letter
    } else if c.is_numeric() {
        Kind::Number
    } else if c.is_whitespace() {
        Kind::Space
    } else {
        Kind::Other
    }
}

fn is_default_punctuation(c: char) -> bool {
    matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '~' | '|') || punctuation().contains(c)
}

/// A general category of Unicode as sorted, disjoint ranges of characters.
struct Category(Vec<(char, char)>);

impl Category {
    fn of(class: &str) -> Self {
        let ranges = match regex_syntax::parse(class).map(regex_syntax::hir::Hir::into_kind) {
            Ok(HirKind::Class(Class::Unicode(class))) => {
                class.iter().map(|range| (range.start(), range.end())).collect()
            }
            _ => Vec::new(),
        };
        debug_assert!(!ranges.is_empty(), "{class} is not a class of characters");
        Category(ranges)
    }

    fn contains(&self, c: char) -> bool {
        let after = self.0.partition_point(|&(start, _)| start <= c);
        after > 0 && c <= self.0[after - 1].1
    }
}

fn letters() -> &'static Category {
    static LETTERS: OnceLock<Category> = OnceLock::new();
    LETTERS.get_or_init(|| Category::of(r"\p{L}"))
}

fn punctuation() -> &'static Category {
    static PUNCTUATION: OnceLock<Category> = OnceLock::new();
    PUNCTUATION.get_or_init(|| Category::of(r"\p{P}"))
}

#[cfg(test)]
mod tests {
    use fancy_regex::Regex;
    use proptest::prelude::*;

    use super::*;

    const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// The cut that the expressions themselves make: matches, and what lies between them.
    fn oracle(expressions: &[&str], text: &str) -> Vec<String> {
        let mut pieces = vec![text.to_owned()];
        for expression in expressions {
            let regex = Regex::new(expression).unwrap();
            let mut next = Vec::new();
            for piece in &pieces {
                let mut done = 0;
                for found in regex.find_iter(piece) {
                    let found = found.unwrap();
                    next.push(piece[done..found.start()].to_owned());
                    next.push(found.as_str().to_owned());
                    done = found.end();
                }
                next.push(piece[done..].to_owned());
            }
            pieces = next;
            pieces.retain(|piece| !piece.is_empty());
        }
        pieces
    }

    fn words(split: Split, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        split.words(text, &mut |word| words.push(word.to_owned()));
        words
    }

    fn cases() -> Vec<(Split, Vec<&'static str>)> {
        vec![
            (Split::Llama3, vec![LLAMA3]),
            (Split::Qwen2, vec![QWEN2]),
            (Split::Gpt2, vec![GPT2]),
            (Split::SmolLm, vec![r"\p{N}", GPT2]),
            (Split::Default, vec![r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
        ]
    }

    #[test]
    fn every_split_cuts_where_its_expressions_cut() {
        let texts = [
            "",
            " ",
            "Hello, world! It's 2024; they'LL owe 1234567 €.",
            "  leading and trailing  ",
            "tabs\tand\n\n  newlines \r\n\r\n x",
            "a  b   c\n   d",
            "中文字符 和 日本語のテキスト、한국어",
            "العربية ١٢٣ ٤٥٦٧",
            "emoji 👩‍👩‍👧 🇫🇷 e\u{301}",
            "x²½Ⅷ \u{a0}\u{2003}\u{3000}y",
            "\u{0}\u{1}\u{7f}\u{85}\u{200b}",
            "'s 'S 'ſ '' 'l 'll 'v",
            "a+b=c <|im_end|> $100",
        ];
        for (split, expressions) in cases() {
            for text in texts {
                assert_eq!(words(split, text), oracle(&expressions, text), "{split:?} {text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_split_cuts_random_text_where_its_expressions_cut(
            text in "([ \t\r\n'a-eé中٣½0-9!<|>\u{a0}\u{301}👍$.]|'(s|LL|re|VE)|\\PC){0,60}"
        ) {
            for (split, expressions) in cases() {
                prop_assert_eq!(words(split, &text), oracle(&expressions, &text), "{:?}", split);
            }
        }
    }
}

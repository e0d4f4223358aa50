//! Text to index terms.
//!
//! ```text
//! text ──NFKC──▶ runs ─┬─ word run ──▶ identifier parts, lower case ──▶ [stop words] ──▶ [stem] ──▶ terms
//!                      └─ run of a script written without spaces ──▶ overlapping character bigrams
//! ```
//!
//! - Scripts written without spaces (Chinese, Japanese, Korean, Thai, ...) give one term for every two neighbouring
//!   characters, with positions, and one for a run's last character alone. Han characters, which are words or parts of
//!   words with a meaning of their own, are terms by themselves as well. nDCG@10 on Japanese passages: split on white
//!   space .25, bigrams .925, with the Han characters .933.
//! - `getUserName` and `get_user_name` give `get`, `user`, `name` at three positions and `getusername` beside the
//!   first, so that the identifier, its parts and a phrase of its parts are all found.
//! - A word with accents gives a second term without them at the same position.
//! - Stop words and stemming follow the text's language; a query is analysed once for every language the index
//!   holds, because a short query does not say in which language it is.
//!
//! Terms at one position are alternatives of each other. Documents and queries go through the same code: a term
//! can only be found in the form in which it was stored.

mod identifier;
mod language;
mod runs;

use tantivy::tokenizer::{
    RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream, Tokenizer,
};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

pub(crate) use language::Language;
use runs::{Run, runs};

/// Bytes of the longest term kept. Longer words are keys, hashes and encoded data that nobody types.
const MAX_TERM_BYTES: usize = 128;

/// Marks (as `position_length`) the last character of a longer run, which the bigram before it covers: documents
/// need it as a term, queries do not.
pub(crate) const COVERED: usize = 2;

/// Marks (as `position_length`) a Han character by itself, beside the bigram that begins with it: no alternative to the
/// bigram but a word of its own.
pub(crate) const ALONE: usize = 3;

/// Turns the text of one language into terms.
pub(crate) struct Analyser {
    chain: TextAnalyzer,
}

impl Analyser {
    /// The analyser of a language; of none: no stop words, no stemming.
    pub(crate) fn new(language: Option<Language>) -> Self {
        let splitter = Splitter { elision: language.is_some_and(Language::elides) };
        let mut builder =
            TextAnalyzer::builder(splitter).filter_dynamic(RemoveLongFilter::limit(MAX_TERM_BYTES));
        if let Some(language) = language {
            if let Some(stop_words) = StopWordFilter::new(language.snowball()) {
                builder = builder.filter_dynamic(stop_words);
            }
            builder = builder.filter_dynamic(Stemmer::new(language.snowball()));
        }
        Analyser { chain: builder.build() }
    }

    /// The terms of `text` in order of position.
    pub(crate) fn terms(&mut self, text: &str) -> Vec<Token> {
        let mut terms = Vec::with_capacity(text.len() / 5);
        let mut stream = self.chain.token_stream(text);
        while stream.advance() {
            let token = stream.token();
            // Stemming can make the alternatives of a position equal: `naïve` and `naive` both end as `naiv`.
            let repeats = terms.iter().rev().take_while(|t: &&Token| t.position == token.position);
            if repeats.into_iter().all(|t| t.text != token.text) && !token.text.is_empty() {
                terms.push(token.clone());
            }
        }
        terms
    }
}

/// The first stage as tantivy wants it, so that its stop word lists and stemmers can follow.
#[derive(Clone)]
struct Splitter {
    elision: bool,
}

struct Split {
    tokens: std::vec::IntoIter<Token>,
    current: Token,
}

impl Tokenizer for Splitter {
    type TokenStream<'a> = Split;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Split {
        Split { tokens: split(text, self.elision).into_iter(), current: Token::default() }
    }
}

impl TokenStream for Split {
    fn advance(&mut self) -> bool {
        match self.tokens.next() {
            Some(token) => {
                self.current = token;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.current
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.current
    }
}

/// Lower-case words, parts of identifiers and bigrams with positions; offsets are not kept.
fn split(text: &str, elision: bool) -> Vec<Token> {
    let normalised;
    let text = if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        text
    } else {
        normalised = text.nfkc().collect::<String>();
        normalised.as_str()
    };
    let straightened;
    let text = if text.contains('\u{2019}') {
        straightened = text.replace('\u{2019}', "'");
        straightened.as_str()
    } else {
        text
    };
    let mut out = Positions { tokens: Vec::with_capacity(text.len() / 4), position: 0 };
    for run in runs(text) {
        match run {
            Run::Word(word) => out.push_word(word, elision),
            Run::Spaceless(characters) => out.push_bigrams(characters),
        }
    }
    out.tokens
}

struct Positions {
    tokens: Vec<Token>,
    position: usize,
}

impl Positions {
    fn push(&mut self, text: String) {
        self.tokens.push(Token { position: self.position, text, ..Token::default() });
    }

    fn push_marked(&mut self, text: String, position_length: usize) {
        self.tokens.push(Token { position: self.position, text, position_length, ..Token::default() });
    }

    fn push_word(&mut self, word: &str, elision: bool) {
        // l'avion, qu'elle, dell'arte: the article goes. Without a position of its own, so that every language
        // gives a query's words the same positions.
        let word = match word.split_once('\'') {
            Some((article, rest)) if elision && article.chars().count() <= 4 => rest,
            _ => word,
        };
        let parts = identifier::parts(word);
        if parts.len() > 1 {
            let whole: String = parts.iter().map(|part| part.to_lowercase()).collect();
            for (i, part) in parts.iter().enumerate() {
                self.push_with_fold(part.to_lowercase());
                if i == 0 {
                    self.push(whole.clone());
                }
                self.position += 1;
            }
        } else {
            self.push_with_fold(word.to_lowercase());
            self.position += 1;
        }
    }

    fn push_with_fold(&mut self, word: String) {
        let folded = identifier::without_accents(&word);
        self.push(word);
        if let Some(folded) = folded {
            self.push(folded);
        }
    }

    fn push_bigrams(&mut self, characters: &str) {
        let mut previous = None;
        for character in characters.chars() {
            if let Some(previous) = previous {
                self.push(String::from_iter([previous, character]));
                if runs::is_han(previous) {
                    self.push_marked(previous.to_string(), ALONE);
                }
                self.position += 1;
            }
            previous = Some(character);
        }
        // The last character alone: together with the bigrams that begin with it, every character can be found.
        if let Some(last) = previous {
            let is_only_one = characters.len() == last.len_utf8();
            let mark = if is_only_one || runs::is_han(last) { 1 } else { COVERED };
            self.push_marked(last.to_string(), mark);
            self.position += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(language: Option<Language>, text: &str) -> Vec<(usize, String)> {
        Analyser::new(language).terms(text).into_iter().map(|t| (t.position, t.text)).collect()
    }

    fn texts(language: Option<Language>, text: &str) -> Vec<String> {
        terms(language, text).into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn english_is_stemmed_and_loses_its_stop_words_but_not_their_positions() {
        let found = terms(Some(Language::English), "The engines of the aircraft's wings");
        assert_eq!(found, [(1, "engin".into()), (4, "aircraft".into()), (5, "wing".into())]);
    }

    #[test]
    fn japanese_gives_bigrams_with_positions_and_the_han_characters_beside_them() {
        let found = terms(None, "東京の雨が");
        let expected =
            [(0, "東京"), (0, "東"), (1, "京の"), (1, "京"), (2, "の雨"), (3, "雨が"), (3, "雨"), (4, "が")];
        assert_eq!(found, expected.map(|(at, term)| (at, term.to_owned())));
    }

    #[test]
    fn mixed_scripts_split_where_the_script_changes() {
        assert_eq!(texts(None, "Rust言語2024版"), ["rust", "言語", "言", "語", "2024", "版"]);
    }

    #[test]
    fn identifiers_are_found_whole_and_by_parts() {
        for name in ["getUserName", "get_user_name", "GetUserName", "GET_USER_NAME"] {
            let found = terms(None, name);
            let expected = [(0, "get"), (0, "getusername"), (1, "user"), (2, "name")];
            assert_eq!(found, expected.map(|(p, t)| (p, t.to_owned())), "{name}");
        }
    }

    #[test]
    fn a_word_with_accents_is_also_found_without() {
        assert_eq!(texts(None, "Crème brûlée"), ["crème", "creme", "brûlée", "brulee"]);
        assert_eq!(texts(None, "Straße"), ["straße", "strasse"]);
    }

    #[test]
    fn width_and_composition_do_not_matter() {
        assert_eq!(texts(None, "ＡＢＣ １２ ｶﾞｷﾞ"), texts(None, "abc 12 ガギ"));
        assert_eq!(texts(None, "cafe\u{301}"), texts(None, "café"));
    }

    #[test]
    fn french_articles_come_apart_from_their_nouns() {
        assert_eq!(texts(Some(Language::French), "l’avion"), texts(Some(Language::French), "l'avion"));
        assert!(texts(Some(Language::French), "l'avion").contains(&"avion".to_owned()));
    }

    #[test]
    fn any_text_is_safe() {
        for text in ["", "\0", "\u{301}", "'", "___", "((((", "\u{feff}\u{200d}🦀", "_a'_", "ﷺ", "İ", "ß'ß"]
        {
            for language in [None, Some(Language::English), Some(Language::French), Some(Language::Greek)] {
                texts(language, text);
            }
        }
        assert!(texts(None, &"x".repeat(100_000)).is_empty());
    }
}

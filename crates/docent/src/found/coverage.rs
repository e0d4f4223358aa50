//! Which of a question's words stand where in what was found.
//!
//! A question's content words are weighted by how rare they are among the passages that were found, after Spärck Jones (1972, "A
//! statistical interpretation of term specificity"): w = ln(1 + N / (n + 1/2)) for a word that n of N passages hold. Passages found for a
//! question hold its words more often than others; what weighs much here is what even they do not say.

use std::collections::{BTreeSet, HashSet};

use docent_retrieve::Hit;

use crate::cite::words;

/// Words that carry grammar, and those that ask. What is left of a question is what it is about.
const GRAMMAR: &str = "a about after all also am an and any are as at be been before but by can could did do does for from get \
    gets go goes got had has have he her his how i if in into is it its long many may me mine much must my no not of often on one \
    or our ours shall she should so than that the their them then there these they this those to two under us was we were what when \
    where which who whom whose why will with would you your";
/// Pairs of ideographs that ask.
const ASKING: [&str; 16] = [
    "什么", "多少", "怎么", "为什", "哪些", "哪里", "哪个", "几个", "几天", "是谁", "教え", "何分", "何時",
    "何人", "何年", "何日",
];
/// Beginnings of questions, and words in them, that ask for a number, an amount or a date.
const ASKS_NUMBER: [&str; 26] = [
    "how many",
    "how much",
    "how long",
    "how often",
    "how big",
    "how old",
    "how hot",
    "how far",
    "how high",
    "how tall",
    "how fast",
    "how quickly",
    "how late",
    "how early",
    "how large",
    "when ",
    "what time",
    "which year",
    "what year",
    "which day",
    "what share",
    "what percentage",
    "phone number",
    "what date",
    "which version",
    "which number",
];
/// The same where no spaces stand between words.
const ASKS_NUMBER_IDEOGRAPHIC: [&str; 14] = [
    "多少",
    "几个",
    "几天",
    "几点",
    "何分",
    "何時",
    "何人",
    "何年",
    "何日",
    "いくら",
    "いくつ",
    "どれくらい",
    "割合",
    "什么时候",
];
/// Numbers that are written out.
const NUMBER_WORDS: &str = "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty \
    hundred thousand million half quarter once twice dozen daily weekly monthly yearly annually hourly first second third fourth fifth \
    january february march april may june july august september october november december monday tuesday wednesday thursday friday \
    saturday sunday spring summer autumn winter";

/// A content word of a question.
#[derive(Debug, Clone, PartialEq)]
struct Word {
    text: String,
    weight: f32,
    /// A name, or a number: what cannot be said otherwise.
    is_name: bool,
}

/// What a question asks about, weighed against the passages found for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    words: Vec<Word>,
    asks_number: bool,
    /// All words of the question, those of grammar too.
    said: HashSet<String>,
    /// Share of the weight that none of the passages holds.
    pub absent: f32,
    /// Number of words that none of them holds.
    pub n_absent: usize,
}

impl Wanted {
    pub(super) fn new(question: &str, hits: &[Hit]) -> Self {
        let passages: Vec<BTreeSet<String>> = hits.iter().map(words_of_passage).collect();
        let mut wanted = Self {
            words: content_words(question),
            asks_number: asks_number(question),
            said: words(question).into_iter().collect(),
            absent: 0.0,
            n_absent: 0,
        };
        for word in &mut wanted.words {
            let n_holding = passages.iter().filter(|passage| passage.contains(&word.text)).count();
            word.weight = (1.0 + passages.len() as f32 / (n_holding as f32 + 0.5)).ln();
            if n_holding == 0 {
                wanted.absent += word.weight;
                wanted.n_absent += 1;
            }
        }
        wanted.absent /= wanted.words.iter().map(|word| word.weight).sum::<f32>().max(f32::MIN_POSITIVE);
        wanted
    }

    /// The share of the weight that `held` holds; 0 where the question has no content word.
    pub(super) fn share(&self, held: &BTreeSet<String>) -> f32 {
        self.share_of(held, |_| true).unwrap_or(0.0)
    }

    /// The same of names and numbers alone; `None` where the question has none.
    pub(super) fn share_of_names(&self, held: &BTreeSet<String>) -> Option<f32> {
        self.share_of(held, |word| word.is_name)
    }

    fn share_of(&self, held: &BTreeSet<String>, counts: impl Fn(&Word) -> bool) -> Option<f32> {
        let (mut there, mut all) = (0.0, 0.0);
        for word in self.words.iter().filter(|word| counts(word)) {
            all += word.weight;
            there += if held.contains(&word.text) { word.weight } else { 0.0 };
        }
        (all > 0.0).then(|| there / all)
    }

    /// Whether a text holds something of the kind that is asked for: a number or a date that the question does not name itself, where it
    /// asks for one.
    pub(super) fn may_answer(&self, text: &str) -> bool {
        !self.asks_number || text.split(|c: char| !c.is_alphanumeric()).any(|word| self.is_new_number(word))
    }

    fn is_new_number(&self, word: &str) -> bool {
        let lower = word.to_lowercase();
        if self.said.contains(&lower) || words(word).iter().any(|stem| self.said.contains(stem)) {
            return false;
        }
        let is_written = NUMBER_WORDS.split_whitespace().any(|number| number == lower);
        is_written || word.chars().any(|c| c.is_ascii_digit() || is_ideographic_number(c))
    }
}

/// The words of a passage, of its headings and of its file's name.
fn words_of_passage(hit: &Hit) -> BTreeSet<String> {
    let mut held: BTreeSet<String> = words(&hit.chunk.text).into_iter().collect();
    held.extend(words_around(hit));
    held
}

/// The words above a passage: headings, title and the file's name.
pub(super) fn words_around(hit: &Hit) -> BTreeSet<String> {
    let chunk = &hit.chunk;
    let name = chunk.path.file_stem().unwrap_or_default().to_string_lossy();
    let above = chunk.heading_path.iter().map(String::as_str).chain(chunk.title.as_deref());
    above.chain([&*name]).flat_map(words).collect()
}

/// What a question is about, each word once.
fn content_words(question: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut is_first = true;
    for said in question.split(|c: char| !c.is_alphanumeric()).filter(|said| !said.is_empty()) {
        let is_name = said.chars().any(char::is_numeric)
            || (!is_first && said.chars().next().is_some_and(char::is_uppercase));
        is_first = false;
        let lower = said.to_lowercase();
        if GRAMMAR.split_whitespace().any(|word| word == lower)
            || lower.chars().count() < 2 && lower.is_ascii()
        {
            continue;
        }
        for text in words(said).into_iter().filter(|text| !asks(text)) {
            if found.iter().all(|known| known.text != text) {
                found.push(Word { text, weight: 1.0, is_name });
            }
        }
    }
    found
}

/// Whether a pair of ideographs only asks, or is grammar: Japanese writes that in hiragana alone.
fn asks(pair: &str) -> bool {
    let is_grammar = pair.chars().all(|c| matches!(c, '\u{3040}'..='\u{309f}'));
    is_grammar || ASKING.contains(&pair)
}

fn asks_number(question: &str) -> bool {
    let lower = question.to_lowercase();
    ASKS_NUMBER.iter().any(|words| lower.contains(words))
        || ASKS_NUMBER_IDEOGRAPHIC.iter().any(|words| lower.contains(words))
}

fn is_ideographic_number(c: char) -> bool {
    "一二三四五六七八九十百千万零〇両半".contains(c)
}

/// The content words of a question as they are said, in order: what a question that follows it may leave out.
pub(crate) fn said_content(question: &str) -> Vec<&str> {
    let is_grammar = |said: &str| {
        let lower = said.to_lowercase();
        GRAMMAR.split_whitespace().any(|word| word == lower) || (lower.len() < 2 && lower.is_ascii())
    };
    question
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’' | '.'))
        .map(|said| said.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|said| !said.is_empty() && !is_grammar(said))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(question: &str) -> Vec<String> {
        content_words(question).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn what_asks_is_not_what_is_asked_about() {
        assert_eq!(texts("How much rain fell in the garden?"), ["rain", "fell", "garden"]);
        assert_eq!(texts("玉龙雪山的门票多少钱？")[..3], ["玉龙", "龙雪", "雪山"]);
        assert!(!texts("玉龙雪山的门票多少钱？").contains(&"多少".to_owned()));
    }

    #[test]
    fn names_and_numbers_cannot_be_said_otherwise() {
        let names: Vec<String> = content_words("What does fault code F99 cost in Porto?")
            .into_iter()
            .filter(|word| word.is_name)
            .map(|word| word.text)
            .collect();
        assert_eq!(names, ["f99", "porto"]);
    }

    #[test]
    fn a_number_of_the_question_answers_no_question_for_a_number() {
        let wanted = Wanted::new("How many eggs go into the 12 cakes?", &[]);
        assert!(!wanted.may_answer("The guests eat 12 cakes."));
        assert!(wanted.may_answer("Take 3 eggs."));
        assert!(Wanted::new("Who bakes?", &[]).may_answer("Ada."));
    }
}

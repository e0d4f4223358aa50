//! Which of a question's words stand where in what was found.
//!
//! A question's content words are weighted by how rare they are, after Spärck Jones (1972, "A statistical interpretation of term
//! specificity"): w = ln(1 + N / (n + 1/2)) for a word that n of N passages hold. The passages are those that were found, and [`N_USUAL`]
//! more that nobody wrote, which hold the word as often as the language does: among two passages every word that is not there would
//! be as rare as any other, a name no more than "new".
//!
//! How often the language uses a word is told by its rank in the embedding model's vocabulary, after Zipf (1935): the word of rank r is
//! every (10 r)th or so.

use std::collections::{BTreeSet, HashMap, HashSet};

use docent_embed::Embedder;
use docent_retrieve::Hit;

use super::weighed::WeighedWord;
use crate::Error;
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
/// Pairs of words that ask for a number, an amount or a date, and say no more than that.
const ASKS_NUMBER: [&str; 23] = [
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
    "how deep",
    "how wide",
    "how heavy",
    "how fast",
    "how quickly",
    "how late",
    "how early",
    "how large",
    "what time",
    "which year",
    "what year",
    "which day",
    "what date",
];
/// Words that ask for one and say which.
const NAMES_NUMBER: [&str; 6] =
    ["when ", "what share", "what percentage", "phone number", "which version", "which number"];
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

/// A word, as it is said and without its ending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term {
    stem: String,
    said: String,
}

impl Term {
    /// Whether two words are forms or parts of each other: "variety" and "varieties", "hail" and "hailstorm".
    fn is_like(&self, other: &Self) -> bool {
        if self.stem == other.stem {
            return true;
        }
        let (a, b) = (self.stem.as_str(), other.stem.as_str());
        let n_common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
        let (short, long) =
            (a.chars().count().min(b.chars().count()), a.chars().count().max(b.chars().count()));
        let is_part = n_common == short && n_common as f32 >= PART_OF * long as f32;
        n_common >= SHORTEST_COMMON && (is_part || n_common as f32 >= FORM_OF * long as f32)
    }

    /// Whether the embedding model may know what the word means by itself: the catalogue's know Latin letters.
    fn has_meaning(&self) -> bool {
        self.said.chars().all(|c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | 'À'..='ɏ'))
    }
}

/// Letters that two words must begin with to be forms of each other, and their share of the longer one; as a part of it, less will do.
const SHORTEST_COMMON: usize = 4;
const FORM_OF: f32 = 0.6;
const PART_OF: f32 = 0.4;

/// Passages as the language has them, that count beside those found.
const N_USUAL: f32 = 32.0;
/// Words of such a passage, over Zipf's ten: a word of rank r is expected this often in it, over r.
const USUAL_WORDS: f32 = 20.0;
/// Rank of a word that the vocabulary does not have.
const RANK_OF_RARE: u32 = 50_000;

/// How many of the usual passages hold a word of this rank.
fn usual_holding(rank: Option<u32>) -> f32 {
    N_USUAL * (1.0 - (-USUAL_WORDS / rank.unwrap_or(RANK_OF_RARE) as f32).exp())
}

/// What a question asks about, weighed against the passages found for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// Each with its weight and whether none of the passages holds it.
    words: Vec<(Term, f32, bool)>,
    asks_number: bool,
    /// All words of the question, those of grammar too.
    said: HashSet<String>,
    /// Share of the weight that none of the passages holds.
    pub absent: f32,
}

impl Wanted {
    /// `rank` is how far down a word stands by how often it is used.
    pub(super) fn new(question: &str, hits: &[Hit], rank: &dyn Fn(&str) -> Option<u32>) -> Self {
        let passages: Vec<BTreeSet<Term>> = hits.iter().map(terms_of_passage).collect();
        let weigh = |term: Term| {
            let n_holding = passages.iter().filter(|passage| holds(passage, &term)).count();
            let usual = if term.has_meaning() { usual_holding(rank(&term.said)) } else { 0.0 };
            let weight = (1.0 + (passages.len() as f32 + N_USUAL) / (n_holding as f32 + usual + 0.5)).ln();
            (term, weight, n_holding == 0)
        };
        let words: Vec<(Term, f32, bool)> = content_words(question).into_iter().map(weigh).collect();
        let all: f32 = words.iter().map(|(_, weight, _)| weight).sum();
        let absent: f32 =
            words.iter().filter(|(.., is_absent)| *is_absent).map(|(_, weight, _)| weight).sum();
        Self {
            asks_number: asks_number(question),
            said: words_said(question),
            absent: if all > 0.0 { absent / all } else { 0.0 },
            words,
        }
    }

    /// The share of the words that the embedding model may know; 1 where the question has no content word.
    pub(super) fn understood(&self) -> f32 {
        let n_known = self.words.iter().filter(|(term, ..)| term.has_meaning()).count();
        if self.words.is_empty() { 1.0 } else { n_known as f32 / self.words.len() as f32 }
    }

    /// The share of the weight that `held` holds; 0 where the question has no content word.
    pub(super) fn share(&self, held: &BTreeSet<Term>) -> f32 {
        self.mean(|term| if holds(held, term) { 1.0 } else { 0.0 })
    }

    /// The same, where a word that is not there counts as much as the word there that means most nearly the same.
    pub(super) fn share_of_meaning(&self, held: &BTreeSet<Term>, meanings: &Meanings) -> f32 {
        self.mean(|term| if holds(held, term) { 1.0 } else { meanings.nearest(term, held) })
    }

    /// The words, for looking at them.
    pub(super) fn weighed(&self) -> Vec<WeighedWord> {
        let weighed = |(term, weight, is_absent): &(Term, f32, bool)| WeighedWord {
            said: term.said.clone(),
            weight: *weight,
            is_absent: *is_absent,
        };
        self.words.iter().map(weighed).collect()
    }

    fn mean(&self, value: impl Fn(&Term) -> f32) -> f32 {
        let all: f32 = self.words.iter().map(|(_, weight, _)| weight).sum();
        let there: f32 = self.words.iter().map(|(term, weight, _)| weight * value(term)).sum();
        if all > 0.0 { there / all } else { 0.0 }
    }

    /// The words of the question and of `windows`, as vectors.
    pub(super) fn meanings(
        &self,
        windows: &[&BTreeSet<Term>],
        embedder: &Embedder,
    ) -> Result<Meanings, Error> {
        let of_question = self.words.iter().map(|(term, ..)| term);
        let all = of_question.chain(windows.iter().flat_map(|window| window.iter()));
        let said: BTreeSet<&str> =
            all.filter(|term| term.has_meaning()).map(|term| term.said.as_str()).collect();
        let said: Vec<&str> = said.into_iter().collect();
        let vectors = if said.is_empty() { Vec::new() } else { embedder.embed(&said)? };
        Ok(Meanings(said.into_iter().map(str::to_owned).zip(vectors).collect()))
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

/// Unit vectors of words.
pub(super) struct Meanings(HashMap<String, Vec<f32>>);

impl Meanings {
    /// Cosine of `term` with the word of `held` that means most nearly the same; 0 where nothing is known of it.
    fn nearest(&self, term: &Term, held: &BTreeSet<Term>) -> f32 {
        let Some(wanted) = self.0.get(&term.said).filter(|_| term.has_meaning()) else { return 0.0 };
        let cosine = |other: &Vec<f32>| wanted.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
        held.iter().filter_map(|other| self.0.get(&other.said)).map(cosine).fold(0.0, f32::max)
    }
}

fn holds(held: &BTreeSet<Term>, term: &Term) -> bool {
    held.iter().any(|other| term.is_like(other))
}

/// The words of a passage, of its headings and of its file's name.
fn terms_of_passage(hit: &Hit) -> BTreeSet<Term> {
    let mut held = terms(&hit.chunk.text);
    held.extend(terms_around(hit));
    held
}

/// The words above a passage: headings, title and the file's name.
pub(super) fn terms_around(hit: &Hit) -> BTreeSet<Term> {
    let chunk = &hit.chunk;
    let name = chunk.path.file_stem().unwrap_or_default().to_string_lossy();
    let above = chunk.heading_path.iter().map(String::as_str).chain(chunk.title.as_deref());
    above.chain([&*name]).flat_map(terms).collect()
}

/// How many words `held` has that `others` has not.
pub(super) fn n_beyond(held: &BTreeSet<Term>, others: &BTreeSet<Term>) -> usize {
    let known: HashSet<&str> = others.iter().map(|term| term.stem.as_str()).collect();
    let new: HashSet<&str> = held.iter().map(|term| term.stem.as_str()).collect();
    new.difference(&known).count()
}

/// The share of the numbers of a question, and of its names that have digits, "flat 2A", "version 2.0", that none of `hits` has; 0 where it
/// names none. A text about the right thing in another year, version or size does not answer.
pub(super) fn numbers_absent(question: &str, hits: &[&Hit]) -> f32 {
    let trimmed = question.split_whitespace().map(|said| said.trim_matches(|c: char| !c.is_alphanumeric()));
    let numbers: Vec<String> =
        trimmed.filter(|said| said.contains(|c: char| c.is_ascii_digit())).map(str::to_lowercase).collect();
    let texts: Vec<String> = hits.iter().map(|hit| said_in(hit).to_lowercase()).collect();
    let n_absent = numbers.iter().filter(|number| !texts.iter().any(|text| has_number(text, number))).count();
    n_absent as f32 / numbers.len().max(1) as f32
}

/// A passage, its headings and its file's name.
fn said_in(hit: &Hit) -> String {
    let chunk = &hit.chunk;
    let name = chunk.path.file_name().unwrap_or_default().to_string_lossy();
    format!("{}\n{}\n{name}", chunk.text, chunk.heading_path.join("\n"))
}

/// Whether `text` has `number` by itself, not as a part of a longer one: "35" is in "35 kg" and in "35kg", not in "351" nor in "B35".
fn has_number(text: &str, number: &str) -> bool {
    let ends_in_digit = number.ends_with(|c: char| c.is_ascii_digit());
    text.match_indices(number).any(|(at, _)| {
        let goes_on = |c: char| if ends_in_digit { c.is_ascii_digit() } else { c.is_alphanumeric() };
        !text[..at].ends_with(char::is_alphanumeric) && !text[at + number.len()..].starts_with(goes_on)
    })
}

/// The words of a text that are more than grammar.
pub(super) fn terms(text: &str) -> BTreeSet<Term> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|said| !is_grammar(said))
        .flat_map(terms_of_word)
        .collect()
}

/// A word; several where none is parted from the next.
fn terms_of_word(said: &str) -> Vec<Term> {
    let stems = words(said);
    let is_one = stems.len() == 1;
    let of_stem = |stem: String| Term { said: if is_one { said.to_lowercase() } else { stem.clone() }, stem };
    stems.into_iter().filter(|stem| !asks(stem)).map(of_stem).collect()
}

fn is_grammar(said: &str) -> bool {
    let lower = said.to_lowercase();
    lower.is_empty()
        || lower.len() < 2 && lower.is_ascii()
        || GRAMMAR.split_whitespace().any(|word| word == lower)
}

fn words_said(question: &str) -> HashSet<String> {
    let said = question.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    said.chain(words(question)).collect()
}

/// What a question is about, each word once, in its order.
fn content_words(question: &str) -> Vec<Term> {
    let mut found: Vec<Term> = Vec::new();
    let mut before = "";
    for said in question.split(|c: char| !c.is_alphanumeric()).filter(|said| !said.is_empty()) {
        let only_asks = ASKS_NUMBER.contains(&format!("{before} {said}").to_lowercase().as_str());
        before = said;
        if only_asks || is_grammar(said) {
            continue;
        }
        for term in terms_of_word(said) {
            if found.iter().all(|known| known.stem != term.stem) {
                found.push(term);
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
    ASKS_NUMBER.iter().chain(&NAMES_NUMBER).any(|words| lower.contains(words))
        || ASKS_NUMBER_IDEOGRAPHIC.iter().any(|words| lower.contains(words))
}

fn is_ideographic_number(c: char) -> bool {
    "一二三四五六七八九十百千万零〇両半".contains(c)
}

/// The content words of a question as they are said, in order: what a question that follows it may leave out.
pub(crate) fn said_content(question: &str) -> Vec<&str> {
    question
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’' | '.'))
        .map(|said| said.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|said| !said.is_empty() && !is_grammar(said))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::tests::hit;

    fn stems(question: &str) -> Vec<String> {
        content_words(question).into_iter().map(|term| term.stem).collect()
    }

    fn is_held(word: &str, text: &str) -> bool {
        holds(&terms(text), &terms_of_word(word)[0])
    }

    #[test]
    fn what_asks_is_not_what_is_asked_about() {
        assert_eq!(stems("How much rain fell in the garden?"), ["rain", "fell", "garden"]);
        assert_eq!(stems("How high is the rent?"), ["rent"], "the height of it is not asked for");
        assert_eq!(stems("玉龙雪山的门票多少钱？")[..3], ["玉龙", "龙雪", "雪山"]);
        assert!(!stems("玉龙雪山的门票多少钱？").contains(&"多少".to_owned()));
    }

    #[test]
    fn a_common_word_that_is_absent_weighs_less_than_a_rare_one() {
        let rank = |word: &str| Some(if word == "new" { 50 } else { 9000 });
        let absent =
            |question| Wanted::new(question, &[hit(1, "The rent is 840 euros.", 0, 0.5)], &rank).absent;
        assert!(absent("the new rent") < 0.4, "{}", absent("the new rent"));
        assert!(absent("the rent of the observatory") > 0.5, "{}", absent("the rent of the observatory"));
    }

    #[test]
    fn a_word_is_held_in_its_other_forms_and_not_in_its_neighbours() {
        assert!(is_held("hailstorm", "A storm with hail."));
        assert!(is_held("varieties", "an old variety"));
        assert!(is_held("insurer", "The insurance pays."));
        assert!(!is_held("conference", "the container"));
        assert!(!is_held("cat", "the catalogue"));
    }

    #[test]
    fn a_number_is_in_a_text_by_itself_or_not_at_all() {
        assert!(has_number("it weighs 35kg", "35"));
        assert!(!has_number("351 of type b35", "35"));
        assert!(!has_number("flat 2ab", "2a"));
        let hit = hit(1, "Flat 3B costs 840 since 2023.", 0, 0.5);
        assert_eq!(numbers_absent("the rent of flat 3B in 2022?", &[&hit]), 0.5);
        assert_eq!(numbers_absent("the rent", &[&hit]), 0.0);
        assert_eq!(numbers_absent("version 2.0", &[]), 1.0);
    }

    #[test]
    fn a_number_of_the_question_answers_no_question_for_a_number() {
        let wanted = Wanted::new("How many eggs go into the 12 cakes?", &[], &|_| None);
        assert!(!wanted.may_answer("The guests eat 12 cakes."));
        assert!(wanted.may_answer("Take 3 eggs."));
        assert!(Wanted::new("Who bakes?", &[], &|_| None).may_answer("Ada."));
    }
}

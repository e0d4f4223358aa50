//! A question's text to a tantivy query. Any text is a valid question; there is no syntax but quotation marks.
//!
//! Every word is one clause of an OR; its forms (one for each language of the index, with and without accents,
//! whole identifier and part) are alternatives of which the best counts. "Quoted words" are a phrase: beside other
//! words it adds to the score; if the question is nothing but phrases, they must occur.

use tantivy::query::{BooleanQuery, BoostQuery, DisjunctionMaxQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::Fields;
use crate::analysis::{ALONE, Analyser, COVERED, Language};

/// Bytes of the question that are looked at: several pages, and fast even if they are all punctuation.
const MAX_QUERY_BYTES: usize = 16 * 1024;
/// Words that are looked up. Of longer questions the rarest are kept: they carry the most weight.
const MAX_WORDS: usize = 64;
/// Languages a question is analysed in: the most frequent of the index.
const MAX_LANGUAGES: usize = 4;
/// Bigrams that a single character of a script without spaces is expanded to.
const MAX_EXPANSIONS: usize = 64;

/// Weights of the fields beside the body. Chosen by the evaluation collections; see `docs`.
const HEADING_BOOST: f32 = 0.3;
const NAME_BOOST: f32 = 0.2;
/// Weight of a phrase beside the words of the question.
const PHRASE_BOOST: f32 = 2.0;

/// BM25's k1 in tantivy.
const K1: f32 = 1.2;

/// Where a word stands in the question. A Han character and the bigram that begins with it are two words at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    position: usize,
    alone: bool,
}

/// The words of a stretch of the question: for each slot the terms that mean it.
type Words = Vec<(Slot, Vec<String>)>;

/// What a question comes to.
pub(super) struct Built {
    /// None if no word of the question is in the index.
    pub query: Option<Box<dyn Query>>,
    /// BM25 score of a passage that would say nothing but the question's words, those the index does not know
    /// included: what a score can be measured against.
    pub ceiling: f32,
}

/// The query for `text`.
pub(super) fn build(
    searcher: &Searcher,
    fields: Fields,
    text: &str,
    languages: &[Option<Language>],
) -> tantivy::Result<Built> {
    let (plain, phrases) = cut_phrases(shorten(text));
    let mut analysers = analysers(languages);
    let lookup = Lookup { searcher, fields };

    let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    let only_phrases = plain.chars().all(|c| !c.is_alphanumeric());
    let mut words = words(&mut analysers, &plain);
    for phrase in &phrases {
        let in_phrase = self::words(&mut analysers, phrase);
        if let Some(query) = lookup.phrase(&mut analysers, phrase)? {
            let (occur, boost) =
                if only_phrases { (Occur::Must, 1.0) } else { (Occur::Should, PHRASE_BOOST) };
            clauses.push((occur, Box::new(BoostQuery::new(query, boost))));
        }
        words.extend(in_phrase);
    }
    let (queries, ceiling) = lookup.words(words)?;
    clauses.extend(queries.into_iter().map(|query| (Occur::Should, query)));
    let query = (!clauses.is_empty()).then(|| Box::new(BooleanQuery::new(clauses)) as Box<dyn Query>);
    Ok(Built { query, ceiling })
}

fn shorten(text: &str) -> &str {
    let end = (0..=MAX_QUERY_BYTES.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// The text outside quotation marks, and the stretches inside. A mark without its partner means nothing.
fn cut_phrases(text: &str) -> (String, Vec<String>) {
    const CLOSING: [(char, &[char]); 4] = [
        ('"', &['"']),
        ('\u{201c}', &['\u{201d}']),
        ('\u{201e}', &['\u{201c}', '\u{201d}']),
        ('\u{ab}', &['\u{bb}']),
    ];
    let mut plain = String::with_capacity(text.len());
    let mut phrases = Vec::new();
    let mut rest = text;
    while let Some((at, opening)) = rest.char_indices().find(|&(_, c)| CLOSING.iter().any(|(o, _)| *o == c)) {
        plain.push_str(&rest[..at]);
        plain.push(' ');
        let inside = &rest[at + opening.len_utf8()..];
        let closing = CLOSING.iter().find(|(o, _)| *o == opening).map_or(&[][..], |(_, c)| c);
        match inside.char_indices().find(|(_, c)| closing.contains(c)) {
            Some((end, mark)) if phrases.len() < MAX_WORDS => {
                phrases.push(inside[..end].to_owned());
                rest = &inside[end + mark.len_utf8()..];
            }
            // No partner in the whole rest: none of the following marks of this kind has one either.
            _ => {
                plain.push_str(inside);
                rest = "";
            }
        }
    }
    plain.push_str(rest);
    (plain, phrases)
}

fn analysers(languages: &[Option<Language>]) -> Vec<Analyser> {
    let mut distinct: Vec<Option<Language>> = Vec::new();
    for language in languages {
        if !distinct.contains(language) && distinct.len() < MAX_LANGUAGES {
            distinct.push(*language);
        }
    }
    if distinct.is_empty() {
        distinct.push(None);
    }
    distinct.into_iter().map(Analyser::new).collect()
}

/// The words of `text` in every language of the index, without the stop words of the question's own language.
///
/// A question's language is the one that finds the most stop words in it. Its stop words are dropped in all
/// languages: `the` is rare in German texts, and would weigh a lot if it were looked for there.
fn words(analysers: &mut [Analyser], text: &str) -> Words {
    let by_language: Vec<Words> = analysers.iter_mut().map(|analyser| by_position(analyser, text)).collect();
    let Some(own) = by_language.iter().min_by_key(|words| words.len()) else { return Words::new() };
    own.iter()
        .map(|(slot, _)| {
            let mut terms: Vec<String> = Vec::new();
            for words in &by_language {
                if let Ok(at) = words.binary_search_by_key(slot, |w| w.0) {
                    for term in &words[at].1 {
                        if !terms.contains(term) {
                            terms.push(term.clone());
                        }
                    }
                }
            }
            (*slot, terms)
        })
        .collect()
}

fn by_position(analyser: &mut Analyser, text: &str) -> Words {
    let mut words = Words::new();
    for token in analyser.terms(text).into_iter().filter(|t| t.position_length != COVERED) {
        let slot = Slot { position: token.position, alone: token.position_length == ALONE };
        match words.last_mut() {
            Some((last, terms)) if *last == slot => terms.push(token.text),
            _ => words.push((slot, vec![token.text])),
        }
    }
    words
}

struct Lookup<'a> {
    searcher: &'a Searcher,
    fields: Fields,
}

impl Lookup<'_> {
    fn doc_freq(&self, field: Field, text: &str) -> tantivy::Result<u64> {
        self.searcher.doc_freq(&Term::from_field_text(field, text))
    }

    /// Greatest BM25 score of a term, by tantivy's formula: idf * (k1 + 1).
    fn greatest_score(&self, doc_freq: u64) -> f32 {
        let (n, n_total) = (doc_freq as f32, self.searcher.num_docs() as f32);
        let idf = (1.0 + ((n_total - n).max(0.0) + 0.5) / (n + 0.5)).ln();
        idf * (K1 + 1.0)
    }

    /// One clause for each different word that occurs in the index, and the greatest sum of their scores; a repeated
    /// word weighs more.
    fn words(&self, words: Words) -> tantivy::Result<(Vec<Box<dyn Query>>, f32)> {
        let mut counted: Vec<(Vec<String>, f32)> = Vec::new();
        let mut known: std::collections::HashMap<Vec<String>, usize> = std::collections::HashMap::new();
        for (_, mut terms) in words {
            terms.sort();
            match known.get(&terms) {
                Some(&at) => counted[at].1 += 1.0,
                None => {
                    known.insert(terms.clone(), counted.len());
                    counted.push((terms, 1.0));
                }
            }
        }
        let mut found: Vec<(u64, Box<dyn Query>)> = Vec::new();
        let mut ceiling = 0.0;
        let is_only_word = counted.len() == 1;
        for (terms, count) in counted {
            // Beside other words a lone character is mostly a particle cut off by a number or a Latin word: as an
            // expansion it would be noise.
            let terms = if is_only_word { self.expand(&terms)? } else { terms };
            let mut in_fields: Vec<(Occur, Box<dyn Query>)> = Vec::new();
            let mut rarest = u64::MAX;
            for (field, boost) in [
                (self.fields.body, 1.0),
                (self.fields.heading, HEADING_BOOST),
                (self.fields.name, NAME_BOOST),
            ] {
                let mut alternatives: Vec<Box<dyn Query>> = Vec::new();
                for term in &terms {
                    let doc_freq = self.doc_freq(field, term)?;
                    if doc_freq > 0 {
                        rarest = rarest.min(doc_freq);
                        let term = Term::from_field_text(field, term);
                        alternatives.push(Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)));
                    }
                }
                if !alternatives.is_empty() {
                    in_fields.push((Occur::Should, boosted(any_of(alternatives), boost)));
                }
            }
            let doc_freq = if rarest == u64::MAX { 0 } else { rarest };
            ceiling += self.greatest_score(doc_freq) * f32::sqrt(count);
            if !in_fields.is_empty() {
                let query: Box<dyn Query> = match in_fields.len() {
                    1 => in_fields.remove(0).1,
                    _ => Box::new(BooleanQuery::new(in_fields)),
                };
                found.push((rarest, boosted(query, f32::sqrt(count))));
            }
        }
        found.sort_by_key(|(doc_freq, _)| *doc_freq);
        Ok((found.into_iter().take(MAX_WORDS).map(|(_, query)| query).collect(), ceiling))
    }

    /// A single character of a script without spaces stands for every bigram that begins with it.
    fn expand(&self, terms: &[String]) -> tantivy::Result<Vec<String>> {
        let mut expanded = terms.to_vec();
        for term in terms {
            let mut characters = term.chars();
            let (Some(first), None) = (characters.next(), characters.next()) else { continue };
            if first.is_ascii() || self.doc_freq(self.fields.body, term)? == 0 && first.is_lowercase() {
                continue;
            }
            for segment in self.searcher.segment_readers() {
                let inverted = segment.inverted_index(self.fields.body)?;
                let mut end = term.clone().into_bytes();
                if let Some(last) = end.last_mut() {
                    *last += 1;
                }
                let mut stream = inverted.terms().range().gt(term.as_bytes()).lt(&end).into_stream()?;
                while stream.advance() && expanded.len() < MAX_EXPANSIONS {
                    if let Ok(bigram) = std::str::from_utf8(stream.key())
                        && bigram.chars().count() == 2
                        && !expanded.iter().any(|known| known == bigram)
                    {
                        expanded.push(bigram.to_owned());
                    }
                }
            }
        }
        Ok(expanded)
    }

    /// The phrase in every language of the index; none if it has no word that is no stop word.
    fn phrase(&self, analysers: &mut [Analyser], text: &str) -> tantivy::Result<Option<Box<dyn Query>>> {
        let mut variants: Vec<Vec<(usize, Term)>> = Vec::new();
        for analyser in analysers {
            let mut words = by_position(analyser, text);
            words.truncate(MAX_WORDS);
            let terms: Vec<(usize, Term)> = words
                .into_iter()
                .filter(|(slot, _)| !slot.alone)
                .map(|(slot, terms)| (slot.position, Term::from_field_text(self.fields.body, &terms[0])))
                .collect();
            if !terms.is_empty() && !variants.contains(&terms) {
                variants.push(terms);
            }
        }
        let queries: Vec<Box<dyn Query>> = variants
            .into_iter()
            .map(|mut terms| -> Box<dyn Query> {
                if terms.len() == 1 {
                    Box::new(TermQuery::new(terms.remove(0).1, IndexRecordOption::WithFreqs))
                } else {
                    Box::new(PhraseQuery::new_with_offset(terms))
                }
            })
            .collect();
        Ok((!queries.is_empty()).then(|| any_of(queries)))
    }
}

fn any_of(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    if queries.len() == 1 { queries.remove(0) } else { Box::new(DisjunctionMaxQuery::new(queries)) }
}

fn boosted(query: Box<dyn Query>, boost: f32) -> Box<dyn Query> {
    if boost == 1.0 { query } else { Box::new(BoostQuery::new(query, boost)) }
}

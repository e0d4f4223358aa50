//! The place in a source that is nearest to a quotation which stands nowhere word for word.
//!
//! Models that quote change a word, an ending, a line break. What they meant is found by local alignment of words (Smith and
//! Waterman, "Identification of Common Molecular Subsequences", 1981): a common word counts 1, a word that one side lacks or has
//! otherwise costs 1. Cost: words of the quotation times words of the source.

use std::ops::Range;

use super::words::is_ideograph;

/// The share of a quotation's words that a place must have, in order, to be what was meant.
const LIKE: f32 = 0.75;
/// How many times as long as the quotation the place may be.
const LONGEST: f32 = 1.4;

/// A word with its place.
struct Word {
    folded: String,
    span: Range<usize>,
}

/// Bytes of `text` that `quotation` was probably meant to repeat, and the share of its words that stand there.
pub(super) fn nearest(quotation: &str, text: &str) -> Option<(Range<usize>, f32)> {
    let (wanted, there) = (words(quotation), words(text));
    let best = align(&wanted, &there)?;
    let share = best.n_common as f32 / wanted.len() as f32;
    let is_long = (best.end - best.start) as f32 > wanted.len() as f32 * LONGEST + 1.0;
    (share >= LIKE && !is_long).then(|| (there[best.start].span.start..there[best.end - 1].span.end, share))
}

/// The best alignment that ends at some word: words `start..end` of the text.
#[derive(Clone, Copy, Default)]
struct Aligned {
    score: i32,
    start: usize,
    end: usize,
    n_common: usize,
}

fn align(wanted: &[Word], there: &[Word]) -> Option<Aligned> {
    let mut best = Aligned::default();
    // Of the words of the quotation so far, the best alignment that ends before each word of the text.
    let mut before: Vec<Aligned> =
        (0..=there.len()).map(|at| Aligned { start: at, end: at, ..Aligned::default() }).collect();
    for word in wanted {
        let mut row = vec![Aligned::default()];
        for (at, other) in there.iter().enumerate() {
            let is_common = word.folded == other.folded;
            let both = Aligned {
                score: before[at].score + if is_common { 1 } else { -1 },
                end: at + 1,
                n_common: before[at].n_common + usize::from(is_common),
                ..before[at]
            };
            let left_out = Aligned { score: before[at + 1].score - 1, ..before[at + 1] };
            let added = Aligned { score: row[at].score - 1, ..row[at] };
            let mut here = Aligned { start: at + 1, end: at + 1, ..Aligned::default() };
            for candidate in [both, left_out, added] {
                if candidate.score > here.score {
                    here = candidate;
                }
            }
            if here.score > best.score {
                best = here;
            }
            row.push(here);
        }
        before = row;
    }
    (best.score > 0).then_some(best)
}

/// Words in lower case; every ideograph is one.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut is_open = false;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if !c.is_alphanumeric() {
            is_open = is_open && matches!(c, '\'' | '’');
            continue;
        }
        match words.last_mut().filter(|_| is_open && !is_ideograph(c)) {
            Some(word) => {
                word.folded.extend(c.to_lowercase());
                word.span.end = end;
            }
            None => words.push(Word { folded: c.to_lowercase().collect(), span: at..end }),
        }
        is_open = !is_ideograph(c);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Water. To restart it, hold the red\nbutton for ten seconds; then wait. 水を止める栓は階段の下にあります。";

    fn place(quotation: &str) -> Option<&str> {
        nearest(quotation, TEXT).map(|(span, _)| &TEXT[span])
    }

    #[test]
    fn a_changed_word_a_line_break_or_a_capital_is_no_other_quotation() {
        let meant = Some("hold the red\nbutton for ten seconds");
        assert_eq!(place("Hold the red button for ten seconds"), meant);
        assert_eq!(place("hold the red knob for ten seconds"), meant);
        assert_eq!(place("hold the button for ten seconds"), meant);
        assert_eq!(place("水を止める栓が階段の下にあります"), Some("水を止める栓は階段の下にあります"));
    }

    #[test]
    fn what_was_never_said_is_nowhere() {
        assert_eq!(place("hold the blue lever until the lamp goes out"), None);
        assert_eq!(place("..."), None);
        assert_eq!(nearest("hold the red button", ""), None);
    }
}

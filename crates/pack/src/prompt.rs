//! From ranked passages to the token sequence: choose, lay out, count, and say what was left out.

use std::collections::HashMap;
use std::ops::Range;

use crate::{Passage, Tokenize, merge_neighbours, sticky};

/// The parts of the prompt that hold no document.
pub struct Frame<'a> {
    /// BOS, instructions and all that never changes: stands first.
    pub before: Vec<u32>,
    /// Builds what follows the documents from the packed passages' numbers, most relevant first.
    pub after: &'a dyn Fn(&[usize]) -> Vec<u32>,
    /// Whether passages are shown with the numbers they are cited by. Very small models take the numbers for text.
    pub numbered: bool,
    /// The number of the first passage: 1, but for documents that come behind others.
    pub first_number: usize,
    /// What was read before, for [`Order::Sticky`].
    pub kept: &'a [Kept],
}

/// A beginning of a prompt whose state is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Its tokens, from the first one on.
    pub tokens: Vec<u32>,
    /// The passages that may stand in it, in order; whether they do is read off the tokens. Their rank does not matter.
    pub passages: Vec<Passage>,
}

/// How many tokens there are, all counted with the model's own tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The model's context: prompt, reasoning and answer together.
    pub context: usize,
    /// Left free for reasoning and answer.
    pub reserved: usize,
    /// The most that passages with their labels may take.
    pub evidence: usize,
}

/// In which order the chosen passages stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// What was read before comes first, in the order it was read in; then the other documents, best first, each in its own order.
    #[default]
    Sticky,
    /// By path and offset, without regard to what was read before.
    Canonical,
    /// Best first: what other systems do, and useful to compare with.
    Relevance,
}

/// A passage as it stands in the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedPassage {
    /// The number the model cites it by, from 1.
    pub number: usize,
    /// What it holds.
    pub passage: Passage,
    /// Where its text stands in [`Packed::tokens`], its label not included.
    pub tokens: Range<usize>,
}

/// Why a passage is not in the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The passages ranked before it had filled the budget.
    OverBudget,
    /// The same text stands in a better ranked passage.
    Repeated,
}

/// A passage that was offered and is not in the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The passage as it was offered.
    pub passage: Passage,
    /// Why.
    pub reason: Reason,
}

/// The prompt and where each part of it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The whole prompt.
    pub tokens: Vec<u32>,
    /// Where the instructions end and the documents begin.
    pub documents_start: usize,
    /// Where the documents end and what changes with every question begins.
    pub documents_end: usize,
    /// What was packed, in prompt order; numbers run from 1.
    pub passages: Vec<PackedPassage>,
    /// What was offered and left out, best first.
    pub left_out: Vec<LeftOut>,
}

impl Packed {
    /// The packed passage that token `token_idx` of the prompt belongs to; none for instructions, labels and question.
    pub fn source_of(&self, token_idx: usize) -> Option<&PackedPassage> {
        self.passages.iter().find(|packed| packed.tokens.contains(&token_idx))
    }
}

/// What can make packing impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Instructions and question alone exceed the context.
    #[error(
        "the question is too long: with the instructions it takes {needed} tokens and {available} are available; shorten it"
    )]
    QuestionTooLong {
        /// Tokens of instructions and question.
        needed: usize,
        /// Context less what is reserved for the answer.
        available: usize,
    },
}

/// Packs as many of `passages` as the budget holds, best ranked first, and lays them out in `order`.
///
/// # Errors
/// [`PackError::QuestionTooLong`] if the frame alone does not fit.
pub fn pack(
    frame: &Frame,
    mut passages: Vec<Passage>,
    budget: Budget,
    order: Order,
    tokenizer: &dyn Tokenize,
) -> Result<Packed, PackError> {
    passages.sort_by_key(|passage| passage.rank);
    let available = budget.context.saturating_sub(budget.reserved);
    let empty = lay_out(frame, &[], Vec::new(), order, tokenizer);
    if empty.tokens.len() > available {
        return Err(PackError::QuestionTooLong { needed: empty.tokens.len(), available });
    }
    let frame_tokens = empty.tokens.len();
    let fits = |packed: &Packed| {
        packed.tokens.len() <= available && packed.tokens.len() - frame_tokens <= budget.evidence
    };
    // Sizes of single passages only steer the search; what decides is the exact count of the whole prompt.
    let size = |passage: &Passage| block_tokens(passage, frame.numbered.then_some(1), tokenizer).0.len();
    let sizes: Vec<usize> = passages.iter().map(size).collect();
    let room = budget.evidence.min(available - frame_tokens);
    let mut fixed = match order {
        Order::Sticky => sticky::fixed(frame, &passages, &sizes, room, tokenizer),
        Order::Canonical | Order::Relevance => Vec::new(),
    };
    // Labels and the ranking grow with the number of passages: what was read before gives way, not the best.
    let best = &passages[..sticky::n_required(&sizes, room)];
    while !fits(&lay_out(frame, &fixed, not_in(best, &fixed), order, tokenizer)) && fixed.pop().is_some() {}

    let (offered, sizes): (Vec<Passage>, Vec<usize>) = passages
        .iter()
        .cloned()
        .zip(sizes)
        .filter(|(p, _)| !fixed.iter().any(|fixed| sticky::is_covered(p, fixed)))
        .unzip();
    let used = lay_out(frame, &fixed, Vec::new(), order, tokenizer).tokens.len() - frame_tokens;
    let mut chosen = first_fit(&sizes, room.saturating_sub(used));
    let mut best = lay_out(frame, &fixed, pick(&offered, &chosen), order, tokenizer);
    while !fits(&best) {
        // A label grew a digit or the ranking a number: the worst ranked gives way.
        if chosen.pop().is_none() {
            break;
        }
        best = lay_out(frame, &fixed, pick(&offered, &chosen), order, tokenizer);
    }
    // Merged overlaps leave room: offer it to the next ones, in rank order.
    for (candidate, &size) in sizes.iter().enumerate() {
        let spare = room.saturating_sub(best.tokens.len() - frame_tokens);
        if chosen.contains(&candidate) || size > spare + spare / 4 + 64 {
            continue;
        }
        let mut wider = chosen.clone();
        wider.push(candidate);
        wider.sort_unstable();
        let packed = lay_out(frame, &fixed, pick(&offered, &wider), order, tokenizer);
        if fits(&packed) {
            (chosen, best) = (wider, packed);
        }
    }
    best.left_out = left_out(&passages, &best);
    Ok(best)
}

/// The prompt that holds exactly these passages, in this order: one that was packed before, made again.
pub fn repack(frame: &Frame, passages: &[Passage], tokenizer: &dyn Tokenize) -> Packed {
    lay_out(frame, passages, Vec::new(), Order::Sticky, tokenizer)
}

/// Indices of the passages that fit into `room` tokens one after the other; one that is too large is passed over.
fn first_fit(sizes: &[usize], room: usize) -> Vec<usize> {
    let mut used = 0;
    (0..sizes.len())
        .filter(|&idx| {
            let fits = used + sizes[idx] <= room;
            used += if fits { sizes[idx] } else { 0 };
            fits
        })
        .collect()
}

/// Those of `passages` that are not all there in one of `fixed`.
fn not_in(passages: &[Passage], fixed: &[Passage]) -> Vec<Passage> {
    let is_in = |passage: &Passage| fixed.iter().any(|fixed| sticky::is_covered(passage, fixed));
    passages.iter().filter(|passage| !is_in(passage)).cloned().collect()
}

fn pick(passages: &[Passage], chosen: &[usize]) -> Vec<Passage> {
    chosen.iter().map(|&idx| passages[idx].clone()).collect()
}

/// The tokens of one passage under its label, and where its text lies in them.
fn block_tokens(
    passage: &Passage,
    number: Option<usize>,
    tokenizer: &dyn Tokenize,
) -> (Vec<u32>, Range<usize>) {
    let mut tokens = label(passage, number, tokenizer);
    let start = tokens.len();
    tokens.extend(tokenizer.tokens(&passage.text));
    let end = tokens.len();
    tokens.extend(tokenizer.tokens(BEHIND));
    (tokens, start..end)
}

/// What stands behind a passage.
const BEHIND: &str = "\n\n";

/// The tokens of a passage's label.
pub(crate) fn label(passage: &Passage, number: Option<usize>, tokenizer: &dyn Tokenize) -> Vec<u32> {
    let mut label = number.map_or_else(String::new, |number| format!("[{number}] "));
    label.push_str(&passage.name);
    for heading in &passage.heading_path {
        label.push_str(" > ");
        label.push_str(heading);
    }
    label.push('\n');
    tokenizer.tokens(&label)
}

/// The tokens behind the label.
pub(crate) fn body(passage: &Passage, tokenizer: &dyn Tokenize) -> Vec<u32> {
    let mut tokens = tokenizer.tokens(&passage.text);
    tokens.extend(tokenizer.tokens(BEHIND));
    tokens
}

/// The prompt that holds exactly these passages: `fixed` as they are, then the others, merged where they overlap.
fn lay_out(
    frame: &Frame,
    fixed: &[Passage],
    chosen: Vec<Passage>,
    order: Order,
    tokenizer: &dyn Tokenize,
) -> Packed {
    let mut merged = merge_neighbours(chosen);
    match order {
        Order::Canonical => {}
        Order::Relevance => merged.sort_by_key(|passage| passage.rank),
        Order::Sticky => best_documents_first(&mut merged),
    }
    let mut tokens = frame.before.clone();
    let mut passages = Vec::with_capacity(merged.len());
    for (idx, passage) in fixed.iter().cloned().chain(merged).enumerate() {
        let number = frame.first_number + idx;
        let (block, text) = block_tokens(&passage, frame.numbered.then_some(number), tokenizer);
        let at = tokens.len();
        tokens.extend(block);
        passages.push(PackedPassage { number, passage, tokens: at + text.start..at + text.end });
    }
    let mut by_relevance: Vec<&PackedPassage> = passages.iter().collect();
    by_relevance.sort_by_key(|packed| packed.passage.rank);
    let numbers: Vec<usize> = by_relevance.iter().map(|packed| packed.number).collect();
    let (documents_start, documents_end) = (frame.before.len(), tokens.len());
    tokens.extend((frame.after)(&numbers));
    Packed { tokens, documents_start, documents_end, passages, left_out: Vec::new() }
}

/// Documents by their best passage, which stands first, the others of each in their order: the next question about the same matter finds the same
/// documents in front, where in canonical order a passage that happened to be found would stand before them.
fn best_documents_first(passages: &mut [Passage]) {
    let mut best: HashMap<u64, usize> = HashMap::new();
    for passage in passages.iter() {
        let rank = best.entry(passage.document).or_insert(passage.rank);
        *rank = passage.rank.min(*rank);
    }
    passages.sort_by_key(|passage| {
        let rank = best.get(&passage.document).copied().unwrap_or(passage.rank);
        (rank, passage.rank != rank, passage.span.start)
    });
}

fn left_out(offered: &[Passage], packed: &Packed) -> Vec<LeftOut> {
    let covers = |passage: &Passage| {
        packed.passages.iter().any(|p| {
            p.passage.document == passage.document
                && p.passage.span.start <= passage.span.start
                && passage.span.end <= p.passage.span.end
        })
    };
    let repeated =
        |passage: &Passage| packed.passages.iter().any(|p| p.passage.text.contains(passage.text.trim()));
    offered
        .iter()
        .filter(|passage| !covers(passage))
        .map(|passage| LeftOut {
            passage: passage.clone(),
            reason: if repeated(passage) { Reason::Repeated } else { Reason::OverBudget },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One token a byte: sizes are easy to see, and text maps back exactly.
    fn bytes(text: &str) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }

    fn passage(name: &str, start: usize, text: &str, rank: usize) -> Passage {
        Passage {
            document: u64::from(name.as_bytes()[0]),
            name: name.to_owned(),
            heading_path: vec![],
            span: start..start + text.len(),
            text: text.to_owned(),
            rank,
        }
    }

    fn question(numbers: &[usize]) -> Vec<u32> {
        bytes(&format!("Most relevant: {numbers:?}. Why?"))
    }

    fn packed(passages: Vec<Passage>, evidence: usize) -> Packed {
        let frame =
            Frame { before: bytes("<s>"), after: &question, numbered: true, kept: &[], first_number: 1 };
        let budget = Budget { context: 10_000, reserved: 100, evidence };
        pack(&frame, passages, budget, Order::Canonical, &bytes).unwrap()
    }

    fn text_of(tokens: &[u32]) -> String {
        tokens.iter().map(|&t| char::from(t as u8)).collect()
    }

    #[test]
    fn passages_stand_in_canonical_order_and_the_ranking_follows_them() {
        let prompt = packed(vec![passage("b", 0, "late", 0), passage("a", 9, "early", 1)], 1000);
        assert_eq!(text_of(&prompt.tokens), "<s>[1] a\nearly\n\n[2] b\nlate\n\nMost relevant: [2, 1]. Why?");
    }

    #[test]
    fn what_does_not_fit_is_listed_not_cut() {
        let prompt = packed(vec![passage("a", 0, "short", 0), passage("b", 0, &"long ".repeat(50), 1)], 60);
        assert_eq!(prompt.passages.len(), 1);
        assert_eq!(prompt.left_out.len(), 1);
        assert_eq!(prompt.left_out[0].passage.name, "b");
        assert_eq!(prompt.left_out[0].reason, Reason::OverBudget);
    }

    /// Packs with `kept` as what was read before.
    fn packed_behind(passages: Vec<Passage>, evidence: usize, kept: &[Kept]) -> Packed {
        let frame = Frame { before: bytes("<s>"), after: &question, numbered: true, kept, first_number: 1 };
        let budget = Budget { context: 10_000, reserved: 100, evidence };
        pack(&frame, passages, budget, Order::Sticky, &bytes).unwrap()
    }

    /// What a prompt leaves behind: everything before the question.
    fn left_behind(packed: &Packed) -> Kept {
        let passages = packed.passages.iter().map(|p| Passage { rank: 0, ..p.passage.clone() });
        Kept { tokens: packed.tokens[..packed.documents_end].to_vec(), passages: passages.collect() }
    }

    #[test]
    fn what_was_read_before_stands_first_in_the_order_it_was_read_in() {
        let (a, b, c) =
            (passage("a", 0, "first", 0), passage("b", 0, "second", 1), passage("c", 0, "third", 2));
        let kept = left_behind(&packed(vec![b.clone(), c.clone()], 1000));
        let prompt = packed_behind(vec![a, b, c], 1000, std::slice::from_ref(&kept));
        assert!(prompt.tokens.starts_with(&kept.tokens), "{}", text_of(&prompt.tokens));
        assert_eq!(
            text_of(&prompt.tokens),
            "<s>[1] b\nsecond\n\n[2] c\nthird\n\n[3] a\nfirst\n\nMost relevant: [3, 1, 2]. Why?"
        );
    }

    fn long(name: &str, rank: usize) -> Passage {
        passage(name, 0, &format!("{name} ").repeat(40), rank)
    }

    fn names(prompt: &Packed) -> Vec<&str> {
        prompt.passages.iter().map(|p| p.passage.name.as_str()).collect()
    }

    #[test]
    fn the_best_ranked_are_never_crowded_out_by_what_was_read_before() {
        let kept = [left_behind(&packed(vec![long("b", 0), long("c", 1), long("d", 2)], 1000))];
        let prompt = packed_behind(vec![long("a", 0), long("b", 1), long("d", 2)], 1000, &kept);
        assert_eq!(names(&prompt), ["b", "c", "d", "a"], "c was not offered, but costs nothing");
        assert!(text_of(&prompt.tokens).ends_with("Most relevant: [4, 1, 3, 2]. Why?"), "and is ranked last");
        // Room for two: the best ranked one and one that was read before.
        let prompt = packed_behind(vec![long("a", 0), long("d", 1), long("c", 2), long("b", 3)], 180, &kept);
        assert_eq!(names(&prompt), ["b", "a"]);
        // Room for one.
        assert_eq!(names(&packed_behind(vec![long("a", 0), long("b", 1)], 100, &kept)), ["a"]);
    }

    #[test]
    fn of_several_paths_the_one_with_the_better_ranked_passages_is_taken() {
        let [one, other] = [["b", "c"], ["d", "e"]].map(|names| {
            left_behind(&packed(
                names.iter().enumerate().map(|(rank, name)| long(name, rank)).collect(),
                1000,
            ))
        });
        let prompt = packed_behind(vec![long("a", 0), long("e", 1), long("b", 2)], 290, &[one, other]);
        assert_eq!(names(&prompt), ["d", "e", "a"]);
    }

    #[test]
    fn what_a_path_says_of_itself_is_not_believed() {
        let mut kept = left_behind(&packed(vec![long("b", 0), long("c", 1)], 1000));
        kept.passages[1].text = "something else".to_owned();
        assert_eq!(names(&packed_behind(vec![long("a", 0)], 1000, std::slice::from_ref(&kept))), ["b", "a"]);
        kept.tokens[4] += 1;
        assert_eq!(names(&packed_behind(vec![long("a", 0)], 1000, &[kept])), ["a"]);
    }

    #[test]
    fn passages_that_were_read_as_one_are_recognised() {
        let text = "one two three four five six";
        let part = |start: usize, end: usize, rank: usize| Passage {
            span: start..end,
            text: text[start..end].to_owned(),
            ..passage("a", 0, "", rank)
        };
        let kept = left_behind(&packed(vec![part(0, 13, 0), part(8, 27, 1)], 1000));
        let prompt = packed_behind(
            vec![part(8, 27, 0), passage("b", 0, "other", 1), part(0, 13, 2)],
            1000,
            std::slice::from_ref(&kept),
        );
        assert!(prompt.tokens.starts_with(&kept.tokens));
        assert_eq!(prompt.passages.len(), 2);
    }

    #[test]
    fn a_question_longer_than_the_context_is_an_error_not_a_cut() {
        let long = |_: &[usize]| bytes(&"why ".repeat(100));
        let frame = Frame { before: vec![], after: &long, numbered: true, kept: &[], first_number: 1 };
        let budget = Budget { context: 200, reserved: 50, evidence: 100 };
        let error = pack(&frame, vec![], budget, Order::Canonical, &bytes).unwrap_err();
        assert_eq!(error, PackError::QuestionTooLong { needed: 400, available: 150 });
    }

    fn passages_strategy() -> impl Strategy<Value = Vec<Passage>> {
        let one = (0..4_u8, 0..300_usize, 1..120_usize);
        proptest::collection::vec(one, 0..20).prop_map(|raw| {
            let text: String = (0..500).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
            raw.into_iter()
                .enumerate()
                .map(|(rank, (doc, start, len))| {
                    let name = char::from(b'a' + doc).to_string();
                    passage(&name, start, &text[start..start + len], rank)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn what_was_packed_can_be_packed_again_from_its_passages(
            earlier in passages_strategy(), offered in passages_strategy(), evidence in 0..900_usize,
        ) {
            let kept = left_behind(&packed(earlier, evidence));
            let prompt = packed_behind(offered, evidence, &[kept]);
            let passages: Vec<Passage> = prompt.passages.iter().map(|p| p.passage.clone()).collect();
            let frame = Frame { before: bytes("<s>"), after: &question, numbered: true, kept: &[], first_number: 1 };
            let again = repack(&frame, &passages, &bytes);
            prop_assert_eq!(again.tokens, prompt.tokens);
            prop_assert_eq!(again.passages, prompt.passages);
        }

        #[test]
        fn never_over_budget_and_every_document_token_maps_back(offered in passages_strategy(), evidence in 0..900_usize) {
            let prompt = packed(offered, evidence);
            let frame = 3 + question(&[]).len();
            prop_assert!(prompt.tokens.len() <= frame + evidence);
            for p in &prompt.passages {
                prop_assert_eq!(text_of(&prompt.tokens[p.tokens.clone()]), p.passage.text.clone());
                prop_assert_eq!(p.passage.text.len(), p.passage.span.len());
            }
        }

        #[test]
        fn the_order_of_the_offer_does_not_matter(offered in passages_strategy(), evidence in 0..900_usize) {
            let mut reversed = offered.clone();
            reversed.reverse();
            prop_assert_eq!(packed(offered, evidence).tokens, packed(reversed, evidence).tokens);
        }

        #[test]
        fn whatever_was_read_before_the_budget_holds_and_the_best_ranked_passage_is_there(
            earlier in passages_strategy(), offered in passages_strategy(), evidence in 0..900_usize,
        ) {
            let kept = left_behind(&packed(earlier, evidence));
            let prompt = packed_behind(offered.clone(), evidence, &[kept]);
            prop_assert!(prompt.tokens.len() <= 3 + question(&[]).len() + evidence);
            for p in &prompt.passages {
                prop_assert_eq!(text_of(&prompt.tokens[p.tokens.clone()]), p.passage.text.clone());
            }
            if let Some(best) = offered.first().filter(|best| best.text.len() + 40 < evidence / 2) {
                prop_assert!(prompt.passages.iter().any(|p| p.passage.text.contains(best.text.trim())));
            }
        }
    }
}

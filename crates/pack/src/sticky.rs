//! Passages that were read before, in the order they were read in: what stands on a kept path need not be read again.
//!
//! ```text
//! kept      [before][1 roof][2 lease][3 boiler]        several such paths
//! offered   lease, cellar, ...                         ranked for this question
//! required  lease, cellar                              the best ranked: some share of the room is theirs
//! fixed     [1 roof][2 lease]                          as much of one path as leaves room for what is required
//! ```
//! What fills a budget behind the best passages is rarely of use, whatever its rank; so the part of the budget that is not theirs
//! goes to what costs nothing. Of all beginnings of all paths the one that saves most is taken, and tokens of passages that were offered count
//! more than others, the better ranked the more.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use crate::prompt::{Frame, body, label};
use crate::{Passage, Tokenize};

/// The share of the room that belongs to the best ranked passages, whatever is kept.
const SHARE_OF_THE_BEST: f64 = 0.5;
/// What a kept token of the best ranked passage counts more than one of a passage that was not offered.
const BONUS: f64 = 1.0;

/// The passages that should stand first, in this order; none where nothing is kept that leaves room for the best of `passages`,
/// which are `sizes` tokens long. A passage that was not offered is ranked behind all that were.
pub(crate) fn fixed(
    frame: &Frame<'_>,
    passages: &[Passage],
    sizes: &[usize],
    room: usize,
    tokenizer: &dyn Tokenize,
) -> Vec<Passage> {
    let mut reader = Reader { frame, passages, tokenizer, labels: HashMap::new(), known: HashMap::new() };
    let n_required = n_required(sizes, room);
    let mut best: (f64, Vec<Passage>) = (0.0, Vec::new());
    for kept in frame.kept {
        let Some(tokens) = kept.tokens.strip_prefix(&frame.before[..]) else { continue };
        let steps = reader.read(tokens, &kept.passages);
        let (mut gain, mut n_tokens) = (0.0, 0);
        let mut missing: Vec<bool> = vec![true; n_required];
        for (idx, step) in steps.iter().enumerate() {
            gain += step.gain;
            n_tokens += step.n_tokens;
            step.covers
                .iter()
                .filter(|&&covered| covered < n_required)
                .for_each(|&covered| missing[covered] = false);
            let n_missing: usize =
                sizes.iter().zip(&missing).map(|(size, &is_missing)| size * usize::from(is_missing)).sum();
            if n_tokens + n_missing <= room && gain > best.0 {
                best = (gain, ranked(&kept.passages[..=idx], &steps, passages));
            }
        }
    }
    best.1
}

/// How many of ranked passages fit into the share of the best; at least one.
pub(crate) fn n_required(sizes: &[usize], room: usize) -> usize {
    let theirs = (room as f64 * SHARE_OF_THE_BEST) as usize;
    let mut n_tokens = 0;
    let fitting = sizes.iter().take_while(|&&size| {
        n_tokens += size;
        n_tokens <= theirs
    });
    fitting.count().max(1).min(sizes.len())
}

/// `fixed` with the ranks that they have among the offered ones, or behind them.
fn ranked(fixed: &[Passage], steps: &[Step], offered: &[Passage]) -> Vec<Passage> {
    let with_rank = |(idx, (passage, step)): (usize, (&Passage, &Step))| {
        let rank = step.covers.first().map_or(offered.len() + idx, |&best| offered[best].rank);
        Passage { rank, ..passage.clone() }
    };
    fixed.iter().zip(steps).enumerate().map(with_rank).collect()
}

/// Whether `passage` is all there in `other`.
pub(crate) fn is_covered(passage: &Passage, other: &Passage) -> bool {
    let is_inside = other.document == passage.document
        && other.span.start <= passage.span.start
        && passage.span.end <= other.span.end;
    is_inside || other.text.contains(passage.text.trim())
}

/// One more passage of a path.
struct Step {
    /// All its tokens, its label included.
    n_tokens: usize,
    /// What those that are kept are worth.
    gain: f64,
    /// Indices of the offered passages that are all there in it, best first.
    covers: Rc<[usize]>,
}

/// What is the same for a passage wherever it stands.
struct Known {
    /// Its tokens behind the label.
    body: Vec<u32>,
    covers: Rc<[usize]>,
}

struct Reader<'a> {
    frame: &'a Frame<'a>,
    /// Those that are offered, best first.
    passages: &'a [Passage],
    tokenizer: &'a dyn Tokenize,
    /// By document, where the passage starts, and its number.
    labels: HashMap<(u64, usize, usize), Vec<u32>>,
    /// By document and span.
    known: HashMap<(u64, Range<usize>), Known>,
}

impl Reader<'_> {
    /// As many of a path's `passages` as stand in `tokens`, word for word and each under its number.
    fn read(&mut self, tokens: &[u32], passages: &[Passage]) -> Vec<Step> {
        let (mut steps, mut rest) = (Vec::new(), tokens);
        for (idx, passage) in passages.iter().enumerate() {
            let (n_common, step) = self.step(passage, idx + 1, rest);
            // Where something else stands the path ends; where it breaks off, little of the passage may be kept.
            let is_there = n_common == step.n_tokens || n_common == rest.len();
            if !is_there || n_common * 2 < step.n_tokens {
                break;
            }
            steps.push(step);
            rest = &rest[n_common..];
        }
        steps
    }

    /// A passage as the next one of a path whose other tokens are `rest`, and how many of those are its.
    fn step(&mut self, passage: &Passage, number: usize, rest: &[u32]) -> (usize, Step) {
        let (frame, tokenizer, offered) = (self.frame, self.tokenizer, self.passages);
        let at = (passage.document, passage.span.start, number);
        let new = || label(passage, frame.numbered.then_some(number), tokenizer);
        let label = self.labels.entry(at).or_insert_with(new);
        let known = self.known.entry((passage.document, passage.span.clone())).or_insert_with(|| Known {
            body: body(passage, tokenizer),
            covers: (0..offered.len()).filter(|&idx| is_covered(&offered[idx], passage)).collect(),
        });
        let n_common = label.iter().chain(&known.body).zip(rest).take_while(|(a, b)| a == b).count();
        let best = known.covers.first().copied().unwrap_or(offered.len());
        let relevance = 1.0 - best as f64 / offered.len().max(1) as f64;
        let step = Step {
            n_tokens: label.len() + known.body.len(),
            gain: n_common as f64 * (1.0 + BONUS * relevance),
            covers: Rc::clone(&known.covers),
        };
        (n_common, step)
    }
}

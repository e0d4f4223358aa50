//! Passages that were read before, in the order they were read in: what stands on a kept path need not be read again.
//!
//! ```text
//! kept      [before][1 roof][2 lease][3 boiler]        several such paths, as tokens
//! offered   lease, roof, cellar, ...                   ranked for this question
//! fixed     [1 roof][2 lease]                          as far as a path holds offered passages, then it ends
//! ```
//! A path is read off the tokens: behind what matched, the next offered passage (or several of one document that overlap) must
//! stand word for word under the right number. Of all paths the one that saves most tokens is taken, as long as the best ranked
//! passages still fit behind it: half of the room is theirs.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::prompt::{Frame, body, label};
use crate::{Passage, Tokenize, merge_neighbours};

/// The share of the room that belongs to the best ranked passages, whatever is kept.
const SHARE_OF_THE_BEST: f64 = 0.5;
/// Passages of one document that are looked at as one: a section and what was found beside it.
const LONGEST_RUN: usize = 16;

/// Offered passages that may stand together as one.
struct Run {
    passage: Passage,
    /// Of all runs with the same label the same number.
    label: usize,
    /// Its tokens behind the label, once a label matched.
    body: OnceCell<Vec<u32>>,
}

/// What a path holds.
#[derive(Default)]
struct Path {
    /// Indices of runs, in order.
    runs: Vec<usize>,
    /// Tokens of each that are kept, its label included.
    n_kept: Vec<usize>,
    /// All tokens of each.
    n_tokens: Vec<usize>,
}

/// The passages that should stand first, in this order; none where nothing offered is kept. `sizes` are the passages' tokens.
pub(crate) fn fixed(
    frame: &Frame<'_>,
    passages: &[Passage],
    sizes: &[usize],
    room: usize,
    tokenizer: &dyn Tokenize,
) -> Vec<Passage> {
    let mut reader = Reader { frame, runs: runs(passages), labels: HashMap::new(), tokenizer };
    let mut best: (usize, Vec<usize>) = (0, Vec::new());
    (frame.kept)(&mut |tokens| {
        let Some(behind) = tokens.strip_prefix(&frame.before[..]) else {
            return frame.before.starts_with(tokens); // still inside the instructions
        };
        let (path, goes_on) = reader.read(behind);
        let (n_kept, n_runs) = reader.feasible(&path, passages, sizes, room);
        if n_kept > best.0 {
            best = (n_kept, path.runs[..n_runs].to_vec());
        }
        goes_on
    });
    best.1.into_iter().map(|idx| reader.runs[idx].passage.clone()).collect()
}

/// Whether `passage` is all there in one of `others`.
pub(crate) fn is_covered(passage: &Passage, others: &[Passage]) -> bool {
    others.iter().any(|other| {
        let is_inside = other.document == passage.document
            && other.span.start <= passage.span.start
            && passage.span.end <= other.span.end;
        is_inside || other.text.contains(passage.text.trim())
    })
}

/// Every passage, and every run of a document's passages that overlap or touch.
fn runs(passages: &[Passage]) -> Vec<Run> {
    let mut sorted: Vec<&Passage> = passages.iter().collect();
    sorted.sort_by_key(|passage| (passage.document, passage.span.start, passage.span.end));
    let mut runs = Vec::new();
    for start in 0..sorted.len() {
        for end in start + 1..=sorted.len().min(start + LONGEST_RUN) {
            let mut merged = merge_neighbours(sorted[start..end].iter().map(|&p| p.clone()).collect());
            if merged.len() != 1 {
                break;
            }
            runs.extend(merged.pop().map(|passage| Run { passage, label: 0, body: OnceCell::new() }));
        }
    }
    // Where one begins with another the longer one is tried first.
    runs.sort_by_key(|run| std::cmp::Reverse(run.passage.text.len()));
    let mut labels: HashMap<(String, Vec<String>), usize> = HashMap::new();
    for run in &mut runs {
        let n = labels.len();
        run.label = *labels.entry((run.passage.name.clone(), run.passage.heading_path.clone())).or_insert(n);
    }
    runs
}

struct Reader<'a> {
    frame: &'a Frame<'a>,
    runs: Vec<Run>,
    /// By label and number.
    labels: HashMap<(usize, usize), Vec<u32>>,
    tokenizer: &'a dyn Tokenize,
}

impl Reader<'_> {
    /// Reads the passages off `tokens`, and says whether more tokens could add to them.
    fn read(&mut self, tokens: &[u32]) -> (Path, bool) {
        let (mut path, mut rest) = (Path::default(), tokens);
        while !rest.is_empty() {
            let free: Vec<usize> = (0..self.runs.len()).filter(|idx| !path.runs.contains(idx)).collect();
            let fits = free.into_iter().map(|idx| {
                let (n_common, n_tokens) = self.common(idx, path.runs.len(), rest);
                (n_common == n_tokens, n_common, n_tokens, idx)
            });
            // A whole one before a longer beginning of one; of equals the first, which is the longest.
            let best = fits.reduce(|best, fit| if (fit.0, fit.1) > (best.0, best.1) { fit } else { best });
            let Some((is_whole, n_common, n_tokens, idx)) = best else { return (path, false) };
            // A path that ends inside a label holds nothing of the passage.
            if n_tokens < usize::MAX && (is_whole || n_common == rest.len()) {
                path.runs.push(idx);
                path.n_kept.push(n_common);
                path.n_tokens.push(n_tokens);
            }
            if !is_whole {
                return (path, n_common == rest.len());
            }
            rest = &rest[n_tokens..];
        }
        (path, true)
    }

    /// Tokens that `rest` has in common with a run's block, were it the next one behind `n_before`; and how many the block has.
    fn common(&mut self, idx: usize, n_before: usize, rest: &[u32]) -> (usize, usize) {
        let (run, frame, tokenizer) = (&self.runs[idx], self.frame, self.tokenizer);
        let number = frame.numbered.then_some(n_before + 1);
        let label = self
            .labels
            .entry((run.label, n_before))
            .or_insert_with(|| label(&run.passage, number, tokenizer));
        let common = |a: &[u32], b: &[u32]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let n_common = common(label, rest);
        if n_common < label.len() {
            // How long the whole would be matters to nobody: it does not stand there, or only its label's beginning does.
            return (n_common, usize::MAX);
        }
        let body = run.body.get_or_init(|| body(&run.passage, tokenizer));
        (n_common + common(body, &rest[n_common..]), label.len() + body.len())
    }

    /// How many of a path's passages may stand first so that the best ranked ones fit behind them, and the tokens that saves.
    fn feasible(&self, path: &Path, passages: &[Passage], sizes: &[usize], room: usize) -> (usize, usize) {
        let mut best = (0, 0);
        let (mut n_kept, mut n_tokens) = (0, 0);
        let mut fixed: Vec<Passage> = Vec::new();
        for (idx, &run) in path.runs.iter().enumerate() {
            n_kept += path.n_kept[idx];
            n_tokens += path.n_tokens[idx];
            fixed.push(self.runs[run].passage.clone());
            if n_tokens + self.best_ranked(&fixed, passages, sizes, room) > room {
                break;
            }
            best = (n_kept, idx + 1);
        }
        best
    }

    /// Tokens of the best ranked passages that are not in `fixed`.
    fn best_ranked(&self, fixed: &[Passage], passages: &[Passage], sizes: &[usize], room: usize) -> usize {
        let theirs = (room as f64 * SHARE_OF_THE_BEST) as usize;
        let (mut n_best, mut n_missing) = (0, 0);
        for (passage, size) in passages.iter().zip(sizes) {
            if n_best + size > theirs {
                break;
            }
            n_best += size;
            n_missing += if is_covered(passage, fixed) { 0 } else { *size };
        }
        n_missing
    }
}

//! What each signal weighs. Fitted by `benches/not_found.py` on half a of `corpora/tour-qa.jsonl` and the two other sets of questions
//! about the sample folder; `docs/answers.md` has the figures on half b.

use super::{Signals, Written};

/// From this probability of absence on, nothing answers the question.
pub(super) const NOT_FOUND: f32 = 0.5;
/// From this one on, what is shown may not be all of the answer.
pub(super) const DOUBTFUL: f32 = 0.3;

/// A weight for each signal, in natural log odds of absence for each unit of the signal.
struct Weights {
    bias: f32,
    cosine: f32,
    cosine_of_kind: f32,
    passage: f32,
    window: f32,
    window_of_kind: f32,
    absent: f32,
    names_absent: f32,
    gain: f32,
}

/// Where a model judged the sentences.
const JUDGED: Weights = Weights {
    bias: 4.0,
    cosine: -3.0,
    cosine_of_kind: -3.0,
    passage: 0.0,
    window: -1.5,
    window_of_kind: -1.5,
    absent: 2.0,
    names_absent: 1.0,
    gain: -1.0,
};
/// Where none did.
const FOUND: Weights = Weights { gain: 0.0, ..JUDGED };

/// What the support of a written answer weighs around the middle of its range, in log odds of absence.
const SUPPORT: f32 = -2.0;
const HALF_SUPPORTED: f32 = 0.5;

/// ln(p / (1 − p)) for the probability p that the documents do not hold the answer.
pub(super) fn log_odds(signals: &Signals) -> f32 {
    let weights = if signals.gain.is_some() { &JUDGED } else { &FOUND };
    weights.bias
        + weights.cosine * signals.cosine
        + weights.cosine_of_kind * signals.cosine_of_kind
        + weights.passage * signals.passage
        + weights.window * signals.window
        + weights.window_of_kind * signals.window_of_kind
        + weights.absent * signals.absent
        + weights.names_absent * signals.names_absent
        + weights.gain * signals.gain.unwrap_or(0.0)
}

/// What an answer in a model's own words adds to that.
pub(super) fn of_written(written: Written) -> f32 {
    SUPPORT * (written.support - HALF_SUPPORTED)
}

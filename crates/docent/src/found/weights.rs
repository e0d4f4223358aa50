//! What each signal weighs. Fitted by `benches/not_found.py` on all questions about the sample folder but half b of `corpora/tour-qa2.jsonl`;
//! `docs/answers.md` has the figures on that.

use super::{Signals, Written};

/// What each unit of a signal adds to the log odds of absence, and what they begin at.
struct Weights {
    bias: f32,
    cosine: f32,
    cosine_of_kind: f32,
    meaning: f32,
    absent: f32,
    numbers_absent: f32,
    answers: f32,
    /// From this probability of absence on, nothing answers the question. A wrong "not in your documents" costs more than a passage that does
    /// not answer, so these are above one half. Chosen on the 352 questions of the fit that are in a script the embedding model knows, tenths left out.
    not_found: f32,
}

/// Where a reader said how sure it is. 70 of 109 questions that have no answer are noticed, 9 of 243 that have one are turned away (from 0.5 on: 80,
/// and 21).
const READ: Weights = Weights {
    bias: 5.77,
    cosine: -9.97,
    cosine_of_kind: 0.49,
    meaning: -1.45,
    absent: 2.15,
    numbers_absent: 3.07,
    answers: -1.26,
    not_found: 0.64,
};

/// Where none did: 45 of 109, and 10 of 243 (from 0.5 on: 61, and 27).
const UNREAD: Weights = Weights {
    bias: 7.39,
    cosine: -8.97,
    cosine_of_kind: -0.51,
    meaning: -3.84,
    absent: 1.82,
    numbers_absent: 3.15,
    answers: 0.0,
    not_found: 0.66,
};

/// From this one on, what is shown may not be all of the answer.
pub(super) const DOUBTFUL: f32 = 0.3;

/// Below this share of words that the embedding model may know, the words alone decide. Set by hand: of thirteen such questions of half a of
/// `tour-qa.jsonl` and the two small sets the nine that are answered have a window of 0.20 and more, the four that are not 0.00, 0.07, 0.33 and 0.38.
const UNDERSTOOD: f32 = 0.5;
const FOREIGN_BIAS: f32 = 1.5;
const FOREIGN_WINDOW: f32 = -10.0;

/// What the support of a written answer weighs around the middle of its range, in log odds of absence.
const SUPPORT: f32 = -2.0;
const HALF_SUPPORTED: f32 = 0.5;

/// Whether the question is in a script that the embedding model was not made for.
pub(super) fn is_foreign(signals: &Signals) -> bool {
    signals.understood < UNDERSTOOD
}

fn weights_for(signals: &Signals) -> &'static Weights {
    if signals.answers.is_some() { &READ } else { &UNREAD }
}

/// The probability of absence from which on nothing answers the question.
pub(super) fn not_found(signals: &Signals) -> f32 {
    weights_for(signals).not_found
}

/// ln(p / (1 − p)) for the probability p that the documents do not hold the answer.
pub(super) fn log_odds(signals: &Signals) -> f32 {
    if is_foreign(signals) {
        return FOREIGN_BIAS + FOREIGN_WINDOW * signals.window;
    }
    let weights = weights_for(signals);
    weights.bias
        + weights.cosine * signals.cosine
        + weights.cosine_of_kind * signals.cosine_of_kind
        + weights.meaning * signals.meaning
        + weights.absent * signals.absent
        + weights.numbers_absent * signals.numbers_absent
        + weights.answers * signals.answers.unwrap_or_default()
}

/// What an answer in a model's own words adds to that.
pub(super) fn of_written(written: Written) -> f32 {
    SUPPORT * (written.support - HALF_SUPPORTED)
}

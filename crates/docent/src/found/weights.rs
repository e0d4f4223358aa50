//! What each signal weighs. Fitted by `benches/not_found.py` on half a of `corpora/tour-qa.jsonl` and the two other sets of questions
//! about the sample folder; `docs/answers.md` has the figures on half b.

use super::{Signals, Written};

/// From this probability of absence on, nothing answers the question.
pub(super) const NOT_FOUND: f32 = 0.5;
/// From this one on, what is shown may not be all of the answer.
pub(super) const DOUBTFUL: f32 = 0.3;

/// What each unit of a signal adds to the log odds of absence, and what they begin at.
const BIAS: f32 = 6.0;
const COSINE: f32 = -3.0;
const COSINE_OF_KIND: f32 = -4.0;
const MEANING: f32 = -5.0;
const ABSENT: f32 = 3.0;

/// What the support of a written answer weighs around the middle of its range, in log odds of absence.
const SUPPORT: f32 = -2.0;
const HALF_SUPPORTED: f32 = 0.5;

/// ln(p / (1 − p)) for the probability p that the documents do not hold the answer.
pub(super) fn log_odds(signals: &Signals) -> f32 {
    BIAS + COSINE * signals.cosine
        + COSINE_OF_KIND * signals.cosine_of_kind
        + MEANING * signals.meaning
        + ABSENT * signals.absent
}

/// What an answer in a model's own words adds to that.
pub(super) fn of_written(written: Written) -> f32 {
    SUPPORT * (written.support - HALF_SUPPORTED)
}

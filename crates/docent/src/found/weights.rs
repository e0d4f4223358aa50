//! What each signal weighs. Fitted by `benches/not_found.py` on all questions about the sample folder but half b of `corpora/tour-qa2.jsonl`;
//! `docs/answers.md` has the figures on that.

use super::{Signals, Written};

/// From this probability of absence on, nothing answers the question. Chosen on the 352 questions of the fit that are in a script the embedding
/// model knows, tenths left out: 45 of 109 that have no answer are noticed, 10 of 243 that have one are turned away (at 0.5: 61, and 27). A wrong
/// "not in your documents" costs more than a passage that does not answer.
pub(super) const NOT_FOUND: f32 = 0.66;
/// From this one on, what is shown may not be all of the answer.
pub(super) const DOUBTFUL: f32 = 0.3;

/// What each unit of a signal adds to the log odds of absence, and what they begin at.
const BIAS: f32 = 7.39;
const COSINE: f32 = -8.97;
const COSINE_OF_KIND: f32 = -0.51;
const MEANING: f32 = -3.84;
const ABSENT: f32 = 1.82;
const NUMBERS_ABSENT: f32 = 3.15;

/// Below this share of words that the embedding model may know, the words alone decide. Set by hand: of thirteen such questions of half a of
/// `tour-qa.jsonl` and the two small sets the nine that are answered have a window of 0.20 and more, the four that are not 0.00, 0.07, 0.33 and 0.38.
const UNDERSTOOD: f32 = 0.5;
const FOREIGN_BIAS: f32 = 1.5;
const FOREIGN_WINDOW: f32 = -10.0;

/// What the support of a written answer weighs around the middle of its range, in log odds of absence.
const SUPPORT: f32 = -2.0;
const HALF_SUPPORTED: f32 = 0.5;

/// ln(p / (1 − p)) for the probability p that the documents do not hold the answer.
pub(super) fn log_odds(signals: &Signals) -> f32 {
    if signals.understood < UNDERSTOOD {
        return FOREIGN_BIAS + FOREIGN_WINDOW * signals.window;
    }
    BIAS + COSINE * signals.cosine
        + COSINE_OF_KIND * signals.cosine_of_kind
        + MEANING * signals.meaning
        + ABSENT * signals.absent
        + NUMBERS_ABSENT * signals.numbers_absent
}

/// What an answer in a model's own words adds to that.
pub(super) fn of_written(written: Written) -> f32 {
    SUPPORT * (written.support - HALF_SUPPORTED)
}

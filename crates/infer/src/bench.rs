//! Speed of a model at given depths of context, measured the way llama.cpp's own benchmarks do: the context is filled to
//! the depth, then a prefill and a run of single tokens are timed behind it.
//!
//! Tokens are random (the same in every run): the arithmetic does not care, and experts are chosen as evenly as they get.

use std::time::Instant;

use docent_lm::{LmError, Logits, Model, SLICE, State};

use crate::rng::Rng;
use crate::{Cancel, InferError};

/// Tokens below this are control tokens and single bytes in most vocabularies; those above the other one are rare.
const ORDINARY_TOKENS: std::ops::Range<usize> = 300..40_000;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchPlan {
    /// Tokens of the prefills that are timed.
    pub prefills: Vec<usize>,
    /// Single tokens that are timed behind each.
    pub n_decode: usize,
    /// Tokens before either; taken in ascending order.
    pub depths: Vec<usize>,
    /// How often each is timed.
    pub n_repeats: usize,
}

/// Speed of one prefill at one depth.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchFigures {
    /// Tokens of context before the prefill.
    pub depth: usize,
    /// Tokens of the prefill.
    pub n_prefill: usize,
    /// Prefilled tokens a second: median of the repeats.
    pub prefill_per_s: f64,
    /// Decoded tokens a second: median of the repeats.
    pub decode_per_s: f64,
    /// Seconds it took to fill the context from nothing to the depth.
    pub fill_s: f64,
}

/// Measures depth by depth, prefill by prefill, telling `on_figures` after each.
///
/// # Errors
/// [`LmError::ContextFull`] for a depth beyond the context; [`LmError::Cancelled`]; what `on_figures` says.
pub fn bench<E: From<InferError>>(
    model: &Model,
    plan: &BenchPlan,
    cancel: &Cancel,
    on_figures: &mut dyn FnMut(BenchFigures) -> Result<(), E>,
) -> Result<(), E> {
    let deepest = plan.depths.iter().max().copied().unwrap_or(0);
    let longest = plan.prefills.iter().max().copied().unwrap_or(0);
    let (n_tokens, context_length) =
        (deepest.saturating_add(longest.saturating_add(plan.n_decode)), model.config().context_length);
    if n_tokens > context_length {
        return Err(InferError::from(LmError::ContextFull { n_tokens, context_length }).into());
    }
    let mut run = Run { model, cancel, random: Rng::new(1) };
    run.seconds(&mut model.new_state(), longest.max(1))?; // warm-up: pages in the weights
    let _ = model.kernels().take_profile();
    let (mut state, mut fill_s) = (model.new_state(), 0.0);
    let mut depths = plan.depths.clone();
    depths.sort_unstable();
    for depth in depths {
        while state.n_tokens() < depth {
            let n = (depth - state.n_tokens()).min(SLICE);
            fill_s += run.seconds(&mut state, n)?;
        }
        // What filled the context is not what is asked about.
        let _ = model.kernels().take_profile();
        for &n_prefill in &plan.prefills {
            let (prefill_per_s, decode_per_s) = run.behind(&state, n_prefill, plan)?;
            on_figures(BenchFigures { depth, n_prefill, prefill_per_s, decode_per_s, fill_s })?;
        }
    }
    Ok(())
}

struct Run<'a> {
    model: &'a Model,
    cancel: &'a Cancel,
    random: Rng,
}

impl Run<'_> {
    /// Medians of tokens a second: of a prefill of `n_prefill` behind `state`, and of single tokens behind that.
    fn behind(
        &mut self,
        state: &State,
        n_prefill: usize,
        plan: &BenchPlan,
    ) -> Result<(f64, f64), InferError> {
        let (mut prefill, mut decode) = (Vec::new(), Vec::new());
        for _ in 0..plan.n_repeats.max(1) {
            let mut state = state.clone();
            if n_prefill > 0 {
                prefill.push(n_prefill as f64 / self.seconds(&mut state, n_prefill)?);
            }
            if plan.n_decode > 0 {
                let mut seconds = 0.0;
                for _ in 0..plan.n_decode {
                    seconds += self.seconds(&mut state, 1)?;
                }
                decode.push(plan.n_decode as f64 / seconds);
            }
        }
        Ok((median(&mut prefill), median(&mut decode)))
    }

    /// Seconds of a forward pass of `n` random tokens, the last one's logits included.
    fn seconds(&mut self, state: &mut State, n: usize) -> Result<f64, InferError> {
        if self.cancel.is_cancelled() {
            return Err(LmError::Cancelled.into());
        }
        let n_vocab = self.model.config().n_vocab;
        let (low, high) = (ORDINARY_TOKENS.start.min(n_vocab / 2), ORDINARY_TOKENS.end.min(n_vocab));
        let token = |random: &mut Rng| (low + (random.next_f64() * (high - low) as f64) as usize) as u32;
        let tokens: Vec<u32> = (0..n).map(|_| token(&mut self.random)).collect();
        let start = Instant::now();
        self.model.forward(state, &tokens, Logits::Last)?;
        Ok(start.elapsed().as_secs_f64())
    }
}

/// The middle one, or the mean of the two in the middle; 0 of nothing.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { 0.0 } else { (values[(n - 1) / 2] + values[n / 2]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians_of_even_and_odd_numbers_of_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
    }
}

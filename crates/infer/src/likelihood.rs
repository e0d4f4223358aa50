//! How well a model predicts a text: the figure by which two implementations, or two quantisations, are compared.

use docent_lm::{Logits, Model};

use crate::InferError;

/// Tokens scored at once: bounds the logits in memory to 128 x n_vocab (64 MB for 128,000).
const SLICE: usize = 128;

/// Mean negative log-likelihood, in nats, of `tokens[1..]`, each given all before it. exp of it is the perplexity.
///
/// # Errors
/// [`InferError::TooFewTokens`] below two tokens; what [`Model::forward`] says, as for a text longer than the context.
pub fn mean_nll(model: &Model, tokens: &[u32]) -> Result<f64, InferError> {
    if tokens.len() < 2 {
        return Err(InferError::TooFewTokens(tokens.len()));
    }
    let n_vocab = model.config().n_vocab;
    let mut state = model.new_state();
    let mut sum = 0.0;
    let (given, predicted) = (&tokens[..tokens.len() - 1], &tokens[1..]);
    for (given, predicted) in given.chunks(SLICE).zip(predicted.chunks(SLICE)) {
        let logits = model.forward(&mut state, given, Logits::All)?; // (n, n_vocab)
        for (row, &token) in logits.chunks_exact(n_vocab).zip(predicted) {
            sum -= log_probability(row, token)?;
        }
    }
    Ok(sum / predicted.len() as f64)
}

/// Log-likelihood, in nats, of `continuation` behind `given`: the sum over its tokens. `given` must not be empty.
///
/// # Errors
/// As [`mean_nll`].
pub fn log_likelihood(model: &Model, given: &[u32], continuation: &[u32]) -> Result<f64, InferError> {
    let Some(last) = continuation.len().checked_sub(1) else { return Ok(0.0) };
    if given.is_empty() {
        return Err(InferError::TooFewTokens(0));
    }
    let n_vocab = model.config().n_vocab;
    let mut state = model.new_state();
    let mut logits = model.forward(&mut state, given, Logits::Last)?; // (1, n_vocab)
    logits.extend(model.forward(&mut state, &continuation[..last], Logits::All)?); // (n, n_vocab)
    let mut sum = 0.0;
    for (row, &token) in logits.chunks_exact(n_vocab).zip(continuation) {
        sum += log_probability(row, token)?;
    }
    Ok(sum)
}

/// ln P(token) under the logits of one position: (n_vocab).
fn log_probability(logits: &[f32], token: u32) -> Result<f64, InferError> {
    let n_vocab = logits.len();
    let logit = logits.get(token as usize).ok_or(docent_lm::LmError::Token { token, n_vocab })?;
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let log_sum_exp = max + logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum::<f64>().ln();
    Ok(f64::from(*logit) - log_sum_exp)
}

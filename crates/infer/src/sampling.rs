//! From logits to the next token.
//!
//! ```text
//! logits ─▶ repetition penalty ─▶ temperature 0? greedy
//!                              └▶ / temperature ─▶ top-k ─▶ top-p ─▶ min-p ─▶ draw
//! ```
//!
//! The order is that of Hugging Face's `generate` (`transformers/generation/utils.py`, `_get_logits_processor`), for which the
//! model's recommended values are meant; llama.cpp applies the temperature last, so that its top-p keeps more.
//!
//! Cost: one or two passes over the logits. Of a vocabulary of 128,000 only the candidates that can still matter are sorted.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// How tokens are chosen. The default is greedy: no randomness at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Divides the logits; 0 (or less) takes the most likely token always.
    pub temperature: f32,
    /// Only so many of the most likely tokens stay; 0 keeps all.
    pub top_k: usize,
    /// Of those, the most likely ones that together reach this probability stay (at least one); 1 keeps all.
    pub top_p: f32,
    /// Of those, the ones at least this times as likely as the most likely one stay; 0 keeps all.
    pub min_p: f32,
    /// Makes tokens generated a short while ago less likely: positive logits are divided by it, negative ones multiplied
    /// (Keskar et al., CTRL, 2019, section 4.1); 1 changes nothing.
    pub repetition_penalty: f32,
    /// How many of the last generated tokens the penalty looks at. The prompt is never penalised: an answer is supposed to quote it.
    pub repetition_window: usize,
    /// Same seed, same logits: same tokens.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 64,
            seed: 0,
        }
    }
}

impl Sampling {
    /// The values that LFM2.5-8B-A1B's makers recommend: temperature 0.2, top-k 80, repetition penalty 1.05.
    pub fn lfm2() -> Self {
        Sampling { temperature: 0.2, top_k: 80, repetition_penalty: 1.05, ..Sampling::default() }
    }
}

/// A candidate: a token and what is left of its logit.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    logit: f32,
    token: u32,
}

/// Most likely first; equal logits by id, so that the order is always the same.
fn by_likelihood(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

/// Draws tokens for one generation: holds its random numbers and what it has generated.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    rng: Rng,
    generated: Vec<u32>,
    candidates: Vec<Candidate>,
}

impl Sampler {
    /// A sampler at the start of a generation.
    pub fn new(sampling: Sampling) -> Self {
        let rng = Rng::new(sampling.seed);
        Sampler { sampling, rng, generated: Vec::new(), candidates: Vec::new() }
    }

    /// The next token for `logits` (n_vocab), or `None` if none of them is a number above -∞. Changes `logits`.
    pub fn next(&mut self, logits: &mut [f32]) -> Option<u32> {
        self.penalise(logits);
        let best = greedy(logits)?;
        let token = if self.sampling.temperature > 0.0 { self.draw(logits, best.logit) } else { best.token };
        self.accept(token);
        Some(token)
    }

    /// Tells of a token that was put into the text without being drawn.
    pub fn accept(&mut self, token: u32) {
        self.generated.push(token);
    }

    fn penalise(&self, logits: &mut [f32]) {
        let penalty = self.sampling.repetition_penalty;
        if penalty == 1.0 || penalty <= 0.0 {
            return;
        }
        let from = self.generated.len().saturating_sub(self.sampling.repetition_window);
        let mut recent = self.generated[from..].to_vec();
        recent.sort_unstable();
        recent.dedup(); // once each, however often it came
        for token in recent {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    /// Draws from the distribution that temperature, top-k, top-p and min-p leave. `best` is the largest logit.
    fn draw(&mut self, logits: &[f32], best: f32) -> u32 {
        let Sampling { temperature, top_k, top_p, min_p, .. } = self.sampling;
        // Weight relative to the best: exp((l - best) / T), so that nothing overflows.
        let weight = |logit: f32| f64::from((logit - best) / temperature).exp();

        // min-p (after top-k and top-p) cuts by a fixed logit, so it can be applied first: what it drops is the least likely tail, which
        // no later step would have drawn from. What top-p counts as the whole is taken before the cut.
        let floor = if min_p > 0.0 { best + temperature * min_p.ln() } else { f32::NEG_INFINITY };
        self.candidates.clear();
        let all = (0u32..).zip(logits).map(|(token, &logit)| Candidate { logit, token });
        let usable = |c: &Candidate| c.logit > f32::NEG_INFINITY;
        let limit = if top_k == 0 { logits.len() } else { top_k.min(logits.len()) };
        if limit < logits.len() {
            keep_best(&mut self.candidates, all.filter(usable), limit);
        } else {
            self.candidates.extend(all.filter(usable));
        }

        let mut total: f64 = self.candidates.iter().map(|c| weight(c.logit)).sum();
        if top_p < 1.0 {
            total = keep_mass(&mut self.candidates, f64::from(top_p) * total, weight);
        }
        if min_p > 0.0 {
            self.candidates.retain(|c| c.logit >= floor || c.logit == best);
            total = self.candidates.iter().map(|c| weight(c.logit)).sum();
        }

        let mut left = self.rng.next_f64() * total;
        for candidate in &self.candidates {
            left -= weight(candidate.logit);
            if left < 0.0 {
                return candidate.token;
            }
        }
        // Rounding left a crumb: the last candidate it is.
        self.candidates.last().map_or(0, |candidate| candidate.token)
    }
}

/// The largest logit and the first token that has it; NaN is never chosen.
fn greedy(logits: &[f32]) -> Option<Candidate> {
    let mut best: Option<Candidate> = None;
    for (token, &logit) in (0u32..).zip(logits) {
        if logit > best.map_or(f32::NEG_INFINITY, |b| b.logit) {
            best = Some(Candidate { logit, token });
        }
    }
    best
}

/// Leaves the `limit` most likely of `all` in `kept`, sorted. One pass with a rising threshold: O(n) comparisons, and a partition of
/// 2 x `limit` whenever the buffer is full.
fn keep_best(kept: &mut Vec<Candidate>, all: impl Iterator<Item = Candidate>, limit: usize) {
    let full = (2 * limit).max(64);
    let mut threshold: Option<Candidate> = None;
    for candidate in all {
        if threshold.is_some_and(|t| by_likelihood(&candidate, &t).is_ge()) {
            continue;
        }
        kept.push(candidate);
        if kept.len() >= full {
            let (_, nth, _) = kept.select_nth_unstable_by(limit - 1, by_likelihood);
            threshold = Some(*nth);
            kept.truncate(limit);
        }
    }
    kept.sort_unstable_by(by_likelihood);
    kept.truncate(limit);
}

/// Keeps the most likely candidates that together weigh at least `mass` (at least one), sorted; returns what they weigh.
/// Sorts 256 of them first, then four times as many, until they are enough: the mass usually sits in very few.
fn keep_mass(candidates: &mut Vec<Candidate>, mass: f64, weight: impl Fn(f32) -> f64) -> f64 {
    let mut n_sorted = 0;
    let mut sum = 0.0;
    while n_sorted < candidates.len() {
        let rest = &mut candidates[n_sorted..];
        let n_more = (4 * n_sorted).max(256).min(rest.len());
        if n_more < rest.len() {
            rest.select_nth_unstable_by(n_more, by_likelihood);
        }
        rest[..n_more].sort_unstable_by(by_likelihood);
        for at in n_sorted..n_sorted + n_more {
            sum += weight(candidates[at].logit);
            if sum >= mass {
                candidates.truncate(at + 1);
                return sum;
            }
        }
        n_sorted += n_more;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random_logits(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| (rng.next_f64() * 20.0 - 10.0) as f32).collect()
    }

    /// The tokens that `sampling` ever draws from `logits`, and how often.
    fn histogram(sampling: &Sampling, logits: &[f32], draws: u64) -> Vec<(u32, u64)> {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..draws {
            let mut sampler = Sampler::new(Sampling { seed, ..sampling.clone() });
            let token = sampler.next(&mut logits.to_vec()).unwrap();
            *counts.entry(token).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    fn tokens(histogram: &[(u32, u64)]) -> Vec<u32> {
        histogram.iter().map(|&(token, _)| token).collect()
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_largest() {
        let mut sampler = Sampler::new(Sampling::default());
        assert_eq!(sampler.next(&mut [1.0, 3.0, 3.0, f32::NAN, -1.0]), Some(1));
    }

    #[test]
    fn logits_without_a_number_give_no_token() {
        let mut sampler = Sampler::new(Sampling::lfm2());
        assert_eq!(sampler.next(&mut [f32::NAN, f32::NEG_INFINITY]), None);
        assert_eq!(sampler.next(&mut []), None);
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens() {
        let logits = random_logits(5_000, 1);
        let run = |seed| -> Vec<Option<u32>> {
            let sampling = Sampling { temperature: 1.5, top_k: 500, seed, ..Sampling::default() };
            let mut sampler = Sampler::new(sampling);
            (0..50).map(|_| sampler.next(&mut logits.clone())).collect()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [0.0, 1.0, 2.0];
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
        for (token, count) in histogram(&sampling, &logits, 20_000) {
            let expected = f64::from(logits[token as usize]).exp() / total;
            let seen = count as f64 / 20_000.0;
            assert!((seen - expected).abs() < 0.015, "token {token}: {seen} for {expected}");
        }
    }

    #[test]
    fn top_k_draws_from_the_k_largest_of_a_large_vocabulary_alone() {
        let logits = random_logits(128_000, 2);
        let mut order: Vec<u32> = (0..128_000).collect();
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        let sampling = Sampling { temperature: 50.0, top_k: 5, ..Sampling::default() };
        let mut expected = order[..5].to_vec();
        expected.sort_unstable();
        assert_eq!(tokens(&histogram(&sampling, &logits, 300)), expected);
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_the_mass() {
        // Probabilities 0.5, 0.25, 0.15, 0.1.
        let logits = [0.25f32, 0.5, 0.1, 0.15].map(f32::ln);
        let kept = |top_p| {
            tokens(&histogram(&Sampling { temperature: 1.0, top_p, ..Sampling::default() }, &logits, 400))
        };
        assert_eq!(kept(0.4), [1]);
        assert_eq!(kept(0.7), [0, 1]);
        assert_eq!(kept(0.85), [0, 1, 3]);
        assert_eq!(kept(1.0), [0, 1, 2, 3]);
    }

    #[test]
    fn top_p_over_a_flat_vocabulary_keeps_its_share() {
        let logits = vec![0.0; 3_000];
        let mut sampler = Sampler::new(Sampling { temperature: 1.0, top_p: 0.5, ..Sampling::default() });
        sampler.next(&mut logits.clone());
        assert!((1_499..=1_501).contains(&sampler.candidates.len()), "{}", sampler.candidates.len());
    }

    #[test]
    fn min_p_drops_what_is_unlikely_beside_the_best() {
        let logits = [0.25f32, 0.5, 0.1, 0.15].map(f32::ln);
        let kept = |min_p| {
            tokens(&histogram(&Sampling { temperature: 1.0, min_p, ..Sampling::default() }, &logits, 400))
        };
        assert_eq!(kept(0.25), [0, 1, 3]);
        assert_eq!(kept(0.4), [0, 1]);
        assert_eq!(kept(1.0), [1]);
    }

    #[test]
    fn a_low_temperature_comes_close_to_greedy() {
        let logits = random_logits(1_000, 5);
        let best = greedy(&logits).unwrap().token;
        let sampling = Sampling { temperature: 1e-4, ..Sampling::default() };
        assert_eq!(tokens(&histogram(&sampling, &logits, 20)), [best]);
    }

    #[test]
    fn a_repeated_token_is_penalised_once_within_the_window() {
        let sampling = Sampling { repetition_penalty: 2.0, repetition_window: 2, ..Sampling::default() };
        let mut sampler = Sampler::new(sampling);
        // 0 wins, is halved below 1, which wins and is halved below 2 ...
        let logits = [4.0f32, 3.0, 2.5, -8.0];
        let run: Vec<_> = (0..4).map(|_| sampler.next(&mut logits.clone())).collect();
        assert_eq!(run, [Some(0), Some(1), Some(2), Some(0)]);
        let mut negative = [-1.0f32, -1.5];
        let mut sampler = Sampler::new(Sampling { repetition_penalty: 2.0, ..Sampling::default() });
        sampler.accept(0);
        sampler.accept(0);
        assert_eq!(sampler.next(&mut negative), Some(1));
        assert_eq!(negative[0], -2.0);
    }
}

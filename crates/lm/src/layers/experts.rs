//! Routed experts: each token goes through the few SwiGLU experts its router picks.
//!
//! ```text
//! s = sigmoid(Wg x)                          (n, n_experts), in f32
//! chosen = the n_used largest of s + bias    the bias selects ...
//! w = s[chosen] / (sum of s[chosen] + 1e-6)  ... and does not weigh
//! out = sum of w * expert(x)
//! ```
//! Source: transformers `models/lfm2_moe/modular_lfm2_moe.py`, `Lfm2MoeSparseMoeBlock`. Softmax instead of the sigmoid, or
//! weighing by the biased scores, gives fluent text from the wrong experts.

use super::Pass;
use super::weights::{Loader, Weight};
use crate::LmError;
use crate::config::{Config, ExpertConfig};

/// Keeps the division finite where all chosen scores are 0. Same source as the formula.
const SUM_EPS: f32 = 1e-6;

pub(crate) struct Experts {
    router: Weight,
    bias: Option<Vec<f32>>,
    gate: Weight,
    up: Weight,
    down: Weight,
    n_experts: usize,
    n_used: usize,
}

impl Experts {
    pub(crate) fn load(
        loader: &Loader<'_>,
        config: &Config,
        experts: &ExpertConfig,
        layer_idx: usize,
    ) -> Result<Self, LmError> {
        let name = |part: &str| format!("blk.{layer_idx}.{part}");
        let (n, n_ff, n_embd) = (experts.n_experts, experts.n_ff, config.n_embd);
        Ok(Self {
            router: loader.matrix(&name("ffn_gate_inp.weight"), n, n_embd)?,
            bias: loader.optional_floats(&name("exp_probs_b.bias"), &[n])?,
            gate: loader.experts(&name("ffn_gate_exps.weight"), n, n_ff, n_embd)?,
            up: loader.experts(&name("ffn_up_exps.weight"), n, n_ff, n_embd)?,
            down: loader.experts(&name("ffn_down_exps.weight"), n, n_embd, n_ff)?,
            n_experts: n,
            n_used: experts.n_used,
        })
    }

    /// `x` and `out` are (n, n_embd).
    pub(crate) fn forward(&self, pass: &mut Pass<'_>, x: &[f32], out: &mut [f32]) {
        let mut scores = pass.scratch.take(pass.n * self.n_experts); // (n, n_experts)
        pass.kernels.matmul(self.router.matrix(pass.file), x, &mut scores);
        let mut weights = pass.scratch.take(pass.n * self.n_used); // (n, n_used)
        let mut chosen = vec![0u32; pass.n * self.n_used]; // (n, n_used)
        let rows = scores.chunks_exact_mut(self.n_experts).zip(chosen.chunks_exact_mut(self.n_used));
        for ((scores, chosen), weights) in rows.zip(weights.chunks_exact_mut(self.n_used)) {
            route(scores, self.bias.as_deref(), chosen, weights);
        }
        let (gate, up, down) =
            (self.gate.experts(pass.file), self.up.experts(pass.file), self.down.experts(pass.file));
        pass.kernels.expert_ffn(gate, up, down, x, &chosen, &weights, out);
        pass.scratch.give(scores);
        pass.scratch.give(weights);
    }
}

/// One token's choice. `scores` are the router's logits and are overwritten; of equal scores the first expert wins.
fn route(scores: &mut [f32], bias: Option<&[f32]>, chosen: &mut [u32], weights: &mut [f32]) {
    scores.iter_mut().for_each(|s| *s = 1.0 / (1.0 + (-*s).exp()));
    let biased = |idx: usize| scores[idx] + bias.map_or(0.0, |b| b[idx]);
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    // Stable, and total even for the NaNs of a damaged file.
    order.sort_by(|&a, &b| biased(b as usize).total_cmp(&biased(a as usize)));
    chosen.copy_from_slice(&order[..chosen.len()]);
    let sum: f32 = chosen.iter().map(|&idx| scores[idx as usize]).sum();
    for (weight, &idx) in weights.iter_mut().zip(&*chosen) {
        *weight = scores[idx as usize] / (sum + SUM_EPS);
    }
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn the_bias_selects_experts_and_does_not_weigh_them() {
        let mut scores = [0.0, 2.0, -1.0, 1.0];
        let (mut chosen, mut weights) = ([0; 2], [0.0; 2]);
        route(&mut scores, Some(&[0.0, 0.0, 9.0, 0.0]), &mut chosen, &mut weights);
        assert_eq!(chosen, [2, 1]);
        let (a, b) = (1.0 / (1.0 + 1f32.exp()), 1.0 / (1.0 + (-2f32).exp()));
        assert!(
            (weights[0] - a / (a + b)).abs() < 1e-5 && (weights[1] - b / (a + b)).abs() < 1e-5,
            "{weights:?}"
        );
    }

    #[test]
    fn of_equal_scores_the_first_expert_wins() {
        let mut scores = [0.5; 4];
        let (mut chosen, mut weights) = ([0; 2], [0.0; 2]);
        route(&mut scores, None, &mut chosen, &mut weights);
        assert_eq!(chosen, [0, 1]);
    }
}

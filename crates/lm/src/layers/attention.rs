//! Grouped-query attention with rotary positions.
//!
//! ```text
//! q, k, v = Wq x + bq, Wk x + bk, Wv x + bv       biases: qwen2
//! q, k    = norm(q), norm(k) per head             norms: lfm2, qwen3
//! q, k    = rope(q), rope(k)                      after the norms
//! out     = Wo softmax(q kᵀ / sqrt(head_dim)) v   query head h reads KV head h * n_kv_heads / n_heads
//! ```
//! Sources: transformers `models/lfm2/modular_lfm2.py`, `models/qwen2`, `models/qwen3`, `models/llama`.
//!
//! New keys and values are rounded into the state first and read back from there, in the pass that made them too:
//! otherwise a restored prefix would not give the bits of a fresh one.

use std::sync::Arc;

use docent_kernels::{AttentionShape, Buffer, RopePairing, RopeTable};

use super::weights::{Loader, Weight};
use super::{Norm, Pass};
use crate::LmError;
use crate::config::Config;

/// What an attention layer needs beside its tensors.
pub(crate) struct AttentionConfig {
    /// Angles, shared by all layers.
    pub(crate) rope: Arc<RopeTable>,
    pub(crate) pairing: RopePairing,
    /// Whether the architecture has norms on query and key: then they must be there.
    pub(crate) qk_norm: bool,
}

pub(crate) struct Attention {
    q: Weight,
    k: Weight,
    v: Weight,
    out: Weight,
    q_bias: Option<Vec<f32>>,
    k_bias: Option<Vec<f32>>,
    v_bias: Option<Vec<f32>>,
    out_bias: Option<Vec<f32>>,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
    shape: AttentionShape,
    rope: Arc<RopeTable>,
    pairing: RopePairing,
    /// Which attention layer this is: its place in a KV block.
    attention_idx: usize,
}

impl Attention {
    pub(crate) fn load(
        loader: &Loader<'_>,
        config: &Config,
        attention: &AttentionConfig,
        layer_idx: usize,
    ) -> Result<Self, LmError> {
        let name = |part: &str| format!("blk.{layer_idx}.attn_{part}");
        let (n_embd, n_heads, head_dim) = (config.n_embd, config.n_heads, config.head_dim);
        let n_kv_heads = config.n_kv_heads[layer_idx];
        let (q_width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
        let norm = |part: &str| match attention.qk_norm {
            true => Norm::load(loader, &name(part), head_dim, config.norm_eps).map(Some),
            false => Ok(None),
        };
        Ok(Self {
            q: loader.matrix(&name("q.weight"), q_width, n_embd)?,
            k: loader.matrix(&name("k.weight"), kv_width, n_embd)?,
            v: loader.matrix(&name("v.weight"), kv_width, n_embd)?,
            out: loader.matrix(&name("output.weight"), n_embd, q_width)?,
            q_bias: loader.optional_floats(&name("q.bias"), &[q_width])?,
            k_bias: loader.optional_floats(&name("k.bias"), &[kv_width])?,
            v_bias: loader.optional_floats(&name("v.bias"), &[kv_width])?,
            out_bias: loader.optional_floats(&name("output.bias"), &[n_embd])?,
            q_norm: norm("q_norm.weight")?,
            k_norm: norm("k_norm.weight")?,
            shape: AttentionShape { n_heads, n_kv_heads, head_dim, scale: 1.0 / (head_dim as f32).sqrt() },
            rope: Arc::clone(&attention.rope),
            pairing: attention.pairing,
            attention_idx: config.n_kv_heads[..layer_idx].iter().filter(|&&n| n > 0).count(),
        })
    }

    /// `x` and `out` are (n, n_embd).
    pub(crate) fn forward(&self, pass: &mut Pass<'_>, x: &[f32], out: &mut [f32]) {
        let AttentionShape { n_heads, n_kv_heads, head_dim, .. } = self.shape;
        let mut q = pass.scratch.take(pass.n * n_heads * head_dim); // (n, n_heads, head_dim)
        let mut k = pass.scratch.take(pass.n * n_kv_heads * head_dim); // (n, n_kv_heads, head_dim)
        let mut v = pass.scratch.take(pass.n * n_kv_heads * head_dim); // (n, n_kv_heads, head_dim)
        let matrices = [self.q.matrix(pass.file), self.k.matrix(pass.file), self.v.matrix(pass.file)];
        pass.kernels.matmul_many(&matrices, x, &mut [&mut q, &mut k, &mut v]);
        for (rows, bias) in [(&mut q, &self.q_bias), (&mut k, &self.k_bias), (&mut v, &self.v_bias)] {
            add_bias(rows, bias.as_deref());
        }
        self.position(pass, &mut q, n_heads, self.q_norm.as_ref());
        self.position(pass, &mut k, n_kv_heads, self.k_norm.as_ref());
        pass.state.store_kv(self.attention_idx, &k, &v);

        let mut mixed = pass.scratch.take(q.len()); // (n, n_heads, head_dim)
        let first_pos = pass.state.first_pos();
        pass.state.with_kv(self.attention_idx, |kv| {
            pass.kernels.attention(&q, kv, self.shape, first_pos, &mut mixed);
        });
        pass.kernels.matmul(self.out.matrix(pass.file), &mixed, out);
        add_bias(out, self.out_bias.as_deref());
        for buffer in [q, k, v, mixed] {
            pass.scratch.give(buffer);
        }
    }

    /// Norm, then rotation, of queries or keys `x` (n, n_heads, head_dim), in place.
    fn position(&self, pass: &mut Pass<'_>, x: &mut Buffer, n_heads: usize, norm: Option<&Norm>) {
        if let Some(norm) = norm {
            let mut normed = pass.scratch.take(x.len());
            norm.forward(pass.kernels, x, &mut normed);
            std::mem::swap(x, &mut normed);
            pass.scratch.give(normed);
        }
        pass.kernels.rope(x, n_heads, self.shape.head_dim, pass.state.first_pos(), &self.rope, self.pairing);
    }
}

/// Adds `bias` to every row of its length.
fn add_bias(rows: &mut [f32], bias: Option<&[f32]>) {
    let Some(bias) = bias else { return };
    for row in rows.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
    }
}

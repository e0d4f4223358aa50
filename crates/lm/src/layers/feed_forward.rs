//! Dense SwiGLU feed-forward: `down(silu(gate(x)) * up(x))` (Shazeer 2020, "GLU variants", equation 6).

use super::Pass;
use super::weights::{Loader, Weight};
use crate::LmError;
use crate::config::Config;

pub(crate) struct Dense {
    gate: Weight,
    up: Weight,
    down: Weight,
    n_ff: usize,
}

impl Dense {
    pub(crate) fn load(loader: &Loader<'_>, config: &Config, layer_idx: usize) -> Result<Self, LmError> {
        let name = |part: &str| format!("blk.{layer_idx}.ffn_{part}.weight");
        let (n_ff, n_embd) = (config.n_ff, config.n_embd);
        Ok(Self {
            gate: loader.matrix(&name("gate"), n_ff, n_embd)?,
            up: loader.matrix(&name("up"), n_ff, n_embd)?,
            down: loader.matrix(&name("down"), n_embd, n_ff)?,
            n_ff,
        })
    }

    /// `x` and `out` are (n, n_embd).
    pub(crate) fn forward(&self, pass: &mut Pass<'_>, x: &[f32], out: &mut [f32]) {
        let mut gate = pass.scratch.take(pass.n * self.n_ff); // (n, n_ff)
        let mut up = pass.scratch.take(pass.n * self.n_ff); // (n, n_ff)
        let matrices = [self.gate.matrix(pass.file), self.up.matrix(pass.file)];
        pass.kernels.matmul_many(&matrices, x, &mut [&mut gate, &mut up]);
        pass.kernels.swiglu(&mut gate, &up);
        pass.kernels.matmul(self.down.matrix(pass.file), &gate, out);
        pass.scratch.give(gate);
        pass.scratch.give(up);
    }
}

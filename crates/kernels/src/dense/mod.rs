//! Dense f32 layers of encoders: linear layers, attention of every token to every token, layer norm, GELU.
//!
//! For models of some ten to a hundred million f32 weights that read many tokens at once, such as the ones that turn text
//! into vectors. Weights are repacked once, when a model is opened, because their products are bound by arithmetic and not
//! by memory; for quantised weights and for one token at a time see [`Kernels`](crate::Kernels).
//!
//! ```text
//! PackedMatrix: columns in panels of 48, zeros behind the last
//!
//!     panel 0                panel 1
//!     ┌──────────────┐       ┌──────────────┐
//!     │ input 0: 48  │       │ input 0: 48  │        a tile of the product: 8 rows x 48 columns, 24 registers of 16;
//!     │ input 1: 48  │       │ input 1: 48  │        128 inputs at a time, so that the part of the panel (24 KB)
//!     │ ...          │       │ ...          │        stays in the first-level cache while all rows pass by
//!     └──────────────┘       └──────────────┘
//! ```
//!
//! Every call computes on the calling thread. A row's bits do not depend on the rows beside it. They do depend on the
//! instruction set, in the last places: sums are fused multiply-adds where the processor has them.

mod plain;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use crate::{Isa, KernelError};
use plain::{Block, Start};

/// Columns of a panel: three registers of 16.
const PANEL: usize = 48;
/// Inputs that are multiplied at a time: a panel's part then takes 24 KB of the first-level cache.
const DEPTH: usize = 128;
/// Rows of a tile: 8 by 3 registers leave room for a row of the panel and one value of the input.
const TILE_ROWS: usize = 8;
/// Columns of a register: buffers are padded to whole ones.
const LANES: usize = 16;

/// Sixteen numbers on a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
#[expect(dead_code, reason = "read as floats, never by name")]
struct Line([f32; LANES]);

/// Zeros that begin on a cache line.
fn zeros(n: usize) -> Vec<Line> {
    vec![Line([0.0; LANES]); n.div_ceil(LANES)]
}

fn floats(lines: &[Line]) -> &[f32] {
    // SAFETY: a line is 16 floats without a gap.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LANES) }
}

fn floats_mut(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LANES) }
}

/// The weights and the bias of a linear layer in panels.
pub struct PackedMatrix {
    n_in: usize,
    n_out: usize,
    panels: Vec<Line>,
    bias: Vec<f32>,
}

impl PackedMatrix {
    /// Packs weights (n_out, n_in) with a bias (n_out).
    ///
    /// # Panics
    /// When the lengths are not those.
    pub fn new(weights: &[f32], bias: &[f32], n_in: usize) -> PackedMatrix {
        let n_out = bias.len();
        assert_eq!(weights.len(), n_in * n_out, "weights of {n_out} outputs and {n_in} inputs");
        let mut panels = zeros(n_out.div_ceil(PANEL) * PANEL * n_in);
        let packed = floats_mut(&mut panels);
        for (out, row) in weights.chunks_exact(n_in.max(1)).enumerate() {
            let start = out / PANEL * PANEL * n_in + out % PANEL;
            row.iter().enumerate().for_each(|(i, weight)| packed[start + i * PANEL] = *weight);
        }
        PackedMatrix { n_in, n_out, panels, bias: bias.to_vec() }
    }

    /// Numbers in a row of the input.
    pub fn n_in(&self) -> usize {
        self.n_in
    }

    /// Numbers in a row of the output.
    pub fn n_out(&self) -> usize {
        self.n_out
    }
}

/// What a linear layer does with its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// The exact GELU, x Φ(x).
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
}

/// Weights of a layer norm: `(x - mean) / sqrt(variance + eps) * weight + bias` (Ba et al. 2016, arXiv:1607.06450, eq. 4).
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm<'a> {
    /// (n)
    pub weight: &'a [f32],
    /// (n)
    pub bias: &'a [f32],
    /// Keeps the root from zero.
    pub eps: f32,
}

/// Memory of an attention, kept from call to call.
#[derive(Default)]
pub struct AttentionScratch {
    keys: Vec<Line>,
    scores: Vec<Line>,
}

/// The functions of one instruction set.
struct Table {
    isa: Isa,
    /// A block of a product; see [`plain::block`].
    block: unsafe fn(&Block<'_>, &mut [f32]),
    gelu: unsafe fn(&mut [f32]),
    softmax: unsafe fn(&mut [f32], f32),
    add_norm: unsafe fn(&mut [f32], &[f32], &LayerNorm<'_>),
    dot_i8: unsafe fn(&[i8], &[i8]) -> i32,
    dot_f32: unsafe fn(&[f32], &[f32]) -> f32,
}

static PLAIN: Table = Table {
    isa: Isa::Scalar,
    block: plain::block::<false>,
    gelu: plain::gelu,
    softmax: plain::softmax,
    add_norm: plain::add_norm,
    dot_i8: plain::dot_i8,
    dot_f32: plain::dot_f32,
};

/// The layers on one instruction set.
#[derive(Clone, Copy)]
pub struct Dense {
    table: &'static Table,
}

impl std::fmt::Debug for Dense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dense({:?})", self.table.isa)
    }
}

impl Default for Dense {
    /// The best instruction set present.
    fn default() -> Self {
        Dense { table: Self::tables().into_iter().rev().find(|t| t.isa.is_present()).unwrap_or(&PLAIN) }
    }
}

impl Dense {
    /// The layers on `isa`.
    ///
    /// # Errors
    /// When the processor lacks it.
    pub fn on(isa: Isa) -> Result<Dense, KernelError> {
        let table = Self::tables().into_iter().find(|t| t.isa == isa && isa.is_present());
        table.map(|table| Dense { table }).ok_or(KernelError::IsaMissing(isa))
    }

    #[cfg(target_arch = "x86_64")]
    fn tables() -> [&'static Table; 3] {
        [&PLAIN, &x86_64::AVX2, &x86_64::AVX512]
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn tables() -> [&'static Table; 1] {
        [&PLAIN]
    }

    /// `out = activation(x weightsᵀ + bias)`: `x` is (n, n_in), `out` (n, n_out).
    ///
    /// # Panics
    /// When the shapes do not belong together.
    pub fn linear(&self, x: &[f32], layer: &PackedMatrix, activation: Activation, out: &mut [f32]) {
        let (n_in, n_out) = (layer.n_in, layer.n_out);
        let n_rows = out.len() / n_out.max(1);
        assert!(x.len() == n_rows * n_in && out.len() == n_rows * n_out, "shapes of a linear layer");
        let panels = floats(&layer.panels);
        for first in (0..n_out).step_by(PANEL) {
            let n_cols = PANEL.min(n_out - first);
            let panel = &panels[first * n_in..][..PANEL * n_in];
            for from in (0..n_in).step_by(DEPTH) {
                let depth = DEPTH.min(n_in - from);
                let start =
                    if from == 0 { Start::Bias(&layer.bias[first..first + n_cols]) } else { Start::Continue };
                for row in (0..n_rows).step_by(TILE_ROWS) {
                    let n = TILE_ROWS.min(n_rows - row);
                    let block = Block {
                        a: &x[row * n_in + from..],
                        a_stride: n_in,
                        b: &panel[from * PANEL..],
                        b_stride: PANEL,
                        c_stride: n_out,
                        shape: (n, depth, n_cols),
                        start,
                    };
                    let out = &mut out[row * n_out + first..];
                    // SAFETY: the table's instruction set is present.
                    unsafe { (self.table.block)(&block, out) };
                    if from + depth == n_in && activation != Activation::None {
                        for row in out.chunks_mut(n_out).take(n) {
                            self.activate(activation, &mut row[..n_cols]);
                        }
                    }
                }
            }
        }
    }

    fn activate(&self, activation: Activation, row: &mut [f32]) {
        match activation {
            Activation::None => {}
            // SAFETY: the table's instruction set is present.
            Activation::Gelu => unsafe { (self.table.gelu)(row) },
            Activation::Tanh => row.iter_mut().for_each(|x| *x = x.tanh()),
        }
    }

    /// Every token of a text attends to every token of it. `qkv` is (n, 3, n_heads, head_dim), `out` (n, n_heads, head_dim):
    /// softmax(q kᵀ / sqrt(head_dim)) v for each head (Vaswani et al. 2017, arXiv:1706.03762, eq. 1).
    ///
    /// # Panics
    /// When the shapes do not belong together.
    pub fn attention(
        &self,
        qkv: &[f32],
        (n_heads, head_dim): (usize, usize),
        scratch: &mut AttentionScratch,
        out: &mut [f32],
    ) {
        let hidden = n_heads * head_dim;
        let n = out.len() / hidden.max(1);
        assert!(out.len() == n * hidden && qkv.len() == 3 * out.len(), "shapes of an attention");
        if n == 0 {
            return;
        }
        let width = n.next_multiple_of(LANES);
        scratch.keys.resize(n.div_ceil(PANEL) * PANEL * head_dim / LANES, Line([0.0; LANES]));
        scratch.scores.resize(n * width / LANES, Line([0.0; LANES]));
        let scores = floats_mut(&mut scratch.scores);
        for head in 0..n_heads {
            let (q, k, v) = (head * head_dim, hidden + head * head_dim, 2 * hidden + head * head_dim);
            let keys = floats_mut(&mut scratch.keys);
            for (token, row) in qkv.chunks_exact(3 * hidden).enumerate() {
                let start = token / PANEL * PANEL * head_dim + token % PANEL;
                row[k..k + head_dim].iter().enumerate().for_each(|(i, key)| keys[start + i * PANEL] = *key);
            }
            for first in (0..n).step_by(PANEL) {
                let n_cols = PANEL.min(n - first);
                let product = Product {
                    a: (&qkv[q..], 3 * hidden),
                    b: (&keys[first * head_dim..], PANEL),
                    shape: (n, head_dim, n_cols),
                };
                self.product(&product, &mut scores[first..], width);
            }
            let scale = 1.0 / (head_dim as f32).sqrt();
            for row in scores.chunks_exact_mut(width) {
                // SAFETY: the table's instruction set is present.
                unsafe { (self.table.softmax)(&mut row[..n], scale) };
            }
            for first in (0..head_dim).step_by(PANEL) {
                let n_cols = PANEL.min(head_dim - first);
                let product =
                    Product { a: (scores, width), b: (&qkv[v + first..], 3 * hidden), shape: (n, n, n_cols) };
                self.product(&product, &mut out[q + first..], hidden);
            }
        }
    }

    /// A product of up to [`PANEL`] columns, of any depth.
    fn product(&self, product: &Product<'_>, out: &mut [f32], c_stride: usize) {
        let Product { a: (a, a_stride), b: (b, b_stride), shape: (n_rows, depth, n_cols) } = *product;
        for from in (0..depth).step_by(DEPTH) {
            let start = if from == 0 { Start::Zero } else { Start::Continue };
            let shape = (n_rows, DEPTH.min(depth - from), n_cols);
            let (a, b) = (&a[from..], &b[from * b_stride..]);
            // SAFETY: the table's instruction set is present.
            unsafe { (self.table.block)(&Block { a, a_stride, b, b_stride, c_stride, shape, start }, out) };
        }
    }

    /// `x = LayerNorm(x + y)` for rows as long as the norm's weights; `y` may be empty.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    pub fn add_norm(&self, x: &mut [f32], y: &[f32], norm: &LayerNorm<'_>) {
        let n = norm.weight.len();
        assert!(norm.bias.len() == n && (y.is_empty() || y.len() == x.len()), "shapes of a norm");
        for (i, row) in x.chunks_exact_mut(n.max(1)).enumerate() {
            let y = if y.is_empty() { y } else { &y[i * n..][..n] };
            // SAFETY: the table's instruction set is present.
            unsafe { (self.table.add_norm)(row, y, norm) };
        }
    }

    /// Dot product of two vectors of codes from -127 to 127, exact.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn dot_i8(&self, a: &[i8], b: &[i8]) -> i32 {
        assert_eq!(a.len(), b.len(), "vectors of a dot product");
        // SAFETY: the table's instruction set is present.
        unsafe { (self.table.dot_i8)(a, b) }
    }

    /// Dot product of two vectors.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of a dot product");
        // SAFETY: the table's instruction set is present.
        unsafe { (self.table.dot_f32)(a, b) }
    }
}

/// A (n_rows, depth) times b (depth, n_cols), each with the distance of its rows.
struct Product<'a> {
    a: (&'a [f32], usize),
    b: (&'a [f32], usize),
    shape: (usize, usize, usize),
}

#[cfg(test)]
mod tests;

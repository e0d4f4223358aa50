//! The definition of every function, in plain Rust; compiled once more for instruction sets without a version of their own.

use super::{LANES, LayerNorm};

/// A part of a product: `c (n_rows, n_cols) = start + a (n_rows, depth) b (depth, n_cols)`; rows lie a stride apart.
pub(super) struct Block<'a> {
    pub(super) a: &'a [f32],
    pub(super) a_stride: usize,
    pub(super) b: &'a [f32],
    pub(super) b_stride: usize,
    pub(super) c_stride: usize,
    /// (n_rows, depth, n_cols), none of them 0; at most [`PANEL`](super::PANEL) columns.
    pub(super) shape: (usize, usize, usize),
    pub(super) start: Start<'a>,
}

/// What a sum begins with.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    Zero,
    /// (n_cols)
    Bias(&'a [f32]),
    /// What `c` holds.
    Continue,
}

impl Block<'_> {
    /// Whether everything lies inside its slice.
    pub(super) fn fits(&self, c: &[f32]) -> bool {
        let (n_rows, depth, n_cols) = self.shape;
        let end = |n: usize, stride: usize, width: usize| (n - 1) * stride + width;
        let bias_fits = match self.start {
            Start::Bias(bias) => bias.len() >= n_cols,
            _ => true,
        };
        n_rows.min(depth).min(n_cols) > 0
            && n_cols <= super::PANEL
            && end(n_rows, self.a_stride, depth) <= self.a.len()
            && end(depth, self.b_stride, n_cols) <= self.b.len()
            && end(n_rows, self.c_stride, n_cols) <= c.len()
            && bias_fits
    }
}

/// Rows that are multiplied at a time.
const ROWS: usize = 4;

/// Computes a block, 4 rows by 16 columns at a time. `FUSED`: the target has fused multiply-adds.
#[inline(always)]
pub(super) fn block<const FUSED: bool>(block: &Block<'_>, c: &mut [f32]) {
    assert!(block.fits(c), "a block of a product");
    let (n_rows, depth, n_cols) = block.shape;
    for first in (0..n_cols).step_by(LANES) {
        let n = LANES.min(n_cols - first);
        for row in (0..n_rows).step_by(ROWS) {
            let rows = ROWS.min(n_rows - row);
            let mut sums = [[0f32; LANES]; ROWS];
            for (r, sums) in sums.iter_mut().enumerate().take(rows) {
                match block.start {
                    Start::Zero => {}
                    Start::Bias(bias) => sums[..n].copy_from_slice(&bias[first..first + n]),
                    Start::Continue => {
                        sums[..n].copy_from_slice(&c[(row + r) * block.c_stride + first..][..n]);
                    }
                }
            }
            // A row that does not exist repeats the last one; its sums are not stored.
            let a: [&[f32]; ROWS] =
                std::array::from_fn(|r| &block.a[(row + r.min(rows - 1)) * block.a_stride..][..depth]);
            for k in 0..depth {
                let mut b = [0f32; LANES];
                let from = k * block.b_stride + first;
                match block.b[from..].first_chunk::<LANES>() {
                    Some(whole) if n == LANES => b = *whole,
                    _ => b[..n].copy_from_slice(&block.b[from..from + n]),
                }
                for (sums, a) in sums.iter_mut().zip(a) {
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = if FUSED { a[k].mul_add(b, *sum) } else { a[k] * b + *sum };
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate().take(rows) {
                c[(row + r) * block.c_stride + first..][..n].copy_from_slice(&sums[..n]);
            }
        }
    }
}

/// Sums over a row in 16 lanes, so that the compiler may use vectors: f32 additions cannot be reordered behind our back.
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f(x);
    }
    lanes.iter().sum()
}

/// The largest of a row.
#[inline(always)]
fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    rest.iter().chain(&lanes).fold(f32::NEG_INFINITY, |a, &b| larger(a, b))
}

/// erf(x) to 4e-7 (absolute), never beyond ±1: x P(x²) / Q(x²) up to |x| = 3.92, where erf is 1 - 3e-8. The coefficients are our own
/// least-squares fit, reweighted towards the worst of 3,000 Chebyshev points.
#[expect(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "coefficients of a fit, near famous numbers but not them"
)]
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-3.92, 3.92);
    let u = x * x;
    let p = ((((2.034_806_8e-6 * u + 2.874_718_6e-4) * u + 3.867_965e-3) * u + 5.305_936e-2) * u
        + 1.927_555_1e-1)
        * u
        + 1.128_379;
    let q = ((((3.807_099_7e-5 * u + 1.188_028_6e-3) * u + 1.517_156_9e-2) * u + 1.150_811e-1) * u
        + 5.041_567_7e-1)
        * u
        + 1.0;
    (x * p / q).clamp(-1.0, 1.0)
}

/// x Φ(x) of every number, with Φ the normal distribution. (Hendrycks and Gimpel 2016, arXiv:1606.08415, eq. 1.)
#[inline(always)]
pub(super) fn gelu(row: &mut [f32]) {
    for x in row {
        *x *= 0.5 * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// exp(x) for x ≤ 0 to 2e-7 (relative); 0 becomes exactly 1, below -87 it stays at 1e-38.
///
/// 2^t with t = x log2(e) = n + f: adding 1.5 * 2^23 rounds t to the integer n and leaves n in the low bits of the sum,
/// from where it is shifted into the exponent; 2^f, |f| ≤ 1/2, is a polynomial (our own fit, as for erf).
#[expect(clippy::approx_constant, reason = "coefficients of a fit, near famous numbers but not them")]
#[inline(always)]
fn exp_not_positive(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let t = (x * std::f32::consts::LOG2_E).max(-126.0);
    let shifted = t + ROUND;
    let f = t - (shifted - ROUND);
    let two_to_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let p = ((((1.326_472e-3 * f + 9.671_513e-3) * f + 5.550_733_6e-2) * f + 2.402_224_2e-1) * f
        + 6.931_47e-1)
        * f
        + 1.0;
    p * two_to_n
}

/// Softmax of `scale` times one row, in place.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32], scale: f32) {
    let top = max(row);
    for x in row.iter_mut() {
        *x = exp_not_positive((*x - top) * scale);
    }
    let scale = 1.0 / sum(row, |x| x);
    for x in row.iter_mut() {
        *x *= scale;
    }
}

/// `x = LayerNorm(x + y)` of one row; an empty `y` counts as zeros.
#[inline(always)]
pub(super) fn add_norm(x: &mut [f32], y: &[f32], norm: &LayerNorm<'_>) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    let n = x.len() as f32;
    let mean = sum(x, |x| x) / n;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / n;
    let scale = 1.0 / (variance + norm.eps).sqrt();
    for ((x, w), b) in x.iter_mut().zip(norm.weight).zip(norm.bias) {
        *x = (*x - mean) * scale * w + b;
    }
}

/// Dot product of codes.
#[inline(always)]
pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// Dot product in 16 lanes.
#[inline(always)]
pub(super) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * b;
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its Taylor series in f64, which is exact enough up to 4.
    fn erf_by_series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn erf_and_exp_are_right_to_the_digits_they_promise() {
        for i in -4000..=4000 {
            let x = i as f32 / 1000.0;
            let error = (f64::from(erf(x)) - erf_by_series(f64::from(x))).abs();
            assert!(error < 4e-7, "erf({x}) is off by {error}");
        }
        for i in 0..=8700 {
            let x = -(i as f32) / 100.0;
            let right = f64::from(x).exp();
            let error = (f64::from(exp_not_positive(x)) - right).abs() / right;
            // x log2(e) is rounded to f32 before it is split, which costs up to 2^-24 of it
            assert!(error < 2e-7 + f64::from(-x) * 1e-7, "exp({x}) is off by {error}");
        }
        assert_eq!(exp_not_positive(0.0), 1.0);
        assert!(exp_not_positive(-1e9) < 1e-37);
        assert!((erf(100.0) - 1.0).abs() < 4e-7 && (erf(-100.0) + 1.0).abs() < 4e-7);
    }

    #[test]
    fn softmax_sums_to_one_and_keeps_the_order_whatever_the_size() {
        for n in [1, 15, 16, 17, 256] {
            let mut row: Vec<f32> = (0..n).map(|i| ((i * 7919) % 101) as f32 / 10.0 + 1000.0).collect();
            let before = row.clone();
            softmax(&mut row, 1.0);
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            for (i, j) in (0..n).zip(1..n) {
                assert_eq!(before[i] < before[j], row[i] < row[j]);
            }
        }
    }

    #[test]
    fn a_normalised_row_has_the_mean_and_spread_it_should() {
        let (weight, bias) = (vec![2.0; 40], vec![1.0; 40]);
        let mut row: Vec<f32> = (0..40).map(|i| i as f32).collect();
        add_norm(&mut row, &[], &LayerNorm { weight: &weight, bias: &bias, eps: 1e-12 });
        let mean = row.iter().sum::<f32>() / 40.0;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 40.0;
        assert!((mean - 1.0).abs() < 1e-5 && (variance - 4.0).abs() < 1e-4, "{mean} {variance}");
    }
}

//! What happens between two matrix products, in place: bias, GELU, softmax, residual and layer norm.
//!
//! candle has these as separate operations, each making a new tensor and each calling a scalar `erf` or `exp`. At 384
//! and 1536 numbers a row that took longer than the products. Here they are plain loops over slices that the compiler
//! turns into vector code, with `erf` and `exp` as polynomials. Results do not depend on the processor: only additions,
//! multiplications and divisions in a fixed order.

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result, bail};

/// Adds `bias` (n) to every row of a tensor (…, n).
pub(crate) struct AddBias<'a>(pub &'a [f32]);

/// Adds `bias` (n) to every row of a tensor (…, n), then the exact GELU, x Φ(x).
pub(crate) struct BiasGelu<'a>(pub &'a [f32]);

/// Softmax of `scale` times each row of `len` numbers.
pub(crate) struct Softmax {
    pub len: usize,
    pub scale: f32,
}

/// `x = LayerNorm(x + y + bias)`, for tensors (rows, n).
pub(crate) struct AddNorm<'a> {
    /// (n)
    pub bias: &'a [f32],
    pub norm: Norm<'a>,
}

/// `(x - mean) / sqrt(variance + eps) * weight + bias`, for each row. (Ba et al. 2016, arXiv:1607.06450, eq. 4.)
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    /// (n)
    pub weight: &'a [f32],
    /// (n)
    pub bias: &'a [f32],
    pub eps: f32,
}

impl Norm<'_> {
    /// Normalises one row.
    pub(crate) fn apply(&self, row: &mut [f32]) {
        let n = row.len() as f32;
        let mean = sum(row, |x| x) / n;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / n;
        let scale = 1.0 / (variance + self.eps).sqrt();
        for ((x, w), b) in row.iter_mut().zip(self.weight).zip(self.bias) {
            *x = (*x - mean) * scale * w + b;
        }
    }
}

/// Sums over a row in 16 lanes, so that the compiler may use vectors: f32 additions cannot be reordered behind our back.
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; 16];
    let (chunks, rest) = row.as_chunks::<16>();
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
fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = row.as_chunks::<16>();
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

/// x Φ(x), with Φ the normal distribution. (Hendrycks and Gimpel 2016, arXiv:1606.08415, eq. 1.)
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// exp(x) for x ≤ 0 to 2e-7 (relative); 0 becomes exactly 1, below -87 it stays at 1e-38.
///
/// 2^t with t = x log2(e) = n + f: adding 1.5 * 2^23 rounds t to the integer n and leaves n in the low bits of the sum,
/// from where it is shifted into the exponent; 2^f, |f| ≤ 1/2, is a polynomial (our own fit, as for erf).
#[expect(clippy::approx_constant, reason = "coefficients of a fit, near famous numbers but not them")]
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
fn softmax(row: &mut [f32], scale: f32) {
    let top = max(row);
    for x in row.iter_mut() {
        *x = exp_not_positive((*x - top) * scale);
    }
    let scale = 1.0 / sum(row, |x| x);
    for x in row.iter_mut() {
        *x *= scale;
    }
}

/// The numbers of a contiguous f32 tensor.
fn floats<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => bail!("expected a contiguous f32 tensor"),
    }
}

impl InplaceOp1 for AddBias<'_> {
    fn name(&self) -> &'static str {
        "add-bias"
    }
    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        for row in floats(storage, layout)?.chunks_exact_mut(self.0.len()) {
            row.iter_mut().zip(self.0).for_each(|(x, b)| *x += b);
        }
        Ok(())
    }
}

impl InplaceOp1 for BiasGelu<'_> {
    fn name(&self) -> &'static str {
        "bias-gelu"
    }
    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        for row in floats(storage, layout)?.chunks_exact_mut(self.0.len()) {
            row.iter_mut().zip(self.0).for_each(|(x, b)| *x = gelu(*x + b));
        }
        Ok(())
    }
}

impl InplaceOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        floats(storage, layout)?.chunks_exact_mut(self.len).for_each(|row| softmax(row, self.scale));
        Ok(())
    }
}

impl InplaceOp2 for AddNorm<'_> {
    fn name(&self) -> &'static str {
        "add-norm"
    }
    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<()> {
        let n = self.bias.len();
        let (CpuStorage::F32(y), Some((start, end))) = (y, y_layout.contiguous_offsets()) else {
            bail!("expected a contiguous f32 tensor")
        };
        let x = floats(x, x_layout)?;
        for (x, y) in x.chunks_exact_mut(n).zip(y[start..end].chunks_exact(n)) {
            for ((x, y), b) in x.iter_mut().zip(y).zip(self.bias) {
                *x += y + b;
            }
            self.norm.apply(x);
        }
        Ok(())
    }
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
        Norm { weight: &weight, bias: &bias, eps: 1e-12 }.apply(&mut row);
        let mean = row.iter().sum::<f32>() / 40.0;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 40.0;
        assert!((mean - 1.0).abs() < 1e-5 && (variance - 4.0).abs() < 1e-4, "{mean} {variance}");
    }
}

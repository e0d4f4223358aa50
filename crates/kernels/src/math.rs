//! Scalar functions whose bits are the same on every path: only IEEE operations with one rounding each (add,
//! multiply, fused multiply-add, divide), so the vectorised copies that the compiler or a SIMD file makes of them agree.

/// Adding and subtracting 1.5 * 2^23 rounds |x| < 2^22 to the nearest integer, ties to even.
pub(crate) const ROUND_MAGIC: f32 = 12_582_912.0;
/// Below this, e^x is not a normal f32 any more and is given as 0 (subnormals cost a microcode assist each).
pub(crate) const EXP_LOWEST: f32 = -87.336_54;
/// Above this, 2^n in [`exp`] is infinite.
pub(crate) const EXP_HIGHEST: f32 = 89.0;
/// ln 2 in two parts, the first with few enough bits that n * LN2_HIGH is exact for |n| < 2^10.
pub(crate) const LN2_HIGH: f32 = 0.693_359_4;
pub(crate) const LN2_LOW: f32 = -2.121_944_4e-4;
/// 1/k! for k = 7 down to 0: on |r| <= ln(2)/2 the series cut here is off by less than 6e-9 of the value.
pub(crate) const EXP_SERIES: [f32; 8] =
    [1.984_127e-4, 1.388_888_9e-3, 8.333_334e-3, 4.166_666_8e-2, 0.166_666_67, 0.5, 1.0, 1.0];

/// e^x to about one unit in the last place; 0 below -87.3, infinite above 88.4, NaN stays NaN.
///
/// e^x = 2^n * e^r with n = round(x / ln 2) and r = x - n ln 2.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let capped = if x > EXP_HIGHEST { EXP_HIGHEST } else { x };
    let shifted = capped.mul_add(std::f32::consts::LOG2_E, ROUND_MAGIC);
    let n = shifted - ROUND_MAGIC;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, capped));
    let mut series = EXP_SERIES[0];
    for coefficient in &EXP_SERIES[1..] {
        series = series.mul_add(r, *coefficient);
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND_MAGIC.to_bits()).wrapping_add(127);
    let value = series * f32::from_bits(exponent << 23);
    if x < EXP_LOWEST { 0.0 } else { value }
}

/// Below this, 2^x is given as 0: beside the 1 that every block of keys has, less is nothing, and products of what is
/// above with half-precision values are never subnormal (which costs a microcode assist each).
pub(crate) const EXP2_LOWEST: f32 = -100.0;
/// 2^x = 1 + x * (series in x) for |x| <= 1/2, the highest power first. The largest relative error, 9.2e-8, is the least
/// that five coefficients allow; found by iterated weighted least squares (Lawson's algorithm) on 4001 Chebyshev points.
#[allow(clippy::approx_constant)] // near ln 2, and better than it
pub(crate) const EXP2_SERIES: [f32; 5] =
    [1.326_472_7e-3, 9.671_513e-3, 5.550_733_6e-2, 0.240_222_42, 0.693_147];

/// 2^x for x <= 0, to 1.8e-7 of the value; exactly 1 at 0; 0 below -100; NaN stays NaN.
///
/// 2^x = 2^n * 2^r with n = round(x) and r = x - n, which is exact.
#[inline(always)]
pub(crate) fn exp2_below(x: f32) -> f32 {
    let shifted = x + ROUND_MAGIC; // n in the lowest bits
    let r = x - (shifted - ROUND_MAGIC);
    let mut series = EXP2_SERIES[0];
    for coefficient in &EXP2_SERIES[1..] {
        series = series.mul_add(r, *coefficient);
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let value = series.mul_add(r, 1.0) * power;
    if x < EXP2_LOWEST { 0.0 } else { value }
}

/// x * sigmoid(x).
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Half to single precision, exact, subnormals, infinities and NaN included. Branch-free so that loops vectorise.
#[inline(always)]
pub(crate) fn f16_to_f32(half: u16) -> f32 {
    // Shifted into place, the exponent is 112 too small; multiplying by 2^112 corrects it, subnormals included.
    let magnitude = u32::from(half & 0x7fff) << 13;
    let finite = f32::from_bits(magnitude) * f32::from_bits(0x7780_0000);
    let bits = if magnitude >= 0x0f80_0000 { magnitude | 0x7f80_0000 } else { finite.to_bits() };
    f32::from_bits(bits | (u32::from(half & 0x8000) << 16))
}

/// bfloat16 to single precision: its upper half.
#[inline(always)]
pub(crate) fn bf16_to_f32(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// The sum of 16 lanes in the one order every path uses: halves folded onto each other, 8, 4, 2, 1 apart.
#[inline(always)]
pub(crate) fn sum_lanes(lanes: [f32; 16]) -> f32 {
    let mut lanes = lanes;
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0f64;
        for i in -87_000..88_000i32 {
            let x = i as f32 * 0.001 + 0.000_37;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 1.5e-7, "{worst:e}");
    }

    #[test]
    fn exp_and_silu_keep_their_sense_at_the_extremes() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(1e30), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(silu(-1e30), 0.0);
        assert_eq!(silu(1e30), 1e30);
        assert_eq!(sigmoid(-200.0), 0.0);
    }

    #[test]
    fn a_power_of_two_is_within_its_bound() {
        let mut worst = 0.0f64;
        for i in 0..2_000_000u32 {
            let x = -(i as f32 * 5e-5);
            let exact = f64::from(x).exp2();
            worst = worst.max((f64::from(exp2_below(x)) - exact).abs() / exact);
        }
        assert!(worst < 1.8e-7, "{worst:e}");
        for x in [1e-3, 1e-7, 1e-12, f32::MIN_POSITIVE, 1e-45] {
            assert!((exp2_below(-x) - (-x).exp2()).abs() < 2e-7, "{x:e}");
        }
        assert_eq!((exp2_below(0.0), exp2_below(-0.0), exp2_below(-1.0)), (1.0, 1.0, 0.5));
        assert_eq!((exp2_below(-100.5), exp2_below(f32::NEG_INFINITY)), (0.0, 0.0));
        assert!(exp2_below(f32::NAN).is_nan());
    }

    #[test]
    fn every_half_converts_exactly() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (f16_to_f32(bits), half::f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{bits:#x}");
        }
    }
}

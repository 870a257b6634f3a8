//! Logistic function and hyperbolic tangent in the reference's fixed-point arithmetic (gemmlowp).

use dunlin::quant::{doubling_high_mul, rounding_shift_right};

/// A fixed-point number; how many of its bits are integer is said where it is used.
pub(super) type Q31 = i32;

/// 1 in Q2.29.
const ONE_Q2: Q31 = 1 << 29;

/// `1 / (1 + exp(−x))` for `x` in Q4.27, result in Q0.31.
pub(super) fn logistic(x: Q31) -> Q31 {
    if x == 0 {
        return 1 << 30;
    }
    let positive = one_over_one_plus(exp_on_negative(-x.abs(), 4));
    if x > 0 { positive } else { i32::MAX - positive }
}

/// Hyperbolic tangent of `x` in Q4.27, result in Q0.31.
pub(super) fn tanh(x: Q31) -> Q31 {
    if x == 0 {
        return 0;
    }
    // −2|x|: the same bits read with one more integer bit.
    let t = one_minus_over_one_plus(exp_on_negative(-x.abs(), 5));
    if x > 0 { t } else { -t }
}

fn saturating_shift_left(x: Q31, by: u32) -> Q31 {
    (i64::from(x) << by).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// `exp(x)` for `x <= 0` with so many integer bits, result in Q0.31.
fn exp_on_negative(x: Q31, integer_bits: u32) -> Q31 {
    // exp(−2^k) in Q0.31 for k = −2 ..= 4.
    const FACTORS: [Q31; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if x == 0 {
        return i32::MAX;
    }
    let quarter = 1 << (31 - integer_bits - 2);
    let residue = (x & (quarter - 1)) - quarter;
    let mut result = exp_on_quarter(saturating_shift_left(residue, integer_bits));
    let remainder = residue.wrapping_sub(x);
    for (k, &factor) in FACTORS.iter().enumerate().take(integer_bits as usize + 2) {
        if remainder & (quarter << k) != 0 {
            result = doubling_high_mul(result, factor);
        }
    }
    result
}

/// `exp(x)` for `x` in `[−1/4, 0)`, Q0.31, by the Taylor series around −1/8.
fn exp_on_quarter(x: Q31) -> Q31 {
    const EXP_NEG_EIGHTH: Q31 = 1_895_147_668;
    const THIRD: Q31 = 715_827_883;
    let x = x.wrapping_add(1 << 28);
    let x2 = doubling_high_mul(x, x);
    let x3 = doubling_high_mul(x2, x);
    let x4 = doubling_high_mul(x2, x2);
    let cubic = doubling_high_mul(rounding_shift_right(x4, 2).wrapping_add(x3), THIRD);
    let series = rounding_shift_right(cubic.wrapping_add(x2), 1);
    EXP_NEG_EIGHTH.wrapping_add(doubling_high_mul(EXP_NEG_EIGHTH, x.wrapping_add(series)))
}

/// `2 / (1 + x)` in Q2.29 for `x` in `[0, 1)`, Q0.31, by three Newton-Raphson steps.
fn two_over_one_plus(x: Q31) -> Q31 {
    const F48_OVER_17: Q31 = 1_515_870_810;
    const NEG_32_OVER_17: Q31 = -1_010_580_540;
    let sum = i64::from(x) + i64::from(i32::MAX);
    let half_denominator = ((sum + 1) / 2) as i32;
    let mut y = F48_OVER_17.wrapping_add(doubling_high_mul(half_denominator, NEG_32_OVER_17));
    for _ in 0..3 {
        let error = ONE_Q2.wrapping_sub(doubling_high_mul(half_denominator, y));
        y = y.wrapping_add(saturating_shift_left(doubling_high_mul(y, error), 2));
    }
    y
}

fn one_over_one_plus(x: Q31) -> Q31 {
    // Halving is free: Q2.29 read as Q1.30.
    saturating_shift_left(two_over_one_plus(x), 1)
}

fn one_minus_over_one_plus(x: Q31) -> Q31 {
    saturating_shift_left(two_over_one_plus(x) - ONE_Q2, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taylor series of fourth order and Newton steps, in Q0.31.
    const TOLERANCE: f64 = 1e-6;

    #[test]
    fn both_functions_follow_the_exact_ones() {
        let unit = f64::from(1u32 << 31);
        for i in -2000..=2000 {
            let x = f64::from(i) / 2000.0 * 15.9;
            let q = (x * f64::from(1u32 << 27)).round() as i32;
            let x = f64::from(q) / f64::from(1u32 << 27);
            let got = f64::from(logistic(q)) / unit;
            assert!((got - 1.0 / (1.0 + (-x).exp())).abs() < TOLERANCE, "logistic({x}) = {got}");
            let got = f64::from(tanh(q)) / unit;
            assert!((got - x.tanh()).abs() < TOLERANCE, "tanh({x}) = {got}");
        }
    }
}

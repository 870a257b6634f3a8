//! Fixed-point functions of the reference: softmax table, reciprocal, logistic function and tanh.
//!
//! The exponential of every possible int8 difference is tabulated on the host with the reference's own
//! arithmetic (Q5.26 argument, Q0.31 result), so a device only sums, inverts and scales.

use crate::quant::{doubling_high_mul, rounding_shift_right};

/// Entries of a softmax table: one for every difference `max - q` of two int8 values.
pub const EXP_ENTRIES: usize = 256;

/// Fraction bits of the sum of exponentials (Q12.19).
const ACCUMULATION_INTEGER_BITS: u32 = 12;

/// A Q0.31 exponential scaled for summation over up to 4,096 entries.
#[inline(always)]
pub(crate) const fn to_accumulator(exp: i32) -> i32 {
    rounding_shift_right(exp, ACCUMULATION_INTEGER_BITS)
}

/// `1 / sum` for a positive sum in Q12.19: a Q0.31 mantissa and the power of two to divide by.
pub(crate) fn reciprocal(sum: i32) -> (i32, u32) {
    let headroom = sum.leading_zeros().min(ACCUMULATION_INTEGER_BITS);
    let fraction = ((sum as u32) << headroom).wrapping_sub(1 << 31) as i32;
    (one_over_one_plus(fraction), ACCUMULATION_INTEGER_BITS - headroom)
}

/// `1 / x` for an integer `x` that is not negative: a Q0.31 mantissa and the power of two to divide by. Of 0, what
/// the reference's arithmetic gives.
pub(crate) fn inverse(x: i32) -> (i32, i32) {
    let headroom = x.leading_zeros();
    let fraction = (x as u32).checked_shl(headroom).unwrap_or(0).wrapping_sub(1 << 31) as i32;
    (one_over_one_plus(fraction), 31 - headroom as i32)
}

/// 1 in Q2.29.
const ONE_Q2: i32 = 1 << 29;

/// `2 / (1 + x)` in Q2.29 for `x` in `[0, 1)`, Q0.31, by three Newton-Raphson steps.
fn two_over_one_plus(x: i32) -> i32 {
    const F48_OVER_17: i32 = 1_515_870_810; // Q2.29
    const NEG_32_OVER_17: i32 = -1_010_580_540; // Q2.29
    let half_denominator = rounding_half_sum(x, i32::MAX);
    let mut y = F48_OVER_17.wrapping_add(doubling_high_mul(half_denominator, NEG_32_OVER_17));
    for _ in 0..3 {
        let error = ONE_Q2.wrapping_sub(doubling_high_mul(half_denominator, y));
        y = y.wrapping_add(saturating_shift_left(doubling_high_mul(y, error), 2));
    }
    y
}

/// `1 / (1 + x)` for `x` in `[0, 1)`, Q0.31 to Q0.31.
fn one_over_one_plus(x: i32) -> i32 {
    // Halving is free (Q2.29 read as Q1.30); one more integer bit is shifted out.
    saturating_shift_left(two_over_one_plus(x), 1)
}

/// `(a + b) / 2`, rounded half away from zero.
const fn rounding_half_sum(a: i32, b: i32) -> i32 {
    let sum = a as i64 + b as i64;
    ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32
}

const fn saturating_shift_left(x: i32, by: u32) -> i32 {
    let wide = (x as i64) << by;
    if wide > i32::MAX as i64 {
        i32::MAX
    } else if wide < i32::MIN as i64 {
        i32::MIN
    } else {
        wide as i32
    }
}

/// Table of a softmax whose input has this scale and whose logits are multiplied by `beta`.
///
/// Entry `d` is the Q0.31 exponential of `-d * scale * beta`, or 0 beyond the reference's `diff_min`.
/// `None` where the scale is not positive and finite.
#[cfg(feature = "encode")]
pub fn softmax_table(scale: f64, beta: f64) -> Option<[i32; EXP_ENTRIES]> {
    const SCALED_DIFF_INTEGER_BITS: i32 = 5;
    let real = beta * scale * f64::from(1 << (31 - SCALED_DIFF_INTEGER_BITS));
    if !(real > 0.0 && real.is_finite()) {
        return None;
    }
    let real = real.min(f64::from(i32::MAX));
    // Unlike a Requant this factor may exceed 2^30, so it is split by hand.
    let (mantissa, mut shift) = libm::frexp(real);
    let mut multiplier = libm::round(mantissa * (1u64 << 31) as f64) as i64;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    let left = shift.max(0);
    let max_diff = f64::from((1 << SCALED_DIFF_INTEGER_BITS) - 1)
        * f64::from(1u32 << (31 - SCALED_DIFF_INTEGER_BITS))
        / libm::ldexp(1.0, left);
    let radius = libm::floor(max_diff);
    let mut table = [0; EXP_ENTRIES];
    for (difference, entry) in table.iter_mut().enumerate() {
        if difference as f64 > radius {
            break;
        }
        let shifted = (-(difference as i64) << left) as i32;
        let scaled = doubling_high_mul(shifted, multiplier as i32);
        let argument = rounding_shift_right(scaled, (-shift).clamp(0, 31) as u32);
        *entry = exp_on_negative(argument, SCALED_DIFF_INTEGER_BITS as u32);
    }
    Some(table)
}

/// Logistic function `1 / (1 + exp(-x))` of `x` in Q4.27, result in Q0.31, as the reference computes it.
#[cfg(feature = "encode")]
pub fn logistic(x: i32) -> i32 {
    if x == 0 {
        return 1 << 30;
    }
    let positive = one_over_one_plus(exp_on_negative(x.saturating_abs().wrapping_neg(), 4));
    if x > 0 { positive } else { i32::MAX - positive }
}

/// Hyperbolic tangent of `x` in Q4.27, result in Q0.31, as the reference computes it.
#[cfg(feature = "encode")]
pub fn tanh(x: i32) -> i32 {
    if x == 0 {
        return 0;
    }
    // -2|x|: the same bits read with one more integer bit. The result is (1 - e) / (1 + e).
    let e = exp_on_negative(x.saturating_abs().wrapping_neg(), 5);
    let t = saturating_shift_left(two_over_one_plus(e).wrapping_sub(ONE_Q2), 2);
    if x > 0 { t } else { -t }
}

/// `exp(x)` for `x <= 0` with so many integer bits (at most 5), result in Q0.31.
#[cfg(feature = "encode")]
fn exp_on_negative(x: i32, integer_bits: u32) -> i32 {
    // exp(-2^k) in Q0.31 for k = -2 ..= 4.
    const FACTORS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if x == 0 {
        return i32::MAX;
    }
    let quarter = 1 << (31 - integer_bits - 2);
    let residue = (x & (quarter - 1)) - quarter;
    let mut result = exp_on_quarter(saturating_shift_left(residue, integer_bits));
    let remainder = residue.wrapping_sub(x);
    for (k, &factor) in FACTORS.iter().enumerate().take(integer_bits as usize + 2) {
        // The bit that stands for 2^(k - 2).
        if remainder & (quarter << k) != 0 {
            result = doubling_high_mul(result, factor);
        }
    }
    result
}

/// `exp(x)` for `x` in `[-1/4, 0)`, Q0.31, by the Taylor series around -1/8.
#[cfg(feature = "encode")]
fn exp_on_quarter(x: i32) -> i32 {
    const EXP_NEG_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = x.wrapping_add(1 << 28);
    let x2 = doubling_high_mul(x, x);
    let x3 = doubling_high_mul(x2, x);
    let x4 = doubling_high_mul(x2, x2);
    let cubic = doubling_high_mul(rounding_shift_right(x4, 2).wrapping_add(x3), THIRD);
    let series = rounding_shift_right(cubic.wrapping_add(x2), 1);
    EXP_NEG_EIGHTH.wrapping_add(doubling_high_mul(EXP_NEG_EIGHTH, x.wrapping_add(series)))
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;

    /// The Taylor series of fourth order is off by up to (1/8)^5 / 5! = 2.5e-7 at the ends of its interval.
    const TOLERANCE: f64 = 3e-7;

    #[test]
    fn the_table_is_the_exponential() {
        let table = softmax_table(0.1, 1.0).unwrap();
        for (d, &entry) in table.iter().enumerate() {
            let exact = libm::exp(-(d as f64) * 0.1);
            let got = f64::from(entry) / f64::from(1u32 << 31);
            assert!((got - exact).abs() < TOLERANCE, "{d}: {got} {exact}");
        }
        assert_eq!(softmax_table(f64::NAN, 1.0), None);
        assert_eq!(softmax_table(0.0, 1.0), None);
    }

    #[test]
    fn differences_beyond_the_reference_range_vanish() {
        let table = softmax_table(4.0, 1.0).unwrap();
        // The reference's input radius at this scale is floor(31 * 2^26 / 2^29) = 3.
        assert!(table[3] > 0);
        assert!(table[4..].iter().all(|&entry| entry == 0));
    }

    /// Taylor series and Newton steps, in Q0.31.
    const QUOTIENT_TOLERANCE: f64 = 1e-6;

    #[test]
    fn logistic_and_tanh_follow_the_exact_functions() {
        let unit = f64::from(1u32 << 31);
        for i in -2000..=2000 {
            let q = libm::round(f64::from(i) / 2000.0 * 15.9 * f64::from(1u32 << 27)) as i32;
            let x = f64::from(q) / f64::from(1u32 << 27);
            let got = f64::from(logistic(q)) / unit;
            let exact = 1.0 / (1.0 + libm::exp(-x));
            assert!((got - exact).abs() < QUOTIENT_TOLERANCE, "logistic({x}) = {got}");
            let got = f64::from(tanh(q)) / unit;
            assert!((got - libm::tanh(x)).abs() < QUOTIENT_TOLERANCE, "tanh({x}) = {got}");
        }
    }

    #[test]
    fn the_reciprocal_inverts() {
        for sum in [1 << 19, (1 << 19) + 1, 3 << 19, 123_456_789, i32::MAX] {
            let (mantissa, bits) = reciprocal(sum);
            let got = f64::from(mantissa) / f64::from(1u32 << 31) / f64::from(1u32 << bits);
            let exact = f64::from(1u32 << 19) / f64::from(sum);
            assert!((got / exact - 1.0).abs() < 1e-6, "{sum}: {got} {exact}");
        }
    }
}

//! Fixed-point functions of the reference: softmax table, reciprocal, logarithm, inverse square root, logistic
//! function and tanh.
//!
//! The exponential of every possible int8 difference is tabulated on the host with the reference's own
//! arithmetic (Q5.26 argument, Q0.31 result), so a device only sums, inverts and scales.

use crate::quant::{Requant, doubling_high_mul, rounding_shift_right};

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

/// What an exponential is of a sum of them, in steps of 1/256: the sum as [`reciprocal`] gives it.
#[inline(always)]
pub(crate) const fn share(exp: i32, (scale, bits): (i32, u32)) -> i32 {
    // 31 fraction bits of the product, less the 8 of the result.
    let shift = bits + 31 - 8;
    // Beyond 31 bits every product is below one half, where the reference shifts out of its type.
    if shift > 31 { 0 } else { rounding_shift_right(doubling_high_mul(scale, exp), shift) }
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

/// Logarithm, in Q5.26, of a sum in Q12.19 that is at least 1 and below 4,096.
///
/// Newton's series for `log((1 + x) / (1 - x))` around the fourth root of one half; the power of two is chosen
/// between two candidates a quarter of an octave apart (`log_x_for_x_greater_than_or_equal_to_1`).
pub(crate) fn logarithm(sum: i32) -> i32 {
    const LN_2: i32 = 1_488_522_236; // Q0.31, as all that follow
    const FOURTH_ROOT_HALF: i32 = 1_805_811_301;
    const ROOT_HALF: i32 = 1_518_500_250;
    const ALPHA_N: i32 = 117_049_297; // 11/240 of the fourth root of 2
    const ALPHA_D: i32 = 127_690_142; // 1/20 of it
    const ALPHA_I: i32 = 1_057_819_769; // 2 over it, minus it
    const ALPHA_F: i32 = 638_450_708; // a quarter of it
    const QUARTER: i32 = 1 << 23; // Q6.25
    let bits = ACCUMULATION_INTEGER_BITS as i32;
    let octaves = |bits: i32| saturating_shift_left(bits, 25); // Q6.25

    let zeros = sum.leading_zeros();
    let normal = saturating_shift_left(sum, zeros.saturating_sub(1));
    let root = doubling_high_mul(sum, ROOT_HALF);
    let headroom = root.leading_zeros().saturating_sub(1);
    let mantissa = saturating_shift_left(doubling_high_mul(normal, ROOT_HALF), 1)
        .min(saturating_shift_left(sum, headroom));
    let power = (octaves(bits - zeros as i32).saturating_add(QUARTER))
        .max(octaves(bits - headroom as i32).saturating_sub(QUARTER));

    let p = rounding_half_sum(mantissa, FOURTH_ROOT_HALF);
    let q = mantissa.wrapping_sub(FOURTH_ROOT_HALF);
    let q = q.wrapping_add(q);
    let q2 = doubling_high_mul(q, q);
    let numerator =
        doubling_high_mul(q, mantissa).wrapping_add(doubling_high_mul(doubling_high_mul(q, q2), ALPHA_N));
    let inner = ALPHA_I.wrapping_add(q).wrapping_add(doubling_high_mul(ALPHA_D, q2));
    let denominator = doubling_high_mul(p, inner).wrapping_add(doubling_high_mul(ALPHA_F, q));
    let series = doubling_high_mul(rounding_shift_right(numerator, 6), one_over_one_plus(denominator));
    saturating_shift_left(doubling_high_mul(power, LN_2).wrapping_add(series), 1)
}

/// `1 / √x` of a sum of squares, by five Newton steps (`GetInvSqrtQuantizedMultiplierExp`); of 0 it is that of 1.
///
/// The shift is in `[-13, 0]`; the multiplier need not be normalised.
pub fn inverse_root(x: i32) -> Requant {
    const ROOT_HALF: i32 = 1_518_500_250; // Q0.31
    const THREE_HALVES: i32 = (1 << 28) + (1 << 27); // Q3.28
    if x <= 1 {
        return Requant { multiplier: i32::MAX, shift: 0 };
    }
    let (mut x, mut shift) = (x, 11i32);
    while x >= 1 << 29 {
        x /= 4;
        shift += 1;
    }
    // Pairs of bits, so that the root of the power of two is one: x is then in [2^27, 2^29).
    let pairs = (x.leading_zeros() - 1) / 2 - 1;
    shift -= pairs as i32;
    let half = rounding_shift_right((x << (2 * pairs)) >> 1, 1);
    let mut y = 1 << 28; // Q3.28
    for _ in 0..5 {
        let cube = saturating_shift_left(doubling_high_mul(doubling_high_mul(y, y), y), 6);
        let step = doubling_high_mul(THREE_HALVES, y).wrapping_sub(doubling_high_mul(half, cube));
        y = saturating_shift_left(step, 3);
    }
    let y = doubling_high_mul(y, ROOT_HALF);
    Requant { multiplier: y.wrapping_shl((-shift).max(0) as u32), shift: -shift.max(0) as i8 }
}

/// `1 / √x` as `r · 2^(k − 63)` with `r` of 32 bits and the given `k` of at most 31; of 0 it is that of 1.
///
/// The root of `x · 4^k`, which is at least 2^62, is exact but for its fraction, and so is the quotient; both are cut by less
/// than one part in 2^31, the one cut against the other.
pub(crate) fn inverse_root64(x: u64) -> (u32, u32) {
    let x = x.max(1);
    let pairs = x.leading_zeros() / 2;
    let root = (x << (2 * pairs)).isqrt();
    // The root is at least 2^31, so that the quotient is below 2^32.
    (((u64::MAX >> 1) / root) as u32, pairs)
}

/// Integer bits of a scaled difference: Q5.26.
#[cfg(feature = "encode")]
const DIFFERENCE_INTEGER_BITS: i32 = 5;

/// Scale of the differences of a softmax: multiplier, power of two, and the largest difference that counts.
///
/// Unlike a [`Requant`] this factor may exceed `2^30`. `None` where the scale is not positive and finite.
#[cfg(feature = "encode")]
fn difference_scale(scale: f64) -> Option<(i32, i32, f64)> {
    let real = scale * f64::from(1 << (31 - DIFFERENCE_INTEGER_BITS));
    if !(real > 0.0 && real.is_finite()) {
        return None;
    }
    let (mantissa, mut shift) = libm::frexp(real.min(f64::from(i32::MAX)));
    let mut multiplier = libm::round(mantissa * (1u64 << 31) as f64) as i64;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    let largest = f64::from((1 << DIFFERENCE_INTEGER_BITS) - 1)
        * f64::from(1u32 << (31 - DIFFERENCE_INTEGER_BITS))
        / libm::ldexp(1.0, shift.max(0));
    Some((multiplier as i32, shift, libm::floor(largest)))
}

/// Minus every difference that counts, in Q5.26; 0 for the others.
#[cfg(feature = "encode")]
fn differences(multiplier: i32, shift: i32, radius: f64) -> [i32; EXP_ENTRIES] {
    core::array::from_fn(|difference| match difference as f64 <= radius {
        true => {
            let shifted = (-(difference as i64) << shift.max(0)) as i32;
            let scaled = doubling_high_mul(shifted, multiplier);
            rounding_shift_right(scaled, (-shift).clamp(0, 31) as u32)
        }
        false => 0,
    })
}

/// The exponential of every difference that counts, in Q0.31; 0 for the others.
#[cfg(feature = "encode")]
fn exponentials(differences: &[i32; EXP_ENTRIES], radius: f64) -> [i32; EXP_ENTRIES] {
    core::array::from_fn(|i| match i as f64 <= radius {
        true => exp_on_negative(differences[i], DIFFERENCE_INTEGER_BITS as u32),
        false => 0,
    })
}

/// Table of a softmax whose input has this scale and whose logits are multiplied by `beta`.
///
/// Entry `d` is the Q0.31 exponential of `-d * scale * beta`, or 0 beyond the reference's `diff_min`.
/// `None` where the scale is not positive and finite.
#[cfg(feature = "encode")]
pub fn softmax_table(scale: f64, beta: f64) -> Option<[i32; EXP_ENTRIES]> {
    let (multiplier, shift, radius) = difference_scale(beta * scale)?;
    Some(exponentials(&differences(multiplier, shift, radius), radius))
}

/// Constants of a [`LogSoftmax`](crate::ops::LogSoftmax).
#[cfg(feature = "encode")]
pub struct LogSoftmaxConstants {
    /// Exponential of minus each difference, Q0.31.
    pub exp: [i32; EXP_ENTRIES],
    /// Minus each difference, Q5.26.
    pub difference: [i32; EXP_ENTRIES],
    /// Q5.26 to differences.
    pub reverse: Requant,
    /// Largest difference that counts.
    pub radius: u8,
}

/// Constants of a log-softmax whose input has this scale.
///
/// `None` where the reference refuses the scale: it must be finite and above `2^-26`.
#[cfg(feature = "encode")]
pub fn log_softmax_constants(scale: f64) -> Option<LogSoftmaxConstants> {
    let (multiplier, shift, radius) = difference_scale(scale)?;
    let below_one = scale * f64::from(1 << (31 - DIFFERENCE_INTEGER_BITS)) > 1.0;
    let reverse = libm::ldexp(1.0, 31 - shift) / f64::from(multiplier);
    let reverse = Requant::from_real(reverse).filter(|reverse| below_one && reverse.shift <= 0)?;
    let difference = differences(multiplier, shift, radius);
    let exp = exponentials(&difference, radius);
    Some(LogSoftmaxConstants { exp, difference, reverse, radius: radius.min(255.0) as u8 })
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
    fn the_root_of_64_bits_inverts() {
        for x in [0, 1, 2, 3, 4, 99, 1 << 31, (1 << 38) + 12_345, 1 << 62, u64::MAX] {
            let (mantissa, pairs) = inverse_root64(x);
            let got = libm::ldexp(f64::from(mantissa), pairs as i32 - 63);
            let error = got * libm::sqrt(x.max(1) as f64) - 1.0;
            // A hair more than 2^-31, for the rounding of the test itself.
            assert!(error.abs() < 4.6567e-10, "{x}: {error}");
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

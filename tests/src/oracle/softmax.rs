//! Softmax in fixed point, each exponential evaluated (TensorFlow Lite `reference_ops::Softmax`, gemmlowp).
//!
//! A value with `i` integer bits is an i32 raw value over `2^(31 - i)`.

use super::{Grid, divide_half_away, high_mul, wrap32};

pub(super) const ONE: i64 = i32::MAX as i64;

pub(super) fn saturate(x: i64) -> i64 {
    x.clamp(i64::from(i32::MIN), i64::from(i32::MAX))
}

pub(super) fn divide(x: i64, bits: u32) -> i64 {
    divide_half_away(i128::from(x), bits) as i64
}

/// `exp_on_interval_between_negative_one_quarter_and_0_excl`, 0 integer bits in and out.
fn exp_quarter(a: i64) -> i64 {
    let constant = 1_895_147_668; // exp(-1/8)
    let third = 715_827_883;
    let x = a + (1 << 28); // a + 1/8
    let x2 = high_mul(x, x);
    let x3 = high_mul(x2, x);
    let x4 = high_mul(x2, x2);
    let polynomial = divide(high_mul(divide(x4, 2) + x3, third) + x2, 1);
    constant + high_mul(constant, x + polynomial)
}

/// `exp_on_negative_values`, 5 integer bits in, 0 out.
pub(super) fn exp(a: i64) -> i64 {
    if a == 0 {
        return ONE;
    }
    let fraction_bits = 26;
    let quarter = 1i64 << (fraction_bits - 2);
    let residue = a.rem_euclid(quarter) - quarter;
    let mut result = exp_quarter(saturate(residue << 5));
    let remainder = residue - a;
    let multipliers = [
        (-2, 1_672_461_947),
        (-1, 1_302_514_674),
        (0, 790_015_084),
        (1, 290_630_308),
        (2, 39_332_535),
        (3, 720_401),
        (4, 242),
    ];
    for (exponent, multiplier) in multipliers {
        if (remainder >> (fraction_bits + exponent)) & 1 == 1 {
            result = high_mul(result, multiplier);
        }
    }
    result
}

/// `one_over_one_plus_x_for_x_in_0_1`, 0 integer bits.
pub(super) fn one_over_one_plus(a: i64) -> i64 {
    // Both operands are not negative, so the rounding half sum is half up.
    let half_denominator = (a + ONE + 1) / 2;
    let mut x = 1_515_870_810 + high_mul(half_denominator, -1_010_580_540); // 48/17 - 32/17 d, 2 bits
    for _ in 0..3 {
        let error = (1 << 29) - high_mul(half_denominator, x);
        x = wrap32(x + saturate(high_mul(x, error) << 2));
    }
    saturate(x << 1)
}

/// How the reference scales differences: multiplier, left shift, and the largest difference that counts.
///
/// `None` where the product of scale and beta is not above `2^-26`: the reference asserts that it is.
pub(super) fn preprocess(scale: f64, beta: f64) -> Option<(i64, u32, i64)> {
    let real = (beta * scale * f64::from(1 << 26)).min(2f64.powi(31) - 1.0);
    if real.is_nan() || real <= 1.0 {
        return None;
    }
    let mut shift = 0u32;
    while 2f64.powi(shift as i32) <= real {
        shift += 1;
    }
    let mut multiplier = (real / 2f64.powi(shift as i32) * 2f64.powi(31)).round() as i64;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    let radius = (31.0 * 2f64.powi(26) / 2f64.powi(shift as i32)).floor();
    Some((multiplier, shift, radius as i64))
}

/// Softmax over channels of an int8 tensor; the output has `bits` bits, its scale is one over their number of
/// values and its zero point the lowest.
///
/// # Panics
/// The scale is so small that the reference is not defined.
pub fn softmax(x: &Grid, scale: f64, beta: f64, bits: i64) -> Grid {
    let half = 1 << (bits - 1);
    let (multiplier, shift, radius) = preprocess(scale, beta).expect("the reference asserts a larger scale");
    let exponential = |difference: i64| match difference >= -radius {
        true => exp(high_mul(difference << shift, multiplier)),
        // Left out of the sum, and its own result is zero.
        false => 0,
    };
    let rows = x.data.chunks(x.size[3]);
    let data = rows.flat_map(|row| {
        let max = *row.iter().max().expect("no channels");
        let exponentials: Vec<i64> = row.iter().map(|&q| exponential(q - max)).collect();
        let sum: i64 = exponentials.iter().map(|&e| divide(e, 12)).sum();
        // 12 integer bits: the sum is in [1, 4096], so its highest bit is one of 19 to 31.
        let highest = 63 - i64::from(sum.leading_zeros());
        let bits_over_one = highest - 19;
        let reciprocal = one_over_one_plus((sum << (31 - highest)) - (1 << 31));
        exponentials.into_iter().map(move |e| {
            let product = high_mul(reciprocal, e);
            (divide(product, (bits_over_one + 31 - bits) as u32) - half).clamp(-half, half - 1)
        })
    });
    Grid { size: x.size, data: data.collect() }
}

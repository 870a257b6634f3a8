//! Logarithm of the softmax in fixed point (TensorFlow Lite `reference_ops::LogSoftmax`, int8).
//!
//! A value with `i` integer bits is an i32 raw value over `2^(31 - i)`.

use super::softmax::{ONE, divide, exp, one_over_one_plus, preprocess, saturate};
use super::{Factor, Grid, high_mul, rescale, wrap32};

/// Zero bits above a positive 32-bit number.
fn zeros(x: i64) -> i64 {
    i64::from((x as u32).leading_zeros())
}

/// `log_x_for_x_greater_than_or_equal_to_1`: 12 integer bits in, 5 out.
fn log(x: i64) -> i64 {
    let (log_2, fourth_root, square_root) = (1_488_522_236, 1_805_811_301, 1_518_500_250);
    let [alpha_n, alpha_d, alpha_i, alpha_f] = [117_049_297, 127_690_142, 1_057_819_769, 638_450_708];
    // Two candidates: x itself, and x over the root of two, each with its power of two.
    let shift_a = zeros(x) - 1;
    let r_a = saturate(high_mul(saturate(x << shift_a), square_root) * 2);
    let power_a = (12 - zeros(x)) * (1 << 25) + (1 << 23);
    let shift_b = zeros(high_mul(x, square_root)) - 1;
    let r_b = saturate(x << shift_b);
    let power_b = (12 - shift_b) * (1 << 25) - (1 << 23);
    let (r, power) = (r_a.min(r_b), power_a.max(power_b));

    let p = (r + fourth_root + 1) / 2; // both positive: half up is half away
    let q = 2 * (r - fourth_root);
    let square = high_mul(q, q);
    let numerator = high_mul(q, r) + high_mul(high_mul(q, square), alpha_n);
    let denominator = high_mul(p, alpha_i + q + high_mul(alpha_d, square)) + high_mul(alpha_f, q);
    assert!((0..=ONE).contains(&denominator), "{x}: the denominator minus one is {denominator}");
    let fraction = high_mul(divide(numerator, 6), one_over_one_plus(denominator));
    saturate((high_mul(power, log_2) + fraction) * 2)
}

/// Logarithm of the softmax over channels of an int8 tensor; output scale 1/16, zero point 127.
///
/// # Panics
/// The scale is so small that the reference is not defined.
pub fn log_softmax(x: &Grid, scale: f64) -> Grid {
    let (multiplier, shift, radius) = preprocess(scale, 1.0).expect("the reference asserts a larger scale");
    let scaled = |difference: i64| high_mul(wrap32(difference << shift), multiplier);
    // `QuantizeMultiplier` of 2^(31 - shift) / multiplier, which is below one.
    let reverse = 2f64.powi(31 - shift as i32) / multiplier as f64;
    let mut exponent = 0;
    while reverse * 2f64.powi(exponent) < 0.5 {
        exponent += 1;
    }
    let mut reverse = Factor {
        multiplier: (reverse * 2f64.powi(exponent + 31)).round() as i64,
        shift: i64::from(-exponent),
    };
    if reverse.multiplier == 1 << 31 {
        reverse = Factor { multiplier: 1 << 30, shift: reverse.shift + 1 };
    }
    let rows = x.data.chunks(x.size[3]);
    let data = rows.flat_map(|row| {
        let max = *row.iter().max().expect("no channels");
        let counted = row.iter().map(|q| q - max).filter(|&difference| difference >= -radius);
        let sum: i64 = counted.map(|difference| divide(exp(scaled(difference)), 12)).sum();
        let logarithm = log(sum);
        let reach = rescale(logarithm + i64::from(i32::MIN), reverse).max(-radius - 1);
        row.iter().map(move |q| match q - max > reach {
            true => (divide(scaled(q - max) - logarithm, 22) + 127).clamp(-128, 127),
            false => -128,
        })
    });
    Grid { size: x.size, data: data.collect() }
}

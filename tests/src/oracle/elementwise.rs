//! Elementwise operators, changes of type and scale, argmax.

use super::{Factor, Grid, finish, rescale};

/// `table[x + 128]`.
pub fn lookup(x: &Grid, table: &[i64]) -> Grid {
    Grid::build(x.size, |index| table[(x.at(index) + 128) as usize])
}

/// Channel of the first largest score of every pixel.
pub fn argmax(scores: &Grid) -> Grid {
    let [n, h, w, channels] = scores.size;
    Grid::build([n, h, w, 1], |[n, y, x, _]| {
        let score = |c: usize| scores.at([n, y, x, c]);
        let best = (0..channels).rev().max_by_key(|&c| score(c));
        best.expect("no channels") as i64
    })
}

/// int8 to int8 with another scale (TensorFlow Lite `QUANTIZE` from int8).
pub fn requantize(x: &Grid, zero: i64, factor: Factor, output_zero: i64) -> Grid {
    requantize_to(x, zero, factor, output_zero, [-128, 127])
}

/// Integers to integers of another range, with another scale (TensorFlow Lite `QUANTIZE` from an integer).
pub fn requantize_to(x: &Grid, zero: i64, factor: Factor, output_zero: i64, range: [i64; 2]) -> Grid {
    Grid::build(x.size, |index| finish(rescale(x.at(index) - zero, factor), output_zero, range))
}

/// One real value to int8 (TensorFlow Lite `QUANTIZE` from float32): the quotient is rounded to f32 first.
pub fn quantize(real: f32, scale: f32, zero: i64) -> i64 {
    quantize_to(real, scale, zero, [-128, 127], false)
}

/// One real value to an integer of this range; toward zero (TensorFlow Lite `CAST`) instead of to nearest.
pub fn quantize_to(real: f32, scale: f32, zero: i64, range: [i64; 2], truncate: bool) -> i64 {
    let quotient = f64::from(real / scale);
    if quotient.is_nan() {
        return zero;
    }
    // |quotient| + 1/2 is exact in f64 below 2^52, and beyond that the clamp decides.
    let half = if truncate { 0.0 } else { 0.5 };
    let steps = quotient.signum() * (quotient.abs() + half).floor();
    (steps + zero as f64).clamp(range[0] as f64, range[1] as f64) as i64
}

/// One integer to real (TensorFlow Lite `DEQUANTIZE`): the difference rounded to f32, which is exact below 2^24,
/// and its product with the scale in f64, rounded to f32 once.
pub fn dequantize(q: i64, scale: f32, zero: i64) -> f32 {
    (f64::from(scale) * f64::from((q - zero) as f32)) as f32
}

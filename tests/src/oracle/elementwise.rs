//! Elementwise operators, changes of type and scale, argmax.

use super::{Factor, Grid, finish, rescale, wrap32};

/// Constants of a sum (TensorFlow Lite `ADD`, int8).
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// Zero points of the inputs.
    pub zero: [i64; 2],
    /// Factors of the inputs.
    pub inputs: [Factor; 2],
    /// Bits of precision.
    pub left_shift: u32,
    /// Factor of the sum.
    pub output: Factor,
    /// Zero point of the output.
    pub output_zero: i64,
    /// Range of the fused activation.
    pub range: [i64; 2],
}

/// The element of `b` that a broadcast pairs with an index.
fn broadcast(b: &Grid, index: [usize; 4]) -> i64 {
    b.at([0, 1, 2, 3].map(|axis| if b.size[axis] == 1 { 0 } else { index[axis] }))
}

/// Sum of `a` and a broadcast `b`.
pub fn add(a: &Grid, b: &Grid, p: &Sum) -> Grid {
    let scaled = |x: i64, i: usize| rescale((x - p.zero[i]) * (1 << p.left_shift), p.inputs[i]);
    Grid::build(a.size, |index| {
        let sum = wrap32(scaled(a.at(index), 0) + scaled(broadcast(b, index), 1));
        finish(rescale(sum, p.output), p.output_zero, p.range)
    })
}

/// Product of `a` and a broadcast `b` (TensorFlow Lite `MUL`, int8).
pub fn mul(a: &Grid, b: &Grid, zero: [i64; 2], factor: Factor, output_zero: i64, range: [i64; 2]) -> Grid {
    Grid::build(a.size, |index| {
        let product = (a.at(index) - zero[0]) * (broadcast(b, index) - zero[1]);
        finish(rescale(product, factor), output_zero, range)
    })
}

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
    Grid::build(x.size, |index| finish(rescale(x.at(index) - zero, factor), output_zero, [-128, 127]))
}

/// One real value to int8 (TensorFlow Lite `QUANTIZE` from float32): the quotient is rounded to f32 first.
pub fn quantize(real: f32, scale: f32, zero: i64) -> i64 {
    let quotient = f64::from(real / scale);
    if quotient.is_nan() {
        return zero;
    }
    // |quotient| + 1/2 is exact in f64 below 2^52, and beyond that the clamp decides.
    let steps = quotient.signum() * (quotient.abs() + 0.5).floor();
    (steps + zero as f64).clamp(-128.0, 127.0) as i64
}

/// One int8 value to real (TensorFlow Lite `DEQUANTIZE`): the product in f64, rounded to f32 once.
pub fn dequantize(q: i64, scale: f32, zero: i64) -> f32 {
    (f64::from(scale) * (q - zero) as f64) as f32
}

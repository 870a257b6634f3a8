//! Elementwise operators of two tensors, either of which may be broadcast.

use super::{Factor, Grid, divide_half_away, finish, high_mul, rescale, wrap32};

/// How the two inputs of a sum or difference are put on one scale.
#[derive(Clone, Copy, Debug)]
pub struct Alignment {
    /// Zero points of the inputs.
    pub zero: [i64; 2],
    /// Factors of the inputs.
    pub inputs: [Factor; 2],
    /// Bits of precision.
    pub left_shift: u32,
}

/// Constants of a sum, a difference or a squared difference.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The inputs on one scale.
    pub aligned: Alignment,
    /// Factor of the sum.
    pub output: Factor,
    /// Zero point of the output.
    pub output_zero: i64,
    /// Range of the output, that of its type or of the fused activation.
    pub range: [i64; 2],
}

/// Constants of a product or quotient.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Zero points of the inputs.
    pub zero: [i64; 2],
    /// Factor of the product.
    pub output: Factor,
    /// Zero point of the output.
    pub output_zero: i64,
    /// Range of the output.
    pub range: [i64; 2],
}

/// `f` of every pair of elements: an axis of size 1 is repeated to the size of the other operand.
fn pairs(a: &Grid, b: &Grid, f: impl Fn(i64, i64) -> i64) -> Grid {
    let size = [0, 1, 2, 3].map(|axis| match (a.size[axis], b.size[axis]) {
        (1, size) => size,
        (size, _) => size,
    });
    let element = |x: &Grid, index: [usize; 4]| {
        x.at([0, 1, 2, 3].map(|axis| if x.size[axis] == 1 { 0 } else { index[axis] }))
    };
    Grid::build(size, |index| f(element(a, index), element(b, index)))
}

impl Alignment {
    fn apply(&self, x: i64, operand: usize) -> i64 {
        rescale((x - self.zero[operand]) * (1 << self.left_shift), self.inputs[operand])
    }
}

/// TensorFlow Lite `ADD`.
pub fn add(a: &Grid, b: &Grid, p: &Sum) -> Grid {
    pairs(a, b, |a, b| {
        let sum = wrap32(p.aligned.apply(a, 0) + p.aligned.apply(b, 1));
        finish(rescale(sum, p.output), p.output_zero, p.range)
    })
}

/// TensorFlow Lite `SUB`.
pub fn sub(a: &Grid, b: &Grid, p: &Sum) -> Grid {
    pairs(a, b, |a, b| {
        let difference = wrap32(p.aligned.apply(a, 0) - p.aligned.apply(b, 1));
        finish(rescale(difference, p.output), p.output_zero, p.range)
    })
}

/// TensorFlow Lite `SQUARED_DIFFERENCE`.
pub fn squared_difference(a: &Grid, b: &Grid, p: &Sum) -> Grid {
    pairs(a, b, |a, b| {
        let difference = wrap32(p.aligned.apply(a, 0) - p.aligned.apply(b, 1));
        finish(rescale(wrap32(difference.wrapping_mul(difference)), p.output), p.output_zero, p.range)
    })
}

/// TensorFlow Lite `MUL`.
pub fn mul(a: &Grid, b: &Grid, p: &Product) -> Grid {
    pairs(a, b, |a, b| {
        let product = (a - p.zero[0]) * (b - p.zero[1]);
        finish(rescale(product, p.output), p.output_zero, p.range)
    })
}

/// TensorFlow Lite `DIV`. What the reference leaves undefined is what an x86-64 processor makes of its code if
/// `modular`, else the limit of the quotient.
pub fn divide(a: &Grid, b: &Grid, p: &Product, modular: bool) -> Grid {
    pairs(a, b, |a, b| {
        let (x, y) = (a - p.zero[0], b - p.zero[1]);
        if y == 0 && !modular {
            let side = [p.range[0], p.output_zero.clamp(p.range[0], p.range[1]), p.range[1]];
            return side[(x.signum() + 1) as usize];
        }
        let x = if y < 0 { -x } else { x };
        // y = m · 2^bits with m in [1, 2), as Q0.31 above one; of 0 there is no m, and -1 bits.
        let bits = y.unsigned_abs().checked_ilog2().map_or(-1, i64::from);
        let fraction = if y == 0 { -(1 << 31) } else { (y.abs() << (31 - bits)) - (1 << 31) };
        let inverse = one_over_one_plus(fraction);
        let headroom = (0..32).rev().find(|&bits| wrap32(x << bits) >> bits == x).expect("no bits at all");
        let scaled = high_mul(high_mul(x << headroom, inverse), p.output.multiplier);
        let right = headroom + bits - p.output.shift;
        let quotient = match right {
            0..=31 => divide_half_away(i128::from(scaled), right as u32) as i64,
            _ if modular => (scaled >> right.rem_euclid(32)) + i64::from(scaled >= 0),
            32.. => 0,
            _ => (scaled << -right).clamp(i64::from(i32::MIN), i64::from(i32::MAX)),
        };
        (quotient + p.output_zero).clamp(p.range[0], p.range[1])
    })
}

/// gemmlowp's `one_over_one_plus_x_for_x_in_0_1`: Newton's iteration for the reciprocal of `(1 + x) / 2`, Q2.29.
fn one_over_one_plus(x: i64) -> i64 {
    let saturate = |v: i64| v.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    let half_denominator = divide_half_away(i128::from(x) + i128::from(i32::MAX), 1) as i64;
    // 48/17 and -32/17. Beyond the interval the sums wrap.
    let mut y = wrap32(1_515_870_810 + high_mul(half_denominator, -1_010_580_540));
    for _ in 0..3 {
        let error = wrap32((1 << 29) - high_mul(half_denominator, y));
        y = wrap32(y + saturate(high_mul(y, error) * 4));
    }
    saturate(y * 2)
}

/// TensorFlow Lite `MAXIMUM` or `MINIMUM`: of the stored values.
pub fn min_max(a: &Grid, b: &Grid, largest: bool) -> Grid {
    pairs(a, b, |a, b| if (a > b) == largest { a } else { b })
}

/// TensorFlow Lite `PRELU`, with the factors of positive and of negative inputs.
pub fn prelu(x: &Grid, slope: &Grid, p: &Product, negative: Factor) -> Grid {
    pairs(x, slope, |x, slope| {
        let x = x - p.zero[0];
        let scaled = match x >= 0 {
            true => rescale(x, p.output),
            false => rescale(x * (slope - p.zero[1]), negative),
        };
        finish(scaled, p.output_zero, p.range)
    })
}

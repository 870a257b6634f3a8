//! 16-bit values in plain Rust: the definition of the kernels' results, and their default.

use super::Source;
use crate::fixed;
use crate::fixed16::{self, TABLE_ENTRIES};
use crate::quant::{Clamp16, Requant, doubling_high_mul, rounding_shift_right};

/// Biases of a reduction; their width is that of the accumulator, and decides the rounding.
#[derive(Clone, Copy)]
pub(crate) enum Biases<'a> {
    /// The sum wraps in 32 bits and is rounded as an int8 model's.
    Narrow(&'a [i32]),
    /// The sum is exact in 64 bits and is rounded once.
    Wide(&'a [i64]),
}

/// Constants of a multiply-accumulate kernel of 16-bit activations and 8-bit weights.
#[derive(Clone, Copy)]
pub(crate) struct WideReduction<'a> {
    /// Weights, layout as the kernel says.
    pub(crate) weights: &'a [i8],
    pub(crate) weight_zero: i32,
    pub(crate) bias: Biases<'a>,
    pub(crate) multiplier: &'a [i32],
    pub(crate) shift: &'a [i8],
    pub(crate) clamp: Clamp16,
}

impl WideReduction<'_> {
    /// Factor of channel `c`.
    #[inline(always)]
    pub(crate) fn requant(&self, c: usize) -> Requant {
        Requant { multiplier: self.multiplier[c], shift: self.shift[c] }
    }

    /// The output of channel `c` for its accumulated sum (bias not yet added).
    #[inline(always)]
    pub(crate) fn finish(&self, c: usize, sum: i64) -> i16 {
        let scaled = match self.bias {
            Biases::Narrow(bias) => self.requant(c).apply(bias[c].wrapping_add(sum as i32)),
            Biases::Wide(bias) => self.requant(c).apply_wide(bias[c].wrapping_add(sum)),
        };
        self.clamp.apply(scaled)
    }
}

/// Constants of a softmax of 16-bit values.
#[derive(Clone, Copy)]
pub(crate) struct SoftmaxParams<'a> {
    /// From differences of inputs to 1/65,535 of the table's range of 10.
    pub(crate) scale: Requant,
    pub(crate) exp: &'a [i16; TABLE_ENTRIES],
    pub(crate) reciprocal: &'a [i16; TABLE_ENTRIES],
}

/// Scaling of the argument of a logistic function or hyperbolic tangent.
#[derive(Clone, Copy)]
pub(crate) struct SigmoidParams {
    pub(crate) multiplier: i32,
    /// At most 31.
    pub(crate) shift: u32,
}

impl SigmoidParams {
    /// `x` in 1/12,288, as the table takes it; rounded half up, wrapped.
    #[inline(always)]
    pub(crate) fn argument(&self, x: i16) -> i32 {
        let half = if self.shift > 0 { 1i32.wrapping_shl(self.shift - 1) } else { 0 };
        i32::from(x).wrapping_mul(self.multiplier).wrapping_add(half).wrapping_shr(self.shift)
    }
}

/// Constants of a function that is linear on each side of zero.
#[derive(Clone, Copy)]
pub(crate) struct RectifyParams {
    /// Magnitude of the factor of values from zero up, and of those below.
    pub(crate) scale: [Requant; 2],
    /// Whether each factor is negative.
    pub(crate) flip: [bool; 2],
    pub(crate) clamp: Clamp16,
}

impl RectifyParams {
    #[inline(always)]
    pub(crate) fn apply(&self, x: i16) -> i16 {
        let side = usize::from(x < 0);
        let x = if self.flip[side] { -i32::from(x) } else { i32::from(x) };
        self.clamp.apply(self.scale[side].apply(x))
    }
}

/// Products whose sum cannot leave 32 bits: 128 times less than 2^15 * 2^8.
const BLOCK: usize = 128;

/// `sum_k x[k] * (w[k] - weight_zero)`. Blocks are summed in 32 bits, which is faster on small cores.
pub(super) fn dot(x: &[i16], w: &[i8], weight_zero: i32) -> i64 {
    let block = |(x, w): (&[i16], &[i8])| {
        let products = x.iter().zip(w).map(|(&x, &w)| i32::from(x) * (i32::from(w) - weight_zero));
        i64::from(products.fold(0i32, i32::wrapping_add))
    };
    x.chunks(BLOCK).zip(w.chunks(BLOCK)).map(block).fold(0, i64::wrapping_add)
}

pub(super) fn depthwise(p: &WideReduction<'_>, c: usize, patch: &[i16], out: &mut [i16]) {
    let channels = out.len();
    let multiplier = channels / c;
    for (i, out) in out.iter_mut().enumerate() {
        let taps = patch[i / multiplier..].iter().step_by(c);
        let weights = p.weights[i..].iter().step_by(channels);
        let sum = taps.zip(weights).fold(0i64, |sum, (&x, &w)| {
            sum.wrapping_add(i64::from(i32::from(x) * (i32::from(w) - p.weight_zero)))
        });
        *out = p.finish(i, sum);
    }
}

pub(super) fn softmax(p: &SoftmaxParams<'_>, row: &[i16], out: &mut [i16]) {
    let max = row.iter().copied().fold(i16::MIN, i16::max);
    let mut sum = 0i32;
    for (out, &x) in out.iter_mut().zip(row) {
        let difference = p.scale.apply(i32::from(x) - i32::from(max));
        // The table's -32,768 is a difference of -65,535, and 32,767 is none.
        let centred = Clamp16::FULL.apply(difference.wrapping_add(i32::from(i16::MAX)));
        *out = fixed16::interpolate(p.exp, centred);
        sum = sum.wrapping_add(i32::from(*out));
    }
    let (mantissa, shift) = fixed16::reciprocal(p.reciprocal, sum);
    for out in out {
        let product = i64::from(*out) * i64::from(mantissa) + (1i64 << (shift - 1));
        *out = ((product >> shift) as i32).clamp(0, i32::from(i16::MAX)) as i16;
    }
}

pub(super) fn softmax_to16(exp: &[i32], row: &[i8], out: &mut [i16]) {
    let max = row.iter().copied().fold(i8::MIN, i8::max);
    let entry = |x: i8| exp[usize::from(max.abs_diff(x))];
    let sum = row.iter().fold(0i32, |sum, &x| sum.wrapping_add(fixed::to_accumulator(entry(x))));
    let (scale, bits) = fixed::reciprocal(sum);
    for (out, &x) in out.iter_mut().zip(row) {
        // 31 fraction bits of the product, less the 16 of a result in 1/65,536.
        let value = rounding_shift_right(doubling_high_mul(scale, entry(x)), bits + 31 - 16);
        *out = Clamp16::FULL.apply(value.wrapping_add(i32::from(i16::MIN)));
    }
}

pub(super) fn unary(a: Source<'_, i16>, out: &mut [i16], f: impl Fn(i16) -> i16) {
    match a {
        Source::InPlace => out.iter_mut().for_each(|x| *x = f(*x)),
        Source::From(a) => out.iter_mut().zip(a).for_each(|(out, &x)| *out = f(x)),
    }
}
